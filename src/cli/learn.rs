//! `hdfs-vigil learn`: trains a model on the logs of a cluster, or on sessions that were gathered before.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::bail;

use self::progress::Bar;
use self::summary::{Seconds, Summary};
use super::destination::Destination;
use crate::learn::logs::{How, Reading};
use crate::learn::telling::Supply;
use crate::learn::{Corpus, CorpusError, LearnError, Learned, Options, Progress, curve, learn, logs};
use crate::limits::TRAINING_STORIES_MIN;
use crate::model::onnx;
use crate::pipeline::profile::DrainSettings;

pub mod progress;
mod summary;

/// Trains a model on the logs of a cluster as they are when all is well.
///
/// Takes the logs of all NameNodes and DataNodes: files with their rotated ones, plain or compressed, or folders of them. No labels are
/// needed: stories of blocks that look like failures are set aside. A few hours of logs are a beginning, some days are good. It runs
/// on the CPU, for some minutes at most, and writes one file, which replaces what was there in one step.
///
/// For example, the logs of several hosts, copied into one folder each:
///
/// hdfs-vigil learn logs/nn1 logs/dn1 logs/dn2 -o model.onnx
///
/// Then `hdfs-vigil model check model.onnx` says whether it works here, `hdfs-vigil replay --help` how to try it on logs, and the key
/// model.path of the configuration puts it to use.
///
/// Ctrl-C ends the training after the current epoch and keeps what was learnt; while logs are still being read it ends all. The same
/// inputs and seed give the same file, byte by byte. Session files (`BlockId,Label,EventSequence`, as LogHub publishes HDFS_v1) are
/// taken too; their labels are not looked at.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Logs (plain, rotated, .gz, .zst), folders of logs, or session files
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
    /// Take the logs of each host by themselves, for a daemon that follows those of one host alone
    #[arg(long)]
    pub each_host: bool,
    /// Take everything in the inputs for normal, also stories that stop early or speak of failures
    #[arg(long)]
    pub trust_all: bool,
    /// Draw the loss of each epoch as a picture
    #[arg(long, value_name = "SVG")]
    pub curve: Option<PathBuf>,
    /// Write the golden windows beside the model as well, one JSON object a line
    #[arg(long, value_name = "JSONL")]
    pub golden: Option<PathBuf>,
    /// Print what was learnt as JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs the command. What it learnt goes to `out`, progress to standard error.
///
/// # Errors
/// When the inputs cannot be read, are too few, a file cannot be written, or it is stopped before the training.
pub fn run(args: &Args, stop: &Arc<AtomicBool>, out: &mut dyn Write) -> anyhow::Result<()> {
    let destinations = Destinations::new(args)?;
    let mut seconds = Seconds::default();
    let begun = Instant::now();
    let corpus = corpus(args, stop)?;
    if stop.load(Ordering::Relaxed) {
        bail!(CorpusError::Stopped);
    }
    seconds.reading = begun.elapsed().as_secs_f64();
    let options = Options {
        name: name(args),
        seed: args.seed,
        epochs: args.epochs,
        quiet_millis: quiet_millis(args),
        screen: !args.trust_all,
        stop: Arc::clone(stop),
    };
    let learned = learn_visibly(&corpus, &options, &mut seconds)?;
    let begun = Instant::now();
    destinations.write(&options.name, &learned)?;
    seconds.writing = begun.elapsed().as_secs_f64();
    let summary = Summary::new(&learned, &corpus, args, seconds);
    if args.json { summary.json(out) } else { Ok(summary.tell(out)?) }
}

/// The files to be written.
struct Destinations {
    model: Destination,
    curve: Option<Destination>,
    golden: Option<Destination>,
}

impl Destinations {
    fn new(args: &Args) -> anyhow::Result<Self> {
        let optional = |path: &Option<PathBuf>| path.as_ref().map(|path| Destination::new(path, &args.inputs)).transpose();
        Ok(Self {
            model: Destination::new(&args.output, &args.inputs)?,
            curve: optional(&args.curve)?,
            golden: optional(&args.golden)?,
        })
    }

    fn write(self, name: &str, learned: &Learned) -> anyhow::Result<()> {
        self.model.write(&onnx::write(&learned.contract, &learned.weights)?)?;
        if let Some(file) = self.curve {
            file.write(curve::svg(name, &learned.contract.training.loss).as_bytes())?;
        }
        if let Some(file) = self.golden {
            file.write(golden(learned)?.as_bytes())?;
        }
        Ok(())
    }
}

fn corpus(args: &Args, stop: &AtomicBool) -> anyhow::Result<Corpus> {
    let is_session_file = |path: &PathBuf| Corpus::is_session_file(path);
    let sessions = args.inputs.iter().map(is_session_file).collect::<Result<Vec<bool>, CorpusError>>()?;
    match (sessions.contains(&true), sessions.contains(&false)) {
        (true, true) => bail!("inputs are session files and logs, must be one kind; learn two models"),
        (true, false) => Ok(Corpus::from_session_files(&args.inputs, args.templates.as_deref())?),
        (false, _) => gather_visibly(args, stop),
    }
}

fn gather_visibly(args: &Args, stop: &AtomicBool) -> anyhow::Result<Corpus> {
    let bar = Bar::bytes(0);
    let mut watch = |Reading { bytes_read, bytes }: Reading| {
        bar.set_of(bytes_read, bytes);
        !stop.load(Ordering::Relaxed)
    };
    let how = How { quiet_millis: quiet_millis(args), drain: DrainSettings::hdfs(), each_host: args.each_host };
    Ok(logs::gather(&args.inputs, &how, &mut watch)?)
}

fn quiet_millis(args: &Args) -> i64 {
    i64::try_from(args.session_quiet_seconds.saturating_mul(1000)).unwrap_or(i64::MAX)
}

fn name(args: &Args) -> String {
    let stem = || args.output.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    args.name.clone().or_else(stem).unwrap_or_else(|| Options::default().name)
}

fn learn_visibly(corpus: &Corpus, options: &Options, seconds: &mut Seconds) -> anyhow::Result<Learned> {
    let is_terminal = std::io::stderr().is_terminal();
    let bar = Bar::epochs(options.epochs.into());
    let begun = Instant::now();
    let learned = learn(corpus, options, &mut |Progress { epoch, epochs, loss }| {
        seconds.training = begun.elapsed().as_secs_f64();
        bar.set(epoch.into(), format!("epoch {epoch} of {epochs}, loss {loss:.4} nats per token"));
        if !is_terminal {
            eprintln!("epoch {epoch} of {epochs}: loss {loss:.4} nats per token");
        }
    });
    seconds.calibrating = begun.elapsed().as_secs_f64() - seconds.training;
    match learned {
        Err(LearnError::TooFewStories { stories }) => bail!(too_few(&Supply::new(corpus), stories)),
        learned => Ok(learned?),
    }
}

/// What is there, what is needed, and how much more log time gives it.
fn too_few(supply: &Supply, stories: u64) -> String {
    let Supply { blocks, joined_midway, cut_short, .. } = supply;
    let there = format!("{stories} whole stories of blocks, at least {TRAINING_STORIES_MIN} are needed");
    let why =
        format!("of {blocks} blocks {joined_midway} are older than the inputs and {cut_short} had not come to rest at their end");
    let remedy = supply.days_missing(stories).map_or_else(
        || "give more of them, of a longer time".to_owned(),
        |days| format!("at this rate about {} more of log time are enough", summary::days(days)),
    );
    format!("{there}; {why}; {remedy}")
}

fn golden(learned: &Learned) -> anyhow::Result<String> {
    let lines = learned.contract.golden.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    Ok(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_is_told_with_how_much_more_is_needed() {
        let hour = Supply { blocks: 50, joined_midway: 10, cut_short: 20, log_millis: Some(3_600_000) };
        check(&hour, 20, "20 whole stories of blocks, at least 100 are needed; of 50 blocks 10 are older");
        check(&hour, 20, "about 2.0 hours more of log time");
        check(&Supply { log_millis: None, ..hour }, 20, "give more of them");
    }

    fn check(supply: &Supply, stories: u64, expected: &str) {
        let text = too_few(supply, stories);
        assert!(text.contains(expected), "{text}");
    }
}
