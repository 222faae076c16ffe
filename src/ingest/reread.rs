//! Reads a record again when an alert quotes it, wherever its file has gone since.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::codec::{Codec, Decoder};
use super::disk::{Cursor, Disk, File, HostDisk, Kind, read_at};
use super::fingerprint::HEAD_BYTES_MAX;
use super::name;
use super::{Identity, SourceInfo};
use crate::limits::{RECORD_BYTES_MAX, REREAD_DECODED_BYTES_MAX};
use crate::pipeline::event::{Position, SourceId};

/// What is needed to read some records again: a snapshot that may go to another thread.
#[derive(Clone, Debug)]
pub struct Rereader {
    disk: Arc<dyn Disk>,
    sources: BTreeMap<SourceId, SourceInfo>,
}

/// Why a record cannot be read again.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The file was forgotten: read to its end, and deleted since.
    #[error("source {} is gone: it was deleted after it had been read", .0.0)]
    Forgotten(SourceId),
    /// Neither the file nor a copy of it is in its directory any more.
    #[error("{} is gone, and no file beside it has the same content", .0.display())]
    Gone(PathBuf),
    /// The file was found but no longer reaches that far.
    #[error("{} was truncated before byte {offset}", .path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Where the record ended.
        offset: u64,
    },
    /// The record lies too deep in a compressed file.
    #[error("{} is compressed, and byte {offset} lies beyond the {REREAD_DECODED_BYTES_MAX} bytes that a quote may cost", .path.display())]
    TooDeep {
        /// The file.
        path: PathBuf,
        /// Where the record ends.
        offset: u64,
    },
    /// The system refused.
    #[error("read {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl Rereader {
    /// Can read records of these sources, which are on the disk of the host.
    #[must_use]
    pub fn new(sources: impl IntoIterator<Item = SourceInfo>) -> Self {
        Self::on(Arc::new(HostDisk), sources)
    }

    /// The same on another disk.
    #[must_use]
    pub fn on(disk: Arc<dyn Disk>, sources: impl IntoIterator<Item = SourceInfo>) -> Self {
        Self { disk, sources: sources.into_iter().map(|info| (info.id, info)).collect() }
    }

    /// The file that holds `source`, as it was named when the snapshot was taken.
    #[must_use]
    pub fn path(&self, source: SourceId) -> Option<&Path> {
        self.sources.get(&source).map(|info| info.path.as_path())
    }

    /// The bytes of the record at `position`, read now; at most [`RECORD_BYTES_MAX`] of them.
    ///
    /// # Errors
    /// When the file is gone, holds something else now, or cannot be read.
    pub fn text(&self, position: Position) -> Result<Vec<u8>, Unreadable> {
        let info = self.sources.get(&position.source).ok_or(Unreadable::Forgotten(position.source))?;
        let length = (position.length as usize).min(RECORD_BYTES_MAX);
        reread(&*self.disk, info, position.offset, length)
    }
}

/// `length` bytes from `offset` on of the file that `info` describes: under its own name, under another name in the same
/// directory, or in a copy of it there, compressed or not.
///
/// # Errors
/// When the file is gone, holds something else now, or cannot be read.
pub fn reread(disk: &dyn Disk, info: &SourceInfo, offset: u64, length: usize) -> Result<Vec<u8>, Unreadable> {
    let end = offset + length as u64;
    let mut nearest = Unreadable::Gone(info.path.clone());
    for path in candidates(disk, info) {
        match read_record(disk, &path, info, offset, length) {
            Ok(Some(bytes)) if bytes.len() == length => return Ok(bytes),
            Ok(Some(_)) => nearest = Unreadable::Truncated { path, offset: end },
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => nearest = Unreadable::TooDeep { path, offset: end },
            Err(source) => nearest = Unreadable::Io { path, source },
        }
    }
    Err(nearest)
}

/// The file in `directory` that has this device and inode, whatever its name.
#[must_use]
pub fn find_by_identity(disk: &dyn Disk, directory: &Path, identity: Identity) -> Option<PathBuf> {
    let entries = disk.list(directory).ok()?.into_iter();
    let mut same_inode = entries.filter(|entry| entry.inode == identity.inode).map(|entry| directory.join(entry.name));
    same_inode.find(|path| disk.metadata(path).is_ok_and(|metadata| metadata.kind == Kind::File && metadata.identity == identity))
}

/// Where the file may be now, most likely first.
fn candidates(disk: &dyn Disk, info: &SourceInfo) -> Vec<PathBuf> {
    let directory = info.path.parent().unwrap_or(Path::new("."));
    let mut paths = vec![info.path.clone()];
    paths.extend(find_by_identity(disk, directory, info.identity));
    paths.extend(siblings(disk, directory, &info.path));
    paths.dedup();
    paths
}

/// The files of the same log beside `path`, by name.
fn siblings(disk: &dyn Disk, directory: &Path, path: &Path) -> Vec<PathBuf> {
    let Some(live) = path.file_name().and_then(|name| name.to_str()).map(|name| name::parse(name).live) else {
        return Vec::new();
    };
    let Ok(entries) = disk.list(directory) else {
        return Vec::new();
    };
    let names = entries.into_iter().filter_map(|entry| entry.name.into_string().ok());
    let mut siblings: Vec<PathBuf> =
        names.filter(|name| name::parse(name).live == live).map(|name| directory.join(name)).collect();
    siblings.sort();
    siblings
}

/// `None` when the file at `path` begins otherwise than `info` says.
fn read_record(disk: &dyn Disk, path: &Path, info: &SourceInfo, offset: u64, length: usize) -> io::Result<Option<Vec<u8>>> {
    let file = disk.open(path)?;
    if let Some(codec) = codec(path) {
        return read_packed(&file, codec, info, offset, length);
    }
    if info.head.begins(&read_at(&file, 0, HEAD_BYTES_MAX)?) { read_at(&file, offset, length).map(Some) } else { Ok(None) }
}

fn read_packed(file: &File, codec: Codec, info: &SourceInfo, offset: u64, length: usize) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    decoder(file, codec)?.take(HEAD_BYTES_MAX as u64).read_to_end(&mut head)?;
    if !info.head.begins(&head) {
        return Ok(None);
    }
    if offset + length as u64 > REREAD_DECODED_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut decoder = decoder(file, codec)?;
    io::copy(&mut (&mut decoder).take(offset), &mut io::sink())?;
    let mut bytes = Vec::with_capacity(length);
    decoder.take(length as u64).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

fn decoder(file: &File, codec: Codec) -> io::Result<Decoder<BufReader<Cursor>>> {
    Decoder::new(codec, BufReader::new(Cursor::new(File::clone(file), 0)))
}

fn codec(path: &Path) -> Option<Codec> {
    path.file_name().and_then(|name| name.to_str()).and_then(|name| name::parse(name).packing.codec())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use tempfile::TempDir;

    use super::*;
    use crate::ingest::Fingerprint;
    use crate::ingest::codec::tests::pack;
    use crate::pipeline::event::StreamId;

    #[test]
    fn a_record_is_found_under_any_name() {
        check(|_| {}, Ok("second"));
        check(|log| fs::rename(log, log.with_extension("log.3")).unwrap(), Ok("second"));
        check(|log| fs::rename(log, log.with_extension("moved")).unwrap(), Ok("second"));
    }

    #[test]
    fn a_record_is_found_in_a_copy() {
        check(
            |log| {
                fs::copy(log, log.with_extension("log.1")).unwrap();
                File::create(log).unwrap();
            },
            Ok("second"),
        );
        for codec in Codec::ALL {
            check(
                |log| {
                    let packed = pack(codec, &fs::read(log).unwrap());
                    fs::write(log.with_extension(format!("log.1{}", codec.suffix())), packed).unwrap();
                    fs::remove_file(log).unwrap();
                },
                Ok("second"),
            );
        }
    }

    #[test]
    fn what_is_gone_says_why() {
        check(|log| fs::remove_file(log).unwrap(), Err("is gone, and no file beside it"));
        check(|log| fs::write(log, "other\nsecond\nthird\n").unwrap(), Err("is gone, and no file beside it"));
        check(|log| File::options().write(true).open(log).unwrap().set_len(10).unwrap(), Err("was truncated before byte 12"));
    }

    fn check(happens: impl Fn(&Path), expected: Result<&str, &str>) {
        let (directory, info) = log();
        happens(&directory.path().join("x.log"));
        let rereader = Rereader::new([info]);
        let text = rereader.text(Position { source: SourceId(7), offset: 6, length: 6 });
        match expected {
            Ok(expected) => assert_eq!(text.unwrap(), expected.as_bytes()),
            Err(expected) => {
                let error = text.unwrap_err().to_string();
                assert!(error.contains(expected), "{error}");
            }
        }
    }

    fn log() -> (TempDir, SourceInfo) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.log");
        fs::write(&path, "first\nsecond\nthird\n").unwrap();
        let identity = Identity::from(&fs::metadata(&path).unwrap());
        // The fingerprint was taken when the file had one line.
        let head = Fingerprint::of_head(b"first\n");
        (directory, SourceInfo { id: SourceId(7), stream: StreamId(1), path, identity, head })
    }
}
