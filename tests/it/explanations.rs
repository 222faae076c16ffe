//! Blocks of HDFS_v1 that went wrong in known ways, through the real program: each kind's explanation names the right events. Which kind
//! a session is of is decided here, by the numbers of its events alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::OnceLock;

use serde_json::Value;

use crate::vigil::{Place, append, model};

#[test]
fn an_unfinished_write_lacks_what_its_numbers_lack() {
    let (_, alerts, sessions) = replayed();
    let unfinished: Vec<_> = sessions.iter().filter(|session| session.kind() == Kind::UnfinishedWrite).collect();
    assert!(unfinished.len() >= 5, "{}", unfinished.len());
    for session in &unfinished {
        let alert = alert_on(alerts, session);
        assert_eq!(text(&alert["reason"]), "unlikely_story", "{alert}");
        let of_kind = |kind: &str| deviations(alert).iter().filter(|deviation| deviation["kind"] == kind).collect::<Vec<_>>();
        assert!(of_kind("unknown").is_empty() && of_kind("excess").is_empty(), "{alert}");
        let lacking: BTreeMap<u32, (u64, u64)> = of_kind("missing").into_iter().map(lack).collect();
        assert_eq!(lacking, session.lacking(), "{}", session.block);
        for sentence in session.lacking().values().map(|&(expected, seen)| words(expected, seen)) {
            assert!(difference(alert).iter().any(|told| told.contains(&sentence)), "{sentence} is not in {alert}");
        }
        let end = alert["explanation"]["end_nats"].as_f64().expect("the story has ended");
        let stops = difference(alert).iter().any(|told| told.starts_with("the story stops where normal ones go on"));
        assert_eq!(stops, end > alert["threshold"].as_f64().unwrap(), "{alert}");
    }
    let lacks = |session: &Session| session.lacking().into_keys().collect::<Vec<_>>();
    let pairs: BTreeSet<_> =
        unfinished.iter().map(|session| (lacks(session), text(&alert_on(alerts, session)["signature"]))).collect();
    assert!(pairs.len() < unfinished.len(), "some lack more or less of the same");
    for of in [pairs.iter().map(|(lack, _)| format!("{lack:?}")).collect(), pairs.iter().map(|(_, s)| (*s).to_owned()).collect()]
    {
        let distinct: BTreeSet<String> = of;
        assert_eq!(distinct.len(), pairs.len(), "what lacks the same has the same signature, however much of it: {pairs:?}");
    }
}

#[test]
fn each_kind_of_failure_is_named_with_its_line_and_its_error() {
    let (_, alerts, sessions) = replayed();
    let mut signatures: BTreeMap<&str, Kind> = BTreeMap::new();
    for kind in FAILURES {
        let of_kind: Vec<_> = sessions.iter().filter(|session| session.kind() == kind).collect();
        assert!(of_kind.len() >= 2, "{kind:?}: {}", of_kind.len());
        for session in &of_kind {
            let alert = alert_on(alerts, session);
            let (sentence, exception) = telling(session.first_failure().expect("it has one"));
            assert_eq!(text(&alert["reason"]), "unknown_event", "{alert}");
            let worst = &deviations(alert)[0];
            assert_eq!((&worst["kind"], &worst["expected"]), (&"unknown".into(), &0.into()), "{alert}");
            assert!(text(&worst["template"]).contains(sentence), "{sentence} is not in {worst}");
            assert_eq!(worst["exception"].as_str(), exception, "{worst}");
            assert!(difference(alert)[0].starts_with("unexpected: “"), "{alert}");
            let shown: Vec<_> = lines(alert).iter().filter(|line| line["shows"] == "unknown").collect();
            assert!(!shown.is_empty() && shown.iter().all(|line| is_quote_of(line, session, sentence)), "{alert}");
            let most = lines(alert).iter().filter_map(|line| line["nats"].as_f64()).fold(0.0, f64::max);
            assert!(shown.iter().any(|line| line["nats"].as_f64() == Some(most)), "nothing is less expected: {alert}");
            assert_eq!(*signatures.entry(text(&alert["signature"])).or_insert(kind), kind, "{alert}");
        }
        let told = signatures.values().filter(|other| **other == kind).count();
        assert!(told < of_kind.len(), "{kind:?} goes by {told} signatures");
    }
}

#[test]
fn an_alert_says_where_the_block_is_and_how_to_look_further() {
    let (_, alerts, sessions) = replayed();
    for session in sessions {
        let alert = alert_on(alerts, session);
        let first = session.events.iter().position(|event| Some(*event) == session.first_failure());
        let until = first.map_or(session.events.len(), |place| place + 1);
        assert_eq!(alert["events"], Value::from(until), "a failure is told at once: {alert}");
        let so_far = &session.events[..until];
        let has = |event: u32| so_far.contains(&event);
        let path = has(22).then(|| session.path());
        assert_eq!(alert["hdfs_path"].as_str(), path.as_deref(), "{alert}");
        let fsck = format!("hdfs fsck -blockId {}", session.block);
        let commands = std::iter::once(fsck).chain(path.map(|path| format!("hdfs fsck {path} -files -blocks -locations")));
        assert_eq!(alert["look_further"], Value::from(commands.collect::<Vec<_>>()), "{alert}");
        let told_by_namenode = so_far.iter().any(|event| NAMENODE.contains(event));
        let stored: BTreeSet<usize> =
            so_far.iter().enumerate().filter(|(_, event)| **event == 26).map(|(place, _)| place % DATANODES).collect();
        let replicas = told_by_namenode.then_some(stored.len() as u64);
        assert_eq!(alert["replicas_confirmed"].as_u64(), replicas, "{alert}");
        let addresses: Vec<String> = stored.iter().map(|&datanode| address(datanode)).collect();
        assert_eq!(alert["replicas_on"], Value::from(addresses), "{alert}");
        let normal = alert["explanation"]["nearest"]["events"].as_array().expect("there is a nearest story");
        let event = normal.iter().find(|event| text(&event["template"]).contains("Receiving block")).expect("blocks are written");
        assert_eq!(event["seen"].as_u64().unwrap() as usize, so_far.iter().filter(|event| **event == 5).count(), "{alert}");
    }
}

#[test]
fn what_is_redacted_reaches_neither_the_file_nor_the_terminal() {
    let redact = "[alerts]\nredact = [\"/user/[^/ ]+\", \"10(\\\\.\\\\d+){3}\", \"IOException\"]\n";
    let (place, sessions) = place(redact);
    let (code, printed, complaint) = run(&place, &["--show", "100"]);
    assert_eq!(code, Some(0), "{complaint}");
    let written = fs::read_to_string(place.path("alerts.jsonl")).unwrap();
    for told in [&printed, &written] {
        assert!(["/user/", "10.250.", "IOException"].iter().all(|taken_out| !told.contains(taken_out)), "{told}");
        assert!(told.contains("[redacted]/out/part-") && sessions.iter().all(|session| told.contains(&session.block)), "{told}");
    }
}

/// What went wrong with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// No failure is told, and the NameNode knows of fewer than three replicas.
    UnfinishedWrite,
    /// A DataNode is to delete what it does not have.
    DeletionOfUnknownBlock,
    /// A replica could not be copied.
    FailedTransfer,
    /// A client or a mirror could not be served.
    FailedWrite,
    /// A replica is stored that the NameNode knew of.
    RedundantStore,
    /// A replica is stored of a file that is gone.
    StoreOfNoFile,
    /// A packet without data came.
    EmptyPacket,
}

const FAILURES: [Kind; 6] = [
    Kind::DeletionOfUnknownBlock,
    Kind::FailedTransfer,
    Kind::FailedWrite,
    Kind::RedundantStore,
    Kind::StoreOfNoFile,
    Kind::EmptyPacket,
];

/// A block of HDFS_v1: the numbers of its events as LogHub counts them.
struct Session {
    number: usize,
    block: String,
    events: Vec<u32>,
}

impl Session {
    /// The kind, by the first event that tells of a failure.
    fn kind(&self) -> Kind {
        match self.first_failure() {
            None => Kind::UnfinishedWrite,
            Some(20) => Kind::DeletionOfUnknownBlock,
            Some(17) => Kind::FailedTransfer,
            Some(27) => Kind::RedundantStore,
            Some(28) => Kind::StoreOfNoFile,
            Some(13) => Kind::EmptyPacket,
            Some(_) => Kind::FailedWrite,
        }
    }

    fn first_failure(&self) -> Option<u32> {
        self.events.iter().copied().find(|event| [7, 10, 12, 13, 14, 17, 20, 27, 28].contains(event))
    }

    /// Of each event of a write to three DataNodes how often it should come and how often it does, where that is less.
    fn lacking(&self) -> BTreeMap<u32, (u64, u64)> {
        let seen = |event: u32| self.events.iter().filter(|other| **other == event).count() as u64;
        let write = [(22, 1), (5, 3), (11, 3), (9, 3), (26, 3)].into_iter();
        write.map(|(event, expected)| (event, (expected, seen(event)))).filter(|(_, (expected, seen))| seen < expected).collect()
    }

    fn path(&self) -> String {
        format!("/user/alice/out/part-{:05}", self.number)
    }

    /// The line of the event at `place`, without its time, and the log that it stands in: the NameNode's or that of a DataNode.
    fn line(&self, place: usize) -> (String, String) {
        let (block, event) = (&self.block, self.events[place]);
        let (here, there) = (address(place % DATANODES), address((place + 1) % DATANODES));
        let (ip, size, path) = (&there[..there.len() - ":50010".len()], 67_108_864, self.path());
        let message = match event {
            2 => format!("dfs.DataBlockScanner: Verification succeeded for {block}"),
            3 => format!("dfs.DataNode$DataXceiver: {here} Served block {block} to /{ip}"),
            4 => format!("dfs.DataNode$DataXceiver: {here}:Got exception while serving {block} to /{ip}:"),
            5 => format!("dfs.DataNode$DataXceiver: Receiving block {block} src: /{ip}:4{place:04} dest: /{here}"),
            6 => format!("dfs.DataNode$DataXceiver: Received block {block} src: /{ip}:4{place:04} dest: /{here} of size {size}"),
            7 => format!(
                "dfs.DataNode$DataXceiver: writeBlock {block} received exception java.io.IOException: Could not read from stream"
            ),
            9 => format!("dfs.DataNode$PacketResponder: Received block {block} of size {size} from /{ip}"),
            10 => format!("dfs.DataNode$PacketResponder: PacketResponder {block} 2 Exception java.io.EOFException"),
            11 => format!("dfs.DataNode$PacketResponder: PacketResponder {} for block {block} terminating", place % 3),
            12 => format!("dfs.DataNode$DataXceiver: {here}:Exception writing block {block} to mirror {there}"),
            13 => format!("dfs.DataNode$BlockReceiver: Receiving empty packet for block {block}"),
            14 => format!(
                "dfs.DataNode$BlockReceiver: Exception in receiveBlock for block {block} java.io.IOException: Connection reset by peer"
            ),
            16 => format!("dfs.DataNode$DataTransfer: {here}:Transmitted block {block} to /{there}"),
            17 => format!(
                "dfs.DataNode: {here}:Failed to transfer {block} to {there} got java.io.IOException: Connection reset by peer"
            ),
            18 => format!("dfs.DataNode: {here} Starting thread to transfer block {block} to {there}"),
            20 => format!("dfs.FSDataset: Unexpected error trying to delete block {block}. BlockInfo not found in volumeMap."),
            21 => format!("dfs.FSDataset: Deleting block {block} file /mnt/hadoop/dfs/data/current/{block}"),
            22 => format!("dfs.FSNamesystem: BLOCK* NameSystem.allocateBlock: {path}. {block}"),
            23 => format!("dfs.FSNamesystem: BLOCK* NameSystem.delete: {block} is added to invalidSet of {here}"),
            25 => format!("dfs.FSNamesystem: BLOCK* ask {here} to replicate {block} to datanode(s) {there}"),
            26 => format!(
                "dfs.FSNamesystem: BLOCK* NameSystem.addStoredBlock: blockMap updated: {here} is added to {block} size {size}"
            ),
            27 => format!(
                "dfs.FSNamesystem: BLOCK* NameSystem.addStoredBlock: Redundant addStoredBlock request received for {block} on {here} size {size}"
            ),
            28 => format!(
                "dfs.FSNamesystem: BLOCK* NameSystem.addStoredBlock: addStoredBlock request received for {block} on {here} size {size} But it does not belong to any file."
            ),
            _ => panic!("event {event} of {block} has no words here"),
        };
        let log = if NAMENODE.contains(&event) { "namenode-nn1".to_owned() } else { format!("datanode-dn{}", place % DATANODES) };
        (format!("hadoop-hdfs-{log}.log"), format!("21 INFO {message}"))
    }
}

/// The sentence that an event of a failure is known by, and the exception that its line tells of.
fn telling(event: u32) -> (&'static str, Option<&'static str>) {
    match event {
        7 => ("received exception", Some("java.io.IOException")),
        10 => ("Exception", Some("java.io.EOFException")),
        12 => ("Exception writing block", None),
        13 => ("Receiving empty packet for block", None),
        14 => ("Exception in receiveBlock for block", Some("java.io.IOException")),
        17 => ("Failed to transfer", Some("java.io.IOException")),
        20 => ("Unexpected error trying to delete block", None),
        27 => ("Redundant addStoredBlock request received", None),
        28 => ("But it does not belong to any file", None),
        _ => panic!("event {event} tells of no failure"),
    }
}

/// The number of the event that a missing one is, how often it was expected and how often seen.
fn lack(missing: &Value) -> (u32, (u64, u64)) {
    let sentences =
        [(5, "Receiving block"), (9, "Received block"), (11, "PacketResponder"), (22, "allocateBlock"), (26, "blockMap updated")];
    let found = sentences.iter().find(|(_, sentence)| text(&missing["template"]).contains(sentence));
    let (expected, seen) = (missing["expected"].as_u64().unwrap(), missing["seen"].as_u64().unwrap());
    assert_eq!(missing["count"].as_u64(), Some(expected - seen), "{missing}");
    (found.unwrap_or_else(|| panic!("no write has {missing}")).0, (expected, seen))
}

fn words(expected: u64, seen: u64) -> String {
    match (expected, seen) {
        (1, 0) => "never came".to_owned(),
        (_, 0) => format!("never came, expected {expected} times"),
        _ => format!(", saw {seen}"),
    }
}

/// Whether a line is quoted as it was written, where it was written.
fn is_quote_of(line: &Value, session: &Session, sentence: &str) -> bool {
    let quoted = text(&line["text"]);
    let written = fs::read_to_string(text(&line["path"]));
    quoted.contains(sentence)
        && quoted.contains(&session.block)
        && written.is_ok_and(|written| written[line["offset"].as_u64().unwrap() as usize..].starts_with(quoted))
}

/// The alerts of a replay and the sessions behind them, once for all tests.
fn replayed() -> &'static (Place, Vec<Value>, Vec<Session>) {
    static REPLAYED: OnceLock<(Place, Vec<Value>, Vec<Session>)> = OnceLock::new();
    REPLAYED.get_or_init(|| {
        let (place, sessions) = place("");
        let (code, _, complaint) = run(&place, &["--json"]);
        assert_eq!(code, Some(0), "{complaint}");
        let alerts = place.alerts();
        (place, alerts, sessions)
    })
}

/// Logs in which every session was written, one after the other, an event every two seconds.
fn place(more: &str) -> (Place, Vec<Session>) {
    let (place, sessions) = (Place::new(""), sessions());
    place.configure(more);
    let mut logs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut second = 0;
    for session in &sessions {
        second += 1000;
        for index in 0..session.events.len() {
            let (log, line) = session.line(index);
            logs.entry(log).or_default().push(format!("{} {line}", stamp(second)));
            second += 2;
        }
    }
    for (log, lines) in logs {
        append(&place.logs().join(log), &lines);
    }
    (place, sessions)
}

/// Replays the logs with the shipped model.
fn run(place: &Place, more: &[&str]) -> (Option<i32>, String, String) {
    let [logs, alerts, config, second] =
        ["logs", "alerts.jsonl", "vigil.toml", "more.toml"].map(|name| place.path(name).display().to_string());
    let model = model().display().to_string();
    let given = ["replay", &logs, "--model", &model, "--config", &config, "--config", &second, "--alerts", &alerts, "--flush"];
    place.run(&[&given[..], more].concat())
}

/// Sessions of HDFS_v1 that are labelled anomalous (LogHub; Xu et al., SOSP 2009), and of one of them what was written before it
/// failed, cut short at several events: unfinished writes are all alike there.
fn sessions() -> Vec<Session> {
    let text = include_str!("../data/hdfs_v1_anomalies.csv");
    let read = |(number, line): (usize, &str)| {
        let (block, events) = line.split_once(',').expect("a block and its events");
        let events = events.split(' ').map(|event| event[1..].parse().expect("a number")).collect();
        Session { number, block: block.to_owned(), events }
    };
    let mut sessions: Vec<Session> = text.lines().skip(1).enumerate().map(read).collect();
    let whole = sessions.iter().find(|session| session.block == WHOLE).expect("it is in the file").events.clone();
    for cut in [6, 8, 11, 12] {
        let block = format!("blk_{cut}");
        sessions.push(Session { number: sessions.len(), block, events: whole[..cut].to_vec() });
    }
    sessions
}

/// The alert on a block, which fires once.
fn alert_on<'a>(alerts: &'a [Value], session: &Session) -> &'a Value {
    let of_block: Vec<_> = alerts.iter().filter(|alert| alert["block"] == session.block.as_str()).collect();
    let [alert] = of_block[..] else { panic!("{} has {} alerts: {of_block:#?}", session.block, of_block.len()) };
    alert
}

fn deviations(alert: &Value) -> &[Value] {
    alert["explanation"]["deviations"].as_array().expect("deviations are a list")
}

fn difference(alert: &Value) -> Vec<&str> {
    alert["explanation"]["difference"].as_array().expect("the difference is a list").iter().map(text).collect()
}

fn lines(alert: &Value) -> &[Value] {
    alert["lines"].as_array().expect("lines are a list")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn address(datanode: usize) -> String {
    format!("10.250.0.{}:50010", datanode + 1)
}

fn stamp(second: usize) -> String {
    format!("0811{:02} {:02}{:02}{:02}", 9 + second / 86_400, second / 3600 % 24, second / 60 % 60, second % 60)
}

const DATANODES: usize = 5;

/// Events that the NameNode tells of.
const NAMENODE: [u32; 6] = [22, 23, 25, 26, 27, 28];

/// A write to three DataNodes that only at its end goes wrong.
const WHOLE: &str = "blk_-4447880442901091922";
