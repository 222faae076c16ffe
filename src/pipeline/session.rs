//! The nouns of the middle of the pipeline: the story of a block, and the window of it that a model sees.

use serde::{Deserialize, Serialize};

use crate::pipeline::event::{BlockId, LogTime, Position, TemplateId, Token};
use crate::pipeline::verdict::Nearby;

pub mod assemble;
pub mod encode;

/// How an episode of a block's life begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Begin {
    /// With an event that begins stories in training.
    Start,
    /// In the middle: the log was joined when the block was already alive.
    Mid,
    /// The block was known, had been released, and speaks again.
    Resumed,
}

/// What a model sees of an episode.
///
/// `tokens[0]` is the token of [`Begin`]; the events follow in log order. Never empty, never longer than
/// [`crate::limits::WINDOW_STEPS_MAX`]. The end token is not part of it: the graph adds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// Model tokens, shape `[steps]`.
    pub tokens: Vec<Token>,
}

/// What a model says of one window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The worst token's cross-entropy, in nats. >= 0, finite.
    pub score: f32,
    /// Distance to the nearest normal count pattern, idf-weighted. >= 0, finite; 0 = one of them.
    pub distance: f32,
    /// Cross-entropy in nats, shape `[steps]`: entry `t` says how unexpected was what follows `tokens[t]`; the last entry
    /// says how unexpected it is that the story stops there.
    pub token_error: Vec<f32>,
}

impl Score {
    /// Whether every number in it can be reckoned with.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let sound = |value: &f32| value.is_finite() && *value >= 0.0;
        sound(&self.score) && sound(&self.distance) && self.token_error.iter().all(sound)
    }

    /// How unexpected event `index` of the episode was, nats: the error after the step before it, and step 0 is the beginning.
    #[must_use]
    pub fn event_error(&self, index: usize) -> f32 {
        self.token_error.get(index).copied().unwrap_or(0.0)
    }
}

/// An event as a session keeps it: what was said and where it stands. Text is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEvent {
    /// Where the record stands.
    pub position: Position,
    /// What was said.
    pub template: TemplateId,
    /// The same in the model's vocabulary.
    pub token: Token,
    /// As that of the event.
    pub grave: bool,
}

/// Why an episode is judged now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// An event came that no normal story has.
    UnknownEvent,
    /// The block has been quiet, so what has not come is missing.
    Quiet,
    /// Another model takes over, and does not know an event of the episode that this one knows. It is judged for what it has.
    Swap,
}

/// An episode at the moment of its judgement. Everything that a verdict and an alert need: the session may go on or be released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The block.
    pub block: BlockId,
    /// How the episode begins.
    pub begin: Begin,
    /// Log time of its first event.
    pub first: LogTime,
    /// Log time of its last event.
    pub last: LogTime,
    /// Log time of the judgement.
    pub time: LogTime,
    /// Why now.
    pub cause: Cause,
    /// Whether the threshold learns from it: the first judgement of the episode at quiet.
    pub sets_threshold: bool,
    /// Set when a wall clock moved log time on because all logs were silent.
    pub by_silence: bool,
    /// Kept events in log order, at most [`crate::limits::SESSION_EVENTS_MAX`].
    pub events: Vec<SessionEvent>,
    /// All events of the episode, also those not kept.
    pub events_seen: u32,
    /// Unknown events left out of it, since their templates are part of normal stories.
    pub left_out: u32,
    /// Trouble on the hosts of its events around the last one, as far as was known at the judgement.
    pub nearby: Vec<Nearby>,
}

impl Case {
    /// Whether something can be missing: the story was seen from its start, and has rested.
    #[must_use]
    pub fn can_lack(&self) -> bool {
        self.begin == Begin::Start && self.cause == Cause::Quiet
    }

    /// What the model is to see of it. A story broken off is shown as one joined midway, so that it lacks nothing.
    #[must_use]
    pub fn window(&self) -> Window {
        let broken_off = self.cause == Cause::Swap && self.begin == Begin::Start;
        let begin = std::iter::once(encode::begin_token(if broken_off { Begin::Mid } else { self.begin }));
        Window { tokens: begin.chain(self.events.iter().map(|event| event.token)).collect() }
    }
}

/// Why a session was released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CloseReason {
    /// Nothing was said of the block for `session_idle`.
    Idle,
    /// The byte budget took it: the one that had been quiet for longest.
    Evicted,
    /// Another model took over that does not know an event of it.
    Swap,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::pipeline::event::{PoolId, SourceId};

    /// A whole story of block 1 that has rested: events of these tokens, each with the template of its number, at the start of one file.
    pub(crate) fn case(tokens: &[u16]) -> Case {
        let position = Position { source: SourceId(0), offset: 0, length: 0 };
        let event =
            |token: &u16| SessionEvent { position, template: TemplateId(u32::from(*token)), token: Token(*token), grave: false };
        Case {
            block: BlockId { pool: PoolId(0), number: 1 },
            begin: Begin::Start,
            first: LogTime(0),
            last: LogTime(1),
            time: LogTime(1),
            cause: Cause::Quiet,
            sets_threshold: true,
            by_silence: false,
            events: tokens.iter().map(event).collect(),
            events_seen: tokens.len() as u32,
            left_out: 0,
            nearby: Vec::new(),
        }
    }
}
