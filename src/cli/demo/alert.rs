//! What the demo needs of an alert as the daemon appends it to its alerts file, and how a person reads it.

use std::fmt::Write;

use serde::Deserialize;
use serde_json::Value;

use crate::pipeline::verdict::{AlertType, Reason};

/// An alert as read from a line of JSON.
#[derive(Clone, Debug, Deserialize)]
pub struct Alert {
    /// What it belongs to.
    pub incident: String,
    /// Firing or resolved.
    #[serde(rename = "type")]
    pub alert_type: AlertType,
    /// Why.
    pub reason: Reason,
    /// `blk_N`.
    pub block: String,
    /// All the rest.
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

impl Alert {
    /// Reads one line; `None` for what concerns no block, such as a change of regime.
    pub fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    #[cfg(test)]
    pub fn for_test(incident: &str, block: &str, alert_type: AlertType, reason: Reason) -> Self {
        let rest = serde_json::Map::new();
        Self { incident: incident.to_string(), block: block.to_string(), alert_type, reason, rest }
    }
}

/// An alert in a few lines: what, how unlikely, why, and the log lines that show it.
pub fn render(alert: &Alert, colour: bool) -> String {
    let (paint, plain) = if colour { (paint(alert.alert_type), "\x1b[0m") } else { ("", "") };
    let mut text = format!("{paint}{} {}{plain} ({})", alert.alert_type.name(), alert.block, alert.reason.name());
    if alert.alert_type == AlertType::Firing {
        render_why(&mut text, &alert.rest).expect("writing to a string cannot fail");
    }
    text
}

fn render_why(text: &mut String, rest: &serde_json::Map<String, Value>) -> std::fmt::Result {
    if let (Some(score), Some(threshold)) = (number(rest, "score"), number(rest, "threshold")) {
        write!(text, " score {score:.2}, threshold {threshold:.2}")?;
    }
    if let Some(summary) = rest.get("explanation").and_then(|why| why["summary"].as_str()) {
        write!(text, "\n    {summary}")?;
    }
    let lines = rest.get("lines").and_then(Value::as_array).into_iter().flatten();
    lines.filter_map(log_line).take(LINES_SHOWN_MAX).try_for_each(|line| write!(text, "\n    | {line}"))
}

fn number(rest: &serde_json::Map<String, Value>, key: &str) -> Option<f64> {
    rest.get(key)?.as_f64()
}

/// The first line of a quoted record.
fn log_line(line: &Value) -> Option<&str> {
    line["text"].as_str()?.lines().next()
}

/// Bold red for what begins, green for what ends.
fn paint(alert_type: AlertType) -> &'static str {
    match alert_type {
        AlertType::Firing => "\x1b[1;31m",
        AlertType::Resolved => "\x1b[32m",
    }
}

/// Log lines shown of one alert; the alerts file has more.
const LINES_SHOWN_MAX: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_reads_like_a_message_to_a_person() {
        check(
            r#"{"id":"alert_1","incident":"inc_1","type":"anomaly.firing","reason":"unlikely_story","block":"blk_-7","score":9.123,
               "threshold":4.5,"explanation":{"summary":"two replicas are missing"},"lines":[{"text":"a\n b"},{"text":null}]}"#,
            "anomaly.firing blk_-7 (unlikely_story) score 9.12, threshold 4.50\n    two replicas are missing\n    | a",
        );
        check(
            r#"{"incident":"inc_1","type":"anomaly.resolved","reason":"retracted","block":"blk_-7"}"#,
            "anomaly.resolved blk_-7 (retracted)",
        );
        check(
            r#"{"incident":"inc_1","type":"anomaly.firing","reason":"unknown_event","block":"blk_1"}"#,
            "anomaly.firing blk_1 (unknown_event)",
        );
    }

    #[test]
    fn what_concerns_no_block_is_passed_over() {
        for line in [r#"{"type":"regime.changed","incident":"inc_1"}"#, "", "{", "[1]"] {
            assert!(Alert::parse(line).is_none(), "{line}");
        }
    }

    #[test]
    fn colours_appear_only_when_asked_for() {
        let alert = Alert::for_test("inc_1", "blk_1", AlertType::Firing, Reason::UnknownEvent);
        assert!(render(&alert, true).starts_with("\x1b[1;31manomaly.firing blk_1\x1b[0m"));
        assert!(!render(&alert, false).contains('\x1b'));
    }

    fn check(json: &str, expected: &str) {
        assert_eq!(render(&Alert::parse(json).expect("an alert"), false), expected);
    }
}
