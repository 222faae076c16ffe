//! Something that fails for a while: when to try it again, and when to say so.

use std::time::{Duration, Instant};

use crate::limits::{RETRY_SECONDS_FIRST, RETRY_SECONDS_MAX};

/// How it stands with something that is tried again until it works.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outage {
    failing: Option<Failing>,
}

#[derive(Clone, Copy, Debug)]
struct Failing {
    since: Instant,
    failures: u32,
    warned_at: Instant,
    retry_at: Instant,
}

impl Outage {
    /// It has failed, and is to be tried again after a second, two, four and so on, at most [`RETRY_SECONDS_MAX`]. True when people are to
    /// be warned: at the beginning, and once an hour while it lasts.
    pub fn handle_failure(&mut self, now: Instant) -> bool {
        let failing = self.failing.get_or_insert(Failing { since: now, failures: 0, warned_at: now, retry_at: now });
        let is_news = failing.failures == 0 || now.saturating_duration_since(failing.warned_at) >= WARN_INTERVAL;
        if is_news {
            failing.warned_at = now;
        }
        failing.retry_at = now + delay(failing.failures);
        failing.failures = failing.failures.saturating_add(1);
        is_news
    }

    /// It has worked: for how long it had not, if it had not.
    pub fn handle_success(&mut self, now: Instant) -> Option<Duration> {
        self.failing.take().map(|failing| now.saturating_duration_since(failing.since))
    }

    /// Whether it failed at the last try.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.failing.is_some()
    }

    /// For how long it has failed; zero when it works.
    #[must_use]
    pub fn lasted(&self, now: Instant) -> Duration {
        self.failing.map_or(Duration::ZERO, |failing| now.saturating_duration_since(failing.since))
    }

    /// When it is to be tried again; `None` when it works.
    #[must_use]
    pub fn retry_at(&self) -> Option<Instant> {
        self.failing.map(|failing| failing.retry_at)
    }
}

fn delay(failures: u32) -> Duration {
    Duration::from_secs(RETRY_SECONDS_FIRST.saturating_mul(1_u64 << failures.min(16)).min(RETRY_SECONDS_MAX))
}

/// The same thing is not warned of more often.
pub const WARN_INTERVAL: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_tried_again_after_ever_longer_up_to_the_bound() {
        let (mut outage, begun) = (Outage::default(), Instant::now());
        let mut now = begun;
        let mut delays = Vec::new();
        for _ in 0..9 {
            outage.handle_failure(now);
            let retry_at = outage.retry_at().expect("it fails");
            delays.push(retry_at.duration_since(now).as_secs());
            now = retry_at;
        }
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60, RETRY_SECONDS_MAX]);
        assert_eq!(outage.lasted(now), now - begun);
    }

    #[test]
    fn it_is_warned_of_at_its_beginning_and_hourly() {
        let (mut outage, begun) = (Outage::default(), Instant::now());
        let warned: Vec<u64> =
            (0..=7500).step_by(60).filter(|second| outage.handle_failure(begun + Duration::from_secs(*second))).collect();
        assert_eq!(warned, [0, 3600, 7200]);
        assert_eq!(outage.handle_success(begun + Duration::from_secs(7560)), Some(Duration::from_secs(7560)));
        assert_eq!((outage.handle_success(begun), outage.is_on(), outage.retry_at()), (None, false, None));
        assert!(outage.handle_failure(begun + Duration::from_secs(7600)), "another one is news");
    }
}
