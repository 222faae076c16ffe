//! The real binary as its users run it, for the tests that need one: a place of its own, logs that can be written, and its alerts.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A directory with logs, a configuration and whatever the daemon writes.
pub struct Place {
    directory: TempDir,
}

/// A daemon that is killed when it is dropped.
pub struct Vigil {
    child: Child,
}

impl Place {
    /// An empty place whose daemon follows `logs/`, with these lines added to its configuration.
    pub fn new(more: &str) -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir(place.logs()).unwrap();
        let path = |name: &str| place.path(name).display().to_string();
        let config = format!(
            "[ingest]\npaths = [{:?}]\nstart_at = \"beginning\"\nscan_interval = \"50ms\"\ntimezone = \"UTC\"\n\
             [pipeline]\njoin_grace = \"0s\"\nsilence = \"1h\"\n[model]\npath = {:?}\n[alerts]\nfile = {:?}\n\
             [http]\nlisten = \"\"\n[state]\ndirectory = {:?}\ncheckpoint_interval = \"100ms\"\n{more}",
            path("logs"),
            model().display().to_string(),
            path("alerts.jsonl"),
            path("state"),
        );
        fs::write(place.path("vigil.toml"), config).unwrap();
        place
    }

    /// Adds a second configuration over the first.
    pub fn configure(&self, more: &str) {
        fs::write(self.path("more.toml"), more).unwrap();
    }

    /// The directory of logs.
    pub fn logs(&self) -> PathBuf {
        self.path("logs")
    }

    /// A path in this place.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts the daemon.
    pub fn start(&self) -> Vigil {
        self.start_into(Stdio::null())
    }

    /// Starts the daemon with this standard output.
    pub fn start_into(&self, stdout: Stdio) -> Vigil {
        let stderr = File::options().create(true).append(true).open(self.path("stderr")).unwrap();
        let mut command = self.command(&["run", "--config"]);
        command.arg(self.path("vigil.toml"));
        if self.path("more.toml").exists() {
            command.arg("--config").arg(self.path("more.toml"));
        }
        let command = command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        Vigil { child: command.spawn().unwrap() }
    }

    /// Runs the program to its end: exit code, what it printed, what it complained of.
    pub fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// Every alert written so far, as JSON.
    pub fn alerts(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.path("alerts.jsonl")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Ids of all alerts written so far.
    pub fn alert_ids(&self) -> BTreeSet<String> {
        self.alerts().iter().map(|alert| alert["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Ids of the alerts that the same logs give when nothing goes wrong.
    pub fn undisturbed(&self) -> BTreeSet<String> {
        let [logs, model, out] = [self.logs(), model(), self.path("undisturbed.jsonl")].map(|path| path.display().to_string());
        let config = self.path("vigil.toml").display().to_string();
        let arguments = ["replay", &logs, "--model", &model, "--config", &config, "--alerts", &out, "--json"];
        let (code, _, complaint) = self.run(&arguments);
        assert_eq!(code, Some(0), "{complaint}");
        let text = fs::read_to_string(out).unwrap();
        let alerts = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let ids: BTreeSet<String> = alerts.map(|alert| alert["id"].as_str().unwrap().to_owned()).collect();
        assert!(ids.len() > 10, "the logs give something to tell: {}", ids.len());
        ids
    }

    /// The segments of its journal of checkpoints, oldest first.
    pub fn journal(&self) -> Vec<PathBuf> {
        let Ok(files) = fs::read_dir(self.path("state")) else { return Vec::new() };
        let paths = files.map(|file| file.unwrap().path());
        let mut journal: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|ending| ending == "journal")).collect();
        journal.sort();
        journal
    }

    /// What the daemon answers at `path`; nothing while it does not listen yet, or is not told to (`http.listen`).
    pub fn get(&self, path: &str) -> String {
        let said = self.said();
        let address = said.lines().rfind(|line| line.contains("Answering")).and_then(|line| line.split_once("address="));
        let answer = address.and_then(|(_, address)| get(address.trim(), path).ok());
        answer.unwrap_or_default()
    }

    /// The value of a metric by its name without the prefix of the program; 0 while there is none.
    pub fn metric(&self, name: &str) -> f64 {
        let line = format!("hdfs_vigil_{name} ");
        self.get("/metrics").lines().find_map(|found| found.strip_prefix(&line)?.parse().ok()).unwrap_or_default()
    }

    /// What the daemon said of itself.
    pub fn said(&self) -> String {
        fs::read_to_string(self.path("stderr")).unwrap_or_default()
    }

    /// Waits until `condition` holds.
    pub fn wait_for(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !condition(self) {
            assert!(Instant::now() < deadline, "waited too long for {what}; the daemon said:\n{}", self.said());
            pause(10);
        }
    }

    /// Waits until what is `measured` is as wanted, for as long as it goes on changing.
    pub fn wait_as_long_as_it_moves(&self, what: &str, measured: impl Fn(&Self) -> f64, is_wanted: impl Fn(f64) -> bool) {
        let (mut last, mut deadline) = (f64::NAN, Instant::now());
        loop {
            let now = measured(self);
            if is_wanted(now) {
                return;
            }
            if now != last {
                (last, deadline) = (now, Instant::now() + DEADLINE);
            }
            assert!(Instant::now() < deadline, "waited too long for {what}, at {now}; the daemon said:\n{}", self.said());
            pause(50);
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hdfs-vigil"));
        command.args(arguments).current_dir(self.directory.path()).env_remove("RUST_LOG");
        if let Some(library) = std::env::var_os("ORT_DYLIB_PATH") {
            command.env("ORT_DYLIB_PATH", library);
        }
        command
    }
}

impl Vigil {
    /// Ends it as a crash of the machine would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and waits.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.child.wait().unwrap()
    }

    /// What it writes to standard output, if that is a pipe.
    pub fn take_stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().unwrap()
    }

    /// Time on a core that it has taken so far, in ticks of a hundredth of a second, proc_pid_stat(5).
    pub fn cpu_ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, rest) = stat.rsplit_once(") ").unwrap();
        rest.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }

    /// The most memory that it has held so far, bytes.
    pub fn peak_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Where its descriptors lead.
    pub fn open_files(&self) -> Vec<PathBuf> {
        let held = fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().flatten();
        held.filter_map(|entry| fs::read_link(entry.path()).ok()).collect()
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Vigil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets another process go on for so many milliseconds.
pub fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

/// The shipped model.
pub fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/hdfs-v1/model.onnx")
}

/// Lines of the 2008 layout: a block is written every ten seconds, every seventh is left unfinished, every eleventh meets a failure; at
/// the end comes a line that is much later, so that everything has been quiet.
pub fn story_lines(blocks: u64) -> Vec<String> {
    stories(blocks, |block| block % 7 == 3, |block| block % 11 == 5)
}

/// The same, with what goes wrong with which block as given.
pub fn stories(blocks: u64, ends_early: impl Fn(u64) -> bool, fails: impl Fn(u64) -> bool) -> Vec<String> {
    let stories = (0..blocks).flat_map(|block| story(block, ends_early(block), fails(block)));
    let mut lines: Vec<(u64, String)> = stories.collect();
    lines.sort_by_key(|(second, _)| *second);
    let end = lines.last().map_or(0, |(second, _)| second + 3000);
    lines.push((end, "dfs.DataNode: BlockReport of 7 blocks got processed in 3 msecs".to_owned()));
    lines.into_iter().map(|(second, message)| format!("{} 21 INFO {message}", stamp(second))).collect()
}

/// Appends lines to a log, each with its line break.
pub fn append(path: &Path, lines: &[String]) {
    let mut file = File::options().create(true).append(true).open(path).unwrap();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    file.write_all(text.as_bytes()).unwrap();
}

fn get(address: &str, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: vigil\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

fn story(block: u64, ends_early: bool, fails: bool) -> Vec<(u64, String)> {
    let (name, begin) = (format!("blk_{}", block * 7919 + 1), block * 10);
    let receiving =
        |n: u64| format!("dfs.DataNode$DataXceiver: Receiving block {name} src: /10.0.0.{n}:4{block:04} dest: /10.0.0.{n}:50010");
    let allocated = format!("dfs.FSNamesystem: BLOCK* NameSystem.allocateBlock: /user/a/part-{block:05}. {name}");
    let mut messages = vec![receiving(1), allocated, receiving(2), receiving(3)];
    for n in 1..=3 {
        messages.push(format!("dfs.DataNode$PacketResponder: PacketResponder {} for block {name} terminating", 3 - n));
        messages.push(format!("dfs.DataNode$PacketResponder: Received block {name} of size 67108864 from /10.0.0.{n}"));
    }
    let stored = |n: u64| {
        format!(
            "dfs.FSNamesystem: BLOCK* NameSystem.addStoredBlock: blockMap updated: 10.0.0.{n}:50010 is added to {name} size 67108864"
        )
    };
    messages.extend((1..=3).map(stored));
    if ends_early {
        messages.truncate(3);
    }
    if fails {
        messages.push(format!(
            "dfs.DataNode$DataXceiver: writeBlock {name} received exception java.io.IOException: Could not read from stream"
        ));
    }
    messages.into_iter().enumerate().map(|(index, message)| (begin + index as u64 / 4, message)).collect()
}

fn stamp(second: u64) -> String {
    format!("0811{:02} {:02}{:02}{:02}", 9 + second / 86_400, second / 3600 % 24, second / 60 % 60, second % 60)
}

const DEADLINE: Duration = Duration::from_secs(60);
