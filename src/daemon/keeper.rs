//! Writes checkpoints: what has changed, a bounded part in one turn of the loop, and little by little everything again, so that the
//! journal can be shortened.

use std::path::Path;

use tracing::warn;

use crate::daemon::ledger::{Instant, Ledger};
use crate::limits::{CHECKPOINT_SESSION_BYTES_MAX, JOURNAL_SPARE_BYTES_MAX};
use crate::pipeline::Pipeline;
use crate::pipeline::session::assemble::changes::Changes;
use crate::state::directory::{StateDirectory, StateError, damaged};
use crate::state::journal::{Base, Journal};

/// Writes checkpoints to a state directory.
#[derive(Debug)]
pub struct Keeper {
    directory: StateDirectory,
    journal: Journal,
    ledger: Ledger,
    stage: Stage,
    /// Bytes of the segment that is the base, as of the commit that made it that.
    base_bytes: u64,
    /// Bytes written since.
    grown_bytes: u64,
    /// Bytes written in this segment.
    segment_bytes: u64,
    /// Bytes of the last commit beside sessions.
    section_bytes: usize,
    /// Bytes of sessions, as they are in memory, that one step writes.
    part_bytes: usize,
}

/// What is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Everything, and nothing counts before it is there: the first checkpoint, and the one after a failure.
    Whole,
    /// What has changed, and with it a part of everything else.
    Again,
    /// What has changed.
    Changes,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is a new checkpoint; so many bytes were written in this step.
    Written {
        /// Bytes.
        bytes: u64,
        /// The journal has grown too long: the next step should come soon.
        hurry: bool,
    },
    /// The checkpoint needs another step; what was read until then will be in it.
    More {
        /// Bytes.
        bytes: u64,
    },
}

impl Keeper {
    /// Goes on with a journal that was read, whose last checkpoint the pipeline is just as it was. `is_same` says so: without it the next
    /// checkpoint is everything.
    pub fn new(directory: StateDirectory, journal: Journal, pipeline: &mut Pipeline, is_same: bool) -> Self {
        if is_same {
            pipeline.sessions().resume_changes();
        }
        let base_bytes = journal.base_bytes();
        let grown_bytes = journal.bytes().saturating_sub(base_bytes);
        let (ledger, stage) = (Ledger::default(), Stage::Changes);
        let part_bytes = CHECKPOINT_SESSION_BYTES_MAX;
        Self { directory, journal, ledger, stage, base_bytes, grown_bytes, segment_bytes: 0, section_bytes: 0, part_bytes }
    }

    /// The state directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Makes the state directory anew if somebody has taken it away, its lock, or a part of the journal; true when that was so. The next
    /// checkpoint is everything then.
    ///
    /// # Errors
    /// When it cannot be made, or another daemon has it by now.
    pub fn hold_directory(&mut self, pipeline: &mut Pipeline) -> Result<bool, StateError> {
        let is_made = self.directory.renew()?;
        let is_lost = is_made || !self.journal.is_whole();
        if is_lost {
            warn!(directory = %self.path().display(), "The state directory or a part of it was taken away; it is made anew.");
            self.journal.forget();
            pipeline.sessions().forget_changes();
        }
        Ok(is_lost)
    }

    /// Bytes of the journal on disk.
    #[must_use]
    pub fn journal_bytes(&self) -> u64 {
        self.journal.bytes()
    }

    /// Writes the next part of a checkpoint. The alerts of the pipeline must have been taken.
    ///
    /// # Errors
    /// When the system refuses. The checkpoint before stays; the next one is written as a whole.
    pub fn step(&mut self, instant: &Instant<'_>, pipeline: &mut Pipeline) -> Result<Step, StateError> {
        let step = self.try_step(instant, pipeline);
        if step.is_err() {
            pipeline.sessions().forget_changes();
        }
        step
    }

    fn try_step(&mut self, instant: &Instant<'_>, pipeline: &mut Pipeline) -> Result<Step, StateError> {
        self.begin_if_due(pipeline)?;
        let changes = pipeline.sessions().take_changes(self.part_bytes);
        if !pipeline.sessions().is_taken() {
            let bytes = self.journal.add_part(&self.encoded(Ledger::part(changes))?)?;
            self.count(bytes);
            return Ok(Step::More { bytes });
        }
        let hurry = self.is_too_long();
        let mut parts = vec![changes];
        if self.stage == Stage::Again {
            parts.push(self.take_again(pipeline, hurry, &parts[0]));
        }
        let is_base = match self.stage {
            Stage::Whole => true,
            Stage::Again => pipeline.sessions().is_taken_again(),
            Stage::Changes => false,
        };
        parts.retain(|part| !part.is_empty());
        let session_bytes: usize = parts.iter().map(Changes::bytes).sum();
        let content = self.ledger.commit(instant, pipeline, parts);
        let content = self.encoded(content)?;
        self.section_bytes = content.len().saturating_sub(session_bytes);
        let bytes = self.journal.commit(&content, if is_base { Base::This } else { Base::Former })?;
        self.count(bytes);
        if is_base {
            (self.stage, self.base_bytes, self.grown_bytes) = (Stage::Changes, self.segment_bytes, 0);
        }
        Ok(Step::Written { bytes, hurry: hurry && self.stage == Stage::Again })
    }

    /// Begins a segment: for everything where changes were not noted, for everything again where the journal has grown.
    fn begin_if_due(&mut self, pipeline: &mut Pipeline) -> Result<(), StateError> {
        if !self.journal.has_segment() && self.is_too_long() {
            // Lives that ended early have left what none of them could shorten: everything at once, which counts when it is all there.
            pipeline.sessions().forget_changes();
        }
        let is_whole = pipeline.sessions().needs_everything();
        let has_grown = self.stage == Stage::Changes && self.grown_bytes > self.base_bytes / 2 + SMALL_BYTES;
        if !is_whole && self.journal.has_segment() && !has_grown {
            return Ok(());
        }
        self.journal.begin()?;
        self.ledger.forget();
        self.segment_bytes = 0;
        if is_whole {
            self.stage = Stage::Whole;
            pipeline.sessions().begin_changes();
        } else {
            self.stage = Stage::Again;
            pipeline.sessions().begin_again();
        }
        Ok(())
    }

    /// Twice as much again as is written for what has changed, so that the journal stays within a few times what is in it.
    fn take_again(&self, pipeline: &mut Pipeline, hurry: bool, changes: &Changes) -> Changes {
        let wanted = if hurry { self.part_bytes } else { (2 * (changes.bytes() + self.section_bytes)).max(AGAIN_BYTES_MIN) };
        pipeline.sessions().take_again(wanted.min(self.part_bytes))
    }

    fn is_too_long(&self) -> bool {
        self.base_bytes + self.grown_bytes > LENGTHS_MAX * self.base_bytes + JOURNAL_SPARE_BYTES_MAX
    }

    fn count(&mut self, bytes: u64) {
        self.segment_bytes += bytes;
        self.grown_bytes += bytes;
    }

    fn encoded(&self, content: postcard::Result<Vec<u8>>) -> Result<Vec<u8>, StateError> {
        content.map_err(|error| damaged(self.directory.path(), format!("it cannot be encoded: {error}")))
    }
}

/// Bytes of sessions that a checkpoint writes again when little has changed.
const AGAIN_BYTES_MIN: usize = 64 * 1024;

/// Below this the journal is not shortened.
const SMALL_BYTES: u64 = 1024 * 1024;

/// How many times its base the journal may be as long.
const LENGTHS_MAX: u64 = 4;

#[cfg(test)]
mod tests;
