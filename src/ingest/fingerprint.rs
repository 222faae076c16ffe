//! Tells files apart whose names, inodes and sizes lie: by device, inode and a hash of bytes that were read from them.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::disk::{File, read_at};

/// Device and inode. Two files may have had the same one after the other, so it never decides alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The device.
    pub device: u64,
    /// The inode on it.
    pub inode: u64,
}

impl From<&fs::Metadata> for Identity {
    fn from(metadata: &fs::Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// Hash of a stretch of a file that knows how many bytes it covers: a short file is not taken for another short one, and a
/// growing one keeps what was known of it.
///
/// SHA-256 cut to 64 bits, not a CRC: who may write one log must not be able to pass it off as another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Bytes covered, 0..=[`HEAD_BYTES_MAX`]. 0 covers nothing and matches everything.
    pub bytes: u16,
    /// The hash.
    pub hash: u64,
}

impl Fingerprint {
    /// Of the first bytes of a file; what lies beyond [`HEAD_BYTES_MAX`] is left out.
    #[must_use]
    pub fn of_head(bytes: &[u8]) -> Self {
        Self::of(&bytes[..bytes.len().min(HEAD_BYTES_MAX)])
    }

    /// Of the last bytes that were read; what lies before the last [`TAIL_BYTES_MAX`] is left out.
    #[must_use]
    pub fn of_tail(bytes: &[u8]) -> Self {
        Self::of(&bytes[bytes.len().saturating_sub(TAIL_BYTES_MAX)..])
    }

    /// Whether a file that begins with `head` may be the one this was taken of.
    #[must_use]
    pub fn begins(&self, head: &[u8]) -> bool {
        head.get(..usize::from(self.bytes)).is_some_and(|prefix| Self::of(prefix) == *self)
    }

    /// Whether what `file` holds right before `offset` is what this was taken of.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn ends_at(&self, file: &File, offset: u64) -> io::Result<bool> {
        let Some(start) = offset.checked_sub(u64::from(self.bytes)) else {
            return Ok(false);
        };
        let stretch = read_at(file, start, usize::from(self.bytes))?;
        Ok(Self::of(&stretch) == *self)
    }

    fn of(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::default();
        }
        let digest = Sha256::digest(bytes);
        let hash = u64::from_le_bytes(digest[..8].try_into().expect("a SHA-256 has 32 bytes"));
        Self { bytes: bytes.len() as u16, hash }
    }
}

/// Bytes at the beginning of a file that its fingerprint covers. Several records, so that their times tell files apart.
pub const HEAD_BYTES_MAX: usize = 1024;

/// Bytes before the position reached that are remembered. They tell a file from another that begins alike.
pub const TAIL_BYTES_MAX: usize = 256;

const _: () = assert!(HEAD_BYTES_MAX <= u16::MAX as usize && TAIL_BYTES_MAX <= HEAD_BYTES_MAX);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::disk::{Disk, HostDisk};

    #[test]
    fn a_head_grows_with_its_file() {
        let short = Fingerprint::of_head(b"2026-11-23 00:00:00,000 INFO a");
        assert!(short.begins(b"2026-11-23 00:00:00,000 INFO a and more"));
        assert!(!short.begins(b"2026-11-23 00:00:00,000 INFO b and more"));
        assert!(!short.begins(b"2026-11-23 00:00:00,000"), "a shorter file is another one");
    }

    #[test]
    fn a_head_covers_its_bound_and_no_more() {
        for length in [HEAD_BYTES_MAX - 1, HEAD_BYTES_MAX, HEAD_BYTES_MAX + 1] {
            let bytes = vec![b'a'; length];
            assert_eq!(usize::from(Fingerprint::of_head(&bytes).bytes), length.min(HEAD_BYTES_MAX));
            assert!(Fingerprint::of_head(&bytes).begins(&[b'a'; HEAD_BYTES_MAX + 1]));
        }
    }

    #[test]
    fn nothing_read_matches_everything() {
        assert!(Fingerprint::default().begins(b""));
        assert!(Fingerprint::default().begins(b"anything"));
    }

    #[test]
    fn a_tail_knows_where_it_stands() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.log");
        fs::write(&path, b"one\ntwo\nthree\n").unwrap();
        let file = HostDisk.open(&path).unwrap();
        let tail = Fingerprint::of_tail(b"two\n");
        assert!(tail.ends_at(&file, 8).unwrap());
        assert!(!tail.ends_at(&file, 9).unwrap());
        assert!(!tail.ends_at(&file, 3).unwrap());
    }
}
