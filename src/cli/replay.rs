//! `hdfs-vigil replay`: pushes logs through the very pipeline of the daemon at full speed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::destination::Destination;
use crate::config::Config;
use crate::daemon::engine::{Engine, Observer};
use crate::daemon::{build, clock};
use crate::ingest::{Follower, Mode, Notice, Saved, Settings, StartAt};
use crate::learn::logs::pattern;
use crate::model::contract::Contract;
use crate::model::scorer::Scorer;
use crate::model::thread::Scored;
use crate::pipeline::Pipeline;
use crate::pipeline::event::LogTime;
use crate::pipeline::event::blockless::Row;
use crate::pipeline::session::Case;
use crate::pipeline::verdict::{Alert, AlertType, DetectorMode, Finding, Reason, Verdict};
use crate::report::Recorder;
use crate::sink::document::Document;
use crate::sink::terminal;

mod picture;

/// Pushes logs through the pipeline of the daemon at full speed and tells what it would have told.
///
/// Takes files (with their rotated ones, plain or compressed) and directories. Nothing is sent, and no state is kept.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Logs, or directories of logs
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Model to judge with, instead of the configured one
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Configuration over the defaults; may be given again
    #[arg(long, value_name = "FILE")]
    pub config: Vec<PathBuf>,
    /// What is known of the blocks, `BlockId,Label` with Normal or Anomaly: prints precision, recall and F1
    #[arg(long, value_name = "CSV")]
    pub labels: Option<PathBuf>,
    /// Write the alerts here, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub alerts: Option<PathBuf>,
    /// Write a report here: one HTML page with pictures of scores, thresholds, alarms and memory, and the alerts explained
    ///
    /// It loads nothing from anywhere and can be sent as it is. Beside our threshold it shows what a static one and a plain moving
    /// average would have done with the same scores; with --labels it shows their false alarms. It names hosts and quotes the logs, as
    /// alerts do.
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Take the end of the logs for silence: judge also what is not quiet yet
    #[arg(long)]
    pub flush: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
    /// Alerts printed in full; the others are counted
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub show: usize,
}

/// What a replay came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Lines read.
    pub lines: u64,
    /// Bytes read, decompressed.
    pub bytes: u64,
    /// Wall time, model loaded.
    pub seconds: f64,
    /// Lines a second.
    pub lines_per_second: f64,
    /// Episodes of blocks.
    pub sessions: u64,
    /// Those of them that were joined midway.
    pub sessions_joined: u64,
    /// Those of blocks that had been released before.
    pub sessions_resumed: u64,
    /// Templates found in the logs.
    pub templates: u64,
    /// Events: one per block that a line names.
    pub events: u64,
    /// Events that the model does not know.
    pub unknown_events: u64,
    /// Lines that begin a record.
    pub records: u64,
    /// Lines that belong to the record before them.
    pub joined_lines: u64,
    /// Lines that are in no record: of no known layout, or cut off from their header.
    pub unparsed_lines: u64,
    /// Records that name no block: the most frequent loggers.
    pub blockless: Vec<Row>,
    /// Records that came too late to be put in order.
    pub late_records: u64,
    /// Records released early because too many waited to be put in order.
    pub forced_records: u64,
    /// Alerts of all types.
    pub alerts: u64,
    /// Blocks that were firing at the end.
    pub firing: u64,
    /// Alerts that were taken back.
    pub resolved: u64,
    /// Alerts that nothing took back and that newer ones pushed out; their blocks count as firing.
    pub expired: u64,
    /// Alerts on hosts.
    pub trouble: u64,
    /// Templates that the model does not know and that became part of normal stories.
    pub new_templates: u64,
    /// Times that the model was out of its domain.
    pub mismatches: u64,
    /// Changes of regime.
    pub regime_changes: u64,
    /// How the detector stood to the traffic at the end.
    pub mode: DetectorMode,
    /// Episodes that were anomalous and not told, as it was.
    pub held_back_episodes: u64,
    /// Records that name no block and tell of trouble.
    pub trouble_records: u64,
    /// Most memory that the process ever held, bytes.
    pub rss_peak_bytes: u64,
    /// Held against labels.
    #[serde(flatten)]
    pub accuracy: Option<Accuracy>,
}

/// Blocks firing at the end held against their labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the usual words")]
pub struct Accuracy {
    pub true_positives: u64,
    pub false_positives: u64,
    pub false_negatives: u64,
    pub true_negatives: u64,
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
}

/// Runs the command.
///
/// # Errors
/// When the configuration, the model, a log or the labels cannot be read.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let config = Config::load(&args.config)?;
    let labels = args.labels.as_deref().map(read_labels).transpose()?;
    let destination = args.report.as_deref().map(|path| args.destination(path)).transpose()?;
    let mut replay = Replay::new(args, &config, labels.as_ref())?;
    let begun = Instant::now();
    replay.read_all(args, out)?;
    let mut report = replay.report(begun.elapsed().as_secs_f64());
    report.accuracy = labels.map(|labels| Accuracy::new(&labels, &replay.firing));
    if let Some((destination, recorder)) = destination.zip(replay.told.recorder.take()) {
        destination.write(picture::page(args, &replay, &report, &recorder).as_bytes())?;
    }
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
        return Ok(());
    }
    replay.tell_rest(args, out)?;
    print(&report, out).context("print the report")
}

/// Replays into `recorder` what `args` name, and says what it came to; `args.report` does nothing here.
///
/// # Errors
/// When the model or a log cannot be read.
pub(super) fn record(args: &Args, config: &Config, recorder: Recorder) -> anyhow::Result<(Report, Recorder)> {
    let mut replay = Replay::new(&Args { report: None, ..args.clone() }, config, None)?;
    replay.told.recorder = Some(recorder);
    let begun = Instant::now();
    replay.read_all(args, &mut std::io::sink())?;
    let report = replay.report(begun.elapsed().as_secs_f64());
    let recorder = replay.told.recorder.take().expect("the recorder was put there above");
    Ok((report, recorder))
}

impl Args {
    /// Where the report goes. A name that no log has, since one in a directory of logs would be overwritten else.
    fn destination(&self, path: &Path) -> anyhow::Result<Destination> {
        if path.extension().is_none_or(|extension| extension != "html") {
            bail!("write {}: a report is a page, name it *.html", path.display());
        }
        let inputs = [&self.paths[..], self.model.as_slice(), &self.config, self.labels.as_slice()].concat();
        Destination::new(path, &inputs)
    }
}

struct Replay<'a> {
    engine: Engine,
    config: &'a Config,
    contract: Contract,
    firing: BTreeMap<String, u64>,
    told: Told,
    alerts: Option<BufWriter<File>>,
    shown: usize,
    bar: ProgressBar,
}

/// Counts while verdicts come in.
#[derive(Default)]
struct Told {
    alerts: u64,
    resolved: u64,
    expired: u64,
    trouble: u64,
    new_templates: u64,
    mismatches: u64,
    /// What a report shows, if one is wanted.
    recorder: Option<Recorder>,
    /// Bytes that had been read when memory was measured last.
    sampled_at: u64,
}

impl Observer for Told {
    fn scored(&mut self, _: &Scored) {}

    fn judged(&mut self, case: &Case, verdict: &Verdict) {
        if let Some(recorder) = &mut self.recorder {
            recorder.judged(case, verdict);
        }
    }
}

impl<'a> Replay<'a> {
    fn new(args: &Args, config: &'a Config, labels: Option<&BTreeMap<String, bool>>) -> anyhow::Result<Self> {
        let scorer = load_model(args, config)?;
        let contract = scorer.contract().clone();
        let pipeline_settings = build::pipeline_settings(config);
        let recorder = args.report.as_ref().map(|_| {
            let nothing = BTreeMap::new();
            Recorder::new(&contract.profile.calibration, &pipeline_settings.threshold).with_labels(labels.unwrap_or(&nothing))
        });
        let pipeline = Pipeline::new(pipeline_settings, contract.profile.clone());
        let pipeline =
            pipeline.map_err(|mask| anyhow::anyhow!("the model asks for mask {mask:?}, which this version does not have"))?;
        let settings = Settings {
            patterns: args.paths.iter().map(|path| pattern(path)).collect(),
            exclude: Vec::new(),
            start_at: StartAt::Beginning,
            mode: Mode::Once,
            blockless: false,
        };
        check_paths(&args.paths)?;
        let follower = Follower::new(&settings, Saved::default(), build::time_reader(&config.ingest.timezone))?;
        let alerts = args.alerts.as_ref().map(|path| File::create(path).with_context(|| format!("write {}", path.display())));
        Ok(Self {
            engine: Engine::new(follower, pipeline, scorer, Mode::Once)?,
            config,
            contract,
            firing: BTreeMap::new(),
            told: Told { recorder, ..Told::default() },
            alerts: alerts.transpose()?.map(BufWriter::new),
            shown: 0,
            bar: progress_bar(args),
        })
    }

    fn read_all(&mut self, args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
        loop {
            let notices = self.engine.scan(clock::now(), true);
            let passed_over = |notice: &&Notice| matches!(notice, Notice::Failed { .. } | Notice::Refused { .. });
            if let Some(trouble) = notices.iter().filter(passed_over).find(|notice| notice.is_trouble()) {
                bail!("{trouble}");
            }
            if self.engine.follower.streams().next().is_none() {
                notices.iter().find(passed_over).map_or(Ok(()), |notice| bail!("{notice}"))?;
                bail!("no log is in {}; of a directory its *.log files are taken, name others by their path", show(&args.paths));
            }
            self.bar.set_length(self.engine.follower.streams().map(|stream| stream.lag_bytes).sum::<u64>() + self.bar.position());
            if !self.engine.has_unread() {
                break;
            }
            while self.engine.has_unread() {
                let full = !self.engine.read(clock::now());
                self.engine.exchange(full, &mut self.told)?;
                self.tell(args, out)?;
                self.sample_memory();
                self.bar.set_position(self.engine.follower.counters().bytes);
            }
        }
        if args.flush {
            self.engine.pipeline.flush();
        }
        while self.engine.is_scoring() {
            self.engine.exchange(true, &mut self.told)?;
            self.tell(args, out)?;
        }
        self.tell(args, out)?;
        self.bar.finish_and_clear();
        self.alerts.as_mut().map_or(Ok(()), Write::flush).context("write the alerts")
    }

    fn tell(&mut self, args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
        while let Some(alert) = self.engine.pipeline.poll_alert() {
            self.count(&alert);
            let show = !args.json && self.shown < args.show;
            let document = || document(&self.engine, self.config, &alert);
            let told = (show || self.alerts.is_some()).then(document);
            if let Some(recorder) = &mut self.told.recorder {
                recorder.alert(&alert, || told.clone().unwrap_or_else(document));
            }
            let Some(told) = told else { continue };
            if let Some(file) = &mut self.alerts {
                writeln!(file, "{}", told.to_json()).context("write the alerts")?;
            }
            if show {
                self.shown += 1;
                let text = terminal::render(&told, terminal::wants_colours());
                self.bar.suspend(|| writeln!(out, "{text}"))?;
            }
        }
        Ok(())
    }

    /// Measures memory for the report at places that depend on what was read alone.
    fn sample_memory(&mut self) {
        let bytes = self.engine.follower.counters().bytes;
        let Some(recorder) = self.told.recorder.as_mut().filter(|_| bytes - self.told.sampled_at >= SAMPLE_BYTES) else { return };
        self.told.sampled_at = bytes;
        // Before the first event no log time is known.
        let time = self.engine.pipeline.stats().log_time_millis;
        if time != 0 {
            recorder.sample(LogTime(time), memory_bytes("VmRSS:"));
        }
    }

    fn count(&mut self, alert: &Alert) {
        self.told.alerts += 1;
        let finding = match &alert.finding {
            Finding::Block(finding) => finding,
            Finding::Host(_) => return self.told.trouble += 1,
            Finding::Template(_) => return self.told.new_templates += 1,
            Finding::Regime(_) | Finding::State(_) => return,
            Finding::Domain(_) => return self.told.mismatches += u64::from(alert.alert_type == AlertType::Mismatch),
        };
        let firing = self.firing.entry(finding.block.to_string()).or_default();
        match alert.alert_type {
            AlertType::Firing => *firing += 1,
            // Nothing has come to its defence: it was told, and then pushed out by newer ones.
            AlertType::Resolved if alert.reason == Reason::Expired => self.told.expired += 1,
            AlertType::Resolved => {
                *firing = firing.saturating_sub(1);
                self.told.resolved += 1;
            }
            AlertType::Trouble
            | AlertType::Template
            | AlertType::Mismatch
            | AlertType::MismatchResolved
            | AlertType::Regime
            | AlertType::RegimeResolved
            | AlertType::Unwritable
            | AlertType::UnwritableResolved => {}
        }
    }

    fn tell_rest(&self, args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
        let more = self.told.alerts - self.shown as u64;
        if more > 0 {
            let how = if args.alerts.is_some() { "all are in the file" } else { "--alerts FILE keeps all, --show N prints more" };
            writeln!(out, "{more} more alerts; {how}\n")?;
        }
        Ok(())
    }

    fn report(&self, seconds: f64) -> Report {
        let stats = self.engine.pipeline.stats();
        Report {
            lines: stats.lines,
            bytes: stats.bytes,
            seconds,
            lines_per_second: stats.lines as f64 / seconds.max(1e-9),
            sessions: stats.sessions_started + stats.sessions_joined + stats.sessions_resumed,
            sessions_joined: stats.sessions_joined,
            sessions_resumed: stats.sessions_resumed,
            templates: stats.templates,
            events: stats.events,
            unknown_events: stats.unknown_events,
            records: stats.records,
            joined_lines: stats.joined_lines,
            unparsed_lines: stats.unparsed_lines(),
            blockless: self.engine.pipeline.blockless().rows().into_iter().take(BLOCKLESS_ROWS).collect(),
            late_records: stats.late_records,
            forced_records: stats.forced_records,
            alerts: self.told.alerts,
            firing: self.firing.values().filter(|count| **count > 0).count() as u64,
            resolved: self.told.resolved,
            expired: self.told.expired,
            trouble: self.told.trouble,
            new_templates: self.told.new_templates,
            mismatches: self.told.mismatches,
            regime_changes: stats.regime_changes,
            mode: self.engine.pipeline.mode(),
            held_back_episodes: stats.held_back_episodes,
            trouble_records: stats.trouble_records,
            rss_peak_bytes: memory_bytes("VmHWM:"),
            accuracy: None,
        }
    }
}

impl Accuracy {
    fn new(labels: &BTreeMap<String, bool>, firing: &BTreeMap<String, u64>) -> Self {
        let mut accuracy = Self::default();
        for (block, anomalous) in labels {
            let fires = firing.get(block).is_some_and(|count| *count > 0);
            *match (fires, anomalous) {
                (true, true) => &mut accuracy.true_positives,
                (true, false) => &mut accuracy.false_positives,
                (false, true) => &mut accuracy.false_negatives,
                (false, false) => &mut accuracy.true_negatives,
            } += 1;
        }
        let share = |part: u64, rest: u64| if part == 0 { 0.0 } else { part as f64 / (part + rest) as f64 };
        accuracy.precision = share(accuracy.true_positives, accuracy.false_positives);
        accuracy.recall = share(accuracy.true_positives, accuracy.false_negatives);
        let sum = accuracy.precision + accuracy.recall;
        accuracy.f1 = if sum == 0.0 { 0.0 } else { 2.0 * accuracy.precision * accuracy.recall / sum };
        accuracy
    }
}

fn document(engine: &Engine, config: &Config, alert: &Alert) -> Document {
    let lines = engine.follower.rereader(alert.quoted());
    Document::redacted(alert, &lines, &config.ingest.timezone, &config.alerts.redact)
}

fn load_model(args: &Args, config: &Config) -> anyhow::Result<Scorer> {
    build::load_runtime(config)?;
    let path = args.model.as_ref().unwrap_or(&config.model.path);
    Scorer::load(path).with_context(|| format!("load model {}", path.display()))
}

/// Anomalous or not, by block.
pub(super) fn read_labels(path: &Path) -> anyhow::Result<BTreeMap<String, bool>> {
    let file = File::open(path).with_context(|| format!("read {}", path.display()))?;
    let mut labels = BTreeMap::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.with_context(|| format!("read {}", path.display()))?;
        let Some((block, label)) = line.trim_end().split_once(',') else {
            bail!("{}:{}: {line:?} is not BlockId,Label", path.display(), number + 1)
        };
        match label {
            "Normal" | "Anomaly" => labels.insert(block.to_owned(), label == "Anomaly"),
            "Label" if number == 0 => None,
            _ => bail!("{}:{}: label is {label:?}, must be Normal or Anomaly", path.display(), number + 1),
        };
    }
    Ok(labels)
}

fn show(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn check_paths(paths: &[PathBuf]) -> anyhow::Result<()> {
    for path in paths {
        let metadata =
            fs::metadata(path).with_context(|| format!("read {}; name a log, or a directory of logs", path.display()))?;
        if metadata.is_dir() {
            fs::read_dir(path).with_context(|| format!("list {}; {READABLE}", path.display()))?;
        } else if metadata.is_file() {
            File::open(path).with_context(|| format!("open {}; {READABLE}", path.display()))?;
        }
    }
    Ok(())
}

/// Memory is measured for a report whenever so much more was read.
const SAMPLE_BYTES: u64 = 4 * 1024 * 1024;

/// Loggers of records without a block that a report names.
const BLOCKLESS_ROWS: usize = 20;

/// What to do about a log that may not be read.
const READABLE: &str = "run it as a user who may read the logs, such as one of the group that owns them";

fn progress_bar(args: &Args) -> ProgressBar {
    if args.json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = "{bar:30} {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left";
    ProgressBar::new(0).with_style(ProgressStyle::with_template(style).expect("the template is well-formed"))
}

fn print(report: &Report, out: &mut dyn Write) -> std::io::Result<()> {
    let Report { lines, bytes, seconds, lines_per_second, sessions, templates, events, unknown_events, .. } = report;
    writeln!(out, "{lines} lines, {bytes} bytes in {seconds:.2} s ({lines_per_second:.0} lines a second)")?;
    let unknown = 100.0 * *unknown_events as f64 / (*events).max(1) as f64;
    writeln!(
        out,
        "{events} events of {sessions} sessions, {templates} templates, {unknown:.2} % of the events unknown to the model"
    )?;
    let Report { unparsed_lines, late_records, alerts, firing, resolved, trouble, rss_peak_bytes, .. } = report;
    writeln!(out, "{unparsed_lines} lines without a header, {late_records} records too late to be put in order")?;
    writeln!(out, "{alerts} alerts: {firing} blocks firing at the end, {resolved} taken back, {trouble} on hosts")?;
    let Report { new_templates, mismatches, held_back_episodes, regime_changes, mode, .. } = report;
    writeln!(out, "{regime_changes} changes of regime; at the end the detector was in mode {}", mode.name())?;
    if new_templates + mismatches > 0 {
        writeln!(
            out,
            "{new_templates} templates new to the model and left out, {mismatches} times out of its domain, {held_back_episodes} blocks not told of meanwhile"
        )?;
    }
    writeln!(out, "peak memory {:.0} MB", *rss_peak_bytes as f64 / 1e6)?;
    let Some(accuracy) = report.accuracy else { return Ok(()) };
    let Accuracy { true_positives, false_positives, false_negatives, true_negatives, precision, recall, f1 } = accuracy;
    writeln!(out, "precision {precision:.4}  recall {recall:.4}  F1 {f1:.4}")?;
    writeln!(out, "of the labelled blocks, {true_positives} anomalous ones fire and {false_negatives} do not;")?;
    writeln!(out, "{false_positives} normal ones fire and {true_negatives} do not")
}

/// A value in kilobytes that the system tells of this process, as bytes; 0 where it does not tell.
fn memory_bytes(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}
