//! Reading: the next bytes of the oldest file of a log that is not read to its end.

use std::io;

use super::Follower;
use crate::ingest::reader::Reader;
use crate::ingest::source::Place;
use crate::ingest::streams::Slot;
use crate::ingest::{Fingerprint, Mode, Notice, Read};
use crate::pipeline::event::StreamId;

impl Follower {
    pub(super) fn read_current(&mut self, stream: StreamId, buffer: &mut Vec<u8>) -> Option<Read> {
        let (index, superseded) = self.streams.get(stream)?.current()?;
        let slot = Slot { stream, index };
        let source = self.streams.at(slot);
        let (id, offset) = (source.info.id, source.offset);
        if source.blocked {
            return None;
        }
        if !source.given_up {
            self.fill(slot, buffer);
        }
        let bytes = buffer.len();
        let source = self.streams.at(slot);
        let end_of_source = bytes == 0 && !source.blocked && source.is_caught_up() && source.ends(self.mode, superseded);
        if end_of_source {
            self.finish(slot);
        }
        self.counters.bytes += bytes as u64;
        (bytes > 0 || end_of_source).then_some(Read { stream, source: id, offset, bytes, end_of_source })
    }

    /// Fills `buffer` from the source in `slot`; blocks the source until the next scan when that fails.
    fn fill(&mut self, slot: Slot, buffer: &mut Vec<u8>) {
        let result = self.ensure_open(slot).and_then(|()| self.fill_from_open(slot, buffer));
        if let Err(error) = result {
            self.fail(slot, &error);
        }
    }

    fn ensure_open(&mut self, slot: Slot) -> io::Result<()> {
        let source = self.streams.at(slot);
        if self.descriptors.holds(source.info.id) {
            return Ok(());
        }
        let file = if source.is_present() {
            self.disk.open(&source.info.path)?
        } else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if file.metadata()?.identity != source.info.identity {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.descriptors.insert(source.info.id, Reader::new(file, source.codec)?);
        Ok(())
    }

    fn fill_from_open(&mut self, slot: Slot, buffer: &mut Vec<u8>) -> io::Result<()> {
        let (now_nanos, chunk_bytes) = (self.now_nanos, self.chunk_bytes);
        let source = self.streams.at_mut(slot);
        let reader = self.descriptors.get(source.info.id).expect("it was opened before");
        match reader {
            Reader::Packed(packed) => {
                *buffer = packed.read_from(source.offset, chunk_bytes)?;
                source.exhausted = buffer.is_empty();
                if !buffer.is_empty() {
                    source.failed_size = None;
                }
            }
            Reader::Plain(file) => source.read_plain(file, chunk_bytes, now_nanos, buffer)?,
        }
        if !buffer.is_empty() {
            source.advance(buffer);
        }
        Ok(())
    }

    /// Leaves a source that could not be read alone until the next scan; a compressed one that fails twice without having grown,
    /// and one that is to be read once only, is given up.
    fn fail(&mut self, slot: Slot, error: &io::Error) {
        let source = self.streams.at_mut(slot);
        source.blocked = true;
        source.moved = error.kind() == io::ErrorKind::NotFound;
        let is_broken = !source.moved && source.is_packed() && source.failed_size == Some(source.size);
        if !source.moved {
            source.failed_size = Some(source.size);
        }
        let path = source.info.path.clone();
        let is_hopeless = is_broken || (self.mode == Mode::Once && error.kind() != io::ErrorKind::NotFound);
        self.complain_of(&path, "read", error);
        if is_hopeless {
            self.give_up(slot);
            self.streams.at_mut(slot).blocked = false;
        }
    }

    fn finish(&mut self, slot: Slot) {
        let source = self.streams.at_mut(slot);
        source.finished = true;
        if !source.is_packed() && source.is_present() && source.size < source.offset {
            // What is left of it is a copy that had missed the last bytes.
            (source.offset, source.tail) = (source.size, Fingerprint::default());
        }
        let id = source.info.id;
        self.counters.finished_sources += 1;
        if matches!(source.place, Place::Missing { replaced: false, .. }) && !source.given_up {
            self.counters.deleted_sources += 1;
            self.complaints.tell(Notice::Deleted { source: id, path: source.info.path.clone() });
        }
        self.descriptors.close(id);
    }
}
