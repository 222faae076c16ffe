//! Makes the entries of the journal: what of one instant is not written yet. And puts an instant together again.
//!
//! What is small or few is in *sections*: all of them are looked at, and those are written whose bytes are others than last time.
//! What is many, the sessions, says itself what has changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::daemon::mutes::Mutes;
use crate::daemon::outbox::{self, Outbox, Waiting};
use crate::ingest::{Counters, Saved, SavedStream};
use crate::pipeline::Pipeline;
use crate::pipeline::event::StreamId;
use crate::pipeline::event::template::changes::Changes as TemplateChanges;
use crate::pipeline::kept::{Kept, SectionKey};
use crate::pipeline::session::assemble::changes::Changes;
use crate::pipeline::session::assemble::{self, Released};

/// Everything of one instant but the pipeline.
#[derive(Clone, Copy)]
pub struct Instant<'a> {
    /// SHA-256 of the model that judges.
    pub model_sha256: &'a str,
    /// How far the logs were read.
    pub positions: &'a Saved,
    /// Alerts on their way.
    pub outbox: &'a Outbox,
    /// What people do not want to be sent.
    pub mutes: &'a Mutes,
}

/// Knows what is written.
#[derive(Debug, Default)]
pub struct Ledger {
    /// SHA-256 of each section as it was written last. Empty at the beginning of a segment, which gets everything.
    written: HashMap<Key, [u8; 32]>,
}

/// Everything of one instant, as it was read.
pub struct Restored {
    /// SHA-256 of the model that judged.
    pub model_sha256: String,
    /// How far the logs were read.
    pub positions: Saved,
    /// Alerts on their way.
    pub outbox: Outbox,
    /// What people do not want to be sent.
    pub mutes: Mutes,
    /// The pipeline.
    pub pipeline: Kept,
    /// Its templates.
    pub templates: Vec<TemplateChanges>,
}

/// Puts an instant together, entry by entry.
#[derive(Default)]
pub struct Reader {
    sessions: assemble::Kept,
    templates: Vec<TemplateChanges>,
    sections: BTreeMap<Key, Vec<u8>>,
}

/// Which section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Key {
    /// One of the pipeline.
    Pipeline(SectionKey),
    /// How far a log was read.
    Stream(StreamId),
    /// An alert on its way.
    Alert(u64),
    /// The mutes.
    Mutes,
    /// The rest.
    Head,
}

/// What is neither many nor large.
#[derive(Serialize, Deserialize)]
struct Head {
    model_sha256: String,
    next_stream: u32,
    next_source: u32,
    started: bool,
    counters: Counters,
    outbox: outbox::Head,
}

/// An entry; `T` is owned or borrowed.
#[derive(Serialize, Deserialize)]
struct Entry<R> {
    sessions: Vec<Changes>,
    commit: Option<Commit<R>>,
}

/// What makes an instant of the entries before it.
#[derive(Serialize, Deserialize)]
struct Commit<R> {
    /// With everything: the blocks released so far.
    released: Option<R>,
    templates: TemplateChanges,
    changed: Vec<(Key, Bytes)>,
    gone: Vec<Key>,
}

impl Ledger {
    /// From here on everything is to be written again.
    pub fn forget(&mut self) {
        self.written.clear();
    }

    /// An entry with changes of sessions.
    ///
    /// # Errors
    /// When they cannot be encoded.
    pub fn part(sessions: Changes) -> postcard::Result<Vec<u8>> {
        postcard::to_stdvec(&Entry::<()> { sessions: vec![sessions], commit: None })
    }

    /// The entry that makes this an instant: the last changes of sessions, and everything else that has changed. It counts as written.
    ///
    /// # Errors
    /// When something cannot be encoded.
    pub fn commit(
        &mut self,
        instant: &Instant<'_>,
        pipeline: &mut Pipeline,
        sessions: Vec<Changes>,
    ) -> postcard::Result<Vec<u8>> {
        let is_whole = self.written.is_empty();
        let templates = if is_whole { pipeline.take_templates() } else { pipeline.take_template_changes() };
        let (mut changed, mut seen) = (Vec::new(), BTreeSet::new());
        self.note_changes(instant, pipeline, |key, bytes| {
            seen.insert(key);
            changed.extend(bytes.map(|bytes| (key, Bytes(bytes))));
        })?;
        let gone: Vec<Key> = self.written.extract_if(|key, _| !seen.contains(key)).map(|(key, _)| key).collect();
        let released = is_whole.then(|| pipeline.released());
        postcard::to_stdvec(&Entry { sessions, commit: Some(Commit { released, templates, changed, gone }) })
    }

    /// Tells of every section, with its bytes if they are others than last time.
    fn note_changes(
        &mut self,
        instant: &Instant<'_>,
        pipeline: &Pipeline,
        mut tell: impl FnMut(Key, Option<Vec<u8>>),
    ) -> postcard::Result<()> {
        let mut note = |key: Key, bytes: postcard::Result<Vec<u8>>| {
            let bytes = bytes?;
            let hash: [u8; 32] = Sha256::digest(&bytes).into();
            let is_news = self.written.insert(key, hash) != Some(hash);
            tell(key, is_news.then_some(bytes));
            Ok(())
        };
        for section in pipeline.sections() {
            note(Key::Pipeline(section.key()), postcard::to_stdvec(&section))?;
        }
        let Instant { model_sha256, positions, outbox, mutes } = *instant;
        for stream in &positions.streams {
            note(Key::Stream(stream.id), postcard::to_stdvec(stream))?;
        }
        for (number, waiting) in outbox.waiting() {
            note(Key::Alert(number), postcard::to_stdvec(waiting))?;
        }
        note(Key::Mutes, postcard::to_stdvec(mutes))?;
        let Saved { streams: _, next_stream, next_source, started, counters } = *positions;
        let model_sha256 = model_sha256.to_owned();
        let head = Head { model_sha256, next_stream, next_source, started, counters, outbox: outbox.head() };
        note(Key::Head, postcard::to_stdvec(&head))
    }
}

impl Reader {
    /// Takes in an entry.
    ///
    /// # Errors
    /// When it is none.
    pub fn apply(&mut self, content: &[u8]) -> postcard::Result<()> {
        let entry: Entry<Released> = postcard::from_bytes(content)?;
        entry.sessions.into_iter().for_each(|changes| self.sessions.apply(changes));
        let Some(Commit { released, templates, changed, gone }) = entry.commit else { return Ok(()) };
        if let Some(released) = released {
            // It was written with everything: what was there before and is not now, is gone.
            self.sessions.set_released(released);
            self.sections.clear();
        }
        if templates.are_everything() {
            self.templates.clear();
        }
        if !templates.is_empty() {
            self.templates.push(templates);
        }
        self.sections.extend(changed.into_iter().map(|(key, Bytes(bytes))| (key, bytes)));
        gone.iter().for_each(|key| drop(self.sections.remove(key)));
        Ok(())
    }

    /// The instant of the last commit.
    ///
    /// # Errors
    /// When a section is missing, or is none.
    pub fn finish(self) -> postcard::Result<Restored> {
        let (mut sections, mut streams, mut waiting, mut mutes, mut head) = (Vec::new(), Vec::new(), Vec::new(), None, None);
        for (key, bytes) in self.sections {
            match key {
                Key::Pipeline(_) => sections.push(decode(&bytes)?),
                Key::Stream(_) => streams.push(decode::<SavedStream>(&bytes)?),
                Key::Alert(_) => waiting.push(decode::<Waiting>(&bytes)?),
                Key::Mutes => mutes = Some(decode(&bytes)?),
                Key::Head => head = Some(decode(&bytes)?),
            }
        }
        let missing = || postcard::Error::DeserializeUnexpectedEnd;
        let Head { model_sha256, next_stream, next_source, started, counters, outbox } = head.ok_or_else(missing)?;
        Ok(Restored {
            model_sha256,
            positions: Saved { streams, next_stream, next_source, started, counters },
            outbox: Outbox::restore(outbox, waiting),
            mutes: mutes.ok_or_else(missing)?,
            pipeline: Kept::new(sections, self.sessions).ok_or_else(missing)?,
            templates: self.templates,
        })
    }
}

/// What all of these bytes stand for.
fn decode<T: DeserializeOwned>(bytes: &[u8]) -> postcard::Result<T> {
    let (value, rest) = postcard::take_from_bytes(bytes)?;
    if rest.is_empty() { Ok(value) } else { Err(postcard::Error::DeserializeBadEncoding) }
}

/// Bytes that are copied as a whole and not one by one.
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(BytesVisitor)
    }
}

struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
        Ok(Bytes(bytes.to_vec()))
    }
}
