//! Tries a model on windows that no cluster sends but some day will, beyond what loading checks.

use super::Scorer;
use crate::limits::WINDOW_STEPS_MAX;
use crate::pipeline::event::Token;
use crate::pipeline::profile::{FIRST_EVENT, MID, RESUMED, START, UNKNOWN};

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// What was tried.
    pub name: &'static str,
    /// What went wrong, if anything did.
    pub fault: Option<String>,
}

impl Scorer {
    /// Tries odd windows, and whether padding and batch mates leave a score alone, bit for bit.
    pub fn try_out(&mut self) -> Vec<Trial> {
        let odd = self.odd_windows();
        let mut trials: Vec<Trial> = odd.iter().map(|(name, window)| Trial { name, fault: self.window_fault(window) }).collect();
        let windows: Vec<&[Token]> = odd.iter().map(|(_, window)| window.as_slice()).collect();
        trials.push(Trial { name: "a padded batch scores as its windows do alone", fault: self.padding_fault(&windows) });
        trials
    }

    fn odd_windows(&self) -> [(&'static str, Vec<Token>); 5] {
        let events = self.tokens() - usize::from(FIRST_EVENT);
        let event = |step: usize| Token(FIRST_EVENT + (step % events) as u16);
        let with_begin = |begin: Token, steps: usize, event: &dyn Fn(usize) -> Token| -> Vec<Token> {
            std::iter::once(begin).chain((0..steps - 1).map(event)).collect()
        };
        [
            ("finite on a window of one step", vec![MID]),
            ("finite on a window of two steps", with_begin(START, 2, &event)),
            ("finite on an episode resumed", with_begin(RESUMED, 9, &event)),
            ("finite on the longest window", with_begin(START, WINDOW_STEPS_MAX, &event)),
            ("finite on unknown events only", with_begin(START, WINDOW_STEPS_MAX / 2, &|_| UNKNOWN)),
        ]
    }

    fn window_fault(&mut self, window: &[Token]) -> Option<String> {
        self.infer_padded(&[window], window.len()).remove(0).err().map(|error| error.to_string())
    }

    fn padding_fault(&mut self, windows: &[&[Token]]) -> Option<String> {
        let together = self.infer_padded(windows, WINDOW_STEPS_MAX);
        windows.iter().zip(together).find_map(|(window, padded)| {
            let alone = self.infer_padded(&[window], window.len()).remove(0);
            (alone != padded).then(|| format!("window of {} steps: {alone:?} alone, {padded:?} in a batch", window.len()))
        })
    }
}
