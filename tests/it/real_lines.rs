//! What alerts read out of real log lines: addresses of data nodes, and paths of files.

use std::collections::BTreeSet;

use hdfs_vigil::pipeline::event::{BlockId, LogTime, PoolId, Position, SourceId};
use hdfs_vigil::pipeline::verdict::{Alert, AlertId, AlertType, BlockFinding, Explanation, Finding, IncidentId, Reason, Verdict};
use hdfs_vigil::sink::document::{BlockDocument, Document, Line, LineSource};
use jiff::tz::TimeZone;

use crate::real_data;

#[test]
fn every_address_of_2008_is_that_of_a_data_node() {
    let Some(lines) = data("hdfs_v1/HDFS_20000.log") else { return };
    let found = documents(&lines);
    let ports: BTreeSet<_> =
        found.iter().flat_map(|document| &document.datanodes).filter_map(|node| node.rsplit(':').next()).collect();
    assert_eq!(ports, BTreeSet::from(["50010"]));
    let allocated = lines.iter().filter(|line| line.contains("allocateBlock")).count();
    let named = found.iter().filter_map(|document| document.hdfs_path.as_deref()).filter(|path| path.starts_with('/')).count();
    assert!(allocated > 0 && named == allocated, "{named} of {allocated} allocations name their file");
}

#[test]
fn the_example_of_hadoop_3_is_read() {
    let allocate = "2026-11-23 03:52:51,743 INFO org.apache.hadoop.hdfs.StateChange: BLOCK* allocate blk_1073748897_8767, \
                    replicas=127.0.0.1:29020, 127.0.0.1:29010 for /user/client2/part-01574";
    let write = "2026-11-23 03:51:48,887 INFO org.apache.hadoop.hdfs.server.datanode.DataNode.clienttrace: src: /127.0.0.1:51054, \
                 dest: /127.0.0.1:29040, volume: /data/hdfs/data/datanode-1, bytes: 360448, op: HDFS_WRITE, offset: 0, \
                 blockid: BP-1499136532-127.0.0.1-1795405313292:blk_1073748175_7986, duration(ns): 3390617";
    let [allocated, written] = documents(&[allocate.to_owned(), write.to_owned()]).try_into().unwrap();
    assert_eq!(allocated.hdfs_path.as_deref(), Some("/user/client2/part-01574"));
    assert_eq!(allocated.datanodes, ["127.0.0.1:29010", "127.0.0.1:29020"]);
    assert_eq!(written.datanodes, ["127.0.0.1:29040"]);
}

/// A document for each of `lines`, which is all that it quotes.
fn documents(lines: &[String]) -> Vec<BlockDocument> {
    let document = |number| Document::new(&alert(number as u64), &Lines(lines), &TimeZone::UTC);
    (0..lines.len()).map(|number| document(number).block().expect("it is of a block").clone()).collect()
}

/// Lines whose numbers serve as offsets.
struct Lines<'a>(&'a [String]);

impl LineSource for Lines<'_> {
    fn line(&self, position: Position) -> Line {
        let text = self.0[position.offset as usize].clone().into_bytes();
        Line { path: "hadoop-hdfs-datanode-dn1.log".into(), offset: position.offset, text: Ok(text) }
    }
}

fn alert(offset: u64) -> Alert {
    Alert {
        id: AlertId(1),
        incident: IncidentId(1),
        alert_type: AlertType::Firing,
        reason: Reason::UnlikelyStory,
        time: LogTime(0),
        signature: String::new(),
        positions: vec![Position { source: SourceId(0), offset, length: 0 }],
        by_silence: false,
        mode: None,
        finding: Finding::Block(Box::new(BlockFinding {
            block: BlockId { pool: PoolId(0), number: 1 },
            pool: None,
            verdict: Verdict { anomalous: true, score: 1.0, threshold: 0.5, distance: 0.0 },
            model: "hdfs-v1".to_owned(),
            explanation: Explanation::default(),
            events: 1,
            nearby: Vec::new(),
        })),
    }
}

/// The lines of a shared file; `None` where the shared data is not.
fn data(name: &str) -> Option<Vec<String>> {
    Some(String::from_utf8_lossy(&real_data::bytes(name)?).lines().map(str::to_owned).collect())
}
