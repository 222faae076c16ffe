//! Takes out of texts that were cut or made out of a record what may not be told of the record: a pattern that needs the words beside a
//! text does not match it alone, and one that needs what a template leaves out does not match the template.

use std::borrow::Cow;
use std::ops::Range;

use crate::config::Redaction;
use crate::pipeline::event::parse;
use crate::pipeline::event::template::pattern::Pattern;

use super::words::WILDCARD;

/// A text with what may not be told of it.
#[derive(Clone, Debug)]
pub(super) struct Screened {
    /// All of it, for what can be read out of it; not to be told.
    pub text: String,
    /// Where the patterns match, in bytes.
    hidden: Vec<Range<usize>>,
}

impl Screened {
    /// Looks for what `redaction` takes out.
    pub fn new(text: String, redaction: &Redaction) -> Self {
        let hidden = redaction.matches(&text);
        Self { text, hidden }
    }

    /// The text as it may be told.
    pub fn told(&self) -> Cow<'_, str> {
        Redaction::without(&self.text, self.hidden.clone())
    }

    /// What is hidden of `part`, wherever it stands in the text, in bytes of `part`.
    fn hidden_of(&self, part: &str) -> impl Iterator<Item = Range<usize>> {
        let places = if self.hidden.is_empty() || part.is_empty() { None } else { Some(self.text.match_indices(part)) };
        places.into_iter().flatten().flat_map(move |(at, _)| {
            let clipped = move |range: &Range<usize>| range.start.max(at)..range.end.min(at + part.len());
            let shifted = move |range: Range<usize>| range.start - at..range.end - at;
            self.hidden.iter().map(clipped).filter(|range| !range.is_empty()).map(shifted)
        })
    }
}

/// `part` as it may be told: without what `redaction` matches in it, or across it in any of the texts that it was cut out of.
pub(super) fn part<'a>(part: &str, wholes: impl IntoIterator<Item = &'a Screened>, redaction: &Redaction) -> String {
    let beside = wholes.into_iter().flat_map(|whole| whole.hidden_of(part));
    Redaction::without(part, redaction.matches(part).into_iter().chain(beside).collect()).into_owned()
}

/// `template` as it may be told: without the words that `redaction` matches in it, in what it may stand for, or in those of `records` that
/// it is the template of.
pub(super) fn template<'a>(template: &str, records: impl IntoIterator<Item = &'a Screened>, redaction: &Redaction) -> String {
    let mut hidden = redaction.matches(template);
    if !redaction.is_empty() && template.contains(WILDCARD) {
        for sample in SAMPLES {
            let filled = Screened::new(template.replace(WILDCARD, sample), redaction);
            hidden.extend(filled.hidden_of_template(template, 0, &places(template, sample.len())));
        }
        let mut pattern = None;
        for record in records.into_iter().filter(|record| !record.hidden.is_empty()) {
            let start = parse::parse(record.text.as_bytes()).map_or(0, |parsed| record.text.len() - parsed.content.len());
            let message = record.text[start..].lines().next().unwrap_or_default();
            let values = pattern.get_or_insert_with(|| Pattern::new(template)).wildcards(message.as_bytes());
            hidden.extend(values.iter().flat_map(|values| record.hidden_of_template(template, start, values)));
        }
    }
    Redaction::without(template, hidden).into_owned()
}

impl Screened {
    /// What is hidden of `template`, whose message begins at `start` and has `values` where the template has wildcards, in bytes of the
    /// template. A wildcard tells nothing and is hidden with the words beside it alone.
    fn hidden_of_template(&self, template: &str, start: usize, values: &[Range<usize>]) -> Vec<Range<usize>> {
        let wildcards: Vec<Range<usize>> = places(template, WILDCARD.len());
        if wildcards.len() != values.len() {
            return Vec::new();
        }
        let pieces = pieces(template, &wildcards, values);
        let of = |hidden: &Range<usize>| {
            let overlap = |piece: &Piece| {
                let (from, to) = (piece.message.start + start, piece.message.end + start);
                let (least, most) = (hidden.start.max(from), hidden.end.min(to));
                let within = || piece.template.start + least - from..piece.template.start + most - from;
                (least < most).then(|| (if piece.is_value { piece.template.clone() } else { within() }, piece.is_value))
            };
            let overlaps: Vec<(Range<usize>, bool)> = pieces.iter().filter_map(overlap).collect();
            let tells = |range: &Range<usize>| template[range.clone()].contains(char::is_alphanumeric);
            let has_words = overlaps.iter().any(|(range, is_value)| !is_value && tells(range));
            let (first, last) = (overlaps.first()?, overlaps.last()?);
            has_words.then_some(first.0.start..last.0.end)
        };
        self.hidden.iter().filter_map(of).collect()
    }
}

/// A part of a template and of its message.
struct Piece {
    template: Range<usize>,
    message: Range<usize>,
    /// A wildcard and its value.
    is_value: bool,
}

/// What a template consists of, in its order.
fn pieces(template: &str, wildcards: &[Range<usize>], values: &[Range<usize>]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let (mut at, mut message) = (0, 0);
    for (wildcard, value) in wildcards.iter().zip(values) {
        pieces.push(Piece { template: at..wildcard.start, message: message..value.start, is_value: false });
        pieces.push(Piece { template: wildcard.clone(), message: value.clone(), is_value: true });
        (at, message) = (wildcard.end, value.end);
    }
    pieces.push(Piece { template: at..template.len(), message: message..message + template.len() - at, is_value: false });
    pieces
}

/// Where the wildcards of a template stand once each is replaced by a text of `bytes`.
fn places(template: &str, bytes: usize) -> Vec<Range<usize>> {
    let starts = template.match_indices(WILDCARD).enumerate();
    starts.map(|(index, (at, _))| at + index * bytes - index * WILDCARD.len()).map(|start| start..start + bytes).collect()
}

/// What templates leave out, as patterns may ask for it: numbers, words, addresses, paths.
const SAMPLES: [&str; 12] =
    ["0", "12", "123", "1234", "12345", "1234567890", "-1", "a", "word-1", "10.0.0.1", "/10.0.0.1:50010", "/a/b"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_does_not_tell_what_is_hidden_in_what_it_may_stand_for() {
        check(&[r"uid=\d+\(\w+\)"], "Write refused uid=<*>(alice) on <*>", &[], "Write refused [redacted] on <*>");
        check(&[r"dn-\d{2}\.secret"], "<*> on dn-<*>.secret.org", &[], "<*> on [redacted].org");
        check(&["alice"], "uid=<*>(alice)", &[], "uid=<*>([redacted])");
        check(&[r"\d+", r"/\d\S+", r"src: /"], "Receiving blk_<*> from /<*> of <*>", &[], "Receiving blk_<*> from /<*> of <*>");
        check(&["x"], "<*>", &[], "<*>");
    }

    #[test]
    fn a_template_does_not_tell_what_is_hidden_in_its_record() {
        let record = "081109 203518 35 WARN dfs.DataNode: role é=Admin7x(alice) é wrote /user/bob\n\tat x";
        let template = "role é=<*>(alice) é wrote <*>";
        check(&[r"=Admin\dx\(\w+\)"], template, &[record], "role é[redacted] é wrote <*>");
        check(&[r"Admin\dx\(\w+\) é"], template, &[record], "role é=[redacted] wrote <*>");
        check(&["Admin7x", "/user/.*"], template, &[record], template);
        check(&["wrote /user/b"], template, &[record], "role é=<*>(alice) é [redacted]");
        check(&["wrote /user/b"], template, &["another record, wrote /user/bob", "role é=1(alice) é wrote a"], template);
    }

    #[test]
    fn a_part_does_not_tell_what_is_hidden_across_it() {
        let redaction = Redaction::new(&[r"for /user/\w+".to_owned(), "^x".to_owned()]).unwrap();
        let whole = Screened::new("x for /user/bob/x and /user/bob/x".to_owned(), &redaction);
        for (of, expected) in [("/user/bob/x", "[redacted]/x"), ("/user/eve", "/user/eve"), ("x", "[redacted]"), ("", "")] {
            assert_eq!(part(of, [&whole], &redaction), expected, "{of}");
        }
    }

    fn check(patterns: &[&str], text: &str, records: &[&str], expected: &str) {
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let redaction = Redaction::new(&patterns).unwrap();
        let records: Vec<_> = records.iter().map(|record| Screened::new((*record).to_owned(), &redaction)).collect();
        assert_eq!(template(text, &records, &redaction), expected, "{patterns:?}");
    }
}
