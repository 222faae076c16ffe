//! Lines a second: of each stage alone on what it would get from the one before, and of the pipeline as a whole.

use std::collections::VecDeque;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, SamplingMode, Throughput};
use hdfs_vigil::limits::CHUNK_BYTES_MAX;
use hdfs_vigil::pipeline::Pipeline;
use hdfs_vigil::pipeline::event::frame::{self, Framer};
use hdfs_vigil::pipeline::event::merge::{Kind, Merge, Reading};
use hdfs_vigil::pipeline::event::template::Templates;
use hdfs_vigil::pipeline::event::{Chunk, Event, LogTime, Position, SourceId, StreamId, WallTime, block, parse};
use hdfs_vigil::pipeline::front::{Front, Output};
use hdfs_vigil::pipeline::session::Case;
use hdfs_vigil::pipeline::session::assemble::Assembler;
use hdfs_vigil::pipeline::verdict::domain::Domain;

use crate::given;
use crate::log::Logs;

/// Each stage alone.
pub fn stages(criterion: &mut Criterion) {
    let logs = Logs::new(LINES_OF_STAGES, 1);
    let log = &logs.logs[0];
    let mut group = criterion.benchmark_group("lines");
    group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(logs.lines));
    group.bench_function("limit", |bencher| bencher.iter(|| count_newlines(log)));
    group.bench_function("frame and parse", |bencher| bencher.iter(|| frame_and_parse(log)));
    let records = records(log);
    let mut templates = Templates::new(&given::profile()).expect("the masks are known");
    group.bench_function("mask and drain", |bencher| bencher.iter(|| find_templates(&mut templates, &records)));
    let turns = turns(&Logs::new(LINES_OF_STAGES, STREAMS));
    group.bench_function("merge of 16 streams", |bencher| bencher.iter(|| merge(&turns)));
    let events = events(log);
    let fresh = || Assembler::new(given::settings().assemble, &given::profile());
    group.bench_function("assemble", |bencher| {
        bencher.iter_batched(fresh, |assembler| assemble(assembler, &events), BatchSize::PerIteration);
    });
    group.finish();
}

/// From bytes to alerts, with a scorer that needs no time.
pub fn whole(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("whole");
    group.sampling_mode(SamplingMode::Flat);
    for hosts in [1, STREAMS] {
        let logs = Logs::new(LINES_OF_WHOLE, hosts);
        let throughput = Throughput::ElementsAndBytes { elements: logs.lines, bytes: logs.bytes() };
        group.throughput(throughput);
        group.bench_function(format!("limit, {hosts} logs"), |bencher| {
            bencher.iter(|| logs.logs.iter().map(|log| count_newlines(log)).sum::<usize>());
        });
        group.bench_function(format!("pipeline, {hosts} logs"), |bencher| {
            bencher.iter_batched(|| open_pipeline(hosts), |pipeline| run(pipeline, &logs), BatchSize::PerIteration);
        });
    }
    group.finish();
}

/// The cases that the pipeline would judge.
pub fn cases() -> Vec<Case> {
    let logs = Logs::new(LINES_OF_STAGES, 1);
    let mut assembler = Assembler::new(given::settings().assemble, &given::profile());
    let (mut domain, mut cases) = (domain(), VecDeque::new());
    events(&logs.logs[0]).into_iter().for_each(|event| assembler.handle_event(event, false, &mut domain, &mut cases));
    assembler.flush(&domain, &mut cases);
    cases.into()
}

/// What `wc -l` does.
fn count_newlines(log: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', log).count()
}

fn frame_and_parse(log: &[u8]) -> usize {
    let (mut framer, mut counts, mut named) = (Framer::default(), frame::Counts::default(), 0);
    for (index, bytes) in log.chunks(CHUNK_BYTES_MAX).enumerate() {
        framer.handle_bytes(SourceId(0), (index * CHUNK_BYTES_MAX) as u64, bytes, &mut counts, |line| {
            named += parse::parse(line.bytes).map_or(0, |record| block::blocks(record.content).count());
        });
    }
    named
}

fn find_templates(templates: &mut Templates, records: &[Given]) {
    for record in records {
        black_box(templates.find(&record.content));
    }
}

fn merge(turns: &[(usize, Vec<Given>)]) -> usize {
    let front = given::settings().front;
    let mut merge = Merge::new(front.merge_delay_millis, front.merge_bytes_max);
    (0..STREAMS).for_each(|stream| merge.open(stream));
    let mut passed = 0;
    for (stream, records) in turns {
        for record in records {
            let at_once =
                merge.handle_record(*stream, record.time, record.position, Kind::Blocks { warns: false }, &record.content);
            passed += usize::from(at_once.is_some());
        }
        while merge.poll(false, |merged| passed += usize::from(!black_box(merged).content.is_empty())) {}
    }
    (0..STREAMS).for_each(|stream| merge.set_reading(stream, Reading::Closed));
    while merge.poll(true, |_| passed += 1) {}
    passed
}

fn assemble(mut assembler: Assembler, events: &[Event]) -> (Assembler, usize) {
    let (mut domain, mut cases, mut judged) = (domain(), VecDeque::new(), 0);
    for event in events {
        assembler.handle_event(*event, false, &mut domain, &mut cases);
        judged += cases.drain(..).count();
    }
    (assembler, judged)
}

fn domain() -> Domain {
    Domain::new(given::settings().domain, &given::profile())
}

fn open_pipeline(hosts: usize) -> Pipeline {
    let mut pipeline = Pipeline::new(given::settings(), given::profile()).expect("the masks are known");
    for host in 0..hosts {
        pipeline.open_stream(StreamId(host as u32), &format!("hadoop-hdfs-datanode-dn{host:02}.log"), false);
    }
    pipeline
}

/// Reads a chunk of the log that is furthest behind, as the daemon does, until nothing is unread. Returns the pipeline, so that
/// dropping it is not measured.
fn run(mut pipeline: Pipeline, logs: &Logs) -> (Pipeline, usize) {
    let mut offsets = vec![0; logs.logs.len()];
    let mut alerts = 0;
    while let Some(host) = furthest_behind(&pipeline, logs, &offsets) {
        let (stream, offset) = (StreamId(host as u32), offsets[host]);
        let end = logs.logs[host].len().min(offset + CHUNK_BYTES_MAX);
        let bytes = &logs.logs[host][offset..end];
        pipeline.handle_chunk(Chunk { stream, source: SourceId(stream.0), offset: offset as u64, bytes }, WallTime(0));
        offsets[host] = end;
        if end == logs.logs[host].len() {
            pipeline.close_stream(stream);
        }
        alerts += score(&mut pipeline);
    }
    pipeline.flush();
    alerts += score(&mut pipeline);
    (pipeline, alerts)
}

fn furthest_behind(pipeline: &Pipeline, logs: &Logs, offsets: &[usize]) -> Option<usize> {
    let unread = (0..offsets.len()).filter(|host| offsets[*host] < logs.logs[*host].len());
    unread.min_by_key(|host| pipeline.stream_time(StreamId(*host as u32)))
}

fn score(pipeline: &mut Pipeline) -> usize {
    while let Some(windows) = pipeline.poll_batch() {
        pipeline.handle_scores(windows.iter().map(|window| Some(given::score(window))), |_, _| {});
    }
    std::iter::from_fn(|| pipeline.poll_alert()).count()
}

/// A record on its own.
struct Given {
    time: LogTime,
    position: Position,
    content: Vec<u8>,
}

fn records(log: &[u8]) -> Vec<Given> {
    let (mut framer, mut counts, mut records) = (Framer::default(), frame::Counts::default(), Vec::new());
    let mut keep = |line: frame::LogLine<'_>| {
        let record = parse::parse(line.bytes).expect("a record begins with a header");
        records.push(Given { time: LogTime(record.time.0), position: line.position, content: record.content.to_vec() });
    };
    framer.handle_bytes(SourceId(0), 0, log, &mut counts, &mut keep);
    framer.end_of_source(SourceId(0), &mut counts, &mut keep);
    records
}

/// The records of all logs in the portions in which they would be read: [`RECORDS_A_TURN`] of the log that is furthest behind.
fn turns(logs: &Logs) -> Vec<(usize, Vec<Given>)> {
    let mut turns = Vec::new();
    for (stream, log) in logs.logs.iter().enumerate() {
        let mut records = records(log).into_iter().peekable();
        while records.peek().is_some() {
            turns.push((stream, records.by_ref().take(RECORDS_A_TURN).collect::<Vec<_>>()));
        }
    }
    turns.sort_by_key(|(stream, records)| (records[0].time, *stream));
    turns
}

fn events(log: &[u8]) -> Vec<Event> {
    let mut front = Front::new(given::settings().front, &given::profile()).expect("the masks are known");
    let (stream, mut events) = (StreamId(0), Vec::new());
    front.open_stream(stream, "hadoop-hdfs-datanode-dn1.log", false);
    let chunk = Chunk { stream, source: SourceId(0), offset: 0, bytes: log };
    let mut keep = |output: Output<'_>| {
        if let Output::Event { event, .. } = output {
            events.push(event);
        }
    };
    front.handle_chunk(chunk, WallTime(0), &mut keep);
    front.close_stream(stream, &mut keep);
    events
}

const LINES_OF_STAGES: usize = 50_000;
const LINES_OF_WHOLE: usize = 200_000;
const STREAMS: usize = 16;

/// About what a chunk holds.
const RECORDS_A_TURN: usize = 450;
