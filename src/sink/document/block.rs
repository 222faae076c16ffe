//! What an alert on a block says of it.

use std::net::SocketAddrV4;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::pipeline::verdict::{BlockFinding, Deviation, DeviationKind, Nearby, Reason};

use super::{LineDocument, LineSource, bounded, clean, grouped, level_name, quoted, rfc3339, times};

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

impl BlockDocument {
    /// `lines` are the records quoted; those near the block are read from `source`.
    pub(super) fn new(
        finding: &BlockFinding,
        reason: Reason,
        lines: &[LineDocument],
        source: &dyn LineSource,
        zone: &TimeZone,
    ) -> Self {
        let texts = || lines.iter().filter_map(|line| line.text.as_deref());
        Self {
            block: finding.block.to_string(),
            pool: finding.pool.as_deref().map(clean),
            score: finding.verdict.score,
            threshold: finding.verdict.threshold,
            distance: finding.verdict.distance,
            model: clean(&finding.model),
            explanation: ExplanationDocument::new(finding, reason),
            hosts: bounded(lines.iter().map(|line| line.host.clone())),
            datanodes: bounded(texts().flat_map(datanodes)),
            hdfs_path: texts().find_map(hdfs_path).map(clean),
            events: finding.events,
            nearby: finding.nearby.iter().map(|nearby| NearbyDocument::new(nearby, source, zone)).collect(),
        }
    }
}

impl NearbyDocument {
    fn new(nearby: &Nearby, source: &dyn LineSource, zone: &TimeZone) -> Self {
        Self {
            host: clean(&nearby.host),
            text: clean(&nearby.template),
            level: level_name(nearby.level).to_owned(),
            time: rfc3339(nearby.first, zone),
            count: nearby.count,
            line: LineDocument::new(source.line(nearby.position)),
        }
    }
}

impl ExplanationDocument {
    fn new(finding: &BlockFinding, reason: Reason) -> Self {
        Self {
            summary: summary(finding, reason),
            deviations: finding.explanation.deviations.iter().map(DeviationDocument::new).collect(),
            training_sessions: finding.explanation.training_sessions,
            training_sessions_above: finding.explanation.training_sessions_above,
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

/// One sentence for people who have never heard of autoencoders.
pub(super) fn summary(finding: &BlockFinding, reason: Reason) -> String {
    let block = finding.block;
    let sessions = finding.explanation.training_sessions;
    let below = sessions.saturating_sub(finding.explanation.training_sessions_above);
    match reason {
        Reason::UnknownEvent => format!("{block} has an event that no normal story has{}.", worst(finding)),
        Reason::UnlikelyStory if sessions == 0 => format!("The story of {block} is an unlikely one{}.", worst(finding)),
        Reason::UnlikelyStory => {
            let (below, sessions) = (grouped(below), grouped(sessions));
            format!("The story of {block} is less likely than {below} of {sessions} normal stories{}.", worst(finding))
        }
        Reason::Recovered => format!("{block} is well again: what was missing came after all."),
        Reason::Retracted => format!("{block} was normal after all: what seemed unlikely is part of normal stories."),
        Reason::Expired
        | Reason::KnownFault
        | Reason::New
        | Reason::Burst
        | Reason::Frequent
        | Reason::UnknownShare
        | Reason::FarShare => {
            format!("{block} is no longer followed: it has been open for too long, or newer incidents took its place.")
        }
    }
}

/// The worst deviation as the end of a sentence.
fn worst(finding: &BlockFinding) -> String {
    let Some(deviation) = finding.explanation.deviations.first() else {
        return String::new();
    };
    format!("; {}: {}", departure(deviation.kind, deviation.count), quoted(&deviation.template))
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
pub(super) fn datanodes(text: &str) -> Vec<String> {
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
pub(super) fn hdfs_path(text: &str) -> Option<&str> {
    let line = text.lines().next()?;
    let of_2008 = || line.split_once("NameSystem.allocateBlock: ")?.1.rsplit_once(". blk_").map(|(path, _)| path);
    let of_today = || line.split_once("BLOCK* allocate ")?.1.split_once(" for ").map(|(_, path)| path);
    of_2008().or_else(of_today).filter(|path| path.starts_with('/'))
}
