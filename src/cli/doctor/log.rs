//! Reads one log file as the daemon would, and counts what comes of it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use serde::Serialize;

use crate::daemon::clock;
use crate::ingest::codec::{Codec, Decoder};
use crate::ingest::discover::Found;
use crate::limits::{CHUNK_BYTES_MAX, DOCTOR_FILE_BYTES_MAX, MERGE_BYTES_DEFAULT};
use crate::pipeline::event::blockless::Row;
use crate::pipeline::event::layout::Layout;
use crate::pipeline::event::origin::{Origin, Role};
use crate::pipeline::event::{Chunk, SourceId, StreamId, WallTime};
use crate::pipeline::front::{self, Front, Output};
use crate::pipeline::profile::{Profile, UNKNOWN};
use crate::pipeline::stats::Stats;

/// What one file holds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LogReport {
    /// Where it is.
    pub path: PathBuf,
    /// Who writes it.
    pub role: Role,
    /// Where that runs, as the file's name says.
    pub host: Option<String>,
    /// How its newest record is laid out; `null` when it has none.
    pub layout: Option<Layout>,
    /// Bytes on disk.
    pub size: u64,
    /// Whether the daemon's user may read it.
    pub readable: bool,
    /// Whether only the newest [`DOCTOR_FILE_BYTES_MAX`] bytes were read (of a compressed file the oldest).
    pub sampled: bool,
    /// Lines read.
    pub lines: u64,
    /// Lines that begin a record.
    pub parsed: u64,
    /// Lines that belong to the record before them.
    pub joined: u64,
    /// Lines in no record.
    pub unparsed: u64,
    /// Lines a second, by the log's own clock; `null` when it covers less than a second.
    pub lines_per_second: Option<f64>,
    /// Distinct blocks.
    pub blocks: u64,
    /// Events: one for each block that a record names.
    pub events: u64,
    /// Share of the events that the model knows, 0..=1; `null` without events.
    pub known_events: Option<f64>,
    /// Records that name no block: the most frequent loggers.
    pub blockless: Vec<Row>,
    /// Why it could not be read to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

impl LogReport {
    /// Reads `file` for a model of this `profile`.
    pub fn read(file: &Found, readable: bool, profile: &Profile, timezone: &TimeZone) -> Self {
        let name = file.stream.file_name().unwrap_or_default().to_string_lossy();
        let Origin { role, host } = Origin::of_file_name(&name);
        let report = Self { path: file.path.clone(), role, host, size: file.size, readable, ..Self::default() };
        match Reading::new(file, &name, profile, timezone) {
            Ok(reading) => reading.finish(report),
            Err(error) => Self { trouble: Some(error.to_string()), ..report },
        }
    }

    /// Events that the model knows.
    pub fn known(&self) -> u64 {
        self.known_events.map_or(0, |share| (share * self.events as f64).round() as u64)
    }
}

/// The first half of the pipeline with one file in it.
struct Reading {
    front: Front,
    blocks: BTreeSet<i64>,
    events: u64,
    known: u64,
    sampled: bool,
    trouble: Option<String>,
}

impl Reading {
    fn new(file: &Found, name: &str, profile: &Profile, timezone: &TimeZone) -> io::Result<Self> {
        let front = Front::new(settings(timezone), profile)
            .map_err(|mask| io::Error::other(format!("the model asks for mask {mask:?}, which this version does not have")))?;
        let mut reading = Self { front, blocks: BTreeSet::new(), events: 0, known: 0, sampled: false, trouble: None };
        reading.front.open_stream(STREAM, name, false);
        let mut bytes = reading.open(&file.path, file.codec)?;
        if let Err(error) = reading.read_all(&mut bytes) {
            reading.trouble = Some(error.to_string());
        }
        Ok(reading)
    }

    fn open(&mut self, path: &Path, codec: Option<Codec>) -> io::Result<Box<dyn Read>> {
        let mut file = File::open(path)?;
        if let Some(codec) = codec {
            return Ok(Box::new(Decoder::new(codec, BufReader::new(file))?));
        }
        let size = file.metadata()?.len();
        if size > DOCTOR_FILE_BYTES_MAX {
            self.sampled = true;
            file.seek(SeekFrom::Start(size - DOCTOR_FILE_BYTES_MAX))?;
            skip_line(&mut file)?;
        }
        Ok(Box::new(file))
    }

    fn read_all(&mut self, bytes: &mut dyn Read) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK_BYTES_MAX];
        let mut offset = 0;
        loop {
            let length = bytes.read(&mut buffer)?;
            if length == 0 {
                return Ok(());
            }
            if offset >= DOCTOR_FILE_BYTES_MAX {
                self.sampled = true;
                return Ok(());
            }
            self.handle(|front, emit| {
                front.handle_chunk(
                    Chunk { stream: STREAM, source: SourceId(0), offset, bytes: &buffer[..length] },
                    WallTime(0),
                    emit,
                );
            });
            offset += length as u64;
        }
    }

    fn handle(&mut self, act: impl FnOnce(&mut Front, front::Emit<'_>)) {
        let Self { front, blocks, events, known, .. } = self;
        act(front, &mut |output| {
            if let Output::Event { event, .. } = output {
                blocks.insert(event.block.number);
                *events += 1;
                *known += u64::from(event.token != UNKNOWN);
            }
        });
    }

    fn finish(mut self, report: LogReport) -> LogReport {
        self.handle(|front, emit| front.close_stream(STREAM, emit));
        self.handle(|front, emit| front.release(true, emit));
        let mut stats = Stats::default();
        self.front.count_into(&mut stats);
        let role = self.front.stream_origin(STREAM).map_or(report.role, |origin| origin.role);
        LogReport {
            role,
            layout: self.front.stream_layout(STREAM),
            sampled: self.sampled,
            lines: stats.lines,
            parsed: stats.records,
            joined: stats.joined_lines,
            unparsed: stats.unparsed_lines(),
            lines_per_second: self.lines_per_second(stats.lines),
            blocks: self.blocks.len() as u64,
            events: self.events,
            known_events: (self.events > 0).then(|| self.known as f64 / self.events as f64),
            blockless: self.front.blockless().rows().into_iter().take(BLOCKLESS_ROWS).collect(),
            trouble: self.trouble,
            ..report
        }
    }

    fn lines_per_second(&self, lines: u64) -> Option<f64> {
        let (first, last) = self.front.stream_began(STREAM).zip(self.front.newest())?;
        let millis = last.millis_since(first);
        (millis >= 1000).then(|| lines as f64 * 1000.0 / millis as f64)
    }
}

/// Reads on to the end of the line that `file` stands in.
fn skip_line(file: &mut File) -> io::Result<()> {
    let start = file.stream_position()?;
    let mut head = vec![0; CHUNK_BYTES_MAX];
    let length = file.read(&mut head)?;
    let skipped = memchr::memchr(b'\n', &head[..length]).map_or(length, |end| end + 1);
    file.seek(SeekFrom::Start(start + skipped as u64)).map(|_| ())
}

fn settings(timezone: &TimeZone) -> front::Settings {
    front::Settings {
        merge_delay_millis: 0,
        merge_bytes_max: MERGE_BYTES_DEFAULT,
        join_grace_millis: 0,
        pool: None,
        pools: Vec::new(),
        zone: clock::zone(timezone),
    }
}

const STREAM: StreamId = StreamId(0);
const BLOCKLESS_ROWS: usize = 10;
