//! Many files: few are open at once, each gets its turn, and a scan of them costs little.

use std::collections::BTreeSet;
use std::fs;

use hdfs_vigil::limits::{CHUNK_BYTES_MAX, DESCRIPTORS_MAX};

use crate::tail::Tail;

#[test]
fn more_logs_than_descriptors_are_all_read_to_their_end() {
    let logs = 2 * DESCRIPTORS_MAX + 1;
    let mut tail = Tail::new();
    for round in 0..3 {
        for number in 0..logs {
            tail.write(&format!("{number}.log"), &format!("{round}\n"));
        }
        tail.step();
        let open = fs::read_dir("/proc/self/fd").unwrap().flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        assert!(open.filter(|path| path.starts_with(tail.directory.path())).count() <= DESCRIPTORS_MAX);
    }
    for number in 0..logs {
        tail.check(&format!("{number}.log"), &["0", "1", "2"]);
    }
}

#[test]
fn a_huge_log_does_not_keep_the_others_waiting() {
    let mut tail = Tail::new();
    tail.write("huge.log", &"x".repeat(10 * CHUNK_BYTES_MAX));
    tail.write("small.log", "1\n");
    tail.scan();
    let ready: BTreeSet<_> = tail.follower.ready().collect();
    assert_eq!(ready.len(), 2, "both have something before either is read");
    assert_eq!(tail.follower.streams().map(|stream| stream.lag_bytes).collect::<Vec<_>>(), [10 * CHUNK_BYTES_MAX as u64, 2]);
    let mut buffer = vec![];
    for stream in ready {
        assert!(tail.follower.read(stream, &mut buffer).unwrap().bytes <= CHUNK_BYTES_MAX);
    }
    assert_eq!(tail.follower.ready().count(), 1);
}
