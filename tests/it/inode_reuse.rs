//! A new file on the inode of an old one is a new file.

use std::fs;
use std::os::unix::fs::MetadataExt;

use hdfs_vigil::ingest::Notice;

use crate::tail::Tail;

#[test]
fn a_new_file_on_an_old_inode_is_read_from_its_beginning() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n2\n");
    tail.step();
    // The inode is free only when nobody holds it.
    tail.restart();
    let inode = inode(&tail, "x.log");
    tail.remove("x.log");
    let is_reused = reuse(&tail, inode, "3\n4\n5\n");
    tail.settle();
    tail.check("x.log", &["1", "2", "3", "4", "5"]);
    if !is_reused {
        println!("skipped: this file system does not use inodes again at once");
    }
}

#[test]
fn a_reused_inode_in_a_rotated_chain_confuses_nobody() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n");
    tail.step();
    tail.roll("x.log", 1);
    tail.write("x.log", "2\n");
    tail.settle();
    tail.restart();
    let inode = inode(&tail, "x.log.1");
    tail.remove("x.log.1");
    tail.rename("x.log", "x.log.1");
    reuse(&tail, inode, "3\n");
    tail.settle();
    tail.check("x.log", &["1", "2", "3"]);
}

#[test]
fn an_open_file_keeps_its_inode() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n");
    tail.step();
    let inode = inode(&tail, "x.log");
    tail.remove("x.log");
    assert!(!reuse(&tail, inode, "2\n"));
    tail.settle();
    tail.check("x.log", &["1", "2"]);
}

#[test]
fn a_short_file_that_a_newer_one_has_outlived_is_not_the_live_one_again() {
    let mut tail = Tail::new();
    tail.write("x.log", "1\n");
    tail.step();
    tail.roll("x.log", 2);
    tail.write("x.log", "2");
    tail.step();
    // As if it were deleted: it comes back as what another one has made of its inode, which happens to begin like it.
    tail.rename("x.log", "aside");
    tail.write("x.log", "3\n");
    tail.step();
    tail.check("x.log", &["1"]);
    tail.roll("x.log", 2);
    tail.truncate("aside", 0);
    tail.write("aside", "2 is how another one begins\n");
    tail.rename("aside", "x.log");
    tail.settle();
    tail.check("x.log", &["1", "3", "2 is how another one begins"]);
    assert!(tail.has_notice(|notice| matches!(notice, Notice::Lost { bytes: 1, .. })), "{:#?}", tail.notices);
}

fn inode(tail: &Tail, name: &str) -> u64 {
    fs::metadata(tail.path(name)).unwrap().ino()
}

/// Makes `x.log` on that inode if the file system lets it happen within some tries.
fn reuse(tail: &Tail, wanted: u64, text: &str) -> bool {
    for number in 0..200 {
        let name = format!("try-{number}");
        tail.write(&name, "");
        if inode(tail, &name) == wanted || number == 199 {
            tail.write(&name, text);
            tail.rename(&name, "x.log");
            return inode(tail, "x.log") == wanted;
        }
    }
    false
}
