//! Gathers stories from raw logs with the stages of the pipeline that detection uses too.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use crate::daemon::clock;
use crate::ingest::{Follower, Mode, Notice, Saved, Settings, StartAt};
use crate::learn::corpus::{Corpus, CorpusError, Story};
use crate::limits::{CORPUS_EVENTS_MAX, MERGE_BYTES_DEFAULT};
use crate::pipeline::event::origin::{Origin, Role};
use crate::pipeline::event::{BlockId, Chunk, Event, LogTime, SourceId, StreamId, TemplateId};
use crate::pipeline::front::{self, Front, Output};
use crate::pipeline::profile::{DrainSettings, Profile, Scope};

/// How to gather.
#[derive(Clone, Debug)]
pub struct How {
    /// A story whose last event is younger than this when the logs end may go on, milliseconds of log time.
    pub quiet_millis: i64,
    /// How lines become templates.
    pub drain: DrainSettings,
    /// Whether what each host says of a block is a story of its own, as a daemon that follows the logs of that host alone sees it.
    pub each_host: bool,
}

/// Stories of all blocks in these logs: files with their rotated ones, plain or compressed, or directories of them. `watch` is told every
/// now and then how far it is, and answers whether to go on.
///
/// Blocks that come up after [`CORPUS_EVENTS_MAX`] events are passed over. A story is taken to be seen from its start when it begins
/// with an event that stands at the start of most stories it is part of: the logs of a running cluster are full of blocks that are
/// older than the logs.
///
/// # Errors
/// When a path cannot be read, no line names a block, or `watch` says no.
pub fn gather(paths: &[PathBuf], how: &How, watch: &mut dyn FnMut(Reading) -> bool) -> Result<Corpus, CorpusError> {
    let mut gatherer = Gatherer::new(paths, how)?;
    gatherer.read_all(watch)?;
    gatherer.into_corpus()
}

/// How far reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Bytes of files that were read; those of a compressed file when all of it was.
    pub bytes_read: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

struct Gatherer {
    follower: Follower,
    front: Front,
    how: How,
    unread: BTreeSet<StreamId>,
    /// Names of all logs.
    names: BTreeMap<StreamId, String>,
    /// The host that each source is of, by the order of their names; all are of the first where hosts are not told apart.
    hosts: HashMap<SourceId, usize>,
    hashes: BTreeMap<SourceId, Sha256>,
    blocks: HashMap<(usize, BlockId), usize>,
    stories: Vec<Gathered>,
    /// Templates that were said at level WARN or above, or with an exception.
    warning: BTreeSet<TemplateId>,
    /// The last event of each host.
    told_until: HashMap<usize, LogTime>,
    events: usize,
}

#[derive(Default)]
struct Gathered {
    host: usize,
    events: Vec<TemplateId>,
    times: Vec<LogTime>,
    joined_midway: bool,
}

impl Gatherer {
    fn new(paths: &[PathBuf], how: &How) -> Result<Self, CorpusError> {
        let profile = Profile::without_vocabulary(how.drain.clone());
        let front = Front::new(front_settings(), &profile).map_err(|mask| CorpusError::Mask { mask })?;
        let follower = Follower::new(&settings(paths), Saved::default(), Box::new(|_| None)); // They are read from their beginning.
        Ok(Self {
            follower: follower.map_err(|error| CorpusError::Pattern { error })?,
            front,
            how: how.clone(),
            unread: BTreeSet::new(),
            names: BTreeMap::new(),
            hosts: HashMap::new(),
            hashes: BTreeMap::new(),
            blocks: HashMap::new(),
            stories: Vec::new(),
            warning: BTreeSet::new(),
            told_until: HashMap::new(),
            events: 0,
        })
    }

    fn read_all(&mut self, watch: &mut dyn FnMut(Reading) -> bool) -> Result<(), CorpusError> {
        let mut bytes = 0;
        loop {
            let notices = self.follower.scan(clock::now());
            if let Some(trouble) = notices.iter().find(|notice| matches!(notice, Notice::Failed { .. })) {
                return Err(CorpusError::Log { what: trouble.to_string() });
            }
            self.unread = self.follower.ready().collect();
            if self.unread.is_empty() {
                return Ok(());
            }
            self.follower.share_read_ahead(MERGE_BYTES_DEFAULT / 2);
            self.open_streams();
            bytes = bytes.max(self.bytes_unread());
            self.read_unread(bytes, watch)?;
        }
    }

    fn bytes_unread(&self) -> u64 {
        self.follower.streams().map(|status| status.lag_bytes).sum()
    }

    fn open_streams(&mut self) {
        let streams = self.follower.streams().map(|status| (status.id, status.name.display().to_string()));
        for (stream, name) in streams.collect::<Vec<_>>() {
            self.front.open_stream(stream, &name, true);
            self.names.insert(stream, name);
        }
        for status in self.follower.streams().filter(|status| !self.unread.contains(&status.id)) {
            self.front.close_stream(status.id, &mut |_| {});
        }
    }

    fn read_unread(&mut self, bytes: u64, watch: &mut dyn FnMut(Reading) -> bool) -> Result<(), CorpusError> {
        let mut buffer = Vec::new();
        let mut chunks = 0_u64;
        while let Some(stream) = self.unread.iter().min_by_key(|stream| (self.front.stream_time(**stream), **stream)).copied() {
            if chunks.is_multiple_of(WATCH_CHUNKS)
                && !watch(Reading { bytes_read: bytes.saturating_sub(self.bytes_unread()), bytes })
            {
                return Err(CorpusError::Stopped);
            }
            chunks += 1;
            self.read_chunk(stream, &mut buffer);
        }
        Ok(())
    }

    fn read_chunk(&mut self, stream: StreamId, buffer: &mut Vec<u8>) {
        let read = self.follower.read(stream, buffer);
        if let Some(read) = read.as_ref().filter(|read| !self.hosts.contains_key(&read.source)) {
            self.hosts.insert(read.source, self.host(stream));
        }
        let Self { follower, front, blocks, stories, warning, told_until, events, hashes, hosts, .. } = self;
        let mut emit = |output: Output<'_>| {
            if let Output::Event { event, joined, warns } = output {
                let host = hosts.get(&event.position.source).copied().unwrap_or_default();
                told_until.insert(host, event.time);
                if warns {
                    warning.insert(event.template);
                }
                add(blocks, stories, events, host, &event, joined);
            }
        };
        if let Some(read) = read {
            let bytes = &buffer[..read.bytes];
            hashes.entry(read.source).or_default().update(bytes);
            front.handle_chunk(Chunk { stream, source: read.source, offset: read.offset, bytes }, clock::now(), &mut emit);
            if read.end_of_source {
                front.handle_end_of_source(stream, read.source, &mut emit);
            }
        }
        if !follower.is_ready(stream) {
            self.unread.remove(&stream);
            front.close_stream(stream, &mut emit);
        }
    }

    /// Which host a log is of.
    fn host(&self, stream: StreamId) -> usize {
        let host_of = |name: &String| Origin::of_log(name).host.unwrap_or_else(|| name.clone());
        let own = self.names.get(&stream).filter(|_| self.how.each_host).map(host_of);
        let hosts: BTreeSet<String> = self.names.values().map(host_of).collect();
        own.and_then(|own| hosts.iter().position(|host| *host == own)).unwrap_or_default()
    }

    fn into_corpus(mut self) -> Result<Corpus, CorpusError> {
        let end = self.front.newest().ok_or(CorpusError::NoBlocks)?;
        let mut indices = BTreeMap::new();
        for template in self.stories.iter_mut().flat_map(|story| &mut story.events) {
            *template = self.front.newest_template(*template);
            let next = indices.len() as u32;
            indices.entry(*template).or_insert(next);
        }
        if indices.is_empty() {
            return Err(CorpusError::NoBlocks);
        }
        let mut texts = vec![String::new(); indices.len()];
        for (template, index) in &indices {
            texts[*index as usize] = self.front.template_text(*template).unwrap_or_else(|| format!("(dropped template {index})"));
        }
        let warning: BTreeSet<TemplateId> = self.warning.iter().map(|template| self.front.newest_template(*template)).collect();
        let calm = indices.iter().filter(|(template, _)| !warning.contains(template)).map(|(_, index)| *index).collect();
        let openers = openers(&self.stories);
        let told_until = self.told_until;
        let ends = |host: usize| told_until.get(&host).copied().filter(|_| self.how.each_host).unwrap_or(end);
        let scope = scope(self.names.values(), self.how.each_host);
        let inputs = self.hashes.into_iter().map(|(source, hash)| (file_name(&self.follower, source), hex(&hash.finalize())));
        let inputs = inputs.collect();
        let stories = self.stories.into_iter().map(|story| Story {
            joined_midway: story.joined_midway || !story.events.first().is_some_and(|first| openers.contains(first)),
            cut_short: story.times.last().is_some_and(|last| last.plus_millis(self.how.quiet_millis) > ends(story.host)),
            events: story.events.iter().map(|template| indices[template]).collect(),
            times: Some(story.times),
            host: story.host,
        });
        Ok(Corpus { texts, stories: stories.collect(), inputs, drain: self.how.drain, scope, calm })
    }
}

/// Which logs these are, as far as their names tell: those of DataNodes, each by itself, those of NameNodes, or those of a cluster.
/// Within, a log that was made of several looks like any of them.
fn scope<'a>(names: impl Iterator<Item = &'a String>, each_host: bool) -> Scope {
    let origins: Vec<Origin> = names.map(|name| Origin::of_log(name)).collect();
    let hosts: BTreeSet<Option<&str>> = origins.iter().map(|origin| origin.host.as_deref()).collect();
    let roles: BTreeSet<Role> = origins.iter().map(|origin| origin.role).collect();
    match roles.into_iter().collect::<Vec<_>>()[..] {
        [Role::DataNode] if each_host || hosts.len() == 1 => Scope::Datanode,
        [Role::NameNode] => Scope::Namenode,
        _ => Scope::Cluster,
    }
}

fn add(
    blocks: &mut HashMap<(usize, BlockId), usize>,
    stories: &mut Vec<Gathered>,
    events: &mut usize,
    host: usize,
    event: &Event,
    joined: bool,
) {
    let index = match blocks.get(&(host, event.block)) {
        Some(index) => *index,
        None if *events >= CORPUS_EVENTS_MAX => return,
        None => {
            stories.push(Gathered { host, joined_midway: joined, ..Gathered::default() });
            blocks.insert((host, event.block), stories.len() - 1);
            stories.len() - 1
        }
    };
    let story = &mut stories[index];
    if story.events.len() < STORY_EVENTS_MAX {
        story.events.push(event.template);
        story.times.push(event.time);
        *events += 1;
    }
}

/// Templates that stand among the first events of most stories they are part of.
fn openers(stories: &[Gathered]) -> BTreeSet<TemplateId> {
    let mut counts: BTreeMap<TemplateId, (u64, u64)> = BTreeMap::new();
    for story in stories.iter().filter(|story| !story.joined_midway) {
        let seen: BTreeSet<TemplateId> = story.events.iter().copied().collect();
        let opening = story.events.len().div_ceil(OPENING_PART).min(OPENING_EVENTS);
        let early: BTreeSet<TemplateId> = story.events.iter().take(opening).copied().collect();
        for template in seen {
            let (stories, openings) = counts.entry(template).or_default();
            *stories += 1;
            *openings += u64::from(early.contains(&template));
        }
    }
    let most = counts.into_iter().filter(|(_, (stories, openings))| *openings as f64 >= OPENING_SHARE * *stories as f64);
    most.map(|(template, _)| template).collect()
}

fn settings(paths: &[PathBuf]) -> Settings {
    let patterns = paths.iter().map(|path| pattern(path)).collect();
    Settings { patterns, exclude: Vec::new(), start_at: StartAt::Beginning, mode: Mode::Once, blockless: false }
}

/// A path as a pattern that matches just itself.
pub fn pattern(path: &Path) -> String {
    glob::Pattern::escape(&path.to_string_lossy())
}

fn front_settings() -> front::Settings {
    front::Settings {
        merge_delay_millis: 2000,
        merge_bytes_max: MERGE_BYTES_DEFAULT,
        join_grace_millis: JOIN_GRACE_MILLIS,
        pool: None,
        pools: Vec::new(),
        // Only the order of events and the time between them are learnt, so a clock set back matters and the zone does not.
        zone: clock::zone(&TimeZone::system()),
    }
}

fn file_name(follower: &Follower, source: SourceId) -> String {
    let name = follower.source(source).and_then(|info| Some(info.path.file_name()?.to_string_lossy().into_owned()));
    name.unwrap_or_else(|| format!("source {}", source.0))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Log time from the start of the logs in which no story is taken to be seen from its start. It is short because a story must begin with
/// what opens stories as well, and every minute of it is a minute of logs less to learn from.
const JOIN_GRACE_MILLIS: i64 = 30_000;
/// Chunks between two looks at how far reading is: some ten a second.
const WATCH_CHUNKS: u64 = 32;
/// Events of one story that are kept: a block that is read all day needs no more to be known as such.
const STORY_EVENTS_MAX: usize = 4096;
/// An event opens stories when it is among the first so many events of most stories it is part of, and in the first third of them. In
/// HDFS_v1 a story opens with the allocation and three receipts, in any order; on one DataNode all of it are three events.
const OPENING_EVENTS: usize = 4;
const OPENING_PART: usize = 3;
const OPENING_SHARE: f64 = 0.8;
