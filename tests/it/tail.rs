//! A follower on real files, with what it delivered cut into lines.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use hdfs_vigil::ingest::codec::Codec;
use hdfs_vigil::ingest::{Follower, Mode, Notice, Saved, Settings, StartAt};
use hdfs_vigil::pipeline::event::{LogTime, SourceId, WallTime};
use tempfile::TempDir;

/// A directory of logs and a follower of it.
pub struct Tail {
    pub directory: TempDir,
    pub settings: Settings,
    pub follower: Follower,
    pub notices: Vec<Notice>,
    /// Complete lines by stream name, in the order in which they came.
    lines: BTreeMap<PathBuf, Vec<String>>,
    /// What came of each source, by offset: the pipeline's own partial lines survive a restart with the positions.
    partial: BTreeMap<SourceId, (u64, Vec<u8>)>,
}

impl Tail {
    /// Follows `directory` from the beginning.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// The same with other settings; `prepare` may also put files there before the first scan.
    pub fn with(prepare: impl FnOnce(&mut Settings)) -> Self {
        Self::inside(tempfile::tempdir().unwrap(), prepare)
    }

    pub fn inside(directory: TempDir, prepare: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            patterns: vec![directory.path().to_str().unwrap().to_owned()],
            exclude: vec![],
            start_at: StartAt::Beginning,
            mode: Mode::Follow,
            blockless: false,
        };
        prepare(&mut settings);
        let follower = follower(&settings, Saved::default());
        Self { directory, settings, follower, notices: vec![], lines: BTreeMap::new(), partial: BTreeMap::new() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Appends to a file, making it if need be.
    pub fn write(&self, name: &str, text: &str) {
        append(&self.path(name), text);
    }

    pub fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// Rolls as Log4j's RollingFileAppender does: the oldest is deleted, every other one renamed, and the live one made anew.
    pub fn roll(&self, name: &str, backups: usize) {
        let _ = fs::remove_file(self.path(&format!("{name}.{backups}")));
        for number in (1..backups).rev() {
            let _ = fs::rename(self.path(&format!("{name}.{number}")), self.path(&format!("{name}.{}", number + 1)));
        }
        let _ = fs::rename(self.path(name), self.path(&format!("{name}.1")));
        File::create(self.path(name)).unwrap();
    }

    /// Replaces a file by its compressed copy, as logrotate does.
    pub fn compress(&self, name: &str, codec: Codec) {
        let bytes = fs::read(self.path(name)).unwrap();
        fs::write(self.path(&format!("{name}{}", codec.suffix())), pack(codec, &bytes)).unwrap();
        self.remove(name);
    }

    pub fn truncate(&self, name: &str, size: u64) {
        OpenOptions::new().write(true).open(self.path(name)).unwrap().set_len(size).unwrap();
    }

    pub fn scan(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
        self.notices.extend(self.follower.scan(WallTime(now)));
    }

    /// Reads all that the last scan found.
    pub fn drain(&mut self) {
        while self.follower.ready().next().is_some() {
            self.read_each();
        }
    }

    /// Reads once of each log that has something.
    pub fn read_each(&mut self) {
        let ready: Vec<_> = self.follower.ready().collect();
        let mut buffer = Vec::new();
        for stream in ready {
            let Some(read) = self.follower.read(stream, &mut buffer) else {
                continue;
            };
            assert_eq!(read.bytes, buffer.len());
            assert!(read.bytes > 0 || read.end_of_source);
            let name = self.follower.streams().find(|status| status.id == stream).unwrap().name.to_path_buf();
            let (expected, partial) = self.partial.entry(read.source).or_insert((read.offset, vec![]));
            assert_eq!(read.offset, *expected, "a gap or an overlap in {name:?}");
            *expected += read.bytes as u64;
            partial.extend_from_slice(&buffer);
            let lines = self.lines.entry(name).or_default();
            cut(partial, lines, read.end_of_source);
        }
    }

    /// Looks once and reads.
    pub fn step(&mut self) {
        self.scan();
        self.drain();
    }

    /// Looks and reads until nothing more can come.
    pub fn settle(&mut self) {
        for _ in 0..6 {
            self.step();
        }
    }

    /// Stops, and starts again from what was saved, which passes through its stored form.
    pub fn restart(&mut self) {
        let bytes = postcard::to_stdvec(&self.follower.positions()).unwrap();
        self.follower = follower(&self.settings, postcard::from_bytes(&bytes).unwrap());
    }

    /// All lines of a log so far.
    pub fn lines(&self, name: &str) -> Vec<&str> {
        self.lines.get(&self.path(name)).map(|lines| lines.iter().map(String::as_str).collect()).unwrap_or_default()
    }

    /// Asserts that the lines of a log are exactly these, in this order.
    #[track_caller]
    pub fn check(&self, name: &str, expected: &[&str]) {
        assert_eq!(self.lines(name), expected, "notices: {:#?}", self.notices);
    }

    pub fn has_notice(&self, is_it: impl Fn(&Notice) -> bool) -> bool {
        self.notices.iter().any(is_it)
    }
}

/// Reads the time off `12 text`.
pub fn follower(settings: &Settings, saved: Saved) -> Follower {
    let read_time = |line: &[u8]| std::str::from_utf8(line).ok()?.split_whitespace().next()?.parse().ok().map(LogTime);
    Follower::new(settings, saved, Box::new(read_time)).unwrap()
}

pub fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Compresses as the programs `gzip` and `zstd` do.
pub fn pack(codec: Codec, bytes: &[u8]) -> Vec<u8> {
    match codec {
        Codec::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Codec::Zstd => {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
    }
}

fn cut(partial: &mut Vec<u8>, lines: &mut Vec<String>, is_end: bool) {
    while let Some(newline) = partial.iter().position(|&byte| byte == b'\n') {
        let line: Vec<u8> = partial.drain(..=newline).collect();
        lines.push(String::from_utf8(line[..newline].to_vec()).unwrap());
    }
    if is_end && !partial.is_empty() {
        lines.push(String::from_utf8(std::mem::take(partial)).unwrap());
    }
}
