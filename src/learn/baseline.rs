//! Simple detectors that learn from the same sessions as a model, without labels: what a model must be better than.
//!
//! The first three are those of Landauer, Skopik & Wurzenberger ("A critical review of common log data sets used for evaluation of
//! sequence-based anomaly detection techniques", FSE 2024, section 5), the fourth is their distance of count vectors, with a weight
//! that no event loses and a threshold that no label decides.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Corpus;
use super::evaluate::{Population, Rates};

/// One way of deciding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Baseline {
    /// Flags a session with an event that no training session has.
    NewEvent,
    /// Flags a session of a length that no training session has. The publication flags lengths outside the range of training
    /// instead; a session of HDFS_v1 is rather of an odd length within it.
    NewLength,
    /// Flags a session whose counts of events are those of no training session.
    CountsUnseen,
    /// Flags a session whose counts are farther from the nearest of training than nearly all of training are from another.
    CountDistance,
}

/// All of them, trained.
#[derive(Clone, Debug)]
pub struct Baselines {
    /// Index of each event of training, by its text.
    events: HashMap<String, usize>,
    lengths: BTreeSet<usize>,
    /// What training sessions consist of.
    patterns: BTreeMap<Counts, u64>,
    weights: Vec<f64>,
    distance_max: f64,
    sessions: u64,
}

impl Baseline {
    /// Every one, from the simplest on.
    pub const ALL: [Self; 4] = [Self::NewEvent, Self::NewLength, Self::CountsUnseen, Self::CountDistance];

    /// Its name in figures.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NewEvent => "new_event",
            Self::NewLength => "new_length",
            Self::CountsUnseen => "counts_unseen",
            Self::CountDistance => "count_distance",
        }
    }
}

impl Baselines {
    /// Learns from every session of a corpus. There is nothing random in it.
    #[must_use]
    pub fn train(corpus: &Corpus) -> Self {
        let seen: BTreeSet<u32> = corpus.stories.iter().flat_map(|story| &story.events).copied().collect();
        let texts: BTreeSet<&String> = seen.into_iter().map(|event| &corpus.texts[event as usize]).collect();
        let events = texts.into_iter().enumerate().map(|(index, text)| (text.clone(), index)).collect();
        let mut baselines = Self {
            events,
            lengths: corpus.stories.iter().map(|story| story.events.len()).collect(),
            patterns: BTreeMap::new(),
            weights: Vec::new(),
            distance_max: 0.0,
            sessions: corpus.stories.len() as u64,
        };
        let mut patterns = BTreeMap::new();
        for counts in baselines.counts(corpus) {
            *patterns.entry(counts).or_default() += 1;
        }
        baselines.patterns = patterns;
        baselines.weights = baselines.idf();
        baselines.distance_max = baselines.quantile_to_another();
        baselines
    }

    /// How `baseline` does on labelled sessions; the sessions of the training are taken off the population.
    #[must_use]
    pub fn judge(&self, baseline: Baseline, normal: &Corpus, anomalous: &Corpus, population: Population) -> Rates {
        let flags = |corpus| self.flags(baseline, corpus);
        Rates::new(&flags(normal), &flags(anomalous), population.without(self.sessions), |flag| *flag)
    }

    /// The session is flagged, for each session of a corpus.
    #[must_use]
    pub fn flags(&self, baseline: Baseline, corpus: &Corpus) -> Vec<bool> {
        let mut known: HashMap<Counts, bool> = HashMap::new();
        let mut flag = |counts: Counts| match known.get(&counts) {
            Some(&flag) => flag,
            None => {
                let flag = self.is_flagged(baseline, &counts);
                known.insert(counts, flag);
                flag
            }
        };
        self.counts(corpus).map(&mut flag).collect()
    }

    fn is_flagged(&self, baseline: Baseline, counts: &Counts) -> bool {
        match baseline {
            Baseline::NewEvent => counts[self.events.len()] > 0,
            Baseline::NewLength => !self.lengths.contains(&(counts.iter().sum::<u32>() as usize)),
            Baseline::CountsUnseen => !self.patterns.contains_key(counts),
            Baseline::CountDistance => self.distance(counts, self.patterns.keys()) > self.distance_max,
        }
    }

    fn counts<'a>(&'a self, corpus: &'a Corpus) -> impl Iterator<Item = Counts> + use<'a> {
        let index = |text: &String| self.events.get(text).copied().unwrap_or(self.events.len());
        let indices: Vec<usize> = corpus.texts.iter().map(index).collect();
        corpus.stories.iter().map(move |story| {
            let mut counts = vec![0; self.events.len() + 1];
            for &event in &story.events {
                counts[indices[event as usize]] += 1;
            }
            counts
        })
    }

    /// Weight of each event: 1 + ln((N + 1) / (n + 1)) for one in n of N sessions, as the models have it. The publication's weight of
    /// an event that every session has is nearly 0, so that it does not see when one is missing (F1 0.84 instead of 0.99).
    fn idf(&self) -> Vec<f64> {
        let mut having = vec![0_u64; self.events.len() + 1];
        for (counts, sessions) in &self.patterns {
            for (having, _) in having.iter_mut().zip(counts).filter(|(_, count)| **count > 0) {
                *having += sessions;
            }
        }
        having.into_iter().map(|having| 1.0 + ((self.sessions + 1) as f64 / (having + 1) as f64).ln()).collect()
    }

    fn distance<'a>(&self, counts: &Counts, patterns: impl Iterator<Item = &'a Counts>) -> f64 {
        let apart = |pattern: &Counts| -> f64 {
            let differences = counts.iter().zip(pattern).map(|(&a, &b)| f64::from(a.abs_diff(b)));
            self.weights.iter().zip(differences).map(|(weight, difference)| weight * difference).sum()
        };
        patterns.map(apart).fold(f64::INFINITY, f64::min)
    }

    /// The smallest distance to the nearest other pattern that [`QUANTILE`] of the training sessions do not exceed: how far a normal
    /// session may be from all others. 0 where there is no other.
    fn quantile_to_another(&self) -> f64 {
        let to_another = |(counts, &sessions): (&Counts, &u64)| {
            let others = self.patterns.keys().filter(|other| *other != counts);
            (self.distance(counts, others), sessions)
        };
        let mut distances: Vec<(f64, u64)> = self.patterns.iter().map(to_another).collect();
        distances.sort_by(|a, b| a.0.total_cmp(&b.0));
        let rank = (QUANTILE * self.sessions as f64).ceil() as u64;
        let mut below = 0;
        let found = distances.iter().find(|(_, sessions)| {
            below += sessions;
            below >= rank
        });
        found.map_or(0.0, |&(distance, _)| distance).min(if self.patterns.len() > 1 { f64::INFINITY } else { 0.0 })
    }
}

/// How often each event of training occurs, and in the last entry how many events training does not have.
type Counts = Vec<u32>;

/// Share of the training sessions that are no farther from another kind of session than the threshold. Chosen and not tuned: on
/// HDFS_v1 the F1 is the same to the third digit from 0.975 to 0.999.
const QUANTILE: f64 = 0.995;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::Story;
    use crate::pipeline::profile::{DrainSettings, Scope};

    #[test]
    fn each_flags_what_it_is_named_after() {
        check(Baseline::NewEvent, &[0, 1, 1], false);
        check(Baseline::NewEvent, &[1; 30], false);
        check(Baseline::NewEvent, &[0, 2], true);
        check(Baseline::NewLength, &[1, 1, 2], false);
        check(Baseline::NewLength, &[1], true);
        check(Baseline::NewLength, &[0, 1, 1, 1, 1], true);
        check(Baseline::CountsUnseen, &[1, 0, 1], false);
        check(Baseline::CountsUnseen, &[0, 1, 1, 1], false);
        check(Baseline::CountsUnseen, &[0, 0, 1], true);
    }

    /// Both events are in every training session and weigh 1; the two kinds of session are 1 apart, which is the threshold. The event
    /// that is in none weighs 1 + ln 101.
    #[test]
    fn the_distance_flags_what_is_farther_than_normal_kinds_are_apart() {
        check(Baseline::CountDistance, &[0, 1, 1], false);
        check(Baseline::CountDistance, &[0, 1], false);
        check(Baseline::CountDistance, &[1, 1, 1], false);
        check(Baseline::CountDistance, &[1], true);
        check(Baseline::CountDistance, &[0, 1, 1, 2], true);
        assert!((baselines().distance_max - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_distance_of_one_kind_of_session_allows_no_other() {
        let baselines = Baselines::train(&corpus(vec![vec![0, 1]; 10]));
        assert_eq!(baselines.flags(Baseline::CountDistance, &corpus(vec![vec![0, 1], vec![0]])), [false, true]);
    }

    #[test]
    fn rates_are_scaled_without_the_training() {
        let population = Population { normal: 300, anomalous: 10 };
        let normal = corpus(vec![vec![0, 1, 1], vec![0, 1, 1], vec![0, 1, 1], vec![2]]);
        let rates = baselines().judge(Baseline::NewEvent, &normal, &corpus(vec![vec![2], vec![0]]), population);
        assert_eq!((rates.false_alarms, rates.found), (1, 1));
        let (right, wrong) = (0.5 * 10.0, 0.25 * 200.0);
        assert!((rates.precision - right / (right + wrong)).abs() < 1e-12, "{rates:?}");
    }

    fn check(baseline: Baseline, events: &[u32], expected: bool) {
        assert_eq!(baselines().flags(baseline, &corpus(vec![events.to_vec()])), [expected], "{baseline:?} of {events:?}");
    }

    /// 90 sessions of one kind and 10 of another.
    fn baselines() -> Baselines {
        Baselines::train(&corpus([vec![vec![0, 1, 1]; 90], vec![vec![0, 1, 1, 1]; 10]].concat()))
    }

    fn corpus(sessions: Vec<Vec<u32>>) -> Corpus {
        let stories = sessions.into_iter().map(|events| Story { events, ..Story::default() }).collect();
        let texts = ["allocated", "received", "failed"].map(str::to_owned).to_vec();
        Corpus { texts, stories, inputs: Vec::new(), drain: DrainSettings::hdfs(), scope: Scope::Cluster, calm: BTreeSet::new() }
    }
}
