//! Says which template a message is of, and which token of the model stands for it.
//!
//! A message that fits a text of the model's vocabulary gets a pinned template: one that never widens, so that a failure never
//! hides in the template of its success (`PacketResponder <*> for block <*> Interrupted.` beside `… terminating`). All others are
//! grouped by Drain and are unknown to the model. An id never changes what it means, see [`Templates::newest`].

use std::ops::Range;

use crate::limits::{FIRST_MINED_ID, RETIRED_TEMPLATES_MAX, TEMPLATES_MAX};
use crate::pipeline::event::{TemplateId, Token};
use crate::pipeline::profile::{FIRST_EVENT, Profile, UNKNOWN};

use self::changes::{Changes, Form, Log, Op};
use self::drain::{Bounds, Drain, Learned};
use self::forms::Forms;
use self::mask::{Masks, Reader};
use self::memo::{Answer, Memo};
use self::pattern::Pattern;
use self::words::Words;

pub mod changes;
pub mod drain;
pub mod exception;
pub mod failure;
mod forms;
pub mod mask;
mod memo;
pub mod pattern;
mod recency;
mod retired;
pub mod swap;
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
    /// Whether the last message is of no text of the vocabulary and speaks of failure.
    failure: bool,
    /// What the last message did to the templates mined, until it is asked for.
    news: Option<Learned>,
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
            patterns: Pattern::of_vocabulary(profile),
            reader: Reader::new(masks),
            memo: Memo::default(),
            forms: Forms::new(&profile.drain),
            drain: Drain::new(&profile.drain, bounds),
            found: 0,
            log: Log::new(),
            failure: false,
            news: None,
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
        self.failure = answer.failure;
        (answer.id, answer.token)
    }

    /// The template that the last message has begun or widened, if it did and was not asked for yet.
    pub fn take_news(&mut self) -> Option<Learned> {
        self.news.take()
    }

    /// Whether the last message carries an exception.
    #[must_use]
    pub fn carries_exception(&self) -> bool {
        self.reader.has_class()
    }

    /// Whether the last message is unknown to the model and speaks of failure, be it where its template has a wildcard.
    #[must_use]
    pub fn speaks_of_failure(&self) -> bool {
        self.failure
    }

    /// The text that an id stood for when it was given, or `None` when it was dropped.
    #[must_use]
    pub fn text(&self, id: TemplateId) -> Option<String> {
        Some(String::from_utf8_lossy(self.words(id)?.text()).into_owned())
    }

    fn words(&self, id: TemplateId) -> Option<&Words> {
        if id.0 < FIRST_MINED_ID { self.forms.words(id) } else { self.drain.words(id) }
    }

    /// The template that took the place of another, as it is now; the same one when none did.
    #[must_use]
    pub fn newest(&self, id: TemplateId) -> TemplateId {
        self.drain.newest(id)
    }

    /// Those that are in no vocabulary and that messages still become, with their texts, by id.
    pub fn mined(&self) -> impl Iterator<Item = (TemplateId, String)> {
        self.drain.ids().into_iter().filter_map(|id| Some((id, self.text(id)?)))
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
        let answer = match self.find_in_vocabulary() {
            Some((id, token)) => Answer { id, token, slot: None, failure: false },
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
        let failure = failure::message_speaks_of_failure(self.reader.words().text());
        let answer = Answer { id: learned.id, token: UNKNOWN, slot: self.drain.slot(learned.id), failure };
        self.news = (learned.new || !learned.replaced.is_empty()).then_some(learned);
        answer
    }

    /// The vocabulary's text that fits the message and says most, and the form of it that the message has. One that carries an exception
    /// is looked for with its class and then without: vocabularies of others know nothing of it. The text is looked for before the form,
    /// so that a token does not depend on which messages came before.
    fn find_in_vocabulary(&mut self) -> Option<(TemplateId, Token)> {
        let words = self.reader.words();
        let (token, wildcards) = fitting_words(&self.patterns, words, self.reader.has_class())?;
        if let Some(id) = self.forms.find(words, token) {
            if let Some(seen) = self.forms.see(id, words) {
                self.log.push(Op::Seen { id, words: seen.clone() });
            }
            return Some((id, token));
        }
        if let Some(id) = self.forms.stand_in(token) {
            return Some((id, token));
        }
        let mut at = 0;
        let covered = |_, word: &[u8]| {
            let span = at..at + word.len();
            at = span.end + 1;
            wildcards.iter().any(|cover| cover.start <= span.start && span.end <= cover.end)
        };
        let form = Form { words: words.with_wildcards(covered), token, seen: words.clone() };
        self.log.push(Op::Pinned(form.clone()));
        self.memo.forget();
        Some((self.forms.add(form), token))
    }
}

/// The text of the vocabulary that fits a message and says most, and what its wildcards cover; when none fits a message with the class of
/// an exception, one that fits what stands before it.
fn fitting_words(patterns: &[Pattern], words: &Words, has_class: bool) -> Option<(Token, Vec<Range<usize>>)> {
    let without_class = || has_class.then(|| fitting(patterns, words.text_without_last())).flatten();
    fitting(patterns, words.text()).or_else(without_class)
}

fn fitting(patterns: &[Pattern], message: &[u8]) -> Option<(Token, Vec<Range<usize>>)> {
    let fitting = (FIRST_EVENT..).zip(patterns).filter_map(|(token, pattern)| {
        let wildcards = pattern.wildcards(message)?;
        Some((pattern.literal_bytes(), token, wildcards))
    });
    let (_, token, wildcards) = fitting.max_by_key(|(literal, token, _)| (*literal, u16::MAX - token))?;
    Some((Token(token), wildcards))
}

/// What a checkpoint keeps.
impl Templates {
    /// Makes the changes that a checkpoint has kept, from the first on, and goes on from there. `None` when they do not follow on each
    /// other, or are of another model.
    #[must_use]
    pub fn restored(mut self, kept: &[Changes]) -> Option<Self> {
        kept.iter().try_for_each(|changes| self.apply(changes))?;
        if !kept.is_empty() {
            self.log.take();
        }
        Some(self)
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

    /// Everything, as what has changed.
    pub fn take_all(&mut self) -> Changes {
        self.log.take();
        self.drain.take_used();
        self.whole()
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
            Op::Seen { id, words } => self.forms.set_seen(*id, words),
            Op::Added(_) | Op::Widened { .. } | Op::Merged { .. } | Op::Dropped { .. } => self.drain.apply(op),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::profile::DrainSettings;
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
        let orders = [[("a b c", 7, "a b <*>"), ("a x c", 6, "a <*> <*>")], [("a x c", 6, "a <*> <*>"), ("a b c", 7, "a b <*>")]];
        for order in orders {
            let mut templates = templates(&["a <*> <*>", "a b <*>"]);
            for (message, token, text) in order {
                check(&mut templates, message, token, text);
            }
        }
    }

    #[test]
    fn an_exception_is_looked_for_with_its_class_and_then_without() {
        let error = "DataXceiver error on blk_1\njava.io.IOException: reset\n\tat a.B";
        check(&mut templates(&["DataXceiver error on <*>"]), error, 6, "DataXceiver error on <*> java.io.IOException");
        let mut both = templates(&["DataXceiver error on <*>", "DataXceiver error on <*> java.io.IOException"]);
        check(&mut both, error, 7, "DataXceiver error on <*> java.io.IOException");
        check(&mut both, "DataXceiver error on blk_1\njava.io.EOFException", 6, "DataXceiver error on <*> java.io.EOFException");
        check(&mut both, "DataXceiver error on blk_1", 6, "DataXceiver error on <*>");
        check(&mut templates(&[]), error, 1, "DataXceiver error on <*> java.io.IOException");
    }

    #[test]
    fn what_is_remembered_never_changes_what_is_found() {
        let settings = DrainSettings { depth: 5, ..DrainSettings::hdfs() };
        let profile = Profile { drain: settings, ..profile(&["a <*> was read", "<*>b<*>was lost"]) };
        let mut with = Templates::new(&profile).expect("its masks are known");
        let mut without = with.clone();
        let mut random = 7_u64;
        for round in 0..20_000 {
            let mut draw = |below: u64| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (random >> 33) % below
            };
            let words = ["a", "b", "was", "read", "lost", "x1", "blk_7", "kept", "c", "d", "e", "f"];
            let message: Vec<&str> = (0..1 + draw(5)).map(|_| words[draw(12) as usize]).collect();
            let message = message.join(" ");
            without.memo.forget();
            assert_eq!(with.find(message.as_bytes()), without.find(message.as_bytes()), "{message}");
            assert!(round % 100 != 0 || with.whole() == without.whole(), "{message}");
        }
    }

    #[test]
    fn changes_give_the_same_templates_again() {
        let profile = profile(&["a <*> was read"]);
        let mut templates = Templates::new(&profile).expect("its masks are known");
        let mut again = Templates::new(&profile).expect("its masks are known");
        for round in 0..50 {
            for n in 0..round * 7 % 31 {
                templates.find(format!("a {n} was read").as_bytes());
                templates.find(format!("{}a{} was {}", "b ".repeat(n % 4), n % 5, n % 3).as_bytes());
            }
            let changes = templates.take_changes();
            assert_eq!(matches!(changes, Changes::Whole { .. }), round == 0);
            again.apply(&changes).expect("they follow");
            assert_eq!(again.whole(), templates.whole(), "round {round}");
            assert!(templates.take_changes().is_empty());
        }
    }

    fn check(templates: &mut Templates, content: &str, token: u16, text: &str) {
        let (id, found) = templates.find(content.as_bytes());
        assert_eq!((found, templates.text(id).as_deref()), (Token(token), Some(text)), "{content}");
    }

    fn templates(vocabulary: &[&str]) -> Templates {
        Templates::new(&profile(vocabulary)).expect("its masks are known")
    }
}
