//! What an alert on a host says of it.

use serde::{Deserialize, Serialize};

use crate::pipeline::event::layout::Level;
use crate::pipeline::verdict::{Complaint, HostFinding, Reason};

use super::screen::Screened;
use super::words::{WILDCARD, quoted_start, times};
use super::{Edge, Record, bounded, grouped, level_name};

/// What was found of a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostDocument {
    /// The host that the names of its logs tell.
    pub host: String,
    /// One plain sentence.
    pub summary: String,
    /// What it says, the most telling first.
    pub templates: Vec<TemplateDocument>,
    /// Kinds of messages that `templates` has no room for.
    pub templates_left_out: u32,
    /// Other hosts that say the same at the same time, sorted.
    pub also_on: Vec<String>,
}

/// One kind of message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TemplateDocument {
    /// Text of the template.
    pub text: String,
    /// Class of the exception that came with it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exception: Option<String>,
    /// As log4j writes it.
    pub level: String,
    /// Why it is told: `known_fault`, `new` or `burst`.
    pub reason: Reason,
    /// What it is known to mean.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub meaning: Option<String>,
    /// Whom it speaks of, when that is not the host itself: the address of a lost DataNode.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subject: Option<String>,
    /// A command that shows how things are.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub advice: Option<String>,
    /// Records of this kind, from `first` to `last`.
    pub count: u32,
    /// Log time of the first, as [`super::Document::time`].
    pub first: String,
    /// Log time of the last.
    pub last: String,
    /// The most that this host said of it in a minute before; halved for each day since. 0 = never.
    pub usual_per_minute: u32,
}

impl HostDocument {
    /// `records` are those quoted.
    pub(super) fn new(finding: &HostFinding, records: &[Record], edge: &Edge<'_>) -> Self {
        let host = edge.part(&finding.host, records.iter().map(|record| &record.path));
        let templates: Vec<_> =
            finding.complaints.iter().map(|complaint| TemplateDocument::new(complaint, records, edge)).collect();
        let also_on = finding.also_on.iter().map(|other| named_alike(other, &finding.host, records, edge));
        Self {
            summary: summary(finding, &host, &templates),
            host,
            templates,
            templates_left_out: finding.complaints_left_out,
            also_on: bounded(also_on),
        }
    }

    /// Leaves out the least telling kind of message; false when none is left.
    pub(super) fn leave_out(&mut self) -> bool {
        let left_out = self.templates.pop().is_some();
        self.templates_left_out += u32::from(left_out);
        left_out
    }
}

impl TemplateDocument {
    fn new(complaint: &Complaint, records: &[Record], edge: &Edge<'_>) -> Self {
        // The record may be gone, but this is what it was like.
        let alike = |value: &str| Screened::new(complaint.template.replace(WILDCARD, value), edge.redaction);
        let part = |text: &String| edge.part(text, records.iter().map(|record| &record.text).chain([&alike(text)]));
        Self {
            text: edge.template(&complaint.template, records),
            exception: complaint.exception.as_ref().map(part),
            level: level_name(complaint.level).to_owned(),
            reason: complaint.reason,
            meaning: complaint.statement.map(|statement| statement.meaning().to_owned()),
            subject: complaint.subject.as_ref().map(part),
            advice: complaint.statement.and_then(|statement| statement.advice()).map(str::to_owned),
            count: complaint.count,
            first: edge.time(complaint.first),
            last: edge.time(complaint.last),
            usual_per_minute: complaint.usual_per_minute,
        }
    }
}

/// The name of another host as it may be told: what its log is called is not known, but it is called like that of this one.
fn named_alike(other: &str, host: &str, records: &[Record], edge: &Edge<'_>) -> String {
    let alike = |record: &Record| Screened::new(record.path.text.replace(host, other), edge.redaction);
    edge.part(other, &records.iter().map(alike).collect::<Vec<_>>())
}

/// What a person on call has to know first.
fn summary(finding: &HostFinding, host: &str, templates: &[TemplateDocument]) -> String {
    let Some((complaint, told)) = finding.complaints.first().zip(templates.first()) else {
        return format!("{host} is in trouble.");
    };
    let more = (finding.complaints.len() - 1) as u64 + u64::from(finding.complaints_left_out);
    let more = match more {
        0 => String::new(),
        1 => "; and one more kind of trouble".to_owned(),
        more => format!("; and {} more kinds of trouble", grouped(more)),
    };
    format!("{host}: {}{more}.", worst(complaint, told))
}

/// A complaint, which is `told` so, as a part of a sentence.
fn worst(complaint: &Complaint, told: &TemplateDocument) -> String {
    let aside = |text: &Option<String>| text.as_deref().map(|text| format!(" ({text})")).unwrap_or_default();
    let (subject, exception) = (aside(&told.subject), aside(&told.exception));
    let said = format!("{} {}{exception}", told.level, quoted_start(&told.text));
    let times = times(complaint.count);
    match (complaint.reason, complaint.statement) {
        (_, Some(statement)) => format!("{}{subject}", statement.meaning()),
        (Reason::Burst, None) => {
            let usual = match complaint.usual_per_minute {
                0 => String::new(),
                usual => format!(", until now at most {} in a minute", grouped(u64::from(usual))),
            };
            format!("far more often than ever, {times}{usual}: {said}")
        }
        (_, None) if complaint.level == Level::Fatal => format!("a fatal error, {times}: {said}"),
        (_, None) => format!("never said before, now {times}: {said}"),
    }
}
