//! What an alert reads like as JSON, and that no alert is too large.

use super::*;
use crate::limits::{ALERT_POSITIONS_MAX, DEVIATIONS_MAX};
use crate::pipeline::event::{BlockId, PoolId, SourceId};
use crate::pipeline::verdict::{AlertId, Explanation, IncidentId, Verdict};

#[test]
fn an_alert_becomes_the_documented_object() {
    let json: serde_json::Value = serde_json::from_str(&example().to_json()).unwrap();
    let expected = serde_json::json!({
        "id": "alert_0000000000000000000000000000002a",
        "incident": "inc_00000000000000000000000000000007",
        "type": "anomaly.firing",
        "reason": "unlikely_story",
        "time": "2008-11-09T20:35:18.143+01:00",
        "block": "blk_-1608999687919862906",
        "pool": null,
        "score": 7.25,
        "threshold": 2.5,
        "distance": 1.5,
        "model": "hdfs-v1",
        "signature": "5f0c",
        "explanation": {
            "summary": "The story of blk_-1608999687919862906 is less likely than 5,583 of 5,583 normal stories; missing 2 times: “Received block blk_… of size … from …”.",
            "deviations": [
                {"kind": "missing", "template": "Received block blk_<*> of size <*> from <*>", "count": 2, "nats": 0.0, "text": "missing 2 times"},
                {"kind": "unknown", "template": "writeBlock blk_<*> received exception <*>", "count": 1, "nats": 7.25, "text": "never seen in a normal story, here once"},
            ],
            "training_sessions": 5583,
            "training_sessions_above": 0,
        },
        "hosts": ["dn1.example.org", "nn1"],
        "datanodes": ["10.250.19.102:50010"],
        "hdfs_path": "/mnt/hadoop/mapred/system/job_200811092030_0001/job.jar",
        "lines": [
            {"path": "/var/log/hadoop-hdfs/hadoop-hdfs-namenode-nn1.log", "offset": 0, "text": LINES[0]},
            {"path": "/var/log/hadoop-hdfs/hadoop-hdfs-datanode-dn1.example.org.log.1", "offset": 1000, "text": LINES[1]},
            {"path": "/var/log/hadoop-hdfs/hadoop-hdfs-namenode-nn1.log", "offset": 2000, "text": null, "reason": "the file was rotated away"},
        ],
        "lines_left_out": 0,
        "events": 5,
        "by_silence": false,
    });
    assert_eq!(json, expected);
    assert_eq!(serde_json::from_value::<Document>(json).unwrap(), example());
}

#[test]
fn the_largest_alert_fits_and_keeps_beginning_and_end() {
    let mut alert = alert();
    alert.positions = (0..ALERT_POSITIONS_MAX).map(|number| position(number as u64 * 1000)).collect();
    alert.explanation.deviations =
        vec![Deviation { template: "\"\\\u{1}é".repeat(20_000), ..alert.explanation.deviations[0].clone() }; DEVIATIONS_MAX];
    alert.model = "m".repeat(100_000);
    alert.signature = "s".repeat(100_000);
    alert.pool = Some("p".repeat(100_000));
    let document = Document::new(&alert, &Hostile, &TimeZone::UTC);
    assert!(document.to_json().len() <= DOCUMENT_BYTES_MAX, "{} bytes", document.to_json().len());
    assert_eq!(document.lines.len() + document.lines_left_out as usize, ALERT_POSITIONS_MAX);
}

#[test]
fn lines_are_left_out_of_the_middle() {
    let alert = Alert { positions: (0..ALERT_POSITIONS_MAX).map(|number| position(number as u64)).collect(), ..alert() };
    let document = Document::new(&alert, &Hostile, &TimeZone::UTC);
    assert!(document.lines_left_out > 0 && document.to_json().len() <= DOCUMENT_BYTES_MAX);
    assert_eq!((document.lines[0].offset, document.lines.last().unwrap().offset), (0, ALERT_POSITIONS_MAX as u64 - 1));
}

#[test]
fn text_is_cut_at_its_bound_and_cannot_repaint_a_terminal() {
    for (length, expected) in [(1023, 1023), (1024, 1024), (1025, 1024 + "…".len())] {
        assert_eq!(clean(&"x".repeat(length)).len(), expected, "{length}");
    }
    assert_eq!(clean(&"é".repeat(513)), format!("{}…", "é".repeat(512)));
    assert_eq!(clean("\u{1b}[2Jgone\ttab\nline\u{7f}"), "\u{fffd}[2Jgone\ttab\nline\u{fffd}");
}

#[test]
fn hosts_are_named_by_their_logs() {
    let check = |path: &str, expected: &str| assert_eq!(host(Path::new(path)), expected, "{path}");
    check("/var/log/hadoop-hdfs/hadoop-hdfs-datanode-dn1.log", "dn1");
    check("hadoop-hdfs-namenode-nn-a.example.org.log.2021-07-15", "nn-a.example.org");
    check("hadoop-root-secondarynamenode-nn2.out.3", "nn2");
    check("HDFS.log", "HDFS");
    check("hadoop-hdfs-datanode-.log", "hadoop-hdfs-datanode-");
    check("/", "");
}

#[test]
fn no_more_hosts_are_named_than_the_bound() {
    for (hosts, named) in [(15, 15), (16, 16), (17, 16)] {
        let names = (0..hosts).map(|number| format!("dn{number:02}"));
        assert_eq!(bounded(names.clone().chain(names)).len(), named, "{hosts}");
    }
}

#[test]
fn datanodes_are_told_from_clients() {
    let check = |text: &str, expected: &[&str]| assert_eq!(datanodes(text), expected, "{text}");
    check("Receiving block blk_1 src: /10.0.0.1:54106 dest: /10.0.0.2:50010", &["10.0.0.2:50010"]);
    check("blockMap updated: 10.251.73.220:50010 is added to blk_7 size 67108864", &["10.251.73.220:50010"]);
    check("10.250.10.6:50010:Got exception while serving blk_1 to /10.0.0.9:", &["10.250.10.6:50010"]);
    check("src: /10.0.0.2:9866, dest: /10.0.0.7:41000, bytes: 5, op: HDFS_READ", &["10.0.0.2:9866"]);
    check("allocate blk_1_1001, replicas=10.0.0.1:9866, 10.0.0.2:9866 for /a", &["10.0.0.1:9866", "10.0.0.2:9866"]);
    check("BP-1064460171-10.0.0.1-1626388920000:blk_1 at 22:43:01 999.0.0.1:5 1.2.3.4:99999", &[]);
}

#[test]
fn the_hdfs_path_is_found_in_the_words_of_each_era() {
    let check = |text: &str, expected: Option<&str>| assert_eq!(hdfs_path(text), expected, "{text}");
    check("BLOCK* NameSystem.allocateBlock: /user/root/part. x-00968. blk_-160", Some("/user/root/part. x-00968"));
    check("BLOCK* allocate blk_1073741825_1001, replicas=10.0.0.1:9866 for /tmp/a for b", Some("/tmp/a for b"));
    check("BLOCK* allocate blk_1073741825_1001, replicas=10.0.0.1:9866 for /tmp/a", Some("/tmp/a"));
    check("BLOCK* ask 10.0.0.1:9866 to delete blk_1", None);
}

#[test]
fn times_are_instants_of_the_configured_zone() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let check = |millis: i64, zone: &TimeZone, expected: &str| assert_eq!(rfc3339(LogTime(millis), zone), expected);
    check(0, &TimeZone::UTC, "1970-01-01T00:00:00.000+00:00");
    check(1_626_381_781_109, &berlin, "2021-07-15T22:43:01.109+02:00");
    // 02:30 on the night that clocks are set back is there twice.
    check(1_635_640_200_000, &berlin, "2021-10-31T02:30:00.000+02:00");
    check(1_635_643_800_000, &berlin, "2021-10-31T02:30:00.000+01:00");
    for extreme in [i64::MIN, i64::MAX] {
        assert!(!rfc3339(LogTime(extreme), &berlin).is_empty());
    }
}

#[test]
fn numbers_have_their_thousands_apart() {
    for (number, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (5583, "5,583"), (11_175_629, "11,175,629")] {
        assert_eq!(grouped(number), expected);
    }
}

#[test]
fn templates_are_made_readable() {
    let check = |template: &str, expected: &str| assert_eq!(readable(template), expected, "{template}");
    check(
        "<*>BLOCK* NameSystem<*>addStoredBlock: blockMap updated:<*>is added to<*>size<*>",
        "BLOCK* NameSystem … addStoredBlock: blockMap updated: … is added to … size …",
    );
    check("<*>:Transmitted block<*>to<*>", "Transmitted block … to …");
    check("PacketResponder <*> for block <*> terminating<*>", "PacketResponder … for block … terminating …");
    check("Received block blk_<*> of size <*>, from /<*>", "Received block blk_… of size …, from /…");
    check("<*> is broken\n\tat <*>", "… is broken\n\tat …");
    check("<*><*>x", "… x");
    for (template, expected) in [("", ""), ("<*>", "…"), ("<*> <*>", "… …"), ("nothing differs", "nothing differs")] {
        check(template, expected);
    }
}

#[test]
fn every_reason_has_its_sentence() {
    for reason in [Reason::UnknownEvent, Reason::UnlikelyStory, Reason::Recovered, Reason::Retracted, Reason::Expired] {
        let summary = summary(&Alert { reason, ..alert() });
        assert!(summary.contains("blk_-1608999687919862906") && summary.ends_with('.'), "{summary}");
    }
}

/// An alert of 2008 with three lines, of which one is gone.
pub(crate) fn example() -> Document {
    Document::new(&alert(), &Example, &TimeZone::get("Europe/Berlin").unwrap())
}

pub(crate) fn alert() -> Alert {
    let missing = deviation(DeviationKind::Missing, "Received block blk_<*> of size <*> from <*>", 2, 0.0);
    let unknown = deviation(DeviationKind::Unknown, "writeBlock blk_<*> received exception <*>", 1, 7.25);
    Alert {
        id: AlertId(42),
        incident: IncidentId(7),
        alert_type: AlertType::Firing,
        reason: Reason::UnlikelyStory,
        time: LogTime(1_226_259_318_143),
        block: BlockId { pool: PoolId(0), number: -1_608_999_687_919_862_906 },
        pool: None,
        verdict: Verdict { anomalous: true, score: 7.25, threshold: 2.5, distance: 1.5 },
        model: "hdfs-v1".to_owned(),
        signature: "5f0c".to_owned(),
        explanation: Explanation { deviations: vec![missing, unknown], training_sessions_above: 0, training_sessions: 5583 },
        positions: vec![position(0), position(1000), position(2000)],
        events: 5,
        by_silence: false,
    }
}

fn deviation(kind: DeviationKind, template: &str, count: u32, nats: f32) -> Deviation {
    Deviation { kind, template: template.to_owned(), count, nats, position: None }
}

fn position(offset: u64) -> Position {
    Position { source: SourceId(0), offset, length: 100 }
}

const LINES: [&str; 2] = [
    "081109 203518 35 INFO dfs.FSNamesystem: BLOCK* NameSystem.allocateBlock: /mnt/hadoop/mapred/system/job_200811092030_0001/job.jar. blk_-1608999687919862906",
    "081109 203518 143 INFO dfs.DataNode$DataXceiver: Receiving block blk_-1608999687919862906 src: /10.250.19.102:54106 dest: /10.250.19.102:50010",
];

struct Example;

impl LineSource for Example {
    fn line(&self, position: Position) -> Line {
        let role = if position.offset == 1000 { "datanode-dn1.example.org.log.1" } else { "namenode-nn1.log" };
        let text = LINES.get(position.offset as usize / 1000).map(|text| text.as_bytes().to_vec());
        Line {
            path: format!("/var/log/hadoop-hdfs/hadoop-hdfs-{role}").into(),
            offset: position.offset,
            text: text.ok_or_else(|| "the file was rotated away".to_owned()),
        }
    }
}

/// Everything as long and as awkward as it can be.
struct Hostile;

impl LineSource for Hostile {
    fn line(&self, position: Position) -> Line {
        let path = format!("/{}/{}\u{1}", "\"".repeat(4000), position.offset);
        Line {
            path: path.into(),
            offset: position.offset,
            text: Ok([b"\xff\"\x1b 10.0.0.1:50010 ".repeat(4000), vec![b'x']].concat()),
        }
    }
}
