//! What checkpoints cost, and that each is the instant at which it was made.

use std::fs;
use std::path::PathBuf;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

use super::*;
use crate::daemon::begin::restore;
use crate::daemon::mutes::Mutes;
use crate::daemon::outbox::{Done, Outbox, Task, tests::alert};
use crate::ingest::Saved;
use crate::pipeline::Settings;
use crate::pipeline::event::StreamId;
use crate::pipeline::event::template::changes::Changes as TemplateChanges;
use crate::pipeline::kept::{Kept, SectionRef};
use crate::pipeline::profile::tests::profile;
use crate::pipeline::session::assemble;
use crate::pipeline::swap::tests::{read, settings};

#[test]
fn a_checkpoint_costs_what_was_said_and_not_what_is_open() {
    let costs = [2_000, 20_000].map(|open| {
        let mut world = World::new();
        world.say(0..open);
        world.checkpoint();
        let whole = world.written;
        assert!(whole > open * 20, "{open} sessions were written: {whole} bytes");
        (world.written, world.most) = (0, 0);
        for _ in 0..150 {
            world.say_of_some(100, open);
            world.checkpoint();
        }
        assert!(world.journal() < 10 * whole + 3 * SMALL_BYTES, "{open} sessions: {} bytes on disk", world.journal());
        world.written / 150
    });
    let [few, many] = costs;
    assert!(many < 2 * few, "{few} bytes with 2,000 sessions, {many} with 20,000");
}

#[test]
fn one_step_writes_a_bounded_part() {
    let mut world = World::new();
    world.say(0..60_000);
    world.checkpoint();
    assert!(world.steps > 2, "{} steps", world.steps);
    assert!(world.most < 2 * CHECKPOINT_SESSION_BYTES_MAX as u64, "{} bytes in one step", world.most);
    assert!(world.is_same());
}

#[test]
fn every_checkpoint_is_the_instant_at_which_it_was_made() {
    for seed in 0..6 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut world = World::new();
        world.keeper.as_mut().expect("it is there").part_bytes = 20_000;
        for step in 0..60 {
            let open = random.random_range(1..3000);
            world.say_of_some(random.random_range(0..400), open);
            world.tell(random.random_range(0..3));
            world.checkpoint();
            assert!(world.is_same(), "seed {seed}, step {step}");
            if random.random_bool(0.2) {
                world.restart();
            }
            if random.random_bool(0.2) {
                world.fail_once();
            }
        }
    }
}

#[test]
fn what_was_removed_is_written_anew() {
    let mut world = World::new();
    world.say(0..100);
    world.checkpoint();
    fs::remove_dir_all(&world.path).expect("it is there");
    world.say(50..70);
    world.checkpoint();
    assert!(world.is_same());
    let newest = fs::read_dir(&world.path).expect("it was made anew").flatten();
    for file in newest.filter(|file| file.file_name().to_string_lossy().ends_with(".journal")) {
        fs::remove_file(file.path()).expect("it is there");
    }
    world.checkpoint();
    assert!(world.is_same());
}

struct World {
    _parent: TempDir,
    path: PathBuf,
    keeper: Option<Keeper>,
    pipeline: Pipeline,
    outbox: Outbox,
    told: u128,
    offset: u64,
    random: ChaCha8Rng,
    /// Bytes written, the most in one step, and steps.
    written: u64,
    most: u64,
    steps: usize,
}

impl World {
    fn new() -> Self {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let path = parent.path().join("state");
        let mut pipeline = Pipeline::new(roomy(), profile(&["<*> was opened"])).expect("its masks are known");
        pipeline.open_stream(STREAM, "dn.log", false);
        let keeper = Some(Keeper::new(open(&path), Journal::open(&path).expect("it is empty").0, &mut pipeline, false));
        let (outbox, random) = (Outbox::default(), ChaCha8Rng::seed_from_u64(1));
        Self { _parent: parent, path, keeper, pipeline, outbox, told: 0, offset: 0, random, written: 0, most: 0, steps: 0 }
    }

    fn say(&mut self, blocks: std::ops::Range<u64>) {
        let said = blocks.map(|block| {
            let odd = block % 97 == 5;
            format!("blk_{block} {}", if odd { format!("met odd{} on its way", block % 1000) } else { "was opened".to_owned() })
        });
        let said: Vec<String> = said.collect();
        for said in said.chunks(500) {
            let said: Vec<&str> = said.iter().map(String::as_str).collect();
            read(&mut self.pipeline, self.offset, &said);
            self.offset += 1 << 16;
        }
        while self.pipeline.poll_alert().is_some() {}
    }

    fn say_of_some(&mut self, count: usize, open: u64) {
        for _ in 0..count {
            let block = self.random.random_range(0..open);
            self.say(block..block + 1);
        }
    }

    fn tell(&mut self, alerts: usize) {
        for _ in 0..alerts {
            self.told += 1;
            self.outbox.push(alert(self.told), true, None);
        }
        if self.random.random_bool(0.3) {
            for task in Task::ALL {
                let Some(errand) = self.outbox.take_next(task) else { continue };
                let id = errand.alert.id;
                self.outbox.handle_done(if task == Task::Show { Done::Shown(id) } else { Done::Sent(id) });
            }
        }
    }

    fn checkpoint(&mut self) {
        loop {
            match self.step().expect("it can be written") {
                Step::More { bytes } => {
                    self.count(bytes);
                    // What is said meanwhile is in the checkpoint too.
                    self.say_of_some(2, 5000);
                }
                Step::Written { bytes, .. } => return self.count(bytes),
            }
        }
    }

    fn step(&mut self) -> Result<Step, StateError> {
        let (positions, mutes) = (Saved::default(), Mutes::default());
        let instant = Instant { model_sha256: "m", positions: &positions, outbox: &self.outbox, mutes: &mutes };
        let keeper = self.keeper.as_mut().expect("it is there");
        keeper.hold_directory(&mut self.pipeline)?;
        keeper.step(&instant, &mut self.pipeline)
    }

    fn count(&mut self, bytes: u64) {
        self.written += bytes;
        self.most = self.most.max(bytes);
        self.steps += 1;
    }

    fn journal(&self) -> u64 {
        self.keeper.as_ref().expect("it is there").journal_bytes()
    }

    /// The disk is full when a checkpoint is on its way, or the directory is a file.
    fn fail_once(&mut self) {
        self.checkpoint();
        self.say_of_some(50, 3000);
        let keeper = self.keeper.as_mut().expect("it is there");
        keeper.journal.fill_disk();
        let (positions, mutes) = (Saved::default(), Mutes::default());
        let instant = Instant { model_sha256: "m", positions: &positions, outbox: &self.outbox, mutes: &mutes };
        let failed = (0..100).any(|_| keeper.step(&instant, &mut self.pipeline).is_err());
        assert!(failed && self.pipeline.sessions().needs_everything(), "nobody knows what is on the disk");

        let aside = self.path.with_extension("aside");
        fs::rename(&self.path, &aside).expect("it is there");
        fs::write(&self.path, "no directory").expect("it can be written");
        assert!(self.step().is_err());
        fs::remove_file(&self.path).expect("it is there");
        fs::rename(&aside, &self.path).expect("it is there");
    }

    fn restart(&mut self) {
        self.keeper = None;
        let (journal, restored) = restore(&self.path).expect("it is whole");
        let restored = restored.expect("there is one");
        let mut pipeline = pipeline(restored.pipeline, &restored.templates);
        pipeline.open_stream(STREAM, "dn.log", false);
        self.keeper = Some(Keeper::new(open(&self.path), journal, &mut pipeline, true));
        self.pipeline = pipeline;
    }

    /// Whether what is read is what there is.
    fn is_same(&mut self) -> bool {
        let (_, restored) = restore(&self.path).expect("it is whole");
        let restored = restored.expect("there is one");
        let mut read = pipeline(restored.pipeline, &restored.templates);
        let told = |outbox: &Outbox| outbox.waiting().map(|(number, waiting)| (number, encoded(waiting))).collect::<Vec<_>>();
        everything(&mut read) == everything(&mut self.pipeline) && told(&restored.outbox) == told(&self.outbox)
    }
}

fn open(path: &Path) -> StateDirectory {
    StateDirectory::open(path).expect("it can be used").0
}

fn pipeline(kept: Kept, templates: &[TemplateChanges]) -> Pipeline {
    Pipeline::restore(roomy(), profile(&["<*> was opened"]), kept, templates, true).expect("it is its own")
}

/// All that a pipeline keeps, its templates too, in one order, but for which logs are closed: a restart opens them all.
fn everything(pipeline: &mut Pipeline) -> (Vec<Vec<u8>>, assemble::Kept) {
    let sections = pipeline.sections().filter(|section| !matches!(section, SectionRef::Front(_)));
    let mut sections: Vec<Vec<u8>> = sections.map(|section| encoded(&section)).collect();
    sections.push(encoded(&pipeline.take_templates()));
    sections.sort_unstable();
    (sections, pipeline.sessions().copied())
}

fn encoded(value: &impl serde::Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).expect("it can be written")
}

const STREAM: StreamId = StreamId(0);

fn roomy() -> Settings {
    let settings = settings();
    Settings { assemble: assemble::Settings { bytes_max: 1 << 26, ..settings.assemble }, ..settings }
}
