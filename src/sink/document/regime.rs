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
        _ => "is no longer remembered: too many have come since",
    };
    format!("The change of regime that model {model} saw {why}. The threshold is at {:.2} nats.", after.threshold)
}

const LOOK: &str = "look at the last alerts on blocks and hosts first: are most blocks in trouble?";
const LEARN: &str =
    "if it is here to stay: hdfs-vigil learn LOGS -o model.onnx, with logs since the change; then let it judge (model.path)";
