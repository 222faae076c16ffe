//! What became of ids that are no template's any more: the text that they stood for, and the id that took their place.

use std::collections::VecDeque;

use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};

use crate::pipeline::event::TemplateId;
use crate::pipeline::event::template::words::Words;

/// Former ids, the oldest dropped at a bound.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Kept", into = "Kept")]
pub struct Retired {
    max: usize,
    order: VecDeque<TemplateId>,
    former: HashMap<TemplateId, Former, FxBuildHasher>,
    forgotten: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Former {
    words: Words,
    newer: Option<TemplateId>,
}

/// [`Retired`] in a checkpoint: the oldest first.
#[derive(Serialize, Deserialize)]
struct Kept {
    former: Vec<(TemplateId, Former)>,
    forgotten: u64,
}

impl Retired {
    /// None yet, and never more than `max`.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max, ..Self::default() }
    }

    /// The same under another bound.
    #[must_use]
    pub fn bounded(mut self, max: usize) -> Self {
        self.max = max;
        self.forget();
        self
    }

    /// Keeps what an id stood for, and what took its place: nothing when it was dropped.
    pub fn add(&mut self, id: TemplateId, words: Words, newer: Option<TemplateId>) {
        if self.former.insert(id, Former { words, newer }).is_none() {
            self.order.push_back(id);
        }
        self.forget();
    }

    /// The words that a former id stood for.
    #[must_use]
    pub fn words(&self, id: TemplateId) -> Option<&Words> {
        Some(&self.former.get(&id)?.words)
    }

    /// What took the place of an id, and of that one, and so on to the last.
    #[must_use]
    pub fn newest(&self, id: TemplateId) -> TemplateId {
        let newer = |id: &TemplateId| self.former.get(id)?.newer;
        // No chain is longer than what is kept; a damaged one could be round.
        std::iter::successors(Some(id), newer).take(self.former.len() + 1).last().unwrap_or(id)
    }

    /// How many are kept.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// How many were dropped at the bound.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn forget(&mut self) {
        while self.order.len() > self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.former.remove(&oldest);
            self.forgotten += 1;
        }
    }
}

impl From<Kept> for Retired {
    fn from(Kept { former, forgotten }: Kept) -> Self {
        let order = former.iter().map(|(id, _)| *id).collect();
        Self { max: former.len(), order, former: former.into_iter().collect(), forgotten }
    }
}

impl From<Retired> for Kept {
    fn from(Retired { order, mut former, forgotten, .. }: Retired) -> Self {
        let former = order.into_iter().filter_map(|id| Some((id, former.remove(&id)?))).collect();
        Self { former, forgotten }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_at_the_bound() {
        for (count, kept, forgotten) in [(2, 2, 0), (3, 3, 0), (4, 3, 1)] {
            let retired = chain(3, count);
            assert_eq!((0..count).filter(|id| retired.words(TemplateId(*id)).is_some()).count(), kept);
            assert_eq!(retired.forgotten(), forgotten);
        }
    }

    #[test]
    fn the_newest_is_found_through_all_that_came_between() {
        let retired = chain(10, 4);
        for id in 0..5 {
            assert_eq!(retired.newest(TemplateId(id)), TemplateId(4));
        }
        assert_eq!(retired.newest(TemplateId(9)), TemplateId(9));
        let mut round = chain(10, 2);
        round.add(TemplateId(2), Words::default(), Some(TemplateId(0)));
        assert!(round.newest(TemplateId(0)).0 <= 2);
    }

    #[test]
    fn it_survives_a_checkpoint() {
        let retired = chain(3, 5);
        let bytes = postcard::to_stdvec(&retired).expect("it can be written");
        let read: Retired = postcard::from_bytes(&bytes).expect("it can be read");
        assert_eq!(read.bounded(3), retired);
    }

    /// Each id is replaced by the next.
    fn chain(max: usize, count: u32) -> Retired {
        let mut retired = Retired::new(max);
        for id in 0..count {
            retired.add(TemplateId(id), format!("text {id}").as_bytes().into(), Some(TemplateId(id + 1)));
        }
        retired
    }
}
