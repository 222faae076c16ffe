//! The nouns of the last part of the pipeline: the decision on a block or a host, and what people are told of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::pipeline::event::layout::Level;
use crate::pipeline::event::origin::Role;
use crate::pipeline::event::trouble::Statement;
use crate::pipeline::event::{BlockId, LogTime, Position};

pub mod domain;
pub mod evidence;
pub mod explain;
pub mod nearest;
pub mod regime;
pub mod threshold;
pub mod trigger;
pub mod trouble;

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

/// How the detector stands to the traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetectorMode {
    /// The threshold is where training put it and has begun to follow; too few episodes were judged to see a change of regime.
    #[default]
    Warmup,
    /// The threshold follows the traffic.
    Active,
    /// The model does not fit what the logs say: no blocks are told of, and the threshold learns nothing.
    DomainMismatch,
    /// Most of what comes is above the threshold, or the operator wants it so: blocks are told of, and the threshold stays where it is.
    Frozen,
}

impl DetectorMode {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Warmup, Self::Active, Self::DomainMismatch, Self::Frozen];

    /// The name in JSON, metrics and pages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Warmup => "warmup",
            Self::Active => "active",
            Self::DomainMismatch => "domain_mismatch",
            Self::Frozen => "frozen",
        }
    }
}

/// What is wrong, as one number: a function of pool, block and the first log time of the episode, or of host and first log time.
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
    /// Something is wrong with a host. It is not resolved: no log says that trouble is over, and silence is no recovery.
    #[serde(rename = "host.trouble")]
    Trouble,
    /// A template that the model does not know is part of normal stories. It is not resolved.
    #[serde(rename = "template.new")]
    Template,
    /// The model does not fit what the logs say; no blocks are told of meanwhile.
    #[serde(rename = "model.domain_mismatch")]
    Mismatch,
    /// It fits again.
    #[serde(rename = "model.domain_resolved")]
    MismatchResolved,
    /// The scores of nearly all blocks have moved, and the threshold with them. It fires until it is acknowledged or they have moved back.
    #[serde(rename = "regime.changed")]
    Regime,
    /// They have moved back, or somebody knows of it.
    #[serde(rename = "regime.resolved")]
    RegimeResolved,
    /// The daemon cannot write down how far it has come: a crash would repeat what has happened since.
    #[serde(rename = "state.unwritable")]
    Unwritable,
    /// It can again, and has.
    #[serde(rename = "state.resolved")]
    UnwritableResolved,
}

impl AlertType {
    /// The name in JSON, metrics and pages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Firing => "anomaly.firing",
            Self::Resolved => "anomaly.resolved",
            Self::Trouble => "host.trouble",
            Self::Template => "template.new",
            Self::Mismatch => "model.domain_mismatch",
            Self::MismatchResolved => "model.domain_resolved",
            Self::Regime => "regime.changed",
            Self::RegimeResolved => "regime.resolved",
            Self::Unwritable => "state.unwritable",
            Self::UnwritableResolved => "state.resolved",
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
    /// What was missing came after all; or the model fits what the logs say again; or scores are where they were before; or the state
    /// can be written again.
    Recovered,
    /// What was unlikely at first turned out to be part of a normal story, or an unknown event part of many.
    Retracted,
    /// Open for too long to be still of use, or pushed out by newer incidents.
    Expired,
    /// A host says what is known to mean trouble: a DataNode is lost, a volume is full, the NameNode is in safe mode.
    KnownFault,
    /// A host says what it has never said before.
    New,
    /// A host says something far more often than it ever did.
    Burst,
    /// What the model does not know turns up in many blocks.
    Frequent,
    /// Too large a share of the events is unknown to the model.
    UnknownShare,
    /// Too large a share of the stories is far from every normal one.
    FarShare,
    /// Another model has taken the place of the one that did not fit the logs.
    ModelChanged,
    /// The scores of nearly all blocks stand above the threshold.
    ScoreLevel,
    /// Somebody said that it is known.
    Acknowledged,
    /// The disk, or what the daemon may use of it, is full.
    DiskFull,
    /// The file system is mounted for reading only.
    ReadOnly,
    /// The system refuses to write for another reason.
    WriteFailed,
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
            Self::KnownFault => "known_fault",
            Self::New => "new",
            Self::Burst => "burst",
            Self::Frequent => "frequent",
            Self::UnknownShare => "unknown_share",
            Self::FarShare => "far_share",
            Self::ModelChanged => "model_changed",
            Self::ScoreLevel => "score_level",
            Self::Acknowledged => "acknowledged",
            Self::DiskFull => "disk_full",
            Self::ReadOnly => "read_only",
            Self::WriteFailed => "write_failed",
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
    /// How often the nearest normal story has it; 0 without one.
    pub expected: u32,
    /// How often this story has it, as far as its window shows: endless events are counted in buckets.
    pub seen: u32,
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
    /// Whether the story was seen from its start. Else it may have what it seems to lack.
    pub from_start: bool,
    /// The normal story that it was held against; `None` where the model has none, and in what resolves an alert.
    pub nearest: Option<NormalStory>,
    /// How unexpected it is that the story stops here, nats; `None` while it may go on, or when its end did not fit into the window.
    pub end_nats: Option<f32>,
    /// The events behind [`Alert::positions`], in their order; empty in what resolves an alert.
    pub events: Vec<ShownEvent>,
    /// Template texts, which `events` name by index.
    pub templates: Vec<String>,
    /// Records that are not shown and say where the replicas are, in log order, at most
    /// [`crate::limits::EVIDENCE_POSITIONS_MAX`].
    pub evidence: Vec<Position>,
}

impl Explanation {
    /// What an alert that resolves another says again: what departed, without the records and the story beside it.
    #[must_use]
    pub fn in_short(&self) -> Self {
        let Self { training_sessions_above, training_sessions, from_start, .. } = *self;
        Self { deviations: self.deviations.clone(), training_sessions_above, training_sessions, from_start, ..Self::default() }
    }
}

/// What a normal block does, as counts of events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NormalStory {
    /// What happens in it: first the events that the story in question has too, in its order; at most
    /// [`crate::limits::STORY_EVENTS_MAX`].
    pub events: Vec<NormalEvent>,
    /// Kinds of events beyond that bound.
    pub events_left_out: u32,
    /// Share of the stories learnt that were like it, at their end or while they rested midway, so that those of several stories may make
    /// more than 1; 0..=1. 0 = none was: it was concluded from others.
    pub share: f32,
}

/// One kind of event of a normal story.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NormalEvent {
    /// Text of its template.
    pub template: String,
    /// How often it happens there, >= 1.
    pub expected: u32,
    /// How often it happens in the story in question.
    pub seen: u32,
}

/// An event whose record an alert quotes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShownEvent {
    /// Its record.
    pub position: Position,
    /// Index of its template in [`Explanation::templates`].
    pub template: u16,
    /// How unexpected it was where it came, nats.
    pub nats: f32,
}

/// What people are told of a block or a host. Its text is added at the edge, which reads the lines again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Its identity.
    pub id: AlertId,
    /// What it belongs to; a resolved alert carries the incident of the firing one.
    pub incident: IncidentId,
    /// What it announces.
    pub alert_type: AlertType,
    /// Why.
    pub reason: Reason,
    /// Log time of the judgement of a block; of the first record of trouble. Of the daemon's own state what the clock of its host said.
    pub time: LogTime,
    /// Equal for what goes wrong in the same way: a hash of the set of deviations, or of messages, by template text.
    pub signature: String,
    /// Records that show it in log order, at most [`crate::limits::ALERT_POSITIONS_MAX`].
    pub positions: Vec<Position>,
    /// Set when log time was moved on by a wall clock because all logs were silent.
    pub by_silence: bool,
    /// How the detector stood to the traffic; `None` of trouble of a host, which it does not judge.
    pub mode: Option<DetectorMode>,
    /// What it is of, and what was found.
    pub finding: Finding,
}

impl Alert {
    /// Every record that its text quotes, or is read again for what it says.
    pub fn quoted(&self) -> impl Iterator<Item = Position> {
        let (nearby, evidence) = match &self.finding {
            Finding::Block(finding) => (finding.nearby.as_slice(), finding.explanation.evidence.as_slice()),
            Finding::Host(_) | Finding::Template(_) | Finding::Domain(_) | Finding::Regime(_) | Finding::State(_) => {
                (&[][..], &[][..])
            }
        };
        self.positions.iter().chain(evidence).copied().chain(nearby.iter().map(|nearby| nearby.position))
    }
}

/// What was found, of what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Finding {
    /// The story of a block.
    Block(Box<BlockFinding>),
    /// The messages of a host.
    Host(Box<HostFinding>),
    /// A template that the model does not know.
    Template(Box<TemplateFinding>),
    /// Whether the model fits what the logs say.
    Domain(Box<DomainFinding>),
    /// The level of the scores.
    Regime(Box<RegimeFinding>),
    /// The daemon's own state. No log says it: the daemon does.
    State(Box<StateFinding>),
}

/// What was found of a block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockFinding {
    /// The block.
    pub block: BlockId,
    /// Name of its pool, where known: `BP-…`.
    pub pool: Option<String>,
    /// The decision behind it.
    pub verdict: Verdict,
    /// Name of the model.
    pub model: String,
    /// Why, in detail.
    pub explanation: Explanation,
    /// Events of the episode, also those that no position shows.
    pub events: u32,
    /// Trouble on the same hosts at the time, latest first, at most [`crate::limits::NEARBY_MAX`].
    pub nearby: Vec<Nearby>,
}

/// What was found of a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostFinding {
    /// The host.
    pub host: String,
    /// What the processes that complain do, sorted.
    pub roles: Vec<Role>,
    /// What they say, the most telling first, at most [`crate::limits::TROUBLE_COMPLAINTS_MAX`].
    pub complaints: Vec<Complaint>,
    /// Kinds of messages beyond that bound.
    pub complaints_left_out: u32,
    /// Other hosts that said the same in the same time, sorted, at most [`crate::limits::TROUBLE_HOSTS_NAMED_MAX`].
    pub also_on: Vec<String>,
}

/// What was found of a template that the model does not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TemplateFinding {
    /// Name of the model.
    pub model: String,
    /// Its text.
    pub template: String,
    /// Its events so far, >= 1, from `first` to `last`.
    pub events: u64,
    /// Episodes in which it has turned up so far.
    pub episodes: u64,
    /// Log time of the first.
    pub first: LogTime,
    /// Log time of the last.
    pub last: LogTime,
}

/// What was found of the model's domain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DomainFinding {
    /// Name of the model.
    pub model: String,
    /// The share that was held against its limit, 0..=1: of unknown events, or of stories far from every normal one.
    pub share: f64,
    /// The limit above which the model is out of its domain.
    pub share_max: f64,
    /// The commonest templates that it does not know, at most [`crate::limits::DOMAIN_SAMPLES_MAX`].
    pub templates: Vec<TemplateFinding>,
    /// Episodes that were anomalous and not told meanwhile.
    pub held_back: u64,
}

/// What was found of the level of the scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegimeFinding {
    /// Name of the model.
    pub model: String,
    /// Where the scores were.
    pub before: ScoreLevel,
    /// Where they are now; of what resolves it, where they are at that moment.
    pub after: ScoreLevel,
    /// Episodes in which the change was seen: the last ones judged.
    pub episodes: u64,
    /// Log time of the change.
    pub changed: LogTime,
}

/// Where scores lie, and the threshold above them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScoreLevel {
    /// The score at the mean of ln score, nats.
    pub typical: f64,
    /// Standard deviation of ln score.
    pub log_sd: f64,
    /// The threshold, nats.
    pub threshold: f64,
}

/// What was found of the daemon's own state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateFinding {
    /// The host that the daemon runs on.
    pub host: String,
    /// Path of the state directory.
    pub directory: String,
    /// What the system said last.
    pub error: String,
    /// When it could not be written for the first time, by the clock of that host.
    pub since: LogTime,
}

/// One kind of message that is trouble.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Complaint {
    /// Why it is told: [`Reason::KnownFault`], [`Reason::New`] or [`Reason::Burst`].
    pub reason: Reason,
    /// Text of its template.
    pub template: String,
    /// Class of the exception that came with it.
    pub exception: Option<String>,
    /// What it is known to mean.
    pub statement: Option<Statement>,
    /// Whom it speaks of, when that is not the host itself.
    pub subject: Option<String>,
    /// How serious it calls itself.
    pub level: Level,
    /// Records of this kind, >= 1, from `first` to `last`.
    pub count: u32,
    /// Log time of the first.
    pub first: LogTime,
    /// Log time of the last.
    pub last: LogTime,
    /// The most that this host says of it in a minute; halved for each day since.
    pub usual_per_minute: u32,
}

/// Trouble on a host at the time of a block's last events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nearby {
    /// The host.
    pub host: String,
    /// Text of the template, with the class of the exception if one came with it.
    pub template: String,
    /// How serious it calls itself.
    pub level: Level,
    /// Records of this kind, >= 1, from `first` to `last`.
    pub count: u32,
    /// Log time of the first.
    pub first: LogTime,
    /// Log time of the last.
    pub last: LogTime,
    /// The first of them.
    pub position: Position,
}
