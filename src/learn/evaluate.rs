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

/// One session judged.
#[derive(Clone, Copy, Debug)]
struct Judged {
    high: bool,
    far: bool,
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
    mut score: impl FnMut(&[Window]) -> Result<Vec<Score>, E>,
) -> Result<Report, E> {
    let calibration = &contract.profile.calibration;
    let mut judge_all = |corpus| Ok(judge(calibration, &score(&windows(&contract.profile, corpus))?));
    let (normal, anomalous) = (judge_all(normal)?, judge_all(anomalous)?);
    let unseen = population.normal.saturating_sub(contract.training.sessions);
    let population = Population { normal: unseen, ..population };
    let rates = |flags: fn(&Judged) -> bool| Rates::new(&normal, &anomalous, population, flags);
    Ok(Report {
        model: contract.profile.name.clone(),
        threshold: first_threshold(calibration),
        both: rates(|judged| judged.high && judged.far),
        counts_alone: rates(|judged| judged.far),
        score_alone: rates(|judged| judged.high),
    })
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

fn judge(calibration: &Calibration, scores: &[Score]) -> Vec<Judged> {
    let threshold = first_threshold(calibration);
    let judge = |score: &Score| Judged { high: score.score > threshold, far: score.distance > calibration.distance_max };
    scores.iter().map(judge).collect()
}

impl Rates {
    fn new(normal: &[Judged], anomalous: &[Judged], population: Population, flags: fn(&Judged) -> bool) -> Self {
        let count = |judged: &[Judged]| judged.iter().filter(|&judged| flags(judged)).count() as u64;
        let share = |part: u64, whole: usize| part as f64 / whole.max(1) as f64;
        let (false_alarms, found) = (count(normal), count(anomalous));
        let (false_alarm_rate, recall) = (share(false_alarms, normal.len()), share(found, anomalous.len()));
        let right = recall * population.anomalous as f64;
        let wrong = false_alarm_rate * population.normal as f64;
        Self {
            false_alarms,
            normal: normal.len() as u64,
            found,
            anomalous: anomalous.len() as u64,
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

    /// Of 100 normal and 10 anomalous ones; (judged, flagged) of each kind against (precision, recall, F1).
    fn check(normal: (usize, usize), anomalous: (usize, usize), expected: (f64, f64, f64)) {
        let judged = |(judged, flagged)| (0..judged).map(|index| Judged { high: index < flagged, far: true }).collect::<Vec<_>>();
        let population = Population { normal: 100, anomalous: 10 };
        let rates = Rates::new(&judged(normal), &judged(anomalous), population, |judged| judged.high && judged.far);
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
        let is_right = close(rates.precision, expected.0) && close(rates.recall, expected.1) && close(rates.f1, expected.2);
        assert!(is_right, "{rates:?}, not {expected:?}");
    }
}
