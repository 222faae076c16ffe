//! Files whose first KiB is the same are told apart by what follows.

use std::fs;

use hdfs_vigil::ingest::Mode;
use hdfs_vigil::ingest::codec::Codec;
use hdfs_vigil::ingest::fingerprint::HEAD_BYTES_MAX;

use crate::tail::{Tail, pack};

#[test]
fn two_logs_that_begin_alike_are_both_read() {
    let mut tail = Tail::new();
    for name in ["a.log", "b.log"] {
        tail.write(name, &format!("{}\n{name}\n", banner()));
    }
    tail.settle();
    tail.roll("a.log", 2);
    tail.remove("b.log");
    tail.write("b.log", &format!("{}\nagain\n", banner()));
    tail.settle();
    tail.check("a.log", &[&banner(), "a.log"]);
    tail.check("b.log", &[&banner(), "b.log", &banner(), "again"]);
}

#[test]
fn a_copy_of_one_is_not_taken_for_a_copy_of_the_other() {
    for restarts in [false, true] {
        let mut tail = Tail::new();
        tail.write("x.log", &format!("{}\n1\n", banner()));
        tail.settle();
        tail.roll("x.log", 3);
        tail.write("x.log", &format!("{}\n22\n", banner()));
        tail.settle();
        if restarts {
            tail.restart();
        }
        fs::copy(tail.path("x.log"), tail.path("x.log.0")).unwrap();
        tail.truncate("x.log", 0);
        tail.write("x.log", &format!("{}\n333\n", banner()));
        tail.settle();
        tail.check("x.log", &[&banner(), "1", &banner(), "22", &banner(), "333"]);
    }
}

#[test]
fn compressed_files_beside_a_log_that_begins_alike_are_read() {
    for (codec, mode) in Codec::ALL.into_iter().flat_map(|codec| [(codec, Mode::Follow), (codec, Mode::Once)]) {
        let mut tail = Tail::with(|settings| settings.mode = mode);
        for (name, text) in [("x.log.3", "1"), ("x.log.2", "22")] {
            let bytes = pack(codec, format!("{}\n{text}\n", banner()).as_bytes());
            fs::write(tail.path(&format!("{name}{}", codec.suffix())), bytes).unwrap();
        }
        for (name, text) in [("x.log.1", "333"), ("x.log", "4444")] {
            tail.write(name, &format!("{}\n{text}\n", banner()));
        }
        tail.settle();
        tail.check("x.log", &[&banner(), "1", &banner(), "22", &banner(), "333", &banner(), "4444"]);
    }
}

#[test]
fn a_copy_compressed_beside_its_original_is_not_sent_again_when_the_original_moves_on() {
    for codec in Codec::ALL {
        let mut tail = Tail::new();
        let text = format!("{}\n1\n", banner());
        tail.write("x.log.1", &text);
        tail.write("x.log", &format!("{}\n22\n", banner()));
        tail.settle();
        fs::write(tail.path(&format!("x.log.1{}", codec.suffix())), pack(codec, text.as_bytes())).unwrap();
        tail.settle();
        tail.rename("x.log.1", "x.log.2");
        tail.restart();
        tail.settle();
        tail.check("x.log", &[&banner(), "1", &banner(), "22"]);
    }
}

/// What a daemon says when it starts, the same every time, and longer than what files are known by.
fn banner() -> String {
    format!("STARTUP_MSG: {}", "/".repeat(HEAD_BYTES_MAX))
}
