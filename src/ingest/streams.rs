//! Keeps the streams and their sources in order, and their numbers for ever.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::source::Source;
use super::{Identity, Refusal, Saved, SavedStream};
use crate::limits::{SOURCES_MAX, STREAMS_MAX};
use crate::pipeline::event::{SourceId, StreamId};

/// One log with its files.
#[derive(Debug)]
pub struct Stream {
    /// Its number.
    pub id: StreamId,
    /// Path of the live file.
    pub name: PathBuf,
    /// Its files, oldest first.
    pub sources: Vec<Source>,
}

/// All logs.
#[derive(Debug, Default)]
pub struct Streams {
    by_id: BTreeMap<StreamId, Stream>,
    by_name: HashMap<PathBuf, StreamId>,
    homes: HashMap<SourceId, StreamId>,
    next_stream: u32,
    next_source: u32,
}

/// Where a source stands in its stream; good until one is added, put elsewhere or forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// The stream.
    pub stream: StreamId,
    /// Its index in [`Stream::sources`].
    pub index: usize,
}

impl Stream {
    /// The oldest source that has not ended, and whether a newer one has appeared.
    #[must_use]
    pub fn current(&self) -> Option<(usize, bool)> {
        let index = self.sources.iter().position(|source| !source.finished)?;
        Some((index, index + 1 < self.sources.len()))
    }

    /// Puts a new source where its age belongs: before the first one that is newer and still has a name. A source without a name
    /// keeps its neighbours, since its last name says nothing any more.
    pub fn insert(&mut self, source: Source) {
        let newer = self.sources.iter().position(|other| other.is_present() && other.age() > source.age());
        self.sources.insert(newer.unwrap_or(self.sources.len()), source);
    }

    /// Puts the source at `index`, which has found a name again, behind the older ones. What turned up while it had none stands behind it,
    /// older or not.
    fn put_behind_older(&mut self, index: usize) {
        let mut behind = self.sources.split_off(index);
        let (rank, is_plain) = (behind[0].rank.clone(), behind[0].codec.is_none());
        self.sources.extend(behind.extract_if(.., |other| other.is_present() && other.age() < (&rank, is_plain)));
        self.sources.append(&mut behind);
    }
}

impl Streams {
    /// The streams of a saved state.
    #[must_use]
    pub fn restored(saved: Saved) -> Self {
        let mut streams = Self { next_stream: saved.next_stream, next_source: saved.next_source, ..Self::default() };
        for SavedStream { id, name, sources } in saved.streams {
            streams.next_stream = streams.next_stream.max(id.0 + 1);
            streams.by_name.insert(name.clone(), id);
            let sources: Vec<Source> = sources.into_iter().map(Source::restored).collect();
            for source in &sources {
                streams.next_source = streams.next_source.max(source.info.id.0 + 1);
                streams.homes.insert(source.info.id, id);
            }
            streams.by_id.insert(id, Stream { id, name, sources });
        }
        streams
    }

    /// What a restart must know of them; the rest of [`Saved`] is left at its default.
    #[must_use]
    pub fn saved(&self) -> Saved {
        let streams = self.iter().map(|stream| SavedStream {
            id: stream.id,
            name: stream.name.clone(),
            sources: stream.sources.iter().map(Source::saved).collect(),
        });
        Saved { streams: streams.collect(), next_stream: self.next_stream, next_source: self.next_source, ..Saved::default() }
    }

    /// All streams, by number.
    pub fn iter(&self) -> impl Iterator<Item = &Stream> {
        self.by_id.values()
    }

    /// One stream.
    #[must_use]
    pub fn get(&self, id: StreamId) -> Option<&Stream> {
        self.by_id.get(&id)
    }

    /// The stream whose live file has this path.
    #[must_use]
    pub fn named(&self, name: &Path) -> Option<&Stream> {
        self.by_name.get(name).and_then(|&id| self.get(id))
    }

    /// One source.
    #[must_use]
    pub fn source(&self, id: SourceId) -> Option<&Source> {
        let stream = self.get(*self.homes.get(&id)?)?;
        stream.sources.iter().find(|source| source.info.id == id)
    }

    /// The source in `slot`.
    #[must_use]
    pub fn at(&self, slot: Slot) -> &Source {
        &self.by_id[&slot.stream].sources[slot.index]
    }

    /// The source in `slot`, to be changed.
    pub fn at_mut(&mut self, slot: Slot) -> &mut Source {
        &mut self.by_id.get_mut(&slot.stream).expect("a slot names a stream that is there").sources[slot.index]
    }

    /// All slots, by stream, oldest source first.
    #[must_use]
    pub fn slots(&self) -> Vec<Slot> {
        let of_stream = |stream: &Stream| {
            let id = stream.id;
            (0..stream.sources.len()).map(move |index| Slot { stream: id, index })
        };
        self.iter().flat_map(of_stream).collect()
    }

    /// All slots by device and inode. Several sources may have the same: one after the other, on an inode used again.
    #[must_use]
    pub fn by_identity(&self) -> BTreeSet<(Identity, Slot)> {
        self.slots().into_iter().map(|slot| (self.at(slot).info.identity, slot)).collect()
    }

    /// The number of the stream of that name, a new one if need be.
    ///
    /// # Errors
    /// When there is no room for one more.
    pub fn stream_for(&mut self, name: &Path) -> Result<StreamId, Refusal> {
        if let Some(&id) = self.by_name.get(name) {
            return Ok(id);
        }
        if self.by_id.len() >= STREAMS_MAX && !self.forget_empty_stream() {
            return Err(Refusal::TooManyStreams);
        }
        let id = StreamId(self.next_stream);
        self.next_stream += 1;
        self.by_name.insert(name.to_path_buf(), id);
        self.by_id.insert(id, Stream { id, name: name.to_path_buf(), sources: Vec::new() });
        Ok(id)
    }

    /// The number of a new source.
    ///
    /// # Errors
    /// When there is no room for one more.
    pub fn next_source(&mut self) -> Result<SourceId, Refusal> {
        if self.homes.len() >= SOURCES_MAX {
            return Err(Refusal::TooManySources);
        }
        let id = SourceId(self.next_source);
        self.next_source += 1;
        Ok(id)
    }

    /// Adds a source to its stream.
    pub fn add(&mut self, source: Source) {
        let stream = source.info.stream;
        self.homes.insert(source.info.id, stream);
        self.by_id.get_mut(&stream).expect("a source belongs to a stream that is there").insert(source);
    }

    /// Puts the source in `slot`, which has found a name again, behind those of its stream that are older.
    pub fn put_behind_older(&mut self, slot: Slot) {
        let stream = self.by_id.get_mut(&slot.stream).expect("a slot names a stream that is there");
        stream.put_behind_older(slot.index);
    }

    /// Forgets the sources that `is_over`, and returns their numbers.
    pub fn forget(&mut self, is_over: impl Fn(&Source) -> bool) -> Vec<SourceId> {
        let mut forgotten = Vec::new();
        for stream in self.by_id.values_mut() {
            forgotten.extend(stream.sources.extract_if(.., |source| is_over(source)).map(|source| source.info.id));
        }
        for id in &forgotten {
            self.homes.remove(id);
        }
        forgotten
    }

    /// Makes room: a log without any file keeps its number only as long as nobody else needs the place.
    fn forget_empty_stream(&mut self) -> bool {
        let Some(id) = self.iter().find(|stream| stream.sources.is_empty()).map(|stream| stream.id) else {
            return false;
        };
        if let Some(stream) = self.by_id.remove(&id) {
            self.by_name.remove(&stream.name);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_have_a_bound_and_empty_ones_make_room() {
        let mut streams = Streams::default();
        for number in 0..STREAMS_MAX {
            assert_eq!(streams.stream_for(Path::new(&format!("/{number}.log"))), Ok(StreamId(number as u32)));
        }
        assert_eq!(streams.stream_for(Path::new("/7.log")), Ok(StreamId(7)), "a known one needs no room");
        assert_eq!(streams.stream_for(Path::new("/new.log")), Ok(StreamId(STREAMS_MAX as u32)));
        assert_eq!(streams.by_id.len(), STREAMS_MAX);
        assert!(streams.named(Path::new("/0.log")).is_none());
    }

    #[test]
    fn sources_have_a_bound() {
        for (known, has_room) in [(SOURCES_MAX - 1, true), (SOURCES_MAX, false), (SOURCES_MAX + 1, false)] {
            let homes = (0..known).map(|number| (SourceId(number as u32), StreamId(0))).collect();
            let mut streams = Streams { homes, ..Streams::default() };
            assert_eq!(streams.next_source().is_ok(), has_room, "{known}");
        }
    }
}
