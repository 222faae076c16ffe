//! Template texts of a model's vocabulary, matched against masked messages.
//!
//! A `<*>` that stands alone is one word, as Drain writes it. One that is glued to other text is any run of characters or
//! none, as LogHub writes it (`<*>Received block<*>of size<*>from<*>`).

use std::ops::Range;

use crate::pipeline::event::template::words::WILDCARD;

/// One template text, ready to be matched.
#[derive(Clone, Debug)]
pub struct Pattern {
    parts: Vec<Part>,
    literal_bytes: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Box<[u8]>),
    Word,
    Run,
}

impl Pattern {
    /// Reads a template text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let text = text.as_bytes();
        let mut parts = Vec::new();
        let mut start = 0;
        for at in memchr::memmem::find_iter(text, WILDCARD) {
            push_literal(&mut parts, &text[start..at]);
            start = at + WILDCARD.len();
            let alone = (at == 0 || text[at - 1] == b' ') && matches!(text.get(start), None | Some(b' '));
            parts.push(if alone { Part::Word } else { Part::Run });
        }
        push_literal(&mut parts, &text[start..]);
        let literal_bytes = parts.iter().map(Part::literal_bytes).sum();
        Self { parts, literal_bytes }
    }

    /// Bytes that must stand in a message as they are: of two patterns that fit, the one with more says more.
    #[must_use]
    pub fn literal_bytes(&self) -> usize {
        self.literal_bytes
    }

    /// The ranges of `message` that its wildcards cover, or `None` when it does not fit.
    #[must_use]
    pub fn wildcards(&self, message: &[u8]) -> Option<Vec<Range<usize>>> {
        let mut covered = Vec::new();
        fit(&self.parts, message, 0, &mut covered).then_some(covered)
    }
}

impl Part {
    fn literal_bytes(&self) -> usize {
        match self {
            Self::Literal(text) => text.len(),
            Self::Word | Self::Run => 0,
        }
    }
}

fn push_literal(parts: &mut Vec<Part>, text: &[u8]) {
    if !text.is_empty() {
        parts.push(Part::Literal(text.into()));
    }
}

/// Fits `parts` to `message[at..]`. Each wildcard tries its shortest cover first; the text after a [`Part::Run`] is found by
/// search, so that the work stays close to the length of the message for the few parts that a template has.
fn fit(parts: &[Part], message: &[u8], at: usize, covered: &mut Vec<Range<usize>>) -> bool {
    let Some((part, rest)) = parts.split_first() else {
        return at == message.len();
    };
    match part {
        Part::Literal(text) => message[at..].starts_with(text) && fit(rest, message, at + text.len(), covered),
        Part::Word => {
            let length = message[at..].iter().take_while(|byte| **byte != b' ').count();
            length > 0 && fit_after(rest, message, at..at + length, covered)
        }
        Part::Run => match rest.first() {
            None => fit_after(rest, message, at..message.len(), covered),
            Some(Part::Literal(text)) => {
                memchr::memmem::find_iter(&message[at..], text).any(|found| fit_after(rest, message, at..at + found, covered))
            }
            Some(Part::Word | Part::Run) => (at..=message.len()).any(|end| fit_after(rest, message, at..end, covered)),
        },
    }
}

fn fit_after(rest: &[Part], message: &[u8], cover: Range<usize>, covered: &mut Vec<Range<usize>>) -> bool {
    let end = cover.end;
    covered.push(cover);
    let fits = fit(rest, message, end, covered);
    if !fits {
        covered.pop();
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_alone_is_one_word() {
        check("Deleted <*> <*> now", "Deleted a b now", Some(&["a", "b"]));
        check("Deleted <*> now", "Deleted a b now", None);
        check("Deleted <*>", "Deleted ", None);
    }

    #[test]
    fn a_glued_wildcard_is_any_run() {
        check("<*>Served block<*>to<*>", "10.2:5 Served block <*> to <*>", Some(&["10.2:5 ", " <*> ", " <*>"]));
        check("<*>Receiving block<*>src:<*>", "Receiving block <*> src: <*>", Some(&["", " <*> ", " <*>"]));
        check("BLOCK* NameSystem<*>delete:<*>is added", "BLOCK* NameSystem.delete: b is added", Some(&[".", " b "]));
        check("<*>Served block<*>to<*>", "Serving block <*> to <*>", None);
    }

    #[test]
    fn a_run_goes_on_when_its_first_end_does_not_fit() {
        check("a<*>b<*>c", "a b x b c", Some(&[" ", " x b "]));
        check("x<*>ab", "x ab ab", Some(&[" ab "]));
    }

    #[test]
    fn text_without_wildcards_is_itself() {
        check("stop", "stop", Some(&[]));
        check("stop", "stops", None);
    }

    fn check(pattern: &str, message: &str, expected: Option<&[&str]>) {
        let found = Pattern::new(pattern).wildcards(message.as_bytes());
        let found: Option<Vec<&str>> = found.map(|ranges| ranges.into_iter().map(|range| &message[range]).collect());
        assert_eq!(found.as_deref(), expected, "{pattern} on {message}");
    }
}
