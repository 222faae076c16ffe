//! Where a first start begins, and that it has no say after that.

use std::fs::{self, File};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hdfs_vigil::ingest::StartAt;
use hdfs_vigil::ingest::codec::Codec;
use hdfs_vigil::pipeline::event::{LogTime, WallTime};

use crate::tail::{Tail, append, pack};

#[test]
fn at_the_end_nothing_old_is_read() {
    check(StartAt::End, &[]);
}

#[test]
fn at_the_beginning_everything_is_read() {
    check(StartAt::Beginning, &["1 a", "2 b", "3 c", "4 d", "5 e", "6 f"]);
}

#[test]
fn since_a_time_only_what_is_not_older_is_read() {
    check(since(0), &["1 a", "2 b", "3 c", "4 d", "5 e", "6 f"]);
    check(since(2), &["2 b", "3 c", "4 d", "5 e", "6 f"]);
    check(since(4), &["4 d", "5 e", "6 f"]);
    check(since(6), &["6 f"]);
    check(since(7), &[]);
}

#[test]
fn a_file_written_last_before_that_time_is_not_even_opened() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let mut tail =
        Tail::with(|settings| settings.start_at = StartAt::Since { log_time: LogTime(0), wall_time: WallTime(now - 3_600_000) });
    tail.write("x.log.1", "1 a\n");
    tail.write("x.log", "2 b\n");
    let old = SystemTime::now() - Duration::from_secs(7200);
    File::options().write(true).open(tail.path("x.log.1")).unwrap().set_modified(old).unwrap();
    tail.settle();
    tail.check("x.log", &["2 b"]);
}

#[test]
fn a_line_being_written_at_the_first_scan_is_read_whole() {
    let mut tail = Tail::with(|settings| settings.start_at = StartAt::End);
    tail.write("x.log", "old\nbegun ");
    tail.step();
    tail.write("x.log", "and done\n");
    tail.settle();
    tail.check("x.log", &["begun and done"]);
}

#[test]
fn what_appears_after_the_first_scan_is_read_whole() {
    let mut tail = Tail::with(|settings| settings.start_at = StartAt::End);
    tail.step();
    tail.write("x.log", "1\n");
    tail.settle();
    tail.check("x.log", &["1"]);
    tail.restart();
    tail.write("y.log", "1\n");
    tail.settle();
    tail.check("y.log", &["1"]);
}

fn since(log_time: i64) -> StartAt {
    StartAt::Since { log_time: LogTime(log_time), wall_time: WallTime(0) }
}

/// Six records in three files, one of them compressed; then one that is written later, after a rotation.
fn check(start_at: StartAt, expected: &[&str]) {
    for codec in Codec::ALL {
        check_with(codec, start_at, expected);
    }
}

fn check_with(codec: Codec, start_at: StartAt, expected: &[&str]) {
    let suffix = codec.suffix();
    let mut tail = Tail::with(|settings| settings.start_at = start_at);
    fs::write(tail.path(&format!("x.log.2{suffix}")), pack(codec, b"1 a\n2 b\n")).unwrap();
    append(&tail.path("x.log.1"), "3 c\n4 d\n");
    append(&tail.path("x.log"), "5 e\n6 f\n");
    tail.step();
    tail.write("x.log", "7 g\n");
    tail.rename(&format!("x.log.2{suffix}"), &format!("x.log.3{suffix}"));
    tail.rename("x.log.1", "x.log.2");
    tail.rename("x.log", "x.log.1");
    tail.write("x.log", "8 h\n");
    tail.settle();
    tail.check("x.log", &[expected, &["7 g", "8 h"]].concat());
}
