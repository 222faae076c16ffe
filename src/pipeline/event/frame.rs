//! Cuts chunks of a log file into records, across chunk borders: a header line and the lines that belong to it.

use serde::{Deserialize, Serialize};

use crate::limits::RECORD_BYTES_MAX;
use crate::pipeline::event::layout::{Header, Layout};
use crate::pipeline::event::{Position, SourceId};

/// One record as it stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// Where its bytes stand. Lines that joined it from the next file after a rotation are not among them.
    pub position: Position,
    /// What its first line opens with.
    pub header: Header,
    /// The header line and what belongs to it, joined by `\n`, without the last line break. At most
    /// [`RECORD_BYTES_MAX`] bytes; any content.
    pub bytes: &'a [u8],
}

/// What the content of a file is where nothing was written.
pub const NUL: u8 = 0;

/// What framing counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines completed.
    pub lines: u64,
    /// Lines that joined the record before them.
    pub joined: u64,
    /// Lines without a header before the first record of the log.
    pub headless: u64,
    /// Lines without a header that came behind NULs, or so long after the record before them that it had been handed out.
    pub belated: u64,
    /// Records cut at [`RECORD_BYTES_MAX`].
    pub cut_records: u64,
    /// Bytes left out: of these records, and NULs.
    pub cut_bytes: u64,
}

/// Cuts one stream. A record is handed out when the next one begins, or at [`Framer::flush`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Framer {
    /// Complete lines of the record in progress.
    record: Vec<u8>,
    /// That record; `None` before the first header and after a flush.
    open: Option<Open>,
    /// Layout of the newest record.
    layout: Option<Layout>,
    /// Bytes of the record that did not fit.
    record_cut: u64,
    /// The line at hand.
    partial: Partial,
    /// The same of another file: an older one has turned up amid it, and is read first.
    parked: Partial,
}

/// A line without its end yet. Empty if there is none.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Partial {
    source: SourceId,
    /// Where it begins.
    offset: u64,
    bytes: Vec<u8>,
    /// Bytes of it that did not fit.
    cut: u64,
}

/// The record in progress.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Open {
    position: Position,
    header: Header,
}

impl Framer {
    /// The layout of the newest record; `None` before the first. It may change midway, as by an upgrade.
    #[must_use]
    pub fn layout(&self) -> Option<Layout> {
        self.layout
    }

    /// Takes the next bytes of `source`, which begin at `offset`, and hands out every record that they complete.
    ///
    /// NULs end a line too, and its record, and are left out. They stand where a file system has lost what was written before a crash, and
    /// the first line of the next process stands right behind them.
    ///
    /// Bytes of one source come in order. Those of another one may come amid a line of it.
    pub fn handle_bytes(
        &mut self,
        source: SourceId,
        offset: u64,
        bytes: &[u8],
        counts: &mut Counts,
        mut emit: impl FnMut(LogLine<'_>),
    ) {
        self.turn_to(source, counts, &mut emit);
        let mut start = 0;
        while let Some(length) = memchr::memchr2(b'\n', NUL, &bytes[start..]) {
            let end = start + length;
            let (line_bytes, line_offset) = (&bytes[start..end], offset + start as u64);
            let nuls = bytes[end..].iter().take_while(|byte| **byte == NUL).count();
            counts.cut_bytes += nuls as u64;
            start = end + nuls.max(1);
            if !self.partial.is_empty() {
                self.partial.extend(line_bytes);
                self.complete_partial(counts, &mut emit);
            } else if nuls == 0 || !line_bytes.is_empty() {
                self.handle_line(source, line_offset, line_bytes, 0, counts, &mut emit);
            }
            if nuls > 0 {
                self.flush(counts, &mut emit);
            }
        }
        if start < bytes.len() {
            if self.partial.is_empty() {
                (self.partial.source, self.partial.offset) = (source, offset + start as u64);
            }
            self.partial.extend(&bytes[start..]);
        }
    }

    /// The file ends here for good: its last line is complete even without a line break. Its last record may go on in the next file of
    /// the stream.
    pub fn end_of_source(&mut self, source: SourceId, counts: &mut Counts, mut emit: impl FnMut(LogLine<'_>)) {
        if self.partial.is_of(source) {
            self.complete_partial(counts, &mut emit);
        } else if self.parked.is_of(source) {
            self.complete_parked(counts, &mut emit);
        }
    }

    /// Nothing more comes: all lines are complete, and the record in progress is handed out.
    pub fn end(&mut self, counts: &mut Counts, mut emit: impl FnMut(LogLine<'_>)) {
        for source in [self.parked.source, self.partial.source] {
            self.end_of_source(source, counts, &mut emit);
        }
        self.flush(counts, emit);
    }

    /// Hands out the record in progress. Lines that belong to it and come later are counted as belated.
    pub fn flush(&mut self, counts: &mut Counts, mut emit: impl FnMut(LogLine<'_>)) {
        let Some(Open { position, header }) = self.open.take() else { return };
        if self.record_cut > 0 {
            counts.cut_records += 1;
            counts.cut_bytes += self.record_cut;
            self.record_cut = 0;
        }
        emit(LogLine { position, header, bytes: &self.record });
        self.record.clear();
    }

    /// Whether a record waits for the next header.
    #[must_use]
    pub fn has_record(&self) -> bool {
        self.open.is_some()
    }

    /// What follows is of `source`: its line goes on, and that of another file waits. A third file's line waits no longer.
    fn turn_to(&mut self, source: SourceId, counts: &mut Counts, emit: &mut impl FnMut(LogLine<'_>)) {
        if !self.partial.is_empty() && !self.partial.is_of(source) {
            if !self.parked.is_empty() && !self.parked.is_of(source) {
                self.complete_parked(counts, emit);
            }
            std::mem::swap(&mut self.partial, &mut self.parked);
        } else if self.parked.is_of(source) {
            std::mem::swap(&mut self.partial, &mut self.parked);
        }
    }

    fn complete_parked(&mut self, counts: &mut Counts, emit: &mut impl FnMut(LogLine<'_>)) {
        std::mem::swap(&mut self.partial, &mut self.parked);
        self.complete_partial(counts, emit);
        std::mem::swap(&mut self.partial, &mut self.parked);
    }

    fn complete_partial(&mut self, counts: &mut Counts, emit: &mut impl FnMut(LogLine<'_>)) {
        let Partial { source, offset, mut bytes, cut } = std::mem::take(&mut self.partial);
        self.handle_line(source, offset, &bytes, cut, counts, emit);
        bytes.clear();
        self.partial.bytes = bytes;
    }

    fn handle_line(
        &mut self,
        source: SourceId,
        offset: u64,
        line: &[u8],
        cut: u64,
        counts: &mut Counts,
        emit: &mut impl FnMut(LogLine<'_>),
    ) {
        counts.lines += 1;
        let raw_length = line.len() as u64 + cut;
        // A line over the bound may have lost its end, so nothing is taken off it: what is kept must not depend on how it was cut.
        let is_whole = raw_length <= RECORD_BYTES_MAX as u64;
        let line = if is_whole { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
        if let Some(header) = Header::read(&line[..line.len().min(RECORD_BYTES_MAX)]) {
            self.flush(counts, &mut *emit);
            self.layout = Some(header.layout);
            self.open = Some(Open { position: Position { source, offset, length: 0 }, header });
            self.append(line, cut);
        } else if self.open.is_some() {
            counts.joined += 1;
            self.append_joined(line, cut);
        } else if self.layout.is_some() {
            counts.belated += 1;
        } else {
            counts.headless += 1;
        }
        self.extend_position(source, offset + raw_length);
    }

    /// The record in progress reaches to `end` of `source`.
    fn extend_position(&mut self, source: SourceId, end: u64) {
        if let Some(Open { position, .. }) = &mut self.open
            && position.source == source
        {
            position.length = u32::try_from(end.saturating_sub(position.offset)).unwrap_or(u32::MAX);
        }
    }

    fn append_joined(&mut self, line: &[u8], cut: u64) {
        self.append(b"\n", 0);
        self.append(line, cut);
    }

    fn append(&mut self, bytes: &[u8], cut: u64) {
        let room = RECORD_BYTES_MAX - self.record.len();
        let kept = bytes.len().min(room);
        self.record.extend_from_slice(&bytes[..kept]);
        self.record_cut += (bytes.len() - kept) as u64 + cut;
    }
}

impl Partial {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.cut == 0
    }

    fn is_of(&self, source: SourceId) -> bool {
        !self.is_empty() && self.source == source
    }

    fn extend(&mut self, bytes: &[u8]) {
        let room = RECORD_BYTES_MAX - self.bytes.len();
        let kept = bytes.len().min(room);
        self.bytes.extend_from_slice(&bytes[..kept]);
        self.cut += (bytes.len() - kept) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "081109 203518 143 INFO dfs.DataNode: one";
    const B: &str = "2021-07-15 22:43:01,109 INFO a.b.C: two";

    #[test]
    fn every_cut_of_the_bytes_gives_the_same_records() {
        let text = format!("{A}\n{B}\n\tat a.b(C.java:1)\r\nCaused by: x\r\n{A}\n");
        let expected = vec![A.to_owned(), format!("{B}\n\tat a.b(C.java:1)\nCaused by: x"), A.to_owned()];
        for size in 1..text.len() {
            assert_eq!(records(text.as_bytes(), size).0, expected, "chunks of {size}");
        }
    }

    #[test]
    fn positions_name_the_bytes_in_the_file() {
        let text = format!("junk\n{A}\r\n{B}\n tail\n{A}");
        let (_, positions, counts) = records(text.as_bytes(), 7);
        let found: Vec<&str> = positions.iter().map(|p| &text[p.offset as usize..][..p.length as usize]).collect();
        assert_eq!(found, [&format!("{A}\r"), &format!("{B}\n tail"), A]);
        assert_eq!((counts.lines, counts.joined, counts.headless, counts.belated), (5, 1, 1, 0));
    }

    #[test]
    fn a_record_at_the_bound_is_whole_and_one_over_it_is_cut() {
        for (extra, cut) in [(-1, 0), (0, 0), (1, 1)] {
            let length = (RECORD_BYTES_MAX as i64 + extra) as usize;
            let text = format!("{A}{}\n", "x".repeat(length - A.len()));
            for size in [100, 4096, text.len()] {
                let (records, _, counts) = records(text.as_bytes(), size);
                assert_eq!(records[0].len(), length.min(RECORD_BYTES_MAX), "{extra} {size}");
                assert_eq!((counts.cut_records, counts.cut_bytes), (cut, cut), "{extra} {size}");
            }
        }
    }

    #[test]
    fn carriage_returns_at_the_bound_do_not_depend_on_the_cut() {
        for (filling, cut) in [(RECORD_BYTES_MAX - 1, 9), (RECORD_BYTES_MAX, 10), (RECORD_BYTES_MAX + 1, 11)] {
            let text = format!("{A}{}{}\n", "x".repeat(filling - A.len()), "\r".repeat(10));
            for size in [100, 4096, text.len()] {
                let (records, _, counts) = records(text.as_bytes(), size);
                assert_eq!((records[0].len(), counts.cut_bytes), (RECORD_BYTES_MAX, cut), "{filling} {size}");
            }
        }
    }

    #[test]
    fn a_trace_over_the_bound_keeps_its_head() {
        let text = format!("{A}\n{}{B}\n", "\tat somewhere\n".repeat(10_000));
        let (records, positions, counts) = records(text.as_bytes(), 65_536);
        assert_eq!(records[0].len(), RECORD_BYTES_MAX);
        assert_eq!(records[1], B);
        assert_eq!(counts.cut_bytes, u64::from(positions[0].length) - RECORD_BYTES_MAX as u64);
    }

    #[test]
    fn a_trace_goes_on_in_the_next_file() {
        let (mut framer, mut counts) = (Framer::default(), Counts::default());
        let mut found = Vec::new();
        let mut keep = |line: LogLine<'_>| found.push((String::from_utf8_lossy(line.bytes).into_owned(), line.position));
        let first = format!("{A}\njava.io.IOException: x\n\tat a");
        framer.handle_bytes(SourceId(1), 0, first.as_bytes(), &mut counts, &mut keep);
        framer.end_of_source(SourceId(1), &mut counts, &mut keep);
        framer.handle_bytes(SourceId(2), 0, format!("\tat b\n{B}\n").as_bytes(), &mut counts, &mut keep);
        framer.flush(&mut counts, &mut keep);
        framer.handle_bytes(SourceId(2), 99, b"\tat c\n", &mut counts, &mut keep);
        let position = |source, offset, length: usize| Position { source: SourceId(source), offset, length: length as u32 };
        assert_eq!(found[0], (format!("{first}\n\tat b"), position(1, 0, first.len())));
        assert_eq!(found[1], (B.to_owned(), position(2, 6, B.len())));
        assert_eq!((counts.joined, counts.belated), (3, 1));
    }

    #[test]
    fn the_layout_may_change_midway() {
        let mut framer = Framer::default();
        for (line, layout) in [(A, Layout::Of2008), ("\tat a", Layout::Of2008), (B, Layout::File), (A, Layout::Of2008)] {
            framer.handle_bytes(SourceId(1), 0, format!("{line}\n").as_bytes(), &mut Counts::default(), |_| {});
            assert_eq!(framer.layout(), Some(layout), "{line}");
        }
    }

    #[test]
    fn a_header_longer_than_a_record_is_none() {
        let line = format!("2021-07-15 22:43:01,109 INFO [{}] a.b.C: x\n", "x".repeat(RECORD_BYTES_MAX));
        for size in [1000, line.len()] {
            let (records, ..) = records(line.as_bytes(), size);
            assert_eq!(records[0].len(), RECORD_BYTES_MAX, "chunks of {size}");
        }
    }

    #[test]
    fn an_older_file_amid_a_line_leaves_it_whole() {
        let lines = [A, B, &format!("{A} 2")].map(|line| format!("{line}\n"));
        for (cut, old_cut) in [(1, 0), (10, 10), (lines[0].len(), 10), (lines[0].len() + 10, lines[1].len())] {
            let (mut framer, mut counts) = (Framer::default(), Counts::default());
            let mut found = Vec::new();
            let mut keep =
                |line: LogLine<'_>| found.push((line.position.source.0, String::from_utf8_lossy(line.bytes).into_owned()));
            let live = [&*lines[0], &lines[2]].concat();
            framer.handle_bytes(SourceId(2), 0, &live.as_bytes()[..cut], &mut counts, &mut keep);
            for (offset, part) in [(0, &lines[1][..old_cut]), (old_cut as u64, &lines[1][old_cut..])] {
                framer.handle_bytes(SourceId(1), offset, part.as_bytes(), &mut counts, &mut keep);
            }
            framer.handle_bytes(SourceId(1), lines[1].len() as u64, B.as_bytes(), &mut counts, &mut keep);
            framer.end_of_source(SourceId(1), &mut counts, &mut keep);
            framer.handle_bytes(SourceId(2), cut as u64, &live.as_bytes()[cut..], &mut counts, &mut keep);
            framer.end(&mut counts, &mut keep);
            let mut expected = vec![(1, B.to_owned()), (1, B.to_owned()), (2, format!("{A} 2"))];
            expected.insert(if cut < lines[0].len() { 2 } else { 0 }, (2, A.to_owned()));
            assert_eq!(found, expected, "cut at {cut}");
            assert_eq!((counts.lines, counts.joined, counts.headless), (4, 0, 0));
        }
    }

    #[test]
    fn what_follows_a_hole_is_of_no_record_before_it() {
        let text = format!("{A}\n\0\0\n\tat a.b(C.java:1)\n{B}\0\n");
        for size in 1..text.len() {
            let (records, positions, counts) = records(text.as_bytes(), size);
            assert_eq!(records, [A, B], "chunks of {size}");
            assert_eq!(positions.iter().map(|position| position.length as usize).collect::<Vec<_>>(), [A.len(), B.len()]);
            assert_eq!((counts.lines, counts.belated, counts.joined), (5, 3, 0));
        }
    }

    #[test]
    fn a_record_behind_a_hole_is_one() {
        for (before, joined) in [("", ""), (A, ""), (A, "\n\tat a.b(C.ja")] {
            let text = format!("{before}{joined}\0\0\0{B}\n\0\0{A}\n\0");
            let expected: Vec<String> = [format!("{before}{joined}"), B.to_owned(), A.to_owned()].into();
            for size in 1..text.len() {
                let (records, positions, counts) = records(text.as_bytes(), size);
                assert_eq!(records, expected[usize::from(before.is_empty())..], "chunks of {size}");
                assert_eq!(counts.cut_bytes, 6);
                for (record, Position { offset, length, .. }) in records.iter().zip(positions) {
                    assert_eq!(record.as_bytes(), &text.as_bytes()[offset as usize..][..length as usize]);
                }
            }
        }
    }

    #[test]
    fn bytes_that_are_not_text_pass() {
        let text = [A.as_bytes(), b" \xff\xfe\n", B.as_bytes(), b"\n"].concat();
        let (records, ..) = records(&text, 9);
        assert_eq!(records.len(), 2);
        assert!(records[0].contains('\u{fffd}'));
    }

    fn records(bytes: &[u8], chunk: usize) -> (Vec<String>, Vec<Position>, Counts) {
        let (mut framer, mut counts) = (Framer::default(), Counts::default());
        let (mut records, mut positions) = (Vec::new(), Vec::new());
        let mut keep = |line: LogLine<'_>| {
            records.push(String::from_utf8_lossy(line.bytes).into_owned());
            positions.push(line.position);
        };
        for (index, part) in bytes.chunks(chunk).enumerate() {
            framer.handle_bytes(SourceId(1), (index * chunk) as u64, part, &mut counts, &mut keep);
        }
        framer.end_of_source(SourceId(1), &mut counts, &mut keep);
        framer.flush(&mut counts, &mut keep);
        (records, positions, counts)
    }
}
