//! Copytruncate: the copy is not sent again, and what only the copy holds is not lost.

use std::fs;

use crate::tail::{Tail, append};

#[test]
fn a_copy_of_what_was_read_is_not_sent_again() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n2\n");
    tail.step();
    copytruncate(&tail);
    tail.write("x.log", "3\n");
    tail.settle();
    tail.check("x.log", &["1", "2", "3"]);
    assert_eq!(tail.follower.counters().copied_sources, 1);
}

#[test]
fn what_only_the_copy_holds_is_read_from_it() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n");
    tail.step();
    tail.write("x.log", "2\n");
    copytruncate(&tail);
    tail.write("x.log", "3\n");
    tail.settle();
    tail.check("x.log", &["1", "2", "3"]);
    assert_eq!(tail.follower.counters().lost_sources, 0);
}

#[test]
fn the_same_happens_while_stopped() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n");
    tail.step();
    tail.write("x.log", "2\n");
    copytruncate(&tail);
    tail.write("x.log", "3\n");
    tail.restart();
    tail.settle();
    tail.check("x.log", &["1", "2", "3"]);
}

#[test]
fn a_copy_seen_while_it_is_made_is_left_alone() {
    let lines = [record(1), record(2), record(3), record(4)];
    let mut tail = Tail::new();
    tail.write("x.log", &lines[..3].join("\n"));
    tail.write("x.log", "\n");
    tail.step();
    append(&tail.path("x.log.1"), "");
    for line in &lines[..3] {
        tail.step();
        append(&tail.path("x.log.1"), &format!("{line}\n"));
    }
    tail.step();
    tail.truncate("x.log", 0);
    tail.step();
    tail.write("x.log", &format!("{}\n", lines[3]));
    tail.settle();
    tail.check("x.log", &lines.each_ref().map(String::as_str));
}

#[test]
fn lines_written_between_the_copy_and_the_truncation_come_once() {
    let mut tail = Tail::new();
    let header = "h".repeat(2000);
    tail.write("x.log", &format!("{header}\n1\n"));
    tail.step();
    fs::copy(tail.path("x.log"), tail.path("x.log.1")).unwrap();
    tail.write("x.log", "2\n");
    tail.step();
    tail.truncate("x.log", 0);
    tail.write("x.log", "3\n");
    tail.settle();
    tail.check("x.log", &[&header, "1", "2", "3"]);
}

#[test]
fn a_copy_already_there_at_the_first_scan_is_not_sent_twice() {
    let mut tail = Tail::new();
    tail.write("x.log", &format!("{}\n{}\n", record(1), record(2)));
    tail.write("x.log.1", &format!("{}\n", record(1)));
    tail.settle();
    tail.check("x.log", &[&record(1), &record(2)]);
}

#[test]
fn copies_of_copies_stay_in_order() {
    let mut tail = Tail::new();
    let mut expected = vec![];
    for round in 0..6 {
        for number in 0..3 {
            expected.push(format!("{round} {number}"));
            tail.write("x.log", &format!("{round} {number}\n"));
            if number == 1 {
                tail.step();
            }
        }
        for number in (1..5).rev() {
            let _ = fs::rename(tail.path(&format!("x.log.{number}")), tail.path(&format!("x.log.{}", number + 1)));
        }
        copytruncate(&tail);
        tail.step();
        if round == 3 {
            tail.restart();
        }
    }
    tail.settle();
    tail.check("x.log", &expected.iter().map(String::as_str).collect::<Vec<_>>());
}

fn copytruncate(tail: &Tail) {
    fs::copy(tail.path("x.log"), tail.path("x.log.1")).unwrap();
    tail.truncate("x.log", 0);
}

fn record(number: u32) -> String {
    format!("2026-11-23 06:42:00,{number:03} INFO org.apache.hadoop.hdfs.server.datanode.DataNode: record {number}")
}
