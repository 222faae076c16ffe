//! Knows what the model does not know: templates outside its vocabulary that have become part of normal stories, and traffic that it
//! should not judge at all.
//!
//! - A template that the model does not know and that turns up in many blocks becomes *neutral*: it is told once, and its events are
//!   left out of the stories from then on, as if they were not there. What warns, carries an exception or speaks of failure never
//!   does. What is left out may stand for what a story lacks, since a reworded sentence is a new one and an old one that is missing.
//! - When most of what is said is unknown, or nearly all stories are far from every normal one, the model is *out of its domain*: that
//!   is told once, and no blocks until the share has fallen to half of the limit.
//!
//! The first half of this moves with the log and decides which events are left out. The second moves with the verdicts, which come
//! later. What the first decides goes to the second as a notice that has its place among the cases, so that nothing depends on how
//! late the scores are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::limits::{DOMAIN_SAMPLES_MAX, STRANGERS_MAX};
use crate::pipeline::event::template::pattern::Pattern;
use crate::pipeline::event::{Event, LogTime, Position, TemplateId};
use crate::pipeline::profile::{Profile, UNKNOWN};
use crate::pipeline::session::{Case, SessionEvent};
use crate::pipeline::stats::Stats;
use crate::pipeline::verdict::trigger::Trigger;
use crate::pipeline::verdict::{Alert, Reason, TemplateFinding};

use self::mismatch::Mismatch;
use self::strangers::{Often, Strangers};
use self::traffic::Traffic;

mod alert;
mod mismatch;
mod strangers;
mod traffic;

/// What the operator decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Whether templates become neutral by themselves, and whether the model can be out of its domain.
    pub enabled: bool,
    /// Share of the last [`crate::limits::DOMAIN_EPISODES_MAX`] episodes above which a template is part of normal stories, 0..1.
    pub template_share: f64,
    /// Blocks in which it has turned up by then, at least.
    pub template_blocks: u32,
    /// Share of unknown events above which the model is out of its domain, 0..1.
    pub unknown_share_max: f64,
    /// Share of stories far from every normal one above which it is too, 0..1.
    pub far_share_max: f64,
    /// Texts of templates that are nobody's concern.
    pub mute: Vec<String>,
}

/// What is known of the model's domain.
#[derive(Debug)]
pub struct Domain {
    settings: Settings,
    mute: Vec<Pattern>,
    model: String,
    state: Kept,
}

/// What a checkpoint keeps of a [`Domain`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    strangers: Strangers,
    /// Texts that were neutral under an earlier model, and that this one does not know either.
    inherited: Vec<String>,
    /// Texts that were neutral under an earlier model, and that this one knows. They are neutral again should that one come back.
    former: Vec<String>,
    traffic: Traffic,
    /// Whether too much of the traffic is unknown, as of the log.
    foreign: bool,
    /// Log time of the last event.
    now: LogTime,
    /// What was decided with the log, each with the number of the case that it comes before.
    notices: VecDeque<(u64, Notice)>,
    /// Cases decided, or given up, so far.
    judged: u64,
    /// Texts that are neutral, as far as the verdicts have got.
    neutral_texts: Vec<String>,
    mismatch: Mismatch,
}

/// A decision on its way from the log to the verdicts.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Notice {
    /// A template is neutral from here on.
    Neutral { time: LogTime, template: TemplateFinding, positions: Vec<Position> },
    /// Too much is unknown from here on.
    Foreign { time: LogTime, share: f64, templates: Vec<TemplateFinding>, positions: Vec<Position> },
    /// It no longer is.
    Familiar { time: LogTime, share: f64 },
    /// Another model judges from here on, which knows none of these texts. The share is that of what the one before did not know.
    ModelChanged { time: LogTime, inherited: Vec<String>, share: f64 },
    /// Another model judges from here on, which knows the same events and other stories.
    StoriesChanged { time: LogTime },
}

/// How an event stands in its session.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Number of the episode, by [`Domain::begin_episode`].
    pub episode: u64,
    /// Whether its template is new to the episode.
    pub is_news: bool,
    /// Whether it counts in the traffic: no endless event beyond its buckets, nor one beyond what a session keeps.
    pub counts: bool,
}

impl Domain {
    /// Nothing seen yet of the traffic for this model.
    #[must_use]
    pub fn new(settings: Settings, profile: &Profile) -> Self {
        Self::restore(settings, profile, Kept::default())
    }

    /// Goes on from a checkpoint of the same model. What the operator decides may have changed since.
    #[must_use]
    pub fn restore(settings: Settings, profile: &Profile, kept: Kept) -> Self {
        let mute = settings.mute.iter().map(|text| Pattern::new(text)).collect();
        let mut domain = Self { settings, mute, model: profile.name.clone(), state: kept };
        let Self { settings: Settings { enabled, .. }, mute, state, .. } = &mut domain;
        for stranger in state.strangers.all_mut() {
            stranger.muted = fits_any(mute, &stranger.text);
            stranger.neutral &= *enabled;
        }
        state.inherited.retain(|_| *enabled);
        state.former.retain(|_| *enabled);
        state.neutral_texts.retain(|_| *enabled);
        domain
    }

    /// What a checkpoint keeps.
    #[must_use]
    pub fn kept(&self) -> &Kept {
        &self.state
    }

    /// Another model takes over once `ahead` more cases are decided; those that never will be are given up before. What it knows is
    /// forgotten, what was neutral and is unknown to it too stays neutral, and the traffic is measured anew: a mismatch is over.
    /// `same_ids` says that ids of templates keep their meaning.
    pub fn change_model(&mut self, profile: &Profile, ahead: usize, same_ids: bool) {
        let vocabulary = Pattern::of_vocabulary(profile);
        let Kept { strangers, inherited, former, traffic, foreign, now, .. } = &mut self.state;
        let neutral = inherited.drain(..).chain(former.drain(..)).chain(strangers.neutral_texts());
        let neutral: BTreeSet<String> = neutral.collect();
        (*former, *inherited) = neutral.into_iter().partition(|text| fits_any(&vocabulary, text));
        inherited.truncate(STRANGERS_MAX);
        former.truncate(STRANGERS_MAX);
        strangers.retain(|stranger| same_ids && !fits_any(&vocabulary, &stranger.text));
        let share = traffic.share();
        traffic.clear();
        *foreign = false;
        let notice = Notice::ModelChanged { time: *now, inherited: inherited.clone(), share };
        self.notify(notice, ahead);
        self.model.clone_from(&profile.name);
    }

    /// Another model has taken over, with these templates mined before: those that the one before knew, and this one does not, begin.
    /// No message becomes any other.
    pub fn handle_mined(&mut self, profile: &Profile, mined: impl Iterator<Item = (TemplateId, String)>) {
        let vocabulary = Pattern::of_vocabulary(profile);
        let mined: BTreeMap<TemplateId, String> = mined.collect();
        self.state.strangers.retire(|template| !mined.contains_key(&template));
        for (template, text) in mined {
            if self.state.strangers.get(template).is_none() && !fits_any(&vocabulary, &text) {
                self.handle_template(template, &[], &text);
            }
        }
    }

    /// A model takes over that knows the same: what was measured of the events holds for it. What was measured of the stories does only
    /// if it has the `same_stories` too, and is measured anew otherwise.
    pub fn rename_model(&mut self, profile: &Profile, same_stories: bool) {
        if !same_stories {
            self.notify(Notice::StoriesChanged { time: self.state.now }, 0);
        }
        self.model.clone_from(&profile.name);
    }

    /// A template begins that the model does not know, or takes the place of others.
    pub fn handle_template(&mut self, template: TemplateId, replaced: &[TemplateId], text: &str) {
        let muted = fits_any(&self.mute, text);
        let inherited = self.state.inherited.iter().any(|known| Pattern::new(known).wildcards(text.as_bytes()).is_some());
        self.state.strangers.add(template, replaced, text, muted, inherited);
    }

    /// Whether the event is to be passed over: the operator said that it is nobody's concern.
    #[must_use]
    pub fn is_muted(&self, event: &Event) -> bool {
        event.token == UNKNOWN && self.state.strangers.get(event.template).is_some_and(|stranger| stranger.muted)
    }

    /// Whether a session keeps an event that is to be left out by now.
    #[must_use]
    pub fn leaves_out(&self, event: &SessionEvent) -> bool {
        event.token == UNKNOWN && self.state.strangers.line(event.template).any(|s| s.muted || (s.neutral && !event.grave))
    }

    /// Numbers an episode.
    pub fn begin_episode(&mut self) -> u64 {
        self.state.traffic.begin()
    }

    /// Takes an event of an episode, while `ahead` cases wait for their verdict. True when the event is to be left out of its story.
    pub fn handle_event(&mut self, event: &Event, seen: Seen, ahead: usize) -> bool {
        self.state.now = event.time;
        let unknown = event.token == UNKNOWN;
        let calm = unknown && !event.grave && self.state.strangers.get(event.template).is_none_or(|stranger| !stranger.grave);
        if seen.counts {
            self.state.traffic.count(seen.episode, calm);
            self.weigh_traffic(ahead);
        }
        unknown && self.hear(event, seen, ahead)
    }

    /// The verdict on a case has been applied, or there was none to be had.
    pub fn note_judged(&mut self) {
        self.state.judged += 1;
    }

    /// So many cases are given up: the model that was to judge them is gone.
    pub fn give_up(&mut self, cases: usize) {
        self.state.judged += cases as u64;
    }

    /// Takes the verdict on an episode. `is_far` says that no normal story is near.
    pub fn handle_verdict(&mut self, case: &Case, is_far: bool, alerts: &mut VecDeque<Alert>) {
        if !case.sets_threshold {
            return;
        }
        let Self { settings, state: Kept { mismatch, .. }, model, .. } = self;
        let share = mismatch.note_story(is_far);
        let max = settings.far_share_max;
        let limit = if mismatch.far { max / 2.0 } else { max };
        let far = settings.enabled && share.is_some_and(|share| share > limit);
        if far == mismatch.far {
            return;
        }
        let found = alert::Shares { model, share: share.unwrap_or_default(), max, templates: Vec::new() };
        alerts.extend(if far {
            mismatch.enter(Reason::FarShare, case.time, found, Vec::new())
        } else {
            mismatch.leave(Reason::FarShare, case.time, found)
        });
    }

    /// Whether blocks are not told of now, as far as the verdicts have got.
    #[must_use]
    pub fn is_mismatched(&self) -> bool {
        self.state.mismatch.is_on()
    }

    /// Whether the threshold may learn from the case: it is judged as a whole, by a model in its domain that knows all its events. What an
    /// unknown event scores says nothing of how the others do.
    #[must_use]
    pub fn is_sound(&self, case: &Case) -> bool {
        case.left_out == 0 && !self.is_mismatched() && case.events.iter().all(|event| event.token != UNKNOWN)
    }

    /// A block is anomalous and not told of. Each episode counts once.
    pub fn hold_back(&mut self, case: &Case) {
        self.state.mismatch.hold_back(case.sets_threshold);
    }

    /// Applies what was decided before the next case.
    pub fn settle(&mut self, trigger: &mut Trigger, alerts: &mut VecDeque<Alert>) {
        while self.state.notices.front().is_some_and(|(at, _)| *at <= self.state.judged) {
            let (_, notice) = self.state.notices.pop_front().expect("it was seen just now");
            self.apply(notice, trigger, alerts);
        }
    }

    /// Fills in the shares and what was counted.
    pub fn count_into(&self, stats: &mut Stats) {
        let Kept { strangers, traffic, mismatch, .. } = &self.state;
        stats.unknown_share = traffic.share();
        stats.far_share = mismatch.far_share();
        stats.domain_mismatch = u64::from(mismatch.is_on());
        stats.held_back_episodes = mismatch.held_back();
        stats.neutral_templates = strangers.neutral();
        stats.strangers_forgotten = strangers.forgotten();
    }

    /// Counts an unknown event and decides whether it is left out.
    fn hear(&mut self, event: &Event, seen: Seen, ahead: usize) -> bool {
        let Self { settings, state, .. } = self;
        let often = Often::new(settings.template_share, settings.template_blocks);
        let newest = state.traffic.newest();
        // At first too little is known to tell a new sentence from a model that knows none.
        let may_decide = settings.enabled && !state.foreign && state.traffic.is_telling();
        let Some(stranger) = state.strangers.hear(event) else { return false };
        if event.grave {
            stranger.grave |= !stranger.neutral;
            return false;
        }
        if seen.is_news && !stranger.neutral {
            stranger.note(event, seen.episode, often);
        }
        if stranger.neutral || !may_decide || stranger.grave || !stranger.is_often(often, newest) {
            return stranger.neutral;
        }
        stranger.neutral = true;
        let (template, positions) = (stranger.finding(&self.model), stranger.positions.clone());
        self.notify(Notice::Neutral { time: event.time, template, positions }, ahead);
        true
    }

    fn weigh_traffic(&mut self, ahead: usize) {
        let Self { settings, state, model, .. } = self;
        let share = state.traffic.share();
        let max = settings.unknown_share_max;
        let limit = if state.foreign { max / 2.0 } else { max };
        let foreign = settings.enabled && share > limit && state.traffic.is_telling();
        if std::mem::replace(&mut state.foreign, foreign) == foreign {
            return;
        }
        let time = state.now;
        if !foreign {
            self.notify(Notice::Familiar { time, share }, ahead);
            return;
        }
        let samples = state.strangers.commonest(DOMAIN_SAMPLES_MAX);
        let templates = samples.iter().map(|stranger| stranger.finding(model)).collect();
        let positions = samples.iter().filter_map(|stranger| stranger.positions.first().copied()).collect();
        self.notify(Notice::Foreign { time, share, templates, positions }, ahead);
    }

    fn notify(&mut self, notice: Notice, ahead: usize) {
        let at = self.state.judged + ahead as u64;
        self.state.notices.push_back((at, notice));
    }

    fn apply(&mut self, notice: Notice, trigger: &mut Trigger, alerts: &mut VecDeque<Alert>) {
        let Self { settings, state: Kept { mismatch, neutral_texts, .. }, model, .. } = self;
        let max = settings.unknown_share_max;
        match notice {
            Notice::Neutral { time, template, positions } => {
                neutral_texts.push(template.template.clone());
                let surplus = neutral_texts.len().saturating_sub(STRANGERS_MAX);
                neutral_texts.drain(..surplus);
                let patterns: Vec<Pattern> = neutral_texts.iter().map(|text| Pattern::new(text)).collect();
                alerts.push_back(alert::template(template, positions, time));
                alerts.extend(trigger.retract(|text| fits_any(&patterns, text), time));
            }
            Notice::Foreign { time, share, templates, positions } => {
                let found = alert::Shares { model, share, max, templates };
                alerts.extend(mismatch.enter(Reason::UnknownShare, time, found, positions));
            }
            Notice::Familiar { time, share } => {
                let found = alert::Shares { model, share, max, templates: Vec::new() };
                alerts.extend(mismatch.leave(Reason::UnknownShare, time, found));
            }
            Notice::ModelChanged { time, inherited, share } => {
                *neutral_texts = inherited;
                alerts.extend(mismatch.restart(time, (share, max), settings.far_share_max));
            }
            Notice::StoriesChanged { time } => alerts.extend(mismatch.restart_stories(time, settings.far_share_max)),
        }
    }
}

fn fits_any(patterns: &[Pattern], text: &str) -> bool {
    patterns.iter().any(|pattern| pattern.wildcards(text.as_bytes()).is_some())
}

#[cfg(test)]
pub(crate) mod tests;
