//! Random logs of a small cluster, as lines with their times.

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One line of a log.
#[derive(Clone, Debug)]
pub struct Line {
    /// Log time in seconds since midnight.
    pub second: i64,
    /// The line without its end.
    pub text: String,
}

/// Logs of a few hosts, each in the order of its own writing.
pub struct Cluster {
    /// One log a host.
    pub streams: Vec<Vec<Line>>,
}

impl Cluster {
    /// The logs of this seed.
    pub fn new(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let hosts = random.random_range(1..5);
        let mut events: Vec<(i64, usize, String)> = Vec::new();
        for block in 0..random.random_range(5..60) {
            story(&mut random, block, hosts, &mut events);
        }
        events.sort_by_key(|(second, ..)| *second);
        let mut streams = vec![Vec::new(); hosts];
        for (second, host, message) in events {
            let line = |text: String| Line { second, text };
            streams[host].push(line(format!("{} 12 INFO dfs.DataNode: {message}", stamp(second))));
            if random.random_bool(0.05) {
                streams[host].push(line(format!("\tat org.apache.hadoop.Some.method(Some.java:{second})")));
            }
        }
        Self { streams }
    }
}

/// The life of one block: mostly `open`, `write` x3, `done`; sometimes something is missing, too much, or never heard of.
fn story(random: &mut ChaCha8Rng, block: i64, hosts: usize, events: &mut Vec<(i64, usize, String)>) {
    let mut second = random.random_range(0..6000);
    let mut words = vec!["opened", "written", "written", "written", "done"];
    match random.random_range(0..10) {
        0 => words.truncate(random.random_range(1..5)),
        1 => words.insert(random.random_range(1..5), "broken"),
        2 => words.extend(["written"; 2]),
        _ => {}
    }
    if random.random_bool(0.3) {
        words.extend(["read"; 9]);
    }
    for word in words {
        let numbers = [block * 7 - 100, block].map(|number| format!("blk_{number}"));
        let named = if random.random_bool(0.02) { numbers.join(" ") } else { numbers[0].clone() };
        events.push((second, random.random_range(0..hosts), format!("block {named} was {word}")));
        second += *[0, 0, 1, 5, 40, 200].choose(random).unwrap();
    }
}

fn stamp(second: i64) -> String {
    format!("081109 {:02}{:02}{:02}", second / 3600, second / 60 % 60, second % 60)
}
