//! Which share of the events of the last episodes is unknown to the model.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::limits::DOMAIN_EPISODES_MAX;

/// Events of the last [`DOMAIN_EPISODES_MAX`] episodes. Each episode counts its events, but not the endless ones: one hot block must
/// not speak for all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// Episodes numbered so far.
    begun: u64,
    /// The last of them, oldest first.
    episodes: VecDeque<Counts>,
    sum: Counts,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Counts {
    events: u32,
    unknown: u32,
}

impl Traffic {
    /// Numbers an episode. The oldest is forgotten at the bound.
    pub fn begin(&mut self) -> u64 {
        self.episodes.push_back(Counts::default());
        if self.episodes.len() > DOMAIN_EPISODES_MAX
            && let Some(oldest) = self.episodes.pop_front()
        {
            self.sum.events -= oldest.events;
            self.sum.unknown -= oldest.unknown;
        }
        self.begun += 1;
        self.begun - 1
    }

    /// Counts an event of an episode, if that is among the last ones.
    pub fn count(&mut self, episode: u64, unknown: bool) {
        let oldest = self.begun - self.episodes.len() as u64;
        let own = episode.checked_sub(oldest).and_then(|index| self.episodes.get_mut(index as usize));
        for counts in own.into_iter().chain([&mut self.sum].into_iter().filter(|_| episode >= oldest)) {
            counts.events += 1;
            counts.unknown += u32::from(unknown);
        }
    }

    /// Number of the newest episode.
    pub fn newest(&self) -> u64 {
        self.begun.saturating_sub(1)
    }

    /// Share of the events that is unknown, 0..=1; 0 before the first.
    pub fn share(&self) -> f64 {
        f64::from(self.sum.unknown) / f64::from(self.sum.events.max(1))
    }

    /// Whether enough was seen to say anything of the share. A screen of blocks with a few events each: a model that knows nothing must
    /// not tell of every block until a thousand are there, and that half of so many events is unknown and calm is no fault of blocks.
    pub fn is_telling(&self) -> bool {
        self.episodes.len() >= EPISODES_MIN && self.sum.events >= EVENTS_MIN
    }

    /// Forgets the shares and goes on numbering.
    pub fn clear(&mut self) {
        self.episodes.clear();
        self.sum = Counts::default();
    }
}

/// Episodes without which the share says nothing. As many as the blocks that make a template neutral by default.
const EPISODES_MIN: usize = 20;

/// Events likewise: five an episode, about the number until a write is complete.
const EVENTS_MIN: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_that_of_the_last_episodes() {
        let limit = DOMAIN_EPISODES_MAX as u64;
        for (before, expected) in [(limit - 1, 1.0 / limit as f64), (limit, 0.0), (limit + 1, 0.0)] {
            let mut traffic = Traffic::default();
            let unknown = traffic.begin();
            traffic.count(unknown, true);
            for _ in 0..before {
                let known = traffic.begin();
                traffic.count(known, false);
            }
            traffic.count(unknown, true);
            let late = if before < limit { 2.0 / (limit + 1) as f64 } else { expected };
            assert!((traffic.share() - late).abs() < 1e-9, "{before} episodes later: {}", traffic.share());
        }
    }

    #[test]
    fn too_little_tells_nothing() {
        for (episodes, events, telling) in [(19, 200, false), (20, 99, false), (20, 100, true)] {
            let mut traffic = Traffic::default();
            let numbers: Vec<u64> = (0..episodes).map(|_| traffic.begin()).collect();
            (0..events).for_each(|event| traffic.count(numbers[event % numbers.len()], true));
            assert_eq!(traffic.is_telling(), telling, "{episodes} episodes with {events} events");
        }
    }
}
