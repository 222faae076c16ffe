//! Logs that nobody should write: the daemon counts what is wrong with them, holds its memory, and hears the sound log beside them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::vigil::{Place, append, stories};

#[test]
fn a_line_of_a_hundred_megabytes() {
    check(Hazard {
        counter: "cut_bytes_total",
        at_least: 99_000_000.0,
        ..put(|log| write_repeated(log, HEADER, b"x", 100_000_000))
    });
}

#[test]
fn nul_bytes_as_a_crash_or_a_truncation_leaves_them() {
    let put = put(|log| {
        // A hole that was never written, with a line before and right after it.
        append(log, &[format!("{HEADER}before")]);
        let mut file = File::options().append(true).open(log).unwrap();
        file.set_len(100_000_000).unwrap();
        file.write_all(format!("{HEADER}after\n\0\0\0\n").as_bytes()).unwrap();
    });
    check(Hazard { counter: "cut_bytes_total", at_least: 99_000_000.0, ..put });
}

#[test]
fn records_right_behind_nul_bytes() {
    let put = put(|log| {
        let records: String = (0..2000).map(|n| format!("\0\0\0{HEADER}after a crash, {n}")).collect();
        fs::write(log, records).unwrap();
    });
    check(Hazard { counter: "records_total", at_least: 2000.0, ..put });
}

#[test]
fn a_pipe_that_nobody_writes_to() {
    let put = put(|log| assert!(Command::new("mkfifo").arg(log).status().unwrap().success()));
    check(Hazard { counter: "refused_files_total", at_least: 1.0, ..put });
}

#[test]
fn a_device_that_never_ends() {
    check(Hazard { counter: "refused_files_total", at_least: 1.0, ..put(|log| symlink("/dev/zero", log).unwrap()) });
}

#[test]
fn a_directory_that_leads_into_itself() {
    let put = |place: &Place| {
        symlink(place.logs(), place.logs().join("loop")).unwrap();
        let all = ["logs/**/*.log", "logs/*/*.log", "logs/*/*/*/*.log"].map(|pattern| place.path(pattern));
        place.configure(&format!("[ingest]\npaths = {all:?}\n{SETTINGS}"));
    };
    check(Hazard { put: Box::new(put), first: true, counter: "opened_sources_total", at_least: 1.0 });
}

#[test]
fn a_file_that_shrinks_while_it_is_read() {
    let put = put(|log| {
        for round in 0..20 {
            write_repeated(log, HEADER, format!("\n{HEADER}round {round}").as_bytes(), 2_000_000);
            pause_until_read(log);
            File::options().write(true).open(log).unwrap().set_len(1000 * (20 - round)).unwrap();
        }
    });
    check(Hazard { counter: "truncated_sources_total", at_least: 1.0, ..put });
}

#[test]
fn a_log_of_the_year_2099() {
    let put = put(|log| {
        let lines = (0..100).map(|n| format!("2099-01-01 00:{:02}:{:02},000 INFO a.b.C: on blk_4000000077 {n}", n / 60, n % 60));
        append(log, &lines.collect::<Vec<_>>());
    });
    check(Hazard { counter: "leaps_total", at_least: 100.0, ..put });
}

#[test]
fn a_million_blocks_in_one_line() {
    let put = put(|log| {
        let blocks: String = (0..1_000_000).map(|n| format!(" blk_{}", 1_000_000_000 + n)).collect();
        append(log, &[format!("{HEADER}BLOCK* ask 10.0.0.1:50010 to delete{blocks}"), format!("{HEADER}done")]);
    });
    check(Hazard { counter: "refused_blocks_total", at_least: 1.0, ..put });
}

#[test]
fn two_hundred_thousand_templates() {
    let put = put(|log| {
        let mut file = BufWriter::new(File::create(log).unwrap());
        for n in 0..200_000_u64 {
            let words: Vec<String> = (0..3 + n % 6).map(|word| word_of(n * 16 + word)).collect();
            writeln!(file, "{HEADER}blk_{} {}", 2_000_000_000 + n % 5000, words.join(" ")).unwrap();
        }
    });
    check(Hazard { counter: "templates_evicted_total", at_least: 190_000.0, ..put });
}

/// What is put among the logs, and what counts it.
struct Hazard {
    put: Box<dyn Fn(&Place)>,
    /// Whether it is there before the daemon starts.
    first: bool,
    counter: &'static str,
    at_least: f64,
}

/// Puts a file of its own among the logs.
fn put(put: impl Fn(&Path) + 'static) -> Hazard {
    let put = move |place: &Place| put(&place.logs().join("hadoop-hdfs-datanode-dn9.log"));
    Hazard { put: Box::new(put), first: false, counter: "", at_least: 0.0 }
}

/// Follows a sound log, meets the hazard when half of it is written, and hears all of it.
#[track_caller]
fn check(hazard: Hazard) {
    let place = Place::new("");
    place.configure(&format!("[ingest]\npaths = [{:?}]\n{SETTINGS}", place.path("logs/*.log")));
    if hazard.first {
        (hazard.put)(&place);
    }
    let lines = stories(BLOCKS, |_| false, fails);
    // In the middle of a story: one that is cut short would be told of.
    let middle = lines.iter().position(|line| line.ends_with(&name(BLOCKS / 2))).unwrap() + 3;
    let (before, after) = lines.split_at(middle);
    let sound = place.logs().join("hadoop-hdfs-namenode-nn1.log");
    append(&sound, before);
    let vigil = place.start();
    place.wait_for("the first half", |place| place.metric("records_total") >= before.len() as f64 - 1.0);
    if !hazard.first {
        (hazard.put)(&place);
    }
    for share in [0.25, 0.5, 0.75, 1.0] {
        place.wait_for(hazard.counter, |place| place.metric(hazard.counter) >= hazard.at_least * share);
    }
    append(&sound, after);
    let expected: BTreeSet<String> = (0..BLOCKS).filter(|block| fails(*block)).map(name).collect();
    place.wait_for("the alerts of the sound log", |place| told(place).is_superset(&expected));
    assert!(vigil.peak_bytes() < MEMORY_BYTES_MAX, "{} MB", vigil.peak_bytes() / 1_000_000);
    assert!(vigil.stop().success());
    // Nothing is told of blocks that go on: no story of the sound log is cut short by what is beside it.
    let more: Vec<String> = told(&place).difference(&expected).filter(|block| is_sound(block)).cloned().collect();
    assert_eq!(more, Vec::<String>::new());
}

/// Blocks that are told of.
fn told(place: &Place) -> BTreeSet<String> {
    place.alerts().iter().filter_map(|alert| Some(alert["block"].as_str()?.to_owned())).collect()
}

/// Whether it is a block of the sound log.
fn is_sound(block: &str) -> bool {
    block.strip_prefix("blk_").and_then(|number| number.parse::<u64>().ok()).is_some_and(|number| number < BLOCKS * 7919)
}

/// The block of this number in [`stories`].
fn name(block: u64) -> String {
    format!("blk_{}", block * 7919 + 1)
}

fn fails(block: u64) -> bool {
    block % 11 == 5
}

fn write_repeated(path: &Path, head: &str, text: &[u8], bytes: usize) {
    let mut file = BufWriter::new(File::options().create(true).append(true).open(path).unwrap());
    file.write_all(head.as_bytes()).unwrap();
    (0..bytes / text.len()).for_each(|_| file.write_all(text).unwrap());
    file.write_all(b"\n").unwrap();
}

/// Gives the daemon a moment to be in the middle of it.
fn pause_until_read(log: &Path) {
    assert!(fs::metadata(log).unwrap().len() > 0);
    crate::vigil::pause(70);
}

/// A word of letters that no other number has.
fn word_of(number: u64) -> String {
    let mut hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (number << 31);
    (0..10)
        .map(|_| {
            hash = hash.wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ (hash >> 29);
            char::from(b'a' + (hash % 26) as u8)
        })
        .collect()
}

const HEADER: &str = "081109 000000 21 INFO dfs.DataNode: ";
const BLOCKS: u64 = 60;
/// Blocks are told of also where the model knows next to nothing of what is said.
const SETTINGS: &str = "[http]\nlisten = \"127.0.0.1:0\"\n[domain]\nunknown_share_max = 1.0\nfar_share_max = 1.0\n";
/// What the daemon takes for itself, the model and all bounds of the default configuration that these logs reach.
const MEMORY_BYTES_MAX: u64 = 128_000_000;
