//! Rename rotation: every line of every file, once, in the order in which it was written.

use std::fs;

use hdfs_vigil::ingest::Notice;

use crate::tail::Tail;

#[test]
fn a_rolled_log_goes_on_in_the_new_file() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n2\n");
    tail.step();
    tail.roll("x.log", 20);
    tail.write("x.log", "3\n");
    tail.settle();
    tail.check("x.log", &["1", "2", "3"]);
    assert!(tail.has_notice(|notice| matches!(notice, Notice::Rotated { .. })));
}

#[test]
fn the_last_lines_after_the_rename_come_before_the_new_file() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n");
    tail.step();
    tail.rename("x.log", "x.log.1");
    tail.write("x.log", "4\n");
    tail.step();
    tail.write("x.log.1", "2\n");
    tail.step();
    tail.write("x.log.1", "3\n");
    tail.settle();
    tail.check("x.log", &["1", "2", "3", "4"]);
}

#[test]
fn a_line_torn_by_rotation_is_flushed_at_the_end_of_its_file() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\ntorn");
    tail.step();
    tail.check("x.log", &["1"]);
    tail.roll("x.log", 20);
    tail.write("x.log", "2\n");
    tail.settle();
    tail.check("x.log", &["1", "torn", "2"]);
}

#[test]
fn a_line_in_two_pieces_stays_one_line_over_scans_and_restarts() {
    let mut tail = Tail::new();
    tail.write("x.log", "on");
    tail.step();
    tail.restart();
    tail.write("x.log", "e\r");
    tail.step();
    tail.write("x.log", "\n");
    tail.settle();
    tail.check("x.log", &["one\r"]);
}

#[test]
fn twenty_rotations_under_load_lose_nothing() {
    let mut tail = Tail::new();
    let mut expected = vec![];
    for number in 0..400 {
        let line = format!("line {number}");
        tail.write("x.log", &format!("{line}\n"));
        expected.push(line);
        if number % 20 == 19 {
            tail.roll("x.log", 20);
        }
        if number % 7 == 0 {
            tail.step();
        }
    }
    tail.settle();
    tail.check("x.log", &expected.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(tail.follower.counters().lost_sources, 0);
}

#[test]
fn the_file_between_two_rotations_while_stopped_is_not_lost() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n");
    tail.step();
    tail.write("x.log", "2\n");
    tail.roll("x.log", 20);
    tail.write("x.log", "3\n");
    tail.roll("x.log", 20);
    tail.write("x.log", "4\n");
    tail.restart();
    tail.settle();
    tail.check("x.log", &["1", "2", "3", "4"]);
    assert_eq!(tail.follower.counters().lost_sources, 0);
}

#[test]
fn a_file_that_fell_off_the_chain_while_stopped_is_counted_as_lost() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n");
    tail.step();
    tail.write("x.log", "never seen\n");
    for number in 2..5 {
        tail.roll("x.log", 2);
        tail.write("x.log", &format!("{number}\n"));
    }
    tail.restart();
    tail.settle();
    tail.check("x.log", &["1", "2", "3", "4"]);
    assert_eq!(tail.follower.counters().lost_sources, 1);
    assert!(tail.has_notice(|notice| matches!(notice, Notice::Lost { .. })));
}

#[test]
fn daily_files_are_read_oldest_first() {
    let mut tail = Tail::new();
    tail.write("x.log", "4\n");
    tail.write("x.log.2026-11-22", "3\n");
    tail.write("x.log.2026-11-21", "2\n");
    tail.write("x.log.2026-11-20-23", "1\n");
    tail.settle();
    tail.check("x.log", &["1", "2", "3", "4"]);
    tail.rename("x.log", "x.log.2026-11-23");
    tail.write("x.log", "5\n");
    tail.settle();
    tail.check("x.log", &["1", "2", "3", "4", "5"]);
}

#[test]
fn a_log_moved_out_of_every_pattern_is_read_to_its_end() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n");
    tail.step();
    tail.write("x.log", "2\n");
    tail.rename("x.log", "elsewhere");
    tail.write("x.log", "3\n");
    tail.settle();
    tail.check("x.log", &["1", "2", "3"]);
}

#[test]
fn a_log_renamed_to_another_log_is_not_sent_again() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n");
    tail.step();
    tail.rename("x.log", "x-old.log");
    tail.write("x.log", "2\n");
    tail.settle();
    tail.check("x.log", &["1", "2"]);
    tail.check("x-old.log", &[]);
}

#[test]
fn logs_in_a_directory_made_later_are_read_from_their_beginning() {
    let mut tail = Tail::new();
    tail.settings.patterns = vec![tail.path("later/logs").to_str().unwrap().to_owned()];
    tail.restart();
    tail.settle();
    fs::create_dir_all(tail.path("later/logs")).unwrap();
    tail.write("later/logs/x.log", "1\n");
    tail.settle();
    tail.check("later/logs/x.log", &["1"]);
}

#[test]
fn numbers_of_streams_and_sources_survive_a_restart() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n");
    tail.write("y.log", "1\n");
    tail.settle();
    let before = tail.follower.positions();
    tail.restart();
    tail.roll("y.log", 20);
    tail.settle();
    let after = tail.follower.positions();
    for (stream_before, stream_after) in before.streams.iter().zip(&after.streams) {
        assert_eq!((stream_before.id, &stream_before.name), (stream_after.id, &stream_after.name));
        assert_eq!(stream_before.sources[0].info.id, stream_after.sources[0].info.id);
    }
    assert_eq!(after.next_source, before.next_source + 1);
}

#[test]
fn it_is_known_what_rotation_deletes_before_unread_bytes() {
    let mut tail = Tail::new();
    for line in ["1\n", "2\n", "3\n"] {
        tail.write("x.log", line);
        tail.settle();
        tail.roll("x.log", 2);
    }
    tail.settle();
    tail.write("x.log", "4\n");
    for files_before in [2, 1, 0] {
        tail.scan();
        let standing = tail.follower.standings().next().unwrap();
        assert_eq!((standing.lag_bytes, standing.files_before, standing.is_nameless), (2, files_before, false));
        assert!(standing.rotated.files > 0 && standing.rotated.last_written.0 >= standing.rotated.last_written.1);
        tail.roll("x.log", 2);
    }
}

#[test]
fn a_writer_that_goes_on_in_the_renamed_file_after_a_pause_is_heard() {
    for text in ["", "3\n"] {
        let mut tail = Tail::new();
        tail.write("x.log", "1\n");
        tail.step();
        tail.rename("x.log", "x.log.1");
        tail.write("x.log", text);
        tail.settle();
        tail.write("x.log.1", "2\n");
        tail.settle();
        let read = [&["1"][..], &text.lines().collect::<Vec<_>>(), &["2"]].concat();
        tail.check("x.log", &read);
    }
}
