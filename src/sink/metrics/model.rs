//! What is measured of the model itself: which one judges, and what became of those that were to take over.

use prometheus::{IntCounterVec, IntGaugeVec, Registry};

use super::{counters, opts, register};
use crate::pipeline::swap::Swapped;

/// Metrics of the model.
#[derive(Debug)]
pub struct ModelMetrics {
    info: IntGaugeVec,
    swaps: IntCounterVec,
    sessions: IntCounterVec,
}

impl ModelMetrics {
    /// All at zero.
    #[must_use]
    pub(super) fn new(registry: &Registry) -> Self {
        let info = opts("model_info", "1, with the model's name and the head of its file's SHA-256 as labels.");
        let metrics = Self {
            info: register(registry, IntGaugeVec::new(info, &["model", "sha256"])),
            swaps: counters(registry, "model_swaps_total", "Model files that took over, and that were refused.", &["result"]),
            sessions: counters(
                registry,
                "sessions_swapped_total",
                "Sessions open when another model took over: mapped to it, or ended as it does not know an event of theirs.",
                &["outcome"],
            ),
        };
        // Prometheus sees no increase in a series that begins at 1.
        [TAKEN, REFUSED].iter().for_each(|result| metrics.swaps.with_label_values(&[result]).reset());
        [MAPPED, ENDED].iter().for_each(|outcome| metrics.sessions.with_label_values(&[outcome]).reset());
        metrics
    }

    /// Says which model judges: its name, and the SHA-256 of its file in hexadecimal digits.
    pub fn set(&self, name: &str, sha256: &str) {
        self.info.reset();
        self.info.with_label_values(&[name, head(sha256)]).set(1);
    }

    /// Counts a model that has taken over, and what became of the sessions.
    pub fn count_swap(&self, swapped: &Swapped) {
        self.swaps.with_label_values(&[TAKEN]).inc();
        self.sessions.with_label_values(&[MAPPED]).inc_by(swapped.sessions_mapped);
        self.sessions.with_label_values(&[ENDED]).inc_by(swapped.sessions_ended);
    }

    /// Counts a model file that was not used.
    pub fn count_refused(&self) {
        self.swaps.with_label_values(&[REFUSED]).inc();
    }
}

/// What is shown of a SHA-256 in hexadecimal digits.
#[must_use]
pub fn head(sha256: &str) -> &str {
    sha256.get(..SHOWN_DIGITS).unwrap_or(sha256)
}

/// Enough to tell models apart, few enough to be read out.
const SHOWN_DIGITS: usize = 12;
const TAKEN: &str = "taken";
const REFUSED: &str = "refused";
const MAPPED: &str = "mapped";
const ENDED: &str = "ended";
