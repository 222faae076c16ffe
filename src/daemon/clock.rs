//! The only place that asks what time it is, and what a zone's clocks show.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use crate::pipeline::event::zone::{Span, Zone};
use crate::pipeline::event::{LogTime, WallTime};

/// What this host's clock says now. It may be set, forward or back.
#[must_use]
pub fn now() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A clock for waits: it starts at the time of this host and then only counts what has passed while somebody looked at it, whatever the
/// host's clock is set to and however long the process or the machine stood still.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    at: WallTime,
    looked: Instant,
}

impl Stopwatch {
    /// Starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { at: now(), looked: Instant::now() }
    }

    /// The time at the last look. What happens between two looks has one time, so that a pause in between is not taken for silence.
    #[must_use]
    pub fn now(&self) -> WallTime {
        self.at
    }

    /// Counts what has passed since the last look, at most `PASSES_AT_ONCE_MAX`: whoever looks more often and finds more was stopped.
    pub fn look(&mut self) -> WallTime {
        self.look_at(Instant::now())
    }

    fn look_at(&mut self, instant: Instant) -> WallTime {
        let passed = instant.saturating_duration_since(self.looked);
        let millis = i64::try_from(passed.min(PASSES_AT_ONCE_MAX).as_millis()).unwrap_or(i64::MAX);
        self.at = self.at.plus_millis(millis);
        // What is less than a millisecond counts at the next look.
        self.looked = if passed > PASSES_AT_ONCE_MAX { instant } else { self.looked + Duration::from_millis(millis as u64) };
        self.at
    }
}

/// What the clocks of `zone` show from 1970 to 2100, as the pipeline takes it. Rules of later years are those of the last one known.
#[must_use]
pub fn zone(zone: &TimeZone) -> Zone {
    let first = zone.to_offset(Timestamp::UNIX_EPOCH);
    let changes = zone.following(Timestamp::UNIX_EPOCH).take_while(|change| change.timestamp() < END);
    let span = |from: Timestamp, offset: Offset| Span {
        from: LogTime(from.as_millisecond()),
        offset_millis: i64::from(offset.seconds()) * 1000,
    };
    Zone::new(span(Timestamp::UNIX_EPOCH, first).offset_millis, changes.map(|change| span(change.timestamp(), change.offset())))
}

/// Twice the time after which the loop turns at the latest.
const PASSES_AT_ONCE_MAX: Duration = Duration::from_secs(2);

/// 2100-01-01 00:00:00 UTC; the two digits of the older layouts end there too.
const END: Timestamp = Timestamp::constant(4_102_444_800, 0);

#[cfg(test)]
mod tests {
    use jiff::civil::DateTime;
    use jiff::{SignedDuration, ToSpan};

    use super::*;
    use crate::pipeline::event::CivilTime;

    #[test]
    fn instants_are_those_of_the_calendar_through_all_changes_of_clocks() {
        for name in ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"] {
            let calendar = TimeZone::get(name).expect("the zone is known");
            let zone = zone(&calendar);
            let mut civil: DateTime = "2007-01-01 00:00".parse().expect("a date");
            while civil.year() < 2031 {
                let time = CivilTime(civil.duration_since(EPOCH).as_millis() as i64);
                let expected = calendar.to_ambiguous_timestamp(civil).compatible().expect("in range");
                assert_eq!(zone.instant(time, None).0, expected.as_millisecond(), "{civil} in {name}");
                civil = civil.saturating_add(17.minutes());
            }
        }
    }

    #[test]
    fn a_time_that_occurs_twice_follows_the_record_before() {
        let calendar = TimeZone::get("Europe/Berlin").expect("the zone is known");
        let (zone, change) = (zone(&calendar), "2026-10-25T01:00:00Z".parse::<Timestamp>().expect("an instant"));
        let mut last = None;
        for minutes in -300..300 {
            let instant = change + SignedDuration::from_mins(minutes);
            let civil = CivilTime(calendar.to_datetime(instant).duration_since(EPOCH).as_millis() as i64);
            last = Some(zone.instant(civil, last));
            assert_eq!(last, Some(LogTime(instant.as_millisecond())), "{minutes} minutes after the change");
        }
    }

    #[test]
    fn a_pause_is_not_counted_and_nothing_else_is_lost() {
        let mut clock = Stopwatch::start();
        let (begun, mut instant) = (clock.now(), clock.looked);
        let pass = |clock: &mut Stopwatch, instant: &mut Instant, micros: u64| {
            *instant += Duration::from_micros(micros);
            clock.look_at(*instant).millis_since(begun)
        };
        let looks: Vec<i64> = (0..10).map(|_| pass(&mut clock, &mut instant, 700)).collect();
        assert_eq!(looks, [0, 1, 2, 2, 3, 4, 4, 5, 6, 7]);
        assert_eq!(pass(&mut clock, &mut instant, 1_000_000), 1007, "a turn of the loop");
        assert_eq!(pass(&mut clock, &mut instant, 3_600_000_000), 3007, "an hour in which the process was stopped");
        assert_eq!(pass(&mut clock, &mut instant, 500_000), 3507);
        assert_eq!(clock.look_at(instant).millis_since(begun), 3507, "nothing has passed");
    }

    /// 1970-01-01 00:00:00, whatever the zone.
    const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
}
