//! The nouns of the middle of the pipeline: the story of a block, and the window of it that a model sees.

use serde::{Deserialize, Serialize};

use crate::pipeline::event::Token;

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
    /// Model tokens, shape [steps].
    pub tokens: Vec<Token>,
}

/// What a model says of one window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The worst token's cross-entropy, in nats. >= 0, finite.
    pub score: f32,
    /// Distance to the nearest normal count pattern, idf-weighted. >= 0, finite; 0 = one of them.
    pub distance: f32,
    /// Cross-entropy in nats, shape [steps]: entry `t` says how unexpected was what follows `tokens[t]`; the last entry
    /// says how unexpected it is that the story stops there.
    pub token_error: Vec<f32>,
}
