//! `hdfs-vigil doctor`: looks before anything is installed, and says whether the daemon would work here, and what to do.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use crate::config::Config;
use crate::daemon::build;
use crate::ingest::discover::{Found, Listing, Patterns};
use crate::ingest::{Mode, Notice, Settings, StartAt};
use crate::learn::logs::pattern;
use crate::model::scorer::Scorer;
use crate::pipeline::profile::{DrainSettings, Profile};

use self::access::User;
use self::log::LogReport;

mod access;
mod log;
mod place;
mod print;

/// Looks before anything is installed: which logs the daemon would follow, whether it may read them, and whether the model knows them.
///
/// Exit code 0 only if the daemon would work. Nothing is changed, and a daemon that runs is not disturbed.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Logs, or directories of logs, instead of the configured ones
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Model to judge with, instead of the configured one
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Configuration over the defaults; again for further ones, of which later ones win
    #[arg(long, value_name = "FILE")]
    pub config: Vec<PathBuf>,
    /// The user that the daemon would run as; without it hdfs-vigil where that user exists and root asks, else whoever asks
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Everything that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether the daemon would work.
    pub works: bool,
    /// The user whose rights were looked at.
    pub user: String,
    /// Name of the model, `null` when it cannot be used.
    pub model: Option<String>,
    /// What was looked at, one after the other.
    pub checks: Vec<Check>,
    /// Log files, those of one log together, the oldest first.
    pub files: Vec<LogReport>,
    /// How the logs are rotated, as far as their names tell.
    pub rotations: Vec<Rotation>,
    /// What to do next, the most urgent first.
    pub next_steps: Vec<String>,
}

/// One thing that the daemon needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it is.
    pub name: &'static str,
    /// How it is.
    pub state: CheckState,
    /// What was found.
    pub found: String,
    /// What mends it: a command where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// How a thing is that the daemon needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// As it should be.
    Good,
    /// The daemon works, but not as well as it could.
    Doubtful,
    /// The daemon would not work.
    Bad,
}

/// How one log is rotated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rotation {
    /// The file that is written.
    pub log: PathBuf,
    /// `by number`, `by date` or `none found`.
    pub kind: &'static str,
    /// Rotated files that are there.
    pub rotated_files: usize,
}

/// Runs the command.
///
/// # Errors
/// When the configuration is wrong, no user has the given name, or nothing can be written.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config)?;
    let report = examine(args, &config)?;
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        print::print(&report, out)?;
    }
    Ok(if report.works { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn examine(args: &Args, config: &Config) -> anyhow::Result<Report> {
    let user = User::find(args.user.as_deref())?;
    let (model_check, profile) = check_model(args, config);
    let model = profile.as_ref().map(|profile| profile.name.clone());
    let listing = list(args, config)?;
    let unreadable = user.unreadable(listing.files.iter().map(|file| file.path.as_path()));
    let profile = profile.unwrap_or_else(|| Profile::without_vocabulary(DrainSettings::hdfs()));
    let mut files = Vec::new();
    for file in &listing.files {
        files.push(LogReport::read(file, !unreadable.contains(&file.path), &profile, &config.ingest.timezone));
    }
    let mut checks = vec![model_check];
    checks.extend(check_logs(args, config, &listing, &files, &user));
    match &model {
        Some(model) => checks.extend(check_vocabulary(args, config, model, &files)),
        None => files.iter_mut().for_each(|file| file.known_events = None),
    }
    checks.push(place::check_state(&config.state.directory, &user));
    checks.extend(place::check_listen(config));
    checks.extend(place::check_telling(config));
    Ok(Report {
        works: checks.iter().all(|check| check.state != CheckState::Bad),
        user: user.name().to_owned(),
        model,
        rotations: rotations(&listing.files),
        next_steps: next_steps(args, &checks),
        checks,
        files,
    })
}

fn check_model(args: &Args, config: &Config) -> (Check, Option<Profile>) {
    if let Err(error) = build::load_runtime(config) {
        return (Check::bad("ONNX Runtime", &error.to_string(), Some("scripts/onnxruntime fetches it".to_owned())), None);
    }
    let path = args.model.as_ref().unwrap_or(&config.model.path);
    match Scorer::load(path) {
        Ok(scorer) => {
            let profile = scorer.contract().profile.clone();
            let found = format!("{} of {} ({} templates)", profile.name, path.display(), profile.vocabulary.len());
            (Check::good("model", &found), Some(profile))
        }
        Err(error) => {
            let remedy = format!("hdfs-vigil learn {} -o model.onnx, then --model model.onnx", show(&wanted(args, config)));
            (Check::bad("model", &format!("{}: {error}", path.display()), Some(remedy)), None)
        }
    }
}

/// What the daemon would find. Of paths that are named here nothing is left out, as `replay` and `learn` take them.
fn list(args: &Args, config: &Config) -> anyhow::Result<Listing> {
    let exclude = config.ingest.exclude.iter().map(|pattern| pattern.as_str().to_owned()).collect();
    let settings = Settings {
        patterns: wanted(args, config),
        exclude: if args.paths.is_empty() { exclude } else { Vec::new() },
        start_at: StartAt::Beginning,
        mode: Mode::Once,
        blockless: false,
    };
    let mut listing = Patterns::new(&settings)?.list();
    listing.files.sort_by(|a, b| (&a.stream, &a.rank).cmp(&(&b.stream, &b.rank)));
    Ok(listing)
}

fn wanted(args: &Args, config: &Config) -> Vec<String> {
    if args.paths.is_empty() { config.ingest.paths.clone() } else { args.paths.iter().map(|path| pattern(path)).collect() }
}

fn check_logs(args: &Args, config: &Config, listing: &Listing, files: &[LogReport], user: &User) -> Vec<Check> {
    let mut checks = Vec::new();
    let wanted = wanted(args, config);
    let logs = rotations(&listing.files).len();
    if files.is_empty() {
        let remedy = "name the directory that HADOOP_LOG_DIR says: hdfs-vigil doctor DIRECTORY, or set ingest.paths";
        checks.push(Check::bad("logs", &format!("none in {}", show(&wanted)), Some(remedy.to_owned())));
    } else {
        checks.push(Check::good("logs", &format!("{logs} logs in {} files", files.len())));
    }
    checks.extend(listing.notices.iter().filter(|notice| notice.is_trouble()).map(check_of_notice));
    let closed: Vec<&Path> = files.iter().filter(|file| !file.readable).map(|file| file.path.as_path()).collect();
    if let Some(first) = closed.first() {
        let found =
            format!("{} may not read {} of {} files, such as {}", user.name(), closed.len(), files.len(), first.display());
        checks.push(Check::bad("permissions", &found, Some(user.remedy(first))));
    } else if !files.is_empty() {
        checks.push(Check::good("permissions", &format!("{} may read all of them", user.name())));
    }
    checks.extend(check_layouts(files));
    checks
}

fn check_of_notice(notice: &Notice) -> Check {
    Check { name: "logs", state: CheckState::Doubtful, found: notice.to_string(), remedy: None }
}

/// Whether lines could be read, file by file and together.
fn check_layouts(files: &[LogReport]) -> Vec<Check> {
    let read = files.iter().filter(|file| file.readable && file.lines > 0);
    let (strange, known): (Vec<_>, Vec<_>) = read.partition(|file| file.parsed == 0);
    let mut checks = Vec::new();
    if let Some(first) = strange.first() {
        let found =
            format!("no line of {} files begins like a record of Hadoop, such as {}", strange.len(), first.path.display());
        let state = if known.is_empty() { CheckState::Bad } else { CheckState::Doubtful };
        let remedy =
            Some("exclude them (ingest.exclude), or have log4j write one of the layouts that Hadoop comes with".to_owned());
        checks.push(Check { name: "layouts", state, found, remedy });
    }
    if !known.is_empty() {
        let (lines, unparsed) = known.iter().fold((0, 0), |(lines, sum), file| (lines + file.lines, sum + file.unparsed));
        let share = 1.0 - unparsed as f64 / lines as f64;
        let found = format!("{:.2} % of {lines} lines belong to records", 100.0 * share);
        let state = if share >= PARSED_SHARE_MIN { CheckState::Good } else { CheckState::Doubtful };
        checks.push(Check { name: "layouts", state, found, remedy: None });
    }
    checks
}

/// Whether the model knows what the logs say of blocks.
fn check_vocabulary(args: &Args, config: &Config, model: &str, files: &[LogReport]) -> Option<Check> {
    let (events, known) = files.iter().fold((0, 0), |(events, known), file| (events + file.events, known + file.known()));
    let remedy = Some(format!("hdfs-vigil learn {} -o model.onnx", show(&wanted(args, config))));
    if events == 0 {
        let read = files.iter().any(|file| file.parsed > 0);
        let found = "no line names a block yet; whether the model knows this cluster shows once some do".to_owned();
        return read.then_some(Check { name: "vocabulary", state: CheckState::Doubtful, found, remedy: None });
    }
    let share = known as f64 / events as f64;
    let found = format!("model {model} knows {:.2} % of {events} events", 100.0 * share);
    Some(match share {
        share if share >= KNOWN_SHARE_GOOD => Check::good("vocabulary", &found),
        share if share >= KNOWN_SHARE_MIN => Check { name: "vocabulary", state: CheckState::Doubtful, found, remedy },
        _ => Check::bad("vocabulary", &found, remedy),
    })
}

fn rotations(files: &[Found]) -> Vec<Rotation> {
    use crate::ingest::name::Rank;
    let mut rotations: Vec<Rotation> = Vec::new();
    for file in files {
        if rotations.last().is_none_or(|last| last.log != file.stream) {
            rotations.push(Rotation { log: file.stream.clone(), kind: "none found", rotated_files: 0 });
        }
        let last = rotations.last_mut().expect("one was just put there");
        match file.rank {
            Rank::Live => continue,
            Rank::Numbered(_) => last.kind = "by number",
            Rank::Dated(_) => last.kind = "by date",
        }
        last.rotated_files += 1;
    }
    rotations
}

fn next_steps(args: &Args, checks: &[Check]) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    for state in [CheckState::Bad, CheckState::Doubtful] {
        steps.extend(checks.iter().filter(|check| check.state == state).filter_map(|check| check.remedy.clone()));
    }
    if checks.iter().all(|check| check.state != CheckState::Bad) {
        let config: String = args.config.iter().map(|file| format!(" --config {}", file.display())).collect();
        steps.push(format!("hdfs-vigil run{config}, at first with alerts.mode = \"observe\""));
    }
    steps
}

fn show(patterns: &[String]) -> String {
    patterns.join(" ")
}

impl Check {
    fn good(name: &'static str, found: &str) -> Self {
        Self { name, state: CheckState::Good, found: found.to_owned(), remedy: None }
    }

    fn bad(name: &'static str, found: &str, remedy: Option<String>) -> Self {
        Self { name, state: CheckState::Bad, found: found.to_owned(), remedy }
    }
}

/// Below this share of lines in records something else than Hadoop writes into the log, or its layout is not known.
const PARSED_SHARE_MIN: f64 = 0.999;
/// A model that knows less of the events is refused: nearly every block would have an event that no normal story has.
const KNOWN_SHARE_MIN: f64 = 0.9;
/// Of a cluster that the model was learnt from, it knows about as much as this.
const KNOWN_SHARE_GOOD: f64 = 0.995;
