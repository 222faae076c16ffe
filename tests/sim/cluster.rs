//! Random logs of a small cluster, as lines with their times.

use hdfs_vigil::pipeline::event::pool::StreamPool;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a host says of trouble without naming a block: level, logger, message. No two fit one template, and one has a subject.
pub const TROUBLES: [(&str, &str, &str); 7] = [
    ("WARN", "dfs.DataNode", "slow"),
    ("WARN", "dfs.DataNode", "heartbeat skipped"),
    ("ERROR", "dfs.DataNode", "disk is broken"),
    ("ERROR", "dfs.DataNode", "cannot write to mirror"),
    ("FATAL", "dfs.DataNode", "exception in the secure main"),
    ("INFO", "dfs.FSNamesystem", "BLOCK* NameSystem.heartbeatCheck: lost heartbeat from 10.0.0.1:50010"),
    ("INFO", "dfs.FSNamesystem", "BLOCK* NameSystem.heartbeatCheck: lost heartbeat from 10.0.0.2:50010"),
];

/// One line of a log.
#[derive(Clone, Debug)]
pub struct Line {
    /// Log time in seconds since midnight.
    pub second: i64,
    /// The line without its end.
    pub text: String,
    /// Its number in [`TROUBLES`], if it is one.
    pub trouble: Option<usize>,
}

/// Logs of a few hosts, each in the order of its own writing.
pub struct Cluster {
    /// One log a host.
    pub streams: Vec<Vec<Line>>,
    /// What the logs are called.
    pub names: Vec<String>,
    /// What is configured of their pools.
    pub pools: Vec<StreamPool>,
}

impl Cluster {
    /// The second before and after which as many lines were written.
    pub fn middle(&self) -> i64 {
        let mut seconds: Vec<i64> = self.streams.iter().flatten().map(|line| line.second).collect();
        seconds.sort_unstable();
        seconds[seconds.len() / 2]
    }

    /// The logs of this seed.
    pub fn new(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let hosts = random.random_range(1..5);
        let mut events: Vec<Said> = Vec::new();
        for block in 0..random.random_range(5..60) {
            story(&mut random, block, hosts, &mut events);
        }
        upgrade(&mut random, &mut events);
        for _ in 0..random.random_range(0..40) {
            storm(&mut random, hosts, &mut events);
        }
        events.sort_by_key(|(second, ..)| *second);
        // The logger of its first record tells whose log it is: NameNodes stand behind DataNodes when times are equal.
        let first = Line { second: 0, text: format!("{} 12 INFO dfs.DataNode: registered", stamp(0)), trouble: None };
        let mut streams = vec![vec![first]; hosts];
        for (second, host, message, trouble) in events {
            let line = |text: String, trouble| Line { second, text, trouble };
            streams[host].push(line(format!("{} 12 {message}", stamp(second)), trouble));
            if random.random_bool(0.05) {
                streams[host].push(line(format!("\tat org.apache.hadoop.Some.method(Some.java:{second})"), None));
            }
        }
        let names = (0..hosts).map(|host| format!("dn{host}.log")).collect();
        Self { streams, names, pools: Vec::new() }
    }

    /// Some name services, whose blocks have the same numbers now and then, on the same DataNodes. These name the pool, the NameNodes
    /// do not; with `all_pools` they do too.
    pub fn of_several_pools(seed: u64, all_pools: bool) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (hosts, pools) = (random.random_range(1..4), random.random_range(2..4));
        let mut said: Vec<(i64, usize, String)> = Vec::new();
        for block in 0..random.random_range(10..60) {
            let pool = random.random_range(0..pools);
            let number = if random.random_bool(0.3) { block / 4 } else { block * pools as i64 + pool as i64 + 100 };
            let mut events = Vec::new();
            story(&mut random, number, hosts, &mut events);
            for (second, host, message, _) in events {
                let message = with_one_block(&message);
                let of_name_node = message.ends_with("opened") || message.ends_with("done");
                let message = if of_name_node && !all_pools {
                    message
                } else {
                    message.replace("blk_", &format!("{}:blk_", pool_name(pool)))
                };
                said.push((second, if of_name_node { hosts + pool } else { host }, message));
            }
        }
        said.sort_by_key(|(second, ..)| *second);
        let mut streams = vec![Vec::new(); hosts + pools];
        for (second, stream, message) in said {
            let logger = if stream < hosts { "dfs.DataNode" } else { "dfs.FSNamesystem" };
            streams[stream].push(Line {
                second,
                text: format!("{} 12 {}", stamp(second), message.replace("dfs.DataNode", logger)),
                trouble: None,
            });
        }
        let names = (0..hosts).map(|host| format!("dn{host}.log")).chain((0..pools).map(|pool| format!("nn{pool}.log")));
        Self { streams, names: names.collect(), pools: Vec::new() }
    }

    /// The same with the pools of its NameNodes configured.
    pub fn configured(self) -> Self {
        let of = |pool| StreamPool { pattern: format!("nn{pool}*"), pool: pool_name(pool) };
        let pools = self.names.iter().filter(|name| name.starts_with("nn")).count();
        Self { pools: (0..pools).map(of).collect(), ..self }
    }

    /// All lines in one log, sorted: the naive reference.
    pub fn merged(&self) -> Self {
        let merged = in_order(&self.streams).into_iter().map(|(.., line)| line.clone()).collect();
        Self { streams: vec![merged], names: vec!["all.log".to_owned()], pools: self.pools.clone() }
    }
}

/// Running maximum of the stream's time, stream, number in the stream, line: in the order of log time.
pub fn in_order(streams: &[Vec<Line>]) -> Vec<(i64, usize, usize, &Line)> {
    let mut lines: Vec<(i64, usize, usize, &Line)> = Vec::new();
    for (stream, own) in streams.iter().enumerate() {
        let mut newest = i64::MIN;
        for (index, line) in own.iter().enumerate() {
            newest = newest.max(line.second);
            lines.push((newest, stream, index, line));
        }
    }
    lines.sort_by_key(|(second, stream, index, _)| (*second, *stream, *index));
    lines
}

/// With pools before them, several blocks are several words, and such a message is of another template.
fn with_one_block(message: &str) -> String {
    let words: Vec<&str> = message.split(' ').collect();
    let is_second = |index: usize| index == 4 && words[index].starts_with("blk_");
    let kept: Vec<&str> = (0..words.len()).filter(|index| !is_second(*index)).map(|index| words[index]).collect();
    kept.join(" ")
}

fn pool_name(pool: usize) -> String {
    format!("BP-{pool}-10.0.0.{pool}-1626388920000")
}

/// Second, host, what follows the stamp, number of the trouble.
type Said = (i64, usize, String, Option<usize>);

/// Some trouble, now and then often, or on all hosts.
fn storm(random: &mut ChaCha8Rng, hosts: usize, events: &mut Vec<Said>) {
    let (second, trouble) = (random.random_range(0..6000), random.random_range(0..TROUBLES.len()));
    let (host, everywhere) = (random.random_range(0..hosts), random.random_bool(0.2));
    let (level, logger, message) = TROUBLES[trouble];
    for number in 0..*[1, 1, 2, 5, 12].choose(random).unwrap() {
        let host = if everywhere { number as usize % hosts } else { host };
        events.push((second + number, host, format!("{level} {logger}: {message}"), Some(trouble)));
    }
}

/// The life of one block: mostly `open`, `write` x3, `done`; sometimes something is missing, too much, or never heard of.
fn story(random: &mut ChaCha8Rng, block: i64, hosts: usize, events: &mut Vec<Said>) {
    let mut second = random.random_range(0..6000);
    let mut words = vec!["opened", "written", "written", "written", "done"];
    match random.random_range(0..10) {
        0 => words.truncate(random.random_range(1..5)),
        1 => words.insert(random.random_range(1..5), "broken"),
        2 => words.extend(["written"; 2]),
        3 => words.insert(random.random_range(0..5), "moved"),
        _ => {}
    }
    if random.random_bool(0.3) {
        words.extend(["read"; 9]);
    }
    for word in words {
        let numbers = [block * 7 - 100, block].map(|number| format!("blk_{number}"));
        let named = if random.random_bool(0.02) { numbers.join(" ") } else { numbers[0].clone() };
        events.push((second, random.random_range(0..hosts), format!("INFO dfs.DataNode: block {named} was {word}"), None));
        second += *[0, 0, 1, 5, 40, 200].choose(random).unwrap();
    }
}

/// Some clusters word one or more of their sentences anew for some time.
fn upgrade(random: &mut ChaCha8Rng, events: &mut [Said]) {
    let since = random.random_range(0..4000);
    let (until, sentences) = (since + random.random_range(500..3000), *[0, 0, 1, 2, 3].choose(random).unwrap());
    for (second, _, message, _) in events.iter_mut() {
        for (old, new) in
            [("was done", "is complete"), ("was opened", "is new"), ("was written", "has grown")].iter().take(sentences)
        {
            if (since..until).contains(second) && message.ends_with(old) {
                *message = message.replace(old, new);
            }
        }
    }
}

fn stamp(second: i64) -> String {
    format!("081109 {:02}{:02}{:02}", second / 3600, second / 60 % 60, second % 60)
}
