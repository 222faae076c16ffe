//! What the loop does about a state or a file that cannot be written: it goes on, says so, and tries again ever more rarely. Also says how
//! far it is behind.

use std::io;
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::Daemon;
use crate::daemon::clock;
use crate::daemon::engine::Engine;
use crate::daemon::health::Basis;
use crate::daemon::mutes::Mutes;
use crate::daemon::outbox::Done;
use crate::limits::OUTBOX_ALERTS_MAX;
use crate::pipeline::verdict::Alert;
use crate::state::directory::StateError;

/// What stands in the checkpoint that is being written in case it can be.
pub(super) struct Provision {
    /// The alert that resolves what fires.
    resolving: Alert,
    muted: bool,
    /// The mutes as they were.
    mutes: Mutes,
}

impl Daemon {
    /// Makes the state directory anew when somebody has taken it away, or what is in it.
    pub(super) fn hold_directory(&mut self) -> Result<(), StateError> {
        if self.keeper.hold_directory(&mut self.engine.pipeline)? {
            self.model_file.keep_copy();
            self.door.look();
        }
        Ok(())
    }

    /// Puts what resolves the alert on the state into the outbox, before the checkpoint that proves it is written.
    pub(super) fn provide(&mut self) -> Option<Provision> {
        let now = clock::now();
        let resolving = self.health.resolving(now)?;
        let mutes = self.mutes.clone();
        let (send, muted) = self.fate(&resolving, now);
        self.outbox.add_beyond(resolving.clone(), send, muted.clone());
        Some(Provision { resolving, muted: muted.is_some(), mutes })
    }

    /// The checkpoint was written, and with it what was provided.
    pub(super) fn handle_written(&mut self, provision: Option<Provision>) {
        if let Some(Provision { resolving, muted, .. }) = provision {
            self.metrics.count_alert(&resolving);
            self.metrics.alerts_muted.inc_by(u64::from(muted));
            self.drop_over_bound();
        }
        if let Some(lasted) = self.unkept.handle_success(Instant::now()) {
            info!(seconds = lasted.as_secs(), "The checkpoint is written again.");
        }
        self.health.handle_success();
        self.readiness.set_unkept(None);
        self.kept_at = Instant::now();
        self.kept_bytes = self.engine.follower.counters().bytes;
    }

    /// The checkpoint is not there yet, and what was provided not told.
    pub(super) fn take_back(&mut self, provision: Option<Provision>) {
        if let Some(Provision { mutes, .. }) = provision {
            self.outbox.take_back();
            self.mutes = mutes;
        }
    }

    /// The checkpoint was not written: what was provided is taken back, and people are told once that is no accident.
    pub(super) fn handle_unwritten(&mut self, failure: &StateError, provision: Option<Provision>) {
        self.take_back(provision);
        let instant = Instant::now();
        if self.unkept.handle_failure(instant) {
            warn!(%failure, "The checkpoint was not written; it is tried again, at least once a minute.");
        }
        let basis = Basis { outages: self.outbox.outages(), bytes: self.kept_bytes };
        let error = cause(failure);
        let now = clock::now();
        if let Some(alert) = self.health.handle_failure(self.unkept.lasted(instant), &error, basis, now) {
            self.outbox.count_outage();
            self.tell_of(alert);
            self.readiness.set_unkept(Some(error.to_string()));
        }
    }

    /// When a checkpoint that failed is tried again; `interval` when none has.
    pub(super) fn retry_of_checkpoint(&self, now: Instant, interval: Duration) -> Duration {
        self.unkept.retry_at().map_or(interval, |at| at.saturating_duration_since(now))
    }

    /// Notes that something could not be done with an alert, or could again.
    pub(super) fn note_done(&mut self, done: Done) {
        let now = Instant::now();
        match done {
            Done::NotShown(id) => self.unwritten.handle_failure(id, now),
            Done::Shown(id) => self.unwritten.handle_success(id, now),
            Done::NotSent(id) => self.unsent.push(id),
            Done::Sent(_) => {}
        }
    }

    /// Lets what is due be tried again.
    pub(super) fn retry(&mut self, now: Instant) {
        while let Some(id) = self.unwritten.take_due(now) {
            if !self.outbox.retry(Done::NotShown(id)) {
                self.unwritten.no_such(id);
            }
        }
        if now >= self.retry_at {
            self.retry_at = now + super::RETRY_INTERVAL;
            for id in std::mem::take(&mut self.unsent) {
                self.outbox.retry(Done::NotSent(id));
            }
        }
    }

    /// Measures what cannot be written, for metrics and readiness.
    pub(super) fn say_health(&mut self) {
        let now = Instant::now();
        self.metrics.health.checkpoint_age.set(now.saturating_duration_since(self.kept_at).as_secs_f64());
        self.metrics.health.state_unwritable.set(self.unkept.lasted(now).as_secs_f64());
        self.metrics.health.alerts_unwritten.set(self.unwritten.count() as i64);
        self.readiness.set_unwritten(self.unwritten.is_failing());
    }

    /// Measures what is unread.
    pub(super) fn say_unread(&mut self) {
        let Engine { follower, pipeline, .. } = &self.engine;
        let time = |stream| pipeline.stream_time(stream);
        let unread = self.backlog.measure(follower.standings(), time, clock::now(), Instant::now());
        self.metrics.lag_bytes.set(i64::try_from(unread.bytes).unwrap_or(i64::MAX));
        self.metrics.health.unread_age.set(unread.age_seconds);
        self.metrics.health.unread_kept.set(unread.kept_seconds);
    }

    pub(super) fn drop_over_bound(&mut self) {
        if self.outbox.trim() {
            error!(bound = OUTBOX_ALERTS_MAX, "Too many alerts wait; the oldest was dropped.");
        }
    }
}

/// What the system said.
fn cause(failure: &StateError) -> io::Error {
    let StateError::Io { source, .. } = failure else { return io::Error::other(failure.to_string()) };
    io::Error::new(source.kind(), source.to_string())
}

/// The name of this host, as the kernel has it.
pub(super) fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "this host".to_owned() } else { name.to_owned() }
}
