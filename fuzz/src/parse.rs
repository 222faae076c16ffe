//! Parsing: what a record says lies in it, its header is that of its first line, and its time survives every other layout.

use crate::input::expand;
use crate::pipeline::event::CivilTime;
use crate::pipeline::event::layout::{Header, Layout};
use crate::pipeline::event::parse::{self, Record};

/// The bytes are one record: a line, with what belongs to it.
pub fn check(data: &[u8]) {
    let record = expand(data, RECORD_BYTES);
    let first_line = record.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let header = Header::read(first_line);
    let found = parse::parse(&record);
    assert_eq!(header.is_some(), found.is_some(), "framing and parsing agree on what a header is");
    let (Some(header), Some(found)) = (header, found) else { return };
    for part in [found.logger, found.content] {
        assert!(lies_in(part, &record), "a part lies in the record");
    }
    assert!(!found.logger.iter().any(|byte| matches!(byte, b'\n' | b' ' | b':')), "a logger is one word of the first line");
    assert!(record.ends_with(found.content), "nothing follows the content");
    assert_eq!(Record::new(&header, &record), found, "the first line has the whole header");
    check_layouts(&found);
}

/// Says the same in every layout and reads that.
fn check_layouts(found: &Record<'_>) {
    let level = found.level.name();
    let (date, clock, millis) = civil(found.time);
    // The leap second at the end of the year 9999 is a time that no layout can write.
    if date.len() > "9999-12-31".len() {
        return;
    }
    let short = (date.get(..2) == Some("20")).then(|| date[2..].to_owned());
    let iso = format!("{date} {clock}");
    let layouts = [
        (Layout::File, Some(format!("{iso},{millis:03} {level} a.b.C: ")), 0),
        (Layout::File, Some(format!("{iso}.{millis:03} {level}  [IPC Server handler 3 on 8020] a.b.C: ")), 0),
        (Layout::Source, Some(format!("{iso},{millis:03} {level}  a.b.C (C.java:run(15)) - ")), 0),
        (Layout::Container, Some(format!("{iso} {level} a.b.C:759 - ")), millis),
        (Layout::Console, short.as_ref().map(|date| format!("{} {clock} {level} a.b.C: ", date.replace('-', "/"))), millis),
        (
            Layout::Of2008,
            short.as_ref().map(|date| format!("{} {} 12 {level} a.b.C: ", date.replace('-', ""), clock.replace(':', ""))),
            millis,
        ),
    ];
    for (layout, opening, lost_millis) in layouts {
        let Some(opening) = opening else { continue };
        let record = [opening.as_bytes(), found.content].concat();
        let header = Header::read(&record).unwrap_or_else(|| panic!("{opening} is read"));
        let again = Record::new(&header, &record);
        assert_eq!((header.layout, again.level), (layout, found.level), "{opening}");
        assert_eq!(again.time.0, found.time.0 - lost_millis, "{opening}");
        assert_eq!(again.logger, b"a.b.C", "{opening}");
        assert!(again.content == found.content, "{opening} leaves the content as it is");
    }
}

fn lies_in(part: &[u8], whole: &[u8]) -> bool {
    part.is_empty() || whole.as_ptr_range().start <= part.as_ptr() && part.as_ptr_range().end <= whole.as_ptr_range().end
}

/// `yyyy-MM-dd`, `HH:mm:ss` and milliseconds, by counting days off year by year and month by month.
fn civil(time: CivilTime) -> (String, String, i64) {
    let (mut days, millis) = (time.0.div_euclid(86_400_000), time.0.rem_euclid(86_400_000));
    let mut year = 1970;
    while days < 0 {
        year -= 1;
        days += days_in_year(year);
    }
    while days >= days_in_year(year) {
        days -= days_in_year(year);
        year += 1;
    }
    let mut month = 1;
    while days >= days_in_month(year, month) {
        days -= days_in_month(year, month);
        month += 1;
    }
    let (second, millis) = (millis / 1000, millis % 1000);
    let clock = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
    (format!("{year:04}-{month:02}-{:02}", days + 1), clock, millis)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_year(year: i64) -> i64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Far more than a header has.
const RECORD_BYTES: usize = 16_384;
