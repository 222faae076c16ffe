//! The only place that asks what time it is, and the bridge between log time and instants.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::pipeline::event::{LogTime, WallTime};

/// What this host's clock says now. It may be set, forward or back.
#[must_use]
pub fn now() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A clock for waits: it starts at the time of this host and then only counts what has passed, whatever that is set to.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    begun: Instant,
    at: WallTime,
}

impl Stopwatch {
    /// Starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { begun: Instant::now(), at: now() }
    }

    /// The time at the start and what has passed since.
    #[must_use]
    pub fn now(&self) -> WallTime {
        self.at.plus_millis(i64::try_from(self.begun.elapsed().as_millis()).unwrap_or(i64::MAX))
    }
}

/// What a log in `zone` writes at this instant.
#[must_use]
pub fn log_time(at: WallTime, zone: &TimeZone) -> LogTime {
    let instant = Timestamp::from_millisecond(at.0).unwrap_or(Timestamp::MAX);
    let civil = zone.to_datetime(instant);
    LogTime(civil.duration_since(EPOCH).as_millis() as i64)
}

/// The instant at which a log in `zone` writes this. Of a time that occurs twice in autumn, the first; of one that does not occur in
/// spring, the one an hour later.
#[must_use]
pub fn instant(time: LogTime, zone: &TimeZone) -> WallTime {
    let civil = EPOCH.saturating_add(SignedDuration::from_millis(time.0));
    WallTime(zone.to_ambiguous_timestamp(civil).compatible().map_or(i64::MAX, Timestamp::as_millisecond))
}

/// 1970-01-01 00:00:00, whatever the zone.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_time_and_instants_go_into_each_other() {
        for (zone, log, wall) in
            [("UTC", 1_226_262_918_000, 1_226_262_918_000), ("Europe/Berlin", 1_226_262_918_000, 1_226_259_318_000)]
        {
            let zone = TimeZone::get(zone).expect("the zone is known");
            assert_eq!(instant(LogTime(log), &zone), WallTime(wall));
            assert_eq!(log_time(WallTime(wall), &zone), LogTime(log));
        }
    }
}
