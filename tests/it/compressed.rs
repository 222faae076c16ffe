//! Compressed files: read once, in their place, and never again when they are copies of what was read.

use std::env;
use std::fs::{self, File};
use std::process::Command;
use std::time::{Duration, SystemTime};

use hdfs_vigil::ingest::Mode;
use hdfs_vigil::ingest::codec::Codec;
use hdfs_vigil::limits::CHUNK_BYTES_MAX;
use serde_json::Value;

use crate::tail::{Tail, pack};
use crate::vigil::{Place, model, story_lines};

#[test]
fn compressed_files_are_read_in_their_place() {
    for (codec, mode) in codecs_and_modes() {
        let mut tail = Tail::with(|settings| settings.mode = mode);
        put(&tail, "x.log.2", codec, &pack(codec, b"1\n"));
        put(&tail, "x.log.1", codec, &[pack(codec, b"2\n"), pack(codec, b"3\n")].concat());
        put(&tail, "x.log", codec, &pack(codec, b"4\n"));
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
    for codec in Codec::ALL {
        let mut tail = Tail::new();
        tail.write("x.log", "1\n");
        tail.step();
        tail.roll("x.log", 3);
        tail.write("x.log", "2\n");
        tail.settle();
        tail.compress("x.log.1", codec);
        tail.settle();
        tail.restart();
        tail.settle();
        tail.check("x.log", &["1", "2"]);
    }
}

#[test]
fn a_compressed_file_in_place_of_an_empty_one_that_was_read_is_read_as_well() {
    for (codec, is_restarted) in Codec::ALL.into_iter().flat_map(|codec| [(codec, false), (codec, true)]) {
        let mut tail = Tail::new();
        put(&tail, "x.log.1", codec, &pack(codec, b""));
        tail.write("x.log", "2\n");
        tail.settle();
        if is_restarted {
            tail.restart();
        }
        // The inode is the same, as that of a file that was deleted may be.
        put(&tail, "x.log.1", codec, &pack(codec, b"1\n"));
        tail.settle();
        tail.check("x.log", &["2", "1"]);
        assert_eq!(tail.follower.counters().truncated_sources, 0);
    }
}

#[test]
fn a_log_compressed_while_stopped_goes_on_where_it_stood() {
    for codec in Codec::ALL {
        let mut tail = Tail::new();
        tail.write("x.log", "1\n");
        tail.step();
        tail.write("x.log", "2\n");
        tail.roll("x.log", 3);
        tail.compress("x.log.1", codec);
        tail.write("x.log", "3\n");
        tail.restart();
        tail.settle();
        tail.check("x.log", &["1", "2", "3"]);
        assert_eq!(tail.follower.counters().lost_sources, 0);
    }
}

#[test]
fn a_copy_that_is_being_compressed_is_left_alone() {
    let lines: Vec<String> = (0..40).map(|number| format!("{number} {}", number * 7919 % 1000)).collect();
    let text = lines.join("\n") + "\n";
    for codec in Codec::ALL {
        let mut tail = Tail::new();
        tail.write("x.log.1", &text);
        tail.write("x.log", "last\n");
        tail.settle();
        let packed = pack(codec, text.as_bytes());
        for cut in 0..=packed.len() {
            put(&tail, "x.log.1", codec, &packed[..cut]);
            tail.step();
        }
        tail.remove("x.log.1");
        tail.settle();
        let expected: Vec<&str> = lines.iter().map(String::as_str).chain(["last"]).collect();
        tail.check("x.log", &expected);
        assert_eq!(tail.follower.counters().errors, 0, "{:?}", tail.notices);
    }
}

#[test]
fn a_compressed_file_goes_on_after_a_restart() {
    for codec in Codec::ALL {
        let line = format!("{}\n", "x".repeat(999));
        let lines = 5 * CHUNK_BYTES_MAX / line.len();
        let mut tail = Tail::new();
        put(&tail, "x.log.1", codec, &pack(codec, line.repeat(lines).as_bytes()));
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
}

#[test]
fn a_torn_compressed_file_is_read_as_far_as_it_goes_and_named() {
    for (codec, mode) in codecs_and_modes() {
        let mut tail = Tail::with(|settings| settings.mode = mode);
        let packed = pack(codec, b"1\n2\n3\n");
        put(&tail, "x.log.1", codec, &packed[..packed.len() - 4]);
        tail.write("x.log", "4\n");
        tail.settle();
        tail.check("x.log", &["1", "2", "3", "4"]);
        assert_eq!(tail.follower.counters().lost_sources, 1);
        assert_eq!(tail.follower.counters().errors, 1, "{:?}", tail.notices);
    }
}

#[test]
fn a_log_compressed_anew_in_another_way_is_not_sent_again() {
    let mut tail = Tail::new();
    put(&tail, "x.log.1", Codec::Gzip, &pack(Codec::Gzip, b"1\n2\n"));
    tail.write("x.log", "3\n");
    tail.settle();
    put(&tail, "x.log.1", Codec::Zstd, &pack(Codec::Zstd, b"1\n2\n"));
    tail.settle();
    tail.remove("x.log.1.gz");
    tail.settle();
    tail.restart();
    tail.settle();
    tail.check("x.log", &["1", "2", "3"]);
}

#[test]
fn what_the_program_zstd_makes_of_a_log_is_read() {
    let mut tail = Tail::new();
    let text: String = (0..200_000).map(|number| format!("{number} a line\n")).collect();
    fs::write(tail.path("x.log.1"), &text).unwrap();
    // As it cuts large files for several threads, with content size and checksum.
    let Ok(status) = Command::new("zstd").args(["-q", "-T2", "-B524288", "--rm"]).arg(tail.path("x.log.1")).status() else {
        assert!(env::var("CI").as_deref() != Ok("true"), "zstd is missing; install the package zstd");
        println!("skipped: zstd is missing; the package zstd has it");
        return;
    };
    assert!(status.success());
    tail.settle();
    assert_eq!(tail.lines("x.log"), text.lines().collect::<Vec<_>>());
}

#[test]
fn one_that_has_just_been_begun_is_no_failure_and_one_that_stays_so_is() {
    for codec in Codec::ALL {
        let mut tail = Tail::new();
        put(&tail, "x.log.1", codec, &pack(codec, b"1\n")[..5]);
        tail.settle();
        assert_eq!(tail.follower.counters().errors, 0, "{:?}", tail.notices);
        let path = tail.path(&format!("x.log.1{}", codec.suffix()));
        let old = SystemTime::now() - Duration::from_secs(60);
        File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        tail.settle();
        assert_eq!(tail.follower.counters().errors, 1, "{:?}", tail.notices);
        put(&tail, "x.log.1", codec, &pack(codec, b"1\n"));
        tail.settle();
        tail.check("x.log", &["1"]);
    }
}

#[test]
fn every_command_reads_them() {
    let place = Place::new("");
    let text: String = story_lines(100).iter().map(|line| format!("{line}\n")).collect();
    let name = "hadoop-hdfs-datanode-dn1.log.1";
    fs::write(place.logs().join(name), &text).unwrap();
    let plain = what_commands_say(&place);
    assert!(plain.iter().all(|said| said.as_object().is_some_and(|said| !said.is_empty())), "{plain:#?}");
    for codec in Codec::ALL {
        fs::remove_dir_all(place.logs()).unwrap();
        fs::create_dir(place.logs()).unwrap();
        fs::write(place.logs().join(format!("{name}{}", codec.suffix())), pack(codec, text.as_bytes())).unwrap();
        assert_eq!(what_commands_say(&place), plain, "{codec:?}");
    }
}

/// What `replay`, `templates` and `doctor` find in the logs of a place.
fn what_commands_say(place: &Place) -> [Value; 3] {
    let model = model().display().to_string();
    let say = |arguments: &[&str]| -> Value {
        let (_, said, complaint) = place.run(arguments);
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {said}{complaint}"))
    };
    let replay = say(&["replay", "logs", "--model", &model, "--json"]);
    let templates = say(&["templates", "logs", "--json"]);
    let doctor = say(&["doctor", "logs", "--model", &model, "--json"]);
    let only = |report: &Value, keys: &[&str]| keys.iter().map(|&key| (key.to_owned(), report[key].clone())).collect::<Value>();
    [
        only(&replay, &["lines", "bytes", "sessions", "events", "alerts", "firing"]),
        only(&templates, &["lines", "templates"]),
        only(&doctor["files"][0], &["lines", "parsed", "blocks", "events"]),
    ]
}

fn codecs_and_modes() -> impl Iterator<Item = (Codec, Mode)> {
    Codec::ALL.into_iter().flat_map(|codec| [(codec, Mode::Follow), (codec, Mode::Once)])
}

fn put(tail: &Tail, name: &str, codec: Codec, bytes: &[u8]) {
    fs::write(tail.path(&format!("{name}{}", codec.suffix())), bytes).unwrap();
}
