//! What changes sessions, so that a checkpoint costs what was said and not what is open.

use serde::{Deserialize, Serialize};

use crate::limits::CHANGED_BLOCKS_MAX;
use crate::pipeline::event::BlockId;
use crate::pipeline::session::assemble::{Assembler, Kept, Session};

/// What became of some sessions, to be applied in the order in which it was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The sessions as they are now; `None` for one that is over.
    sessions: Vec<(BlockId, Option<Session>)>,
    /// Blocks released since the changes before, in their order.
    released: Vec<BlockId>,
}

/// Which sessions are not as they were when they were taken last.
#[derive(Debug)]
pub(super) struct Log {
    /// Nothing is noted, since the next changes have to be everything: at first, and after too many changes that nobody took.
    everything: bool,
    /// Blocks whose sessions have changed or ended, oldest change first; a session that is open is in it once.
    changed: Vec<BlockId>,
    /// How many of them were there when everything was begun: these are bounded by the sessions.
    begun: usize,
    released: Vec<BlockId>,
    /// Blocks whose sessions are to be taken once more though they may not have changed.
    again: Vec<BlockId>,
}

impl Log {
    /// A log whose first changes have to be everything.
    pub fn new() -> Self {
        Self { everything: true, changed: Vec::new(), begun: 0, released: Vec::new(), again: Vec::new() }
    }

    /// Notes that a session has changed; `is_noted` is that session's own mark.
    pub fn note(&mut self, block: BlockId, is_noted: &mut bool) {
        if !self.everything && !std::mem::replace(is_noted, true) {
            self.changed.push(block);
            self.bound();
        }
    }

    /// Notes that a session is over, and whether its block is remembered as released.
    pub fn note_end(&mut self, block: BlockId, is_noted: bool, is_released: bool) {
        if self.everything {
            return;
        }
        if is_released {
            self.released.push(block);
        }
        if !is_noted {
            self.changed.push(block);
        }
        self.bound();
    }

    /// What has changed is all written down.
    pub fn resume(&mut self) {
        *self = Self { everything: false, ..Self::new() };
    }

    /// All sessions are others, or nobody knows which: the next changes have to be everything.
    pub fn forget(&mut self) {
        *self = Self::new();
    }

    fn bound(&mut self) {
        if self.changed.len().saturating_sub(self.begun).max(self.released.len()) > CHANGED_BLOCKS_MAX {
            self.forget();
        }
    }
}

impl Changes {
    /// Bytes that the sessions take in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.sessions.iter().filter_map(|(_, session)| session.as_ref()).map(Session::bytes).sum()
    }

    /// Whether nothing has changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.released.is_empty()
    }
}

/// What has changed.
impl Assembler {
    /// Whether changes were not noted one by one, so that [`Assembler::begin_changes`] has to be called before any are taken.
    #[must_use]
    pub fn needs_everything(&self) -> bool {
        self.changes.everything
    }

    /// What was restored is what was taken: from here on the changes to be taken are those from it.
    pub fn resume_changes(&mut self) {
        self.changes.resume();
    }

    /// What was taken is lost: [`Assembler::begin_changes`] has to be called before more is taken.
    pub fn forget_changes(&mut self) {
        self.changes.forget();
    }

    /// From here on the changes to be taken are everything that is open. Of the blocks released nothing is told: whoever takes
    /// everything takes [`Assembler::released`] as well.
    pub fn begin_changes(&mut self) {
        let blocks = self.kept.sessions.iter_mut().map(|(block, session)| {
            session.is_noted = true;
            *block
        });
        let changed: Vec<BlockId> = blocks.collect();
        self.changes = Log { everything: false, begun: changed.len(), changed, ..Log::new() };
    }

    /// The oldest changes that were not taken yet, about `bytes_max` of memory and at least one; nothing when there are none.
    ///
    /// # Panics
    /// When [`Assembler::needs_everything`].
    pub fn take_changes(&mut self, bytes_max: usize) -> Changes {
        assert!(!self.changes.everything, "everything is begun before changes are taken");
        let Self { changes, kept, .. } = self;
        let (mut sessions, mut bytes, mut taken) = (Vec::new(), 0, 0);
        while bytes < bytes_max
            && let Some(&block) = changes.changed.get(taken)
        {
            taken += 1;
            let session = kept.sessions.get_mut(&block);
            // A later note of the same block was taken with an earlier one.
            if session.as_ref().is_some_and(|session| !session.is_noted) {
                continue;
            }
            let session = session.map(|session| {
                session.is_noted = false;
                session.clone()
            });
            bytes += session.as_ref().map_or(size_of::<BlockId>(), Session::bytes);
            sessions.push((block, session));
        }
        changes.changed.drain(..taken);
        changes.begun = changes.begun.min(changes.changed.len());
        Changes { sessions, released: std::mem::take(&mut changes.released) }
    }

    /// Whether all changes are taken.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        !self.changes.everything && self.changes.changed.is_empty() && self.changes.released.is_empty()
    }

    /// Lets [`Assembler::take_again`] give every session that is open now.
    pub fn begin_again(&mut self) {
        self.changes.again = self.kept.sessions.keys().copied().collect();
    }

    /// Sessions that were open at [`Assembler::begin_again`] and still are, as they are now: about `bytes_max` of memory and at least one.
    /// Together with the changes taken since, that is everything once [`Assembler::is_taken_again`].
    pub fn take_again(&mut self, bytes_max: usize) -> Changes {
        let (mut sessions, mut bytes) = (Vec::new(), 0);
        while bytes < bytes_max
            && let Some(block) = self.changes.again.pop()
        {
            let session = self.kept.sessions.get(&block);
            bytes += session.map_or(0, Session::bytes);
            sessions.extend(session.map(|session| (block, Some(session.clone()))));
        }
        Changes { sessions, released: Vec::new() }
    }

    /// Whether every session was taken again.
    #[must_use]
    pub fn is_taken_again(&self) -> bool {
        self.changes.again.is_empty()
    }
}

impl Kept {
    /// Applies changes.
    pub fn apply(&mut self, changes: Changes) {
        for (block, session) in changes.sessions {
            match session {
                Some(session) => drop(self.sessions.insert(block, session)),
                None => drop(self.sessions.remove(&block)),
            }
        }
        changes.released.into_iter().for_each(|block| self.released.insert(block));
    }
}

#[cfg(test)]
impl Assembler {
    /// All sessions as they are.
    pub(crate) fn copied(&self) -> Kept {
        let mut kept = self.kept.clone();
        kept.sessions.values_mut().for_each(|session| session.is_noted = false);
        kept
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::pipeline::session::Case;
    use crate::pipeline::session::assemble::tests::{assembler, domain, event};

    const WRITE: u16 = 6;

    #[test]
    fn changes_make_of_what_was_taken_what_there_is() {
        for bytes_max in [1, 300, usize::MAX] {
            let (mut assembler, mut copy) = (assembler(2000), Kept::default());
            assembler.begin_changes();
            for round in 0..40 {
                say(&mut assembler, round * 7, &[round, round + 1, round % 5]);
                take_all(&mut assembler, &mut copy, bytes_max);
                assert_same(&assembler, &mut copy);
            }
            assert!(assembler.kept.counts.sessions_evicted > 10, "sessions end meanwhile");
        }
    }

    #[test]
    fn what_is_taken_again_with_the_changes_since_is_everything() {
        let mut assembler = assembler(usize::MAX);
        assembler.begin_changes();
        say(&mut assembler, 0, &(0..50).collect::<Vec<_>>());
        take_all(&mut assembler, &mut Kept::default(), usize::MAX);
        assembler.begin_again();
        let mut copy = Kept::default();
        let mut round = 0;
        while !assembler.is_taken_again() {
            round += 1;
            say(&mut assembler, round * 300, &[round, 100 + round]);
            take_all(&mut assembler, &mut copy, usize::MAX);
            copy.apply(assembler.take_again(700));
        }
        assert!(round > 3, "it takes more than one part: {round}");
        copy.released = assembler.kept.released.clone();
        assert_same(&assembler, &mut copy);
    }

    #[test]
    fn too_many_changes_are_everything() {
        for (count, everything) in [(CHANGED_BLOCKS_MAX, false), (CHANGED_BLOCKS_MAX + 1, true)] {
            let mut log = Log { everything: false, ..Log::new() };
            for number in 0..count {
                log.note_end(event(0, number as i64, WRITE).block, false, false);
            }
            assert_eq!((log.everything, log.changed.is_empty()), (everything, everything), "{count}");
        }
    }

    #[test]
    fn everything_that_is_more_than_the_bound_is_taken_all_the_same() {
        let mut assembler = assembler(usize::MAX);
        say(&mut assembler, 0, &(0..CHANGED_BLOCKS_MAX as i64 + 2).collect::<Vec<_>>());
        assembler.begin_changes();
        let mut copy = Kept::default();
        for block in 0..5 {
            copy.apply(assembler.take_changes(1));
            say(&mut assembler, 1, &[-1 - block]);
            assert!(!assembler.needs_everything(), "a new block does not begin it anew");
        }
        take_all(&mut assembler, &mut copy, usize::MAX);
        assert_same(&assembler, &mut copy);
    }

    fn say(assembler: &mut Assembler, seconds: i64, blocks: &[i64]) {
        let mut cases: VecDeque<Case> = VecDeque::new();
        for block in blocks {
            assembler.handle_event(event(seconds, *block, WRITE), false, &mut domain(), &mut cases);
        }
    }

    fn take_all(assembler: &mut Assembler, copy: &mut Kept, bytes_max: usize) {
        while !assembler.is_taken() {
            copy.apply(assembler.take_changes(bytes_max));
        }
    }

    fn assert_same(assembler: &Assembler, copy: &mut Kept) {
        (copy.now, copy.counts) = (assembler.kept.now, assembler.kept.counts);
        assert_eq!(*copy, assembler.copied());
    }
}
