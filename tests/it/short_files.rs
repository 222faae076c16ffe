//! Files shorter than their fingerprint, and files that begin alike.

use crate::tail::Tail;

#[test]
fn short_files_of_many_logs_are_all_read() {
    let mut tail = Tail::new();
    for name in ["a.log", "b.log", "c.log"] {
        tail.write(name, "1\n");
    }
    tail.settle();
    for name in ["a.log", "b.log", "c.log"] {
        tail.check(name, &["1"]);
    }
}

#[test]
fn an_empty_file_grows() {
    let mut tail = Tail::new();
    tail.write("x.log", "");
    tail.settle();
    tail.restart();
    tail.write("x.log", "1\n");
    tail.settle();
    tail.check("x.log", &["1"]);
}

#[test]
fn empty_files_rotate() {
    let mut tail = Tail::new();
    tail.write("x.log", "");
    tail.step();
    tail.roll("x.log", 3);
    tail.step();
    tail.roll("x.log", 3);
    tail.write("x.log", "1\n");
    tail.settle();
    tail.check("x.log", &["1"]);
}

#[test]
fn rotated_files_that_begin_alike_are_all_read() {
    let header = format!("{}\n", "STARTUP_MSG.".repeat(200));
    let mut tail = Tail::new();
    let mut expected = vec![];
    for number in 0..5 {
        tail.write("x.log", &format!("{header}{number}\n"));
        tail.step();
        tail.write("x.log", "end\n");
        expected.extend([header.trim_end().to_owned(), number.to_string(), "end".to_owned()]);
        tail.roll("x.log", 20);
    }
    tail.restart();
    tail.settle();
    tail.check("x.log", &expected.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn files_that_begin_alike_and_were_there_before_are_all_read() {
    let header = format!("{}\n", "STARTUP_MSG.".repeat(200));
    let mut tail = Tail::new();
    for (name, text) in [("x.log.2", "1 a\n"), ("x.log.1", "2 bb\n"), ("x.log", "3 ccc\n")] {
        tail.write(name, &format!("{header}{text}"));
    }
    tail.settle();
    let header = header.trim_end();
    tail.check("x.log", &[header, "1 a", header, "2 bb", header, "3 ccc"]);
}

#[test]
fn a_short_file_rotates_while_stopped() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n");
    tail.step();
    tail.roll("x.log", 3);
    tail.write("x.log", "1\n");
    tail.roll("x.log", 3);
    tail.write("x.log", "1\n1\n");
    tail.restart();
    tail.settle();
    tail.check("x.log", &["1"; 4]);
}
