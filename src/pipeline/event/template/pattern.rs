//! Template texts of a model's vocabulary, matched against masked messages.
//!
//! A `<*>` that stands alone is one word, as Drain writes it. One that is glued to other text is any run of characters or
//! none, as LogHub writes it (`<*>Received block<*>of size<*>from<*>`).

use std::ops::Range;

use crate::pipeline::event::template::words::WILDCARD;
use crate::pipeline::profile::Profile;

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

    /// Those of a model's vocabulary; entry `i` is of token `FIRST_EVENT + i`.
    #[must_use]
    pub fn of_vocabulary(profile: &Profile) -> Vec<Self> {
        profile.vocabulary.iter().map(|entry| Self::new(&entry.text)).collect()
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
        (fit(&self.parts, message, 0, &mut covered) == Fit::Fits).then_some(covered)
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

/// Whether parts fit a message from somewhere on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    Fits,
    /// Not from here; perhaps from further on.
    Fails,
    /// Neither from here nor from further on.
    Never,
}

/// Fits `parts` to `message[at..]`. Each wildcard tries its shortest cover first; the text after a [`Part::Run`] is found by search.
///
/// When a run has tried all its covers, no run before it need try more: they would only have this one begin further on, with fewer
/// covers to choose from. So the work grows with the length of the message and not with a power of it, whatever the message is.
fn fit(parts: &[Part], message: &[u8], at: usize, covered: &mut Vec<Range<usize>>) -> Fit {
    let Some((part, rest)) = parts.split_first() else {
        return if at == message.len() { Fit::Fits } else { Fit::Fails };
    };
    match part {
        Part::Literal(text) if message[at..].starts_with(text) => fit(rest, message, at + text.len(), covered),
        Part::Literal(_) => Fit::Fails,
        Part::Word => match message[at..].iter().take_while(|byte| **byte != b' ').count() {
            0 => Fit::Fails,
            length => fit_after(rest, message, at..at + length, covered),
        },
        Part::Run => match rest.first() {
            None => fit_after(rest, message, at..message.len(), covered),
            Some(Part::Literal(text)) => {
                let ends = memchr::memmem::find_iter(&message[at..], text).map(|found| at + found);
                fit_run(rest, message, at, ends, covered)
            }
            Some(Part::Word | Part::Run) => fit_run(rest, message, at, at..=message.len(), covered),
        },
    }
}

/// Tries the covers of a run that end at `ends`, until one fits or none can.
fn fit_run(rest: &[Part], message: &[u8], at: usize, ends: impl Iterator<Item = usize>, covered: &mut Vec<Range<usize>>) -> Fit {
    let mut fits = ends.map(|end| fit_after(rest, message, at..end, covered));
    fits.find(|fit| *fit != Fit::Fails).unwrap_or(Fit::Never)
}

fn fit_after(rest: &[Part], message: &[u8], cover: Range<usize>, covered: &mut Vec<Range<usize>>) -> Fit {
    let end = cover.end;
    covered.push(cover);
    let fit = fit(rest, message, end, covered);
    if fit != Fit::Fits {
        covered.pop();
    }
    fit
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
    fn a_message_that_does_not_fit_costs_no_more_than_its_length() {
        let message = "a ".repeat(1000);
        for text in ["<*><*><*><*><*><*>b", "x<*>a<*>a<*>a<*>a<*>a<*>ab", "<*>a<*>a<*>a<*>a<*>a<*>ab", "<*>a <*> <*>a <*>a <*>b"]
        {
            check(text, &message, None);
        }
    }

    #[test]
    fn a_run_before_a_word_goes_on_too() {
        check("<*>x<*> <*> end", "ax b end", Some(&["a", "", "b"]));
        check("a<*> <*> c<*>d", "a1 b x c2d", Some(&["1 b", "x", "2"]));
        check("k<*> <*> z", "k a z b z", Some(&[" a z", "b"]));
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
