//! Lines a second from a file to templates, on one thread, beside `wc -l` and Drain3 on the same lines in the same run.
//!
//! `cargo bench --bench reading` takes about two minutes. Drain3 is measured where `python3`, or the program that `PYTHON` names, has it:
//! `python3 -m pip install -r tests/python/requirements.txt`. Each figure is the best of [`ROUNDS`], after one round that is not counted.

use std::env;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use hdfs_vigil::limits::CHUNK_BYTES_MAX;
use hdfs_vigil::pipeline::event::frame::{Counts, Framer, LogLine};
use hdfs_vigil::pipeline::event::parse::Record;
use hdfs_vigil::pipeline::event::template::Templates;
use hdfs_vigil::pipeline::event::{Chunk, SourceId, StreamId, WallTime, block};
use hdfs_vigil::pipeline::front::Front;

#[path = "../throughput/given.rs"]
#[allow(dead_code, reason = "the other benchmarks use more of it")]
mod given;

fn main() {
    let hdfs_v1 = Lines { name: "HDFS_v1", files: &["hdfs_v1/HDFS_20000.log"] };
    let hadoop_2 = Lines {
        name: "Hadoop 2.7.2",
        files: &[
            "hadoop/hadoop-2.7.2/hadoop-hdfs-datanode-singlenode.log",
            "hadoop/hadoop-2.7.2/hadoop-hdfs-namenode-singlenode.log",
            "hadoop/hadoop-2.7.2/hadoop-hdfs-secondarynamenode-singlenode.log",
        ],
    };
    if let Some(log) = Log::new(&hdfs_v1) {
        let rows = log.measure();
        show(&rows);
        judge(&rows);
    }
    if let Some(log) = Log::new(&hadoop_2) {
        show(&log.measure());
    }
}

/// Real lines, to be repeated.
struct Lines {
    name: &'static str,
    files: &'static [&'static str],
}

/// What is measured, in lines a second; `None` where it cannot be.
struct Row {
    what: &'static str,
    rate: Option<f64>,
}

/// A file of [`LOG_BYTES`], which is there as long as this is.
struct Log {
    path: PathBuf,
    /// The lines that it repeats, in a file of their own.
    once: PathBuf,
    lines: u64,
}

impl Log {
    fn new(lines: &Lines) -> Option<Self> {
        let parts: Option<Vec<Vec<u8>>> = lines.files.iter().map(|name| data(name)).collect();
        let once = parts?.concat();
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let log =
            Self { path: folder.join("reading.log"), once: folder.join("once.log"), lines: count_lines(&once) * times(&once) };
        fs::write(&log.once, &once).expect("the build directory can be written to");
        let mut file = File::create(&log.path).expect("the build directory can be written to");
        (0..times(&once)).for_each(|_| file.write_all(&once).expect("there is room for the log"));
        println!("{}: {} lines, repeated to {} lines", lines.name, count_lines(&once), log.lines);
        Some(log)
    }

    fn measure(&self) -> Vec<Row> {
        let mut stages = [false, true].map(Stages::new);
        let mut front = Front::new(given::settings().front, &given::profile()).expect("the masks are known");
        front.open_stream(StreamId(0), "hadoop-hdfs-datanode-dn1.log", false);
        let mut source = 0;
        vec![
            Row { what: WC, rate: Some(self.rate(|| wc(&self.path))) },
            Row { what: STAGES, rate: Some(self.rate(|| stages[0].read(&self.path))) },
            Row { what: "the same, records that name no block left out", rate: Some(self.rate(|| stages[1].read(&self.path))) },
            Row {
                what: "the first half of the pipeline",
                rate: Some(self.rate(|| {
                    source += 1;
                    read(&mut front, SourceId(source), &self.path);
                })),
            },
            Row { what: DRAIN3, rate: drain3(&self.once) },
        ]
    }

    /// Lines a second of the best round.
    fn rate(&self, mut act: impl FnMut()) -> f64 {
        act();
        let rounds = (0..ROUNDS).map(|_| {
            let begin = Instant::now();
            act();
            begin.elapsed()
        });
        self.lines as f64 / rounds.min().unwrap_or(Duration::MAX).as_secs_f64()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        [&self.path, &self.once].into_iter().for_each(|path| drop(fs::remove_file(path)));
    }
}

/// Framing, parsing and templates.
struct Stages {
    framer: Framer,
    templates: Templates,
    blocks_only: bool,
}

impl Stages {
    fn new(blocks_only: bool) -> Self {
        let templates = Templates::new(&given::profile()).expect("the masks are known");
        Self { framer: Framer::default(), templates, blocks_only }
    }

    fn read(&mut self, path: &Path) {
        let Self { framer, templates, blocks_only } = self;
        let mut counts = Counts::default();
        let mut find = |line: LogLine<'_>| {
            let record = Record::new(&line.header, line.bytes);
            if !*blocks_only || block::names_block(record.content) {
                black_box(templates.find(record.content));
            }
        };
        chunks(path, |offset, bytes| framer.handle_bytes(SourceId(0), offset, bytes, &mut counts, &mut find));
        framer.end_of_source(SourceId(0), &mut counts, &mut find);
        framer.flush(&mut counts, &mut find);
    }
}

/// Everything before the sessions, as the daemon does it.
fn read(front: &mut Front, source: SourceId, path: &Path) {
    chunks(path, |offset, bytes| {
        let chunk = Chunk { stream: StreamId(0), source, offset, bytes };
        front.handle_chunk(chunk, WallTime(0), &mut |output| {
            black_box(output);
        });
    });
}

/// Reads a file in the chunks in which the daemon reads it.
fn chunks(path: &Path, mut handle: impl FnMut(u64, &[u8])) {
    let mut file = File::open(path).expect("the log was just written");
    let (mut buffer, mut offset) = (vec![0; CHUNK_BYTES_MAX], 0);
    loop {
        let length = file.read(&mut buffer).expect("the log can be read");
        if length == 0 {
            return;
        }
        handle(offset, &buffer[..length]);
        offset += length as u64;
    }
}

fn wc(path: &Path) {
    let counted = Command::new("wc").arg("-l").arg(path).output().expect("wc is there");
    assert!(counted.status.success(), "wc -l counts");
}

/// Lines a second of Drain3; `None`, with a word, where it is not.
fn drain3(path: &Path) -> Option<f64> {
    let python = env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/reading/drain3_lines.py");
    let output = Command::new(python).arg(script).arg(path).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() {
        println!("skipped: Drain3: {said}");
        return None;
    }
    said.parse().ok()
}

fn show(rows: &[Row]) {
    let of = |what: &str| rows.iter().find(|row| row.what == what).and_then(|row| row.rate);
    let times = |rate: f64, of: Option<f64>| of.map_or("-".to_owned(), |of| format!("{:.2}", rate / of));
    println!("{:<50} {:>12} {:>10} {:>10}", "", "lines/s", "x wc -l", "x Drain3");
    for Row { what, rate } in rows {
        let Some(rate) = rate else { continue };
        println!("{what:<50} {rate:>12.0} {:>10} {:>10}", times(*rate, of(WC)), times(*rate, of(DRAIN3)));
    }
    println!();
}

/// Holds the figures for HDFS_v1 against what is asked for.
fn judge(rows: &[Row]) {
    let of = |what: &str| rows.iter().find(|row| row.what == what).and_then(|row| row.rate);
    let Some(rate) = of(STAGES) else { return };
    let verdict = |reached: bool| if reached { "reached" } else { "missed" };
    println!("at least {LINES_PER_SECOND_MIN} lines/s: {}", verdict(rate >= LINES_PER_SECOND_MIN));
    if let Some(drain3) = of(DRAIN3) {
        println!("at least {DRAIN3_TIMES_MIN} times Drain3: {}\n", verdict(rate >= DRAIN3_TIMES_MIN * drain3));
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

fn times(once: &[u8]) -> u64 {
    (LOG_BYTES / once.len()).max(1) as u64
}

/// A shared file; `None`, with a word, where the shared data is not.
fn data(name: &str) -> Option<Vec<u8>> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let path = env::var_os("HDFS_VIGIL_DATA").map_or_else(beside, PathBuf::from).join(name);
    let bytes = fs::read(&path).ok();
    if bytes.is_none() {
        println!("skipped: {} is missing; set HDFS_VIGIL_DATA", path.display());
    }
    bytes
}

const WC: &str = "wc -l";
const STAGES: &str = "frame, parse, template";
const DRAIN3: &str = "Drain3";

const LOG_BYTES: usize = 200_000_000;
const ROUNDS: usize = 3;

/// What is asked for on HDFS_v1.
const LINES_PER_SECOND_MIN: f64 = 1_500_000.0;
const DRAIN3_TIMES_MIN: f64 = 25.0;
