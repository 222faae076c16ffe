//! Random programs of a log's life against a naive model of what must come of it.

use proptest::prelude::*;

use hdfs_vigil::ingest::codec::Codec;
use hdfs_vigil::ingest::{Mode, StartAt};

use crate::tail::Tail;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_line_comes_once_and_in_order(program in prop::collection::vec(action(), 1..60)) {
        let mut world = World::new();
        for action in &program {
            world.run(*action);
        }
        world.check();
    }
}

/// What may happen to a log.
#[derive(Clone, Copy, Debug)]
enum Action {
    /// Its writer appends so many lines.
    Write(u8),
    /// Its writer appends the first half of a line; the next write begins with the other half.
    WriteHalf,
    /// It is rolled as Log4j does.
    Roll,
    /// It is copied and truncated, `written` lines being appended before the follower looks again.
    CopyTruncate { written: u8 },
    /// It is emptied in place; what was not read is lost.
    Truncate,
    /// It is deleted and made anew.
    Delete,
    /// The rotated file of this number is compressed.
    Compress(u8),
    /// The follower scans.
    Scan,
    /// The follower scans and reads what it can.
    Step,
    /// It does so until it has read all there is.
    Settle,
    /// The follower stops and starts again from what it saved.
    Restart,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (0_u8..5).prop_map(Action::Write),
        2 => Just(Action::WriteHalf),
        3 => Just(Action::Roll),
        2 => (0_u8..3).prop_map(|written| Action::CopyTruncate { written }),
        1 => Just(Action::Truncate),
        1 => Just(Action::Delete),
        1 => (1_u8..4).prop_map(Action::Compress),
        3 => Just(Action::Scan),
        3 => Just(Action::Step),
        3 => Just(Action::Settle),
        2 => Just(Action::Restart),
    ]
}

/// The log, its follower, and what must have come of it.
struct World {
    tail: Tail,
    /// All lines that must come, in order.
    expected: Vec<String>,
    /// Lines that may come: their file was emptied or deleted before they were read for certain.
    doubtful: Vec<String>,
    /// Lines of the live file that were not read for certain.
    unread: usize,
    half: Option<String>,
    next: usize,
}

impl World {
    fn new() -> Self {
        let mut tail = Tail::with(|settings| {
            settings.start_at = StartAt::Beginning;
            settings.mode = Mode::Follow;
        });
        tail.write(LOG, "");
        tail.step();
        Self { tail, expected: vec![], doubtful: vec![], unread: 0, half: None, next: 0 }
    }

    fn run(&mut self, action: Action) {
        match action {
            Action::Write(lines) => (0..lines).for_each(|_| self.write()),
            Action::WriteHalf if self.half.is_none() => {
                let line = self.line();
                self.tail.write(LOG, &line[..40]);
                self.half = Some(line[40..].to_owned());
                self.expected.push(line);
                self.unread += 1;
            }
            Action::WriteHalf => {}
            Action::Roll => {
                self.end_half();
                self.tail.roll(LOG, BACKUPS);
                self.roll_compressed();
                self.unread = 0;
            }
            Action::CopyTruncate { written } => self.copy_truncate(written),
            Action::Truncate => {
                self.lose_unread();
                self.tail.truncate(LOG, 0);
            }
            Action::Delete => {
                self.lose_unread();
                self.tail.remove(LOG);
                self.tail.write(LOG, "");
            }
            Action::Compress(number) => self.compress(number),
            Action::Scan => self.tail.scan(),
            Action::Step => self.tail.step(),
            Action::Settle => {
                // A file begun in this scan waits for those before it; ending those takes some more scans.
                (0..6).for_each(|_| self.tail.step());
                self.unread = 0;
            }
            Action::Restart => self.tail.restart(),
        }
    }

    /// Writes a line, the rest of one that was begun first.
    fn write(&mut self) {
        self.end_half();
        let line = self.line();
        self.tail.write(LOG, &format!("{line}\n"));
        self.expected.push(line);
        self.unread += 1;
    }

    fn end_half(&mut self) {
        if let Some(rest) = self.half.take() {
            self.tail.write(LOG, &format!("{rest}\n"));
            self.unread = self.unread.max(1);
        }
    }

    fn copy_truncate(&mut self, written: u8) {
        self.end_half();
        if !self.has_log() {
            return;
        }
        self.tail.roll(LOG, BACKUPS);
        self.roll_compressed();
        // Rolled, then turned round: the copy has a new inode and the live file keeps the old one.
        std::fs::copy(self.tail.path("x.log.1"), self.tail.path("copy")).unwrap();
        self.tail.rename("x.log.1", LOG);
        self.tail.rename("copy", "x.log.1");
        self.tail.truncate(LOG, 0);
        self.unread = 0;
        (0..written).for_each(|_| self.write());
        // A second copy on the same inode before anybody looked leaves the first one without anything that ties it to the log.
        self.tail.step();
    }

    /// What the live file holds and nobody has read for certain may be lost.
    fn lose_unread(&mut self) {
        let half = usize::from(self.half.take().is_some());
        let kept = self.expected.len() - self.unread.max(half);
        self.doubtful.extend(self.expected.drain(kept..));
        self.unread = 0;
    }

    /// Log4j does not know compressed files; who compresses them rolls them too.
    fn roll_compressed(&self) {
        for number in (1..=BACKUPS).rev() {
            let _ = std::fs::rename(
                self.tail.path(&format!("{LOG}.{number}.gz")),
                self.tail.path(&format!("{LOG}.{}.gz", number + 1)),
            );
        }
    }

    fn compress(&self, number: u8) {
        let name = format!("{LOG}.{number}");
        if std::fs::metadata(self.tail.path(&name)).is_ok_and(|metadata| metadata.len() > 0) {
            self.tail.compress(&name, Codec::Gzip);
        }
    }

    fn has_log(&self) -> bool {
        self.tail.path(LOG).exists()
    }

    /// A line that no other equals.
    fn line(&mut self) -> String {
        self.next += 1;
        format!("2026-11-23 06:42:00,000 INFO {:08} org.apache.hadoop.hdfs.server.datanode.DataNode", self.next)
    }

    fn check(mut self) {
        self.end_half();
        (0..4).for_each(|_| self.tail.settle());
        let lines = self.tail.lines(LOG);
        let certain: Vec<&str> = lines.iter().copied().filter(|line| !self.is_doubtful(line)).collect();
        assert_eq!(certain, self.expected, "notices: {:#?}", self.tail.notices);
        assert!(lines.is_sorted(), "out of order: {lines:?}");
        assert!(lines.windows(2).all(|pair| pair[0] != pair[1]), "twice: {lines:?}");
    }

    /// Whether a line, or a piece of one torn by truncation, is of those that may be lost.
    fn is_doubtful(&self, line: &str) -> bool {
        self.doubtful.iter().any(|doubtful| doubtful.starts_with(line))
    }
}

const LOG: &str = "x.log";
/// More than any program rolls, so that none falls off the chain.
const BACKUPS: usize = 70;
