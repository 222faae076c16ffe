//! A log written anew in place is read anew, whatever size it has by then.

use std::fs;

use hdfs_vigil::ingest::Notice;

use crate::tail::Tail;

#[test]
fn truncated_to_nothing() {
    check("", "2\n", &["1", "1", "2"]);
}

#[test]
fn truncated_to_something_smaller() {
    check("a\n", "2\n", &["1", "1", "a", "2"]);
}

#[test]
fn truncated_to_something_of_the_same_size() {
    check("a\na\n", "2\n", &["1", "1", "a", "a", "2"]);
}

#[test]
fn truncated_to_something_larger_between_two_scans() {
    check("a\nb\nc\nd\n", "2\n", &["1", "1", "a", "b", "c", "d", "2"]);
}

#[test]
fn truncated_to_something_larger_that_begins_alike() {
    let header = format!("{}\n", "x".repeat(2000));
    let mut tail = Tail::new();
    tail.write("x.log", &format!("{header}1\n"));
    tail.step();
    fs::write(tail.path("x.log"), format!("{header}2\n3\n")).unwrap();
    tail.settle();
    tail.check("x.log", &[header.trim_end(), "1", header.trim_end(), "2", "3"]);
}

#[test]
fn truncated_between_a_scan_and_its_read() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n");
    tail.step();
    tail.write("x.log", "2\n");
    tail.scan();
    fs::write(tail.path("x.log"), "other, and longer\n").unwrap();
    tail.settle();
    tail.check("x.log", &["1", "other, and longer"]);
    assert_eq!(tail.follower.counters().lost_bytes, 2);
}

#[test]
fn truncated_while_stopped() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n");
    tail.step();
    tail.restart();
    fs::write(tail.path("x.log"), "2\n3\n").unwrap();
    tail.settle();
    tail.check("x.log", &["1", "2", "3"]);
}

/// Reads `1\n1\n`, then puts `instead` in its place and later adds `more`.
fn check(instead: &str, more: &str, expected: &[&str]) {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n1\n");
    tail.step();
    fs::write(tail.path("x.log"), instead).unwrap();
    tail.step();
    tail.write("x.log", more);
    tail.settle();
    tail.check("x.log", expected);
    assert!(tail.has_notice(|notice| matches!(notice, Notice::Truncated { .. })));
    assert_eq!(tail.follower.counters().truncated_sources, 1);
}
