//! What is measured of the daemon itself: whether it can write its state and its files, and what it has not read.

use prometheus::{Gauge, IntCounter, IntGauge, Registry};

use super::{counter, float_gauge, gauge};

/// Whether the daemon can write what it has to, and keeps up.
#[derive(Debug)]
pub struct HealthMetrics {
    /// Bytes written for checkpoints.
    pub checkpoint_written: IntCounter,
    /// Seconds since the newest checkpoint, or since the start when none was written since.
    pub checkpoint_age: Gauge,
    /// Seconds for which no checkpoint could be written; 0 when the last one could.
    pub state_unwritable: Gauge,
    /// Alerts that a file could not take and that wait for it.
    pub alerts_unwritten: IntGauge,
    /// Age of the oldest unread line at most, seconds; 0 when nothing is unread.
    pub unread_age: Gauge,
    /// Time until rotation deletes what is unread, seconds; infinite when nothing is unread or the pace of rotation is not known.
    pub unread_kept: Gauge,
}

impl HealthMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            checkpoint_written: counter(registry, "checkpoint_written_bytes_total", "Bytes written for checkpoints."),
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
            unread_age: float_gauge(
                registry,
                "unread_age_seconds",
                "Age of the oldest unread line at most: since its log had nothing unread, or since the time stamp of the line read before \
                 it, whichever is less; 0 when nothing is unread.",
            ),
            unread_kept: unread_kept(registry),
            alerts_unwritten: gauge(registry, "alerts_unwritten", "Alerts that wait for a file that cannot be written."),
        }
    }
}

/// Nothing is unread at the beginning.
fn unread_kept(registry: &Registry) -> Gauge {
    let gauge = float_gauge(
        registry,
        "unread_kept_seconds",
        "Time until rotation deletes the first of what is unread, at the pace at which its log was rotated and with the files that go \
         before it; +Inf when nothing is unread, or when fewer than two rotations were seen.",
    );
    gauge.set(f64::INFINITY);
    gauge
}
