//! Puts another model in the place of this one, at one point in the order of the input.
//!
//! What was read before that point is judged by the model that was there when it was read: the swap waits until every window has its
//! score, and what the next model cannot go on with ends before. So two models are never at work at once.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits::WINDOWS_PENDING_MAX;
use crate::pipeline::Pipeline;
use crate::pipeline::event::template::swap::{Names, check_masks};
use crate::pipeline::profile::{Calibration, CountPattern, FIRST_EVENT, Profile};
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
        let Self { front, assembler, watch, cases, domain, .. } = self;
        let (mut names, templates) = (Names::new(next), front.templates());
        let ended = assembler.end_foreign(next, &mut |id| names.token(templates, id), WINDOWS_PENDING_MAX, domain, cases);
        cases.iter_mut().for_each(|case| watch.attach(case));
        ended
    }

    /// Goes on with another model. Template ids keep their texts, sessions go on by the text of their templates, incidents and what is
    /// known of hosts stay, and the threshold begins where the model's calibration says, unless that says the same of scores.
    ///
    /// # Errors
    /// The name of a mask that the program does not know; then nothing has changed.
    ///
    /// # Panics
    /// When windows wait for their scores.
    pub fn swap(&mut self, next: Profile) -> Result<Swapped, String> {
        assert!(self.cases.is_empty(), "the model judges what was read before it is replaced");
        Self::can_take(&next)?;
        let (mut names, templates) = (Names::new(&next), self.front.templates());
        let keeps_ids = templates.can_keep_ids();
        let sessions_ended = self.assembler.swap(&next, &mut |id| names.token(templates, id));
        self.front.swap(&self.profile, &next)?;
        let (settings, calibration) = (self.settings.threshold, &next.calibration);
        if calibration.scores_as(&self.profile.calibration) {
            self.threshold = Threshold::restore(settings, calibration, self.threshold.kept().clone());
        } else {
            self.end_regimes();
            self.threshold = Threshold::new(settings, calibration);
        }
        if keeps_ids && self.profile.drain == next.drain && texts(&self.profile) == texts(&next) {
            self.domain.rename_model(&next, Distances::of(&self.profile) == Distances::of(&next));
        } else {
            self.domain.change_model(&next, 0, keeps_ids);
            self.domain.handle_mined(&next, self.front.templates().mined());
        }
        self.profile = next;
        self.settle();
        Ok(Swapped { sessions_mapped: self.assembler.len() as u64, sessions_ended })
    }
}

/// What says how far a story is from every normal one, whatever the model calls the events.
#[derive(PartialEq)]
struct Distances<'a> {
    /// Normal stories: how often each text is in them.
    patterns: BTreeSet<Vec<(&'a str, u16)>>,
    weights: BTreeMap<(u16, &'a str), f32>,
    max: f32,
}

impl<'a> Distances<'a> {
    fn of(profile: &'a Profile) -> Self {
        let Calibration { patterns, weights, distance_max, .. } = &profile.calibration;
        let text = |token: u16| {
            let index = token.checked_sub(FIRST_EVENT)?;
            Some(profile.vocabulary.get(usize::from(index))?.text.as_str())
        };
        let pattern = |pattern: &'a CountPattern| {
            let mut counts: Vec<(&str, u16)> =
                pattern.counts.iter().map(|(token, count)| (text(token.0).unwrap_or_default(), *count)).collect();
            counts.sort_unstable();
            counts
        };
        let weight = |(token, weight): (u16, &f32)| match text(token) {
            Some(text) => ((FIRST_EVENT, text), *weight),
            None => ((token, ""), *weight),
        };
        Self {
            patterns: patterns.iter().map(pattern).collect(),
            weights: (0..).zip(weights).map(weight).collect(),
            max: *distance_max,
        }
    }
}

/// What a model knows, whatever it calls it.
fn texts(profile: &Profile) -> BTreeSet<&str> {
    profile.vocabulary.iter().map(|entry| entry.text.as_str()).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::pipeline::event::{Chunk, SourceId, StreamId, WallTime};
    use crate::pipeline::profile::tests::profile;
    use crate::pipeline::session::{Cause, Score, assemble};
    use crate::pipeline::verdict::{Alert, AlertType, Finding, threshold, trouble};
    use crate::pipeline::{Settings, front};

    #[test]
    fn the_threshold_stays_where_the_calibration_is_the_same() {
        let mut pipeline = pipeline(&["blk_1 was opened"]);
        pipeline.flush();
        judge(&mut pipeline, 0.9, 0.0);
        let learnt = pipeline.stats().threshold;
        let renamed = Profile { name: "other".to_owned(), ..profile(&["<*> was opened"]) };
        pipeline.swap(renamed).expect("its masks are known");
        assert_eq!((pipeline.stats().threshold_updates, pipeline.stats().threshold), (1, learnt));
        let mut other = profile(&["<*> was opened"]);
        other.calibration.log_mean = 1.0;
        pipeline.swap(other).expect("its masks are known");
        assert_eq!(pipeline.stats().threshold_updates, 0);
        assert!(pipeline.stats().threshold > 2.0 * learnt, "{}", pipeline.stats().threshold);
    }

    #[test]
    fn what_ends_is_judged_by_the_model_before_and_takes_nothing_back() {
        let mut pipeline = pipeline(&["blk_1 was opened", "blk_2 was opened"]);
        pipeline.flush();
        judge(&mut pipeline, 9.0, 1.0);
        assert_eq!(alerts(&mut pipeline), [(1, AlertType::Firing), (2, AlertType::Firing)]);
        read(&mut pipeline, 1000, &["blk_1 was opened"]);
        let next = profile(&["<*> was lost"]);
        assert_eq!(pipeline.end_foreign(&next), 2);
        let causes: Vec<Cause> = pipeline.cases.iter().map(|case| case.cause).collect();
        assert_eq!(causes, [Cause::Swap], "nothing was said of the other since it was judged");
        judge(&mut pipeline, 0.1, 0.0);
        assert_eq!((pipeline.end_foreign(&next), alerts(&mut pipeline)), (0, vec![]));
        let swapped = pipeline.swap(next).expect("its masks are known");
        assert_eq!(swapped, Swapped { sessions_mapped: 0, sessions_ended: 0 });
        assert_eq!(pipeline.stats().incidents_firing, 2, "incidents stay");
    }

    #[test]
    fn what_was_neutral_is_so_again_when_the_model_before_comes_back() {
        let (before, next) = (profile(&["<*> was opened"]), profile(&["<*> was opened", "<*> moved away"]));
        let mut pipeline = with_neutral("moved away");
        swap_to(&mut pipeline, &next);
        assert_eq!((unknown_blocks(&mut pipeline, "moved away"), pipeline.stats().neutral_templates), (0, 0), "it is known");
        swap_to(&mut pipeline, &before);
        assert_eq!((unknown_blocks(&mut pipeline, "moved away"), pipeline.stats().neutral_templates), (0, 1));
        assert_eq!(alerts(&mut pipeline), [], "and it is not told again");
    }

    #[test]
    fn what_was_not_neutral_becomes_so_when_the_model_before_comes_back() {
        let (before, next) = (profile(&["<*> was opened"]), profile(&["<*> was opened", "<*> moved away"]));
        let mut pipeline = pipeline(&["blk_1 was opened", "blk_1 moved away"]);
        swap_to(&mut pipeline, &next);
        swap_to(&mut pipeline, &before);
        assert_eq!(unknown_blocks(&mut pipeline, "moved away"), 24, "a hundred events tell");
        assert_eq!(alerts(&mut pipeline), [(0, AlertType::Template)]);
        assert_eq!(unknown_blocks(&mut pipeline, "moved away"), 0);
    }

    #[test]
    fn what_was_neutral_stays_so_when_templates_are_mined_in_another_way() {
        let mut next = profile(&["<*> was opened"]);
        next.drain.depth += 1;
        let mut pipeline = with_neutral("moved away");
        swap_to(&mut pipeline, &next);
        assert_eq!((unknown_blocks(&mut pipeline, "moved away"), pipeline.stats().neutral_templates), (0, 1));
        assert_eq!(alerts(&mut pipeline), [], "and it is not told again");
    }

    #[test]
    fn stories_are_measured_anew_only_against_other_normal_stories() {
        let (same, mut other) =
            (Profile { name: "renamed".to_owned(), ..profile(&["<*> was opened"]) }, profile(&["<*> was opened"]));
        other.calibration.distance_max = 5.0;
        for (next, share, told) in [(same, 1.0, vec![]), (other, 0.0, vec![(0, AlertType::MismatchResolved)])] {
            let mut pipeline = pipeline(&[]);
            let said: Vec<String> = (0..300).map(|block| format!("blk_{block} was opened")).collect();
            read(&mut pipeline, 0, &said.iter().map(String::as_str).collect::<Vec<_>>());
            pipeline.flush();
            while pipeline.has_windows() {
                judge(&mut pipeline, 9.0, 1.0);
            }
            assert_eq!(alerts(&mut pipeline).last(), Some(&(0, AlertType::Mismatch)));
            let (events, episodes) = (pipeline.stats().unknown_share, pipeline.stats().held_back_episodes);
            swap_to(&mut pipeline, &next);
            assert_eq!((pipeline.stats().far_share, alerts(&mut pipeline)), (share, told), "{}", next.name);
            assert_eq!((pipeline.stats().unknown_share, pipeline.stats().held_back_episodes), (events, episodes));
        }
    }

    #[test]
    fn a_model_with_an_unknown_mask_is_refused_and_changes_nothing() {
        let mut pipeline = pipeline(&["blk_1 was opened"]);
        let (before, mut next) = (pipeline.profile.clone(), profile(&["z"]));
        next.drain.masks = vec!["planet".to_owned()];
        assert_eq!(pipeline.swap(next), Err("planet".to_owned()));
        assert_eq!((&pipeline.profile, pipeline.stats().sessions_open), (&before, 1));
    }

    pub(crate) fn pipeline(messages: &[&str]) -> Pipeline {
        let mut pipeline = Pipeline::new(settings(), profile(&["<*> was opened"])).expect("its masks are known");
        pipeline.open_stream(StreamId(0), "dn.log", false);
        read(&mut pipeline, 0, messages);
        pipeline
    }

    /// One to which a sentence is unknown that many blocks have said.
    fn with_neutral(said: &str) -> Pipeline {
        let mut pipeline = pipeline(&[]);
        unknown_blocks(&mut pipeline, said);
        assert_eq!((pipeline.stats().neutral_templates, alerts(&mut pipeline)), (1, vec![(0, AlertType::Template)]));
        pipeline
    }

    /// Forty new blocks are opened and say it: how many of them are to be judged at once. All that is judged is normal.
    fn unknown_blocks(pipeline: &mut Pipeline, said: &str) -> usize {
        let first = 100 * (pipeline.stats().records as i64 + 1);
        let stories = (first..first + 40).flat_map(|block| {
            let opened = format!("blk_{block} was opened");
            [opened.clone(), opened.clone(), opened, format!("blk_{block} {said}")]
        });
        let stories: Vec<String> = stories.collect();
        let stories: Vec<&str> = stories.iter().map(String::as_str).collect();
        read(pipeline, 1000 * first as u64, &stories);
        let unknown = pipeline.cases.iter().filter(|case| case.cause == Cause::UnknownEvent).count();
        judge_all(pipeline);
        unknown
    }

    fn swap_to(pipeline: &mut Pipeline, next: &Profile) {
        judge_all(pipeline);
        while pipeline.end_foreign(next) > 0 {
            judge_all(pipeline);
        }
        pipeline.swap(next.clone()).expect("its masks are known");
    }

    fn judge_all(pipeline: &mut Pipeline) {
        while pipeline.has_windows() {
            judge(pipeline, 0.1, 0.0);
        }
    }

    pub(crate) fn read(pipeline: &mut Pipeline, offset: u64, messages: &[&str]) {
        let text: String = messages.iter().map(|message| format!("081109 203518 143 INFO dfs.DataNode: {message}\n")).collect();
        let chunk = Chunk { stream: StreamId(0), source: SourceId(0), offset, bytes: text.as_bytes() };
        pipeline.handle_chunk(chunk, WallTime(0));
        pipeline.close_stream(StreamId(0));
    }

    fn judge(pipeline: &mut Pipeline, score: f32, distance: f32) {
        let windows = pipeline.poll_batch().expect("something is to be judged");
        let scores = windows.iter().map(|window| Score { score, distance, token_error: vec![score; window.tokens.len()] });
        pipeline.handle_scores(scores.map(Some), |_, _| {});
    }

    fn alerts(pipeline: &mut Pipeline) -> Vec<(i64, AlertType)> {
        let block = |alert: &Alert| match &alert.finding {
            Finding::Block(finding) => finding.block.number,
            Finding::Host(_) | Finding::Template(_) | Finding::Domain(_) | Finding::Regime(_) | Finding::State(_) => 0,
        };
        std::iter::from_fn(|| pipeline.poll_alert()).map(|alert| (block(&alert), alert.alert_type)).collect()
    }

    pub(crate) fn settings() -> Settings {
        Settings {
            front: front::tests::settings(),
            assemble: assemble::Settings { quiet_millis: 1000, idle_millis: 9_000_000, bytes_max: 1 << 20 },
            domain: crate::pipeline::verdict::domain::tests::usual(),
            threshold: threshold::Settings { lambda: 0.1, ..threshold::Settings::default() },
            trouble: trouble::Settings {
                enabled: false,
                learning_millis: 0,
                quiet_millis: 1000,
                burst_records: 9,
                burst_factor: 9,
            },
            incident_open_millis: 9_000_000,
            silence_millis: 9_000,
        }
    }
}
