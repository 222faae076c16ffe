//! Wakes the daemon's loop when something moves in a log directory, so that it need not wait for the next periodic scan.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::Identity;
use crate::limits::WATCHES_MAX;

/// Watches directories and signals that a scan is worth while. It decides nothing: events lost to an overflow, to a network file
/// system or to a failed watch only mean that the periodic scan finds the change.
pub struct Waker {
    watcher: Option<RecommendedWatcher>,
    /// What is watched, and which directory had that path then: one made anew needs a new watch.
    watched: BTreeMap<PathBuf, Identity>,
    unwatched: usize,
    signal: Receiver<()>,
    /// Held so that the signal stays silent, and not closed, where there is no watcher.
    _sender: Sender<()>,
}

impl Waker {
    /// A waker that watches nothing yet. Where the system offers no watching at all, it never signals.
    #[must_use]
    pub fn new() -> Self {
        let (sender, signal) = bounded(1);
        let own = sender.clone();
        let watcher = notify::recommended_watcher(move |event| on_event(&event, &own)).ok();
        Self { watcher, watched: BTreeMap::new(), unwatched: 0, signal, _sender: sender }
    }

    /// Receives a unit when something has moved since it was last received; many movements make one unit.
    #[must_use]
    pub fn signal(&self) -> &Receiver<()> {
        &self.signal
    }

    /// Watches exactly these directories from now on. Call it after each scan with [`crate::ingest::Follower::directories`]; it
    /// costs nothing while they stay the same, and tries again what failed.
    pub fn watch<'a>(&mut self, directories: impl IntoIterator<Item = &'a Path>) {
        let wanted: BTreeSet<PathBuf> = directories.into_iter().map(Path::to_path_buf).collect();
        let Some(watcher) = &mut self.watcher else {
            self.unwatched = wanted.len();
            return;
        };
        let is_over = |path: &PathBuf, identity: &mut Identity| !wanted.contains(path) || identify(path) != Some(*identity);
        for (gone, _) in self.watched.extract_if(.., is_over) {
            // It fails when the directory is gone already, and with it the watch.
            let _ = watcher.unwatch(&gone);
        }
        for directory in &wanted {
            let has_room = self.watched.len() < WATCHES_MAX && !self.watched.contains_key(directory);
            let Some(identity) = identify(directory).filter(|_| has_room) else {
                continue;
            };
            if watcher.watch(directory, RecursiveMode::NonRecursive).is_ok() {
                self.watched.insert(directory.clone(), identity);
            }
        }
        self.unwatched = wanted.len() - self.watched.len();
    }

    /// Directories that only the periodic scan looks at (`unwatched_directories`, gauge).
    #[must_use]
    pub fn unwatched(&self) -> usize {
        self.unwatched
    }
}

impl Default for Waker {
    fn default() -> Self {
        Self::new()
    }
}

fn identify(directory: &Path) -> Option<Identity> {
    fs::metadata(directory).ok().map(|metadata| Identity::from(&metadata))
}

/// Passes on that something moved. Opening and closing for reading is our own doing and moves nothing.
fn on_event(event: &notify::Result<notify::Event>, sender: &Sender<()>) {
    if event.as_ref().is_ok_and(|event| event.kind.is_access()) {
        return;
    }
    match sender.try_send(()) {
        // Full: a signal is waiting already. Disconnected: nobody waits any more.
        Ok(()) | Err(TrySendError::Full(())) | Err(TrySendError::Disconnected(())) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_write_wakes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.log");
        let mut waker = Waker::new();
        waker.watch([directory.path(), Path::new("/nonexistent")]);
        assert_eq!(waker.unwatched(), 1);
        fs::write(&path, b"line\n").unwrap();
        assert_eq!(waker.signal().recv_timeout(DEADLINE), Ok(()));
    }

    #[test]
    fn a_directory_made_anew_is_watched_anew() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("logs");
        fs::create_dir(&directory).unwrap();
        let mut waker = Waker::new();
        waker.watch([directory.as_path()]);
        fs::remove_dir(&directory).unwrap();
        waker.watch([directory.as_path()]);
        assert_eq!(waker.unwatched(), 1);
        fs::create_dir(&directory).unwrap();
        waker.watch([directory.as_path()]);
        assert_eq!(waker.unwatched(), 0);
        while waker.signal().try_recv().is_ok() {}
        fs::write(directory.join("x.log"), b"line\n").unwrap();
        assert_eq!(waker.signal().recv_timeout(DEADLINE), Ok(()));
    }

    const DEADLINE: Duration = Duration::from_secs(30);
}
