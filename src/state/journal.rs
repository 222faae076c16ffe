//! Keeps what grows slowly as a journal beside the checkpoint: everything once, then what changed, so that a checkpoint costs what
//! changed.
//!
//! A checkpoint holds a [`Mark`]: which journal, how many bytes of it, and their checksum. Bytes behind a mark are no part of that
//! checkpoint and are written over after a restart. So the newest checkpoint and the previous one, which marks less of the same journal
//! or the journal before, can both be read whenever the machine stops. A journal is a header (magic, format version), then entries
//! (length as u32, content in postcard), all little-endian; the first entry is everything, and when the others have grown to more than
//! that, a new journal begins.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::limits::JOURNAL_BYTES_MAX;
use crate::state::checkpoint::{StateError, damaged, io_error};

/// What a checkpoint holds of a journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Number of the journal; 0 when there is none.
    number: u64,
    /// Bytes of it.
    bytes: u64,
    /// CRC-32 of these bytes.
    checksum: u32,
}

/// The journal of a state directory.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    /// What is on disk; the next checkpoint marks it.
    mark: Mark,
    /// What the checkpoint before marks: its journal is kept.
    marked: Mark,
    /// `None` when the next entry has to be everything.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    hasher: crc32fast::Hasher,
    /// Bytes of the header and of everything.
    base_bytes: u64,
}

impl Journal {
    /// A journal whose first entry has to be everything. `after` is what the checkpoint before marks, the default when there is none.
    #[must_use]
    pub fn new(directory: &Path, after: Mark) -> Self {
        Self { directory: directory.to_owned(), mark: after, marked: after, open: None }
    }

    /// Reads what a checkpoint marks, and goes on from there.
    ///
    /// # Errors
    /// When it cannot be read or is not what was written.
    pub fn read<T: DeserializeOwned>(directory: &Path, mark: Mark) -> Result<(Self, Vec<T>), StateError> {
        let mut journal = Self::new(directory, mark);
        if mark.number == 0 {
            return Ok((journal, Vec::new()));
        }
        let path = path(directory, mark.number);
        let open = |source| io_error("open", &path, source);
        let mut file = File::options().read(true).write(true).open(&path).map_err(open)?;
        let bytes = read_marked(&path, &mut file, mark)?;
        let entries = split(&bytes).ok_or_else(|| damaged(&path, "its entries do not fit its length".to_owned()))?;
        let base_bytes = (HEADER_BYTES + LENGTH_BYTES + entries.first().map_or(0, |base| base.len())) as u64;
        let decoded = entries.into_iter().map(postcard::from_bytes).collect::<Result<Vec<T>, _>>();
        let decoded = decoded.map_err(|error| damaged(&path, error.to_string()))?;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&bytes);
        journal.open = Some(Open { file, hasher, base_bytes });
        Ok((journal, decoded))
    }

    /// Whether the next entry has to be everything: nothing was written yet, the last try failed, somebody has taken the file away, or
    /// the changes have outgrown what they change.
    #[must_use]
    pub fn needs_everything(&self) -> bool {
        let outgrown = |open: &Open| self.mark.bytes > GROWTH_MAX * open.base_bytes + SMALL_BYTES;
        self.open.as_ref().is_none_or(outgrown) || !path(&self.directory, self.mark.number).exists()
    }

    /// Adds an entry and syncs it; `is_everything` begins a new journal with it.
    ///
    /// # Errors
    /// When the system refuses; the next entry then has to be everything.
    pub fn append(&mut self, entry: &impl Serialize, is_everything: bool) -> Result<(), StateError> {
        let going_on = self.open.take().filter(|_| !is_everything);
        let open = match going_on {
            Some(open) => open,
            None => self.begin().map_err(|source| io_error("make", &self.path(), source))?,
        };
        self.open = Some(self.add(open, entry).map_err(|source| io_error("write", &self.path(), source))?);
        Ok(())
    }

    /// What the next checkpoint has to hold.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// A checkpoint with [`Journal::mark`] was written: journals that neither it nor the one before needs are removed.
    pub fn settle(&mut self) {
        let before = std::mem::replace(&mut self.marked, self.mark);
        if before.number == self.mark.number {
            return;
        }
        let Ok(files) = fs::read_dir(&self.directory) else { return };
        for file in files.flatten() {
            let number = file.file_name().to_str().and_then(number_of);
            if number.is_some_and(|number| number != before.number && number != self.mark.number) {
                // One that stays is no harm: its number is tried again with the next journal.
                let _ = fs::remove_file(file.path());
            }
        }
    }

    fn path(&self) -> PathBuf {
        path(&self.directory, self.mark.number)
    }

    fn begin(&mut self) -> io::Result<Open> {
        self.mark.number = self.mark.number.max(self.marked.number) + 1;
        fs::create_dir_all(&self.directory)?;
        let mut file = File::create(self.path())?;
        file.write_all(&header())?;
        File::open(&self.directory)?.sync_all()?;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&header());
        self.mark.bytes = HEADER_BYTES as u64;
        Ok(Open { file, hasher, base_bytes: 0 })
    }

    fn add(&mut self, mut open: Open, entry: &impl Serialize) -> io::Result<Open> {
        let mut bytes = vec![0; LENGTH_BYTES];
        postcard::to_io(entry, &mut bytes).map_err(io::Error::other)?;
        let length = u32::try_from(bytes.len() - LENGTH_BYTES).map_err(io::Error::other)?;
        bytes[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
        open.file.seek(SeekFrom::Start(self.mark.bytes))?;
        open.file.write_all(&bytes)?;
        open.file.sync_data()?;
        open.hasher.update(&bytes);
        self.mark.bytes += bytes.len() as u64;
        self.mark.checksum = open.hasher.clone().finalize();
        if open.base_bytes == 0 {
            open.base_bytes = self.mark.bytes;
        }
        Ok(open)
    }
}

/// The bytes that a mark is of.
fn read_marked(path: &Path, file: &mut File, mark: Mark) -> Result<Vec<u8>, StateError> {
    if mark.bytes > JOURNAL_BYTES_MAX {
        return Err(damaged(path, format!("{} bytes of it are marked, at most {JOURNAL_BYTES_MAX} are written", mark.bytes)));
    }
    let mut bytes = Vec::new();
    file.take(mark.bytes).read_to_end(&mut bytes).map_err(|source| io_error("read", path, source))?;
    if bytes.len() as u64 != mark.bytes {
        return Err(damaged(path, format!("it has {} bytes, the checkpoint marks {}", bytes.len(), mark.bytes)));
    }
    if crc32fast::hash(&bytes) != mark.checksum {
        return Err(damaged(path, "its checksum is not the one that the checkpoint holds".to_owned()));
    }
    if !bytes.starts_with(&header()) {
        return Err(damaged(path, "it does not begin like a journal of this version".to_owned()));
    }
    Ok(bytes)
}

/// The entries behind the header; `None` when their lengths do not add up.
fn split(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut entries, mut rest) = (Vec::new(), bytes.get(HEADER_BYTES..)?);
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk::<LENGTH_BYTES>()?;
        let (entry, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        entries.push(entry);
        rest = behind;
    }
    Some(entries)
}

fn header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..MAGIC.len()].copy_from_slice(MAGIC);
    header[MAGIC.len()..].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    header
}

fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{NAME_BEFORE}{number}{NAME_AFTER}"))
}

fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix(NAME_BEFORE)?.strip_suffix(NAME_AFTER)?.parse().ok()
}

const MAGIC: &[u8; 8] = b"HDFSVJNL";
/// Version of the file's layout; goes up with every change of what is kept.
const FORMAT_VERSION: u32 = 2;
const HEADER_BYTES: usize = 12;
const LENGTH_BYTES: usize = 4;
const NAME_BEFORE: &str = "templates-";
const NAME_AFTER: &str = ".journal";

/// A journal is begun anew when it is so many times as long as everything was at its beginning, so that reading it back stays within a
/// few times what there is.
const GROWTH_MAX: u64 = 2;
/// Below this a journal is never begun anew.
const SMALL_BYTES: u64 = 64 * 1024;

#[cfg(test)]
mod tests;
