//! Directories that come and go under a glob: those of new hosts are read from their beginning.

use std::fs;
use std::time::Duration;

use hdfs_vigil::ingest::{StartAt, Waker};

use crate::tail::Tail;

#[test]
fn a_directory_that_comes_to_match_is_read_from_its_beginning() {
    let mut tail = with_glob("hosts/*/logs/*.log");
    tail.settle();
    for host in ["dn1", "dn2"] {
        let log = make(&tail, host);
        tail.write(&log, "1\n");
        tail.settle();
        tail.check(&log, &["1"]);
    }
    tail.write("hosts/dn1/logs/x.log", "2\n");
    tail.settle();
    tail.check("hosts/dn1/logs/x.log", &["1", "2"]);
    tail.check("hosts/dn2/logs/x.log", &["1"]);
}

#[test]
fn a_directory_that_comes_while_stopped_is_read_from_its_beginning() {
    let mut tail = with_glob("hosts/*/logs/*.log");
    tail.settle();
    let log = make(&tail, "dn1");
    tail.write(&log, "1\n");
    tail.restart();
    tail.settle();
    tail.check(&log, &["1"]);
}

#[test]
fn a_directory_that_is_renamed_takes_its_logs_along() {
    let mut tail = with_glob("hosts/*/logs/*.log");
    tail.settle();
    let log = make(&tail, "dn1");
    tail.write(&log, "1\n");
    tail.settle();
    tail.rename("hosts/dn1", "hosts/dn2");
    tail.write("hosts/dn2/logs/x.log", "2\n");
    tail.settle();
    let all = [tail.lines(&log), tail.lines("hosts/dn2/logs/x.log")].concat();
    assert_eq!(all, ["1", "2"], "{:#?}", tail.notices);
    assert_eq!(tail.follower.counters().lost_sources, 0);
}

#[test]
fn a_new_directory_wakes_once_it_was_seen() {
    let mut tail = with_glob("hosts/*/logs/*.log");
    let mut waker = Waker::new();
    let log = make(&tail, "dn1");
    tail.step();
    waker.watch(tail.follower.directories());
    assert_eq!(waker.unwatched(), 0);
    tail.write(&log, "1\n");
    waker.signal().recv_timeout(Duration::from_secs(60)).unwrap();
    tail.settle();
    tail.check(&log, &["1"]);
}

/// `start_at` says nothing of what appears later.
fn with_glob(pattern: &str) -> Tail {
    let mut tail = Tail::with(|settings| settings.start_at = StartAt::End);
    tail.settings.patterns = vec![tail.path(pattern).to_str().unwrap().to_owned()];
    tail.restart();
    tail
}

/// Makes the directory of a host; the name of its log.
fn make(tail: &Tail, host: &str) -> String {
    fs::create_dir_all(tail.path(&format!("hosts/{host}/logs"))).unwrap();
    format!("hosts/{host}/logs/x.log")
}
