//! Framing: however the bytes are cut, the records are those of a framer that sees the whole log at once, and no byte is lost.

use crate::input::{Cuts, expand};
use crate::limits::RECORD_BYTES_MAX;
use crate::pipeline::event::frame::{Counts, Framer, LogLine};
use crate::pipeline::event::layout::Header;
use crate::pipeline::event::{Position, SourceId};

/// The first byte says how the others, a log, are cut.
pub fn check(data: &[u8]) {
    let Some((seed, rest)) = data.split_first() else { return };
    let log = expand(rest, 2 * RECORD_BYTES_MAX);
    let framed = Framed::of(Cuts::new(*seed).of(&log).map(|(offset, part)| (SourceId(0), offset, part)));
    let naive = naive(&log);
    framed.check_equal(&naive);
    assert_eq!(framed.counts, naive.counts);
    check_bytes(&log, &framed);
    check_rotation(&log, *seed, &framed);
}

/// Records lie one behind the other, each within the log; before the first there are the headless lines, and nothing else.
fn check_bytes(log: &[u8], framed: &Framed) {
    let mut end = log.len();
    for (position, bytes) in framed.records.iter().rev() {
        assert!(bytes.len() <= RECORD_BYTES_MAX);
        let own_end = position.offset as usize + position.length as usize;
        let between = &log[own_end..end];
        let hole = between.strip_prefix(b"\n").unwrap_or(between);
        assert!(hole.first().is_none_or(|byte| *byte == 0), "records lie one behind the other, or NULs do");
        assert!(end == log.len() || !between.is_empty(), "two records are two lines");
        end = position.offset as usize;
    }
    let before = framed.records.first().map_or(log.len(), |(position, _)| position.offset as usize);
    assert_eq!(framed.counts.headless, lines(&log[..before]).count() as u64);
    assert!(framed.counts.belated == 0 || log.contains(&0));
}

/// The lines of a log, where they begin, and whether NULs stand before them. A NUL ends a line too, if there is one.
fn lines(log: &[u8]) -> impl Iterator<Item = (usize, &[u8], bool)> {
    let (mut end, mut is_behind) = (0, false);
    let pieces = log.split_inclusive(|byte| matches!(byte, b'\n' | 0)).map(move |piece| {
        let (offset, was_behind) = (end, is_behind);
        end += piece.len();
        is_behind = piece.ends_with(b"\0");
        (offset, piece, was_behind)
    });
    let bare = |piece: &[u8]| piece.len() - usize::from(piece.ends_with(b"\n") || piece.ends_with(b"\0"));
    pieces.filter(|(_, piece, _)| *piece != b"\0").map(move |(at, piece, is_behind)| (at, &piece[..bare(piece)], is_behind))
}

/// The same log in two files gives the same records, wherever between two lines it is rotated.
fn check_rotation(log: &[u8], seed: u8, framed: &Framed) {
    let near = log.len() * usize::from(seed) / 256;
    let Some(line_break) = log[..near].iter().rposition(|byte| *byte == b'\n') else { return };
    let (first, second) = log.split_at(line_break + 1);
    let rotated = Framed::of([(SourceId(0), 0, first), (SourceId(1), 0, second)].into_iter());
    assert_eq!(rotated.counts, framed.counts);
    assert!(rotated.records.iter().map(|(_, bytes)| bytes).eq(framed.records.iter().map(|(_, bytes)| bytes)));
}

#[derive(Default)]
struct Framed {
    records: Vec<(Position, Vec<u8>)>,
    counts: Counts,
}

impl Framed {
    fn of<'a>(parts: impl Iterator<Item = (SourceId, usize, &'a [u8])>) -> Self {
        let (mut framer, mut framed, mut at) = (Framer::default(), Self::default(), None);
        let Self { records, counts } = &mut framed;
        let mut keep = |line: LogLine<'_>| {
            let first = line.bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
            assert_eq!(Some(line.header), Header::read(first), "the header is that of the first line");
            records.push((line.position, line.bytes.to_vec()));
        };
        for (source, offset, part) in parts {
            if let Some(before) = at.replace(source).filter(|before| *before != source) {
                framer.end_of_source(before, counts, &mut keep);
            }
            framer.handle_bytes(source, offset as u64, part, counts, &mut keep);
        }
        framer.end_of_source(at.unwrap_or(SourceId(0)), counts, &mut keep);
        framer.flush(counts, &mut keep);
        framed
    }

    /// Without the records in the message: they are long.
    fn check_equal(&self, expected: &Self) {
        assert_eq!(self.records.len(), expected.records.len(), "as many records however they are cut");
        for (found, expected) in self.records.iter().zip(&expected.records) {
            assert_eq!((found.0, found.1.len()), (expected.0, expected.1.len()), "a record as long however it is cut");
            assert!(found.1 == expected.1, "the same record however it is cut");
        }
    }
}

/// What framing means, said with whole lines and no thought of memory.
fn naive(log: &[u8]) -> Framed {
    let mut framed = Framed::default();
    framed.counts.cut_bytes = log.iter().filter(|byte| **byte == 0).count() as u64;
    let mut is_open = false;
    for (offset, line, is_behind) in lines(log) {
        is_open = framed.take(offset as u64, line, is_open && !is_behind);
    }
    for (_, bytes) in &mut framed.records {
        let over = bytes.len().saturating_sub(RECORD_BYTES_MAX) as u64;
        framed.counts.cut_records += u64::from(over > 0);
        framed.counts.cut_bytes += over;
        bytes.truncate(RECORD_BYTES_MAX);
    }
    framed
}

impl Framed {
    /// Whether lines may join its last record, which says whether this one may.
    fn take(&mut self, offset: u64, line: &[u8], is_open: bool) -> bool {
        self.counts.lines += 1;
        let content = if line.len() <= RECORD_BYTES_MAX { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
        if Header::read(&content[..content.len().min(RECORD_BYTES_MAX)]).is_some() {
            let position = Position { source: SourceId(0), offset, length: line.len() as u32 };
            self.records.push((position, content.to_vec()));
            return true;
        }
        if let Some((position, bytes)) = self.records.last_mut().filter(|_| is_open) {
            self.counts.joined += 1;
            position.length = (offset + line.len() as u64 - position.offset) as u32;
            bytes.push(b'\n');
            bytes.extend_from_slice(content);
        } else if self.records.is_empty() {
            self.counts.headless += 1;
        } else {
            self.counts.belated += 1;
        }
        is_open
    }
}
