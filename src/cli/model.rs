//! `hdfs-vigil model`: shows what a model file says of itself, and tries whether it keeps its word.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::model::contract::Contract;
use crate::model::onnx::UNKNOWN_NATS;
use crate::model::scorer::{LoadError, Scorer, Stage, library};
use crate::pipeline::profile::{Calibration, Profile, Scope, VocabularyEntry};

use self::promote::Configured;

mod promote;

/// Look at model files, and change the model of a running daemon.
#[derive(Debug, Args)]
pub struct ModelArgs {
    #[command(subcommand)]
    command: ModelCommand,
    /// ONNX Runtime library to use, unless ORT_DYLIB_PATH names one
    #[arg(long, global = true, value_name = "LIBRARY")]
    onnxruntime: Option<PathBuf>,
}

/// What to do with a model file.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Show what a model file says of itself: vocabulary, calibration, how it was trained
    ///
    /// The file is loaded as the daemon loads it, so what is shown has passed the checks that the daemon makes.
    Inspect {
        /// Model file (.onnx)
        file: PathBuf,
        /// Print the whole contract as one JSON object, count patterns and golden windows included
        #[arg(long)]
        json: bool,
    },
    /// Try whether a model file keeps its contract, line by line
    ///
    /// Runs the model: on its golden windows, on odd ones (a single step, the longest, unknown events only), and in a padded batch
    /// against each window alone. Exits with 1 when anything is not as it must be. For those who bring a model of their own.
    Check {
        /// Model file (.onnx)
        file: PathBuf,
    },
    /// Put a model where the configuration says, so that a running daemon goes on with it
    ///
    /// FILE is checked in full before anything is touched. Then it replaces the file at model.path in one step, and what was there
    /// before stays beside it as model.path with `.previous` behind it.
    Promote {
        /// Model file (.onnx)
        file: PathBuf,
        /// Where it goes
        #[command(flatten)]
        configured: Configured,
    },
    /// Put back the model that was there before the last promotion
    ///
    /// Exchanges the file at model.path and the one beside it with `.previous` behind its name; again exchanges them back.
    Rollback {
        /// Where it goes
        #[command(flatten)]
        configured: Configured,
    },
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// The model keeps its contract.
    Kept,
    /// It does not; `out` says why. The process must exit with another code than 0.
    Broken,
}

/// Runs one of the commands.
///
/// # Errors
/// When there is no ONNX Runtime, the file cannot be read, or `out` cannot be written.
pub fn run(args: &ModelArgs, out: &mut dyn Write) -> Result<Outcome> {
    library::load(args.onnxruntime.as_deref())?;
    match &args.command {
        ModelCommand::Inspect { file, json } => inspect(file, *json, out),
        ModelCommand::Check { file } => check(file, out),
        ModelCommand::Promote { file, configured } => promote::promote(file, configured, out),
        ModelCommand::Rollback { configured } => promote::rollback(configured, out),
    }
}

/// Prints what a model file says of itself, for people or as JSON.
///
/// # Errors
/// When there is no ONNX Runtime, the file cannot be read, or `out` cannot be written.
pub fn inspect(path: &Path, json: bool, out: &mut dyn Write) -> Result<Outcome> {
    let scorer = match Scorer::load(path) {
        Ok(scorer) => scorer,
        Err(error) => return broken(path, error, out),
    };
    if json {
        print_json(&scorer, out)?
    } else {
        print_all(path, &scorer, out)?
    }
    Ok(Outcome::Kept)
}

/// Says line by line what of the contract a model file keeps.
///
/// # Errors
/// When there is no ONNX Runtime, the file cannot be read, or `out` cannot be written.
pub fn check(path: &Path, out: &mut dyn Write) -> Result<Outcome> {
    let mut stages = vec![];
    let loaded = Scorer::load_by_stages(path, &mut |stage| stages.push(stage));
    // Its line is written below, with their number.
    for stage in stages.into_iter().filter(|stage| *stage != Stage::Golden) {
        writeln!(out, "ok      {}", stage_name(stage))?;
    }
    match loaded {
        Ok(scorer) => check_loaded(path, scorer, out),
        Err(error) => broken(path, error, out),
    }
}

fn check_loaded(path: &Path, mut scorer: Scorer, out: &mut dyn Write) -> Result<Outcome> {
    let mut faults = u32::from(!golden_present(scorer.contract(), out)?);
    for trial in scorer.try_out() {
        faults += u32::from(trial.fault.is_some());
        match trial.fault {
            None => writeln!(out, "ok      {}", trial.name)?,
            Some(fault) => writeln!(out, "broken  {}: {fault}", trial.name)?,
        }
    }
    let verdict = if faults == 0 { "keeps its contract" } else { "breaks its contract, see above" };
    writeln!(out, "{} {verdict}", path.display())?;
    Ok(if faults == 0 { Outcome::Kept } else { Outcome::Broken })
}

/// Loading takes a model without golden windows, as training needs that; whoever ships one must not.
fn golden_present(contract: &Contract, out: &mut dyn Write) -> Result<bool> {
    let count = contract.golden.len();
    match count {
        0 => writeln!(out, "broken  golden windows: none, so nobody can tell whether it computes here as it did in training")?,
        _ => writeln!(out, "ok      golden windows: {count} scores reproduced")?,
    }
    Ok(count > 0)
}

fn broken(path: &Path, error: LoadError, out: &mut dyn Write) -> Result<Outcome> {
    if matches!(error, LoadError::Library(_) | LoadError::Read { .. }) {
        return Err(error.into());
    }
    writeln!(out, "broken  {}: {error}", path.display())?;
    Ok(Outcome::Broken)
}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Graph => "graph: ONNX Runtime runs it",
        Stage::Contract => "contract: version, vocabulary, Drain, calibration, training",
        Stage::Signature => "inputs and outputs: names and types",
        Stage::Vocabulary => "vocabulary: the graph takes its last token",
        Stage::Golden => "golden windows: scores reproduced",
    }
}

#[derive(Serialize)]
struct Inspection<'a> {
    bytes: u64,
    sha256: &'a str,
    contract: &'a Contract,
}

fn print_json(scorer: &Scorer, out: &mut dyn Write) -> Result<()> {
    let inspection = Inspection { bytes: scorer.bytes(), sha256: scorer.sha256(), contract: scorer.contract() };
    serde_json::to_writer_pretty(&mut *out, &inspection)?;
    Ok(writeln!(out)?)
}

fn print_all(path: &Path, scorer: &Scorer, out: &mut dyn Write) -> Result<()> {
    let contract = scorer.contract();
    writeln!(out, "{}, {} bytes, sha256 {}", path.display(), scorer.bytes(), scorer.sha256())?;
    print_profile(&contract.profile, out)?;
    print_calibration(&contract.profile.calibration, out)?;
    print_training(contract, out)?;
    Ok(writeln!(out, "\n{} golden windows, reproduced", contract.golden.len())?)
}

fn print_profile(profile: &Profile, out: &mut dyn Write) -> Result<()> {
    let drain = &profile.drain;
    writeln!(out, "\nname    {}", profile.name)?;
    writeln!(out, "scope   {}", scope_text(profile.scope))?;
    write!(out, "drain   depth {}, similarity {}, at most {} children", drain.depth, drain.similarity, drain.children_max)?;
    if drain.telling_words_max > 0 {
        write!(out, ", {} words that tell", drain.telling_words_max)?;
    }
    writeln!(out, ", masks: {}", if drain.masks.is_empty() { "none".to_owned() } else { drain.masks.join(", ") })?;
    writeln!(out, "\nvocabulary, {} templates", profile.vocabulary.len())?;
    profile.vocabulary.iter().try_for_each(|entry| print_template(entry, out))
}

fn print_template(entry: &VocabularyEntry, out: &mut dyn Write) -> Result<()> {
    let begins = if entry.begins { "begins" } else { "" };
    let endless = entry.endless_buckets_max.map_or(String::new(), |buckets| format!("endless, {buckets} buckets"));
    Ok(writeln!(out, "  {begins:6}  {endless:19}  {}", entry.text)?)
}

fn print_calibration(calibration: &Calibration, out: &mut dyn Write) -> Result<()> {
    let quantile = |percent: usize| calibration.quantiles[percent];
    let unbounded = (calibration.log_mean + calibration.k * calibration.log_sd).exp() - calibration.epsilon;
    let threshold = (unbounded as f32).clamp(calibration.floor, calibration.ceiling);
    writeln!(out, "\ncalibration, from {} episodes", calibration.sessions)?;
    write!(out, "  score      median {:.3}, 90 % {:.3}, 99 % {:.3}", quantile(50), quantile(90), quantile(99))?;
    writeln!(out, ", highest {:.3} nats (an unknown event: {UNKNOWN_NATS})", quantile(100))?;
    write!(out, "  threshold  {threshold:.3} nats at first ({} standard deviations of the logarithm)", calibration.k)?;
    writeln!(out, ", within {}..={}", calibration.floor, calibration.ceiling)?;
    write!(out, "  distance   at most {} from one of {}", calibration.distance_max, calibration.patterns.len())?;
    Ok(writeln!(out, " normal count patterns")?)
}

fn print_training(contract: &Contract, out: &mut dyn Write) -> Result<()> {
    let training = &contract.training;
    writeln!(out, "\ntraining, {} sessions, seed {}", training.sessions, training.seed)?;
    writeln!(out, "  network    embedding {}, hidden {}, latent {}", training.embedding, training.hidden, training.latent)?;
    if let (Some(first), Some(last)) = (training.loss.first(), training.loss.last()) {
        writeln!(out, "  loss       {first:.4} nats a token after epoch 1, {last:.4} after epoch {}", training.loss.len())?;
    }
    training.inputs.iter().try_for_each(|(name, sha256)| Ok(writeln!(out, "  input      {name}, sha256 {sha256}")?))
}

fn scope_text(scope: Scope) -> &'static str {
    match scope {
        Scope::Cluster => "logs of all hosts joined",
        Scope::Datanode => "one DataNode's own log",
        Scope::Namenode => "the NameNode's log",
    }
}
