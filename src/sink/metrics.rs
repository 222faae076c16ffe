//! What Prometheus reads: the counts of the pipeline, and what the edges measure.
//!
//! Names are `hdfs_vigil_<noun>_<unit>_total` in base units, the nouns those of [`Stats`]. Labels have few values, known beforehand:
//! never a block, a path or free text.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use prometheus::{
    Encoder as _, Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    exponential_buckets,
};

use crate::config::Mode;
use crate::ingest;
use crate::pipeline::stats::Stats;
use crate::pipeline::verdict::{Alert, AlertType, DetectorMode, Reason};
use crate::sink::webhook::Attempt;

use self::health::HealthMetrics;
use self::model::ModelMetrics;

pub mod health;
pub mod model;

/// Every metric of the daemon, in a registry of its own.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    counters: Vec<(IntCounter, Read<u64>)>,
    ingest: Vec<(IntCounter, ReadIngest)>,
    /// What had been counted when this process began.
    base: OnceLock<(Stats, ingest::Counters)>,
    gauges: Vec<(Gauge, Read<f64>)>,
    /// The model.
    pub model: ModelMetrics,
    /// What the daemon cannot write.
    pub health: HealthMetrics,
    mode: IntGaugeVec,
    detector_mode: IntGaugeVec,
    process: Process,
    /// Bytes of followed files that are not read yet.
    pub lag_bytes: IntGauge,
    /// Directories that only the periodic scan looks at: too many, or the kernel does not tell of them.
    pub unwatched_directories: IntGauge,
    /// Logs followed now.
    pub streams: IntGauge,
    /// Alerts dropped because [`crate::limits::OUTBOX_ALERTS_MAX`] were on their way.
    pub alerts_dropped: IntCounter,
    /// Alerts that are not yet where they are to go.
    pub alerts_waiting: IntGauge,
    /// Scores, nats.
    pub score_nats: Histogram,
    /// Time of one inference, seconds.
    pub inference_seconds: Histogram,
    /// Windows in one inference.
    pub batch_windows: Histogram,
    /// Windows whose scores are remembered.
    pub remembered_windows: IntGauge,
    /// Windows answered without inference.
    pub remembered_hits: IntCounter,
    alerts: IntCounterVec,
    webhook_attempts: IntCounterVec,
    /// Alerts that the webhook's receiver took.
    pub webhook_deliveries: IntCounter,
    /// Alerts given up after all their attempts.
    pub webhook_given_up: IntCounter,
    /// Alerts not taken into the full queue; they are offered again.
    pub webhook_refused: IntCounter,
    /// Alerts that wait to be sent.
    pub webhook_queued: IntGauge,
    /// 1 once the receiver has answered 410.
    pub webhook_disabled: IntGauge,
    /// Alerts that were too old to be sent.
    pub alerts_not_sent: IntCounter,
    /// Alerts not sent because their signature is muted, or what they resolve was.
    pub alerts_muted: IntCounter,
    /// Mutes, by operators and by the configuration.
    pub mutes: IntGauge,
    /// Incidents that were not sent and are forgotten at [`crate::limits::WITHHELD_INCIDENTS_MAX`].
    pub mutes_forgotten: IntCounter,
    /// Alerts that could not be appended to a file.
    pub file_failures: IntCounter,
    checkpoint_writes: IntCounter,
    /// Checkpoints that could not be written.
    pub checkpoint_failures: IntCounter,
    checkpoint_seconds: Histogram,
    checkpoint_bytes: IntGauge,
    checkpoint_timestamp: Gauge,
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let build = register(&registry, IntGaugeVec::new(opts("build_info", "1, with the version as a label."), &["version"]));
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Self {
            counters: COUNTERS.iter().map(|(name, help, read)| (counter(&registry, name, help), *read)).collect(),
            ingest: INGEST_COUNTERS.iter().map(|(name, help, read)| (counter(&registry, name, help), *read)).collect(),
            base: OnceLock::new(),
            gauges: GAUGES.iter().map(|(name, help, read)| (float_gauge(&registry, name, help), *read)).collect(),
            model: ModelMetrics::new(&registry),
            health: HealthMetrics::new(&registry),
            mode: register(&registry, IntGaugeVec::new(opts("mode_info", "1 for the mode that alerts are in."), &["mode"])),
            detector_mode: register(
                &registry,
                IntGaugeVec::new(opts("detector_mode_info", "1 for how the detector stands to the traffic."), &["mode"]),
            ),
            process: Process::new(&registry),
            lag_bytes: gauge(&registry, "lag_bytes", "Bytes of followed files that are not read yet."),
            unwatched_directories: gauge(&registry, "unwatched_directories", "Directories that only the periodic scan looks at."),
            streams: gauge(&registry, "streams", "Logs followed now."),
            alerts_dropped: counter(&registry, "alerts_dropped_total", "Alerts dropped because too many were on their way."),
            alerts_waiting: gauge(&registry, "alerts_waiting", "Alerts that are not yet where they are to go."),
            score_nats: histogram(&registry, "score_nats", "Scores of windows.", exponential_buckets(0.125, 2.0, 10)),
            inference_seconds: histogram(
                &registry,
                "inference_seconds",
                "Time of one inference.",
                exponential_buckets(0.001, 2.0, 13),
            ),
            batch_windows: histogram(&registry, "batch_windows", "Windows in one inference.", exponential_buckets(1.0, 2.0, 8)),
            remembered_windows: gauge(&registry, "remembered_windows", "Windows whose scores are remembered."),
            remembered_hits: counter(&registry, "remembered_hits_total", "Windows answered without inference."),
            alerts: alert_counters(&registry),
            webhook_attempts: counters(
                &registry,
                "webhook_attempts_total",
                "Attempts at sending an alert, by outcome.",
                &["outcome"],
            ),
            webhook_deliveries: counter(&registry, "webhook_deliveries_total", "Alerts that the receiver took."),
            webhook_given_up: counter(&registry, "webhook_given_up_total", "Alerts given up after all their attempts."),
            webhook_refused: counter(
                &registry,
                "webhook_refused_total",
                "Alerts not taken into the full queue; they are offered again.",
            ),
            webhook_queued: gauge(&registry, "webhook_queued", "Alerts that wait to be sent."),
            webhook_disabled: gauge(&registry, "webhook_disabled", "1 once the receiver has answered that it is gone."),
            alerts_not_sent: counter(&registry, "alerts_not_sent_total", "Alerts that were too old to be sent."),
            alerts_muted: counter(&registry, "alerts_muted_total", "Alerts not sent because their signature is muted."),
            mutes: gauge(&registry, "mutes", "Signatures muted, by operators and by the configuration."),
            mutes_forgotten: counter(&registry, "mutes_forgotten_total", "Muted alerts forgotten as too many fire."),
            file_failures: counter(&registry, "file_failures_total", "Alerts that could not be appended to a file; tried again."),
            checkpoint_writes: counter(&registry, "checkpoint_writes_total", "Checkpoints written."),
            checkpoint_failures: counter(&registry, "checkpoint_failures_total", "Checkpoints that could not be written."),
            checkpoint_seconds: histogram(
                &registry,
                "checkpoint_seconds",
                "Time of writing one checkpoint.",
                exponential_buckets(0.001, 2.0, 14),
            ),
            checkpoint_bytes: gauge(&registry, "checkpoint_bytes", "Bytes of the checkpoints on disk."),
            checkpoint_timestamp: float_gauge(
                &registry,
                "checkpoint_timestamp_seconds",
                "When the last checkpoint was written, since the Unix epoch.",
            ),
            registry,
        }
    }

    /// Says what had been counted when this process began: metrics count per process, as Prometheus expects, and checkpoints for
    /// ever. Once, before anything is observed.
    pub fn begin_at(&self, stats: &Stats, ingest: &ingest::Counters) {
        let _ = self.base.set((stats.clone(), *ingest));
    }

    /// Takes over what the pipeline counted. A counter never falls: what `stats` has less of than before is passed over.
    pub fn observe(&self, stats: &Stats) {
        let base = self.base.get().map(|(stats, _)| stats);
        for (counter, read) in &self.counters {
            counter.inc_by(read(stats).saturating_sub(base.map_or(0, read)).saturating_sub(counter.get()));
        }
        for (gauge, read) in &self.gauges {
            gauge.set(read(stats));
        }
    }

    /// Takes over what the follower counted.
    pub fn observe_ingest(&self, counters: &ingest::Counters) {
        let base = self.base.get().map(|(_, ingest)| ingest);
        for (counter, read) in &self.ingest {
            counter.inc_by(read(counters).saturating_sub(base.map_or(0, read)).saturating_sub(counter.get()));
        }
    }

    /// Says whether alerts are sent.
    pub fn set_mode(&self, mode: Mode) {
        for each in [Mode::Notify, Mode::Observe] {
            self.mode.with_label_values(&[each.name()]).set(i64::from(each == mode));
        }
    }

    /// Says how the detector stands to the traffic.
    pub fn set_detector_mode(&self, mode: DetectorMode) {
        for each in DetectorMode::ALL {
            self.detector_mode.with_label_values(&[each.name()]).set(i64::from(each == mode));
        }
    }

    /// Counts an alert that was raised.
    pub fn count_alert(&self, alert: &Alert) {
        self.alerts.with_label_values(&[alert.alert_type.name(), alert.reason.name()]).inc();
    }

    /// Counts an attempt of the webhook.
    pub fn count_attempt(&self, attempt: Attempt) {
        self.webhook_attempts.with_label_values(&[attempt.name()]).inc();
    }

    /// Counts bytes written for a checkpoint.
    pub fn count_checkpoint_bytes(&self, bytes: u64) {
        self.health.checkpoint_written.inc_by(bytes);
    }

    /// Counts a checkpoint that took `took` and was complete at `at`, with which there are `bytes` on disk.
    pub fn count_checkpoint(&self, bytes: u64, took: Duration, at: SystemTime) {
        self.checkpoint_writes.inc();
        self.checkpoint_seconds.observe(took.as_secs_f64());
        self.checkpoint_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.checkpoint_timestamp.set(unix_seconds(at));
    }

    /// Everything in Prometheus' text format 0.0.4, with the process as it is now.
    #[must_use]
    pub fn text(&self) -> String {
        self.process.measure();
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .expect("metrics have valid names, and memory takes all writes");
        String::from_utf8(text).expect("the encoder writes UTF-8")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// What this process uses, under the names that every exporter has for it.
#[derive(Debug)]
struct Process {
    resident_bytes: IntGauge,
    cpu_seconds: prometheus::Counter,
    open_fds: IntGauge,
}

impl Process {
    fn new(registry: &Registry) -> Self {
        let start = register(registry, Gauge::new("process_start_time_seconds", "When the process began, since the Unix epoch."));
        start.set(unix_seconds(SystemTime::now()));
        Self {
            resident_bytes: register(registry, IntGauge::new("process_resident_memory_bytes", "Resident memory.")),
            cpu_seconds: register(registry, prometheus::Counter::new("process_cpu_seconds_total", "User and system time.")),
            open_fds: register(registry, IntGauge::new("process_open_fds", "Open file descriptors.")),
        }
    }

    /// Reads /proc; where there is none, the last values stay.
    fn measure(&self) {
        if let Some(bytes) = resident_bytes() {
            self.resident_bytes.set(bytes);
        }
        if let Some(seconds) = cpu_seconds() {
            self.cpu_seconds.inc_by((seconds - self.cpu_seconds.get()).max(0.0));
        }
        if let Ok(fds) = std::fs::read_dir("/proc/self/fd") {
            self.open_fds.set(i64::try_from(fds.count()).unwrap_or(i64::MAX));
        }
    }
}

/// `VmRSS` is in kB whatever the size of a page, unlike /proc/self/statm.
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<i64>().ok()?.checked_mul(1024)
}

/// The 14th and 15th field of proc_pid_stat(5); the second may hold blanks and ends with the last parenthesis.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let ticks: Result<u64, _> = fields.get(11..13)?.iter().map(|field| field.parse::<u64>()).sum();
    ticks.ok().map(|ticks| ticks as f64 / TICKS_PER_SECOND)
}

fn unix_seconds(at: SystemTime) -> f64 {
    at.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("{PREFIX}{name}"), help)
}

fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    register(registry, IntCounter::with_opts(opts(name, help)))
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    register(registry, IntCounterVec::new(opts(name, help), labels))
}

fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    register(registry, IntGauge::with_opts(opts(name, help)))
}

fn float_gauge(registry: &Registry, name: &str, help: &str) -> Gauge {
    register(registry, Gauge::with_opts(opts(name, help)))
}

fn histogram(registry: &Registry, name: &str, help: &str, buckets: prometheus::Result<Vec<f64>>) -> Histogram {
    let buckets = buckets.expect("buckets begin above 0 and grow");
    register(registry, Histogram::with_opts(HistogramOpts::from(opts(name, help)).buckets(buckets)))
}

/// Alerts by type and reason. Prometheus sees no increase in a series that begins at 1, so those that are rare begin at 0.
fn alert_counters(registry: &Registry) -> IntCounterVec {
    let alerts = counters(registry, "alerts_total", "Alerts raised, sent or not.", &["type", "reason"]);
    for reason in [Reason::KnownFault, Reason::New, Reason::Burst] {
        alerts.with_label_values(&[AlertType::Trouble.name(), reason.name()]);
    }
    alerts.with_label_values(&[AlertType::Template.name(), Reason::Frequent.name()]);
    for reason in [Reason::UnknownShare, Reason::FarShare] {
        alerts.with_label_values(&[AlertType::Mismatch.name(), reason.name()]);
    }
    alerts.with_label_values(&[AlertType::Regime.name(), Reason::ScoreLevel.name()]);
    for reason in [Reason::DiskFull, Reason::ReadOnly, Reason::WriteFailed] {
        alerts.with_label_values(&[AlertType::Unwritable.name(), reason.name()]);
    }
    alerts
}

fn register<M: prometheus::core::Collector + Clone + 'static>(registry: &Registry, metric: prometheus::Result<M>) -> M {
    let metric = metric.expect("metric names are valid");
    registry.register(Box::new(metric.clone())).expect("metric names differ");
    metric
}

const PREFIX: &str = "hdfs_vigil_";

/// `USER_HZ`, which is 100 on every architecture that Rust's Linux targets know.
const TICKS_PER_SECOND: f64 = 100.0;

/// How a value is read out of the stats.
type Read<T> = fn(&Stats) -> T;

type ReadIngest = fn(&ingest::Counters) -> u64;

/// Counters of [`ingest::Counters`]: name, meaning, field. Its bytes are those of [`Stats`].
const INGEST_COUNTERS: &[(&str, &str, ReadIngest)] = &[
    ("opened_sources_total", "Log files found and taken up.", |c| c.opened_sources),
    ("finished_sources_total", "Log files read to their end.", |c| c.finished_sources),
    ("rotated_sources_total", "Log files found again under another name.", |c| c.rotated_sources),
    ("copied_sources_total", "Log files found again as a copy.", |c| c.copied_sources),
    ("truncated_sources_total", "Log files that shrank, or were written anew in place.", |c| c.truncated_sources),
    ("deleted_sources_total", "Log files deleted.", |c| c.deleted_sources),
    ("lost_sources_total", "Log files that went with bytes that nobody had read.", |c| c.lost_sources),
    ("lost_bytes_total", "Bytes of those, as far as they had been seen.", |c| c.lost_bytes),
    ("refused_streams_total", "Logs not followed because there were too many.", |c| c.refused_streams),
    ("refused_files_total", "Files not followed: no regular file, unknown compression, or too many.", |c| c.refused_files),
    ("blockless_logs_total", "Logs passed over because their role names no blocks.", |c| c.blockless_logs),
    ("ingest_errors_total", "Failures to list, look at, open or read a log.", |c| c.errors),
];

/// Counters of [`Stats`]: name, meaning, field.
const COUNTERS: &[(&str, &str, Read<u64>)] = &[
    ("bytes_total", "Bytes taken in, newlines included.", |s| s.bytes),
    ("lines_total", "Lines taken in, continuation lines included.", |s| s.lines),
    ("records_total", "Header lines with what belongs to them.", |s| s.records),
    ("joined_lines_total", "Lines that belong to the record before them.", |s| s.joined_lines),
    ("headless_lines_total", "Lines without a header before the first record of their log.", |s| s.headless_lines),
    ("belated_lines_total", "Lines without a header that came long after the record before them.", |s| s.belated_lines),
    ("cut_records_total", "Records that were too long and cut to their head.", |s| s.cut_records),
    ("cut_bytes_total", "Bytes left out: of records that were too long, and NULs.", |s| s.cut_bytes),
    ("blockless_records_total", "Records that name no block.", |s| s.blockless_records),
    ("audit_records_total", "Records of audit and security loggers, passed over.", |s| s.audit_records),
    ("late_records_total", "Records older than what had already left the merge.", |s| s.late_records),
    ("forced_records_total", "Records released early because the merge was full.", |s| s.forced_records),
    ("leaps_total", "Times far ahead of their log that no second record confirmed, or of the host's clock.", |s| s.leaps),
    ("events_total", "Events: one per block that a record names.", |s| s.events),
    ("unknown_events_total", "Events that the model does not know.", |s| s.unknown_events),
    ("refused_blocks_total", "Blocks of one record beyond the bound.", |s| s.refused_blocks),
    (
        "ambiguous_pools_total",
        "Events left out, as their line names no pool and it is not known which of several is meant.",
        |s| s.ambiguous_pools,
    ),
    ("refused_events_total", "Events not kept because their session was full.", |s| s.refused_events),
    ("templates_found_total", "Templates found beside the model's vocabulary.", |s| s.templates_found),
    ("templates_evicted_total", "Templates dropped because there were too many.", |s| s.templates_evicted),
    ("templates_forgotten_total", "Texts of former templates forgotten because there were too many.", |s| s.templates_forgotten),
    ("sessions_started_total", "Sessions that began with their story.", |s| s.sessions_started),
    ("sessions_joined_total", "Sessions joined midway.", |s| s.sessions_joined),
    ("sessions_resumed_total", "Sessions of blocks that were known before.", |s| s.sessions_resumed),
    ("sessions_idle_total", "Sessions released after their time.", |s| s.sessions_idle),
    ("sessions_evicted_total", "Sessions released by the byte budget.", |s| s.sessions_evicted),
    ("windows_total", "Windows given to the model, remembered ones included.", |s| s.windows),
    ("threshold_updates_total", "Episodes that set the threshold.", |s| s.threshold_updates),
    ("regime_changes_total", "Changes of regime: the scores of nearly all blocks stood above the threshold.", |s| {
        s.regime_changes
    }),
    ("trouble_records_total", "Records that name no block and tell of trouble.", |s| s.trouble_records),
    ("trouble_forgotten_total", "Kinds of trouble forgotten because there were too many.", |s| s.trouble_forgotten),
    ("held_back_episodes_total", "Episodes anomalous and not told, as the model was out of its domain.", |s| {
        s.held_back_episodes
    }),
    ("strangers_forgotten_total", "Unknown templates no longer counted because there were too many.", |s| s.strangers_forgotten),
    ("refused_scores_total", "Scores that were not finite and were refused.", |s| s.refused_scores),
];

/// Gauges of [`Stats`]: name, meaning, field.
const GAUGES: &[(&str, &str, Read<f64>)] = &[
    ("templates", "Templates known now.", |s| s.templates as f64),
    ("sessions_open", "Sessions open now.", |s| s.sessions_open as f64),
    ("session_bytes", "Bytes held by open sessions.", |s| s.session_bytes as f64),
    ("windows_pending", "Windows that wait for their score.", |s| s.windows_pending as f64),
    ("threshold_nats", "The threshold.", |s| s.threshold),
    ("threshold_log_mean", "Mean of ln score behind the threshold.", |s| s.threshold_log_mean),
    ("threshold_log_sd", "Standard deviation of ln score behind the threshold.", |s| s.threshold_log_sd),
    ("trouble_kinds", "Kinds of trouble counted now, a host and a template each.", |s| s.trouble_kinds as f64),
    ("unknown_share", "Share of the last episodes' events that the model does not know, without what warns.", |s| {
        s.unknown_share
    }),
    ("far_share", "Share of the last episodes that are far from every normal story.", |s| s.far_share),
    ("domain_mismatch", "1 while the model is out of its domain and no blocks are told of.", |s| s.domain_mismatch as f64),
    ("neutral_templates", "Unknown templates that are part of normal stories and left out.", |s| s.neutral_templates as f64),
    ("regimes_firing", "Changes of regime that nobody has acknowledged yet.", |s| s.regimes_firing as f64),
    ("incidents_firing", "Incidents firing now.", |s| s.incidents_firing as f64),
    ("log_time_seconds", "Log time reached, since the epoch of the logs' own clock.", |s| s.log_time_millis as f64 / 1000.0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_the_stats_has_a_metric() {
        let metrics = Metrics::new();
        let serde_json::Value::Object(fields) = serde_json::to_value(Stats::default()).unwrap() else {
            panic!("stats are an object")
        };
        let text = metrics.text();
        for field in fields.keys() {
            let noun = field.strip_suffix("_millis").unwrap_or(field);
            assert!(text.contains(&format!("# TYPE hdfs_vigil_{noun}")), "{field} has no metric");
        }
        assert_eq!(COUNTERS.len() + GAUGES.len(), fields.len());
    }

    #[test]
    fn counters_follow_absolute_values_and_never_fall() {
        let metrics = Metrics::new();
        for (bytes, expected) in [(5, 5), (5, 5), (9, 9), (3, 9), (12, 12)] {
            metrics.observe(&Stats { bytes, ..Stats::default() });
            check(&metrics, "hdfs_vigil_bytes_total", expected);
        }
    }

    #[test]
    fn counters_begin_at_zero_with_each_process() {
        let metrics = Metrics::new();
        metrics.begin_at(&Stats { bytes: 100, ..Stats::default() }, &ingest::Counters::default());
        metrics.observe(&Stats { bytes: 107, ..Stats::default() });
        check(&metrics, "hdfs_vigil_bytes_total", 7);
    }

    #[test]
    fn one_model_and_one_mode_are_set_at_a_time() {
        let metrics = Metrics::new();
        metrics.model.set("hdfs-v1", "0123456789abcdef");
        metrics.model.set("hdfs-v2", "fedcba9876543210");
        metrics.set_mode(Mode::Notify);
        metrics.set_mode(Mode::Observe);
        check(&metrics, "hdfs_vigil_model_info{model=\"hdfs-v2\",sha256=\"fedcba987654\"}", 1);
        check(&metrics, "hdfs_vigil_mode_info{mode=\"notify\"}", 0);
        check(&metrics, "hdfs_vigil_mode_info{mode=\"observe\"}", 1);
        assert!(!metrics.text().contains("hdfs-v1"));
    }

    #[test]
    fn the_process_is_measured() {
        let metrics = Metrics::new();
        metrics.process.measure();
        assert!(metrics.process.resident_bytes.get() > 1 << 20);
        assert!(metrics.process.open_fds.get() > 2);
        assert!(cpu_seconds().is_some());
    }

    fn check(metrics: &Metrics, name: &str, expected: u64) {
        let text = metrics.text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
        assert_eq!(line.trim(), expected.to_string());
    }
}
