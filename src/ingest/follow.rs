//! Keeps track of every file of every stream, and hands out what nobody has read yet.

use std::path::Path;

use super::{Counters, Notice, Read, Rereader, Saved, Settings, SettingsError, SourceInfo, TimeReader};
use crate::pipeline::event::{Position, SourceId, StreamId, WallTime};

/// Follows the files that the settings name. See [`crate::ingest`] for what it promises.
pub struct Follower {
    counters: Counters,
}

/// One stream as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamStatus<'a> {
    /// Its number.
    pub id: StreamId,
    /// Its name: path of the live file.
    pub name: &'a Path,
    /// Bytes that were there at the last scan or read and were not handed out; of compressed files their size on disk.
    pub lag_bytes: u64,
}

impl Follower {
    /// A follower that goes on where `saved` stood; `Saved::default()` for a first start. Looks at nothing before the first scan.
    ///
    /// # Errors
    /// When there is no pattern, or one is not a glob.
    pub fn new(settings: Settings, saved: Saved, read_time: TimeReader) -> Result<Self, SettingsError> {
        let _ = (settings, read_time);
        Ok(Self { counters: saved.counters })
    }

    /// Looks at all directories and files: finds new ones, and notices what was rotated, truncated or deleted. `now` only tells how
    /// far file times can be trusted. Costs one directory read per directory, one look per file, and 1.3 KB read per changed file.
    pub fn scan(&mut self, _now: WallTime) -> Vec<Notice> {
        unimplemented!()
    }

    /// Streams for which [`Follower::read`] has something, as of the last scan or read; by number.
    pub fn ready(&self) -> impl Iterator<Item = StreamId> {
        std::iter::empty()
    }

    /// Replaces `buffer` by the next bytes of the oldest unread source of `stream` and moves on behind them. `None` when there is
    /// nothing now; what went wrong is told by the next scan.
    pub fn read(&mut self, _stream: StreamId, _buffer: &mut Vec<u8>) -> Option<Read> {
        unimplemented!()
    }

    /// Where everything stands now, right behind the last byte that was handed out.
    #[must_use]
    pub fn positions(&self) -> Saved {
        unimplemented!()
    }

    /// The file behind a number; `None` when it was read to its end and deleted.
    #[must_use]
    pub fn source(&self, _source: SourceId) -> Option<&SourceInfo> {
        unimplemented!()
    }

    /// A snapshot that can read the records at `positions` again, on any thread.
    #[must_use]
    pub fn rereader(&self, positions: impl IntoIterator<Item = Position>) -> Rereader {
        Rereader::new(positions.into_iter().filter_map(|position| self.source(position.source).cloned()))
    }

    /// All streams, by number.
    pub fn streams(&self) -> impl Iterator<Item = StreamStatus<'_>> {
        std::iter::empty()
    }

    /// What was counted so far, over restarts too.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The directories that the last scan read, for [`crate::ingest::Waker::watch`].
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        std::iter::empty()
    }
}
