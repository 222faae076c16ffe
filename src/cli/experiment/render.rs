//! Renders the log of a simulated cluster in pure log time: quiet, or with noise and chatter from a line on.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::vec;

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::cli::demo::cluster::LINES_PER_BLOCK;
use crate::cli::demo::fault::FaultKind;
use crate::cli::demo::line::{Block, Host, Line, act_line, chatter_line, noise_line};
use crate::cli::demo::story::{self, DATANODES, Datanode, Step};
use crate::pipeline::event::LogTime;

/// What to render.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Decides every random draw.
    pub seed: u64,
    /// Lines of the log, within one part in a hundred: stories that have begun are told to their end.
    pub lines: u64,
    /// Lines of stories in a second of log time, once the cluster has warmed up.
    pub pace: f64,
    /// Share of the blocks to which a fault happens, 0..=1.
    pub anomaly_rate: f64,
    /// What changes midway.
    pub shift: Option<Shift>,
}

/// What changes midway: the stories and the faults stay, there is more around and between them.
#[derive(Clone, Copy, Debug)]
pub struct Shift {
    /// Lines before it.
    pub at_line: u64,
    /// Lines that name no block for each line of a story, 0..=1. [`CHATTER_SHARE`] of so many say something new of its block.
    pub noise: f64,
}

/// What was rendered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// Lines, those of stack traces included.
    pub lines: u64,
    /// Blocks.
    pub blocks: u64,
    /// Those to which a fault happens.
    pub anomalous: u64,
}

/// Where rendered lines and labels go.
pub trait Sink {
    /// Takes the next line; there are several in it where a stack trace follows.
    fn line(&mut self, text: &str) -> io::Result<()>;
    /// Takes what is true of a block that begins now.
    fn label(&mut self, block: i64, anomalous: bool) -> io::Result<()>;
}

/// Renders a log, line by line in the order of time.
///
/// # Errors
/// When `sink` fails.
pub fn render(plan: &Plan, sink: &mut impl Sink) -> io::Result<Rendered> {
    let mut renderer = Renderer {
        plan,
        rng: ChaCha8Rng::seed_from_u64(plan.seed),
        queue: BinaryHeap::new(),
        lives: Vec::new(),
        free: Vec::new(),
        pending: 0,
        order: 0,
        birth: START,
        rendered: Rendered::default(),
    };
    while renderer.step(sink)? {}
    Ok(renderer.rendered)
}

struct Renderer<'a> {
    plan: &'a Plan,
    rng: ChaCha8Rng,
    /// When something happens next to each life: log time, order, place in `lives`.
    queue: BinaryHeap<Reverse<(LogTime, u64, usize)>>,
    lives: Vec<Life>,
    /// Places in `lives` whose story is told.
    free: Vec<usize>,
    /// Acts still to be told of all lives.
    pending: u64,
    order: u64,
    /// When the next block begins.
    birth: LogTime,
    rendered: Rendered,
}

struct Life {
    block: Block,
    born: LogTime,
    steps: vec::IntoIter<Step>,
}

impl Renderer<'_> {
    /// Lets one thing happen. False when all stories are told.
    fn step(&mut self, sink: &mut impl Sink) -> io::Result<bool> {
        let next = self.queue.peek().map(|Reverse((time, ..))| *time);
        if self.has_room() && next.is_none_or(|next| self.birth <= next) {
            self.give_birth(sink)?;
            return Ok(true);
        }
        let Some(Reverse((time, _, place))) = self.queue.pop() else { return Ok(false) };
        self.go_on(time, place, sink)?;
        Ok(true)
    }

    /// Whether the stories that have begun leave room for another one.
    fn has_room(&self) -> bool {
        let around = self.noise().map_or(1.0, |noise| 1.0 + noise * (1.0 + CHATTER_SHARE));
        self.rendered.lines + (self.pending as f64 * around) as u64 <= self.plan.lines
    }

    /// The share of noise from the shift on.
    fn noise(&self) -> Option<f64> {
        self.plan.shift.filter(|shift| self.rendered.lines >= shift.at_line).map(|shift| shift.noise)
    }

    fn give_birth(&mut self, sink: &mut impl Sink) -> io::Result<()> {
        let anomalous = self.rng.random_bool(self.plan.anomaly_rate);
        let steps = if anomalous {
            FaultKind::ALL.choose(&mut self.rng).expect("there are kinds of faults").story(&mut self.rng)
        } else {
            story::normal(&mut self.rng)
        };
        let block = Block::draw(&mut self.rng);
        sink.label(block.number, anomalous)?;
        self.rendered.blocks += 1;
        self.rendered.anomalous += u64::from(anomalous);
        self.pending += steps.len() as u64;
        let life = Life { block, born: self.birth, steps: steps.into_iter() };
        let place = match self.free.pop() {
            Some(place) => {
                self.lives[place] = life;
                place
            }
            None => {
                self.lives.push(life);
                self.lives.len() - 1
            }
        };
        self.queue_next(place);
        let uniform: f64 = self.rng.random();
        let age = (self.birth.0 - START.0) as f64;
        let pace = self.plan.pace * ((age + 60_000.0) / WARM_UP_MILLIS).min(1.0);
        let gap = -(1.0 - uniform).ln() * 1000.0 * LINES_PER_BLOCK / pace;
        self.birth = self.birth.plus_millis(gap.ceil() as i64);
        Ok(())
    }

    fn go_on(&mut self, time: LogTime, place: usize, sink: &mut impl Sink) -> io::Result<()> {
        let noise = self.noise();
        let step = self.lives[place].steps.next().expect("a life is queued while it has acts to tell");
        self.pending -= 1;
        let line = act_line(step.act, &self.lives[place].block, time, &mut self.rng);
        self.write(&line, sink)?;
        if let Some(noise) = noise {
            if self.rng.random_bool(noise) {
                let host = self.rng.random_range(0..=DATANODES);
                let host = Host::all().nth(host).expect("there are so many hosts");
                let line = noise_line(host, time, &mut self.rng);
                self.write(&line, sink)?;
            }
            if self.rng.random_bool(noise * CHATTER_SHARE) {
                let at = match line.host {
                    Host::Datanode(at) => at,
                    Host::Namenode => Datanode(self.rng.random_range(0..DATANODES)),
                };
                let line = chatter_line(at, &self.lives[place].block, time, &mut self.rng);
                self.write(&line, sink)?;
            }
        }
        self.queue_next(place);
        Ok(())
    }

    fn write(&mut self, line: &Line, sink: &mut impl Sink) -> io::Result<()> {
        self.rendered.lines += line.text.lines().count() as u64;
        sink.line(&line.text)
    }

    fn queue_next(&mut self, place: usize) {
        let life = &self.lives[place];
        let Some(step) = life.steps.as_slice().first() else { return self.free.push(place) };
        let at = life.born.plus_millis(step.after_seconds * 1000);
        self.order += 1;
        self.queue.push(Reverse((at, self.order, place)));
    }
}

/// Lines that say something new of a block, for each line that names none.
pub const CHATTER_SHARE: f64 = 0.15;

/// Log time until the pace is reached: where all blocks began at once, those with short stories would come to rest before all others.
const WARM_UP_MILLIS: f64 = 3_600_000.0;

/// 2008-11-09 20:36:15 UTC, when HDFS_v1 begins.
const START: LogTime = LogTime(1_226_262_975_000);

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[derive(Default)]
    struct Kept {
        lines: Vec<String>,
        labels: BTreeMap<String, bool>,
    }

    impl Sink for Kept {
        fn line(&mut self, text: &str) -> io::Result<()> {
            self.lines.extend(text.lines().map(str::to_owned));
            Ok(())
        }

        fn label(&mut self, block: i64, anomalous: bool) -> io::Result<()> {
            self.labels.insert(format!("blk_{block}"), anomalous);
            Ok(())
        }
    }

    #[test]
    fn the_log_is_as_long_as_asked_and_shifts_at_its_place() {
        let (rendered, kept) = run(&PLAN);
        assert_eq!(rendered.lines, kept.lines.len() as u64);
        assert!((rendered.lines as f64 / PLAN.lines as f64 - 1.0).abs() < 0.01, "{rendered:?}");
        let (before, after) = kept.lines.split_at(20_000);
        let blockless = |lines: &[String]| lines.iter().filter(|line| !line.contains("blk_")).count();
        let chatter = |lines: &[String]| lines.iter().filter(|line| line.contains("re-queued")).count() as f64;
        assert_eq!((blockless(before), chatter(before)), (0, 0.0));
        let told = after.iter().filter(|line| line.contains("blk_") && !line.contains("re-queued")).count() as f64;
        assert!((chatter(after) / told / 0.045 - 1.0).abs() < 0.15, "{} of {told}", chatter(after));
        let noise = after.iter().filter(|line| line.starts_with("08") && !line.contains("blk_")).count() as f64;
        assert!((noise / told / 0.3 - 1.0).abs() < 0.1, "{noise} of {told}");
    }

    #[test]
    fn labels_are_true_to_the_stories() {
        let (rendered, kept) = run(&PLAN);
        assert_eq!(rendered.blocks, kept.labels.len() as u64);
        let mut stories = BTreeMap::<&str, (usize, usize, bool)>::new();
        for line in &kept.lines {
            let Some(at) = line.find("blk_") else { continue };
            let block = line[at..].split([' ', ':']).next().unwrap().trim_end_matches('.');
            let story = stories.entry(block).or_default();
            story.0 += usize::from(line.contains("addStoredBlock"));
            story.1 += usize::from(line.contains("Received block") && line.contains(" from /"));
            story.2 |= ["Exception", "BlockInfo not found"].iter().any(|word| line.contains(word));
        }
        for (block, (stored, received, failed)) in stories {
            let whole = stored >= 3 && received == 3 && !failed;
            assert_eq!(whole, !kept.labels[block], "{block}: {stored} stored, {received} received, failed: {failed}");
        }
        let share = rendered.anomalous as f64 / rendered.blocks as f64;
        assert!((0.05..0.15).contains(&share), "{share}");
    }

    #[test]
    fn a_seed_decides_every_line_and_time_goes_forward() {
        let lines = run(&PLAN).1.lines;
        assert_eq!(lines, run(&PLAN).1.lines);
        assert_ne!(lines, run(&Plan { seed: 4, ..PLAN }).1.lines);
        let stamps: Vec<&str> = lines.iter().filter(|line| line.starts_with("08")).map(|line| &line[..13]).collect();
        assert!(stamps.is_sorted());
        let blocks: BTreeSet<_> = run(&PLAN).1.labels.into_keys().collect();
        assert!(blocks.len() > 1000, "{}", blocks.len());
    }

    #[test]
    fn a_quiet_log_has_normal_stories_alone() {
        let (rendered, kept) = run(&Plan { anomaly_rate: 0.0, shift: None, ..PLAN });
        assert_eq!(rendered.anomalous, 0);
        assert!(kept.lines.iter().all(|line| line.contains("blk_") && !line.contains("re-queued")));
    }

    fn run(plan: &Plan) -> (Rendered, Kept) {
        let mut kept = Kept::default();
        let rendered = render(plan, &mut kept).unwrap();
        (rendered, kept)
    }

    const PLAN: Plan =
        Plan { seed: 3, lines: 40_000, pace: 72.0, anomaly_rate: 0.1, shift: Some(Shift { at_line: 20_000, noise: 0.3 }) };
}
