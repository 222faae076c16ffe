//! Disks that fill up, fail or vanish: small file systems in memory, which only root can mount.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file system of a few megabytes. It is unmounted when the value goes.
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Mounts one at `path`, which is made; `None` where that may not be, which the caller is told of.
    pub fn mount(path: &Path, megabytes: u32) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let mounted = mount(&["-t", "tmpfs", "-o", &format!("size={megabytes}m,nr_inodes=200"), "tmpfs"], path);
        if !mounted {
            assert!(
                std::env::var_os("CI").is_none_or(|ci| ci != "true"),
                "a continuous run is to mount file systems: run it as root"
            );
            println!("skipped: a file system cannot be mounted here; it takes root");
        }
        mounted.then(|| Self { path: path.to_owned() })
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        let ballast = fs::File::options().create(true).append(true).open(self.ballast()).unwrap();
        let chunk = [0_u8; 4096];
        while std::io::Write::write_all(&mut &ballast, &chunk).is_ok() {}
    }

    /// Gives that room back.
    pub fn empty(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    /// Lets nothing be written, or again. The kernel remounts no file system that somebody has open for writing, so another one that can
    /// only be read comes over it.
    pub fn set_read_only(&self, read_only: bool) {
        if read_only {
            assert!(mount(&["-t", "tmpfs", "-o", "ro", "tmpfs"], &self.path));
        } else {
            assert!(Command::new("umount").arg(&self.path).status().unwrap().success());
        }
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

fn mount(arguments: &[&str], path: &Path) -> bool {
    let mount = Command::new("mount").args(arguments).arg(path).stdout(Stdio::null()).stderr(Stdio::null()).status();
    mount.is_ok_and(|status| status.success())
}
