//! Puts the records of several streams into the order of log time, within a bounded delay.
//!
//! The order is (running maximum of the stream's log time, rank of the stream, order in the stream). A record leaves when nothing
//! can come before it any more: streams that still have unread bytes hold back what is younger than what they have given so far,
//! streams that are read to their end hold back `delay` of log time, since their writers may be that late. What comes later
//! still passes at once and is counted.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::limits::{FUTURE_MILLIS_MAX, LEAP_MILLIS_MAX};
use crate::pipeline::event::trouble::Trouble;
use crate::pipeline::event::{LogTime, Position};

/// Records that wait for their turn.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Merge {
    delay_millis: i64,
    bytes_max: usize,
    streams: Vec<Stream>,
    bytes: usize,
    /// The newest time given by any stream.
    newest: LogTime,
    /// What is older than this has left, or passes at once.
    passed: LogTime,
    late: u64,
    forced: u64,
    leaps: u64,
    /// Streams from which more can come.
    open: usize,
    /// What the clock of this host says; `None` while nobody has said.
    #[serde(skip)]
    present: Option<LogTime>,
    /// Streams by their oldest waiting record; derived from `streams`.
    #[serde(skip)]
    heads: BinaryHeap<Reverse<Key>>,
    /// The watermark, until a stream moves; finding it walks all streams.
    #[serde(skip)]
    mark: Option<(LogTime, u32)>,
}

/// Whether more can come from a stream, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reading {
    /// It has unread bytes.
    #[default]
    Behind,
    /// It is read to its end; its writer goes on.
    CaughtUp,
    /// Nothing more will come.
    Closed,
}

/// What a record is of: where its way leads behind the merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// It names blocks.
    Blocks {
        /// Whether it is of level WARN or above.
        warns: bool,
    },
    /// It names none, and tells of trouble.
    Trouble(Trouble),
}

/// A record on its way: where it stands, when it was written, what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merged<'a> {
    /// Running maximum of the stream's log time.
    pub time: LogTime,
    /// Index of the stream.
    pub stream: usize,
    /// Where the record stands.
    pub position: Position,
    /// What it is of.
    pub kind: Kind,
    /// The message with the lines that belong to it.
    pub content: &'a [u8],
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Stream {
    /// Breaks ties: the streams' order by name.
    rank: u32,
    reading: Reading,
    time: Option<LogTime>,
    /// A time far ahead of the stream's, until the next record confirms or denies it.
    leap: Option<LogTime>,
    /// The record that said so, if it is waited for: where it stands, what it is of, what it says.
    held: Option<(Position, Kind, Vec<u8>)>,
    waiting: VecDeque<Waiting>,
    /// Contents of what waits, one after the other, from `start` on.
    contents: Vec<u8>,
    start: usize,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Waiting {
    time: LogTime,
    position: Position,
    kind: Kind,
    length: usize,
}

/// Time, rank, index of the stream.
type Key = (LogTime, u32, usize);

impl Merge {
    /// An empty merge. `delay_millis` is log time; at `bytes_max` the oldest records leave early.
    #[must_use]
    pub fn new(delay_millis: i64, bytes_max: usize) -> Self {
        Self { delay_millis, bytes_max, newest: LogTime(i64::MIN), passed: LogTime(i64::MIN), ..Self::default() }
    }

    /// Goes on after [`Merge`] was read from a checkpoint, with the delay and the bound of the present configuration. Streams are
    /// closed until they are opened again: one whose files are gone must hold nothing back.
    pub fn resume(&mut self, delay_millis: i64, bytes_max: usize) {
        self.delay_millis = delay_millis;
        self.bytes_max = bytes_max;
        self.streams.iter_mut().for_each(|stream| stream.reading = Reading::Closed);
        self.open = 0;
        self.heads = (0..self.streams.len()).filter_map(|index| self.head(index)).map(Reverse).collect();
    }

    /// Adds a stream, or brings a closed one back.
    pub fn open(&mut self, stream: usize) {
        if self.streams.len() <= stream {
            self.streams.resize_with(stream + 1, || Stream { reading: Reading::Closed, ..Stream::default() });
        }
        self.set_reading(stream, Reading::Behind);
    }

    /// Gives streams their ranks, which order those whose records have the same time: (stream, rank).
    pub fn rank(&mut self, ranks: impl IntoIterator<Item = (usize, u32)>) {
        for (stream, rank) in ranks {
            if let Some(stream) = self.streams.get_mut(stream) {
                stream.rank = rank;
            }
        }
        self.mark = None;
        self.find_heads();
    }

    /// Says whether more can come from a stream. When nothing can, a leap that waits to be confirmed is not believed.
    pub fn set_reading(&mut self, stream: usize, reading: Reading) {
        if reading == Reading::Closed
            && let Some(time) = self.streams[stream].time
            && let Some((position, kind, content)) = self.streams[stream].held.take()
        {
            self.push(stream, time, position, kind, &content);
        }
        let before = std::mem::replace(&mut self.streams[stream].reading, reading);
        self.open += usize::from(reading != Reading::Closed);
        self.open -= usize::from(before != Reading::Closed);
        if before != reading {
            self.mark = None;
        }
    }

    /// The newest log time of a stream; `None` before its first record.
    #[must_use]
    pub fn stream_time(&self, stream: usize) -> Option<LogTime> {
        self.streams.get(stream).and_then(|stream| stream.time)
    }

    /// Says what the clock of this host shows, so that what is far beyond it is not believed; `None` when it shows nothing to go by.
    pub fn set_present(&mut self, now: Option<LogTime>) {
        self.present = now;
    }

    /// The time of a record, if it can be: one more than [`FUTURE_MILLIS_MAX`] after the present is a wrong clock's. Then it is the time
    /// that its stream or the merge has reached, so that it moves nobody else's.
    pub fn believe(&mut self, stream: usize, time: LogTime) -> LogTime {
        let Some(present) = self.present.filter(|present| time.millis_since(*present) > FUTURE_MILLIS_MAX) else {
            return time;
        };
        self.leaps += 1;
        let known = |time: &LogTime| *time > LogTime(i64::MIN);
        let reached = self.stream_time(stream).max(Some(self.passed)).filter(known);
        reached.or(Some(self.newest).filter(known)).unwrap_or(present)
    }

    /// Moves the clock of a stream without a record: a record was written then that nobody waits for. The time that the stream has
    /// reached is the answer. A leap of more than [`LEAP_MILLIS_MAX`] is believed once the next record is there too, so that one
    /// garbled line cannot end the present.
    pub fn handle_time(&mut self, stream: usize, time: LogTime) -> LogTime {
        let own = &mut self.streams[stream];
        let before = own.time.unwrap_or(time);
        let leaps = time.millis_since(before) > LEAP_MILLIS_MAX;
        let near = |leap: &LogTime| time.millis_since(*leap).unsigned_abs() <= LEAP_MILLIS_MAX as u64;
        let confirmed = std::mem::replace(&mut own.leap, leaps.then_some(time)).filter(near);
        self.leaps += u64::from(leaps && confirmed.is_none());
        let held = own.held.take();
        let own_time = if leaps && confirmed.is_none() { before } else { before.max(time) };
        own.time = Some(own_time);
        if let Some((position, kind, content)) = held {
            self.push(stream, confirmed.map_or(before, |leap| leap.min(own_time).max(before)), position, kind, &content);
        }
        self.newest = self.newest.max(own_time);
        self.mark = None;
        own_time
    }

    /// Takes a record. `Some` when it passes at once: it is alone, or too late to be put in order.
    pub fn handle_record<'a>(
        &mut self,
        stream: usize,
        time: LogTime,
        position: Position,
        kind: Kind,
        content: &'a [u8],
    ) -> Option<Merged<'a>> {
        let time = self.handle_time(stream, time);
        if self.streams[stream].leap.is_some_and(|leap| leap > time) {
            self.streams[stream].held = Some((position, kind, content.to_vec()));
            return None;
        }
        let late = time < self.passed;
        self.late += u64::from(late);
        let first = self.streams[stream].waiting.is_empty();
        if first && (late || (self.bytes == 0 && self.is_alone())) {
            self.passed = self.passed.max(time);
            return Some(Merged { time, stream, position, kind, content });
        }
        self.push(stream, time, position, kind, content);
        None
    }

    fn push(&mut self, stream: usize, time: LogTime, position: Position, kind: Kind, content: &[u8]) {
        let own = &mut self.streams[stream];
        own.waiting.push_back(Waiting { time, position, kind, length: content.len() });
        own.contents.extend_from_slice(content);
        self.bytes += content.len() + size_of::<Waiting>();
        if own.waiting.len() == 1 {
            self.heads.push(Reverse((time, own.rank, stream)));
        }
    }

    /// Hands out the next record whose turn has come. With `all`, every record has its turn: nothing is waited for.
    pub fn poll(&mut self, all: bool, emit: impl FnOnce(Merged<'_>)) -> bool {
        let Some(Reverse(key)) = self.heads.peek().copied() else {
            return false;
        };
        let over = self.bytes > self.bytes_max;
        let due = all || (key.0, key.1) <= self.watermark();
        if !due && !over {
            return false;
        }
        self.forced += u64::from(!due);
        self.heads.pop();
        self.release(key, emit);
        true
    }

    /// Everything up to this log time has left: the time at which the stages behind the merge are. `None` before the first record.
    #[must_use]
    pub fn reached(&mut self) -> Option<LogTime> {
        let reached = if self.heads.is_empty() { self.watermark().0.max(self.passed) } else { self.passed };
        (reached > LogTime(i64::MIN)).then_some(reached)
    }

    /// The newest log time given by any stream.
    #[must_use]
    pub fn newest(&self) -> Option<LogTime> {
        (self.newest > LogTime(i64::MIN)).then_some(self.newest)
    }

    /// Records that came too late to be put in order.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Times far ahead that no second record confirmed, or not yet, and those beyond the present.
    #[must_use]
    pub fn leaps(&self) -> u64 {
        self.leaps
    }

    /// Records released early because of the bound in bytes.
    #[must_use]
    pub fn forced(&self) -> u64 {
        self.forced
    }

    /// Whether some stream has unread bytes.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.streams.iter().any(|stream| stream.reading == Reading::Behind)
    }

    /// Whether records wait.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.heads.is_empty()
    }

    /// Bytes held by waiting records.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn is_alone(&self) -> bool {
        self.open <= 1
    }

    /// The last (time, rank) that nothing can come before any more.
    fn watermark(&mut self) -> (LogTime, u32) {
        let mark = self.mark.unwrap_or_else(|| self.find_watermark());
        self.mark = Some(mark);
        mark
    }

    fn find_watermark(&self) -> (LogTime, u32) {
        let mut mark = (self.newest, u32::MAX);
        let alone = self.is_alone();
        for stream in &self.streams {
            let own = match stream.reading {
                Reading::Behind => (stream.time.unwrap_or(LogTime(i64::MIN)), stream.rank),
                Reading::CaughtUp if !alone => (self.newest.plus_millis(-self.delay_millis), u32::MAX),
                Reading::CaughtUp | Reading::Closed => continue,
            };
            mark = mark.min(own);
        }
        mark
    }

    fn release(&mut self, key: Key, emit: impl FnOnce(Merged<'_>)) {
        let (time, _, index) = key;
        let stream = &mut self.streams[index];
        let waiting = stream.waiting.pop_front().expect("a head names a waiting record");
        let content = &stream.contents[stream.start..stream.start + waiting.length];
        self.passed = self.passed.max(time);
        emit(Merged { time, stream: index, position: waiting.position, kind: waiting.kind, content });
        stream.start += waiting.length;
        self.bytes -= waiting.length + size_of::<Waiting>();
        stream.compact();
        if let Some(head) = self.head(index) {
            self.heads.push(Reverse(head));
        }
    }

    fn find_heads(&mut self) {
        self.heads = (0..self.streams.len()).filter_map(|index| self.head(index)).map(Reverse).collect();
    }

    fn head(&self, index: usize) -> Option<Key> {
        let stream = &self.streams[index];
        stream.waiting.front().map(|waiting| (waiting.time, stream.rank, index))
    }
}

impl Stream {
    /// Moves what waits to the front once half of the buffer is spent, so that each byte is moved once on average.
    fn compact(&mut self) {
        if self.waiting.is_empty() {
            self.contents.clear();
            self.start = 0;
        } else if self.start > self.contents.len() / 2 {
            self.contents.drain(..self.start);
            self.start = 0;
        }
        if self.contents.is_empty() && self.contents.capacity() > BUFFER_KEPT_BYTES {
            self.contents.shrink_to(BUFFER_KEPT_BYTES);
        }
    }
}

/// An emptied buffer keeps this much, so that a backlog once worked off does not hold its memory for ever.
const BUFFER_KEPT_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::event::SourceId;

    #[test]
    fn a_stream_alone_waits_for_nobody() {
        let mut merge = merge(1);
        assert!(give(&mut merge, 0, 5, "a"));
        assert_eq!(take(&mut merge), "");
    }

    #[test]
    fn a_stream_that_is_behind_holds_the_others_back() {
        let mut merge = merge(2);
        give(&mut merge, 0, 1, "a");
        give(&mut merge, 0, 9, "d");
        assert_eq!(take(&mut merge), "", "stream 1 has given nothing yet");
        give(&mut merge, 1, 2, "b");
        give(&mut merge, 1, 3, "c");
        assert_eq!(take(&mut merge), "abc");
        merge.set_reading(1, Reading::Closed);
        assert_eq!(take(&mut merge), "d");
    }

    #[test]
    fn a_stream_at_its_end_holds_back_the_delay() {
        let mut merge = merge(2);
        merge.set_reading(0, Reading::CaughtUp);
        merge.set_reading(1, Reading::CaughtUp);
        give(&mut merge, 0, 1, "a");
        give(&mut merge, 0, 10, "c");
        assert_eq!(take(&mut merge), "");
        give(&mut merge, 1, 9, "b");
        give(&mut merge, 1, 11, "d");
        assert_eq!(take(&mut merge), "a");
        give(&mut merge, 1, 20, "e");
        assert_eq!(take(&mut merge), "bc");
    }

    #[test]
    fn a_stream_that_is_gone_after_a_restart_holds_nothing_back() {
        let mut merge = merge(2);
        give(&mut merge, 0, 5, "a");
        assert_eq!(take(&mut merge), "");
        let kept = postcard::to_stdvec(&merge).expect("it can be written");
        let mut merge: Merge = postcard::from_bytes(&kept).expect("and read");
        merge.resume(10, 1 << 20);
        merge.open(0);
        assert_eq!(take(&mut merge), "a");
    }

    #[test]
    fn ties_go_by_rank_and_then_by_the_order_in_the_stream() {
        let mut merge = merge(2);
        give(&mut merge, 1, 5, "c");
        give(&mut merge, 1, 5, "d");
        give(&mut merge, 0, 5, "a");
        give(&mut merge, 0, 5, "b");
        merge.set_reading(0, Reading::Closed);
        merge.set_reading(1, Reading::Closed);
        assert_eq!(take(&mut merge), "abcd");
    }

    #[test]
    fn a_clock_that_steps_back_keeps_the_order_of_its_stream() {
        let mut merge = merge(2);
        for (time, name) in [(5, "a"), (3, "b"), (6, "c")] {
            give(&mut merge, 0, time, name);
        }
        merge.set_reading(1, Reading::Closed);
        merge.set_reading(0, Reading::Closed);
        assert_eq!(take(&mut merge), "abc");
    }

    #[test]
    fn what_is_beyond_the_present_counts_as_written_when_the_others_are() {
        let mut merge = merge(2);
        let (now, year_2099) = (LogTime(1_000_000), LogTime(4_070_908_800_000));
        assert_eq!(merge.believe(0, year_2099), year_2099, "while nobody has said what time it is");
        merge.set_present(Some(now));
        assert_eq!(merge.believe(0, year_2099), now, "nothing was read yet");
        merge.handle_time(1, LogTime(700));
        assert_eq!(merge.believe(0, year_2099), LogTime(700));
        merge.handle_time(0, LogTime(500));
        assert_eq!(merge.believe(0, year_2099), LogTime(500));
        for (ahead, believed) in [(FUTURE_MILLIS_MAX - 1, true), (FUTURE_MILLIS_MAX, true), (FUTURE_MILLIS_MAX + 1, false)] {
            let time = now.plus_millis(ahead);
            assert_eq!(merge.believe(0, time) == time, believed, "{ahead}");
        }
        assert_eq!(merge.leaps(), 4);
    }

    #[test]
    fn one_line_of_a_far_future_moves_no_clock_and_two_do() {
        let mut merge = merge(1);
        let far = 10 * LEAP_MILLIS_MAX;
        let times = [5, far, 6, 7, far, far + 1, far + 2].map(|time| merge.handle_time(0, LogTime(time)).0);
        assert_eq!(times, [5, 5, 6, 7, 7, far + 1, far + 2]);
        assert_eq!(merge.leaps(), 2);
        check_leap(&[(5, "a"), (far, "b"), (6, "c")], "a5 b5 c6");
        check_leap(&[(5, "a"), (far, "b"), (far + 1, "c")], &format!("a5 b{far} c{}", far + 1));
        check_leap(&[(5, "a"), (far, "b")], "a5 b5");
        for (step, believed) in [(LEAP_MILLIS_MAX - 1, true), (LEAP_MILLIS_MAX, true), (LEAP_MILLIS_MAX + 1, false)] {
            let mut merge = self::merge(1);
            merge.handle_time(0, LogTime(0));
            assert_eq!(merge.handle_time(0, LogTime(step)).0 == step, believed);
        }
    }

    #[test]
    fn what_comes_too_late_passes_at_once_and_is_counted() {
        let mut merge = merge(2);
        merge.set_reading(0, Reading::CaughtUp);
        merge.set_reading(1, Reading::CaughtUp);
        give(&mut merge, 0, 100, "a");
        give(&mut merge, 0, 200, "b");
        assert_eq!(take(&mut merge), "a");
        assert!(give(&mut merge, 1, 99, "late"));
        assert_eq!(merge.late(), 1);
    }

    #[test]
    fn at_the_bound_the_oldest_leave_early() {
        let mut merge = Merge::new(10, 100);
        merge.open(0);
        merge.open(1);
        for time in 0..10 {
            give(&mut merge, 0, time, "x");
            take(&mut merge);
        }
        assert!(merge.bytes() <= 100);
        assert!(merge.forced() > 0);
    }

    /// Gives records to a stream that ends then, and compares what leaves, in order and with its time.
    fn check_leap(records: &[(i64, &str)], expected: &str) {
        let mut merge = merge(1);
        let mut left = Vec::new();
        let position = Position { source: SourceId(0), offset: 0, length: 0 };
        for (time, name) in records {
            if let Some(record) = merge.handle_record(0, LogTime(*time), position, Kind::Blocks { warns: false }, name.as_bytes())
            {
                left.push(format!("{}{}", String::from_utf8_lossy(record.content), record.time.0));
            }
            while merge.poll(false, |record| left.push(format!("{}{}", String::from_utf8_lossy(record.content), record.time.0))) {
            }
        }
        merge.set_reading(0, Reading::Closed);
        while merge.poll(false, |record| left.push(format!("{}{}", String::from_utf8_lossy(record.content), record.time.0))) {}
        assert_eq!(left.join(" "), expected);
    }

    fn merge(streams: usize) -> Merge {
        let mut merge = Merge::new(10, 1 << 20);
        for stream in 0..streams {
            merge.open(stream);
        }
        merge.rank((0..streams).map(|stream| (stream, stream as u32)));
        merge
    }

    fn give(merge: &mut Merge, stream: usize, time: i64, name: &str) -> bool {
        let position = Position { source: SourceId(0), offset: 0, length: 0 };
        merge.handle_record(stream, LogTime(time), position, Kind::Blocks { warns: false }, name.as_bytes()).is_some()
    }

    fn take(merge: &mut Merge) -> String {
        let mut taken = String::new();
        while merge.poll(false, |record| taken.push_str(&String::from_utf8_lossy(record.content))) {}
        taken
    }
}
