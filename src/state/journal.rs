//! Keeps checkpoints as a journal: each one is what has changed since the one before, so that it costs what was said.
//!
//! The journal is a chain of *segments*, files of numbered names. A segment has a header and *entries*; an entry is a part of a
//! checkpoint, or the commit that completes it. A segment says behind which commit of which segment it goes on, and a commit says which
//! segment is its *base*: from there on the entries hold everything. So whatever is torn or garbled, the newest commit whose chain is
//! whole is the checkpoint.
//!
//! A segment is written under another name, synced, and renamed with its first commit; then the directory is synced. Once a commit has
//! another base than the one before, the segments before the former base are removed: the former chain stays as the previous
//! generation. All numbers are little-endian:
//!
//! | header | | entry | |
//! |---|---|---|---|
//! | magic | 8 bytes | length of the content | u32 |
//! | format version | u32 | CRC-32 of what follows | u32 |
//! | number of the segment | u64 | 0 part, 1 commit | u8 |
//! | behind which segment, 0 none | u64 | number of the commit | u64 |
//! | and which commit of it | u64 | its base | u64 |
//! | CRC-32 of the above | u32 | content | |
//!
//! The header is the same in every version, so that an unknown newer one is told from a garbled one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::limits::ENTRY_BYTES_MAX;
use crate::state::directory::{StateError, io_error};

mod read;
#[cfg(test)]
mod tests;

pub use read::{Entries, Found};

/// The journal of a state directory, to be written.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    /// What entries go to; `None` before the first and after a failure.
    segment: Option<Segment>,
    last: Option<Commit>,
    /// The base of the chain before the one of `last`: older segments are not needed.
    former_base: u64,
    next_segment: u64,
}

/// A commit on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Commit {
    segment: u64,
    number: u64,
    base: u64,
}

/// From which segment on a commit has everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// From that of the commit before.
    Former,
    /// From the segment that is being written.
    This,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    file: File,
    bytes: u64,
    /// Whether it has its name, which it gets with its first commit.
    is_named: bool,
    /// Where its last commit ends; 0 before the first.
    kept_bytes: u64,
}

impl Journal {
    /// Reads the journal of a directory: the newest whole checkpoint, if there is one, and the journal that goes on behind it.
    ///
    /// # Errors
    /// When it is of a format that this program does not read, the system refuses, or no checkpoint is whole.
    pub fn open(directory: &Path) -> Result<(Self, Option<Found>), StateError> {
        read::open(directory)
    }

    /// Begins a segment: the next entries go to it. One that was begun and has no commit is given up.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn begin(&mut self) -> Result<(), StateError> {
        self.give_up();
        let number = self.next_segment;
        let path = unnamed(&self.directory, number);
        let behind = self.last.map_or((0, 0), |last| (last.segment, last.number));
        let make = || {
            fs::create_dir_all(&self.directory)?;
            let mut file = File::create(&path)?;
            file.write_all(&header(number, behind))?;
            Ok(file)
        };
        let file = make().map_err(|source| io_error("make", &path, source))?;
        self.next_segment += 1;
        self.segment = Some(Segment { number, file, bytes: HEADER_BYTES as u64, is_named: false, kept_bytes: 0 });
        Ok(())
    }

    /// Whether there is a segment to write to.
    #[must_use]
    pub fn has_segment(&self) -> bool {
        self.segment.is_some()
    }

    /// Adds a part of the next checkpoint, and syncs it, so that the commit has little left to do. It is worth nothing before the commit.
    /// Bytes written.
    ///
    /// # Errors
    /// When the system refuses; a new segment has to be begun then.
    pub fn add_part(&mut self, content: &[u8]) -> Result<u64, StateError> {
        let bytes = self.write(0, 0, 0, content)?;
        self.with_segment("sync", |segment, _| segment.file.sync_data())?;
        Ok(bytes)
    }

    /// Adds the last part of a checkpoint, and syncs it: from now on it is the newest one. Bytes written.
    ///
    /// # Errors
    /// When the system refuses; the checkpoint before it stays, and a new segment has to be begun.
    pub fn commit(&mut self, content: &[u8], base: Base) -> Result<u64, StateError> {
        let segment = self.segment.as_ref().map_or(0, |segment| segment.number);
        let base = match (base, self.last) {
            (Base::Former, Some(last)) => last.base,
            (Base::This, _) | (Base::Former, None) => segment,
        };
        let number = self.last.map_or(1, |last| last.number + 1);
        let bytes = self.write(1, number, base, content)?;
        self.sync()?;
        match self.last.replace(Commit { segment, number, base }) {
            None => self.remove_before(self.former_base),
            Some(before) if before.base != base => {
                self.former_base = before.base;
                self.remove_before(before.base);
            }
            Some(_) => {}
        }
        Ok(bytes)
    }

    /// Whether the files of the newest checkpoint are where they were written.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let identity = |metadata: io::Result<fs::Metadata>| metadata.map(|m| (m.dev(), m.ino())).ok();
        let segment = self.segment.as_ref().is_none_or(|segment| {
            let path = if segment.is_named { path } else { unnamed };
            let there = identity(fs::metadata(path(&self.directory, segment.number)));
            there.is_some() && there == identity(segment.file.metadata())
        });
        let is_there = |last: Commit| path(&self.directory, last.base).exists() && path(&self.directory, last.segment).exists();
        segment && self.last.is_none_or(is_there)
    }

    /// Forgets the checkpoints on disk: the next commit must be everything. What is there stays until then.
    pub fn forget(&mut self) {
        self.give_up();
        self.former_base = self.last.map_or(self.former_base, |last| last.base);
        self.last = None;
    }

    /// Bytes of the base of the newest checkpoint, 0 when there is none.
    #[must_use]
    pub fn base_bytes(&self) -> u64 {
        let base = self.last.and_then(|last| fs::metadata(path(&self.directory, last.base)).ok());
        base.map_or(0, |metadata| metadata.len())
    }

    /// Bytes of all files of the journal.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let segments = segments(&self.directory).unwrap_or_default().into_iter().map(|number| path(&self.directory, number));
        let named: u64 = segments.filter_map(|path| fs::metadata(path).ok()).map(|metadata| metadata.len()).sum();
        named + self.segment.as_ref().filter(|segment| !segment.is_named).map_or(0, |segment| segment.bytes)
    }

    fn write(&mut self, kind: u8, commit: u64, base: u64, content: &[u8]) -> Result<u64, StateError> {
        let bytes = (ENTRY_HEADER_BYTES + content.len()) as u64;
        self.with_segment("write", |segment, _| {
            segment.bytes += bytes;
            let header = entry_header(kind, commit, base, content)?;
            segment.file.write_all(&header)?;
            segment.file.write_all(content)
        })?;
        Ok(bytes)
    }

    /// Makes the commit that was written last for good.
    fn sync(&mut self) -> Result<(), StateError> {
        self.with_segment("sync", |segment, directory| {
            segment.file.sync_data()?;
            if !segment.is_named {
                fs::rename(unnamed(directory, segment.number), path(directory, segment.number))?;
                segment.is_named = true;
                File::open(directory)?.sync_all()?;
            }
            segment.kept_bytes = segment.bytes;
            Ok(())
        })
    }

    /// Does something with the segment. When it goes wrong nobody knows what is in it, and it is given up.
    fn with_segment(
        &mut self,
        action: &'static str,
        act: impl FnOnce(&mut Segment, &Path) -> io::Result<()>,
    ) -> Result<(), StateError> {
        let directory = self.directory.clone();
        let Some(segment) = &mut self.segment else {
            let none = io::Error::new(io::ErrorKind::NotFound, "no segment was begun");
            return Err(io_error(action, &directory, none));
        };
        let Err(source) = act(segment, &directory) else { return Ok(()) };
        let path = if segment.is_named { path } else { unnamed }(&directory, segment.number);
        self.give_up();
        Err(io_error(action, &path, source))
    }

    /// Writes to the segment no more. What is behind its last commit is worth nothing, and may be what fills the disk. What cannot be removed
    /// is no harm: a segment without a commit is passed over.
    fn give_up(&mut self) {
        let Some(segment) = self.segment.take() else { return };
        if segment.kept_bytes == 0 {
            let _ = fs::remove_file(unnamed(&self.directory, segment.number));
            let _ = fs::remove_file(path(&self.directory, segment.number));
        } else if segment.bytes > segment.kept_bytes {
            let _ = segment.file.set_len(segment.kept_bytes);
        }
    }

    /// Lets everything that is written from now on fail, as a full disk does.
    #[cfg(test)]
    pub(crate) fn fill_disk(&mut self) {
        let segment = self.segment.as_mut().expect("a segment was begun");
        segment.file = File::options().write(true).open("/dev/full").expect("it is there");
    }

    fn remove_before(&self, base: u64) {
        let old = segments(&self.directory).unwrap_or_default().into_iter().filter(|number| *number < base);
        for number in old {
            // One that stays is no harm: it is tried again with the next base.
            let _ = fs::remove_file(path(&self.directory, number));
        }
    }
}

fn header(number: u64, (segment, commit): (u64, u64)) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    for (at, number) in [(12, number), (20, segment), (28, commit)] {
        header[at..at + 8].copy_from_slice(&number.to_le_bytes());
    }
    let checksum = crc32fast::hash(&header[..36]);
    header[36..].copy_from_slice(&checksum.to_le_bytes());
    header
}

fn entry_header(kind: u8, commit: u64, base: u64, content: &[u8]) -> io::Result<[u8; ENTRY_HEADER_BYTES]> {
    let length = u32::try_from(content.len()).ok().filter(|length| *length <= ENTRY_BYTES_MAX);
    let length = length.ok_or_else(|| {
        let message = format!("an entry of {} bytes is more than {ENTRY_BYTES_MAX}", content.len());
        io::Error::new(io::ErrorKind::InvalidData, message)
    })?;
    let mut header = [0; ENTRY_HEADER_BYTES];
    header[..4].copy_from_slice(&length.to_le_bytes());
    header[8] = kind;
    header[9..17].copy_from_slice(&commit.to_le_bytes());
    header[17..].copy_from_slice(&base.to_le_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[8..]);
    hasher.update(content);
    header[4..8].copy_from_slice(&hasher.finalize().to_le_bytes());
    Ok(header)
}

/// The numbers of all segments, in order.
fn segments(directory: &Path) -> io::Result<Vec<u64>> {
    let mut numbers: Vec<u64> = names(directory)?.iter().filter_map(|name| number_of(name, NAME_AFTER)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{NAME_BEFORE}{number:08}{NAME_AFTER}"))
}

/// Where a segment is before its first commit.
fn unnamed(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{NAME_BEFORE}{number:08}{UNNAMED_AFTER}"))
}

fn number_of(name: &str, after: &str) -> Option<u64> {
    name.strip_prefix(NAME_BEFORE)?.strip_suffix(after)?.parse().ok()
}

const MAGIC: &[u8; 8] = b"HDFSVJNL";
/// Version of the files' layout and of what is kept; goes up with every change of either.
pub const FORMAT_VERSION: u32 = 7;
const HEADER_BYTES: usize = 40;
const ENTRY_HEADER_BYTES: usize = 25;
const NAME_BEFORE: &str = "state-";
const NAME_AFTER: &str = ".journal";
const UNNAMED_AFTER: &str = ".journal.new";
