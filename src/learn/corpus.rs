//! What is learnt from: stories of blocks, and the windows that are made of them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::pipeline::event::LogTime;
use crate::pipeline::profile::{DrainSettings, Scope};

/// The story of one block, as far as its logs tell it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Story {
    /// Indices into [`Corpus::texts`], in log order.
    pub events: Vec<u32>,
    /// When each event was, where the logs are known; as many as there are events.
    pub times: Option<Vec<LogTime>>,
    /// Whether the logs began when the block was already alive.
    pub joined_midway: bool,
    /// Whether the logs ended before the block had been quiet.
    pub cut_short: bool,
    /// The host that tells it, by number; 0 where all hosts tell it together.
    pub host: usize,
}

/// Stories of one cluster, with what is needed to recognize their events again.
#[derive(Clone, Debug, PartialEq)]
pub struct Corpus {
    /// Template texts, with `<*>` for what varies.
    pub texts: Vec<String>,
    /// The stories, in no particular order; the order has a part in the result.
    pub stories: Vec<Story>,
    /// File names with the SHA-256 of their bytes.
    pub inputs: Vec<(String, String)>,
    /// How the lines became templates.
    pub drain: DrainSettings,
    /// Which logs the stories were gathered from.
    pub scope: Scope,
    /// Events that were never said at level WARN or above, nor with an exception. Session files do not tell.
    pub calm: BTreeSet<u32>,
}

/// Why stories cannot be read.
#[derive(Debug, Error)]
pub enum CorpusError {
    /// A file cannot be read.
    #[error("read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The first line is not that of a session file.
    #[error("{path} begins with {found:?}, a session file begins with {HEADER:?}", path = path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// Its first line, cut.
        found: String,
    },
    /// A line of a session file is not three fields with events E1, E2, ….
    #[error("{path}:{line}: {found:?} is no event; the third field holds events E1, E2, … with a space between them", path = path.display())]
    Event {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What stands there.
        found: String,
    },
    /// An event has no template.
    #[error("{path}:{line}: event E{event} has no template, {templates} has {known} lines; give the templates that belong to the sessions", path = path.display(), templates = templates.display())]
    Template {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Number of the event.
        event: u32,
        /// The file with the templates.
        templates: PathBuf,
        /// Templates in it.
        known: usize,
    },
    /// A log cannot be read.
    #[error("{what}")]
    Log {
        /// Which, why, and what to do.
        what: String,
    },
    /// A path cannot be followed.
    #[error("{error}")]
    Pattern {
        /// Why.
        error: crate::ingest::SettingsError,
    },
    /// A mask of Drain is not known.
    #[error("mask {mask:?} is not known, must be one of {known:?}", known = crate::pipeline::event::template::mask::Masks::NAMES)]
    Mask {
        /// Its name.
        mask: String,
    },
    /// The logs say nothing of blocks.
    #[error(
        "no line of these logs names a block; give logs of NameNodes and DataNodes (hadoop-*-namenode-*.log, hadoop-*-datanode-*.log)"
    )]
    NoBlocks,
    /// Whoever watched said no.
    #[error("stopped while reading logs: nothing was learnt")]
    Stopped,
    /// No file was given.
    #[error("no session file was given")]
    NoInput,
}

/// First line of a session file.
const HEADER: &str = "BlockId,Label,EventSequence";
/// File with the templates, looked for beside the first session file.
const TEMPLATES_FILE: &str = "templates.csv";

impl Corpus {
    /// Reads session files as LogHub's HDFS_v1 is published: `BlockId,Label,EventSequence`, whole sessions of a whole cluster.
    /// Labels are not looked at. Line n of `templates` (or of `templates.csv` beside the first file) is the text of event En.
    ///
    /// # Errors
    /// When a file cannot be read or is not such a file.
    pub fn from_session_files(paths: &[PathBuf], templates: Option<&Path>) -> Result<Self, CorpusError> {
        let first = paths.first().ok_or(CorpusError::NoInput)?;
        let templates = templates.map_or_else(|| first.with_file_name(TEMPLATES_FILE), Path::to_owned);
        let texts: Vec<String> = read(&templates)?.lines().map(str::to_owned).collect();
        let mut corpus = Self {
            texts,
            stories: Vec::new(),
            inputs: Vec::new(),
            drain: DrainSettings::hdfs(),
            scope: Scope::Cluster,
            calm: BTreeSet::new(),
        };
        for path in paths {
            let text = read(path)?;
            corpus.inputs.push((file_name(path), sha256(text.as_bytes())));
            corpus.stories.extend(stories(path, &text, &templates, corpus.texts.len())?);
        }
        Ok(corpus)
    }

    /// Whether the file looks like a session file, by its first line. A folder does not.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn is_session_file(path: &Path) -> Result<bool, CorpusError> {
        if path.is_dir() {
            return Ok(false);
        }
        let error = |source| CorpusError::Read { path: path.to_owned(), source };
        let file = fs::File::open(path).map_err(error)?;
        let mut head = Vec::new();
        file.take(HEADER.len() as u64).read_to_end(&mut head).map_err(error)?;
        Ok(head == HEADER.as_bytes())
    }
}

fn stories(path: &Path, text: &str, templates: &Path, known: usize) -> Result<Vec<Story>, CorpusError> {
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    if header.trim_end() != HEADER {
        let found = header.chars().take(80).collect();
        return Err(CorpusError::Header { path: path.to_owned(), found });
    }
    let story = |(line, text): (usize, &str)| story(path, line, text, templates, known);
    (2..).zip(lines).filter(|(_, text)| !text.is_empty()).map(story).collect()
}

fn story(path: &Path, line: usize, text: &str, templates: &Path, known: usize) -> Result<Story, CorpusError> {
    let event = |name: &str| {
        let number = name.strip_prefix('E').and_then(|digits| digits.parse::<u32>().ok()).filter(|&number| number > 0);
        let number = number.ok_or_else(|| CorpusError::Event { path: path.to_owned(), line, found: name.to_owned() })?;
        if number as usize > known {
            let (path, templates) = (path.to_owned(), templates.to_owned());
            return Err(CorpusError::Template { path, line, event: number, templates, known });
        }
        Ok(number - 1)
    };
    let sequence = text.splitn(3, ',').nth(2).unwrap_or_default();
    let events = sequence.split_ascii_whitespace().map(event).collect::<Result<Vec<u32>, _>>()?;
    if events.is_empty() {
        return Err(CorpusError::Event { path: path.to_owned(), line, found: text.chars().take(80).collect() });
    }
    Ok(Story { events, ..Story::default() })
}

fn read(path: &Path) -> Result<String, CorpusError> {
    fs::read_to_string(path).map_err(|source| CorpusError::Read { path: path.to_owned(), source })
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_read_without_a_look_at_their_labels() {
        let normal = read_sessions("blk_1,Normal,E1 E2\n\nblk_-2,Normal,E2\r\n").expect("reads");
        let anomalous = read_sessions("blk_1,Anomaly,E1 E2\nblk_-2,Anomaly,E2\n").expect("reads");
        assert_eq!(normal.stories, anomalous.stories);
        assert_eq!(normal.stories.iter().map(|story| story.events.as_slice()).collect::<Vec<_>>(), [&[0, 1][..], &[1]]);
        assert_eq!(normal.texts, ["first <*>", "second <*>"]);
        assert_eq!(normal.inputs[0].0, "sessions.csv");
        assert_eq!(normal.inputs[0].1.len(), 64);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        check("blk_1,Normal,E1 F2\n", r#"sessions.csv:2: "F2" is no event"#);
        check("blk_1,Normal,E1\nblk_2,Normal,E0\n", r#"sessions.csv:3: "E0" is no event"#);
        check("blk_1,Normal,E3\n", "sessions.csv:2: event E3 has no template");
        check("blk_1,Normal,\n", "sessions.csv:2: ");
        check("blk_1\n", "sessions.csv:2: ");
    }

    #[test]
    fn logs_are_told_from_session_files_by_their_first_line() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (text, expected) in [("BlockId,Label,EventSequence\n", true), ("081109 203518 143 INFO", false), ("", false)] {
            let path = folder.path().join("file");
            fs::write(&path, text).expect("writes");
            assert_eq!(Corpus::is_session_file(&path).expect("reads"), expected, "{text}");
        }
    }

    fn check(lines: &str, expected: &str) {
        let error = read_sessions(lines).expect_err(lines).to_string();
        assert!(error.contains(expected), "{error}");
    }

    fn read_sessions(lines: &str) -> Result<Corpus, CorpusError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("sessions.csv");
        fs::write(&path, format!("{HEADER}\n{lines}")).expect("writes");
        fs::write(folder.path().join(TEMPLATES_FILE), "first <*>\nsecond <*>\n").expect("writes");
        Corpus::from_session_files(&[path], None)
    }
}
