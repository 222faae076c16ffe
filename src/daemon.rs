//! The daemon: one loop that waits, handles and routes.
//!
//! The loop owns the follower and the pipeline, so that a checkpoint is one instant of both. The scorer, the teller and the network
//! (webhook, metrics) have threads of their own behind bounded channels. When any of them is slow, the loop stops reading: the log
//! files are the buffer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, never, select, tick};
use tracing::{error, info, warn};

use crate::config::{Config, Mode};
use crate::daemon::backlog::Backlog;
use crate::daemon::begin::Begun;
use crate::daemon::build::millis;
use crate::daemon::clock::Stopwatch;
use crate::daemon::control::Request;
use crate::daemon::door::Door;
use crate::daemon::edge::Edge;
use crate::daemon::engine::{Engine, Observer, ScorerEnded};
use crate::daemon::health::Health;
use crate::daemon::keeper::{Keeper, Step};
use crate::daemon::model_file::{Answer, Loaded, ModelFile};
use crate::daemon::mutes::{Fate, Muted, Mutes};
use crate::daemon::outage::{Outage, WARN_INTERVAL};
use crate::daemon::outbox::{Done, Outbox, Task};
use crate::daemon::teller::{Teller, TellerEnded};
use crate::daemon::unwritten::Unwritten;
use crate::ingest::{Follower, Notice, Waker};
use crate::limits::{CHUNKS_PER_TURN_MAX, CONTROL_REQUESTS_MAX, DONE_MAX, OUTBOX_ALERTS_MAX};
use crate::model::scorer::Scorer;
use crate::model::thread::Scored;
use crate::pipeline::event::WallTime;
use crate::pipeline::session::Case;
use crate::pipeline::swap::Swapped;
use crate::pipeline::verdict::{Alert, AlertId, DetectorMode, Verdict};
use crate::sink::http::{Latch, Readiness};
use crate::sink::metrics::Metrics;
use crate::state::directory::{StateDirectory, StateError};

pub mod backlog;
mod begin;
pub mod build;
pub mod clock;
pub mod control;
mod door;
mod edge;
pub mod engine;
pub mod health;
mod keeper;
mod keeping;
pub mod ledger;
mod model_file;
pub mod mutes;
pub mod outage;
pub mod outbox;
mod requests;
pub mod teller;
pub mod unwritten;
mod waits;

/// What may be asked of a running daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Look at the model file, whether it has changed or not.
    Reload,
    /// Finish what is on its way, write a checkpoint, end.
    Stop,
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
    let (request_sender, requests) = bounded(CONTROL_REQUESTS_MAX);
    let door = edge.answer_operators(config, state.path(), request_sender)?;
    let mut daemon = Daemon::new(config, state, &metrics, &readiness, &edge, door, &done_sender)?;
    daemon.first_scan();
    readiness.drop_latch(Latch::FirstScan);
    tell_systemd(&[sd_notify::NotifyState::Ready]);
    info!(model = daemon.model.name, "Following the logs.");
    daemon.run(control, &requests, &done)?;
    drop(requests);
    tell_systemd(&[sd_notify::NotifyState::Stopping]);
    let stopped = daemon.stop(&done);
    edge.stop();
    stopped
}

struct Daemon {
    engine: Engine,
    /// The model that judges.
    model: Model,
    /// The one that is about to take over.
    next_model: Option<Model>,
    model_file: ModelFile,
    /// Whether the newest checkpoint is still of the model before.
    swap_unwritten: bool,
    outbox: Outbox,
    mutes: Mutes,
    /// Alerts that were not taken to be sent, until they are offered again.
    unsent: Vec<AlertId>,
    unwritten: Unwritten,
    backlog: Backlog,
    health: Health,
    /// Whether checkpoints can be written.
    unkept: Outage,
    /// When the newest checkpoint was written, or the daemon began with it.
    kept_at: Instant,
    /// Bytes read of the logs as of the newest checkpoint.
    kept_bytes: u64,
    door: Door,
    teller: Teller,
    waker: Waker,
    keeper: Keeper,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    /// How the detector stood to the traffic when that was said last.
    mode: DetectorMode,
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
    /// What the steps of the checkpoint that is being written have taken so far.
    checkpoint_took: Duration,
    retry_at: Instant,
    first: bool,
}

/// A model by its name and the SHA-256 of its file.
struct Model {
    name: String,
    sha256: String,
}

impl Model {
    fn of(scorer: &Scorer) -> Self {
        Self { name: scorer.contract().profile.name.clone(), sha256: scorer.sha256().to_owned() }
    }
}

impl Daemon {
    fn new(
        config: &Config,
        state: StateDirectory,
        metrics: &Arc<Metrics>,
        readiness: &Arc<Readiness>,
        edge: &Edge,
        door: Door,
        done: &Sender<Done>,
    ) -> anyhow::Result<Self> {
        build::load_runtime(config)?;
        let mut model_file = ModelFile::new(config, state.path());
        let state_path = state.path().to_owned();
        let Begun { pipeline, positions, outbox, mutes, keeper, scorer, next, refused } = Begun::new(config, state)?;
        let model = Model::of(&scorer);
        model_file.set_running(&model.sha256);
        metrics.model.set(&model.name, &model.sha256);
        metrics.set_mode(config.alerts.mode);
        readiness.drop_latch(Latch::Model);
        readiness.drop_latch(Latch::Restored);
        let first = !positions.started;
        let settings = build::ingest_settings(config, clock::now());
        let mode = settings.mode;
        let follower = Follower::new(&settings, positions, build::time_reader(&config.ingest.timezone))?;
        metrics.begin_at(&pipeline.stats(), follower.counters());
        let kept_bytes = follower.counters().bytes;
        let now = Instant::now();
        let mut daemon = Self {
            engine: Engine::new(follower, pipeline, scorer, mode)?,
            model,
            next_model: None,
            model_file,
            swap_unwritten: false,
            outbox,
            mutes,
            unsent: Vec::new(),
            unwritten: Unwritten::default(),
            backlog: Backlog::default(),
            health: Health::new(keeping::host(), &state_path),
            unkept: Outage::default(),
            kept_at: now,
            kept_bytes,
            door,
            teller: Teller::spawn(config, &state_path, edge.webhook(), Arc::clone(metrics), done.clone())?,
            waker: Waker::new(),
            keeper,
            metrics: Arc::clone(metrics),
            readiness: Arc::clone(readiness),
            mode: DetectorMode::default(),
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
            checkpoint_took: Duration::ZERO,
            retry_at: now + RETRY_INTERVAL,
            first,
        };
        daemon.say_mode();
        daemon.expire_mutes(clock::now());
        refused.into_iter().for_each(|reason| daemon.refuse_model(&reason));
        next.into_iter().for_each(|next| daemon.begin_swap(next));
        Ok(daemon)
    }

    fn first_scan(&mut self) {
        self.scan();
        self.first = false;
        let _ = self.checkpoint();
    }

    fn run(&mut self, control: &Receiver<Control>, requests: &Receiver<Request>, done: &Receiver<Done>) -> anyhow::Result<()> {
        let heartbeat = tick(HEARTBEAT_INTERVAL);
        let mut requests = requests.clone();
        loop {
            self.turn(done)?;
            let mut nobody_asks = false;
            let engine = &self.engine;
            let can_go_on =
                if engine.is_swapping() { !engine.is_scoring() } else { engine.has_unread() && !engine.pipeline.is_full() };
            let busy = can_go_on && !self.is_held_up();
            let wait = if busy { Duration::ZERO } else { self.wait() };
            select! {
                recv(control) -> control => match control {
                    Ok(Control::Reload) => self.model_file.ask(self.is_unsettled()),
                    Ok(Control::Stop) | Err(_) => return Ok(()),
                },
                recv(requests) -> request => match request {
                    Ok(request) => self.handle_request(request),
                    Err(_) => nobody_asks = true,
                },
                recv(self.model_file.loaded()) -> loaded => loaded.into_iter().for_each(|loaded| self.handle_loaded(loaded)),
                recv(self.engine.scored()) -> scored => self.engine.apply(scored.map_err(|_| ScorerEnded)?, &mut self.observer),
                recv(self.waker.signal()) -> _ => self.scan_at = self.scan_at.min(self.scanned_at + self.scan_interval / 2),
                recv(done) -> done => done.into_iter().for_each(|done| self.handle_done(done)),
                recv(heartbeat) -> _ => self.beat(),
                default(wait) => {}
            }
            if nobody_asks {
                // A channel whose senders are gone is always ready: waiting for it would spin.
                requests = never();
            }
        }
    }

    /// One turn: look, read, score, tell, keep.
    fn turn(&mut self, done: &Receiver<Done>) -> anyhow::Result<()> {
        // Before the logs are looked at: silence is only what was listened to.
        let heard = self.clock.look();
        let now = Instant::now();
        if now >= self.scan_at {
            self.scan();
        }
        // While a checkpoint is written in parts, little changes meanwhile, so that it comes to an end.
        let chunks = if self.checkpoint_took.is_zero() { CHUNKS_PER_TURN_MAX } else { 1 };
        for _ in 0..chunks {
            if self.is_held_up() || !self.engine.read(heard) {
                break;
            }
            self.engine.exchange(false, &mut self.observer)?;
        }
        if !self.engine.is_swapping() {
            self.engine.pipeline.handle_time(heard);
        } else if !self.is_held_up()
            && let Some(swapped) = self.engine.poll_swap()
        {
            self.finish_swap(swapped);
        }
        self.engine.exchange(false, &mut self.observer)?;
        self.take_alerts(clock::now());
        done.try_iter().for_each(|done| self.handle_done(done));
        self.retry(now);
        self.tell()?;
        if now >= self.checkpoint_at {
            let _ = self.step_checkpoint();
        }
        Ok(())
    }

    /// Time until the next turn has something to do by itself.
    fn wait(&self) -> Duration {
        let pipeline = self.engine.pipeline.poll_timeout();
        let pipeline =
            pipeline.map(|(at, _)| Duration::from_millis(at.millis_since(self.clock.now()).max(MIN_WAIT_MILLIS) as u64));
        let now = Instant::now();
        let own = [self.scan_at, self.checkpoint_at, self.retry_at].into_iter().chain(self.unwritten.due_at());
        own.map(|at| at.saturating_duration_since(now)).chain(pipeline).min().unwrap_or(self.scan_interval)
    }

    fn scan(&mut self) {
        for notice in self.engine.scan(clock::now(), self.first) {
            tell_notice(&notice);
        }
        self.waker.watch(self.engine.follower.directories());
        self.model_file.look(self.is_unsettled());
        self.scanned_at = Instant::now();
        self.scan_at = self.scanned_at + self.scan_interval;
    }

    fn handle_loaded(&mut self, loaded: Loaded) {
        match self.model_file.handle_loaded(loaded) {
            Answer::Same { asked: false } => {}
            Answer::Same { asked: true } => info!(model = self.model.name, "The model file holds the model that runs already."),
            Answer::Refused(reason) => self.refuse_model(&reason),
            Answer::Next(scorer) => {
                self.begin_swap(*scorer);
                // Else a crash from here on would give what has been read since the last checkpoint to the next model.
                let _ = self.checkpoint();
            }
        }
    }

    /// From here on nothing is read until the model that judges has judged what was read.
    fn begin_swap(&mut self, scorer: Scorer) {
        let next = Model::of(&scorer);
        match self.engine.begin_swap(scorer) {
            Ok(()) => {
                self.model_file.set_running(&next.sha256);
                self.next_model = Some(next);
            }
            Err(error) => self.refuse_model(&error.to_string()),
        }
    }

    fn finish_swap(&mut self, swapped: Swapped) {
        let Some(next) = self.next_model.take() else { return };
        let before = std::mem::replace(&mut self.model, next);
        self.metrics.model.set(&self.model.name, &self.model.sha256);
        self.metrics.model.count_swap(&swapped);
        info!(
            from = before.name,
            from_sha256 = before.sha256,
            to = self.model.name,
            to_sha256 = self.model.sha256,
            sessions_mapped = swapped.sessions_mapped,
            sessions_ended = swapped.sessions_ended,
            previous = %self.model_file.copies().previous().display(),
            "The model was swapped."
        );
        // All sessions are others now, and written in as many turns as it takes: a crash until then swaps again, at the same line.
        self.swap_unwritten = true;
        self.checkpoint_at = Instant::now();
    }

    /// Whether a model is to take over, or has and the checkpoint is not of it yet.
    fn is_unsettled(&self) -> bool {
        self.engine.is_swapping() || self.swap_unwritten
    }

    fn refuse_model(&self, reason: &str) {
        self.metrics.model.count_refused();
        let path = self.model_file.path().display();
        error!(%path, running = self.model.name, "The model file is not used, and the model that runs goes on: {reason}");
    }

    fn take_alerts(&mut self, now: WallTime) {
        while let Some(alert) = self.engine.pipeline.poll_alert() {
            self.metrics.count_alert(&alert);
            let (send, muted) = self.fate(&alert, now);
            self.metrics.alerts_muted.inc_by(u64::from(muted.is_some()));
            if self.sends && !send && muted.is_none() {
                self.metrics.alerts_not_sent.inc();
                self.warn_of_age(now.0.saturating_sub(alert.time.0));
            }
            self.outbox.add_beyond(alert, send, muted);
            self.drop_over_bound();
        }
    }

    /// Tells of what no log says: the daemon's own state.
    fn tell_of(&mut self, alert: Alert) {
        self.metrics.count_alert(&alert);
        let (send, muted) = self.fate(&alert, clock::now());
        self.metrics.alerts_muted.inc_by(u64::from(muted.is_some()));
        self.outbox.add_beyond(alert, send, muted);
        self.drop_over_bound();
    }

    /// Whether the alert is sent, and why not if it is muted.
    fn fate(&mut self, alert: &Alert, now: WallTime) -> (bool, Option<Muted>) {
        let can_send = self.sends && self.is_recent(alert, now);
        match self.mutes.handle_alert(alert, now, can_send) {
            Fate::Sent => (self.sends, None),
            Fate::Kept => (false, None),
            Fate::Muted(muted) => (false, Some(muted)),
        }
    }

    fn is_recent(&self, alert: &Alert, now: WallTime) -> bool {
        now.0.saturating_sub(alert.time.0) <= self.notify_age_millis
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
        self.outbox.unshown().saturating_sub(self.unwritten.count())
    }

    fn tell(&mut self) -> Result<(), TellerEnded> {
        for task in Task::ALL {
            while self.teller.has_room(task)
                && let Some(errand) = self.outbox.take_next(task)
            {
                let lines = self.engine.follower.rereader(errand.alert.quoted());
                self.teller.send(errand, lines)?;
            }
        }
        Ok(())
    }

    fn handle_done(&mut self, done: Done) {
        self.note_done(done);
        self.outbox.handle_done(done);
    }

    /// Writes a checkpoint to its end, in as many steps as it takes. A failure is told and counted here; it concerns the caller only when
    /// it was the last try.
    fn checkpoint(&mut self) -> Result<(), StateError> {
        while self.step_checkpoint()? {
            tell_systemd(&[sd_notify::NotifyState::Watchdog]);
        }
        Ok(())
    }

    /// Writes a part of a checkpoint; true when there is more of it. Less often when it takes long, so that it never takes more than a
    /// twentieth of the time.
    fn step_checkpoint(&mut self) -> Result<bool, StateError> {
        // What the pipeline has to tell is in the outbox, or lost with a crash.
        self.take_alerts(clock::now());
        let provision = self.provide();
        let begun = Instant::now();
        let step = self.hold_directory().and_then(|()| self.write_checkpoint());
        self.checkpoint_took += begun.elapsed();
        match &step {
            Ok(Step::More { bytes }) => {
                self.metrics.count_checkpoint_bytes(*bytes);
                self.take_back(provision);
                self.checkpoint_at = Instant::now();
                return Ok(true);
            }
            Ok(Step::Written { bytes, .. }) => {
                self.metrics.count_checkpoint_bytes(*bytes);
                self.metrics.count_checkpoint(self.keeper.journal_bytes(), self.checkpoint_took, std::time::SystemTime::now());
                self.swap_unwritten = false;
                self.handle_written(provision);
            }
            Err(error) => {
                self.metrics.checkpoint_failures.inc();
                self.handle_unwritten(error, provision);
            }
        }
        let rest = std::mem::take(&mut self.checkpoint_took) * 20;
        let hurry = matches!(step, Ok(Step::Written { hurry: true, .. }));
        let now = Instant::now();
        let interval = if hurry { Duration::ZERO } else { self.checkpoint_interval };
        self.checkpoint_at = now + self.retry_of_checkpoint(now, interval).max(rest);
        step.map(|_| false)
    }

    fn write_checkpoint(&mut self) -> Result<Step, StateError> {
        let instant = ledger::Instant {
            model_sha256: &self.model.sha256,
            positions: &self.engine.follower.positions(),
            outbox: &self.outbox,
            mutes: &self.mutes,
        };
        self.keeper.step(&instant, &mut self.engine.pipeline)
    }

    /// Shows that the loop is alive: the service manager restarts a daemon that does not turn any more.
    fn beat(&mut self) {
        tell_systemd(&[sd_notify::NotifyState::Watchdog]);
        self.metrics.observe(&self.engine.pipeline.stats());
        self.say_mode();
        self.say_health();
        self.door.look();
        self.expire_mutes(clock::now());
        self.say_unread();
        self.metrics.unwatched_directories.set(self.waker.unwatched() as i64);
        self.metrics.streams.set(self.engine.follower.streams().count() as i64);
        self.metrics.observe_ingest(self.engine.follower.counters());
        self.metrics.alerts_waiting.set(self.outbox.len() as i64);
        self.metrics.alerts_dropped.inc_by(self.outbox.dropped().saturating_sub(self.metrics.alerts_dropped.get()));
    }

    fn say_mode(&mut self) {
        let mode = self.engine.pipeline.mode();
        if mode != self.mode {
            info!(from = self.mode.name(), to = mode.name(), "The detector stands otherwise to the traffic.");
            self.mode = mode;
        }
        self.metrics.set_detector_mode(mode);
        self.readiness.set_mode(mode);
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
/// What the webhook had no room for is offered again after this.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// Shorter waits would only spin.
const MIN_WAIT_MILLIS: i64 = 1;
