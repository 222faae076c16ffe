//! `hdfs-vigil evaluate`: holds models against sessions whose labels are known.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use serde::Serialize;

use crate::learn::evaluate::{HDFS_V1, Rates, Report, evaluate};
use crate::learn::{Corpus, Options, learn};
use crate::model::onnx;
use crate::model::scorer::Scorer;

/// Holds a model, or models trained for the purpose, against labelled sessions.
///
/// Session files hold `BlockId,Label,EventSequence`; `templates.csv` beside each says what the events are. Only this command knows
/// which sessions are anomalous. The threshold stays where the model's calibration begins. Rates are scaled to the whole of HDFS_v1.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Model to judge with
    #[arg(long, value_name = "FILE", required_unless_present = "train", conflicts_with = "train")]
    pub model: Option<PathBuf>,
    /// Sessions that are normal
    #[arg(long, value_name = "CSV")]
    pub normal: PathBuf,
    /// Sessions that are anomalous
    #[arg(long, value_name = "CSV")]
    pub anomalous: PathBuf,
    /// Train models on these sessions instead, one a seed, and say how they spread
    #[arg(long, value_name = "CSV", num_args = 1..)]
    pub train: Vec<PathBuf>,
    /// Models to train, with seeds 1, 2, …
    #[arg(long, value_name = "N", default_value_t = 10, requires = "train", value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// Passes over the training sessions
    #[arg(long, value_name = "N", default_value_t = Options::default().epochs, requires = "train", value_parser = clap::value_parser!(u32).range(1..))]
    pub epochs: u32,
    /// Train on everything, also on stories that look like failures
    #[arg(long, requires = "train")]
    pub trust_all: bool,
    /// Templates of all session files, one a line, instead of those beside each
    #[arg(long, value_name = "FILE")]
    pub templates: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What several seeds come to.
#[derive(Debug, Serialize)]
struct Spread {
    seeds: u64,
    f1_mean: f64,
    f1_sd: f64,
    f1_min: f64,
    precision_mean: f64,
    recall_mean: f64,
    false_alarms_per_100k: f64,
    models: Vec<Report>,
}

/// Runs the command; `stop` ends it after the current epoch.
///
/// # Errors
/// When a file cannot be read or nothing can be learnt from it.
pub fn run(args: &Args, stop: &Arc<AtomicBool>, out: &mut dyn Write) -> anyhow::Result<()> {
    let normal = read(std::slice::from_ref(&args.normal), args)?;
    let anomalous = read(std::slice::from_ref(&args.anomalous), args)?;
    match &args.model {
        Some(model) => {
            let report = judge(&mut load(model)?, &normal, &anomalous)?;
            if args.json { json(out, &report) } else { Ok(print_report(out, &report)?) }
        }
        None => {
            let spread = train(args, &normal, &anomalous, stop, out)?;
            if args.json { json(out, &spread) } else { Ok(print_spread(out, &spread)?) }
        }
    }
}

fn train(
    args: &Args,
    normal: &Corpus,
    anomalous: &Corpus,
    stop: &Arc<AtomicBool>,
    out: &mut dyn Write,
) -> anyhow::Result<Spread> {
    let corpus = read(&args.train, args)?;
    let mut models = Vec::new();
    for seed in 1..=args.seeds {
        let options = Options {
            name: format!("seed {seed}"),
            seed,
            epochs: args.epochs,
            screen: !args.trust_all,
            stop: Arc::clone(stop),
            ..Options::default()
        };
        let learned = learn(&corpus, &options, &mut |_| ())?;
        if stop.load(Ordering::Relaxed) {
            bail!("stopped at seed {seed}");
        }
        let mut scorer = Scorer::from_bytes(&onnx::write(&learned.contract, &learned.weights)?)?;
        let report = judge(&mut scorer, normal, anomalous)?;
        if !args.json {
            print_row(out, &report.model, &report.both)?;
        }
        models.push(report);
    }
    Ok(Spread::new(models))
}

impl Spread {
    fn new(models: Vec<Report>) -> Self {
        let mean = |value: fn(&Rates) -> f64| models.iter().map(|model| value(&model.both)).sum::<f64>() / models.len() as f64;
        let f1_mean = mean(|rates| rates.f1);
        let squares: f64 = models.iter().map(|model| (model.both.f1 - f1_mean).powi(2)).sum();
        Self {
            seeds: models.len() as u64,
            f1_mean,
            f1_sd: (squares / (models.len() as f64 - 1.0).max(1.0)).sqrt(),
            f1_min: models.iter().map(|model| model.both.f1).fold(f64::INFINITY, f64::min),
            precision_mean: mean(|rates| rates.precision),
            recall_mean: mean(|rates| rates.recall),
            false_alarms_per_100k: mean(|rates| rates.false_alarms_per_100k),
            models,
        }
    }
}

fn judge(scorer: &mut Scorer, normal: &Corpus, anomalous: &Corpus) -> anyhow::Result<Report> {
    let contract = scorer.contract().clone();
    let score = |windows: &[_]| scorer.score(windows).into_iter().collect();
    Ok(evaluate(&contract, normal, anomalous, HDFS_V1, score)?)
}

fn load(model: &Path) -> anyhow::Result<Scorer> {
    Scorer::load(model).with_context(|| format!("load model {}", model.display()))
}

fn read(paths: &[PathBuf], args: &Args) -> anyhow::Result<Corpus> {
    Ok(Corpus::from_session_files(paths, args.templates.as_deref())?)
}

fn json(out: &mut dyn Write, value: &impl Serialize) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    Ok(writeln!(out)?)
}

fn print_report(out: &mut dyn Write, report: &Report) -> std::io::Result<()> {
    writeln!(out, "{}: threshold {:.3} nats", report.model, report.threshold)?;
    print_row(out, "score and counts", &report.both)?;
    print_row(out, "counts alone", &report.counts_alone)?;
    print_row(out, "score alone", &report.score_alone)
}

fn print_row(out: &mut dyn Write, name: &str, rates: &Rates) -> std::io::Result<()> {
    writeln!(
        out,
        "{name:<18} F1 {:.4}  precision {:.4}  recall {:.4}  ({} of {} normal flagged, {} of {} anomalous found)",
        rates.f1, rates.precision, rates.recall, rates.false_alarms, rates.normal, rates.found, rates.anomalous
    )
}

fn print_spread(out: &mut dyn Write, spread: &Spread) -> std::io::Result<()> {
    writeln!(
        out,
        "{} seeds: F1 mean {:.4}, sd {:.4}, worst {:.4}; precision {:.4}, recall {:.4}, {:.1} false alarms per 100,000 normal sessions",
        spread.seeds,
        spread.f1_mean,
        spread.f1_sd,
        spread.f1_min,
        spread.precision_mean,
        spread.recall_mean,
        spread.false_alarms_per_100k
    )
}
