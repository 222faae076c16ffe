//! What is measured of the daemon's own state and of the files that it writes.

use prometheus::{Gauge, IntGauge, Registry};

use super::{float_gauge, gauge};

/// Whether the daemon can write what it has to.
#[derive(Debug)]
pub struct HealthMetrics {
    /// Seconds since the newest checkpoint, or since the start when none was written since.
    pub checkpoint_age: Gauge,
    /// Seconds for which no checkpoint could be written; 0 when the last one could.
    pub state_unwritable: Gauge,
    /// Alerts that a file could not take and that wait for it.
    pub alerts_unwritten: IntGauge,
}

impl HealthMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            checkpoint_age: float_gauge(
                registry,
                "checkpoint_age_seconds",
                "Time since the last checkpoint was written, or since the start: what a crash would read again.",
            ),
            state_unwritable: float_gauge(
                registry,
                "state_unwritable_seconds",
                "For how long no checkpoint could be written; 0 when the last one could.",
            ),
            alerts_unwritten: gauge(registry, "alerts_unwritten", "Alerts that wait for a file that cannot be written."),
        }
    }
}
