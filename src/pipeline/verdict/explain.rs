//! Says in which ways an episode departs from every normal story: what is unknown, too much, missing or out of place.

use std::collections::BTreeMap;

use crate::limits::{DEVIATIONS_MAX, SESSION_EVENTS_MAX, STORY_EVENTS_MAX};
use crate::pipeline::event::{Position, TemplateId, Token};
use crate::pipeline::profile::{FIRST_EVENT, Profile, UNKNOWN};
use crate::pipeline::session::{Begin, Case, Cause, Score, SessionEvent};
use crate::pipeline::verdict::evidence::Records;
use crate::pipeline::verdict::nearest::{self, Counts, Nearest, pattern_count};
use crate::pipeline::verdict::{Deviation, DeviationKind, Explanation, NormalEvent, NormalStory, Verdict};

/// Explains the verdict on a case, with all of its deviations. `text` gives the text of a template, where it is still kept.
#[must_use]
pub fn explain(
    case: &Case,
    score: &Score,
    verdict: &Verdict,
    profile: &Profile,
    text: impl Fn(TemplateId) -> Option<String>,
) -> Explanation {
    let text = |event: &SessionEvent| event_text(event, profile, &text);
    let comparison = Comparison::new(case, score, profile);
    let mut deviations = comparison.unknown(text);
    deviations.extend(comparison.surplus());
    deviations.extend(comparison.missing());
    deviations.extend(comparison.out_of_place(verdict.threshold, &deviations));
    deviations
        .sort_by(|a, b| b.nats.total_cmp(&a.nats).then_with(|| a.kind.cmp(&b.kind)).then_with(|| a.template.cmp(&b.template)));
    let told = &deviations[..deviations.len().min(DEVIATIONS_MAX)];
    let Records { events, templates, evidence } = Records::new(case, score, told, text);
    Explanation {
        deviations,
        training_sessions_above: sessions_above(score.score, profile),
        training_sessions: profile.calibration.sessions,
        from_start: case.begin == Begin::Start,
        nearest: comparison.normal_story(),
        end_nats: end_error(case, score),
        events,
        templates,
        evidence,
    }
}

/// An episode beside the normal story that is nearest to it.
struct Comparison<'a> {
    case: &'a Case,
    score: &'a Score,
    profile: &'a Profile,
    counts: Counts,
    nearest: Option<Nearest<'a>>,
}

impl<'a> Comparison<'a> {
    fn new(case: &'a Case, score: &'a Score, profile: &'a Profile) -> Self {
        let counts = nearest::count(case);
        let nearest = nearest::nearest(&counts, case, profile);
        Self { case, score, profile, counts, nearest }
    }

    /// Events that the vocabulary does not have, one deviation a template.
    fn unknown(&self, text: impl Fn(&SessionEvent) -> String) -> Vec<Deviation> {
        let mut by_template: BTreeMap<TemplateId, Deviation> = BTreeMap::new();
        for (index, event) in self.events().filter(|(_, event)| event.token == UNKNOWN) {
            let entry = by_template.entry(event.template).or_insert_with(|| Deviation {
                kind: DeviationKind::Unknown,
                template: text(event),
                count: 0,
                expected: 0,
                seen: 0,
                nats: 0.0,
                position: Some(event.position),
            });
            entry.count += 1;
            entry.seen += 1;
            entry.nats = entry.nats.max(self.score.event_error(index));
        }
        by_template.into_values().collect()
    }

    /// What the nearest normal story has less of.
    fn surplus(&self) -> Vec<Deviation> {
        if self.nearest.is_none() {
            return Vec::new();
        }
        let named = self.counts.keys().filter(|token| token.0 >= FIRST_EVENT && !self.profile.calibration.is_loose(**token));
        let over = named.filter_map(|token| Some((*token, self.seen(*token).checked_sub(self.expected(*token))?)));
        let deviation = |(token, over)| Deviation {
            nats: self.worst_error(token),
            position: last_position(&self.case.events, token),
            ..self.deviation(DeviationKind::Excess, token, over)
        };
        over.filter(|(_, over)| *over > 0).map(deviation).collect()
    }

    /// What the nearest normal story has and this one lacks. Only a story seen from its start, and told to its end, can lack anything,
    /// and no more than was not left out of it.
    fn missing(&self) -> Vec<Deviation> {
        let lacked_from = self.nearest.into_iter().filter(|nearest| !nearest.forgives);
        let normal = lacked_from.flat_map(|nearest| &nearest.pattern.counts).map(|(token, _)| *token);
        let lacking = normal.filter_map(|token| Some((token, self.expected(token).checked_sub(self.seen(token))?)));
        lacking.filter(|(_, lack)| *lack > 0).map(|(token, lack)| self.deviation(DeviationKind::Missing, token, lack)).collect()
    }

    /// Events of the right number in the wrong place, more than `threshold` nats unexpected, where nothing in `known` names them.
    fn out_of_place(&self, threshold: f32, known: &[Deviation]) -> Vec<Deviation> {
        let mut by_token: BTreeMap<Token, Deviation> = BTreeMap::new();
        for (index, event) in self.events().filter(|(_, event)| event.token.0 >= FIRST_EVENT) {
            let nats = self.score.event_error(index);
            let deviation = self.deviation(DeviationKind::Unexpected, event.token, 0);
            if nats <= threshold || known.iter().any(|known| known.template == deviation.template) {
                continue;
            }
            let fresh = Deviation { position: Some(event.position), ..deviation };
            let entry = by_token.entry(event.token).or_insert(fresh);
            entry.count += 1;
            entry.nats = entry.nats.max(nats);
        }
        by_token.into_values().collect()
    }

    /// The nearest normal story: what the case has too in the order of the case, then what it lacks.
    fn normal_story(&self) -> Option<NormalStory> {
        let pattern = self.nearest?.pattern;
        let place = |token: Token| self.case.events.iter().position(|event| event.token == token).unwrap_or(usize::MAX);
        let mut tokens: Vec<Token> = pattern.counts.iter().map(|(token, _)| *token).collect();
        tokens.sort_by_key(|token| (place(*token), *token));
        let event = |&token: &Token| NormalEvent {
            template: token_text(self.profile, token),
            expected: self.expected(token),
            seen: self.seen(token),
        };
        // The sum over the patterns would be of nothing: a session is in the pattern of each of its phases, in some of them more than once.
        let learnt = self.profile.calibration.sessions.max(1);
        Some(NormalStory {
            events: tokens.iter().take(STORY_EVENTS_MAX).map(event).collect(),
            events_left_out: tokens.len().saturating_sub(STORY_EVENTS_MAX) as u32,
            share: pattern.sessions.min(learnt) as f32 / learnt as f32,
        })
    }

    /// `count` events `token` that depart, without what shows it.
    fn deviation(&self, kind: DeviationKind, token: Token, count: u32) -> Deviation {
        let (expected, seen) = (self.expected(token), self.seen(token));
        Deviation { kind, template: token_text(self.profile, token), count, expected, seen, nats: 0.0, position: None }
    }

    fn events(&self) -> impl Iterator<Item = (usize, &'a SessionEvent)> {
        self.case.events.iter().enumerate()
    }

    fn expected(&self, token: Token) -> u32 {
        self.nearest.map_or(0, |nearest| pattern_count(nearest.pattern, token))
    }

    fn seen(&self, token: Token) -> u32 {
        self.counts.get(&token).copied().unwrap_or(0)
    }

    fn worst_error(&self, token: Token) -> f32 {
        let errors = self.events().filter(|(_, event)| event.token == token).map(|(index, _)| self.score.event_error(index));
        errors.fold(0.0, f32::max)
    }
}

/// What the model says of the end of a story that has rested. Of one that is longer than its window it has not seen the end.
fn end_error(case: &Case, score: &Score) -> Option<f32> {
    let has_ended = case.cause == Cause::Quiet && case.events.len() < SESSION_EVENTS_MAX;
    score.token_error.get(case.events.len()).copied().filter(|_| has_ended)
}

fn last_position(events: &[SessionEvent], token: Token) -> Option<Position> {
    events.iter().rev().find(|event| event.token == token).map(|event| event.position)
}

/// The text that the model has for an event; of one that it does not know, the text of the template found in the logs.
fn event_text(event: &SessionEvent, profile: &Profile, text: impl Fn(TemplateId) -> Option<String>) -> String {
    if event.token == UNKNOWN {
        return text(event.template).unwrap_or_else(|| "(template no longer kept)".to_owned());
    }
    token_text(profile, event.token)
}

fn token_text(profile: &Profile, token: Token) -> String {
    let entry = token.0.checked_sub(FIRST_EVENT).and_then(|index| profile.vocabulary.get(usize::from(index)));
    entry.map_or_else(|| format!("token {}", token.0), |entry| entry.text.clone())
}

/// Training sessions that scored at least as high, from the quantiles of the calibration.
fn sessions_above(score: f32, profile: &Profile) -> u64 {
    let quantiles = &profile.calibration.quantiles;
    let above = quantiles.iter().filter(|quantile| **quantile >= score).count() as u64;
    (profile.calibration.sessions * above).div_ceil(quantiles.len().max(1) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::profile::CountPattern;
    use crate::pipeline::profile::tests::profile;
    use crate::pipeline::verdict::trigger::signature;

    #[test]
    fn what_is_missing_and_what_is_too_much() {
        check(&[6, 7, 8, 8], Begin::Start, Cause::Quiet, "excess c x1; missing b x1");
    }

    #[test]
    fn a_story_joined_midway_lacks_nothing() {
        check(&[7, 8, 8], Begin::Mid, Cause::Quiet, "excess c x1");
    }

    #[test]
    fn a_story_that_goes_on_lacks_nothing_yet() {
        check(&[6, 1, 1], Begin::Start, Cause::UnknownEvent, "unknown <*> is broken x2");
    }

    #[test]
    fn the_right_events_in_the_wrong_place() {
        check(&[7, 7, 6, 8], Begin::Start, Cause::Quiet, "unexpected b x2; unexpected a x1; unexpected c x1");
    }

    #[test]
    fn the_nearest_story_stands_beside_this_one_in_the_order_of_this_one() {
        let story = explained(&[8, 8, 7], Begin::Start, Cause::Quiet, &[(6, 1), (7, 2), (8, 1)]).nearest.expect("there is one");
        let told: Vec<_> = story.events.iter().map(|event| (event.template.as_str(), event.expected, event.seen)).collect();
        assert_eq!(told, [("c", 1, 2), ("b", 2, 1), ("a", 1, 0)]);
        assert_eq!(story.events_left_out, 0);
    }

    #[test]
    fn the_share_of_a_story_is_of_the_sessions_that_were_learnt() {
        for (sessions, share) in [(0, 0.0), (10, 0.01), (999, 0.999), (1000, 1.0), (1001, 1.0)] {
            let mut profile = profile(&["a"]);
            let pattern = |count| CountPattern { counts: vec![(Token(6), count)], sessions };
            profile.calibration.patterns = vec![pattern(1), pattern(99)];
            let score = Score { score: 10.0, distance: 1.0, token_error: vec![0.5; 2] };
            let verdict = Verdict { anomalous: true, score: 10.0, threshold: 3.0, distance: 1.0 };
            let case = case(&[6], Begin::Start, Cause::Quiet);
            let story = explain(&case, &score, &verdict, &profile, |_| None).nearest.expect("there is one");
            assert_eq!((profile.calibration.sessions, story.share), (1000, share), "{sessions}");
        }
    }

    #[test]
    fn a_deviation_says_what_was_expected_and_what_was_seen() {
        let explanation = explained(&[8, 8, 7], Begin::Start, Cause::Quiet, &[(6, 1), (7, 2), (8, 1)]);
        let told: Vec<_> = explanation.deviations.iter().map(|d| (d.template.as_str(), d.expected, d.seen, d.count)).collect();
        assert_eq!(told, [("c", 1, 2, 1), ("a", 1, 0, 1), ("b", 2, 1, 1)]);
        let disorder = &explained(&[8, 7], Begin::Start, Cause::Quiet, &[(7, 1), (8, 1)]).deviations[0];
        assert_eq!((disorder.kind, disorder.expected, disorder.seen), (DeviationKind::Unexpected, 1, 1));
    }

    #[test]
    fn another_model_of_the_same_sentences_gives_the_same_signature() {
        let first = signed(&["a", "b", "c"], &["a", "b", "b", "?"], 20.0);
        assert_eq!(signed(&["z", "c", "b", "y", "a"], &["a", "b", "b", "?"], 12.5), first, "tokens and errors are other ones");
        assert_eq!(signed(&["a", "b", "c"], &["a", "b", "b", "b", "?", "?"], 20.0), first, "it went wrong in the same way");
        assert_ne!(signed(&["a", "b", "c"], &["a", "b", "?"], 20.0), first);
        assert_ne!(signed(&["a", "b", "c"], &["b", "b", "?"], 20.0), first);
    }

    /// The signature of a story of these sentences under a model with this vocabulary, which knows one `a`, one `b` and one `c` as normal.
    fn signed(vocabulary: &[&str], story: &[&str], nats: f32) -> String {
        let token = |sentence: &str| {
            let place = vocabulary.iter().position(|known| *known == sentence);
            place.map_or(UNKNOWN.0, |place| FIRST_EVENT + place as u16)
        };
        let mut profile = profile(vocabulary);
        let mut counts: Vec<_> = ["a", "b", "c"].map(|sentence| (Token(token(sentence)), 1)).to_vec();
        counts.sort();
        profile.calibration.patterns = vec![CountPattern { counts, sessions: 10 }];
        let tokens: Vec<u16> = story.iter().map(|sentence| token(sentence)).collect();
        let score = Score { score: nats, distance: 1.0, token_error: vec![nats; tokens.len() + 1] };
        let verdict = Verdict { anomalous: true, score: nats, threshold: 3.0, distance: 1.0 };
        let case = case(&tokens, Begin::Start, Cause::Quiet);
        signature(&explain(&case, &score, &verdict, &profile, |_| Some("<*> is broken".to_owned())).deviations)
    }

    #[test]
    fn no_more_of_the_nearest_story_is_told_than_the_bound() {
        for (kinds, told) in [
            (STORY_EVENTS_MAX - 1, STORY_EVENTS_MAX - 1),
            (STORY_EVENTS_MAX, STORY_EVENTS_MAX),
            (STORY_EVENTS_MAX + 1, STORY_EVENTS_MAX),
        ] {
            let pattern: Vec<_> = (FIRST_EVENT..).take(kinds).map(|token| (token, 1)).collect();
            let story = explained(&[6], Begin::Start, Cause::Quiet, &pattern).nearest.expect("there is one");
            assert_eq!((story.events.len(), story.events_left_out as usize), (told, kinds - told));
        }
    }

    #[test]
    fn the_end_is_told_of_a_story_that_has_rested_within_its_window() {
        let end = |events: usize, cause| explained(&vec![6; events], Begin::Start, cause, &[(6, 1)]).end_nats;
        assert_eq!(end(3, Cause::Quiet), Some(0.5));
        assert_eq!(end(3, Cause::UnknownEvent), None);
        for (events, told) in [(SESSION_EVENTS_MAX - 1, true), (SESSION_EVENTS_MAX, false)] {
            assert_eq!(end(events, Cause::Quiet).is_some(), told, "{events}");
        }
        assert!(explained(&[6], Begin::Start, Cause::Quiet, &[(6, 1)]).from_start);
        assert!(!explained(&[6], Begin::Resumed, Cause::Quiet, &[(6, 1)]).from_start);
    }

    /// An episode beside one normal story; the error of its end is 0.5, of all else 10.
    fn explained(tokens: &[u16], begin: Begin, cause: Cause, normal: &[(u16, u16)]) -> Explanation {
        let mut profile = profile(&["a", "b", "c"]);
        let counts = normal.iter().map(|&(token, count)| (Token(token), count)).collect();
        let never = CountPattern { counts: vec![(Token(6), 999)], sessions: 30 };
        profile.calibration.patterns = vec![CountPattern { counts, sessions: 10 }, never];
        let token_error = tokens.iter().map(|_| 10.0).chain([0.5]).collect();
        let score = Score { score: 10.0, distance: 1.0, token_error };
        let verdict = Verdict { anomalous: true, score: 10.0, threshold: 3.0, distance: 1.0 };
        explain(&case(tokens, begin, cause), &score, &verdict, &profile, |_| None)
    }

    fn check(tokens: &[u16], begin: Begin, cause: Cause, expected: &str) {
        let mut profile = profile(&["a", "b", "c"]);
        let normal = [(6, 1), (7, 2), (8, 1)].map(|(token, count)| (Token(token), count));
        profile.calibration.patterns = vec![CountPattern { counts: normal.to_vec(), sessions: 10 }];
        let case = case(tokens, begin, cause);
        let mut token_error: Vec<f32> = tokens.iter().map(|token| 10.0 - f32::from(*token) / 10.0).collect();
        token_error[0] += f32::from(u8::from(tokens[0] == 7));
        let score = Score { score: 10.0, distance: 1.0, token_error };
        let verdict = Verdict { anomalous: true, score: 10.0, threshold: 3.0, distance: 1.0 };
        let explanation = explain(&case, &score, &verdict, &profile, |_| Some("<*> is broken".to_owned()));
        let relevant =
            explanation.deviations.iter().filter(|d| expected.contains("unexpected") || d.kind != DeviationKind::Unexpected);
        let told: Vec<_> = relevant.map(|d| format!("{} {} x{}", name(d.kind), d.template, d.count)).collect();
        assert_eq!(told.join("; "), expected);
        assert_eq!((explanation.training_sessions_above, explanation.training_sessions), (0, 1000));
    }

    fn name(kind: DeviationKind) -> &'static str {
        match kind {
            DeviationKind::Unknown => "unknown",
            DeviationKind::Excess => "excess",
            DeviationKind::Missing => "missing",
            DeviationKind::Unexpected => "unexpected",
        }
    }

    fn case(tokens: &[u16], begin: Begin, cause: Cause) -> Case {
        Case { begin, cause, ..crate::pipeline::session::tests::case(tokens) }
    }
}
