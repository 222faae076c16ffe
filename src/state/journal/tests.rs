//! Whatever happens to the files, one of two checkpoints can be read, with just the entries that belong to it.

use std::time::Instant;

use super::*;
use crate::limits::TEMPLATES_MAX;
use crate::pipeline::event::template::Templates;
use crate::pipeline::event::template::changes::Changes;
use crate::pipeline::profile::{DrainSettings, Profile};
use crate::state::checkpoint::StateDirectory;

#[test]
fn a_mark_gives_the_entries_before_it_whatever_was_written_since() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut journal = Journal::new(directory.path(), Mark::default());
    let mut marks = vec![];
    for entry in ["everything", "more", "", "and more"] {
        journal.append(&entry, marks.is_empty()).expect("it can be written");
        marks.push(journal.mark());
    }
    check(directory.path(), marks[3], &["everything", "more", "", "and more"]);
    check(directory.path(), marks[1], &["everything", "more"]);
    let (mut journal, _) = Journal::read::<String>(directory.path(), marks[1]).expect("it is whole");
    journal.append(&"instead, and longer than what stood there", false).expect("it can be written");
    check(directory.path(), marks[1], &["everything", "more"]);
    check(directory.path(), journal.mark(), &["everything", "more", "instead, and longer than what stood there"]);
    assert!(Journal::read::<String>(directory.path(), marks[3]).is_err(), "what was written over is noticed");
}

#[test]
fn journals_that_no_checkpoint_needs_are_removed() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut journal = Journal::new(directory.path(), Mark::default());
    for (is_everything, expected) in [(true, &[1][..]), (false, &[1]), (true, &[1, 2]), (true, &[2, 3]), (false, &[2, 3])] {
        journal.append(&"entry", is_everything).expect("it can be written");
        journal.settle();
        assert_eq!(numbers(directory.path()), expected);
    }
    let again = Journal::new(directory.path(), journal.mark());
    assert!(again.needs_everything());
    fs::write(path(directory.path(), 4), "left behind by a crash").expect("it can be written");
    let mut again = again;
    again.append(&"everything", true).expect("it can be written");
    again.settle();
    assert_eq!(numbers(directory.path()), [3, 4]);
    check(directory.path(), again.mark(), &["everything"]);
}

#[test]
fn a_journal_begins_anew_when_it_has_outgrown_what_it_began_with() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut journal = Journal::new(directory.path(), Mark::default());
    assert!(journal.needs_everything());
    let everything = "x".repeat(10_000);
    journal.append(&everything, true).expect("it can be written");
    let bytes_max = GROWTH_MAX * journal.mark().bytes + SMALL_BYTES;
    while journal.mark().bytes <= bytes_max {
        assert!(!journal.needs_everything(), "{} bytes", journal.mark().bytes);
        journal.append(&&everything[..1000], false).expect("it can be written");
    }
    assert!(journal.needs_everything(), "{} bytes", journal.mark().bytes);
    journal.append(&everything, true).expect("it can be written");
    assert!(!journal.needs_everything());
    fs::remove_file(path(directory.path(), 2)).expect("it is there");
    assert!(journal.needs_everything(), "somebody has taken it away");
}

#[test]
fn what_cannot_be_written_is_written_as_a_whole_the_next_time() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let inner = directory.path().join("state");
    let mut journal = Journal::new(&inner, Mark::default());
    fs::write(&inner, "in the way").expect("it can be written");
    assert!(journal.append(&"everything", true).is_err());
    fs::remove_file(&inner).expect("it is there");
    assert!(journal.needs_everything());
    journal.append(&"everything", true).expect("it can be written");
    check(&inner, journal.mark(), &["everything"]);
}

#[test]
fn what_is_not_as_it_was_written_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut journal = Journal::new(directory.path(), Mark::default());
    journal.append(&"everything", true).expect("it can be written");
    let (mark, file) = (journal.mark(), path(directory.path(), 1));
    let whole = fs::read(&file).expect("it is there");
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        fs::write(&file, &bytes).expect("it can be written");
        assert!(Journal::read::<String>(directory.path(), mark).is_err(), "byte {at}");
        fs::write(&file, &whole[..at]).expect("it can be written");
        assert!(Journal::read::<String>(directory.path(), mark).is_err(), "cut at {at}");
    }
    fs::remove_file(&file).expect("it is there");
    assert!(Journal::read::<String>(directory.path(), mark).is_err());
    assert!(Journal::read::<String>(directory.path(), Mark { bytes: JOURNAL_BYTES_MAX + 1, ..mark }).is_err());
}

#[test]
fn templates_come_back_through_any_crash() {
    for seed in 0..25 {
        Run::new(seed).go();
    }
}

#[test]
fn ten_thousand_templates_load_at_once() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut journal = Journal::new(directory.path(), Mark::default());
    let vocabulary: Vec<String> = (0..3000).map(|n| format!("pinned {} <*>", letters(n))).collect();
    let profile = profile(&vocabulary.iter().map(String::as_str).collect::<Vec<_>>());
    let mut templates = Templates::new(&profile).expect("its masks are known");
    for n in 0..10_000 {
        templates.find(format!("pinned {} {n}", letters(n % 3000)).as_bytes());
        templates.find(format!("mined {} {} {}", letters(n), letters(n * 31), letters(n * 7)).as_bytes());
    }
    let changes = templates.take_changes();
    journal.append(&changes, changes.are_everything()).expect("it can be written");
    let begun = Instant::now();
    let (_, entries) = Journal::read::<Changes>(directory.path(), journal.mark()).expect("it is whole");
    let restored = Templates::new(&profile).expect("its masks are known").restored(&entries).expect("they follow");
    let (kept, took) = (restored.len() + TEMPLATES_MAX, begun.elapsed());
    println!("{kept} texts, {} bytes, read in {took:?}", journal.mark().bytes);
    assert_eq!(restored.whole(), templates.whole());
    assert!(kept > 10_000, "{kept}");
}

/// A daemon that finds templates, writes checkpoints, dies at any moment, and finds files torn; beside it, what each checkpoint held.
struct Run {
    random: u64,
    directory: tempfile::TempDir,
    state: Option<StateDirectory>,
    journal: Journal,
    templates: Templates,
    /// What the newest checkpoint and the one before held, the newest last.
    held: Vec<Changes>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (state, _) = StateDirectory::open(directory.path()).expect("it can be used");
        let journal = Journal::new(directory.path(), Mark::default());
        let templates = Templates::new(&profile(&["a <*> was read"])).expect("its masks are known");
        Self { random: seed * 7919 + 1, directory, state: Some(state), journal, templates, held: vec![] }
    }

    fn go(&mut self) {
        for _ in 0..120 {
            match self.draw(10) {
                0..5 => self.find(),
                5..8 => self.checkpoint(),
                8 => self.die_while_writing(),
                _ => self.die_and_tear(),
            }
        }
    }

    fn find(&mut self) {
        for _ in 0..self.draw(200) {
            let (word, other, number) = (self.draw(9), self.draw(30), self.draw(1000));
            let message = match self.draw(3) {
                0 => format!("a {} was read", letters(number)),
                1 => format!("{} x{number} did {}", letters(word), letters(other)),
                _ => format!("{} {}", letters(number), letters(other)),
            };
            self.templates.find(message.as_bytes());
        }
    }

    /// As the daemon does it.
    fn append(&mut self) {
        let everything = self.journal.needs_everything();
        let changes = if everything { self.templates.take_all() } else { self.templates.take_changes() };
        if !changes.is_empty() {
            self.journal.append(&changes, changes.are_everything()).expect("it can be written");
        }
    }

    fn checkpoint(&mut self) {
        self.append();
        self.state.as_ref().expect("it is open").write(&self.journal.mark()).expect("it can be written");
        self.journal.settle();
        self.held.push(self.templates.whole());
        self.held.drain(..self.held.len().saturating_sub(2));
    }

    /// The journal has an entry, and the checkpoint that would mark it is never written.
    fn die_while_writing(&mut self) {
        self.append();
        self.start(self.held.last().cloned());
    }

    /// The newest checkpoint, or its part of the journal, is not as it was written.
    fn die_and_tear(&mut self) {
        if self.held.len() < 2 {
            return;
        }
        let checkpoint = self.directory.path().join("checkpoint");
        let cut = fs::metadata(&checkpoint).expect("it is there").len() - 1;
        File::options().write(true).open(&checkpoint).and_then(|file| file.set_len(cut)).expect("it can be cut");
        self.held.pop();
        self.start(self.held.last().cloned());
        self.checkpoint();
        self.held.remove(0);
    }

    fn start(&mut self, expected: Option<Changes>) {
        self.state = None;
        let (state, _) = StateDirectory::open(self.directory.path()).expect("the other one is gone");
        let loaded = state.read(|mark| Journal::read::<Changes>(self.directory.path(), mark)).expect("one is whole");
        let fresh = Templates::new(&profile(&["a <*> was read"])).expect("its masks are known");
        match loaded {
            Some(loaded) => {
                (self.journal, self.templates) = (loaded.content.0, fresh.restored(&loaded.content.1).expect("they follow"))
            }
            None => (self.journal, self.templates) = (Journal::new(self.directory.path(), Mark::default()), fresh),
        }
        self.state = Some(state);
        assert_eq!(Some(self.templates.whole()).filter(|_| expected.is_some()), expected);
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below
    }
}

fn profile(vocabulary: &[&str]) -> Profile {
    Profile { drain: DrainSettings::hdfs(), ..crate::pipeline::profile::tests::profile(vocabulary) }
}

fn letters(mut n: u64) -> String {
    let mut text = String::new();
    loop {
        text.push(char::from(b'a' + (n % 26) as u8));
        n /= 26;
        if n == 0 {
            return text;
        }
    }
}

fn check(directory: &Path, mark: Mark, expected: &[&str]) {
    let (journal, entries) = Journal::read::<String>(directory, mark).expect("it is whole");
    assert_eq!((entries, journal.mark()), (expected.iter().map(|entry| (*entry).to_owned()).collect(), mark));
}

fn numbers(directory: &Path) -> Vec<u64> {
    let files = fs::read_dir(directory).expect("it is there").map(|file| file.expect("it can be listed").file_name());
    let mut numbers: Vec<u64> = files.filter_map(|name| number_of(name.to_str()?)).collect();
    numbers.sort_unstable();
    numbers
}
