//! The daemon under demonstration: the real program as a child process, its configuration, and what it tells.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

use crate::limits::{DEMO_ALERT_BYTES_MAX, DEMO_LOG_TAIL_BYTES_MAX};

/// Where everything of a demo lives.
#[derive(Clone, Debug)]
pub struct Places {
    /// The directory of the demo.
    pub root: PathBuf,
}

impl Places {
    /// The logs of the simulated cluster.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The daemon's configuration.
    pub fn config(&self) -> PathBuf {
        self.root.join("hdfs-vigil.toml")
    }

    /// The daemon's alerts, one JSON object a line.
    pub fn alerts(&self) -> PathBuf {
        self.root.join("alerts.jsonl")
    }

    /// What the daemon writes to its standard error.
    pub fn daemon_log(&self) -> PathBuf {
        self.root.join("daemon.log")
    }

    /// The daemon's checkpoints.
    pub fn state(&self) -> PathBuf {
        self.root.join("state")
    }
}

/// The configuration of a daemon that follows logs whose clock runs twenty times as fast as the wall's.
///
/// A second of log time is 50 ms here, less than the scheduler may take between two files; so the logs are merged over 20 s of it.
pub fn config(places: &Places, http: SocketAddr, model: Option<&Path>) -> String {
    let model = model.map(|path| format!("\n[model]\npath = {}\n", quote(path))).unwrap_or_default();
    format!(
        "# Written by `hdfs-vigil demo`.

[ingest]
paths = [{logs}]
start_at = \"beginning\"
scan_interval = \"500ms\"
timezone = \"UTC\"

[pipeline]
merge_delay = \"20s\"
session_quiet = \"300s\"
join_grace = \"1s\"
{model}
[alerts]
file = {alerts}

[http]
listen = \"{http}\"

[state]
directory = {state}
",
        logs = quote(&places.logs()),
        alerts = quote(&places.alerts()),
        state = quote(&places.state()),
    )
}

/// An address on this host that nobody listens on.
///
/// # Errors
/// The loopback interface has no free port.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("failed to find a free port on 127.0.0.1")?;
    listener.local_addr().context("failed to read the number of a free port")
}

/// A running daemon. It is killed when this is dropped, so that no demo leaves one behind.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `program run --config …`, in a process group of its own: a Ctrl-C in the terminal is for the demo alone.
    ///
    /// # Errors
    /// The program cannot be started or its log cannot be created.
    pub fn start(program: &Path, places: &Places) -> anyhow::Result<Self> {
        let log = places.daemon_log();
        let stderr = File::create(&log).with_context(|| format!("failed to create {}", log.display()))?;
        let mut command = Command::new(program);
        command.arg("run").arg("--config").arg(places.config()).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let child = command.spawn().with_context(|| format!("failed to start {}", program.display()))?;
        Ok(Self { child, log })
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// The operating system does not know the process.
    pub fn poll_exit(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.child.try_wait().context("failed to ask for the state of the daemon")
    }

    /// Asks it to end (SIGTERM) and waits until it has; kills it after `patience` and returns `None`.
    ///
    /// # Errors
    /// The operating system does not know the process.
    pub fn stop(&mut self, patience: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + patience;
        self.terminate();
        while Instant::now() < deadline {
            if let Some(status) = self.poll_exit()? {
                return Ok(Some(status));
            }
            std::thread::sleep(POLL);
        }
        Ok(None)
    }

    /// The end of what it wrote to its log.
    pub fn last_words(&self) -> String {
        tail(&self.log).unwrap_or_else(|error| format!("(failed to read {}: {error})", self.log.display()))
    }

    fn terminate(&self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // A child that has just ended cannot be signalled; the caller sees that it ended.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Follows the alerts file of the daemon.
pub struct AlertsFile {
    path: PathBuf,
    offset: u64,
    partial: Vec<u8>,
}

impl AlertsFile {
    /// Starts at the beginning of a file which need not exist yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, offset: 0, partial: Vec::new() }
    }

    /// The whole lines appended since the last call. A line longer than [`DEMO_ALERT_BYTES_MAX`] is dropped.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn read(&mut self) -> anyhow::Result<Vec<String>> {
        match File::open(&self.path) {
            Ok(file) => self.read_from(file).with_context(|| format!("failed to read {}", self.path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error).with_context(|| format!("failed to open {}", self.path.display())),
        }
    }

    fn read_from(&mut self, mut file: File) -> io::Result<Vec<String>> {
        if file.metadata()?.len() < self.offset {
            (self.offset, self.partial) = (0, Vec::new());
        }
        file.seek(SeekFrom::Start(self.offset))?;
        self.offset += file.read_to_end(&mut self.partial)? as u64;
        Ok(self.take_lines())
    }

    fn take_lines(&mut self) -> Vec<String> {
        let end = memchr::memrchr(b'\n', &self.partial).map_or(0, |newline| newline + 1);
        let whole: Vec<u8> = self.partial.drain(..end).collect();
        if self.partial.len() > DEMO_ALERT_BYTES_MAX {
            self.partial.clear();
        }
        String::from_utf8_lossy(&whole).lines().map(str::to_string).collect()
    }
}

/// A path as a TOML string. JSON escapes are a part of TOML's.
fn quote(path: &Path) -> String {
    serde_json::Value::from(path.to_string_lossy()).to_string()
}

fn tail(path: &Path) -> io::Result<String> {
    let text = fs::read(path)?;
    let start = text.len().saturating_sub(DEMO_LOG_TAIL_BYTES_MAX);
    Ok(String::from_utf8_lossy(&text[start..]).into_owned())
}

const POLL: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_configuration_is_toml_whatever_the_paths_are() {
        let places = Places { root: PathBuf::from("/tmp/a \"quoted\"\tplace\\") };
        for model in [None, Some(Path::new("m\"1.onnx"))] {
            let text = config(&places, free_address().expect("a port"), model);
            let parsed =
                ::config::Config::builder().add_source(::config::File::from_str(&text, ::config::FileFormat::Toml)).build();
            let parsed = parsed.unwrap_or_else(|error| panic!("{error}: {text}"));
            assert_eq!(parsed.get_string("alerts.file").expect("a path"), places.alerts().display().to_string());
            assert_eq!(parsed.get_string("model.path").ok().as_deref(), model.and_then(Path::to_str));
        }
    }

    #[test]
    fn alerts_are_read_once_and_whole() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("alerts.jsonl");
        let mut alerts = AlertsFile::new(path.clone());
        check(&mut alerts, &[]);
        append(&path, "one\ntw");
        check(&mut alerts, &["one"]);
        append(&path, "o\nthree\n");
        check(&mut alerts, &["two", "three"]);
        check(&mut alerts, &[]);
        fs::remove_file(&path).expect("a removal");
        append(&path, "four\n");
        check(&mut alerts, &["four"]);
    }

    #[test]
    fn a_daemon_that_dies_leaves_its_last_words() {
        let (_directory, mut daemon) = start("echo 'failed to load model' >&2; exit 3");
        let status = wait_for_exit(&mut daemon);
        assert_eq!(status.code(), Some(3));
        assert_eq!(daemon.last_words(), "failed to load model\n");
    }

    #[test]
    fn a_daemon_is_asked_to_end() {
        let (_directory, mut daemon) = start("trap 'echo bye >&2; exit 0' TERM; echo up >&2; while :; do sleep 0.01; done");
        wait_for_words(&daemon, "up\n");
        let status = daemon.stop(Duration::from_secs(20)).expect("a known process");
        assert_eq!(status.and_then(|status| status.code()), Some(0));
        assert_eq!(daemon.last_words(), "up\nbye\n");
    }

    #[test]
    fn a_daemon_that_does_not_end_is_killed_with_the_demo() {
        let (_directory, mut daemon) = start("trap '' TERM; echo up >&2; while :; do sleep 0.01; done");
        wait_for_words(&daemon, "up\n");
        assert!(daemon.stop(Duration::ZERO).expect("a known process").is_none());
        let pid = Pid::from_raw(i32::try_from(daemon.child.id()).expect("a pid")).expect("a pid");
        drop(daemon);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }

    fn check(alerts: &mut AlertsFile, expected: &[&str]) {
        assert_eq!(alerts.read().expect("alerts"), expected);
    }

    fn append(path: &Path, text: &str) {
        let mut file = File::options().append(true).create(true).open(path).expect("a file");
        file.write_all(text.as_bytes()).expect("a write");
    }

    /// A shell script in the place of the daemon.
    fn start(script: &str) -> (tempfile::TempDir, Daemon) {
        let directory = tempfile::tempdir().expect("a directory");
        let program = directory.path().join("daemon");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a script");
        fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("permissions");
        let places = Places { root: directory.path().to_path_buf() };
        let daemon = wait_for("the script can be run", || started(Daemon::start(&program, &places)));
        (directory, daemon)
    }

    /// A script just written is busy as long as another test's child, forked meanwhile, holds it open.
    fn started(result: anyhow::Result<Daemon>) -> Option<Daemon> {
        let busy = |error: &anyhow::Error| {
            error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::ExecutableFileBusy)
        };
        match result {
            Err(error) if busy(&error) => None,
            other => Some(other.expect("a daemon")),
        }
    }

    fn wait_for_exit(daemon: &mut Daemon) -> ExitStatus {
        wait_for("the daemon ends", || daemon.poll_exit().expect("a known process"))
    }

    fn wait_for_words(daemon: &Daemon, words: &str) {
        wait_for("the daemon speaks", || (daemon.last_words() == words).then_some(()));
    }

    fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(value) = condition() {
                return value;
            }
            assert!(Instant::now() < deadline, "timed out: {what}");
            std::thread::yield_now();
        }
    }
}
