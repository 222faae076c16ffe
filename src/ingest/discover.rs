//! Finds the log files that the patterns name, with one directory read per directory and one look per file.
//!
//! A path or glob takes what it matches and what was rotated from that: `/var/log/hadoop/*-datanode-*.log` takes `….log.1` and
//! `….log.2026-11-23.gz` too. A pattern that is the path of a directory takes the files whose live name ends in `.log`, or in
//! `.log.out` as Cloudera names them; console output (`.out`) repeats the log and is taken only when a glob names it. Audit,
//! security and garbage-collector logs name no blocks and are passed over.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glob::Pattern;

use super::codec::Codec;
use super::disk::{Disk, Entry, HostDisk, Kind};
use super::name::{self, Packing, Rank};
use super::{Identity, Notice, Refusal, Settings, SettingsError};
use crate::pipeline::event::origin::Origin;

/// The patterns of the settings, checked.
#[derive(Clone, Debug)]
pub struct Patterns {
    disk: Arc<dyn Disk>,
    wanted: Vec<String>,
    exclude: Vec<Pattern>,
    blockless: bool,
    /// The names and identities of the last listing.
    last: Vec<(PathBuf, Identity)>,
}

/// What is there at one moment.
#[derive(Debug, Default)]
pub struct Listing {
    /// Regular files, by path, each identity once.
    pub files: Vec<Found>,
    /// Directories that were read, to be watched.
    pub directories: BTreeSet<PathBuf>,
    /// Directories and files that could not be looked at: what was known of them still stands.
    pub unsure: BTreeSet<PathBuf>,
    /// What went wrong or was left out.
    pub notices: Vec<Notice>,
}

/// One file as the system describes it, not opened yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is; of a symbolic link, where it leads.
    pub path: PathBuf,
    /// Path of the live file it belongs to, as the pattern names it.
    pub stream: PathBuf,
    /// Its age in the stream.
    pub rank: Rank,
    /// How it is compressed, if it is.
    pub codec: Option<Codec>,
    /// Device and inode.
    pub identity: Identity,
    /// Bytes.
    pub size: u64,
    /// When it was last written, nanoseconds since the Unix epoch.
    pub modified_nanos: i64,
}

impl Patterns {
    /// Checks the patterns of `settings`, which name files on the disk of the host.
    ///
    /// # Errors
    /// When there is none, or one is not a glob.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Self::on(Arc::new(HostDisk), settings)
    }

    /// The same on another disk.
    ///
    /// # Errors
    /// When there is none, or one is not a glob.
    pub fn on(disk: Arc<dyn Disk>, settings: &Settings) -> Result<Self, SettingsError> {
        if settings.patterns.is_empty() {
            return Err(SettingsError::NoPattern);
        }
        for pattern in &settings.patterns {
            compile(pattern)?;
        }
        let exclude = settings.exclude.iter().map(|pattern| compile(pattern)).collect::<Result<_, _>>()?;
        Ok(Self { disk, wanted: settings.patterns.clone(), exclude, blockless: settings.blockless, last: Vec::new() })
    }

    /// Looks at the file system now.
    ///
    /// Files that are renamed meanwhile may be missed, and then a newer one would be taken for the next. So a listing that
    /// differs from the last one counts only when it is the same twice in a row; in quiet times that costs nothing.
    #[must_use]
    pub fn list(&mut self) -> Listing {
        let mut listing = self.list_once();
        for _ in 0..LISTINGS_MAX {
            let names: Vec<_> = listing.files.iter().map(|file| (file.path.clone(), file.identity)).collect();
            if names == self.last {
                break;
            }
            self.last = names;
            listing = self.list_once();
        }
        listing
    }

    fn list_once(&self) -> Listing {
        let mut listing = Listing::default();
        let mut seen = HashSet::new();
        for (directory, selectors) in self.directories() {
            self.list_directory(&directory, &selectors, &mut seen, &mut listing);
        }
        listing
    }

    /// The directories to read, each with what is wanted of it.
    fn directories(&self) -> BTreeMap<PathBuf, Vec<Selector>> {
        let mut directories: BTreeMap<PathBuf, Vec<Selector>> = BTreeMap::new();
        for pattern in &self.wanted {
            let path = Path::new(pattern);
            if self.disk.metadata(path).is_ok_and(|metadata| metadata.kind == Kind::Directory) {
                directories.entry(path.to_path_buf()).or_default().push(Selector::HdfsLogs);
                continue;
            }
            let Some(selector) = path.file_name().and_then(OsStr::to_str).and_then(|name| Pattern::new(name).ok()) else {
                continue;
            };
            for parent in self.parents(path) {
                directories.entry(parent).or_default().push(Selector::Matching(selector.clone()));
            }
        }
        directories
    }

    fn list_directory(&self, directory: &Path, selectors: &[Selector], seen: &mut HashSet<Identity>, listing: &mut Listing) {
        let entries = match self.disk.list(directory) {
            Ok(entries) => entries,
            Err(error) => return listing.fail(directory, "list", &error),
        };
        listing.directories.insert(directory.to_path_buf());
        let mut wanted: Vec<Entry> = entries.into_iter().filter(|entry| self.wants(directory, selectors, entry)).collect();
        wanted.sort_by(|one, other| one.name.cmp(&other.name));
        for entry in wanted {
            if !self.blockless
                && let Some(notice) = blockless(directory, &entry)
            {
                listing.notices.push(notice);
                continue;
            }
            self.look_at(directory, &entry, selectors, seen, listing);
        }
    }

    fn wants(&self, directory: &Path, selectors: &[Selector], entry: &Entry) -> bool {
        // HDFS writes no other names; one that is not UTF-8 is somebody else's.
        let Some(file_name) = entry.name.to_str() else { return false };
        let live = name::parse(file_name).live;
        selectors.iter().any(|selector| selector.takes(file_name, live))
            && ![file_name, live].iter().any(|name| self.excludes(directory, name))
    }

    fn look_at(
        &self,
        directory: &Path,
        entry: &Entry,
        selectors: &[Selector],
        seen: &mut HashSet<Identity>,
        listing: &mut Listing,
    ) {
        let path = directory.join(&entry.name);
        let metadata = match self.disk.metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) => return listing.fail(&path, "look at", &error),
        };
        let name = name::parse(entry.name.to_str().expect("only UTF-8 names are wanted"));
        let refusal = (metadata.kind != Kind::File).then_some(Refusal::NotRegular);
        let refusal = refusal.or((name.packing == Packing::Unknown).then_some(Refusal::Compression));
        if let Some(reason) = refusal {
            // A directory beside the logs is nobody's mistake unless a glob names it.
            let is_named = selectors.iter().any(|selector| matches!(selector, Selector::Matching(_)));
            if metadata.kind != Kind::Directory || is_named {
                listing.notices.push(Notice::Refused { path, reason });
            }
            return;
        }
        if !seen.insert(metadata.identity) {
            return;
        }
        listing.files.push(Found {
            stream: directory.join(name.live),
            rank: name.rank,
            codec: name.packing.codec(),
            identity: metadata.identity,
            size: metadata.size,
            modified_nanos: metadata.modified_nanos,
            path: if entry.is_link { self.disk.canonicalize(&path).unwrap_or(path) } else { path },
        });
    }

    /// The directories that the parent part of a pattern stands for.
    fn parents(&self, pattern: &Path) -> Vec<PathBuf> {
        let parent = match pattern.parent() {
            None => return Vec::new(),
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
        };
        let text = parent.to_string_lossy();
        if !text.contains(['*', '?', '[']) {
            return vec![parent.to_path_buf()];
        }
        // A directory that cannot be looked at while globbing is tried again at the next scan.
        self.disk.directories(&text)
    }

    fn excludes(&self, directory: &Path, name: &str) -> bool {
        self.exclude.iter().any(|pattern| pattern.matches(name) || pattern.matches_path(&directory.join(name)))
    }
}

impl Listing {
    fn fail(&mut self, path: &Path, action: &'static str, error: &io::Error) {
        // What is not there (yet) is no failure; what was there is missed by whoever knew it.
        if error.kind() == io::ErrorKind::NotFound {
            return;
        }
        self.unsure.insert(path.to_path_buf());
        self.notices.push(failed(path, action, error));
    }
}

/// The notice of a failure.
#[must_use]
pub fn failed(path: &Path, action: &'static str, error: &io::Error) -> Notice {
    Notice::Failed { path: path.to_path_buf(), action, kind: error.kind(), error: error.to_string() }
}

/// What is wanted of one directory.
#[derive(Clone, Debug)]
enum Selector {
    /// Files whose name, or that of their live file, matches.
    Matching(Pattern),
    /// Files that look like logs of HDFS.
    HdfsLogs,
}

impl Selector {
    fn takes(&self, name: &str, live: &str) -> bool {
        match self {
            Self::Matching(pattern) => pattern.matches(name) || pattern.matches(live),
            Self::HdfsLogs => {
                let packed = name::parse(name).packing == Packing::Unknown;
                [".log", ".log.out"].iter().any(|ending| live.ends_with(ending)) && !packed
            }
        }
    }
}

/// That a log is passed over because its role names no blocks, told of the log and not of each of its files.
fn blockless(directory: &Path, entry: &Entry) -> Option<Notice> {
    let live = name::parse(entry.name.to_str()?).live;
    let role = Origin::of_file_name(live).role;
    (!role.is_followed()).then(|| Notice::Refused { path: directory.join(live), reason: Refusal::Blockless(role) })
}

fn compile(pattern: &str) -> Result<Pattern, SettingsError> {
    Pattern::new(pattern).map_err(|error| SettingsError::Glob { pattern: pattern.to_owned(), message: error.msg, at: error.pos })
}

/// Listings that may differ from each other before the last one has to do. Rolling a chain of 20 files takes less time than one.
const LISTINGS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::ingest::{Mode, StartAt};
    use crate::pipeline::event::origin::Role;

    #[test]
    fn a_directory_means_the_hdfs_logs_in_it() {
        check(
            &[
                "a.log",
                "a.log.1",
                "a.log.2026-11-23.gz",
                "a.log.2026-11-24.zst",
                "a.out",
                "hdfs-audit.log",
                "SecurityAuth-hdfs.audit",
                "gc.log.0",
                "a.log.2.xz",
                "hadoop-cmf-hdfs-DATANODE-audit.log.out.1",
            ],
            "",
            &[],
            &["a.log", "a.log.1", "a.log.2026-11-23.gz", "a.log.2026-11-24.zst", "hadoop-cmf-hdfs-DATANODE-audit.log.out.1"],
        );
    }

    #[test]
    fn logs_of_a_role_without_blocks_are_named_and_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["hdfs-audit.log", "hdfs-audit.log.1", "SecurityAuth-hdfs.audit", "gc.log.0"] {
            fs::write(directory.path().join(name), b"").unwrap();
        }
        let listing = patterns(&[directory.path().join("*")], &[]).unwrap().list();
        let refused = |name: &str, role| Notice::Refused { path: directory.path().join(name), reason: Refusal::Blockless(role) };
        let audit = refused("hdfs-audit.log", Role::Audit);
        let security = refused("SecurityAuth-hdfs.audit", Role::Security);
        assert_eq!(listing.notices, [security, refused("gc.log", Role::Gc), audit.clone(), audit]);
        assert!(listing.files.is_empty());
    }

    #[test]
    fn a_glob_takes_rotated_files_along() {
        check(&["a.log", "a.log.1", "b.txt"], "*.log", &[], &["a.log", "a.log.1"]);
        check(&["a.log", "a.log.1", "b.log"], "a.log", &[], &["a.log", "a.log.1"]);
    }

    #[test]
    fn what_is_excluded_is_left_out_with_its_rotated_files() {
        check(&["a.log", "a.log.1", "b.log"], "", &["a.log"], &["b.log"]);
        check(&["a.log", "a.log.1", "b.log"], "", &["*/a.log.*"], &["a.log", "b.log"]);
    }

    #[test]
    fn directories_may_be_globbed() {
        let directory = tempfile::tempdir().unwrap();
        for host in ["dn1", "dn2"] {
            fs::create_dir(directory.path().join(host)).unwrap();
            fs::write(directory.path().join(host).join("x.log"), b"").unwrap();
        }
        let listing = patterns(&[directory.path().join("*/x.log")], &[]).unwrap().list();
        assert_eq!(listing.files.len(), 2);
        assert_eq!(listing.directories.len(), 2);
    }

    #[test]
    fn a_broken_glob_is_named() {
        let error = patterns(&[PathBuf::from("/logs/[a")], &[]).unwrap_err().to_string();
        assert!(error.contains("/logs/[a"), "{error}");
        assert!(matches!(patterns(&[], &[]), Err(SettingsError::NoPattern)));
    }

    fn check(names: &[&str], pattern: &str, exclude: &[&str], expected: &[&str]) {
        let directory = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(directory.path().join(name), b"").unwrap();
        }
        let wanted = if pattern.is_empty() { directory.path().to_path_buf() } else { directory.path().join(pattern) };
        let listing = patterns(&[wanted], exclude).unwrap().list();
        let found: Vec<_> = listing.files.iter().map(|file| file.path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(found, expected);
        let is_blockless = |notice: &Notice| matches!(notice, Notice::Refused { reason: Refusal::Blockless(_), .. });
        assert!(listing.notices.iter().all(is_blockless), "{:?}", listing.notices);
    }

    fn patterns(wanted: &[PathBuf], exclude: &[&str]) -> Result<Patterns, SettingsError> {
        Patterns::new(&Settings {
            patterns: wanted.iter().map(|path| path.to_str().unwrap().to_owned()).collect(),
            exclude: exclude.iter().map(|&pattern| pattern.to_owned()).collect(),
            start_at: StartAt::Beginning,
            mode: Mode::Follow,
            blockless: false,
        })
    }
}
