//! The first half of the pipeline: from bytes of many logs to events in the order of log time.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::{RECORD_BLOCKS_MAX, RECORD_WAIT_MILLIS};
use crate::pipeline::event::blockless::Blockless;
use crate::pipeline::event::frame::{self, Framer, LogLine};
use crate::pipeline::event::layout::{Layout, Level};
use crate::pipeline::event::merge::{Kind, Merge, Merged, Reading};
use crate::pipeline::event::origin::{self, Origin, Role};
use crate::pipeline::event::parse::Record;
use crate::pipeline::event::pool::{self, Pools, StreamPool};
use crate::pipeline::event::template::Templates;
use crate::pipeline::event::template::changes::Changes;
use crate::pipeline::event::template::drain::Learned;
use crate::pipeline::event::trouble::{self, Trouble, TroubleRecord};
use crate::pipeline::event::zone::Zone;
use crate::pipeline::event::{BlockId, Chunk, Event, LogTime, PoolId, SourceId, StreamId, TemplateId, WallTime, block};
use crate::pipeline::profile::{Profile, UNKNOWN};
use crate::pipeline::stats::Stats;

/// What the operator decides of this half. Times in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Log time that a stream read to its end may be behind the others.
    pub merge_delay_millis: i64,
    /// Bytes that wait to be put in order.
    pub merge_bytes_max: usize,
    /// Log time after the start of a stream joined midway in which a block seen first may have been there before.
    pub join_grace_millis: i64,
    /// Pool of blocks that are named without one, in streams of which `pools` says nothing.
    pub pool: Option<String>,
    /// Pools of blocks that are named without one, by stream.
    pub pools: Vec<StreamPool>,
    /// Zone of the time stamps.
    pub zone: Zone,
}

/// What leaves this half. Events and trouble leave in the order of log time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// A record said something of a block.
    Event {
        /// What, of which.
        event: Event,
        /// Whether its stream was joined so lately that earlier events of the block may have been missed.
        joined: bool,
        /// Whether the record is of level WARN or above, or carries an exception.
        warns: bool,
    },
    /// A template begins that the model does not know, or takes the place of others. It comes before its first event.
    Template {
        /// Its id.
        template: TemplateId,
        /// The templates that it has taken the place of.
        replaced: &'a [TemplateId],
        /// Its text.
        text: &'a str,
    },
    /// A record that names no block tells of trouble.
    Trouble(TroubleRecord<'a>),
    /// A file is read from now on.
    Source {
        /// The file.
        source: SourceId,
        /// The host whose log it is.
        host: &'a str,
    },
}

/// Takes what leaves.
pub type Emit<'a> = &'a mut dyn FnMut(Output<'_>);

/// From bytes to events.
#[derive(Debug)]
pub struct Front {
    settings: Settings,
    streams: Vec<Stream>,
    ranks_stale: bool,
    merge: Merge,
    extract: Extract,
    counts: Counts,
}

/// What frame and parse counted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Counts {
    bytes: u64,
    lines: u64,
    records: u64,
    joined_lines: u64,
    headless_lines: u64,
    belated_lines: u64,
    cut_records: u64,
    cut_bytes: u64,
    audit_records: u64,
    blockless: Blockless,
}

/// A log as far as it was read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stream {
    name: String,
    joined_midway: bool,
    /// Who writes it: by its name, else by the first of its loggers that tells.
    origin: Origin,
    framer: Framer,
    source: Option<SourceId>,
    /// Log time of its first record.
    first: Option<LogTime>,
    #[serde(skip)]
    heard: Option<WallTime>,
    #[serde(skip)]
    caught_up: bool,
}

/// What a checkpoint keeps of a [`Front`] beside its streams and templates, to be written.
#[derive(Serialize)]
pub struct KeptRef<'a> {
    merge: &'a Merge,
    counts: &'a Counts,
    pools: &'a pool::Kept,
    extract_counts: &'a ExtractCounts,
}

/// What a checkpoint keeps of a [`Front`] beside its streams and templates, as it was read.
#[derive(Deserialize)]
pub struct Kept {
    merge: Merge,
    counts: Counts,
    pools: pool::Kept,
    extract_counts: ExtractCounts,
}

/// Why a pipeline cannot go on from a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreError {
    /// The model asks for a mask that the program does not know.
    Mask(String),
    /// The changes of templates do not follow on each other.
    Templates,
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mask(mask) => write!(f, "the model asks for mask {mask:?}, which this version does not have"),
            Self::Templates => {
                write!(f, "the templates of the checkpoint do not fit together; move the state directory away to start afresh")
            }
        }
    }
}

impl std::error::Error for RestoreError {}

impl Front {
    /// A front that has seen nothing.
    ///
    /// # Errors
    /// The name of a mask that the program does not know.
    pub fn new(settings: Settings, profile: &Profile) -> Result<Self, String> {
        Ok(Self {
            streams: Vec::new(),
            ranks_stale: false,
            merge: Merge::new(settings.merge_delay_millis, settings.merge_bytes_max),
            extract: Extract::new(Pools::new(settings.pool.as_deref(), &settings.pools), Templates::new(profile)?),
            counts: Counts::default(),
            settings,
        })
    }

    /// Goes on from a checkpoint, with the changes of templates that belong to it: none for another model than they were found with.
    ///
    /// # Errors
    /// The name of a mask that the program does not know, or that the changes do not follow on each other.
    pub fn restore(
        settings: Settings,
        profile: &Profile,
        kept: Kept,
        streams: Vec<Stream>,
        templates: &[Changes],
    ) -> Result<Self, RestoreError> {
        let mut merge = kept.merge;
        merge.resume(settings.merge_delay_millis, settings.merge_bytes_max);
        let templates =
            Templates::new(profile).map_err(RestoreError::Mask)?.restored(templates).ok_or(RestoreError::Templates)?;
        let pools = Pools::restore(settings.pool.as_deref(), &settings.pools, kept.pools);
        let extract = Extract { counts: kept.extract_counts, ..Extract::new(pools, templates) };
        Ok(Self { settings, streams, ranks_stale: true, merge, extract, counts: kept.counts })
    }

    /// What of the templates has changed since this was called last; everything when there was no such call.
    pub fn take_template_changes(&mut self) -> Changes {
        self.extract.templates.take_changes()
    }

    /// All templates, as what has changed.
    pub fn take_templates(&mut self) -> Changes {
        self.extract.templates.take_all()
    }

    /// The templates of what has been handed on.
    #[must_use]
    pub fn templates(&self) -> &Templates {
        &self.extract.templates
    }

    /// Reads on with the vocabulary of `profile` instead of that of `before`; see [`Templates::swap`].
    ///
    /// # Errors
    /// The name of a mask that the program does not know; then nothing has changed.
    pub fn swap(&mut self, before: &Profile, profile: &Profile) -> Result<(), String> {
        self.extract.templates.swap(&before.drain, profile)
    }

    /// The streams, by number: what a checkpoint keeps of them.
    pub fn streams(&self) -> impl Iterator<Item = (StreamId, &Stream)> {
        (0..).map(StreamId).zip(&self.streams)
    }

    /// What a checkpoint keeps beside streams and templates.
    #[must_use]
    pub fn kept(&self) -> KeptRef<'_> {
        KeptRef {
            merge: &self.merge,
            counts: &self.counts,
            pools: self.extract.pools.kept(),
            extract_counts: &self.extract.counts,
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
            *own = Stream { name: name.to_owned(), origin: Origin::of_log(name), joined_midway, ..Stream::default() };
        }
        self.merge.open(index);
        self.extract.pools.open_stream(index, name);
        self.ranks_stale = true;
    }

    /// Says what the clock of this host shows: what is far beyond it is no time. Nothing is beyond it while that was not said.
    pub fn set_present(&mut self, now: Option<LogTime>) {
        self.merge.set_present(now);
    }

    /// Takes bytes of a log. Bytes of a source come in order, and so do the sources of a stream; but an older one may turn up amid a line of
    /// another. No bytes say nothing.
    pub fn handle_chunk(&mut self, chunk: Chunk<'_>, now: WallTime, emit: Emit<'_>) {
        if chunk.bytes.is_empty() {
            return;
        }
        let index = chunk.stream.0 as usize;
        let stream = &mut self.streams[index];
        if stream.source.replace(chunk.source) != Some(chunk.source) {
            emit(Output::Source { source: chunk.source, host: stream.host() });
        }
        stream.heard = Some(now);
        stream.caught_up = false;
        self.counts.bytes += chunk.bytes.len() as u64;
        self.merge.set_reading(index, Reading::Behind);
        self.with_framer(index, emit, |framer, counts, lines| {
            framer.handle_bytes(chunk.source, chunk.offset, chunk.bytes, counts, lines);
        });
        self.release(false, emit);
    }

    /// A file of a stream has ended for good: its last line is complete.
    pub fn handle_end_of_source(&mut self, stream: StreamId, source: SourceId, emit: Emit<'_>) {
        self.streams[stream.0 as usize].source.take_if(|own| *own == source);
        self.with_framer(stream.0 as usize, emit, |framer, counts, lines| framer.end_of_source(source, counts, lines));
    }

    /// The stream has bytes that were not handled yet: it holds back what is younger than what it has given so far.
    pub fn handle_behind(&mut self, stream: StreamId) {
        self.streams[stream.0 as usize].caught_up = false;
        self.merge.set_reading(stream.0 as usize, Reading::Behind);
    }

    /// Everything that the stream has was handled; its writer goes on. While its last record may still get lines, it goes on holding
    /// back what is younger: that record must not come late.
    pub fn handle_caught_up(&mut self, stream: StreamId, emit: Emit<'_>) {
        let own = &mut self.streams[stream.0 as usize];
        own.caught_up = true;
        if !own.framer.has_record() {
            self.merge.set_reading(stream.0 as usize, Reading::CaughtUp);
        }
        self.release(false, emit);
    }

    /// Nothing more will come from the stream.
    pub fn close_stream(&mut self, stream: StreamId, emit: Emit<'_>) {
        self.streams[stream.0 as usize].source = None;
        self.with_framer(stream.0 as usize, emit, |framer, counts, lines| framer.end(counts, lines));
        self.merge.set_reading(stream.0 as usize, Reading::Closed);
        self.release(false, emit);
    }

    /// Hands on what need not wait any longer, or with `all` everything.
    pub fn release(&mut self, all: bool, emit: Emit<'_>) {
        self.rank_streams();
        let Self { merge, extract, streams, settings, .. } = self;
        while merge.poll(all, |merged| pass(&merged, &streams[merged.stream], settings, extract, emit)) {}
    }

    /// Completes the last record of streams that were read to their end a while ago.
    pub fn complete_records(&mut self, now: WallTime, emit: Emit<'_>) {
        for index in 0..self.streams.len() {
            let stream = &self.streams[index];
            let waited = stream.heard.is_none_or(|heard| now.millis_since(heard) >= RECORD_WAIT_MILLIS);
            if stream.caught_up && waited && stream.framer.has_record() {
                self.with_framer(index, emit, |framer, counts, lines| framer.flush(counts, lines));
                self.merge.set_reading(index, Reading::CaughtUp);
                self.release(false, emit);
            }
        }
    }

    /// When [`Front::complete_records`] has something to do next.
    #[must_use]
    pub fn next_record_complete(&self) -> Option<WallTime> {
        let waiting = self.streams.iter().filter(|stream| stream.caught_up && stream.framer.has_record());
        waiting.filter_map(|stream| stream.heard).min().map(|heard| heard.plus_millis(RECORD_WAIT_MILLIS))
    }

    /// Whether some stream has unread bytes.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.merge.is_behind()
    }

    /// Whether records wait to be put in order.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.merge.is_waiting()
    }

    /// Every event up to this log time has been handed on; `None` before the first record.
    #[must_use]
    pub fn reached(&mut self) -> Option<LogTime> {
        self.merge.reached()
    }

    /// The newest log time of any stream.
    #[must_use]
    pub fn newest(&self) -> Option<LogTime> {
        self.merge.newest()
    }

    /// The log time that a stream has reached, `None` before its first record.
    #[must_use]
    pub fn stream_time(&self, stream: StreamId) -> Option<LogTime> {
        self.merge.stream_time(stream.0 as usize)
    }

    /// The layout of the newest record of a stream, `None` before its first.
    #[must_use]
    pub fn stream_layout(&self, stream: StreamId) -> Option<Layout> {
        self.streams.get(stream.0 as usize).and_then(|stream| stream.framer.layout())
    }

    /// Log time of the first record of a stream, `None` before it.
    #[must_use]
    pub fn stream_began(&self, stream: StreamId) -> Option<LogTime> {
        self.streams.get(stream.0 as usize).and_then(|stream| stream.first)
    }

    /// Who writes a stream.
    #[must_use]
    pub fn stream_origin(&self, stream: StreamId) -> Option<&Origin> {
        self.streams.get(stream.0 as usize).map(|stream| &stream.origin)
    }

    /// Records that name no block, by logger and level.
    #[must_use]
    pub fn blockless(&self) -> &Blockless {
        &self.counts.blockless
    }

    /// The text of a template, or `None` when it was dropped.
    #[must_use]
    pub fn template_text(&self, template: TemplateId) -> Option<String> {
        self.extract.templates.text(template)
    }

    /// The template that took the place of another, as it is now; the same one when none did.
    #[must_use]
    pub fn newest_template(&self, template: TemplateId) -> TemplateId {
        self.extract.templates.newest(template)
    }

    /// The name of the pool of a block, where known.
    #[must_use]
    pub fn pool_name(&self, pool: PoolId) -> Option<&str> {
        self.extract.pools.name(pool)
    }

    /// Fills in what this half counted.
    pub fn count_into(&self, stats: &mut Stats) {
        let Counts { bytes, lines, records, joined_lines, headless_lines, belated_lines, .. } = self.counts;
        let Counts { cut_records, cut_bytes, audit_records, ref blockless, .. } = self.counts;
        let ExtractCounts { events, unknown_events, refused_blocks, ambiguous_pools } = self.extract.counts;
        let templates = &self.extract.templates;
        *stats = Stats {
            bytes,
            lines,
            records,
            joined_lines,
            headless_lines,
            belated_lines,
            cut_records,
            cut_bytes,
            audit_records,
            blockless_records: blockless.total(),
            late_records: self.merge.late(),
            forced_records: self.merge.forced(),
            leaps: self.merge.leaps(),
            events,
            unknown_events,
            refused_blocks,
            ambiguous_pools,
            templates: templates.len() as u64,
            templates_found: templates.found(),
            templates_evicted: templates.evicted(),
            templates_forgotten: templates.forgotten(),
            ..std::mem::take(stats)
        };
    }

    /// Ties in log time go to the DataNodes first, then by the names of the streams, whatever their order of appearance. What a
    /// NameNode says in the second of a write mostly follows from what DataNodes have done: three of four stories of HDFS_v1 begin
    /// with a receipt and not with the allocation, and replicas are stored after they were received.
    fn rank_streams(&mut self) {
        if !std::mem::take(&mut self.ranks_stale) {
            return;
        }
        let mut order: Vec<usize> = (0..self.streams.len()).collect();
        order.sort_by(|a, b| self.streams[*a].precedence().cmp(&self.streams[*b].precedence()));
        self.merge.rank(order.into_iter().zip(0..));
    }

    /// Frames with the framer of a stream and handles the records that come of it.
    fn with_framer(
        &mut self,
        index: usize,
        emit: Emit<'_>,
        frame: impl FnOnce(&mut Framer, &mut frame::Counts, &mut dyn FnMut(LogLine<'_>)),
    ) {
        let mut framer = std::mem::take(&mut self.streams[index].framer);
        let mut counts = frame::Counts::default();
        frame(&mut framer, &mut counts, &mut |line| self.handle_line(index, line, emit));
        self.streams[index].framer = framer;
        self.counts.lines += counts.lines;
        self.counts.joined_lines += counts.joined;
        self.counts.headless_lines += counts.headless;
        self.counts.belated_lines += counts.belated;
        self.counts.cut_records += counts.cut_records;
        self.counts.cut_bytes += counts.cut_bytes;
    }

    fn note_first(&mut self, index: usize, time: LogTime, logger: &[u8]) {
        let stream = &mut self.streams[index];
        stream.first = stream.first.or(Some(time));
        if stream.origin.role == Role::Other
            && let Some(role) = Role::of_logger(logger)
        {
            stream.origin.role = role;
            self.ranks_stale = true;
        }
    }

    /// What kind of record it is; `None` when nobody waits for it.
    fn kind(&mut self, index: usize, record: &Record<'_>) -> Option<Kind> {
        if block::names_block(record.content) {
            let audit = origin::is_audit_logger(record.logger);
            self.counts.audit_records += u64::from(audit);
            return (!audit).then_some(Kind::Blocks { warns: record.level >= Level::Warn });
        }
        self.counts.blockless.count(record.logger, record.level);
        let (level, statement) = trouble::matters(record)?;
        Some(Kind::Trouble(Trouble { level, statement, role: self.streams[index].origin.role }))
    }

    fn handle_line(&mut self, index: usize, line: LogLine<'_>, emit: Emit<'_>) {
        let record = Record::new(&line.header, line.bytes);
        let time = self.settings.zone.instant(record.time, self.merge.stream_time(index));
        let time = self.merge.believe(index, time);
        self.counts.records += 1;
        self.note_first(index, time, record.logger);
        let Some(kind) = self.kind(index, &record) else {
            self.merge.handle_time(index, time);
            return;
        };
        if let Some(merged) = self.merge.handle_record(index, time, line.position, kind, record.content) {
            pass(&merged, &self.streams[index], &self.settings, &mut self.extract, emit);
        }
    }
}

/// Hands on a record whose turn has come.
fn pass(merged: &Merged<'_>, stream: &Stream, settings: &Settings, extract: &mut Extract, emit: Emit<'_>) {
    match merged.kind {
        Kind::Blocks { warns } => extract.handle(merged, warns, stream.is_joined(merged.time, settings), emit),
        Kind::Trouble(trouble) => emit(Output::Trouble(TroubleRecord {
            time: merged.time,
            host: stream.host(),
            trouble,
            age_millis: stream.first.map_or(0, |first| merged.time.millis_since(first)),
            position: merged.position,
            content: merged.content,
        })),
    }
}

impl Stream {
    fn host(&self) -> &str {
        self.origin.host.as_deref().unwrap_or(&self.name)
    }

    fn precedence(&self) -> (bool, &str) {
        (self.origin.role == Role::NameNode, &self.name)
    }

    fn is_joined(&self, time: LogTime, settings: &Settings) -> bool {
        let young = self.first.is_some_and(|first| time.millis_since(first) < settings.join_grace_millis);
        self.joined_midway && young
    }
}

/// Makes the events of a record.
#[derive(Debug)]
struct Extract {
    pools: Pools,
    templates: Templates,
    counts: ExtractCounts,
    /// The blocks of the record at hand; kept for its memory.
    blocks: Vec<BlockId>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct ExtractCounts {
    events: u64,
    unknown_events: u64,
    refused_blocks: u64,
    ambiguous_pools: u64,
}

impl Extract {
    fn new(pools: Pools, templates: Templates) -> Self {
        Self { pools, templates, counts: ExtractCounts::default(), blocks: Vec::new() }
    }

    fn handle(&mut self, merged: &Merged<'_>, warns: bool, joined: bool, emit: Emit<'_>) {
        self.find_blocks(merged.stream, merged.content);
        if self.blocks.is_empty() {
            return;
        }
        let (template, token) = self.templates.find(merged.content);
        let unknown = token == UNKNOWN;
        let warns = warns || self.templates.carries_exception();
        let grave = unknown && (warns || self.templates.speaks_of_failure());
        if unknown {
            self.introduce(emit);
        }
        let events = self.blocks.len() as u64;
        self.counts.events += events;
        self.counts.unknown_events += if unknown { events } else { 0 };
        for block in self.blocks.drain(..) {
            let event = Event { block, template, token, time: merged.time, position: merged.position, grave };
            emit(Output::Event { event, joined, warns });
        }
    }

    /// Announces the template of the message at hand when it is not the one that it was.
    fn introduce(&mut self, emit: Emit<'_>) {
        if let Some(Learned { id, replaced, .. }) = self.templates.take_news() {
            let text = self.templates.text(id).unwrap_or_default();
            emit(Output::Template { template: id, replaced: &replaced, text: &text });
        }
    }

    /// The distinct blocks that a record names, first to last; those of which the pool is not known are left out.
    fn find_blocks(&mut self, stream: usize, content: &[u8]) {
        self.pools.learn(stream, block::blocks(content));
        for named in block::blocks(content) {
            let Some(pool) = self.pools.pool(stream, named.pool) else {
                self.counts.ambiguous_pools += 1;
                continue;
            };
            let block = BlockId { pool, number: named.number };
            if self.blocks.contains(&block) {
                continue;
            }
            if self.blocks.len() == RECORD_BLOCKS_MAX {
                self.counts.refused_blocks += 1;
                continue;
            }
            self.blocks.push(block);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::pipeline::profile::tests::profile;

    #[test]
    fn every_block_of_a_line_gets_the_event_once() {
        check("BLOCK* ask 1.2.3.4:5 to delete  blk_1 blk_2 blk_1", &[(0, 1), (0, 2)]);
        check("no block here", &[]);
    }

    #[test]
    fn fan_out_is_bounded_and_counted() {
        for (given, kept, refused) in [(1023, 1023, 0), (1024, 1024, 0), (1025, 1024, 1)] {
            let content: String = (0..given).map(|number| format!(" blk_{number}")).collect();
            let (events, stats) = events(&[&content]);
            assert_eq!((events.len(), stats.refused_blocks), (kept, refused), "{given} blocks");
        }
    }

    #[test]
    fn a_block_named_without_a_pool_belongs_to_the_only_one_and_of_several_to_none() {
        let (found, stats) =
            events(&["allocate blk_1_1", "Receiving BP-1-a:blk_1_1", "added to blk_1_1", "Receiving BP-2-b:blk_1_1", "blk_1"]);
        assert_eq!(found, [(0, 1), (0, 1), (0, 1), (1, 1)]);
        assert_eq!(stats.ambiguous_pools, 1);
    }

    #[test]
    fn blocks_of_a_group_get_one_event() {
        check("BLOCK* ask 1.2.3.4:5 to delete  blk_-9223372036854775791_7 blk_-9223372036854775790_7", &[(0, i64::MIN + 16)]);
    }

    #[test]
    fn what_an_unknown_message_says_of_failure_counts_where_its_template_has_a_wildcard() {
        let mut front = Front::new(settings(), &profile(&["Failed <*>"])).expect("its masks are known");
        front.open_stream(StreamId(0), "dn.log", false);
        let said = ["Replica blk_1 is in state:FINALIZED", "Replica blk_2 is in state:CORRUPT", "Replica blk_3 is in state:RBW"];
        let said = [&said[..], &said, &["Failed blk_4"]].concat();
        let text: String = said.iter().map(|said| format!("081109 203518 143 INFO dfs.DataNode: {said}\n")).collect();
        let (mut found, mut texts) = (Vec::new(), Vec::new());
        let mut emit = |output: Output<'_>| match output {
            Output::Event { event, .. } => found.push((event.block.number, event.grave)),
            Output::Template { text, .. } => texts.push(text.to_owned()),
            Output::Trouble(_) | Output::Source { .. } => {}
        };
        let chunk = Chunk { stream: StreamId(0), source: SourceId(0), offset: 0, bytes: text.as_bytes() };
        front.handle_chunk(chunk, WallTime(0), &mut emit);
        front.close_stream(StreamId(0), &mut emit);
        assert_eq!(texts.last().map(String::as_str), Some("Replica <*> is in <*>"), "the template says nothing of it");
        assert_eq!(found, [(1, false), (2, true), (3, false), (1, false), (2, true), (3, false), (4, false)]);
    }

    #[test]
    fn an_empty_file_that_ends_amid_a_line_of_another_leaves_it_whole() {
        let mut front = Front::new(settings(), &profile(&["Receiving <*>"])).expect("its masks are known");
        front.open_stream(StreamId(0), "dn.log", false);
        let mut found = Vec::new();
        let mut emit = |output: Output<'_>| {
            if let Output::Event { event, .. } = output {
                found.push(event.block.number);
            }
        };
        let parts: [(u32, u64, &[u8]); 3] =
            [(1, 0, b"081109 203518 143 "), (0, 0, b""), (1, 18, b"INFO dfs.DataNode: Receiving blk_1\n")];
        for (source, offset, bytes) in parts {
            front.handle_chunk(Chunk { stream: StreamId(0), source: SourceId(source), offset, bytes }, WallTime(0), &mut emit);
            if bytes.is_empty() {
                front.handle_end_of_source(StreamId(0), SourceId(source), &mut emit);
            }
        }
        front.close_stream(StreamId(0), &mut emit);
        assert_eq!(found, [1]);
    }

    fn check(content: &str, expected: &[(u32, i64)]) {
        assert_eq!(events(&[content]).0, expected, "{content}");
    }

    fn events(contents: &[&str]) -> (Vec<(u32, i64)>, Stats) {
        let mut front = Front::new(settings(), &profile(&["Receiving <*>"])).expect("its masks are known");
        front.open_stream(StreamId(0), "dn.log", false);
        let text: String = contents.iter().map(|content| format!("081109 203518 143 INFO dfs.DataNode: {content}\n")).collect();
        let mut found = Vec::new();
        let mut emit = |output: Output<'_>| {
            if let Output::Event { event, .. } = output {
                found.push((event.block.pool.0, event.block.number));
            }
        };
        for (index, part) in text.as_bytes().chunks(1000).enumerate() {
            let chunk = Chunk { stream: StreamId(0), source: SourceId(0), offset: index as u64 * 1000, bytes: part };
            front.handle_chunk(chunk, WallTime(0), &mut emit);
        }
        front.close_stream(StreamId(0), &mut emit);
        let mut stats = Stats::default();
        front.count_into(&mut stats);
        (found, stats)
    }

    /// One pool, UTC, and logs seen from their start.
    pub(crate) fn settings() -> Settings {
        Settings {
            merge_delay_millis: 2000,
            merge_bytes_max: 1 << 20,
            join_grace_millis: 0,
            pool: None,
            pools: Vec::new(),
            zone: Zone::utc(),
        }
    }
}
