//! Open log files: plain ones read by offset, compressed ones decoded from their beginning, and no more of them than allowed.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufReader, Read};

use super::codec::{Codec, Decoder};
use super::disk::{Cursor, File, read_at};
use super::fingerprint::{HEAD_BYTES_MAX, TAIL_BYTES_MAX};
use crate::limits::DESCRIPTORS_MAX;
use crate::pipeline::event::SourceId;

/// One open file.
pub enum Reader {
    /// Read by offset.
    Plain(File),
    /// Decoded.
    Packed(Box<Packed>),
}

/// A compressed file and how far it was decoded.
pub struct Packed {
    decoder: Decoder<BufReader<Cursor>>,
    decoded: u64,
    /// The decoder reports an error once and an end ever after; the error must not pass for an end.
    failed: bool,
}

/// The open files of all sources. The one read longest ago is closed when there are too many; those whose file has no name any
/// more are closed last, since they cannot be opened again.
#[derive(Default)]
pub struct Descriptors {
    readers: HashMap<SourceId, (Turn, Reader)>,
    oldest_first: BTreeMap<Turn, SourceId>,
    turns: u64,
}

/// When a file was last read; kept ones sort behind all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    keep: bool,
    number: u64,
}

impl Reader {
    /// Reads `file` from its beginning, decoding it if there is a `codec`.
    ///
    /// # Errors
    /// When there is no memory for decoding.
    pub fn new(file: File, codec: Option<Codec>) -> io::Result<Self> {
        Ok(match codec {
            Some(codec) => Self::Packed(Box::new(Packed::new(file, codec)?)),
            None => Self::Plain(file),
        })
    }

    /// The file itself.
    #[must_use]
    pub fn file(&self) -> &File {
        match self {
            Self::Plain(file) => file,
            Self::Packed(packed) => packed.file(),
        }
    }

    /// Whether the last read of it ended where it cannot be decoded, or not yet.
    #[must_use]
    pub fn is_torn(&self) -> bool {
        matches!(self, Self::Packed(packed) if packed.failed)
    }

    /// Its first bytes, decoded, at most [`HEAD_BYTES_MAX`].
    ///
    /// # Errors
    /// When it cannot be read or decoded that far.
    pub fn head(&mut self) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain(file) => read_at(file, 0, HEAD_BYTES_MAX),
            Self::Packed(packed) => {
                packed.rewind()?;
                packed.read(HEAD_BYTES_MAX)
            }
        }
    }
}

impl Packed {
    fn new(file: File, codec: Codec) -> io::Result<Self> {
        let decoder = Decoder::new(codec, BufReader::new(Cursor::new(file, 0)))?;
        Ok(Self { decoder, decoded: 0, failed: false })
    }

    /// Up to `bytes_max` bytes from `offset` of what it decodes to; fewer only at its end. Going back costs decoding anew.
    ///
    /// # Errors
    /// When it cannot be read or decoded; what could be is returned first.
    pub fn read_from(&mut self, offset: u64, bytes_max: usize) -> io::Result<Vec<u8>> {
        self.skip_to(offset)?;
        self.read(bytes_max)
    }

    /// The last bytes before `offset`, at most [`TAIL_BYTES_MAX`].
    ///
    /// # Errors
    /// When it cannot be read or decoded; `InvalidInput` when it ends before `offset`.
    pub fn tail(&mut self, offset: u64) -> io::Result<Vec<u8>> {
        let start = offset.saturating_sub(TAIL_BYTES_MAX as u64);
        let tail = self.read_from(start, (offset - start) as usize)?;
        if tail.len() as u64 == offset - start { Ok(tail) } else { Err(beyond_end()) }
    }

    /// The decoder, from the beginning.
    ///
    /// # Errors
    /// When there is no memory for decoding.
    pub fn decoder(&mut self) -> io::Result<&mut (impl Read + use<>)> {
        self.rewind()?;
        // Whoever reads past us leaves us not knowing where we are.
        self.decoded = u64::MAX;
        Ok(&mut self.decoder)
    }

    fn skip_to(&mut self, offset: u64) -> io::Result<()> {
        if self.decoded > offset || self.failed {
            self.rewind()?;
        }
        self.decoded += io::copy(&mut (&mut self.decoder).take(offset - self.decoded), &mut io::sink())?;
        if self.decoded == offset { Ok(()) } else { Err(beyond_end()) }
    }

    fn read(&mut self, bytes_max: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(bytes_max);
        let result = (&mut self.decoder).take(bytes_max as u64).read_to_end(&mut bytes);
        self.decoded += bytes.len() as u64;
        self.failed = result.is_err();
        match result {
            Err(error) if bytes.is_empty() => Err(error),
            Ok(_) | Err(_) => Ok(bytes),
        }
    }

    fn rewind(&mut self) -> io::Result<()> {
        *self = Self::new(File::clone(self.file()), self.decoder.codec())?;
        Ok(())
    }

    fn file(&self) -> &File {
        self.decoder.get_ref().get_ref().file()
    }
}

impl Descriptors {
    /// The open file of `source`, which has its turn now.
    pub fn get(&mut self, source: SourceId) -> Option<&mut Reader> {
        let turn = self.next_turn();
        let (last, reader) = self.readers.get_mut(&source)?;
        self.oldest_first.remove(last);
        *last = Turn { keep: last.keep, ..turn };
        self.oldest_first.insert(*last, source);
        Some(reader)
    }

    /// Whether `source` is open.
    #[must_use]
    pub fn holds(&self, source: SourceId) -> bool {
        self.readers.contains_key(&source)
    }

    /// Holds the open file of `source`; closes another if there are too many.
    pub fn insert(&mut self, source: SourceId, reader: Reader) {
        self.close(source);
        while self.readers.len() >= DESCRIPTORS_MAX {
            let (_, oldest) = self.oldest_first.pop_first().expect("every open file has its turn");
            self.readers.remove(&oldest);
        }
        let turn = self.next_turn();
        self.oldest_first.insert(turn, source);
        self.readers.insert(source, (turn, reader));
    }

    /// Closes `source` last of all from now on, if it is open: its file has lost its name.
    pub fn keep(&mut self, source: SourceId) {
        if let Some((turn, _)) = self.readers.get_mut(&source) {
            self.oldest_first.remove(turn);
            turn.keep = true;
            self.oldest_first.insert(*turn, source);
        }
    }

    /// Closes `source` if it is open.
    pub fn close(&mut self, source: SourceId) {
        if let Some((turn, _)) = self.readers.remove(&source) {
            self.oldest_first.remove(&turn);
        }
    }

    fn next_turn(&mut self) -> Turn {
        self.turns += 1;
        Turn { keep: false, number: self.turns }
    }
}

fn beyond_end() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it ends before the position reached")
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::*;
    use crate::ingest::codec::tests::pack;

    #[test]
    fn no_more_files_are_open_than_allowed() {
        for (count, oldest_is_open) in [(DESCRIPTORS_MAX - 1, true), (DESCRIPTORS_MAX, true), (DESCRIPTORS_MAX + 1, false)] {
            let descriptors = open(count);
            assert_eq!(descriptors.readers.len(), count.min(DESCRIPTORS_MAX));
            assert_eq!(descriptors.oldest_first.len(), descriptors.readers.len());
            assert_eq!(descriptors.holds(SourceId(0)), oldest_is_open, "{count}");
        }
    }

    #[test]
    fn the_file_read_longest_ago_is_closed_and_one_without_a_name_last() {
        let mut descriptors = open(DESCRIPTORS_MAX);
        descriptors.keep(SourceId(0));
        assert!(descriptors.get(SourceId(1)).is_some());
        descriptors.insert(SourceId(u32::MAX), reader());
        assert!(descriptors.holds(SourceId(0)) && descriptors.holds(SourceId(1)) && !descriptors.holds(SourceId(2)));
    }

    #[test]
    fn a_compressed_file_is_read_from_any_offset() {
        for mut packed in packed(b"one\ntwo\nthree\n", 0) {
            for (offset, expected) in [(4, "two\n"), (8, "thre"), (0, "one\n"), (14, "")] {
                assert_eq!(packed.read_from(offset, 4).unwrap(), expected.as_bytes());
            }
            assert_eq!(packed.tail(8).unwrap(), b"one\ntwo\n");
            assert_eq!(packed.read_from(15, 1).unwrap_err().kind(), io::ErrorKind::InvalidInput);
            assert_eq!(packed.tail(15).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn a_torn_compressed_file_never_ends_quietly() {
        for mut packed in packed(b"one\ntwo\nthree\n", 4) {
            let mut offset = 0;
            let error = loop {
                match packed.read_from(offset, 4) {
                    Ok(bytes) => {
                        assert_ne!(bytes, b"", "a torn file must not end");
                        offset += bytes.len() as u64;
                    }
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
            assert!(packed.read_from(offset, 4).is_err());
        }
    }

    fn open(count: usize) -> Descriptors {
        let mut descriptors = Descriptors::default();
        for number in 0..count {
            descriptors.insert(SourceId(number as u32), reader());
        }
        descriptors
    }

    fn reader() -> Reader {
        Reader::new(Arc::new(tempfile::tempfile().unwrap()), None).unwrap()
    }

    /// A file of every codec that lacks its last `cut` bytes.
    fn packed(bytes: &[u8], cut: usize) -> [Packed; 2] {
        Codec::ALL.map(|codec| {
            let packed = pack(codec, bytes);
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&packed[..packed.len() - cut]).unwrap();
            Packed::new(Arc::new(file), codec).unwrap()
        })
    }
}
