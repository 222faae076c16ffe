//! Reads a record: its header, and what it says.

use crate::pipeline::event::CivilTime;
use crate::pipeline::event::layout::{Header, Level};

/// A record, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// When it was written, by its own clock.
    pub time: CivilTime,
    /// How serious it calls itself.
    pub level: Level,
    /// Who wrote it, such as `dfs.DataNode$DataXceiver`; empty when the line does not say.
    pub logger: &'a [u8],
    /// What it says: the message and the lines that belong to it.
    pub content: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record that `header` was read from, with the lines that joined it since.
    ///
    /// # Panics
    /// When `record` does not begin with the line that `header` was read from.
    #[must_use]
    pub fn new(header: &Header, record: &'a [u8]) -> Self {
        let Header { time, level, logger_start, logger_end, content_start, layout: _ } = *header;
        let logger = &record[logger_start as usize..logger_end as usize];
        Self { time, level, logger, content: &record[content_start as usize..] }
    }
}

/// Reads one record; `None` when its header is of no known layout.
#[must_use]
pub fn parse(record: &[u8]) -> Option<Record<'_>> {
    Header::read(record).map(|header| Record::new(&header, record))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_keeps_the_lines_that_belong_to_it() {
        let text = b"2021-07-15 22:43:01,109 WARN a.b.C: Slow: it took 5ms\n\tat x";
        let record = parse(text).expect("it has a header");
        assert_eq!((record.logger, record.content), (&b"a.b.C"[..], &b"Slow: it took 5ms\n\tat x"[..]));
        assert_eq!(parse(b"\tat x"), None);
    }
}
