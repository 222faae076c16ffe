//! Reads the headers that log4j writes, in each of the layouts that Hadoop comes with.
//!
//! Every line tells its layout by itself: the separators of the date tell the date, and what follows the logger tells the rest. So
//! a file needs no first lines to be recognised, and one whose layout changes midway, as by an upgrade, needs nothing at all.

use serde::{Deserialize, Serialize};

use crate::pipeline::event::CivilTime;

/// How the lines of a log are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// `081109 203518 143 INFO dfs.DataNode: …`: Hadoop before 2010, as HDFS_v1 was recorded.
    Of2008,
    /// `2021-07-15 22:43:01,109 INFO org.apache.hadoop.hdfs.server.datanode.DataNode: …`: the log files of Hadoop 2 and 3, also
    /// Cloudera's, with or without a thread in brackets before the logger.
    File,
    /// `21/07/15 22:43:01 INFO datanode.DataNode: …`: the console, hence `.out` files and container logs.
    Console,
    /// `2025-06-01 19:30:54 INFO  DataNode:759 - …`: the Apache container image.
    Container,
    /// `2021-07-15 22:43:01,109 INFO  datanode.DataNode (BlockReceiver.java:run(1506)) - …`: log files that tell the place in the source.
    Source,
}

impl Layout {
    /// The name in JSON and on the terminal.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Of2008 => "of2008",
            Self::File => "file",
            Self::Console => "console",
            Self::Container => "container",
            Self::Source => "source",
        }
    }
}

/// How serious a record calls itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "log4j's own names")]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl Level {
    /// All of them, the least serious first.
    pub const ALL: [Self; 6] = [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Fatal];

    /// The name in logs, JSON and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}

/// The header of a record, and where its parts stand in the line. Offsets count bytes from the beginning of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The layout that it is of.
    pub layout: Layout,
    /// When it was written, by its own clock.
    pub time: CivilTime,
    /// How serious it calls itself.
    pub level: Level,
    /// Where the logger begins.
    pub logger_start: u32,
    /// Where it ends; there too when the line names none.
    pub logger_end: u32,
    /// Where the message begins.
    pub content_start: u32,
}

impl Header {
    /// Reads the header of `line`; `None` when it opens with no known layout.
    #[must_use]
    #[inline]
    pub fn read(line: &[u8]) -> Option<Self> {
        let (shape, time, level_start) = match (line.get(2)?, line.get(4)?) {
            (_, b'-') => iso_date(line),
            (b'/', _) => slashed_date(line),
            _ => bare_date(line),
        }?;
        let (level, after_level) = level(&line[level_start..])?;
        let rest = level_start + after_level;
        let (separator, logger_start, logger_end, content_start) = logger(line, rest);
        let layout = match (shape, separator) {
            (Shape::Bare, _) => Layout::Of2008,
            (Shape::Slashed, _) => Layout::Console,
            (Shape::Iso, Separator::Source) => Layout::Source,
            (Shape::Iso, Separator::Line) => Layout::Container,
            (Shape::Iso, Separator::Colon | Separator::None) => Layout::File,
        };
        Some(Self { layout, time, level, logger_start, logger_end, content_start })
    }
}

/// How a date is written.
#[derive(Clone, Copy)]
enum Shape {
    Bare,
    Iso,
    Slashed,
}

/// What stands between the logger and the message.
#[derive(Clone, Copy)]
enum Separator {
    /// `logger: `
    Colon,
    /// `logger:759 - `
    Line,
    /// `logger (File.java:method(12)) - `
    Source,
    /// No logger.
    None,
}

/// `081109 203518 143 `, with the number of the thread.
fn bare_date(line: &[u8]) -> Option<(Shape, CivilTime, usize)> {
    let head: &[u8; 14] = line.first_chunk()?;
    if head[6] != b' ' || head[13] != b' ' {
        return None;
    }
    let date = [2000 + two(head, 0)?, two(head, 2)?, two(head, 4)?];
    let clock = [two(head, 7)?, two(head, 9)?, two(head, 11)?];
    let thread = digits(&line[14..]);
    if thread == 0 || line.get(14 + thread) != Some(&b' ') {
        return None;
    }
    Some((Shape::Bare, civil_time(date, clock, 0)?, 15 + thread))
}

/// `2021-07-15 22:43:01,109 `, with a comma, a dot, or no milliseconds.
fn iso_date(line: &[u8]) -> Option<(Shape, CivilTime, usize)> {
    let head: &[u8; 20] = line.first_chunk()?;
    if head[7] != b'-' || head[10] != b' ' || head[13] != b':' || head[16] != b':' {
        return None;
    }
    let date = [two(head, 0)? * 100 + two(head, 2)?, two(head, 5)?, two(head, 8)?];
    let clock = [two(head, 11)?, two(head, 14)?, two(head, 17)?];
    match head[19] {
        b' ' => Some((Shape::Iso, civil_time(date, clock, 0)?, 20)),
        b',' | b'.' if line.get(23) == Some(&b' ') => {
            let millis = digit(line[20])? * 100 + two(line, 21)?;
            Some((Shape::Iso, civil_time(date, clock, millis)?, 24))
        }
        _ => None,
    }
}

/// `21/07/15 22:43:01 `
fn slashed_date(line: &[u8]) -> Option<(Shape, CivilTime, usize)> {
    let head: &[u8; 18] = line.first_chunk()?;
    if [head[2], head[5], head[8], head[11], head[14], head[17]] != *b"// :: " {
        return None;
    }
    let date = [2000 + two(head, 0)?, two(head, 3)?, two(head, 6)?];
    let clock = [two(head, 9)?, two(head, 12)?, two(head, 15)?];
    Some((Shape::Slashed, civil_time(date, clock, 0)?, 18))
}

/// The level that `text` begins with, and where what follows its spaces begins.
fn level(text: &[u8]) -> Option<(Level, usize)> {
    let (level, length) = match text.first_chunk()? {
        b"INFO" => (Level::Info, 4),
        b"WARN" => (Level::Warn, 4),
        b"ERRO" if text.get(4) == Some(&b'R') => (Level::Error, 5),
        b"DEBU" if text.get(4) == Some(&b'G') => (Level::Debug, 5),
        b"FATA" if text.get(4) == Some(&b'L') => (Level::Fatal, 5),
        b"TRAC" if text.get(4) == Some(&b'E') => (Level::Trace, 5),
        _ => return None,
    };
    let spaces = text[length..].iter().take_while(|byte| **byte == b' ').count();
    (spaces > 0).then_some((level, length + spaces))
}

/// The separator, the borders of the logger, and the beginning of the message in `line`, where `rest` is what follows the level.
///
/// A thread in brackets may stand before the logger, whatever it is called: `[IPC Server handler 3 on 8020]`.
fn logger(line: &[u8], rest: usize) -> (Separator, u32, u32, u32) {
    let start = rest + thread_length(&line[rest..]);
    let name = line[start..].iter().take_while(|byte| is_logger_byte(**byte)).count();
    let end = start + name;
    let (separator, gap) = if name == 0 { (Separator::None, 0) } else { separator(&line[end..]) };
    match separator {
        Separator::None => (separator, rest as u32, rest as u32, rest as u32),
        Separator::Colon | Separator::Line | Separator::Source => (separator, start as u32, end as u32, (end + gap) as u32),
    }
}

/// Bytes of `[thread] `, 0 when there is none.
fn thread_length(text: &[u8]) -> usize {
    if text.first() != Some(&b'[') {
        return 0;
    }
    let line = memchr::memchr(b'\n', text).map_or(text, |end| &text[..end]);
    let close = memchr::memchr_iter(b']', line).find(|at| line.get(at + 1) == Some(&b' '));
    close.map_or(0, |at| at + 2 + text[at + 2..].iter().take_while(|byte| **byte == b' ').count())
}

/// What `text`, which follows a logger, begins with, and its length. A message may be empty, and its space cut off.
fn separator(text: &[u8]) -> (Separator, usize) {
    match text {
        [b':', b' ', ..] => (Separator::Colon, 2),
        [b':'] | [b':', b'\n' | b'\r', ..] => (Separator::Colon, 1),
        [b':', rest @ ..] => {
            let line = digits(rest);
            if line > 0 && rest[line..].starts_with(DASH) { (Separator::Line, 1 + line + DASH.len()) } else { NO_SEPARATOR }
        }
        [b' ', b'(', rest @ ..] => {
            let place = rest.iter().take(PLACE_BYTES_MAX).take_while(|byte| **byte != b' ' && **byte != b'\n').count();
            let is_place = rest[..place].ends_with(b"))") && rest[place..].starts_with(DASH);
            if is_place { (Separator::Source, 2 + place + DASH.len()) } else { NO_SEPARATOR }
        }
        _ => NO_SEPARATOR,
    }
}

/// What log4j's categories are called: names of classes and packages, `SecurityLogger.org…`, `http.requests.namenode`.
fn is_logger_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'$' | b'_' | b'-' | b'/')
}

/// The number that two digits at `at` stand for.
#[inline]
fn two(text: &[u8], at: usize) -> Option<i64> {
    Some(digit(text[at])? * 10 + digit(text[at + 1])?)
}

#[inline]
fn digit(byte: u8) -> Option<i64> {
    byte.is_ascii_digit().then(|| i64::from(byte - b'0'))
}

/// How many digits `text` begins with.
fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// `None` for what no clock shows. A leap second counts as the one after it.
fn civil_time([year, month, day]: [i64; 3], [hour, minute, second]: [i64; 3], millis: i64) -> Option<CivilTime> {
    let days = days_of_month(year, month)?;
    let possible = (1..=days).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    possible.then_some(CivilTime(seconds * 1000 + millis))
}

fn days_of_month(year: i64, month: i64) -> Option<i64> {
    let leaps = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => Some(if leaps { 29 } else { 28 }),
        4 | 6 | 9 | 11 => Some(30),
        1..=12 => Some(31),
        _ => None,
    }
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

/// Ends the header of the layouts that tell the place in the source.
const DASH: &[u8] = b" - ";
const NO_SEPARATOR: (Separator, usize) = (Separator::None, 0);
/// Bytes of `File.java:method(line))`. The longest names of Hadoop's classes have about 60, of its methods about 50.
const PLACE_BYTES_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_of_2008() {
        check(
            "081109 203518 143 INFO dfs.DataNode$DataXceiver: Receiving block blk_-1608 src: /10.2:5",
            Layout::Of2008,
            (1_226_262_918_000, Level::Info, "dfs.DataNode$DataXceiver", "Receiving block blk_-1608 src: /10.2:5"),
        );
    }

    #[test]
    fn log_files_of_hadoop_2_and_3() {
        let time = 1_626_388_981_109;
        for stamp in ["2021-07-15 22:43:01,109", "2021-07-15 22:43:01.109"] {
            check(&format!("{stamp} WARN  a.b.C: Slow: 5ms"), Layout::File, (time, Level::Warn, "a.b.C", "Slow: 5ms"));
            check(&format!("{stamp} INFO a.b.C: "), Layout::File, (time, Level::Info, "a.b.C", ""));
            check(&format!("{stamp} INFO a.b.C:"), Layout::File, (time, Level::Info, "a.b.C", ""));
            check(&format!("{stamp} FATAL a.b.C:\nbox"), Layout::File, (time, Level::Fatal, "a.b.C", "\nbox"));
        }
    }

    #[test]
    fn a_thread_may_stand_before_the_logger() {
        check(
            "2015-10-18 18:01:47,978 INFO [IPC Server handler 3 on 8020] org.apache.A: Created",
            Layout::File,
            (1_445_191_307_978, Level::Info, "org.apache.A", "Created"),
        );
        let odd = "2015-10-18 18:01:47,978 INFO [x[1]] org.apache.A: Created";
        check(odd, Layout::File, (1_445_191_307_978, Level::Info, "org.apache.A", "Created"));
    }

    #[test]
    fn the_console() {
        check(
            "21/07/15 22:43:01 ERROR datanode.DataNode: Initialization failed",
            Layout::Console,
            (1_626_388_981_000, Level::Error, "datanode.DataNode", "Initialization failed"),
        );
    }

    #[test]
    fn the_apache_container_image() {
        check(
            "2025-06-01 19:30:54 INFO  DataNode:759 - Receiving BP-1:blk_1_2 src: /1.2.3.4:5",
            Layout::Container,
            (1_748_806_254_000, Level::Info, "DataNode", "Receiving BP-1:blk_1_2 src: /1.2.3.4:5"),
        );
    }

    #[test]
    fn places_in_the_source() {
        check(
            "2021-07-15 22:43:01,109 INFO  datanode.DataNode (BlockReceiver.java:run(1506)) - PacketResponder: x",
            Layout::Source,
            (1_626_388_981_109, Level::Info, "datanode.DataNode", "PacketResponder: x"),
        );
        let method = "2021-07-15 22:43:01,109 INFO  a.B (B.java:<init>(15)) - up";
        check(method, Layout::Source, (1_626_388_981_109, Level::Info, "a.B", "up"));
    }

    #[test]
    fn a_header_without_a_logger_keeps_its_message() {
        for message in ["no logger here blk_1", "a.B (not a place) - up", "10.0.0.1:50010:Got blk_1", "[open a.b: c", ": x"] {
            check(
                &format!("2021-07-15 22:43:01,109 INFO {message}"),
                Layout::File,
                (1_626_388_981_109, Level::Info, "", message),
            );
        }
    }

    #[test]
    fn what_is_no_header() {
        for line in [
            "",
            "\tat org.apache.hadoop.Foo(Foo.java:12)",
            "Caused by: java.io.IOException: 2021-07-15 22:43:01,109 INFO",
            "081109 203518 143 NOTICE dfs.DataNode: level unknown",
            "081109 203518 143 INFORM dfs.DataNode: level unknown",
            "081109 203518 INFO dfs.DataNode: no thread",
            "081109 253518 143 INFO dfs.DataNode: hour 25",
            "081309 203518 143 INFO dfs.DataNode: month 13",
            "081100 203518 143 INFO dfs.DataNode: day 0",
            "2021-02-29 22:43:01,109 INFO a: no leap year",
            "21/04/31 22:43:01 INFO a: day 31 of April",
            "2021-07-15 22:43:01,109",
            "2021-07-15 22:43:01,109 INFO",
            "2021-07-15 22:43:01,10 INFO a: b",
            "2021-07-15T22:43:01,109 INFO a: b",
            "2015-07-29 17:41:44,747 - INFO  [QuorumPeer@774] - Notification time out: 3200",
            "STARTUP_MSG:   host = a/1.2.3.4",
        ] {
            assert_eq!(Header::read(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn no_prefix_of_a_header_panics() {
        for line in [
            "081109 203518 143 INFO a.b: c",
            "2021-07-15 22:43:01,109 INFO  a.B (B.java:run(1)) - c",
            "21/07/15 22:43:01 ERROR [a b] a.b:12 - c",
        ] {
            for end in 0..line.len() {
                let _ = Header::read(&line.as_bytes()[..end]);
            }
        }
    }

    #[test]
    fn days_agree_with_a_calendar() {
        for (date, days) in [([1970, 1, 1], 0), ([2000, 2, 29], 11_016), ([2000, 3, 1], 11_017), ([2026, 11, 23], 20_780)] {
            assert_eq!(days_since_epoch(date[0], date[1], date[2]), days, "{date:?}");
        }
    }

    #[test]
    fn a_year_ends() {
        let time = |line: &str| Header::read(line.as_bytes()).expect("a header").time.0;
        let seconds = time("100101 000000 1 INFO a: b") - time("091231 235959 1 INFO a: b");
        assert_eq!(seconds, 1000);
        assert_eq!(time("22/01/01 00:00:00 INFO a: b") - time("2021-12-31 23:59:59,999 INFO a: b"), 1);
    }

    fn check(line: &str, layout: Layout, (millis, level, logger, content): (i64, Level, &str, &str)) {
        let header = Header::read(line.as_bytes()).unwrap_or_else(|| panic!("{line} has a header"));
        let logger_found = &line[header.logger_start as usize..header.logger_end as usize];
        let found = (header.time.0, header.level, logger_found, &line[header.content_start as usize..]);
        assert_eq!((header.layout, found), (layout, (millis, level, logger, content)), "{line}");
    }
}
