//! Sets aside training stories that look like failures, since logs that nobody has vetted contain some.
//!
//! A count pattern that was learnt never alarms again, so one failure of a kind hides all others of its kind. No label says which
//! they are. Two things do without one: a rare story that lacks what nearly all stories have stopped early, and a rare story with a
//! rare event whose text speaks of a failure had one. How many such stories there are tells how far to trust the others that are rare.

use std::collections::{BTreeMap, BTreeSet};

use super::corpus::{Corpus, Story};
use super::windows::{endless_buckets, is_whole};

/// An event that at least this share of the whole stories has is part of every complete story.
const CORE_SHARE: f64 = 0.98;
/// An event that less than this share of the stories has is rare. In HDFS_v1 failed reads are in one of five normal stories.
const RARE_SHARE: f64 = 0.01;
/// Stories with rare events are trusted when their kind is at least this share of the failures as frequent. The commonest failure
/// of HDFS_v1 that neither rule knows is a twelfth of those that the rules know.
const TRUSTED_SHARE: f64 = 0.1;
/// Words of templates that speak of failures, as whole words, in lower case.
const FAILURE_WORDS: [&str; 17] = [
    "abort",
    "aborted",
    "cannot",
    "corrupt",
    "corrupted",
    "error",
    "exception",
    "fail",
    "failed",
    "failure",
    "interrupted",
    "invalid",
    "not",
    "refused",
    "timed",
    "unable",
    "unexpected",
];

/// Indices of the stories to set aside.
pub fn suspects(corpus: &Corpus) -> BTreeSet<usize> {
    let shares = Shares::new(corpus);
    let is_failure = |story: &Story| shares.lacks_core(story) || story.events.iter().any(|&event| shares.is_rare_failure(event));
    let mut suspects = indices(corpus, is_failure);
    let trusted = (suspects.len() as f64 * TRUSTED_SHARE).ceil() as u64;
    let kinds = shares.kinds(corpus);
    suspects
        .extend(indices(corpus, |story| shares.has_rare(story) && kinds.get(&shares.kind(story)).is_none_or(|&n| n < trusted)));
    suspects
}

fn indices(corpus: &Corpus, is_suspect: impl Fn(&Story) -> bool) -> BTreeSet<usize> {
    corpus.stories.iter().enumerate().filter(|(_, story)| is_suspect(story)).map(|(index, _)| index).collect()
}

/// What is common in a corpus, and what is not.
struct Shares {
    core: BTreeSet<u32>,
    rare: BTreeSet<u32>,
    /// Events that repeat without end: how often a block is read says nothing of failures.
    endless: BTreeSet<u32>,
    /// Rare events whose text speaks of a failure.
    failures: BTreeSet<u32>,
}

impl Shares {
    fn new(corpus: &Corpus) -> Self {
        let mut having: BTreeMap<u32, usize> = BTreeMap::new();
        let whole: Vec<&Story> = corpus.stories.iter().filter(|story| is_whole(story)).collect();
        for story in &whole {
            for event in story.events.iter().collect::<BTreeSet<_>>() {
                *having.entry(*event).or_default() += 1;
            }
        }
        let share = |event: &u32| having.get(event).map_or(0.0, |&having| having as f64 / whole.len() as f64);
        let all: BTreeSet<u32> = corpus.stories.iter().flat_map(|story| &story.events).copied().collect();
        let rare: BTreeSet<u32> = all.iter().filter(|event| share(event) < RARE_SHARE).copied().collect();
        let failures = rare.iter().filter(|&&event| speaks_of_failure(&corpus.texts[event as usize])).copied().collect();
        let endless = all.iter().filter(|&&event| endless_buckets(&whole, event).is_some()).copied().collect();
        Self { core: all.into_iter().filter(|event| share(event) >= CORE_SHARE).collect(), rare, endless, failures }
    }

    /// Only whole stories can be known to lack something.
    fn lacks_core(&self, story: &Story) -> bool {
        is_whole(story) && self.core.iter().any(|event| !story.events.contains(event))
    }

    fn is_rare_failure(&self, event: u32) -> bool {
        self.failures.contains(&event)
    }

    fn has_rare(&self, story: &Story) -> bool {
        story.events.iter().any(|event| self.rare.contains(event))
    }

    /// Counts of the events of a story.
    fn kind(&self, story: &Story) -> BTreeMap<u32, u32> {
        let mut counts = BTreeMap::new();
        for event in story.events.iter().filter(|event| !self.endless.contains(event)) {
            *counts.entry(*event).or_default() += 1;
        }
        counts
    }

    fn kinds(&self, corpus: &Corpus) -> BTreeMap<BTreeMap<u32, u32>, u64> {
        let mut kinds = BTreeMap::new();
        for story in corpus.stories.iter().filter(|story| is_whole(story) && self.has_rare(story)) {
            *kinds.entry(self.kind(story)).or_default() += 1;
        }
        kinds
    }
}

fn speaks_of_failure(text: &str) -> bool {
    let text = text.to_lowercase();
    text.split(|c: char| !c.is_alphanumeric()).any(|word| FAILURE_WORDS.contains(&word) || word.ends_with("exception"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::profile::{DrainSettings, Scope};

    #[test]
    fn what_is_normal_stays() {
        check(&[(900, &[0, 1, 1]), (100, &[0, 1, 1, 2])], &[]);
    }

    #[test]
    fn rare_stories_without_failures_are_trusted_when_nothing_failed() {
        check(&[(999, &[0, 1]), (1, &[0, 1, 3])], &[]);
    }

    #[test]
    fn stories_that_stop_early_are_suspect_while_they_are_rare() {
        check(&[(990, &[0, 1]), (10, &[0])], &[1]);
        check(&[(900, &[0, 1]), (100, &[0])], &[]);
    }

    #[test]
    fn words_of_failure_are_suspect_while_they_are_rare() {
        check(&[(995, &[0, 1]), (5, &[0, 1, 4])], &[1]);
        check(&[(900, &[0, 1]), (100, &[0, 1, 4])], &[]);
    }

    #[test]
    fn among_failures_only_what_is_common_is_trusted() {
        check(&[(2000, &[0, 1]), (40, &[0]), (4, &[0, 1, 3]), (3, &[0, 1, 3, 3])], &[1, 3]);
    }

    #[test]
    fn failures_are_told_by_whole_words() {
        for (text, fails) in [
            ("Block <*> is not valid.", true),
            ("java.io.IOException: <*>", true),
            ("PacketResponder <*> Exception", true),
            ("is added to invalidSet of <*>", false),
            ("Notified <*> of failover", false),
        ] {
            assert_eq!(speaks_of_failure(text), fails, "{text}");
        }
    }

    /// Each kind of story so many times; `expected` are the kinds that are set aside.
    fn check(kinds: &[(usize, &[u32])], expected: &[usize]) {
        let of_kind: Vec<usize> = (0..).zip(kinds).flat_map(|(kind, &(times, _))| vec![kind; times]).collect();
        let story = |&kind: &usize| Story { events: kinds[kind].1.to_vec(), ..Story::default() };
        let texts = ["begins", "goes on", "is read", "is copied", "failed"].map(str::to_owned).to_vec();
        let drain = DrainSettings { depth: 4, similarity: 0.5, children_max: 100, ..DrainSettings::reference() };
        let stories = of_kind.iter().map(story).collect();
        let corpus = Corpus { texts, stories, inputs: Vec::new(), drain, scope: Scope::Cluster };
        let actual: BTreeSet<usize> = suspects(&corpus).into_iter().map(|index| of_kind[index]).collect();
        assert_eq!(actual.into_iter().collect::<Vec<_>>(), expected);
    }
}
