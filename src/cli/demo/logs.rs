//! The log files of the simulated cluster: one a host, rotated by renaming as log4j does.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::cli::demo::line::{Host, Line};

/// All logs of the cluster.
pub struct Logs {
    /// By [`Host::index`].
    logs: Vec<Log>,
    lines: u64,
}

impl Logs {
    /// Begins an empty log for every host in `directory`; each is rotated when it would outgrow `bytes_max`.
    ///
    /// # Errors
    /// A file cannot be created.
    pub fn create(directory: &Path, bytes_max: u64) -> anyhow::Result<Self> {
        let logs =
            Host::all().map(|host| Log::create(directory.join(host.log_name()), bytes_max)).collect::<anyhow::Result<_>>()?;
        Ok(Self { logs, lines: 0 })
    }

    /// Appends a line to its host's log.
    ///
    /// # Errors
    /// The file cannot be written or rotated.
    pub fn write(&mut self, line: &Line) -> anyhow::Result<()> {
        self.lines += 1;
        let log = &mut self.logs[line.host.index()];
        log.write(&line.text).with_context(|| format!("failed to write log {}", log.path.display()))
    }

    /// Hands everything written so far to the operating system.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        self.logs
            .iter_mut()
            .try_for_each(|log| log.file.flush().with_context(|| format!("failed to write log {}", log.path.display())))
    }

    /// Lines written so far; a stack trace counts with its first line.
    pub fn lines(&self) -> u64 {
        self.lines
    }
}

/// One log: the live file; `x.log.1` is the youngest of those rotated away.
struct Log {
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
    bytes_max: u64,
}

impl Log {
    fn create(path: PathBuf, bytes_max: u64) -> anyhow::Result<Self> {
        let file = File::create_new(&path).with_context(|| format!("failed to create log {}", path.display()))?;
        Ok(Self { path, file: BufWriter::new(file), bytes: 0, bytes_max })
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        let bytes = text.len() as u64 + 1;
        if self.bytes > 0 && self.bytes + bytes > self.bytes_max {
            self.rotate()?;
        }
        self.bytes += bytes;
        writeln!(self.file, "{text}")
    }

    /// Moves every file one number up, and the live one to `.1`; the oldest falls off the end.
    fn rotate(&mut self) -> io::Result<()> {
        self.file.flush()?;
        for number in (0..ROTATED_MAX).rev().filter(|number| self.rotated(*number).exists()) {
            fs::rename(self.rotated(number), self.rotated(number + 1))?;
        }
        self.file = BufWriter::new(File::create_new(&self.path)?);
        self.bytes = 0;
        Ok(())
    }

    /// Path of a rotated file; 0 is the live one.
    fn rotated(&self, number: u32) -> PathBuf {
        if number == 0 { self.path.clone() } else { PathBuf::from(format!("{}.{number}", self.path.display())) }
    }
}

/// Rotated files kept of a log, as by Hadoop's own `MaxBackupIndex`.
const ROTATED_MAX: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::story::Datanode;

    #[test]
    fn logs_are_rotated_by_renaming_and_keep_every_line_within_the_bound() {
        check(3, "live: 3 2 1");
        check(4, "live: 4; .1: 3 2 1");
        check(7, "live: 7; .1: 6 5 4; .2: 3 2 1");
    }

    #[test]
    fn the_oldest_file_falls_off_the_end() {
        let directory = tempfile::tempdir().expect("a directory");
        write(directory.path(), 3 * 30);
        let log = directory.path().join(Host::Namenode.log_name());
        assert!(File::open(format!("{}.20", log.display())).is_ok());
        assert!(File::open(format!("{}.21", log.display())).is_err());
    }

    #[test]
    fn every_host_has_a_log_and_no_log_of_others_is_overwritten() {
        let directory = tempfile::tempdir().expect("a directory");
        let logs = Logs::create(directory.path(), 100).expect("logs");
        assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), logs.logs.len());
        let error = Logs::create(directory.path(), 100).err().expect("an error").to_string();
        assert!(error.starts_with("failed to create log "), "{error}");
    }

    /// Writes lines 1, 2, … of ten bytes to a log of thirty, and shows its files, newest line first.
    fn check(lines: u32, expected: &str) {
        let directory = tempfile::tempdir().expect("a directory");
        write(directory.path(), lines);
        let files = ["", ".1", ".2", ".3"].map(|suffix| show(directory.path(), suffix));
        assert_eq!(files.into_iter().flatten().collect::<Vec<_>>().join("; "), expected);
    }

    fn write(directory: &Path, lines: u32) {
        let mut logs = Logs::create(directory, 30).expect("logs");
        for number in 1..=lines {
            logs.write(&Line { host: Host::Namenode, text: format!("{number:09}") }).expect("a line");
            logs.write(&Line { host: Host::Datanode(Datanode(2)), text: "other".to_string() }).expect("a line");
        }
        logs.flush().expect("a flush");
        assert_eq!(logs.lines(), u64::from(lines) * 2);
    }

    fn show(directory: &Path, suffix: &str) -> Option<String> {
        let text = fs::read_to_string(directory.join(format!("{}{suffix}", Host::Namenode.log_name()))).ok()?;
        let numbers: Vec<&str> = text.lines().rev().map(|line| line.trim_start_matches('0')).collect();
        Some(format!("{}: {}", if suffix.is_empty() { "live" } else { suffix }, numbers.join(" ")))
    }
}
