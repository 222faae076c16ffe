//! Deleted files: what is left is read while a descriptor holds it, and then the descriptor is given back.

use std::fs;
use std::path::Path;

use hdfs_vigil::ingest::Notice;

use crate::tail::Tail;

#[test]
fn what_is_left_of_a_deleted_file_is_read_and_its_descriptor_closed() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n");
    tail.step();
    assert!(is_open(&tail.path("x.log")));
    tail.write("x.log", "2\n");
    tail.remove("x.log");
    tail.settle();
    tail.check("x.log", &["1", "2"]);
    assert!(!is_open(&tail.path("x.log")));
    assert!(tail.has_notice(|notice| matches!(notice, Notice::Deleted { .. })));
    assert_eq!((tail.follower.counters().deleted_sources, tail.follower.counters().lost_sources), (1, 0));
    assert_eq!(tail.follower.positions().streams[0].sources, [], "a deleted file that was read is forgotten");
}

#[test]
fn a_log_deleted_and_made_anew_goes_on() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n");
    tail.step();
    tail.write("x.log", "2\n");
    tail.remove("x.log");
    tail.write("x.log", "3\n");
    tail.settle();
    tail.check("x.log", &["1", "2", "3"]);
}

#[test]
fn a_file_deleted_while_stopped_is_counted_as_lost() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\npartial");
    tail.step();
    tail.remove("x.log");
    tail.restart();
    tail.write("x.log", "2\n");
    tail.settle();
    tail.check("x.log", &["1", "partial", "2"]);
    assert_eq!(tail.follower.counters().lost_sources, 1);
}

#[test]
fn a_file_deleted_before_it_was_opened_says_what_it_cost() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n2\n");
    tail.scan();
    tail.remove("x.log");
    tail.settle();
    tail.check("x.log", &[]);
    assert_eq!((tail.follower.counters().lost_sources, tail.follower.counters().lost_bytes), (1, 4));
}

#[test]
fn a_whole_directory_may_go_and_come_back() {
    let mut tail = Tail::new();
    tail.settings.patterns = vec![tail.path("logs").to_str().unwrap().to_owned()];
    tail.restart();
    fs::create_dir(tail.path("logs")).unwrap();
    tail.write("logs/x.log", "1\n");
    tail.settle();
    fs::remove_dir_all(tail.path("logs")).unwrap();
    tail.settle();
    fs::create_dir(tail.path("logs")).unwrap();
    tail.write("logs/x.log", "2\n");
    tail.settle();
    tail.check("logs/x.log", &["1", "2"]);
    assert_eq!(tail.follower.positions().next_stream, 1, "the stream keeps its number");
}

/// Whether this process holds a descriptor of a file that had this path.
fn is_open(path: &Path) -> bool {
    let held = fs::read_dir("/proc/self/fd").unwrap().flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    held.into_iter().any(|target| target.to_string_lossy().starts_with(path.to_str().unwrap()))
}
