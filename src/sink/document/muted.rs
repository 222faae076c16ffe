//! That an alert was not sent because its signature is muted, as the alert itself says it.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{clean, rfc3339};
use crate::pipeline::event::LogTime;

/// Who has muted a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Muter {
    /// `alerts.mute` in the configuration.
    Config,
    /// `hdfs-vigil alerts mute`.
    Operator,
}

/// By whom, why and for how long an alert was muted when it was raised; of what resolves another, when that was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutedDocument {
    /// By whom.
    pub by: Muter,
    /// Why; left out when the configuration has muted it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
    /// When the mute expires, RFC 3339; left out when it does not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<String>,
}

impl MutedDocument {
    /// `until` is in milliseconds since the Unix epoch and told with the offset of `zone`.
    #[must_use]
    pub fn new(by: Muter, why: Option<&str>, until: Option<i64>, zone: &TimeZone) -> Self {
        Self { by, why: why.map(clean), until: until.map(|millis| rfc3339(LogTime(millis), zone)) }
    }

    /// In words: `muted by an operator until …: why`.
    #[must_use]
    pub fn telling(&self) -> String {
        let by = match self.by {
            Muter::Config => "muted by the configuration (alerts.mute)",
            Muter::Operator => "muted by an operator",
        };
        let until = self.until.as_deref().map(|until| format!(" until {}", short(until))).unwrap_or_default();
        let why = self.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        format!("{by}{until}{why}")
    }
}

/// A time without its fraction of a second, which says nothing of a mute.
fn short(time: &str) -> String {
    match (time.split_once('.'), time.parse::<Timestamp>()) {
        (Some((seconds, rest)), Ok(_)) => format!("{seconds}{}", rest.trim_start_matches(|c: char| c.is_ascii_digit())),
        _ => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_by_whom_why_and_for_how_long() {
        let check = |by, why, until, expected: &str| {
            assert_eq!(MutedDocument::new(by, why, until, &TimeZone::UTC).telling(), expected);
        };
        check(Muter::Config, None, None, "muted by the configuration (alerts.mute)");
        check(
            Muter::Operator,
            Some("disk\u{7} is ordered"),
            Some(1_700_000_000_123),
            "muted by an operator until 2023-11-14T22:13:20+00:00: disk\u{fffd} is ordered",
        );
    }
}
