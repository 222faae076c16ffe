//! The words of a message after masking, in one piece of memory: what templates are made of and compared with.

use serde::{Deserialize, Serialize};

/// What stands for a part that varies.
pub const WILDCARD: &[u8] = b"<*>";

/// Words, none of which has a space, joined by single spaces. Its buffers are used again for the next message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<u8>", into = "Vec<u8>")]
pub struct Words {
    text: Vec<u8>,
    /// Where each word ends in `text`.
    ends: Vec<u32>,
}

impl Words {
    /// Forgets all words and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// Adds a word that ends at `end` of the text that [`Words::set_text`] is going to give.
    pub(super) fn end_at(&mut self, end: usize) {
        self.ends.push(end as u32);
    }

    /// Sets the text of the words whose ends were given: joined by single spaces, none of which is part of a word.
    pub(super) fn set_text(&mut self, text: &[u8]) {
        debug_assert_eq!(self.ends.last().map_or(0, |end| *end as usize), text.len());
        self.text.clear();
        self.text.extend_from_slice(text);
    }

    /// Adds a word.
    pub fn push(&mut self, word: &[u8]) {
        if !self.ends.is_empty() {
            self.text.push(b' ');
        }
        self.text.extend_from_slice(word);
        self.ends.push(self.text.len() as u32);
    }

    /// How many words there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no word.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The word at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize + 1 };
        &self.text[start..self.ends[index] as usize]
    }

    /// The words, first to last.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let word = &self.text[start..*end as usize];
            start = *end as usize + 1;
            word
        })
    }

    /// All words, joined by single spaces.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// All words but the last, joined by single spaces.
    #[must_use]
    pub fn text_without_last(&self) -> &[u8] {
        let end = self.ends.iter().rev().nth(1).map_or(0, |end| *end as usize);
        &self.text[..end]
    }

    /// The same words, with the wildcard where `varies` says so.
    #[must_use]
    pub fn with_wildcards(&self, mut varies: impl FnMut(usize, &[u8]) -> bool) -> Self {
        let mut words = Self::default();
        for (index, word) in self.iter().enumerate() {
            words.push(if varies(index, word) { WILDCARD } else { word });
        }
        words
    }

    /// How many of these words are the wildcard.
    #[must_use]
    pub fn wildcards(&self) -> usize {
        self.iter().filter(|word| *word == WILDCARD).count()
    }

    /// Whether a message of `words` is of this template: word by word the same, or the wildcard here.
    #[must_use]
    pub fn covers(&self, words: &Self) -> bool {
        self.len() == words.len() && self.iter().zip(words.iter()).all(|(own, word)| own == WILDCARD || own == word)
    }
}

impl From<&[u8]> for Words {
    fn from(text: &[u8]) -> Self {
        let mut words = Self::default();
        text.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).for_each(|word| words.push(word));
        words
    }
}

impl From<Vec<u8>> for Words {
    fn from(text: Vec<u8>) -> Self {
        text.as_slice().into()
    }
}

impl From<Words> for Vec<u8> {
    fn from(words: Words) -> Self {
        words.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_their_text_are_the_same_thing() {
        for text in ["", "a", "a bc d"] {
            let words = Words::from(text.as_bytes());
            assert_eq!(words.text(), text.as_bytes());
            assert_eq!(words.iter().collect::<Vec<_>>(), (0..words.len()).map(|index| words.get(index)).collect::<Vec<_>>());
            assert_eq!(Words::from(Vec::from(words.clone())), words);
        }
        assert_eq!(Words::from(&b"a bc d"[..]).text_without_last(), b"a bc");
        assert_eq!(Words::from(&b"a"[..]).text_without_last(), b"");
        assert_eq!(Words::default().text_without_last(), b"");
    }

    #[test]
    fn a_template_covers_what_differs_at_its_wildcards_only() {
        let template = Words::from(&b"open <*> now"[..]);
        for (message, covered) in [("open a now", true), ("open <*> now", true), ("open a then", false), ("open a", false)] {
            assert_eq!(template.covers(&message.as_bytes().into()), covered, "{message}");
        }
    }
}
