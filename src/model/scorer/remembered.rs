//! Remembers what windows scored: most blocks tell one of a few stories, and the same window always scores the same.

use std::collections::HashMap;

use crate::limits::REMEMBERED_WINDOWS_MAX;
use crate::pipeline::event::Token;
use crate::pipeline::session::Score;

/// Two generations: what is asked for moves to the young one; when that holds half of the bound, it becomes the old one and the
/// old one is dropped. So what is in use stays, at the cost of one insertion a generation.
///
/// The hash is the standard library's keyed one, since what a log contains decides what is stored here.
#[derive(Default)]
pub struct Remembered {
    young: HashMap<Box<[Token]>, Score>,
    old: HashMap<Box<[Token]>, Score>,
}

impl Remembered {
    /// What this window scored, when it is still known.
    pub fn get(&mut self, window: &[Token]) -> Option<&Score> {
        if let Some((window, score)) = self.old.remove_entry(window) {
            self.store(window, score);
        }
        self.young.get(window)
    }

    /// Remembers what a window scored.
    pub fn insert(&mut self, window: &[Token], score: Score) {
        self.store(window.into(), score);
    }

    /// Windows remembered now, at most [`REMEMBERED_WINDOWS_MAX`].
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn store(&mut self, window: Box<[Token]>, score: Score) {
        if self.young.len() == GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(window, score);
    }
}

const GENERATION_MAX: usize = REMEMBERED_WINDOWS_MAX / 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_no_more_than_the_bound() {
        for count in [GENERATION_MAX - 1, GENERATION_MAX, GENERATION_MAX + 1, REMEMBERED_WINDOWS_MAX, 3 * REMEMBERED_WINDOWS_MAX]
        {
            let remembered = filled(count);
            assert!(remembered.len() <= REMEMBERED_WINDOWS_MAX.min(count));
            assert!(remembered.len() >= GENERATION_MAX.min(count));
        }
    }

    #[test]
    fn keeps_what_is_asked_for_and_drops_what_is_not() {
        let mut remembered = Remembered::default();
        (0..4 * REMEMBERED_WINDOWS_MAX).for_each(|number| {
            remembered.insert(&window(number), score(number));
            assert_eq!(remembered.get(&window(0)), Some(&score(0)), "after {number}");
        });
        assert_eq!(remembered.get(&window(1)), None);
    }

    fn filled(count: usize) -> Remembered {
        let mut remembered = Remembered::default();
        (0..count).for_each(|number| remembered.insert(&window(number), score(number)));
        remembered
    }

    fn window(number: usize) -> Vec<Token> {
        vec![Token((number >> 16) as u16), Token(number as u16)]
    }

    fn score(number: usize) -> Score {
        Score { score: number as f32, distance: 0.0, token_error: vec![] }
    }
}
