//! Takes lines apart: the headers of HDFS, or any header in LogHub's notation.

use anyhow::{Context, bail};
use regex::bytes::{Captures, Regex};

use crate::pipeline::event::{CivilTime, parse};

/// What stands before a message.
pub enum Header {
    /// One of the layouts that HDFS writes.
    Hdfs,
    /// One that the user has described.
    Described {
        /// All of the line, with a group a field.
        line: Regex,
        /// The groups that tell the time, in the order of the line.
        time: Vec<usize>,
        /// The group of the message.
        content: usize,
    },
}

/// The first line of a message, taken apart.
#[derive(Debug, PartialEq)]
pub struct Head<'a> {
    /// When it was written.
    pub time: Time<'a>,
    /// What it says.
    pub content: &'a [u8],
}

/// When something was written, as far as its header tells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Time<'a> {
    /// The header does not tell.
    #[default]
    Untold,
    /// By the clock of HDFS's log.
    Log(CivilTime),
    /// The fields that tell it, from the first to the last.
    Text(&'a [u8]),
}

impl Header {
    /// Reads LogHub's notation: fields such as `<Date>`, and between them a regular expression in which a space is any white space.
    ///
    /// # Errors
    /// When there is no `<Content>`, or it is no regular expression.
    pub fn parse(format: &str) -> anyhow::Result<Self> {
        let line = Regex::new(&pattern(format)).with_context(|| format!("read --header-format {format}"))?;
        let named = |wanted: &dyn Fn(&str) -> bool| {
            let names = line.capture_names().enumerate();
            names.filter(|(_, name)| name.is_some_and(wanted)).map(|(index, _)| index).collect::<Vec<usize>>()
        };
        let Some(content) = named(&|name| name == "Content").first().copied() else {
            bail!("--header-format {format} has no <Content>; it is the field that holds the message");
        };
        let time = named(&|name| TIME_FIELDS.contains(&name.to_ascii_lowercase().as_str()));
        Ok(Self::Described { line, time, content })
    }

    /// Takes a line apart; `None` when it has no such header.
    pub fn split<'a>(&self, line: &'a [u8]) -> Option<Head<'a>> {
        match self {
            Self::Hdfs => {
                let record = parse::parse(line)?;
                Some(Head { time: Time::Log(record.time), content: record.content })
            }
            Self::Described { line: header, time, content } => {
                let line = line.trim_ascii();
                let fields = header.captures(line)?;
                let content = fields.get(*content)?.as_bytes();
                Some(Head { time: time_text(&fields, time, line), content })
            }
        }
    }
}

/// From the start of the first field that tells the time to the end of the last one in a row.
fn time_text<'a>(fields: &Captures<'_>, time: &[usize], line: &'a [u8]) -> Time<'a> {
    let spans = time.iter().filter_map(|index| fields.get(*index)).map(|field| field.range());
    let span = spans.reduce(|all, field| if field.start <= all.end + GAP_BYTES_MAX { all.start..field.end } else { all });
    span.map_or(Time::Untold, |span| Time::Text(&line[span]))
}

/// The notation as a regular expression. Fields take as little as they can, so that the first one that is followed by what must follow
/// it wins, as in the reference (logparser, `generate_logformat_regex`).
fn pattern(format: &str) -> String {
    let (mut pattern, mut rest) = ("(?-u)^".to_owned(), format);
    while let Some((before, name, after)) = next_field(rest) {
        pattern += &between(before);
        pattern += &format!("(?P<{name}>.*?)");
        rest = after;
    }
    pattern + &between(rest) + "$"
}

/// What stands before the first field, its name, and what follows.
fn next_field(text: &str) -> Option<(&str, &str, &str)> {
    let end = text.find('>')?;
    let start = text[..end].rfind('<')?;
    let name = &text[start + 1..end];
    Some((&text[..start], name, &text[end + 1..]))
}

/// Spaces are any white space.
fn between(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let (first, more) = words.split_first().expect("a split gives at least one part");
    let mut pattern = (*first).to_owned();
    let mut spaced = false;
    for word in more {
        pattern += if spaced { "" } else { r"\s+" };
        pattern += word;
        spaced = word.is_empty();
    }
    pattern
}

/// Names that LogHub gives to the fields of a time, in small letters.
const TIME_FIELDS: [&str; 7] = ["timestamp", "year", "month", "date", "day", "time", "datetime"];

/// Fields of a time stand beside each other.
const GAP_BYTES_MAX: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_of_loghub() {
        check(
            r"<Date> <Time> <Level> \[<Process>\] <Component>: <Content>",
            "2015-10-18 18:01:47,978 INFO [main] org.A: Created: it",
            Some(("2015-10-18 18:01:47,978", "Created: it")),
        );
        check(
            r"<Month> <Date> <Time> <Level> <Component>(\[<PID>\])?: <Content>",
            "Jun 14 15:16:01 combo sshd(pam_unix)[19939]: check pass; user unknown ",
            Some(("Jun 14 15:16:01", "check pass; user unknown")),
        );
        check(
            r"<Month> <Date> <Time> <Level> <Component>(\[<PID>\])?: <Content>",
            "Jun  9 06:06:20 combo syslogd 1.4.1: restart.",
            Some(("Jun  9 06:06:20", "restart.")),
        );
        check(r"\[<Time>\] \[<Level>\] <Content>", "[Sun Dec 04] [notice] ok", Some(("Sun Dec 04", "ok")));
        check("<Label> <Timestamp> <Date> <Node> <Time> <Content>", "- 11 2005 R02 2005-06 a b", Some(("11 2005", "a b")));
        check("<Date> - <Level>  <Content>", "x - INFO  a", Some(("x", "a")));
        check("<Date> <Content>", "x", None);
    }

    #[test]
    fn content_alone_is_all_of_the_line() {
        check("<Content>", " a: b ", Some(("", "a: b")));
        check("<Content>", "", Some(("", "")));
        let header = Header::parse("<Content>").expect("it is a format");
        assert_eq!(header.split(b"\xff\xfe").map(|head| head.content), Some(&b"\xff\xfe"[..]));
    }

    #[test]
    fn what_is_no_format() {
        for (format, expected) in [
            ("<Date> <Message>", "has no <Content>"),
            ("(<Content>", "read --header-format (<Content>"),
            ("<Content> <Content>", "read --header-format"),
            ("<a b> <Content>", "read --header-format"),
        ] {
            let error = Header::parse(format).err().expect(format).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    fn check(format: &str, line: &str, expected: Option<(&str, &str)>) {
        let header = Header::parse(format).expect(format);
        let found = header.split(line.as_bytes()).map(|head| {
            let time = if let Time::Text(time) = head.time { time } else { b"" };
            (String::from_utf8_lossy(time).into_owned(), String::from_utf8_lossy(head.content).into_owned())
        });
        assert_eq!(found, expected.map(|(time, content)| (time.to_owned(), content.to_owned())), "{format}");
    }
}
