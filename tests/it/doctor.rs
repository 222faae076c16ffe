//! `doctor` on real logs: what it counts, what it advises, and when it says that the daemon would work.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::real_data;

#[test]
fn a_log_of_the_model_s_own_cluster_is_known() {
    let Some(log) = real_data::path("hdfs_v1/HDFS_20000.log") else { return };
    let (report, code) = doctor(&[&log]);
    assert_eq!((code, &report["works"]), (0, &Value::Bool(true)), "{report:#}");
    check(&report["files"][0], "data_node", "of2008", [20_000, 20_000, 0, 0, 1782]);
    let share = report["files"][0]["known_events"].as_f64().unwrap();
    assert!(share > 0.9998, "{share}");
}

#[test]
fn a_log_of_another_hadoop_asks_for_a_model_of_its_own() {
    let Some(logs) = real_data::path("hadoop/hadoop-2.7.2") else { return };
    let (report, code) = doctor(&[&logs]);
    assert_eq!((code, &report["works"]), (1, &Value::Bool(false)));
    let files = report["files"].as_array().unwrap();
    let names: Vec<_> = files.iter().map(|file| file["path"].as_str().unwrap().rsplit('/').next().unwrap()).collect();
    assert!(!names.contains(&"SecurityAuth-hdfs.audit"), "{names:?}");
    let datanode = &files[names.iter().position(|name| name.contains("-datanode-")).unwrap()];
    check(datanode, "data_node", "file", [10_046, 3499, 6547, 0, datanode["blocks"].as_u64().unwrap()]);
    assert_eq!(datanode["host"], "singlenode");
    let share = datanode["known_events"].as_f64().unwrap();
    assert!(share < 0.05, "{share}");
    let steps = report["next_steps"].to_string();
    assert!(steps.contains("hdfs-vigil learn") && steps.contains("hadoop-2.7.2"), "{steps}");
}

#[test]
fn compressed_and_rotated_logs_are_told_apart() {
    let Some(logs) = real_data::path("hadoop3/clean") else { return };
    let (report, _) = doctor(&[&logs]);
    let rotations = report["rotations"].as_array().unwrap();
    assert_eq!(rotations.len(), 5);
    assert!(rotations.iter().all(|rotation| rotation["kind"] == "by number" && rotation["rotated_files"] == 1));
    let lines: u64 = report["files"].as_array().unwrap().iter().map(|file| file["lines"].as_u64().unwrap()).sum();
    assert_eq!(lines, 310_235);
}

#[test]
fn a_log_of_another_system_is_no_log_of_hadoop() {
    let Some(log) = real_data::path("loghub_2k/Apache/Apache_2k.log") else { return };
    let (report, code) = doctor(&[&log]);
    assert_eq!(code, 1);
    assert_eq!(report["files"][0]["layout"], Value::Null);
    assert_eq!(report["files"][0]["unparsed"], 2000);
}

#[test]
fn a_place_without_logs_is_no_place_to_work() {
    let place = tempfile::tempdir().unwrap();
    let (report, code) = doctor(&[place.path()]);
    assert_eq!(code, 1);
    let found = report["checks"].to_string();
    assert!(found.contains("none in") && found.contains("HADOOP_LOG_DIR"), "{found}");
}

#[test]
fn what_the_user_may_not_read_is_named_with_the_command_that_mends_it() {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let log = place.path().join("hadoop-hdfs-datanode-dn1.log");
    fs::write(&log, "2021-07-15 22:43:01,109 INFO a.b.C: x\n").unwrap();
    fs::set_permissions(&log, fs::Permissions::from_mode(0o600)).unwrap();
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let output = if root {
        run(&[&log], &["--user", "nobody"])
    } else {
        fs::set_permissions(&log, fs::Permissions::from_mode(0o000)).unwrap();
        run(&[&log], &[])
    };
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["files"][0]["readable"]), (Some(1), &Value::Bool(false)), "{report:#}");
    let steps = report["next_steps"].to_string();
    assert!(steps.contains("setfacl") && steps.contains(place.path().to_str().unwrap()), "{steps}");
}

#[test]
fn a_user_that_does_not_exist_is_a_mistake() {
    let output = run(&[Path::new("/nowhere")], &["--user", "nobody-of-this-name"]);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && message.contains("no user nobody-of-this-name"), "{message}");
}

/// Role, layout, and lines, records, joined lines, unparsed lines, blocks.
fn check(file: &Value, role: &str, layout: &str, counts: [u64; 5]) {
    assert_eq!((file["role"].as_str(), file["layout"].as_str()), (Some(role), Some(layout)), "{file:#}");
    let found = ["lines", "parsed", "joined", "unparsed", "blocks"].map(|key| file[key].as_u64().unwrap());
    assert_eq!(found, counts, "{file:#}");
}

fn doctor(paths: &[&Path]) -> (Value, i32) {
    let output = run(paths, &[]);
    let report = serde_json::from_slice(&output.stdout);
    (report.unwrap_or_else(|_| panic!("{output:?}")), output.status.code().unwrap())
}

fn run(paths: &[&Path], more: &[&str]) -> Output {
    let state = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hdfs-vigil"));
    command.args(["doctor", "--json", "--model"]).arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/hdfs-v1/model.onnx"));
    command.env("HDFS_VIGIL__STATE__DIRECTORY", state.path()).env("HDFS_VIGIL__HTTP__LISTEN", "");
    command.args(more).args(paths).output().unwrap()
}
