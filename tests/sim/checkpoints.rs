//! Checkpoints as a daemon writes them, in memory: what has changed, in parts of any size, and now and then everything again.

use hdfs_vigil::daemon::ledger::{Instant, Ledger, Reader, Restored};
use hdfs_vigil::daemon::mutes::Mutes;
use hdfs_vigil::daemon::outbox::Outbox;
use hdfs_vigil::ingest::Saved;
use hdfs_vigil::pipeline::Pipeline;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// The entries of a journal.
#[derive(Default)]
pub struct Checkpoints {
    ledger: Ledger,
    /// From the base on.
    entries: Vec<Vec<u8>>,
    /// From which entry on everything is being written again.
    again_from: Option<usize>,
    /// A crash was just now.
    is_new: bool,
}

impl Checkpoints {
    /// What was on the disk when a program ended, with the checkpoint that counts last.
    pub fn of(entries: Vec<Vec<u8>>) -> Self {
        Self { entries, ..Self::default() }
    }

    /// What is on the disk.
    pub fn entries(&self) -> &[Vec<u8>] {
        &self.entries
    }

    /// Writes a checkpoint of a pipeline alone.
    pub fn save(&mut self, pipeline: &mut Pipeline, random: &mut ChaCha8Rng) {
        let (positions, outbox, mutes) = (Saved::default(), Outbox::default(), Mutes::default());
        self.save_all(&Instant { model_sha256: "", positions: &positions, outbox: &outbox, mutes: &mutes }, pipeline, random);
    }

    /// Writes a checkpoint.
    pub fn save_all(&mut self, instant: &Instant<'_>, pipeline: &mut Pipeline, random: &mut ChaCha8Rng) {
        let is_whole = pipeline.sessions().needs_everything();
        if is_whole {
            self.ledger.forget();
            pipeline.sessions().begin_changes();
        } else if self.again_from.is_none() && (self.is_new || random.random_bool(0.2)) {
            self.ledger.forget();
            pipeline.sessions().begin_again();
            self.again_from = Some(self.entries.len());
        }
        self.is_new = false;
        let mut entries = Vec::new();
        loop {
            let changes = pipeline.sessions().take_changes(random.random_range(1..4000));
            if pipeline.sessions().is_taken() {
                let again = pipeline.sessions().take_again(random.random_range(1..2000));
                entries.push(self.ledger.commit(instant, pipeline, vec![changes, again]).unwrap());
                break;
            }
            entries.push(Ledger::part(changes).unwrap());
        }
        self.entries.extend(entries.iter().cloned());
        if is_whole {
            (self.entries, self.again_from) = (entries, None);
        } else if let Some(from) = self.again_from.take_if(|_| pipeline.sessions().is_taken_again()) {
            self.entries.drain(..from);
        }
    }

    /// Reads the last one.
    pub fn read(&self) -> Restored {
        let mut reader = Reader::default();
        self.entries.iter().for_each(|entry| reader.apply(entry).unwrap());
        reader.finish().unwrap()
    }

    /// Goes on behind it with a pipeline that was made of it.
    pub fn go_on(&mut self, pipeline: &mut Pipeline) {
        pipeline.sessions().resume_changes();
        (self.ledger, self.again_from, self.is_new) = (Ledger::default(), None, true);
    }
}
