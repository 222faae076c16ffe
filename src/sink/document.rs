//! An alert as others read it: the JSON object of the webhook, the file and the page, with the raw lines read again.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::config::Redaction;
use crate::limits::{DOCUMENT_BYTES_MAX, DOCUMENT_HOSTS_MAX, DOCUMENT_TEXT_BYTES_MAX};
use crate::pipeline::event::layout::Level;
use crate::pipeline::event::origin::{Origin, Role};
use crate::pipeline::event::parse;
use crate::pipeline::event::{LogTime, Position};
use crate::pipeline::verdict::{Alert, AlertType, DetectorMode, DeviationKind, Finding, Reason};

mod block;
mod domain;
mod host;
mod muted;
mod regime;
mod screen;
mod state;
mod words;

pub use block::{
    BlockDocument, DeviationDocument, ExplanationDocument, NearbyDocument, NormalEventDocument, NormalStoryDocument,
};
pub use domain::{DomainDocument, NewTemplateDocument, StrangerDocument};
pub use host::{HostDocument, TemplateDocument};
pub use muted::{MutedDocument, Muter};
pub use regime::{LevelDocument, RegimeDocument};
pub use state::StateDocument;
pub use words::{Names, brief, grouped, readable};

use screen::Screened;

/// An alert with everything that people need to act on it. As JSON it has at most [`DOCUMENT_BYTES_MAX`] bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// `alert_…`; the same after a crash, so that receivers can tell a repetition.
    pub id: String,
    /// `inc_…`; shared by what fires and what resolves it, and by all alerts of one episode of a host.
    pub incident: String,
    /// `anomaly.firing`, `anomaly.resolved`, `host.trouble`, `template.new`, `model.domain_mismatch`, `model.domain_resolved`,
    /// `regime.changed`, `regime.resolved`, `state.unwritable` or `state.resolved`.
    #[serde(rename = "type")]
    pub alert_type: AlertType,
    /// Why it was raised or taken back.
    pub reason: Reason,
    /// Log time of the judgement, or of the first record of trouble, or of the event that decided, or what the daemon's clock said of its own state, as an instant: RFC 3339 with the offset of the configured zone.
    pub time: String,
    /// Equal for blocks, or hosts, that go wrong in the same way.
    pub signature: String,
    /// What the processes do whose logs tell of it, as far as known.
    pub roles: Vec<Role>,
    /// What it is of; its fields stand beside the others.
    #[serde(flatten)]
    pub about: About,
    /// Records that show it, in log order.
    pub lines: Vec<LineDocument>,
    /// Records left out of the middle of `lines` because of the document's size.
    pub lines_left_out: u32,
    /// Set when the logs had fallen silent and the clock of the host moved log time on.
    pub by_silence: bool,
    /// How the detector stood to the traffic; left out of trouble of hosts, which it does not judge.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mode: Option<DetectorMode>,
    /// That it was not sent because its signature is muted; left out when it is not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub muted: Option<MutedDocument>,
}

/// What an alert is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum About {
    /// The story of a block.
    Block(Box<BlockDocument>),
    /// The messages of a host.
    Host(Box<HostDocument>),
    /// A template that the model does not know.
    Template(Box<NewTemplateDocument>),
    /// Whether the model fits what the logs say.
    Domain(Box<DomainDocument>),
    /// The level of the scores.
    Regime(Box<RegimeDocument>),
    /// The daemon's own state.
    State(Box<StateDocument>),
}

/// A record where it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LineDocument {
    /// Path of the file now.
    pub path: String,
    /// Offset of the record's first byte, in bytes.
    pub offset: u64,
    /// The host that the name of the file tells; where it tells none, the name without its endings.
    pub host: String,
    /// What the process does that wrote it.
    pub role: Role,
    /// The record, without control characters; `None` when it could not be read again.
    pub text: Option<String>,
    /// Why it could not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Of a block's event: text of its template. Left out of lines that show no deviation where room is short.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub template: Option<String>,
    /// Of a block's event: how unexpected it was where it came, nats.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub nats: Option<f32>,
    /// The kind of deviation that it shows, if it does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shows: Option<DeviationKind>,
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
        Self::redacted(alert, source, zone, &Redaction::default())
    }

    /// The same without what `redaction` takes out of the words of the logs.
    #[must_use]
    pub fn redacted(alert: &Alert, source: &dyn LineSource, zone: &TimeZone, redaction: &Redaction) -> Self {
        let edge = Edge { source, zone, redaction };
        let mut records: Vec<_> = alert.positions.iter().map(|position| edge.read(*position)).collect();
        let (about, roles) = match &alert.finding {
            Finding::Block(finding) => {
                block::annotate(&mut records, &finding.explanation, &edge);
                let about = BlockDocument::new(finding, alert, &records, &edge);
                (About::Block(Box::new(about)), records.iter().map(|record| record.line.role).collect())
            }
            Finding::Host(finding) => (About::Host(Box::new(HostDocument::new(finding, &records, &edge))), finding.roles.clone()),
            Finding::Template(finding) => {
                let about = NewTemplateDocument::new(finding, &records, &edge);
                (About::Template(Box::new(about)), records.iter().map(|record| record.line.role).collect())
            }
            Finding::Domain(finding) => {
                let about = DomainDocument::new(finding, alert.reason, &records, &edge);
                (About::Domain(Box::new(about)), records.iter().map(|record| record.line.role).collect())
            }
            Finding::Regime(finding) => {
                (About::Regime(Box::new(RegimeDocument::new(finding, alert.incident, alert.reason, &edge))), Vec::new())
            }
            Finding::State(finding) => (About::State(Box::new(StateDocument::new(finding, alert, &edge))), Vec::new()),
        };
        let mut document = Self {
            id: alert.id.to_string(),
            incident: alert.incident.to_string(),
            alert_type: alert.alert_type,
            reason: alert.reason,
            time: rfc3339(alert.time, zone),
            signature: clean(&alert.signature),
            roles: known(roles),
            about,
            lines: records.into_iter().map(|record| record.line).collect(),
            lines_left_out: 0,
            by_silence: alert.by_silence,
            mode: alert.mode,
            muted: None,
        };
        document.fit();
        document
    }

    /// The same, saying that it was muted.
    #[must_use]
    pub fn muted(mut self, muted: MutedDocument) -> Self {
        self.muted = Some(muted);
        self.fit();
        self
    }

    /// One plain sentence.
    #[must_use]
    pub fn summary(&self) -> &str {
        match &self.about {
            About::Block(block) => &block.explanation.summary,
            About::Host(host) => &host.summary,
            About::Template(template) => &template.summary,
            About::Domain(domain) => &domain.summary,
            About::Regime(regime) => &regime.summary,
            About::State(state) => &state.summary,
        }
    }

    /// The name of the block, host or model that it is of, or the template; of the daemon's own state its host.
    #[must_use]
    pub fn subject(&self) -> &str {
        match &self.about {
            About::Block(block) => &block.block,
            About::Host(host) => &host.host,
            About::Template(template) => &template.template,
            About::Domain(domain) => &domain.model,
            About::Regime(regime) => &regime.model,
            About::State(state) => &state.host,
        }
    }

    /// The block that it is of; `None` when it is of something else.
    #[must_use]
    pub fn block(&self) -> Option<&BlockDocument> {
        match &self.about {
            About::Block(block) => Some(block),
            About::Host(_) | About::Template(_) | About::Domain(_) | About::Regime(_) | About::State(_) => None,
        }
    }

    /// The object as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a document has text keys and finite numbers")
    }

    /// Leaves out what the lines themselves show, then lines from the middle, since a story's beginning and end say most; then, in the
    /// unlikely case, what is least telling of the rest.
    fn fit(&mut self) {
        if self.to_json().len() > DOCUMENT_BYTES_MAX {
            self.lines.iter_mut().filter(|line| line.shows.is_none()).for_each(|line| line.template = None);
        }
        while self.to_json().len() > DOCUMENT_BYTES_MAX {
            if !self.lines.is_empty() {
                self.lines.remove(self.lines.len() / 2);
                self.lines_left_out += 1;
            } else if !self.about.leave_out() {
                return;
            }
        }
    }
}

impl About {
    /// Leaves out what is least telling; false when nothing is left.
    fn leave_out(&mut self) -> bool {
        match self {
            Self::Block(block) => block.leave_out(),
            Self::Host(host) => host.leave_out(),
            Self::Template(_) | Self::Regime(_) | Self::State(_) => false,
            Self::Domain(domain) => domain.leave_out(),
        }
    }
}

/// Where data becomes words: what reads records again, the zone of times, and what is taken out of the words of logs.
struct Edge<'a> {
    source: &'a dyn LineSource,
    zone: &'a TimeZone,
    redaction: &'a Redaction,
}

/// A record that was read again.
struct Record {
    /// All of it, for what can be read out of it; not to be told. Empty when it could not be read again.
    text: Screened,
    /// The path of its file, for the same.
    path: Screened,
    /// The record as it is told.
    line: LineDocument,
}

impl Edge<'_> {
    /// `text`, which is in the words of a log, as it may be told: without what is to be taken out, bounded, harmless.
    fn clean(&self, text: &str) -> String {
        clean(&self.redaction.apply(text))
    }

    /// `time` in RFC 3339, with the offset of the zone.
    fn time(&self, time: LogTime) -> String {
        rfc3339(time, self.zone)
    }

    /// The record at `position`.
    fn read(&self, position: Position) -> Record {
        let Line { path, offset, text } = self.source.line(position);
        let path = path.to_string_lossy();
        let Origin { role, host } = Origin::of_log(&path);
        let logged = || parse::parse(text.as_deref().ok()?).and_then(|record| Role::of_logger(record.logger));
        let role = if role == Role::Other { logged().unwrap_or(role) } else { role };
        let (text, reason) = match &text {
            Ok(bytes) => (Some(String::from_utf8_lossy(bytes)), None),
            Err(reason) => (None, Some(self.clean(reason))),
        };
        let screened = |text: &str| Screened::new(text.to_owned(), self.redaction);
        let (is_there, text, path) = (text.is_some(), screened(text.as_deref().unwrap_or_default()), screened(&path));
        let line = LineDocument {
            path: clean(&path.told()),
            offset,
            host: self.part(&host.unwrap_or_default(), [&path]),
            role,
            text: is_there.then(|| clean(&text.told())),
            reason,
            template: None,
            nats: None,
            shows: None,
        };
        Record { text, path, line }
    }

    /// `part` of some texts as it may be told: without what is to be taken out of it or of them.
    fn part<'a>(&self, part: &str, wholes: impl IntoIterator<Item = &'a Screened>) -> String {
        clean(&screen::part(part, wholes, self.redaction))
    }

    /// `template` as it may be told beside `records`, of some of which it may be.
    fn template<'a>(&self, template: &str, records: impl IntoIterator<Item = &'a Record>) -> String {
        clean(&screen::template(template, records.into_iter().map(|record| &record.text), self.redaction))
    }
}

/// The first of some names in alphabetical order.
fn bounded(names: impl Iterator<Item = String>) -> Vec<String> {
    let names: BTreeSet<_> = names.collect();
    names.into_iter().take(DOCUMENT_HOSTS_MAX).collect()
}

/// `time` in RFC 3339, with the offset of `zone`.
fn rfc3339(time: LogTime, zone: &TimeZone) -> String {
    let (least, most) = (Timestamp::MIN.as_millisecond() + DAY_MILLIS, Timestamp::MAX.as_millisecond() - DAY_MILLIS);
    let instant = Timestamp::from_millisecond(time.0.clamp(least, most)).expect("clamped to what jiff holds");
    format!("{:.3}", instant.display_with_offset(zone.to_offset(instant)))
}

/// As log4j writes it.
fn level_name(level: Level) -> &'static str {
    match level {
        Level::Trace => "TRACE",
        Level::Debug => "DEBUG",
        Level::Info => "INFO",
        Level::Warn => "WARN",
        Level::Error => "ERROR",
        Level::Fatal => "FATAL",
    }
}

fn known(mut roles: Vec<Role>) -> Vec<Role> {
    roles.retain(|role| *role != Role::Other);
    roles.sort_unstable();
    roles.dedup();
    roles
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

const DAY_MILLIS: i64 = 86_400_000;

#[cfg(test)]
pub(crate) use regime::tests as regime_tests;
#[cfg(test)]
pub(crate) use state::tests as state_tests;

#[cfg(test)]
pub(crate) mod tests;
