//! From bytes to alerts, as a pure state machine: no I/O, clock, thread, randomness or logging.
//!
//! ```text
//! Chunk → frame → parse → merge → template → assemble → Case → Window ─→ a model, elsewhere
//!                                                     Alert ← trigger ← explain ← threshold ←─ Score
//! ```
//!
//! Inputs go in by `handle_*`, outputs come out by `poll_*`. The same chunks in the same order give the same alerts, however they
//! are cut and whenever the scores come back: scores apply in the order of their windows.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::limits::{BATCH_WINDOWS_MAX, POOLS_MAX, RECORD_BLOCKS_MAX, RECORD_WAIT_MILLIS, WINDOWS_PENDING_MAX};
use crate::pipeline::event::frame::{self, Framer, LogLine};
use crate::pipeline::event::merge::{Merge, Reading};
use crate::pipeline::event::template::Templates;
use crate::pipeline::event::{BlockId, Chunk, Event, LogTime, PoolId, Position, SourceId, StreamId, WallTime, parse};
use crate::pipeline::profile::{Profile, UNKNOWN};
use crate::pipeline::session::assemble::Assembler;
use crate::pipeline::session::{Case, Cause, Score, Window};
use crate::pipeline::stats::Stats;
use crate::pipeline::verdict::threshold::Threshold;
use crate::pipeline::verdict::trigger::Trigger;
use crate::pipeline::verdict::{Alert, Verdict, explain, threshold};

pub mod event;
pub mod profile;
pub mod session;
pub mod stats;
pub mod verdict;

/// What the operator decides of the pipeline. All times in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Log time that a stream read to its end may be behind the others.
    pub merge_delay_millis: i64,
    /// Bytes that wait to be put in order.
    pub merge_bytes_max: usize,
    /// Log time without an event after which a session is judged.
    pub session_quiet_millis: i64,
    /// Log time without an event after which a session is released.
    pub session_idle_millis: i64,
    /// Bytes of all sessions.
    pub session_bytes_max: usize,
    /// Log time after the start of a stream joined midway in which a block seen first may have been there before.
    pub join_grace_millis: i64,
    /// Log time after which an incident expires.
    pub incident_open_millis: i64,
    /// Wall time without a record after which the wall clock moves log time on.
    pub silence_millis: i64,
    /// Pool of blocks that are named without one, where no line has named any.
    pub pool: Option<String>,
    /// How fast the threshold moves.
    pub threshold: threshold::Settings,
}

/// The pipeline.
#[derive(Debug)]
pub struct Pipeline {
    settings: Settings,
    profile: Profile,
    streams: Vec<Stream>,
    ranks_stale: bool,
    merge: Merge,
    pools: Vec<String>,
    templates: Templates,
    assembler: Assembler,
    cases: VecDeque<Case>,
    /// How many of `cases`, from the front, are with the model.
    in_flight: usize,
    threshold: Threshold,
    trigger: Trigger,
    alerts: VecDeque<Alert>,
    counts: Counts,
    blocks: Vec<BlockId>,
    /// When the last record came, by the wall clock.
    heard: Option<WallTime>,
}

/// The part of [`Stats`] that no stage counts for itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Counts {
    bytes: u64,
    records: u64,
    blockless_records: u64,
    lines: u64,
    joined_lines: u64,
    unparsed_lines: u64,
    cut_records: u64,
    cut_bytes: u64,
    events: u64,
    unknown_events: u64,
    refused_blocks: u64,
    ambiguous_pools: u64,
    windows: u64,
    refused_scores: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Stream {
    name: String,
    joined_midway: bool,
    framer: Framer,
    source: Option<SourceId>,
    /// Log time of its first record.
    first: Option<LogTime>,
    #[serde(skip)]
    heard: Option<WallTime>,
    #[serde(skip)]
    caught_up: bool,
}

/// What a checkpoint keeps of a [`Pipeline`], to be written.
#[derive(Serialize)]
pub struct KeptRef<'a> {
    streams: &'a [Stream],
    merge: &'a Merge,
    pools: &'a [String],
    trigger: &'a Trigger,
    counts: &'a Counts,
    of_model: KeptOfModelRef<'a>,
}

#[derive(Serialize)]
struct KeptOfModelRef<'a> {
    templates: &'a event::template::Kept,
    assembler: &'a session::assemble::Kept,
    cases: &'a VecDeque<Case>,
    threshold: threshold::Kept,
}

/// What a checkpoint keeps of a [`Pipeline`], as it was read.
#[derive(Deserialize)]
pub struct Kept {
    streams: Vec<Stream>,
    merge: Merge,
    pools: Vec<String>,
    trigger: Trigger,
    counts: Counts,
    of_model: KeptOfModel,
}

#[derive(Deserialize)]
struct KeptOfModel {
    templates: event::template::Kept,
    assembler: session::assemble::Kept,
    cases: VecDeque<Case>,
    threshold: threshold::Kept,
}

impl Pipeline {
    /// A pipeline that has seen nothing.
    ///
    /// # Errors
    /// The name of a mask that the program does not know.
    pub fn new(settings: Settings, profile: Profile) -> Result<Self, String> {
        Ok(Self {
            streams: Vec::new(),
            ranks_stale: false,
            merge: Merge::new(settings.merge_delay_millis, settings.merge_bytes_max),
            pools: settings.pool.iter().cloned().collect(),
            templates: Templates::new(&profile)?,
            assembler: Assembler::new(settings.assembling(), &profile),
            cases: VecDeque::new(),
            in_flight: 0,
            threshold: Threshold::new(settings.threshold, &profile.calibration),
            trigger: Trigger::default(),
            alerts: VecDeque::new(),
            counts: Counts::default(),
            blocks: Vec::new(),
            heard: None,
            settings,
            profile,
        })
    }

    /// Goes on from a checkpoint. With another model than the checkpoint's, open sessions are released and blocks that speak again
    /// resume; positions, incidents and counters stay.
    ///
    /// # Errors
    /// The name of a mask that the program does not know.
    pub fn restore(settings: Settings, profile: Profile, kept: Kept, same_model: bool) -> Result<Self, String> {
        let mut pipeline = Self::new(settings, profile)?;
        let Kept { streams, merge, pools, trigger, counts, of_model } = kept;
        let KeptOfModel { templates, assembler, cases, threshold } = of_model;
        pipeline.streams = streams;
        pipeline.ranks_stale = true;
        pipeline.merge = merge;
        pipeline.merge.resume(pipeline.settings.merge_delay_millis, pipeline.settings.merge_bytes_max);
        pipeline.pools = pools;
        pipeline.trigger = trigger;
        pipeline.counts = counts;
        pipeline.assembler = Assembler::restore(pipeline.settings.assembling(), &pipeline.profile, assembler);
        if same_model {
            pipeline.templates = Templates::restore(&pipeline.profile, templates)?;
            pipeline.cases = cases;
            pipeline.threshold = Threshold::restore(pipeline.settings.threshold, &pipeline.profile.calibration, threshold);
        } else {
            pipeline.assembler.release_all();
        }
        Ok(pipeline)
    }

    /// What a checkpoint keeps: everything up to the last chunk handled, as of this instant.
    #[must_use]
    pub fn kept(&self) -> KeptRef<'_> {
        KeptRef {
            streams: &self.streams,
            merge: &self.merge,
            pools: &self.pools,
            trigger: &self.trigger,
            counts: &self.counts,
            of_model: KeptOfModelRef {
                templates: self.templates.kept(),
                assembler: self.assembler.kept(),
                cases: &self.cases,
                threshold: self.threshold.kept(),
            },
        }
    }

    /// Announces a stream, or that a closed one goes on. `joined_midway` says that what it held before was not read.
    pub fn open_stream(&mut self, stream: StreamId, name: &str, joined_midway: bool) {
        let index = stream.0 as usize;
        if self.streams.len() <= index {
            self.streams.resize_with(index + 1, Stream::default);
        }
        let own = &mut self.streams[index];
        if own.name != name {
            *own = Stream { name: name.to_owned(), joined_midway, ..Stream::default() };
        }
        self.merge.open(index);
        self.ranks_stale = true;
    }

    /// Takes bytes of a log. Bytes of a source come in order, sources of a stream one after the other.
    pub fn handle_chunk(&mut self, chunk: Chunk<'_>, now: WallTime) {
        self.rank_streams();
        let index = chunk.stream.0 as usize;
        if self.streams[index].source.is_some_and(|source| source != chunk.source) {
            self.handle_end_of_source(chunk.stream);
        }
        let stream = &mut self.streams[index];
        stream.source = Some(chunk.source);
        stream.heard = Some(now);
        stream.caught_up = false;
        self.counts.bytes += chunk.bytes.len() as u64;
        self.heard = Some(now);
        self.merge.set_reading(index, Reading::Behind);
        self.with_framer(index, |framer, counts, emit| {
            framer.handle_bytes(chunk.source, chunk.offset, chunk.bytes, counts, emit);
        });
        self.release(false);
    }

    /// The file that a stream was read from has ended for good: its last line is complete.
    pub fn handle_end_of_source(&mut self, stream: StreamId) {
        let index = stream.0 as usize;
        if let Some(source) = self.streams[index].source.take() {
            self.with_framer(index, |framer, counts, emit| framer.end_of_source(source, counts, emit));
        }
    }

    /// Everything that the stream has was handled; its writer goes on.
    pub fn handle_caught_up(&mut self, stream: StreamId) {
        self.streams[stream.0 as usize].caught_up = true;
        self.merge.set_reading(stream.0 as usize, Reading::CaughtUp);
        self.release(false);
    }

    /// Nothing more will come from the stream.
    pub fn close_stream(&mut self, stream: StreamId) {
        self.handle_end_of_source(stream);
        self.merge.set_reading(stream.0 as usize, Reading::Closed);
        self.release(false);
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
            let case = self.cases.pop_front().expect("a window in flight has its case");
            match score.filter(Score::is_sound) {
                Some(score) => self.judge(&case, &score, &mut judged),
                None => self.counts.refused_scores += 1,
            }
        }
    }

    /// Lets the wall clock do what no line does: complete the last record of a stream, release what waits to be put in order, and
    /// move log time on when all logs are silent. A clock that was set back starts these waits anew.
    pub fn handle_time(&mut self, now: WallTime) {
        self.complete_records(now);
        let heard = *self.heard.get_or_insert(now);
        let silent = now.millis_since(heard);
        if silent < 0 {
            self.heard = Some(now);
            return;
        }
        if silent >= self.settings.merge_delay_millis {
            self.release(true);
        }
        if silent >= self.settings.silence_millis
            && let Some(newest) = self.merge.newest()
        {
            self.assembler.advance(newest.plus_millis(silent), true, &mut self.cases);
        }
    }

    /// When [`Pipeline::handle_time`] has something to do next, and what.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(WallTime, &'static str)> {
        let heard = self.heard?;
        let waits = self.streams.iter().filter(|stream| stream.caught_up && stream.framer.has_record());
        let record =
            waits.filter_map(|stream| stream.heard).min().map(|at| (at.plus_millis(RECORD_WAIT_MILLIS), "record complete"));
        let merge = self.merge.is_waiting().then(|| (heard.plus_millis(self.settings.merge_delay_millis), "merge delay"));
        let silence = (!self.assembler.is_empty()).then(|| (heard.plus_millis(self.settings.silence_millis), "silence"));
        [record, merge, silence].into_iter().flatten().min()
    }

    /// Judges every session that was not judged since its last event, as if all logs had been silent for long.
    pub fn flush(&mut self) {
        self.release(true);
        self.assembler.flush(&mut self.cases);
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

    /// The log time that a stream has reached, `None` before its first record. The one that is furthest behind is read first.
    #[must_use]
    pub fn stream_time(&self, stream: StreamId) -> Option<LogTime> {
        self.merge.stream_time(stream.0 as usize)
    }

    /// What was counted, and how things are.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let counts = &self.counts;
        let sessions = self.assembler.kept().counts;
        Stats {
            bytes: counts.bytes,
            lines: counts.lines,
            records: counts.records,
            joined_lines: counts.joined_lines,
            unparsed_lines: counts.unparsed_lines,
            cut_records: counts.cut_records,
            cut_bytes: counts.cut_bytes,
            blockless_records: counts.blockless_records,
            late_records: self.merge.late(),
            forced_records: self.merge.forced(),
            events: counts.events,
            unknown_events: counts.unknown_events,
            refused_blocks: counts.refused_blocks,
            ambiguous_pools: counts.ambiguous_pools,
            refused_events: sessions.refused_events,
            templates: self.templates.len() as u64,
            templates_found: self.templates.found(),
            templates_evicted: self.templates.evicted(),
            sessions_started: sessions.sessions_started,
            sessions_joined: sessions.sessions_joined,
            sessions_resumed: sessions.sessions_resumed,
            sessions_open: self.assembler.len() as u64,
            session_bytes: self.assembler.bytes() as u64,
            sessions_idle: sessions.sessions_idle,
            sessions_evicted: sessions.sessions_evicted,
            windows: counts.windows,
            windows_pending: self.cases.len() as u64,
            threshold_updates: self.threshold.updates(),
            refused_scores: counts.refused_scores,
            threshold: self.threshold.value(),
            threshold_log_mean: self.threshold.log_mean(),
            threshold_log_sd: self.threshold.log_sd(),
            incidents_firing: self.trigger.firing(),
            log_time_millis: self.assembler.now().map_or(0, |time| time.0),
        }
    }

    /// Ties in log time go by the names of the streams, whatever their order of appearance.
    fn rank_streams(&mut self) {
        if !std::mem::take(&mut self.ranks_stale) {
            return;
        }
        let mut order: Vec<usize> = (0..self.streams.len()).collect();
        order.sort_by(|a, b| self.streams[*a].name.cmp(&self.streams[*b].name));
        let ranks = order.into_iter().zip(0..);
        self.merge.rank(ranks);
    }

    /// Frames with the framer of a stream and handles the records that come of it.
    fn with_framer(&mut self, index: usize, frame: impl FnOnce(&mut Framer, &mut frame::Counts, &mut dyn FnMut(LogLine<'_>))) {
        let mut framer = std::mem::take(&mut self.streams[index].framer);
        let mut counts = frame::Counts::default();
        frame(&mut framer, &mut counts, &mut |line| self.handle_line(index, line));
        self.streams[index].framer = framer;
        self.counts.lines += counts.lines;
        self.counts.joined_lines += counts.joined;
        self.counts.unparsed_lines += counts.unparsed;
        self.counts.cut_records += counts.cut_records;
        self.counts.cut_bytes += counts.cut_bytes;
    }

    fn handle_line(&mut self, index: usize, line: LogLine<'_>) {
        let record = parse::parse(line.bytes).expect("a record begins with a header");
        self.counts.records += 1;
        self.streams[index].first.get_or_insert(record.time);
        if !parse::names_block(record.content) {
            self.counts.blockless_records += 1;
            self.merge.handle_time(index, record.time);
        } else if let Some(merged) = self.merge.handle_record(index, record.time, line.position, record.content) {
            self.handle_record(merged.time, index, merged.position, merged.content);
        }
    }

    /// Hands on what need not wait any longer, or with `all` everything.
    fn release(&mut self, all: bool) {
        let mut merge = std::mem::take(&mut self.merge);
        while merge.poll(all, |merged| self.handle_record(merged.time, merged.stream, merged.position, merged.content)) {}
        if let Some(reached) = merge.reached() {
            self.assembler.advance(reached, false, &mut self.cases);
        }
        self.merge = merge;
    }

    fn handle_record(&mut self, time: LogTime, stream: usize, position: Position, content: &[u8]) {
        let mut blocks = std::mem::take(&mut self.blocks);
        self.find_blocks(content, &mut blocks);
        if !blocks.is_empty() {
            let (template, token) = self.templates.find(content);
            let joined = self.is_joined_midway(stream, time);
            self.counts.events += blocks.len() as u64;
            self.counts.unknown_events += if token == UNKNOWN { blocks.len() as u64 } else { 0 };
            for block in blocks.drain(..) {
                self.assembler.handle_event(Event { block, template, token, time, position }, joined, &mut self.cases);
            }
        }
        self.blocks = blocks;
    }

    /// The distinct blocks that a record names, first to last.
    fn find_blocks(&mut self, content: &[u8], blocks: &mut Vec<BlockId>) {
        for named in parse::blocks(content) {
            let block = BlockId { pool: self.pool_id(named.pool), number: named.number };
            if blocks.contains(&block) {
                continue;
            }
            if blocks.len() == RECORD_BLOCKS_MAX {
                self.counts.refused_blocks += 1;
                continue;
            }
            blocks.push(block);
        }
    }

    /// The first pool that was ever named is number 0, and so are blocks that are named without one: on a cluster with one pool,
    /// NameNodes (which name none) and DataNodes (which do) speak of the same block.
    fn pool_id(&mut self, name: Option<&[u8]>) -> PoolId {
        let Some(name) = name else {
            self.counts.ambiguous_pools += u64::from(self.pools.len() > 1);
            return PoolId(0);
        };
        if let Some(index) = self.pools.iter().position(|known| known.as_bytes() == name) {
            return PoolId(index as u32);
        }
        if self.pools.len() == POOLS_MAX {
            self.counts.ambiguous_pools += 1;
            return PoolId(0);
        }
        self.pools.push(String::from_utf8_lossy(name).into_owned());
        PoolId(self.pools.len() as u32 - 1)
    }

    fn is_joined_midway(&self, stream: usize, time: LogTime) -> bool {
        let stream = &self.streams[stream];
        let young = stream.first.is_some_and(|first| time.millis_since(first) < self.settings.join_grace_millis);
        stream.joined_midway && young
    }

    fn complete_records(&mut self, now: WallTime) {
        for index in 0..self.streams.len() {
            let stream = &self.streams[index];
            let waited = stream.heard.is_none_or(|heard| now.millis_since(heard) >= RECORD_WAIT_MILLIS);
            if stream.caught_up && waited && stream.framer.has_record() {
                self.with_framer(index, |framer, counts, emit| framer.flush(counts, emit));
                self.release(false);
            }
        }
    }

    fn judge(&mut self, case: &Case, score: &Score, judged: &mut impl FnMut(&Case, &Verdict)) {
        let verdict = self.threshold.judge(score);
        if case.sets_threshold {
            self.threshold.learn(&verdict);
        }
        judged(case, &verdict);
        let pool = self.pools.get(case.block.pool.0 as usize).cloned();
        if verdict.anomalous {
            self.fire(case, score, verdict, pool);
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
        let explanation = explain::explain(case, score, &verdict, &self.profile, |template| self.templates.text(template));
        self.alerts.extend(self.trigger.fire(case, pool, verdict, &self.profile.name, explanation));
    }
}

impl Settings {
    fn assembling(&self) -> session::assemble::Settings {
        session::assemble::Settings {
            quiet_millis: self.session_quiet_millis,
            idle_millis: self.session_idle_millis,
            bytes_max: self.session_bytes_max,
        }
    }
}
