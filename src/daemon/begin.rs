//! What a daemon begins with: its last checkpoint, the model that this was written under, and the one that is to take over from it.

use std::path::Path;

use anyhow::Context;
use tracing::warn;

use crate::config::Config;
use crate::daemon::build;
use crate::daemon::mutes::Mutes;
use crate::daemon::outbox::Outbox;
use crate::ingest::Saved;
use crate::model::scorer::{self, LoadError, Scorer};
use crate::pipeline::event::template::changes::Changes;
use crate::pipeline::front::RestoreError;
use crate::pipeline::{self, Pipeline};
use crate::state::checkpoint::{StateDirectory, StateError};
use crate::state::journal::{Journal, Mark};
use crate::state::model_copies::ModelCopies;

/// Everything of one instant, and what judges it.
pub struct Begun {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// How far the logs were read.
    pub positions: Saved,
    /// Alerts on their way.
    pub outbox: Outbox,
    /// What people do not want to be sent, with what the configuration mutes now.
    pub mutes: Mutes,
    /// Goes on behind what the checkpoint marks.
    pub journal: Journal,
    /// The model that the pipeline was left with.
    pub scorer: Scorer,
    /// The configured model, when it is another one: it is to take over.
    pub next: Option<Scorer>,
    /// Why the configured model is not used, when it is not.
    pub refused: Option<String>,
}

/// Everything of one instant, as it was read.
#[derive(serde::Deserialize)]
struct Checkpoint {
    model_sha256: String,
    positions: Saved,
    outbox: Outbox,
    mutes: Mutes,
    pipeline: pipeline::Kept,
    templates: Mark,
}

/// A checkpoint with what belongs to it.
struct Restored {
    checkpoint: Checkpoint,
    journal: Journal,
    templates: Vec<Changes>,
}

/// The models at the start.
struct Models {
    scorer: Scorer,
    next: Option<Scorer>,
    refused: Option<String>,
}

impl Begun {
    /// Reads the checkpoint and the models.
    ///
    /// # Errors
    /// When neither the configured model nor a copy of one that ran here can be used, or the checkpoint cannot be read.
    pub fn new(config: &Config, state: &StateDirectory) -> anyhow::Result<Self> {
        let restored = restore(state)?;
        let written_under = restored.as_ref().map(|restored| restored.checkpoint.model_sha256.as_str());
        let models = models(&config.model.path, &ModelCopies::new(state.path()), written_under)?;
        let mut begun = match restored {
            Some(restored) => Self::go_on(config, state, restored, models)?,
            None => Self::afresh(config, state, models)?,
        };
        begun.mutes.configure(&config.alerts.mute);
        Ok(begun)
    }

    fn afresh(config: &Config, state: &StateDirectory, Models { scorer, next, refused }: Models) -> anyhow::Result<Self> {
        let pipeline = Pipeline::new(build::pipeline_settings(config), scorer.contract().profile.clone());
        let (positions, outbox, journal) = (Saved::default(), Outbox::default(), Journal::new(state.path(), Mark::default()));
        let (pipeline, mutes) = (pipeline.map_err(RestoreError::Mask)?, Mutes::default());
        Ok(Self { pipeline, positions, outbox, mutes, journal, scorer, next, refused })
    }

    fn go_on(config: &Config, state: &StateDirectory, restored: Restored, models: Models) -> anyhow::Result<Self> {
        let (Restored { checkpoint, journal, templates }, Models { scorer, next, refused }) = (restored, models);
        let profile = scorer.contract().profile.clone();
        let same_model = checkpoint.model_sha256 == scorer.sha256();
        if !same_model {
            warn!(
                model = profile.name,
                "The checkpoint is of another model, and there is no copy of that; open sessions end, and blocks that speak again resume."
            );
        }
        let settings = build::pipeline_settings(config);
        let pipeline = Pipeline::restore(settings, profile, checkpoint.pipeline, &templates, same_model)?;
        let journal = if same_model { journal } else { Journal::new(state.path(), checkpoint.templates) };
        let (positions, outbox, mutes) = (checkpoint.positions, checkpoint.outbox, checkpoint.mutes);
        Ok(Self { pipeline, positions, outbox, mutes, journal, scorer, next, refused })
    }
}

/// What the newest checkpoint holds, with the part of the journal that it marks.
fn restore(state: &StateDirectory) -> Result<Option<Restored>, StateError> {
    let complete = |checkpoint: Checkpoint| {
        let (journal, templates) = Journal::read(state.path(), checkpoint.templates)?;
        Ok(Restored { checkpoint, journal, templates })
    };
    let Some(loaded) = state.read(complete)? else { return Ok(None) };
    if let Some(error) = loaded.passed_over {
        warn!(%error, "Going on from the previous checkpoint.");
    }
    Ok(Some(loaded.content))
}

/// The configured model, or a copy when that cannot be used. Where the checkpoint was written under another model of which there is a
/// copy, that one; beside it the configured model, if it may take over.
fn models(path: &Path, copies: &ModelCopies, written_under: Option<&str>) -> anyhow::Result<Models> {
    let bytes = match scorer::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return copy_instead(path, copies, written_under, error),
    };
    let other = written_under.filter(|sha256| *sha256 != scorer::sha256(&bytes));
    if let Some(before) = other.and_then(|sha256| copy(copies, |copy| copy == sha256)) {
        return Ok(with_successor(before, &bytes, copies));
    }
    match Scorer::from_bytes(&bytes) {
        Ok(scorer) => {
            keep(copies, &bytes, |_| false);
            Ok(Models { scorer, next: None, refused: None })
        }
        Err(error) => copy_instead(path, copies, written_under, error),
    }
}

/// Is as strict as a running daemon: what that has refused does not take over at its next start.
fn with_successor(before: Scorer, bytes: &[u8], copies: &ModelCopies) -> Models {
    match Scorer::checked(bytes) {
        Ok(next) => {
            keep(copies, bytes, |copy| scorer::sha256(copy) == before.sha256());
            Models { scorer: before, next: Some(next), refused: None }
        }
        Err(error) => Models { scorer: before, next: None, refused: Some(error.to_string()) },
    }
}

fn keep(copies: &ModelCopies, bytes: &[u8], is_needed: impl Fn(&[u8]) -> bool) {
    if let Err(error) = copies.keep(bytes, is_needed) {
        warn!(%error, "The model could not be copied; without a sound model file there would be none to start with.");
    }
}

fn copy_instead(path: &Path, copies: &ModelCopies, written_under: Option<&str>, error: LoadError) -> anyhow::Result<Models> {
    let written_under = written_under.and_then(|sha256| copy(copies, |copy| copy == sha256));
    match written_under.or_else(|| copy(copies, |_| true)) {
        Some(scorer) => Ok(Models { scorer, next: None, refused: Some(error.to_string()) }),
        None => Err(error).with_context(|| format!("load model {} (model.path)", path.display())),
    }
}

/// The newest sound copy whose SHA-256 is a wanted one.
fn copy(copies: &ModelCopies, is_wanted: impl Fn(&str) -> bool) -> Option<Scorer> {
    let wanted = copies.read().into_iter().filter(|bytes| is_wanted(&scorer::sha256(bytes)));
    wanted.into_iter().find_map(|bytes| Scorer::from_bytes(&bytes).ok())
}
