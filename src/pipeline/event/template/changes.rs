//! What changes templates, so that a checkpoint costs what changed and not what there is.

use serde::{Deserialize, Serialize};

use crate::limits::TEMPLATE_CHANGES_MAX;
use crate::pipeline::event::template::drain;
use crate::pipeline::event::template::drain::tree::Route;
use crate::pipeline::event::template::words::Words;
use crate::pipeline::event::{TemplateId, Token};

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Op {
    /// A cluster began.
    Added(Mined),
    /// A cluster has a wider text, and with it another id.
    Widened {
        /// The id that it had.
        from: TemplateId,
        /// The id that it has now.
        id: TemplateId,
        /// Its text now.
        words: Words,
    },
    /// A cluster was taken in by another one.
    Merged {
        /// The one that is no more.
        from: TemplateId,
        /// The one that takes its messages.
        into: TemplateId,
    },
    /// A cluster was dropped at the bound.
    Dropped {
        /// Which.
        id: TemplateId,
    },
    /// A text of the vocabulary was seen in a form that it did not have before. Its id is the number of such forms before it.
    Pinned(Form),
    /// A message of a form had less in common with those before.
    Seen {
        /// The form.
        id: TemplateId,
        /// What all of them have in common now.
        words: Words,
    },
}

/// A cluster as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mined {
    /// Its id.
    pub id: TemplateId,
    /// Its way in the tree.
    pub route: Route,
    /// Its text.
    pub words: Words,
}

/// A form that a text of the vocabulary takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Form {
    /// Its text.
    pub words: Words,
    /// The token of the vocabulary's text.
    pub token: Token,
    /// What all its messages had in common: as `words`, but with what the vocabulary's wildcards cover, as far as that was always the
    /// same. By this another vocabulary, whose wildcards stand elsewhere, knows it again.
    pub seen: Words,
}

/// What happened to templates since the last look, or all there is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Changes {
    /// Everything: what came before does not matter.
    Whole {
        /// The pinned ones; the index is the id.
        forms: Vec<Form>,
        /// The mined ones.
        drain: drain::Whole,
        /// Templates found beside the vocabulary.
        found: u64,
    },
    /// What happened since the changes before.
    Since {
        /// In this order.
        ops: Vec<Op>,
        /// Mined ones that were used, the least recently used first.
        used: Vec<TemplateId>,
    },
}

impl Changes {
    /// Whether what came before does not matter.
    #[must_use]
    pub fn are_everything(&self) -> bool {
        matches!(self, Self::Whole { .. })
    }

    /// Whether nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Since { ops, used } if ops.is_empty() && used.is_empty())
    }
}

/// Keeps changes until they are taken; when there are more than [`TEMPLATE_CHANGES_MAX`], everything is what changed.
#[derive(Clone, Debug)]
pub struct Log {
    ops: Vec<Op>,
    full: bool,
}

impl Log {
    /// A log whose first changes are everything.
    #[must_use]
    pub fn new() -> Self {
        Self { ops: Vec::new(), full: true }
    }

    /// Adds a change.
    pub fn push(&mut self, op: Op) {
        if self.ops.len() >= TEMPLATE_CHANGES_MAX {
            self.ops = Vec::new();
            self.full = true;
        }
        if !self.full {
            self.ops.push(op);
        }
    }

    /// The changes since the last look, or `None` when everything is to be kept.
    pub fn take(&mut self) -> Option<Vec<Op>> {
        let ops = std::mem::take(&mut self.ops);
        (!std::mem::take(&mut self.full)).then_some(ops)
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_changes_are_everything() {
        for (count, kept) in [(TEMPLATE_CHANGES_MAX - 1, true), (TEMPLATE_CHANGES_MAX, true), (TEMPLATE_CHANGES_MAX + 1, false)] {
            let mut log = Log::new();
            assert_eq!(log.take(), None, "the first changes are everything");
            (0..count).for_each(|id| log.push(Op::Dropped { id: TemplateId(id as u32) }));
            assert_eq!(log.take().map(|ops| ops.len()), kept.then_some(count));
            assert_eq!(log.take(), Some(vec![]));
        }
    }
}
