//! Runs the oracles over the committed corpus and over thousands of small changes to it, without a fuzzer.

use std::fs;
use std::path::{Path, PathBuf};

use hdfs_vigil_fuzz::changes::{Random, changed};
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

/// Every input as it is, and changed in many ways. What fails is written beside the build, so that it can be looked at.
fn run(target: &str, check: fn(&[u8])) {
    let paths = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target));
    assert!(paths.len() >= 10, "the corpus of {target} is there");
    let inputs: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    let mut random = Random(0x2545_f491);
    for input in &inputs {
        hold(target, check, input);
        for _ in 0..CHANGES {
            let changed = changed(&mut random, input, &inputs);
            hold(target, check, &changed);
        }
    }
}

fn hold(target: &str, check: fn(&[u8]), input: &[u8]) {
    if std::panic::catch_unwind(|| check(input)).is_err() {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("finding-{target}"));
        fs::write(&path, input).unwrap();
        panic!("{target}: {} fails", path.display());
    }
}

/// In the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

const CHANGES: usize = 100;
