//! Templates that the model does not know: in how many episodes and blocks they turn up, and whether they speak of failure.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::limits::{DOMAIN_EPISODES_MAX, STRANGER_POSITIONS_MAX, STRANGERS_FORGOTTEN_AT_ONCE, STRANGERS_MAX};
use crate::pipeline::event::template::failure::speaks_of_failure;
use crate::pipeline::event::{BlockId, Event, LogTime, Position, TemplateId};
use crate::pipeline::verdict::TemplateFinding;

/// All of them, by id.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Strangers {
    by_id: BTreeMap<TemplateId, Stranger>,
    /// Events heard; numbers them.
    heard: u64,
    forgotten: u64,
}

/// One template.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stranger {
    /// Its text.
    pub text: String,
    /// Whether a record of it warned, carried an exception or spoke of failure: it never becomes neutral by itself.
    pub grave: bool,
    /// Whether its events are left out of stories.
    pub neutral: bool,
    /// Whether the operator has muted it.
    pub muted: bool,
    /// Records that show it, the first ones.
    pub positions: Vec<Position>,
    /// Whether no message becomes it any more. It is kept for the events that sessions hold.
    replaced: bool,
    /// What has taken its place, if anything: what is decided of that holds for those events too.
    newer: Option<TemplateId>,
    first: LogTime,
    last: LogTime,
    events: u64,
    episodes: u64,
    /// Numbers of the last episodes in which it turned up, as many as are needed to be often there.
    recent: VecDeque<u64>,
    /// The first blocks in which it turned up, as many as are needed, sorted.
    blocks: Vec<BlockId>,
    /// Number of the last event.
    used: u64,
}

/// When a template is part of normal stories.
#[derive(Clone, Copy, Debug)]
pub struct Often {
    episodes: usize,
    blocks: usize,
}

impl Often {
    /// In more than `share` of the last [`DOMAIN_EPISODES_MAX`] episodes and in `blocks` blocks. The share is of that many episodes also
    /// while fewer have been: with the usual one in a hundred the blocks decide then, which are one in fifty at least.
    #[must_use]
    pub fn new(share: f64, blocks: u32) -> Self {
        Self { episodes: (share * DOMAIN_EPISODES_MAX as f64) as usize + 1, blocks: blocks as usize }
    }
}

impl Strangers {
    /// The template of an id, if it is known.
    #[must_use]
    pub fn get(&self, template: TemplateId) -> Option<&Stranger> {
        self.by_id.get(&template)
    }

    /// The template of an id, then what has taken its place one after the other, as far as they are known.
    pub fn line(&self, template: TemplateId) -> impl Iterator<Item = &Stranger> {
        let newer = |stranger: &&Stranger| self.get(stranger.newer?);
        std::iter::successors(self.get(template), newer).take(self.by_id.len())
    }

    /// All of them.
    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut Stranger> {
        self.by_id.values_mut()
    }

    /// A template begins. It goes on where those that it replaces have been.
    pub fn add(&mut self, template: TemplateId, replaced: &[TemplateId], text: &str, muted: bool, neutral: bool) {
        let mut stranger = Stranger::new(text, self.heard);
        for former in replaced.iter().filter_map(|id| self.by_id.get(id)) {
            stranger.take_over(former);
        }
        stranger.muted = muted;
        stranger.neutral = (stranger.neutral || neutral) && !stranger.grave;
        for id in replaced {
            if let Some(former) = self.by_id.get_mut(id) {
                former.give_way(template);
            }
        }
        self.by_id.insert(template, stranger);
        self.forget();
    }

    /// Counts an event; `None` when its template is not known any more.
    pub fn hear(&mut self, event: &Event) -> Option<&mut Stranger> {
        self.heard += 1;
        let stranger = self.by_id.get_mut(&event.template)?;
        if stranger.events == 0 {
            stranger.first = event.time;
        }
        stranger.last = event.time;
        stranger.events += 1;
        stranger.used = self.heard;
        Some(stranger)
    }

    /// Those with most events, at most `max`.
    #[must_use]
    pub fn commonest(&self, max: usize) -> Vec<&Stranger> {
        let mut found: Vec<&Stranger> =
            self.by_id.values().filter(|stranger| !stranger.replaced && stranger.events > 0).collect();
        found.sort_by(|a, b| b.events.cmp(&a.events).then_with(|| a.text.cmp(&b.text)));
        found.truncate(max);
        found
    }

    /// Forgets all others.
    pub fn retain(&mut self, keep: impl Fn(&Stranger) -> bool) {
        self.by_id.retain(|_, stranger| keep(stranger));
    }

    /// No message becomes one of these any more.
    pub fn retire(&mut self, is_former: impl Fn(TemplateId) -> bool) {
        self.by_id.iter_mut().for_each(|(id, stranger)| stranger.replaced |= is_former(*id));
    }

    /// Texts of those that are neutral.
    pub fn neutral_texts(&self) -> impl Iterator<Item = String> {
        self.by_id.values().filter(|stranger| stranger.neutral && !stranger.replaced).map(|stranger| stranger.text.clone())
    }

    /// How many are neutral now.
    #[must_use]
    pub fn neutral(&self) -> u64 {
        self.by_id.values().filter(|stranger| stranger.neutral && !stranger.replaced).count() as u64
    }

    /// How many were forgotten at the bound.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Former ones go first, then those that speak against blocks anyway, and of these those that were not heard for longest; what nobody
    /// wants to hear of goes last. Many at once, since each needs a look at all.
    fn forget(&mut self) {
        if self.by_id.len() <= STRANGERS_MAX {
            return;
        }
        let order = |(id, stranger): (&TemplateId, &Stranger)| {
            (!stranger.replaced, stranger.neutral || stranger.muted, stranger.used, *id)
        };
        let mut all: Vec<_> = self.by_id.iter().map(order).collect();
        let (first, _, _) = all.select_nth_unstable(STRANGERS_FORGOTTEN_AT_ONCE);
        for (.., id) in first {
            self.by_id.remove(id);
            self.forgotten += 1;
        }
    }
}

impl Stranger {
    fn new(text: &str, used: u64) -> Self {
        Self {
            text: text.to_owned(),
            grave: speaks_of_failure(text.as_bytes()),
            neutral: false,
            muted: false,
            positions: Vec::new(),
            replaced: false,
            newer: None,
            first: LogTime(0),
            last: LogTime(0),
            events: 0,
            episodes: 0,
            recent: VecDeque::new(),
            blocks: Vec::new(),
            used,
        }
    }

    /// Notes that it has turned up in an episode for the first time.
    pub fn note(&mut self, event: &Event, episode: u64, often: Often) {
        self.episodes += u64::from(self.note_episode(episode, often.episodes));
        if self.blocks.len() < often.blocks
            && let Err(place) = self.blocks.binary_search(&event.block)
        {
            self.blocks.insert(place, event.block);
        }
        if self.positions.len() < STRANGER_POSITIONS_MAX && !self.positions.contains(&event.position) {
            self.positions.push(event.position);
        }
    }

    /// Whether it is part of normal stories, while `newest` is the newest episode.
    #[must_use]
    pub fn is_often(&self, often: Often, newest: u64) -> bool {
        let since = self.recent.len().checked_sub(often.episodes).and_then(|index| self.recent.get(index));
        self.blocks.len() >= often.blocks && since.is_some_and(|since| newest - since < DOMAIN_EPISODES_MAX as u64)
    }

    /// What is told of it.
    #[must_use]
    pub fn finding(&self, model: &str) -> TemplateFinding {
        TemplateFinding {
            template: self.text.clone(),
            model: model.to_owned(),
            events: self.events,
            episodes: self.episodes,
            first: self.first,
            last: self.last,
        }
    }

    /// Keeps the numbers sorted, since an episode that began early may be the last to say it. False when it is noted already.
    fn note_episode(&mut self, episode: u64, max: usize) -> bool {
        let place = self.recent.partition_point(|known| *known < episode);
        let is_new = self.recent.get(place) != Some(&episode);
        if is_new {
            self.recent.insert(place, episode);
        }
        while self.recent.len() > max {
            self.recent.pop_front();
        }
        is_new
    }

    /// Another template has taken its place, and over what was counted.
    fn give_way(&mut self, newer: TemplateId) {
        (self.replaced, self.newer) = (true, Some(newer));
        (self.positions, self.recent, self.blocks) = (Vec::new(), VecDeque::new(), Vec::new());
    }

    fn take_over(&mut self, former: &Self) {
        self.grave |= former.grave;
        self.neutral |= former.neutral;
        self.first = if self.events == 0 { former.first } else { self.first.min(former.first) };
        self.last = self.last.max(former.last);
        self.events += former.events;
        self.episodes += former.episodes;
        let (episodes, blocks) = (self.recent.len().max(former.recent.len()), self.blocks.len().max(former.blocks.len()));
        for episode in &former.recent {
            self.note_episode(*episode, episodes.max(1));
        }
        self.blocks.extend(&former.blocks);
        self.blocks.sort_unstable();
        self.blocks.dedup();
        self.blocks.truncate(blocks);
        self.positions.extend(&former.positions);
        self.positions.truncate(STRANGER_POSITIONS_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_are_kept_is_bounded_and_the_neutral_and_muted_stay_longest() {
        let (max, at_once) = (STRANGERS_MAX, STRANGERS_FORGOTTEN_AT_ONCE);
        for (count, forgotten) in
            [(max - 1, 0), (max, 0), (max + 1, at_once), (max + at_once, at_once), (max + at_once + 1, 2 * at_once)]
        {
            let mut strangers = Strangers::default();
            for id in 0..count {
                strangers.add(TemplateId(id as u32), &[], &format!("text {id}"), id == 1, id == 0);
            }
            assert_eq!((strangers.by_id.len(), strangers.forgotten()), (count - forgotten, forgotten as u64));
            assert!(strangers.get(TemplateId(0)).is_some_and(|stranger| stranger.neutral), "{count}");
            assert!(strangers.get(TemplateId(1)).is_some_and(|stranger| stranger.muted), "{count}");
            let gone = |id: &usize| strangers.get(TemplateId(*id as u32)).is_none();
            assert_eq!((2..count).filter(gone).collect::<Vec<_>>(), (2..forgotten + 2).collect::<Vec<_>>(), "{count}");
        }
    }
}
