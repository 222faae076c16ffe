//! Says in which ways an episode departs from every normal story: what is unknown, too much, missing or out of place.

use std::collections::BTreeMap;

use crate::limits::DEVIATIONS_MAX;
use crate::pipeline::event::{Position, TemplateId, Token};
use crate::pipeline::profile::{CountPattern, FIRST_EVENT, Profile, UNKNOWN};
use crate::pipeline::session::{Case, Score, SessionEvent};
use crate::pipeline::verdict::nearest::{self, Counts, pattern_count};
use crate::pipeline::verdict::{Deviation, DeviationKind, Explanation, Verdict};

/// Explains the verdict on a case. `text` gives the text of a template, where it is still kept.
#[must_use]
pub fn explain(
    case: &Case,
    score: &Score,
    verdict: &Verdict,
    profile: &Profile,
    text: impl Fn(TemplateId) -> Option<String>,
) -> Explanation {
    let mut deviations = unknown(case, score, &text);
    let counts = nearest::count(case);
    if let Some(nearest) = nearest::nearest(&counts, case, profile) {
        deviations.extend(surplus(case, score, &counts, nearest.pattern, profile));
        if !nearest.forgives {
            deviations.extend(missing(&counts, nearest.pattern, profile));
        }
    }
    deviations.extend(out_of_place(case, score, verdict, profile, &deviations));
    deviations
        .sort_by(|a, b| b.nats.total_cmp(&a.nats).then_with(|| a.kind.cmp(&b.kind)).then_with(|| a.template.cmp(&b.template)));
    deviations.truncate(DEVIATIONS_MAX);
    let training_sessions = profile.calibration.sessions;
    Explanation { deviations, training_sessions_above: sessions_above(score.score, profile), training_sessions }
}

/// Events that the vocabulary does not have, one deviation a template.
fn unknown(case: &Case, score: &Score, text: impl Fn(TemplateId) -> Option<String>) -> Vec<Deviation> {
    let mut by_template: BTreeMap<TemplateId, Deviation> = BTreeMap::new();
    for (index, event) in case.events.iter().enumerate().filter(|(_, event)| event.token == UNKNOWN) {
        let entry = by_template.entry(event.template).or_insert_with(|| Deviation {
            kind: DeviationKind::Unknown,
            template: text(event.template).unwrap_or_else(|| "(template no longer kept)".to_owned()),
            count: 0,
            nats: 0.0,
            position: Some(event.position),
        });
        entry.count += 1;
        entry.nats = entry.nats.max(error_at(score, index));
    }
    by_template.into_values().collect()
}

fn surplus(case: &Case, score: &Score, counts: &Counts, nearest: &CountPattern, profile: &Profile) -> Vec<Deviation> {
    let over = counts.iter().filter_map(|(token, count)| Some((*token, count.checked_sub(pattern_count(nearest, *token))?)));
    let named = over.filter(|(token, over)| *over > 0 && token.0 >= FIRST_EVENT && counts_for_something(profile, *token));
    named
        .map(|(token, over)| Deviation {
            kind: DeviationKind::Excess,
            template: token_text(profile, token),
            count: over,
            nats: worst_error(case, score, token),
            position: last_position(&case.events, token),
        })
        .collect()
}

/// What the nearest normal story has and this one lacks.
fn missing(counts: &Counts, nearest: &CountPattern, profile: &Profile) -> Vec<Deviation> {
    let lacking = nearest.counts.iter().filter_map(|(token, count)| {
        let lack = u32::from(*count).saturating_sub(counts.get(token).copied().unwrap_or(0));
        (lack > 0).then(|| Deviation {
            kind: DeviationKind::Missing,
            template: token_text(profile, *token),
            count: lack,
            nats: 0.0,
            position: None,
        })
    });
    lacking.collect()
}

/// Events of the right number in the wrong place, where nothing said so far names them.
fn out_of_place(case: &Case, score: &Score, verdict: &Verdict, profile: &Profile, known: &[Deviation]) -> Vec<Deviation> {
    let mut by_token: BTreeMap<Token, Deviation> = BTreeMap::new();
    for (index, event) in case.events.iter().enumerate().filter(|(_, event)| event.token.0 >= FIRST_EVENT) {
        let nats = error_at(score, index);
        let template = token_text(profile, event.token);
        if nats <= verdict.threshold || known.iter().any(|deviation| deviation.template == template) {
            continue;
        }
        let position = Some(event.position);
        let fresh = Deviation { kind: DeviationKind::Unexpected, template, count: 0, nats, position };
        let entry = by_token.entry(event.token).or_insert(fresh);
        entry.count += 1;
        entry.nats = entry.nats.max(nats);
    }
    by_token.into_values().collect()
}

/// How unexpected event `index` was: the error after the step before it, and step 0 is the beginning.
fn error_at(score: &Score, index: usize) -> f32 {
    score.token_error.get(index).copied().unwrap_or(0.0)
}

fn worst_error(case: &Case, score: &Score, token: Token) -> f32 {
    let errors =
        case.events.iter().enumerate().filter(|(_, event)| event.token == token).map(|(index, _)| error_at(score, index));
    errors.fold(0.0, f32::max)
}

fn last_position(events: &[SessionEvent], token: Token) -> Option<Position> {
    events.iter().rev().find(|event| event.token == token).map(|event| event.position)
}

/// Whether how often the event comes tells anything; of others, such as reads, normal stories have any number.
fn counts_for_something(profile: &Profile, token: Token) -> bool {
    profile.calibration.weights.get(usize::from(token.0)).is_none_or(|&weight| weight > 0.0)
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
    use crate::pipeline::event::{BlockId, LogTime, PoolId, SourceId};
    use crate::pipeline::profile::tests::profile;
    use crate::pipeline::session::{Begin, Cause};

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
        let position = Position { source: SourceId(0), offset: 0, length: 0 };
        let event =
            |token: &u16| SessionEvent { position, template: TemplateId(u32::from(*token)), token: Token(*token), grave: false };
        Case {
            block: BlockId { pool: PoolId(0), number: 1 },
            begin,
            first: LogTime(0),
            last: LogTime(1),
            time: LogTime(1),
            cause,
            sets_threshold: true,
            by_silence: false,
            events: tokens.iter().map(event).collect(),
            events_seen: tokens.len() as u32,
            left_out: 0,
            nearby: Vec::new(),
        }
    }
}
