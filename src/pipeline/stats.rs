//! What the pipeline counted, for metrics and reports. Counters only grow, over restarts too; gauges say how things are.

use serde::{Deserialize, Serialize};

/// Counters and gauges of the pipeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Bytes taken in, newlines included.
    pub bytes: u64,
    /// Lines taken in, continuation lines included.
    pub lines: u64,
    /// Records: header lines with what belongs to them.
    pub records: u64,
    /// Lines that belong to the record before them (stack traces, boxes).
    pub joined_lines: u64,
    /// Lines without a header before the first record of their log: of an unknown layout, or cut off.
    pub headless_lines: u64,
    /// Lines without a header that came behind NULs, or so long after the record before them that it had been handed on.
    pub belated_lines: u64,
    /// Records longer than [`crate::limits::RECORD_BYTES_MAX`], cut to their head.
    pub cut_records: u64,
    /// Bytes left out: of those, and NULs.
    pub cut_bytes: u64,
    /// Records that name no block.
    pub blockless_records: u64,
    /// Records of audit and security loggers, which are passed over: their paths are users' words, not HDFS's.
    pub audit_records: u64,
    /// Records older than what had already left the merge; they were passed on at once.
    pub late_records: u64,
    /// Records released early because the merge was full.
    pub forced_records: u64,
    /// Times far ahead of their log that no second record confirmed, or of the clock of this host.
    pub leaps: u64,
    /// Events: one per block that a record names.
    pub events: u64,
    /// Events that the model does not know.
    pub unknown_events: u64,
    /// Blocks of one record beyond [`crate::limits::RECORD_BLOCKS_MAX`].
    pub refused_blocks: u64,
    /// Events left out: their line names no pool, and of several it is not known which is meant, or there are too many pools.
    pub ambiguous_pools: u64,
    /// Events not kept because their session had [`crate::limits::SESSION_EVENTS_MAX`] already.
    pub refused_events: u64,
    /// Templates known now (gauge).
    pub templates: u64,
    /// Templates found since the model's vocabulary was loaded.
    pub templates_found: u64,
    /// Templates dropped because there were [`crate::limits::TEMPLATES_MAX`].
    pub templates_evicted: u64,
    /// Texts of templates that were dropped or have widened, forgotten at [`crate::limits::RETIRED_TEMPLATES_MAX`].
    pub templates_forgotten: u64,
    /// Sessions that began with their story.
    pub sessions_started: u64,
    /// Sessions joined midway.
    pub sessions_joined: u64,
    /// Sessions of blocks that were known before.
    pub sessions_resumed: u64,
    /// Sessions open now (gauge).
    pub sessions_open: u64,
    /// Bytes held by open sessions (gauge).
    pub session_bytes: u64,
    /// Sessions released after `session_idle`.
    pub sessions_idle: u64,
    /// Sessions released by the byte budget.
    pub sessions_evicted: u64,
    /// Windows given to the model, remembered ones included.
    pub windows: u64,
    /// Windows that wait for their score (gauge).
    pub windows_pending: u64,
    /// Episodes that set the threshold.
    pub threshold_updates: u64,
    /// Scores that were not finite and were refused.
    pub refused_scores: u64,
    /// The threshold, nats (gauge).
    pub threshold: f64,
    /// Mean of ln score behind it (gauge).
    pub threshold_log_mean: f64,
    /// Standard deviation of ln score behind it (gauge).
    pub threshold_log_sd: f64,
    /// Changes of regime.
    pub regime_changes: u64,
    /// Changes of regime that fire now (gauge).
    pub regimes_firing: u64,
    /// Incidents firing now (gauge).
    pub incidents_firing: u64,
    /// Records that name no block and tell of trouble: warnings, errors, and statements known to mean it.
    pub trouble_records: u64,
    /// Kinds of trouble counted now, a host and a template each (gauge).
    pub trouble_kinds: u64,
    /// Kinds of trouble forgotten because there were [`crate::limits::TROUBLE_KINDS_MAX`].
    pub trouble_forgotten: u64,
    /// Share of the events of the last [`crate::limits::DOMAIN_EPISODES_MAX`] episodes that the model does not know, without what warns or
    /// speaks of failure, and without endless ones (gauge).
    pub unknown_share: f64,
    /// Share of the last as many episodes judged that are far from every normal story (gauge).
    pub far_share: f64,
    /// 1 while the model is out of its domain and no blocks are told of (gauge).
    pub domain_mismatch: u64,
    /// Templates that are left out of stories since they are part of normal ones (gauge).
    pub neutral_templates: u64,
    /// Episodes that were anomalous and not told, as the model was out of its domain.
    pub held_back_episodes: u64,
    /// Unknown templates no longer counted because there were [`crate::limits::STRANGERS_MAX`].
    pub strangers_forgotten: u64,
    /// Log time reached, milliseconds since the epoch of the log's own clock (gauge).
    pub log_time_millis: i64,
}

impl Stats {
    /// Lines that are in no record, for whatever reason.
    #[must_use]
    pub fn unparsed_lines(&self) -> u64 {
        self.headless_lines + self.belated_lines
    }
}
