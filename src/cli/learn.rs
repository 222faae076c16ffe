//! `hdfs-vigil learn`: trains a model on the logs of a cluster, or on sessions that were gathered before.

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::learn::evaluate::first_threshold;
use crate::learn::{Corpus, CorpusError, Learned, Options, Progress, curve, learn, logs};
use crate::model::onnx;
use crate::pipeline::profile::{CountPattern, DrainSettings, FIRST_EVENT, Profile};

/// Trains a model on the logs of a cluster as they are when all is well.
///
/// Takes raw logs, or session files (`BlockId,Label,EventSequence`). Runs on the CPU, some minutes at most. The same inputs and seed
/// give the same model. Ctrl-C ends the training after the current epoch and keeps what was learnt.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Logs (plain or rotated), or session files
    #[arg(value_name = "INPUT", required = true)]
    pub inputs: Vec<PathBuf>,
    /// Model file to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Name of the model in messages and metrics; the name of the file by default
    #[arg(long)]
    pub name: Option<String>,
    /// Decides every random draw
    #[arg(long, default_value_t = Options::default().seed)]
    pub seed: u64,
    /// Passes over the data
    #[arg(long, default_value_t = Options::default().epochs, value_parser = clap::value_parser!(u32).range(1..))]
    pub epochs: u32,
    /// Templates of the session files, line n = event En; `templates.csv` beside the first by default
    #[arg(long, value_name = "FILE")]
    pub templates: Option<PathBuf>,
    /// Seconds of log time after which a block rests; as in the daemon's configuration
    #[arg(long, value_name = "SECONDS", default_value_t = Options::default().quiet_millis as u64 / 1000)]
    pub session_quiet_seconds: u64,
    /// Take everything in the inputs for normal, also stories that stop early or speak of failures
    #[arg(long)]
    pub trust_all: bool,
    /// Draw the loss of each epoch as a picture
    #[arg(long, value_name = "SVG")]
    pub curve: Option<PathBuf>,
    /// Write the golden windows beside the model as well, one JSON object a line
    #[arg(long, value_name = "JSONL")]
    pub golden: Option<PathBuf>,
}

/// Commonest stories told at the end.
const STORIES_SHOWN: usize = 5;

/// Runs the command. What it learnt goes to `out`, progress to standard error.
///
/// # Errors
/// When the inputs cannot be read, are too few, or a file cannot be written.
pub fn run(args: &Args, stop: &Arc<AtomicBool>, out: &mut dyn Write) -> anyhow::Result<()> {
    let corpus = corpus(args)?;
    let quiet_millis = i64::try_from(args.session_quiet_seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
    let options = Options {
        name: name(args),
        seed: args.seed,
        epochs: args.epochs,
        quiet_millis,
        screen: !args.trust_all,
        stop: Arc::clone(stop),
    };
    let learned = learn_visibly(&corpus, &options)?;
    let bytes = onnx::write(&learned.contract, &learned.weights)?;
    write(&args.output, &bytes)?;
    if let Some(path) = &args.curve {
        write(path, curve::svg(&options.name, &learned.contract.training.loss).as_bytes())?;
    }
    if let Some(path) = &args.golden {
        write(path, golden(&learned)?.as_bytes())?;
    }
    Ok(tell(out, &learned, &args.output)?)
}

fn corpus(args: &Args) -> anyhow::Result<Corpus> {
    let is_session_file = |path: &PathBuf| Ok(path.is_file() && Corpus::is_session_file(path)?);
    let sessions = args.inputs.iter().map(is_session_file).collect::<Result<Vec<bool>, CorpusError>>()?;
    match (sessions.contains(&true), sessions.contains(&false)) {
        (true, true) => bail!("inputs are session files and logs, must be one kind; learn two models"),
        (true, false) => Ok(Corpus::from_session_files(&args.inputs, args.templates.as_deref())?),
        (false, _) => Ok(logs::gather(&args.inputs, quiet_millis(args), &DrainSettings::hdfs())?),
    }
}

fn quiet_millis(args: &Args) -> i64 {
    i64::try_from(args.session_quiet_seconds.saturating_mul(1000)).unwrap_or(i64::MAX)
}

fn name(args: &Args) -> String {
    let stem = || args.output.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    args.name.clone().or_else(stem).unwrap_or_else(|| Options::default().name)
}

fn learn_visibly(corpus: &Corpus, options: &Options) -> anyhow::Result<Learned> {
    if !std::io::stderr().is_terminal() {
        let line = |Progress { epoch, epochs, loss }| eprintln!("epoch {epoch} of {epochs}: loss {loss:.4} nats per token");
        return Ok(learn(corpus, options, &mut { line })?);
    }
    let style =
        ProgressStyle::with_template("{bar:30} epoch {pos} of {len}  {msg}  {eta} left").expect("the template is well-formed");
    let bar = ProgressBar::new(options.epochs.into()).with_style(style);
    let learned = learn(corpus, options, &mut |progress| {
        bar.set_message(format!("loss {:.4} nats per token", progress.loss));
        bar.set_position(progress.epoch.into());
    });
    bar.finish_and_clear();
    Ok(learned?)
}

/// Written beside and renamed, so that whoever watches the file never reads half a model.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path)).with_context(|| format!("write {}", path.display()))
}

fn golden(learned: &Learned) -> anyhow::Result<String> {
    let lines = learned.contract.golden.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    Ok(lines.join("\n") + "\n")
}

fn tell(out: &mut dyn Write, learned: &Learned, output: &Path) -> std::io::Result<()> {
    let Profile { name, vocabulary, calibration, .. } = &learned.contract.profile;
    let training = &learned.contract.training;
    let (sessions, epochs, templates) = (training.sessions, training.loss.len(), vocabulary.len());
    writeln!(out, "learnt {name} from {sessions} whole stories in {epochs} epochs: {templates} templates")?;
    if learned.suspects > 0 {
        writeln!(out, "set aside: {} stories that look like failures; --trust-all takes them for normal", learned.suspects)?;
    }
    writeln!(out, "commonest stories:")?;
    for pattern in learned.stories.iter().take(STORIES_SHOWN) {
        writeln!(out, "  {:5.1} %", 100.0 * pattern.sessions as f64 / sessions as f64)?;
        tell_pattern(out, &learned.contract.profile, pattern)?;
    }
    for entry in vocabulary.iter().filter(|entry| entry.endless_buckets_max.is_some()) {
        writeln!(out, "repeats without end: {}", entry.text)?;
    }
    let (threshold, patterns) = (first_threshold(calibration), calibration.patterns.len());
    writeln!(out, "threshold: {threshold:.3} nats, beyond {patterns} count patterns")?;
    writeln!(out, "false alarms expected: {:.0} per 100,000 blocks", 100_000.0 * learned.false_alarms_expected)?;
    tell_left_out(out, learned)?;
    writeln!(out, "written to {}", output.display())
}

fn tell_pattern(out: &mut dyn Write, profile: &Profile, pattern: &CountPattern) -> std::io::Result<()> {
    for (token, count) in &pattern.counts {
        let entry = &profile.vocabulary[usize::from(token.0 - FIRST_EVENT)];
        writeln!(out, "    {count} x {}", entry.text)?;
    }
    Ok(())
}

fn tell_left_out(out: &mut dyn Write, learned: &Learned) -> std::io::Result<()> {
    if learned.windows_left_out + learned.patterns_left_out > 0 {
        let Learned { windows_left_out, patterns_left_out, .. } = learned;
        writeln!(out, "left out, as too various: {windows_left_out} windows, {patterns_left_out} count patterns")?;
    }
    Ok(())
}
