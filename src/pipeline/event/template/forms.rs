//! Pinned templates: the forms that the texts of the model's vocabulary take in the logs. They never widen and are never dropped, since
//! their meaning is the model's.

use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use crate::limits::PINNED_TEMPLATES_MAX;
use crate::pipeline::event::template::changes::Form;
use crate::pipeline::event::template::drain::tree::Tree;
use crate::pipeline::event::template::words::Words;
use crate::pipeline::event::{TemplateId, Token};
use crate::pipeline::profile::DrainSettings;

/// The forms, found by the tree of Drain. The id of a form is its number.
#[derive(Clone, Debug)]
pub struct Forms {
    forms: Vec<Form>,
    tree: Tree,
    firsts: HashMap<Token, TemplateId, FxBuildHasher>,
}

impl Forms {
    /// None yet.
    #[must_use]
    pub fn new(settings: &DrainSettings) -> Self {
        let tree = Tree::new(settings.depth.into(), settings.children_max as usize);
        Self { forms: Vec::new(), tree, firsts: HashMap::default() }
    }

    /// The form of a token that `words` fits word by word, if there is one; the one with the fewest wildcards, then the oldest.
    #[must_use]
    pub fn find(&self, words: &Words, token: Token) -> Option<TemplateId> {
        let mut best: Option<(usize, u32)> = None;
        self.tree.find_all(words, &mut |slots| {
            for slot in slots {
                let own = &self.forms[*slot as usize];
                if own.token == token && own.words.covers(words) {
                    let rank = (own.words.wildcards(), *slot);
                    best = Some(best.map_or(rank, |best| best.min(rank)));
                }
            }
        });
        best.map(|(_, slot)| TemplateId(slot))
    }

    /// The form that stands for a token when there is no room for further forms: its first, or `None` when there is room, as there
    /// always is for the first.
    #[must_use]
    pub fn stand_in(&self, token: Token) -> Option<TemplateId> {
        self.firsts.get(&token).copied().filter(|_| self.is_full())
    }

    /// Takes all forms out.
    pub fn clear(&mut self) {
        self.forms.clear();
        self.tree.clear();
        self.firsts.clear();
    }

    /// Adds a form.
    pub fn add(&mut self, form: Form) -> TemplateId {
        let slot = self.forms.len() as u32;
        self.tree.insert(&form.words, self.tree.route(&form.words), slot);
        self.firsts.entry(form.token).or_insert(TemplateId(slot));
        self.forms.push(form);
        TemplateId(slot)
    }

    /// The words of a form.
    #[must_use]
    pub fn words(&self, id: TemplateId) -> Option<&Words> {
        Some(&self.forms.get(id.0 as usize)?.words)
    }

    /// What all messages of a form had in common.
    #[must_use]
    pub fn seen(&self, id: TemplateId) -> Option<&Words> {
        Some(&self.forms.get(id.0 as usize)?.seen)
    }

    /// Notes another message that fits a form word by word; what all of them have in common now, if that is less than before.
    pub fn see(&mut self, id: TemplateId, words: &Words) -> Option<&Words> {
        let form = &mut self.forms[id.0 as usize];
        if form.seen.covers(words) {
            return None;
        }
        form.seen = form.seen.with_wildcards(|index, own| own != words.get(index));
        Some(&form.seen)
    }

    /// Does again what [`Forms::see`] did; `None` when there is no such form.
    pub fn set_seen(&mut self, id: TemplateId, words: &Words) -> Option<()> {
        self.forms.get_mut(id.0 as usize)?.seen.clone_from(words);
        Some(())
    }

    /// Whether further forms share the first of their token.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.forms.len() >= PINNED_TEMPLATES_MAX
    }

    /// The same forms under the same ids, with the tokens of another vocabulary. Those that are unknown to it keep their text and are
    /// found no more.
    #[must_use]
    pub fn renamed(self, settings: &DrainSettings, mut token: impl FnMut(&Words) -> Token) -> Self {
        let mut renamed = Self::new(settings);
        for Form { words, token: _, seen } in self.forms {
            let token = token(&seen);
            renamed.add(Form { words, token, seen });
        }
        renamed
    }

    /// All forms; the index is the id.
    #[must_use]
    pub fn all(&self) -> &[Form] {
        &self.forms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_with_the_fewest_wildcards_is_found() {
        let forms = forms(&["<*> was read", "a was <*>", "a was read", "a was read"]);
        for (message, expected) in
            [("a was read", Some(2)), ("a was lost", Some(1)), ("b was read", Some(0)), ("b was lost", None)]
        {
            assert_eq!(forms.find(&message.as_bytes().into(), Token(6)).map(|id| id.0), expected, "{message}");
            assert_eq!(forms.find(&message.as_bytes().into(), Token(7)), None, "{message}");
        }
    }

    #[test]
    fn at_the_bound_the_first_form_of_a_token_stands_for_it() {
        for (count, full) in [(PINNED_TEMPLATES_MAX - 1, false), (PINNED_TEMPLATES_MAX, true), (PINNED_TEMPLATES_MAX + 1, true)] {
            let mut forms = forms(&[]);
            (0..count).for_each(|number| {
                forms.add(form(&format!("w {number}"), 6));
            });
            assert_eq!(forms.stand_in(Token(6)), full.then_some(TemplateId(0)), "{count} forms");
            assert_eq!(forms.stand_in(Token(7)), None, "the first form of a token always has room");
        }
    }

    fn forms(texts: &[&str]) -> Forms {
        let mut forms = Forms::new(&DrainSettings::hdfs());
        texts.iter().for_each(|text| {
            forms.add(form(text, 6));
        });
        forms
    }

    fn form(text: &str, token: u16) -> Form {
        Form { words: text.as_bytes().into(), token: Token(token), seen: text.as_bytes().into() }
    }
}
