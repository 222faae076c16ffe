//! From bytes to alerts, as a pure state machine: no I/O, clock, thread, randomness or logging.
//!
//! ```text
//! Chunk → frame → parse → merge → template → assemble → Case → Window ─→ a model, elsewhere
//!                               └─ trouble ─────────→ Alert ← trigger ← explain ← threshold ←─ Score
//! ```
//!
//! Inputs go in by `handle_*`, outputs come out by `poll_*`. The same chunks in the same order give the same alerts, however they
//! are cut and whenever the scores come back: scores apply in the order of their windows.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::limits::{BATCH_WINDOWS_MAX, PRESENT_MILLIS_MIN, WINDOWS_PENDING_MAX};
use crate::pipeline::event::blockless::Blockless;
use crate::pipeline::event::template::changes::Changes;
use crate::pipeline::event::{Chunk, LogTime, SourceId, StreamId, WallTime};
use crate::pipeline::front::{Front, Output, RestoreError};
use crate::pipeline::kept::Kept;
use crate::pipeline::profile::Profile;
use crate::pipeline::session::assemble::{self, Assembler};
use crate::pipeline::session::{Case, Cause, Score, Window};
use crate::pipeline::stats::Stats;
use crate::pipeline::verdict::domain::{self, Domain};
use crate::pipeline::verdict::regime::Regimes;
use crate::pipeline::verdict::threshold::{self, Threshold};
use crate::pipeline::verdict::trigger::Trigger;
use crate::pipeline::verdict::trouble::{self, Watch};
use crate::pipeline::verdict::{Alert, DetectorMode, IncidentId, Verdict, explain, nearest};

pub mod event;
pub mod front;
pub mod kept;
pub mod profile;
pub mod session;
pub mod stats;
pub mod swap;
pub mod verdict;

/// What the operator decides of the pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How logs are read and joined.
    pub front: front::Settings,
    /// When sessions are judged and released.
    pub assemble: assemble::Settings,
    /// How fast the threshold moves.
    pub threshold: threshold::Settings,
    /// What is told of hosts.
    pub trouble: trouble::Settings,
    /// What becomes of what the model does not know.
    pub domain: domain::Settings,
    /// Log time after which an incident expires, milliseconds.
    pub incident_open_millis: i64,
    /// Wall time without a record after which the wall clock moves log time on, milliseconds.
    pub silence_millis: i64,
}

/// The pipeline.
#[derive(Debug)]
pub struct Pipeline {
    settings: Settings,
    profile: Profile,
    front: Front,
    assembler: Assembler,
    cases: VecDeque<Case>,
    /// How many of `cases`, from the front, are with the model.
    in_flight: usize,
    threshold: Threshold,
    regimes: Regimes,
    trigger: Trigger,
    watch: Watch,
    domain: Domain,
    alerts: VecDeque<Alert>,
    counts: Counts,
    /// When the last chunk came, by the wall clock.
    heard: Option<WallTime>,
}

/// The part of [`Stats`] that no stage counts for itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    windows: u64,
    refused_scores: u64,
}

impl Pipeline {
    /// A pipeline that has seen nothing.
    ///
    /// # Errors
    /// The name of a mask that the program does not know.
    pub fn new(settings: Settings, profile: Profile) -> Result<Self, String> {
        Ok(Self {
            front: Front::new(settings.front.clone(), &profile)?,
            assembler: Assembler::new(settings.assemble, &profile),
            cases: VecDeque::new(),
            in_flight: 0,
            threshold: Threshold::new(settings.threshold, &profile.calibration),
            regimes: Regimes::default(),
            trigger: Trigger::default(),
            watch: Watch::new(settings.trouble)?,
            domain: Domain::new(settings.domain.clone(), &profile),
            alerts: VecDeque::new(),
            counts: Counts::default(),
            heard: None,
            settings,
            profile,
        })
    }

    /// Goes on from a checkpoint. With another model than the checkpoint's, open sessions are released and blocks that speak again
    /// resume; positions, incidents, what is known of hosts, and counters stay.
    ///
    /// `templates` are the changes that belong to the checkpoint, in their order. They mean nothing to another model.
    ///
    /// # Errors
    /// The name of a mask that the program does not know, or that the changes do not follow on each other.
    pub fn restore(
        settings: Settings,
        profile: Profile,
        kept: Kept,
        templates: &[Changes],
        same_model: bool,
    ) -> Result<Self, RestoreError> {
        let templates = if same_model { templates } else { &[] };
        let front = Front::restore(settings.front.clone(), &profile, kept.front, kept.streams, templates)?;
        let assembler = Assembler::restore(settings.assemble, &profile, kept.assembler);
        let watch = Watch::restore(settings.trouble, kept.watch, kept.watch_templates, kept.watch_sources)?;
        let domain = Domain::restore(settings.domain.clone(), &profile, kept.domain);
        let new = Self::new(settings, profile).map_err(RestoreError::Mask)?;
        let mut pipeline = Self { front, assembler, watch, domain, regimes: kept.regimes, ..new };
        if same_model {
            let Self { settings, profile, .. } = &pipeline;
            pipeline.threshold = Threshold::restore(settings.threshold, &profile.calibration, kept.threshold);
            pipeline.cases = kept.cases;
        } else {
            pipeline.assembler.release_all();
            pipeline.end_regimes();
            pipeline.domain.give_up(kept.cases.len());
            pipeline.domain.change_model(&pipeline.profile, 0, false);
        }
        pipeline.trigger = kept.trigger;
        pipeline.counts = kept.counts;
        Ok(pipeline)
    }

    /// Announces a stream, or that a closed one goes on. `joined_midway` says that what it held before was not read.
    pub fn open_stream(&mut self, stream: StreamId, name: &str, joined_midway: bool) {
        self.front.open_stream(stream, name, joined_midway);
    }

    /// Says what the clock of this host shows: what is far beyond it is no time. Nothing is beyond it while that was not said, nor while
    /// the clock has not been set ([`PRESENT_MILLIS_MIN`]).
    pub fn set_present(&mut self, now: WallTime) {
        self.front.set_present((now.0 >= PRESENT_MILLIS_MIN).then_some(LogTime(now.0)));
    }

    /// Takes bytes of a log. Bytes of a source come in order, sources of a stream one after the other.
    pub fn handle_chunk(&mut self, chunk: Chunk<'_>, now: WallTime) {
        self.heard = Some(now);
        self.with_front(|front, emit| front.handle_chunk(chunk, now, emit));
    }

    /// A file of a stream has ended for good: if the last bytes were of it, its last line is complete.
    pub fn handle_end_of_source(&mut self, stream: StreamId, source: SourceId) {
        self.with_front(|front, emit| front.handle_end_of_source(stream, source, emit));
    }

    /// The stream has bytes that were not handled yet: it holds back what is younger than what it has given so far.
    pub fn handle_behind(&mut self, stream: StreamId) {
        self.front.handle_behind(stream);
    }

    /// Everything that the stream has was handled; its writer goes on.
    pub fn handle_caught_up(&mut self, stream: StreamId) {
        self.with_front(|front, emit| front.handle_caught_up(stream, emit));
    }

    /// Nothing more will come from the stream.
    pub fn close_stream(&mut self, stream: StreamId) {
        self.with_front(|front, emit| front.close_stream(stream, emit));
    }

    /// Takes the scores of the oldest windows given out, in their order; `None` for one that the model could not score. `judged` is
    /// told of every verdict.
    ///
    /// # Panics
    /// When there are more scores than windows were given out.
    pub fn handle_scores(&mut self, scores: impl IntoIterator<Item = Option<Score>>, mut judged: impl FnMut(&Case, &Verdict)) {
        for score in scores {
            assert!(self.in_flight > 0, "scores come for windows that were given out");
            self.in_flight -= 1;
            let known = self.alerts.len();
            let case = self.cases.pop_front().expect("a window in flight has its case");
            match score.filter(Score::is_sound) {
                Some(score) => self.judge(&case, score, &mut judged),
                None => self.counts.refused_scores += 1,
            }
            self.domain.note_judged();
            self.domain.settle(&mut self.trigger, &mut self.alerts);
            self.say_mode(known);
        }
    }

    /// Somebody knows of a change of regime. True when it was firing: the alert that resolves it waits then.
    pub fn acknowledge(&mut self, incident: IncidentId) -> bool {
        let now = self.assembler.now().unwrap_or_default();
        let known = self.alerts.len();
        self.alerts.extend(self.regimes.acknowledge(incident, self.threshold.level(), now));
        self.say_mode(known);
        self.alerts.len() > known
    }

    /// How the detector stands to the traffic, as far as the verdicts have got.
    #[must_use]
    pub fn mode(&self) -> DetectorMode {
        if self.domain.is_mismatched() { DetectorMode::DomainMismatch } else { self.threshold.mode() }
    }

    /// Lets the wall clock do what no line does: complete the last record of a stream, release what waits to be put in order, and
    /// move log time on when all logs are silent. Nothing is silent while bytes are unread.
    pub fn handle_time(&mut self, now: WallTime) {
        self.with_front(|front, emit| front.complete_records(now, emit));
        let silent = now.millis_since(*self.heard.get_or_insert(now));
        if silent < 0 || self.front.is_behind() {
            self.heard = Some(now);
            return;
        }
        if silent >= self.settings.front.merge_delay_millis {
            self.with_front(|front, emit| front.release(true, emit));
        }
        if silent >= self.settings.silence_millis
            && let Some(newest) = self.front.newest()
        {
            // What is written meanwhile may come so late: to it log time must not have moved on.
            self.advance(newest.plus_millis(silent - self.settings.front.merge_delay_millis), true);
        }
    }

    /// When [`Pipeline::handle_time`] has something to do next, and what.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(WallTime, &'static str)> {
        let heard = self.heard?;
        let Settings { front, silence_millis, .. } = &self.settings;
        let record = self.front.next_record_complete().map(|at| (at, "record complete"));
        let merge = self.front.is_waiting().then(|| (heard.plus_millis(front.merge_delay_millis), "merge delay"));
        let due = self.assembler.next_deadline().into_iter().chain(self.watch.next_deadline()).min();
        let silence = due
            .zip(self.front.newest())
            .map(|(at, newest)| at.millis_since(newest) + front.merge_delay_millis)
            .map(|silent| (heard.plus_millis(silent.max(*silence_millis)), "silence"));
        [record, merge, silence].into_iter().flatten().min()
    }

    /// Judges every session that was not judged since its last event, as if all logs had been silent for long.
    pub fn flush(&mut self) {
        self.with_front(|front, emit| front.release(true, emit));
        let known = self.cases.len();
        self.assembler.flush(&self.domain, &mut self.cases);
        self.cases.range_mut(known..).for_each(|case| self.watch.attach(case));
        self.watch.flush(&mut self.alerts);
    }

    /// The next windows for the model, oldest first; at most [`BATCH_WINDOWS_MAX`].
    pub fn poll_batch(&mut self) -> Option<Vec<Window>> {
        let windows: Vec<Window> = self.cases.iter().skip(self.in_flight).take(BATCH_WINDOWS_MAX).map(Case::window).collect();
        self.in_flight += windows.len();
        self.counts.windows += windows.len() as u64;
        (!windows.is_empty()).then_some(windows)
    }

    /// The next thing to tell people.
    pub fn poll_alert(&mut self) -> Option<Alert> {
        self.alerts.pop_front()
    }

    /// Whether so many windows wait for their score that no more chunks should be handled.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.cases.len() >= WINDOWS_PENDING_MAX
    }

    /// Whether windows wait that were not given out yet.
    #[must_use]
    pub fn has_windows(&self) -> bool {
        self.cases.len() > self.in_flight
    }

    /// Bytes that may be read of all streams together before the slowest has given anything: what waits to be put in order takes
    /// about twice the bytes of its lines.
    #[must_use]
    pub fn read_ahead_bytes(&self) -> usize {
        self.settings.front.merge_bytes_max / 2
    }

    /// The log time that a stream has reached, `None` before its first record. The one that is furthest behind is read first.
    #[must_use]
    pub fn stream_time(&self, stream: StreamId) -> Option<LogTime> {
        self.front.stream_time(stream)
    }

    /// Records that name no block, by logger and level.
    #[must_use]
    pub fn blockless(&self) -> &Blockless {
        self.front.blockless()
    }

    /// What was counted, and how things are.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let sessions = self.assembler.counts();
        let mut stats = Stats {
            sessions_started: sessions.sessions_started,
            sessions_joined: sessions.sessions_joined,
            sessions_resumed: sessions.sessions_resumed,
            sessions_idle: sessions.sessions_idle,
            sessions_evicted: sessions.sessions_evicted,
            refused_events: sessions.refused_events,
            sessions_open: self.assembler.len() as u64,
            session_bytes: self.assembler.bytes() as u64,
            windows: self.counts.windows,
            windows_pending: self.cases.len() as u64,
            refused_scores: self.counts.refused_scores,
            threshold_updates: self.threshold.updates(),
            threshold: self.threshold.value(),
            threshold_log_mean: self.threshold.log_mean(),
            threshold_log_sd: self.threshold.log_sd(),
            regime_changes: self.regimes.changes(),
            regimes_firing: self.regimes.firing(),
            incidents_firing: self.trigger.firing(),
            trouble_records: self.watch.records(),
            trouble_kinds: self.watch.kinds(),
            trouble_forgotten: self.watch.forgotten(),
            log_time_millis: self.assembler.now().map_or(0, |time| time.0),
            ..Stats::default()
        };
        self.front.count_into(&mut stats);
        self.domain.count_into(&mut stats);
        stats
    }

    /// Lets the first half do something, hands on what comes of it, and moves sessions and hosts on to the time that it has reached.
    fn with_front(&mut self, act: impl FnOnce(&mut Front, front::Emit<'_>)) {
        let Self { front, assembler, watch, domain, cases, alerts, .. } = self;
        act(front, &mut |output| {
            let known = cases.len();
            match output {
                Output::Event { event, joined, .. } => assembler.handle_event(event, joined, domain, cases),
                Output::Template { template, replaced, text } => domain.handle_template(template, replaced, text),
                Output::Trouble(record) => assembler.advance(record.time, false, domain, cases),
                Output::Source { source, host } => watch.handle_source(source, host),
            }
            cases.range_mut(known..).for_each(|case| watch.attach(case));
            if let Output::Trouble(record) = output {
                watch.handle_record(&record, alerts);
            }
        });
        if let Some(reached) = front.reached() {
            self.advance(reached, false);
        }
        self.settle();
    }

    /// Applies what was decided with the log before the next case.
    fn settle(&mut self) {
        let known = self.alerts.len();
        self.domain.settle(&mut self.trigger, &mut self.alerts);
        self.say_mode(known);
    }

    /// Says in all alerts but the first `known` how the detector stands.
    fn say_mode(&mut self, known: usize) {
        let mode = self.mode();
        self.alerts.range_mut(known..).for_each(|alert| alert.mode = Some(mode));
    }

    /// Another model: its scores are others.
    fn end_regimes(&mut self) {
        let (now, known) = (self.assembler.now().unwrap_or_default(), self.alerts.len());
        self.regimes.change_model(self.threshold.level(), now, &mut self.alerts);
        self.say_mode(known);
    }

    /// Moves log time on for sessions and hosts.
    fn advance(&mut self, to: LogTime, by_silence: bool) {
        let known = self.cases.len();
        self.assembler.advance(to, by_silence, &self.domain, &mut self.cases);
        self.cases.range_mut(known..).for_each(|case| self.watch.attach(case));
        self.watch.advance(to, by_silence, &mut self.alerts);
    }

    fn judge(&mut self, case: &Case, score: Score, judged: &mut impl FnMut(&Case, &Verdict)) {
        let score = nearest::forgive(case, score, &self.profile);
        let verdict = self.threshold.judge(&score);
        // Where nearly all scores are beyond what the threshold may reach, no change of regime helps. Without some of its events a story
        // scores higher than it should.
        let is_out_of_reach = case.left_out == 0 && self.threshold.is_out_of_reach(verdict.score);
        let is_far = verdict.distance > self.profile.calibration.distance_max || is_out_of_reach;
        self.domain.handle_verdict(case, is_far, &mut self.alerts);
        if case.sets_threshold
            && self.domain.is_sound(case)
            && let Some(change) = self.threshold.learn(&verdict)
        {
            let episodes = self.settings.threshold.regime_episodes as u64;
            self.regimes.handle_change(change, &self.profile.name, episodes, case.time, &mut self.alerts);
        }
        judged(case, &verdict);
        let pool = self.front.pool_name(case.block.pool).map(str::to_owned);
        if verdict.anomalous && self.domain.is_mismatched() {
            self.domain.hold_back(case);
        } else if verdict.anomalous {
            self.fire(case, &score, verdict, pool);
        } else if case.cause == Cause::Quiet {
            self.alerts.extend(self.trigger.resolve(case, pool.as_deref(), verdict));
        }
        let oldest = case.time.plus_millis(-self.settings.incident_open_millis);
        while let Some(expired) = self.trigger.expire(oldest, case.time) {
            self.alerts.extend(expired);
        }
    }

    fn fire(&mut self, case: &Case, score: &Score, verdict: Verdict, pool: Option<String>) {
        if self.trigger.is_firing(case, pool.as_deref()) {
            return;
        }
        let explanation = explain::explain(case, score, &verdict, &self.profile, |template| self.front.template_text(template));
        self.alerts.extend(self.trigger.fire(case, pool, verdict, &self.profile.name, explanation));
    }
}

#[cfg(test)]
mod tests;
