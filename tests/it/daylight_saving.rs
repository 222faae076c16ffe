//! The night that clocks are set back: an hour of stamps occurs twice, and no verdict may differ for it.

use std::fs;
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::real_data;
use crate::vigil::model;

/// The same log, once as a host writes it whose clock shows UTC and once as one in Berlin does.
#[test]
fn a_log_of_that_night_alarms_as_in_utc() {
    let Some(log) = real_data::bytes("hdfs_v1/HDFS_20000.log") else { return };
    let log = String::from_utf8(log).unwrap();
    let first = instant(&log);
    // The middle of the log is the moment of the change; stretched, it reaches hours to both sides.
    let change: Timestamp = "2026-10-25T01:00:00Z".parse().unwrap();
    let place = tempfile::tempdir().unwrap();
    let alerts = |zone: &str| {
        let calendar = TimeZone::get(zone).unwrap();
        let stamped = log.lines().map(|line| {
            let seconds = (instant(line) - first) * STRETCH - SPAN_SECONDS / 2;
            let civil = calendar.to_datetime(Timestamp::from_second(change.as_second() + seconds).unwrap());
            format!("{}{}\n", civil.strftime("%y%m%d %H%M%S"), &line[13..])
        });
        let path = place.path().join(format!("{}.log", zone.replace('/', "-")));
        fs::write(&path, stamped.collect::<String>()).unwrap();
        replay(&path, zone)
    };
    let (utc, berlin) = (alerts("UTC"), alerts("Europe/Berlin"));
    assert!(utc.len() > 10, "{} alerts", utc.len());
    assert_eq!(utc, berlin);
}

/// Seconds since the epoch of a line whose clock shows UTC.
fn instant(line: &str) -> i64 {
    let civil = jiff::civil::DateTime::strptime("%y%m%d %H%M%S", &line[..13]).unwrap();
    civil.to_zoned(TimeZone::UTC).unwrap().timestamp().as_second()
}

/// Ids of the alerts, which depend on the instants and not on how they are written.
fn replay(log: &Path, zone: &str) -> Vec<String> {
    let alerts = log.with_extension("jsonl");
    let mut command = Command::new(env!("CARGO_BIN_EXE_hdfs-vigil"));
    command.args(["replay", "--json", "--flush", "--model"]).arg(model()).arg("--alerts").arg(&alerts).arg(log);
    command.env("HDFS_VIGIL__INGEST__TIMEZONE", zone);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(alerts).unwrap();
    text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].to_string()).collect()
}

/// The first 20,000 lines of HDFS_v1 took 183 seconds.
const STRETCH: i64 = 60;
const SPAN_SECONDS: i64 = 183 * STRETCH;
