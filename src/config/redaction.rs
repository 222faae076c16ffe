//! What must not leave in an alert: patterns whose matches in the text of logs are taken out at the edge.

use std::borrow::Cow;
use std::ops::Range;

use regex::{Error, Regex, RegexBuilder};

use crate::limits::{REDACT_COMPILED_BYTES_MAX, REDACT_PATTERN_BYTES_MAX, REDACT_PATTERNS_MAX};

/// Patterns whose matches are taken out of everything that an alert says in the words of a log. By default none.
#[derive(Clone, Debug, Default)]
pub struct Redaction(Vec<Regex>);

impl PartialEq for Redaction {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().map(Regex::as_str).eq(other.0.iter().map(Regex::as_str))
    }
}

impl Redaction {
    /// Takes out what any of `patterns` matches: regular expressions in the syntax of the crate `regex`, which matches in linear time.
    ///
    /// # Errors
    /// Which pattern cannot be used, and why; or that there are too many.
    pub fn new(patterns: &[String]) -> Result<Self, String> {
        if patterns.len() > REDACT_PATTERNS_MAX {
            return Err(format!("{} are too many", patterns.len()));
        }
        patterns.iter().map(|pattern| compile(pattern)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there is no pattern, so that nothing is taken out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `text` with [`REDACTED`] in place of whatever a pattern matches. All patterns look at the text as it was, and matches that touch
    /// become one, so that neither their order nor their number can make the text grow beyond what one of them could.
    #[must_use]
    pub fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        Self::without(text, self.matches(text))
    }

    /// Where a pattern matches in `text`, in bytes; in no order, and they may overlap.
    #[must_use]
    pub fn matches(&self, text: &str) -> Vec<Range<usize>> {
        let matches = self.0.iter().flat_map(|pattern| pattern.find_iter(text)).map(|found| found.range());
        matches.filter(|range| !range.is_empty()).collect()
    }

    /// `text` with [`REDACTED`] in place of `ranges` of bytes, as [`Redaction::matches`] gives them: what touches becomes one.
    ///
    /// # Panics
    /// If a range ends outside of the text or within a character.
    #[must_use]
    pub fn without(text: &str, mut ranges: Vec<Range<usize>>) -> Cow<'_, str> {
        if ranges.is_empty() {
            return Cow::Borrowed(text);
        }
        ranges.sort_unstable_by_key(|range| (range.start, range.end));
        let mut kept = String::with_capacity(text.len());
        let mut end = None;
        for range in ranges {
            if end.is_none_or(|end| range.start > end) {
                kept.extend([&text[end.unwrap_or(0)..range.start], REDACTED]);
            }
            end = end.max(Some(range.end));
        }
        kept.push_str(&text[end.unwrap_or(0)..]);
        Cow::Owned(kept)
    }
}

/// What stands in place of what was taken out.
pub const REDACTED: &str = "[redacted]";

fn compile(pattern: &str) -> Result<Regex, String> {
    let refused = |why: String| format!("{pattern:?} {why}");
    if pattern.len() > REDACT_PATTERN_BYTES_MAX {
        return Err(format!("one of {} bytes is too long", pattern.len()));
    }
    let mut builder = RegexBuilder::new(pattern);
    builder.size_limit(REDACT_COMPILED_BYTES_MAX).dfa_size_limit(REDACT_COMPILED_BYTES_MAX);
    let regex = builder.build().map_err(|error| refused(reason(&error)))?;
    if regex.is_match("") {
        return Err(refused("matches the empty text".to_owned()));
    }
    Ok(regex)
}

/// Why a pattern is none, on one line: the crate draws an arrow below the pattern.
fn reason(error: &Error) -> String {
    if let Error::CompiledTooBig(_) = error {
        return "takes too much memory once it is compiled".to_owned();
    }
    let text = error.to_string();
    let why = text.lines().rev().find_map(|line| line.strip_prefix("error: ")).unwrap_or("it cannot be read");
    format!("is none: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matches_is_taken_out() {
        check(&[], "/user/alice/x", "/user/alice/x");
        check(&["alice", "bob"], "/user/alice/x of bob", "/user/[redacted]/x of [redacted]");
        check(&["/user/[^/ ]+"], "/user/é1/x /user/b", "[redacted]/x [redacted]");
        check(&[r"\d+"], "no number", "no number");
    }

    #[test]
    fn matches_that_touch_or_overlap_become_one_whatever_the_order_of_the_patterns() {
        for patterns in [["abc", "cde"], ["cde", "abc"]] {
            check(&patterns, "xabcdex", "x[redacted]x");
        }
        check(&["a", "b", "cd", "c"], "abcdab", "[redacted]");
        check(&["abcd", "b"], "abcdb", "[redacted]");
    }

    #[test]
    fn what_was_put_in_is_not_looked_at_again() {
        check(&["e", "d", "a", "c"], "see", "s[redacted]");
        check(&[r"\b", "x"], "a x", "a [redacted]");
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (pattern, why) in [
            ("(", "\"(\" is none: unclosed group"),
            ("a{2,1}", "\"a{2,1}\" is none: invalid repetition count range, the start must be <= the end"),
            ("x*", "\"x*\" matches the empty text"),
            (r"\w{1000}{1000}", "takes too much memory once it is compiled"),
        ] {
            let error = Redaction::new(&[pattern.to_owned()]).expect_err(pattern);
            assert!(error.ends_with(why) && error.lines().count() == 1, "{error}");
        }
    }

    #[test]
    fn patterns_are_bounded_in_number_and_length() {
        for (patterns, taken) in [(REDACT_PATTERNS_MAX - 1, true), (REDACT_PATTERNS_MAX, true), (REDACT_PATTERNS_MAX + 1, false)]
        {
            assert_eq!(Redaction::new(&vec!["a".to_owned(); patterns]).is_ok(), taken, "{patterns} patterns");
        }
        for (bytes, taken) in
            [(REDACT_PATTERN_BYTES_MAX - 1, true), (REDACT_PATTERN_BYTES_MAX, true), (REDACT_PATTERN_BYTES_MAX + 1, false)]
        {
            assert_eq!(Redaction::new(&["a".repeat(bytes)]).is_ok(), taken, "{bytes} bytes");
        }
    }

    fn check(patterns: &[&str], text: &str, expected: &str) {
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        assert_eq!(Redaction::new(&patterns).expect("they are patterns").apply(text), expected, "{patterns:?}");
    }
}
