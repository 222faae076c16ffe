//! What is asked and answered on the control socket: JSON over HTTP.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config;
use crate::limits::MUTE_WHY_CHARS_MAX;
use crate::sink::archive::{AlertLine, State};
use crate::sink::document::{Document, MutedDocument};

/// Answer to `GET /alerts`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertList {
    /// Newest last.
    pub alerts: Vec<AlertLine>,
    /// Older ones that were asked for as well.
    pub left_out: usize,
    /// Lines of the archive that are no alerts.
    pub bad_lines: u64,
}

/// Answer to `GET /signatures`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignatureList {
    /// The one with the latest alert last.
    pub signatures: Vec<SignatureLine>,
    /// Others that were asked for as well.
    pub left_out: usize,
    /// Lines of the archive that are no alerts.
    pub bad_lines: u64,
}

/// All kept alerts of a signature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignatureLine {
    /// What to mute.
    pub signature: String,
    /// How many there are, those that take others back not counted.
    pub alerts: u64,
    /// How many of them fire.
    pub firing: u64,
    /// How many were muted.
    pub muted: u64,
    /// The latest.
    pub example: AlertLine,
}

/// Answer to `GET /alerts/ID`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// All that the id names, newest last.
    pub alerts: Vec<ShownAlert>,
}

/// An alert as it was told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShownAlert {
    /// How things stand with it.
    pub state: State,
    /// All of it.
    pub alert: Document,
}

/// Body of `POST /mutes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MuteRequest {
    /// 16 hexadecimal digits.
    pub signature: String,
    /// For how long, such as `7d`.
    #[serde(rename = "for")]
    pub period: String,
    /// Why.
    pub why: String,
}

/// Answer to `GET /mutes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MuteList {
    /// By signature; those of the configuration behind.
    pub mutes: Vec<MuteLine>,
}

/// A mute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MuteLine {
    /// What is muted.
    pub signature: String,
    /// By whom, why, until when.
    #[serde(flatten)]
    pub muted: MutedDocument,
    /// Alerts that it has held back.
    pub held_back: u64,
}

/// Answer to what has changed something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// What was done.
    pub done: String,
    /// What is to be known of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub remark: Option<String>,
}

/// Any other answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What is wrong, and what to do.
    pub error: String,
}

/// Checks what is to be muted, for how long and why: the period.
///
/// # Errors
/// What is wrong with it.
pub fn check(request: &MuteRequest) -> Result<Duration, String> {
    let MuteRequest { signature, period, why } = request;
    check_signature(signature)?;
    let chars = why.chars().count();
    if why.trim().is_empty() || chars > MUTE_WHY_CHARS_MAX {
        return Err(format!("the reason (--why) has {chars} characters, must have 1..={MUTE_WHY_CHARS_MAX} and say something"));
    }
    let read = config::duration(period).filter(|period| (PERIOD_MIN..=PERIOD_MAX).contains(period));
    read.ok_or_else(|| format!("the period (--for) is {period:?}, must be a duration of 1m..=365d, such as \"7d\""))
}

/// Checks that it is a signature.
///
/// # Errors
/// What it must be.
pub fn check_signature(signature: &str) -> Result<(), String> {
    let what = "must be 16 hexadecimal digits as alerts say them; `hdfs-vigil alerts list --by-signature` lists them";
    if config::is_signature(signature) { Ok(()) } else { Err(format!("the signature is {signature:?}, {what}")) }
}

const PERIOD_MIN: Duration = Duration::from_secs(60);
const PERIOD_MAX: Duration = Duration::from_secs(365 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mute_is_checked_at_its_bounds() {
        let check = |signature: &str, period: &str, why: &str, expected: Option<&str>| {
            let request = MuteRequest { signature: signature.to_owned(), period: period.to_owned(), why: why.to_owned() };
            let found = check(&request).err();
            assert_eq!(found.is_some(), expected.is_some(), "{request:?}: {found:?}");
            assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()), "{request:?}");
        };
        let (signature, why) = ("db7dd3890dfe58b6", "known");
        for (period, expected) in
            [("1m", None), ("365d", None), ("59s", Some("1m..=365d")), ("366d", Some("--for")), ("", Some("--for"))]
        {
            check(signature, period, why, expected);
        }
        for (chars, expected) in [(1, None), (199, None), (200, None), (201, Some("201 characters")), (0, Some("--why"))] {
            check(signature, "1d", &"ü".repeat(chars), expected);
        }
        check(signature, "1d", "  ", Some("--why"));
        for wrong in ["db7dd3890dfe58b", "db7dd3890dfe58b66", "DB7DD3890DFE58B6", "../../etc/passwd", ""] {
            check(wrong, "1d", why, Some("16 hexadecimal digits"));
        }
    }
}
