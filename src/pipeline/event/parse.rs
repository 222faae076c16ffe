//! Reads the header of a record and finds the blocks that it names. Hand-written scanners: every line of every log passes here.

use memchr::{memchr_iter, memmem, memrchr_iter};
use serde::{Deserialize, Serialize};

use crate::pipeline::event::LogTime;

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

/// Whether a logger belongs to a NameNode: `dfs.FSNamesystem`, `BlockStateChange`, `…hdfs.StateChange`, `org.apache.hadoop.hdfs.server.namenode.…`.
#[must_use]
pub fn is_namenode_logger(logger: &[u8]) -> bool {
    let parts: [&[u8]; 6] =
        [b"FSNamesystem", b"StateChange", b"BlockManager", b".namenode.", b".blockmanagement.", b"dfs.NameNode"];
    parts.iter().any(|part| memmem::find(logger, part).is_some())
}

/// A block as a record names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedBlock<'a> {
    /// `BP-…`, when the record names a pool before the block.
    pub pool: Option<&'a [u8]>,
    /// The number; negative ones occur.
    pub number: i64,
}

/// The blocks that `content` names, in order, repeats included.
pub fn blocks(content: &[u8]) -> impl Iterator<Item = NamedBlock<'_>> {
    let mut pool = None;
    let mut pool_scanned = 0;
    prefixes(content).filter_map(move |at| {
        let (number, _) = block_number(&content[at..])?;
        if let Some(found) = last_pool(&content[pool_scanned..at]) {
            pool = Some(pool_at(&content[pool_scanned + found..at]));
        }
        pool_scanned = at;
        Some(NamedBlock { pool, number })
    })
}

/// Whether `content` has the look of a block anywhere: the cheap test before [`blocks`].
#[must_use]
pub fn names_block(content: &[u8]) -> bool {
    prefixes(content).next().is_some()
}

/// Reads `blk_N` with an optional `_GS` at the start of `text`; the number and the bytes it took. `None` when it is no block id.
#[must_use]
pub fn block_number(text: &[u8]) -> Option<(i64, usize)> {
    let digits = text.strip_prefix(PREFIX)?;
    let negative = digits.first() == Some(&b'-');
    let digits = &digits[usize::from(negative)..];
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=19).contains(&length) {
        return None;
    }
    // 19 digits fit: 10^19 < 2^64.
    let value = digits[..length].iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    let number = if negative { 0_i64.checked_sub_unsigned(value)? } else { i64::try_from(value).ok()? };
    let stamp = generation_stamp_length(&digits[length..]);
    Some((number, PREFIX.len() + usize::from(negative) + length + stamp))
}

fn generation_stamp_length(text: &[u8]) -> usize {
    let Some(digits) = text.strip_prefix(b"_") else { return 0 };
    match digits.iter().take_while(|byte| byte.is_ascii_digit()).count() {
        0 => 0,
        length => length + 1,
    }
}

/// Where [`PREFIX`] stands. Looks for its rarest byte: making a searcher for the whole of it takes longer than a line is long.
fn prefixes(content: &[u8]) -> impl Iterator<Item = usize> {
    memchr_iter(b'_', content).filter(|end| content[..=*end].ends_with(PREFIX)).map(|end| end + 1 - PREFIX.len())
}

/// Where the last `BP-` stands, found in the same way.
fn last_pool(text: &[u8]) -> Option<usize> {
    memrchr_iter(b'-', text).find(|end| text[..*end].ends_with(b"BP")).map(|end| end - 2)
}

fn pool_at(text: &[u8]) -> &[u8] {
    let length = text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')).count();
    &text[..length]
}

fn header(line: &[u8]) -> Option<(LogTime, Level, &[u8])> {
    match line.get(4)? {
        b'-' => header_iso(line),
        _ => header_2008(line),
    }
}

/// `081109 203518 143 INFO logger: message`
fn header_2008(line: &[u8]) -> Option<(LogTime, Level, &[u8])> {
    if line.len() < 16 || line[6] != b' ' || line[13] != b' ' {
        return None;
    }
    let date = [2000 + number(&line[0..2])?, number(&line[2..4])?, number(&line[4..6])?];
    let clock = [number(&line[7..9])?, number(&line[9..11])?, number(&line[11..13])?];
    let time = log_time(date, clock, 0)?;
    let rest = &line[14..];
    let thread = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if thread == 0 || rest.get(thread) != Some(&b' ') {
        return None;
    }
    let (level, rest) = level(&rest[thread + 1..])?;
    Some((time, level, rest))
}

/// `2021-07-15 22:43:01,109 INFO logger: message`
fn header_iso(line: &[u8]) -> Option<(LogTime, Level, &[u8])> {
    if line.len() < 25 || line[7] != b'-' || line[10] != b' ' || line[13] != b':' || line[16] != b':' {
        return None;
    }
    if !matches!(line[19], b',' | b'.') || line[23] != b' ' {
        return None;
    }
    let date = [number(&line[0..4])?, number(&line[5..7])?, number(&line[8..10])?];
    let clock = [number(&line[11..13])?, number(&line[14..16])?, number(&line[17..19])?];
    let time = log_time(date, clock, number(&line[20..23])?)?;
    let (level, rest) = level(&line[24..])?;
    Some((time, level, rest))
}

fn level(text: &[u8]) -> Option<(Level, &[u8])> {
    let end = memchr::memchr(b' ', text)?;
    let level = match &text[..end] {
        b"INFO" => Level::Info,
        b"WARN" => Level::Warn,
        b"ERROR" => Level::Error,
        b"DEBUG" => Level::Debug,
        b"FATAL" => Level::Fatal,
        b"TRACE" => Level::Trace,
        _ => return None,
    };
    let spaces = text[end..].iter().take_while(|byte| **byte == b' ').count();
    Some((level, &text[end + spaces..]))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
}

fn log_time([year, month, day]: [i64; 3], [hour, minute, second]: [i64; 3], millis: i64) -> Option<LogTime> {
    let possible = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    possible.then_some(LogTime(seconds * 1000 + millis))
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar, for years >= 0: the year is taken to begin in March, so that
/// the leap day comes last (Hinnant 2013, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`).
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

const PREFIX: &[u8] = b"blk_";

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

    #[test]
    fn days_agree_with_a_calendar() {
        for (date, days) in [([1970, 1, 1], 0), ([2000, 2, 29], 11_016), ([2000, 3, 1], 11_017), ([2026, 11, 23], 20_780)] {
            assert_eq!(days_since_epoch(date[0], date[1], date[2]), days, "{date:?}");
        }
    }

    #[test]
    fn loggers_of_namenodes() {
        let namenode = [
            "dfs.FSNamesystem",
            "BlockStateChange",
            "org.apache.hadoop.hdfs.StateChange",
            "org.apache.hadoop.hdfs.server.namenode.FSEditLog",
        ];
        let found = namenode.map(|logger| is_namenode_logger(logger.as_bytes()));
        assert_eq!(found, [true, true, true, true]);
        for logger in ["dfs.DataNode$DataXceiver", "org.apache.hadoop.hdfs.server.datanode.DataNode", "dfs.FSDataset"] {
            assert!(!is_namenode_logger(logger.as_bytes()), "{logger}");
        }
    }

    #[test]
    fn blocks_with_and_without_pools() {
        check_blocks("Receiving BP-76-127.0.0.1-17:blk_1073_1041 src: /1.2.3.4:5", &[(Some("BP-76-127.0.0.1-17"), 1073)]);
        check_blocks("Deleted BP-1 blk_9_1 URI file:/d/BP-1/current/blk_9", &[(Some("BP-1"), 9), (Some("BP-1"), 9)]);
        check_blocks("BLOCK* ask 1.2.3.4:5 to delete  blk_-1 blk_2_7, blk_3", &[(None, -1), (None, 2), (None, 3)]);
        check_blocks("BP-a:blk_1 to BP-b:blk_1", &[(Some("BP-a"), 1), (Some("BP-b"), 1)]);
    }

    #[test]
    fn the_bounds_of_a_block_number() {
        check_blocks("blk_9223372036854775807 blk_-9223372036854775808", &[(None, i64::MAX), (None, i64::MIN)]);
        check_blocks("blk_9223372036854775808 blk_99999999999999999999 blk_ blk_- blk_x", &[]);
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

    fn check_blocks(content: &str, expected: &[(Option<&str>, i64)]) {
        let found: Vec<_> = blocks(content.as_bytes())
            .map(|block| (block.pool.map(|pool| std::str::from_utf8(pool).expect("test input is text")), block.number))
            .collect();
        assert_eq!(found, expected, "{content}");
    }
}
