//! The last scores, and where the bulk of some numbers lies.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// The last scores, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ring {
    scores: VecDeque<f32>,
    pushed: u64,
}

impl Ring {
    /// Adds a score; beyond `max` of them the oldest leaves.
    pub fn push(&mut self, score: f32, max: usize) {
        self.scores.push_back(score);
        self.pushed += 1;
        self.shorten(max);
    }

    /// Lets the oldest go until there are `max` at most.
    pub fn shorten(&mut self, max: usize) {
        let surplus = self.scores.len().saturating_sub(max);
        self.scores.drain(..surplus);
    }

    /// Scores that are there.
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    /// Scores that ever were.
    pub fn pushed(&self) -> u64 {
        self.pushed
    }

    /// They, oldest first.
    pub fn scores(&self) -> impl Iterator<Item = f32> {
        self.scores.iter().copied()
    }

    /// Share of them that `value` is not below; 0 of none.
    pub fn share_below(&self, value: f64) -> f64 {
        share_below(&self.scores, value)
    }
}

/// Share of scores that `value` is not below; 0 of none.
pub fn share_below<'a>(scores: impl IntoIterator<Item = &'a f32>, value: f64) -> f64 {
    let (mut all, mut below) = (0_u32, 0_u32);
    for score in scores {
        all += 1;
        below += u32::from(f64::from(*score) <= value);
    }
    f64::from(below) / f64::from(all.max(1))
}

/// Where the bulk of some numbers lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The middle one; the upper of two.
    pub median: f64,
    /// Median of how far they are from it, >= 0.
    pub deviation: f64,
}

impl Spread {
    /// Of numbers, none of which is NaN; 0 of none.
    pub fn of(mut numbers: Vec<f64>) -> Self {
        let median = middle(&mut numbers);
        let mut apart: Vec<f64> = numbers.iter().map(|number| (number - median).abs()).collect();
        Self { median, deviation: middle(&mut apart) }
    }
}

fn middle(numbers: &mut [f64]) -> f64 {
    if numbers.is_empty() {
        return 0.0;
    }
    let half = numbers.len() / 2;
    *numbers.select_nth_unstable_by(half, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bulk_is_where_half_of_the_numbers_lie_whatever_the_others_are() {
        for (numbers, median, deviation) in [
            (&[][..], 0.0, 0.0),
            (&[3.0], 3.0, 0.0),
            (&[1.0, 2.0, 3.0, 4.0, 5.0], 3.0, 1.0),
            (&[1.0, 2.0, 3.0, 1e300, 1e300], 3.0, 2.0),
            (&[7.0, 7.0, 7.0, 9.0], 7.0, 0.0),
        ] {
            assert_eq!(Spread::of(numbers.to_vec()), Spread { median, deviation }, "{numbers:?}");
        }
    }

    #[test]
    fn the_oldest_score_leaves_at_the_bound() {
        let mut ring = Ring::default();
        for (score, len) in [(1.0, 1), (2.0, 2), (3.0, 3), (4.0, 3)] {
            ring.push(score, 3);
            assert_eq!(ring.len(), len);
        }
        assert_eq!((ring.scores().collect::<Vec<_>>(), ring.pushed()), (vec![2.0, 3.0, 4.0], 4));
        assert_eq!([1.0, 2.0, 3.9, 9.0].map(|value| (3.0 * ring.share_below(value)).round()), [0.0, 1.0, 2.0, 3.0]);
    }
}
