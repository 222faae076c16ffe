//! Reads a record: its header, and what it says. Hand-written scanners: every line of every log passes here.

use memchr::memchr_iter;
use serde::{Deserialize, Serialize};

use crate::pipeline::event::LogTime;
use crate::pipeline::event::layout::header;

/// How serious a record calls itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "log4j's own names")]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

/// A record, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// When it was written, by its own clock.
    pub time: LogTime,
    /// How serious it calls itself.
    pub level: Level,
    /// Who wrote it, such as `dfs.DataNode$DataXceiver`.
    pub logger: &'a [u8],
    /// What it says: the message and the lines that belong to it.
    pub content: &'a [u8],
}

/// Whether `line` begins a record: it opens with the time and the level of a known layout.
#[must_use]
pub fn begins_record(line: &[u8]) -> bool {
    header(line).is_some()
}

/// Reads one record; `None` when its header is of no known layout.
#[must_use]
pub fn parse(record: &[u8]) -> Option<Record<'_>> {
    let (time, level, rest) = header(record)?;
    let first_line = memchr::memchr(b'\n', rest).map_or(rest, |end| &rest[..end]);
    let (logger, content) = match memchr_iter(b':', first_line).find(|at| first_line.get(at + 1) == Some(&b' ')) {
        Some(at) => (&rest[..at], &rest[at + 2..]),
        None => (first_line.strip_suffix(b":").unwrap_or(first_line), &rest[first_line.len()..]),
    };
    Some(Record { time, level, logger, content })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_of_2008() {
        check(
            "081109 203518 143 INFO dfs.DataNode$DataXceiver: Receiving block blk_-1608 src: /10.2:5",
            Some((1_226_262_918_000, Level::Info, "dfs.DataNode$DataXceiver", "Receiving block blk_-1608 src: /10.2:5")),
        );
    }

    #[test]
    fn the_layout_of_hadoop_2_and_3() {
        check(
            "2021-07-15 22:43:01,109 WARN  org.apache.hadoop.hdfs.DataNode: Slow: it took 5ms\n\tat x",
            Some((1_626_388_981_109, Level::Warn, "org.apache.hadoop.hdfs.DataNode", "Slow: it took 5ms\n\tat x")),
        );
        check("2021-07-15 22:43:01,109 INFO a.b.C: ", Some((1_626_388_981_109, Level::Info, "a.b.C", "")));
        check("2021-07-15 22:43:01,109 INFO a.b.C:\nbox", Some((1_626_388_981_109, Level::Info, "a.b.C", "\nbox")));
    }

    #[test]
    fn what_is_no_header() {
        for line in [
            "",
            "\tat org.apache.hadoop.Foo(Foo.java:12)",
            "Caused by: java.io.IOException: 2021-07-15 22:43:01,109 INFO",
            "081109 203518 143 NOTICE dfs.DataNode: level unknown",
            "081109 253518 143 INFO dfs.DataNode: hour 25",
            "081309 203518 143 INFO dfs.DataNode: month 13",
            "2021-07-15 22:43:01,109",
            "2021-07-15T22:43:01,109 INFO a: b",
            "STARTUP_MSG:   host = a/1.2.3.4",
        ] {
            check(line, None);
        }
    }

    fn check(line: &str, expected: Option<(i64, Level, &str, &str)>) {
        let found = parse(line.as_bytes());
        let expected = expected.map(|(millis, level, logger, content)| Record {
            time: LogTime(millis),
            level,
            logger: logger.as_bytes(),
            content: content.as_bytes(),
        });
        assert_eq!(found, expected, "{line}");
        assert_eq!(begins_record(line.as_bytes()), expected.is_some(), "{line}");
    }
}
