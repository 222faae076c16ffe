//! What the daemon says of itself: to the journal under systemd, else to standard error.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt as _;

use tracing::{info, warn};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogFormat};
use crate::pipeline::verdict::AlertType;
use crate::sink::document::{About, Document, HostDocument, MutedDocument};

/// Why nothing can be logged.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// RUST_LOG holds no directives.
    #[error("read environment variable RUST_LOG: {0}; unset it, or use directives such as \"info\"")]
    Directives(#[from] tracing_subscriber::filter::ParseError),
    /// Something has been set up already.
    #[error("set up the log: {0}")]
    Again(#[from] tracing_subscriber::util::TryInitError),
}

/// Sets up the log of the whole process; once. RUST_LOG wins over the level of `config`.
///
/// # Errors
/// See [`LogError`]. Without a journal where one was expected, standard error is used.
pub fn set_up(config: &Log) -> Result<(), LogError> {
    let directives = env::var("RUST_LOG").ok().filter(|directives| !directives.is_empty());
    let filter = EnvFilter::try_new(directives.as_deref().unwrap_or(&config.level))?;
    Ok(tracing_subscriber::registry().with(output(config.format).with_filter(filter)).try_init()?)
}

/// Writes `document` with its main fields, as a warning unless it takes something back.
pub fn alert(document: &Document) {
    let muted = muted(document);
    match &document.about {
        About::Host(host) => trouble(document, host),
        About::Template(_) | About::Domain(_) | About::Regime(_) | About::State(_) => domain(document),
        About::Block(block) if document.alert_type == AlertType::Resolved => info!(
            alert = document.id,
            incident = document.incident,
            kind = document.alert_type.name(),
            reason = document.reason.name(),
            block = block.block,
            muted,
            "{}",
            document.summary()
        ),
        About::Block(block) => warn!(
            alert = document.id,
            incident = document.incident,
            kind = document.alert_type.name(),
            reason = document.reason.name(),
            block = block.block,
            score = block.score,
            threshold = block.threshold,
            signature = document.signature,
            hosts = block.hosts.join(","),
            path = block.hdfs_path.as_deref().unwrap_or_default(),
            difference = block.explanation.difference.join("; "),
            look_further = block.look_further.join("; "),
            muted,
            "{}",
            document.summary()
        ),
    }
}

/// Who has muted it, why and until when; no field when nobody has.
fn muted(document: &Document) -> Option<String> {
    document.muted.as_ref().map(MutedDocument::telling)
}

fn trouble(document: &Document, host: &HostDocument) {
    let roles: Vec<_> = document.roles.iter().map(|role| role.name()).collect();
    warn!(
        alert = document.id,
        incident = document.incident,
        kind = document.alert_type.name(),
        reason = document.reason.name(),
        host = host.host,
        roles = roles.join(","),
        signature = document.signature,
        muted = muted(document),
        "{}",
        document.summary()
    );
}

fn domain(document: &Document) {
    let Document { id, incident, alert_type, reason, signature, .. } = document;
    let (kind, reason, muted) = (alert_type.name(), reason.name(), muted(document));
    if matches!(alert_type, AlertType::MismatchResolved | AlertType::RegimeResolved | AlertType::UnwritableResolved) {
        info!(alert = id, incident, kind, reason, signature, muted, "{}", document.summary());
    } else {
        warn!(alert = id, incident, kind, reason, signature, of = document.subject(), muted, "{}", document.summary());
    }
}

fn output(format: LogFormat) -> Box<dyn Layer<Registry> + Send + Sync> {
    let stream = env::var_os("JOURNAL_STREAM");
    if is_journal(stream.as_deref(), stderr_identity())
        && let Ok(journal) = tracing_journald::layer()
    {
        return journal.boxed();
    }
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    match format {
        LogFormat::Text => layer.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    }
}

/// Whether standard error is the stream that systemd has connected to the journal: `JOURNAL_STREAM` is its device and inode, and is
/// inherited by processes that have theirs redirected, systemd.exec(5).
fn is_journal(stream: Option<&OsStr>, stderr: Option<(u64, u64)>) -> bool {
    let parse = |stream: &OsStr| {
        let (device, inode) = stream.to_str()?.split_once(':')?;
        Some((device.parse().ok()?, inode.parse().ok()?))
    };
    stream.and_then(parse).is_some_and(|stream: (u64, u64)| Some(stream) == stderr)
}

fn stderr_identity() -> Option<(u64, u64)> {
    let metadata = std::fs::metadata("/proc/self/fd/2").ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::sink::document::Muter;
    use crate::sink::document::regime_tests::regime_example;
    use crate::sink::document::state_tests::state_example;
    use crate::sink::document::tests::{example, mismatch_example, template_example, trouble_example};

    #[test]
    fn an_alert_is_one_event_with_its_fields() {
        let event = logged(&example());
        assert_eq!((&event["level"], &event["message"]), (&"WARN".into(), &example().summary().into()));
        assert_eq!((&event["alert"], &event["block"]), (&example().id.into(), &example().subject().into()));
        assert_eq!((&event["kind"], &event["reason"]), (&"anomaly.firing".into(), &"unlikely_story".into()));
        assert!(event["difference"].as_str().unwrap().starts_with("expected 3 × “Received block”, saw 1; "), "{event}");
        assert!(event["look_further"].as_str().unwrap().starts_with("hdfs fsck -blockId blk_-1608999687919862906"), "{event}");
    }

    #[test]
    fn trouble_of_a_host_is_a_warning_with_its_host() {
        let event = logged(&trouble_example());
        assert_eq!((&event["level"], &event["message"]), (&"WARN".into(), &trouble_example().summary().into()));
        assert_eq!(
            (&event["kind"], &event["host"], &event["roles"]),
            (&"host.trouble".into(), &"nn1".into(), &"name_node".into())
        );
    }

    #[test]
    fn what_the_model_does_not_know_is_a_warning_and_its_end_is_none() {
        let back = Document { alert_type: AlertType::MismatchResolved, ..mismatch_example() };
        let known = Document { alert_type: AlertType::RegimeResolved, ..regime_example() };
        let written = Document { alert_type: AlertType::UnwritableResolved, ..state_example() };
        for (document, level) in [
            (template_example(), "WARN"),
            (mismatch_example(), "WARN"),
            (back, "INFO"),
            (regime_example(), "WARN"),
            (known, "INFO"),
            (state_example(), "WARN"),
            (written, "INFO"),
        ] {
            let event = logged(&document);
            assert_eq!((&event["level"], &event["kind"]), (&level.into(), &document.alert_type.name().into()));
        }
    }

    #[test]
    fn what_is_muted_says_so() {
        assert!(logged(&example()).get("muted").is_none());
        let muted = MutedDocument::new(Muter::Config, None, None, &jiff::tz::TimeZone::UTC);
        for document in [example(), trouble_example(), mismatch_example()] {
            assert_eq!(logged(&document.muted(muted.clone()))["muted"], "muted by the configuration (alerts.mute)");
        }
    }

    #[test]
    fn the_journal_is_used_only_when_it_is_standard_error() {
        let check = |stream: Option<&str>, expected: bool| {
            assert_eq!(is_journal(stream.map(OsStr::new), Some((9, 42))), expected, "{stream:?}")
        };
        check(Some("9:42"), true);
        check(Some("9:43"), false);
        check(Some("8:42"), false);
        check(Some("9"), false);
        check(Some("x:y"), false);
        check(Some(""), false);
        check(None, false);
        assert!(!is_journal(Some(OsStr::new("9:42")), None));
    }

    fn logged(document: &Document) -> serde_json::Value {
        let place = tempfile::NamedTempFile::new().unwrap();
        let writer = File::create(place.path()).unwrap();
        let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(writer).finish();
        tracing::subscriber::with_default(subscriber, || alert(document));
        serde_json::from_str(&std::fs::read_to_string(place.path()).unwrap()).unwrap()
    }
}
