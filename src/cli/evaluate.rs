//! `hdfs-vigil evaluate`: holds models, and simple detectors beside them, against sessions whose labels are known.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use serde::Serialize;

use super::learn::progress::Bar;
use crate::learn::baseline::{Baseline, Baselines};
use crate::learn::evaluate::{HDFS_V1, Judgement, Rates, Report, Summary, judge};
use crate::learn::{Corpus, Learned, Options, learn, pictures};
use crate::model::onnx;
use crate::model::scorer::Scorer;
use crate::sink::document::grouped;

/// Holds a model, or models trained for the purpose, against labelled sessions.
///
/// Session files hold `BlockId,Label,EventSequence`; `templates.csv` beside each says what the events are. Only this command knows
/// which sessions are anomalous. The threshold stays where the model's calibration begins. Rates are scaled to the whole of HDFS_v1.
/// Beside the model stand simple detectors that learn from the same sessions, without labels: new_event (an event that training does
/// not have), new_length (a length that training does not have), counts_unseen (counts of events that no training session has) and
/// count_distance (counts that are far from those of every training session).
///
/// For example, with the pictures in figures/:
///
/// hdfs-vigil evaluate --train train.csv --normal normal.csv --anomalous anomalous.csv --seeds 5 --draw figures
///
/// Ctrl-C ends it after the current epoch, with the seeds that are done.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Model to judge, instead of training some
    #[arg(long, value_name = "FILE", required_unless_present = "train")]
    pub model: Option<PathBuf>,
    /// Sessions that are normal
    #[arg(long, value_name = "CSV")]
    pub normal: PathBuf,
    /// Sessions that are anomalous
    #[arg(long, value_name = "CSV")]
    pub anomalous: PathBuf,
    /// Sessions to learn from: models, one a seed, and the simple detectors; with --model only those
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
    /// Draw the scores and the precision-recall curve of the worst model there, as scores.svg and precision-recall.svg
    #[arg(long, value_name = "DIR")]
    pub draw: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What it all comes to.
#[derive(Debug, Serialize)]
struct Figures {
    /// Models judged.
    seeds: u64,
    /// Whether Ctrl-C ended it before all seeds were done.
    stopped: bool,
    #[serde(flatten)]
    both: Summary,
    /// The score without the counts.
    score_alone: Summary,
    /// The counts without the score.
    counts_alone: Summary,
    /// Simple detectors that learnt from the same sessions; none without training sessions.
    baselines: BTreeMap<&'static str, Summary>,
    /// Where the pictures are.
    pictures: Vec<PathBuf>,
    models: Vec<Report>,
}

/// Sessions whose labels are known.
struct Labelled {
    normal: Corpus,
    anomalous: Corpus,
}

/// Reports of all models, and the judgement of the worst.
#[derive(Default)]
struct Judged {
    models: Vec<Report>,
    worst: Option<Judgement>,
    stopped: bool,
}

/// Runs the command; `stop` ends it after the current epoch.
///
/// # Errors
/// When a file cannot be read or written, nothing can be learnt, or it is stopped before one model is done.
pub fn run(args: &Args, stop: &Arc<AtomicBool>, out: &mut dyn Write) -> anyhow::Result<()> {
    if let Some(folder) = &args.draw {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    let read_one = |path: &PathBuf| read(std::slice::from_ref(path), args);
    let labelled = Labelled { normal: read_one(&args.normal)?, anomalous: read_one(&args.anomalous)? };
    let training = if args.train.is_empty() { None } else { Some(read(&args.train, args)?) };
    let mut judged = Judged::default();
    match (&args.model, &training) {
        (Some(model), _) => judged.add(labelled.judge(&mut load(model)?)?),
        (None, Some(training)) => train(args, training, &labelled, stop, &mut judged)?,
        (None, None) => bail!("nothing to judge: give --model or --train"),
    }
    let figures = Figures::new(judged, training.as_ref(), &labelled, args.draw.as_deref())?;
    if args.json { json(out, &figures) } else { Ok(print(out, &figures, args, training.as_ref(), &labelled)?) }
}

fn train(args: &Args, training: &Corpus, labelled: &Labelled, stop: &Arc<AtomicBool>, judged: &mut Judged) -> anyhow::Result<()> {
    let bar = Bar::epochs(args.seeds * u64::from(args.epochs));
    for seed in 1..=args.seeds {
        let learned = train_one(args, training, seed, stop, &bar)?;
        let epochs = learned.contract.training.loss.len();
        if epochs < args.epochs as usize {
            judged.stopped = true;
            if judged.models.is_empty() {
                bail!("stopped after {epochs} of {} epochs of seed {seed}: no model is done that could be judged", args.epochs);
            }
            break;
        }
        let mut scorer = Scorer::from_bytes(&onnx::write(&learned.contract, &learned.weights)?)?;
        judged.add(labelled.judge(&mut scorer)?);
        if stop.load(Ordering::Relaxed) && seed < args.seeds {
            judged.stopped = true;
            break;
        }
    }
    bar.finish();
    Ok(())
}

fn train_one(args: &Args, training: &Corpus, seed: u64, stop: &Arc<AtomicBool>, bar: &Bar) -> anyhow::Result<Learned> {
    let options = Options {
        name: format!("seed {seed}"),
        seed,
        epochs: args.epochs,
        screen: !args.trust_all,
        stop: Arc::clone(stop),
        ..Options::default()
    };
    let before = (seed - 1) * u64::from(args.epochs);
    let learned = learn(training, &options, &mut |progress| {
        let (epoch, epochs, loss) = (progress.epoch, progress.epochs, progress.loss);
        let message = format!("seed {seed} of {}, epoch {epoch} of {epochs}, loss {loss:.4} nats per token", args.seeds);
        bar.set(before + u64::from(epoch), message);
    });
    Ok(learned?)
}

impl Labelled {
    fn judge(&self, scorer: &mut Scorer) -> anyhow::Result<Judgement> {
        let contract = scorer.contract().clone();
        let score = |windows: &[_]| scorer.score(windows).into_iter().collect();
        Ok(judge(&contract, &self.normal, &self.anomalous, HDFS_V1, score)?)
    }

    fn baselines(&self, training: &Corpus) -> BTreeMap<&'static str, Summary> {
        let trained = Baselines::train(training);
        let summary = |baseline: Baseline| Summary::of(&[trained.judge(baseline, &self.normal, &self.anomalous, HDFS_V1)]);
        Baseline::ALL.into_iter().map(|baseline| (baseline.name(), summary(baseline))).collect()
    }
}

impl Judged {
    fn add(&mut self, judgement: Judgement) {
        self.models.push(judgement.report.clone());
        let is_worse = |worst: &Judgement| judgement.report.both.f1 < worst.report.both.f1;
        if self.worst.as_ref().is_none_or(is_worse) {
            self.worst = Some(judgement);
        }
    }
}

impl Figures {
    fn new(judged: Judged, training: Option<&Corpus>, labelled: &Labelled, draw: Option<&Path>) -> anyhow::Result<Self> {
        let summary = |rates: fn(&Report) -> Rates| Summary::of(&judged.models.iter().map(rates).collect::<Vec<_>>());
        Ok(Self {
            seeds: judged.models.len() as u64,
            stopped: judged.stopped,
            both: summary(|report| report.both),
            score_alone: summary(|report| report.score_alone),
            counts_alone: summary(|report| report.counts_alone),
            baselines: training.map(|training| labelled.baselines(training)).unwrap_or_default(),
            pictures: draw.zip(judged.worst.as_ref()).map_or(Ok(Vec::new()), |(folder, worst)| draw_all(folder, worst))?,
            models: judged.models,
        })
    }
}

fn draw_all(folder: &Path, judgement: &Judgement) -> anyhow::Result<Vec<PathBuf>> {
    let pictures = [("scores.svg", pictures::scores(judgement)), ("precision-recall.svg", pictures::curves(judgement))];
    let draw = |(name, picture): (&str, String)| {
        let path = folder.join(name);
        fs::write(&path, picture).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    };
    pictures.into_iter().map(draw).collect()
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

fn print(
    out: &mut dyn Write,
    figures: &Figures,
    args: &Args,
    training: Option<&Corpus>,
    labelled: &Labelled,
) -> std::io::Result<()> {
    for report in &figures.models {
        let Rates { f1, false_alarms, found, normal, anomalous, .. } = report.both;
        let (false_alarms, normal, found, anomalous) =
            (grouped(false_alarms), grouped(normal), grouped(found), grouped(anomalous));
        let (model, threshold) = (&report.model, report.threshold);
        writeln!(
            out,
            "{model}: threshold {threshold:.3} nats, F1 {f1:.4}: {false_alarms} of {normal} normal sessions flagged, {found} of {anomalous} anomalous ones found"
        )?;
    }
    if figures.stopped {
        writeln!(out, "stopped: {} of {} seeds are done, the figures are of those", figures.seeds, args.seeds)?;
    }
    writeln!(
        out,
        "\n{:<28}{:>8}{:>8}{:>8}{:>11}{:>8}{:>14}",
        "", "F1 mean", "sd", "worst", "precision", "recall", "false alarms¹"
    )?;
    print_row(out, "score and counts, the daemon", &figures.both)?;
    print_row(out, "score alone", &figures.score_alone)?;
    print_row(out, "counts alone", &figures.counts_alone)?;
    for baseline in Baseline::ALL {
        if let Some(summary) = figures.baselines.get(baseline.name()) {
            print_row(out, baseline.name(), summary)?;
        }
    }
    let (normal, anomalous) = (grouped(labelled.normal.stories.len() as u64), grouped(labelled.anomalous.stories.len() as u64));
    writeln!(
        out,
        "\n¹ of 100,000 normal sessions. Measured on {normal} normal and {anomalous} anomalous sessions, scaled to HDFS_v1."
    )?;
    match training {
        Some(training) => {
            let sessions = grouped(training.stories.len() as u64);
            writeln!(out, "The lower four are simple detectors that learnt from the same {sessions} sessions, without labels.")?;
        }
        None => writeln!(out, "Give the model's training sessions as --train to see simple detectors beside it.")?,
    }
    for picture in &figures.pictures {
        writeln!(out, "drawn: {}", picture.display())?;
    }
    Ok(())
}

fn print_row(out: &mut dyn Write, name: &str, summary: &Summary) -> std::io::Result<()> {
    let Summary { f1_mean, f1_sd, f1_min, precision_mean, recall_mean, false_alarms_per_100k } = summary;
    writeln!(
        out,
        "{name:<28}{f1_mean:>8.4}{f1_sd:>8.4}{f1_min:>8.4}{precision_mean:>11.4}{recall_mean:>8.4}{false_alarms_per_100k:>13.1}"
    )
}
