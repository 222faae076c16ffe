//! Thresholds that others use, run on the scores that ours was run on: one that never moves, and a plain moving average.

use crate::pipeline::profile::Calibration;
use crate::pipeline::verdict::threshold::{Moments, Settings, Threshold};

/// The two thresholds. Both begin where ours begins, and neither asks whether a story has the counts of a normal one.
///
/// The plain one is the average of Roberts (1959) over x = ln(score + epsilon): `d = x - m`, `m += lambda d`,
/// `var = (1 - lambda)(var + lambda d^2)`, and the threshold is `exp(m + k sd) - epsilon`. Unlike ours it learns from what it flags, takes
/// every score in full, and has neither floor nor ceiling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rivals {
    fixed: f64,
    lambda: f64,
    k: f64,
    epsilon: f64,
    moments: Moments,
}

impl Rivals {
    /// Those that a model's calibration starts with.
    #[must_use]
    pub fn new(calibration: &Calibration, settings: &Settings) -> Self {
        Self {
            fixed: Threshold::new(*settings, calibration).value(),
            lambda: settings.lambda,
            k: settings.k.unwrap_or(calibration.k),
            epsilon: calibration.epsilon,
            moments: Moments::of(calibration),
        }
    }

    /// Whether the fixed threshold and the plain moving average flag `score` (nats, >= 0), in this order; then the average takes it in.
    pub fn judge(&mut self, score: f32) -> (bool, bool) {
        let score = f64::from(score);
        let flagged = (score > self.static_value(), score > self.ewma_value());
        let step = (score + self.epsilon).ln() - self.moments.mean;
        self.moments = self.moments.after(step, self.lambda);
        flagged
    }

    /// Where the fixed threshold stands, nats.
    #[must_use]
    pub fn static_value(&self) -> f64 {
        self.fixed
    }

    /// Where the plain moving average puts its threshold now, nats; may be below 0, which flags everything.
    #[must_use]
    pub fn ewma_value(&self) -> f64 {
        self.moments.score_at(self.k, self.epsilon)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::pipeline::profile::tests::profile;

    #[test]
    fn both_begin_where_ours_does() {
        let rivals = rivals();
        let start = 1.1_f64.exp() - 1e-3;
        assert!((rivals.static_value() - start).abs() < 1e-9 && (rivals.ewma_value() - start).abs() < 1e-9);
    }

    #[test]
    fn a_shift_floods_the_one_and_teaches_the_other_to_be_silent() {
        let mut rivals = rivals();
        let before = rivals.static_value();
        let flags: Vec<_> = (0..20_000).map(|step| rivals.judge(8.0 + (step % 3) as f32)).collect();
        assert!(flags.iter().all(|(fixed, _)| *fixed), "the fixed one flags every story after the shift");
        assert!(flags[0].1 && !flags[19_999].1, "the average flags the first ones and swallows the rest");
        assert!((rivals.static_value() - before).abs() < f64::EPSILON, "the fixed one stays");
        assert!(rivals.ewma_value() > 9.0, "{}", rivals.ewma_value());
    }

    pub(crate) fn rivals() -> Rivals {
        Rivals::new(&profile(&[]).calibration, &settings())
    }

    pub(crate) fn settings() -> Settings {
        Settings { lambda: 0.001, ..Settings::default() }
    }
}
