//! Finds where to begin in a file that was there before we were.

use std::io::{self, BufRead, BufReader, Read};

use super::TimeReader;
use super::disk::{Cursor, File, read_at};
use crate::limits::RECORD_BYTES_MAX;
use crate::pipeline::event::LogTime;
use crate::pipeline::event::frame::NUL;

/// Offset of the last line of a file of `size` bytes if that line has no end yet, else `size`. So is a line too long for a
/// record: its head is out of reach, and what is left of it is no record.
///
/// # Errors
/// When the file cannot be read.
pub fn last_line(file: &File, size: u64) -> io::Result<u64> {
    let start = size.saturating_sub(RECORD_BYTES_MAX as u64);
    let bytes = read_at(file, start, (size - start) as usize)?;
    match memchr::memrchr2(b'\n', NUL, &bytes) {
        Some(end) => Ok(start + end as u64 + 1),
        None if start == 0 => Ok(0),
        None => Ok(size),
    }
}

/// Offset of the first record of `since` or later among the first `size` bytes, `size` if there is none. Reads 64 KiB for every
/// halving of the file.
///
/// # Errors
/// When the file cannot be read.
pub fn first_since(file: &File, size: u64, since: LogTime, read_time: &TimeReader) -> io::Result<u64> {
    // Records that begin before `low` are too old; the first that begins at or after `high` is `found`.
    let (mut low, mut high, mut found) = (0, size, size);
    while high - low > PROBE_BYTES {
        let middle = low + (high - low) / 2;
        match timed_line(&mut lines_from(file, middle, size)?, read_time, |_| true)? {
            Some((offset, time)) if time < since && offset < high => low = offset,
            Some((offset, time)) if time >= since => (high, found) = (middle, offset),
            _ => high = middle,
        }
    }
    let mut lines = lines_from(file, low, found)?;
    Ok(timed_line(&mut lines, read_time, |time| time >= since)?.map_or(found, |(offset, _)| offset))
}

/// The same for what can only be read from its beginning on; `None` if there is no such record.
///
/// # Errors
/// When it cannot be read.
pub fn first_since_in_stream(reader: impl BufRead, since: LogTime, read_time: &TimeReader) -> io::Result<Option<u64>> {
    let found = timed_line(&mut Lines { reader, offset: 0, head: Vec::new() }, read_time, |time| time >= since)?;
    Ok(found.map(|(offset, _)| offset))
}

/// The next line with a time that `accept`s: where it begins, and the time.
fn timed_line(
    lines: &mut Lines<impl BufRead>,
    read_time: &TimeReader,
    accept: impl Fn(LogTime) -> bool,
) -> io::Result<Option<(u64, LogTime)>> {
    while let Some(offset) = lines.next()? {
        if let Some(time) = read_time(&lines.head).filter(|&time| accept(time)) {
            return Ok(Some((offset, time)));
        }
    }
    Ok(None)
}

/// The lines that begin at or after `offset` and before `end`.
fn lines_from(file: &File, offset: u64, end: u64) -> io::Result<Lines<impl BufRead + use<>>> {
    let before = offset.saturating_sub(1);
    let cursor = Cursor::new(File::clone(file), before);
    let reader = BufReader::with_capacity(PROBE_BYTES as usize, cursor.take(end.saturating_sub(before)));
    let mut lines = Lines { reader, offset: before, head: Vec::new() };
    if offset > 0 {
        lines.next()?;
    }
    Ok(lines)
}

/// Reads lines, keeping no more of each than a record may have.
struct Lines<R> {
    reader: R,
    offset: u64,
    head: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// Puts the next line in `head`, without NULs before it, and returns where it begins; `None` at the end.
    fn next(&mut self) -> io::Result<Option<u64>> {
        self.head.clear();
        let start = self.offset;
        let mut read = (&mut self.reader).take(RECORD_BYTES_MAX as u64).read_until(b'\n', &mut self.head)?;
        if self.head.last().is_some_and(|&last| last != b'\n') {
            read += self.reader.skip_until(b'\n')?;
        }
        self.offset += read as u64;
        let nuls = self.head.iter().take_while(|byte| **byte == NUL).count();
        self.head.drain(..nuls);
        Ok((read > 0).then_some(start + nuls as u64))
    }
}

/// Below this distance reading on is cheaper than halving again.
const PROBE_BYTES: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_last_line_begins_after_the_last_newline() {
        for (text, expected) in [("", 0), ("a\n", 2), ("a\nbc", 2), ("abc", 0), ("a\n\0\0bc", 4), ("a\0", 2)] {
            assert_eq!(last_line(&file(text.as_bytes()), text.len() as u64).unwrap(), expected, "{text:?}");
        }
        for (length, expected) in
            [(RECORD_BYTES_MAX - 1, 0), (RECORD_BYTES_MAX, 0), (RECORD_BYTES_MAX + 1, RECORD_BYTES_MAX as u64 + 1)]
        {
            assert_eq!(last_line(&file(&vec![b'a'; length]), length as u64).unwrap(), expected, "{length}");
        }
    }

    #[test]
    fn bisection_finds_what_reading_finds() {
        // Times rise by two, in lines of very different length, with stretches of lines that have none.
        let mut text = Vec::new();
        let mut offsets = Vec::new();
        for time in 0..20_000_u64 {
            offsets.push(text.len() as u64);
            writeln!(text, "{} {}", time * 2, "x".repeat((time * 7919 % 91) as usize)).unwrap();
            if time % 1000 == 7 {
                text.extend(b"at org.apache.Stack\n".repeat(10_000));
                text.extend([0; 100]);
            }
        }
        let file = file(&text);
        let size = text.len() as u64;
        for since in [0, 1, 2, 13, 14, 15, 16, 17, 2014, 2015, 2017, 19_999, 39_996, 39_997, 39_998] {
            let expected = offsets[(since as usize).div_ceil(2)];
            assert_eq!(first_since(&file, size, LogTime(since), &time_reader()).unwrap(), expected, "{since}");
            let streamed = first_since_in_stream(&text[..], LogTime(since), &time_reader()).unwrap();
            assert_eq!(streamed, Some(expected), "{since}");
        }
        assert_eq!(first_since(&file, size, LogTime(39_999), &time_reader()).unwrap(), size);
    }

    #[test]
    fn a_file_without_times_is_old() {
        let text = b"no time here\n".repeat(20_000);
        assert_eq!(first_since(&file(&text), text.len() as u64, LogTime(1), &time_reader()).unwrap(), text.len() as u64);
    }

    fn time_reader() -> TimeReader {
        Box::new(|line| std::str::from_utf8(line).ok()?.split(' ').next()?.parse().ok().map(LogTime))
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Arc::new(file)
    }
}
