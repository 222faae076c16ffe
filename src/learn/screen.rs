//! Sets aside training stories that look like failures, since logs that nobody has vetted contain some.
//!
//! A kind of story that was learnt never alarms again, so one failure of a kind hides all others of its kind. No label says which
//! they are. Two things do without one: a rare story that lacks what nearly all stories have stopped early, and a rare story with a
//! rare event whose text speaks of a failure had one. How many such stories there are tells how far to trust other rare kinds: where
//! nothing fails, a kind that was seen once is normal; among failures, only one that is common, or that repeats what common ones do.

use std::collections::{BTreeMap, BTreeSet};

use super::corpus::{Corpus, Story};
use super::habits::{Habits, Kind, Phases, core, having};
use super::windows::is_whole;

/// An event that less than this share of the stories has, on every host where hosts are told apart, is rare. The commonest failure of
/// HDFS_v1 is in a quarter of the anomalous stories, hence in 0.9 % of all where 3 % are anomalous; failed reads are in one of five normal
/// stories.
const RARE_SHARE: f64 = 0.02;
/// The same of an event that was never more than INFO: in a healthy HDFS 3.4.1 a DataNode did not know a replica that it was to delete
/// in 1.6 % of the stories, and said so calmly.
const RARE_SHARE_CALM: f64 = 0.01;
/// Fewer stories than these do not make an event common, however few the host tells.
const COMMON_STORIES_MIN: f64 = 10.0;
/// A kind is trusted when it is at least this share of the failures as frequent. The commonest failure of HDFS_v1 that neither rule
/// knows is a fifteenth of those that the rules know; in a sample of 150 it may well be a tenth.
const TRUSTED_SHARE: f64 = 0.12;
/// Words of templates that speak of failures, as whole words, in lower case.
const FAILURE_WORDS: [&str; 18] = [
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
    "redundant",
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
    let others: Vec<&Story> = corpus.stories.iter().filter(|story| !is_failure(story)).collect();
    let habits = Habits::of(&others);
    let common = common(habits.endings(), trusted);
    let phases = Phases::of(&common);
    let is_rare = |kind: &Kind| !common.contains_key(kind) && !phases.repeat_in(kind);
    let rare: BTreeSet<&Kind> = habits.endings().keys().filter(|kind| is_rare(kind)).collect();
    suspects.extend(indices(corpus, |story| is_whole(story) && rare.contains(&habits.kind(&story.events))));
    suspects
}

/// Kinds that at least `trusted` stories are of; and, of the kinds that have the same events which none of those has, the usual one when
/// together they are of so many stories: what is done in many ways, such as copying a block, is done well in some. Usual is the one with
/// the fewest events among those that are at least half as frequent as the most frequent one.
fn common(kinds: &BTreeMap<Kind, u64>, trusted: u64) -> BTreeMap<&Kind, u64> {
    let mut common: BTreeMap<&Kind, u64> =
        kinds.iter().map(|(kind, &times)| (kind, times)).filter(|&(_, times)| times >= trusted).collect();
    let known: BTreeSet<u32> = common.keys().flat_map(|kind| kind.iter().map(|&(event, _)| event)).collect();
    let mut alike: BTreeMap<Vec<u32>, Vec<(u64, &Kind)>> = BTreeMap::new();
    for (kind, &times) in kinds {
        let news: Vec<u32> = kind.iter().map(|&(event, _)| event).filter(|event| !known.contains(event)).collect();
        if !news.is_empty() {
            alike.entry(news).or_default().push((times, kind));
        }
    }
    for kinds in alike.values().filter(|kinds| kinds.iter().map(|(times, _)| times).sum::<u64>() >= trusted) {
        let most = kinds.iter().map(|(times, _)| *times).max().unwrap_or_default();
        let events = |kind: &Kind| kind.iter().map(|&(_, count)| u64::from(count)).sum::<u64>();
        let usual = kinds.iter().filter(|(times, _)| 2 * times >= most).min_by_key(|(_, kind)| (events(kind), *kind));
        common.extend(usual.map(|&(times, kind)| (kind, times)));
    }
    common
}

fn indices(corpus: &Corpus, is_suspect: impl Fn(&Story) -> bool) -> BTreeSet<usize> {
    corpus.stories.iter().enumerate().filter(|(_, story)| is_suspect(story)).map(|(index, _)| index).collect()
}

/// What is common in a corpus, and what is not.
struct Shares {
    core: BTreeSet<u32>,
    /// Rare events whose text speaks of a failure.
    failures: BTreeSet<u32>,
}

impl Shares {
    fn new(corpus: &Corpus) -> Self {
        let begun: Vec<&Story> = corpus.stories.iter().filter(|story| !story.joined_midway).collect();
        let speaks_of_failure = |event: &u32| speaks_of_failure(&corpus.texts[*event as usize]);
        let often = often(&begun, &corpus.calm);
        let seldom = (0..corpus.texts.len() as u32).filter(|event| !often.contains(event));
        Self { core: core(&begun), failures: seldom.filter(speaks_of_failure).collect() }
    }

    /// Only whole stories can be known to lack something.
    fn lacks_core(&self, story: &Story) -> bool {
        is_whole(story) && self.core.iter().any(|event| !story.events.contains(event))
    }

    fn is_rare_failure(&self, event: u32) -> bool {
        self.failures.contains(&event)
    }
}

/// Events that are not rare on some host.
fn often(begun: &[&Story], calm: &BTreeSet<u32>) -> BTreeSet<u32> {
    let mut hosts: BTreeMap<usize, Vec<&Story>> = BTreeMap::new();
    for &story in begun {
        hosts.entry(story.host).or_default().push(story);
    }
    let often = |stories: &Vec<&Story>| {
        let all = stories.len() as f64;
        let share = |event| if calm.contains(&event) { RARE_SHARE_CALM } else { RARE_SHARE };
        having(stories)
            .into_iter()
            .filter(move |&(event, having)| having as f64 >= (share(event) * all).max(COMMON_STORIES_MIN))
            .map(|(event, _)| event)
    };
    hosts.values().flat_map(often).collect()
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
    fn what_is_common_on_one_host_is_not_rare() {
        let story = |host, events: &[u32]| Story { host, events: events.to_vec(), ..Story::default() };
        let of_host =
            |host, failing: usize| (0..1000).map(move |index| story(host, if index < failing { &[0, 1, 4] } else { &[0, 1] }));
        for (failing, suspects) in [(20, 0), (19, 19)] {
            assert_eq!(super::suspects(&corpus(of_host(0, 0).chain(of_host(1, failing)).collect())).len(), suspects);
        }
        let small = of_host(0, 9).chain((0..50).map(|index| story(1, if index < 1 { &[0, 1, 4] } else { &[0, 1] })));
        assert_eq!(super::suspects(&corpus(small.collect())).len(), 10, "a host with few stories makes nothing common");
    }

    #[test]
    fn what_is_said_calmly_is_rare_later() {
        let kinds = [(985, vec![0, 1]), (15, vec![0, 1, 4])];
        let story = |events: &Vec<u32>| Story { events: events.clone(), ..Story::default() };
        let stories: Vec<Story> = kinds.iter().flat_map(|(times, events)| vec![story(events); *times]).collect();
        for (calm, suspects) in [(BTreeSet::new(), 15), (BTreeSet::from([4]), 0)] {
            assert_eq!(super::suspects(&Corpus { calm, ..corpus(stories.clone()) }).len(), suspects);
        }
    }

    #[test]
    fn among_failures_only_what_is_common_is_trusted() {
        check(&[(2000, &[0, 1]), (40, &[0]), (5, &[0, 1, 3]), (4, &[0, 1, 1, 3])], &[1, 3]);
    }

    #[test]
    fn among_failures_the_usual_way_to_do_what_is_done_in_many_is_trusted() {
        for (simple, long, suspects) in [(3, 2, &[1, 3][..]), (2, 4, &[1, 3]), (1, 4, &[1, 2])] {
            check(&[(2000, &[0, 1]), (40, &[0]), (simple, &[0, 1, 3]), (long, &[0, 1, 1, 3])], suspects);
        }
        check(&[(2000, &[0, 1]), (40, &[0]), (3, &[0, 1, 3]), (1, &[0, 1, 1, 3])], &[1, 2, 3]);
    }

    #[test]
    fn among_failures_what_repeats_a_phase_is_trusted() {
        check(&[(2000, &[0, 1]), (40, &[0]), (5, &[0, 1, 3]), (3, &[0, 1, 3, 3])], &[1]);
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
        let stories = of_kind.iter().map(story).collect();
        let actual: BTreeSet<usize> = suspects(&corpus(stories)).into_iter().map(|index| of_kind[index]).collect();
        assert_eq!(actual.into_iter().collect::<Vec<_>>(), expected);
    }

    fn corpus(stories: Vec<Story>) -> Corpus {
        let texts = ["begins", "goes on", "is read", "is copied", "failed"].map(str::to_owned).to_vec();
        Corpus {
            texts,
            stories,
            inputs: Vec::new(),
            drain: DrainSettings::reference(),
            scope: Scope::Cluster,
            calm: BTreeSet::new(),
        }
    }
}
