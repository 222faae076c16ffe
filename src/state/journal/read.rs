//! Finds the newest whole checkpoint of a journal, and reads it entry by entry.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::{
    Commit, ENTRY_HEADER_BYTES, FORMAT_VERSION, HEADER_BYTES, Journal, MAGIC, UNNAMED_AFTER, names, number_of, path, segments,
};
use crate::limits::ENTRY_BYTES_MAX;
use crate::state::directory::{StateError, damaged, io_error};

/// A checkpoint that was found.
#[derive(Debug)]
pub struct Found {
    /// Its entries.
    pub entries: Entries,
    /// Why newer ones were passed over; `None` when there are none, but for one that was being written when the program ended.
    pub passed_over: Option<StateError>,
}

/// The contents of the entries of a checkpoint, oldest first.
#[derive(Debug)]
pub struct Entries {
    /// Segments still to be read, each up to the end of its last commit that counts.
    chain: VecDeque<(PathBuf, u64)>,
    open: Option<(PathBuf, io::Take<BufReader<File>>)>,
}

/// What a segment holds.
struct Scanned {
    /// Which segment and which commit it goes on behind.
    behind: (u64, u64),
    /// Its commits, each with where it ends.
    commits: Vec<(Commit, u64)>,
    /// Why nothing more could be read of it, when that is not how a program ends.
    damage: Option<StateError>,
}

/// The segments of a directory, each read once.
struct Segments<'a> {
    directory: &'a Path,
    scanned: BTreeMap<u64, Scanned>,
}

pub(super) fn open(directory: &Path) -> Result<(Journal, Option<Found>), StateError> {
    let list = |source| io_error("list", directory, source);
    for name in names(directory).map_err(list)? {
        if number_of(&name, UNNAMED_AFTER).is_some() {
            // It has no commit. One that stays is no harm.
            let _ = fs::remove_file(directory.join(name));
        }
    }
    let numbers = segments(directory).map_err(list)?;
    let mut journal = Journal {
        directory: directory.to_owned(),
        segment: None,
        last: None,
        former_base: 0,
        next_segment: numbers.last().map_or(1, |last| last + 1),
    };
    let former = directory.join(FORMER_NAME);
    if numbers.is_empty() && former.exists() {
        return Err(StateError::Older { path: former });
    }
    let mut segments = Segments { directory, scanned: BTreeMap::new() };
    let mut passed_over = None;
    for &number in numbers.iter().rev() {
        match segments.chain(number) {
            Ok((chain, last)) => {
                journal.last = Some(last);
                journal.former_base = numbers[0];
                let damage = segments.scanned.remove(&number).and_then(|scanned| scanned.damage);
                let entries = Entries { chain, open: None };
                return Ok((journal, Some(Found { entries, passed_over: passed_over.or(damage) })));
            }
            Err(error @ (StateError::Newer { .. } | StateError::Older { .. })) => return Err(error),
            Err(error) => passed_over = passed_over.or(Some(error)),
        }
    }
    match passed_over {
        Some(error) => Err(error),
        None => Ok((journal, None)),
    }
}

impl Segments<'_> {
    /// What the last commit of a segment needs: segments from its base on, each with where to end.
    fn chain(&mut self, number: u64) -> Result<(VecDeque<(PathBuf, u64)>, Commit), StateError> {
        let scanned = self.scan(number)?;
        let Some(&(last, end)) = scanned.commits.last() else {
            let damage = scanned.damage.take();
            return Err(damage.unwrap_or_else(|| damaged(&path(self.directory, number), "it holds no checkpoint")));
        };
        let mut behind = scanned.behind;
        let (mut at, mut chain) = (number, VecDeque::from([(path(self.directory, number), end)]));
        while at != last.base {
            let (before, commit) = behind;
            if before >= at || before < last.base {
                let here = path(self.directory, at);
                return Err(damaged(&here, format!("it goes on behind segment {before}, not behind {}", last.base)));
            }
            let scanned = self.scan(before)?;
            let end = scanned.commits.iter().find(|(found, _)| found.number == commit).map(|(_, end)| *end);
            let Some(end) = end else {
                return Err(damaged(&path(self.directory, before), format!("its checkpoint {commit} cannot be read")));
            };
            behind = scanned.behind;
            at = before;
            chain.push_front((path(self.directory, at), end));
        }
        Ok((chain, last))
    }

    fn scan(&mut self, number: u64) -> Result<&mut Scanned, StateError> {
        if !self.scanned.contains_key(&number) {
            self.scanned.insert(number, scan(&path(self.directory, number), number)?);
        }
        Ok(self.scanned.get_mut(&number).expect("it was scanned just now"))
    }
}

/// Reads a segment through once. What cannot be read of it is damage, but for an end that is not all there.
fn scan(path: &Path, number: u64) -> Result<Scanned, StateError> {
    let file = File::open(path).map_err(|source| io_error("open", path, source))?;
    let mut reader = BufReader::with_capacity(READ_BYTES, file);
    let behind = read_header(path, number, &mut reader)?;
    let mut scanned = Scanned { behind, commits: Vec::new(), damage: None };
    let mut end = HEADER_BYTES as u64;
    let mut content = Vec::new();
    loop {
        match read_entry(&mut reader, &mut content) {
            Ok(Some(header)) => {
                end += (ENTRY_HEADER_BYTES + content.len()) as u64;
                if header.is_commit {
                    scanned.commits.push((Commit { segment: number, number: header.commit, base: header.base }, end));
                }
            }
            Ok(None) => return Ok(scanned),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                scanned.damage = Some(damaged(path, format!("{error}, at byte {end}")));
                return Ok(scanned);
            }
            Err(source) => return Err(io_error("read", path, source)),
        }
    }
}

fn read_header(path: &Path, number: u64, reader: &mut impl Read) -> Result<(u64, u64), StateError> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    reader.take(HEADER_BYTES as u64).read_to_end(&mut header).map_err(|source| io_error("read", path, source))?;
    let Ok(header) = <[u8; HEADER_BYTES]>::try_from(header) else {
        return Err(damaged(path, format!("it is shorter than a header, which has {HEADER_BYTES} bytes")));
    };
    let version = u32::from_le_bytes(header[8..12].try_into().expect("four bytes"));
    if &header[..8] != MAGIC {
        return Err(damaged(path, "it does not begin like a journal"));
    }
    if header[36..] != crc32fast::hash(&header[..36]).to_le_bytes() {
        return Err(damaged(path, "the checksum of its header does not fit"));
    }
    if version > FORMAT_VERSION {
        return Err(StateError::Newer { path: path.to_owned(), found: version, known: FORMAT_VERSION });
    }
    if version < FORMAT_VERSION {
        return Err(StateError::Older { path: path.to_owned() });
    }
    if number_at(&header, 12) != number {
        return Err(damaged(path, format!("it is segment {} under another name", number_at(&header, 12))));
    }
    Ok((number_at(&header, 20), number_at(&header, 28)))
}

struct EntryHeader {
    is_commit: bool,
    commit: u64,
    base: u64,
}

/// The next entry, whose content is put in place of what `content` held; `None` at the end, also within an entry that is not all there.
///
/// # Errors
/// `InvalidData` when it is not what was written.
fn read_entry(reader: &mut impl Read, content: &mut Vec<u8>) -> io::Result<Option<EntryHeader>> {
    let mut header = Vec::with_capacity(ENTRY_HEADER_BYTES);
    reader.take(ENTRY_HEADER_BYTES as u64).read_to_end(&mut header)?;
    let Ok(header) = <[u8; ENTRY_HEADER_BYTES]>::try_from(header) else { return Ok(None) };
    let number = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
    let length = number(0);
    let invalid = |what: String| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    if length > ENTRY_BYTES_MAX {
        return invalid(format!("an entry says that it has {length} bytes, at most {ENTRY_BYTES_MAX} are written"));
    }
    content.clear();
    // Grows as it is read: a length that is wrong takes no memory.
    reader.take(u64::from(length)).read_to_end(content)?;
    if content.len() as u64 != u64::from(length) {
        return Ok(None);
    }
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[8..]);
    hasher.update(content);
    if hasher.finalize() != number(4) {
        return invalid("the checksum of an entry does not fit".to_owned());
    }
    Ok(Some(EntryHeader { is_commit: header[8] == 1, commit: number_at(&header, 9), base: number_at(&header, 17) }))
}

fn number_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

impl Entries {
    /// Puts the content of the next entry in place of what `content` held; false when there is none.
    ///
    /// # Errors
    /// When it cannot be read any more.
    pub fn read(&mut self, content: &mut Vec<u8>) -> Result<bool, StateError> {
        loop {
            if let Some((path, reader)) = &mut self.open {
                match read_entry(reader, content) {
                    Ok(Some(_)) => return Ok(true),
                    Ok(None) => self.open = None,
                    Err(source) => return Err(io_error("read", path, source)),
                }
            }
            let Some((path, end)) = self.chain.pop_front() else { return Ok(false) };
            let file = File::open(&path).map_err(|source| io_error("open", &path, source))?;
            let mut reader = BufReader::with_capacity(READ_BYTES, file);
            io::copy(&mut (&mut reader).take(HEADER_BYTES as u64), &mut io::sink())
                .map_err(|source| io_error("read", &path, source))?;
            self.open = Some((path, reader.take(end - HEADER_BYTES as u64)));
        }
    }
}

/// Where versions before the first release kept their checkpoint.
const FORMER_NAME: &str = "checkpoint";
const READ_BYTES: usize = 256 * 1024;
