//! Turns the tokens of an episode into the window that a model sees.

use crate::limits::WINDOW_STEPS_MAX;
use crate::pipeline::event::Token;
use crate::pipeline::profile::{FIRST_EVENT, MID, Profile, RESUMED, START};
use crate::pipeline::session::{Begin, Window};

/// Encodes episodes for one model.
///
/// Events that repeat without end in normal traffic are counted in buckets: of their occurrences only the 1st, 2nd, 4th, 8th, …
/// stay in the window, and no more of them than normal stories have. So a block that is read all day keeps a short window.
#[derive(Clone, Debug)]
pub struct Encoder {
    /// Entry `t`: buckets after which token `t` no longer counts; 0 = every occurrence counts.
    buckets_max: Vec<u8>,
}

impl Encoder {
    /// The encoder that `profile` asks for.
    #[must_use]
    pub fn new(profile: &Profile) -> Self {
        let endless = profile.vocabulary.iter().map(|entry| entry.endless_buckets_max);
        Self::from_buckets(endless)
    }

    /// An encoder from the buckets of each vocabulary entry, `None` = every occurrence counts.
    pub fn from_buckets(endless: impl IntoIterator<Item = Option<u8>>) -> Self {
        let reserved = std::iter::repeat_n(0, usize::from(FIRST_EVENT));
        let buckets_max = reserved.chain(endless.into_iter().map(|max| max.unwrap_or(0))).collect();
        Self { buckets_max }
    }

    /// Whether `token` repeats without end, so that it does not postpone quiet.
    #[must_use]
    pub fn is_endless(&self, token: Token) -> bool {
        self.bucket_limit(token) > 0
    }

    /// Whether the `occurrence`th appearance (1, 2, …) of `token` in an episode stays in the window.
    #[must_use]
    pub fn keeps(&self, token: Token, occurrence: u64) -> bool {
        let limit = self.bucket_limit(token);
        limit == 0 || fills_bucket(occurrence, limit)
    }

    /// Whether one of the appearances `before + 1 ..= upto` of `token` stays in the window.
    #[must_use]
    pub fn keeps_one_of(&self, token: Token, before: u64, upto: u64) -> bool {
        // Of an endless token the powers of two stay, and when one is past the limit all later ones are.
        let first = if self.is_endless(token) { (before + 1).next_power_of_two() } else { before + 1 };
        first <= upto && self.keeps(token, first)
    }

    /// The window of an episode, and for each step after the first the index of its event in `events`.
    ///
    /// Events past [`WINDOW_STEPS_MAX`] are left out.
    pub fn encode(&self, begin: Begin, events: impl IntoIterator<Item = Token>) -> (Window, Vec<u32>) {
        let mut tokens = vec![begin_token(begin)];
        let mut indices = Vec::new();
        let mut seen = vec![0_u64; self.buckets_max.len()];
        for (index, token) in (0_u32..).zip(events) {
            if tokens.len() == WINDOW_STEPS_MAX {
                break;
            }
            if self.is_endless(token) {
                let occurrence = &mut seen[usize::from(token.0)];
                *occurrence += 1;
                if !self.keeps(token, *occurrence) {
                    continue;
                }
            }
            tokens.push(token);
            indices.push(index);
        }
        (Window { tokens }, indices)
    }

    fn bucket_limit(&self, token: Token) -> u8 {
        self.buckets_max.get(usize::from(token.0)).copied().unwrap_or(0)
    }
}

/// Whether the `occurrence`th appearance (1, 2, …) of an event that repeats without end is one that counts, where `buckets` do.
#[must_use]
pub fn fills_bucket(occurrence: u64, buckets: u8) -> bool {
    occurrence.is_power_of_two() && occurrence.ilog2() < u32::from(buckets)
}

/// The token that stands for the beginning of an episode.
#[must_use]
pub fn begin_token(begin: Begin) -> Token {
    match begin {
        Begin::Start => START,
        Begin::Mid => MID,
        Begin::Resumed => RESUMED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_events_all_stay() {
        check(&[6, 7, 6, 6], &[2, 6, 7, 6, 6], &[0, 1, 2, 3]);
    }

    #[test]
    fn endless_events_stay_at_powers_of_two_up_to_the_buckets_of_training() {
        check(&[8; 3], &[2, 8, 8], &[0, 1]);
        check(&[8; 4], &[2, 8, 8, 8], &[0, 1, 3]);
        check(&[8; 100], &[2, 8, 8, 8], &[0, 1, 3]);
    }

    #[test]
    fn a_long_episode_keeps_its_head() {
        for (events, steps) in [(254, 255), (255, 256), (256, 256), (1000, 256)] {
            let (window, indices) = encoder().encode(Begin::Start, vec![Token(6); events]);
            assert_eq!((window.tokens.len(), indices.len()), (steps, steps - 1), "{events} events");
        }
    }

    #[test]
    fn of_several_appearances_one_may_stay() {
        let encoder = encoder();
        for (before, upto, keeps) in [(0, 1, true), (1, 1, false), (1, 2, true), (2, 3, false), (2, 9, true), (4, 99, false)] {
            assert_eq!(encoder.keeps_one_of(Token(8), before, upto), keeps, "{before}..={upto}");
            let one_by_one = (before + 1..=upto).any(|occurrence| encoder.keeps(Token(8), occurrence));
            assert_eq!(one_by_one, keeps, "{before}..={upto}");
        }
        assert!(encoder.keeps_one_of(Token(6), 4, 5) && !encoder.keeps_one_of(Token(6), 4, 4));
    }

    fn check(events: &[u16], tokens: &[u16], kept: &[u32]) {
        let (window, indices) = encoder().encode(Begin::Start, events.iter().copied().map(Token));
        assert_eq!(window.tokens, tokens.iter().copied().map(Token).collect::<Vec<_>>());
        assert_eq!(indices, kept);
    }

    fn encoder() -> Encoder {
        Encoder::from_buckets([None, None, Some(3)])
    }
}
