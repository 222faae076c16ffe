//! Alerts that could not be written down: one of them finds out whether it works again, then the others follow.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use crate::daemon::outage::Outage;
use crate::limits::{OUTBOX_ALERTS_MAX, TELLER_ERRANDS_MAX};
use crate::pipeline::verdict::AlertId;

/// What was tried in vain. It is all in the outbox as well, so nothing of it has to be kept.
#[derive(Debug, Default)]
pub struct Unwritten {
    /// In the order in which they failed; at [`OUTBOX_ALERTS_MAX`] the first is forgotten, which the outbox has dropped.
    waiting: VecDeque<AlertId>,
    /// Those that are tried again just now; at most [`TELLER_ERRANDS_MAX`].
    trying: BTreeSet<AlertId>,
    outage: Outage,
}

impl Unwritten {
    /// The alert could not be written down. New alerts do not put off the next try.
    pub fn handle_failure(&mut self, id: AlertId, now: Instant) {
        let was_retried = self.trying.remove(&id);
        if was_retried || !self.outage.is_on() {
            self.outage.handle_failure(now);
        }
        if self.waiting.len() >= OUTBOX_ALERTS_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back(id);
    }

    /// An alert was written down: so can the others be.
    pub fn handle_success(&mut self, id: AlertId, now: Instant) {
        self.trying.remove(&id);
        self.outage.handle_success(now);
    }

    /// The next one to be tried again, if it is time. While it does not work that is one at a time. Whoever takes it says what came of it,
    /// or that there is [`Unwritten::no_such`] alert.
    pub fn take_due(&mut self, now: Instant) -> Option<AlertId> {
        let is_due = match self.outage.retry_at() {
            Some(retry_at) => now >= retry_at && self.trying.is_empty(),
            None => self.trying.len() < TELLER_ERRANDS_MAX,
        };
        let id = if is_due { self.waiting.pop_front()? } else { return None };
        self.trying.insert(id);
        Some(id)
    }

    /// The alert is not in the outbox any more.
    pub fn no_such(&mut self, id: AlertId) {
        self.trying.remove(&id);
    }

    /// When [`Unwritten::take_due`] has something by itself; `None` when it waits for an answer, or for nothing.
    #[must_use]
    pub fn due_at(&self) -> Option<Instant> {
        let is_waiting = !self.waiting.is_empty() && self.trying.is_empty();
        self.outage.retry_at().filter(|_| is_waiting)
    }

    /// Alerts that wait for another try.
    #[must_use]
    pub fn count(&self) -> usize {
        self.waiting.len()
    }

    /// Whether alerts wait because the last try failed.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.outage.is_on() && !(self.waiting.is_empty() && self.trying.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_alert_finds_out_and_the_others_follow() {
        let (mut unwritten, now) = (failed(200), Instant::now());
        let due = unwritten.due_at().expect("there is a next try");
        assert_eq!(unwritten.take_due(due - Duration::from_millis(1)), None, "not before its time");
        assert_eq!((unwritten.take_due(due), unwritten.take_due(due)), (Some(AlertId(0)), None));
        unwritten.handle_failure(AlertId(0), due);
        let later = unwritten.due_at().expect("there is a next try");
        assert!(later - due >= Duration::from_secs(2), "it takes longer each time");
        assert_eq!(unwritten.take_due(later), Some(AlertId(1)));
        unwritten.handle_success(AlertId(1), later);
        let followed = std::iter::from_fn(|| unwritten.take_due(now)).count();
        assert_eq!((followed, unwritten.count()), (TELLER_ERRANDS_MAX, 199 - TELLER_ERRANDS_MAX));
        unwritten.handle_success(AlertId(2), later);
        assert!(unwritten.take_due(now).is_some(), "as one is done with, the next follows");
    }

    #[test]
    fn new_alerts_that_fail_do_not_put_the_next_try_off() {
        let mut unwritten = failed(1);
        let due = unwritten.due_at();
        unwritten.handle_failure(AlertId(7), Instant::now() + Duration::from_secs(1));
        assert_eq!((unwritten.due_at(), unwritten.count()), (due, 2));
    }

    #[test]
    fn one_that_the_outbox_has_dropped_holds_up_nothing() {
        let mut unwritten = failed(2);
        let due = unwritten.due_at().expect("there is a next try");
        let first = unwritten.take_due(due).expect("one is due");
        unwritten.no_such(first);
        assert_eq!(unwritten.take_due(due), Some(AlertId(1)));
    }

    #[test]
    fn they_have_a_bound() {
        for (alerts, waiting) in [
            (OUTBOX_ALERTS_MAX - 1, OUTBOX_ALERTS_MAX - 1),
            (OUTBOX_ALERTS_MAX, OUTBOX_ALERTS_MAX),
            (OUTBOX_ALERTS_MAX + 1, OUTBOX_ALERTS_MAX),
        ] {
            assert_eq!(failed(alerts as u128).count(), waiting);
        }
    }

    fn failed(alerts: u128) -> Unwritten {
        let (mut unwritten, now) = (Unwritten::default(), Instant::now());
        (0..alerts).for_each(|id| unwritten.handle_failure(AlertId(id), now));
        unwritten
    }
}
