//! Takes out of texts that were cut out of a record what may not be told of the record: a pattern that needs the words beside a text does
//! not match it alone.

use std::borrow::Cow;
use std::ops::Range;

use crate::config::Redaction;

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
