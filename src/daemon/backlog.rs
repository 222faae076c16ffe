//! What is unread, as people need to know it: how old the oldest unread line is, and when rotation takes it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::ingest::follow::standing::{Rotated, Standing};
use crate::pipeline::event::{LogTime, StreamId, WallTime};

/// What was seen of the streams so far; as many as are followed.
#[derive(Debug, Default)]
pub struct Backlog {
    streams: BTreeMap<StreamId, Seen>,
}

/// What is unread of all streams.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unread {
    /// Bytes; of compressed files their size on disk.
    pub bytes: u64,
    /// How old the oldest unread line is at most, seconds; 0 when nothing is unread.
    pub age_seconds: f64,
    /// Time until rotation deletes the first of it at the pace seen, seconds; infinite when nothing is unread, or when it is not known
    /// how often logs are rotated.
    pub kept_seconds: f64,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    /// When nothing of it was unread, last.
    caught_up: Option<Instant>,
    first: Instant,
    /// When the youngest rotated file was last written, Unix milliseconds; 0 before the first.
    rotated: i64,
    /// Between the last two rotations that were seen, milliseconds.
    interval: Option<i64>,
}

impl Backlog {
    /// Takes in how the streams stand, of which `time` tells the log time reached: what is unread.
    pub fn measure(
        &mut self,
        standings: impl Iterator<Item = Standing>,
        time: impl Fn(StreamId) -> Option<LogTime>,
        wall: WallTime,
        now: Instant,
    ) -> Unread {
        let mut unread = Unread { bytes: 0, age_seconds: 0.0, kept_seconds: f64::INFINITY };
        let mut streams = BTreeMap::new();
        for standing in standings {
            let mut seen = self.streams.remove(&standing.id).unwrap_or_else(|| Seen::new(now));
            seen.note_rotation(standing.rotated);
            if standing.lag_bytes == 0 {
                seen.caught_up = Some(now);
            } else {
                unread.bytes += standing.lag_bytes;
                unread.age_seconds = unread.age_seconds.max(seen.age(time(standing.id), wall, now).as_secs_f64());
                unread.kept_seconds = unread.kept_seconds.min(seen.kept_seconds(&standing, wall));
            }
            streams.insert(standing.id, seen);
        }
        self.streams = streams;
        unread
    }
}

impl Seen {
    fn new(now: Instant) -> Self {
        Self { caught_up: None, first: now, rotated: 0, interval: None }
    }

    fn note_rotation(&mut self, rotated: Rotated) {
        let (youngest, oldest) = rotated.last_written;
        let between = i64::from(rotated.files).saturating_sub(1);
        if youngest > self.rotated {
            let last = (self.rotated > 0).then(|| youngest - self.rotated);
            let mean = (between > 0).then(|| (youngest - oldest) / between);
            // Of two paces the faster one: better too early than too late.
            self.interval = last.into_iter().chain(mean).filter(|interval| *interval > 0).min().or(self.interval);
            self.rotated = youngest;
        }
    }

    /// At most what has passed since the last line that was read was written, and since nothing was unread.
    fn age(&self, reached: Option<LogTime>, wall: WallTime, now: Instant) -> Duration {
        let since = |then: Instant| now.saturating_duration_since(then);
        let by_log = reached.map(|time| Duration::from_millis(wall.0.saturating_sub(time.0).max(0) as u64));
        by_log.into_iter().chain(self.caught_up.map(since)).min().unwrap_or_else(|| since(self.first))
    }

    /// With n files before it, the (n+1)th rotation from now deletes the file.
    fn kept_seconds(&self, standing: &Standing, wall: WallTime) -> f64 {
        if standing.is_nameless {
            return 0.0;
        }
        let Some(interval) = self.interval else { return f64::INFINITY };
        let next = self.rotated.saturating_add(interval).saturating_sub(wall.0).max(0);
        let millis = next.saturating_add(interval.saturating_mul(i64::from(standing.files_before)));
        millis as f64 / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_unread_line_is_no_older_than_either_clock_says() {
        let (mut backlog, begun) = (Backlog::default(), Instant::now());
        let mut age = |second: u64, lag_bytes: u64, reached: Option<u64>| {
            let standing = Standing { lag_bytes, ..READ };
            let reached = reached.map(|second| LogTime(1000 * second as i64));
            let unread = backlog.measure([standing].into_iter(), |_| reached, wall(second), at(begun, second));
            unread.age_seconds
        };
        assert_eq!(age(100, 5, None), 0.0, "nothing is known of a log that was just found");
        assert_eq!(age(103, 5, None), 3.0, "it has been unread for so long at least");
        assert_eq!(age(104, 5, Some(40)), 64.0, "the line before it was written so long ago");
        assert_eq!(age(105, 0, Some(104)), 0.0);
        assert_eq!(age(3600, 0, Some(104)), 0.0);
        assert_eq!(age(3602, 9, Some(104)), 2.0, "a log that was silent for an hour is not an hour behind");
        assert_eq!(age(3700, 9, Some(3690)), 10.0, "one that is written all the time is not behind since it was silent");
        assert_eq!(age(3700, 9, Some(9999)), 0.0, "nor is one whose writer's clock is fast");
    }

    #[test]
    fn what_is_unread_goes_with_the_rotation_that_deletes_its_file() {
        // Rotated files of which the youngest was written at 1000 s, every 100 s one.
        for (files, files_before, second, expected) in [
            (3, 0, 1000, 100.0),
            (3, 0, 1060, 40.0),
            (3, 3, 1060, 340.0),
            (3, 2, 1150, 200.0),
            (1, 0, 1060, f64::INFINITY),
            (0, 0, 1060, f64::INFINITY),
        ] {
            let rotated = rotated(files, 1000);
            let standing = Standing { lag_bytes: 1, files_before, rotated, ..READ };
            let unread = Backlog::default().measure([standing].into_iter(), |_| None, wall(second), Instant::now());
            assert_eq!(unread.kept_seconds, expected, "{files} {files_before} {second}");
            let nameless = Standing { is_nameless: true, ..standing };
            let unread = Backlog::default().measure([nameless].into_iter(), |_| None, wall(second), Instant::now());
            assert_eq!(unread.kept_seconds, 0.0);
        }
    }

    #[test]
    fn a_pace_that_quickens_is_believed_and_what_is_read_is_safe() {
        let mut backlog = Backlog::default();
        let mut kept = |files, youngest, lag_bytes| {
            let standing = Standing { lag_bytes, rotated: rotated(files, youngest), ..READ };
            backlog.measure([standing].into_iter(), |_| None, wall(youngest as u64), Instant::now()).kept_seconds
        };
        assert_eq!(kept(1, 1000, 1), f64::INFINITY);
        assert_eq!(kept(1, 1030, 1), 30.0, "two rotations were seen, though one file is kept");
        assert_eq!(kept(5, 1040, 1), 10.0);
        assert_eq!(kept(5, 1050, 0), f64::INFINITY, "nothing is unread");
    }

    #[test]
    fn streams_that_are_gone_are_forgotten() {
        let mut backlog = Backlog::default();
        backlog.measure([READ].into_iter(), |_| None, wall(0), Instant::now());
        assert_eq!(backlog.streams.len(), 1);
        backlog.measure(std::iter::empty(), |_| None, wall(1), Instant::now());
        assert!(backlog.streams.is_empty());
    }

    /// A stream of which nothing is unread.
    const READ: Standing = Standing {
        id: StreamId(0),
        lag_bytes: 0,
        files_before: 0,
        is_nameless: false,
        rotated: Rotated { files: 0, last_written: (0, 0) },
    };

    fn rotated(files: u32, youngest: i64) -> Rotated {
        let oldest = youngest - 100 * (i64::from(files) - 1).max(0);
        let last_written = if files == 0 { (0, 0) } else { (1000 * youngest, 1000 * oldest) };
        Rotated { files, last_written }
    }

    fn wall(second: u64) -> WallTime {
        WallTime(1000 * second as i64)
    }

    fn at(begun: Instant, second: u64) -> Instant {
        begun + Duration::from_secs(second)
    }
}
