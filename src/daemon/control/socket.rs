//! The control socket as a file: of mode 0660 from its first moment, in nobody's way, and gone when the daemon is.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::process::umask;
use thiserror::Error;
use tracing::warn;

use crate::limits::SOCKET_PATH_BYTES_MAX;

/// A socket that listens; its file goes when the value does.
#[derive(Debug)]
pub struct Socket {
    listener: Option<UnixListener>,
    path: PathBuf,
    /// Of the file, so that no other one is removed.
    identity: Identity,
}

/// Device and inode of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(u64, u64);

impl Identity {
    /// Of what is at `path` now, links not followed; `None` when nothing is.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        fs::symlink_metadata(path).ok().map(|found| Self(found.dev(), found.ino()))
    }
}

/// Why there is no socket.
#[derive(Debug, Error)]
pub enum SocketError {
    /// The system has no room for the path.
    #[error(
        "control socket {} has a path of {} bytes, must have at most {SOCKET_PATH_BYTES_MAX}; set control.socket to a shorter one, or to \"\" for none", .0.display(), .0.as_os_str().len()
    )]
    TooLong(PathBuf),
    /// Another daemon has it.
    #[error(
        "control socket {} is in use: somebody answers there; stop that daemon, or give this one a control.socket of its own", .0.display()
    )]
    InUse(PathBuf),
    /// Something else is there.
    #[error("control socket {} cannot be made: what is there is no socket; move it away, or set control.socket to another path", .0.display())]
    NoSocket(PathBuf),
    /// The system refused.
    #[error(
        "failed to {action} control socket {}: {source}; its directory must be there and writable by the user that runs the daemon, or set control.socket to another path or to \"\" for none", path.display()
    )]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Socket {
    /// Makes the socket at `path` and listens. A socket that is left there by a crash is removed: where `is_ours`, without asking, since
    /// the directory is locked by this daemon; elsewhere when nobody answers on it.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub fn bind(path: &Path, is_ours: bool) -> Result<Self, SocketError> {
        if path.as_os_str().as_bytes().len() > SOCKET_PATH_BYTES_MAX {
            return Err(SocketError::TooLong(path.to_owned()));
        }
        let failed = |action| move |source| SocketError::Io { action, path: path.to_owned(), source };
        make_room(path, is_ours)?;
        // The mask is of the whole process. At the start no other thread makes files; when the socket is made anew the teller may, whose
        // files lose nothing by it. Changing the mode behind the bind would leave a moment in which others could connect.
        let before = umask(OTHERS);
        let listener = UnixListener::bind(path);
        umask(before);
        let listener = listener.map_err(failed("make"))?;
        listener.set_nonblocking(true).map_err(failed("prepare"))?;
        let made = fs::symlink_metadata(path).map_err(failed("look at"))?;
        Ok(Self { listener: Some(listener), path: path.to_owned(), identity: Identity(made.dev(), made.ino()) })
    }

    /// What accepts; once. It does not block.
    #[must_use]
    pub fn take_listener(&mut self) -> Option<UnixListener> {
        self.listener.take()
    }

    /// Its file.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if Identity::of(&self.path) == Some(self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            warn!(path = %self.path.display(), %error, "The control socket could not be removed; the next start does.");
        }
    }
}

/// Removes a socket on which nobody answers, and nothing else.
fn make_room(path: &Path, is_ours: bool) -> Result<(), SocketError> {
    let failed = |action| move |source| SocketError::Io { action, path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at")(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(SocketError::NoSocket(path.to_owned())),
        Ok(_) => {}
    }
    if !is_ours {
        match UnixStream::connect(path) {
            Ok(_) => return Err(SocketError::InUse(path.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(failed("try")(error)),
        }
    }
    fs::remove_file(path).map_err(failed("replace"))
}

/// What is taken from 0777: nothing is executed, and others have no business here.
const OTHERS: Mode = Mode::from_bits_truncate(0o117);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_for_its_user_and_group_and_goes_with_the_daemon() {
        let (_directory, path) = place();
        let socket = Socket::bind(&path, false).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_crash_left_is_replaced_and_what_answers_is_not() {
        let (_directory, path) = place();
        drop(UnixListener::bind(&path).unwrap());
        let _socket = Socket::bind(&path, false).unwrap();
        assert!(matches!(Socket::bind(&path, false), Err(SocketError::InUse(_))));
    }

    #[test]
    fn what_is_no_socket_stays() {
        let (_directory, path) = place();
        fs::write(&path, "precious").unwrap();
        for is_ours in [false, true] {
            assert!(matches!(Socket::bind(&path, is_ours), Err(SocketError::NoSocket(_))));
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_socket_of_somebody_else_is_not_removed() {
        let (_directory, path) = place();
        let socket = Socket::bind(&path, false).unwrap();
        fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        drop(socket);
        assert!(path.exists());
    }

    #[test]
    fn a_path_has_a_bound() {
        let (directory, _) = place();
        let room = SOCKET_PATH_BYTES_MAX - directory.path().as_os_str().len() - 1;
        for (bytes, fits) in [(room - 1, true), (room, true), (room + 1, false)] {
            let bound = Socket::bind(&directory.path().join("s".repeat(bytes)), false);
            assert_eq!(bound.is_ok(), fits, "{bytes}: {bound:?}");
        }
    }

    #[test]
    fn a_directory_that_is_not_there_is_named_with_the_remedy() {
        let (directory, _) = place();
        let error = Socket::bind(&directory.path().join("not/there.sock"), false).unwrap_err().to_string();
        assert!(error.contains("not/there.sock") && error.contains("set control.socket"), "{error}");
    }

    fn place() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        (directory, path)
    }
}
