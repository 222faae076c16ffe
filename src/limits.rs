//! Every bound in the program: its unit, what happens at it, and the counter that tells.
//!
//! What users may change has a key in `config/default.toml`; the values here are the walls behind those keys.

/// Bytes of one record, with its continuation lines. Longer ones keep their head; the rest is counted (`cut_bytes`).
pub const RECORD_BYTES_MAX: usize = 64 * 1024;

/// Bytes of one chunk handed to the pipeline. The reader never reads more at once.
pub const CHUNK_BYTES_MAX: usize = 64 * 1024;

/// Streams (logs, each with its rotated files) followed at once. More are not opened (`streams_refused`).
pub const STREAMS_MAX: usize = 10_000;

/// Steps of a window: the beginning token and the first events of an episode. Later events no longer reach the model.
pub const WINDOW_STEPS_MAX: usize = 256;

/// Blocks of one record that get the event. The rest is counted (`refused_blocks`).
pub const RECORD_BLOCKS_MAX: usize = 1024;

/// Events kept of one session. Later ones still end its quiet; they are counted (`refused_events`).
pub const SESSION_EVENTS_MAX: usize = 1024;

/// Templates mined beside the model's vocabulary. The least recently used is dropped at the bound (`templates_evicted`).
pub const TEMPLATES_MAX: usize = 4096;

/// Windows in one inference. The scorer splits what is larger.
pub const BATCH_WINDOWS_MAX: usize = 128;

/// Windows that wait for their score. At this bound no more chunks are taken.
pub const WINDOWS_PENDING_MAX: usize = 4096;

/// Tokens of a model's vocabulary, reserved ones included. A larger model is refused.
pub const VOCABULARY_MAX: usize = 4096;

/// Bytes of a model file. A larger one is refused before it is read.
pub const MODEL_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Windows whose scores are remembered, so that one seen before costs no inference. The oldest half is dropped at the bound.
pub const REMEMBERED_WINDOWS_MAX: usize = 32_768;

/// Deviations listed in one explanation; the least telling are left out.
pub const DEVIATIONS_MAX: usize = 12;

/// Records quoted by one alert: those of its deviations first, then the earliest.
pub const ALERT_POSITIONS_MAX: usize = 40;

/// Bytes of one alert as JSON. Lines are left out of its middle until it fits (`lines_left_out` in the alert itself).
/// Standard Webhooks 1.0 asks for less than 20 kB; the rest is for the envelope.
pub const DOCUMENT_BYTES_MAX: usize = 19_000;

/// Bytes of one quoted record in an alert, of a template and of a path. Longer ones keep their head, marked with `…`.
pub const DOCUMENT_TEXT_BYTES_MAX: usize = 1024;

/// Hosts, and data node addresses, that one alert names. Further ones are left out.
pub const DOCUMENT_HOSTS_MAX: usize = 16;

/// Alerts that wait to be sent. More are refused and offered again (`webhook_refused`).
pub const WEBHOOK_QUEUE_MAX: usize = 4096;

/// Seconds that a receiver can ask for by Retry-After. Longer wishes are cut to this.
pub const RETRY_AFTER_SECONDS_MAX: u64 = 86_400;

const _: () = assert!(DOCUMENT_BYTES_MAX < 20_000);
const _: () = assert!(DOCUMENT_TEXT_BYTES_MAX * 4 < DOCUMENT_BYTES_MAX);
const _: () = assert!(CHUNK_BYTES_MAX >= RECORD_BYTES_MAX);
const _: () = assert!(WINDOWS_PENDING_MAX >= 2 * BATCH_WINDOWS_MAX);
const _: () = assert!(VOCABULARY_MAX <= u16::MAX as usize);
