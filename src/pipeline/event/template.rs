//! Says which template a message is of, and which token of the model stands for it.
//!
//! A message that fits a text of the model's vocabulary gets a pinned template: one that never widens, so that a failure never
//! hides in the template of its success (`PacketResponder <*> for block <*> Interrupted.` beside `… terminating`). All others are
//! grouped by Drain and are unknown to the model.

use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};

use crate::limits::PINNED_TEMPLATES_MAX;
use crate::pipeline::event::{TemplateId, Token};
use crate::pipeline::profile::{FIRST_EVENT, Profile, UNKNOWN};

use self::drain::Drain;
use self::mask::{Masks, WILDCARD, Words};
use self::pattern::Pattern;

pub mod drain;
pub mod mask;
pub mod pattern;

/// The templates of all messages seen, and what the model calls them.
#[derive(Clone, Debug)]
pub struct Templates {
    masks: Masks,
    patterns: Vec<Pattern>,
    words: Words,
    message: Vec<u8>,
    kept: Kept,
}

/// What a checkpoint keeps of [`Templates`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept {
    drain: Drain,
    /// Pinned templates; all others are [`UNKNOWN`].
    tokens: HashMap<TemplateId, Token, FxBuildHasher>,
    found: u64,
}

impl Templates {
    /// No template yet, for this model.
    ///
    /// # Errors
    /// The name of a mask that is not known.
    pub fn new(profile: &Profile) -> Result<Self, String> {
        let kept = Kept { drain: Drain::new(&profile.drain), tokens: HashMap::default(), found: 0 };
        Self::restore(profile, kept)
    }

    /// The templates of a checkpoint, for the model that they were found with.
    ///
    /// # Errors
    /// The name of a mask that is not known.
    pub fn restore(profile: &Profile, kept: Kept) -> Result<Self, String> {
        let masks = Masks::from_names(profile.drain.masks.iter().map(String::as_str))?;
        let patterns = profile.vocabulary.iter().map(|entry| Pattern::new(&entry.text)).collect();
        Ok(Self { masks, patterns, words: Words::default(), message: Vec::new(), kept })
    }

    /// What a checkpoint keeps.
    #[must_use]
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// The template of a message and its token, [`UNKNOWN`] when the vocabulary does not have it.
    pub fn find(&mut self, content: &[u8]) -> (TemplateId, Token) {
        self.words.read(content, self.masks);
        if let Some(id) = self.kept.drain.find_pinned(&self.words) {
            return (id, self.token(id));
        }
        if let Some(found) = self.find_in_vocabulary() {
            return found;
        }
        let (id, new) = self.kept.drain.learn(&self.words);
        self.kept.found += u64::from(new);
        (id, UNKNOWN)
    }

    /// The text of a template, or `None` when it was dropped.
    #[must_use]
    pub fn text(&self, id: TemplateId) -> Option<String> {
        self.kept.drain.text(id)
    }

    /// Templates known now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.drain.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.drain.is_empty()
    }

    /// Templates found that are not in the vocabulary.
    #[must_use]
    pub fn found(&self) -> u64 {
        self.kept.found
    }

    /// Templates dropped at the bound.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.kept.drain.evicted()
    }

    fn token(&self, id: TemplateId) -> Token {
        self.kept.tokens.get(&id).copied().unwrap_or(UNKNOWN)
    }

    /// The first message of a pinned template: the vocabulary's text that fits it and says most.
    fn find_in_vocabulary(&mut self) -> Option<(TemplateId, Token)> {
        self.join_words();
        let fitting = (FIRST_EVENT..).zip(&self.patterns).filter_map(|(token, pattern)| {
            let wildcards = pattern.wildcards(&self.message)?;
            Some((pattern.literal_bytes(), token, wildcards))
        });
        let (_, token, wildcards) = fitting.max_by_key(|(literal, token, _)| (*literal, u16::MAX - token))?;
        let mut at = 0;
        let template = self.words.iter().map(|word| {
            let span = at..at + word.len();
            at = span.end + 1;
            let varies = wildcards.iter().any(|cover| cover.start <= span.start && span.end <= cover.end);
            if varies { WILDCARD.into() } else { word.into() }
        });
        let template = template.collect();
        if self.kept.tokens.len() >= PINNED_TEMPLATES_MAX {
            let same = self.kept.tokens.iter().filter(|(_, known)| **known == Token(token)).map(|(id, _)| *id);
            return same.min().map(|id| (id, Token(token)));
        }
        let id = self.kept.drain.add_pinned(template, &self.words);
        self.kept.tokens.insert(id, Token(token));
        Some((id, Token(token)))
    }

    fn join_words(&mut self) {
        self.message.clear();
        for (index, word) in self.words.iter().enumerate() {
            if index > 0 {
                self.message.push(b' ');
            }
            self.message.extend_from_slice(word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::profile::tests::profile;

    #[test]
    fn a_vocabulary_as_loghub_writes_it() {
        let mut templates = templates(&["<*>Receiving block<*>src:<*>dest:<*>", "<*>Received block<*>of size<*>from<*>"]);
        check(
            &mut templates,
            "Receiving block blk_1 src: /1.2.3.4:5 dest: /1.2.3.4:6",
            6,
            "Receiving block <*> src: <*> dest: <*>",
        );
        check(&mut templates, "Received block blk_1 of size 9 from /1.2.3.4", 7, "Received block <*> of size <*> from <*>");
        check(&mut templates, "Received block blk_1 of no size", 1, "Received block <*> of no size");
    }

    #[test]
    fn a_failure_is_not_hidden_in_the_template_of_its_success() {
        let mut templates = templates(&["PacketResponder <*> for block <*> terminating"]);
        for _ in 0..2 {
            check(
                &mut templates,
                "PacketResponder 1 for block blk_1 Interrupted.",
                1,
                "PacketResponder <*> for block <*> Interrupted.",
            );
            check(
                &mut templates,
                "PacketResponder 0 for block blk_1 terminating",
                6,
                "PacketResponder <*> for block <*> terminating",
            );
        }
        assert_eq!((templates.len(), templates.found()), (2, 1));
    }

    #[test]
    fn of_two_texts_that_fit_the_one_that_says_more_counts() {
        let mut templates = templates(&["a <*> <*>", "a b <*>"]);
        check(&mut templates, "a b c", 7, "a b <*>");
        check(&mut templates, "a x c", 6, "a <*> <*>");
    }

    fn check(templates: &mut Templates, content: &str, token: u16, text: &str) {
        let (id, found) = templates.find(content.as_bytes());
        assert_eq!((found, templates.text(id).as_deref()), (Token(token), Some(text)), "{content}");
    }

    fn templates(vocabulary: &[&str]) -> Templates {
        Templates::new(&profile(vocabulary)).expect("its masks are known")
    }
}
