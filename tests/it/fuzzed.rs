//! Runs what must hold of every checkpoint and every configuration over the fuzzer's corpus and over thousands of small changes to it.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../../fuzz/src/changes.rs"]
mod changes;
#[path = "../../fuzz/src/checkpoint.rs"]
mod checkpoint;
#[path = "../../fuzz/src/config.rs"]
mod config;

use changes::{Random, changed};

#[test]
fn checkpoints() {
    run("checkpoint", checkpoint::check);
}

#[test]
fn configurations() {
    run("config", config::check);
}

/// Every input as it is, and changed in many ways. What fails is written beside the build, so that it can be looked at.
fn run(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 8, "the corpus of {target} is there");
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

const CHANGES: usize = 200;
