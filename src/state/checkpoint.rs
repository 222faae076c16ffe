//! Writes and reads checkpoints: versioned, checksummed, replaced as a whole; the previous one is kept and used when the newest is torn.
//!
//! A file is: magic, format version (u32), length of the content (u64), CRC-32 of the content (u32), all little-endian; then the
//! content in postcard. It is written under another name, synced, and renamed; then the directory is synced. So whenever the machine
//! stops, one complete checkpoint is there.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::limits::CHECKPOINT_BYTES_MAX;

/// A state directory that this process alone uses, for as long as the value lives.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    /// Held for its lock.
    lock: File,
}

/// A checkpoint as it was read.
#[derive(Debug)]
pub struct Loaded<T> {
    /// What was written.
    pub content: T,
    /// Why the newest checkpoint was passed over for the previous one; `None` when it was not.
    pub passed_over: Option<StateError>,
}

/// Why a state directory or a checkpoint cannot be used.
#[derive(Debug, Error)]
pub enum StateError {
    /// Another daemon has it.
    #[error(
        "state directory {path} is in use by another hdfs-vigil; stop that one, or give this one a state.directory of its own"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The system refused.
    #[error("failed to {action} {path}: {source}; the directory must be writable by the user that runs the daemon")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It was written by a newer program.
    #[error(
        "checkpoint {path} has format {found}, this program reads {FORMAT_VERSION}; run the newer hdfs-vigil, or move the file away to start afresh"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// It is not what was written.
    #[error("checkpoint {path} is damaged: {what}; move the state directory away to start afresh")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// In which way.
        what: String,
    },
}

impl StateDirectory {
    /// Takes the directory for this process and makes it when it is not there. True when it was made.
    ///
    /// # Errors
    /// When it cannot be made or written, or another process has it.
    pub fn open(path: &Path) -> Result<(Self, bool), StateError> {
        let made = !path.is_dir();
        fs::create_dir_all(path).map_err(|source| io_error("make", path, source))?;
        let lock_path = path.join(LOCK_NAME);
        let lock = File::options().create(true).write(true).truncate(false).open(&lock_path);
        let lock = lock.map_err(|source| io_error("open", &lock_path, source))?;
        match lock.try_lock() {
            Ok(()) => Ok((Self { path: path.to_owned(), lock }, made)),
            Err(TryLockError::WouldBlock) => Err(StateError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(io_error("lock", &lock_path, source)),
        }
    }

    /// Replaces the checkpoint; its size in bytes.
    ///
    /// # Errors
    /// When the system refuses. The checkpoint before it stays.
    pub fn write(&self, content: &impl Serialize) -> Result<u64, StateError> {
        let temporary = self.path.join(TEMPORARY_NAME);
        fs::create_dir_all(&self.path).map_err(|source| io_error("make", &self.path, source))?;
        let bytes = write_file(&temporary, content).map_err(|source| io_error("write", &temporary, source))?;
        replace(&temporary, &self.newest(), Some(&self.previous()))
            .map_err(|source| io_error("replace", &self.newest(), source))?;
        Ok(bytes)
    }

    /// Whether the lock is still the file that others would have to lock: not once the directory was removed or replaced, or the lock in it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let (held, there) = (self.lock.metadata().map(identity), fs::metadata(self.path.join(LOCK_NAME)).map(identity));
        match there {
            Ok(there) => held.is_ok_and(|held| held == there),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// Where the checkpoints are.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the newest complete checkpoint; `None` when there is none yet. A checkpoint is complete when `complete` can read what
    /// belongs to it too.
    ///
    /// # Errors
    /// When neither of the two can be read, or one is of a newer format.
    pub fn read<T: DeserializeOwned, U>(
        &self,
        complete: impl Fn(T) -> Result<U, StateError>,
    ) -> Result<Option<Loaded<U>>, StateError> {
        let read_file = |path: &Path| read_file(path)?.map(&complete).transpose();
        let newest = match read_file(&self.newest()) {
            Ok(Some(content)) => return Ok(Some(Loaded { content, passed_over: None })),
            Err(error @ StateError::Newer { .. }) => return Err(error),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        match (read_file(&self.previous()), newest) {
            (Ok(Some(content)), passed_over) => Ok(Some(Loaded { content, passed_over })),
            (Ok(None), None) => Ok(None),
            (Ok(None) | Err(_), Some(error)) | (Err(error), None) => Err(error),
        }
    }

    fn newest(&self) -> PathBuf {
        self.path.join(NEWEST_NAME)
    }

    fn previous(&self) -> PathBuf {
        self.path.join(PREVIOUS_NAME)
    }
}

/// Puts a complete file in the place of the newest one, which becomes the previous one where that is to give way. All are in one
/// directory.
pub(super) fn replace(complete: &Path, newest: &Path, previous: Option<&Path>) -> io::Result<()> {
    if let Some(previous) = previous.filter(|_| newest.exists()) {
        fs::rename(newest, previous)?;
    }
    fs::rename(complete, newest)?;
    let directory = newest.parent().expect("a file of the state directory is in it");
    File::open(directory)?.sync_all()
}

fn write_file(path: &Path, content: &impl Serialize) -> io::Result<u64> {
    let mut file = File::create(path)?;
    file.write_all(&[0; HEADER_BYTES])?;
    let counted = BufWriter::new(Counted { inner: file, hasher: crc32fast::Hasher::new(), length: 0 });
    let buffered = postcard::to_io(content, counted).map_err(io::Error::other)?;
    let Counted { inner: mut file, hasher, length } = buffered.into_inner()?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&header(length, hasher.finalize()))?;
    file.sync_all()?;
    Ok(length + HEADER_BYTES as u64)
}

fn header(length: u64, checksum: u32) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    header[12..20].copy_from_slice(&length.to_le_bytes());
    header[20..].copy_from_slice(&checksum.to_le_bytes());
    header
}

fn read_file<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StateError> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|source| io_error("open", path, source))?,
    };
    let mut bytes = Vec::new();
    let limit = CHECKPOINT_BYTES_MAX + 1;
    (&mut file).take(limit).read_to_end(&mut bytes).map_err(|source| io_error("read", path, source))?;
    let content = check(path, &bytes)?;
    postcard::from_bytes(content).map(Some).map_err(|error| damaged(path, error.to_string()))
}

/// The content of a checkpoint file after its header was found to be true.
fn check<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a [u8], StateError> {
    if bytes.len() < HEADER_BYTES {
        return Err(damaged(path, format!("it has {} bytes, a header has {HEADER_BYTES}", bytes.len())));
    }
    let (header, content) = bytes.split_at(HEADER_BYTES);
    let number = |range: std::ops::Range<usize>| header[range].iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    if &header[..8] != MAGIC {
        return Err(damaged(path, "it does not begin like a checkpoint".to_owned()));
    }
    let version = number(8..12) as u32;
    if version > FORMAT_VERSION {
        return Err(StateError::Newer { path: path.to_owned(), found: version });
    }
    if version < FORMAT_VERSION {
        return Err(damaged(path, format!("it is of an older hdfs-vigil, with format {version} instead of {FORMAT_VERSION}")));
    }
    if number(12..20) != content.len() as u64 {
        return Err(damaged(path, format!("it has {} bytes of content, its header says {}", content.len(), number(12..20))));
    }
    if number(20..24) != u64::from(crc32fast::hash(content)) {
        return Err(damaged(path, "its checksum does not fit its content".to_owned()));
    }
    Ok(content)
}

pub(super) fn io_error(action: &'static str, path: &Path, source: io::Error) -> StateError {
    StateError::Io { action, path: path.to_owned(), source }
}

pub(super) fn damaged(path: &Path, what: String) -> StateError {
    StateError::Damaged { path: path.to_owned(), what }
}

/// Counts and checksums what passes, so that the content is never in memory as a whole.
struct Counted<W> {
    inner: W,
    hasher: crc32fast::Hasher,
    length: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

const MAGIC: &[u8; 8] = b"HDFSVIGL";
/// Version of the files' layout; goes up with every change of what is kept.
const FORMAT_VERSION: u32 = 6;
const HEADER_BYTES: usize = 24;
const NEWEST_NAME: &str = "checkpoint";
const PREVIOUS_NAME: &str = "checkpoint.previous";
const TEMPORARY_NAME: &str = "checkpoint.new";
const LOCK_NAME: &str = "lock";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        check_after(|_| {}, Some((2, false)));
    }

    #[test]
    fn a_torn_checkpoint_gives_way_to_the_previous_one() {
        for cut in [0, 10, HEADER_BYTES, HEADER_BYTES + 1] {
            check_after(|path| truncate(&path.join(NEWEST_NAME), cut), Some((1, true)));
        }
    }

    #[test]
    fn a_garbled_byte_is_noticed_wherever_it_is() {
        for at in [0, 8, 9, 13, 21, HEADER_BYTES, HEADER_BYTES + 2] {
            check_after(|path| garble(&path.join(NEWEST_NAME), at), if at == 8 || at == 9 { None } else { Some((1, true)) });
        }
    }

    #[test]
    fn a_crash_between_the_renames_leaves_the_previous_one() {
        check_after(|path| fs::remove_file(path.join(NEWEST_NAME)).expect("it is there"), Some((1, false)));
    }

    #[test]
    fn an_empty_directory_has_no_checkpoint() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (state, made) = StateDirectory::open(&directory.path().join("new")).expect("it can be made");
        assert!(made);
        assert!(state.read(Ok::<Vec<u64>, _>).expect("nothing is no error").is_none());
    }

    #[test]
    fn a_second_daemon_is_refused() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let _first = StateDirectory::open(directory.path()).expect("the first one gets it");
        assert!(matches!(StateDirectory::open(directory.path()), Err(StateError::InUse { .. })));
    }

    #[test]
    fn a_directory_that_was_taken_away_is_noticed() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("state");
        let (state, _) = StateDirectory::open(&path).expect("it can be made");
        assert!(state.is_held());
        fs::remove_dir_all(&path).expect("it is there");
        assert!(!state.is_held());
        let (again, made) = StateDirectory::open(&path).expect("it can be made again");
        assert!(made && again.is_held() && !state.is_held());
    }

    #[test]
    fn both_damaged_is_an_error_that_says_so() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let state = written(directory.path());
        truncate(&directory.path().join(NEWEST_NAME), 3);
        truncate(&directory.path().join(PREVIOUS_NAME), 3);
        let error = state.read(Ok::<Vec<u64>, _>).expect_err("nothing can be read");
        assert!(error.to_string().contains("is damaged"), "{error}");
    }

    /// Writes two checkpoints, spoils something, and compares the first number read and whether the newest was passed over.
    /// `None` = refused as newer.
    fn check_after(spoil: impl Fn(&Path), expected: Option<(u64, bool)>) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let state = written(directory.path());
        spoil(directory.path());
        let read = state.read(Ok::<Vec<u64>, _>);
        match expected {
            Some(expected) => {
                let loaded = read.expect("one is whole").expect("there are two");
                assert_eq!((loaded.content[0], loaded.passed_over.is_some()), expected);
            }
            None => assert!(matches!(read, Err(StateError::Newer { .. }))),
        }
    }

    fn written(path: &Path) -> StateDirectory {
        let (state, _) = StateDirectory::open(path).expect("it can be used");
        for number in [1, 2] {
            state.write(&vec![number, 300, 70_000_u64]).expect("it can be written");
        }
        state
    }

    fn truncate(path: &Path, length: usize) {
        let file = File::options().write(true).open(path).expect("it is there");
        file.set_len(length as u64).expect("it can be cut");
    }

    fn garble(path: &Path, at: usize) {
        let mut bytes = fs::read(path).expect("it is there");
        bytes[at] ^= 0x55;
        fs::write(path, bytes).expect("it can be written");
    }
}
