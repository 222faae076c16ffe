//! The shipped models of Hadoop 3 on the logs of a real HDFS: silent while all is well, and loud when something was done to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::real_data;
use crate::vigil::Place;

#[test]
fn a_healthy_cluster_is_left_alone_by_the_model_of_the_cluster() {
    check_clean("hadoop3-cluster", |_| true);
}

#[test]
fn a_healthy_cluster_is_left_alone_by_the_model_of_each_data_node() {
    for node in ["dn1", "dn2", "dn3", "dn4"] {
        check_clean("hadoop3-datanode", |log| log.contains(node));
    }
}

#[test]
fn every_visible_fault_is_told_and_blocks_that_are_well_are_not() {
    let Some(place) = unpacked("hadoop3/faults", |_| true) else { return };
    let blocks = blocks(&place);
    let faults = faults(&real_data::path("hadoop3/faults/faults.tsv").unwrap());
    let firing = firing(&replay(&place, "hadoop3-cluster"));
    let visible: Vec<&Fault> = faults.iter().filter(|fault| fault.is_visible(&blocks)).collect();
    assert_eq!((faults.len(), visible.len()), (10, 7), "what was done to the cluster, and what the logs say of it");
    for fault in visible {
        assert!(firing.iter().any(|(block, time)| fault.shows(block, *time, &blocks)), "missed: {fault:?}");
    }
    let clean: BTreeSet<&String> =
        blocks.keys().filter(|block| faults.iter().all(|fault| !fault.concerns(block, &blocks))).collect();
    let false_alarms: Vec<&String> = firing.keys().filter(|block| clean.contains(block)).collect();
    assert!(clean.len() > 900 && false_alarms.len() * 1000 <= clean.len(), "{false_alarms:?} of {}", clean.len());
}

/// At most one block in a thousand is told of, those included that are amid their life when the logs end.
fn check_clean(model: &str, is_wanted: impl Fn(&str) -> bool) {
    let Some(place) = unpacked("hadoop3/clean", is_wanted) else { return };
    let (firing, blocks) = (firing(&replay(&place, model)), blocks(&place));
    assert!(blocks.len() > 5000 && firing.len() * 1000 <= blocks.len(), "{firing:?} of {}", blocks.len());
}

/// Something that was done to the cluster.
#[derive(Debug)]
struct Fault {
    kind: String,
    node: String,
    /// From here on it shows, seconds since 1970.
    from: f64,
    /// Until here it may, unless it names blocks.
    to: f64,
    /// The blocks that it was done to; none when it was done to a process.
    named: BTreeSet<String>,
}

/// A fault goes on showing for so long after its end, seconds: the NameNode has found out, and replicas have been copied.
const SETTLING: f64 = 90.0;
/// Clocks of the list are whole seconds.
const EARLY: f64 = 2.0;

impl Fault {
    /// Whether the logs can show it: a block that was damaged is only found out when somebody looks at it.
    fn is_visible(&self, blocks: &Blocks) -> bool {
        let complains =
            |block: &String| blocks.get(block).is_some_and(|told| told.iter().any(|t| t.complains && t.time > self.from));
        self.named.is_empty() || self.named.iter().any(complains)
    }

    /// Whether an alert of that block at that time shows it.
    fn shows(&self, block: &str, time: f64, blocks: &Blocks) -> bool {
        time >= self.from - EARLY && self.concerns(block, blocks)
    }

    fn concerns(&self, block: &str, blocks: &Blocks) -> bool {
        let window = self.from - EARLY..=self.to + SETTLING;
        let in_time = || blocks.get(block).is_some_and(|told| told.iter().any(|told| window.contains(&told.time)));
        if self.named.is_empty() { in_time() } else { self.named.contains(block) }
    }
}

/// Lines of `faults.tsv`: seconds, what was done, the DataNode, the block.
fn faults(list: &Path) -> Vec<Fault> {
    let mut faults: Vec<Fault> = Vec::new();
    for line in fs::read_to_string(list).unwrap().lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let (time, kind, node) = (fields[0].parse::<f64>().unwrap(), fields[1], fields[2]);
        let ended: &[&str] = match kind {
            "start" => &["kill", "stop"],
            "thaw" => &["freeze"],
            "unfull" => &["full"],
            _ => &[],
        };
        if !ended.is_empty() {
            let began = |fault: &&mut Fault| ended.contains(&fault.kind.as_str()) && fault.node == node;
            faults.iter_mut().rev().find(began).unwrap().to = time;
        } else if ["corrupt", "lose"].contains(&kind) {
            let same = |fault: &&mut Fault| fault.kind == kind && fault.node == node && time - fault.from < 5.0;
            if faults.last_mut().filter(same).is_none() {
                faults.push(fault(kind, node, time));
            }
            faults.last_mut().unwrap().named.insert(fields[3].to_owned());
        } else if !["begin", "end"].contains(&kind) {
            // A client that is killed has been writing for some seconds.
            faults.push(fault(kind, node, if kind == "crash" { time - 10.0 } else { time }));
        }
    }
    faults
}

fn fault(kind: &str, node: &str, time: f64) -> Fault {
    Fault { kind: kind.to_owned(), node: node.to_owned(), from: time, to: time, named: BTreeSet::new() }
}

/// What the logs say of each block.
type Blocks = BTreeMap<String, Vec<Told>>;

/// A line that names a block.
struct Told {
    time: f64,
    /// Whether it warns, or says that something is corrupt, missing, invalid or not found.
    complains: bool,
}

fn blocks(place: &Place) -> Blocks {
    let mut blocks = Blocks::new();
    for log in fs::read_dir(place.logs()).unwrap() {
        let (mut time, mut warns) = (0.0, false);
        for line in String::from_utf8_lossy(&fs::read(log.unwrap().path()).unwrap()).lines() {
            if let Some(header) = header(line) {
                (time, warns) = header;
            }
            let said = line.to_lowercase();
            let complains = warns || ["corrupt", "missing", "invalid", "not found"].iter().any(|word| said.contains(word));
            for block in named(line) {
                blocks.entry(block).or_default().push(Told { time, complains });
            }
        }
    }
    blocks
}

/// The blocks that a line names: `blk_` and a number.
fn named(line: &str) -> BTreeSet<String> {
    let after = line.match_indices("blk_").map(|(at, _)| &line[at + 4..]);
    let number = |after: &str| {
        let digits = after.strip_prefix('-').unwrap_or(after);
        let length = digits.bytes().take_while(u8::is_ascii_digit).count();
        (length > 0).then(|| format!("blk_{}", &after[..after.len() - digits.len() + length]))
    };
    after.filter_map(number).collect()
}

/// Time and whether the level is WARN or ERROR, of a line that begins a record.
fn header(line: &str) -> Option<(f64, bool)> {
    let (time, rest) = line.split_at_checked(23)?;
    let time: jiff::civil::DateTime = time.replace(',', ".").parse().ok()?;
    let millis = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond();
    let level = rest.split_ascii_whitespace().next()?;
    Some((millis as f64 / 1000.0, ["WARN", "ERROR"].contains(&level)))
}

/// The blocks that fire at the end, with when they did first.
fn firing(alerts: &[Value]) -> BTreeMap<String, f64> {
    let mut firing = BTreeMap::new();
    for alert in alerts {
        let Some(block) = alert["block"].as_str() else { continue };
        let time: jiff::Timestamp = alert["time"].as_str().unwrap().parse().unwrap();
        if alert["type"] == "anomaly.firing" {
            firing.entry(block.to_owned()).or_insert(time.as_millisecond() as f64 / 1000.0);
        } else {
            firing.remove(block);
        }
    }
    firing
}

fn replay(place: &Place, model: &str) -> Vec<Value> {
    let model = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models").join(model).join("model.onnx");
    let [logs, model, out, config] =
        [place.logs(), model, place.path("alerts.jsonl"), place.path("vigil.toml")].map(|path| path.display().to_string());
    let (code, _, complaint) =
        place.run(&["replay", &logs, "--model", &model, "--config", &config, "--alerts", &out, "--flush", "--json"]);
    assert_eq!(code, Some(0), "{complaint}");
    place.alerts()
}

/// A place with these logs of the shared data, unpacked; `None`, with a word, where that is not.
fn unpacked(name: &str, is_wanted: impl Fn(&str) -> bool) -> Option<Place> {
    let place = Place::new("");
    real_data::unpack(name, &place.logs(), is_wanted)?;
    Some(place)
}
