//! Allocations in the steady state: a log read a second time must cost none a line, through framing, parsing and templates, and through
//! the first half of the pipeline as a whole.

use std::env;
use std::fs;
use std::hint::black_box;
use std::path::PathBuf;

use allocation_counter::{AllocationInfo, measure};
use hdfs_vigil::limits::CHUNK_BYTES_MAX;
use hdfs_vigil::pipeline::event::frame::{Counts, Framer, LogLine};
use hdfs_vigil::pipeline::event::parse::Record;
use hdfs_vigil::pipeline::event::template::Templates;
use hdfs_vigil::pipeline::event::{Chunk, SourceId, StreamId, WallTime, block};
use hdfs_vigil::pipeline::front::Front;

#[path = "../benches/throughput/given.rs"]
#[allow(dead_code, reason = "the benchmarks use more of it")]
mod given;

#[test]
fn hdfs_v1() {
    check("hdfs_v1/HDFS_20000.log", 20_000);
}

#[test]
fn hadoop_2() {
    check("hadoop/hadoop-2.7.2/hadoop-hdfs-datanode-singlenode.log", 10_000);
    check("hadoop/hadoop-2.7.2/hadoop-hdfs-namenode-singlenode.log", 18_000);
    check("hadoop/hadoop-2.7.2/hadoop-hdfs-secondarynamenode-singlenode.log", 5000);
}

#[test]
fn the_counter_counts() {
    let allocated = measure(|| drop(black_box(vec![0_u8; 10])));
    assert_eq!((allocated.count_total, allocated.bytes_total), (1, 10));
}

/// Reads a log of at least so many lines twice, and looks at the second time.
fn check(name: &str, lines_min: u64) {
    let Some(log) = data(name) else { return };
    let mut stages = Stages::new();
    stages.read(&log);
    hold(name, "frame, parse, template", lines_min, || stages.read(&log));
    let mut front = Front::new(given::settings().front, &given::profile()).expect("the masks are known");
    front.open_stream(StreamId(0), "hadoop-hdfs-datanode-dn1.log", false);
    read(&mut front, SourceId(0), &log);
    hold(name, "front", lines_min, || read(&mut front, SourceId(1), &log));
}

/// `act` reads some lines and allocates at most [`ALLOCATIONS_MAX`] times, whatever their number.
fn hold(name: &str, what: &str, lines_min: u64, mut act: impl FnMut() -> u64) {
    let mut lines = 0;
    let AllocationInfo { count_total, bytes_total, .. } = measure(|| lines = act());
    println!("{name}: {what}: {count_total} allocations of {bytes_total} bytes for {lines} lines");
    assert!(lines >= lines_min, "{name} has {lines} lines");
    assert!(count_total <= ALLOCATIONS_MAX, "{name}: {what}: {count_total} allocations of {bytes_total} bytes for {lines} lines");
}

/// Framing, parsing and templates without what joins the logs.
struct Stages {
    framer: Framer,
    templates: Templates,
}

impl Stages {
    fn new() -> Self {
        Self { framer: Framer::default(), templates: Templates::new(&given::profile()).expect("the masks are known") }
    }

    /// Reads a whole log; how many lines it had.
    fn read(&mut self, log: &[u8]) -> u64 {
        let Self { framer, templates } = self;
        let mut counts = Counts::default();
        let mut find = |line: LogLine<'_>| {
            let record = Record::new(&line.header, line.bytes);
            if block::names_block(record.content) {
                black_box(templates.find(record.content));
            }
        };
        for (index, bytes) in log.chunks(CHUNK_BYTES_MAX).enumerate() {
            framer.handle_bytes(SourceId(0), (index * CHUNK_BYTES_MAX) as u64, bytes, &mut counts, &mut find);
        }
        framer.end_of_source(SourceId(0), &mut counts, &mut find);
        framer.flush(&mut counts, &mut find);
        counts.lines
    }
}

/// Reads a file of the stream 0; how many lines it had.
fn read(front: &mut Front, source: SourceId, log: &[u8]) -> u64 {
    for (index, bytes) in log.chunks(CHUNK_BYTES_MAX).enumerate() {
        let chunk = Chunk { stream: StreamId(0), source, offset: (index * CHUNK_BYTES_MAX) as u64, bytes };
        front.handle_chunk(chunk, WallTime(0), &mut |output| {
            black_box(output);
        });
    }
    memchr::memchr_iter(b'\n', log).count() as u64
}

/// A shared file; `None`, with a word, where the shared data is not.
fn data(name: &str) -> Option<Vec<u8>> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let path = env::var_os("HDFS_VIGIL_DATA").map_or_else(beside, PathBuf::from).join(name);
    if let Ok(bytes) = fs::read(&path) {
        return Some(bytes);
    }
    assert!(env::var("CI").as_deref() != Ok("true"), "{} is missing; set HDFS_VIGIL_DATA", path.display());
    println!("skipped: {} is missing", path.display());
    None
}

/// For a log of tens of thousands of lines: buffers that grow once more, and a rare growth of a table.
const ALLOCATIONS_MAX: u64 = 16;
