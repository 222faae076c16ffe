//! Trouble of hosts that names no block, told by the real binary of the logs of a real HDFS.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;

use crate::real_data;
use crate::vigil::{Place, model};

#[test]
fn a_healthy_cluster_is_left_alone_from_its_start_to_its_orderly_stop() {
    let Some(alerts) = replay("hadoop3/clean") else { return };
    assert_eq!(of_hosts(&alerts).count(), 0);
}

#[test]
fn every_fault_of_a_host_is_told() {
    let Some(alerts) = faults() else { return };
    // What `faults.tsv` says was done, and when: the alert has to come within its minute.
    for (done, from, hosts, meaning) in [
        ("kill 3", "03:44:47", &["nn1"][..], "the NameNode has lost a DataNode"),
        ("start 3", "03:45:47", &["dn3"], "a process has started again"),
        ("freeze 4", "03:47:07", &["dn4"], "a process stood still"),
        ("full 1", "03:48:17", &["dn1"], "a volume is full"),
        ("stop 2", "03:51:27", &["nn1"], "the NameNode has lost a DataNode"),
        ("kill 1", "03:54:27", &["nn1"], "the NameNode has lost a DataNode"),
        ("start 1", "03:55:17", &["dn1"], "a process has started again"),
        ("freeze 2", "03:56:07", &["dn2"], "a process stood still"),
    ] {
        let mut told = of_hosts(alerts).filter(|alert| hosts.contains(&text(&alert["host"])) && says(alert, meaning));
        assert!(told.any(|alert| is_within_a_minute(text(&alert["time"]), from)), "{done} is not told of {hosts:?}: {meaning}");
    }
    let told: Vec<String> =
        of_hosts(alerts).map(|alert| format!("{} {}", text(&alert["time"]), text(&alert["summary"]))).collect();
    assert!(told.len() <= 15, "nobody wants to read so many: {told:#?}");
    let writers =
        of_hosts(alerts).find(|alert| text(&alert["reason"]) == "new").expect("those that write to a dead node complain");
    assert_eq!(text(&writers["templates"][0]["exception"]), "java.net.ConnectException");
    assert!(writers["also_on"].as_array().is_some_and(|hosts| !hosts.is_empty()), "it shows on others too: {writers}");
}

#[test]
fn alerts_say_which_host_and_role_and_quote_its_lines() {
    let Some(alerts) = faults() else { return };
    let ids: BTreeSet<&str> = of_hosts(alerts).map(|alert| text(&alert["id"])).collect();
    assert_eq!(ids.len(), of_hosts(alerts).count(), "each has an id of its own");
    for alert in of_hosts(alerts) {
        let (host, lines) = (text(&alert["host"]), alert["lines"].as_array().expect("lines are a list"));
        let role = if host == "nn1" { "name_node" } else { "data_node" };
        assert_eq!(alert["roles"], serde_json::json!([role]), "{alert}");
        assert!(
            !lines.is_empty()
                && lines.iter().all(|line| line["host"] == host && line["role"] == role && line["text"].is_string())
        );
        assert!(lines.iter().all(|line| !text(&line["text"]).contains("blk_")), "{alert}");
    }
}

#[test]
fn an_alert_on_a_block_carries_the_trouble_of_its_hosts() {
    let Some(alerts) = faults() else { return };
    let near = |alert: &&Value| {
        let nearby = alert["nearby"].as_array().expect("nearby is a list");
        nearby.iter().any(|near| text(&near["text"]).contains("java.net.ConnectException"))
    };
    let blocks = || alerts.iter().filter(|alert| alert["block"].is_string());
    let alert = blocks().find(near).expect("blocks fail while a DataNode is dead");
    for near in alert["nearby"].as_array().expect("it is a list") {
        assert!(alert["hosts"].as_array().is_some_and(|hosts| hosts.contains(&near["host"])), "{near} of no host of {alert}");
        assert_eq!((&near["line"]["host"], near["line"]["text"].is_string()), (&near["host"], true), "{near}");
    }
    let quiet = blocks().filter(|alert| alert["nearby"] == serde_json::json!([])).count();
    assert!(quiet > 1000, "most blocks go wrong with no trouble near: {quiet}");
}

#[test]
fn a_running_daemon_tells_once_and_not_again_after_a_crash() {
    let place = Place::new("");
    let log = place.logs().join("hadoop-hdfs-namenode-nn1.log");
    let line = |second: u32, message: &str| {
        format!("2026-11-23 03:45:{second:02},000 INFO org.apache.hadoop.hdfs.StateChange: {message}\n")
    };
    let lost = line(6, "BLOCK* removeDeadDatanode: lost heartbeat from 127.0.0.1:29030, removeBlocksFromBlockMap true");
    append(&log, &format!("{}{lost}{}", line(1, "DIR* completeFile: /a is closed"), line(15, "DIR* completeFile: /b is closed")));
    let vigil = place.start();
    place.wait_for("the lines to be read", |place| place.said().contains("Following the logs"));
    vigil.kill();
    append(&log, &format!("{}{}", line(17, "DIR* completeFile: /c is closed"), line(18, "DIR* completeFile: /d is closed")));
    let vigil = place.start();
    place.wait_for("the alert", |place| !place.alerts().is_empty());
    assert!(vigil.stop().success());
    let vigil = place.start();
    // A signal that comes before the daemon listens to signals ends it.
    place.wait_for("the third start", |place| place.said().matches("Following the logs").count() == 3);
    assert!(vigil.stop().success());
    let alerts = place.alerts();
    assert_eq!(place.alert_ids().len(), 1);
    assert_eq!(
        (text(&alerts[0]["type"]), text(&alerts[0]["reason"]), text(&alerts[0]["host"])),
        ("host.trouble", "known_fault", "nn1")
    );
    assert_eq!(text(&alerts[0]["summary"]), "nn1: the NameNode has lost a DataNode (127.0.0.1:29030).");
    assert_eq!(text(&alerts[0]["lines"][0]["text"]), lost.trim_end());
}

/// Those of the cluster into which faults were put, replayed once for all tests.
fn faults() -> Option<&'static [Value]> {
    static ALERTS: OnceLock<Option<Vec<Value>>> = OnceLock::new();
    ALERTS.get_or_init(|| replay("hadoop3/faults")).as_deref()
}

/// The alerts of a replay of these logs; `None`, with a word, where the shared data is not. The model knows nothing of this HDFS and is
/// not allowed to say so, so that every block is told of.
fn replay(name: &str) -> Option<Vec<Value>> {
    let place = Place::new("[domain]\nenabled = false");
    real_data::unpack(name, &place.logs(), |_| true)?;
    let [logs, model, out] = [place.logs(), model(), place.path("alerts.jsonl")].map(|path| path.display().to_string());
    let config = place.path("vigil.toml").display().to_string();
    let (code, _, complaint) = place.run(&["replay", &logs, "--model", &model, "--config", &config, "--alerts", &out, "--json"]);
    assert_eq!(code, Some(0), "{complaint}");
    Some(place.alerts())
}

fn of_hosts(alerts: &[Value]) -> impl Iterator<Item = &Value> {
    alerts.iter().filter(|alert| alert["type"] == "host.trouble")
}

fn says(alert: &Value, meaning: &str) -> bool {
    let templates = alert["templates"].as_array().expect("templates are a list");
    templates.iter().any(|template| template["meaning"].as_str().is_some_and(|said| said.starts_with(meaning)))
}

/// Whether an instant of that day lies in the minute after `from`, `hh:mm:ss`.
fn is_within_a_minute(time: &str, from: &str) -> bool {
    let seconds = |clock: &str| clock.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().expect("a number"));
    (0.0..60.0).contains(&(seconds(&time[11..23]) - seconds(from)))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn append(path: &Path, text: &str) {
    let mut file = File::options().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
