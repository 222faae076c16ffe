//! When the demo puts which fault in, and when it ends.

use std::time::Duration;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::cli::demo::fault::FaultKind;

/// A quiet beginning, faults every few seconds, and a closing time without any, in which the last ones can be found.
///
/// All times are wall time since the demo began.
pub struct Schedule {
    rng: ChaCha8Rng,
    round: Vec<FaultKind>,
    next_fault: Duration,
    end: Option<Duration>,
}

impl Schedule {
    /// A demo of this length; without one it goes on until [`Schedule::close`].
    pub fn new(seed: u64, length: Option<Duration>) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), round: Vec::new(), next_fault: OPENING, end: length }
    }

    /// The fault that is due, if one is.
    pub fn poll_fault(&mut self, elapsed: Duration) -> Option<FaultKind> {
        if self.is_closing(elapsed) || elapsed < self.next_fault {
            return None;
        }
        self.next_fault = elapsed + Duration::from_millis(self.rng.random_range(FAULT_GAP_MILLIS));
        Some(self.draw())
    }

    /// Begins the closing time now, unless it has begun.
    pub fn close(&mut self, elapsed: Duration) {
        if !self.is_closing(elapsed) {
            self.end = Some(elapsed + CLOSING);
        }
    }

    /// Whether no more faults come.
    pub fn is_closing(&self, elapsed: Duration) -> bool {
        self.end.is_some_and(|end| elapsed + CLOSING >= end)
    }

    /// Whether the demo has ended.
    pub fn is_over(&self, elapsed: Duration) -> bool {
        self.end.is_some_and(|end| elapsed >= end)
    }

    /// Every kind once a round, each round in an order of its own.
    fn draw(&mut self) -> FaultKind {
        if self.round.is_empty() {
            self.round = FaultKind::ALL.to_vec();
            self.round.shuffle(&mut self.rng);
        }
        self.round.pop().expect("a round was just filled")
    }
}

/// How long the daemon may take to start before the first fault.
const OPENING: Duration = Duration::from_secs(6);

/// A fault lasts for 170 s of log time at most, then the block must be quiet for 300 s: 23.5 s at twenty-fold speed. The rest is for the
/// merge of the logs and for scoring.
pub const CLOSING: Duration = Duration::from_secs(27);

/// The shortest demo that has room for a round of faults.
pub const SECONDS_MIN: u64 = 50;

const FAULT_GAP_MILLIS: std::ops::Range<u64> = 2_000..4_000;

const _: () = assert!(SECONDS_MIN * 1_000 >= (OPENING.as_secs() + CLOSING.as_secs()) * 1_000 + 4 * FAULT_GAP_MILLIS.end);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_evenly_and_only_in_the_middle() {
        let faults = play(&mut Schedule::new(1, Some(Duration::from_secs(120))));
        assert!(faults.iter().all(|(at, _)| (6_000..93_000).contains(at)), "{faults:?}");
        for kind in FaultKind::ALL {
            let share = faults.iter().filter(|(_, other)| *other == kind).count() * FaultKind::ALL.len();
            assert!(share.abs_diff(faults.len()) <= FaultKind::ALL.len(), "{kind:?} in {faults:?}");
        }
    }

    #[test]
    fn the_shortest_demo_has_every_kind_of_fault() {
        for seed in 0..50 {
            let faults = play(&mut Schedule::new(seed, Some(Duration::from_secs(SECONDS_MIN))));
            assert!(faults.len() >= FaultKind::ALL.len(), "seed {seed}: {faults:?}");
        }
    }

    #[test]
    fn closing_leaves_time_for_what_was_put_in_last() {
        let second = Duration::from_secs(1);
        let mut schedule = Schedule::new(1, None);
        assert!(!schedule.is_closing(1_000 * second));
        schedule.close(1_000 * second);
        schedule.close(1_005 * second);
        assert!(schedule.is_closing(1_000 * second) && schedule.poll_fault(1_010 * second).is_none());
        assert!(!schedule.is_over(1_026 * second) && schedule.is_over(1_027 * second));
    }

    fn play(schedule: &mut Schedule) -> Vec<(u64, FaultKind)> {
        let ticks = (0..200_000).step_by(50).take_while(|millis| *millis < 200_000);
        ticks.filter_map(|millis| Some((millis, schedule.poll_fault(Duration::from_millis(millis))?))).collect()
    }
}
