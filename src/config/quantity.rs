//! Reads durations and byte sizes as people write them: `1h30m`, `64MB`.

use std::time::Duration;

/// The sum of one or more whole numbers with units, largest first or not: `250ms`, `2s`, `1h30m`, `7d`. `None` for anything else.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (number, unit, tail) = quantity(rest)?;
        let millis = scale(unit, DURATION_UNITS)?.checked_mul(number)?;
        total = total.checked_add(Duration::from_millis(millis))?;
        rest = tail;
    }
    (!text.trim().is_empty()).then_some(total)
}

/// A whole number with a unit: `512B`, `64kB`, `16MB`, `2GiB`. `None` for anything else.
#[must_use]
pub fn bytes(text: &str) -> Option<u64> {
    let (number, unit, rest) = quantity(text.trim())?;
    scale(unit, BYTE_UNITS)?.checked_mul(number).filter(|_| rest.is_empty())
}

/// `duration` as [`duration()`] reads it, in the largest units that leave no rest; milliseconds are the smallest.
#[must_use]
pub fn display_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let whole = |unit: u64| millis > 0 && millis.is_multiple_of(u128::from(unit));
    let fitting = DURATION_UNITS.iter().rev().find(|(_, unit)| whole(*unit));
    fitting.map_or_else(|| "0s".to_owned(), |(name, unit)| format!("{}{name}", millis / u128::from(*unit)))
}

/// `bytes` as [`bytes()`] reads it, in the largest unit that leaves no rest.
#[must_use]
pub fn display_bytes(bytes: u64) -> String {
    let fitting = BYTE_UNITS.iter().rev().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit));
    fitting.map_or_else(|| "0B".to_owned(), |(name, unit)| format!("{}{name}", bytes / unit))
}

/// The number and the unit that `text` begins with, and what follows them.
fn quantity(text: &str) -> Option<(u64, &str, &str)> {
    let (number, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let rest = rest.trim_start();
    let (unit, rest) = rest.split_at(rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len()));
    Some((number.parse().ok()?, unit, rest.trim_start()))
}

fn scale(unit: &str, units: &[(&str, u64)]) -> Option<u64> {
    units.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale)
}

/// Milliseconds in each unit, smallest first.
const DURATION_UNITS: &[(&str, u64)] = &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Bytes in each unit, smallest first.
const BYTE_UNITS: &[(&str, u64)] =
    &[("B", 1), ("kB", 1000), ("KiB", 1 << 10), ("MB", 1_000_000), ("MiB", 1 << 20), ("GB", 1_000_000_000), ("GiB", 1 << 30)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        check_duration("250ms", Some(250), "250ms");
        check_duration("0s", Some(0), "0s");
        check_duration("120s", Some(120_000), "2m");
        check_duration("1h30m", Some(5_400_000), "90m");
        check_duration(" 1h 30m ", Some(5_400_000), "90m");
        check_duration("7d", Some(604_800_000), "7d");
        for wrong in ["", " ", "5", "m", "-5m", "5 parsecs", "1.5h", "99999999999999999999s", "9999999999999999999d"] {
            check_duration(wrong, None, "");
        }
    }

    #[test]
    fn sizes_are_read_and_written() {
        check_bytes("0B", Some(0), "0B");
        check_bytes("64kB", Some(64_000), "64kB");
        check_bytes("16 MB", Some(16_000_000), "16MB");
        check_bytes("2GiB", Some(2 << 30), "2GiB");
        for wrong in ["", "5", "MB", "5mb", "1.5GB", "1GB1MB", "99999999999GiB"] {
            check_bytes(wrong, None, "");
        }
    }

    fn check_duration(text: &str, millis: Option<u64>, displayed: &str) {
        let read = duration(text);
        assert_eq!(read, millis.map(Duration::from_millis), "{text:?}");
        assert_eq!(read.map(display_duration).unwrap_or_default(), displayed, "{text:?}");
    }

    fn check_bytes(text: &str, expected: Option<u64>, displayed: &str) {
        let read = bytes(text);
        assert_eq!(read, expected, "{text:?}");
        assert_eq!(read.map(display_bytes).unwrap_or_default(), displayed, "{text:?}");
    }
}
