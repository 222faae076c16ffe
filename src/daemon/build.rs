//! Builds the parts from what the configuration says.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::config::{self, Config};
use crate::daemon::clock;
use crate::ingest;
use crate::model::scorer::library::{self, LibraryError};
use crate::pipeline::event::layout::Header;
use crate::pipeline::event::{LogTime, Position, WallTime};
use crate::pipeline::session::assemble;
use crate::pipeline::verdict::{domain, threshold, trouble};
use crate::pipeline::{self, front};
use crate::sink::document::{Line, LineSource};

/// Loads ONNX Runtime as configured.
///
/// # Errors
/// When there is none that can be used.
pub fn load_runtime(config: &Config) -> Result<(), LibraryError> {
    library::load(config.model.onnxruntime.as_deref()).map(|_| ())
}

/// The pipeline's settings.
#[must_use]
pub fn pipeline_settings(config: &Config) -> pipeline::Settings {
    let config::Pipeline { merge_bytes_max, session_bytes_max, .. } = config.pipeline;
    pipeline::Settings {
        front: front::Settings {
            merge_delay_millis: millis(config.pipeline.merge_delay),
            merge_bytes_max,
            join_grace_millis: millis(config.pipeline.join_grace),
            pool: config.ingest.pool.clone(),
            pools: config.ingest.pools.clone(),
            zone: clock::zone(&config.ingest.timezone),
        },
        assemble: assemble::Settings {
            quiet_millis: millis(config.pipeline.session_quiet),
            idle_millis: millis(config.pipeline.session_idle),
            bytes_max: session_bytes_max,
        },
        threshold: threshold_settings(&config.threshold),
        trouble: trouble_settings(&config.trouble),
        domain: domain_settings(&config.domain),
        incident_open_millis: millis(config.pipeline.incident_open_max),
        silence_millis: millis(config.pipeline.silence),
    }
}

/// The follower's settings; `now` is where "-2h" counts from.
#[must_use]
pub fn ingest_settings(config: &Config, now: WallTime) -> ingest::Settings {
    let start_at = match config.ingest.start_at {
        config::StartAt::End => ingest::StartAt::End,
        config::StartAt::Beginning => ingest::StartAt::Beginning,
        config::StartAt::Back(back) => {
            let wall_time = now.plus_millis(-millis(back));
            ingest::StartAt::Since { log_time: LogTime(wall_time.0), wall_time }
        }
    };
    ingest::Settings {
        patterns: config.ingest.paths.clone(),
        exclude: config.ingest.exclude.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
        start_at,
        mode: ingest::Mode::Follow,
        blockless: false,
    }
}

/// Reads the instant that a line names, for finding where to begin in a log whose time stamps are of `timezone`.
#[must_use]
pub fn time_reader(timezone: &TimeZone) -> ingest::TimeReader {
    let zone = clock::zone(timezone);
    Box::new(move |line| Some(zone.instant(Header::read(line)?.time, None)))
}

/// Milliseconds of a duration, saturating.
#[must_use]
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn threshold_settings(threshold: &config::Threshold) -> threshold::Settings {
    let config::Threshold { adapt, lambda, winsor_sd, k, floor, ceiling, regime_episodes, regime_share } = *threshold;
    let regime_episodes = regime_episodes as usize;
    threshold::Settings { adapt, lambda, winsor_sd, k, floor, ceiling, regime_episodes, regime_share }
}

fn trouble_settings(trouble: &config::Trouble) -> trouble::Settings {
    trouble::Settings {
        enabled: trouble.enabled,
        learning_millis: millis(trouble.learning),
        quiet_millis: millis(trouble.quiet),
        burst_records: trouble.burst_records,
        burst_factor: trouble.burst_factor,
    }
}

fn domain_settings(domain: &config::Domain) -> domain::Settings {
    domain::Settings {
        enabled: domain.enabled,
        template_share: domain.template_share,
        template_blocks: domain.template_blocks,
        unknown_share_max: domain.unknown_share_max,
        far_share_max: domain.far_share_max,
        mute: domain.mute.clone(),
    }
}

impl LineSource for ingest::Rereader {
    fn line(&self, position: Position) -> Line {
        let text = self.text(position).map_err(|reason| reason.to_string());
        let path = self.path(position.source).map_or_else(|| "(file no longer known)".into(), std::path::Path::to_path_buf);
        Line { path, offset: position.offset, text }
    }
}
