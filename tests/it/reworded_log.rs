//! A cluster that is upgraded: sentences are worded anew while the model knows the old ones. Seen with the real model, through `replay`
//! and `learn`.

use std::fs;

use serde_json::Value;

use crate::real_data;
use crate::vigil::{Place, append, model, stories};

#[test]
fn two_frequent_sentences_reworded_halfway_are_two_alerts_and_the_blocks_are_judged_on() {
    let (plain, reworded) = (lines(), lines_reworded_from(BLOCKS / 2));
    let (before, _) = replay(&plain, 0..BLOCKS, None);
    let (after, alerts) = replay(&reworded, 0..BLOCKS, None);
    assert!(f1(&before) > 0.95, "{before}");
    assert!(f1(&after) > f1(&before) - 0.02, "{after}\nwithout the new words: {before}");
    assert_eq!((&after["new_templates"], &after["mismatches"]), (&Value::from(2), &Value::from(0)), "{after}");
    let of_blocks = |report: &Value| report["alerts"].as_u64().unwrap() - report["new_templates"].as_u64().unwrap();
    assert!(of_blocks(&after) <= of_blocks(&before) + 2 * 2 * 20, "a screen of alerts and their retraction at most: {after}");
    let told: Vec<&Value> = of_type(&alerts, "template.new").collect();
    let texts: Vec<&str> = told.iter().map(|alert| alert["template"].as_str().unwrap()).collect();
    assert!(texts.iter().any(|text| text.contains("Opening a replica of")), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("replica reported:")), "{texts:?}");
    for alert in told {
        let text = alert["lines"][0]["text"].as_str().unwrap();
        assert!(text.contains("Opening a replica of") || text.contains("replica reported:"), "{alert}");
        assert!(alert["advice"][0].as_str().unwrap().contains("hdfs-vigil learn"), "{alert}");
    }
}

#[test]
fn a_model_that_has_learnt_the_new_words_judges_as_the_old_one_did() {
    let half = BLOCKS / 2..BLOCKS;
    let (before, _) = replay(&lines_of(&lines(), half.clone()), half.clone(), None);
    let reworded = lines_of(&lines_reworded_from(BLOCKS / 2), half.clone());
    let place = Place::new("");
    append(&place.logs().join("hdfs.log"), &of_well_blocks(&reworded));
    let (code, _, complaint) = place.run(&["learn", "logs", "-o", "model.onnx", "--epochs", "10"]);
    assert_eq!(code, Some(0), "{complaint}");
    let (after, alerts) = replay(&reworded, half, Some(&place.path("model.onnx").display().to_string()));
    assert_eq!(after["unknown_events"].as_u64(), Some(of_failures(&reworded)), "{after}");
    assert!(f1(&after) >= f1(&before) - 0.01, "{after}\nthe old model on the old words: {before}");
    assert!(alerts.iter().all(|alert| alert["block"].is_string()), "nothing is new to it");
}

#[test]
fn what_the_operator_mutes_is_passed_over_from_the_first_line_on() {
    let reworded = lines_reworded_from(BLOCKS / 2);
    let mute = "[domain]\nmute = [\"Opening a replica of <*> src: <*> dest: <*>\"]";
    let (report, alerts) = replay_with(&reworded, 0..BLOCKS, None, mute);
    let texts: Vec<&Value> = of_type(&alerts, "template.new").map(|alert| &alert["template"]).collect();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].as_str().unwrap().contains("replica reported:"), "{texts:?} {report}");
}

#[test]
fn a_cluster_that_the_model_knows_nothing_of_is_one_alert_until_it_speaks_as_before() {
    let foreign = 300;
    let mut lines = lines();
    let end = first_line_of(&lines, foreign);
    lines[..end].iter_mut().for_each(|line| *line = in_other_words(line));
    let (report, alerts) = replay(&lines, 0..BLOCKS, None);
    let types: Vec<&str> = alerts.iter().map(|alert| alert["type"].as_str().unwrap()).collect();
    let at = |wanted: &str| types.iter().position(|found| *found == wanted).unwrap_or_else(|| panic!("no {wanted}: {report}"));
    let (from, to) = (at("model.domain_mismatch"), at("model.domain_resolved"));
    assert!(from <= 20 && to == from + 1, "some blocks before, none in it: {types:?}");
    assert!(types[to + 1..].iter().all(|found| found.starts_with("anomaly.")) && types.len() > to + 5, "{types:?}");
    assert_eq!(alerts[from]["incident"], alerts[to]["incident"]);
    assert_eq!((&report["mismatches"], &report["new_templates"]), (&Value::from(1), &Value::from(0)));
    assert!(alerts[to]["held_back"].as_u64() > Some(200) && alerts[to]["held_back"] == report["held_back_episodes"], "{report}");
    let unknown = alerts[from]["unknown_templates"].as_array().unwrap();
    assert!(unknown.len() >= 5 && alerts[from]["lines"].as_array().unwrap().len() == unknown.len(), "{}", alerts[from]);
}

#[test]
fn a_real_hdfs_3_is_one_alert_to_a_model_of_2008() {
    let place = Place::new("");
    let Some(()) = real_data::unpack("hadoop3/clean", &place.logs(), |_| true) else { return };
    let (report, alerts) = run_replay(&place, None, &[]);
    assert_eq!((&report["mismatches"], &report["new_templates"]), (&Value::from(1), &Value::from(0)), "{report}");
    assert!(alerts.len() <= 21, "{report}");
}

/// Stories told; one of fifty ends early and one of fifty fails.
const BLOCKS: u64 = 2000;

fn ends_early(block: u64) -> bool {
    block % 50 == 7
}

fn fails(block: u64) -> bool {
    block % 50 == 31
}

fn lines() -> Vec<String> {
    stories(BLOCKS, ends_early, fails)
}

/// Two of the most frequent sentences, six of the thirteen that are said of a block, are others from this block on.
fn lines_reworded_from(block: u64) -> Vec<String> {
    let mut lines = lines();
    let start = first_line_of(&lines, block);
    for line in &mut lines[start..] {
        *line = line.replace("Receiving block", "Opening a replica of").replace("blockMap updated:", "replica reported:");
    }
    lines
}

/// Every sentence as the model has never heard it.
fn in_other_words(line: &str) -> String {
    let mut line = line.to_owned();
    for (old, new) in [
        ("Receiving block", "Opening a replica of"),
        ("NameSystem.allocateBlock:", "place"),
        ("PacketResponder", "Pipeline stage"),
        ("Received block", "Holds"),
        ("NameSystem.addStoredBlock: blockMap updated:", "replica reported:"),
    ] {
        line = line.replace(old, new);
    }
    line
}

fn lines_of(lines: &[String], blocks: std::ops::Range<u64>) -> Vec<String> {
    let end = if blocks.end < BLOCKS { first_line_of(lines, blocks.end) } else { lines.len() };
    lines[first_line_of(lines, blocks.start)..end].to_vec()
}

/// All faults of a kind are alike here, and what one of fifty blocks does is learnt as normal.
fn of_well_blocks(lines: &[String]) -> Vec<String> {
    let ill: Vec<String> = (0..BLOCKS).filter(|block| ends_early(*block) || fails(*block)).map(name).collect();
    let is_ill = |line: &String| ill.iter().any(|name| line.split([' ', '.']).any(|word| word == name));
    lines.iter().filter(|line| !is_ill(line)).cloned().collect()
}

/// A block is written after the one before it is.
fn first_line_of(lines: &[String], block: u64) -> usize {
    let name = format!("{} ", name(block));
    lines.iter().position(|line| format!("{line} ").contains(&name)).unwrap()
}

fn of_failures(lines: &[String]) -> u64 {
    lines.iter().filter(|line| line.contains("received exception")).count() as u64
}

fn name(block: u64) -> String {
    format!("blk_{}", block * 7919 + 1)
}

/// The report and the alerts of a replay of these lines, held against what was done to the blocks. Without a model, that of the program.
fn replay(lines: &[String], blocks: std::ops::Range<u64>, model: Option<&str>) -> (Value, Vec<Value>) {
    replay_with(lines, blocks, model, "")
}

fn replay_with(lines: &[String], blocks: std::ops::Range<u64>, model: Option<&str>, more: &str) -> (Value, Vec<Value>) {
    let place = Place::new(more);
    append(&place.logs().join("hdfs.log"), lines);
    let label = |block: u64| if ends_early(block) || fails(block) { "Anomaly" } else { "Normal" };
    let labels: String = blocks.map(|block| format!("{},{}\n", name(block), label(block))).collect();
    fs::write(place.path("labels.csv"), labels).unwrap();
    run_replay(&place, model, &["--labels", "labels.csv"])
}

fn run_replay(place: &Place, model_file: Option<&str>, more: &[&str]) -> (Value, Vec<Value>) {
    let model_file = model_file.map_or_else(|| model().display().to_string(), str::to_owned);
    let usual = ["replay", "logs", "--model", &model_file, "--config", "vigil.toml", "--alerts", "alerts.jsonl", "--json"];
    let (code, out, complaint) = place.run(&[&usual[..], more].concat());
    assert_eq!(code, Some(0), "{complaint}");
    (serde_json::from_str(&out).unwrap(), place.alerts())
}

fn f1(report: &Value) -> f64 {
    report["f1"].as_f64().unwrap()
}

fn of_type<'a>(alerts: &'a [Value], wanted: &'a str) -> impl Iterator<Item = &'a Value> {
    alerts.iter().filter(move |alert| alert["type"] == wanted)
}
