//! Runs the oracles over the committed corpus and over thousands of small changes to it, without a fuzzer.

use std::fs;
use std::path::Path;

use hdfs_vigil_fuzz::changes::{self, files};
use hdfs_vigil_fuzz::{block, frame, parse, template};

#[test]
fn frames() {
    run("frame", frame::check);
}

#[test]
fn headers() {
    run("parse", parse::check);
}

#[test]
fn templates() {
    run("template", template::check);
}

#[test]
fn block_ids() {
    run("block", block::check);
}

#[test]
fn the_corpus_is_small() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let sizes: Vec<u64> = ["frame", "parse", "template", "block", "checkpoint", "config"]
        .iter()
        .flat_map(|target| files(&folder.join(target)))
        .map(|file| fs::metadata(file).unwrap().len())
        .collect();
    assert!(sizes.iter().sum::<u64>() < 300_000, "the corpus has more than 300 kB: minimize it with `cargo fuzz cmin`");
}

fn run(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    changes::run(&corpus, 10, 100, Path::new(env!("CARGO_TARGET_TMPDIR")), check);
}
