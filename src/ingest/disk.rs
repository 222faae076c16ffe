//! What following logs asks of a file system, and the system's own answers. Simulations answer for themselves.

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{DirEntryExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Identity;

/// A file system.
pub trait Disk: Debug + Send + Sync {
    /// What is in a directory, in no order. Costs no look at the files themselves.
    ///
    /// # Errors
    /// When it cannot be listed, or not to its end.
    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>>;

    /// What there is to know of a file without opening it; of a symbolic link, of what it leads to.
    ///
    /// # Errors
    /// When there is none, or it cannot be looked at.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;

    /// The path without symbolic links in it.
    ///
    /// # Errors
    /// When there is nothing at its end.
    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf>;

    /// The directories whose paths match a glob. One that cannot be looked at is left out.
    fn directories(&self, glob: &str) -> Vec<PathBuf>;

    /// Opens a regular file for reading. Never blocks on what has become a FIFO meanwhile.
    ///
    /// # Errors
    /// When it cannot be opened or is no regular file.
    fn open(&self, path: &Path) -> io::Result<File>;
}

/// A file that is open for reading, and stays readable when it loses its name.
pub trait OpenFile: Debug + Send + Sync {
    /// What there is to know of it now.
    ///
    /// # Errors
    /// When the system fails.
    fn metadata(&self) -> io::Result<Metadata>;

    /// Fills as much of `buffer` from `offset` on as there is at once; 0 bytes at the end.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

/// An open file; the last clone to go closes it.
pub type File = Arc<dyn OpenFile>;

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: OsString,
    /// The inode it is a name of; of a symbolic link, that of the link.
    pub inode: u64,
    /// Whether it is a symbolic link.
    pub is_link: bool,
}

/// What a system knows of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Device and inode.
    pub identity: Identity,
    /// Bytes.
    pub size: u64,
    /// When it was last written, nanoseconds since the Unix epoch.
    pub modified_nanos: i64,
    /// What it is.
    pub kind: Kind,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A FIFO, socket or device.
    Other,
}

/// The file system of the host.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostDisk;

impl Disk for HostDisk {
    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        let entry = |entry: fs::DirEntry| Entry {
            name: entry.file_name(),
            inode: entry.ino(),
            is_link: entry.file_type().is_ok_and(|kind| kind.is_symlink()),
        };
        fs::read_dir(directory)?.map(|found| found.map(entry)).collect()
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        fs::metadata(path).map(|metadata| Metadata::from(&metadata))
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }

    fn directories(&self, glob: &str) -> Vec<PathBuf> {
        glob::glob(glob).map(|paths| paths.flatten().filter(|path| path.is_dir()).collect()).unwrap_or_default()
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
        if file.metadata()?.is_file() { Ok(Arc::new(file)) } else { Err(io::Error::other("it is no regular file any more")) }
    }
}

impl OpenFile for fs::File {
    fn metadata(&self) -> io::Result<Metadata> {
        self.metadata().map(|metadata| Metadata::from(&metadata))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }
}

impl From<&fs::Metadata> for Metadata {
    fn from(metadata: &fs::Metadata) -> Self {
        let kind = match metadata.file_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Directory,
            _ => Kind::Other,
        };
        Self {
            identity: Identity::from(metadata),
            size: metadata.len(),
            modified_nanos: metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec()),
            kind,
        }
    }
}

/// Reads an open file from one position on, whoever else reads it elsewhere.
#[derive(Clone, Debug)]
pub struct Cursor {
    file: File,
    position: u64,
}

impl Cursor {
    /// Begins at `position`.
    #[must_use]
    pub fn new(file: File, position: u64) -> Self {
        Self { file, position }
    }

    /// The file that it reads.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl io::Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

/// Up to `bytes` bytes of `file` from `offset` on; fewer only where the file ends.
///
/// # Errors
/// When the file cannot be read.
pub fn read_at(file: &File, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
    let mut buffer = Vec::new();
    read_into(file, offset, bytes, &mut buffer)?;
    Ok(buffer)
}

/// The same in place of what `buffer` held, whose memory is used again.
///
/// # Errors
/// When the file cannot be read; `buffer` is then empty.
pub fn read_into(file: &File, offset: u64, bytes: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.clear();
    buffer.resize(bytes, 0);
    let mut filled = 0;
    while filled < bytes {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                buffer.clear();
                return Err(error);
            }
        }
    }
    buffer.truncate(filled);
    Ok(())
}
