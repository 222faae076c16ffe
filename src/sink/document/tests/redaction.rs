//! What is redacted is nowhere in a document, neither in the lines nor in what is cut or made out of them.

use super::*;

#[test]
fn what_is_redacted_is_nowhere_in_the_document() {
    let patterns = ["10(\\.\\d+){3}", "job[^ ]*", "IOException", "dn1", "heartbeat"].map(str::to_owned);
    let redaction = Redaction::new(&patterns).unwrap();
    for alert in [alert(), trouble()] {
        let document = Document::redacted(&alert, &Example, &TimeZone::UTC, &redaction);
        let json = document.to_json();
        for taken_out in ["10.250", "10.0.0.1", "job", "IOException", "dn1", "heartbeat"] {
            assert!(!json.contains(taken_out), "{taken_out}: {json}");
        }
        assert!(json.contains("[redacted]"), "{json}");
    }
    let block = Document::redacted(&alert(), &Example, &TimeZone::UTC, &redaction).block().unwrap().clone();
    assert_eq!(block.hdfs_path.as_deref(), Some("/mnt/hadoop/mapred/system/[redacted]"));
    assert_eq!((block.replicas_confirmed, block.replicas_on), (Some(1), vec!["[redacted]:50010".to_owned()]));
    assert_eq!(block.look_further, ["hdfs fsck -blockId blk_-1608999687919862906"]);
}

#[test]
fn what_a_pattern_finds_by_the_words_beside_it_is_told_nowhere_else() {
    let (allocated, stored) = (
        "2021-07-15 22:43:01,109 INFO a.b.StateChange: BLOCK* allocate blk_1_1001, replicas=10.1.1.2:9866 for /user/bob/x",
        "2021-07-15 22:43:02,109 INFO BlockStateChange: BLOCK* addStoredBlock: 10.1.1.3:9866 is added to blk_1_1001 (size=5)",
    );
    let failed = "2021-07-15 22:43:02,109 WARN a.b.DataNode: blk_1 of /10.1.1.4:9866 failed: secret.LostException: x";
    let lines = [allocated, stored, failed];
    let mut alert = Alert { positions: (0..3).map(position).collect(), ..alert() };
    let Finding::Block(finding) = &mut alert.finding else { panic!("it is of a block") };
    finding.explanation.deviations[1].position = Some(position(2));
    finding.explanation.evidence = Vec::new();
    (finding.nearby[0].position, finding.nearby[0].host) = (position(2), "HDFS".to_owned());
    finding.nearby[0].template = "blk_<*> of <*> failed: <*> (secret.LostException)".to_owned();
    let patterns =
        [r"/\d+(\.\d+){3}:\d+", r"replicas=\S+", r"for /user/\S+", r"addStoredBlock: \S+", r"failed: [\w.]+", r"HDFS\.log"];
    let redaction = Redaction::new(&patterns.map(str::to_owned)).unwrap();
    let document = Document::redacted(&alert, &Lines(&lines), &TimeZone::UTC, &redaction);
    let json = document.to_json();
    for taken_out in ["10.1.1.", "/user/bob", "LostException", "HDFS"] {
        assert!(!json.contains(taken_out), "{taken_out}: {json}");
    }
    let block = document.block().unwrap();
    assert_eq!((block.hdfs_path.as_deref(), block.replicas_confirmed), (Some("[redacted]"), Some(1)));
    assert_eq!((&block.datanodes, &block.replicas_on), (&vec!["[redacted]".to_owned()], &vec!["[redacted]".to_owned()]));
    assert_eq!(block.look_further.len(), 1, "{json}");
}

#[test]
fn what_a_pattern_finds_by_the_words_beside_it_is_not_told_of_hosts() {
    let line = "081109 203518 35 INFO dfs.FSNamesystem: BLOCK* NameSystem.heartbeatCheck: lost heartbeat from 10.0.0.1:50010";
    let source = |text: Result<Vec<u8>, String>| One(Line { path: "/logs/namenode-nn1.log".into(), offset: 0, text });
    let patterns = [r"from \d+(\.\d+){3}", r"namenode-nn\d", r"java\.io\.\w+ at last"].map(str::to_owned);
    let redaction = Redaction::new(&patterns).unwrap();
    for source in [source(Ok(format!("{line} java.io.IOException at last").into_bytes())), source(Err("gone".to_owned()))] {
        let document = Document::redacted(&trouble(), &source, &TimeZone::UTC, &redaction);
        let json = document.to_json();
        assert!(["10.0.0.1", "nn1", "nn2"].iter().all(|taken_out| !json.contains(taken_out)), "{json}");
        assert_eq!(json.contains("IOException"), document.lines[0].text.is_none(), "{json}");
        let About::Host(host) = &document.about else { panic!("it is of a host") };
        assert_eq!(host.templates[0].subject.as_deref(), Some("[redacted]:50010"));
    }
}

#[test]
fn what_a_pattern_finds_by_what_a_template_leaves_out_is_not_told_of_the_template() {
    let secret = "Write refused uid=<*>(alice) on host dn-<*>.secret.example.com";
    let mut block = alert();
    let Finding::Block(finding) = &mut block.finding else { panic!("it is of a block") };
    (finding.explanation.deviations[0].template, finding.explanation.templates[1]) = (secret.to_owned(), secret.to_owned());
    finding.explanation.nearest.as_mut().unwrap().events[0].template = secret.to_owned();
    finding.nearby[0].template = secret.to_owned();
    let mut host = trouble();
    let Finding::Host(finding) = &mut host.finding else { panic!("it is of a host") };
    (finding.complaints[0].template, finding.complaints[0].statement) = (secret.to_owned(), None);
    let stranger = || TemplateFinding { template: secret.to_owned(), ..stranger() };
    let template = Alert { finding: Finding::Template(Box::new(stranger())), ..mismatch() };
    let mut model = mismatch();
    let Finding::Domain(finding) = &mut model.finding else { panic!("it is of the model") };
    finding.templates = vec![stranger()];
    let redaction = Redaction::new(&[r"uid=\d+\(\w+\)", r"dn-\d+\.secret\.example\.com"].map(str::to_owned)).unwrap();
    for alert in [block, host, template, model] {
        let json = Document::redacted(&alert, &Example, &TimeZone::UTC, &redaction).to_json();
        assert!(["alice", "secret"].iter().all(|taken_out| !json.contains(taken_out)), "{json}");
        assert!(json.contains("Write refused [redacted] on host [redacted]"), "{json}");
    }
}

#[test]
fn a_secret_is_taken_out_before_texts_are_cut() {
    let secret = format!("{}secret", "x".repeat(DOCUMENT_TEXT_BYTES_MAX - 3));
    let source = One(Line { path: "a.log".into(), offset: 0, text: Ok(secret.into_bytes()) });
    let redaction = Redaction::new(&["secret".to_owned()]).unwrap();
    let edge = Edge { source: &source, zone: &TimeZone::UTC, redaction: &redaction };
    let text = edge.read(position(0)).line.text.unwrap();
    assert!(text.ends_with("x[re…"), "{text}");
}
