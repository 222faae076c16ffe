//! The state directory, which one process has to itself, and what can be wrong with it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A state directory that this process alone uses, for as long as the value lives.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    /// Held for its lock.
    lock: File,
}

/// Why a state directory, or what is in it, cannot be used.
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
        "state {path} has format {found}, this program reads {known}; run the newer hdfs-vigil, or move the state directory away to start afresh"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that is read.
        known: u32,
    },
    /// It was written by a program that was never released.
    #[error(
        "state {path} is of a version before the first release, which this one does not read; move the state directory away to start afresh"
    )]
    Older {
        /// The file.
        path: PathBuf,
    },
    /// It is not what was written.
    #[error("state {path} is damaged: {what}; move the state directory away to start afresh")]
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
        let lock = lock(path)?;
        Ok((Self { path: path.to_owned(), lock }, made))
    }

    /// Makes the directory again, and takes it again, if somebody has removed it. True when it was gone.
    ///
    /// # Errors
    /// As [`StateDirectory::open`].
    pub fn renew(&mut self) -> Result<bool, StateError> {
        let is_ours = |file: &File| {
            let ours = file.metadata().map(|metadata| (metadata.dev(), metadata.ino())).ok();
            let there = fs::metadata(self.path.join(LOCK_NAME)).map(|metadata| (metadata.dev(), metadata.ino())).ok();
            ours.is_some() && ours == there
        };
        if is_ours(&self.lock) {
            return Ok(false);
        }
        self.lock = lock(&self.path)?;
        Ok(true)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn lock(directory: &Path) -> Result<File, StateError> {
    fs::create_dir_all(directory).map_err(|source| io_error("make", directory, source))?;
    let path = directory.join(LOCK_NAME);
    let lock = File::options().create(true).write(true).truncate(false).open(&path);
    let lock = lock.map_err(|source| io_error("open", &path, source))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StateError::InUse { path: directory.to_owned() }),
        Err(TryLockError::Error(source)) => Err(io_error("lock", &path, source)),
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

pub(super) fn io_error(action: &'static str, path: &Path, source: io::Error) -> StateError {
    StateError::Io { action, path: path.to_owned(), source }
}

/// That a file is not what was written.
#[must_use]
pub fn damaged(path: &Path, what: impl Into<String>) -> StateError {
    StateError::Damaged { path: path.to_owned(), what: what.into() }
}

const LOCK_NAME: &str = "lock";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_where_it_is_not_there() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let path = parent.path().join("new");
        assert!(StateDirectory::open(&path).expect("it can be made").1);
        assert!(!StateDirectory::open(&path).expect("it is there").1);
    }

    #[test]
    fn a_second_daemon_is_refused() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let _first = StateDirectory::open(directory.path()).expect("the first one gets it");
        assert!(matches!(StateDirectory::open(directory.path()), Err(StateError::InUse { .. })));
    }

    #[test]
    fn one_that_was_removed_is_made_and_taken_again() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let path = parent.path().join("state");
        let (mut directory, _) = StateDirectory::open(&path).expect("it can be made");
        assert!(!directory.renew().expect("it is there"));
        fs::remove_dir_all(&path).expect("it can be removed");
        assert!(directory.renew().expect("it can be made again"));
        assert!(matches!(StateDirectory::open(&path), Err(StateError::InUse { .. })));
    }
}
