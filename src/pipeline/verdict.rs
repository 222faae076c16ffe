//! The nouns of the last part of the pipeline: the decision on a block, and what people are told of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::pipeline::event::{BlockId, LogTime, Position};

pub mod explain;
pub mod threshold;
pub mod trigger;

/// What a score was held against, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether the block is told of.
    pub anomalous: bool,
    /// The score, nats.
    pub score: f32,
    /// The threshold at that moment, nats.
    pub threshold: f32,
    /// Distance to the nearest normal count pattern.
    pub distance: f32,
}

/// What is wrong with a block, as one number: a function of pool, block and the first log time of the episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IncidentId(pub u128);

/// Identity of one alert: a function of its incident, its type and its number in the incident. The same after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AlertId(pub u128);

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "inc_{:032x}", self.0)
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "alert_{:032x}", self.0)
    }
}

/// What an alert announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AlertType {
    /// A block is anomalous.
    #[serde(rename = "anomaly.firing")]
    Firing,
    /// It no longer is, or no longer matters.
    #[serde(rename = "anomaly.resolved")]
    Resolved,
}

impl AlertType {
    /// The name in JSON, metrics and pages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Firing => "anomaly.firing",
            Self::Resolved => "anomaly.resolved",
        }
    }
}

/// Why an alert was raised or taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// An event that no normal story has; told at once.
    UnknownEvent,
    /// The story as a whole, once the block had gone quiet.
    UnlikelyStory,
    /// What was missing came after all.
    Recovered,
    /// What was unlikely at first turned out to be part of a normal story.
    Retracted,
    /// Open for too long to be still of use, or pushed out by newer incidents.
    Expired,
}

impl Reason {
    /// The name in JSON, metrics and pages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownEvent => "unknown_event",
            Self::UnlikelyStory => "unlikely_story",
            Self::Recovered => "recovered",
            Self::Retracted => "retracted",
            Self::Expired => "expired",
        }
    }
}

/// One way in which a story departs from every normal one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deviation {
    /// How it departs.
    pub kind: DeviationKind,
    /// Text of the template concerned.
    pub template: String,
    /// How often, >= 1: occurrences too many, too few, or out of place.
    pub count: u32,
    /// How unexpected, nats; 0 for what is missing.
    pub nats: f32,
    /// The record that shows it, if one does.
    pub position: Option<Position>,
}

/// The ways in which a story departs from normal ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviationKind {
    /// An event that no normal story has.
    Unknown,
    /// More of an event than the nearest normal story has.
    Excess,
    /// Less of an event than the nearest normal story has.
    Missing,
    /// An event where the model expected another.
    Unexpected,
}

/// Why a block was judged as it was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Worst first, at most [`crate::limits::DEVIATIONS_MAX`].
    pub deviations: Vec<Deviation>,
    /// Sessions of the training data that scored as high or higher, out of `training_sessions`.
    pub training_sessions_above: u64,
    /// Sessions of the training data behind the comparison.
    pub training_sessions: u64,
}

/// What people are told of a block. Its text is added at the edge, which reads the lines again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Its identity.
    pub id: AlertId,
    /// What it belongs to; a resolved alert carries the incident of the firing one.
    pub incident: IncidentId,
    /// Firing or resolved.
    pub alert_type: AlertType,
    /// Why.
    pub reason: Reason,
    /// Log time of the judgement.
    pub time: LogTime,
    /// The block.
    pub block: BlockId,
    /// Name of its pool, where known: `BP-…`.
    pub pool: Option<String>,
    /// The decision behind it.
    pub verdict: Verdict,
    /// Name of the model.
    pub model: String,
    /// The set of deviations by template text, hashed: equal for blocks that go wrong in the same way.
    pub signature: String,
    /// Why, in detail.
    pub explanation: Explanation,
    /// Records of the episode in log order, at most [`crate::limits::ALERT_POSITIONS_MAX`].
    pub positions: Vec<Position>,
    /// Events of the episode, also those not in `positions`.
    pub events: u32,
    /// Set when log time was moved on by a wall clock because all logs were silent.
    pub by_silence: bool,
}
