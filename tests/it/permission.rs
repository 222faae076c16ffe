//! Permission lost and regained: nothing stops, nothing is lost, it is told once and with a remedy.

use std::env;
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use hdfs_vigil::ingest::{Notice, StartAt};

use crate::tail::Tail;
use crate::vigil::pause;

#[test]
fn a_file_regained_goes_on_where_it_stood() {
    as_nobody("permission::a_file_regained_goes_on_where_it_stood", || {
        let mut tail = Tail::new();
        tail.write("x.log", "1\n");
        tail.step();
        tail.restart();
        tail.write("x.log", "2\n");
        chmod(&tail, "x.log", 0o000);
        tail.settle();
        tail.check("x.log", &["1"]);
        check_told_once(&tail);
        chmod(&tail, "x.log", 0o644);
        tail.settle();
        tail.check("x.log", &["1", "2"]);
        assert_eq!(tail.follower.counters().lost_sources, 0);
    });
}

#[test]
fn a_copy_of_a_file_that_cannot_be_opened_is_not_sent_again() {
    as_nobody("permission::a_copy_of_a_file_that_cannot_be_opened_is_not_sent_again", || {
        let (mut tail, read) = (Tail::new(), "1 is long enough to tell a copy by it\n");
        tail.write("x.log", read);
        tail.step();
        tail.restart();
        tail.step();
        chmod(&tail, "x.log", 0o200);
        tail.write("x.log.1", &format!("{read}2\n"));
        tail.truncate("x.log", 0);
        tail.write("x.log", "3\n");
        tail.settle();
        tail.check("x.log", &[read.trim_end()]);
        check_told_once(&tail);
        chmod(&tail, "x.log", 0o644);
        tail.settle();
        tail.check("x.log", &[read.trim_end(), "2", "3"]);
    });
}

#[test]
fn a_log_that_cannot_be_opened_after_a_restart_is_newer_than_its_rotated_files() {
    as_nobody("permission::a_log_that_cannot_be_opened_after_a_restart_is_newer_than_its_rotated_files", || {
        let mut tail = Tail::new();
        tail.write("x.log", "3\n");
        tail.step();
        chmod(&tail, "x.log", 0o200);
        tail.restart();
        tail.write("x.log.1", "1 was missing until now, and is long enough\n");
        tail.step();
        chmod(&tail, "x.log", 0o644);
        tail.settle();
        tail.write("x.log", "4\n");
        tail.settle();
        tail.check("x.log", &["3", "1 was missing until now, and is long enough", "4"]);
    });
}

#[test]
fn a_truncated_log_that_cannot_be_opened_after_a_restart_goes_on_where_it_stood() {
    as_nobody("permission::a_truncated_log_that_cannot_be_opened_after_a_restart_goes_on_where_it_stood", || {
        let mut tail = Tail::new();
        tail.write("x.log", "1\n2\n");
        tail.step();
        tail.truncate("x.log", 0);
        tail.write("x.log", "3\n");
        // What it was before is given up, and not yet forgotten: two sources have one inode.
        (0..3).for_each(|_| tail.step());
        tail.check("x.log", &["1", "2", "3"]);
        chmod(&tail, "x.log", 0o200);
        tail.restart();
        tail.write("x.log", "4\n");
        tail.step();
        tail.rename("x.log", "x.log.1");
        tail.write("x.log", "5\n");
        tail.settle();
        chmod(&tail, "x.log.1", 0o644);
        tail.settle();
        tail.check("x.log", &["1", "2", "3", "4", "5"]);
    });
}

#[test]
fn a_log_does_not_wait_for_a_file_of_another_one() {
    as_nobody("permission::a_log_does_not_wait_for_a_file_of_another_one", || {
        let mut tail = Tail::new();
        tail.write("x.log", "1\n");
        tail.step();
        tail.restart();
        tail.rename("x.log", "y.log");
        chmod(&tail, "y.log", 0o200);
        tail.write("x.log", "2\n");
        tail.settle();
        tail.check("x.log", &["1", "2"]);
    });
}

#[test]
fn a_directory_regained_goes_on_where_it_stood() {
    as_nobody("permission::a_directory_regained_goes_on_where_it_stood", || {
        let mut tail = Tail::new();
        tail.write("x.log", "1\n");
        tail.step();
        tail.restart();
        tail.write("x.log", "2\n");
        chmod(&tail, "", 0o000);
        tail.settle();
        check_told_once(&tail);
        chmod(&tail, "", 0o755);
        tail.settle();
        tail.check("x.log", &["1", "2"]);
        assert_eq!(tail.follower.counters().lost_sources, 0);
    });
}

#[test]
fn what_could_not_be_opened_at_the_first_scan_begins_where_it_would_have_begun() {
    as_nobody("permission::what_could_not_be_opened_at_the_first_scan_begins_where_it_would_have_begun", || {
        let mut tail = Tail::with(|settings| settings.start_at = StartAt::End);
        tail.write("x.log", "old\n");
        chmod(&tail, "x.log", 0o000);
        tail.settle();
        check_told_once(&tail);
        chmod(&tail, "x.log", 0o644);
        tail.step();
        tail.write("x.log", "new\n");
        tail.settle();
        tail.check("x.log", &["new"]);
    });
}

#[track_caller]
fn check_told_once(tail: &Tail) {
    let told: Vec<_> =
        tail.notices.iter().filter(|notice| matches!(notice, Notice::Failed { .. })).map(ToString::to_string).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("ermission denied") && told[0].contains("group"), "{told:?}");
    assert_eq!(tail.follower.counters().errors, 1);
}

fn chmod(tail: &Tail, name: &str, mode: u32) {
    fs::set_permissions(tail.path(name), Permissions::from_mode(mode)).unwrap();
}

/// Runs `test` as a user whom permissions bind: in this process, or for root in a copy of this program run by `nobody`.
fn as_nobody(name: &str, test: impl FnOnce()) {
    let is_root = fs::metadata("/proc/self").is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0);
    if !is_root {
        return test();
    }
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o777)).unwrap();
    let program = directory.path().join("it");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    let mut command = Command::new(&program);
    command.args(["--exact", name, "--nocapture"]).env("TMPDIR", directory.path()).current_dir("/").uid(NOBODY).gid(NOBODY);
    // Another test that starts a process may for a moment have inherited the copy while it was open for writing.
    let output = loop {
        match command.output() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => pause(10),
            output => break output.unwrap(),
        }
    };
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

const NOBODY: u32 = 65_534;
