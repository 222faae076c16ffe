//! Whether the model is out of its domain, as far as the verdicts have got: why, since when, and how much was not told meanwhile.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::limits::DOMAIN_EPISODES_MAX;
use crate::pipeline::event::{LogTime, Position};
use crate::pipeline::verdict::{Alert, Reason};

use super::alert::{self, Shares};

/// The state of the detector.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Mismatch {
    /// Whether too many stories are far from every normal one.
    pub far: bool,
    /// Whether too many events are unknown.
    unknown: bool,
    /// Of the last episodes, whether each was far; oldest first, at most [`DOMAIN_EPISODES_MAX`].
    stories: VecDeque<bool>,
    far_stories: u32,
    /// Times that it was out of its domain; numbers them.
    number: u64,
    /// Since when.
    opened: LogTime,
    /// Name of the model that was out of its domain last.
    model: String,
    /// Episodes that were anomalous and not told, ever, and when it was last entered.
    held_back: u64,
    held_back_before: u64,
}

impl Mismatch {
    /// Whether it is out of its domain.
    pub fn is_on(&self) -> bool {
        self.far || self.unknown
    }

    /// Counts a story; the share of far ones once there are enough to tell.
    pub fn note_story(&mut self, is_far: bool) -> Option<f64> {
        self.stories.push_back(is_far);
        self.far_stories += u32::from(is_far);
        if self.stories.len() > DOMAIN_EPISODES_MAX {
            self.far_stories -= u32::from(self.stories.pop_front().unwrap_or_default());
        }
        (self.stories.len() >= STORIES_MIN).then(|| self.far_share())
    }

    /// Share of the last stories that are far from every normal one, 0..=1; 0 before the first.
    pub fn far_share(&self) -> f64 {
        f64::from(self.far_stories) / self.stories.len().max(1) as f64
    }

    /// Episodes that were anomalous and not told, ever.
    pub fn held_back(&self) -> u64 {
        self.held_back
    }

    /// Counts an episode that is not told, if it is one more.
    pub fn hold_back(&mut self, is_more: bool) {
        self.held_back += u64::from(is_more);
    }

    /// The limit of a share is passed: the alert, unless it is out of its domain already.
    pub fn enter(&mut self, reason: Reason, time: LogTime, found: Shares<'_>, positions: Vec<Position>) -> Option<Alert> {
        let was_on = self.is_on();
        *self.cause(reason) = true;
        if was_on {
            return None;
        }
        self.number += 1;
        self.opened = time;
        self.model = found.model.to_owned();
        self.held_back_before = self.held_back;
        Some(alert::mismatch((self.opened, self.number), reason, time, found, positions))
    }

    /// A share has fallen far enough: the alert, unless the other has not.
    pub fn leave(&mut self, reason: Reason, time: LogTime, found: Shares<'_>) -> Option<Alert> {
        let was_on = self.is_on();
        *self.cause(reason) = false;
        (was_on && !self.is_on()).then(|| self.resolved(Reason::Recovered, time, (found.share, found.max)))
    }

    /// Another model: nothing is known of its events and stories. Of the one before, `unknown` is the share of unknown events and its
    /// limit.
    pub fn restart(&mut self, time: LogTime, unknown: (f64, f64), far_share_max: f64) -> Option<Alert> {
        let measured = if std::mem::take(&mut self.unknown) { Some(unknown) } else { self.far_measured(far_share_max) };
        self.forget_stories();
        measured.map(|measured| self.resolved(Reason::ModelChanged, time, measured))
    }

    /// Another model that knows the same events: nothing is known of its stories.
    pub fn restart_stories(&mut self, time: LogTime, far_share_max: f64) -> Option<Alert> {
        let measured = self.far_measured(far_share_max).filter(|_| !self.unknown);
        self.forget_stories();
        measured.map(|measured| self.resolved(Reason::ModelChanged, time, measured))
    }

    /// The share of far stories and its limit, if that is why it is out of its domain.
    fn far_measured(&self, max: f64) -> Option<(f64, f64)> {
        self.far.then(|| (self.far_share(), max))
    }

    fn forget_stories(&mut self) {
        self.stories.clear();
        (self.far, self.far_stories) = (false, 0);
    }

    /// The alert that ends the one before, whatever the model is called by now.
    fn resolved(&self, reason: Reason, time: LogTime, (share, max): (f64, f64)) -> Alert {
        let found = Shares { model: &self.model, share, max, templates: Vec::new() };
        alert::resolved((self.opened, self.number), reason, time, found, self.held_back - self.held_back_before)
    }

    fn cause(&mut self, reason: Reason) -> &mut bool {
        if reason == Reason::FarShare { &mut self.far } else { &mut self.unknown }
    }
}

/// Stories without which their share says nothing: a burst of failures right after the start must not pass for a foreign cluster.
const STORIES_MIN: usize = 200;
