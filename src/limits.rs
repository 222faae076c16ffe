//! Every bound in the program: its unit, what happens at it, and the counter that tells.
//!
//! What users may change has a key in `config/default.toml`; the values here are the walls behind those keys.

/// Bytes of one record, with its continuation lines. Longer ones keep their head; the rest is counted (`cut_bytes`).
pub const RECORD_BYTES_MAX: usize = 64 * 1024;

/// Bytes of one chunk handed to the pipeline. The reader never reads more at once.
pub const CHUNK_BYTES_MAX: usize = 64 * 1024;

/// Streams (logs, each with its rotated files) followed at once. More are not opened (`refused_streams`).
pub const STREAMS_MAX: usize = 10_000;

/// Log files known at once, those already read included. More are passed over (`refused_files`).
pub const SOURCES_MAX: usize = 65_536;

/// Log files held open at once; the least recently read is closed and opened again when its turn comes. Half of the 512 that
/// a careful host leaves a service, so that sockets and state files never lack a descriptor.
pub const DESCRIPTORS_MAX: usize = 256;

/// Directories that wake the reader. Files in others are found by the periodic scan alone (`unwatched_directories`).
pub const WATCHES_MAX: usize = 1024;

/// Decoded bytes that quoting one record of a compressed log may cost; a record further in is told of without its text.
pub const REREAD_DECODED_BYTES_MAX: u64 = 64 * 1024 * 1024;

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

const _: () = assert!(CHUNK_BYTES_MAX >= RECORD_BYTES_MAX);
const _: () = assert!(WINDOWS_PENDING_MAX >= 2 * BATCH_WINDOWS_MAX);
const _: () = assert!(VOCABULARY_MAX <= u16::MAX as usize);
