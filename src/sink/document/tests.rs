//! What an alert reads like as JSON, and that no alert is too large.

use super::block::{confirmed_replica, datanodes, hdfs_path, shell_quoted};
use super::*;
use crate::limits::{
    ALERT_POSITIONS_MAX, DEVIATIONS_MAX, DOMAIN_SAMPLES_MAX, EVIDENCE_POSITIONS_MAX, NEARBY_MAX, SESSION_EVENTS_MAX,
    STORY_EVENTS_MAX, TROUBLE_COMPLAINTS_MAX,
};
use crate::pipeline::event::trouble::Statement;
use crate::pipeline::event::{BlockId, PoolId, SourceId};
use crate::pipeline::verdict::{
    AlertId, BlockFinding, Complaint, Deviation, DomainFinding, Explanation, HostFinding, IncidentId, Nearby, NormalEvent,
    NormalStory, ShownEvent, TemplateFinding, Verdict,
};

mod redaction;

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
        "explanation": explanation_object(),
        "hosts": ["dn1.example.org", "nn1"],
        "roles": ["name_node", "data_node"],
        "datanodes": ["10.250.11.7:50010", "10.250.19.102:50010"],
        "replicas_confirmed": 1,
        "replicas_on": ["10.250.11.7:50010"],
        "look_further": [
            "hdfs fsck -blockId blk_-1608999687919862906",
            "hdfs fsck /mnt/hadoop/mapred/system/job_200811092030_0001/job.jar -files -blocks -locations",
        ],
        "hdfs_path": "/mnt/hadoop/mapred/system/job_200811092030_0001/job.jar",
        "lines": [
            event(line(0, LINES[0]), "BLOCK* NameSystem.allocateBlock: <*>", 0.25, None),
            event(line(1000, LINES[1]), "writeBlock blk_<*> received exception <*>", 7.25, Some("unknown")),
            event(
                serde_json::json!({
                    "path": "/var/log/hadoop-hdfs/hadoop-hdfs-namenode-nn1.log", "offset": 2000, "host": "nn1", "role": "name_node",
                    "text": null, "reason": "the file was rotated away",
                }),
                "Received block blk_<*> of size <*> from <*>",
                1.5,
                None,
            ),
        ],
        "nearby": [{
            "host": "dn1.example.org", "text": "IOException in offerService (java.io.EOFException)", "level": "WARN",
            "time": "2008-11-09T20:35:17.000+01:00", "count": 3, "line": line(1000, LINES[1]),
        }],
        "lines_left_out": 0,
        "events": 5,
        "by_silence": false,
        "mode": "active",
    });
    assert_eq!(json, expected);
    assert_eq!(serde_json::from_value::<Document>(json).unwrap(), example());
}

#[test]
fn trouble_of_a_host_becomes_the_documented_object() {
    let json: serde_json::Value = serde_json::from_str(&trouble_example().to_json()).unwrap();
    let expected = serde_json::json!({
        "id": "alert_0000000000000000000000000000002a",
        "incident": "inc_00000000000000000000000000000007",
        "type": "host.trouble",
        "reason": "known_fault",
        "time": "2008-11-09T20:35:18.143+01:00",
        "signature": "5f0c",
        "roles": ["name_node"],
        "host": "nn1",
        "summary": "nn1: the NameNode has lost a DataNode (10.0.0.1:50010); and one more kind of trouble.",
        "templates": [
            {
                "text": "BLOCK* NameSystem.heartbeatCheck: lost heartbeat from <*>", "level": "INFO", "reason": "known_fault",
                "meaning": "the NameNode has lost a DataNode", "subject": "10.0.0.1:50010", "advice": "hdfs dfsadmin -report -dead",
                "count": 1, "first": "2008-11-09T20:35:18.143+01:00", "last": "2008-11-09T20:35:18.143+01:00", "usual_per_minute": 0,
            },
            {
                "text": "IPC Server handler <*> caught", "exception": "java.io.IOException", "level": "WARN", "reason": "burst",
                "count": 1200, "first": "2008-11-09T20:35:18.143+01:00", "last": "2008-11-09T20:35:27.143+01:00", "usual_per_minute": 3,
            },
        ],
        "templates_left_out": 0,
        "also_on": ["nn2"],
        "lines": [line(0, LINES[0])],
        "lines_left_out": 0,
        "by_silence": false,
    });
    assert_eq!(json, expected);
    assert_eq!(serde_json::from_value::<Document>(json).unwrap(), trouble_example());
}

#[test]
fn a_new_template_becomes_the_documented_object() {
    let json: serde_json::Value = serde_json::from_str(&template_example().to_json()).unwrap();
    let expected = serde_json::json!({
        "id": "alert_0000000000000000000000000000002a",
        "incident": "inc_00000000000000000000000000000007",
        "type": "template.new",
        "reason": "frequent",
        "time": "2008-11-09T20:35:18.143+01:00",
        "signature": "5f0c",
        "roles": ["name_node"],
        "template": "Opening a replica of <*> src: <*> dest: <*>",
        "model": "hdfs-v1",
        "summary": "Model hdfs-v1 does not know what 1,020 blocks say: “Opening a replica of … src: … dest: …”. From now on it is left out of their stories.",
        "events": 3060,
        "episodes": 1020,
        "first": "2008-11-09T20:35:18.143+01:00",
        "last": "2008-11-09T20:35:27.143+01:00",
        "advice": [
            "hdfs-vigil learn LOGS -o model.onnx, with logs of this cluster since the change; then let it judge (model.path)",
            "or add the template to domain.mute, if it is nobody's concern",
        ],
        "lines": [line(0, LINES[0])],
        "lines_left_out": 0,
        "by_silence": false,
        "mode": "active",
    });
    assert_eq!(json, expected);
    assert_eq!(serde_json::from_value::<Document>(json).unwrap(), template_example());
}

#[test]
fn a_model_out_of_its_domain_becomes_the_documented_object() {
    let json: serde_json::Value = serde_json::from_str(&mismatch_example().to_json()).unwrap();
    let expected = serde_json::json!({
        "id": "alert_0000000000000000000000000000002a",
        "incident": "inc_00000000000000000000000000000007",
        "type": "model.domain_mismatch",
        "reason": "unknown_share",
        "time": "2008-11-09T20:35:18.143+01:00",
        "signature": "5f0c",
        "roles": ["name_node"],
        "model": "hdfs-v1",
        "summary": "Model hdfs-v1 does not fit these logs: it does not know 62 % of what they say of blocks. No blocks are told of until it fits again; trouble of hosts still is.",
        "share": 0.62,
        "share_max": 0.5,
        "unknown_templates": [{"text": "Opening a replica of <*> src: <*> dest: <*>", "events": 3060, "episodes": 1020}],
        "held_back": 0,
        "advice": [
            "hdfs-vigil learn LOGS -o model.onnx, with logs of this cluster since the change; then let it judge (model.path)",
            "if the model is the right one: domain.unknown_share_max and domain.far_share_max are the limits",
        ],
        "lines": [line(0, LINES[0])],
        "lines_left_out": 0,
        "by_silence": false,
        "mode": "active",
    });
    assert_eq!(json, expected);
    assert_eq!(serde_json::from_value::<Document>(json).unwrap(), mismatch_example());
}

#[test]
fn why_blocks_are_not_told_of_and_that_they_are_again_is_said_in_one_sentence() {
    let check = |reason: Reason, held_back: u64, expected: &str| {
        let mut alert = mismatch();
        let Finding::Domain(finding) = &mut alert.finding else { panic!("it is of the model") };
        finding.held_back = held_back;
        let document = Document::new(&Alert { reason, ..alert }, &Example, &TimeZone::UTC);
        assert!(document.summary().contains(expected), "{}", document.summary());
    };
    check(
        Reason::FarShare,
        0,
        "does not fit these logs, or hardly any block is well: 62 % of the stories are like no normal one.",
    );
    check(Reason::Recovered, 1, "fits the logs again, and blocks are told of. One story was anomalous and not told meanwhile.");
    check(Reason::ModelChanged, 0, "Model hdfs-v1 was replaced by another one, and blocks are told of. 0 stories were");
    check(Reason::Recovered, 1200, "1,200 stories were anomalous and not told meanwhile.");
}

#[test]
fn what_is_worst_on_a_host_is_said_in_one_sentence() {
    let check = |change: &dyn Fn(&mut Complaint), expected: &str| {
        let mut alert = trouble();
        let Finding::Host(finding) = &mut alert.finding else { panic!("it is of a host") };
        finding.complaints.remove(0);
        change(&mut finding.complaints[0]);
        assert_eq!(Document::new(&alert, &Example, &TimeZone::UTC).summary(), expected);
    };
    check(
        &|_| {},
        "nn1: far more often than ever, 1,200 times, until now at most 3 in a minute: WARN “IPC Server handler … caught” (java.io.IOException).",
    );
    check(
        &|complaint| (complaint.reason, complaint.count, complaint.exception) = (Reason::New, 1, None),
        "nn1: never said before, now once: WARN “IPC Server handler … caught”.",
    );
    check(
        &|complaint| (complaint.reason, complaint.level) = (Reason::KnownFault, Level::Fatal),
        "nn1: a fatal error, 1,200 times: FATAL “IPC Server handler … caught” (java.io.IOException).",
    );
    check(&|complaint| complaint.statement = Some(Statement::VolumeFull), "nn1: a volume is full.");
}

#[test]
fn the_role_of_a_line_is_that_of_its_file_or_of_its_logger() {
    for (name, text, role, host) in [
        ("hadoop-hdfs-namenode-nn1.log", LINES[1], Role::NameNode, "nn1"),
        ("HDFS.log", LINES[1], Role::DataNode, "HDFS"),
        ("HDFS.log", "no header", Role::Other, "HDFS"),
    ] {
        let source = One(Line { path: name.into(), offset: 0, text: Ok(text.as_bytes().to_vec()) });
        let edge = Edge { source: &source, zone: &TimeZone::UTC, redaction: &Redaction::default() };
        let found = edge.read(position(0)).line;
        assert_eq!((found.role, found.host.as_str()), (role, host), "{name} {text}");
    }
}

#[test]
fn the_largest_alert_fits_and_keeps_beginning_and_end() {
    let long = |letter: &str| letter.repeat(100_000);
    let positions: Vec<Position> = (0..ALERT_POSITIONS_MAX).map(|number| position(number as u64 * 1000)).collect();
    let mut alert = Alert { positions: positions.clone(), signature: long("s"), ..alert() };
    let Finding::Block(finding) = &mut alert.finding else { panic!("it is of a block") };
    let hostile = "\"\\\u{1}é".repeat(20_000);
    let worst = Deviation { template: hostile.clone(), ..finding.explanation.deviations[0].clone() };
    finding.explanation.deviations = vec![worst; DEVIATIONS_MAX];
    let normal = NormalEvent { template: hostile.clone(), expected: 1, seen: 0 };
    finding.explanation.nearest = Some(NormalStory { events: vec![normal; STORY_EVENTS_MAX], events_left_out: 0, share: 0.5 });
    finding.explanation.events = positions.iter().map(|&position| ShownEvent { position, template: 0, nats: 1.0 }).collect();
    finding.explanation.templates = vec![hostile.clone()];
    finding.explanation.evidence = vec![position(0); EVIDENCE_POSITIONS_MAX];
    finding.nearby = vec![Nearby { host: long("h"), template: hostile.clone(), ..finding.nearby[0].clone() }; NEARBY_MAX];
    (finding.model, finding.pool) = (long("m"), Some(long("p")));
    let mut trouble = Alert { positions, signature: long("s"), ..trouble() };
    let Finding::Host(finding) = &mut trouble.finding else { panic!("it is of a host") };
    let worst = Complaint {
        template: hostile.clone(),
        exception: Some(long("e")),
        subject: Some(long("x")),
        ..finding.complaints[0].clone()
    };
    finding.complaints = vec![worst; TROUBLE_COMPLAINTS_MAX];
    finding.host = long("h");
    let mut mismatch = Alert { positions: alert.positions.clone(), signature: long("s"), ..mismatch() };
    let Finding::Domain(finding) = &mut mismatch.finding else { panic!("it is of the model") };
    let worst = TemplateFinding { template: hostile.clone(), ..finding.templates[0].clone() };
    (finding.model, finding.templates) = (long("m"), vec![worst.clone(); DOMAIN_SAMPLES_MAX]);
    let finding = Finding::Template(Box::new(TemplateFinding { model: long("m"), ..worst }));
    let template = Alert { alert_type: AlertType::Template, finding, ..mismatch.clone() };
    for alert in [alert, trouble, mismatch, template] {
        let document = Document::new(&alert, &Hostile, &TimeZone::UTC);
        assert!(document.to_json().len() <= DOCUMENT_BYTES_MAX, "{} bytes", document.to_json().len());
        assert_eq!(document.lines.len() + document.lines_left_out as usize, ALERT_POSITIONS_MAX);
    }
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
fn replicas_are_confirmed_by_the_namenode_alone() {
    let check = |text: &str, expected: Option<&str>| assert_eq!(confirmed_replica(text), expected, "{text}");
    check(LINES[3], Some("10.250.11.7:50010"));
    check("BLOCK* addStoredBlock: 10.0.0.1:9866 is added to blk_1073741825_1001 (size=5)", Some("10.0.0.1:9866"));
    check(
        "2021-07-15 22:43:01,109 INFO BlockStateChange: BLOCK* addStoredBlock: blockMap updated: [::1]:9866 is added to blk_1 size 0",
        Some("[::1]:9866"),
    );
    check("BLOCK* NameSystem.addStoredBlock: Redundant addStoredBlock request received for blk_1 on 10.0.0.1:50010 size 5", None);
    check("BLOCK* NameSystem.delete: blk_1 is added to invalidSet of 10.0.0.1:50010", None);
    check("Received block blk_1 of size 67108864 from /10.0.0.1", None);
}

#[test]
fn replicas_are_counted_by_address_and_only_where_a_namenode_was_heard() {
    let check = |lines: &[&str], expected: Option<u32>| {
        let positions: Vec<_> = (0..lines.len()).map(|number| position(number as u64)).collect();
        let mut alert = Alert { positions, ..alert() };
        let Finding::Block(finding) = &mut alert.finding else { panic!("it is of a block") };
        finding.explanation.evidence = Vec::new();
        let document = Document::new(&alert, &Lines(lines), &TimeZone::UTC);
        assert_eq!(document.block().unwrap().replicas_confirmed, expected, "{lines:?}");
    };
    let other = LINES[3].replace("10.250.11.7", "10.250.11.8");
    check(&[LINES[0], LINES[3], &other, LINES[3]], Some(2));
    check(&[LINES[0]], Some(0));
    check(&[LINES[1]], None);
    let mut joined = Alert { positions: vec![position(0)], ..alert() };
    let Finding::Block(finding) = &mut joined.finding else { panic!("it is of a block") };
    (finding.explanation.from_start, finding.explanation.evidence) = (false, Vec::new());
    assert_eq!(Document::new(&joined, &Example, &TimeZone::UTC).block().unwrap().replicas_confirmed, None);
    let resolved = Alert { alert_type: AlertType::Resolved, ..alert() };
    assert_eq!(Document::new(&resolved, &Example, &TimeZone::UTC).block().unwrap().replicas_confirmed, None);
}

#[test]
fn replicas_are_not_counted_where_what_confirms_them_was_not_read() {
    let check = |change: &dyn Fn(&mut Alert, &mut BlockFinding), expected: Option<u32>, why: &str| {
        let mut alert = alert();
        let Finding::Block(finding) = alert.finding.clone() else { panic!("it is of a block") };
        let mut finding = *finding;
        change(&mut alert, &mut finding);
        alert.finding = Finding::Block(Box::new(finding));
        let document = Document::new(&alert, &Example, &TimeZone::UTC);
        let block = document.block().unwrap();
        assert_eq!(block.replicas_confirmed, expected, "{why}");
        assert_eq!(block.replicas_on.len(), expected.unwrap_or(0) as usize, "{why}");
    };
    let stored = "BLOCK* NameSystem.addStoredBlock: blockMap updated: <*> is added to blk_<*> size <*>";
    check(&|_, _| {}, Some(1), "what is gone confirms nothing");
    check(&|_, finding| finding.explanation.templates[2] = stored.to_owned(), None, "a quoted record that confirms one is gone");
    check(&|_, finding| finding.explanation.evidence.push(position(2000)), None, "one that is not quoted is gone");
    let only_gone = |alert: &mut Alert, finding: &mut BlockFinding| {
        alert.positions = vec![position(2000)];
        (finding.explanation.events, finding.explanation.evidence) = (Vec::new(), Vec::new());
    };
    check(&only_gone, None, "no line of the NameNode is there");
    for (records, expected) in
        [(EVIDENCE_POSITIONS_MAX - 1, Some(1)), (EVIDENCE_POSITIONS_MAX, None), (EVIDENCE_POSITIONS_MAX + 1, None)]
    {
        let evidence = vec![position(3000); records];
        check(&|_, finding| finding.explanation.evidence.clone_from(&evidence), expected, "there may be more");
    }
    for (events, end, reason, expected) in [
        (SESSION_EVENTS_MAX, None, Reason::UnlikelyStory, Some(1)),
        (SESSION_EVENTS_MAX + 1, None, Reason::UnlikelyStory, None),
        (SESSION_EVENTS_MAX + 1, None, Reason::UnknownEvent, Some(1)),
        (SESSION_EVENTS_MAX + 1, Some(0.5), Reason::UnlikelyStory, Some(1)),
    ] {
        let change = |alert: &mut Alert, finding: &mut BlockFinding| {
            (alert.reason, finding.events, finding.explanation.end_nats) = (reason, events as u32, end);
        };
        check(&change, expected, "the story has outgrown its window, or has not");
    }
}

#[test]
fn to_mute_a_template_is_advised_only_where_its_text_would() {
    for (template, redact, mutes) in [
        ("Opening a replica of <*>".to_owned(), "nothing", true),
        ("Opening a replica of <*>".to_owned(), "replica", false),
        ("x".repeat(DOCUMENT_TEXT_BYTES_MAX), "nothing", true),
        ("x".repeat(DOCUMENT_TEXT_BYTES_MAX + 1), "nothing", false),
    ] {
        let finding = Finding::Template(Box::new(TemplateFinding { template, ..stranger() }));
        let redaction = Redaction::new(&[redact.to_owned()]).unwrap();
        let document = Document::redacted(&Alert { finding, ..mismatch() }, &Example, &TimeZone::UTC, &redaction);
        let About::Template(about) = &document.about else { panic!("it is of a template") };
        assert_eq!(about.advice.iter().any(|step| step.contains("domain.mute")), mutes, "{}", about.template);
        assert_eq!(about.advice.len(), 1 + usize::from(mutes));
    }
}

#[test]
fn short_of_room_the_templates_of_ordinary_lines_go_first() {
    let mut document = example();
    let line = LineDocument { text: Some("x".repeat(405)), ..document.lines[0].clone() };
    let telling = LineDocument { shows: Some(DeviationKind::Unknown), ..line.clone() };
    document.lines = [vec![line; ALERT_POSITIONS_MAX - 10], vec![telling]].concat();
    document.fit();
    assert_eq!((document.lines_left_out, document.lines.len()), (0, ALERT_POSITIONS_MAX - 9));
    assert!(document.lines.iter().all(|line| line.template.is_some() == line.shows.is_some()));
}

#[test]
fn a_path_cannot_run_a_command() {
    assert_eq!(shell_quoted("/tmp/a-b_c.1"), "/tmp/a-b_c.1");
    assert_eq!(shell_quoted("/tmp/$(reboot) 'x'"), "'/tmp/$(reboot) '\\''x'\\'''");
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
        let document = Document::new(&Alert { reason, ..alert() }, &Example, &TimeZone::UTC);
        assert!(document.summary().contains("blk_-1608999687919862906") && document.summary().ends_with('.'), "{reason:?}");
    }
}

/// An alert of 2008 with three lines, of which one is gone.
pub(crate) fn example() -> Document {
    Document::new(&alert(), &Example, &TimeZone::get("Europe/Berlin").unwrap())
}

/// A lost DataNode and a storm, with one line.
pub(crate) fn trouble_example() -> Document {
    Document::new(&trouble(), &Example, &TimeZone::get("Europe/Berlin").unwrap())
}

/// A sentence that was reworded, with one line.
pub(crate) fn template_example() -> Document {
    let finding = Finding::Template(Box::new(stranger()));
    let alert = Alert { alert_type: AlertType::Template, reason: Reason::Frequent, finding, ..mismatch() };
    Document::new(&alert, &Example, &TimeZone::get("Europe/Berlin").unwrap())
}

/// A model that does not know what most events are, with one line.
pub(crate) fn mismatch_example() -> Document {
    Document::new(&mismatch(), &Example, &TimeZone::get("Europe/Berlin").unwrap())
}

fn mismatch() -> Alert {
    Alert {
        alert_type: AlertType::Mismatch,
        reason: Reason::UnknownShare,
        positions: vec![position(0)],
        finding: Finding::Domain(Box::new(DomainFinding {
            model: "hdfs-v1".to_owned(),
            share: 0.62,
            share_max: 0.5,
            templates: vec![stranger()],
            held_back: 0,
        })),
        ..alert()
    }
}

fn stranger() -> TemplateFinding {
    let first = LogTime(1_226_259_318_143);
    TemplateFinding {
        model: "hdfs-v1".to_owned(),
        template: "Opening a replica of <*> src: <*> dest: <*>".to_owned(),
        events: 3060,
        episodes: 1020,
        first,
        last: first.plus_millis(9000),
    }
}

pub(crate) fn alert() -> Alert {
    let explanation = explanation();
    let first = LogTime(1_226_259_317_000);
    let nearby = Nearby {
        host: "dn1.example.org".to_owned(),
        template: "IOException in offerService (java.io.EOFException)".to_owned(),
        level: Level::Warn,
        count: 3,
        first,
        last: first,
        position: position(1000),
    };
    Alert {
        id: AlertId(42),
        incident: IncidentId(7),
        alert_type: AlertType::Firing,
        reason: Reason::UnlikelyStory,
        time: LogTime(1_226_259_318_143),
        signature: "5f0c".to_owned(),
        positions: vec![position(0), position(1000), position(2000)],
        by_silence: false,
        mode: Some(DetectorMode::Active),
        finding: Finding::Block(Box::new(BlockFinding {
            block: BlockId { pool: PoolId(0), number: -1_608_999_687_919_862_906 },
            pool: None,
            verdict: Verdict { anomalous: true, score: 7.25, threshold: 2.5, distance: 1.5 },
            model: "hdfs-v1".to_owned(),
            explanation,
            events: 5,
            nearby: vec![nearby],
        })),
    }
}

/// Why the block of [`alert`] was judged so: a replica that never came, and a failure that the last line tells of.
fn explanation() -> Explanation {
    let [allocated, received, failed] = [
        "BLOCK* NameSystem.allocateBlock: <*>",
        "Received block blk_<*> of size <*> from <*>",
        "writeBlock blk_<*> received exception <*>",
    ];
    let missing = Deviation {
        kind: DeviationKind::Missing,
        template: received.to_owned(),
        count: 2,
        expected: 3,
        seen: 1,
        nats: 0.0,
        position: None,
    };
    let unknown = Deviation {
        kind: DeviationKind::Unknown,
        template: failed.to_owned(),
        count: 1,
        expected: 0,
        seen: 1,
        nats: 7.25,
        position: Some(position(1000)),
    };
    let normal = |template: &str, expected| NormalEvent { template: template.to_owned(), expected, seen: 1 };
    let nearest = NormalStory { events: vec![normal(allocated, 1), normal(received, 3)], events_left_out: 1, share: 0.25 };
    let shown = |(template, nats): (u16, f32)| ShownEvent { position: position(1000 * u64::from(template)), template, nats };
    Explanation {
        deviations: vec![missing, unknown],
        training_sessions_above: 0,
        training_sessions: 5583,
        from_start: true,
        nearest: Some(nearest),
        end_nats: Some(5.5),
        events: [(0, 0.25), (1, 7.25), (2, 1.5)].map(shown).to_vec(),
        templates: [allocated, failed, received].map(str::to_owned).to_vec(),
        evidence: vec![position(3000)],
    }
}

fn trouble() -> Alert {
    let first = LogTime(1_226_259_318_143);
    let lost = Complaint {
        reason: Reason::KnownFault,
        template: "BLOCK* NameSystem.heartbeatCheck: lost heartbeat from <*>".to_owned(),
        exception: None,
        statement: Some(Statement::LostNode),
        subject: Some("10.0.0.1:50010".to_owned()),
        level: Level::Info,
        count: 1,
        first,
        last: first,
        usual_per_minute: 0,
    };
    let storm = Complaint {
        reason: Reason::Burst,
        template: "IPC Server handler <*> caught".to_owned(),
        exception: Some("java.io.IOException".to_owned()),
        statement: None,
        subject: None,
        level: Level::Warn,
        count: 1200,
        last: first.plus_millis(9000),
        usual_per_minute: 3,
        ..lost.clone()
    };
    Alert {
        alert_type: AlertType::Trouble,
        reason: Reason::KnownFault,
        positions: vec![position(0)],
        finding: Finding::Host(Box::new(HostFinding {
            host: "nn1".to_owned(),
            roles: vec![Role::NameNode, Role::Other],
            complaints: vec![lost, storm],
            complaints_left_out: 0,
            also_on: vec!["nn2".to_owned()],
        })),
        mode: None,
        ..alert()
    }
}

/// [`explanation`] as JSON.
fn explanation_object() -> serde_json::Value {
    serde_json::json!({
        "summary": "The story of blk_-1608999687919862906 is less likely than 5,583 of 5,583 normal stories: expected 3 × “Received block”, saw 1.",
        "difference": [
            "expected 3 × “Received block”, saw 1",
            "unexpected: “writeBlock received exception” (java.io.IOException), once; no normal story has it",
            "the story stops where normal ones go on (5.50 nats)",
        ],
        "deviations": [
            {
                "kind": "missing", "template": "Received block blk_<*> of size <*> from <*>", "count": 2, "expected": 3, "seen": 1,
                "nats": 0.0, "text": "missing 2 times",
            },
            {
                "kind": "unknown", "template": "writeBlock blk_<*> received exception <*>", "count": 1, "expected": 0, "seen": 1,
                "nats": 7.25, "exception": "java.io.IOException", "text": "never seen in a normal story, here once",
            },
        ],
        "from_start": true,
        "nearest": {
            "events": [
                {"template": "BLOCK* NameSystem.allocateBlock: <*>", "expected": 1, "seen": 1},
                {"template": "Received block blk_<*> of size <*> from <*>", "expected": 3, "seen": 1},
            ],
            "events_left_out": 1,
            "share": 0.25,
        },
        "end_nats": 5.5,
        "training_sessions": 5583,
        "training_sessions_above": 0,
    })
}

/// A quoted line of a block's event as JSON.
fn event(mut line: serde_json::Value, template: &str, nats: f32, shows: Option<&str>) -> serde_json::Value {
    (line["template"], line["nats"]) = (template.into(), nats.into());
    if let Some(shows) = shows {
        line["shows"] = shows.into();
    }
    line
}

/// A quoted line as JSON.
fn line(offset: u64, text: &str) -> serde_json::Value {
    let (file, host, role) = match offset {
        1000 => ("datanode-dn1.example.org.log.1", "dn1.example.org", "data_node"),
        _ => ("namenode-nn1.log", "nn1", "name_node"),
    };
    let path = format!("/var/log/hadoop-hdfs/hadoop-hdfs-{file}");
    serde_json::json!({"path": path, "offset": offset, "host": host, "role": role, "text": text})
}

fn position(offset: u64) -> Position {
    Position { source: SourceId(0), offset, length: 100 }
}

const LINES: [&str; 4] = [
    "081109 203518 35 INFO dfs.FSNamesystem: BLOCK* NameSystem.allocateBlock: /mnt/hadoop/mapred/system/job_200811092030_0001/job.jar. blk_-1608999687919862906",
    "081109 203518 143 INFO dfs.DataNode$DataXceiver: writeBlock blk_-1608999687919862906 received exception java.io.IOException: Could not read from stream to 10.250.19.102:50010",
    "",
    "081109 203519 35 INFO dfs.FSNamesystem: BLOCK* NameSystem.addStoredBlock: blockMap updated: 10.250.11.7:50010 is added to blk_-1608999687919862906 size 67108864",
];

struct Example;

impl LineSource for Example {
    fn line(&self, position: Position) -> Line {
        let role = if position.offset == 1000 { "datanode-dn1.example.org.log.1" } else { "namenode-nn1.log" };
        let text =
            LINES.get(position.offset as usize / 1000).filter(|text| !text.is_empty()).map(|text| text.as_bytes().to_vec());
        Line {
            path: format!("/var/log/hadoop-hdfs/hadoop-hdfs-{role}").into(),
            offset: position.offset,
            text: text.ok_or_else(|| "the file was rotated away".to_owned()),
        }
    }
}

/// Lines whose numbers serve as offsets.
struct Lines<'a>(&'a [&'a str]);

impl LineSource for Lines<'_> {
    fn line(&self, position: Position) -> Line {
        let text = self.0.get(position.offset as usize).map(|text| text.as_bytes().to_vec());
        Line { path: "HDFS.log".into(), offset: position.offset, text: text.ok_or_else(|| "gone".to_owned()) }
    }
}

/// One line, whatever is asked for.
struct One(Line);

impl LineSource for One {
    fn line(&self, _: Position) -> Line {
        self.0.clone()
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
