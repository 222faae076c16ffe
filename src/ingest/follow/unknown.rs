//! The scan: files that are not known, which are new ones, copies of known ones, or what known ones have become.

use std::collections::HashMap;
use std::io::{self, BufReader};

use super::Follower;
use crate::ingest::discover::Found;
use crate::ingest::disk::File;
use crate::ingest::fingerprint::HEAD_BYTES_MAX;
use crate::ingest::kin::{self, Kin};
use crate::ingest::name::Rank;
use crate::ingest::reader::Reader;
use crate::ingest::source::{Source, is_settled};
use crate::ingest::streams::Slot;
use crate::ingest::{Fingerprint, Mode, Notice, SourceInfo, StartAt, start};
use crate::limits::SOURCES_MAX;
use crate::pipeline::event::SourceId;

impl Follower {
    /// Takes up files that are no known sources, originals before what may be their copies. Returns whether one was renamed
    /// meanwhile: it may be older than those taken up, and has to be found before any of them is read.
    pub(super) fn take_up(&mut self, mut unknown: Vec<Found>) -> bool {
        let mut is_renamed = false;
        unknown.sort_by_key(|found| (found.codec, found.rank != Rank::Live));
        let mut copies = HashMap::new();
        for found in unknown {
            // An empty rotated file is a copy that has not begun, or nothing at all.
            if found.size == 0 && found.rank != Rank::Live {
                continue;
            }
            if let Some(copied) = self.copies.get(&found.identity).filter(|copied| self.is_copied(copied, &found)) {
                copies.insert(found.identity, *copied);
                continue;
            }
            if self.streams.named(&found.stream).is_some_and(|stream| self.moved.contains(&stream.id)) {
                is_renamed = true;
                continue;
            }
            match self.take_up_one(&found) {
                Ok(Some(copied)) => drop(copies.insert(found.identity, copied)),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => is_renamed = true,
                Err(error) if self.is_being_compressed(&found, &error) => {}
                Err(error) => {
                    if !self.started && self.late.len() < SOURCES_MAX {
                        self.late.insert(found.identity);
                    }
                    self.complain_of(&found.path, "open", &error);
                }
            }
        }
        self.copies = copies;
        is_renamed
    }

    /// Whether `found` cannot be decoded because its writer has only begun it: it is looked at again by the next scan.
    pub(super) fn is_being_compressed(&self, found: &Found, error: &io::Error) -> bool {
        self.mode == Mode::Follow
            && error.kind() == io::ErrorKind::UnexpectedEof
            && !is_settled(found.modified_nanos, self.now_nanos)
    }

    /// Whether `found` is known as a copy of a source that is still there, and has not changed since that was found out.
    fn is_copied(&self, copied: &Copied, found: &Found) -> bool {
        let is_there = |source: &Source| source.is_present() || self.descriptors.holds(source.info.id);
        copied.size == found.size
            && copied.modified_nanos == found.modified_nanos
            && self.streams.source(copied.original).is_some_and(is_there)
    }

    fn take_up_one(&mut self, found: &Found) -> io::Result<Option<Copied>> {
        let mut reader = self.open_found(found)?;
        if found.codec.is_none() && reader.file().metadata()?.size < found.size {
            // What it held may be in a copy, which is older than what it holds now and has to be found first.
            self.note_truncated(&found.path);
            return Err(io::ErrorKind::NotFound.into());
        }
        let kin = match self.streams.named(&found.stream) {
            Some(stream) => kin::recognise(stream, found, &mut reader, &mut self.descriptors, &*self.disk)?,
            None => Kin::Stranger,
        };
        let slot =
            |index| Slot { stream: self.streams.named(&found.stream).expect("kin is of a stream that is there").id, index };
        match kin {
            Kin::Copy(original) => {
                return Ok(Some(Copied { original, size: found.size, modified_nanos: found.modified_nanos }));
            }
            Kin::Unsure => {}
            Kin::Heir(index) => self.inherit(slot(index), found, false),
            Kin::Spent(index) => self.inherit(slot(index), found, true),
            // Copied in this moment: what it was when its head was read says nothing of whose copy it is.
            Kin::Stranger if is_short_copy(found) && reader.file().metadata()?.size != found.size => {
                return Err(io::ErrorKind::NotFound.into());
            }
            Kin::Stranger => self.welcome(found, reader)?,
        }
        Ok(None)
    }

    /// Lets the source in `slot` go on in `found`, or end there if it `is_spent`.
    fn inherit(&mut self, slot: Slot, found: &Found, is_spent: bool) {
        let source = self.streams.at_mut(slot);
        let notice = Notice::Copied { source: source.info.id, from: source.info.path.clone(), to: found.path.clone() };
        source.move_to(found);
        source.given_up = is_spent;
        self.streams.put_behind_older(slot);
        self.counters.copied_sources += 1;
        self.complaints.tell(notice);
    }

    /// Adds a source for a file that is nobody's copy.
    fn welcome(&mut self, found: &Found, mut reader: Reader) -> io::Result<()> {
        let head = Fingerprint::of_head(&reader.head()?);
        let (offset, finished) = self.begin(found, &mut reader)?;
        let numbers = self.streams.stream_for(&found.stream).and_then(|stream| Ok((stream, self.streams.next_source()?)));
        let (stream, id) = match numbers {
            Ok(numbers) => numbers,
            Err(reason) => {
                self.complain(Notice::Refused { path: found.path.clone(), reason });
                return Ok(());
            }
        };
        let info = SourceInfo { id, stream, path: found.path.clone(), identity: found.identity, head };
        let mut source = Source::new(info, found, offset, finished);
        if let Reader::Plain(file) = &reader {
            source.remember_tail(file)?;
        }
        self.late.remove(&found.identity);
        self.streams.add(source);
        if !finished {
            self.counters.opened_sources += 1;
            self.complaints.tell(Notice::Opened { source: id, path: found.path.clone(), offset });
        }
        Ok(())
    }

    /// Where to begin in a new file, and whether that is already the end of it.
    fn begin(&self, found: &Found, reader: &mut Reader) -> io::Result<(u64, bool)> {
        let was_there_first = !self.started || self.late.contains(&found.identity);
        let is_live = found.rank == Rank::Live && found.codec.is_none();
        let end = |file: &File| {
            if is_live { start::last_line(file, found.size).map(|offset| (offset, false)) } else { Ok((found.size, true)) }
        };
        match (self.start_at, reader) {
            _ if !was_there_first => Ok((0, false)),
            (StartAt::Beginning, _) => Ok((0, false)),
            (StartAt::End, reader) => end(reader.file()),
            (StartAt::Since { wall_time, .. }, reader) if found.modified_nanos < wall_time.0.saturating_mul(1_000_000) => {
                end(reader.file())
            }
            (StartAt::Since { log_time, .. }, Reader::Plain(file)) => {
                let offset = start::first_since(file, found.size, log_time, &self.read_time)?;
                if offset == found.size { end(file) } else { Ok((offset, false)) }
            }
            (StartAt::Since { log_time, .. }, Reader::Packed(packed)) => {
                let offset = start::first_since_in_stream(BufReader::new(packed.decoder()?), log_time, &self.read_time)?;
                Ok(offset.map_or((found.size, true), |offset| (offset, false)))
            }
        }
    }
}

/// A copy of a source, as it was when it was found to be one.
#[derive(Clone, Copy, Debug)]
pub struct Copied {
    original: SourceId,
    size: u64,
    modified_nanos: i64,
}

/// Whether a file may be a copy that is shorter than what is known of the head of its log.
fn is_short_copy(found: &Found) -> bool {
    found.rank != Rank::Live && found.codec.is_none() && found.size < HEAD_BYTES_MAX as u64
}
