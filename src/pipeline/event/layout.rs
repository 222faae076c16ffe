//! Reads the headers that log4j writes, in each of the layouts that Hadoop comes with.

use crate::pipeline::event::LogTime;
use crate::pipeline::event::parse::Level;

/// Reads the header of a record: its time, its level, and what follows. `None` when `line` opens with no known layout.
#[must_use]
pub fn header(line: &[u8]) -> Option<(LogTime, Level, &[u8])> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_agree_with_a_calendar() {
        for (date, days) in [([1970, 1, 1], 0), ([2000, 2, 29], 11_016), ([2000, 3, 1], 11_017), ([2026, 11, 23], 20_780)] {
            assert_eq!(days_since_epoch(date[0], date[1], date[2]), days, "{date:?}");
        }
    }
}
