//! `hdfs-vigil demo`: a simulated cluster writes logs, faults are put into it, and the real daemon has to find them.

mod alert;
pub(super) mod cluster;
mod daemon;
pub(super) mod fault;
mod judge;
pub(super) mod line;
mod logs;
mod schedule;
pub(super) mod story;

use std::fs;
use std::io::{Stdout, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::limits::DEMO_LINES_PER_SECOND_MAX;
use crate::pipeline::event::LogTime;
use crate::sink::terminal;
use alert::Printer;
use cluster::Cluster;
use daemon::{AlertsFile, Daemon, Places};
use fault::FaultKind;
use judge::{Judge, Meaning};
use logs::Logs;
use schedule::{CLOSING, SECONDS_MIN, Schedule};

/// Shows hdfs-vigil at work: simulates a small HDFS cluster, puts faults into it, runs the daemon on its logs and counts what it finds.
///
/// Exits with 0 if at least 9 of 10 faults were found, with at most one false alarm per 1,000 blocks, and with 1 otherwise.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// How long to run; without it until Ctrl-C
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(SECONDS_MIN..))]
    pub seconds: Option<u64>,
    /// The same number gives the same cluster, with the same lives of blocks and the same order of faults
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How much the cluster writes, in all its logs together
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(200..=i64::from(DEMO_LINES_PER_SECOND_MAX)))]
    pub lines_per_second: u32,
    /// An empty directory for logs, configuration and alerts, which is kept; without it a temporary one
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// The model that the daemon judges with; without it models/hdfs-v1/model.onnx if that is here, else the installed one
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Print every alert in full, not only the first one of each kind of fault
    #[arg(long)]
    pub full: bool,
}

/// Runs the demo with this very program as the daemon, and prints to standard output.
///
/// # Errors
/// The directory cannot be made or written, or the daemon cannot be started.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let program = std::env::current_exe().context("failed to find the path of this program")?;
    let signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("failed to listen for Ctrl-C")?;
    let workplace = Workplace::create(args.keep.as_deref())?;
    let mut demo = Demo::start(args, &program, &workplace.places, signals)?;
    let end = demo.play()?;
    demo.conclude(end)
}

/// Why the demo stops.
enum End {
    /// Its time is over, or everything was found after Ctrl-C.
    Over,
    /// Somebody does not want to wait.
    Left,
    /// The daemon ended by itself.
    DaemonDied(ExitStatus),
}

/// A demo under way: the pure parts decide, this one carries the results between them, the files and the daemon.
struct Demo {
    cluster: Cluster,
    schedule: Schedule,
    judge: Judge,
    logs: Logs,
    alerts: AlertsFile,
    daemon: Daemon,
    signals: Signals,
    out: Stdout,
    printer: Printer,
    began: Instant,
    log_start: LogTime,
    next_status: Duration,
    /// Set by the first Ctrl-C.
    hurried: bool,
    /// Blocks that are old enough to be judged by the end; known once the closing time begins.
    sessions: Option<u64>,
}

impl Demo {
    fn start(args: &Args, program: &Path, places: &Places, signals: Signals) -> anyhow::Result<Self> {
        let http = daemon::free_address()?;
        fs::write(places.config(), daemon::config(places, http, model(args).as_deref()))
            .context("failed to write the daemon's configuration")?;
        let log_start = LogTime(jiff::Timestamp::now().as_millisecond());
        let mut demo = Self {
            cluster: Cluster::new(args.seed, log_start, f64::from(args.lines_per_second) / LOG_SPEED as f64),
            schedule: Schedule::new(args.seed, args.seconds.map(Duration::from_secs)),
            judge: Judge::default(),
            logs: Logs::create(&places.logs(), LOG_BYTES_MAX)?,
            alerts: AlertsFile::new(places.alerts()),
            daemon: Daemon::start(program, places)?,
            signals,
            out: std::io::stdout(),
            printer: Printer::new(args.full, terminal::wants_colours()),
            began: Instant::now(),
            log_start,
            next_status: STATUS_INTERVAL,
            hurried: false,
            sessions: None,
        };
        demo.say(&welcome(args, places, &http.to_string()))?;
        Ok(demo)
    }

    fn play(&mut self) -> anyhow::Result<End> {
        loop {
            let elapsed = self.began.elapsed();
            self.let_time_pass(elapsed)?;
            self.tell_alerts()?;
            self.tell_status(elapsed)?;
            if let Some(end) = self.poll_end(elapsed)? {
                return Ok(end);
            }
            std::thread::sleep(TICK);
        }
    }

    fn let_time_pass(&mut self, elapsed: Duration) -> anyhow::Result<()> {
        let now = self.log_start.plus_millis(elapsed.as_millis() as i64 * LOG_SPEED);
        let logs = &mut self.logs;
        let mut result = Ok(());
        self.cluster.advance(now, &mut |line| {
            if result.is_ok() {
                result = logs.write(&line);
            }
        });
        result?;
        self.logs.flush()?;
        self.inject_fault(elapsed)
    }

    fn inject_fault(&mut self, elapsed: Duration) -> anyhow::Result<()> {
        if self.schedule.is_closing(elapsed) {
            self.sessions.get_or_insert(self.cluster.blocks());
        }
        match self.schedule.poll_fault(elapsed) {
            Some(kind) if self.judge.has_room() => {
                let block = format!("blk_{}", self.cluster.inject(kind));
                self.say(&format!("{:>6.1} s  fault: {}, block {block}", elapsed.as_secs_f64(), kind.text()))?;
                self.judge.handle_fault(block, kind);
                Ok(())
            }
            Some(_) => self.say("no more faults: there have been as many as the demo can remember"),
            None => Ok(()),
        }
    }

    fn tell_alerts(&mut self) -> anyhow::Result<()> {
        for alert in self.alerts.read()?.iter().filter_map(|line| alert::parse(line)) {
            let meaning = self.judge.handle_alert(&alert);
            let seconds = self.began.elapsed().as_secs_f64();
            let text = self.printer.render(&alert, meaning);
            self.say(&format!("{seconds:>6.1} s  {}\n{text}", meaning_text(meaning)))?;
        }
        Ok(())
    }

    fn tell_status(&mut self, elapsed: Duration) -> anyhow::Result<()> {
        if elapsed < self.next_status {
            return Ok(());
        }
        self.next_status = elapsed + STATUS_INTERVAL;
        let (lines, blocks, tally) = (self.logs.lines(), self.cluster.blocks(), self.judge.tally());
        self.say(&format!(
            "{:>6.1} s  {lines} lines written, {blocks} blocks; {} faults, {} caught; {} false alarms",
            elapsed.as_secs_f64(),
            tally.injected,
            tally.caught,
            tally.false_alarms
        ))
    }

    fn poll_end(&mut self, elapsed: Duration) -> anyhow::Result<Option<End>> {
        if let Some(status) = self.daemon.poll_exit()? {
            return Ok(Some(End::DaemonDied(status)));
        }
        if self.signals.pending().next().is_some() {
            if self.hurried {
                return Ok(Some(End::Left));
            }
            self.hurry(elapsed)?;
        }
        let tally = self.judge.tally();
        let all_found = self.hurried && tally.caught == tally.injected;
        Ok((all_found || self.schedule.is_over(elapsed)).then_some(End::Over))
    }

    /// After the first Ctrl-C: the cluster lives on, since without its clock no block would ever have been quiet for long enough.
    fn hurry(&mut self, elapsed: Duration) -> anyhow::Result<()> {
        self.hurried = true;
        self.schedule.close(elapsed);
        self.sessions.get_or_insert(self.cluster.blocks());
        self.say(&format!(
            "no more faults; the last ones show once their blocks have been quiet, in {} s at most; Ctrl-C again leaves at once",
            CLOSING.as_secs()
        ))
    }

    fn conclude(&mut self, end: End) -> anyhow::Result<ExitCode> {
        if let End::DaemonDied(status) = end {
            self.say(&format!("the daemon ended by itself ({status}); its last words:\n{}", self.daemon.last_words()))?;
            return Ok(ExitCode::FAILURE);
        }
        let stopped = self.daemon.stop(STOP_PATIENCE)?;
        self.tell_alerts()?;
        let report = self.judge.report(self.sessions.unwrap_or(self.cluster.blocks()));
        let (text, passed) = (report.to_string(), report.passed());
        self.say(&text)?;
        let clean = self.tell_stop(stopped)?;
        Ok(if passed && clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Says so when the daemon did not end as it should; returns whether it did.
    fn tell_stop(&mut self, stopped: Option<ExitStatus>) -> anyhow::Result<bool> {
        match stopped {
            Some(status) if status.success() => return Ok(true),
            Some(status) => {
                self.say(&format!("the daemon ended badly ({status}); its last words:\n{}", self.daemon.last_words()))?
            }
            None => {
                self.say(&format!("the daemon did not end within {} s of SIGTERM and was killed", STOP_PATIENCE.as_secs()))?
            }
        }
        Ok(false)
    }

    fn say(&mut self, text: &str) -> anyhow::Result<()> {
        writeln!(self.out, "{text}").context("failed to write to standard output")
    }
}

fn welcome(args: &Args, places: &Places, http: &str) -> String {
    let length = args.seconds.map_or("until Ctrl-C".to_string(), |seconds| format!("for {seconds} s"));
    format!(
        "A NameNode and {} DataNodes write {} lines a second {length}; their clock runs {LOG_SPEED} times as fast as yours.\n\
         logs     {}\nalerts   {}\nmetrics  http://{http}/metrics\n\
         A fault that shows at once is told at once; one that shows by what is missing, when its block has been quiet for 15 s.\n\
         {}\n",
        story::DATANODES,
        args.lines_per_second,
        places.logs().display(),
        places.alerts().display(),
        if args.full {
            "Every alert is shown in full."
        } else {
            "The first alert of each kind is shown in full; --full shows all so."
        },
    )
}

fn meaning_text(meaning: Meaning) -> String {
    let with = |text: &str, kind: FaultKind| format!("{text}: {}", kind.text());
    match meaning {
        Meaning::Caught(kind) => with("caught", kind),
        Meaning::Known(kind) => with("more on", kind),
        Meaning::Lost(kind) => with("taken back, though there was a fault", kind),
        Meaning::FalseAlarm => "FALSE ALARM: nothing was done to this block".to_string(),
        Meaning::Corrected => "false alarm taken back".to_string(),
    }
}

/// The model asked for, or that of the checkout in which the demo is run.
fn model(args: &Args) -> Option<PathBuf> {
    let shipped = Path::new(SHIPPED_MODEL);
    args.model.clone().or_else(|| shipped.exists().then(|| shipped.to_path_buf()))
}

/// The directory of a demo; a temporary one goes with it.
struct Workplace {
    places: Places,
    temporary: bool,
}

impl Workplace {
    fn create(keep: Option<&Path>) -> anyhow::Result<Self> {
        let temporary = std::env::temp_dir().join(format!("hdfs-vigil-demo-{}", std::process::id()));
        let root = keep.unwrap_or(&temporary);
        make_empty(root)?;
        let places = Places { root: root.canonicalize().with_context(|| format!("failed to resolve {}", root.display()))? };
        let workplace = Self { places, temporary: keep.is_none() };
        make_private(&workplace.places.logs())?;
        Ok(workplace)
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        if self.temporary {
            // A directory that stays behind in the temporary directory harms nobody, and there is nobody left to tell.
            let _ = fs::remove_dir_all(&self.places.root);
        }
    }
}

fn make_empty(root: &Path) -> anyhow::Result<()> {
    make_private(root)?;
    let mut entries = fs::read_dir(root).with_context(|| format!("failed to read directory {}", root.display()))?;
    if entries.next().is_some() {
        bail!("directory {} is not empty: name another one, or empty it", root.display());
    }
    Ok(())
}

fn make_private(path: &Path) -> anyhow::Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("failed to make directory {}", path.display()))
}

const SHIPPED_MODEL: &str = "models/hdfs-v1/model.onnx";
/// How much faster the cluster's clock runs than the wall's.
const LOG_SPEED: i64 = 20;
/// At 2,000 lines a second the NameNode's log is rotated every 12 s and a DataNode's every 40 s.
const LOG_BYTES_MAX: u64 = 1024 * 1024;
const TICK: Duration = Duration::from_millis(50);
const STATUS_INTERVAL: Duration = Duration::from_secs(5);
/// Longer than the grace that the daemon gives its own shutdown by default (20 s).
const STOP_PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_in_use_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let fresh = directory.path().join("fresh");
        assert!(Workplace::create(Some(&fresh)).is_ok());
        assert!(fresh.join("logs").is_dir(), "a directory to keep is kept");
        let error = Workplace::create(Some(&fresh)).err().expect("an error").to_string();
        assert!(error.ends_with("is not empty: name another one, or empty it"), "{error}");
    }

    #[test]
    fn a_temporary_directory_goes_with_the_demo() {
        let workplace = Workplace::create(None).expect("a directory");
        let root = workplace.places.root.clone();
        assert!(root.join("logs").is_dir());
        drop(workplace);
        assert!(!root.exists());
    }

    #[test]
    fn a_demo_too_short_for_faults_is_refused() {
        check("demo --seconds 49", "49 is not in 50..");
        check("demo --lines-per-second 50001", "50001 is not in 200..=50000");
        check("demo --seconds 50", "");
    }

    fn check(command_line: &str, expected: &str) {
        let command = <Args as clap::Args>::augment_args(clap::Command::new("demo"));
        let error =
            command.try_get_matches_from(command_line.split(' ')).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(expected) && error.is_empty() == expected.is_empty(), "{error}");
    }
}
