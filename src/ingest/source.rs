//! One log file as it is followed: what is known of it, and whether it still is the file it was.

use std::io;

use super::codec::Codec;
use super::discover::Found;
use super::disk::{File, Metadata, read_at, read_into};
use super::fingerprint::{HEAD_BYTES_MAX, TAIL_BYTES_MAX};
use super::name::{self, Rank};
use super::reader::Reader;
use super::{Fingerprint, Mode, SavedSource, SourceInfo};

/// One file of a stream.
///
/// It is *readable* while it has a place or an open descriptor. It ends, once, when [`Source::ends`] says so at its last byte;
/// from then on it is `finished` and is kept only so that it is not taken for a new file.
#[derive(Debug)]
pub struct Source {
    /// What it is.
    pub info: SourceInfo,
    /// Hash of the last bytes before `offset`.
    pub tail: Fingerprint,
    /// Bytes handed out; decoded ones if compressed.
    pub offset: u64,
    /// Its end has been handed out, or it was never to be read.
    pub finished: bool,
    /// Its age in the stream when it last had a name.
    pub rank: Rank,
    /// How it is compressed, if it is.
    pub codec: Option<Codec>,
    /// Bytes on disk when last looked at.
    pub size: u64,
    /// When it was last written, as of then.
    pub modified_nanos: i64,
    /// Its content was looked at long enough after that for a later write to show in `modified_nanos`.
    pub settled: bool,
    /// Where it is.
    pub place: Place,
    /// This scan looked for it and did not find it, rather than not being able to look.
    pub missed: bool,
    /// It was seen since this process began.
    pub seen: bool,
    /// `size` at the last scan.
    pub scanned_size: u64,
    /// Scans in a row that found a newer file, or this one gone, and nothing more in this one.
    pub quiet_scans: u8,
    /// Compressed, and decoded to its end.
    pub exhausted: bool,
    /// Reading failed; not before the next scan again.
    pub blocked: bool,
    /// That was because it was no longer where the scan had seen it.
    pub moved: bool,
    /// Decoding failed when it had this size.
    pub failed_size: Option<u64>,
    /// It cannot be found or decoded, so that its end is wherever reading stands.
    pub given_up: bool,
}

/// Where a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At its path.
    Present,
    /// At no known path, for so many scans. A directory read during a rename may miss a file, so one scan proves nothing.
    Missing {
        /// Scans in a row.
        scans: u8,
        /// Its inode holds another file by now.
        replaced: bool,
    },
}

/// Whether a file is the one it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It begins as it did; this is its fingerprint now.
    Same(Fingerprint),
    /// It holds something else.
    Other,
}

impl Source {
    /// A file found just now, to be read from `offset` on.
    #[must_use]
    pub fn new(info: SourceInfo, found: &Found, offset: u64, finished: bool) -> Self {
        Self {
            offset,
            finished,
            size: found.size,
            modified_nanos: found.modified_nanos,
            place: Place::Present,
            seen: true,
            ..Self::unseen(info, found.rank.clone(), found.codec)
        }
    }

    /// A file known from before a restart, to be found again by the next scan.
    #[must_use]
    pub fn restored(saved: SavedSource) -> Self {
        let name = saved.info.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = name::parse(name);
        let (rank, codec) = (name.rank, name.packing.codec());
        Self {
            tail: saved.tail,
            offset: saved.offset,
            finished: saved.finished,
            size: saved.offset,
            ..Self::unseen(saved.info, rank, codec)
        }
    }

    /// A file of which nothing is known but what it is.
    fn unseen(info: SourceInfo, rank: Rank, codec: Option<Codec>) -> Self {
        Self {
            info,
            tail: Fingerprint::default(),
            offset: 0,
            finished: false,
            rank,
            codec,
            size: 0,
            modified_nanos: 0,
            settled: false,
            place: Place::Missing { scans: 0, replaced: false },
            missed: false,
            seen: false,
            scanned_size: 0,
            quiet_scans: 0,
            exhausted: false,
            blocked: false,
            moved: false,
            failed_size: None,
            given_up: false,
        }
    }

    /// What a restart must know of it.
    #[must_use]
    pub fn saved(&self) -> SavedSource {
        SavedSource { info: self.info.clone(), tail: self.tail, offset: self.offset, finished: self.finished }
    }

    /// Whether it is at its path.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.place == Place::Present
    }

    /// Whether it is compressed.
    #[must_use]
    pub fn is_packed(&self) -> bool {
        self.codec.is_some()
    }

    /// Whether it is the file that its writer writes to, as far as the name tells.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.rank == Rank::Live && self.codec.is_none()
    }

    /// Sort key among the files of its stream, oldest first. A compressed file is older than the plain one of the same name.
    #[must_use]
    pub fn age(&self) -> (&Rank, bool) {
        (&self.rank, self.codec.is_none())
    }

    /// Bytes that were there at the last look and were not handed out; a compressed file counts whole until it is read.
    #[must_use]
    pub fn lag_bytes(&self) -> u64 {
        match (self.finished || self.given_up, self.is_packed()) {
            (true, _) => 0,
            (false, true) => {
                if self.exhausted {
                    0
                } else {
                    self.size
                }
            }
            (false, false) => self.size.saturating_sub(self.offset),
        }
    }

    /// Whether all that is there has been handed out.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.given_up || if self.is_packed() { self.exhausted } else { self.offset >= self.size }
    }

    /// Whether nothing more will come, once all that is there has been handed out. `superseded`: a newer file has appeared.
    #[must_use]
    pub fn ends(&self, mode: Mode, superseded: bool) -> bool {
        let is_over = superseded || !self.is_present();
        self.given_up || self.is_packed() || mode == Mode::Once || (is_over && self.quiet_scans >= QUIET_SCANS_MIN)
    }

    /// Whether it goes on after its end: its writer did not know that it was renamed, or it was moved away and back. A compressed one does
    /// not.
    #[must_use]
    pub fn goes_on(&mut self) -> bool {
        let goes_on = self.finished && !self.is_packed() && self.size > self.offset;
        if goes_on {
            (self.finished, self.given_up, self.quiet_scans) = (false, false, 0);
        }
        goes_on
    }

    /// Counts this scan among the quiet ones, or begins to count anew.
    pub fn count_quiet(&mut self, superseded: bool) {
        let is_over = superseded || !self.is_present();
        let is_quiet = is_over && self.size == self.scanned_size;
        self.quiet_scans = if is_quiet { self.quiet_scans.saturating_add(1) } else { 0 };
        self.scanned_size = self.size;
    }

    /// Counts this scan among those that did not find it.
    pub fn count_missing(&mut self) {
        if let (true, Place::Missing { scans, .. }) = (std::mem::take(&mut self.missed), &mut self.place) {
            *scans = scans.saturating_add(1);
        }
    }

    /// Whether the last look at the content still holds, going by what the system says of the file now.
    #[must_use]
    pub fn is_unchanged(&self, size: u64, modified_nanos: i64) -> bool {
        self.seen && self.settled && self.size == size && self.modified_nanos == modified_nanos
    }

    /// Takes down what a look at the content found. `now_nanos` is the time of the last scan, at or before the look.
    pub fn note_look(&mut self, head: Fingerprint, size: u64, modified_nanos: i64, now_nanos: i64) {
        self.info.head = head;
        self.size = size;
        self.modified_nanos = modified_nanos;
        self.settled = is_settled(modified_nanos, now_nanos);
    }

    /// Whether device and inode alone would have to prove that `found` is this file: it was empty, and its name has changed since, or
    /// how it is compressed. Then it is not, which costs nothing, while a new file on a used inode, taken for an old one, would be read in
    /// the wrong order.
    #[must_use]
    pub fn is_too_little_known(&self, found: &Found) -> bool {
        self.info.head.bytes == 0 && (self.info.path != found.path || self.codec != found.codec)
    }

    /// Looks whether a plain file of `size` bytes still is this one: its first bytes, those before the position, its length.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn look(&self, file: &File, size: u64) -> io::Result<Look> {
        if size < self.offset {
            return Ok(Look::Other);
        }
        let head = read_at(file, 0, HEAD_BYTES_MAX)?;
        if self.info.head.begins(&head) && self.tail.ends_at(file, self.offset)? {
            Ok(Look::Same(Fingerprint::of_head(&head)))
        } else {
            Ok(Look::Other)
        }
    }

    /// Looks whether a file that was just found and opened may be this one. One that has shrunk since is not: of a file that was empty
    /// before, nothing else tells. Nor is one with bytes in it, if this one has ended without any: it would be taken for read.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn look_at_found(&self, reader: &mut Reader, found: &Found) -> io::Result<Look> {
        let look = if found.codec.is_none() {
            let has_shrunk = reader.file().metadata()?.size < found.size;
            if has_shrunk { Look::Other } else { self.look(reader.file(), found.size)? }
        } else {
            let head = reader.head()?;
            if self.info.head.begins(&head) { Look::Same(Fingerprint::of_head(&head)) } else { Look::Other }
        };
        let ended_empty = self.finished && self.info.head.bytes == 0;
        let has_bytes = matches!(look, Look::Same(head) if head.bytes > 0);
        Ok(if ended_empty && has_bytes { Look::Other } else { look })
    }

    /// Replaces `buffer` by the next bytes of a plain file, `bytes_max` at most. Whether it is this one is looked at before and again
    /// afterwards: what is read of a log that is truncated and written to meanwhile belongs to another one.
    ///
    /// # Errors
    /// When it cannot be read; `NotFound` when it holds something else by now, and the next scan finds out what happened. `buffer` is
    /// empty then.
    pub fn read_plain(&mut self, file: &File, bytes_max: usize, now_nanos: i64, buffer: &mut Vec<u8>) -> io::Result<()> {
        self.look_if_changed(file, now_nanos)?;
        let size = self.size;
        read_into(file, self.offset, (size - self.offset).min(bytes_max as u64) as usize, buffer)?;
        let looked = self.look_if_changed(file, now_nanos);
        // One that has shrunk was written anew, whatever it begins with.
        let looked = if self.size < size { looked.and(Err(io::ErrorKind::NotFound.into())) } else { looked };
        looked.inspect_err(|_| buffer.clear())
    }

    /// Looks at a plain file that is open, unless what the system says of it shows that nothing has changed since the last look.
    fn look_if_changed(&mut self, file: &File, now_nanos: i64) -> io::Result<()> {
        let Metadata { size, modified_nanos, .. } = file.metadata()?;
        if self.is_unchanged(size, modified_nanos) {
            return Ok(());
        }
        match self.look(file, size)? {
            Look::Same(head) => self.note_look(head, size, modified_nanos, now_nanos),
            Look::Other => return Err(io::ErrorKind::NotFound.into()),
        }
        Ok(())
    }

    /// Moves on behind `bytes`, which were handed out.
    pub fn advance(&mut self, bytes: &[u8]) {
        self.offset += bytes.len() as u64;
        self.tail = Fingerprint::of_tail(bytes);
    }

    /// Remembers what stands before the position it begins at.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn remember_tail(&mut self, file: &File) -> io::Result<()> {
        let start = self.offset.saturating_sub(TAIL_BYTES_MAX as u64);
        self.tail = Fingerprint::of_tail(&read_at(file, start, (self.offset - start) as usize)?);
        Ok(())
    }

    /// Lets the source go on in `found`, which holds the same bytes.
    pub fn move_to(&mut self, found: &Found) {
        self.info.path.clone_from(&found.path);
        self.info.identity = found.identity;
        self.rank = found.rank.clone();
        self.codec = found.codec;
        self.size = found.size;
        self.modified_nanos = found.modified_nanos;
        self.settled = false;
        self.place = Place::Present;
        self.seen = true;
        self.quiet_scans = 0;
        self.exhausted = false;
        self.failed_size = None;
    }
}

/// Whether a write from now on would show in the time of a file that was last written at `modified_nanos`.
#[must_use]
pub fn is_settled(modified_nanos: i64, now_nanos: i64) -> bool {
    modified_nanos.saturating_add(FILE_TIME_STEP_NANOS) < now_nanos
}

/// Scans that must find a rotated file unchanged before it ends: its writer may still add the lines it had in hand.
const QUIET_SCANS_MIN: u8 = 2;

/// Two writes closer than this may leave the same file time: Linux stamps by the tick (4 ms), old and network file systems by the
/// second or two (ext3, HFS+, FAT).
const FILE_TIME_STEP_NANOS: i64 = 2_000_000_000;
