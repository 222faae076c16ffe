//! The daemon: one loop that waits, handles and routes.
//!
//! The loop owns the follower and the pipeline, so that a checkpoint is one instant of both. The scorer, the teller and the network
//! (webhook, metrics) have threads of their own behind bounded channels. When any of them is slow, the loop stops reading: the log
//! files are the buffer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{Receiver, Sender, bounded, select, tick};
use tracing::{error, info, warn};

use crate::config::{Config, Mode};
use crate::daemon::build::millis;
use crate::daemon::clock::Stopwatch;
use crate::daemon::edge::Edge;
use crate::daemon::engine::{Engine, Observer, ScorerEnded};
use crate::daemon::outbox::{Done, Outbox};
use crate::daemon::teller::{Teller, TellerEnded};
use crate::ingest::{Follower, Notice, Saved, Waker};
use crate::limits::{CHUNKS_PER_TURN_MAX, DONE_MAX, OUTBOX_ALERTS_MAX};
use crate::model::scorer::Scorer;
use crate::model::thread::Scored;
use crate::pipeline::event::WallTime;
use crate::pipeline::event::template::changes::Changes;
use crate::pipeline::front::RestoreError;
use crate::pipeline::session::Case;
use crate::pipeline::verdict::{Alert, Verdict};
use crate::pipeline::{self, Pipeline};
use crate::sink::http::{Latch, Readiness};
use crate::sink::metrics::Metrics;
use crate::state::checkpoint::{StateDirectory, StateError};
use crate::state::journal::{Journal, Mark};

pub mod build;
pub mod clock;
mod edge;
pub mod engine;
pub mod outbox;
pub mod teller;

/// What may be asked of a running daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Finish what is on its way, write a checkpoint, end.
    Stop,
}

/// Everything of one instant, to be written.
#[derive(serde::Serialize)]
struct CheckpointRef<'a> {
    model_sha256: &'a str,
    positions: Saved,
    outbox: &'a Outbox,
    pipeline: pipeline::KeptRef<'a>,
    templates: Mark,
}

/// Everything of one instant, as it was read.
#[derive(serde::Deserialize)]
struct Checkpoint {
    model_sha256: String,
    positions: Saved,
    outbox: Outbox,
    pipeline: pipeline::Kept,
    templates: Mark,
}

/// A checkpoint with what belongs to it.
struct Restored {
    checkpoint: Checkpoint,
    /// Goes on behind what the checkpoint marks.
    journal: Journal,
    templates: Vec<Changes>,
}

/// What a daemon begins with.
struct Begun {
    pipeline: Pipeline,
    positions: Saved,
    outbox: Outbox,
    journal: Journal,
}

/// Runs until `control` says stop or its senders are gone.
///
/// # Errors
/// When the model, ONNX Runtime, the state directory or the metrics' address cannot be used.
pub fn run(config: &Config, control: &Receiver<Control>) -> anyhow::Result<()> {
    let metrics = Arc::new(Metrics::new());
    let readiness = Arc::new(Readiness::default());
    let (state, made) = StateDirectory::open(&config.state.directory)?;
    if made {
        warn!(directory = %config.state.directory.display(), "The state directory was not there; starting afresh.");
    }
    let (done_sender, done) = bounded(DONE_MAX);
    let edge = Edge::start(config, &metrics, &readiness, &done_sender)?;
    let mut daemon = Daemon::new(config, state, &metrics, &readiness, &edge, &done_sender)?;
    daemon.first_scan();
    readiness.drop_latch(Latch::FirstScan);
    tell_systemd(&[sd_notify::NotifyState::Ready]);
    info!(model = daemon.model, "Following the logs.");
    daemon.run(control, &done)?;
    tell_systemd(&[sd_notify::NotifyState::Stopping]);
    let stopped = daemon.stop(&done);
    edge.stop();
    stopped
}

struct Daemon {
    engine: Engine,
    model: String,
    model_sha256: String,
    outbox: Outbox,
    /// What could not be done, until it is tried again.
    failed: Vec<Done>,
    teller: Teller,
    waker: Waker,
    state: StateDirectory,
    /// The templates: a checkpoint marks how much of it is its own.
    journal: Journal,
    metrics: Arc<Metrics>,
    observer: MetricsObserver,
    sends: bool,
    notify_age_millis: i64,
    scan_interval: Duration,
    checkpoint_interval: Duration,
    grace: Duration,
    clock: Stopwatch,
    scanned_at: Instant,
    scan_at: Instant,
    warned_at: Option<Instant>,
    checkpoint_at: Instant,
    retry_at: Instant,
    first: bool,
}

impl Daemon {
    fn new(
        config: &Config,
        state: StateDirectory,
        metrics: &Arc<Metrics>,
        readiness: &Readiness,
        edge: &Edge,
        done: &Sender<Done>,
    ) -> anyhow::Result<Self> {
        build::load_runtime(config)?;
        let path = &config.model.path;
        let scorer = Scorer::load(path).with_context(|| format!("load model {} (model.path)", path.display()))?;
        let (model, model_sha256) = (scorer.contract().profile.name.clone(), scorer.sha256().to_owned());
        metrics.set_model(&model);
        metrics.set_mode(config.alerts.mode);
        readiness.drop_latch(Latch::Model);
        let Begun { pipeline, positions, outbox, journal } = begin(config, &scorer, &state)?;
        readiness.drop_latch(Latch::Restored);
        let first = !positions.started;
        let settings = build::ingest_settings(config, clock::now());
        let mode = settings.mode;
        let follower = Follower::new(&settings, positions, build::time_reader(&config.ingest.timezone))?;
        metrics.begin_at(&pipeline.stats(), follower.counters());
        let now = Instant::now();
        Ok(Self {
            engine: Engine::new(follower, pipeline, scorer, mode)?,
            model,
            model_sha256,
            outbox,
            failed: Vec::new(),
            teller: Teller::spawn(config, edge.webhook(), Arc::clone(metrics), done.clone())?,
            waker: Waker::new(),
            state,
            journal,
            metrics: Arc::clone(metrics),
            observer: MetricsObserver { metrics: Arc::clone(metrics), warned_at: None },
            sends: config.webhook.is_some() && config.alerts.mode == Mode::Notify,
            notify_age_millis: millis(config.alerts.notify_age_max),
            scan_interval: config.ingest.scan_interval,
            checkpoint_interval: config.state.checkpoint_interval,
            grace: config.shutdown.grace,
            clock: Stopwatch::start(),
            scanned_at: now,
            scan_at: now,
            warned_at: None,
            checkpoint_at: now + config.state.checkpoint_interval,
            retry_at: now + RETRY_INTERVAL,
            first,
        })
    }

    fn first_scan(&mut self) {
        self.scan();
        self.first = false;
        let _ = self.checkpoint();
    }

    fn run(&mut self, control: &Receiver<Control>, done: &Receiver<Done>) -> anyhow::Result<()> {
        let heartbeat = tick(HEARTBEAT_INTERVAL);
        loop {
            self.turn(done)?;
            let busy = self.engine.has_unread() && !self.engine.pipeline.is_full() && !self.is_held_up();
            let wait = if busy { Duration::ZERO } else { self.wait() };
            select! {
                recv(control) -> _ => return Ok(()),
                recv(self.engine.scored()) -> scored => self.engine.apply(scored.map_err(|_| ScorerEnded)?, &mut self.observer),
                recv(self.waker.signal()) -> _ => self.scan_at = self.scan_at.min(self.scanned_at + self.scan_interval / 2),
                recv(done) -> done => done.into_iter().for_each(|done| self.handle_done(done)),
                recv(heartbeat) -> _ => self.beat(),
                default(wait) => {}
            }
        }
    }

    /// One turn: look, read, score, tell, keep.
    fn turn(&mut self, done: &Receiver<Done>) -> anyhow::Result<()> {
        let now = Instant::now();
        if now >= self.scan_at {
            self.scan();
        }
        for _ in 0..CHUNKS_PER_TURN_MAX {
            if self.is_held_up() || !self.engine.read(self.clock.now()) {
                break;
            }
            self.engine.exchange(false, &mut self.observer)?;
        }
        self.engine.pipeline.handle_time(self.clock.now());
        self.engine.exchange(false, &mut self.observer)?;
        self.take_alerts(clock::now());
        done.try_iter().for_each(|done| self.handle_done(done));
        if now >= self.retry_at {
            self.outbox.retry(&std::mem::take(&mut self.failed));
            self.retry_at = now + RETRY_INTERVAL;
        }
        self.tell()?;
        if now >= self.checkpoint_at {
            let _ = self.checkpoint();
        }
        Ok(())
    }

    /// Time until the next turn has something to do by itself.
    fn wait(&self) -> Duration {
        let pipeline = self.engine.pipeline.poll_timeout();
        let pipeline =
            pipeline.map(|(at, _)| Duration::from_millis(at.millis_since(self.clock.now()).max(MIN_WAIT_MILLIS) as u64));
        let now = Instant::now();
        let own = [self.scan_at, self.checkpoint_at, self.retry_at].map(|at| at.saturating_duration_since(now));
        own.into_iter().chain(pipeline).min().unwrap_or(self.scan_interval)
    }

    fn scan(&mut self) {
        for notice in self.engine.scan(clock::now(), self.first) {
            tell_notice(&notice);
        }
        self.waker.watch(self.engine.follower.directories());
        self.scanned_at = Instant::now();
        self.scan_at = self.scanned_at + self.scan_interval;
    }

    fn take_alerts(&mut self, now: WallTime) {
        while let Some(alert) = self.engine.pipeline.poll_alert() {
            self.metrics.count_alert(&alert);
            let send = self.sends && self.is_recent(&alert, now);
            if self.outbox.push(alert, send) {
                error!(bound = OUTBOX_ALERTS_MAX, "Too many alerts wait; the oldest was dropped.");
            }
        }
    }

    fn is_recent(&mut self, alert: &Alert, now: WallTime) -> bool {
        let age = now.0.saturating_sub(alert.time.0);
        let recent = age <= self.notify_age_millis;
        if !recent {
            self.metrics.alerts_not_sent.inc();
            self.warn_of_age(age);
        }
        recent
    }

    /// At most once an hour. A wrong zone makes every alert old.
    fn warn_of_age(&mut self, age_millis: i64) {
        if self.warned_at.is_none_or(|at| at.elapsed() >= WARN_INTERVAL) {
            self.warned_at = Some(Instant::now());
            let age_minutes = age_millis / 60_000;
            warn!(
                age_minutes,
                "An alert is too old to be sent (alerts.notify_age_max). Is ingest.timezone the zone of the logs?"
            );
        }
    }

    /// Whether the teller is so far behind that no more alerts should be found: reading on would only drop the oldest. Those that it
    /// tried in vain do not count, since a full disk must not end the vigil.
    fn is_held_up(&self) -> bool {
        self.unshown() >= OUTBOX_ALERTS_MAX / 2
    }

    /// Alerts that the teller has not tried to write down yet.
    fn unshown(&self) -> usize {
        let tried = self.failed.iter().filter(|done| matches!(done, Done::NotShown(_))).count();
        self.outbox.unshown().saturating_sub(tried)
    }

    fn tell(&mut self) -> Result<(), TellerEnded> {
        while self.teller.has_room()
            && let Some(errand) = self.outbox.take_next()
        {
            let lines = self.engine.follower.rereader(errand.alert.positions.iter().copied());
            self.teller.send(errand, lines)?;
        }
        Ok(())
    }

    fn handle_done(&mut self, done: Done) {
        if matches!(done, Done::NotShown(_) | Done::NotSent(_)) {
            self.failed.push(done);
        }
        self.outbox.handle_done(done);
    }

    /// Written less often when it takes long, so that it never takes more than a twentieth of the time. A failure is told and counted
    /// here; it concerns the caller only when it was the last try.
    fn checkpoint(&mut self) -> Result<(), StateError> {
        let begun = Instant::now();
        let written = self.write_checkpoint();
        let took = begun.elapsed();
        match &written {
            Ok(bytes) => self.metrics.count_checkpoint(*bytes, took, std::time::SystemTime::now()),
            Err(error) => {
                self.metrics.checkpoint_failures.inc();
                warn!(%error, "The checkpoint was not written; it is tried again.");
            }
        }
        self.checkpoint_at = Instant::now() + self.checkpoint_interval.max(took * 20);
        written.map(|_| ())
    }

    /// Writes down what has changed of the templates, then the checkpoint that marks it.
    fn write_checkpoint(&mut self) -> Result<u64, StateError> {
        let pipeline = &mut self.engine.pipeline;
        let changes = if self.journal.needs_everything() { pipeline.take_templates() } else { pipeline.take_template_changes() };
        if !changes.is_empty() {
            self.journal.append(&changes, changes.are_everything())?;
        }
        let bytes = self.state.write(&CheckpointRef {
            model_sha256: &self.model_sha256,
            positions: self.engine.follower.positions(),
            outbox: &self.outbox,
            pipeline: self.engine.pipeline.kept(),
            templates: self.journal.mark(),
        })?;
        self.journal.settle();
        Ok(bytes)
    }

    /// Shows that the loop is alive: the service manager restarts a daemon that does not turn any more.
    fn beat(&mut self) {
        tell_systemd(&[sd_notify::NotifyState::Watchdog]);
        self.metrics.observe(&self.engine.pipeline.stats());
        let lag: u64 = self.engine.follower.streams().map(|stream| stream.lag_bytes).sum();
        self.metrics.lag_bytes.set(i64::try_from(lag).unwrap_or(i64::MAX));
        self.metrics.streams.set(self.engine.follower.streams().count() as i64);
        self.metrics.observe_ingest(self.engine.follower.counters());
        self.metrics.alerts_waiting.set(self.outbox.len() as i64);
        self.metrics.alerts_dropped.inc_by(self.outbox.dropped().saturating_sub(self.metrics.alerts_dropped.get()));
    }

    /// Scores what was read, writes down what came of it, and keeps the rest.
    fn stop(&mut self, done: &Receiver<Done>) -> anyhow::Result<()> {
        let deadline = Instant::now() + self.grace;
        info!("Asked to stop; finishing what is on its way.");
        while self.engine.is_scoring() && Instant::now() < deadline {
            self.engine.exchange(true, &mut self.observer)?;
            done.try_iter().for_each(|done| self.handle_done(done));
        }
        self.take_alerts(clock::now());
        self.tell()?;
        while self.unshown() > 0 && Instant::now() < deadline {
            if let Ok(done) = done.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                self.handle_done(done);
            }
            self.tell()?;
        }
        done.try_iter().for_each(|done| self.handle_done(done));
        self.checkpoint()?;
        info!(waiting_alerts = self.outbox.len(), "Stopped; everything is in the checkpoint.");
        Ok(())
    }
}

/// What the newest checkpoint holds, with the part of the journal that it marks.
fn restore(state: &StateDirectory) -> Result<Option<Restored>, StateError> {
    let complete = |checkpoint: Checkpoint| {
        let (journal, templates) = Journal::read(state.path(), checkpoint.templates)?;
        Ok(Restored { checkpoint, journal, templates })
    };
    let Some(loaded) = state.read(complete)? else { return Ok(None) };
    if let Some(error) = loaded.passed_over {
        warn!(%error, "Going on from the previous checkpoint.");
    }
    Ok(Some(loaded.content))
}

fn begin(config: &Config, scorer: &Scorer, state: &StateDirectory) -> anyhow::Result<Begun> {
    let (settings, profile) = (build::pipeline_settings(config), scorer.contract().profile.clone());
    let Some(Restored { checkpoint, journal, templates }) = restore(state)? else {
        let pipeline = Pipeline::new(settings, profile).map_err(RestoreError::Mask)?;
        let (positions, outbox) = (Saved::default(), Outbox::default());
        return Ok(Begun { pipeline, positions, outbox, journal: Journal::new(state.path(), Mark::default()) });
    };
    let same_model = checkpoint.model_sha256 == scorer.sha256();
    if !same_model {
        warn!(
            model = profile.name,
            "The model is another one than before; open sessions end, and blocks that speak again resume."
        );
    }
    let pipeline = Pipeline::restore(settings, profile, checkpoint.pipeline, &templates, same_model)?;
    let journal = if same_model { journal } else { Journal::new(state.path(), checkpoint.templates) };
    Ok(Begun { pipeline, positions: checkpoint.positions, outbox: checkpoint.outbox, journal })
}

fn tell_notice(notice: &Notice) {
    if notice.is_trouble() {
        warn!("{notice}");
    } else {
        info!("{notice}");
    }
}

/// Outside of systemd nobody listens, and that is no error.
fn tell_systemd(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "The service manager could not be told.");
    }
}

/// Counts what the scorer did.
struct MetricsObserver {
    metrics: Arc<Metrics>,
    warned_at: Option<Instant>,
}

impl Observer for MetricsObserver {
    fn scored(&mut self, scored: &Scored) {
        self.metrics.inference_seconds.observe(scored.inference_seconds);
        self.metrics.batch_windows.observe(scored.batch_windows as f64);
        self.metrics.remembered_hits.inc_by(scored.remembered_windows);
        self.metrics.remembered_windows.set(scored.memory_windows as i64);
        let failed = scored.scores.iter().find_map(|score| score.as_ref().err());
        if let Some(error) = failed.filter(|_| self.warned_at.is_none_or(|at| at.elapsed() >= WARN_INTERVAL)) {
            self.warned_at = Some(Instant::now());
            warn!(%error, "The model could not score a window; such blocks are not judged (refused_scores).");
        }
    }

    fn judged(&mut self, _: &Case, verdict: &Verdict) {
        self.metrics.score_nats.observe(f64::from(verdict.score));
    }
}

const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// What could not be written down or sent is tried again after this.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// The same thing is not warned of more often.
const WARN_INTERVAL: Duration = Duration::from_secs(3600);
/// Shorter waits would only spin.
const MIN_WAIT_MILLIS: i64 = 1;
