//! Runs what must hold of every checkpoint and every configuration over the fuzzer's corpus and over thousands of small changes to it.

use std::path::Path;

#[path = "../../fuzz/src/changes.rs"]
mod changes;
#[path = "../../fuzz/src/checkpoint.rs"]
mod checkpoint;
#[path = "../../fuzz/src/config.rs"]
mod config;

#[test]
fn checkpoints() {
    run("checkpoint", checkpoint::check);
}

#[test]
fn configurations() {
    run("config", config::check);
}

fn run(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    changes::run(&corpus, 8, 200, Path::new(env!("CARGO_TARGET_TMPDIR")), check);
}
