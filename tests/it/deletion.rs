//! Deleted files: what is left is read while a descriptor holds it, and then the descriptor is given back.

use std::fs;
use std::path::Path;

use hdfs_vigil::ingest::Notice;

use crate::tail::Tail;

#[test]
fn what_is_left_of_a_deleted_file_is_read_and_its_descriptor_closed() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n");
    tail.step();
    assert!(is_open(&tail.path("x.log")));
    tail.write("x.log", "2\n");
    tail.remove("x.log");
    tail.settle();
    tail.check("x.log", &["1", "2"]);
    assert!(!is_open(&tail.path("x.log")));
    assert!(tail.has_notice(|notice| matches!(notice, Notice::Deleted { .. })));
    assert_eq!((tail.follower.counters().deleted_sources, tail.follower.counters().lost_sources), (1, 0));
    assert_eq!(tail.follower.positions().streams[0].sources, [], "a deleted file that was read is forgotten");
}

#[test]
fn a_log_deleted_and_made_anew_goes_on() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n");
    tail.step();
    tail.write("x.log", "2\n");
    tail.remove("x.log");
    tail.write("x.log", "3\n");
    tail.settle();
    tail.check("x.log", &["1", "2", "3"]);
}

#[test]
fn a_file_deleted_while_stopped_is_counted_as_lost() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\npartial");
    tail.step();
    tail.remove("x.log");
    tail.restart();
    tail.write("x.log", "2\n");
    tail.settle();
    tail.check("x.log", &["1", "partial", "2"]);
    assert_eq!(tail.follower.counters().lost_sources, 1);
}

#[test]
fn a_file_deleted_before_it_was_opened_says_what_it_cost() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n2\n");
    tail.scan();
    tail.remove("x.log");
    tail.settle();
    tail.check("x.log", &[]);
    assert_eq!((tail.follower.counters().lost_sources, tail.follower.counters().lost_bytes), (1, 4));
}

#[test]
fn a_file_that_comes_back_before_its_turn_is_read_all_the_same() {
    check_return(|away, path| assert!(fs::rename(away, path).is_ok()));
}

#[test]
fn a_file_of_which_a_copy_comes_before_its_turn_is_read_all_the_same() {
    check_return(|away, path| assert!(fs::copy(away, path.with_extension("log.2")).is_ok()));
}

/// The newer of two logs goes before its turn, and comes back.
fn check_return(come_back: fn(&Path, &Path)) {
    let mut tail = Tail::new();
    for (name, line) in [("x.log.1", "1\n"), ("x.log", "2\n")] {
        tail.write(name, line);
    }
    tail.scan();
    let away = tempfile::tempdir_in(tail.path("").parent().unwrap()).unwrap();
    fs::rename(tail.path("x.log"), away.path().join("x.log")).unwrap();
    (0..5).for_each(|_| tail.scan());
    assert_eq!(tail.follower.counters().lost_sources, 1, "nothing was read meanwhile, and it is gone");
    come_back(&away.path().join("x.log"), &tail.path("x.log"));
    tail.settle();
    tail.check("x.log", &["1", "2"]);
}

#[test]
fn a_log_that_is_moved_away_and_back_goes_on() {
    for scans in 0..3 {
        let mut tail = Tail::new();
        tail.write("x.log", "1\n");
        tail.step();
        tail.rename("x.log", "aside");
        (0..scans).for_each(|_| tail.step());
        tail.rename("aside", "x.log");
        tail.write("x.log", "2\n");
        tail.settle();
        tail.check("x.log", &["1", "2"]);
        assert_eq!(tail.follower.counters().lost_sources, 0, "{scans}");
    }
}

#[test]
fn a_whole_directory_may_go_and_come_back() {
    let mut tail = Tail::new();
    tail.settings.patterns = vec![tail.path("logs").to_str().unwrap().to_owned()];
    tail.restart();
    fs::create_dir(tail.path("logs")).unwrap();
    tail.write("logs/x.log", "1\n");
    tail.settle();
    fs::remove_dir_all(tail.path("logs")).unwrap();
    tail.settle();
    fs::create_dir(tail.path("logs")).unwrap();
    tail.write("logs/x.log", "2\n");
    tail.settle();
    tail.check("logs/x.log", &["1", "2"]);
    assert_eq!(tail.follower.positions().next_stream, 1, "the stream keeps its number");
}

/// Whether this process holds a descriptor of a file that had this path.
fn is_open(path: &Path) -> bool {
    let held = fs::read_dir("/proc/self/fd").unwrap().flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    held.into_iter().any(|target| target.to_string_lossy().starts_with(path.to_str().unwrap()))
}
