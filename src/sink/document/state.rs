//! What an alert says of the daemon's own state: that it cannot be written down, why, and what that costs.

use serde::{Deserialize, Serialize};

use crate::pipeline::verdict::{Alert, AlertType, Reason, StateFinding};

use super::{Edge, clean};

/// What was found of the daemon's own state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateDocument {
    /// The host that the daemon runs on.
    pub host: String,
    /// Path of the state directory.
    pub directory: String,
    /// One plain sentence.
    pub summary: String,
    /// What the system said last.
    pub error: String,
    /// When it could not be written for the first time, as [`super::Document::time`].
    pub since: String,
    /// What to do, in this order; empty once it is over.
    pub advice: Vec<String>,
}

impl StateDocument {
    pub(super) fn new(finding: &StateFinding, alert: &Alert, edge: &Edge<'_>) -> Self {
        let StateFinding { host, directory, error, since } = finding;
        let fires = alert.alert_type == AlertType::Unwritable;
        let (host, directory) = (clean(host), clean(directory));
        Self {
            summary: if fires { firing(&host, alert.reason) } else { resolved(&host, alert.time.millis_since(*since)) },
            error: clean(error),
            since: edge.time(*since),
            advice: if fires { advice(&directory, alert.reason) } else { Vec::new() },
            host,
            directory,
        }
    }
}

/// What a person on call has to know first.
fn firing(host: &str, reason: Reason) -> String {
    format!(
        "hdfs-vigil on {host} cannot write down how far it has come: {}. It goes on finding and telling; but should it end now, it reads \
         again from where it could be written last, and what it tells then may come twice, under the same ids.",
        cause(reason)
    )
}

fn resolved(host: &str, millis: i64) -> String {
    let minutes = millis / 60_000;
    let lasted = if minutes == 0 { "less than a minute".to_owned() } else { format!("{minutes} min") };
    format!("hdfs-vigil on {host} writes down again how far it has come; it could not for {lasted}.")
}

fn cause(reason: Reason) -> &'static str {
    match reason {
        Reason::DiskFull => "the disk of its state directory is full",
        Reason::ReadOnly => "the file system of its state directory can only be read",
        Reason::UnknownEvent
        | Reason::UnlikelyStory
        | Reason::Recovered
        | Reason::Retracted
        | Reason::Expired
        | Reason::KnownFault
        | Reason::New
        | Reason::Burst
        | Reason::Frequent
        | Reason::UnknownShare
        | Reason::FarShare
        | Reason::ModelChanged
        | Reason::ScoreLevel
        | Reason::Acknowledged
        | Reason::WriteFailed => "the system refuses it",
    }
}

fn advice(directory: &str, reason: Reason) -> Vec<String> {
    let look = if reason == Reason::DiskFull {
        format!("df -h {directory}; df -i {directory}: make room, or give state.directory a disk of its own")
    } else if reason == Reason::ReadOnly {
        format!("findmnt -T {directory}; dmesg | tail: a disk that fails is remounted so; mount it for writing again")
    } else {
        format!("ls -ld {directory}: it must be writable by the user that runs the daemon, and its disk must work")
    };
    vec![look, "do not restart the daemon meanwhile: it tries again by itself, at least once a minute".to_owned()]
}

#[cfg(test)]
pub(crate) mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::pipeline::event::{LogTime, Position};
    use crate::pipeline::verdict::Finding;
    use crate::sink::document::tests::alert;
    use crate::sink::document::{About, Document, Line, LineSource};

    #[test]
    fn a_state_that_cannot_be_written_becomes_the_documented_object() {
        let json: serde_json::Value = serde_json::from_str(&state_example().to_json()).unwrap();
        let expected = serde_json::json!({
            "id": "alert_0000000000000000000000000000002a",
            "incident": "inc_00000000000000000000000000000007",
            "type": "state.unwritable",
            "reason": "disk_full",
            "time": "2008-11-09T20:35:18.143+01:00",
            "signature": "5f0c",
            "roles": [],
            "host": "edge7",
            "directory": "/var/lib/hdfs-vigil",
            "summary": "hdfs-vigil on edge7 cannot write down how far it has come: the disk of its state directory is full. It goes on \
                        finding and telling; but should it end now, it reads again from where it could be written last, and what it \
                        tells then may come twice, under the same ids.",
            "error": "No space left on device (os error 28)",
            "since": "2008-11-09T20:33:17.000+01:00",
            "advice": [
                "df -h /var/lib/hdfs-vigil; df -i /var/lib/hdfs-vigil: make room, or give state.directory a disk of its own",
                "do not restart the daemon meanwhile: it tries again by itself, at least once a minute",
            ],
            "lines": [],
            "lines_left_out": 0,
            "by_silence": false,
        });
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_value::<Document>(json).unwrap(), state_example());
    }

    #[test]
    fn each_cause_has_its_advice() {
        for (reason, cause, command) in [
            (Reason::DiskFull, "the disk of its state directory is full", "df -h"),
            (Reason::ReadOnly, "can only be read", "findmnt -T"),
            (Reason::WriteFailed, "the system refuses it", "ls -ld"),
        ] {
            let About::State(state) = document(AlertType::Unwritable, reason).about else { panic!("it is of the state") };
            assert!(state.summary.contains(cause) && state.advice[0].starts_with(command), "{state:?}");
        }
    }

    #[test]
    fn what_resolves_it_says_how_long_it_lasted_and_asks_for_nothing() {
        let About::State(state) = document(AlertType::UnwritableResolved, Reason::Recovered).about else {
            panic!("it is of the state")
        };
        let sentence = "hdfs-vigil on edge7 writes down again how far it has come; it could not for 2 min.";
        assert_eq!((state.summary.as_str(), state.advice.len()), (sentence, 0));
        assert!(resolved("edge7", 59_999).ends_with("for less than a minute."));
    }

    /// A full disk.
    pub(crate) fn state_example() -> Document {
        document(AlertType::Unwritable, Reason::DiskFull)
    }

    fn document(alert_type: AlertType, reason: Reason) -> Document {
        let finding = StateFinding {
            host: "edge7".to_owned(),
            directory: "/var/lib/hdfs-vigil".to_owned(),
            error: "No space left on device (os error 28)".to_owned(),
            since: LogTime(1_226_259_197_000),
        };
        let finding = Finding::State(Box::new(finding));
        let alert = Alert { alert_type, reason, mode: None, positions: Vec::new(), finding, ..alert() };
        Document::new(&alert, &NoLines, &TimeZone::get("Europe/Berlin").unwrap())
    }

    struct NoLines;

    impl LineSource for NoLines {
        fn line(&self, _: Position) -> Line {
            unreachable!("the alert quotes none")
        }
    }
}
