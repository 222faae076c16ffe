//! `learn` as its users meet it: folders of rotated and compressed logs of several hosts, Ctrl-C, too little data, no room to write.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use hdfs_vigil::ingest::codec::Codec;
use hdfs_vigil::learn::CorpusError;
use hdfs_vigil::learn::logs::{How, Reading, gather};
use hdfs_vigil::pipeline::profile::{DrainSettings, Scope};

use crate::real_data;
use crate::tail::pack;
use crate::vigil::{Place, story_lines};

#[test]
fn rotated_and_compressed_logs_in_folders_are_learnt_without_labels() {
    let place = place_with_logs(600);
    let (code, out, error) = place.run(&["learn", "logs", "-o", "model.onnx", "--epochs", "2", "--json"]);
    assert_eq!(code, Some(0), "{error}");
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told["supply"]["blocks"].as_u64(), Some(600), "{told}");
    assert!(told["stories"][0]["share"].as_f64() > Some(0.7), "{told}");
    let first = &told["stories"][0]["events"][0];
    assert!(first["text"].as_str().unwrap().contains("Receiving block"), "a story begins with it: {told}");
    assert_eq!(first["count"].as_u64(), Some(3), "{told}");
    assert!(told["false_alarms_per_day"].is_number() && told["seconds"]["training"].as_f64() > Some(0.0), "{told}");
    check_model(&place, "model.onnx");
}

#[test]
fn each_host_tells_its_own_stories_up_to_the_end_of_its_own_log() {
    let place = Place::new("");
    for (host, blocks) in [("dn1", 100..300), ("dn2", 100..2100)] {
        let line = |second: i64, message: &str| {
            let (hour, minute, second) = (10 + second / 3600, second / 60 % 60, second % 60);
            format!(
                "2026-11-23 {hour:02}:{minute:02}:{second:02},000 INFO org.apache.hadoop.hdfs.server.datanode.DataNode: {message}\n"
            )
        };
        let old = (0..50).map(|block| {
            line(60, &format!("Scheduling blk_{block}_1 file deletion")) + &line(61, &format!("Deleted blk_{block}_1"))
        });
        let written = blocks.clone().map(|block: i64| {
            let begun = line(block, &format!("Receiving block blk_{block}_1 src: /10.0.0.1:1 dest: /10.0.0.2:2"));
            let ended = line(block, &format!("PacketResponder for blk_{block}_1 terminating"));
            if block + 1 == blocks.end { begun } else { begun + &ended }
        });
        let log = place.logs().join(format!("hadoop-hdfs-datanode-{host}.log"));
        std::fs::write(log, old.chain(written).collect::<String>()).expect("writes");
    }
    let how = How { quiet_millis: 300_000, drain: DrainSettings::hdfs(), each_host: true };
    let corpus = gather(&[place.logs()], &how, &mut |_| true).expect("they are logs");
    let of_host = |host| corpus.stories.iter().filter(move |story| story.host == host);
    assert_eq!((corpus.scope, of_host(0).count(), of_host(1).count()), (Scope::Datanode, 250, 2050));
    for host in [0, 1] {
        assert_eq!(of_host(host).filter(|story| story.joined_midway).count(), 50, "deletions begin no story");
        let broken_off = of_host(host).filter(|story| !story.joined_midway && story.events.len() == 1);
        assert!(
            broken_off.clone().count() == 1 && broken_off.clone().all(|story| story.cut_short),
            "the log of host {host} ends there"
        );
    }
}

#[test]
fn what_was_learnt_is_told_in_words() {
    let place = place_with_logs(600);
    let (code, out, error) = place.run(&["learn", "logs", "-o", "model.onnx", "--epochs", "1"]);
    assert_eq!(code, Some(0), "{error}");
    for text in [
        "commonest stories of a block:",
        "3 times  Receiving block … src: … dest: …",
        "a day at the",
        "time: reading",
        "of the blocks:",
    ] {
        assert!(out.contains(text), "{text} is missing in {out}");
    }
}

#[test]
fn the_logs_of_a_real_cluster_are_learnt() {
    let Some(logs) = real_data::path("hadoop3/clean") else { return };
    let place = Place::new("");
    let (code, out, error) = place.run(&["learn", &logs.display().to_string(), "-o", "model.onnx", "--epochs", "1"]);
    println!("{out}");
    assert_eq!(code, Some(0), "{error}");
    assert!(out.contains("addStoredBlock") || out.contains("allocate"), "{out}");
    check_model(&place, "model.onnx");
}

#[test]
fn an_interrupt_while_training_keeps_what_was_learnt() {
    let place = place_with_logs(600);
    fs::write(place.path("model.onnx"), "an older model").unwrap();
    let mut child = start(&place, &["learn", "logs", "-o", "model.onnx", "--epochs", "100000"]);
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("epoch 2 ") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it ended before the second epoch");
    }
    assert_eq!(fs::read(place.path("model.onnx")).unwrap(), b"an older model", "it stays until there is a new one");
    interrupt(&child);
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{rest}");
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.contains("stopped after ") && out.contains(" of 100000 epochs"), "{out}");
    check_model(&place, "model.onnx");
    assert!(!place.path("model.onnx.new").exists());
}

#[test]
fn an_interrupt_while_reading_learns_nothing() {
    let place = Place::new("");
    let fifo = place.path("templates.csv");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    fs::write(place.path("sessions.csv"), "BlockId,Label,EventSequence\nblk_1,Normal,E1\n").unwrap();
    let child = start(&place, &["learn", "sessions.csv", "-o", "model.onnx"]);
    // It has opened the pipe for reading once this returns, so that it is reading; the templates come after the interrupt.
    let mut templates = fs::File::options().write(true).open(&fifo).unwrap();
    interrupt(&child);
    templates.write_all(b"allocated <*>\n").unwrap();
    drop(templates);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("nothing was learnt"), "{error}");
    assert!(!place.path("model.onnx").exists() && !place.path("model.onnx.new").exists());
}

#[test]
fn reading_logs_says_how_far_it_is_and_ends_when_it_is_told_to() {
    let place = place_with_logs(600);
    let mut readings = Vec::new();
    let how = How { quiet_millis: 300_000, drain: DrainSettings::hdfs(), each_host: false };
    let gather = |watch: &mut dyn FnMut(Reading) -> bool| gather(&[place.logs()], &how, watch);
    let mut note = |reading| {
        readings.push(reading);
        true
    };
    assert_eq!(gather(&mut note).unwrap().stories.len(), 600);
    assert!(readings[0].bytes_read == 0 && readings[0].bytes > 100_000, "{readings:?}");
    assert!(readings.is_sorted_by_key(|reading| reading.bytes_read), "{readings:?}");
    assert!(matches!(gather(&mut |_| false), Err(CorpusError::Stopped)));
}

#[test]
fn too_little_is_refused_with_how_much_more_is_needed() {
    let place = place_with_logs(60);
    let (code, _, error) = place.run(&["learn", "logs", "-o", "model.onnx"]);
    assert_eq!(code, Some(1), "{error}");
    for text in ["at least 100 are needed", "of 60 blocks", "more of log time are enough"] {
        assert!(error.contains(text), "{text} is missing in {error}");
    }
    assert!(!place.path("model.onnx").exists() && !place.path("model.onnx.new").exists());
}

#[test]
fn what_cannot_be_written_is_said_before_the_training() {
    let place = place_with_logs(600);
    for (output, expected) in [("nowhere/model.onnx", "write nowhere/model.onnx"), ("logs", "is a directory")] {
        let (code, _, error) = place.run(&["learn", "logs", "-o", output]);
        assert_eq!(code, Some(1), "{error}");
        assert!(error.contains(expected) && !error.contains("epoch"), "{error}");
    }
}

/// A place whose `logs/` hold the stories of so many blocks, a quarter of the lines each: compressed by gzip and
/// by zstd, rotated, and as they are written.
fn place_with_logs(blocks: u64) -> Place {
    let place = Place::new("");
    let lines = story_lines(blocks);
    let mut quarters = lines.chunks(lines.len().div_ceil(4));
    let mut put = |suffix: &str, codec: Option<Codec>| {
        let text: String = quarters.next().unwrap().iter().map(|line| format!("{line}\n")).collect();
        let bytes = codec.map_or_else(|| text.clone().into_bytes(), |codec| pack(codec, text.as_bytes()));
        fs::write(place.logs().join(format!("hadoop-hdfs-datanode-dn1.log{suffix}")), bytes).unwrap();
    };
    put(".3.gz", Some(Codec::Gzip));
    put(".2.zst", Some(Codec::Zstd));
    put(".1", None);
    put("", None);
    place
}

fn check_model(place: &Place, file: &str) {
    let (code, out, error) = place.run(&["model", "check", file]);
    assert_eq!(code, Some(0), "{out}{error}");
}

fn start(place: &Place, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hdfs-vigil"));
    let command = command.args(arguments).current_dir(place.path("")).env_remove("RUST_LOG");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().unwrap().success());
}
