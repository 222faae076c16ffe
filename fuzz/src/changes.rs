//! Small changes to inputs, the same in every run: what the tests try without a fuzzer.

use std::fs;
use std::path::{Path, PathBuf};

/// Checks every input of a corpus as it is, and changed in so many ways. What fails is written into `findings`, so that it can be looked at.
///
/// # Panics
/// When an input fails, or there are fewer than `inputs_min`.
pub fn run(corpus: &Path, inputs_min: usize, changes: usize, findings: &Path, check: fn(&[u8])) {
    let paths = files(corpus);
    assert!(paths.len() >= inputs_min, "the corpus {} is there", corpus.display());
    let inputs: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).expect("it was listed")).collect();
    let finding = findings.join(format!("finding-{}", corpus.file_name().expect("it has a name").display()));
    let mut random = Random(0x2545_f491);
    for input in &inputs {
        hold(&finding, check, input);
        for _ in 0..changes {
            hold(&finding, check, &changed(&mut random, input, &inputs));
        }
    }
}

fn hold(finding: &Path, check: fn(&[u8]), input: &[u8]) {
    if std::panic::catch_unwind(|| check(input)).is_err() {
        fs::write(finding, input).expect("it can be written");
        panic!("{} fails", finding.display());
    }
}

/// The files of a folder, in the order of their names.
#[must_use]
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.sort();
    paths
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

/// xorshift (Marsaglia 2003, "Xorshift RNGs"): the same changes in every run.
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// A number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        self.next() as usize % bound
    }
}
