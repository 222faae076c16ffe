//! What is done to a log between two questions of the follower: nothing comes out of order, and nothing twice.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hdfs_vigil::ingest::disk::{Disk, Entry, File, HostDisk, Metadata, OpenFile};
use hdfs_vigil::ingest::fingerprint::HEAD_BYTES_MAX;
use hdfs_vigil::ingest::{Follower, Notice, Saved};

use crate::tail::{Tail, append};

#[test]
fn a_log_that_was_copied_and_truncated_between_listing_and_opening_is_read_in_order() {
    for is_known in [false, true] {
        let (mut tail, disk) = tail_of_first(is_known);
        disk.interrupt(Question::Open, rotate);
        tail.settle();
        tail.check("x.log", &[FIRST.trim_end(), "2"]);
    }
}

#[test]
fn a_log_that_was_truncated_between_listing_and_opening_is_told_of() {
    for is_known in [false, true] {
        let (mut tail, disk) = tail_of_first(is_known);
        disk.interrupt(Question::Open, |directory| fs::write(directory.join("x.log"), "2\n").unwrap());
        tail.settle();
        tail.check("x.log", &["2"]);
        assert_eq!(tail.follower.counters().truncated_sources, 1);
        assert!(tail.has_notice(|notice| matches!(notice, Notice::Truncated { .. })));
    }
}

#[test]
fn a_log_that_was_emptied_and_written_to_between_listing_and_openings_is_read_once() {
    let (mut tail, disk) = tail_of_first(true);
    disk.interrupt(Question::Open, |directory| drop(fs::File::create(directory.join("x.log")).unwrap()));
    disk.interrupt(Question::Open, |directory| append(&directory.join("x.log"), &format!("2{FIRST}")));
    tail.settle();
    tail.check("x.log", &[format!("2{FIRST}").trim_end()]);
    assert_eq!(tail.follower.counters().truncated_sources, 1);
}

#[test]
fn a_log_that_was_copied_and_truncated_between_the_look_and_the_reading_is_read_in_order() {
    let (mut tail, disk) = tail();
    tail.write("x.log", FIRST);
    tail.scan();
    disk.interrupt(Question::Read, rotate);
    tail.settle();
    tail.check("x.log", &[FIRST.trim_end(), "2"]);
}

#[test]
fn a_log_that_is_found_in_its_copy_comes_after_an_older_file_that_was_found_before_it() {
    let (mut tail, disk) = tail();
    tail.write("x.log", FIRST);
    tail.step();
    tail.rename("x.log", "x.log.2");
    tail.write("x.log", "3 is written after what this look does not show\n");
    tail.scan();
    tail.rename("x.log.2", "x.log.3");
    tail.write("x.log.2", "2 is shown by the next look\n");
    disk.interrupt(Question::Open, |directory| rotate_and_write(directory, "4\n"));
    tail.settle();
    let lines = [FIRST, "2 is shown by the next look", "3 is written after what this look does not show", "4"];
    tail.check("x.log", &lines.map(str::trim_end));
}

#[test]
fn a_log_that_is_renamed_at_the_first_look_after_a_restart_is_not_at_its_end() {
    let (mut tail, disk) = tail();
    tail.write("x.log", FIRST);
    tail.step();
    tail.write("x.log", "2\n");
    let saved = tail.follower.positions();
    tail.follower = Follower::on(Arc::new(disk.clone()), &tail.settings, saved, Box::new(|_| None)).unwrap();
    disk.interrupt(Question::Open, |directory| fs::rename(directory.join("x.log"), directory.join("x.log.1")).unwrap());
    tail.scan();
    let stream = tail.follower.streams().next().unwrap().id;
    assert!(!tail.follower.is_ready(stream) && tail.follower.waits_for(stream).is_some());
    tail.step();
    tail.check("x.log", &[FIRST.trim_end(), "2"]);
    assert_eq!(tail.follower.waits_for(stream), None);
}

/// Longer than what is written next, and known for what it is in a copy.
const FIRST: &str = "1 is the first line of the log\n";

fn rotate(directory: &Path) {
    rotate_and_write(directory, "2\n");
}

/// `copytruncate`, and the writer goes on.
fn rotate_and_write(directory: &Path, next: &str) {
    let (live, copy) = (directory.join("x.log"), directory.join("x.log.1"));
    fs::copy(&live, copy).unwrap();
    fs::File::create(&live).unwrap();
    append(&live, next);
}

/// A log that holds [`FIRST`] and was not looked at since; `is_known` when it was empty.
fn tail_of_first(is_known: bool) -> (Tail, Interrupted) {
    let (mut tail, disk) = tail();
    if is_known {
        tail.write("x.log", "");
        tail.step();
    }
    tail.write("x.log", FIRST);
    (tail, disk)
}

fn tail() -> (Tail, Interrupted) {
    let mut tail = Tail::new();
    let disk = Interrupted { directory: tail.directory.path().to_owned(), next: Arc::default() };
    tail.follower = Follower::on(Arc::new(disk.clone()), &tail.settings, Saved::default(), Box::new(|_| None)).unwrap();
    (tail, disk)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Open,
    /// Not of a head.
    Read,
}

/// What is done before which question.
type Interruption = (Question, fn(&Path));

/// The disk of the host, on which something is done, one thing after the other, before questions are answered.
#[derive(Clone, Debug)]
struct Interrupted {
    directory: PathBuf,
    /// The next one last.
    next: Arc<Mutex<Vec<Interruption>>>,
}

impl Interrupted {
    fn interrupt(&self, before: Question, by: fn(&Path)) {
        self.next.lock().unwrap().insert(0, (before, by));
    }

    fn ask(&self, question: Question) {
        let interruption = self.next.lock().unwrap().pop_if(|(before, _)| *before == question);
        if let Some((_, by)) = interruption {
            by(&self.directory);
        }
    }
}

impl Disk for Interrupted {
    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        HostDisk.list(directory)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        HostDisk.metadata(path)
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        HostDisk.canonicalize(path)
    }

    fn directories(&self, glob: &str) -> Vec<PathBuf> {
        HostDisk.directories(glob)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        self.ask(Question::Open);
        Ok(Arc::new(OpenOne { disk: self.clone(), file: HostDisk.open(path)? }))
    }
}

#[derive(Debug)]
struct OpenOne {
    disk: Interrupted,
    file: File,
}

impl OpenFile for OpenOne {
    fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset == 0 && buffer.len() < HEAD_BYTES_MAX {
            self.disk.ask(Question::Read);
        }
        self.file.read_at(buffer, offset)
    }
}
