//! An alert as others read it: the JSON object of the webhook, the file and the page, with the raw lines read again.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::limits::{DOCUMENT_BYTES_MAX, DOCUMENT_HOSTS_MAX, DOCUMENT_TEXT_BYTES_MAX};
use crate::pipeline::event::{LogTime, Position};
use crate::pipeline::verdict::{Alert, AlertType, Deviation, DeviationKind, Reason};

/// An alert with everything that people need to act on it. As JSON it has at most [`DOCUMENT_BYTES_MAX`] bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// `alert_…`; the same after a crash, so that receivers can tell a repetition.
    pub id: String,
    /// `inc_…`; shared by what fires and what resolves it.
    pub incident: String,
    /// `anomaly.firing` or `anomaly.resolved`.
    #[serde(rename = "type")]
    pub alert_type: AlertType,
    /// Why it was raised or taken back.
    pub reason: Reason,
    /// Log time of the judgement as an instant, RFC 3339 with the offset of the configured zone.
    pub time: String,
    /// `blk_N`.
    pub block: String,
    /// `BP-…`, where known.
    pub pool: Option<String>,
    /// Nats.
    pub score: f32,
    /// What the score was held against, nats.
    pub threshold: f32,
    /// Distance to the nearest normal story, by counts; 0 = one of them.
    pub distance: f32,
    /// Name of the model.
    pub model: String,
    /// Equal for blocks that go wrong in the same way.
    pub signature: String,
    /// Why.
    pub explanation: ExplanationDocument,
    /// Hosts whose logs tell of it, sorted.
    pub hosts: Vec<String>,
    /// Data nodes that the lines name, `ip:port`, sorted.
    pub datanodes: Vec<String>,
    /// The HDFS file that the block was allocated for, if a quoted line says so.
    pub hdfs_path: Option<String>,
    /// Records of the episode in log order.
    pub lines: Vec<LineDocument>,
    /// Records left out of the middle of `lines` because of the document's size.
    pub lines_left_out: u32,
    /// Events of the episode, also those that no line shows.
    pub events: u32,
    /// Set when the logs had fallen silent and the clock of the host moved log time on.
    pub by_silence: bool,
}

/// Why a block was judged as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExplanationDocument {
    /// One plain sentence.
    pub summary: String,
    /// Worst first.
    pub deviations: Vec<DeviationDocument>,
    /// Sessions of the training data behind the comparison.
    pub training_sessions: u64,
    /// How many of them scored as high or higher.
    pub training_sessions_above: u64,
}

/// One way in which the story departs from normal ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviationDocument {
    /// How it departs.
    pub kind: DeviationKind,
    /// Text of the template.
    pub template: String,
    /// How often, >= 1.
    pub count: u32,
    /// How unexpected, nats; 0 for what is missing.
    pub nats: f32,
    /// The same in words, without the template.
    pub text: String,
}

/// A record where it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LineDocument {
    /// Path of the file now.
    pub path: String,
    /// Offset of the record's first byte, in bytes.
    pub offset: u64,
    /// The record, without control characters; `None` when it could not be read again.
    pub text: Option<String>,
    /// Why it could not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// Gives the bytes of records that were read before.
pub trait LineSource {
    /// The record at `position`, or why it is gone: rotated away, overwritten, not readable.
    fn line(&self, position: Position) -> Line;
}

/// A record that was read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Path of the file now, or the last one known.
    pub path: PathBuf,
    /// Offset of the first byte, in bytes.
    pub offset: u64,
    /// The bytes, any content; or why there are none.
    pub text: Result<Vec<u8>, String>,
}

impl Document {
    /// Reads the lines of `alert` again from `source` and says in words what it says in numbers. Times are of `zone`.
    #[must_use]
    pub fn new(alert: &Alert, source: &dyn LineSource, zone: &TimeZone) -> Self {
        let lines: Vec<_> = alert.positions.iter().map(|position| LineDocument::new(source.line(*position))).collect();
        let texts = || lines.iter().filter_map(|line| line.text.as_deref());
        let mut document = Self {
            id: alert.id.to_string(),
            incident: alert.incident.to_string(),
            alert_type: alert.alert_type,
            reason: alert.reason,
            time: rfc3339(alert.time, zone),
            block: alert.block.to_string(),
            pool: alert.pool.as_deref().map(clean),
            score: alert.verdict.score,
            threshold: alert.verdict.threshold,
            distance: alert.verdict.distance,
            model: clean(&alert.model),
            signature: clean(&alert.signature),
            explanation: ExplanationDocument::new(alert),
            hosts: bounded(lines.iter().map(|line| host(Path::new(&line.path)))),
            datanodes: bounded(texts().flat_map(datanodes)),
            hdfs_path: texts().find_map(hdfs_path).map(clean),
            lines: Vec::new(),
            lines_left_out: 0,
            events: alert.events,
            by_silence: alert.by_silence,
        };
        document.lines = lines;
        document.fit();
        document
    }

    /// The object as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a document has text keys and finite numbers")
    }

    /// Leaves out lines from the middle, since a story's beginning and end say most; then, in the unlikely case, the least telling
    /// deviations.
    fn fit(&mut self) {
        while self.to_json().len() > DOCUMENT_BYTES_MAX {
            if !self.lines.is_empty() {
                self.lines.remove(self.lines.len() / 2);
                self.lines_left_out += 1;
            } else if self.explanation.deviations.pop().is_none() {
                return;
            }
        }
    }
}

impl LineDocument {
    fn new(line: Line) -> Self {
        let (text, reason) = match line.text {
            Ok(bytes) => (Some(clean(&String::from_utf8_lossy(head(&bytes)))), None),
            Err(reason) => (None, Some(clean(&reason))),
        };
        Self { path: clean(&line.path.to_string_lossy()), offset: line.offset, text, reason }
    }
}

impl ExplanationDocument {
    fn new(alert: &Alert) -> Self {
        Self {
            summary: summary(alert),
            deviations: alert.explanation.deviations.iter().map(DeviationDocument::new).collect(),
            training_sessions: alert.explanation.training_sessions,
            training_sessions_above: alert.explanation.training_sessions_above,
        }
    }
}

impl DeviationDocument {
    fn new(deviation: &Deviation) -> Self {
        Self {
            kind: deviation.kind,
            template: clean(&deviation.template),
            count: deviation.count,
            nats: deviation.nats,
            text: departure(deviation.kind, deviation.count),
        }
    }
}

/// `number` with its thousands apart: `5,583`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let groups = digits.as_bytes()[first..].chunks(3).map(|group| std::str::from_utf8(group).expect("digits are ASCII"));
    let head = (first > 0).then_some(&digits[..first]);
    head.into_iter().chain(groups).collect::<Vec<_>>().join(",")
}

/// `template` for people: what differs from line to line is `…`. LogHub glues `<*>` to the words beside it, and begins with one that
/// often stands for nothing.
#[must_use]
pub fn readable(template: &str) -> String {
    let mut pieces = template.split(WILDCARD);
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let space_before = if text.ends_with(is_word_end) { " " } else { "" };
        let space_after = if piece.starts_with(char::is_alphanumeric) { " " } else { "" };
        text.extend([space_before, "…", space_after, piece]);
    }
    let without_first = text.strip_prefix("… ").or(text.strip_prefix("…:"));
    let is_glued = template.strip_prefix(WILDCARD).is_some_and(|rest| !rest.starts_with(' '));
    without_first.filter(|_| is_glued).unwrap_or(&text).to_owned()
}

/// Whether a word, or a mark that a space follows, ends with this.
fn is_word_end(c: char) -> bool {
    c.is_alphanumeric() || ":,;…".contains(c)
}

/// `time` in RFC 3339, with the offset of `zone`.
fn rfc3339(time: LogTime, zone: &TimeZone) -> String {
    let (least, most) = (Timestamp::MIN.as_millisecond() + DAY_MILLIS, Timestamp::MAX.as_millisecond() - DAY_MILLIS);
    let instant = Timestamp::from_millisecond(time.0.clamp(least, most)).expect("clamped to what jiff holds");
    format!("{:.3}", instant.display_with_offset(zone.to_offset(instant)))
}

/// One sentence for people who have never heard of autoencoders.
fn summary(alert: &Alert) -> String {
    let block = alert.block;
    let sessions = alert.explanation.training_sessions;
    let below = sessions.saturating_sub(alert.explanation.training_sessions_above);
    match alert.reason {
        Reason::UnknownEvent => format!("{block} has an event that no normal story has{}.", worst(alert)),
        Reason::UnlikelyStory if sessions == 0 => format!("The story of {block} is an unlikely one{}.", worst(alert)),
        Reason::UnlikelyStory => {
            let (below, sessions) = (grouped(below), grouped(sessions));
            format!("The story of {block} is less likely than {below} of {sessions} normal stories{}.", worst(alert))
        }
        Reason::Recovered => format!("{block} is well again: what was missing came after all."),
        Reason::Retracted => format!("{block} was normal after all: what seemed unlikely was part of a normal story."),
        Reason::Expired => {
            format!("{block} is no longer followed: it has been open for too long, or newer incidents took its place.")
        }
    }
}

/// The worst deviation as the end of a sentence.
fn worst(alert: &Alert) -> String {
    let Some(deviation) = alert.explanation.deviations.first() else {
        return String::new();
    };
    let template = readable(&clean(&deviation.template));
    let quoted: String = template.chars().take(SUMMARY_TEMPLATE_CHARS_MAX).collect();
    let mark = if quoted.len() < template.len() { "…" } else { "" };
    format!("; {}: “{}{mark}”", departure(deviation.kind, deviation.count), quoted.trim_end_matches('.'))
}

fn departure(kind: DeviationKind, count: u32) -> String {
    let times = if count == 1 { "once".to_owned() } else { format!("{} times", grouped(u64::from(count))) };
    match kind {
        DeviationKind::Unknown => format!("never seen in a normal story, here {times}"),
        DeviationKind::Excess => format!("{times} more than in the nearest normal story"),
        DeviationKind::Missing => format!("missing {times}"),
        DeviationKind::Unexpected => format!("out of place {times}"),
    }
}

/// The host that writes the log at `path`: the last part of Hadoop's `hadoop-USER-ROLE-HOST.log`, else the name without its endings.
fn host(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = [".log", ".out"].iter().find_map(|ending| name.split_once(ending)).map_or(&*name, |(stem, _)| stem);
    let after_role = ROLES.iter().find_map(|role| stem.split_once(role)).map(|(_, host)| host);
    after_role.filter(|host| !host.is_empty()).unwrap_or(stem).to_owned()
}

/// Data nodes that a record names. The other end of a transfer is a client with a port of the moment: the source of a write, the
/// destination of a read.
fn datanodes(text: &str) -> Vec<String> {
    let client = if text.contains("HDFS_READ") { "dest: /" } else { "src: /" };
    let is_part = |c: char| c.is_ascii_digit() || c == '.' || c == ':';
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let end = rest[start..].find(|c| !is_part(c)).map_or(rest.len(), |length| start + length);
        let word = rest[start..end].trim_end_matches(['.', ':']);
        if word.parse::<SocketAddrV4>().is_ok() && !rest[..start].ends_with(client) {
            found.push(word.to_owned());
        }
        rest = &rest[end..];
    }
    found
}

/// The file that a NameNode allocated the block for, in the words of 2008 and of Hadoop 2 and 3.
fn hdfs_path(text: &str) -> Option<&str> {
    let line = text.lines().next()?;
    let of_2008 = || line.split_once("NameSystem.allocateBlock: ")?.1.rsplit_once(". blk_").map(|(path, _)| path);
    let of_today = || line.split_once("BLOCK* allocate ")?.1.split_once(" for ").map(|(_, path)| path);
    of_2008().or_else(of_today).filter(|path| path.starts_with('/'))
}

fn bounded(names: impl Iterator<Item = String>) -> Vec<String> {
    let names: BTreeSet<_> = names.collect();
    names.into_iter().take(DOCUMENT_HOSTS_MAX).map(|name| clean(&name)).collect()
}

/// The first bytes of a record: some more than are kept, so that [`clean`] marks the cut.
fn head(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(DOCUMENT_TEXT_BYTES_MAX + UTF8_BYTES_MAX)]
}

/// `text` cut to its bound and without control characters, which could repaint the terminal of whoever reads it.
fn clean(text: &str) -> String {
    let cut = text
        .char_indices()
        .map(|(at, c)| at + c.len_utf8())
        .take_while(|end| *end <= DOCUMENT_TEXT_BYTES_MAX)
        .last()
        .unwrap_or(0);
    let mark = if cut < text.len() { "…" } else { "" };
    let is_harmful = |c: char| c.is_control() && c != '\n' && c != '\t';
    text[..cut].chars().map(|c| if is_harmful(c) { char::REPLACEMENT_CHARACTER } else { c }).chain(mark.chars()).collect()
}

/// Characters of a template in a summary; the deviations have all of it.
const SUMMARY_TEMPLATE_CHARS_MAX: usize = 120;
const WILDCARD: &str = "<*>";
const UTF8_BYTES_MAX: usize = 4;
const DAY_MILLIS: i64 = 86_400_000;

/// What stands before the host in the names of Hadoop's logs.
const ROLES: &[&str] = &["-secondarynamenode-", "-namenode-", "-datanode-", "-journalnode-", "-zkfc-", "-balancer-", "-nfs3-"];

#[cfg(test)]
pub(crate) mod tests;
