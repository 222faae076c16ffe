//! Asks what a user may read and write, and says what would let it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// The user whose rights count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    name: String,
    /// Whether that is somebody else than who asks.
    other: bool,
}

impl User {
    /// The user called `name`; without a name the service's user where root asks and that user exists, else whoever asks.
    ///
    /// # Errors
    /// When there is no such user, or it is another one and somebody else than root asks.
    pub fn find(name: Option<&str>) -> anyhow::Result<Self> {
        let own = run("id", &["-un"]).context("ask for the name of this user")?;
        let root = fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0);
        let Some(name) = name else {
            let service = root && run("id", &["-u", SERVICE_USER]).is_ok();
            return Ok(Self { name: if service { SERVICE_USER.to_owned() } else { own }, other: service });
        };
        if run("id", &["-u", name]).is_err() {
            bail!(
                "there is no user {name}; create it (systemd-sysusers does with systemd/hdfs-vigil.sysusers.conf), or name another"
            );
        }
        if name != own && !root {
            bail!("only root can look with the rights of {name}; run it with sudo, or without --user");
        }
        Ok(Self { name: name.to_owned(), other: name != own })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Those of `paths` that it may not read. The system is asked, so that access lists count.
    pub fn unreadable<'a>(&self, paths: impl Iterator<Item = &'a Path>) -> BTreeSet<PathBuf> {
        let paths: Vec<&Path> = paths.collect();
        paths.chunks(PATHS_AT_ONCE).flat_map(|paths| self.refused("-r", paths)).collect()
    }

    /// Whether it may write into `directory`.
    pub fn may_write(&self, directory: &Path) -> bool {
        self.refused("-w", &[directory]).is_empty()
    }

    /// The command that lets it read `path`: joining the group that owns the log where that is enough, else an access list.
    pub fn remedy(&self, path: &Path) -> String {
        let directory = path.parent().unwrap_or(path).display();
        let user = &self.name;
        match group_that_reads(path) {
            Some(group) => format!("sudo usermod --append --groups {group} {user}, then start what runs as {user} again"),
            None => format!("sudo setfacl --recursive --modify u:{user}:rX --modify d:u:{user}:rX {directory}"),
        }
    }

    /// Those of `paths` for which the system's `test` says no, or which it cannot be asked about.
    fn refused(&self, test: &str, paths: &[&Path]) -> Vec<PathBuf> {
        let script = format!("for path; do [ {test} \"$path\" ] || printf '%s\\0' \"$path\"; done");
        let mut command = if self.other { Command::new("runuser") } else { Command::new("sh") };
        if self.other {
            command.args(["-u", &self.name, "--", "sh"]);
        }
        let output = command.args(["-c", &script, "sh"]).args(paths).output();
        let Ok(output) = output.as_ref().map_err(|_| ()).and_then(|output| output.status.success().then_some(output).ok_or(()))
        else {
            return paths.iter().map(|path| path.to_path_buf()).collect();
        };
        let refused = output.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        refused.map(|path| PathBuf::from(String::from_utf8_lossy(path).into_owned())).collect()
    }
}

/// The group whose members may read `path` and enter its folder, if there is one that is not root's.
fn group_that_reads(path: &Path) -> Option<String> {
    let (file, folder) = (fs::metadata(path).ok()?, fs::metadata(path.parent()?).ok()?);
    let enters = folder.mode() & 0o001 != 0 || (folder.mode() & 0o010 != 0 && folder.gid() == file.gid());
    if file.mode() & 0o040 == 0 || !enters || file.gid() == 0 {
        return None;
    }
    let groups = fs::read_to_string("/etc/group").ok()?;
    let gid = file.gid().to_string();
    let line = groups.lines().find(|line| line.split(':').nth(2) == Some(&gid))?;
    line.split(':').next().map(str::to_owned)
}

fn run(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(arguments).output().with_context(|| format!("run {program}"))?;
    if !output.status.success() {
        bail!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The user of systemd/hdfs-vigil.service.
const SERVICE_USER: &str = "hdfs-vigil";
/// Paths in one command line; a path has at most 4096 bytes, a command line at least 2 MB.
const PATHS_AT_ONCE: usize = 256;
