//! What a daemon begins with: its last checkpoint, the model that this was written under, and the one that is to take over from it.

use std::path::Path;

use anyhow::Context;
use tracing::warn;

use crate::config::Config;
use crate::daemon::build;
use crate::daemon::keeper::Keeper;
use crate::daemon::ledger::{Reader, Restored};
use crate::daemon::mutes::Mutes;
use crate::daemon::outbox::Outbox;
use crate::ingest::Saved;
use crate::model::scorer::{self, LoadError, Scorer};
use crate::pipeline::Pipeline;
use crate::pipeline::front::RestoreError;
use crate::state::directory::{StateDirectory, StateError, damaged};
use crate::state::journal::{Found, Journal};
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
    /// Goes on behind the checkpoint.
    pub keeper: Keeper,
    /// The model that the pipeline was left with.
    pub scorer: Scorer,
    /// The configured model, when it is another one: it is to take over.
    pub next: Option<Scorer>,
    /// Why the configured model is not used, when it is not.
    pub refused: Option<String>,
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
    pub fn new(config: &Config, state: StateDirectory) -> anyhow::Result<Self> {
        let (journal, restored) = restore(state.path())?;
        let written_under = restored.as_ref().map(|restored| restored.model_sha256.as_str());
        let models = models(&config.model.path, &ModelCopies::new(state.path()), written_under)?;
        let mut begun = match restored {
            Some(restored) => Self::go_on(config, state, journal, restored, models)?,
            None => Self::afresh(config, state, journal, models)?,
        };
        begun.mutes.configure(&config.alerts.mute);
        Ok(begun)
    }

    fn afresh(config: &Config, state: StateDirectory, journal: Journal, models: Models) -> anyhow::Result<Self> {
        let Models { scorer, next, refused } = models;
        let pipeline = Pipeline::new(build::pipeline_settings(config), scorer.contract().profile.clone());
        let mut pipeline = pipeline.map_err(RestoreError::Mask)?;
        let keeper = Keeper::new(state, journal, &mut pipeline, false);
        let (positions, outbox, mutes) = (Saved::default(), Outbox::default(), Mutes::default());
        Ok(Self { pipeline, positions, outbox, mutes, keeper, scorer, next, refused })
    }

    fn go_on(
        config: &Config,
        state: StateDirectory,
        journal: Journal,
        restored: Restored,
        models: Models,
    ) -> anyhow::Result<Self> {
        let Models { scorer, next, refused } = models;
        let profile = scorer.contract().profile.clone();
        let same_model = restored.model_sha256 == scorer.sha256();
        if !same_model {
            warn!(
                model = profile.name,
                "The checkpoint is of another model, and there is no copy of that; open sessions end, and blocks that speak again resume."
            );
        }
        let settings = build::pipeline_settings(config);
        let mut pipeline = Pipeline::restore(settings, profile, restored.pipeline, &restored.templates, same_model)?;
        let keeper = Keeper::new(state, journal, &mut pipeline, same_model);
        let Restored { positions, outbox, mutes, .. } = restored;
        Ok(Self { pipeline, positions, outbox, mutes, keeper, scorer, next, refused })
    }
}

/// What the newest whole checkpoint holds, and the journal behind it.
pub(super) fn restore(state: &Path) -> Result<(Journal, Option<Restored>), StateError> {
    let (journal, found) = Journal::open(state)?;
    let Some(Found { mut entries, passed_over }) = found else { return Ok((journal, None)) };
    if let Some(error) = passed_over {
        warn!(%error, "Going on from an earlier checkpoint.");
    }
    let (mut reader, mut content) = (Reader::default(), Vec::new());
    let damaged = |error: postcard::Error| damaged(state, format!("what its journal holds cannot be decoded: {error}"));
    while entries.read(&mut content)? {
        reader.apply(&content).map_err(damaged)?;
    }
    Ok((journal, Some(reader.finish().map_err(damaged)?)))
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
