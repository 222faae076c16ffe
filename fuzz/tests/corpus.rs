//! Runs the oracles over the committed corpus and over thousands of small changes to it, without a fuzzer.

use std::fs;
use std::path::{Path, PathBuf};

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
    let sizes: Vec<u64> = ["frame", "parse", "template", "block"]
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

/// One to four changes: bytes overwritten, taken out, doubled, or brought in from another input.
fn changed(random: &mut Random, input: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len() + 1);
        let end = bytes.len().min(at + 1 + random.below(24));
        match random.below(4) {
            0 if at < bytes.len() => {
                bytes[at] = [b'\n', b'\r', b' ', b'0', b'9', b'-', b'_', b'/', 0xff, random.next() as u8][random.below(10)]
            }
            1 => drop(bytes.drain(at..end)),
            2 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {
                let other = &others[random.below(others.len())];
                let from = random.below(other.len() + 1);
                let to = other.len().min(from + random.below(40));
                bytes.splice(at..at, other[from..to].iter().copied());
            }
        }
    }
    bytes
}

/// In the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// xorshift (Marsaglia 2003, "Xorshift RNGs"): the same changes in every run.
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        self.next() as usize % bound
    }
}

const CHANGES: usize = 300;
