//! A file that two patterns name is followed once; what is no file is refused, once, and never opened.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use hdfs_vigil::ingest::{Notice, Refusal};

use crate::tail::Tail;

#[test]
fn the_same_file_by_three_patterns_comes_once() {
    let mut tail = Tail::new();
    for pattern in ["*.log", "x.*"] {
        tail.settings.patterns.push(tail.path(pattern).to_str().unwrap().to_owned());
    }
    tail.restart();
    tail.write("x.log", "1\n");
    tail.write("x.log.1", "0\n");
    tail.settle();
    tail.check("x.log", &["0", "1"]);
    assert_eq!(tail.follower.counters().opened_sources, 2);
}

#[test]
fn the_same_directory_by_two_paths_comes_once() {
    let mut tail = Tail::new();
    fs::create_dir(tail.path("a")).unwrap();
    symlink(tail.path("a"), tail.path("b")).unwrap();
    tail.settings.patterns = ["a", "b"].iter().map(|name| tail.path(name).to_str().unwrap().to_owned()).collect();
    tail.restart();
    tail.write("a/x.log", "1\n");
    tail.settle();
    tail.check("a/x.log", &["1"]);
    tail.check("b/x.log", &[]);
}

#[test]
fn what_is_no_file_is_refused_once_and_never_opened() {
    let mut tail = Tail::new();
    tail.settings.patterns = vec![tail.path("*.log").to_str().unwrap().to_owned()];
    tail.restart();
    fs::create_dir(tail.path("directory.log")).unwrap();
    assert!(Command::new("mkfifo").arg(tail.path("fifo.log")).status().unwrap().success());
    symlink("/dev/zero", tail.path("device.log")).unwrap();
    tail.write("x.log", "1\n");
    tail.settle();
    tail.check("x.log", &["1"]);
    let refused: Vec<_> =
        tail.notices.iter().filter(|notice| matches!(notice, Notice::Refused { reason: Refusal::NotRegular, .. })).collect();
    assert_eq!(refused.len(), 3, "{refused:?}");
    assert_eq!(tail.follower.counters().refused_files, 3);
}

#[test]
fn an_unknown_compression_is_named() {
    let mut tail = Tail::new();
    tail.settings.patterns = vec![tail.path("*.log*").to_str().unwrap().to_owned()];
    tail.restart();
    tail.write("x.log.1.xz", "packed");
    tail.settle();
    assert!(tail.has_notice(|notice| notice.to_string().contains("decompress it first")), "{:?}", tail.notices);
}
