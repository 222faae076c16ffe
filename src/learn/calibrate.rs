//! Says what scores look like on the stories that were learnt, and where the threshold stands at first. Labels are never seen.

use std::collections::BTreeMap;

use candle_core::Result;

use super::network::Network;
use super::windows::{Windows, counts};
use crate::limits::{BATCH_WINDOWS_MAX, PATTERNS_MAX};
use crate::model::onnx::UNKNOWN_NATS;
use crate::pipeline::event::Token;
use crate::pipeline::profile::{Calibration, CountPattern, END, FIRST_EVENT, START, UNKNOWN};

/// Shares of the training stories that score at or below the first threshold, of which the lowest is taken that lets no more than
/// [`FALSE_ALARMS_MAX`] of the blocks alarm. A block alarms when its kind is unseen too, so where kinds are few the lowest one does; where
/// many stories are the only ones of their kind, the score must tell more.
const THRESHOLD_QUANTILES: [f64; 6] = [0.9, 0.95, 0.975, 0.985, 0.99, 0.995];
/// Share of normal blocks that may alarm. One in a thousand is what people on call bear with a few thousand blocks a day.
const FALSE_ALARMS_MAX: f64 = 0.001;
/// Scores are clipped to the mean and this many standard deviations before they move it (Gelper, Fried & Croux 2010, section 3, use 2).
/// The adaptive threshold does the same, so that it stays where it begins while the traffic is as in training.
const CLIP_SDS: f64 = 2.5;
/// Added to scores before the logarithm, nats: below it, differences between scores mean nothing.
const EPSILON: f64 = 0.1;
/// The threshold never falls below this quantile.
const FLOOR_QUANTILE: f64 = 0.9;
/// Smallest standard deviation of the logarithm. A corpus whose stories all score alike has none.
const LOG_SD_MIN: f64 = 0.01;
/// Every weight is at least 1, so that less than one event of difference is rounding.
const DISTANCE_MAX: f32 = 0.5;

/// Scores of whole stories with how often they occurred, sorted.
pub struct Scores(Vec<(f32, u64)>);

impl Scores {
    /// Scores all whole stories.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn new(network: &Network, whole: &BTreeMap<Vec<Token>, u64>) -> Result<Self> {
        let windows: Vec<&[Token]> = whole.keys().map(Vec::as_slice).collect();
        let mut scores: Vec<_> = score_all(network, &windows)?.into_iter().zip(whole.values().copied()).collect();
        scores.sort_by(|a, b| a.0.total_cmp(&b.0));
        Ok(Self(scores))
    }

    /// The smallest score that at least `share` of the stories do not exceed.
    pub fn quantile(&self, share: f64) -> f32 {
        let rank = (share * self.sessions() as f64).ceil() as u64;
        let mut below = 0;
        let found = self.0.iter().find(|(_, times)| {
            below += times;
            below >= rank
        });
        found.or(self.0.last()).map_or(0.0, |&(score, _)| score)
    }

    fn sessions(&self) -> u64 {
        self.0.iter().map(|&(_, times)| times).sum()
    }

    /// Mean and standard deviation of ln(score + epsilon), each score clipped to [`CLIP_SDS`] around them: their fixed point.
    fn winsorised(&self) -> (f64, f64) {
        let logs: Vec<(f64, f64)> =
            self.0.iter().map(|&(score, times)| ((f64::from(score) + EPSILON).ln(), times as f64)).collect();
        let (mut mean, mut sd) = moments(&logs, |log| log);
        for _ in 0..1000 {
            let next = moments(&logs, |log| log.clamp(mean - CLIP_SDS * sd, mean + CLIP_SDS * sd));
            let moved = (next.0 - mean).abs() + (next.1 - sd).abs();
            (mean, sd) = next;
            if moved < 1e-12 {
                break;
            }
        }
        (mean, sd.max(LOG_SD_MIN))
    }
}

fn moments(logs: &[(f64, f64)], clip: impl Fn(f64) -> f64) -> (f64, f64) {
    let total: f64 = logs.iter().map(|(_, times)| times).sum();
    let mean = logs.iter().map(|&(log, times)| times * clip(log)).sum::<f64>() / total;
    let variance = logs.iter().map(|&(log, times)| times * (clip(log) - mean).powi(2)).sum::<f64>() / total;
    (mean, variance.sqrt())
}

/// Scores of windows of any lengths, in their order.
///
/// # Errors
/// When a window holds tokens that the network does not have.
pub fn score_all(network: &Network, windows: &[&[Token]]) -> Result<Vec<f32>> {
    let mut order: Vec<usize> = (0..windows.len()).collect();
    order.sort_by_key(|&index| windows[index].len());
    let mut scores = vec![0.0; windows.len()];
    for alike in order.chunk_by(|&a, &b| windows[a].len() == windows[b].len()) {
        for indices in alike.chunks(BATCH_WINDOWS_MAX) {
            let batch: Vec<&[Token]> = indices.iter().map(|&index| windows[index]).collect();
            for (&index, score) in indices.iter().zip(network.scores(&batch)?) {
                scores[index] = score;
            }
        }
    }
    Ok(scores)
}

/// Where the threshold stands at first, and the share of normal blocks that alarm there: of the whole stories, those that score higher and
/// whose kind would not be known had they been held back.
///
/// `strangers` are the scores of these, with how often they occurred.
pub fn threshold(scores: &Scores, strangers: &[(f32, u64)]) -> (f32, f64) {
    let alarming = |threshold: f32| {
        let alarms: u64 = strangers.iter().filter(|(score, _)| *score > threshold).map(|(_, times)| times).sum();
        alarms as f64 / scores.sessions().max(1) as f64
    };
    let candidates = THRESHOLD_QUANTILES.map(|share| scores.quantile(share));
    let bearable = candidates.into_iter().find(|&threshold| alarming(threshold) <= FALSE_ALARMS_MAX);
    let threshold = bearable.unwrap_or(candidates[candidates.len() - 1]);
    (threshold, alarming(threshold))
}

/// Everything that the daemon needs to know of normal scores. `threshold` is where it stands at first.
pub fn calibrate(scores: &Scores, windows: &Windows, threshold: f32) -> Calibration {
    let (log_mean, log_sd) = scores.winsorised();
    let k = ((f64::from(threshold) + EPSILON).ln() - log_mean) / log_sd;
    let mut patterns = windows.patterns();
    patterns.truncate(PATTERNS_MAX);
    Calibration {
        sessions: scores.sessions(),
        quantiles: (0..=100).map(|percent| scores.quantile(f64::from(percent) / 100.0)).collect(),
        log_mean,
        log_sd,
        k: k.max(0.0),
        floor: scores.quantile(FLOOR_QUANTILE),
        ceiling: ceiling(threshold),
        epsilon: EPSILON,
        patterns,
        weights: weights(windows),
        distance_max: DISTANCE_MAX,
    }
}

/// Twice the first threshold, where nine in ten anomalies of HDFS_v1 still show, and no more than half way to the score of an unknown
/// event, which shows however noisy a cluster is.
fn ceiling(threshold: f32) -> f32 {
    (2.0 * threshold).min(threshold.midpoint(UNKNOWN_NATS))
}

/// Weight of each token in the distance: 1 + ln((N + 1) / (n + 1)) for one in n of N stories, Salton & Buckley's idf, smoothed
/// so that an event that every story has still counts. Tokens that are no events weigh nothing, nor do events that say nothing of how far
/// a story has come: how often a block was read or verified makes it no other kind of story.
fn weights(windows: &Windows) -> Vec<f32> {
    let stories: u64 = windows.whole.values().sum();
    let mut having = vec![0_u64; usize::from(FIRST_EVENT) + windows.vocabulary.len()];
    for (window, times) in &windows.whole {
        for (token, _) in counts(window) {
            having[usize::from(token.0)] += times;
        }
    }
    let idf = |having: u64| 1.0 + (((stories + 1) as f64) / ((having + 1) as f64)).ln();
    let weight = |(token, having): (u16, u64)| {
        let counts = (token > END.0 && !windows.loose.contains(&Token(token))) || token == UNKNOWN.0;
        if counts { idf(having) as f32 } else { 0.0 }
    };
    (0..).zip(having).map(weight).collect()
}

/// Distance of a window to the nearest normal count pattern, as the graph computes it; 0 = one of them.
pub fn distance(calibration: &Calibration, window: &[Token]) -> f32 {
    let mut counted = vec![0.0; calibration.weights.len()];
    for (token, count) in counts(window) {
        counted[usize::from(token.0)] = f64::from(count);
    }
    let deficit = if window[0] == START { 1.0 } else { 0.0 };
    let distances = calibration.patterns.iter().map(|pattern| apart(&calibration.weights, &counted, pattern, deficit));
    distances.fold(f64::INFINITY, f64::min) as f32
}

fn apart(weights: &[f32], counted: &[f64], pattern: &CountPattern, deficit: f64) -> f64 {
    let mut difference = counted.to_vec();
    for &(token, count) in &pattern.counts {
        difference[usize::from(token.0)] -= f64::from(count);
    }
    let weigh = |(&weight, difference): (&f32, f64)| f64::from(weight) * (difference.max(0.0) + deficit * (-difference).max(0.0));
    weights.iter().zip(difference).map(weigh).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::profile::{MID, RESUMED};

    #[test]
    fn quantiles_are_scores_that_occurred() {
        let scores = Scores(vec![(1.0, 97), (2.0, 2), (9.0, 1)]);
        for (share, expected) in [(0.0, 1.0), (0.5, 1.0), (0.97, 1.0), (0.971, 2.0), (0.99, 2.0), (0.991, 9.0), (1.0, 9.0)] {
            assert_eq!(scores.quantile(share), expected, "{share}");
        }
    }

    #[test]
    fn winsorised_moments_are_a_fixed_point_that_outliers_hardly_move() {
        let clean: Vec<(f32, u64)> = (0..100).map(|step| (1.0 + 0.01 * step as f32, 10)).collect();
        let (mean, sd) = Scores(clean.clone()).winsorised();
        let outliers = Scores([clean, vec![(20.0, 20)]].concat());
        let moved = outliers.winsorised();
        assert!((moved.0 - mean).abs() < 0.2 * sd && moved.1 < 1.5 * sd, "{mean} {sd} became {moved:?}");
        let logs: Vec<(f64, f64)> = outliers.0.iter().map(|&(score, n)| ((f64::from(score) + EPSILON).ln(), n as f64)).collect();
        let again = moments(&logs, |log| log.clamp(moved.0 - CLIP_SDS * moved.1, moved.0 + CLIP_SDS * moved.1));
        assert!((again.0 - moved.0).abs() + (again.1 - moved.1).abs() < 1e-9, "{moved:?} became {again:?}");
    }

    #[test]
    fn scores_that_are_all_alike_have_a_deviation_all_the_same() {
        let (mean, sd) = Scores(vec![(1.0, 100)]).winsorised();
        assert!((mean - 1.1_f64.ln()).abs() < 1e-9 && sd == LOG_SD_MIN, "{mean} {sd}");
    }

    #[test]
    fn the_distance_counts_what_is_too_much_and_for_whole_stories_what_is_missing() {
        for (window, expected) in [
            (&[START.0, 6, 7, 7][..], 0.0),
            (&[START.0, 6, 7], 3.0),
            (&[START.0, 6, 7, 7, 7], 3.0),
            (&[START.0, 7, 7], 2.0),
            (&[START.0, 6, 7, 7, UNKNOWN.0], 9.0),
            (&[MID.0, 7], 0.0),
            (&[RESUMED.0, 7, 7, 7], 3.0),
            (&[MID.0], 0.0),
        ] {
            let window: Vec<Token> = window.iter().copied().map(Token).collect();
            assert_eq!(distance(&calibration(), &window), expected, "{window:?}");
        }
    }

    /// One pattern: one of token 6, weight 2, and two of token 7, weight 3. Unknown events weigh 9.
    fn calibration() -> Calibration {
        let counts = vec![(Token(6), 1), (Token(7), 2)];
        Calibration {
            sessions: 1,
            quantiles: Vec::new(),
            log_mean: 0.0,
            log_sd: 1.0,
            k: 1.0,
            floor: 0.0,
            ceiling: 1.0,
            epsilon: EPSILON,
            patterns: vec![CountPattern { counts, sessions: 1 }],
            weights: vec![0.0, 9.0, 0.0, 0.0, 0.0, 0.0, 2.0, 3.0],
            distance_max: DISTANCE_MAX,
        }
    }
}
