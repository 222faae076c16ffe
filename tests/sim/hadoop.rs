//! A small Hadoop cluster that writes its logs on a simulated disk, and what rotates, copies, compresses and spoils them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use hdfs_vigil::ingest::fingerprint::HEAD_BYTES_MAX;

use crate::cluster::{self, Line};
use crate::disk::{Files, LOGS};

/// What may happen to the logs of a seed.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Whether anything may go that nobody has read.
    pub loses: bool,
    /// Whether files cannot be listed, opened or read at times.
    pub fails: bool,
    /// Whether the writers go on between any two questions of the follower, and not only between its turns.
    pub hurries: bool,
    /// Whether a line may be half written when the follower looks.
    pub halves: bool,
    /// How often a log is rotated, of the times that it is written to.
    pub rotations: f64,
    /// Rotated files that are kept of a log.
    pub backups: usize,
}

/// Everything outside of the daemon.
#[derive(Debug)]
pub struct Hadoop {
    pub files: Files,
    pub random: ChaCha8Rng,
    pub weather: Weather,
    logs: Vec<Log>,
    /// What is on its way, in order.
    steps: VecDeque<Step>,
    /// Milliseconds.
    pub now: i64,
}

/// One log and its writer.
#[derive(Debug)]
struct Log {
    live: PathBuf,
    style: Style,
    lines: Vec<(i64, Vec<u8>)>,
    /// Lines that are written.
    written: usize,
    /// Bytes of the next line that are written.
    half: usize,
    /// The file that is written to.
    inode: u64,
    days: u32,
    /// Lines that were read and will not be asked for again, whatever happens.
    safe: BTreeSet<usize>,
    at_risk: BTreeSet<usize>,
    /// Those of them of whose file nobody has ever read while it held anything: they came and went between two looks.
    unseen: BTreeSet<usize>,
    numbers: BTreeMap<Vec<u8>, usize>,
}

/// How a log is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// Log4j's RollingFileAppender: renamed from the oldest to the live one.
    Cascade,
    /// Log4j's DailyRollingFileAppender.
    Daily,
    /// logrotate's `create`: the writer goes on in the renamed file until it is told.
    Create,
    /// logrotate's `copytruncate`.
    CopyTruncate,
}

/// One thing that is done to the disk.
#[derive(Clone, Debug)]
enum Step {
    /// The next line of a log, if it is time.
    Write(usize),
    /// What a log comes to suffer, step by step.
    Trouble(usize),
    /// A new live file, not yet written to.
    Touch(usize),
    /// The writer goes over to the live file.
    Reopen(usize),
    Rename(PathBuf, PathBuf),
    Remove(usize, PathBuf),
    /// The first half of the live file, and then all of it, is in its copy.
    Copy(usize, PathBuf, bool),
    Truncate(usize),
    /// The same for a compressed copy.
    Pack(PathBuf, PathBuf, bool),
}

impl Hadoop {
    /// The cluster of a seed with its logs, none of which is there yet.
    pub fn new(seed: u64, weather: Weather, cluster: &cluster::Cluster) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0xd15c);
        let style = |random: &mut ChaCha8Rng| {
            *[Style::Cascade, Style::Cascade, Style::Daily, Style::Create, Style::CopyTruncate].choose(random).unwrap()
        };
        let logs = cluster.streams.iter().zip(&cluster.names);
        let logs = logs.map(|(lines, name)| Log::new(name, style(&mut random), lines)).collect();
        let step_nanos = *[1, 4_000_000, 1_000_000_000, 2_000_000_000].choose(&mut random).unwrap();
        Self { files: Files::new(step_nanos), random, weather, logs, steps: VecDeque::new(), now: 0 }
    }

    /// Makes the live files.
    pub fn begin(&mut self) {
        for log in 0..self.logs.len() {
            self.step(Step::Touch(log));
            self.step(Step::Reopen(log));
        }
    }

    /// Time goes on, and what was to be written by now is written, at once or in the middle of what the follower does next.
    pub fn advance(&mut self, millis: i64) {
        self.finish();
        for log in 0..self.logs.len() {
            self.end_half(log);
            (0..self.due(log)).for_each(|_| self.write_whole(log));
        }
        self.now += millis;
        self.files.now_nanos = self.now * 1_000_000;
        for log in 0..self.logs.len() {
            while self.is_due(log) {
                let rotations = self.weather.rotations;
                if self.random.random_bool(rotations) {
                    self.steps.push_back(Step::Trouble(log));
                }
                self.steps.push_back(Step::Write(log));
                if !self.weather.hurries {
                    self.finish();
                } else if self.steps.iter().filter(|step| matches!(step, Step::Write(other) if *other == log)).count()
                    >= self.due(log)
                {
                    break;
                }
            }
        }
    }

    /// What was begun is done.
    pub fn finish(&mut self) {
        while let Some(step) = self.steps.pop_front() {
            self.step(step);
        }
    }

    /// Comes between two questions of the follower.
    pub fn interrupt(&mut self) {
        while self.weather.hurries
            && self.random.random_bool(0.3)
            && let Some(step) = self.steps.pop_front()
        {
            self.step(step);
        }
    }

    /// When the next line is written, milliseconds; `None` when all are.
    pub fn next_write(&self) -> Option<i64> {
        let next = self.logs.iter().filter_map(|log| log.lines.get(log.written));
        next.map(|(second, _)| second * 1000).min().map(|at| at.max(self.now))
    }

    /// Whether something is half done.
    pub fn is_busy(&self) -> bool {
        !self.steps.is_empty() || self.logs.iter().any(|log| log.half > 0)
    }

    pub fn lines(&self, log: usize) -> usize {
        self.logs[log].lines.len()
    }

    pub fn logs(&self) -> usize {
        self.logs.len()
    }

    /// The log of this live file.
    pub fn log(&self, live: &Path) -> usize {
        self.logs.iter().position(|log| log.live == live).expect("only live files give streams their names")
    }

    /// Whether a file is one of a log, going by its name.
    pub fn is_of(&self, log: usize, file: &Path) -> bool {
        file.to_string_lossy().starts_with(&*self.logs[log].live.to_string_lossy())
    }

    /// The number of a line of a log.
    pub fn number(&self, log: usize, line: &[u8]) -> Option<usize> {
        self.logs[log].numbers.get(line).copied()
    }

    pub fn set_safe(&mut self, log: usize, safe: BTreeSet<usize>) {
        self.logs[log].safe = safe;
    }

    /// Lines that went, in part or whole, before it was certain that they had been read.
    pub fn at_risk(&self, log: usize) -> &BTreeSet<usize> {
        &self.logs[log].at_risk
    }

    /// Those of them that nobody can know of.
    pub fn unseen(&self, log: usize) -> &BTreeSet<usize> {
        &self.logs[log].unseen
    }

    /// Whether this is a piece of a line that went in part.
    pub fn is_piece(&self, log: usize, piece: &[u8]) -> bool {
        let log = &self.logs[log];
        log.at_risk.iter().any(|number| log.lines[*number].1.starts_with(piece) || log.lines[*number].1.ends_with(piece))
    }
}

/// What happens to files.
impl Hadoop {
    fn is_due(&self, log: usize) -> bool {
        self.due(log) > 0
    }

    fn due(&self, log: usize) -> usize {
        let Log { lines, written, .. } = &self.logs[log];
        lines[*written..].iter().take_while(|(second, _)| second * 1000 <= self.now).count()
    }

    /// Begins with a rotation, or with something worse.
    fn trouble(&mut self, log: usize) {
        self.end_half(log);
        match self.random.random_range(
            0..if self.weather.fails {
                10
            } else if self.weather.loses {
                6
            } else {
                5
            },
        ) {
            0..=2 => self.rotate(log),
            3 => self.compress(log),
            4 if self.weather.loses => self.steps.push_back(Step::Truncate(log)),
            5 => {
                let live = self.logs[log].live.clone();
                self.steps.extend([Step::Remove(log, live), Step::Touch(log), Step::Reopen(log)]);
            }
            6 => {
                let is_locked = self.random.random_bool(0.5);
                self.files.lock(self.logs[log].inode, is_locked);
            }
            7 => self.files.is_locked = self.random.random_bool(0.5),
            8 => {
                let reads = self.random.random_range(1..3);
                self.files.break_reads(self.logs[log].inode, reads);
            }
            9 => self.files.mend(),
            _ => {}
        }
    }

    fn rotate(&mut self, log: usize) {
        let Log { live, style, days, .. } = &mut self.logs[log];
        let (live, style) = (live.clone(), *style);
        if style == Style::Daily {
            *days += 1;
            let day = *days;
            let date = |day: u32| with(&live, &format!(".2008-{:02}-{:02}", 1 + day / 28, 1 + day % 28));
            self.steps.extend([Step::Rename(live.clone(), date(day)), Step::Touch(log), Step::Reopen(log)]);
            if let Some(old) = day.checked_sub(self.weather.backups as u32) {
                self.steps.extend(ENDINGS.map(|packed| Step::Remove(log, with(&date(old), packed))));
            }
            return;
        }
        if style == Style::CopyTruncate && self.files.plain(self.logs[log].inode).len() < COPY_BYTES_MIN {
            return;
        }
        self.shift(log);
        let first = with(&live, ".1");
        match style {
            Style::Cascade | Style::Daily => {
                self.steps.extend([Step::Rename(live, first), Step::Touch(log), Step::Reopen(log)]);
            }
            Style::Create => {
                let writes = self.random.random_range(0..3);
                self.steps.extend([Step::Rename(live, first), Step::Touch(log)]);
                self.steps.extend((0..writes).map(|_| Step::Write(log)));
                self.steps.push_back(Step::Reopen(log));
            }
            Style::CopyTruncate => {
                self.steps.extend([Step::Copy(log, first.clone(), true), Step::Copy(log, first, false)]);
                // A copy that is shorter than the head that is known of its log is not known for one.
                let is_known = self.files.plain(self.logs[log].inode).len() >= HEAD_BYTES_MAX;
                let writes = if self.weather.loses && is_known { self.random.random_range(0..3) } else { 0 };
                self.steps.extend((0..writes).map(|_| Step::Write(log)));
                self.steps.push_back(Step::Truncate(log));
            }
        }
    }

    /// Makes room for a new first backup.
    fn shift(&mut self, log: usize) {
        let live = self.logs[log].live.clone();
        let numbered = |number: usize, packed: &str| with(&live, &format!(".{number}{packed}"));
        let is_there = |number: &usize| ENDINGS.iter().any(|packed| self.files.inode(&numbered(*number, packed)).is_some());
        let highest = (1..200).filter(is_there).max().unwrap_or(0);
        for number in (1..=highest).rev() {
            for packed in ENDINGS {
                if number >= self.weather.backups {
                    self.steps.push_back(Step::Remove(log, numbered(number, packed)));
                }
                self.steps.push_back(Step::Rename(numbered(number, packed), numbered(number + 1, packed)));
            }
        }
    }

    /// Compresses one of the rotated files.
    fn compress(&mut self, log: usize) {
        let Log { live, inode, .. } = &self.logs[log];
        let is_packed = |name: &Path| ENDINGS[1..].iter().any(|ending| name.to_string_lossy().ends_with(ending));
        let is_plain = |name: &Path| name != live && !is_packed(name);
        let of_log = |name: &Path| name.to_string_lossy().starts_with(&*live.to_string_lossy());
        let rotated = self.files.names().filter(|(name, file)| of_log(name) && is_plain(name) && file != inode);
        let rotated: Vec<PathBuf> = rotated.map(|(name, _)| name.clone()).collect();
        let Some(name) = rotated.choose(&mut self.random) else { return };
        let packed = with(name, ENDINGS[1..].choose(&mut self.random).unwrap());
        self.steps.extend([true, false].map(|is_torn| Step::Pack(name.clone(), packed.clone(), is_torn)));
        self.steps.push_back(Step::Remove(log, name.clone()));
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Write(log) => self.write(log),
            Step::Trouble(log) => {
                let later = std::mem::take(&mut self.steps);
                self.trouble(log);
                self.steps.extend(later);
            }
            Step::Touch(log) => {
                let live = self.logs[log].live.clone();
                self.remove(log, &live);
                self.files.create(&live);
            }
            Step::Reopen(log) => self.reopen(log),
            Step::Rename(from, to) => self.files.rename(&from, &to),
            Step::Remove(log, name) => self.remove(log, &name),
            Step::Copy(log, to, is_half) => self.copy(log, &to, is_half),
            Step::Truncate(log) => {
                let inode = self.logs[log].inode;
                self.endanger(log, inode);
                self.files.truncate(inode);
            }
            Step::Pack(from, to, is_torn) => {
                let Some(plain) = self.files.inode(&from).map(|inode| self.files.plain(inode).to_vec()) else { return };
                let inode = self.files.inode(&to).unwrap_or_else(|| self.files.create(&to));
                self.files.pack(inode, &plain, to.extension().is_some_and(|ending| ending == "zst"), is_torn);
            }
        }
    }

    fn write(&mut self, log: usize) {
        if self.logs[log].half > 0 {
            return self.end_half(log);
        }
        if !self.is_due(log) {
            return;
        }
        if self.weather.halves && self.random.random_bool(0.1) {
            let Log { lines, written, inode, .. } = &self.logs[log];
            let line = &lines[*written].1;
            let half = self.random.random_range(1..line.len());
            self.files.append(*inode, &line[..half]);
            self.logs[log].half = half;
        } else {
            self.write_whole(log);
        }
    }

    fn write_whole(&mut self, log: usize) {
        let Log { lines, written, inode, .. } = &mut self.logs[log];
        self.files.append(*inode, &[&lines[*written].1, &b"\n"[..]].concat());
        *written += 1;
    }

    fn end_half(&mut self, log: usize) {
        let Log { lines, written, half, inode, .. } = &mut self.logs[log];
        if *half > 0 {
            self.files.append(*inode, &[&lines[*written].1[*half..], b"\n"].concat());
            *written += 1;
            *half = 0;
        }
    }

    fn reopen(&mut self, log: usize) {
        self.end_half(log);
        let Some(inode) = self.files.inode(&self.logs[log].live) else { return };
        self.files.hold(inode);
        let before = std::mem::replace(&mut self.logs[log].inode, inode);
        if before > 0 {
            self.files.release(before);
        }
    }

    fn copy(&mut self, log: usize, to: &Path, is_half: bool) {
        self.end_half(log);
        let bytes = self.files.plain(self.logs[log].inode).to_vec();
        let inode = if is_half { self.files.create(to) } else { self.files.inode(to).unwrap() };
        let copied = self.files.plain(inode).len();
        let until = if is_half { (bytes.len() / 2).max(COPY_BYTES_MIN) } else { bytes.len() };
        self.files.append(inode, &bytes[copied.min(until)..until]);
    }

    fn remove(&mut self, log: usize, name: &Path) {
        let Some(inode) = self.files.inode(name) else { return };
        let is_spared = !self.weather.loses && !self.only_here(log, inode).is_empty();
        if !is_spared {
            self.endanger(log, inode);
            self.files.remove(name);
        }
    }

    /// Lines that are in no other file and that may still have to be read.
    fn only_here(&self, log: usize, inode: u64) -> Vec<usize> {
        let Log { lines, written, half, safe, .. } = &self.logs[log];
        let held = lines_of(self.files.plain(inode));
        let mut only: Vec<usize> =
            held.iter().filter_map(|line| self.number(log, line)).filter(|number| !safe.contains(number)).collect();
        if !only.is_empty() {
            let others: BTreeSet<&[u8]> = self.files.others(inode).flat_map(lines_of).collect();
            only.retain(|number| !others.contains(&lines[*number].1[..]));
        }
        if *half > 0 && self.logs[log].inode == inode {
            only.push(*written);
        }
        only
    }

    /// Remembers what is about to go.
    fn endanger(&mut self, log: usize, inode: u64) {
        let only = self.only_here(log, inode);
        if !self.files.is_seen(inode) {
            self.logs[log].unseen.extend(&only);
        }
        self.logs[log].at_risk.extend(only);
    }
}

impl Log {
    fn new(name: &str, style: Style, lines: &[Line]) -> Self {
        let lines: Vec<_> = lines.iter().map(|line| (line.second, line.text.clone().into_bytes())).collect();
        let numbers: BTreeMap<_, _> = lines.iter().enumerate().map(|(number, (_, line))| (line.clone(), number)).collect();
        assert_eq!(numbers.len(), lines.len(), "no line equals another");
        Self {
            live: Path::new(LOGS).join(name),
            style,
            lines,
            written: 0,
            half: 0,
            inode: 0,
            days: 0,
            safe: BTreeSet::new(),
            at_risk: BTreeSet::new(),
            unseen: BTreeSet::new(),
            numbers,
        }
    }
}

/// A copy is known to be one from its 32nd byte on. No tool copies less at a time; a log that holds less is not copied here.
const COPY_BYTES_MIN: usize = 32;

/// What follows the name of a rotated file, depending on whether it is compressed.
const ENDINGS: [&str; 3] = ["", ".gz", ".zst"];

fn lines_of(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect()
}

fn with(name: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", name.display()))
}
