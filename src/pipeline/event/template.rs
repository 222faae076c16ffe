//! Says which template a message is of, and which token of the model stands for it.
//!
//! A message that fits a text of the model's vocabulary gets a pinned template: one that never widens, so that a failure never
//! hides in the template of its success (`PacketResponder <*> for block <*> Interrupted.` beside `… terminating`). All others are
//! grouped by Drain and are unknown to the model. An id never changes what it means, see [`Templates::newest`].

use crate::limits::{FIRST_MINED_ID, RETIRED_TEMPLATES_MAX, TEMPLATES_MAX};
use crate::pipeline::event::{TemplateId, Token};
use crate::pipeline::profile::{FIRST_EVENT, Profile, UNKNOWN};

use self::changes::{Changes, Form, Log, Op};
use self::drain::{Bounds, Drain};
use self::forms::Forms;
use self::mask::{Masks, Reader};
use self::memo::{Answer, Memo};
use self::pattern::Pattern;

pub mod changes;
pub mod drain;
mod exception;
mod forms;
pub mod mask;
mod memo;
pub mod pattern;
mod recency;
mod retired;
pub mod words;

/// The templates of all messages seen, and what the model calls them.
#[derive(Clone, Debug)]
pub struct Templates {
    patterns: Vec<Pattern>,
    reader: Reader,
    memo: Memo,
    forms: Forms,
    drain: Drain,
    found: u64,
    log: Log,
}

impl Templates {
    /// No template yet, for this model.
    ///
    /// # Errors
    /// The name of a mask that is not known.
    pub fn new(profile: &Profile) -> Result<Self, String> {
        let masks = Masks::from_names(profile.drain.masks.iter().map(String::as_str))?;
        let bounds = Bounds { first_id: FIRST_MINED_ID, templates_max: TEMPLATES_MAX, retired_max: RETIRED_TEMPLATES_MAX };
        Ok(Self {
            patterns: profile.vocabulary.iter().map(|entry| Pattern::new(&entry.text)).collect(),
            reader: Reader::new(masks),
            memo: Memo::default(),
            forms: Forms::new(&profile.drain),
            drain: Drain::new(&profile.drain, bounds),
            found: 0,
            log: Log::new(),
        })
    }

    /// The template of a message and its token, [`UNKNOWN`] when the vocabulary does not have it.
    pub fn find(&mut self, content: &[u8]) -> (TemplateId, Token) {
        self.reader.read(content);
        let answer = match self.memo.get(self.reader.words().text()) {
            Some(answer) => {
                answer.slot.into_iter().for_each(|slot| self.drain.touch(slot));
                answer
            }
            None => self.find_anew(),
        };
        (answer.id, answer.token)
    }

    /// The text that an id stood for when it was given, or `None` when it was dropped.
    #[must_use]
    pub fn text(&self, id: TemplateId) -> Option<String> {
        if id.0 < FIRST_MINED_ID { self.forms.text(id) } else { self.drain.text(id) }
    }

    /// The template that took the place of another, as it is now; the same one when none did.
    #[must_use]
    pub fn newest(&self, id: TemplateId) -> TemplateId {
        self.drain.newest(id)
    }

    /// Templates known now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.forms.all().len() + self.drain.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Templates found that are not in the vocabulary.
    #[must_use]
    pub fn found(&self) -> u64 {
        self.found
    }

    /// Templates dropped at the bound.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.drain.evicted()
    }

    /// Texts of templates that were dropped or widened and are not kept any more.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.drain.forgotten()
    }

    fn find_anew(&mut self) -> Answer {
        let answer = match self.forms.find(self.reader.words()).or_else(|| self.find_in_vocabulary()) {
            Some((id, token)) => Answer { id, token, slot: None },
            None => self.learn(),
        };
        self.memo.put(self.reader.words().text(), answer);
        answer
    }

    fn learn(&mut self) -> Answer {
        let learned = self.drain.learn(self.reader.words(), &mut self.log);
        if learned.new || !learned.replaced.is_empty() {
            self.memo.forget();
        }
        self.found += u64::from(learned.new);
        Answer { id: learned.id, token: UNKNOWN, slot: self.drain.slot(learned.id) }
    }

    /// The first message of a form: the vocabulary's text that fits it and says most. One that carries an exception is looked for with
    /// its class and then without: vocabularies of others know nothing of it.
    fn find_in_vocabulary(&mut self) -> Option<(TemplateId, Token)> {
        let words = self.reader.words();
        let without_class = || self.reader.has_class().then(|| self.fitting(words.text_without_last())).flatten();
        let (token, wildcards) = self.fitting(words.text()).or_else(without_class)?;
        if let Some(id) = self.forms.stand_in(token) {
            return Some((id, token));
        }
        let mut at = 0;
        let covered = |_, word: &[u8]| {
            let span = at..at + word.len();
            at = span.end + 1;
            wildcards.iter().any(|cover| cover.start <= span.start && span.end <= cover.end)
        };
        let form = Form { words: words.with_wildcards(covered), token };
        self.log.push(Op::Pinned(form.clone()));
        self.memo.forget();
        Some((self.forms.add(form), token))
    }

    /// The text of the vocabulary that fits `message` and says most, and what its wildcards cover.
    fn fitting(&self, message: &[u8]) -> Option<(Token, Vec<std::ops::Range<usize>>)> {
        let fitting = (FIRST_EVENT..).zip(&self.patterns).filter_map(|(token, pattern)| {
            let wildcards = pattern.wildcards(message)?;
            Some((pattern.literal_bytes(), token, wildcards))
        });
        let (_, token, wildcards) = fitting.max_by_key(|(literal, token, _)| (*literal, u16::MAX - token))?;
        Some((Token(token), wildcards))
    }
}

/// What a checkpoint keeps.
impl Templates {
    /// Goes on from a checkpoint, for the model that its templates were found with.
    ///
    /// # Errors
    /// The name of a mask that is not known.
    pub fn restore(profile: &Profile, kept: &Changes) -> Result<Self, String> {
        let mut templates = Self::new(profile)?;
        templates.apply(kept).ok_or("templates")?;
        Ok(templates)
    }

    /// Everything, as changes.
    #[must_use]
    pub fn whole(&self) -> Changes {
        Changes::Whole { forms: self.forms.all().to_vec(), drain: self.drain.whole(), found: self.found }
    }

    /// What has changed since this was called last; everything the first time.
    pub fn take_changes(&mut self) -> Changes {
        let used = self.drain.take_used();
        match self.log.take() {
            Some(ops) => Changes::Since { ops, used },
            None => self.whole(),
        }
    }

    /// Makes the changes that other templates of the same model were asked for. `None` when they do not follow on what is here.
    pub fn apply(&mut self, changes: &Changes) -> Option<()> {
        self.memo.forget();
        match changes {
            Changes::Whole { forms, drain, found } => {
                self.forms.clear();
                forms.iter().for_each(|form| {
                    self.forms.add(form.clone());
                });
                self.found = *found;
                self.drain.fill(drain)
            }
            Changes::Since { ops, used } => {
                ops.iter().try_for_each(|op| self.apply_one(op))?;
                used.iter().try_for_each(|id| self.drain.apply_used(*id))?;
                self.drain.take_used();
                Some(())
            }
        }
    }

    fn apply_one(&mut self, op: &Op) -> Option<()> {
        self.found += u64::from(matches!(op, Op::Added(_)));
        match op {
            Op::Pinned(form) => {
                self.forms.add(form.clone());
                Some(())
            }
            Op::Added(_) | Op::Widened { .. } | Op::Merged { .. } | Op::Dropped { .. } => self.drain.apply(op),
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
