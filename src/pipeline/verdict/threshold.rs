//! Holds scores against a threshold that follows the cluster's own noise and never learns from what it flags.
//!
//! An exponentially weighted moving average (Roberts 1959; Lucas & Saccucci 1990) of x = ln(score + epsilon), winsorised as by
//! Gelper, Fried & Croux (2010): `x' = clamp(x, m - w sd, m + w sd)`, `d = x' - m`, `m += lambda d`,
//! `var = (1 - lambda)(var + lambda d^2)`. The threshold is `clamp(exp(m + k sd) - epsilon, floor, ceiling)`. Scores that are flagged
//! are left out, as SPOT does (Siffer et al. 2017): a wave of failures must not raise the bar for the next one. It starts from the
//! model's calibration, so there is nothing to wait for.
//!
//! - **Frozen.** While more than half of the last 128 scores stand above the threshold, nothing moves it: a change and
//!   an outage look alike then, and the little that is still below tells of neither.
//! - **Another regime.** When as many as `regime_share` of the last `regime_episodes` scores, flagged or not, stand above the threshold,
//!   the traffic as a whole has moved: mean and deviation are taken anew from the median and the median absolute deviation of these
//!   scores (both stand half of them being wrong, Hampel 1974). The level before is remembered, and taken up again should as many stand
//!   below its threshold. Raising a threshold is never done in silence: each change is handed out, to be told.

use serde::{Deserialize, Serialize};

use crate::limits::REGIMES_MAX;
use crate::pipeline::profile::Calibration;
use crate::pipeline::session::Score;
use crate::pipeline::verdict::{DetectorMode, ScoreLevel, Verdict};

use self::ring::{Ring, Spread};

mod ring;

/// How fast the threshold moves. What is `None` comes from the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Whether it moves at all.
    pub adapt: bool,
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
    /// Scores that a change of regime is seen in, 1..=[`crate::limits::REGIME_EPISODES_MAX`].
    pub regime_episodes: usize,
    /// Share of them that has to stand above the threshold for it, 0.5..=1. 1 = none is ever seen.
    pub regime_share: f64,
}

impl Default for Settings {
    /// As `config/default.toml` has them.
    fn default() -> Self {
        Self {
            adapt: true,
            lambda: 0.001,
            winsor_sd: 2.5,
            k: None,
            floor: None,
            ceiling: None,
            regime_episodes: 1024,
            regime_share: 0.9,
        }
    }
}

/// The threshold of one model.
#[derive(Clone, Debug)]
pub struct Threshold {
    settings: Settings,
    k: f64,
    floor: f64,
    ceiling: f64,
    /// The ceiling, or the model's own where that is higher.
    reach: f64,
    epsilon: f64,
    distance_max: f32,
    /// The training scores: what the threshold was calibrated to.
    trained: Trained,
    kept: Kept,
}

/// What a checkpoint keeps of a [`Threshold`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    moments: Moments,
    updates: u64,
    /// Of the last scores, whether each stood above the threshold; the last one in the lowest bit.
    recent: u128,
    /// The last scores, flagged or not.
    ring: Ring,
    /// The moments before each change of regime that has not gone back, oldest first, at most [`REGIMES_MAX`].
    former: Vec<Moments>,
}

/// Mean and variance of x = ln(score + epsilon).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// The mean.
    pub mean: f64,
    /// The variance, >= 0.
    pub variance: f64,
}

impl Moments {
    /// Those of the training scores.
    #[must_use]
    pub fn of(calibration: &Calibration) -> Self {
        Self { mean: calibration.log_mean, variance: calibration.log_sd.powi(2) }
    }

    /// The same after one x more, which is `step` above the mean, with the weight `lambda` (Roberts 1959).
    #[must_use]
    pub fn after(self, step: f64, lambda: f64) -> Self {
        let variance = (1.0 - lambda) * (self.variance + lambda * step * step);
        Self { mean: self.mean + lambda * step, variance }
    }

    /// The score that is `k` standard deviations above the mean, nats; may be below 0.
    #[must_use]
    pub fn score_at(self, k: f64, epsilon: f64) -> f64 {
        (self.mean + k * self.variance.sqrt()).exp() - epsilon
    }
}

/// Moments of the training scores, and where their bulk lies.
#[derive(Clone, Copy, Debug)]
struct Trained {
    moments: Moments,
    bulk: Spread,
    /// Share of them that the threshold was above at first.
    share_below: f64,
}

/// The level of the scores has changed, and the threshold with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// To where it was not before.
    Moved {
        /// Where it was.
        before: ScoreLevel,
        /// Where it is now.
        after: ScoreLevel,
    },
    /// Back to where it was before an earlier change.
    Returned {
        /// Where it is now.
        after: ScoreLevel,
        /// Changes that are undone by it, the latest ones; >= 1.
        undone: usize,
    },
}

impl Threshold {
    /// The threshold that a model's calibration starts with.
    #[must_use]
    pub fn new(settings: Settings, calibration: &Calibration) -> Self {
        Self::restore(settings, calibration, Self::untouched(calibration))
    }

    fn untouched(calibration: &Calibration) -> Kept {
        Kept { moments: Moments::of(calibration), updates: 0, recent: 0, ring: Ring::default(), former: Vec::new() }
    }

    /// The threshold of a checkpoint, for the model that it was found with.
    #[must_use]
    pub fn restore(settings: Settings, calibration: &Calibration, mut kept: Kept) -> Self {
        kept.ring.shorten(settings.regime_episodes);
        if !settings.adapt {
            kept = Kept { updates: kept.updates, ..Self::untouched(calibration) };
        }
        let floor = f64::from(settings.floor.unwrap_or(calibration.floor));
        let ceiling = f64::from(settings.ceiling.unwrap_or(calibration.ceiling)).max(floor);
        let moments = Moments::of(calibration);
        let logs = calibration.quantiles.iter().map(|score| (f64::from(*score) + calibration.epsilon).ln()).collect();
        let mut threshold = Self {
            settings,
            k: settings.k.unwrap_or(calibration.k),
            floor,
            ceiling,
            reach: ceiling.max(calibration.ceiling.into()),
            epsilon: calibration.epsilon,
            distance_max: calibration.distance_max,
            trained: Trained { moments, bulk: Spread::of(logs), share_below: 1.0 },
            kept,
        };
        let value = threshold.value_at(moments);
        threshold.trained.share_below = ring::share_below(&calibration.quantiles, value);
        threshold
    }

    /// What a checkpoint keeps.
    #[must_use]
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Where the threshold stands, nats.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.value_at(self.kept.moments)
    }

    /// Mean of x.
    #[must_use]
    pub fn log_mean(&self) -> f64 {
        self.kept.moments.mean
    }

    /// Standard deviation of x.
    #[must_use]
    pub fn log_sd(&self) -> f64 {
        self.kept.moments.variance.sqrt()
    }

    /// Episodes that moved it.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.kept.updates
    }

    /// How it stands to the traffic; [`DetectorMode::DomainMismatch`] is not its to know.
    #[must_use]
    pub fn mode(&self) -> DetectorMode {
        if !self.settings.adapt || self.is_frozen() {
            DetectorMode::Frozen
        } else if self.kept.ring.len() < self.settings.regime_episodes {
            DetectorMode::Warmup
        } else {
            DetectorMode::Active
        }
    }

    /// Whether a score is higher than the threshold could ever be, as far as the model decides: that an operator wants it lower makes no
    /// story a foreign one.
    #[must_use]
    pub fn is_out_of_reach(&self, score: f32) -> bool {
        f64::from(score) > self.reach
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

    /// Learns from the verdict on an episode, whose score must be sound ([`Score::is_sound`]). What was flagged does not move it, unless
    /// nearly all that comes is flagged: then the change that is seen.
    pub fn learn(&mut self, verdict: &Verdict) -> Option<Change> {
        if !self.settings.adapt {
            return None;
        }
        let above = f64::from(verdict.score) > self.value();
        self.kept.recent = (self.kept.recent << 1) | u128::from(above);
        self.kept.ring.push(verdict.score, self.settings.regime_episodes);
        if !verdict.anomalous && !self.is_frozen() {
            self.average(verdict.score);
        }
        let weigh =
            self.kept.ring.len() >= self.settings.regime_episodes && self.kept.ring.pushed().is_multiple_of(REGIME_STRIDE);
        if weigh { self.go_back().or_else(|| self.move_on()) } else { None }
    }

    fn average(&mut self, score: f32) {
        let reach = self.settings.winsor_sd * self.log_sd();
        let step = ((f64::from(score) + self.epsilon).ln() - self.log_mean()).clamp(-reach, reach);
        self.kept.moments = self.kept.moments.after(step, self.settings.lambda);
        self.kept.updates += 1;
    }

    /// Whether most of what came last stands above the threshold.
    fn is_frozen(&self) -> bool {
        self.kept.recent.count_ones() > RECENT_EPISODES / 2
    }

    /// Takes the level of the last scores for the level of the traffic, if nearly all of them stand above the threshold and that helps.
    fn move_on(&mut self) -> Option<Change> {
        let above = 1.0 - self.kept.ring.share_below(self.value());
        if above < self.settings.regime_share || self.settings.regime_share >= 1.0 {
            return None;
        }
        let scores = self.kept.ring.scores().map(|score| (f64::from(score) + self.epsilon).ln());
        let moments = self.trained.moved_to(Spread::of(scores.collect()));
        if self.kept.ring.share_below(self.value_at(moments)) < 0.5 {
            return None;
        }
        let before = self.level();
        self.kept.former.push(self.kept.moments);
        let surplus = self.kept.former.len().saturating_sub(REGIMES_MAX);
        self.kept.former.drain(..surplus);
        self.take_up(moments);
        Some(Change::Moved { before, after: self.level() })
    }

    /// Takes up the level before a change of regime, the earliest one possible, if nearly as many of the last scores fit it as did in
    /// training.
    fn go_back(&mut self) -> Option<Change> {
        let enough = self.settings.regime_share * self.trained.share_below;
        let fits = |moments: &Moments| self.kept.ring.share_below(self.value_at(*moments)) >= enough;
        let found = self.kept.former.iter().position(fits)?;
        let undone = self.kept.former.len() - found;
        let moments = self.kept.former[found];
        self.kept.former.truncate(found);
        self.take_up(moments);
        Some(Change::Returned { after: self.level(), undone })
    }

    fn take_up(&mut self, moments: Moments) {
        self.kept.moments = moments;
        let value = self.value();
        self.kept.recent = self.kept.ring.scores().fold(0, |recent, score| (recent << 1) | u128::from(f64::from(score) > value));
    }

    /// Where the scores lie, and it above them.
    #[must_use]
    pub fn level(&self) -> ScoreLevel {
        let typical = self.kept.moments.score_at(0.0, self.epsilon).max(0.0);
        ScoreLevel { typical, log_sd: self.log_sd(), threshold: self.value() }
    }

    fn value_at(&self, moments: Moments) -> f64 {
        moments.score_at(self.k, self.epsilon).clamp(self.floor, self.ceiling)
    }
}

impl Trained {
    /// The moments of scores whose bulk lies there and that are otherwise distributed as those of training, no less widely: k was chosen
    /// for such a distribution, which is rarely a normal one. Where the training scores are normal this is the median, and 1.4826
    /// times the median absolute deviation.
    fn moved_to(&self, bulk: Spread) -> Moments {
        let wider = if self.bulk.deviation > 0.0 { (bulk.deviation / self.bulk.deviation).max(1.0) } else { 1.0 };
        let Moments { mean, variance } = self.moments;
        Moments { mean: bulk.median + wider * (mean - self.bulk.median), variance: variance * wider * wider }
    }
}

/// The last episodes of which it is known whether they stood above the threshold.
const RECENT_EPISODES: u32 = u128::BITS;
/// A change of regime is looked for once in so many episodes: looking costs a pass over the last scores.
const REGIME_STRIDE: u64 = 16;

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
        let before = (threshold.value(), threshold.log_mean(), threshold.log_sd());
        // As many as a change of regime is seen in, and one more, would make one.
        for _ in 1..Settings::default().regime_episodes {
            let verdict = threshold.judge(&score(9.0, 1.0));
            assert_eq!(threshold.learn(&verdict), None);
            assert_eq!((threshold.value(), threshold.log_mean(), threshold.log_sd()), before);
        }
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
        Threshold::new(Settings::default(), &profile(&[]).calibration)
    }

    fn score(score: f32, distance: f32) -> Score {
        Score { score, distance, token_error: vec![score] }
    }
}
