//! What is shipped beside the program agrees with it: dashboards, alert rules, the systemd unit.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

#[test]
fn dashboards_and_rules_use_metrics_that_exist() {
    let sources = ["src/sink/metrics.rs", "src/sink/metrics/health.rs", "src/sink/metrics/model.rs"].map(read_or_skip);
    let [Some(source), Some(of_health), Some(of_model)] = &sources else {
        return;
    };
    let known: BTreeSet<&str> =
        [source, of_health, of_model].into_iter().flat_map(|text| text.split('"').skip(1).step_by(2)).collect();
    for file in [
        "deploy/prometheus/hdfs-vigil.rules.yml",
        "deploy/prometheus/hdfs-vigil.rules.test.yml",
        "deploy/grafana/hdfs-vigil.json",
    ] {
        let used = metrics_in(&read(file));
        let missing: Vec<&String> = used.iter().filter(|name| !known.contains(name.as_str())).collect();
        assert!(missing.is_empty(), "{file} uses hdfs_vigil_… that src/sink/metrics does not have: {missing:?}");
        assert!(used.len() > 10, "{file}: {used:?}");
    }
}

#[test]
fn every_alert_rule_is_tested() {
    let tests = read("deploy/prometheus/hdfs-vigil.rules.test.yml");
    let rules = read("deploy/prometheus/hdfs-vigil.rules.yml");
    let names: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(!names.is_empty());
    for name in names {
        assert!(tests.contains(&format!("alertname=\"{name}\"")), "add a case for {name} to the promtool tests");
    }
}

#[test]
fn panels_of_the_dashboard_do_not_overlap() {
    let dashboard: serde_json::Value = serde_json::from_str(&read("deploy/grafana/hdfs-vigil.json")).expect("JSON");
    let mut taken = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        assert!(ids.insert(panel["id"].as_u64()), "two panels have the id of {}", panel["title"]);
        let of = |key: &str| panel["gridPos"][key].as_u64().expect("a place on the grid");
        assert!(of("x") + of("w") <= 24, "{} is wider than the page", panel["title"]);
        for x in of("x")..of("x") + of("w") {
            for y in of("y")..of("y") + of("h") {
                assert!(taken.insert((x, y)), "{} lies on another panel", panel["title"]);
            }
        }
    }
}

#[test]
fn the_unit_leaves_the_daemon_time_and_memory() {
    let Some(defaults) = read_or_skip("config/default.toml") else {
        return;
    };
    let unit = read("systemd/hdfs-vigil.service");
    let number = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<u64>().expect("a number");
    let of_unit = |key: &str| number(value(&unit, key));
    let of_default = |key: &str| number(value(&defaults, key).trim_matches('"'));
    assert!(of_unit("TimeoutStopSec") >= of_default("grace") + 10, "systemd would kill a daemon that shuts down as configured");
    assert!(of_unit("MemoryMax") >= 4 * (of_default("session_bytes_max") + of_default("merge_bytes_max")));
    assert_eq!(value(&defaults, "directory"), format!("\"/var/lib/{}\"", value(&unit, "StateDirectory")));
}

#[test]
fn the_names_in_a_text_are_found() {
    let names = metrics_in(
        "rate(hdfs_vigil_lines_total[1m]) / hdfs_vigil_lag_bytes{a=\"b\"} hdfs_vigil_score_nats_bucket hdfs-vigil.rules",
    );
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["lag_bytes", "lines_total", "score_nats"]);
}

/// Metric names without their prefix, and without what a histogram appends.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names = text.split("hdfs_vigil_").skip(1).map(|rest| rest.split(|c| !is_part(c)).next().unwrap_or_default());
    names.map(|name| name.strip_suffix("_bucket").unwrap_or(name).to_string()).collect()
}

/// What stands behind `key =` or `key=`.
fn value<'a>(text: &'a str, key: &str) -> &'a str {
    let lines = text.lines().filter_map(|line| line.split_once('='));
    let found = lines.filter(|(name, _)| name.trim() == key).map(|(_, value)| value.trim()).next();
    found.unwrap_or_else(|| panic!("there is no key {key}"))
}

fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("failed to read {}: {error}", path.display()))
}

fn read_or_skip(path: &str) -> Option<String> {
    if root().join(path).exists() {
        return Some(read(path));
    }
    assert!(std::env::var_os("CI").is_none(), "{path} is missing");
    println!("skipped: {path} is missing");
    None
}

fn root() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it for tests"))
}
