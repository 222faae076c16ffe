//! Keeps what a scan has to tell, and tells what lasts only once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::ingest::Notice;
use crate::limits::SOURCES_MAX;

/// What there is to tell, and what was told already. Bounded: no more than one complaint a path, and [`SOURCES_MAX`] paths.
#[derive(Default)]
pub struct Complaints {
    fresh: Vec<Notice>,
    before: BTreeMap<PathBuf, Notice>,
    current: BTreeMap<PathBuf, Notice>,
}

impl Complaints {
    /// What is there from now on belongs to the next scan.
    pub fn begin_scan(&mut self) {
        self.before = std::mem::take(&mut self.current);
    }

    /// Remembers a refusal or failure; `false` if it was there at the last scan, or is told in this one already.
    pub fn is_new(&mut self, notice: &Notice) -> bool {
        let (Notice::Refused { path, .. } | Notice::Failed { path, .. }) = notice else {
            return true;
        };
        let was_told = self.before.get(path) == Some(notice) || self.current.get(path) == Some(notice);
        if self.current.len() < SOURCES_MAX {
            self.current.insert(path.clone(), notice.clone());
        }
        !was_told
    }

    /// Has something told by this scan.
    pub fn tell(&mut self, notice: Notice) {
        if self.fresh.len() < SOURCES_MAX {
            self.fresh.push(notice);
        }
    }

    /// What this scan tells.
    pub fn take(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.fresh)
    }
}
