//! One file under several names is one file.

use std::fs;

use crate::tail::Tail;

#[test]
fn a_log_with_two_names_is_read_once() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n");
    fs::hard_link(tail.path("x.log"), tail.path("y.log")).unwrap();
    tail.settle();
    tail.write("y.log", "2\n");
    tail.settle();
    tail.restart();
    tail.settle();
    tail.check("x.log", &["1", "2"]);
    tail.check("y.log", &[]);
    assert_eq!(tail.follower.counters().opened_sources, 1);
}

#[test]
fn it_goes_on_under_the_name_that_is_left() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n");
    fs::hard_link(tail.path("x.log"), tail.path("y.log")).unwrap();
    tail.settle();
    tail.remove("x.log");
    tail.write("y.log", "2\n");
    tail.settle();
    tail.check("x.log", &["1", "2"]);
    assert_eq!((tail.follower.counters().lost_sources, tail.follower.counters().deleted_sources), (0, 0));
}

#[test]
fn a_log_rotated_by_a_second_name_is_read_once() {
    for restarts in [false, true] {
        let mut tail = Tail::new();
        tail.write("x.log", "1\n");
        tail.step();
        tail.write("x.log", "2\n");
        fs::hard_link(tail.path("x.log"), tail.path("x.log.1")).unwrap();
        tail.step();
        tail.write("new", "3\n");
        tail.rename("new", "x.log");
        if restarts {
            tail.restart();
        }
        tail.settle();
        tail.check("x.log", &["1", "2", "3"]);
    }
}

#[test]
fn a_name_in_another_directory_changes_nothing() {
    let mut tail = Tail::new();
    fs::create_dir(tail.path("archive")).unwrap();
    tail.settings.patterns.push(tail.path("archive").to_str().unwrap().to_owned());
    tail.restart();
    tail.write("x.log", "1\n");
    tail.settle();
    fs::hard_link(tail.path("x.log"), tail.path("archive/x.log.2026-11-23")).unwrap();
    tail.settle();
    tail.remove("x.log");
    tail.write("x.log", "2\n");
    tail.settle();
    let all = [tail.lines("x.log"), tail.lines("archive/x.log")].concat();
    assert_eq!(all, ["1", "2"], "{:#?}", tail.notices);
}
