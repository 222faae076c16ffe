//! What the pipeline must know of a model: its tokens, how lines and stories are encoded for it, and what normal scores look like.

use serde::{Deserialize, Serialize};

use crate::pipeline::event::Token;
use crate::pipeline::event::template::mask::Masks;

/// Fills unused steps of a batch; the graph masks it by the lengths.
pub const PAD: Token = Token(0);
/// An event that no normal story has.
pub const UNKNOWN: Token = Token(1);
/// An episode begins with an event that begins stories in training.
pub const START: Token = Token(2);
/// An episode was joined in the middle.
pub const MID: Token = Token(3);
/// The block was known, had been released, and speaks again.
pub const RESUMED: Token = Token(4);
/// The story ends; only ever a target inside the graph.
pub const END: Token = Token(5);
/// The first token that stands for a template.
pub const FIRST_EVENT: u16 = 6;

/// What the pipeline must know of a model. It travels inside the model file, so that a model is never fed ids of another vocabulary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Name for people and metrics, such as `hdfs-v1`.
    pub name: String,
    /// Which logs its sessions were gathered from.
    pub scope: Scope,
    /// Template texts; entry `i` is the text of token `FIRST_EVENT + i`.
    pub vocabulary: Vec<VocabularyEntry>,
    /// How lines become templates.
    pub drain: DrainSettings,
    /// What scores look like on the sessions it was trained on.
    pub calibration: Calibration,
}

impl DrainSettings {
    /// Those of Drain's publication for HDFS, with all masks, and with words that tell kept apart.
    #[must_use]
    pub fn hdfs() -> Self {
        let masks = Masks::NAMES.map(str::to_owned).to_vec();
        Self { masks, telling_words_max: TELLING_WORDS_MAX, ..Self::reference() }
    }

    /// Those of Drain's reference implementation where it says nothing else: no masks, and no word tells more than another.
    #[must_use]
    pub fn reference() -> Self {
        Self { depth: 4, similarity: 0.5, children_max: 100, masks: Vec::new(), telling_words_max: 0 }
    }
}

impl Profile {
    /// A profile to which every event is unknown: for learning what there is.
    #[must_use]
    pub fn without_vocabulary(drain: DrainSettings) -> Self {
        let calibration = Calibration {
            sessions: 0,
            quantiles: Vec::new(),
            log_mean: 0.0,
            log_sd: 0.0,
            k: 0.0,
            floor: 0.0,
            ceiling: 0.0,
            epsilon: 1e-3,
            patterns: Vec::new(),
            weights: Vec::new(),
            distance_max: 0.0,
        };
        Self { name: String::new(), scope: Scope::Cluster, vocabulary: Vec::new(), drain, calibration }
    }
}

/// Which logs a model's sessions are gathered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Logs of all hosts joined.
    Cluster,
    /// One DataNode's own log.
    Datanode,
    /// The NameNode's log.
    Namenode,
}

/// One template of a vocabulary and how it behaves in normal stories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VocabularyEntry {
    /// Template text. `<*>` standing alone is one word; glued to other text it is any run of characters, or none.
    pub text: String,
    /// Whether stories begin with it in training.
    pub begins: bool,
    /// Set when it repeats without end in normal stories: occurrences 1, 2, 4, 8, … up to this many count, the others do not.
    pub endless_buckets_max: Option<u8>,
}

/// Drain's settings (He et al., ICWS 2017), as in its reference implementation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrainSettings {
    /// Depth of the parse tree, root and leaf included; at least 3.
    pub depth: u8,
    /// Share of equal words above which a line joins a cluster, 0..=1.
    pub similarity: f32,
    /// Children of one node, the wildcard included.
    pub children_max: u32,
    /// Masks applied before, by name; the scanners are the program's own.
    pub masks: Vec<String>,
    /// Words of letters alone that are kept apart at one position of otherwise similar lines; one more shows that the position holds
    /// a value. 0: none are, and lines are grouped as by the reference. Models that do not say are treated like new ones.
    #[serde(default = "telling_words_max")]
    pub telling_words_max: u32,
}

/// Chosen and not tuned: enough for the states and outcomes of a sentence, few enough that names show soon. Where fewer names than
/// this occur they stay apart: `tests/it/templates.rs` prints what it does to the grouping of eight systems (better for four of them and
/// for Linux, worse for OpenSSH with its handful of users).
const TELLING_WORDS_MAX: u32 = 8;

fn telling_words_max() -> u32 {
    TELLING_WORDS_MAX
}

/// What scores look like on training data. Labels are never looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Scored episodes behind these figures.
    pub sessions: u64,
    /// Quantiles of the score at 0.00, 0.01, …, 1.00 (101 entries, nats).
    pub quantiles: Vec<f32>,
    /// Winsorised mean of ln(score + epsilon).
    pub log_mean: f64,
    /// Winsorised standard deviation of the same.
    pub log_sd: f64,
    /// How many of those standard deviations above the mean the threshold stands at first.
    pub k: f64,
    /// The score that a threshold never falls below, nats.
    pub floor: f32,
    /// The score that a threshold never rises above, nats.
    pub ceiling: f32,
    /// Added to a score before its logarithm is taken.
    pub epsilon: f64,
    /// Count patterns of normal stories, most frequent first: (token, count) sorted by token.
    pub patterns: Vec<CountPattern>,
    /// Weight of each token in the distance, shape `[FIRST_EVENT + vocabulary]`.
    pub weights: Vec<f32>,
    /// Distances above this are far from every normal story.
    pub distance_max: f32,
}

impl Calibration {
    /// Weight of a token in the distance, >= 0; 1 for one that a model says nothing of.
    #[must_use]
    pub fn weight(&self, token: Token) -> f32 {
        self.weights.get(usize::from(token.0)).copied().unwrap_or(1.0)
    }

    /// Whether both say the same of scores, whatever they say of counts.
    #[must_use]
    pub fn scores_as(&self, other: &Self) -> bool {
        let of_scores = |calibration: &Self| {
            let Self { log_mean, log_sd, k, floor, ceiling, epsilon, .. } = *calibration;
            (log_mean, log_sd, k, floor, ceiling, epsilon)
        };
        of_scores(self) == of_scores(other) && self.quantiles == other.quantiles
    }

    /// Whether how often the event comes tells nothing: of reads and the like normal stories have any number, at any time.
    #[must_use]
    pub fn is_loose(&self, token: Token) -> bool {
        self.weight(token) == 0.0
    }
}

/// How often each event stands in a normal story, after endless ones were counted in buckets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountPattern {
    /// (token, count), sorted by token, counts > 0.
    pub counts: Vec<(Token, u16)>,
    /// Training episodes that had exactly these counts.
    pub sessions: u64,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A profile with this vocabulary, the usual Drain, and scores around 1 that call 3 anomalous.
    pub(crate) fn profile(vocabulary: &[&str]) -> Profile {
        let entry = |text: &&str| VocabularyEntry { text: (*text).to_owned(), begins: false, endless_buckets_max: None };
        Profile {
            name: "test".to_owned(),
            scope: Scope::Cluster,
            vocabulary: vocabulary.iter().map(entry).collect(),
            drain: DrainSettings::hdfs(),
            calibration: Calibration {
                sessions: 1000,
                quantiles: (0..=100).map(|percent| 0.5 + percent as f32 / 100.0).collect(),
                log_mean: 0.0,
                log_sd: 0.5,
                k: 2.2,
                floor: 0.5,
                ceiling: 12.0,
                epsilon: 1e-3,
                patterns: Vec::new(),
                weights: vec![1.0; vocabulary.len() + usize::from(FIRST_EVENT)],
                distance_max: 0.0,
            },
        }
    }
}
