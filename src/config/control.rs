//! Where operators talk to the daemon, and what they do not want to be told of.

use std::path::{Path, PathBuf};

use config::Value;

use super::{Layers, Mistakes, Reader, environment, list, path, text};
use crate::limits::{MUTES_MAX, SOCKET_PATH_BYTES_MAX};

/// Where operators talk to the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// The Unix socket.
    pub socket: Socket,
}

/// A Unix socket that the daemon makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Socket {
    /// In the state directory, which no other daemon uses.
    InState,
    /// Where the user wants it.
    At(PathBuf),
    /// None is made.
    Nowhere,
}

impl Control {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self { socket: reader.take("control.socket", socket) }
    }

    /// The socket that `files`, over the defaults, and the environment of this process name; `None` when there is to be none. Looks at
    /// nothing else: who may talk to the daemon need not be allowed to read its secrets.
    ///
    /// # Errors
    /// What is wrong with the files as such, or with the keys `control.socket` and `state.directory`.
    pub fn find(files: &[PathBuf]) -> Result<Option<PathBuf>, Mistakes> {
        let layers = Layers::read(files, environment())?;
        let mut reader = Reader::new(&layers);
        let control = Self::read(&mut reader);
        let directory = reader.take("state.directory", path);
        reader.finish_some(control.socket.path(&directory))
    }
}

impl Socket {
    /// Its path, with `state` as the state directory.
    #[must_use]
    pub fn path(&self, state: &Path) -> Option<PathBuf> {
        match self {
            Self::InState => Some(state.join(SOCKET_NAME)),
            Self::At(path) => Some(path.clone()),
            Self::Nowhere => None,
        }
    }
}

/// Whether `text` is the signature of an alert: 16 hexadecimal digits, small ones.
#[must_use]
pub fn is_signature(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn socket(value: &Value) -> Result<Socket, String> {
    match text(value).as_deref() {
        Ok("") => Ok(Socket::Nowhere),
        Ok("auto") => Ok(Socket::InState),
        Ok(path) if path.len() <= SOCKET_PATH_BYTES_MAX => Ok(Socket::At(path.into())),
        Ok(_) | Err(_) => Err(format!("\"auto\", a path of at most {SOCKET_PATH_BYTES_MAX} bytes, or \"\" for none")),
    }
}

pub(super) fn signatures(value: &Value) -> Result<Vec<String>, String> {
    let read = list(value).filter(|texts| texts.len() <= MUTES_MAX && texts.iter().all(|text| is_signature(text)));
    read.ok_or_else(|| {
        format!("a list of at most {MUTES_MAX} signatures of 16 hexadecimal digits, such as [\"db7dd3890dfe58b6\"]")
    })
}

/// The socket in the state directory.
const SOCKET_NAME: &str = "control.sock";
