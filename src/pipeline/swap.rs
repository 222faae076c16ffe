//! Puts another model in the place of this one, at one point in the order of the input.
//!
//! What was read before that point is judged by the model that was there when it was read: the swap waits until every window has its
//! score, and what the next model cannot go on with ends before. So two models are never at work at once.

use std::collections::VecDeque;

use crate::limits::WINDOWS_PENDING_MAX;
use crate::pipeline::Pipeline;
use crate::pipeline::event::template::swap::{Names, check_masks};
use crate::pipeline::front::Front;
use crate::pipeline::profile::{Profile, UNKNOWN};
use crate::pipeline::session::Case;
use crate::pipeline::session::assemble::Assembler;
use crate::pipeline::verdict::threshold::Threshold;

/// What became of the sessions that were open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swapped {
    /// Sessions that go on under the next model.
    pub sessions_mapped: u64,
    /// Sessions that ended, since the next model does not know an event of theirs that this one knew.
    pub sessions_ended: u64,
}

impl Pipeline {
    /// Whether the pipeline could go on with this model.
    ///
    /// # Errors
    /// The name of a mask that the program does not know.
    pub fn can_take(profile: &Profile) -> Result<(), String> {
        check_masks(profile)
    }

    /// Ends sessions that the next model cannot go on with, so that this one judges them; at most as many as windows may be pending.
    /// How many have ended: call again once all windows have their scores, until it is 0, then [`Pipeline::swap`].
    ///
    /// # Panics
    /// When windows wait for their scores.
    pub fn end_foreign(&mut self, next: &Profile) -> u64 {
        assert!(self.cases.is_empty(), "the model judges what was read before it is replaced");
        let (mut names, mut ended) = (Names::new(next), VecDeque::new());
        let Self { front, assembler, watch, cases, .. } = self;
        let ended_sessions = end_foreign(front, assembler, next, &mut names, &mut ended);
        ended.iter_mut().for_each(|case| watch.attach(case));
        cases.extend(ended);
        ended_sessions
    }

    /// Goes on with another model. Template ids keep their texts, sessions go on by the text of their templates, incidents and what is
    /// known of hosts stay, and the threshold begins where the model's calibration says, unless that is the same.
    ///
    /// # Errors
    /// The name of a mask that the program does not know; then nothing has changed.
    ///
    /// # Panics
    /// When windows wait for their scores.
    pub fn swap(&mut self, next: Profile) -> Result<Swapped, String> {
        assert!(self.cases.is_empty(), "the model judges what was read before it is replaced");
        Self::can_take(&next)?;
        let (mut names, keeps_ids) = (Names::new(&next), self.front.templates().can_keep_ids());
        let templates = self.front.templates();
        let sessions_ended = self.assembler.swap(&next, &mut |id| if keeps_ids { names.token(templates, id) } else { UNKNOWN });
        self.front.swap(&self.profile, &next)?;
        if next.calibration != self.profile.calibration {
            self.threshold = Threshold::new(self.settings.threshold, &next.calibration);
        }
        // A stage that keeps something of templates outside the vocabulary is told of `next` here.
        self.profile = next;
        Ok(Swapped { sessions_mapped: self.assembler.len() as u64, sessions_ended })
    }
}

fn end_foreign(front: &Front, assembler: &mut Assembler, next: &Profile, names: &mut Names, cases: &mut VecDeque<Case>) -> u64 {
    let (templates, keeps_ids) = (front.templates(), front.templates().can_keep_ids());
    let mut name = |id| if keeps_ids { names.token(templates, id) } else { UNKNOWN };
    assembler.end_foreign(next, &mut name, WINDOWS_PENDING_MAX, cases)
}
