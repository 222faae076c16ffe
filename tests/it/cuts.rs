//! Any way to cut a log into chunks gives the same records, the same events and the same counters.

use hdfs_vigil::pipeline::event::frame::{Counts, Framer, LogLine};
use hdfs_vigil::pipeline::event::zone::Zone;
use hdfs_vigil::pipeline::event::{Chunk, Event, Position, SourceId, StreamId, WallTime};
use hdfs_vigil::pipeline::front::{Front, Output, Settings};
use hdfs_vigil::pipeline::profile::{DrainSettings, Profile};
use hdfs_vigil::pipeline::stats::Stats;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

proptest! {
    #[test]
    fn of_lines_in_every_layout(lines in vec(line(), 0..40), ends in any::<bool>(), cuts in vec(1_usize..400, 0..60)) {
        let mut log = lines.concat();
        if !ends {
            log.pop();
        }
        check(&log, &cuts);
    }

    #[test]
    fn of_any_bytes(log in vec(any::<u8>(), 0..4000), cuts in vec(1_usize..400, 0..60)) {
        check(&log, &cuts);
    }

    #[test]
    fn of_records_at_their_bound(extra in -3_i64..4, returns in 0_usize..4, cuts in vec(1_usize..40_000, 0..12)) {
        let filling = "x".repeat((hdfs_vigil::limits::RECORD_BYTES_MAX as i64 + extra) as usize - 40);
        let log = format!("081109 203518 143 INFO dfs.DataNode: blk_1 {filling}{}\n\tat x\n", "\r".repeat(returns));
        check(log.as_bytes(), &cuts);
    }
}

/// The log cut like this gives what it gives as a whole.
fn check(log: &[u8], cuts: &[usize]) {
    let parts = parts(log, cuts);
    assert!(records(&parts) == records(&[(0, log)]), "the same records");
    assert_eq!(events(&parts), events(&[(0, log)]));
}

/// The parts of a log with their offsets; the cuts are used again and again.
fn parts<'a>(log: &'a [u8], cuts: &[usize]) -> Vec<(usize, &'a [u8])> {
    let mut parts = Vec::new();
    let mut lengths = cuts.iter().cycle();
    let mut at = 0;
    while at < log.len() {
        let end = log.len().min(at + lengths.next().unwrap_or(&usize::MAX).min(&log.len()));
        parts.push((at, &log[at..end]));
        at = end;
    }
    parts
}

fn records(parts: &[(usize, &[u8])]) -> (Vec<(Position, Vec<u8>)>, Counts) {
    let (mut framer, mut counts, mut records) = (Framer::default(), Counts::default(), Vec::new());
    let mut keep = |line: LogLine<'_>| records.push((line.position, line.bytes.to_vec()));
    for (offset, part) in parts {
        framer.handle_bytes(SourceId(0), *offset as u64, part, &mut counts, &mut keep);
    }
    framer.end_of_source(SourceId(0), &mut counts, &mut keep);
    framer.flush(&mut counts, &mut keep);
    (records, counts)
}

fn events(parts: &[(usize, &[u8])]) -> (Vec<Event>, Stats) {
    let settings = Settings {
        merge_delay_millis: 2000,
        merge_bytes_max: 1 << 20,
        join_grace_millis: 0,
        pool: None,
        pools: Vec::new(),
        zone: Zone::utc(),
    };
    let mut front = Front::new(settings, &Profile::without_vocabulary(DrainSettings::hdfs())).unwrap();
    let mut events = Vec::new();
    let mut emit = |output: Output<'_>| {
        if let Output::Event { event, .. } = output {
            events.push(event);
        }
    };
    front.open_stream(StreamId(0), "hadoop-hdfs-datanode-dn1.log", false);
    for (offset, part) in parts {
        let chunk = Chunk { stream: StreamId(0), source: SourceId(0), offset: *offset as u64, bytes: part };
        front.handle_chunk(chunk, WallTime(0), &mut emit);
    }
    front.close_stream(StreamId(0), &mut emit);
    let mut stats = Stats::default();
    front.count_into(&mut stats);
    (events, stats)
}

/// A header in some layout, what belongs to a record, or what belongs to none; with either line break.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let head = select(vec![
        "081109 203518 143 INFO dfs.DataNode$DataXceiver: ",
        "2021-07-15 22:43:01,109 INFO org.apache.hadoop.hdfs.server.datanode.DataNode: ",
        "2021-07-15 22:43:01,110 WARN [IPC Server handler 3 on 8020] org.apache.hadoop.hdfs.StateChange: ",
        "21/07/15 22:43:02 ERROR datanode.DataNode: ",
        "2021-07-15 22:43:03 INFO  DataNode:759 - ",
        "2021-07-15 22:43:04,001 INFO  datanode.DataNode (BlockReceiver.java:run(1506)) - ",
        "\tat org.apache.hadoop.Foo(Foo.java:12) ",
        "Caused by: java.io.IOException: ",
        "",
    ]);
    let block = (any::<i64>(), 0..3_u8).prop_map(|(number, kind)| match kind {
        0 => format!("Receiving block blk_{number} src: /10.0.0.1:5"),
        1 => format!("Receiving BP-{}-10.0.0.1-1626388920000:blk_{}_1001", number % 3, number % 100),
        _ => format!("BLOCK* ask 10.0.0.1:50010 to delete blk_{} blk_{}", number % 50, number % 7),
    });
    let message = prop_oneof![3 => block.prop_map(String::into_bytes), 1 => vec(any::<u8>(), 0..60)];
    let line_break = select(vec!["\n", "\r\n"]);
    (head, message, line_break).prop_map(|(head, message, end)| [head.as_bytes(), &message, end.as_bytes()].concat())
}
