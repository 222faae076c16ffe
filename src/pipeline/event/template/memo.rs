//! Remembers what messages came to, so that the same masked text is looked up once for as long as no template changes.

use std::hash::Hasher;

use rustc_hash::FxHasher;

use crate::limits::{MEMO_TEXT_BYTES_MAX, MEMO_TEXTS_MAX};
use crate::pipeline::event::{TemplateId, Token};

/// A table of pairs of places; a text has one pair, and a new text takes the place of the older one there. The memory of places is
/// used again, so that in the long run nothing is allocated.
#[derive(Clone, Debug, Default)]
pub struct Memo {
    places: Vec<Place>,
    /// Changes with the templates: what was remembered before counts no more.
    generation: u64,
}

/// What a text came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its template.
    pub id: TemplateId,
    /// Its token.
    pub token: Token,
    /// Where the cluster is, to be touched; `None` for a pinned template.
    pub slot: Option<u32>,
    /// Whether the text is of no text of the vocabulary and speaks of failure.
    pub failure: bool,
}

#[derive(Clone, Debug, Default)]
struct Place {
    hash: u64,
    generation: u64,
    text: Vec<u8>,
    answer: Option<Answer>,
}

impl Memo {
    /// Forgets everything, since the templates have changed.
    pub fn forget(&mut self) {
        self.generation += 1;
    }

    /// What `text` came to, if that still holds.
    #[must_use]
    pub fn get(&self, text: &[u8]) -> Option<Answer> {
        let hash = hash(text);
        let pair = self.places.get(first_of_pair(hash)..)?.get(..2)?;
        let holds = |place: &&Place| place.hash == hash && place.generation == self.generation && place.text == text;
        pair.iter().find(holds)?.answer
    }

    /// Remembers what `text` came to, unless it is longer than [`MEMO_TEXT_BYTES_MAX`].
    pub fn put(&mut self, text: &[u8], answer: Answer) {
        if text.len() > MEMO_TEXT_BYTES_MAX {
            return;
        }
        if self.places.is_empty() {
            self.places.resize(MEMO_TEXTS_MAX, Place::default());
        }
        let hash = hash(text);
        let first = first_of_pair(hash);
        self.places.swap(first, first + 1);
        let place = &mut self.places[first];
        place.text.clear();
        place.text.extend_from_slice(text);
        (place.hash, place.generation, place.answer) = (hash, self.generation, Some(answer));
    }
}

fn hash(text: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(text);
    hasher.finish()
}

fn first_of_pair(hash: u64) -> usize {
    hash as usize & (MEMO_TEXTS_MAX - 2)
}

const _: () = assert!(MEMO_TEXTS_MAX.is_power_of_two() && MEMO_TEXTS_MAX >= 2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_remembered_until_templates_change() {
        let mut memo = Memo::default();
        assert_eq!(memo.get(b"a"), None);
        memo.put(b"a", answer(1));
        memo.put(b"a", answer(2));
        assert_eq!(memo.get(b"a"), Some(answer(2)));
        assert_eq!(memo.get(b""), None);
        memo.forget();
        assert_eq!(memo.get(b"a"), None);
    }

    #[test]
    fn texts_and_their_number_are_bounded() {
        let mut memo = Memo::default();
        for (length, kept) in [(MEMO_TEXT_BYTES_MAX - 1, true), (MEMO_TEXT_BYTES_MAX, true), (MEMO_TEXT_BYTES_MAX + 1, false)] {
            let text = vec![b'x'; length];
            memo.put(&text, answer(1));
            assert_eq!(memo.get(&text).is_some(), kept, "{length} bytes");
        }
        for number in 0..10 * MEMO_TEXTS_MAX as u32 {
            let text = number.to_string();
            memo.put(text.as_bytes(), answer(number));
            assert_eq!(memo.get(text.as_bytes()), Some(answer(number)));
        }
        let remembered = (0..10 * MEMO_TEXTS_MAX as u32).filter(|number| memo.get(number.to_string().as_bytes()).is_some());
        assert!((MEMO_TEXTS_MAX / 2..=MEMO_TEXTS_MAX).contains(&remembered.count()));
        assert_eq!(memo.places.len(), MEMO_TEXTS_MAX);
    }

    fn answer(number: u32) -> Answer {
        Answer { id: TemplateId(number), token: Token(1), slot: Some(number), failure: false }
    }
}
