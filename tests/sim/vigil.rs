//! Drives the engine over a simulated disk as the daemon does: looks, reads, scores, tells, keeps, and dies now and then.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crossbeam_channel::{Receiver, Sender};
use hdfs_vigil::daemon::engine::{Engine, Observer};
use hdfs_vigil::daemon::ledger::{Instant, Restored};
use hdfs_vigil::daemon::mutes::Mutes;
use hdfs_vigil::daemon::outbox::{Done, Errand, Outbox, Task};
use hdfs_vigil::ingest::{self, Follower, Mode, Notice, Saved, StartAt};
use hdfs_vigil::limits::{CHUNKS_PER_TURN_MAX, DESCRIPTORS_MAX};
use hdfs_vigil::model::thread::{Batch, Scored, ScorerThread};
use hdfs_vigil::pipeline::Pipeline;
use hdfs_vigil::pipeline::event::{SourceId, StreamId, WallTime};
use hdfs_vigil::pipeline::session::Case;
use hdfs_vigil::pipeline::verdict::Verdict;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::checkpoints::Checkpoints;
use crate::cluster::Cluster;
use crate::disk::{LOGS, SimDisk};
use crate::hadoop::{Hadoop, Weather};
use crate::run::{self, Model, Told};

/// What goes wrong with the daemon itself.
#[derive(Clone, Copy, Debug)]
pub struct Fate {
    /// How often it dies, of its turns.
    pub crashes: f64,
    /// For how many seconds at most it stays away then.
    pub away_seconds: i64,
    /// How often the newest checkpoint is torn when it dies.
    pub torn: f64,
    /// How often a checkpoint cannot be written, or an alert not written down: the disk is full.
    pub full: f64,
    /// How often the scorer does not get done in a turn.
    pub slow: f64,
    /// How often the receiver of alerts does not answer.
    pub deaf: f64,
}

/// A daemon and all that is around it.
pub struct Vigil<'a> {
    pub disk: SimDisk,
    cluster: &'a Cluster,
    fate: Fate,
    random: ChaCha8Rng,
    engine: Engine,
    batches: Receiver<Batch>,
    scored: Sender<Scored>,
    outbox: Outbox,
    failed: Vec<Done>,
    /// What has been done and the daemon does not know of yet.
    done: VecDeque<Done>,
    retry_at: i64,
    scan_at: i64,
    /// What has entered the state: of one instant with it.
    pub entered: Entered,
    /// The newest checkpoint first.
    checkpoints: Vec<Checkpoint>,
    journal: Checkpoints,
    /// What was written down and what was received, each as often as it was.
    pub shown: Vec<Told>,
    pub received: Vec<Told>,
    /// What happened, for people who read a failure.
    pub said: Vec<String>,
    /// What the daemon has told of where lines may be missing.
    blamed: BTreeSet<PathBuf>,
    has_crashed: bool,
}

/// The lines that were handed to the pipeline, by log.
#[derive(Clone, Debug, Default)]
pub struct Entered {
    pub lines: BTreeMap<usize, Vec<Vec<u8>>>,
    partial: BTreeMap<SourceId, (u64, Vec<u8>)>,
}

/// What survives a crash.
#[derive(Clone)]
struct Checkpoint {
    entries: Vec<Vec<u8>>,
    entered: Entered,
}

struct Nobody;

impl Observer for Nobody {
    fn scored(&mut self, _: &Scored) {}
    fn judged(&mut self, _: &Case, _: &Verdict) {}
}

impl<'a> Vigil<'a> {
    /// A first start on an empty disk, on which the logs appear then.
    pub fn new(seed: u64, cluster: &'a Cluster, weather: Weather, fate: Fate) -> Self {
        let disk = SimDisk(Arc::new(Mutex::new(Hadoop::new(seed, weather, cluster))));
        let pipeline = Pipeline::new(run::settings(cluster), run::profile(Model::Forward)).unwrap();
        let (engine, batches, scored) = engine(&disk, pipeline, Saved::default());
        let mut vigil = Self {
            disk,
            cluster,
            fate,
            random: ChaCha8Rng::seed_from_u64(seed ^ 0xda_e304),
            engine,
            batches,
            scored,
            outbox: Outbox::default(),
            failed: Vec::new(),
            done: VecDeque::new(),
            retry_at: 0,
            scan_at: 0,
            entered: Entered::default(),
            checkpoints: Vec::new(),
            journal: Checkpoints::default(),
            shown: Vec::new(),
            received: Vec::new(),
            said: Vec::new(),
            blamed: BTreeSet::new(),
            has_crashed: false,
        };
        vigil.engine.scan(WallTime(0), true);
        vigil.save();
        vigil.disk.lock().begin();
        vigil
    }

    /// Goes through everything that is written, and on until nothing more can come.
    pub fn run(&mut self) {
        let mut quiet = 0;
        while quiet < SETTLED_TURNS || self.disk.lock().next_write().is_some() {
            let (next, is_busy, now) = {
                let hadoop = self.disk.lock();
                (hadoop.next_write(), hadoop.is_busy(), hadoop.now)
            };
            // Over time in which nobody writes and nothing is on its way the clock leaps.
            let leap = next.filter(|_| quiet >= SETTLED_TURNS && !is_busy).map_or(0, |next| next - now);
            self.disk.lock().advance(leap.max(SCAN_MILLIS));
            quiet = if next.is_some_and(|next| next <= now + leap.max(SCAN_MILLIS)) || is_busy { 0 } else { quiet + 1 };
            self.turns();
            if self.random.random_bool(0.2) {
                self.save();
            }
            if self.random.random_bool(self.fate.crashes) {
                self.crash();
                quiet = 0;
            }
        }
        self.disk.lock().files.mend();
        self.fate = Fate { slow: 0.0, deaf: 0.0, full: 0.0, ..self.fate };
        for _ in 0..SETTLED_TURNS {
            self.disk.lock().advance(SCAN_MILLIS);
            self.turns();
        }
        self.end();
    }

    /// In a replay, says what happened.
    pub fn explain(&self) {
        if std::env::var("HDFS_VIGIL_SEED").is_ok() {
            self.said.iter().for_each(|said| println!("{said}"));
        }
    }

    /// Records that came too late to be put in order.
    pub fn late_records(&self) -> u64 {
        self.engine.pipeline.stats().late_records
    }

    /// Turns until there is nothing to read, as far as the last look could tell.
    fn turns(&mut self) {
        for _ in 0..TURNS_MAX {
            self.turn();
            if !self.engine.has_unread() {
                return;
            }
        }
        panic!("the daemon turns without end");
    }

    /// One turn, in the order of the daemon's.
    fn turn(&mut self) {
        let now = self.disk.lock().now;
        if now >= self.scan_at {
            let notices = self.engine.scan(WallTime(now), false);
            self.said.extend(notices.iter().map(|notice| format!("{now}: {notice}")));
            self.blamed.extend(notices.into_iter().filter_map(blamed));
            self.scan_at = now + SCAN_MILLIS;
        }
        for _ in 0..CHUNKS_PER_TURN_MAX {
            if !self.engine.read(WallTime(now)) {
                break;
            }
            self.note_read();
            self.engine.exchange(false, &mut Nobody).unwrap();
        }
        self.engine.pipeline.handle_time(WallTime(now));
        self.score();
        self.engine.exchange(false, &mut Nobody).unwrap();
        self.take_alerts();
        while let Some(done) = self.done.pop_front() {
            if matches!(done, Done::NotShown(_) | Done::NotSent(_)) {
                self.failed.push(done);
            }
            self.outbox.handle_done(done);
        }
        if now >= self.retry_at {
            for done in std::mem::take(&mut self.failed) {
                self.outbox.retry(done);
            }
            self.retry_at = now + RETRY_MILLIS;
        }
        self.tell();
        self.check_descriptors();
    }

    fn note_read(&mut self) {
        let Some((read, bytes)) = self.engine.last_read() else { return };
        let status = self.engine.follower.streams().find(|status| status.id == read.stream).unwrap();
        let log = self.disk.lock().log(status.name);
        self.said.push(format!("{}: log {log}: {read:?}", self.scan_at - SCAN_MILLIS));
        let (expected, partial) = self.entered.partial.entry(read.source).or_insert((read.offset, Vec::new()));
        assert_eq!(read.offset, *expected, "no gap and no overlap within a source");
        *expected += read.bytes as u64;
        partial.extend_from_slice(bytes);
        let lines = self.entered.lines.entry(log).or_default();
        while let Some(end) = partial.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = partial.drain(..=end).collect();
            lines.push(line[..end].to_vec());
        }
        if read.end_of_source && !partial.is_empty() {
            lines.push(std::mem::take(partial));
        }
    }

    /// The scorer does what waits for it, or does not get round to it.
    fn score(&mut self) {
        while !self.random.random_bool(self.fate.slow)
            && let Ok(batch) = self.batches.try_recv()
        {
            let scores = batch.windows.iter().map(|window| Ok(run::score(window, Model::Forward))).collect();
            let batch_windows = batch.windows.len();
            let scored = Scored { scores, inference_seconds: 0.0, batch_windows, remembered_windows: 0, memory_windows: 0 };
            self.scored.send(scored).unwrap();
        }
    }

    fn take_alerts(&mut self) {
        while let Some(alert) = self.engine.pipeline.poll_alert() {
            self.said.push(format!("{} on {}", alert.alert_type.name(), run::told(&alert).of));
            assert!(!self.outbox.push(alert, true, None), "there is room in the outbox");
        }
    }

    /// The teller and the receiver.
    fn tell(&mut self) {
        for task in Task::ALL {
            while let Some(errand) = self.outbox.take_next(task) {
                self.handle(&errand);
            }
        }
    }

    fn handle(&mut self, errand: &Errand) {
        let id = errand.alert.id;
        match errand.task {
            Task::Show => {
                let is_full = self.random.random_bool(self.fate.full);
                self.done.push_back(if is_full { Done::NotShown(id) } else { Done::Shown(id) });
                self.shown.extend((!is_full).then(|| run::told(&errand.alert)));
            }
            Task::Send => {
                // What was received may not have been answered.
                let is_answered = !self.random.random_bool(self.fate.deaf);
                let is_received = is_answered || self.random.random_bool(0.5);
                self.done.push_back(if is_answered { Done::Sent(id) } else { Done::NotSent(id) });
                self.received.extend(is_received.then(|| run::told(&errand.alert)));
            }
        }
    }

    fn check_descriptors(&self) {
        let writers = self.cluster.streams.len();
        let handles = self.disk.lock().files.handles();
        assert!(handles <= DESCRIPTORS_MAX + writers, "{handles} files are open");
    }

    /// Writes a checkpoint, or does not get it onto the full disk.
    fn save(&mut self) {
        self.take_alerts();
        // Without any it would begin afresh.
        if self.random.random_bool(self.fate.full) && !self.checkpoints.is_empty() {
            return self.engine.pipeline.sessions().forget_changes();
        }
        let (positions, mutes) = (self.engine.follower.positions(), Mutes::default());
        let instant = Instant { model_sha256: "", positions: &positions, outbox: &self.outbox, mutes: &mutes };
        self.journal.save_all(&instant, &mut self.engine.pipeline, &mut self.random);
        let (entries, entered) = (self.journal.entries().to_vec(), self.entered.clone());
        self.checkpoints.insert(0, Checkpoint { entries, entered });
        self.checkpoints.truncate(2);
        self.note_safe();
    }

    /// What stands in the oldest checkpoint is never asked for again.
    fn note_safe(&mut self) {
        let oldest = if self.fate.torn > 0.0 { self.checkpoints.last() } else { self.checkpoints.first() };
        let Some(oldest) = oldest.filter(|_| self.fate.torn == 0.0 || self.checkpoints.len() == 2) else { return };
        let mut hadoop = self.disk.lock();
        for (log, lines) in &oldest.entered.lines {
            let safe = lines.iter().filter_map(|line| hadoop.number(*log, line)).collect();
            hadoop.set_safe(*log, safe);
        }
    }

    /// Dies, stays away for some time, and goes on from the newest checkpoint that is whole.
    fn crash(&mut self) {
        self.said.push("crash".to_owned());
        self.has_crashed = true;
        if self.checkpoints.len() == 2 && self.random.random_bool(self.fate.torn) {
            self.checkpoints.remove(0);
        }
        self.restore();
        let away = self.random.random_range(0..=self.fate.away_seconds);
        for _ in 0..away {
            self.disk.lock().advance(1000);
        }
        self.scan_at = 0;
    }

    fn restore(&mut self) {
        let Checkpoint { entries, entered } = self.checkpoints[0].clone();
        self.journal = Checkpoints::of(entries);
        let Restored { positions, outbox, pipeline, templates, .. } = self.journal.read();
        let settings = run::settings(self.cluster);
        let mut pipeline = Pipeline::restore(settings, run::profile(Model::Forward), pipeline, &templates, true).unwrap();
        self.journal.go_on(&mut pipeline);
        (self.engine, self.batches, self.scored) = engine(&self.disk, pipeline, positions);
        (self.outbox, self.entered) = (outbox, entered);
        self.failed.clear();
        self.done.clear();
    }

    /// Nothing more will come.
    fn end(&mut self) {
        let streams: Vec<StreamId> = self.engine.follower.streams().map(|status| status.id).collect();
        streams.into_iter().for_each(|stream| self.engine.pipeline.close_stream(stream));
        self.drain();
        self.engine.pipeline.flush();
        self.drain();
        for _ in 0..3 {
            self.disk.lock().now += RETRY_MILLIS;
            self.turn();
        }
        assert!(self.outbox.is_empty(), "everything was told");
        assert_eq!(self.disk.lock().files.nameless(), 0, "no deleted file is held");
    }

    fn drain(&mut self) {
        while self.engine.is_scoring() {
            self.engine.exchange(false, &mut Nobody).unwrap();
            self.score();
        }
        self.take_alerts();
    }

    /// What is wrong about the lines that entered, if anything is.
    pub fn check_lines(&self) -> Result<(), String> {
        let hadoop = self.disk.lock();
        for log in 0..hadoop.logs() {
            let lines = self.entered.lines.get(&log).map(Vec::as_slice).unwrap_or_default();
            let numbers: Vec<Option<usize>> = lines.iter().map(|line| hadoop.number(log, line)).collect();
            if let Some(unknown) =
                numbers.iter().position(|number| number.is_none()).filter(|index| !hadoop.is_piece(log, &lines[*index]))
            {
                return Err(format!("log {log} never had the line {:?}", String::from_utf8_lossy(&lines[unknown])));
            }
            let mut numbers: Vec<usize> = numbers.into_iter().flatten().collect();
            if hadoop.weather.fails {
                // What cannot be opened when it is found does not hold up newer files: then each file alone is in order.
                numbers.sort_unstable();
            }
            if let Some(pair) = numbers.windows(2).find(|pair| pair[0] >= pair[1]) {
                return Err(format!("log {log} has line {} after line {}", pair[1], pair[0]));
            }
            let found: BTreeSet<usize> = numbers.into_iter().collect();
            let at_risk = hadoop.at_risk(log);
            let missing: Vec<usize> = (0..hadoop.lines(log)).filter(|number| !found.contains(number)).collect();
            if let Some(lost) = missing.iter().find(|number| !at_risk.contains(number)) {
                return Err(format!("log {log} lacks line {lost}, which was there to be read; of {missing:?}"));
            }
            // A daemon that died may have forgotten that it had seen a file which is gone when it comes back.
            let is_knowable = |number: &&usize| !self.has_crashed && !hadoop.unseen(log).contains(number);
            let is_blamed = |path: &PathBuf| path == Path::new(LOGS) || hadoop.is_of(log, path);
            if let Some(lost) = missing.iter().find(is_knowable)
                && !self.blamed.iter().any(is_blamed)
            {
                return Err(format!("log {log} lacks line {lost}, and nothing says so"));
            }
        }
        Ok(())
    }
}

/// What a notice says of lines that may be missing: in which file, or directory.
fn blamed(notice: Notice) -> Option<PathBuf> {
    match notice {
        Notice::Lost { path, .. } | Notice::Truncated { path } | Notice::Failed { path, .. } | Notice::Refused { path, .. } => {
            Some(path)
        }
        Notice::Opened { .. } | Notice::Rotated { .. } | Notice::Copied { .. } | Notice::Deleted { .. } => None,
    }
}

fn engine(disk: &SimDisk, pipeline: Pipeline, positions: Saved) -> (Engine, Receiver<Batch>, Sender<Scored>) {
    let settings = ingest::Settings {
        patterns: vec![Path::new(LOGS).display().to_string()],
        exclude: Vec::new(),
        start_at: StartAt::Beginning,
        mode: Mode::Follow,
        blockless: false,
    };
    let follower = Follower::on(Arc::new(disk.clone()), &settings, positions, Box::new(|_| None)).unwrap();
    let (thread, batches, scored) = ScorerThread::elsewhere();
    (Engine::with_thread(follower, pipeline, thread, Mode::Follow), batches, scored)
}

/// Milliseconds between two looks, as configured by default.
const SCAN_MILLIS: i64 = 1000;

const RETRY_MILLIS: i64 = 5000;

/// Turns after which nothing more comes of what was written before.
const SETTLED_TURNS: usize = 8;

/// Turns within which everything is read that a look has found.
const TURNS_MAX: usize = 1000;
