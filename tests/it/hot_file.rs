//! One log that is written without pause, beside fifty that hardly speak: those are heard.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::vigil::{Place, append, pause, stories};

#[test]
fn a_log_written_without_pause_does_not_silence_fifty_others() {
    let place = Place::new("");
    place.configure("[pipeline]\nsession_quiet = \"1m\"\n[http]\nlisten = \"127.0.0.1:0\"\n");
    let lines = stories(QUIET * BLOCKS, |_| false, |block| block % BLOCKS == 3);
    for log in 0..QUIET {
        let blocks: Vec<String> = (log * BLOCKS..(log + 1) * BLOCKS).map(name).collect();
        let is_its_own = |line: &&String| line.split(' ').any(|word| blocks.iter().any(|block| block == word));
        append(&place.logs().join(format!("quiet-{log:02}.log")), &lines.iter().filter(is_its_own).cloned().collect::<Vec<_>>());
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let writer = {
        let (path, is_over) = (place.logs().join("hot.log"), Arc::clone(&is_over));
        thread::spawn(move || write(&path, &is_over))
    };
    let vigil = place.start();
    let expected: BTreeSet<String> = (0..QUIET).map(|log| name(log * BLOCKS + 3)).collect();
    place.wait_for("an alert of every quiet log", |place| {
        let blocks: BTreeSet<String> =
            place.alerts().iter().filter_map(|alert| Some(alert["block"].as_str()?.to_owned())).collect();
        expected.is_subset(&blocks)
    });
    assert!(!writer.is_finished(), "the hot log was written all the while");
    place.wait_for("the hot log is read too", |place| place.metric("bytes_total") > 50_000_000.0);
    is_over.store(true, Ordering::SeqCst);
    writer.join().unwrap();
    assert!(vigil.stop().success());
}

/// Writes reads of blocks until it is over: as fast as the disk takes the first 200 MB, and then 6 MB a second.
/// Log time goes on by a second with each write, and reaches the end of the quiet stories after some.
fn write(path: &Path, is_over: &AtomicBool) {
    let mut file = File::options().create(true).append(true).open(path).unwrap();
    let mut written = 0;
    for second in 0.. {
        if is_over.load(Ordering::SeqCst) {
            break;
        }
        let time = second.min(86_399);
        let stamp = format!("081109 {:02}{:02}{:02}", time / 3600, time / 60 % 60, time % 60);
        let line =
            |n: u64| format!("{stamp} 21 INFO dfs.DataNode$DataXceiver: 10.0.0.1:50010 Served block blk_{n} to /10.0.0.2\n");
        let text: String = (0..100).map(|n| line(1_000_000_007 + n)).collect();
        file.write_all(text.as_bytes()).unwrap();
        written += text.len() as u64;
        if written > 200_000_000 {
            pause(1);
        }
    }
}

/// The block of this number in [`stories`].
fn name(block: u64) -> String {
    format!("blk_{}", block * 7919 + 1)
}

const QUIET: u64 = 50;
const BLOCKS: u64 = 7;
