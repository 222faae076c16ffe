//! Every bound in the program: its unit, what happens at it, and the counter that tells.
//!
//! What users may change has a key in `config/default.toml`; the values here are the walls behind those keys.

/// Bytes of one record, with its continuation lines. Longer ones keep their head; the rest is counted (`cut_bytes`).
pub const RECORD_BYTES_MAX: usize = 64 * 1024;

/// Bytes of one chunk handed to the pipeline. The reader never reads more at once.
pub const CHUNK_BYTES_MAX: usize = 64 * 1024;

/// Wall time after which the last record of a stream is complete, milliseconds: a stack trace is written at once.
pub const RECORD_WAIT_MILLIS: i64 = 1000;

/// Log time by which one record may be ahead of the one before it in its stream, milliseconds; more is believed when a second record
/// says so too (`leaps`). Above the hour that daylight saving takes away.
pub const LEAP_MILLIS_MAX: i64 = 2 * 3_600_000;

/// Time by which a log may be ahead of the clock of this host, milliseconds: two days, more than a wrong zone makes. A record beyond it
/// counts as written when the others are (`leaps`), for one host with a wrong clock must not end the stories of all others.
pub const FUTURE_MILLIS_MAX: i64 = 48 * 3_600_000;

/// A clock of this host that shows less was never set, and is believed less than the logs: 2026-01-01, Unix milliseconds.
pub const PRESENT_MILLIS_MIN: i64 = 1_767_225_600_000;

/// Loggers whose records without a block are counted apart; Hadoop has some hundred. Further ones are counted together (`(others)`).
pub const BLOCKLESS_LOGGERS_MAX: usize = 256;

/// Streams (logs, each with its rotated files) followed at once. More are not opened (`refused_streams`).
pub const STREAMS_MAX: usize = 10_000;

/// Log files known at once, those already read included. More are passed over (`refused_files`).
pub const SOURCES_MAX: usize = 65_536;

/// Log files held open at once; the least recently read is closed and opened again when its turn comes. Half of the 512 that
/// a careful host leaves a service, so that sockets and state files never lack a descriptor.
pub const DESCRIPTORS_MAX: usize = 256;

/// Directories that wake the reader. Files in others are found by the periodic scan alone (`unwatched_directories`).
pub const WATCHES_MAX: usize = 1024;

/// Binary logarithm of the bytes that decoding one `.zst` file may have to look back, all of which are held while it is read: 8 MiB, which
/// RFC 8878 (3.1.1.1.2) wants every decoder to support, and `zstd` needs up to level 19. Files that need more are not read (`errors`).
pub const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Decoded bytes that quoting one record of a compressed log may cost; a record further in is told of without its text.
pub const REREAD_DECODED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Steps of a window: the beginning token and the first events of an episode. Later events no longer reach the model.
pub const WINDOW_STEPS_MAX: usize = 256;

/// Released blocks that are remembered, so that one that speaks again is known to resume. The older half is forgotten at the bound.
pub const RELEASED_BLOCKS_MAX: usize = 262_144;

/// Sessions that have changed or ended since the last checkpoint and are known one by one, 16 bytes each. At the bound the next checkpoint
/// gets all sessions instead.
pub const CHANGED_BLOCKS_MAX: usize = 524_288;

/// Block pools of one cluster. Events of blocks of further pools are left out (`ambiguous_pools`).
pub const POOLS_MAX: usize = 64;

/// Blocks whose pool is remembered where there are several, to tell whose log a log is. The older half is forgotten at the bound: the
/// NameNode speaks of a block within seconds of its DataNodes.
pub const POOL_BLOCKS_MAX: usize = 16_384;

/// Incidents kept: firing ones and those resolved a while ago. The oldest expires at the bound.
pub const INCIDENTS_MAX: usize = 10_000;

/// Blocks of one record that get the event. The rest is counted (`refused_blocks`).
pub const RECORD_BLOCKS_MAX: usize = 1024;

/// Events kept of one session. Later ones still end its quiet; they are counted (`refused_events`).
pub const SESSION_EVENTS_MAX: usize = WINDOW_STEPS_MAX - 1;

/// Bytes of a message that templates are made of. What comes later in a line does not tell templates apart.
pub const MESSAGE_BYTES_MAX: usize = 2048;

/// Words of a message that templates are made of, likewise.
pub const MESSAGE_WORDS_MAX: usize = 128;

/// Lines of a record behind its first in which the class of an exception is looked for. Traces that begin later are not noticed.
pub const EXCEPTION_LINES_MAX: usize = 16;

/// Bytes of the class of an exception, with the one that it carries. A longer one is taken for none.
pub const EXCEPTION_CLASS_BYTES_MAX: usize = 256;

/// Templates mined beside the model's vocabulary. The least recently used is dropped at the bound (`templates_evicted`).
pub const TEMPLATES_MAX: usize = 4096;

/// Texts kept of templates that were dropped, or that have widened since. The oldest is forgotten (`templates_forgotten`), and alerts on
/// events of that time cannot quote it.
pub const RETIRED_TEMPLATES_MAX: usize = 4096;

/// Pinned templates: forms that the texts of the model's vocabulary take in the logs. Further forms share the first of their token,
/// which always has room.
pub const PINNED_TEMPLATES_MAX: usize = 16_384;

/// Templates that `templates` lists. With more it ends and asks for masks.
pub const MINED_TEMPLATES_MAX: usize = 262_144;

/// Messages of `templates --csv`, 8 bytes each. With more it ends.
pub const TEMPLATE_ROWS_MAX: usize = 50_000_000;

/// The first number of a mined template; the numbers below are those of pinned ones.
pub const FIRST_MINED_ID: u32 = (PINNED_TEMPLATES_MAX + VOCABULARY_MAX) as u32;

/// Changes of templates kept one by one until the next checkpoint. At the bound it gets all templates instead.
pub const TEMPLATE_CHANGES_MAX: usize = 4096;

/// Masked messages whose template is remembered. An older one gives way.
pub const MEMO_TEXTS_MAX: usize = 8192;

/// Bytes of such a message. A longer one is looked up each time.
pub const MEMO_TEXT_BYTES_MAX: usize = 512;

/// Windows in one inference. The scorer splits what is larger.
pub const BATCH_WINDOWS_MAX: usize = 128;

/// Windows that wait for their score. At this bound no more chunks are taken.
pub const WINDOWS_PENDING_MAX: usize = 4096;

/// Tokens of a model's vocabulary, reserved ones included. A larger model is refused.
pub const VOCABULARY_MAX: usize = 4096;

/// Whole stories without which nothing is learnt. Fewer are refused: a percentile of their scores would mean nothing.
pub const TRAINING_STORIES_MIN: u64 = 100;

/// Distinct windows that a model is trained on. The rarest are left out, and learning says how many.
pub const TRAINING_WINDOWS_MAX: usize = 50_000;

/// Normal count patterns in a model. The rarest are left out, and learning says how many.
pub const PATTERNS_MAX: usize = 2000;

/// Bytes of a model file. A larger one is refused before it is read.
pub const MODEL_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Elements of the matrix that says which count patterns cover what; 64 MB while the model is loaded. A model with more is not written.
pub const PATTERN_CELLS_MAX: usize = 8 * 1024 * 1024;

/// Logits of one inference (windows x steps x tokens); 32 MB, twice while it runs. The scorer splits what is larger.
pub const INFERENCE_LOGITS_MAX: usize = 8 * 1024 * 1024;

/// Batches that wait for the scorer, and as many that wait to be taken from it. More are handed back to the sender.
pub const SCORER_BATCHES_MAX: usize = 4;

/// Windows whose scores are remembered, so that one seen before costs no inference. The oldest half is dropped at the bound.
pub const REMEMBERED_WINDOWS_MAX: usize = 32_768;

/// Deviations listed in one explanation; the least telling are left out.
pub const DEVIATIONS_MAX: usize = 12;

/// Records quoted by one alert: those of its deviations first, then the earliest.
pub const ALERT_POSITIONS_MAX: usize = 40;

/// Records that an alert does not quote and that are read again to see where the replicas are; the first ones. At the bound there may be
/// more, so no number of replicas is told (`replicas_confirmed` is null).
pub const EVIDENCE_POSITIONS_MAX: usize = 32;

/// Kinds of events told of the normal story that an alert holds a block against. Further ones are counted (`events_left_out`).
pub const STORY_EVENTS_MAX: usize = 16;

/// Kinds of trouble counted, of all hosts together. At the bound the eighth that was not heard for longest is forgotten
/// (`trouble_forgotten`): it is new when it comes again.
pub const TROUBLE_KINDS_MAX: usize = 65_536;

/// Ids of templates of trouble, present and former, whose first id is known. Those without a text are forgotten at the bound.
pub const TROUBLE_IDS_MAX: usize = 16_384;

/// Kinds of trouble remembered of one host by time, for the alerts on blocks. At the bound the oldest is forgotten.
pub const TROUBLE_RECENT_MAX: usize = 32;

/// Kinds of messages in one alert on a host. Further ones are counted in the alert (`templates_left_out`).
pub const TROUBLE_COMPLAINTS_MAX: usize = 12;

/// Records quoted for one kind of message of an alert on a host: its first ones.
pub const COMPLAINT_POSITIONS_MAX: usize = 4;

/// Other hosts that an alert on a host names. Further ones are left out.
pub const TROUBLE_HOSTS_NAMED_MAX: usize = 16;

/// Kinds of trouble attached to an alert on a block: the latest ones. Earlier ones are left out.
pub const NEARBY_MAX: usize = 8;

/// The last episodes of which the shares of what the model does not know are taken. The oldest one leaves at the bound.
pub const DOMAIN_EPISODES_MAX: usize = 1000;

/// Templates that the model does not know and that are counted, former ones included: as many as there can be. At the bound
/// [`STRANGERS_FORGOTTEN_AT_ONCE`] of them, those that were not heard for longest, are forgotten (`strangers_forgotten`) and can no
/// longer become neutral; neutral ones go last. As many texts are kept that were neutral under models before; those beyond are told again.
pub const STRANGERS_MAX: usize = TEMPLATES_MAX;

/// How many of [`STRANGERS_MAX`] are forgotten (`strangers_forgotten`) in one go, so that a log without end of new templates does not
/// cost a look at all of them for each.
pub const STRANGERS_FORGOTTEN_AT_ONCE: usize = STRANGERS_MAX / 64;

/// Records kept of such a template: its first ones.
pub const STRANGER_POSITIONS_MAX: usize = 4;

/// Unknown templates that the alert of a model out of its domain names: the commonest.
pub const DOMAIN_SAMPLES_MAX: usize = 8;

/// Blocks that are counted of an unknown template; what `domain.template_blocks` may ask for.
pub const STRANGER_BLOCKS_MAX: usize = 1000;

/// The last scores of which a change of regime is seen; what `threshold.regime_episodes` may ask for. The oldest one leaves at the bound.
pub const REGIME_EPISODES_MAX: usize = 8192;

/// Changes of regime that are remembered, so that the level before can be taken up again. At the bound the oldest one is forgotten, and
/// resolved as expired if it is still firing.
pub const REGIMES_MAX: usize = 8;

/// Texts in `domain.mute`.
pub const MUTED_TEMPLATES_MAX: usize = 1000;

/// Alerts that are not yet where they are to go. At the bound the oldest is dropped (`alerts_dropped`).
pub const OUTBOX_ALERTS_MAX: usize = 10_000;

/// Seconds after which what failed for the first time (a checkpoint, an alert for a file) is tried again; each failure doubles them.
pub const RETRY_SECONDS_FIRST: u64 = 1;

/// Seconds between two tries at the bound (`checkpoint_failures`, `file_failures`): a disk that is full for days costs next to nothing, and
/// one that was mended is noticed within a minute.
pub const RETRY_SECONDS_MAX: u64 = 60;

/// Seconds for which no checkpoint could be written before people are told: a shorter outage is only logged and counted
/// (`checkpoint_failures`).
pub const UNWRITABLE_SECONDS_MIN: u64 = 2;

/// Alerts with the teller to be written down, and as many to be sent. More wait in the outbox.
pub const TELLER_ERRANDS_MAX: usize = 64;

/// Reports of alerts shown or sent that the loop has not taken yet. The teller and the webhook wait at the bound.
pub const DONE_MAX: usize = 1024;

/// Mutes by operators, and signatures in `alerts.mute`. A further one is refused, with the number.
pub const MUTES_MAX: usize = 1000;

/// Characters of why a signature is muted. A longer text is refused.
pub const MUTE_WHY_CHARS_MAX: usize = 200;

/// Incidents that fire and were not sent, so that what resolves them is not sent either. At the bound the oldest is forgotten
/// (`mutes_forgotten`), and what resolves it is sent. As many as fire at once, of blocks and beside them.
pub const WITHHELD_INCIDENTS_MAX: usize = INCIDENTS_MAX + 64;

/// Requests of operators that wait for the loop. Further ones are refused and may be made again.
pub const CONTROL_REQUESTS_MAX: usize = 16;

/// Connections to the control socket answered at once. Further ones wait in the system's queue.
pub const CONTROL_CONNECTIONS_MAX: usize = 16;

/// Bytes of the body of a request to the control socket. A longer one is refused with 413.
pub const CONTROL_BODY_BYTES_MAX: usize = 16 * 1024;

/// Bytes of the path of a Unix socket: `sun_path` of unix(7) less its end. A longer one is refused with the configuration's key.
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Alerts, or signatures, in one answer of the control socket. More are refused; the newest are told.
pub const ALERTS_LISTED_MAX: usize = 10_000;

/// Scans for which the other logs wait while one waits for the end of a file that was rotated away, and as many for its file to be found
/// again after a restart. Such a file ends two scans after its last line, and three when it is gone; one that goes on for longer holds nobody up, and
/// what its log writes then may be late (`late_records`).
pub const WAITING_SCANS_MAX: u8 = 5;

/// Chunks read in one turn of the loop, so that scores, alerts and signals are never far off.
pub const CHUNKS_PER_TURN_MAX: usize = 16;

/// Signals that wait for the loop. Further ones wait with the thread that takes them; a second request to stop ends the process.
pub const CONTROLS_MAX: usize = 4;

/// Bytes of one entry of the journal of checkpoints. A longer one is not written, and one that says it is longer is damaged.
pub const ENTRY_BYTES_MAX: u32 = 1024 * 1024 * 1024;

/// Bytes of sessions, as they are in memory, that one turn of the loop writes down. A checkpoint with more takes several turns.
pub const CHECKPOINT_SESSION_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of all segments of the journal, beside several times what is in them. At the bound what is needed is written anew at once, and
/// not little by little with the traffic, so that older segments can go.
pub const JOURNAL_SPARE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Events of a corpus gathered from logs, 12 bytes each. Blocks that come up later are passed over.
pub const CORPUS_EVENTS_MAX: usize = 20_000_000;

/// Bytes that wait to be put in order where no configuration says otherwise: a chunk of each of 256 logs.
pub const MERGE_BYTES_DEFAULT: usize = 256 * CHUNK_BYTES_MAX;

/// Bytes of one alert as JSON. Lines are left out of its middle until it fits (`lines_left_out` in the alert itself).
/// Standard Webhooks 1.0 asks for less than 20 kB; the rest is for the envelope.
pub const DOCUMENT_BYTES_MAX: usize = 19_000;

/// Bytes of one quoted record in an alert, of a template and of a path. Longer ones keep their head, marked with `…`.
pub const DOCUMENT_TEXT_BYTES_MAX: usize = 1024;

/// Hosts, and data node addresses, that one alert names. Further ones are left out.
pub const DOCUMENT_HOSTS_MAX: usize = 16;

/// Patterns of `alerts.redact`, and bytes of one of them. More, or longer ones, are refused with the configuration.
pub const REDACT_PATTERNS_MAX: usize = 64;

/// See [`REDACT_PATTERNS_MAX`].
pub const REDACT_PATTERN_BYTES_MAX: usize = 1024;

/// Bytes that one pattern may take once it is compiled, and as many for its cache. One that takes more is refused with the
/// configuration.
pub const REDACT_COMPILED_BYTES_MAX: usize = 1024 * 1024;

/// Alerts that wait to be sent. More are refused and offered again (`webhook_refused`).
pub const WEBHOOK_QUEUE_MAX: usize = 512;

/// Seconds that a receiver can ask for by Retry-After. Longer wishes are cut to this.
pub const RETRY_AFTER_SECONDS_MAX: u64 = 86_400;

const _: () = assert!(DOCUMENT_BYTES_MAX < 20_000);
const _: () = assert!(DOCUMENT_TEXT_BYTES_MAX * 4 < DOCUMENT_BYTES_MAX);
/// Columns that log time has in a report. At the bound they are merged into wider ones.
pub const REPORT_COLUMNS_MAX: usize = 480;

/// Stretches of log time for which a report counts alarms. They are chosen so long that there are no more.
pub const REPORT_BARS_MAX: usize = 48;

/// Moments that a report marks: the first ones. It says how many it leaves out.
pub const REPORT_MARKS_MAX: usize = 40;

/// Signatures of alerts on blocks that a report counts apart. At the bound the rarest gives way, and the report says how many alerts
/// are in no group.
pub const REPORT_SIGNATURES_MAX: usize = 200;

/// Alerts on hosts, templates and the model's domain that a report shows: the first ones. It says how many it leaves out.
pub const REPORT_OTHERS_MAX: usize = 100;

/// Bytes of a report. Alerts that no longer fit are left out, and it says how many.
pub const REPORT_BYTES_MAX: usize = 2_000_000;

/// Bytes of one log file that `doctor` reads: the newest, or of a compressed file the oldest. It says so where there are more.
pub const DOCTOR_FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

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

const _: () = assert!(TROUBLE_COMPLAINTS_MAX * COMPLAINT_POSITIONS_MAX >= ALERT_POSITIONS_MAX);
const _: () = assert!(DEVIATIONS_MAX < ALERT_POSITIONS_MAX);
const _: () = assert!(SESSION_EVENTS_MAX <= u16::MAX as usize);
const _: () = assert!(NEARBY_MAX <= TROUBLE_RECENT_MAX);
const _: () = assert!(PINNED_TEMPLATES_MAX >= VOCABULARY_MAX);
const _: () = assert!(TROUBLE_IDS_MAX >= 2 * (TEMPLATES_MAX + RETIRED_TEMPLATES_MAX));
const _: () = assert!(CHUNK_BYTES_MAX >= RECORD_BYTES_MAX);
const _: () = assert!(WINDOWS_PENDING_MAX >= 2 * BATCH_WINDOWS_MAX);
const _: () = assert!(INFERENCE_LOGITS_MAX >= WINDOW_STEPS_MAX * VOCABULARY_MAX);
const _: () = assert!(VOCABULARY_MAX <= u16::MAX as usize);
