//! Follows log files through rotation, truncation, deletion and restarts, and hands out their bytes in order, each once.
//!
//! A *stream* is one log as its writer sees it; its name is the path of the file that is being written. A *source* is one file of
//! it, known by identity and not by name. A [`Follower`] finds out by [`Follower::scan`] what there is, and gives bytes by
//! [`Follower::read`] when it is asked to: not asking is the back-pressure, for the log file is already a buffer. It owns no
//! thread and no clock. [`Waker`] only shortens the wait until the next scan.
//!
//! What holds: the sources of a stream are read oldest first; the bytes of a source come in order and without gaps; a source that
//! will not grow any more ends with [`Read::end_of_source`], and only then the next one begins. What was rotated, copied,
//! compressed or truncated between two scans, or while nobody looked, is found again by identity; what cannot be found is counted
//! as lost.

use std::fmt;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::pipeline::event::origin::Role;
use crate::pipeline::event::{LogTime, SourceId, StreamId, WallTime};

pub mod codec;
pub mod discover;
pub mod disk;
pub mod fingerprint;
pub mod follow;
mod kin;
pub mod name;
mod reader;
pub mod reread;
mod source;
mod start;
mod streams;
pub mod wake;

pub use fingerprint::{Fingerprint, Identity};
pub use follow::Follower;
pub use reread::{Rereader, Unreadable};
pub use wake::Waker;

/// Reads the log time off a line that begins a record; `None` for any other line. Belongs to the pipeline's parser.
pub type TimeReader = Box<dyn Fn(&[u8]) -> Option<LogTime> + Send>;

/// What to follow, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Paths, globs and directories. A path or glob takes what it matches together with the rotated files of it; a directory
    /// takes what looks like an HDFS log in it (see [`discover`]).
    pub patterns: Vec<String>,
    /// Globs of what to leave out, held against the whole path, the file's name, and the same of the live file.
    pub exclude: Vec<String>,
    /// Where to begin in files that are there at the very first scan.
    pub start_at: StartAt,
    /// When to stop.
    pub mode: Mode,
    /// Whether logs of roles that name no blocks are taken too: audit, security, garbage collector.
    pub blockless: bool,
}

/// Where a file begins that is there at the first scan of a follower without saved positions.
///
/// What appears later is read from its beginning in any case, for all of it was written under our eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// At the end of the live file, at the start of its last line if that has no newline yet. Rotated files are not read.
    End,
    /// At the beginning of the oldest rotated file.
    Beginning,
    /// At the first record of this time or later. Found by bisection, so records out of order near that time may fall on either
    /// side. Both fields name the same instant, once as log time and once as files' times.
    Since {
        /// The instant as records have it.
        log_time: LogTime,
        /// The instant of this host's clock. Files last written before it are not opened.
        wall_time: WallTime,
    },
}

/// Whether files are expected to grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They are: a file ends when it was rotated away or deleted, and two scans found nothing more in it.
    Follow,
    /// They are not: every file ends where it ends now.
    Once,
}

/// What one call of [`Follower::read`] put in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// The log.
    pub stream: StreamId,
    /// The file of that log.
    pub source: SourceId,
    /// Offset of the first byte in the file; in a compressed file, in what it decodes to.
    pub offset: u64,
    /// Bytes in the buffer, 0..=[`crate::limits::CHUNK_BYTES_MAX`]; 0 only together with `end_of_source`.
    pub bytes: usize,
    /// Nothing more will come of this source: a line without a newline at its end is as long as it will ever be.
    pub end_of_source: bool,
}

/// One file of a stream: what it takes to find it and to read a record of it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceInfo {
    /// Its number.
    pub id: SourceId,
    /// The log it belongs to.
    pub stream: StreamId,
    /// Where it was last seen.
    pub path: PathBuf,
    /// Device and inode.
    pub identity: Identity,
    /// Hash of its first bytes.
    pub head: Fingerprint,
}

/// Everything needed to go on where a follower stood: one instant. Numbers of streams and sources survive restarts in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// All streams, by number.
    pub streams: Vec<SavedStream>,
    /// The number of the next new stream.
    pub next_stream: u32,
    /// The number of the next new source.
    pub next_source: u32,
    /// Whether a first scan has been made, so that `start_at` has had its say.
    pub started: bool,
    /// What was counted so far.
    pub counters: Counters,
}

/// One stream of [`Saved`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedStream {
    /// Its number.
    pub id: StreamId,
    /// Path of the live file.
    pub name: PathBuf,
    /// Its files, oldest first, those already read included for as long as they exist.
    pub sources: Vec<SavedSource>,
}

/// One file of [`SavedStream`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedSource {
    /// What it is.
    pub info: SourceInfo,
    /// Hash of the last bytes before `offset`.
    pub tail: Fingerprint,
    /// Bytes handed out; decoded ones in a compressed file.
    pub offset: u64,
    /// Whether its end has been handed out, or it was never to be read.
    pub finished: bool,
}

/// What the follower counted. All of them only grow, over restarts too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Bytes handed out.
    pub bytes: u64,
    /// Files found and taken up.
    pub opened_sources: u64,
    /// Files read to their end.
    pub finished_sources: u64,
    /// Files found again under another name.
    pub rotated_sources: u64,
    /// Files found again as a copy, after the original was truncated or compressed.
    pub copied_sources: u64,
    /// Files that shrank, or hold other bytes than those read from them.
    pub truncated_sources: u64,
    /// Files deleted.
    pub deleted_sources: u64,
    /// Files that went, or may have gone, with bytes that nobody had read.
    pub lost_sources: u64,
    /// Bytes of those, as far as they had been seen.
    pub lost_bytes: u64,
    /// Logs not followed because there were [`crate::limits::STREAMS_MAX`].
    pub refused_streams: u64,
    /// Files not followed: no regular file, an unknown compression, or more than [`crate::limits::SOURCES_MAX`].
    pub refused_files: u64,
    /// Logs passed over because their role names no blocks.
    pub blockless_logs: u64,
    /// Failures to list, look at, open or read something. One that lasts counts once.
    pub errors: u64,
}

/// Something an operator may want to know. Each is told once, however many scans it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A file was taken up.
    Opened {
        /// Its number.
        source: SourceId,
        /// Where it is.
        path: PathBuf,
        /// Where reading begins, bytes.
        offset: u64,
    },
    /// A file has another name now.
    Rotated {
        /// Its number.
        source: SourceId,
        /// The old name.
        from: PathBuf,
        /// The new name.
        to: PathBuf,
    },
    /// A file was truncated or compressed, and goes on in its copy.
    Copied {
        /// Its number.
        source: SourceId,
        /// The original.
        from: PathBuf,
        /// The copy.
        to: PathBuf,
    },
    /// A file shrank or was written anew in place; what it holds now is read from its beginning.
    Truncated {
        /// Where it is.
        path: PathBuf,
    },
    /// A file was deleted after all of it had been read.
    Deleted {
        /// Its number.
        source: SourceId,
        /// Where it was.
        path: PathBuf,
    },
    /// A file is gone, and with it bytes that were not read.
    Lost {
        /// Its number.
        source: SourceId,
        /// Where it was last seen.
        path: PathBuf,
        /// Bytes known to be lost; there may have been more.
        bytes: u64,
    },
    /// A file is not followed.
    Refused {
        /// Where it is.
        path: PathBuf,
        /// Why.
        reason: Refusal,
    },
    /// Something could not be done; it is tried again at every scan.
    Failed {
        /// What it was done to.
        path: PathBuf,
        /// What was tried: `list`, `look at`, `open`, `read`.
        action: &'static str,
        /// What the system said.
        kind: io::ErrorKind,
        /// The same in words.
        error: String,
    },
}

/// What the rest of a log waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// For the file that was being read before a restart to be found again.
    Found,
    /// For the end of the file that is being read, or for it to be found where it was renamed to.
    Ended,
}

/// Why a file is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// A directory, FIFO, socket or device. Never opened, since opening alone may block.
    NotRegular,
    /// Compressed by something else than gzip or zstd.
    Compression,
    /// There are [`crate::limits::STREAMS_MAX`] streams already.
    TooManyStreams,
    /// There are [`crate::limits::SOURCES_MAX`] files already.
    TooManySources,
    /// Its role names no blocks, as its name says: audit, security or garbage collector.
    Blockless(Role),
}

/// A setting that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not a glob.
    #[error("pattern {pattern:?} is not a glob: {message} at character {at}; write [*] or [[] for a literal * or [")]
    Glob {
        /// The pattern.
        pattern: String,
        /// What is wrong.
        message: &'static str,
        /// Where.
        at: usize,
    },
    /// Nothing to follow.
    #[error("no pattern is given; name at least one file, glob or directory")]
    NoPattern,
}

impl Notice {
    /// Whether data is lost or somebody is needed, so that it deserves more than an informational line.
    #[must_use]
    pub fn is_trouble(&self) -> bool {
        match self {
            Self::Refused { reason: Refusal::Blockless(_), .. } => false,
            Self::Lost { .. } | Self::Refused { .. } | Self::Failed { .. } | Self::Truncated { .. } => true,
            Self::Opened { .. } | Self::Rotated { .. } | Self::Copied { .. } | Self::Deleted { .. } => false,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened { path, offset, .. } => write!(f, "follow {} from byte {offset}", path.display()),
            Self::Rotated { from, to, .. } => write!(f, "{} is now {}", from.display(), to.display()),
            Self::Copied { from, to, .. } => write!(f, "{} goes on in its copy {}", from.display(), to.display()),
            Self::Truncated { path } => write!(f, "{} was truncated or written anew; reading it from byte 0", path.display()),
            Self::Deleted { path, .. } => write!(f, "{} was deleted; all of it had been read", path.display()),
            Self::Lost { path, bytes, .. } => write!(
                f,
                "{} is gone, and what was not read of it with it (at least {bytes} bytes); keep more rotated files, or let the daemon run while logs rotate",
                path.display()
            ),
            Self::Refused { path, reason } => write!(f, "do not follow {}: {reason}", path.display()),
            Self::Failed { path, action, kind, error } => {
                write!(f, "{action} {}: {error}; {}", path.display(), remedy(*kind))
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRegular => f.write_str("it is no regular file; exclude it, or name the files in it"),
            Self::Compression => f.write_str("its compression is neither gzip nor zstd; decompress it first, or exclude it"),
            Self::TooManyStreams => write!(f, "{} logs are followed already; narrow the patterns", crate::limits::STREAMS_MAX),
            Self::TooManySources => write!(f, "{} files are known already; narrow the patterns", crate::limits::SOURCES_MAX),
            Self::Blockless(role) => write!(f, "by its name it is a log of role {}, which names no blocks", role.name()),
        }
    }
}

/// What a person can do about a failure of this kind.
fn remedy(kind: io::ErrorKind) -> &'static str {
    if kind == io::ErrorKind::PermissionDenied {
        "let the daemon's user read it, for example by adding that user to the group that owns the logs"
    } else {
        "it is tried again at every scan"
    }
}
