//! The alerts that are kept, whatever becomes of them: written before they are shown, listed and shown again when operators ask.
//!
//! A file of JSON lines as `alerts.file` is, and one older file. After a crash an alert may be in it twice; its id tells.

use std::collections::{BTreeMap, btree_map};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::pipeline::verdict::{AlertType, Reason};
use crate::sink::document::{Document, MutedDocument};
use crate::sink::file::AlertFile;

/// Where alerts are kept.
#[derive(Clone, Debug)]
pub struct Archive {
    path: PathBuf,
    bytes_max: u64,
}

/// What an alert does to its incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// It fires until another alert closes it.
    Opens,
    /// It closes what another has opened.
    Closes,
    /// It is told once; nothing says that it is over.
    Told,
}

/// How things stand with an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It fires.
    Firing,
    /// It is over, or this alert says so of another.
    Resolved,
    /// Somebody knows of it, or this alert says so.
    Acknowledged,
    /// It was told; no log says that it is over.
    Told,
}

/// An alert as it is listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertLine {
    /// `alert_…`.
    pub id: String,
    /// `inc_…`.
    pub incident: String,
    /// What it announces.
    #[serde(rename = "type")]
    pub alert_type: AlertType,
    /// How things stand.
    pub state: State,
    /// Log time, RFC 3339.
    pub time: String,
    /// The block, host, template or model.
    pub subject: String,
    /// What to mute.
    pub signature: String,
    /// One sentence.
    pub summary: String,
    /// That it was not sent, and why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub muted: Option<MutedDocument>,
}

/// All kept alerts, each once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    /// In the order in which they were kept.
    pub alerts: Vec<AlertLine>,
    /// Lines that are no alerts: torn by a crash, or written by another program.
    pub bad_lines: u64,
}

impl Archive {
    /// In the state directory, with at most `bytes_max` bytes in all.
    #[must_use]
    pub fn new(state: &Path, bytes_max: u64) -> Self {
        Self { path: state.join(ARCHIVE_NAME), bytes_max }
    }

    /// What writes to it; one at a time.
    #[must_use]
    pub fn writer(&self) -> AlertFile {
        AlertFile::new(self.path.clone(), self.bytes_max / 2, 1).of("state.directory")
    }

    /// Reads all alerts.
    ///
    /// # Errors
    /// With the path, when a file is there and cannot be read.
    pub fn list(&self) -> io::Result<Kept> {
        let mut kept = Kept::default();
        let mut known = BTreeMap::new();
        kept.bad_lines = self.read(|document| {
            let line = AlertLine::of(document);
            match known.entry(line.id.clone()) {
                // What was told again after a crash counts as it was told then.
                btree_map::Entry::Occupied(at) => kept.alerts[*at.get()] = line,
                btree_map::Entry::Vacant(entry) => {
                    entry.insert(kept.alerts.len());
                    kept.alerts.push(line);
                }
            }
        })?;
        settle(&mut kept.alerts);
        Ok(kept)
    }

    /// The documents that `is_wanted` by their ids, each once, in the order in which they were kept.
    ///
    /// # Errors
    /// As [`Archive::list`].
    pub fn documents(&self, is_wanted: impl Fn(&str) -> bool) -> io::Result<Vec<Document>> {
        let mut found: Vec<Document> = Vec::new();
        self.read(|document| {
            if is_wanted(&document.id) {
                match found.iter_mut().find(|known| known.id == document.id) {
                    Some(known) => *known = document,
                    None => found.push(document),
                }
            }
        })?;
        Ok(found)
    }

    /// Gives every document to `each`, oldest first; how many lines are none. The newer file is opened first: when it is renamed in
    /// between, its alerts come twice instead of not at all.
    fn read(&self, mut each: impl FnMut(Document)) -> io::Result<u64> {
        let newer = open(&self.path)?;
        let mut older = self.path.clone().into_os_string();
        older.push(".1");
        let older = PathBuf::from(older);
        let mut bad_lines = 0;
        for (path, file) in [(&older, open(&older)?), (&self.path, newer)] {
            let Some(file) = file else { continue };
            bad_lines += read_lines(file, &mut each).map_err(|error| of_path(path, error))?;
        }
        Ok(bad_lines)
    }
}

impl Course {
    /// What an alert of `alert_type` does.
    #[must_use]
    pub fn of(alert_type: AlertType) -> Self {
        match alert_type {
            AlertType::Firing | AlertType::Mismatch | AlertType::Regime | AlertType::Unwritable => Self::Opens,
            AlertType::Resolved | AlertType::MismatchResolved | AlertType::RegimeResolved | AlertType::UnwritableResolved => {
                Self::Closes
            }
            AlertType::Trouble | AlertType::Template => Self::Told,
        }
    }
}

impl State {
    /// The name in lists and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::Acknowledged => "acknowledged",
            Self::Told => "told",
        }
    }
}

impl AlertLine {
    /// Stands as if nothing came later.
    fn of(document: Document) -> Self {
        let state = match Course::of(document.alert_type) {
            Course::Opens => State::Firing,
            Course::Closes if document.reason == Reason::Acknowledged => State::Acknowledged,
            Course::Closes => State::Resolved,
            Course::Told => State::Told,
        };
        let (subject, summary) = (document.subject().to_owned(), document.summary().to_owned());
        let Document { id, incident, alert_type, time, signature, muted, .. } = document;
        Self { id, incident, alert_type, state, time, subject, signature, summary, muted }
    }
}

/// Says of what fired how it stands now. An incident may fire again after it was closed, so each closes what came before it.
fn settle(alerts: &mut [AlertLine]) {
    let mut closed = BTreeMap::new();
    for alert in alerts.iter_mut().rev() {
        match Course::of(alert.alert_type) {
            Course::Closes => {
                closed.insert(alert.incident.clone(), alert.state);
            }
            Course::Opens => alert.state = closed.remove(&alert.incident).unwrap_or(State::Firing),
            Course::Told => {}
        }
    }
}

fn read_lines(file: File, each: &mut impl FnMut(Document)) -> io::Result<u64> {
    let (mut reader, mut line, mut bad_lines) = (BufReader::new(file), Vec::new(), 0);
    while reader.read_until(b'\n', &mut line)? > 0 {
        let is_whole = line.ends_with(b"\n");
        match serde_json::from_slice(&line) {
            Ok(document) => each(document),
            // The last line may be on its way just now.
            Err(_) => bad_lines += u64::from(is_whole && line.len() > 1),
        }
        line.clear();
    }
    Ok(bad_lines)
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some).map_err(|error| of_path(path, error)),
    }
}

fn of_path(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("read kept alerts {}: {error}", path.display()))
}

/// Not `alerts.jsonl`, which is where `alerts.file` often is.
const ARCHIVE_NAME: &str = "kept-alerts.jsonl";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;
    use crate::sink::document::regime_tests::regime_example;
    use crate::sink::document::tests::{example, trouble_example};

    #[test]
    fn what_was_kept_is_listed_once_with_how_it_stands() {
        let (_directory, archive) = place();
        let (fired, acknowledged) = (
            regime_example(),
            Document { alert_type: AlertType::RegimeResolved, reason: Reason::Acknowledged, ..named("b", regime_example()) },
        );
        let again = Document { id: "alert_c".to_owned(), ..fired.clone() };
        let trouble = named("d", trouble_example());
        let documents = [trouble.clone(), fired.clone(), trouble, acknowledged, again];
        archive.writer().append(&documents).unwrap();
        let states: Vec<_> = archive.list().unwrap().alerts.into_iter().map(|line| line.state).collect();
        assert_eq!(states, [State::Told, State::Acknowledged, State::Acknowledged, State::Firing]);
        assert_eq!(archive.documents(|id| id == fired.id).unwrap(), [fired]);
    }

    #[test]
    fn torn_lines_are_passed_over_and_counted() {
        let (directory, archive) = place();
        archive.writer().append(&[example()]).unwrap();
        let mut file = fs::File::options().append(true).open(directory.path().join(ARCHIVE_NAME)).unwrap();
        file.write_all(b"{\"id\":\"alert_\n\xff\xfe\n{\"id\":1}\n").unwrap();
        archive.writer().append(&[named("b", example())]).unwrap();
        file.write_all(b"{\"id\":\"not ended").unwrap();
        let kept = archive.list().unwrap();
        assert_eq!((kept.alerts.len(), kept.bad_lines), (2, 3));
    }

    #[test]
    fn the_oldest_go_when_it_is_full() {
        let directory = tempfile::tempdir().unwrap();
        let size = example().to_json().len() as u64 + 1;
        let archive = Archive::new(directory.path(), 8 * size);
        let mut writer = archive.writer();
        for number in 10..30 {
            writer.append(&[named(&number.to_string(), example())]).unwrap();
            let total: u64 = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
            assert!(total <= 8 * size + 16, "{total}");
        }
        let ids: Vec<_> = archive.list().unwrap().alerts.into_iter().map(|line| line.id).collect();
        assert!(ids.len() >= 4 && ids.last().unwrap() == "alert_29" && ids.is_sorted(), "{ids:?}");
    }

    #[test]
    fn nothing_kept_is_no_error_and_no_permission_is_one() {
        let (directory, archive) = place();
        assert_eq!(archive.list().unwrap(), Kept::default());
        fs::create_dir(directory.path().join(ARCHIVE_NAME)).unwrap();
        let error = archive.list().unwrap_err().to_string();
        assert!(error.contains(ARCHIVE_NAME), "{error}");
    }

    fn place() -> (tempfile::TempDir, Archive) {
        let directory = tempfile::tempdir().unwrap();
        let archive = Archive::new(directory.path(), 1_000_000);
        (directory, archive)
    }

    fn named(id: &str, document: Document) -> Document {
        Document { id: format!("alert_{id}"), ..document }
    }
}
