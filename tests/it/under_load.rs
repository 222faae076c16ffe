//! A writer that never waits: files are renamed while directories are read, and looked at while they are renamed.

use std::thread;
use std::time::{Duration, Instant};

use hdfs_vigil::ingest::Waker;

use crate::tail::{Tail, append};

#[test]
fn a_log_rolled_all_the_time_comes_whole() {
    let mut tail = Tail::new();
    let path = tail.path(LOG);
    let expected: Vec<String> = (0..LINES).map(|number| format!("2026-11-23 06:42:00,000 INFO record {number:06}")).collect();
    let lines = expected.clone();
    let writer = thread::spawn(move || {
        for (number, line) in lines.iter().enumerate() {
            append(&path, &format!("{line}\n"));
            if number % LINES_PER_FILE == LINES_PER_FILE - 1 {
                roll(&path);
            }
        }
    });
    let deadline = Instant::now() + DEADLINE;
    while tail.lines(LOG).len() < LINES && Instant::now() < deadline {
        tail.step();
    }
    writer.join().unwrap();
    tail.settle();
    tail.check(LOG, &expected.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(tail.follower.counters().lost_sources, 0);
    assert_eq!(tail.follower.counters().truncated_sources, 0);
}

#[test]
fn the_waker_tells_of_what_a_scan_would_find() {
    let mut tail = Tail::new();
    let mut waker = Waker::new();
    tail.step();
    waker.watch(tail.follower.directories());
    for number in 0..10 {
        tail.write(LOG, &format!("{number}\n"));
        if number == 5 {
            roll(&tail.path(LOG));
        }
        waker.signal().recv_timeout(DEADLINE).unwrap();
        tail.step();
    }
    tail.settle();
    assert_eq!(tail.lines(LOG).len(), 10);
}

/// Renames the whole chain, as Log4j does, and leaves it to the next write to make the new file.
fn roll(path: &std::path::Path) {
    let name = |number: usize| path.with_extension(format!("log.{number}"));
    for number in (1..LINES / LINES_PER_FILE).rev() {
        let _ = std::fs::rename(name(number), name(number + 1));
    }
    std::fs::rename(path, name(1)).unwrap();
}

const LOG: &str = "x.log";
const LINES: usize = 20_000;
const LINES_PER_FILE: usize = 500;
const DEADLINE: Duration = Duration::from_secs(60);
