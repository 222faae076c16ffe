//! Tells which instant a log means that writes no time zone, daylight saving and all. What the zone did and will do comes in as data.

use crate::pipeline::event::{CivilTime, LogTime};

/// The offsets of a time zone over the years.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Never empty; the first one begins before all time, the others follow in order.
    spans: Vec<Span>,
}

/// A time during which clocks do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first instant.
    pub from: LogTime,
    /// What local clocks show more than UTC, milliseconds.
    pub offset_millis: i64,
}

impl Zone {
    /// Clocks show `first_offset_millis` more than UTC until the first of the `changes`, which are in order.
    #[must_use]
    pub fn new(first_offset_millis: i64, changes: impl IntoIterator<Item = Span>) -> Self {
        let first = Span { from: LogTime(i64::MIN), offset_millis: first_offset_millis };
        let spans: Vec<Span> = std::iter::once(first).chain(changes).collect();
        debug_assert!(spans.is_sorted_by_key(|span| span.from), "changes come in order");
        Self { spans }
    }

    /// Clocks that show UTC.
    #[must_use]
    pub fn utc() -> Self {
        Self::new(0, [])
    }

    /// The instant at which a log writes `civil`. Of a time that occurs twice, when clocks are set back, the one nearer to `last`, the
    /// instant of the record before it in its log; without one the first. A time that does not occur, when clocks are set forward, is
    /// read by the clock as it was before.
    #[must_use]
    pub fn instant(&self, civil: CivilTime, last: Option<LogTime>) -> LogTime {
        // The span of a clock that shows UTC is the right one, or one beside it: no change is within a day of another.
        let near = self.spans.partition_point(|span| span.from.0 <= civil.0) - 1;
        let nearby = near.saturating_sub(1)..(near + 2).min(self.spans.len());
        let mut found = None;
        for index in nearby.clone() {
            let instant = self.spans[index].instant(civil);
            let ends = self.spans.get(index + 1).map_or(i64::MAX, |next| next.from.0);
            if instant < self.spans[index].from || instant.0 >= ends {
                continue;
            }
            found = Some(match (found, last) {
                (Some(first), None) => first,
                (Some(first), Some(last)) if distance(first, last) <= distance(instant, last) => first,
                _ => instant,
            });
        }
        found.unwrap_or_else(|| self.before_gap(nearby, civil))
    }

    /// `civil` was skipped between two spans: the last of them that begins before it, as its own clock sees it, has a next one.
    fn before_gap(&self, nearby: std::ops::Range<usize>, civil: CivilTime) -> LogTime {
        let begun = nearby.clone().rev().find(|index| self.spans[*index].from <= self.spans[*index].instant(civil));
        self.spans[begun.unwrap_or(nearby.start)].instant(civil)
    }
}

impl Span {
    fn instant(&self, civil: CivilTime) -> LogTime {
        LogTime(civil.0.saturating_sub(self.offset_millis))
    }
}

fn distance(a: LogTime, b: LogTime) -> u64 {
    a.0.abs_diff(b.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const MINUTE: i64 = 60_000;

    #[test]
    fn a_clock_without_changes() {
        assert_eq!(Zone::utc().instant(CivilTime(7), None), LogTime(7));
        assert_eq!(Zone::new(2 * HOUR, []).instant(CivilTime(2 * HOUR), None), LogTime(0));
        assert_eq!(Zone::new(HOUR, []).instant(CivilTime(i64::MIN), None), LogTime(i64::MIN));
    }

    #[test]
    fn a_time_that_occurs_twice_is_the_one_nearer_to_the_record_before() {
        let zone = zone();
        let back = AUTUMN + HOUR;
        check(&zone, back + 30 * MINUTE, None, AUTUMN - 30 * MINUTE);
        check(&zone, back + 30 * MINUTE, Some(AUTUMN - 31 * MINUTE), AUTUMN - 30 * MINUTE);
        check(&zone, back, Some(AUTUMN - 1), AUTUMN);
        check(&zone, back + 30 * MINUTE, Some(AUTUMN + 29 * MINUTE), AUTUMN + 30 * MINUTE);
        check(&zone, back + HOUR, Some(AUTUMN), AUTUMN + HOUR);
    }

    #[test]
    fn a_time_that_does_not_occur_is_read_by_the_clock_before() {
        let zone = zone();
        check(&zone, SPRING + HOUR - 1, None, SPRING - 1);
        check(&zone, SPRING + HOUR + 30 * MINUTE, None, SPRING + 30 * MINUTE);
        check(&zone, SPRING + 2 * HOUR, None, SPRING);
    }

    #[test]
    fn no_hour_is_out_of_order_when_clocks_are_set_back() {
        let zone = zone();
        let mut last = None;
        for instant in (AUTUMN - 3 * HOUR..AUTUMN + 3 * HOUR).step_by(MINUTE as usize) {
            let offset = if instant < AUTUMN { 2 * HOUR } else { HOUR };
            last = Some(zone.instant(CivilTime(instant + offset), last));
            assert_eq!(last, Some(LogTime(instant)));
        }
    }

    /// Berlin in 2026: one hour ahead of UTC, two in summer.
    fn zone() -> Zone {
        let span = |from, hours| Span { from: LogTime(from), offset_millis: hours * HOUR };
        Zone::new(HOUR, [span(SPRING, 2), span(AUTUMN, 1)])
    }

    fn check(zone: &Zone, civil: i64, last: Option<i64>, expected: i64) {
        assert_eq!(zone.instant(CivilTime(civil), last.map(LogTime)), LogTime(expected), "{civil} after {last:?}");
    }

    /// 2026-03-29 01:00 UTC.
    const SPRING: i64 = 1_774_746_000_000;
    /// 2026-10-25 01:00 UTC.
    const AUTUMN: i64 = 1_792_890_000_000;
}
