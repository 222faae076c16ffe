//! A number a word: tells templates apart that are not similar, without a look at their words.
//!
//! A leaf can hold hundreds of templates when a log has no end of different messages. Different numbers are different words; equal
//! ones need not be equal words, so that a sketch says how similar two can be at most, and the words decide.

use std::hash::Hasher;

use rustc_hash::FxHasher;

use crate::pipeline::event::template::drain::Rank;
use crate::pipeline::event::template::words::{WILDCARD, Words};

/// The number of the wildcard, and of no word.
const WILDCARD_NUMBER: u32 = 0;

/// The numbers of the words of a template or of a message.
#[derive(Clone, Debug, Default)]
pub struct Sketch(Vec<u32>);

impl Sketch {
    /// The sketch of `words`.
    pub fn new(words: &Words) -> Self {
        let mut sketch = Self(Vec::with_capacity(words.len()));
        sketch.set(words);
        sketch
    }

    /// Becomes that of `words`.
    pub fn set(&mut self, words: &Words) {
        self.0.clear();
        self.0.extend(words.iter().map(number));
    }

    /// The rank of the template of `own` for this message, or a better one. Both have the same number of words.
    pub fn rank_at_most(&self, own: &Self) -> Rank {
        let mut rank = Rank { equal: 0, wildcards: 0, identical: 0 };
        for (own, word) in own.0.iter().zip(&self.0) {
            let wildcard = *own == WILDCARD_NUMBER;
            rank.wildcards += usize::from(wildcard);
            rank.equal += usize::from(!wildcard & (own == word));
            rank.identical += usize::from(own == word);
        }
        rank
    }
}

fn number(word: &[u8]) -> u32 {
    if word == WILDCARD {
        return WILDCARD_NUMBER;
    }
    let mut hasher = FxHasher::default();
    hasher.write(word);
    (hasher.finish() as u32).max(WILDCARD_NUMBER + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sketch_ranks_as_the_words_do() {
        for (own, message) in [
            ("", ""),
            ("open a now", "open a now"),
            ("open <*> now", "open a then"),
            ("<*> <*> <*>", "open <*> now"),
            ("open a now", "<*> b <*>"),
        ] {
            let (own, words) = (Words::from(own.as_bytes()), Words::from(message.as_bytes()));
            assert_eq!(Sketch::new(&words).rank_at_most(&Sketch::new(&own)), Rank::new(&own, &words), "{own:?} {message}");
        }
    }

    #[test]
    fn words_of_one_number_are_still_two_words() {
        let (a, b) = two_words_of_one_number();
        let (own, words) = (Words::from(a.as_bytes()), Words::from(b.as_bytes()));
        assert!(Sketch::new(&words).rank_at_most(&Sketch::new(&own)) > Rank::new(&own, &words));
        assert!(!own.covers(&words));
    }

    /// Found by trying: about 2^16 words of 32 bits are enough.
    fn two_words_of_one_number() -> (String, String) {
        let mut seen = std::collections::BTreeMap::new();
        (0_u64..)
            .map(|n| format!("w{}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .find_map(|word| seen.insert(number(word.as_bytes()), word.clone()).map(|before| (before, word)))
            .expect("there are more words than numbers")
    }
}
