//! `kill -9` at 200 moments while a log is written and rotated: the alerts are those of an undisturbed run, and each is both in the file
//! and at the receiver. `HDFS_VIGIL_SEED` chooses other moments, `HDFS_VIGIL_KILLS` more or fewer of them.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::real_data;
use crate::telling::{self, Receiver};
use crate::vigil::{append, pause};

#[test]
fn kill_9_at_many_moments_of_a_rotated_log_loses_no_alert() {
    let Some(lines) = real_lines() else { return };
    let receiver = Receiver::start(0);
    let place = telling::place(&receiver, "notify", "2d");
    let (kills, seed) = (number("HDFS_VIGIL_KILLS", 200), number("HDFS_VIGIL_SEED", 9));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let moments: Vec<u64> = (0..kills).map(|_| random.random_range(10..400)).collect();
    println!("seed {seed}; killed after so many milliseconds: {moments:?}");
    let may_write = Arc::new(AtomicUsize::new(0));
    let writer = thread::spawn({
        let (log, lines, may_write) = (place.logs().join("dn1.log"), lines.clone(), Arc::clone(&may_write));
        move || write(&log, &lines, &may_write, &mut random)
    });
    for (number, moment) in (1..).zip(moments) {
        let vigil = place.start();
        may_write.store(lines.len() * number / kills as usize, Ordering::Release);
        pause(moment);
        vigil.kill();
    }
    writer.join().unwrap();
    let expected = place.undisturbed();
    assert!(expected.len() > 300, "there is much to lose: {}", expected.len());
    let vigil = place.start();
    place.wait_for("every alert in the file and at the receiver", |place| {
        place.alert_ids() == expected && receiver.ids() == expected
    });
    assert!(vigil.stop().success());
    assert_eq!((place.alert_ids(), receiver.ids()), (expected.clone(), expected));
    let files = fs::read_dir(place.logs()).unwrap().count();
    assert!(files > 10, "the log was rotated again and again: {files} files");
}

/// Writes some lines at a time, as far as it may, and rotates the log now and then.
fn write(log: &Path, lines: &[String], may_write: &AtomicUsize, random: &mut ChaCha8Rng) {
    let (mut written, mut in_file) = (0, 0);
    while written < lines.len() {
        let end = (written + random.random_range(1..40)).min(may_write.load(Ordering::Acquire));
        append(log, &lines[written..end]);
        in_file += end - written;
        written = end;
        if in_file > LINES_PER_FILE {
            rotate(log);
            in_file = 0;
        }
        pause(random.random_range(1..10));
    }
}

/// Renames the whole chain, as Log4j does.
fn rotate(log: &Path) {
    let name = |number: usize| log.with_extension(format!("log.{number}"));
    for number in (1..LINES / LINES_PER_FILE + 2).rev() {
        let _ = fs::rename(name(number), name(number + 1));
    }
    fs::rename(log, name(1)).unwrap();
}

/// The first lines of HDFS_v1, ten times as slow and as if of today, so that blocks go quiet and come back among them; and a last line that
/// is much later.
fn real_lines() -> Option<Vec<String>> {
    let text = String::from_utf8(real_data::bytes("hdfs_v1/HDFS_20000.log")?).unwrap();
    let mut last = 0;
    let mut lines: Vec<String> = Vec::with_capacity(LINES + 1);
    for line in text.lines() {
        let seconds = |range: std::ops::Range<usize>| line[range].parse::<u64>().unwrap();
        last = 10 * ((seconds(7..9) * 60 + seconds(9..11)) * 60 + seconds(11..13) - BEGIN_SECONDS);
        lines.push(format!("{}{}", stamp(last), &line[13..]));
    }
    lines.push(format!("{} 21 INFO dfs.DataNode: BlockReport of 7 blocks got processed in 3 msecs", stamp(last + 3000)));
    Some(telling::today(&lines))
}

fn stamp(second: u64) -> String {
    format!("081109 {:02}{:02}{:02}", second / 3600, second / 60 % 60, second % 60)
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

const LINES: usize = 20_000;
const LINES_PER_FILE: usize = 1000;
/// 20:35:18, the first line.
const BEGIN_SECONDS: u64 = (20 * 60 + 35) * 60 + 18;
