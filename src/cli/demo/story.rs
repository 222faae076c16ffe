//! What happens to a block between its allocation and its deletion, as acts in time.
//!
//! Counts and orders are those of normal sessions in HDFS_v1 (Xu et al., SOSP 2009; LogHub): the tests hold them against
//! patterns that occur there. All pauses inside a write, between its end and a deletion, and inside a deletion stay under
//! 200 s, except the rest of [`Ending::DeletedLater`].

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// DataNodes of the simulated cluster.
pub const DATANODES: usize = 6;

/// One DataNode, `0..DATANODES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datanode(pub usize);

/// One thing that a NameNode or a DataNode does with a block, and says in its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The NameNode gives the block to a file.
    Allocate,
    /// A DataNode begins to receive a replica.
    Receiving { from: Datanode, to: Datanode },
    /// The responder of a pipeline member ends; `place` is 0 for the last member.
    ResponderEnds { at: Datanode, place: usize },
    /// A pipeline member holds the whole replica.
    Received { at: Datanode, from: Datanode },
    /// The NameNode knows of a replica.
    Stored { on: Datanode },
    /// A reader got the block.
    Served { at: Datanode, to: Datanode },
    /// A reader hung up early: normal, since readers of splits stop where they want to.
    ServeFailed { at: Datanode, to: Datanode },
    /// The scanner found a replica sound.
    Verified { at: Datanode },
    /// The NameNode wants a replica deleted.
    Invalidated { on: Datanode },
    /// A DataNode deletes its replica.
    Deleted { at: Datanode },
    /// The NameNode orders one more replica.
    ReplicationAsked { from: Datanode, to: Datanode },
    /// A DataNode begins to send its replica to another one.
    TransferStarted { from: Datanode, to: Datanode },
    /// A DataNode holds the replica that another one sent.
    ReceivedCopy { from: Datanode, to: Datanode },
    /// A DataNode has sent its replica.
    Transmitted { from: Datanode, to: Datanode },
    /// A DataNode was told to delete a replica that it does not have.
    DeletionFailed { at: Datanode },
    /// A pipeline member could not pass the data on.
    MirrorFailed { at: Datanode, mirror: Datanode },
    /// The data stopped coming.
    ReceiptFailed { at: Datanode },
    /// The write ends with an error.
    WriteFailed { at: Datanode },
    /// The responder of a pipeline member ends with an error.
    ResponderFailed { at: Datanode, place: usize },
    /// A retried write goes on inside the block file.
    OffsetMoved { at: Datanode },
}

/// An act and the seconds between the beginning of the story and it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Seconds of log time since the story began.
    pub after_seconds: i64,
    /// What happens then.
    pub act: Act,
}

/// A normal life, in the order of time.
pub fn normal(rng: &mut ChaCha8Rng) -> Vec<Step> {
    let ending = Ending::draw(rng);
    let mut life = Life::new(rng);
    life.write();
    match ending {
        Ending::Kept => {}
        Ending::Deleted => life.pass_and_delete(5, 100),
        Ending::DeletedLater => life.pass_and_delete(400, 1_000),
        Ending::ReadAndDeleted => life.read_and_delete(),
        Ending::Replicated => life.replicate_and_trim(),
    }
    life.steps()
}

/// How a normal life goes on after the write, with about the frequencies of HDFS_v1.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Kept,
    Deleted,
    DeletedLater,
    ReadAndDeleted,
    Replicated,
}

impl Ending {
    fn draw(rng: &mut ChaCha8Rng) -> Self {
        match rng.random_range(0..1_000) {
            0..180 => Self::Kept,
            180..560 => Self::Deleted,
            560..730 => Self::DeletedLater,
            730..995 => Self::ReadAndDeleted,
            _ => Self::Replicated,
        }
    }
}

/// A life as it is being told: acts are added at the present moment, pauses move it on.
pub struct Life<'a> {
    rng: &'a mut ChaCha8Rng,
    pipeline: [Datanode; 3],
    spare: Datanode,
    now: i64,
    steps: Vec<Step>,
}

impl<'a> Life<'a> {
    /// A block that is about to be written to three DataNodes.
    pub fn new(rng: &'a mut ChaCha8Rng) -> Self {
        let first = rng.random_range(0..DATANODES);
        let stride = *[1, DATANODES - 1].choose(rng).expect("two strides to choose from");
        let node = |i: usize| Datanode((first + i * stride) % DATANODES);
        Self { rng, pipeline: [node(0), node(1), node(2)], spare: node(3), now: 0, steps: Vec::new() }
    }

    /// The acts told so far, in the order of time; acts of one moment stay in the order in which they were told.
    pub fn steps(mut self) -> Vec<Step> {
        self.steps.sort_by_key(|step| step.after_seconds);
        self.steps
    }

    /// The whole write: allocation, three receipts, three replicas known.
    pub fn write(&mut self) {
        self.open_pipeline(3);
        self.pause(3, 40);
        (0..3).rev().for_each(|member| self.complete(member));
        self.pause(6, 6);
    }

    /// Allocation, and the first `members` of the pipeline begin to receive.
    pub fn open_pipeline(&mut self, members: usize) {
        self.tell(0, Act::Allocate);
        for member in 0..members {
            let (from, to) = (self.upstream(member), self.pipeline[member]);
            let delay = self.between(0, 2);
            self.tell(delay, Act::Receiving { from, to });
        }
    }

    /// A member of the pipeline ends its part well, within five seconds.
    pub fn complete(&mut self, member: usize) {
        let (at, from) = (self.pipeline[member], self.upstream(member));
        let done = self.between(0, 2);
        let known = done + self.between(1, 3);
        self.tell(done, Act::ResponderEnds { at, place: 2 - member });
        self.tell(done, Act::Received { at, from });
        self.tell(known, Act::Stored { on: at });
    }

    /// The deletion of three replicas, within a minute.
    pub fn delete(&mut self) {
        self.invalidate();
        self.pause(3, 30);
        for at in self.pipeline {
            let delay = self.between(0, 20);
            self.tell(delay, Act::Deleted { at });
        }
    }

    /// The NameNode wants all three replicas deleted.
    pub fn invalidate(&mut self) {
        for on in self.pipeline {
            self.tell(0, Act::Invalidated { on });
        }
    }

    /// The NameNode has one replica copied to a fourth DataNode.
    pub fn replicate(&mut self, source: usize) {
        let (from, to) = (self.pipeline[source], self.spare);
        self.tell_apart(Act::ReplicationAsked { from, to });
        self.tell_apart(Act::TransferStarted { from, to });
        self.tell_apart(Act::Receiving { from, to });
        self.tell_apart(Act::ReceivedCopy { from, to });
        self.tell_apart(Act::Transmitted { from, to });
        self.tell_apart(Act::Stored { on: to });
    }

    /// Adds an act `delay` seconds from the present moment.
    pub fn tell(&mut self, delay: i64, act: Act) {
        self.steps.push(Step { after_seconds: self.now + delay, act });
    }

    /// Adds an act some seconds after all others, so that no one-second stamp can blur their order.
    pub fn tell_apart(&mut self, act: Act) {
        self.pause(2, 8);
        self.tell(0, act);
    }

    /// Moves the present moment on by some seconds, between `low` and `high`.
    pub fn pause(&mut self, low: i64, high: i64) {
        self.now += self.between(low, high);
    }

    /// A number between `low` and `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        self.rng.random_range(low..=high)
    }

    /// A member of the pipeline: 0 is the one that the client writes to.
    pub fn member(&self, member: usize) -> Datanode {
        self.pipeline[member]
    }

    /// Who sends the data to a member: the one before it; the first has it from a client on its own host.
    pub fn upstream(&self, member: usize) -> Datanode {
        self.pipeline[member.saturating_sub(1)]
    }

    fn pass_and_delete(&mut self, low: i64, high: i64) {
        self.pause(low, high);
        self.delete();
    }

    fn read_and_delete(&mut self) {
        let reads = *READS.choose(self.rng).expect("READS is not empty");
        reads.iter().for_each(|read| self.read(*read));
        if self.rng.random_bool(0.3) {
            self.verify();
        }
        self.pass_and_delete(5, 40);
    }

    fn read(&mut self, read: Read) {
        let at = *self.pipeline.choose(self.rng).expect("a pipeline has three members");
        let to = Datanode(self.rng.random_range(0..DATANODES));
        self.tell_apart(match read {
            Read::Whole => Act::Served { at, to },
            Read::CutShort => Act::ServeFailed { at, to },
        });
    }

    fn verify(&mut self) {
        let at = *self.pipeline.choose(self.rng).expect("a pipeline has three members");
        self.tell_apart(Act::Verified { at });
    }

    /// In HDFS_v1 the new replica is reported twice, and one of the four replicas is deleted without an invalidation.
    fn replicate_and_trim(&mut self) {
        self.pause(10, 80);
        self.replicate(0);
        self.tell_apart(Act::Stored { on: self.spare });
        self.tell_apart(Act::Deleted { at: self.pipeline[1] });
    }
}

/// How a reader leaves.
#[derive(Clone, Copy, Debug)]
enum Read {
    Whole,
    CutShort,
}

/// The commonest reads of HDFS_v1's normal sessions, in their order.
const READS: [&[Read]; 6] = {
    use Read::{CutShort as C, Whole as W};
    [&[C, C, W], &[C, W, C], &[W, C, W], &[W, W, C, W, W, C], &[W, W, C, W, W, C, W, W, C], &[W, W, C, W, W, C, W, W, C, W, W, C]]
};

#[cfg(test)]
pub(super) mod tests {
    use rand::SeedableRng;

    use super::*;

    /// Counts of normal sessions as they stand in HDFS_v1, event numbers as in LogHub's template list.
    const NORMAL: [&str; 13] = [
        "E5x3 E9x3 E11x3 E22x1 E26x3",
        "E5x3 E9x3 E11x3 E21x3 E22x1 E23x3 E26x3",
        "E3x1 E4x2 E5x3 E9x3 E11x3 E21x3 E22x1 E23x3 E26x3",
        "E3x2 E4x1 E5x3 E9x3 E11x3 E21x3 E22x1 E23x3 E26x3",
        "E3x4 E4x2 E5x3 E9x3 E11x3 E21x3 E22x1 E23x3 E26x3",
        "E3x6 E4x3 E5x3 E9x3 E11x3 E21x3 E22x1 E23x3 E26x3",
        "E3x8 E4x4 E5x3 E9x3 E11x3 E21x3 E22x1 E23x3 E26x3",
        "E2x1 E3x1 E4x2 E5x3 E9x3 E11x3 E21x3 E22x1 E23x3 E26x3",
        "E2x1 E3x2 E4x1 E5x3 E9x3 E11x3 E21x3 E22x1 E23x3 E26x3",
        "E2x1 E3x4 E4x2 E5x3 E9x3 E11x3 E21x3 E22x1 E23x3 E26x3",
        "E2x1 E3x6 E4x3 E5x3 E9x3 E11x3 E21x3 E22x1 E23x3 E26x3",
        "E2x1 E3x8 E4x4 E5x3 E9x3 E11x3 E21x3 E22x1 E23x3 E26x3",
        "E5x4 E6x1 E9x3 E11x3 E16x1 E18x1 E21x1 E22x1 E25x1 E26x5",
    ];

    #[test]
    fn normal_lives_have_counts_that_occur_in_training() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..4_000 {
            let counts = counts(&normal(&mut ChaCha8Rng::seed_from_u64(seed)));
            assert!(is_normal(&counts), "seed {seed} gives {counts}");
            seen.insert(counts);
        }
        assert_eq!(seen.len(), NORMAL.len(), "every ending occurs: {seen:#?}");
    }

    #[test]
    fn a_life_is_told_in_the_order_of_time_and_rests_only_where_a_story_may_end() {
        for seed in 0..4_000 {
            let steps = normal(&mut ChaCha8Rng::seed_from_u64(seed));
            for pair in steps.windows(2) {
                let pause = pair[1].after_seconds - pair[0].after_seconds;
                let long_rest = matches!((pair[0].act, pair[1].act), (Act::Stored { .. }, Act::Invalidated { .. }));
                assert!((0..=100).contains(&pause) || (long_rest && pause <= 1_010), "seed {seed}: {pair:?}");
            }
        }
    }

    #[test]
    fn a_replica_is_known_only_after_it_was_received() {
        for seed in 0..500 {
            let mut held = 0i32;
            for step in normal(&mut ChaCha8Rng::seed_from_u64(seed)).iter().take(13) {
                held += i32::from(matches!(step.act, Act::Received { .. })) - i32::from(matches!(step.act, Act::Stored { .. }));
                assert!(held >= 0, "seed {seed}: {step:?}");
            }
        }
    }

    /// Whether a normal session with these counts occurs in training.
    pub fn is_normal(counts: &str) -> bool {
        NORMAL.contains(&counts)
    }

    /// How often each event occurs: `E5x3 E9x3 …`, by event number.
    pub fn counts(steps: &[Step]) -> String {
        let mut counts = std::collections::BTreeMap::<u32, u32>::new();
        steps.iter().for_each(|step| *counts.entry(event_number(step.act)).or_default() += 1);
        counts.iter().map(|(event, count)| format!("E{event}x{count}")).collect::<Vec<_>>().join(" ")
    }

    fn event_number(act: Act) -> u32 {
        match act {
            Act::Verified { .. } => 2,
            Act::Served { .. } => 3,
            Act::ServeFailed { .. } => 4,
            Act::Receiving { .. } => 5,
            Act::ReceivedCopy { .. } => 6,
            Act::WriteFailed { .. } => 7,
            Act::Received { .. } => 9,
            Act::ResponderFailed { .. } => 10,
            Act::ResponderEnds { .. } => 11,
            Act::MirrorFailed { .. } => 12,
            Act::ReceiptFailed { .. } => 14,
            Act::OffsetMoved { .. } => 15,
            Act::Transmitted { .. } => 16,
            Act::TransferStarted { .. } => 18,
            Act::DeletionFailed { .. } => 20,
            Act::Deleted { .. } => 21,
            Act::Allocate => 22,
            Act::Invalidated { .. } => 23,
            Act::ReplicationAsked { .. } => 25,
            Act::Stored { .. } => 26,
        }
    }
}
