//! What an alert says of another regime: that the scores of nearly all blocks have moved, from where, and to where.

use serde::{Deserialize, Serialize};

use crate::pipeline::verdict::{IncidentId, Reason, RegimeFinding, ScoreLevel};

use super::words::grouped;
use super::{Edge, clean};

/// What was found of the level of the scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegimeDocument {
    /// Name of the model.
    pub model: String,
    /// One plain sentence.
    pub summary: String,
    /// Where the scores were.
    pub before: LevelDocument,
    /// Where they are now.
    pub after: LevelDocument,
    /// The last episodes judged at the change, in which it was seen.
    pub episodes: u64,
    /// Log time of the change, as [`super::Document::time`].
    pub changed: String,
    /// What to do, in this order.
    pub advice: Vec<String>,
}

/// Where scores lie, and the threshold above them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelDocument {
    /// A score that is neither low nor high, nats.
    pub typical_nats: f64,
    /// The threshold, nats.
    pub threshold_nats: f64,
}

impl RegimeDocument {
    pub(super) fn new(finding: &RegimeFinding, incident: IncidentId, reason: Reason, edge: &Edge<'_>) -> Self {
        let RegimeFinding { model, before, after, episodes, changed } = finding;
        let advice = [
            LOOK.to_owned(),
            format!("hdfs-vigil alerts ack {incident}, if it is known, so that it no longer fires"),
            LEARN.to_owned(),
        ];
        Self {
            model: clean(model),
            summary: summary(finding, reason),
            before: LevelDocument::new(before),
            after: LevelDocument::new(after),
            episodes: *episodes,
            changed: edge.time(*changed),
            advice: if reason == Reason::ScoreLevel { advice.to_vec() } else { Vec::new() },
        }
    }
}

impl LevelDocument {
    fn new(level: &ScoreLevel) -> Self {
        let rounded = |nats: f64| (nats * 1e4).round() / 1e4;
        Self { typical_nats: rounded(level.typical), threshold_nats: rounded(level.threshold) }
    }
}

/// What a person on call has to know first.
fn summary(finding: &RegimeFinding, reason: Reason) -> String {
    let RegimeFinding { model, before, after, episodes, .. } = finding;
    let model = clean(model);
    let from_to = |from: f64, to: f64| format!("from {from:.2} to {to:.2} nats");
    if reason == Reason::ScoreLevel {
        return format!(
            "The cluster lives another life, or hardly any block is well: to model {model} nearly all of the last {} blocks are as unlikely as \
             anomalies were before. A typical score went {}, and the threshold with it, {}.",
            grouped(*episodes),
            from_to(before.typical, after.typical),
            from_to(before.threshold, after.threshold)
        );
    }
    let why = match reason {
        Reason::Recovered => "has gone back: scores are where they were before",
        Reason::Acknowledged => "is known: somebody has acknowledged it",
        Reason::ModelChanged => "is over: another model has taken the place of this one",
        Reason::UnknownEvent
        | Reason::UnlikelyStory
        | Reason::Retracted
        | Reason::Expired
        | Reason::KnownFault
        | Reason::New
        | Reason::Burst
        | Reason::Frequent
        | Reason::UnknownShare
        | Reason::FarShare
        | Reason::ScoreLevel
        | Reason::DiskFull
        | Reason::ReadOnly
        | Reason::WriteFailed => "is no longer remembered: too many have come since",
    };
    format!("The change of regime that model {model} saw {why}. The threshold is at {:.2} nats.", after.threshold)
}

const LOOK: &str = "look at the last alerts on blocks and hosts first: are most blocks in trouble?";
const LEARN: &str =
    "if it is here to stay: hdfs-vigil learn LOGS -o model.onnx, with logs since the change; then let it judge (model.path)";

#[cfg(test)]
pub(crate) mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::pipeline::event::{LogTime, Position};
    use crate::pipeline::verdict::{Alert, AlertType, Finding};
    use crate::sink::document::tests::alert;
    use crate::sink::document::{About, Document, Line, LineSource};

    #[test]
    fn a_change_of_regime_becomes_the_documented_object() {
        let json: serde_json::Value = serde_json::from_str(&regime_example().to_json()).unwrap();
        let expected = serde_json::json!({
            "id": "alert_0000000000000000000000000000002a",
            "incident": "inc_00000000000000000000000000000007",
            "type": "regime.changed",
            "reason": "score_level",
            "time": "2008-11-09T20:35:18.143+01:00",
            "signature": "5f0c",
            "roles": [],
            "model": "hdfs-v1",
            "summary": "The cluster lives another life, or hardly any block is well: to model hdfs-v1 nearly all of the last 1,024 \
                        blocks are as unlikely as anomalies were before. A typical score went from 0.31 to 2.50 nats, and the threshold \
                        with it, from 1.25 to 6.00 nats.",
            "before": {"typical_nats": 0.3123, "threshold_nats": 1.25},
            "after": {"typical_nats": 2.5, "threshold_nats": 6.0},
            "episodes": 1024,
            "changed": "2008-11-09T20:35:17.000+01:00",
            "advice": [
                "look at the last alerts on blocks and hosts first: are most blocks in trouble?",
                "hdfs-vigil alerts ack inc_00000000000000000000000000000007, if it is known, so that it no longer fires",
                "if it is here to stay: hdfs-vigil learn LOGS -o model.onnx, with logs since the change; then let it judge (model.path)",
            ],
            "lines": [],
            "lines_left_out": 0,
            "by_silence": false,
            "mode": "active",
        });
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_value::<Document>(json).unwrap(), regime_example());
    }

    #[test]
    fn how_it_ended_is_said_in_one_sentence() {
        for (reason, expected) in [
            (Reason::Recovered, "has gone back: scores are where they were before"),
            (Reason::Acknowledged, "is known: somebody has acknowledged it"),
            (Reason::ModelChanged, "is over: another model has taken the place of this one"),
            (Reason::Expired, "is no longer remembered: too many have come since"),
        ] {
            let About::Regime(regime) = document(AlertType::RegimeResolved, reason).about else { panic!("it is of a regime") };
            let sentence = format!("The change of regime that model hdfs-v1 saw {expected}. The threshold is at 6.00 nats.");
            assert_eq!((regime.summary, regime.advice), (sentence, vec![]));
        }
    }

    /// Scores that have moved.
    pub(crate) fn regime_example() -> Document {
        document(AlertType::Regime, Reason::ScoreLevel)
    }

    fn document(alert_type: AlertType, reason: Reason) -> Document {
        let finding = RegimeFinding {
            model: "hdfs-v1".to_owned(),
            before: ScoreLevel { typical: 0.312_345, log_sd: 0.5, threshold: 1.25 },
            after: ScoreLevel { typical: 2.5, log_sd: 0.5, threshold: 6.0 },
            episodes: 1024,
            changed: LogTime(1_226_259_317_000),
        };
        let finding = Finding::Regime(Box::new(finding));
        let alert = Alert { alert_type, reason, positions: Vec::new(), finding, ..alert() };
        Document::new(&alert, &NoLines, &TimeZone::get("Europe/Berlin").unwrap())
    }

    struct NoLines;

    impl LineSource for NoLines {
        fn line(&self, _: Position) -> Line {
            unreachable!("the alert quotes none")
        }
    }
}
