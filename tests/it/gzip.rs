//! Compressed files: read once, in their place, and never again when they are copies of what was read.

use std::fs;

use hdfs_vigil::ingest::Mode;
use hdfs_vigil::limits::CHUNK_BYTES_MAX;

use crate::tail::{Tail, gzip};

#[test]
fn compressed_files_are_read_in_their_place() {
    for mode in [Mode::Follow, Mode::Once] {
        let mut tail = Tail::with(|settings| settings.mode = mode);
        fs::write(tail.path("x.log.2.gz"), gzip(b"1\n")).unwrap();
        fs::write(tail.path("x.log.1.gz"), [gzip(b"2\n"), gzip(b"3\n")].concat()).unwrap();
        fs::write(tail.path("x.log.gz"), gzip(b"4\n")).unwrap();
        tail.write("x.log", "5\n");
        tail.settle();
        tail.check("x.log", &["1", "2", "3", "4", "5"]);
    }
}

#[test]
fn reading_once_ends_every_file_where_it_ends_now() {
    let mut tail = Tail::with(|settings| settings.mode = Mode::Once);
    tail.write("x.log.1", "1\n2 without newline");
    tail.write("x.log", "3\n4 without newline");
    tail.step();
    tail.check("x.log", &["1", "2 without newline", "3", "4 without newline"]);
    assert_eq!(tail.follower.counters().finished_sources, 2);
}

#[test]
fn a_log_compressed_after_it_was_read_is_not_sent_again() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n");
    tail.step();
    tail.roll("x.log", 3);
    tail.write("x.log", "2\n");
    tail.settle();
    tail.compress("x.log.1");
    tail.settle();
    tail.restart();
    tail.settle();
    tail.check("x.log", &["1", "2"]);
}

#[test]
fn a_log_compressed_while_stopped_goes_on_where_it_stood() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n");
    tail.step();
    tail.write("x.log", "2\n");
    tail.roll("x.log", 3);
    tail.compress("x.log.1");
    tail.write("x.log", "3\n");
    tail.restart();
    tail.settle();
    tail.check("x.log", &["1", "2", "3"]);
    assert_eq!(tail.follower.counters().lost_sources, 0);
}

#[test]
fn a_copy_that_is_being_compressed_is_left_alone() {
    let mut tail = Tail::new();
    tail.write("x.log.1", "1\n2\n");
    tail.write("x.log", "3\n");
    tail.settle();
    let packed = gzip(b"1\n2\n");
    for cut in [0, 5, 15, packed.len() - 4, packed.len()] {
        fs::write(tail.path("x.log.1.gz"), &packed[..cut]).unwrap();
        tail.step();
    }
    tail.remove("x.log.1");
    tail.settle();
    tail.check("x.log", &["1", "2", "3"]);
    assert_eq!(tail.follower.counters().errors, 0, "{:?}", tail.notices);
}

#[test]
fn a_compressed_file_goes_on_after_a_restart() {
    let line = format!("{}\n", "x".repeat(999));
    let lines = 5 * CHUNK_BYTES_MAX / line.len();
    let mut tail = Tail::new();
    fs::write(tail.path("x.log.1.gz"), gzip(line.repeat(lines).as_bytes())).unwrap();
    tail.scan();
    let stream = tail.follower.ready().next().unwrap();
    let mut buffer = vec![];
    let first = tail.follower.read(stream, &mut buffer).unwrap();
    assert_eq!(first.bytes, CHUNK_BYTES_MAX);
    tail.restart();
    tail.settle();
    // The first chunk went to `buffer` alone; the rest of its last line is the first that the tail sees.
    assert_eq!(tail.lines("x.log").len(), lines - CHUNK_BYTES_MAX / line.len());
}

#[test]
fn a_torn_compressed_file_is_read_as_far_as_it_goes_and_named() {
    for mode in [Mode::Follow, Mode::Once] {
        let mut tail = Tail::with(|settings| settings.mode = mode);
        let packed = gzip(b"1\n2\n3\n");
        fs::write(tail.path("x.log.1.gz"), &packed[..packed.len() - 4]).unwrap();
        tail.write("x.log", "4\n");
        tail.settle();
        tail.check("x.log", &["1", "2", "3", "4"]);
        assert_eq!(tail.follower.counters().lost_sources, 1);
        assert_eq!(tail.follower.counters().errors, 1, "{:?}", tail.notices);
    }
}
