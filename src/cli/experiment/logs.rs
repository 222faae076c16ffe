//! The logs of an experiment: given ones, or rendered ones in a directory that goes with it.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::tz::TimeZone;

use super::DomainShift;
use super::render::{self, Plan, Shift};
use crate::daemon::build;
use crate::report::Moment;
use crate::sink::document::grouped;

/// The logs, and where the long one changes.
pub(super) struct Logs {
    /// What is trained on.
    pub quiet: PathBuf,
    /// What is judged.
    pub log: PathBuf,
    /// What is known of its blocks.
    pub labels: PathBuf,
    /// Lines of it before the change.
    pub shift_line: u64,
    /// Where they are from, for people.
    pub from: String,
}

impl Logs {
    /// Logs that are there. The change is after `shift_at` of the lines.
    pub fn given(quiet: &Path, log: &Path, labels: &Path, shift_at: f64) -> anyhow::Result<Self> {
        let lines = for_each_line(log, |_, _| true)?;
        Ok(Self {
            quiet: quiet.to_path_buf(),
            log: log.to_path_buf(),
            labels: labels.to_path_buf(),
            shift_line: (lines as f64 * shift_at) as u64,
            from: format!("{} with {}, trained on {}", log.display(), labels.display(), quiet.display()),
        })
    }

    /// Renders logs into `scratch`, if there is room.
    pub fn rendered(args: &DomainShift, scratch: &Scratch) -> anyhow::Result<Self> {
        scratch.check_room((args.lines + args.train_lines) * LINE_BYTES)?;
        let shift_line = (args.lines as f64 * args.shift_at) as u64;
        let long = Plan {
            seed: args.seed.wrapping_add(1),
            lines: args.lines,
            pace: PACE,
            anomaly_rate: args.anomaly_rate,
            shift: Some(Shift { at_line: shift_line, noise: args.noise_after }),
        };
        let pace = args.train_lines as f64 / QUIET_SECONDS;
        let quiet = Plan { seed: args.seed, lines: args.train_lines, pace, anomaly_rate: 0.0, shift: None };
        let logs = Self {
            quiet: scratch.path("quiet.log"),
            log: scratch.path("shift.log"),
            labels: scratch.path("labels.csv"),
            shift_line,
            from: format!("the cluster simulator, seed {}", args.seed),
        };
        render_to(&quiet, &logs.quiet, &scratch.path("quiet.csv"))?;
        render_to(&long, &logs.log, &logs.labels)?;
        Ok(logs)
    }

    /// The log time of the first record from the change on, read in this zone.
    pub fn moment(&self, zone: &TimeZone) -> anyhow::Result<Moment> {
        let read = build::time_reader(zone);
        let mut found = None;
        for_each_line(&self.log, |number, line| {
            found = if number < self.shift_line { None } else { read(line) };
            found.is_none()
        })?;
        let Some(time) = found else {
            bail!("{} has no record after line {}; choose a smaller --shift-at", self.log.display(), self.shift_line)
        };
        Ok(Moment { time, label: "the traffic changes".to_owned() })
    }
}

/// Hands every line and its number, from 0, to `on_line` until it says no; gives how many it took.
fn for_each_line(path: &Path, mut on_line: impl FnMut(u64, &[u8]) -> bool) -> anyhow::Result<u64> {
    let what = || format!("read {}", path.display());
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, File::open(path).with_context(what)?);
    let (mut line, mut number) = (Vec::new(), 0);
    while reader.read_until(b'\n', &mut line).with_context(what)? > 0 {
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let more = on_line(number, text);
        number += 1;
        if !more {
            break;
        }
        line.clear();
    }
    Ok(number)
}

fn render_to(plan: &Plan, log: &Path, labels: &Path) -> anyhow::Result<()> {
    eprintln!("rendering {} lines to {}", grouped(plan.lines), log.display());
    let create = |path: &Path| File::create(path).with_context(|| format!("create {}", path.display()));
    let mut sink = Files {
        log: BufWriter::with_capacity(BUFFER_BYTES, create(log)?),
        labels: BufWriter::with_capacity(BUFFER_BYTES, create(labels)?),
    };
    let what = || format!("write {}", log.display());
    writeln!(sink.labels, "BlockId,Label").with_context(what)?;
    let rendered = render::render(plan, &mut sink).with_context(what)?;
    sink.log.flush().and_then(|()| sink.labels.flush()).with_context(what)?;
    let (lines, blocks, anomalous) = (grouped(rendered.lines), grouped(rendered.blocks), grouped(rendered.anomalous));
    eprintln!("rendered {lines} lines of {blocks} blocks, {anomalous} of them anomalous");
    Ok(())
}

/// A log and its labels on their way to the disk.
struct Files {
    log: BufWriter<File>,
    labels: BufWriter<File>,
}

impl render::Sink for Files {
    fn line(&mut self, text: &str) -> io::Result<()> {
        self.log.write_all(text.as_bytes())?;
        self.log.write_all(b"\n")
    }

    fn label(&mut self, block: i64, anomalous: bool) -> io::Result<()> {
        writeln!(self.labels, "blk_{block},{}", if anomalous { "Anomaly" } else { "Normal" })
    }
}

/// A directory of its own; one that is not to be kept goes with it.
pub(super) struct Scratch {
    root: PathBuf,
    temporary: bool,
}

impl Scratch {
    /// An empty directory, at `keep` or among the temporary ones.
    pub fn new(keep: Option<&Path>) -> anyhow::Result<Self> {
        let root = keep.map_or_else(
            || std::env::temp_dir().join(format!("hdfs-vigil-experiment-{}", std::process::id())),
            Path::to_path_buf,
        );
        let what = || format!("make directory {}", root.display());
        DirBuilder::new().recursive(true).mode(0o700).create(&root).with_context(what)?;
        if fs::read_dir(&root).with_context(what)?.next().is_some() {
            bail!("directory {} is not empty: name another one, or empty it", root.display());
        }
        Ok(Self { root, temporary: keep.is_none() })
    }

    /// A file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Removes it and ends the process when `stop` is set: half of an experiment tells nothing, and its logs take much room.
    pub fn remove_when(&self, stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
        let (stop, root, temporary) = (Arc::clone(stop), self.root.clone(), self.temporary);
        std::thread::Builder::new().name("interrupt".to_owned()).spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                std::thread::sleep(INTERRUPT_INTERVAL);
            }
            if temporary {
                let _ = fs::remove_dir_all(&root);
            }
            std::process::exit(130);
        })?;
        Ok(())
    }

    /// Says how much room is needed, and fails where it is not there.
    fn check_room(&self, bytes: u64) -> anyhow::Result<()> {
        let root = self.root.display();
        let place = rustix::fs::statvfs(&self.root).with_context(|| format!("ask how much room is in {root}"))?;
        let free = place.f_bavail.saturating_mul(place.f_frsize);
        let gigabytes = |bytes: u64| bytes as f64 / 1e9;
        eprintln!("the logs take about {:.2} GB in {root}, where {:.1} GB are free", gigabytes(bytes), gigabytes(free));
        if free < bytes + bytes / 10 {
            bail!("there is no room for the logs in {root}; set TMPDIR, name a directory with --keep, or ask for fewer --lines");
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.temporary {
            // A directory that stays behind in the temporary directory harms nobody, and there is nobody left to tell.
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

/// How often it is looked whether Ctrl-C was pressed.
const INTERRUPT_INTERVAL: Duration = Duration::from_millis(100);

/// Lines of stories in a second of log time: 10,000,000 in the 38.7 hours of HDFS_v1.
const PACE: f64 = 72.0;
/// Log time of the quiet log.
const QUIET_SECONDS: f64 = 4.0 * 3600.0;
/// Bytes of a line and of its share of the labels, rounded up.
const LINE_BYTES: u64 = 150;
const BUFFER_BYTES: usize = 1024 * 1024;
