//! Learns a model from stories of blocks: corpus -> windows -> network -> training -> calibration -> contract and weights.
//!
//! One seed decides every random draw, so the same stories give the same model on the same kind of processor.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use thiserror::Error;

use crate::limits::{TRAINING_STORIES_MIN, VOCABULARY_MAX};
use crate::model::contract::Contract;
use crate::model::onnx::Weights;
use crate::pipeline::profile::{CountPattern, FIRST_EVENT};

pub use self::corpus::{Corpus, CorpusError, Story};

pub mod baseline;
mod calibrate;
pub mod corpus;
pub mod curve;
pub mod evaluate;
mod export;
mod habits;
pub mod logs;
mod lstm;
mod network;
pub mod pictures;
mod screen;
pub mod telling;
mod train;
mod windows;

use self::calibrate::Scores;
use self::network::Network;
use self::train::Schedule;
use self::windows::Windows;

/// How to learn.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of the model, for people and metrics.
    pub name: String,
    /// Seed of every random draw.
    pub seed: u64,
    /// Passes over all windows.
    pub epochs: u32,
    /// A block rests when nothing but endless events has come for so long, milliseconds of log time.
    pub quiet_millis: i64,
    /// Whether to set aside stories that look like failures. Without it everything in the corpus counts as normal.
    pub screen: bool,
    /// Set to end after the current epoch and keep what has been learnt by then.
    pub stop: Arc<AtomicBool>,
}

impl Default for Options {
    fn default() -> Self {
        Self { name: "model".to_owned(), seed: 1, epochs: 40, quiet_millis: 300_000, screen: true, stop: Arc::default() }
    }
}

/// An epoch has ended.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Which, from 1.
    pub epoch: u32,
    /// How many there will be.
    pub epochs: u32,
    /// Mean loss of this epoch, nats per token.
    pub loss: f32,
}

/// A model, and what is expected of it.
#[derive(Clone, Debug)]
pub struct Learned {
    /// Everything but the weights.
    pub contract: Contract,
    /// The weights.
    pub weights: Weights,
    /// Share of normal blocks that alarm, 0..=1: of the training stories, those that score above the threshold and whose kind is not known
    /// from the others when each fifth of them is held back once. The score is that of a network that has learnt from all.
    pub false_alarms_expected: f64,
    /// Stories set aside because they look like failures.
    pub suspects: u64,
    /// What whole stories consist of, commonest first.
    pub stories: Vec<CountPattern>,
    /// Distinct windows left out because there were more than [`crate::limits::TRAINING_WINDOWS_MAX`].
    pub windows_left_out: u64,
    /// Count patterns left out because there were more than [`crate::limits::PATTERNS_MAX`].
    pub patterns_left_out: u64,
}

/// Why nothing was learnt.
#[derive(Debug, Error)]
pub enum LearnError {
    /// Too little data.
    #[error("{stories} whole stories, at least {TRAINING_STORIES_MIN} are needed; give logs of a longer time")]
    TooFewStories {
        /// Whole stories there are.
        stories: u64,
    },
    /// Too many kinds of events.
    #[error("{templates} templates, at most {} fit a vocabulary; are these logs of HDFS?", VOCABULARY_MAX)]
    TooManyTemplates {
        /// Templates there are.
        templates: usize,
    },
    /// The loss is no number.
    #[error("loss of epoch {epoch} is {loss}; training diverged, try another seed")]
    Diverged {
        /// Which, from 1.
        epoch: usize,
        /// Its loss.
        loss: f32,
    },
    /// Arithmetic failed: memory, or an error of this program.
    #[error("train: {0}")]
    Arithmetic(#[from] candle_core::Error),
}

/// Learns a model from `corpus`.
///
/// # Errors
/// When the corpus is too small or too various, or the training diverges.
pub fn learn(corpus: &Corpus, options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<Learned, LearnError> {
    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    let suspects = if options.screen { screen::suspects(corpus) } else { BTreeSet::new() };
    let windows = Windows::new(corpus, &suspects, options.quiet_millis, &mut random)
        .ok_or(LearnError::TooManyTemplates { templates: corpus.texts.len() })?;
    let stories = windows.begun();
    if stories < TRAINING_STORIES_MIN {
        return Err(LearnError::TooFewStories { stories });
    }
    let network = Network::new(usize::from(FIRST_EVENT) + windows.vocabulary.len(), &mut random)?;
    let schedule = Schedule { epochs: options.epochs.max(1), stop: &options.stop };
    let mut report = |epoch, loss| progress(Progress { epoch, epochs: schedule.epochs, loss });
    let losses = train::train(&network, &windows.trained, schedule, &mut random, &mut report)?;
    if let Some((epoch, &loss)) = (1..).zip(&losses).find(|(_, loss)| !loss.is_finite()) {
        return Err(LearnError::Diverged { epoch, loss });
    }
    let scores = Scores::new(&network, &windows.whole)?;
    export::export(corpus, options, losses, &network, &windows, &scores)
}
