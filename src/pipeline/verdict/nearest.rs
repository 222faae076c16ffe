//! Finds the normal story that is nearest to an episode by its counts, as the graph of a model does, and forgives what may have been
//! said in words that the model does not know.

use std::collections::BTreeMap;

use crate::pipeline::event::Token;
use crate::pipeline::profile::{CountPattern, Profile};
use crate::pipeline::session::{Case, Score};

/// How often each event stands in an episode.
pub type Counts = BTreeMap<Token, u32>;

/// The nearest normal story.
#[derive(Clone, Copy, Debug)]
pub struct Nearest<'a> {
    /// Its counts.
    pub pattern: &'a CountPattern,
    /// How far it is. >= 0; 0 = the same counts.
    pub distance: f32,
    /// Whether what the episode lacks of it counts for nothing.
    pub forgives: bool,
}

/// How often each event stands in the episode.
#[must_use]
pub fn count(case: &Case) -> Counts {
    let mut counts = Counts::new();
    for event in &case.events {
        *counts.entry(event.token).or_insert(0) += 1;
    }
    counts
}

/// The normal story whose counts are nearest, by the distance that the graph computes; the more frequent one on a tie. An episode of
/// which n events were left out may lack n events: a sentence that was reworded is missing, and its new wording is left out.
#[must_use]
pub fn nearest<'a>(counts: &Counts, case: &Case, profile: &'a Profile) -> Option<Nearest<'a>> {
    let to = |pattern: &'a CountPattern| {
        let (lacking, under) = lack(counts, pattern, profile);
        let forgives = !case.can_lack() || lacking <= case.left_out;
        Nearest { pattern, distance: over(counts, pattern, profile) + if forgives { 0.0 } else { under }, forgives }
    };
    profile.calibration.patterns.iter().map(to).min_by(|a, b| a.distance.total_cmp(&b.distance))
}

/// The score of an episode, with what may be lacking forgiven.
#[must_use]
pub fn forgive(case: &Case, score: Score, profile: &Profile) -> Score {
    if case.left_out == 0 || !case.can_lack() {
        return score;
    }
    let distance = nearest(&count(case), case, profile).map_or(score.distance, |nearest| nearest.distance.min(score.distance));
    Score { distance, ..score }
}

/// How often the pattern has the event.
#[must_use]
pub fn pattern_count(pattern: &CountPattern, token: Token) -> u32 {
    let found = pattern.counts.binary_search_by_key(&token, |(known, _)| *known);
    found.map_or(0, |index| u32::from(pattern.counts[index].1))
}

fn over(counts: &Counts, pattern: &CountPattern, profile: &Profile) -> f32 {
    let over = |(token, count): (&Token, &u32)| {
        profile.calibration.weight(*token) * count.saturating_sub(pattern_count(pattern, *token)) as f32
    };
    counts.iter().map(over).sum()
}

/// Events lacking, and their weight. Those without weight may come in any number.
fn lack(counts: &Counts, pattern: &CountPattern, profile: &Profile) -> (u32, f32) {
    let each = pattern.counts.iter().map(|(token, count)| {
        let lack = u32::from(*count).saturating_sub(counts.get(token).copied().unwrap_or(0));
        (if profile.calibration.is_loose(*token) { 0 } else { lack }, profile.calibration.weight(*token) * lack as f32)
    });
    each.fold((0, 0.0), |(sum, under), (lack, weighted)| (sum + lack, under + weighted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::profile::tests::profile;
    use crate::pipeline::session::tests::case;

    #[test]
    fn a_story_may_lack_as_much_as_was_left_out_of_it() {
        check(&[6, 7, 7, 8], 0, 0.0);
        check(&[6, 8], 0, 2.0);
        check(&[6, 8], 1, 2.0);
        check(&[6, 8], 2, 0.0);
        check(&[6], 2, 3.0);
        check(&[6], 3, 0.0);
    }

    #[test]
    fn what_is_too_much_is_never_forgiven() {
        check(&[6, 8, 8], 5, 1.0);
        check(&[6, 7, 7, 8, 1], 5, 1.0);
    }

    fn check(tokens: &[u16], left_out: u32, expected: f32) {
        let mut profile = profile(&["a", "b", "c"]);
        let normal = [(6, 1), (7, 2), (8, 1)].map(|(token, count)| (Token(token), count));
        profile.calibration.patterns = vec![CountPattern { counts: normal.to_vec(), sessions: 10 }];
        let case = Case { left_out, ..case(tokens) };
        let found = nearest(&count(&case), &case, &profile).expect("there is a pattern").distance;
        assert_eq!(found, expected, "{tokens:?} with {left_out} left out");
        let graph = Score { score: 9.0, distance: expected + 1.0, token_error: Vec::new() };
        let forgiven = forgive(&case, graph, &profile).distance;
        assert_eq!(forgiven, if left_out == 0 { expected + 1.0 } else { expected });
    }
}
