//! Symbolic links are followed; the identity is the target's.

use std::fs;
use std::os::unix::fs::symlink;

use crate::tail::{Tail, append};

#[test]
fn a_linked_log_is_followed() {
    let mut tail = logs();
    symlink(tail.path("data/a"), tail.path("logs/x.log")).unwrap();
    append(&tail.path("data/a"), "1\n");
    tail.settle();
    tail.check("logs/x.log", &["1"]);
}

#[test]
fn a_link_moved_to_a_new_file_finishes_the_old_one_first() {
    for restarts in [false, true] {
        let mut tail = logs();
        append(&tail.path("data/a"), "1\n");
        symlink(tail.path("data/a"), tail.path("logs/x.log")).unwrap();
        tail.step();
        append(&tail.path("data/a"), "2\n");
        append(&tail.path("data/b"), "3\n");
        tail.remove("logs/x.log");
        symlink(tail.path("data/b"), tail.path("logs/x.log")).unwrap();
        if restarts {
            tail.restart();
        }
        tail.settle();
        tail.check("logs/x.log", &["1", "2", "3"]);
        assert_eq!(tail.follower.counters().lost_sources, 0);
    }
}

#[test]
fn the_target_of_a_link_may_be_rotated() {
    let mut tail = logs();
    append(&tail.path("data/a"), "1\n");
    symlink(tail.path("data/a"), tail.path("logs/x.log")).unwrap();
    tail.step();
    append(&tail.path("data/a"), "2\n");
    tail.rename("data/a", "data/a.1");
    append(&tail.path("data/a"), "3\n");
    tail.restart();
    tail.settle();
    tail.check("logs/x.log", &["1", "2", "3"]);
}

#[test]
fn a_link_to_nowhere_is_nothing_and_may_become_something() {
    let mut tail = logs();
    symlink(tail.path("data/a"), tail.path("logs/x.log")).unwrap();
    tail.settle();
    assert_eq!(tail.notices, []);
    append(&tail.path("data/a"), "1\n");
    tail.settle();
    tail.check("logs/x.log", &["1"]);
}

#[test]
fn a_link_beside_its_target_does_not_double_it() {
    let mut tail = logs();
    append(&tail.path("logs/x.log"), "1\n");
    symlink(tail.path("logs/x.log"), tail.path("logs/z-current.log")).unwrap();
    tail.settle();
    tail.check("logs/x.log", &["1"]);
    tail.check("logs/z-current.log", &[]);
}

fn logs() -> Tail {
    let mut tail = Tail::new();
    fs::create_dir(tail.path("logs")).unwrap();
    fs::create_dir(tail.path("data")).unwrap();
    tail.settings.patterns = vec![tail.path("logs").to_str().unwrap().to_owned()];
    tail.restart();
    tail
}
