//! What goes wrong with a block: faults that are put into the simulated cluster on purpose, and announced.

use rand_chacha::ChaCha8Rng;

use crate::cli::demo::story::{Act, Life, Step};

/// The kinds of faults, each as HDFS_v1's anomalous sessions show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// One of three DataNodes begins to receive its replica and never has it.
    ReplicaMissing,
    /// A DataNode cannot pass the data on; the client tries again with the two others, the NameNode orders a third replica.
    MirrorFailed,
    /// A DataNode is told to delete a replica that it no longer has.
    DeletionOfNothing,
    /// The client dies right after it began to write.
    UnfinishedWrite,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::ReplicaMissing, Self::MirrorFailed, Self::DeletionOfNothing, Self::UnfinishedWrite];

    /// What happened, for people.
    pub fn text(self) -> &'static str {
        match self {
            Self::ReplicaMissing => "a replica that is never received",
            Self::MirrorFailed => "a write that fails on its way to the next DataNode",
            Self::DeletionOfNothing => "the deletion of a replica that is not there",
            Self::UnfinishedWrite => "a write that ends right after it began",
        }
    }

    /// The life of a block that this happens to, in the order of time.
    pub fn story(self, rng: &mut ChaCha8Rng) -> Vec<Step> {
        let mut life = Life::new(rng);
        match self {
            Self::ReplicaMissing => replica_missing(&mut life),
            Self::MirrorFailed => mirror_failed(&mut life),
            Self::DeletionOfNothing => deletion_of_nothing(&mut life),
            Self::UnfinishedWrite => life.open_pipeline(1),
        }
        life.steps()
    }
}

/// The last member hangs: the two before it end well, since the client gives up on it.
fn replica_missing(life: &mut Life) {
    life.open_pipeline(3);
    life.pause(3, 40);
    life.complete(1);
    life.complete(0);
}

/// The order is that of HDFS_v1's sessions with a failed mirror: E10 E11, E12 E14 E7, then E5 E15 again for who is left.
fn mirror_failed(life: &mut Life) {
    let [first, second, third] = [0, 1, 2].map(|member| life.member(member));
    life.open_pipeline(3);
    life.pause(3, 10);
    life.tell(0, Act::ResponderFailed { at: third, place: 0 });
    life.tell(0, Act::ResponderEnds { at: third, place: 0 });
    life.tell_apart(Act::MirrorFailed { at: second, mirror: third });
    life.tell(0, Act::ReceiptFailed { at: second });
    life.tell(0, Act::WriteFailed { at: second });
    life.tell_apart(Act::Receiving { from: first, to: first });
    life.tell(0, Act::OffsetMoved { at: first });
    life.tell_apart(Act::Receiving { from: first, to: second });
    life.tell(0, Act::OffsetMoved { at: second });
    life.pause(3, 20);
    life.complete(1);
    life.complete(0);
    life.pause(6, 10);
    life.replicate(0);
}

fn deletion_of_nothing(life: &mut Life) {
    life.write();
    life.pause(5, 40);
    life.delete();
    life.pause(2, 20);
    life.tell(0, Act::DeletionFailed { at: life.member(1) });
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::cli::demo::story::tests::{counts, is_normal};

    #[test]
    fn faults_have_the_counts_of_anomalous_sessions() {
        check(FaultKind::ReplicaMissing, "E5x3 E9x2 E11x2 E22x1 E26x2");
        check(FaultKind::MirrorFailed, "E5x6 E6x1 E7x1 E9x2 E10x1 E11x3 E12x1 E14x1 E15x2 E16x1 E18x1 E22x1 E25x1 E26x3");
        check(FaultKind::DeletionOfNothing, "E5x3 E9x3 E11x3 E20x1 E21x3 E22x1 E23x3 E26x3");
        check(FaultKind::UnfinishedWrite, "E5x1 E22x1");
    }

    #[test]
    fn a_fault_is_over_in_time_to_be_told_before_the_demo_ends() {
        for kind in FaultKind::ALL {
            for seed in 0..1_000 {
                let last = kind.story(&mut ChaCha8Rng::seed_from_u64(seed)).last().expect("a story has acts").after_seconds;
                assert!(last <= 170, "{kind:?}, seed {seed}: {last} s");
            }
        }
    }

    fn check(kind: FaultKind, expected: &str) {
        for seed in 0..200 {
            let counts = counts(&kind.story(&mut ChaCha8Rng::seed_from_u64(seed)));
            assert_eq!(counts, expected, "{kind:?}, seed {seed}");
            assert!(!is_normal(&counts));
        }
    }
}
