//! Holds a model against sessions whose labels are known: what it finds, and how often it cries wolf.

use std::collections::HashMap;

use serde::Serialize;

use super::Corpus;
use crate::model::contract::Contract;
use crate::pipeline::event::Token;
use crate::pipeline::profile::{Calibration, FIRST_EVENT, Profile, UNKNOWN};
use crate::pipeline::session::encode::Encoder;
use crate::pipeline::session::{Begin, Score, Window};

/// Sessions of the whole from which samples were drawn: rates of a sample are scaled to it.
#[derive(Clone, Copy, Debug)]
pub struct Population {
    /// Normal sessions, those of the training included.
    pub normal: u64,
    /// Anomalous sessions.
    pub anomalous: u64,
}

/// HDFS_v1 as LogHub counts it: 575,061 blocks, 16,838 of them anomalous.
pub const HDFS_V1: Population = Population { normal: 558_223, anomalous: 16_838 };

/// What a model makes of labelled sessions, with the threshold frozen where the calibration begins.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Name of the model.
    pub model: String,
    /// The threshold, nats.
    pub threshold: f32,
    /// The decision of the daemon: score above the threshold and counts that no normal story has.
    pub both: Rates,
    /// Counts that no normal story has, alone.
    pub counts_alone: Rates,
    /// Score above the threshold, alone.
    pub score_alone: Rates,
}

/// How one way of deciding does.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rates {
    /// Normal sessions flagged, of `normal`.
    pub false_alarms: u64,
    /// Normal sessions judged.
    pub normal: u64,
    /// Anomalous sessions flagged, of `anomalous`.
    pub found: u64,
    /// Anomalous sessions judged.
    pub anomalous: u64,
    /// Share of the normal sessions flagged, times 100,000.
    pub false_alarms_per_100k: f64,
    /// Share of the anomalous sessions flagged.
    pub recall: f64,
    /// Share of right alarms, scaled to the population.
    pub precision: f64,
    /// Harmonic mean of both, scaled to the population.
    pub f1: f64,
}

/// What a model says of one session.
#[derive(Clone, Copy, Debug)]
pub struct Judged {
    /// Nats.
    pub score: f32,
    /// To the nearest normal count pattern.
    pub distance: f32,
}

/// A report, and what it was made of.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// What the daemon would decide.
    pub report: Report,
    /// Distances above this are far from every normal story.
    pub distance_max: f32,
    /// The whole that rates are scaled to, without the sessions of the training.
    pub population: Population,
    /// Each normal session.
    pub normal: Vec<Judged>,
    /// Each anomalous session.
    pub anomalous: Vec<Judged>,
}

/// How one way of deciding does over several seeds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Summary {
    /// Mean of F1, 0..=1.
    pub f1_mean: f64,
    /// Standard deviation of F1 (with n - 1); 0 for one seed.
    pub f1_sd: f64,
    /// F1 of the worst.
    pub f1_min: f64,
    /// Mean of the precision, 0..=1.
    pub precision_mean: f64,
    /// Mean of the recall, 0..=1.
    pub recall_mean: f64,
    /// Mean of the share of normal sessions flagged, times 100,000.
    pub false_alarms_per_100k: f64,
}

impl Population {
    /// Without so many normal sessions, which were learnt.
    #[must_use]
    pub fn without(self, learnt: u64) -> Self {
        Self { normal: self.normal.saturating_sub(learnt), ..self }
    }
}

impl Summary {
    /// Of the rates of one or more seeds.
    #[must_use]
    pub fn of(rates: &[Rates]) -> Self {
        let mean = |value: fn(&Rates) -> f64| rates.iter().map(value).sum::<f64>() / rates.len() as f64;
        let f1_mean = mean(|rates| rates.f1);
        let squares: f64 = rates.iter().map(|rates| (rates.f1 - f1_mean).powi(2)).sum();
        Self {
            f1_mean,
            f1_sd: (squares / (rates.len() as f64 - 1.0).max(1.0)).sqrt(),
            f1_min: rates.iter().map(|rates| rates.f1).fold(f64::INFINITY, f64::min),
            precision_mean: mean(|rates| rates.precision),
            recall_mean: mean(|rates| rates.recall),
            false_alarms_per_100k: mean(|rates| rates.false_alarms_per_100k),
        }
    }
}

/// Where the threshold stands before it has seen anything.
#[must_use]
pub fn first_threshold(calibration: &Calibration) -> f32 {
    let threshold = (calibration.log_mean + calibration.k * calibration.log_sd).exp() - calibration.epsilon;
    (threshold as f32).clamp(calibration.floor, calibration.ceiling)
}

/// Judges whole sessions of both kinds by what `score` says of them.
///
/// # Errors
/// Those of `score`.
pub fn evaluate<E>(
    contract: &Contract,
    normal: &Corpus,
    anomalous: &Corpus,
    population: Population,
    score: impl FnMut(&[Window]) -> Result<Vec<Score>, E>,
) -> Result<Report, E> {
    judge(contract, normal, anomalous, population, score).map(|judgement| judgement.report)
}

/// The same, with what the model says of each session.
///
/// # Errors
/// Those of `score`.
pub fn judge<E>(
    contract: &Contract,
    normal: &Corpus,
    anomalous: &Corpus,
    population: Population,
    mut score: impl FnMut(&[Window]) -> Result<Vec<Score>, E>,
) -> Result<Judgement, E> {
    let calibration = &contract.profile.calibration;
    let (threshold, distance_max) = (first_threshold(calibration), calibration.distance_max);
    let mut judge_all = |corpus| Ok(score(&windows(&contract.profile, corpus))?.iter().map(Judged::from).collect());
    let (normal, anomalous): (Vec<Judged>, Vec<Judged>) = (judge_all(normal)?, judge_all(anomalous)?);
    let population = population.without(contract.training.sessions);
    let rates = |is_flagged: &dyn Fn(&Judged) -> bool| Rates::new(&normal, &anomalous, population, is_flagged);
    let report = Report {
        model: contract.profile.name.clone(),
        threshold,
        both: rates(&|judged| judged.score > threshold && judged.distance > distance_max),
        counts_alone: rates(&|judged| judged.distance > distance_max),
        score_alone: rates(&|judged| judged.score > threshold),
    };
    Ok(Judgement { report, distance_max, population, normal, anomalous })
}

/// Recall and precision at every threshold of `value`, from the highest on. Sessions whose value is not finite are never flagged.
#[must_use]
pub fn precision_recall(judgement: &Judgement, value: impl Fn(&Judged) -> f32) -> Vec<(f64, f64)> {
    let of =
        |judged: &[Judged], is_anomalous: bool| judged.iter().map(|judged| (value(judged), is_anomalous)).collect::<Vec<_>>();
    let mut values = of(&judgement.normal, false);
    values.extend(of(&judgement.anomalous, true));
    values.retain(|(value, _)| value.is_finite());
    values.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (normal, anomalous) = (judgement.normal.len() as u64, judgement.anomalous.len() as u64);
    let (mut false_alarms, mut found) = (0, 0);
    let equal = values.chunk_by(|a, b| a.0 == b.0);
    let point = |equal: &[(f32, bool)]| {
        let right = equal.iter().filter(|(_, is_anomalous)| *is_anomalous).count() as u64;
        found += right;
        false_alarms += equal.len() as u64 - right;
        let rates = Rates::scaled(false_alarms, normal, found, anomalous, judgement.population);
        (rates.recall, rates.precision)
    };
    equal.map(point).collect()
}

/// Windows of whole sessions, for the model of `profile`. Templates are found by their text; others are unknown.
#[must_use]
pub fn windows(profile: &Profile, corpus: &Corpus) -> Vec<Window> {
    let tokens = tokens(profile, corpus);
    let encoder = Encoder::new(profile);
    let window = |events: &[u32]| encoder.encode(Begin::Start, events.iter().map(|&event| tokens[event as usize])).0;
    corpus.stories.iter().map(|story| window(&story.events)).collect()
}

/// Token of each text of a corpus.
#[must_use]
pub fn tokens(profile: &Profile, corpus: &Corpus) -> Vec<Token> {
    let texts = profile.vocabulary.iter().map(|entry| entry.text.as_str());
    let known: HashMap<&str, Token> = texts.zip((FIRST_EVENT..).map(Token)).collect();
    corpus.texts.iter().map(|text| known.get(text.as_str()).copied().unwrap_or(UNKNOWN)).collect()
}

impl From<&Score> for Judged {
    fn from(score: &Score) -> Self {
        Self { score: score.score, distance: score.distance }
    }
}

impl Rates {
    /// Of sessions of both kinds, by what is flagged.
    pub fn new<T>(normal: &[T], anomalous: &[T], population: Population, is_flagged: impl Fn(&T) -> bool) -> Self {
        let count = |sessions: &[T]| sessions.iter().filter(|session| is_flagged(session)).count() as u64;
        Self::scaled(count(normal), normal.len() as u64, count(anomalous), anomalous.len() as u64, population)
    }

    fn scaled(false_alarms: u64, normal: u64, found: u64, anomalous: u64, population: Population) -> Self {
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        let (false_alarm_rate, recall) = (share(false_alarms, normal), share(found, anomalous));
        let right = recall * population.anomalous as f64;
        let wrong = false_alarm_rate * population.normal as f64;
        Self {
            false_alarms,
            normal,
            found,
            anomalous,
            false_alarms_per_100k: false_alarm_rate * 100_000.0,
            recall,
            precision: ratio(right, right + wrong),
            f1: ratio(2.0 * right, population.anomalous as f64 + right + wrong),
        }
    }
}

/// `part / whole`, 0 when nothing was flagged at all.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_scaled_to_the_population() {
        check((10, 0), (10, 10), (1.0, 1.0, 1.0));
        check((10, 1), (10, 10), (0.5, 1.0, 2.0 / 3.0));
        check((10, 0), (10, 5), (1.0, 0.5, 2.0 / 3.0));
        check((10, 0), (10, 0), (0.0, 0.0, 0.0));
        check((0, 0), (0, 0), (0.0, 0.0, 0.0));
    }

    #[test]
    fn a_summary_tells_mean_deviation_and_worst() {
        let rates = |found| Rates::scaled(0, 10, found, 10, Population { normal: 100, anomalous: 10 });
        check_summary(&[rates(10), rates(5)], (5.0 / 6.0, (1.0_f64 / 18.0).sqrt(), 2.0 / 3.0));
        check_summary(&[rates(5)], (2.0 / 3.0, 0.0, 2.0 / 3.0));
    }

    #[test]
    fn a_curve_has_a_point_for_every_value_that_can_be_flagged() {
        check_curve(&[1.0, 2.0], &[3.0, 4.0], &[(0.5, 1.0), (1.0, 1.0), (1.0, 2.0 / 3.0), (1.0, 0.5)]);
        check_curve(&[1.0], &[1.0], &[(1.0, 0.5)]);
        check_curve(&[f32::NEG_INFINITY, 5.0], &[f32::NEG_INFINITY, 1.0], &[(0.0, 0.0), (0.5, 0.5)]);
        check_curve(&[], &[], &[]);
    }

    fn check_summary(rates: &[Rates], expected: (f64, f64, f64)) {
        let summary = Summary::of(rates);
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
        let is_right =
            close(summary.f1_mean, expected.0) && close(summary.f1_sd, expected.1) && close(summary.f1_min, expected.2);
        assert!(is_right, "{summary:?}, not {expected:?}");
    }

    /// Scores of a population that is as large as the sample, against (recall, precision).
    fn check_curve(normal: &[f32], anomalous: &[f32], expected: &[(f64, f64)]) {
        let judged = |scores: &[f32]| scores.iter().map(|&score| Judged { score, distance: 0.0 }).collect::<Vec<_>>();
        let population = Population { normal: normal.len() as u64, anomalous: anomalous.len() as u64 };
        let rates = Rates::scaled(0, 0, 0, 0, population);
        let report = Report { model: String::new(), threshold: 0.0, both: rates, counts_alone: rates, score_alone: rates };
        let (normal, anomalous) = (judged(normal), judged(anomalous));
        let judgement = Judgement { report, distance_max: 0.0, population, normal, anomalous };
        assert_eq!(precision_recall(&judgement, |judged| judged.score), expected);
    }

    /// Of 100 normal and 10 anomalous ones; (judged, flagged) of each kind against (precision, recall, F1).
    fn check(normal: (usize, usize), anomalous: (usize, usize), expected: (f64, f64, f64)) {
        let flags = |(judged, flagged)| (0..judged).map(|index| index < flagged).collect::<Vec<bool>>();
        let population = Population { normal: 100, anomalous: 10 };
        let rates = Rates::new(&flags(normal), &flags(anomalous), population, |flag| *flag);
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
        let is_right = close(rates.precision, expected.0) && close(rates.recall, expected.1) && close(rates.f1, expected.2);
        assert!(is_right, "{rates:?}, not {expected:?}");
    }
}
