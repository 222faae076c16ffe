//! A small HDFS cluster in one seeded state machine: log time goes in, log lines come out.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::cli::demo::fault::FaultKind;
use crate::cli::demo::line::{Block, Host, Line, act_line, noise_line};
use crate::cli::demo::story::{self, Step};
use crate::limits::DEMO_BLOCKS_MAX;
use crate::pipeline::event::LogTime;

/// A NameNode and six DataNodes that write, read and delete blocks. The same seed and calls give the same lines.
pub struct Cluster {
    rng: ChaCha8Rng,
    now: LogTime,
    birth_gap_millis: f64,
    queue: BinaryHeap<Reverse<Due>>,
    queued: u64,
    blocks: u64,
}

impl Cluster {
    /// A cluster whose clock stands at `start` and which writes about `lines_per_log_second`, once blocks of all ages are alive.
    pub fn new(seed: u64, start: LogTime, lines_per_log_second: f64) -> Self {
        let birth_gap_millis = 1_000.0 * LINES_PER_BLOCK / (lines_per_log_second - NOISE_PER_LOG_SECOND).max(1.0);
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let mut cluster = Self { rng, now: start, birth_gap_millis, queue: BinaryHeap::new(), queued: 0, blocks: 0 };
        cluster.push(start, Happening::Birth);
        Host::all().for_each(|host| cluster.push(start, Happening::Noise(host)));
        cluster
    }

    /// Blocks that have come to life so far, faulty ones included.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Lets time pass until `now`; gives the lines of that time to `write`, in the order of time.
    pub fn advance(&mut self, now: LogTime, write: &mut impl FnMut(Line)) {
        while let Some(due) = self.pop_until(now) {
            self.now = due.at;
            self.handle(due.happening, write);
        }
        self.now = self.now.max(now);
    }

    /// Lets a block come to life now that goes wrong; gives its number.
    pub fn inject(&mut self, kind: FaultKind) -> i64 {
        let steps = kind.story(&mut self.rng);
        self.begin(steps)
    }

    fn pop_until(&mut self, now: LogTime) -> Option<Due> {
        let due = self.queue.peek().is_some_and(|Reverse(due)| due.at <= now);
        if due { self.queue.pop().map(|Reverse(due)| due) } else { None }
    }

    fn handle(&mut self, happening: Happening, write: &mut impl FnMut(Line)) {
        match happening {
            Happening::Birth => self.give_birth(),
            Happening::Noise(host) => {
                write(noise_line(host, self.now, &mut self.rng));
                let gap = self.draw_gap(NOISE_GAP_MILLIS);
                self.push(self.now.plus_millis(gap), Happening::Noise(host));
            }
            Happening::Act(life) => self.go_on(life, write),
        }
    }

    fn give_birth(&mut self) {
        if self.queue.len() < DEMO_BLOCKS_MAX {
            let steps = story::normal(&mut self.rng);
            self.begin(steps);
        }
        let gap = self.draw_gap(self.birth_gap_millis);
        self.push(self.now.plus_millis(gap), Happening::Birth);
    }

    fn begin(&mut self, steps: Vec<Step>) -> i64 {
        let block = Block::draw(&mut self.rng);
        let number = block.number;
        self.blocks += 1;
        self.queue_next(Box::new(Life { block, born: self.now, steps: steps.into_iter().peekable() }));
        number
    }

    fn go_on(&mut self, mut life: Box<Life>, write: &mut impl FnMut(Line)) {
        if let Some(step) = life.steps.next() {
            write(act_line(step.act, &life.block, self.now, &mut self.rng));
        }
        self.queue_next(life);
    }

    fn queue_next(&mut self, mut life: Box<Life>) {
        if let Some(step) = life.steps.peek() {
            let at = life.born.plus_millis(step.after_seconds * 1_000);
            self.push(at, Happening::Act(life));
        }
    }

    fn push(&mut self, at: LogTime, happening: Happening) {
        self.queued += 1;
        self.queue.push(Reverse(Due { at, order: self.queued, happening }));
    }

    /// A gap of a Poisson process with this mean.
    fn draw_gap(&mut self, mean_millis: f64) -> i64 {
        let uniform: f64 = self.rng.random();
        (-(1.0 - uniform).ln() * mean_millis).ceil() as i64
    }
}

/// A block on its way through its story.
struct Life {
    block: Block,
    born: LogTime,
    steps: std::iter::Peekable<std::vec::IntoIter<Step>>,
}

enum Happening {
    Birth,
    Noise(Host),
    Act(Box<Life>),
}

/// What happens at a time; of two things at the same time, the one queued first happens first.
struct Due {
    at: LogTime,
    order: u64,
    happening: Happening,
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

/// Mean number of acts of a normal life, by the frequencies of its endings.
pub const LINES_PER_BLOCK: f64 = 19.6;
/// Mean time between two lines of one host that name no block.
const NOISE_GAP_MILLIS: f64 = 1_500.0;
/// The same, of all hosts, in lines per second.
const NOISE_PER_LOG_SECOND: f64 = (story::DATANODES + 1) as f64 * 1_000.0 / NOISE_GAP_MILLIS;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_same_seed_tells_the_same_lives() {
        assert_eq!(lines(7, 60, &[]), lines(7, 60, &[]));
        assert_ne!(lines(7, 60, &[]), lines(8, 60, &[]));
    }

    #[test]
    fn the_size_of_the_strides_of_time_changes_nothing() {
        let mut small_strides = Vec::new();
        let mut cluster = Cluster::new(3, START, 100.0);
        (0..600).for_each(|tenth| cluster.advance(START.plus_millis(tenth * 100), &mut |line| small_strides.push(line)));
        cluster.advance(START.plus_millis(60_000), &mut |line| small_strides.push(line));
        assert_eq!(small_strides, lines(3, 60, &[]));
    }

    #[test]
    fn every_log_is_in_the_order_of_time() {
        let mut last = BTreeMap::<usize, String>::new();
        for line in lines(1, 900, &FaultKind::ALL) {
            let stamp = line.text[..13].to_string();
            let before = last.insert(line.host.index(), stamp.clone());
            assert!(before.is_none_or(|before| before <= stamp), "{line:?}");
        }
        assert_eq!(last.len(), Host::all().count(), "every host writes");
    }

    #[test]
    fn the_pace_is_as_asked() {
        for pace in [20.0, 100.0, 400.0] {
            let late = lines_until(2, pace, 3_000) - lines_until(2, pace, 2_000);
            assert!((late as f64 / 1_000.0 / pace - 1.0).abs() < 0.1, "{late} lines in 1,000 s at {pace}");
        }
    }

    #[test]
    fn a_fault_stands_in_the_logs_under_its_number() {
        for (kind, sign) in [
            (FaultKind::DeletionOfNothing, "BlockInfo not found in volumeMap"),
            (FaultKind::MirrorFailed, "Exception writing block"),
            (FaultKind::UnfinishedWrite, "Receiving block"),
            (FaultKind::ReplicaMissing, "Received block"),
        ] {
            let mut cluster = Cluster::new(5, START, 100.0);
            let name = format!("blk_{}", cluster.inject(kind));
            let mut found = false;
            cluster
                .advance(START.plus_millis(200_000), &mut |line| found |= line.text.contains(&name) && line.text.contains(sign));
            assert!(found, "{kind:?}");
        }
    }

    const START: LogTime = LogTime(1_700_000_000_000);

    fn lines(seed: u64, seconds: i64, faults: &[FaultKind]) -> Vec<Line> {
        let mut cluster = Cluster::new(seed, START, 100.0);
        for kind in faults {
            cluster.inject(*kind);
        }
        let mut lines = Vec::new();
        cluster.advance(START.plus_millis(seconds * 1_000), &mut |line| lines.push(line));
        lines
    }

    fn lines_until(seed: u64, pace: f64, seconds: i64) -> usize {
        let mut count = 0;
        let mut cluster = Cluster::new(seed, START, pace);
        cluster.advance(START.plus_millis(seconds * 1_000), &mut |_| count += 1);
        count
    }
}
