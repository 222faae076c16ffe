//! Goes on with the vocabulary of another model: what it calls each template, told by the template's text.

use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use crate::limits::FIRST_MINED_ID;
use crate::pipeline::event::template::mask::{Masks, Reader};
use crate::pipeline::event::template::pattern::Pattern;
use crate::pipeline::event::template::words::Words;
use crate::pipeline::event::template::{Log, Templates, exception, fitting_words};
use crate::pipeline::event::{TemplateId, Token};
use crate::pipeline::profile::{DrainSettings, Profile, UNKNOWN};

/// What a vocabulary calls templates that were found with another one.
#[derive(Clone, Debug)]
pub struct Names {
    patterns: Vec<Pattern>,
    known: HashMap<TemplateId, Token, FxBuildHasher>,
}

impl Names {
    /// The names that the vocabulary of `profile` gives.
    #[must_use]
    pub fn new(profile: &Profile) -> Self {
        Self { patterns: Pattern::of_vocabulary(profile), known: HashMap::default() }
    }

    /// What a template of `templates` is called; [`UNKNOWN`] when what its messages have in common fits no text of the vocabulary, or is
    /// not kept any more, and where ids cannot keep their meaning ([`Templates::can_keep_ids`]). Where messages differ the vocabulary
    /// must have a wildcard too.
    pub fn token(&mut self, templates: &Templates, id: TemplateId) -> Token {
        if !templates.can_keep_ids() {
            return UNKNOWN;
        }
        let Self { patterns, known } = self;
        *known.entry(id).or_insert_with(|| templates.in_common(id).map_or(UNKNOWN, |words| token(patterns, words)))
    }
}

impl Templates {
    /// What all messages of a template have in common, as far as it is kept.
    fn in_common(&self, id: TemplateId) -> Option<&Words> {
        if id.0 < FIRST_MINED_ID { self.forms.seen(id) } else { self.drain.words(id) }
    }

    /// Whether ids can keep their meaning when another vocabulary takes over. They cannot once there are
    /// [`crate::limits::PINNED_TEMPLATES_MAX`] pinned ones, many of vocabularies that are gone: then the pinned ones begin anew, and no
    /// event may refer to the old ones any more.
    #[must_use]
    pub fn can_keep_ids(&self) -> bool {
        !self.forms.is_full()
    }

    /// Goes on with the vocabulary, the masks and the Drain of `profile` instead of those of a model with Drain `before`. Ids keep their
    /// texts, see [`Templates::can_keep_ids`].
    ///
    /// # Errors
    /// The name of a mask that is not known; then nothing has changed.
    pub fn swap(&mut self, before: &DrainSettings, profile: &Profile) -> Result<(), String> {
        let fresh = Self::new(profile)?;
        if self.can_keep_ids() {
            let forms = std::mem::replace(&mut self.forms, fresh.forms);
            self.forms = forms.renamed(&profile.drain, |words| token(&fresh.patterns, words));
        } else {
            self.forms = fresh.forms;
        }
        if *before != profile.drain {
            let drain = std::mem::replace(&mut self.drain, fresh.drain);
            self.drain = drain.with_settings(&profile.drain);
        }
        (self.patterns, self.reader, self.log) = (fresh.patterns, fresh.reader, Log::new());
        self.memo.forget();
        Ok(())
    }
}

/// Whether every mask that `profile` asks for is known.
///
/// # Errors
/// The name of the first that is not.
pub fn check_masks(profile: &Profile) -> Result<(), String> {
    Masks::from_names(profile.drain.masks.iter().map(String::as_str)).map(|masks| drop(Reader::new(masks)))
}

/// As a message of the template would be looked up. That its last word came from a stack trace can only be guessed.
fn token(patterns: &[Pattern], words: &Words) -> Token {
    let has_class = words.len().checked_sub(1).is_some_and(|last| exception::is_class(words.get(last)));
    fitting_words(patterns, words, has_class).map_or(UNKNOWN, |(token, _)| token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PINNED_TEMPLATES_MAX;
    use crate::pipeline::event::template::changes::Form;
    use crate::pipeline::profile::tests::profile;

    const MESSAGES: [&str; 5] = ["a 1 was read", "b was lost", "c 7 kept", "d failed\njava.io.IOException: x", "e 5 f"];
    const BEFORE: [&str; 3] = ["a <*> was read", "b was lost", "d failed"];

    #[test]
    fn templates_are_known_again_by_their_text() {
        check(&["b was lost", "a <*> was read"], [7, 6, 1, 1, 1]);
        check(&["a <*> was <*>", "b<*>", "c <*> kept", "d failed"], [6, 7, 8, 9, 1]);
        check(&["d failed java.io.IOException", "e <*> f"], [1, 1, 1, 6, 7]);
        check(&["z"], [1; 5]);
    }

    #[test]
    fn wildcards_of_another_vocabulary_may_stand_elsewhere() {
        let mut templates = Templates::new(&profile(&["open<*>", "close<*>"])).expect("its masks are known");
        let ids =
            ["open file 1.", "open file 2.", "close file 1", "close it"].map(|message| templates.find(message.as_bytes()).0);
        let mut names = Names::new(&profile(&["open file <*>", "close file <*>"]));
        assert_eq!(ids.map(|id| names.token(&templates, id).0), [6, 6, 7, 1]);
        assert_eq!(templates.text(ids[0]).as_deref(), Some("open <*> <*>"), "its text stays what it was");
        let mut varied = Templates::new(&profile(&["open<*>"])).expect("its masks are known");
        let ids = ["open door soon", "open file soon"].map(|message| varied.find(message.as_bytes()).0);
        assert_eq!(ids[0], ids[1]);
        assert_eq!(Names::new(&profile(&["open door soon"])).token(&varied, ids[0]), UNKNOWN);
        assert_eq!(Names::new(&profile(&["open <*> soon"])).token(&varied, ids[0]), Token(6));
    }

    #[test]
    fn the_same_vocabulary_changes_nothing() {
        let (mut templates, ids) = templates();
        let before = templates.whole();
        templates.swap(&profile(&BEFORE).drain, &profile(&BEFORE)).expect("its masks are known");
        assert_eq!(templates.whole(), before);
        assert_eq!(MESSAGES.map(|message| templates.find(message.as_bytes()).0), ids);
    }

    #[test]
    fn ids_keep_their_texts_under_other_settings_of_drain() {
        let (mut templates, ids) = templates();
        let texts = ids.map(|id| templates.text(id));
        let mut next = profile(&["z"]);
        next.drain.depth = 6;
        templates.swap(&profile(&BEFORE).drain, &next).expect("its masks are known");
        assert_eq!(ids.map(|id| templates.text(id)), texts);
        let again = MESSAGES.map(|message| templates.find(message.as_bytes()).0);
        assert!(again.iter().all(|id| !ids.contains(id)), "what is grouped anew has other ids: {again:?}, {ids:?}");
    }

    #[test]
    fn what_a_checkpoint_keeps_after_a_swap_gives_the_same_templates() {
        let (mut templates, _) = templates();
        templates.take_changes();
        let next = profile(&["c <*> kept"]);
        templates.swap(&profile(&BEFORE).drain, &next).expect("its masks are known");
        for message in MESSAGES {
            templates.find(message.as_bytes());
        }
        let changes = templates.take_changes();
        assert!(changes.are_everything());
        let again = Templates::new(&next).expect("its masks are known").restored(&[changes]).expect("they are of this model");
        assert_eq!(again.whole(), templates.whole());
    }

    #[test]
    fn a_mask_that_is_not_known_changes_nothing() {
        let (mut templates, _) = templates();
        let (before, mut next) = (templates.whole(), profile(&["z"]));
        next.drain.masks = vec!["planet".to_owned()];
        assert_eq!(check_masks(&next), templates.swap(&next.drain, &next));
        assert!(check_masks(&next).is_err());
        assert_eq!(templates.whole(), before);
    }

    #[test]
    fn full_of_pinned_ones_they_begin_anew() {
        for (count, keeps) in [(PINNED_TEMPLATES_MAX - 1, true), (PINNED_TEMPLATES_MAX, false), (PINNED_TEMPLATES_MAX + 1, false)]
        {
            let mut templates = Templates::new(&profile(&BEFORE)).expect("its masks are known");
            for number in 0..count {
                let words: Words = format!("a {number}").as_bytes().into();
                templates.forms.add(Form { words: words.clone(), token: Token(6), seen: words });
            }
            assert_eq!(templates.can_keep_ids(), keeps, "{count}");
            templates.swap(&profile(&BEFORE).drain, &profile(&["z"])).expect("its masks are known");
            assert_eq!(templates.forms.all().len(), if keeps { count } else { 0 });
            assert!(templates.can_keep_ids());
        }
    }

    fn check(vocabulary: &[&str], expected: [u16; 5]) {
        let (mut templates, ids) = templates();
        let next = profile(vocabulary);
        let mut names = Names::new(&next);
        assert_eq!(ids.map(|id| names.token(&templates, id).0), expected, "{vocabulary:?}");
        let texts = ids.map(|id| templates.text(id));
        templates.swap(&next.drain, &next).expect("its masks are known");
        assert_eq!(ids.map(|id| templates.text(id)), texts, "{vocabulary:?}");
    }

    /// Templates that have seen the messages, and the ids that they got.
    fn templates() -> (Templates, [TemplateId; 5]) {
        let mut templates = Templates::new(&profile(&BEFORE)).expect("its masks are known");
        let ids = MESSAGES.map(|message| templates.find(message.as_bytes()).0);
        (templates, ids)
    }
}
