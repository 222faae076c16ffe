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

/// Blocks alive at once in the cluster simulator of `demo`. At the bound no new ones begin; the pace falls until others end.
pub const DEMO_BLOCKS_MAX: usize = 200_000;

/// Incidents on healthy blocks that `demo` remembers, to take them off its count when they are resolved. More are counted as
/// false alarms for good.
pub const DEMO_INCIDENTS_MAX: usize = 10_000;

/// Faults that `demo` puts in. At the bound it stops putting in new ones and says so.
pub const DEMO_FAULTS_MAX: usize = 100_000;

/// Lines a second that `demo` may be asked for. More is refused: one core renders about ten times as many.
pub const DEMO_LINES_PER_SECOND_MAX: u32 = 50_000;

/// Bytes of one line of the alerts file that `demo` reads. A longer one is dropped.
pub const DEMO_ALERT_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of the end of the daemon's own log that `demo` shows when the daemon dies.
pub const DEMO_LOG_TAIL_BYTES_MAX: usize = 4 * 1024;

const _: () = assert!(CHUNK_BYTES_MAX >= RECORD_BYTES_MAX);
const _: () = assert!(WINDOWS_PENDING_MAX >= 2 * BATCH_WINDOWS_MAX);
const _: () = assert!(VOCABULARY_MAX <= u16::MAX as usize);
