//! How a stream stands that is behind: what is unread, and which of its files rotation has to delete before what is unread goes.

use super::Follower;
use crate::ingest::source::Source;
use crate::ingest::streams::Stream;
use crate::pipeline::event::StreamId;

/// One stream, as the last scan found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its number.
    pub id: StreamId,
    /// Bytes that were not handed out, as in [`super::StreamStatus`].
    pub lag_bytes: u64,
    /// Files older than the oldest one with unread bytes: rotation deletes them first.
    pub files_before: u32,
    /// Whether that one has lost its name already, so that only an open descriptor still reads it.
    pub is_nameless: bool,
    /// Rotated files that are there.
    pub rotated: Rotated,
}

/// The rotated files of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotated {
    /// How many.
    pub files: u32,
    /// When the youngest and the oldest were last written, Unix milliseconds; 0 when there are none.
    pub last_written: (i64, i64),
}

impl Follower {
    /// How every stream stands, by number.
    pub fn standings(&self) -> impl Iterator<Item = Standing> {
        self.streams.iter().map(Standing::of)
    }
}

impl Standing {
    fn of(stream: &Stream) -> Self {
        let unread = stream.sources.iter().position(|source| source.lag_bytes() > 0);
        let before = &stream.sources[..unread.unwrap_or(0)];
        Self {
            id: stream.id,
            lag_bytes: stream.sources.iter().map(Source::lag_bytes).sum(),
            files_before: before.iter().filter(|source| source.is_present()).count() as u32,
            is_nameless: unread.is_some_and(|index| !stream.sources[index].is_present()),
            rotated: Rotated::of(stream),
        }
    }
}

impl Rotated {
    fn of(stream: &Stream) -> Self {
        let rotated = stream.sources.iter().filter(|source| source.is_present() && !source.is_live());
        let times = rotated.map(|source| source.modified_nanos / 1_000_000);
        times.fold(Self::default(), |Self { files, last_written: (youngest, oldest) }, time| Self {
            files: files + 1,
            last_written: if files == 0 { (time, time) } else { (youngest.max(time), oldest.min(time)) },
        })
    }
}
