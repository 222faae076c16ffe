//! The words of an alert: templates as people read them, numbers, and how a story differs from a normal one.

use std::collections::{BTreeMap, BTreeSet};

use crate::pipeline::event::parse;
use crate::pipeline::event::template::exception;
use crate::pipeline::verdict::DeviationKind;

use super::DeviationDocument;

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

/// `template` as short as a sentence about it wants it: `PacketResponder terminating` of
/// `PacketResponder <*> for block <*> terminating<*>`. What differs from line to line is left out, with the words that lead to it; where
/// only one word would be left, the template stays [`readable`].
#[must_use]
pub fn brief(template: &str) -> String {
    let named = with_blocks_named(&without_asides(template));
    let pieces = named.split(WILDCARD).map(telling_words).filter(|words| !words.is_empty());
    let text = pieces.collect::<Vec<_>>().join(" ");
    if text.contains(' ') { cut(&text) } else { cut(&readable(template)) }
}

/// What templates that stand in one text are called there: [`brief`], or [`readable`] where two would go by one name.
#[derive(Clone, Debug, Default)]
pub struct Names {
    shared: BTreeSet<String>,
}

impl Names {
    /// Names that tell `templates` apart.
    pub fn new<'a>(templates: impl IntoIterator<Item = &'a str>) -> Self {
        let mut bearers: BTreeMap<String, &str> = BTreeMap::new();
        let mut shared = BTreeSet::new();
        for template in templates {
            let name = brief(template);
            if *bearers.entry(name.clone()).or_insert(template) != template {
                shared.insert(name);
            }
        }
        Self { shared }
    }

    /// What `template` is called.
    #[must_use]
    pub fn of(&self, template: &str) -> String {
        let name = brief(template);
        if self.shared.contains(&name) { cut(&readable(template)) } else { name }
    }

    /// What the event of a deviation is called, in quotation marks and with the class of the exception that came with it, unless its
    /// name has that.
    pub(super) fn of_event(&self, deviation: &DeviationDocument) -> String {
        let name = self.of(&deviation.template);
        let exception = deviation.exception.as_deref().filter(|exception| !name.contains(exception));
        let aside = exception.map(|exception| format!(" ({exception})")).unwrap_or_default();
        format!("“{}”{aside}", name.trim_end_matches('.'))
    }

    /// One deviation beside the nearest normal story.
    pub(super) fn difference(&self, deviation: &DeviationDocument) -> String {
        let DeviationDocument { kind, count, expected, seen, .. } = deviation;
        let named = self.of_event(deviation);
        match kind {
            DeviationKind::Unknown => format!("unexpected: {named}, {}; no normal story has it", times(*count)),
            DeviationKind::Excess if *expected == 0 => {
                format!("unexpected: {named}, {}; the nearest normal story has none", times(*count))
            }
            DeviationKind::Excess => format!("{named} came {}, {} more than expected", times(*seen), grouped(u64::from(*count))),
            DeviationKind::Missing if *seen == 0 && *expected <= 1 => format!("{named} never came"),
            DeviationKind::Missing if *seen == 0 => format!("{named} never came, expected {}", times(*expected)),
            DeviationKind::Missing => format!("expected {expected} × {named}, saw {seen}"),
            DeviationKind::Unexpected => format!("{named} came out of place, {}", times(*count)),
        }
    }
}

/// The start of a template as a part of a sentence; the rest of the document has all of it.
pub(super) fn quoted_start(template: &str) -> String {
    format!("“{}”", cut(&readable(template)).trim_end_matches('.'))
}

pub(super) fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{} times", grouped(u64::from(count))) }
}

/// The class of the exception that a record tells of, in its message or below it.
pub(super) fn exception_class(record: &str) -> Option<&str> {
    let content = parse::parse(record.as_bytes()).map_or(record.as_bytes(), |record| record.content);
    let head = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_start = |at: &usize| *at == 0 || matches!(head[at - 1], b' ' | b'\t');
    let in_head = || (0..head.len()).filter(is_start).find_map(|at| exception::class(&head[at..]));
    let below = || exception::class(content.get(head.len() + 1..)?);
    std::str::from_utf8(in_head().or_else(below)?).ok()
}

/// `template` without what stands in brackets and differs from line to line: arguments, and the long names that DataNodes of today call
/// themselves by, `DatanodeRegistration(…)` and `DataNode{…}`.
fn without_asides(template: &str) -> String {
    let braces = template.find('{').zip(template.rfind('}')).filter(|(open, close)| open < close);
    let braces = braces.filter(|&(open, close)| template[open..close].contains(WILDCARD));
    let mut rest = braces
        .map_or_else(|| template.to_owned(), |(open, close)| [&template[..open], WILDCARD, &template[close + 1..]].concat());
    let mut kept = String::new();
    while let Some((open, close)) = rest.find('(').and_then(|open| Some((open, open + closing(&rest[open..])?))) {
        let aside = if rest[open..close].contains(WILDCARD) { WILDCARD } else { &rest[open..=close] };
        kept.extend([&rest[..open], aside]);
        rest = rest[close + 1..].to_owned();
    }
    kept + &rest
}

/// Where the bracket that `text` begins with is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    text.char_indices().find_map(|(at, c)| {
        depth = match c {
            '(' => depth + 1,
            ')' => depth - 1,
            _ => depth,
        };
        (depth == 0).then_some(at)
    })
}

/// `template` with one word for whatever a block is called, `BP-<*>:blk_<*>_<*>` and the like, or none behind a word that ends with it.
fn with_blocks_named(template: &str) -> String {
    let mut named = String::new();
    for word in template.split(' ') {
        let is_named = named.trim_end().to_ascii_lowercase().ends_with("block");
        let space = if named.is_empty() { "" } else { " " };
        let Some(at) = word.find("blk_") else {
            named.extend([space, word]);
            continue;
        };
        let start = word[..at].find("BP-").unwrap_or(at);
        let is_part = |c: char| c.is_alphanumeric() || "_<*>-".contains(c);
        let end = word[at..].find(|c| !is_part(c)).map_or(word.len(), |length| at + length);
        named.extend([space, &word[..start], if is_named { "" } else { "block " }, WILDCARD, &word[end..]]);
    }
    named
}

/// The words between two wildcards, without those that only lead to one.
fn telling_words(piece: &str) -> String {
    let words: Vec<&str> = piece.split_whitespace().collect();
    let is_mark = |word: &str| !word.contains(char::is_alphanumeric);
    let leads = |word: &&&str| {
        is_mark(word) || word.ends_with(['_', '-', '=']) || LEADING.contains(&word.trim_matches(|c: char| ",;()[]".contains(c)))
    };
    if words.iter().all(|word| leads(&word) || NAMED.contains(word)) {
        return String::new();
    }
    let end = words.len() - words.iter().rev().take_while(leads).count();
    let start = words.iter().take_while(|word| is_mark(word)).count();
    words[start..end].join(" ").trim_matches(|c: char| ":,;.([=".contains(c)).to_owned()
}

/// The start of a text that is to stand in a sentence.
fn cut(text: &str) -> String {
    let start: String = text.chars().take(SENTENCE_TEMPLATE_CHARS_MAX).collect();
    let mark = if start.len() < text.len() { "…" } else { "" };
    format!("{start}{mark}")
}

/// Whether a word, or a mark that a space follows, ends with this.
fn is_word_end(c: char) -> bool {
    c.is_alphanumeric() || ":,;…".contains(c)
}

/// Words that say nothing without the value behind them.
const LEADING: [&str; 28] = [
    "a",
    "added",
    "as",
    "at",
    "blockid:",
    "by",
    "bytes:",
    "cliID:",
    "dest:",
    "duration(ns):",
    "duration:",
    "file",
    "for",
    "from",
    "got",
    "in",
    "is",
    "of",
    "offset:",
    "on",
    "replicas",
    "size",
    "src:",
    "srvID:",
    "the",
    "to",
    "volume:",
    "with",
];

/// Words that say nothing where no other word stands between two values.
const NAMED: [&str; 3] = ["block", "Block", "datanode(s)"];

/// Characters of a template in a sentence.
const SENTENCE_TEMPLATE_CHARS_MAX: usize = 120;

/// What stands in a template for what differs from line to line.
pub(super) const WILDCARD: &str = "<*>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_of_2008_are_brief() {
        check("<*>Received block<*>of size<*>from<*>", "Received block");
        check("<*>PacketResponder <*> for block <*> terminating<*>", "PacketResponder terminating");
        check("<*>:Exception writing block<*>to mirror<*>", "Exception writing block to mirror");
        check("<*>Receiving block<*>src:<*>dest:<*>", "Receiving block");
        check("<*>BLOCK* NameSystem<*>allocateBlock:<*>", "BLOCK* NameSystem allocateBlock");
        check(
            "<*>BLOCK* NameSystem<*>addStoredBlock: blockMap updated:<*>is added to<*>size<*>",
            "BLOCK* NameSystem addStoredBlock: blockMap updated",
        );
        check(
            "<*>BLOCK* NameSystem<*>addStoredBlock: Redundant addStoredBlock request received for<*>on<*>size<*>",
            "BLOCK* NameSystem addStoredBlock: Redundant addStoredBlock request received",
        );
        check("<*>BLOCK* NameSystem<*>delete:<*>is added to invalidSet of<*>", "BLOCK* NameSystem delete is added to invalidSet");
        check("<*>BLOCK* ask<*>to replicate<*>to<*>", "BLOCK* ask to replicate");
        check("<*>Got exception while serving<*>to<*>", "Got exception while serving");
        check("<*>:Failed to transfer<*>to<*>got<*>", "Failed to transfer");
        check("<*>Starting thread to transfer block<*>to<*>", "Starting thread to transfer block");
        check("<*>Deleting block<*>file<*>", "Deleting block");
        check("<*>Verification succeeded for<*>", "Verification succeeded");
        check(
            "<*>Unexpected error trying to delete block<*>BlockInfo not found in volumeMap<*>",
            "Unexpected error trying to delete block BlockInfo not found in volumeMap",
        );
    }

    #[test]
    fn templates_of_today_are_brief() {
        check("Receiving BP-<*>:blk_<*>_<*> src: <*> dest: <*>", "Receiving block");
        check("Receiving <*>:<*> src: <*> dest: <*>", "Receiving …: … src: … dest: …");
        check("BLOCK* allocate <*>, replicas=<*>, <*>, <*> for <*>", "BLOCK* allocate");
        check(
            "src: <*>, dest: <*>, volume: <*>, bytes: <*>, op: HDFS_WRITE, cliID: DFSClient_NONMAPREDUCE_<*>_<*>, offset: <*>, srvID: <*> blockid: <*>:<*>, duration(ns): <*>",
            "op: HDFS_WRITE",
        );
        check(
            "DatanodeRegistration(<*>, <*> infoPort=<*>, storageInfo=lv=<*>;cid=CID-02583b64-<*>;nsid=<*>;c=<*>) Starting thread to transfer <*>:<*> to <*>",
            "DatanodeRegistration Starting thread to transfer",
        );
        check(
            "DataNode{data=FSDataset{dirpath='[<*>, localName='localhost:<*>', xmitsInProgress=<*>}:Exception transferring block <*>:<*> to mirror <*> java.net.ConnectException",
            "DataNode Exception transferring block to mirror java.net.ConnectException",
        );
        check("updatePipeline(<*>, newGS=<*>, newNodes=[<*>, <*>]) success", "updatePipeline success");
        check("f(a) of <*> (b (<*>) c) and (", "f(a) and");
        check(
            "PacketResponder: <*>:<*>, type=HAS_DOWNSTREAM_IN_PIPELINE, downstreams=<*>:[<*>] terminating",
            "PacketResponder type=HAS_DOWNSTREAM_IN_PIPELINE terminating",
        );
        check("BLOCK* addStoredBlock: <*> is added to blk_<*> (size=<*>)", "BLOCK* addStoredBlock");
        check("BLOCK* allocate blk_<*>_<*>, replicas=<*>, <*> for <*>", "BLOCK* allocate block");
        check("writeBlock blk_<*> received exception <*>", "writeBlock received exception");
        check("Deleted BP-<*> blk_<*>_<*> URI file:<*>", "Deleted URI file");
        check(
            "PacketResponder: BP-<*>:blk_<*>, type=LAST_IN_PIPELINE terminating",
            "PacketResponder: block type=LAST_IN_PIPELINE terminating",
        );
    }

    #[test]
    fn what_would_be_empty_stays_readable_and_what_is_long_is_cut() {
        check("<*>", "…");
        check("<*> to <*>", "… to …");
        check("", "");
        let long = "x".repeat(SENTENCE_TEMPLATE_CHARS_MAX);
        check(&long, &long);
        check(&format!("{long}x"), &format!("{long}…"));
    }

    #[test]
    fn templates_of_one_brief_name_are_told_apart() {
        let [one, other, third] = [
            "<*>Received block<*>of size<*>from<*>",
            "<*>Received block<*>src:<*>dest:<*>of size<*>",
            "<*>Receiving block<*>src:<*>",
        ];
        let names = Names::new([one, third, other, one]);
        assert_eq!(names.of(one), "Received block … of size … from …");
        assert_eq!(names.of(other), "Received block … src: … dest: … of size …");
        assert_eq!(names.of(third), "Receiving block");
        assert_eq!(Names::new([one, third, one]).of(one), "Received block");
    }

    #[test]
    fn the_difference_is_told_in_words() {
        use DeviationKind::{Excess, Missing, Unexpected, Unknown};
        let of = |kind, count, expected, seen| {
            let template = "<*>Received block<*>of size<*>from<*>".to_owned();
            DeviationDocument { kind, template, count, expected, seen, nats: 0.0, text: String::new(), exception: None }
        };
        let check = |kind, count, expected, seen, words: &str| {
            assert_eq!(Names::default().difference(&of(kind, count, expected, seen)), words);
        };
        check(Missing, 1, 3, 2, "expected 3 × “Received block”, saw 2");
        check(Missing, 3, 3, 0, "“Received block” never came, expected 3 times");
        check(Missing, 1, 1, 0, "“Received block” never came");
        check(Excess, 2, 3, 5, "“Received block” came 5 times, 2 more than expected");
        check(Excess, 1, 0, 1, "unexpected: “Received block”, once; the nearest normal story has none");
        check(Unknown, 2, 0, 2, "unexpected: “Received block”, 2 times; no normal story has it");
        check(Unexpected, 1, 3, 3, "“Received block” came out of place, once");
        let exception = Some("java.io.IOException".to_owned());
        let told = |template: &str| {
            Names::default().of_event(&DeviationDocument {
                template: template.to_owned(),
                exception: exception.clone(),
                ..of(Unknown, 1, 0, 1)
            })
        };
        assert_eq!(told("writeBlock blk_<*> received exception <*>"), "“writeBlock received exception” (java.io.IOException)");
        assert_eq!(told("PacketResponder <*> java.io.IOException: <*>"), "“PacketResponder java.io.IOException”");
    }

    #[test]
    fn exceptions_are_found_in_the_message_and_below_it() {
        let check = |record: &str, class: Option<&str>| assert_eq!(exception_class(record), class, "{record}");
        check(
            "081109 204005 35 INFO dfs.DataNode$DataXceiver: writeBlock blk_1 received exception java.io.IOException: Could not read",
            Some("java.io.IOException"),
        );
        check("081109 204005 35 WARN a.B: PacketResponder blk_1 2 Exception java.io.EOFException", Some("java.io.EOFException"));
        check(
            "081109 204005 35 WARN a.B: Got exception while serving blk_1 to /10.0.0.1:\njava.net.SocketTimeoutException: x\n\tat y",
            Some("java.net.SocketTimeoutException"),
        );
        check("081109 204005 35 INFO dfs.DataNode: Receiving block blk_1 src: /10.0.0.1:5", None);
        check("java.io.IOException", Some("java.io.IOException"));
        check("", None);
    }

    fn check(template: &str, expected: &str) {
        assert_eq!(brief(template), expected, "{template}");
    }
}
