//! Recognises a new file as the copy of a known one, so that copytruncate and compression neither send twice nor lose anything.

use std::io;

use super::Fingerprint;
use super::discover::Found;
use super::disk::{Disk, File, read_at};
use super::fingerprint::TAIL_BYTES_MAX;
use super::name::Rank;
use super::reader::{Descriptors, Packed, Reader};
use super::source::{Look, Source};
use super::streams::Stream;
use crate::pipeline::event::SourceId;

/// What a file that was just found is to the sources of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kin {
    /// Nothing: a file of its own.
    Stranger,
    /// A copy of a source that is still there and is read where it is. The copy may not be complete yet.
    Copy(SourceId),
    /// Perhaps a copy of a source that cannot be opened just now. Whether that still holds what is in `found` shows when it can.
    Unsure,
    /// What the source of this index has become: everything read from it is here, and what was not read follows.
    Heir(usize),
    /// A copy of the source of this index that was made before its last bytes were read: there is nothing more in it.
    Spent(usize),
}

/// Holds `found`, whose file is open in `reader`, against the sources of `stream`, newest first.
///
/// What goes on exactly where a lost source stood is its heir, whatever else begins alike; a likeness that proves less comes
/// after.
///
/// # Errors
/// When `found` cannot be read; `NotFound` also when a source has changed since it was listed, so that this has to be done anew.
pub fn recognise(
    stream: &Stream,
    found: &Found,
    reader: &mut Reader,
    descriptors: &mut Descriptors,
    disk: &dyn Disk,
) -> io::Result<Kin> {
    let head = match reader.head() {
        Ok(head) => head,
        // Its writer has only begun to compress.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return unfinished_copy(stream, found, descriptors).ok_or(error);
        }
        Err(error) => return Err(error),
    };
    // What there is of it by now is too little to know whose copy it is.
    if reader.is_torn()
        && let Some(copy) = unfinished_copy(stream, found, descriptors)
    {
        return Ok(copy);
    }
    let candidates = stream.sources.iter().enumerate().rev().filter(|(_, source)| source.info.head.bytes > 0);
    let (there, lost): (Vec<_>, Vec<_>) =
        candidates.partition(|(_, source)| source.is_present() || descriptors.holds(source.info.id));
    for &(index, source) in &lost {
        if !is_outlived(stream, index, found) && is_heir(source, &head, reader)? {
            return Ok(Kin::Heir(index));
        }
    }
    for &(_, source) in &there {
        match is_copy(source, found, &head, reader, || original(source, descriptors, disk))? {
            Some(true) => return Ok(Kin::Copy(source.info.id)),
            Some(false) => {}
            None => return Ok(Kin::Unsure),
        }
    }
    for &(index, source) in &lost {
        if is_spent(source, found, &head, reader)? {
            return Ok(Kin::Spent(index));
        }
    }
    Ok(Kin::Stranger)
}

/// Whether the source of this `index`, which has lost its name, cannot be what the live file `found` holds, although it begins so: a newer
/// file has appeared since, and no file becomes younger. Where so little is known of it that another may well begin like it, this is all
/// there is to go by; taken for it, a new file on its inode would be read before the newer one.
#[must_use]
pub fn is_outlived(stream: &Stream, index: usize, found: &Found) -> bool {
    let source = &stream.sources[index];
    let is_live = found.rank == Rank::Live && found.codec.is_none();
    let is_little_known = (1..COPY_BYTES_MIN).contains(&source.info.head.bytes.into());
    is_live && is_little_known && !source.is_present() && index + 1 < stream.sources.len()
}

/// The plain file of the same name, of which `found` can only be the compressed copy.
fn unfinished_copy(stream: &Stream, found: &Found, descriptors: &Descriptors) -> Option<Kin> {
    let is_original = |source: &&Source| {
        !source.is_packed() && source.rank == found.rank && (source.is_present() || descriptors.holds(source.info.id))
    };
    stream.sources.iter().find(is_original).map(|source| Kin::Copy(source.info.id))
}

/// Whether `found` is a copy, perhaps unfinished, of a source that is still there; `None` if it may be and the source
/// cannot be opened.
fn is_copy(
    source: &Source,
    found: &Found,
    head: &[u8],
    reader: &mut Reader,
    original: impl FnOnce() -> io::Result<File>,
) -> io::Result<Option<bool>> {
    let file = match reader {
        Reader::Packed(packed) => return is_packed_copy(source, found, head, packed, original).map(Some),
        Reader::Plain(file) => file,
    };
    // The live file alone is copied while it is written; a rotated one may only happen to begin like another.
    if !source.is_live() || found.rank == Rank::Live {
        return Ok(Some(false));
    }
    let original = match original() {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let may_be = head.len() < source.info.head.bytes.into() || source.info.head.begins(head);
            return Ok(if may_be { None } else { Some(false) });
        }
        original => original?,
    };
    if holds_same(&original, file)? {
        return Ok(Some(true));
    }
    is_still(source, &original).map(|()| Some(false))
}

/// Whether a compressed file is a copy of a source that is still there. That of the same name is if it begins so; another one, which was
/// passed by when the source was renamed, must also end so, since logs may all begin alike. A torn one is taken for it until it is whole.
fn is_packed_copy(
    source: &Source,
    found: &Found,
    head: &[u8],
    packed: &mut Packed,
    original: impl FnOnce() -> io::Result<File>,
) -> io::Result<bool> {
    if source.codec == found.codec || !source.info.head.begins(head) {
        return Ok(false);
    }
    if source.rank == found.rank || source.is_packed() {
        return Ok(source.rank == found.rank);
    }
    let original = original()?;
    let size = original.metadata()?.size;
    match packed.tail(size) {
        Ok(tail) if tail == read_at(&original, size - tail.len() as u64, tail.len())? => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(true),
        Err(error) if error.kind() != io::ErrorKind::InvalidInput => Err(error),
        _ => is_still(source, &original).map(|()| false),
    }
}

/// `NotFound` when what is read as `source` is another file by now: it was truncated, or renamed since this scan saw it, or could not be
/// looked at. Then `found` may be what it was, which the next look tells.
fn is_still(source: &Source, original: &File) -> io::Result<()> {
    match source.look(original, original.metadata()?.size)? {
        Look::Same(_) => Ok(()),
        Look::Other => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Whether the file in `reader` goes on where reading stands in a source that is nowhere else. A copy that lacks what was written between
/// its making and the truncation is not known for one while the log is shorter than its head's fingerprint.
fn is_heir(source: &Source, head: &[u8], reader: &mut Reader) -> io::Result<bool> {
    if !source.info.head.begins(head) {
        return Ok(false);
    }
    match reader {
        // The copy may have been finished since it was listed.
        Reader::Plain(file) => Ok(source.look(file, file.metadata()?.size)? != Look::Other),
        // What was read to its end need not be decoded again for certainty.
        Reader::Packed(_) if source.finished => Ok(true),
        Reader::Packed(packed) => match packed.tail(source.offset) {
            Ok(tail) => Ok(source.tail == Fingerprint::of_tail(&tail[tail.len().saturating_sub(source.tail.bytes.into())..])),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(false),
            Err(error) => Err(error),
        },
    }
}

/// Whether a rotated file that is shorter than what was read of `source` is a copy of it. A live file that begins like the last
/// one has begun anew instead.
fn is_spent(source: &Source, found: &Found, head: &[u8], reader: &mut Reader) -> io::Result<bool> {
    match reader {
        _ if !source.info.head.begins(head) => Ok(false),
        Reader::Plain(file) => Ok(file.metadata()?.size < source.offset && found.rank != Rank::Live),
        Reader::Packed(packed) => match packed.tail(source.offset) {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(true),
            Err(error) => Err(error),
        },
    }
}

/// The file of a source; `NotFound` when another one is at its path by now.
fn original(source: &Source, descriptors: &mut Descriptors, disk: &dyn Disk) -> io::Result<File> {
    if let Some(reader) = descriptors.get(source.info.id) {
        return Ok(File::clone(reader.file()));
    }
    let file = disk.open(&source.info.path)?;
    if file.metadata()?.identity == source.info.identity { Ok(file) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// Whether two files hold the same as far as the shorter one goes, judging by its two ends.
fn holds_same(one: &File, other: &File) -> io::Result<bool> {
    let size = one.metadata()?.size.min(other.metadata()?.size);
    let stretch = size.min(TAIL_BYTES_MAX as u64);
    for offset in [0, size - stretch] {
        if read_at(one, offset, stretch as usize)? != read_at(other, offset, stretch as usize)? {
            return Ok(false);
        }
    }
    Ok(size >= COPY_BYTES_MIN)
}

/// Shorter files that are alike prove nothing: from here on a time stamp and part of a message are the same.
const COPY_BYTES_MIN: u64 = 32;
