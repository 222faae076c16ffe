//! The journal under everything that a daemon, a crash and a bad disk do to it.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

use super::*;
use crate::state::directory::StateError;

#[test]
fn what_was_committed_is_read() {
    let mut world = World::new();
    world.checkpoint(&["a", "b"], Base::This);
    world.checkpoint(&["c"], Base::Former);
    assert_eq!(world.read(), ("a b c".to_owned(), false));
}

#[test]
fn an_empty_directory_has_no_checkpoint() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    assert!(Journal::open(directory.path()).expect("nothing is no error").1.is_none());
    assert!(Journal::open(&directory.path().join("none")).expect("nothing is no error").1.is_none());
}

#[test]
fn a_part_without_its_commit_is_nothing() {
    let mut world = World::new();
    world.checkpoint(&["a"], Base::This);
    world.journal.add_part(b"b").expect("it can be written");
    assert_eq!(world.read(), ("a".to_owned(), false));
}

#[test]
fn a_segment_goes_on_behind_the_last_commit_and_becomes_the_base_once_it_has_everything() {
    let mut world = World::new();
    world.checkpoint(&["a"], Base::This);
    world.begin();
    world.checkpoint(&["b"], Base::Former);
    assert_eq!(world.read().0, "a b");
    world.checkpoint(&["c"], Base::This);
    assert_eq!(world.read().0, "b c");
    assert_eq!(segments(world.path()).expect("it can be listed"), [1, 2], "the former base is the previous generation");
    world.begin();
    world.checkpoint(&["d"], Base::This);
    assert_eq!(segments(world.path()).expect("it can be listed"), [2, 3]);
}

#[test]
fn a_torn_end_costs_the_commits_that_it_tears_and_is_no_damage() {
    let mut world = World::new();
    world.checkpoint(&["a"], Base::This);
    let whole = world.length(1);
    world.checkpoint(&["b", "c"], Base::Former);
    for length in (whole..world.length(1)).rev() {
        world.truncate(1, length);
        assert_eq!(world.read(), ("a".to_owned(), false), "{length}");
    }
}

#[test]
fn a_garbled_byte_is_noticed_wherever_it_is() {
    let mut world = World::new();
    world.checkpoint(&["a"], Base::This);
    world.begin();
    world.checkpoint(&["b"], Base::This);
    let first = world.length(2);
    world.checkpoint(&["c"], Base::Former);
    for at in 0..world.length(2) {
        world.garble(2, at);
        let expected = if at < first { "a" } else { "b" };
        let (read, passed_over) = world.read();
        // A length that is too long looks as if the end were torn.
        let is_torn = (first as usize..first as usize + 4).contains(&(at as usize));
        assert_eq!((read.as_str(), passed_over || is_torn), (expected, true), "byte {at}");
        world.garble(2, at);
    }
}

#[test]
fn segments_that_were_swapped_or_removed_are_noticed() {
    let mut world = World::new();
    world.checkpoint(&["a"], Base::This);
    world.begin();
    world.checkpoint(&["b"], Base::This);
    let (one, two) = (path(world.path(), 1), path(world.path(), 2));
    fs::remove_file(&two).expect("it is there");
    assert_eq!(world.read().0, "a");
    fs::rename(&one, &two).expect("it is there");
    let error = Journal::open(world.path()).expect_err("nothing is whole");
    assert!(error.to_string().contains("it is segment 1 under another name"), "{error}");
}

#[test]
fn a_chain_with_a_link_missing_is_passed_over() {
    let mut world = World::new();
    world.checkpoint(&["a"], Base::This);
    world.begin();
    world.checkpoint(&["b"], Base::This);
    for text in ["c", "d"] {
        world.begin();
        world.checkpoint(&[text], Base::Former);
    }
    assert_eq!(world.read(), ("b c d".to_owned(), false));
    fs::remove_file(path(world.path(), 3)).expect("it is there");
    assert_eq!(world.read(), ("b".to_owned(), true));
}

#[test]
fn a_newer_format_is_refused_and_one_before_the_first_release_too() {
    let mut world = World::new();
    world.checkpoint(&["a"], Base::This);
    for (version, is_newer) in [(FORMAT_VERSION + 1, true), (FORMAT_VERSION - 1, false)] {
        let mut bytes = fs::read(path(world.path(), 1)).expect("it is there");
        bytes[8..12].copy_from_slice(&version.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..36]);
        bytes[36..40].copy_from_slice(&checksum.to_le_bytes());
        fs::write(path(world.path(), 1), bytes).expect("it can be written");
        let error = Journal::open(world.path()).expect_err("it is not read");
        assert_eq!(matches!(error, StateError::Newer { found, .. } if found == version), is_newer, "{error}");
        assert_eq!(matches!(error, StateError::Older { .. }), !is_newer, "{error}");
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("checkpoint"), "whatever").expect("it can be written");
    assert!(matches!(Journal::open(directory.path()), Err(StateError::Older { .. })));
}

#[test]
fn after_a_failure_a_new_segment_goes_on() {
    let mut world = World::new();
    world.checkpoint(&["a"], Base::This);
    assert!(world.journal.is_whole());
    fs::remove_dir_all(world.path()).expect("it is there");
    assert!(!world.journal.is_whole());
    world.journal.forget();
    assert!(world.journal.add_part(b"b").is_err(), "no segment was begun");
    world.begin();
    world.checkpoint(&["b"], Base::This);
    assert!(world.journal.is_whole());
    assert_eq!(world.read().0, "b");
}

/// Random programs of everything that a daemon, a crash and a bad disk do, against a list of what was committed.
#[test]
fn whatever_happens_the_newest_whole_checkpoint_is_read() {
    for seed in 0..300 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut world = World::new();
        let mut told: BTreeMap<Vec<String>, usize> = BTreeMap::new();
        let (mut has, mut behind) = (Vec::new(), Vec::new());
        for step in 0..random.random_range(1..60) {
            if world.journal.segment.is_none() || random.random_bool(0.15) {
                world.begin();
                behind = Vec::new();
            }
            let texts: Vec<String> = (0..random.random_range(1..4)).map(|part| format!("{seed}.{step}.{part}")).collect();
            let base = if has.is_empty() || random.random_bool(0.3) { Base::This } else { Base::Former };
            world.checkpoint(&texts.iter().map(String::as_str).collect::<Vec<_>>(), base);
            behind.extend(texts.iter().cloned());
            has.extend(texts);
            if base == Base::This {
                has.clone_from(&behind);
            }
            told.insert(has.clone(), step);
            if random.random_bool(0.1) {
                world.reopen();
                assert_eq!(world.read(), (has.join(" "), false), "seed {seed}, step {step}");
            }
        }
        let newest = told[&has];
        let number = *segments(world.path()).expect("it can be listed").last().expect("there is one");
        if random.random_bool(0.5) {
            let at = random.random_range(0..world.length(number));
            world.garble(number, at);
        } else {
            let length = random.random_range(0..world.length(number));
            world.truncate(number, length);
        }
        match Journal::open(world.path()) {
            Ok((_, Some(found))) => {
                let read = texts(found.entries);
                assert!(told.get(&read).is_some_and(|step| *step < newest), "seed {seed}: {read:?} was never a checkpoint");
            }
            Ok((_, None)) => panic!("seed {seed}: the journal is there"),
            Err(error) => assert!(number <= 1 || error.to_string().contains("damaged"), "seed {seed}: {error}"),
        }
    }
}

struct World {
    directory: TempDir,
    journal: Journal,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (mut journal, found) = Journal::open(directory.path()).expect("it is empty");
        assert!(found.is_none());
        journal.begin().expect("it can be begun");
        Self { directory, journal }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn begin(&mut self) {
        self.journal.begin().expect("it can be begun");
    }

    /// All but the last text are parts.
    fn checkpoint(&mut self, texts: &[&str], base: Base) {
        let (last, parts) = texts.split_last().expect("there is a text");
        for part in parts {
            self.journal.add_part(part.as_bytes()).expect("it can be written");
        }
        self.journal.commit(last.as_bytes(), base).expect("it can be written");
    }

    /// What is read of a copy, and whether something was passed over.
    fn read(&self) -> (String, bool) {
        let (_, found) = Journal::open(self.path()).expect("one is whole");
        let found = found.expect("there is one");
        let passed_over = found.passed_over.is_some();
        (texts(found.entries).join(" "), passed_over)
    }

    fn reopen(&mut self) {
        self.journal = Journal::open(self.path()).expect("it is whole").0;
    }

    fn length(&self, number: u64) -> u64 {
        fs::metadata(path(self.path(), number)).expect("it is there").len()
    }

    fn truncate(&self, number: u64, length: u64) {
        let file = File::options().write(true).open(path(self.path(), number)).expect("it is there");
        file.set_len(length).expect("it can be cut");
    }

    fn garble(&self, number: u64, at: u64) {
        let mut bytes = fs::read(path(self.path(), number)).expect("it is there");
        bytes[at as usize] ^= 0x55;
        fs::write(path(self.path(), number), bytes).expect("it can be written");
    }
}

fn texts(mut entries: Entries) -> Vec<String> {
    let (mut texts, mut content) = (Vec::new(), Vec::new());
    while entries.read(&mut content).expect("it can be read") {
        texts.push(String::from_utf8(content.clone()).expect("it is text"));
    }
    texts
}
