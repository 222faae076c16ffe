//! `hdfs-vigil experiment`: experiments that anyone can repeat, with pictures in a report.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::bail;
use clap::{Args, Subcommand};
use jiff::tz::TimeZone;

use self::logs::{Logs, Scratch};
use self::outcome::Outcome;
use super::destination::Destination;
use super::replay::{self, Report};
use crate::config::Config;
use crate::daemon::build;
use crate::learn::Learned;
use crate::report::Recorder;

mod logs;
mod outcome;
mod page;
mod render;
mod training;

/// Repeat an experiment, with pictures and numbers.
#[derive(Debug, Args)]
pub struct ExperimentArgs {
    #[command(subcommand)]
    experiment: Experiment,
}

#[derive(Debug, Subcommand)]
enum Experiment {
    DomainShift(DomainShift),
}

/// Train on a small quiet log, then judge a long one whose traffic changes midway
///
/// A model learns from a quiet log. Then a long log is replayed twice through the pipeline of the daemon: once with `[domain]` switched
/// off, for the scores that a static threshold and a plain moving average get to see, and once as the daemon comes. From the change on
/// there are lines that belong to no story, and a new sentence in the stories of normal and anomalous blocks alike; what is normal stays
/// normal. A table and a report say what each of the three told, before and after.
///
/// Without logs it renders them, with the cluster simulator of `hdfs-vigil demo`, in a temporary directory that goes in the end:
/// 10,000,000 lines take 1.5 GB and some minutes. The simulator's stories are of thirteen normal kinds and four faults; those of real
/// clusters are more various, and their figures somewhat worse. The same seed gives the same figures, but for what is measured.
///
/// For example: hdfs-vigil experiment domain-shift --lines 1000000 --report domain-shift.html
#[derive(Clone, Debug, Args)]
pub struct DomainShift {
    /// Lines of the log that is judged
    #[arg(long, value_name = "N", default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(200_000..=100_000_000))]
    lines: u64,
    /// Lines of the quiet log
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(5_000..=10_000_000))]
    train_lines: u64,
    /// Share of the lines before the change
    #[arg(long, value_name = "SHARE", default_value_t = 0.5, value_parser = share)]
    shift_at: f64,
    /// Lines that name no block for each line of a story, from the change on
    #[arg(long, value_name = "SHARE", default_value_t = 0.3, value_parser = share)]
    noise_after: f64,
    /// Share of the blocks to which a fault happens; the default is that of HDFS_v1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0293, value_parser = share)]
    anomaly_rate: f64,
    /// Decides every random draw
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Quiet log to train on, instead of a rendered one
    #[arg(long, value_name = "LOG", requires_all = ["log", "labels"])]
    train_log: Option<PathBuf>,
    /// Log to judge, instead of a rendered one; plain text, in one file
    #[arg(long, value_name = "LOG", requires_all = ["train_log", "labels"])]
    log: Option<PathBuf>,
    /// What is known of its blocks, `BlockId,Label` with Normal or Anomaly
    #[arg(long, value_name = "CSV", requires_all = ["train_log", "log"])]
    labels: Option<PathBuf>,
    /// Configuration over the defaults; may be given again
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Write a report here: one HTML page with the pictures
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Keep logs, labels and model in this directory, which must be empty or new
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Exit with 1 unless ours keeps false alarms under 0.5 % and recall over 0.95 once it has adapted, and told within 2,000 sessions
    #[arg(long)]
    check: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Everything that a run came to.
struct Run {
    logs: Logs,
    learned: Learned,
    recorder: Recorder,
    /// Of the second run.
    report: Report,
    zone: TimeZone,
}

/// Runs the command.
///
/// # Errors
/// When there is no room, a log cannot be read, too little is in it to learn from, or the report cannot be written.
pub fn run(args: &ExperimentArgs, stop: &Arc<AtomicBool>, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let Experiment::DomainShift(args) = &args.experiment;
    let logs = [&args.train_log, &args.log, &args.labels].into_iter().flatten();
    let inputs: Vec<PathBuf> = logs.chain(&args.config).cloned().collect();
    let scratch = Scratch::new(args.keep.as_deref())?;
    let destination = args.report.as_deref().map(|path| Destination::new(path, &inputs)).transpose()?;
    scratch.remove_when(stop)?;
    let run = domain_shift(args, &scratch, stop)?;
    let outcome = Outcome::new(&run);
    if let Some(destination) = destination {
        destination.write(page::page(&run, &outcome).as_bytes())?;
    }
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&outcome)?)?
    } else {
        outcome.print(out)?
    }
    Ok(if args.check && !outcome.goals.met { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn domain_shift(args: &DomainShift, scratch: &Scratch, stop: &Arc<AtomicBool>) -> anyhow::Result<Run> {
    let mut config = Config::load(&args.config)?;
    build::load_runtime(&config)?;
    let logs = match (&args.train_log, &args.log, &args.labels) {
        (Some(quiet), Some(log), Some(labels)) => Logs::given(quiet, log, labels, args.shift_at)?,
        _ => {
            config.ingest.timezone = TimeZone::UTC;
            Logs::rendered(args, scratch)?
        }
    };
    let moment = logs.moment(&config.ingest.timezone)?;
    let model = scratch.path("model.onnx");
    let learned = training::train(&logs.quiet, &model, args.seed, stop)?;
    let labels = replay::read_labels(&logs.labels)?;
    if labels.is_empty() {
        bail!("{} has no labels", logs.labels.display());
    }
    let replayed = replay::Args {
        paths: vec![logs.log.clone()],
        model: Some(model),
        config: Vec::new(),
        labels: None,
        alerts: None,
        report: None,
        flush: true,
        json: args.json,
        show: 0,
    };
    let settings = build::pipeline_settings(&config).threshold;
    let recorder = Recorder::new(&learned.contract.profile.calibration, &settings).divided_at(moment).with_labels(&labels);
    drop(labels);
    let mut bare = config.clone();
    bare.domain.enabled = false;
    eprintln!("first run: without [domain], for the scores of a static threshold and a plain moving average");
    let (_, recorder) = replay::record(&replayed, &bare, recorder)?;
    eprintln!("second run: hdfs-vigil as it comes");
    let (report, recorder) = replay::record(&replayed, &config, recorder.again())?;
    Ok(Run { logs, learned, recorder, report, zone: config.ingest.timezone })
}

/// A number of 0..=1.
fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "is no number".to_owned())?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err("is not in 0..=1".to_owned()) }
}
