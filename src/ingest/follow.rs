//! Keeps track of every file of every stream, and hands out what nobody has read yet.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod complaints;
mod reading;
pub mod standing;
mod unknown;

use self::complaints::Complaints;
use self::unknown::Copied;
use super::discover::{Found, Listing, Patterns, failed};
use super::disk::{Disk, HostDisk};
use super::kin;
use super::name::{self, Rank};
use super::reader::{Descriptors, Reader};
use super::reread::find_by_identity;
use super::source::{Look, Place, Source};
use super::streams::{Slot, Stream, Streams};
use super::{
    Counters, Fingerprint, Identity, Mode, Notice, Read, Refusal, Rereader, Saved, Settings, SettingsError, SourceInfo, StartAt,
    TimeReader, Wait,
};
use crate::limits::CHUNK_BYTES_MAX;
use crate::pipeline::event::{Position, SourceId, StreamId, WallTime};

/// Follows the files that the settings name. See [`crate::ingest`] for what it promises.
pub struct Follower {
    disk: Arc<dyn Disk>,
    patterns: Patterns,
    start_at: StartAt,
    mode: Mode,
    read_time: TimeReader,
    streams: Streams,
    descriptors: Descriptors,
    /// Streams with something to read.
    ready: BTreeSet<StreamId>,
    /// Copies of sources that are there themselves, as they were when that was found out.
    copies: HashMap<Identity, Copied>,
    /// Files that were there at the first scan and could not be opened: `start_at` holds for them when they can be.
    late: HashSet<Identity>,
    /// Streams of which this pass has seen a file being renamed, or emptied.
    moved: HashSet<StreamId>,
    started: bool,
    now_nanos: i64,
    /// Bytes of one read.
    chunk_bytes: usize,
    directories: BTreeSet<PathBuf>,
    complaints: Complaints,
    counters: Counters,
}

/// One stream as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamStatus<'a> {
    /// Its number.
    pub id: StreamId,
    /// Its name: path of the live file.
    pub name: &'a Path,
    /// Bytes that were there at the last scan or read and were not handed out; of compressed files their size on disk.
    pub lag_bytes: u64,
}

impl Follower {
    /// A follower of files of the host that goes on where `saved` stood; `Saved::default()` for a first start. Looks at nothing before
    /// the first scan.
    ///
    /// # Errors
    /// When there is no pattern, or one is not a glob.
    pub fn new(settings: &Settings, saved: Saved, read_time: TimeReader) -> Result<Self, SettingsError> {
        Self::on(Arc::new(HostDisk), settings, saved, read_time)
    }

    /// The same on another disk.
    ///
    /// # Errors
    /// When there is no pattern, or one is not a glob.
    pub fn on(disk: Arc<dyn Disk>, settings: &Settings, saved: Saved, read_time: TimeReader) -> Result<Self, SettingsError> {
        Ok(Self {
            patterns: Patterns::on(Arc::clone(&disk), settings)?,
            disk,
            start_at: settings.start_at,
            mode: settings.mode,
            read_time,
            started: saved.started,
            counters: saved.counters,
            streams: Streams::restored(saved),
            descriptors: Descriptors::default(),
            ready: BTreeSet::new(),
            copies: HashMap::new(),
            late: HashSet::new(),
            moved: HashSet::new(),
            now_nanos: 0,
            chunk_bytes: CHUNK_BYTES_MAX,
            directories: BTreeSet::new(),
            complaints: Complaints::default(),
        })
    }

    /// Looks at all directories and files: finds new ones, and notices what was rotated, truncated or deleted. `now` only tells
    /// how far file times can be trusted. Costs one directory read per directory and one look per file, twice when names have
    /// changed, and 1.3 KB read per changed file.
    pub fn scan(&mut self, now: WallTime) -> Vec<Notice> {
        self.now_nanos = now.0.saturating_mul(1_000_000);
        self.complaints.begin_scan();
        let mut listing = self.patterns.list();
        for _ in 0..PASSES_MAX {
            for notice in std::mem::take(&mut listing.notices) {
                self.complain(notice);
            }
            self.moved.clear();
            let (seen, unknown) = self.recognise(std::mem::take(&mut listing.files));
            self.look_for_others(&seen, &listing);
            if !self.take_up(unknown) {
                break;
            }
            listing = self.patterns.list();
        }
        self.settle();
        self.directories = listing.directories;
        self.started = true;
        self.complaints.take()
    }

    /// Streams for which [`Follower::read`] has something, as of the last scan or read; by number. When a scan leaves none in
    /// [`Mode::Once`], everything has been read.
    pub fn ready(&self) -> impl Iterator<Item = StreamId> {
        self.ready.iter().copied()
    }

    /// Whether [`Follower::read`] has something of `stream`, as of the last scan or read.
    #[must_use]
    pub fn is_ready(&self, stream: StreamId) -> bool {
        self.ready.contains(&stream)
    }

    /// What some scans must show before [`Follower::read`] gives what else `stream` has: until then it is behind, and not at its end. So it
    /// is, as far as anybody knows, while a file that was not read to its end before a restart has not been found since.
    #[must_use]
    pub fn waits_for(&self, stream: StreamId) -> Option<Wait> {
        let stream = self.streams.get(stream).filter(|_| self.mode == Mode::Follow)?;
        let (index, _) = stream.current().filter(|_| !self.is_ready(stream.id))?;
        let source = &stream.sources[index];
        let is_unknown = !source.seen && !source.is_present();
        let is_missed = matches!(source.place, Place::Missing { scans, .. } if scans > 0);
        let is_unread = stream.sources[index..].iter().any(|source| source.lag_bytes() > 0);
        let is_sought = source.moved || !source.blocked && (source.is_caught_up() || is_missed);
        if is_unknown { Some(Wait::Found) } else { (is_sought && is_unread).then_some(Wait::Ended) }
    }

    /// Shares `bytes` out among the streams that are unread: with many of them one read gives less, so that what is read ahead of the
    /// slowest stays within `bytes`. At least 1 KiB, at most [`CHUNK_BYTES_MAX`].
    pub fn share_read_ahead(&mut self, bytes: usize) {
        self.chunk_bytes = (bytes / self.ready.len().max(1)).clamp(1024, CHUNK_BYTES_MAX);
    }

    /// Replaces `buffer` by the next bytes of the oldest unread source of `stream` and moves on behind them. `None` when there is
    /// nothing now; what went wrong is told by the next scan.
    pub fn read(&mut self, stream: StreamId, buffer: &mut Vec<u8>) -> Option<Read> {
        buffer.clear();
        let read = self.read_current(stream, buffer);
        self.refresh_ready(stream);
        read
    }

    /// Where everything stands now, right behind the last byte that was handed out.
    #[must_use]
    pub fn positions(&self) -> Saved {
        Saved { started: self.started, counters: self.counters, ..self.streams.saved() }
    }

    /// The file behind a number; `None` when it was read to its end and deleted.
    #[must_use]
    pub fn source(&self, source: SourceId) -> Option<&SourceInfo> {
        self.streams.source(source).map(|source| &source.info)
    }

    /// A snapshot that can read the records at `positions` again, on any thread.
    #[must_use]
    pub fn rereader(&self, positions: impl IntoIterator<Item = Position>) -> Rereader {
        let sources = positions.into_iter().filter_map(|position| self.source(position.source).cloned());
        Rereader::on(Arc::clone(&self.disk), sources)
    }

    /// All streams, by number.
    pub fn streams(&self) -> impl Iterator<Item = StreamStatus<'_>> {
        self.streams.iter().map(|stream| StreamStatus {
            id: stream.id,
            name: &stream.name,
            lag_bytes: stream.sources.iter().map(Source::lag_bytes).sum(),
        })
    }

    /// What was counted so far, over restarts too.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The directories that the last scan read, for [`crate::ingest::Waker::watch`].
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.directories.iter().map(PathBuf::as_path)
    }
}

/// The scan: what became of the files that are known.
impl Follower {
    /// Finds the known sources among `files` by identity; returns where they stand, and the files that are none of them.
    fn recognise(&mut self, files: Vec<Found>) -> (HashSet<Slot>, Vec<Found>) {
        let by_identity = self.streams.by_identity();
        let (mut seen, mut unknown) = (HashSet::new(), Vec::new());
        for found in files {
            let from = (found.identity, Slot { stream: StreamId(0), index: 0 });
            let to = (found.identity, Slot { stream: StreamId(u32::MAX), index: usize::MAX });
            let mut is_known = false;
            for &(_, slot) in by_identity.range(from..=to) {
                let is_still = self.is_still(slot, &found);
                if is_still != Some(false) {
                    seen.insert(slot);
                    is_known = true;
                }
                if is_still == Some(true) {
                    break;
                }
            }
            if !is_known {
                unknown.push(found);
            }
        }
        (seen, unknown)
    }

    /// Whether the source in `slot` is the file `found`, which has its device and inode. If so, it is where `found` is. `None` when that
    /// cannot be looked at: of several sources that had the inode one after the other it may be any, and none of them is missed.
    fn is_still(&mut self, slot: Slot, found: &Found) -> Option<bool> {
        let source = self.streams.at(slot);
        if matches!(source.place, Place::Missing { replaced: true, .. }) || source.is_too_little_known(found) {
            return Some(false);
        }
        let look = if source.codec != found.codec || self.is_outlived(slot, found) {
            // On an inode that was freed. If it is compressed, what it decodes to may be alike, but offsets mean something else in it.
            Ok(Look::Other)
        } else if source.is_unchanged(found.size, found.modified_nanos) {
            Ok(Look::Same(source.info.head))
        } else {
            self.look(slot, found)
        };
        match look {
            Ok(Look::Same(head)) => {
                self.see(slot, found, head);
                return Some(true);
            }
            Ok(Look::Other) => {
                let source = self.streams.at(slot);
                if source.info.head.bytes > 0 {
                    self.replace(slot, found);
                } else if !source.finished {
                    // The next pass finds the same file, and must find it alone: what it held when it was listed only this one knows.
                    self.note_truncated(&found.path);
                    self.moved.insert(slot.stream);
                }
                return Some(false);
            }
            // Renamed since it was listed: where it is now, and what is older or its copy, this pass cannot know.
            Err(error) if error.kind() == io::ErrorKind::NotFound => drop(self.moved.insert(slot.stream)),
            // Device and inode have to do until it can be read again.
            Err(error) if self.is_being_compressed(found, &error) => {}
            Err(error) => {
                self.complain_of(&found.path, "open", &error);
                if self.is_of_another_log(slot, found) {
                    return Some(false);
                }
                let source = self.streams.at_mut(slot);
                // What a live log was rotated to is older than it also while it cannot be read.
                if source.is_live() && source.info.path == found.path {
                    source.place = Place::Present;
                }
            }
        }
        None
    }

    /// Whether a file that cannot be looked at is another log's, going by its name, while nobody has seen the source in `slot` lately: or
    /// its own log would wait for that file.
    fn is_of_another_log(&self, slot: Slot, found: &Found) -> bool {
        let is_named = !found.stream.as_os_str().is_empty();
        let is_own = self.streams.get(slot.stream).is_some_and(|stream| stream.name == found.stream);
        is_named && !is_own && !self.streams.at(slot).is_present()
    }

    /// Whether `found` is younger than the source in `slot` can be. An open descriptor keeps an inode from being used again.
    fn is_outlived(&self, slot: Slot, found: &Found) -> bool {
        !self.descriptors.holds(self.streams.at(slot).info.id)
            && self.streams.get(slot.stream).is_some_and(|stream| kin::is_outlived(stream, slot.index, found))
    }

    fn look(&mut self, slot: Slot, found: &Found) -> io::Result<Look> {
        let source = self.streams.at(slot);
        if found.codec.is_none()
            && let Some(reader) = self.descriptors.get(source.info.id)
        {
            return source.look_at_found(reader, found);
        }
        source.look_at_found(&mut self.open_found(found)?, found)
    }

    /// Opens a file that was just found, if it still is that file.
    fn open_found(&self, found: &Found) -> io::Result<Reader> {
        let file = self.disk.open(&found.path)?;
        if file.metadata()?.identity == found.identity {
            Reader::new(file, found.codec)
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    /// Takes down that the source in `slot` is at `found`.
    fn see(&mut self, slot: Slot, found: &Found, head: Fingerprint) {
        let now_nanos = self.now_nanos;
        let source = self.streams.at_mut(slot);
        source.note_look(head, found.size, found.modified_nanos, now_nanos);
        // What was taken for lost is read if it is back in time.
        source.given_up &= source.is_present() || source.is_packed();
        source.place = Place::Present;
        source.seen = true;
        source.rank = found.rank.clone();
        if source.info.path != found.path {
            let from = std::mem::replace(&mut source.info.path, found.path.clone());
            let notice = Notice::Rotated { source: source.info.id, from, to: found.path.clone() };
            self.counters.rotated_sources += 1;
            self.complaints.tell(notice);
        }
        if self.mode == Mode::Follow && source.goes_on() {
            let notice = Notice::Opened { source: source.info.id, path: found.path.clone(), offset: source.offset };
            self.counters.opened_sources += 1;
            self.complaints.tell(notice);
        }
    }

    /// Takes down that another file is where the source in `slot` was: it was truncated, or its inode was used again.
    fn replace(&mut self, slot: Slot, found: &Found) {
        let source = self.streams.at_mut(slot);
        source.place = Place::Missing { scans: 0, replaced: true };
        let id = source.info.id;
        let was_truncated = source.info.path == found.path || self.descriptors.holds(id);
        self.descriptors.close(id);
        if was_truncated {
            self.note_truncated(&found.path);
        }
    }

    /// Counts and tells that a file holds something else by now than it did.
    fn note_truncated(&mut self, path: &Path) {
        self.counters.truncated_sources += 1;
        self.complaints.tell(Notice::Truncated { path: path.to_path_buf() });
    }

    /// Looks for the sources that the listing did not show: moved away, deleted, or not to be looked at just now.
    fn look_for_others(&mut self, seen: &HashSet<Slot>, listing: &Listing) {
        for slot in self.streams.slots().into_iter().filter(|slot| !seen.contains(slot)) {
            let source = self.streams.at(slot);
            if !listing.unsure.is_empty() && source.info.path.ancestors().any(|path| listing.unsure.contains(path)) {
                continue;
            }
            match elsewhere(&*self.disk, source, listing) {
                Some(found) if self.is_still(slot, &found) != Some(false) => {}
                Some(_) | None => self.miss(slot),
            }
        }
    }

    /// Takes down that the source in `slot` was not found. Its open descriptor, if there is one, still reads what is left.
    fn miss(&mut self, slot: Slot) {
        let source = self.streams.at_mut(slot);
        source.missed = true;
        if source.is_present() {
            source.place = Place::Missing { scans: 0, replaced: false };
        }
        if source.info.head.bytes == 0 {
            // It was empty: should it turn up again, with bytes in it, it is as good as new.
            source.finished = true;
            source.place = Place::Missing { scans: MISSING_SCANS_MAX, replaced: false };
        }
        let id = source.info.id;
        if source.finished || self.has_lost_content(slot) {
            self.descriptors.close(id);
        }
        self.descriptors.keep(id);
    }

    /// Whether the open file of a missing source holds something else by now: it was truncated before it lost its name.
    fn has_lost_content(&mut self, slot: Slot) -> bool {
        let source = self.streams.at_mut(slot);
        let Some(Reader::Plain(file)) = self.descriptors.get(source.info.id) else {
            return false;
        };
        let Ok(size) = file.metadata().map(|metadata| metadata.size) else {
            return false;
        };
        match source.look(file, size) {
            Ok(Look::Same(_)) => {
                source.size = size;
                return false;
            }
            Err(_) => return false,
            Ok(Look::Other) => {}
        }
        if let Place::Missing { replaced, .. } = &mut source.place {
            *replaced = true;
        }
        let path = source.info.path.clone();
        self.note_truncated(&path);
        true
    }
}

/// The scan: what follows from it.
impl Follower {
    /// Counts quiet scans, gives up what is gone, forgets what is over, and works out what is ready.
    fn settle(&mut self) {
        for slot in self.streams.slots() {
            let superseded = slot.index + 1 < self.streams.get(slot.stream).map_or(0, |stream| stream.sources.len());
            let source = self.streams.at_mut(slot);
            (source.blocked, source.moved) = (false, false);
            source.count_quiet(superseded);
            source.count_missing();
            let is_gone = matches!(source.place, Place::Missing { scans, .. } if scans >= MISSING_SCANS_MAX)
                && !self.descriptors.holds(source.info.id);
            if is_gone && !source.finished && !source.given_up {
                self.give_up(slot);
            }
        }
        let is_over = |source: &Source| {
            source.finished && matches!(source.place, Place::Missing { scans, .. } if scans >= MISSING_SCANS_MAX)
        };
        for forgotten in self.streams.forget(is_over) {
            self.descriptors.close(forgotten);
        }
        let streams: Vec<StreamId> = self.streams.iter().map(|stream| stream.id).collect();
        for stream in streams {
            self.refresh_ready(stream);
        }
    }

    /// Ends a source where reading stands, and says what that costs.
    fn give_up(&mut self, slot: Slot) {
        let source = self.streams.at_mut(slot);
        let bytes = source.lag_bytes();
        source.given_up = true;
        let (id, path) = (source.info.id, source.info.path.clone());
        let was_truncated = matches!(source.place, Place::Missing { replaced: true, .. });
        if bytes > 0 || !source.seen || source.is_packed() {
            self.counters.lost_sources += 1;
            self.counters.lost_bytes += if source.is_packed() { 0 } else { bytes };
            self.complaints.tell(Notice::Lost { source: id, path, bytes: if source.is_packed() { 0 } else { bytes } });
        } else if !was_truncated {
            self.counters.deleted_sources += 1;
            self.complaints.tell(Notice::Deleted { source: id, path });
        }
    }

    fn refresh_ready(&mut self, stream: StreamId) {
        let is_ready = self.streams.get(stream).is_some_and(|stream| self.has_something(stream));
        if is_ready {
            self.ready.insert(stream);
        } else {
            self.ready.remove(&stream);
        }
    }

    fn has_something(&self, stream: &Stream) -> bool {
        let Some((index, superseded)) = stream.current() else {
            return false;
        };
        let source = &stream.sources[index];
        let is_readable = source.is_present() || self.descriptors.holds(source.info.id);
        let has_bytes = is_readable && !source.is_caught_up();
        !source.blocked && (has_bytes || source.is_caught_up() && source.ends(self.mode, superseded))
    }

    /// Counts and tells that something could not be done. A file that has just been renamed is no failure: the next scan finds
    /// it.
    fn complain_of(&mut self, path: &Path, action: &'static str, error: &io::Error) {
        if error.kind() != io::ErrorKind::NotFound {
            self.complain(failed(path, action, error));
        }
    }

    /// Counts a refusal or failure, and tells it unless it was told before and has lasted since.
    fn complain(&mut self, notice: Notice) {
        if !self.complaints.is_new(&notice) {
            return;
        }
        match &notice {
            Notice::Refused { reason: Refusal::Blockless(_), .. } => self.counters.blockless_logs += 1,
            Notice::Refused { reason: Refusal::TooManyStreams, .. } => self.counters.refused_streams += 1,
            Notice::Refused { .. } => self.counters.refused_files += 1,
            Notice::Failed { .. } => self.counters.errors += 1,
            Notice::Opened { .. }
            | Notice::Rotated { .. }
            | Notice::Copied { .. }
            | Notice::Truncated { .. }
            | Notice::Deleted { .. }
            | Notice::Lost { .. } => {}
        }
        self.complaints.tell(notice);
    }
}

/// Where a source is that the patterns do not show any more: under its own path, which a symbolic link may have led to, or under
/// another name in a directory that is not listed.
fn elsewhere(disk: &dyn Disk, source: &Source, listing: &Listing) -> Option<Found> {
    if source.finished || matches!(source.place, Place::Missing { replaced: true, .. }) {
        return None;
    }
    let identity = source.info.identity;
    let own = disk.metadata(&source.info.path).ok().filter(|metadata| metadata.identity == identity);
    let path = if own.is_some() {
        source.info.path.clone()
    } else {
        let directory = source.info.path.parent().filter(|parent| !listing.directories.contains(*parent))?;
        find_by_identity(disk, directory, identity)?
    };
    let metadata = disk.metadata(&path).ok()?;
    let rank =
        path.file_name().and_then(|file_name| file_name.to_str()).map_or(Rank::Live, |file_name| name::parse(file_name).rank);
    Some(Found {
        stream: PathBuf::new(),
        rank,
        codec: source.codec,
        identity,
        size: metadata.size,
        modified_nanos: metadata.modified_nanos,
        path,
    })
}

/// Scans that must miss a file before it counts as gone: it may have been renamed at a bad moment, or its copy not be there yet.
const MISSING_SCANS_MAX: u8 = 3;

/// How often one scan begins anew because files are renamed while it opens them.
const PASSES_MAX: usize = 8;
