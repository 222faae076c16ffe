//! What an alert on a block says of it.

use std::collections::BTreeSet;
use std::net::{SocketAddr, SocketAddrV4};

use serde::{Deserialize, Serialize};

use crate::config::REDACTED;
use crate::limits::{EVIDENCE_POSITIONS_MAX, SESSION_EVENTS_MAX};
use crate::pipeline::event::origin::Role;
use crate::pipeline::event::{Position, parse};
use crate::pipeline::verdict::{
    Alert, AlertType, BlockFinding, Deviation, DeviationKind, Explanation, Nearby, NormalStory, Reason, ShownEvent, evidence,
};

use super::words::{Names, exception_class, times};
use super::{Edge, LineDocument, Record, bounded, grouped, level_name};

/// What was found of a block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockDocument {
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
    /// Why.
    pub explanation: ExplanationDocument,
    /// Hosts whose logs tell of it, sorted.
    pub hosts: Vec<String>,
    /// Data nodes that the lines name, `ip:port`, sorted.
    pub datanodes: Vec<String>,
    /// The HDFS file that the block was allocated for, if a quoted line says so.
    pub hdfs_path: Option<String>,
    /// DataNodes of which the NameNode said in this episode that they hold a replica (`addStoredBlock … is added to …`), counted by
    /// address; later deletions are not taken off. `null` when it is not known: no line of a NameNode could be read, or not all that say
    /// so, because they are gone or too many, or the story was joined midway and none is known; and when the alert takes another one back.
    #[serde(default)]
    pub replicas_confirmed: Option<u32>,
    /// Their addresses, `ip:port`, sorted; not all of them where there are many, none where the number is not known.
    #[serde(default)]
    pub replicas_on: Vec<String>,
    /// Commands that show how the block and its file are now.
    #[serde(default)]
    pub look_further: Vec<String>,
    /// Events of the episode, also those that no line shows.
    pub events: u32,
    /// Trouble on the same hosts within a minute of the block's last event, latest first.
    pub nearby: Vec<NearbyDocument>,
}

/// Trouble near a block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NearbyDocument {
    /// The host.
    pub host: String,
    /// Text of the template, with the class of the exception if one came with it.
    pub text: String,
    /// As log4j writes it.
    pub level: String,
    /// Log time of the first of them, as [`super::Document::time`].
    pub time: String,
    /// Records of this kind within a minute.
    pub count: u32,
    /// The first of them.
    pub line: LineDocument,
}

/// Why a block was judged as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExplanationDocument {
    /// One plain sentence.
    pub summary: String,
    /// The same as `deviations`, each as a sentence; at the end, if that is unlikely, that the story stops here.
    #[serde(default)]
    pub difference: Vec<String>,
    /// Worst first.
    pub deviations: Vec<DeviationDocument>,
    /// Whether the story was seen from its start. Else it may have what it seems to lack.
    #[serde(default)]
    pub from_start: bool,
    /// The normal story that it was held against; `null` in what takes an alert back.
    #[serde(default)]
    pub nearest: Option<NormalStoryDocument>,
    /// How unexpected it is that the story stops here, nats; `null` while it may go on.
    #[serde(default)]
    pub end_nats: Option<f32>,
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
    /// How often the nearest normal story has it.
    #[serde(default)]
    pub expected: u32,
    /// How often this story has it; of events that repeat without end not every one counts.
    #[serde(default)]
    pub seen: u32,
    /// How unexpected, nats; 0 for what is missing.
    pub nats: f32,
    /// Class of the exception that came with it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exception: Option<String>,
    /// The same in words, without the template.
    pub text: String,
}

/// What a normal block does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NormalStoryDocument {
    /// What happens in it: first the events that this story has too, in its order.
    pub events: Vec<NormalEventDocument>,
    /// Kinds of events that `events` has no room for.
    pub events_left_out: u32,
    /// Share of the stories learnt that were like it, at their end or while they rested midway, so that those of several stories may make
    /// more than 1; 0..=1. 0 = none was: it was concluded from others.
    pub share: f32,
}

/// One kind of event of a normal story.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NormalEventDocument {
    /// Text of the template.
    pub template: String,
    /// How often it happens there.
    pub expected: u32,
    /// How often it happens here.
    pub seen: u32,
}

impl BlockDocument {
    /// `records` are those quoted; the others are read from the edge's source.
    pub(super) fn new(finding: &BlockFinding, alert: &Alert, records: &[Record], edge: &Edge<'_>) -> Self {
        let more: Vec<Record> = finding.explanation.evidence.iter().map(|position| edge.read(*position)).collect();
        let all = || records.iter().chain(&more);
        let confirmed = || all().filter_map(|record| Some((record, confirmed_replica(&record.text.text)?)));
        let replicas: BTreeSet<&str> = confirmed().map(|(_, address)| address).collect();
        let hears_namenode = all().any(|record| record.line.role == Role::NameNode && record.line.text.is_some());
        let may_be_none = finding.explanation.from_start && hears_namenode;
        let is_known = hears_all(finding, alert.reason, records, &more) && (may_be_none || !replicas.is_empty());
        let is_told = alert.alert_type != AlertType::Resolved && is_known;
        let block = finding.block.to_string();
        let part = |record: &Record, part: &str| edge.part(part, [&record.text]);
        let hdfs_path = all().find_map(|record| Some(part(record, hdfs_path(&record.text.text)?)));
        let datanodes = all().flat_map(|record| datanodes(&record.text.text).into_iter().map(|name| part(record, name)));
        let replicas_on = confirmed().filter(|_| is_told).map(|(record, address)| part(record, address));
        Self {
            look_further: look_further(&block, hdfs_path.as_deref()),
            block,
            pool: finding.pool.as_deref().map(super::clean),
            score: finding.verdict.score,
            threshold: finding.verdict.threshold,
            distance: finding.verdict.distance,
            model: super::clean(&finding.model),
            explanation: ExplanationDocument::new(finding, alert, records, edge),
            hosts: bounded(records.iter().map(|record| record.line.host.clone())),
            datanodes: bounded(datanodes),
            hdfs_path,
            replicas_confirmed: is_told.then_some(replicas.len() as u32),
            replicas_on: bounded(replicas_on),
            events: finding.events,
            nearby: finding.nearby.iter().map(|nearby| NearbyDocument::new(nearby, edge)).collect(),
        }
    }

    /// Leaves out what is least telling; false when nothing is left.
    pub(super) fn leave_out(&mut self) -> bool {
        let explanation = &mut self.explanation;
        explanation.nearest.take().is_some()
            || self.nearby.pop().is_some()
            || explanation.deviations.pop().is_some()
            || explanation.difference.pop().is_some()
    }
}

/// Gives quoted records what the model said of their events.
pub(super) fn annotate(records: &mut [Record], explanation: &Explanation, edge: &Edge<'_>) {
    let told: Vec<String> = explanation.templates.iter().map(|template| edge.template(template, &*records)).collect();
    for (record, event) in records.iter_mut().zip(&explanation.events) {
        let template = explanation.templates.get(usize::from(event.template));
        let shows = |deviation: &&Deviation| match deviation.kind {
            DeviationKind::Unknown => Some(&deviation.template) == template,
            DeviationKind::Excess | DeviationKind::Missing | DeviationKind::Unexpected => {
                deviation.position == Some(event.position)
            }
        };
        record.line.template = told.get(usize::from(event.template)).cloned();
        record.line.nats = Some(event.nats);
        record.line.shows = explanation.deviations.iter().find(shows).map(|deviation| deviation.kind);
    }
}

impl NearbyDocument {
    fn new(nearby: &Nearby, edge: &Edge<'_>) -> Self {
        let record = edge.read(nearby.position);
        Self {
            host: edge.part(&nearby.host, [&record.path]),
            text: nearby_text(&nearby.template, &record, edge),
            level: level_name(nearby.level).to_owned(),
            time: edge.time(nearby.first),
            count: nearby.count,
            line: record.line,
        }
    }
}

/// The template of trouble and the class of the exception that came with it.
fn nearby_text(template: &str, record: &Record, edge: &Edge<'_>) -> String {
    let exception = exception_class(&record.text.text);
    let apart = exception.and_then(|exception| Some((template.strip_suffix(&format!(" ({exception})"))?, exception)));
    match apart {
        Some((template, exception)) => {
            format!("{} ({})", edge.template(template, [record]), edge.part(exception, [&record.text]))
        }
        None => edge.template(template, [record]),
    }
}

impl ExplanationDocument {
    fn new(finding: &BlockFinding, alert: &Alert, records: &[Record], edge: &Edge<'_>) -> Self {
        let Explanation { deviations, from_start, nearest, end_nats, training_sessions, training_sessions_above, .. } =
            &finding.explanation;
        let record = |position: Position| records.get(alert.positions.iter().position(|quoted| *quoted == position)?);
        let document = |deviation| DeviationDocument::new(deviation, deviation.position.and_then(record), records, edge);
        let deviations: Vec<_> = deviations.iter().map(document).collect();
        let nearest = nearest.as_ref().map(|nearest| NormalStoryDocument::new(nearest, records, edge));
        let names = names(&deviations, nearest.as_ref());
        let end = end_nats.filter(|nats| *nats > finding.verdict.threshold);
        let end = end.map(|nats| format!("the story stops where normal ones go on ({nats:.2} nats)"));
        Self {
            summary: summary(finding, &deviations, &names, alert.reason),
            difference: deviations.iter().map(|deviation| names.difference(deviation)).chain(end).collect(),
            deviations,
            from_start: *from_start,
            nearest,
            end_nats: *end_nats,
            training_sessions: *training_sessions,
            training_sessions_above: *training_sessions_above,
        }
    }
}

impl ExplanationDocument {
    /// Names that tell all events apart that it speaks of.
    #[must_use]
    pub fn names(&self) -> Names {
        names(&self.deviations, self.nearest.as_ref())
    }
}

fn names(deviations: &[DeviationDocument], nearest: Option<&NormalStoryDocument>) -> Names {
    let normal = nearest.into_iter().flat_map(|story| &story.events).map(|event| event.template.as_str());
    Names::new(deviations.iter().map(|deviation| deviation.template.as_str()).chain(normal))
}

impl NormalStoryDocument {
    fn new(story: &NormalStory, records: &[Record], edge: &Edge<'_>) -> Self {
        let events = story.events.iter().map(|event| NormalEventDocument {
            template: edge.template(&event.template, records),
            expected: event.expected,
            seen: event.seen,
        });
        Self { events: events.collect(), events_left_out: story.events_left_out, share: story.share }
    }
}

impl DeviationDocument {
    /// `record` shows it; it is one of the `records` quoted.
    fn new(deviation: &Deviation, record: Option<&Record>, records: &[Record], edge: &Edge<'_>) -> Self {
        Self {
            kind: deviation.kind,
            template: edge.template(&deviation.template, records),
            count: deviation.count,
            expected: deviation.expected,
            seen: deviation.seen,
            nats: deviation.nats,
            exception: record.and_then(|record| Some(edge.part(exception_class(&record.text.text)?, [&record.text]))),
            text: departure(deviation.kind, deviation.count),
        }
    }
}

/// One sentence for people who have never heard of autoencoders.
fn summary(finding: &BlockFinding, deviations: &[DeviationDocument], names: &Names, reason: Reason) -> String {
    let block = finding.block;
    let worst = deviations.first().map(|deviation| format!(": {}", names.difference(deviation))).unwrap_or_default();
    let sessions = finding.explanation.training_sessions;
    let below = sessions.saturating_sub(finding.explanation.training_sessions_above);
    match reason {
        Reason::UnknownEvent => {
            let said = deviations.first().map(|event| format!(": {}, {}", names.of_event(event), times(event.count)));
            let said = said.unwrap_or_default();
            format!("{block} has an event that no normal story has{said}.")
        }
        Reason::UnlikelyStory if sessions == 0 => format!("The story of {block} is an unlikely one{worst}."),
        Reason::UnlikelyStory => {
            let (below, sessions) = (grouped(below), grouped(sessions));
            format!("The story of {block} is less likely than {below} of {sessions} normal stories{worst}.")
        }
        Reason::Recovered => format!("{block} is well again: what was missing came after all."),
        Reason::Retracted => format!("{block} was normal after all: what seemed unlikely is part of normal stories."),
        Reason::Expired
        | Reason::KnownFault
        | Reason::New
        | Reason::Burst
        | Reason::Frequent
        | Reason::UnknownShare
        | Reason::FarShare
        | Reason::ModelChanged
        | Reason::ScoreLevel
        | Reason::Acknowledged
        | Reason::DiskFull
        | Reason::ReadOnly
        | Reason::WriteFailed => {
            format!("{block} is no longer followed: it has been open for too long, or newer incidents took its place.")
        }
    }
}

fn departure(kind: DeviationKind, count: u32) -> String {
    let times = times(count);
    match kind {
        DeviationKind::Unknown => format!("never seen in a normal story, here {times}"),
        DeviationKind::Excess => format!("{times} more than in the nearest normal story"),
        DeviationKind::Missing => format!("missing {times}"),
        DeviationKind::Unexpected => format!("out of place {times}"),
    }
}

/// Data nodes that a record names. The other end of a transfer is a client with a port of the moment: the source of a write, the
/// destination of a read.
pub(super) fn datanodes(text: &str) -> Vec<&str> {
    let client = if text.contains("HDFS_READ") { "dest: /" } else { "src: /" };
    let is_part = |c: char| c.is_ascii_digit() || c == '.' || c == ':';
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let end = rest[start..].find(|c| !is_part(c)).map_or(rest.len(), |length| start + length);
        let word = rest[start..end].trim_end_matches(['.', ':']);
        if word.parse::<SocketAddrV4>().is_ok() && !rest[..start].ends_with(client) {
            found.push(word);
        }
        rest = &rest[end..];
    }
    found
}

/// The file that a NameNode allocated the block for, in the words of 2008 and of Hadoop 2 and 3.
pub(super) fn hdfs_path(text: &str) -> Option<&str> {
    let line = text.lines().next()?;
    let of_2008 = || line.split_once("NameSystem.allocateBlock: ")?.1.rsplit_once(". blk_").map(|(path, _)| path);
    let of_today = || line.split_once("BLOCK* allocate ")?.1.split_once(" for ").map(|(_, path)| path);
    of_2008().or_else(of_today).filter(|path| path.starts_with('/'))
}

/// The DataNode of which the NameNode says that it holds a replica now. What DataNodes say of themselves does not count: only what the
/// NameNode knows of is found by readers.
pub(super) fn confirmed_replica(text: &str) -> Option<&str> {
    let record = parse::parse(text.as_bytes());
    let content = record.map_or(text, |record| std::str::from_utf8(record.content).unwrap_or(text));
    let line = content.lines().next().filter(|line| evidence::confirms_replica(line))?;
    let address = line.split_once(" is added to")?.0.rsplit(' ').next()?;
    address.parse::<SocketAddr>().is_ok().then_some(address)
}

/// Whether all records were read again in which the NameNode confirms a replica: those `quoted` and `more`.
fn hears_all(finding: &BlockFinding, reason: Reason, quoted: &[Record], more: &[Record]) -> bool {
    let Explanation { events, templates, evidence, end_nats, .. } = &finding.explanation;
    let is_gone = |record: &Record| record.line.text.is_none();
    let confirms = |event: &ShownEvent| {
        templates.get(usize::from(event.template)).is_some_and(|template| evidence::confirms_replica(template))
    };
    // A story that has rested has an end that is judged, unless it has outgrown its window; what came after that was not kept.
    let outgrew = reason == Reason::UnlikelyStory && end_nats.is_none() && finding.events as usize > SESSION_EVENTS_MAX;
    let lacks_quoted = quoted.iter().zip(events).any(|(record, event)| is_gone(record) && confirms(event));
    !outgrew && evidence.len() < EVIDENCE_POSITIONS_MAX && !lacks_quoted && !more.iter().any(is_gone)
}

/// Commands that show how the block is, and its file unless its path is not to be told.
fn look_further(block: &str, hdfs_path: Option<&str>) -> Vec<String> {
    let path = hdfs_path.filter(|path| !path.contains(REDACTED) && !path.ends_with('…'));
    let file = path.map(|path| format!("hdfs fsck {} -files -blocks -locations", shell_quoted(path)));
    std::iter::once(format!("hdfs fsck -blockId {block}")).chain(file).collect()
}

/// `path` as one word of a POSIX shell: what a log names is pasted by people.
pub(super) fn shell_quoted(path: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if path.chars().all(is_plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}
