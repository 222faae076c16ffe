//! Holds scores against a threshold that follows the cluster's own noise and never learns from what it flags.
//!
//! An exponentially weighted moving average (Roberts 1959; Lucas & Saccucci 1990) of x = ln(score + epsilon), winsorised as by
//! Gelper, Fried & Croux (2010): `x' = clamp(x, m - w sd, m + w sd)`, `d = x' - m`, `m += lambda d`,
//! `var = (1 - lambda)(var + lambda d^2)`. The threshold is `clamp(exp(m + k sd) - epsilon, floor, ceiling)`. Scores that are flagged
//! are left out, as SPOT does (Siffer et al. 2017): a wave of failures must not raise the bar for the next one. It starts from the
//! model's calibration, so there is nothing to wait for.

use serde::{Deserialize, Serialize};

use crate::pipeline::profile::Calibration;
use crate::pipeline::session::Score;
use crate::pipeline::verdict::Verdict;

/// How fast the threshold moves. What is `None` comes from the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Weight of one episode, 0..1. At 0.001 half of a change is followed after 693 episodes.
    pub lambda: f64,
    /// Standard deviations beyond which a score counts as if it stood there, > 0.
    pub winsor_sd: f64,
    /// Standard deviations above the mean at which the threshold stands, > 0.
    pub k: Option<f64>,
    /// The score that the threshold never falls below, nats.
    pub floor: Option<f32>,
    /// The score that it never rises above, nats.
    pub ceiling: Option<f32>,
}

/// The threshold of one model.
#[derive(Clone, Debug)]
pub struct Threshold {
    settings: Settings,
    k: f64,
    floor: f64,
    ceiling: f64,
    epsilon: f64,
    distance_max: f32,
    kept: Kept,
}

/// What a checkpoint keeps of a [`Threshold`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    mean: f64,
    variance: f64,
    updates: u64,
}

impl Threshold {
    /// The threshold that a model's calibration starts with.
    #[must_use]
    pub fn new(settings: Settings, calibration: &Calibration) -> Self {
        let kept = Kept { mean: calibration.log_mean, variance: calibration.log_sd.powi(2), updates: 0 };
        Self::restore(settings, calibration, kept)
    }

    /// The threshold of a checkpoint, for the model that it was found with.
    #[must_use]
    pub fn restore(settings: Settings, calibration: &Calibration, kept: Kept) -> Self {
        let floor = f64::from(settings.floor.unwrap_or(calibration.floor));
        Self {
            settings,
            k: settings.k.unwrap_or(calibration.k),
            floor,
            ceiling: f64::from(settings.ceiling.unwrap_or(calibration.ceiling)).max(floor),
            epsilon: calibration.epsilon,
            distance_max: calibration.distance_max,
            kept,
        }
    }

    /// What a checkpoint keeps.
    #[must_use]
    pub fn kept(&self) -> Kept {
        self.kept
    }

    /// Where the threshold stands, nats.
    #[must_use]
    pub fn value(&self) -> f64 {
        let value = (self.kept.mean + self.k * self.log_sd()).exp() - self.epsilon;
        value.clamp(self.floor, self.ceiling)
    }

    /// Mean of x.
    #[must_use]
    pub fn log_mean(&self) -> f64 {
        self.kept.mean
    }

    /// Standard deviation of x.
    #[must_use]
    pub fn log_sd(&self) -> f64 {
        self.kept.variance.sqrt()
    }

    /// Episodes that moved it.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.kept.updates
    }

    /// Decides: an episode is anomalous when its score exceeds the threshold and no normal story has its counts.
    #[must_use]
    pub fn judge(&self, score: &Score) -> Verdict {
        let threshold = self.value();
        Verdict {
            anomalous: f64::from(score.score) > threshold && score.distance > self.distance_max,
            score: score.score,
            threshold: threshold as f32,
            distance: score.distance,
        }
    }

    /// Learns from an episode that was judged normal. What was flagged leaves the threshold where it is.
    pub fn learn(&mut self, verdict: &Verdict) {
        if verdict.anomalous {
            return;
        }
        let reach = self.settings.winsor_sd * self.log_sd();
        let x = (f64::from(verdict.score) + self.epsilon).ln();
        let step = (x - self.kept.mean).clamp(-reach, reach);
        let lambda = self.settings.lambda;
        self.kept.mean += lambda * step;
        self.kept.variance = (1.0 - lambda) * (self.kept.variance + lambda * step * step);
        self.kept.updates += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::profile::tests::profile;

    #[test]
    fn it_starts_where_the_calibration_says() {
        let threshold = threshold();
        assert!((threshold.value() - (1.1_f64.exp() - 1e-3)).abs() < 1e-9);
    }

    #[test]
    fn a_high_score_is_anomalous_only_away_from_normal_counts() {
        for (value, distance, anomalous) in [(9.0, 1.0, true), (9.0, 0.0, false), (1.0, 1.0, false)] {
            assert_eq!(threshold().judge(&score(value, distance)).anomalous, anomalous, "{value} {distance}");
        }
    }

    #[test]
    fn what_is_flagged_never_moves_it() {
        let mut threshold = threshold();
        let before = threshold.kept();
        for _ in 0..10_000 {
            let verdict = threshold.judge(&score(9.0, 1.0));
            threshold.learn(&verdict);
        }
        assert_eq!(threshold.kept(), before);
    }

    #[test]
    fn it_follows_a_slow_drift() {
        let mut threshold = threshold();
        let before = threshold.value();
        for step in 0..20_000 {
            let drift = 1.0 + f64::from(step) / 20_000.0;
            let noise = if step % 2 == 0 { 0.6 } else { 1.6 };
            let verdict = threshold.judge(&score((drift * noise) as f32, 0.0));
            threshold.learn(&verdict);
        }
        assert!(threshold.value() > before * 1.5, "{} from {before}", threshold.value());
    }

    #[test]
    fn one_huge_score_moves_it_no_further_than_the_winsor_bound() {
        let mut threshold = threshold();
        let verdict = threshold.judge(&score(1e30, 0.0));
        threshold.learn(&verdict);
        assert!(threshold.log_mean() <= 0.001 * 2.5 * 0.5 + 1e-12);
    }

    #[test]
    fn it_stays_between_floor_and_ceiling() {
        let mut threshold = threshold();
        for value in [1e-30, 1e30] {
            for _ in 0..100_000 {
                threshold.learn(&Verdict { anomalous: false, score: value, threshold: 0.0, distance: 0.0 });
                assert!((0.5..=12.0).contains(&threshold.value()));
            }
        }
    }

    fn threshold() -> Threshold {
        let settings = Settings { lambda: 0.001, winsor_sd: 2.5, k: None, floor: None, ceiling: None };
        Threshold::new(settings, &profile(&[]).calibration)
    }

    fn score(score: f32, distance: f32) -> Score {
        Score { score, distance, token_error: vec![score] }
    }
}
