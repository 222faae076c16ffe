//! A follower that is behind by several rotations of a writer that goes on: oldest first, every line once, through restarts.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdfs_vigil::ingest::Mode;

use crate::tail::{Tail, append};
use crate::vigil::pause;

#[test]
fn the_cascade_of_log4j_up_to_20_comes_whole() {
    check(|path, _| roll_by_number(path));
}

#[test]
fn daily_files_come_whole() {
    check(|path, day| fs::rename(path, beside(path, &format!(".2026-11-{:02}", day + 1))).unwrap());
}

#[test]
fn hourly_files_that_grew_too_large_come_whole() {
    check(|path, hour| {
        fs::rename(path, beside(path, &format!(".2026-11-23-{:02}.{}", hour / 3, hour % 3 + 1))).unwrap();
    });
}

#[test]
fn a_whole_chain_that_was_there_before_is_read_oldest_first() {
    for mode in [Mode::Follow, Mode::Once] {
        let mut tail = Tail::with(|settings| settings.mode = mode);
        for number in 0..FILES {
            append(&tail.path(LOG), &format!("{number}\n"));
            roll_by_number(&tail.path(LOG));
        }
        append(&tail.path(LOG), "last\n");
        tail.settle();
        let expected: Vec<String> =
            (FILES - BACKUPS..FILES).map(|number| number.to_string()).chain(["last".to_owned()]).collect();
        assert_eq!(tail.lines(LOG), expected);
    }
}

/// Rolls a log `FILES` times while the follower reads it, in pieces, and stays behind by several files: less than fit in the chain.
fn check(roll: fn(&Path, usize)) {
    let mut tail = Tail::new();
    let expected: Vec<String> = (0..FILES * LINES).map(|number| format!("record {number:06}")).collect();
    let (read, written) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let writer = {
        let (path, lines, read, written) = (tail.path(LOG), expected.clone(), Arc::clone(&read), Arc::clone(&written));
        thread::spawn(move || write(&path, &lines, roll, &read, &written))
    };
    let deadline = Instant::now() + DEADLINE;
    let mut most_files_behind = 0;
    for turn in 0.. {
        let lines = tail.lines(LOG).len();
        read.store(lines, Ordering::SeqCst);
        let is_written = written.load(Ordering::SeqCst);
        if lines == expected.len() {
            break;
        }
        assert!(Instant::now() < deadline, "{lines} of {is_written} lines: {:#?}", tail.notices);
        if is_written < (lines + BEHIND_MIN * LINES).min(expected.len()) {
            pause(1);
            continue;
        }
        most_files_behind = most_files_behind.max((is_written - lines) / LINES);
        if turn % 50 == 49 {
            tail.restart();
        }
        tail.scan();
        tail.follower.share_read_ahead(4096);
        tail.read_each();
    }
    writer.join().unwrap();
    tail.settle();
    assert_eq!(tail.lines(LOG), expected);
    assert!(most_files_behind >= BEHIND_MIN, "{most_files_behind}");
    let names: BTreeSet<PathBuf> = tail.follower.streams().map(|stream| stream.name.to_path_buf()).collect();
    assert_eq!((names.len(), tail.follower.counters().lost_sources, tail.follower.counters().truncated_sources), (1, 0, 0));
}

/// Writes as fast as it can, `BEHIND_MAX` files ahead of the reader at most.
fn write(path: &Path, lines: &[String], roll: fn(&Path, usize), read: &AtomicUsize, written: &AtomicUsize) {
    for (number, line) in lines.iter().enumerate() {
        append(path, &format!("{line}\n"));
        written.store(number + 1, Ordering::SeqCst);
        if number % LINES == LINES - 1 {
            while number + 1 > read.load(Ordering::SeqCst) + BEHIND_MAX * LINES {
                pause(1);
            }
            roll(path, number / LINES);
        }
    }
}

/// As Log4j does with `MaxBackupIndex=20`: the oldest is deleted, and the next write makes the new file.
fn roll_by_number(path: &Path) {
    let _ = fs::remove_file(beside(path, &format!(".{BACKUPS}")));
    for number in (1..BACKUPS).rev() {
        let _ = fs::rename(beside(path, &format!(".{number}")), beside(path, &format!(".{}", number + 1)));
    }
    fs::rename(path, beside(path, ".1")).unwrap();
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    path.with_file_name(format!("{LOG}{suffix}"))
}

const LOG: &str = "hadoop-hdfs-datanode-dn1.log";
/// `MaxBackupIndex` of Hadoop's log4j.properties.
const BACKUPS: usize = 20;
const FILES: usize = 29;
const LINES: usize = 500;
const BEHIND_MIN: usize = 6;
/// One less than would lose a file: the one being read may just fall off.
const BEHIND_MAX: usize = BACKUPS - 3;
const DEADLINE: Duration = Duration::from_secs(120);
