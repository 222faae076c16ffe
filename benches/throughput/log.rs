//! Logs to be read: the stories of HDFS blocks in the layout of 2008, with the line lengths and the mixture of HDFS_v1.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The logs of some hosts, the same ones every time.
pub struct Logs {
    /// One log a host, each in the order of its own writing.
    pub logs: Vec<Vec<u8>>,
    /// Lines of all logs together.
    pub lines: u64,
}

/// Log time in seconds since midnight, host, message with its logger.
type Said = (u32, usize, String);

impl Logs {
    /// About `lines` lines, written by `hosts` hosts.
    pub fn new(lines: usize, hosts: usize) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut said = Vec::with_capacity(lines + LINES_A_STORY);
        for block in 0..(lines / LINES_A_STORY) as u32 {
            tell(&mut random, block / BLOCKS_A_SECOND, hosts, &mut said);
        }
        said.sort_by_key(|(second, ..)| *second);
        let mut logs = vec![Vec::new(); hosts];
        for (second, host, message) in &said {
            let thread = random.random_range(10..30_000);
            logs[*host].extend_from_slice(format!("{} {thread} {message}\n", stamp(*second)).as_bytes());
        }
        Self { lines: said.len() as u64, logs }
    }

    /// Bytes of all logs together.
    pub fn bytes(&self) -> u64 {
        self.logs.iter().map(|log| log.len() as u64).sum()
    }
}

/// The life of one block: written to three hosts, sometimes read, deleted an hour later. One of fifty stops halfway, and one of
/// fifty has an event that no model knows.
fn tell(random: &mut ChaCha8Rng, begin: u32, hosts: usize, said: &mut Vec<Said>) {
    let block = format!("blk_{}", random.random::<i64>());
    let nodes: [String; 3] = std::array::from_fn(|_| address(random));
    let host = |replica: usize| (begin as usize + replica * 5) % hosts;
    let mut say = |second: u32, host: usize, message: String| said.push((begin + second, host, message));
    let fate = random.random_range(0..50);
    let path = format!("/user/root/rand{}/_temporary/_task_200811101024_0012_m_{begin:06}_0/part-{begin:05}", begin % 9);
    say(0, 0, format!("INFO dfs.FSNamesystem: BLOCK* NameSystem.allocateBlock: {path}. {block}"));
    for (replica, node) in nodes.iter().enumerate() {
        let source = address(random);
        say(0, host(replica), format!("INFO {XCEIVER}: Receiving block {block} src: /{source}:54106 dest: /{node}:50010"));
    }
    if fate == 0 {
        return;
    }
    for (replica, node) in nodes.iter().enumerate() {
        say(40, host(replica), format!("INFO {RESPONDER}: Received block {block} of size 67108864 from /{node}"));
        say(40, host(replica), format!("INFO {RESPONDER}: PacketResponder {replica} for block {block} terminating"));
        say(41, 0, format!("{STATE}addStoredBlock: blockMap updated: {node}:50010 is added to {block} size 67108864"));
    }
    for read in 0..random.random_range(0..4) {
        let node = &nodes[read % 3];
        say(300, host(read), format!("INFO {XCEIVER}: {node}:50010 Served block {block} to /{}", address(random)));
    }
    for (replica, node) in nodes.iter().enumerate() {
        say(3600, 0, format!("{STATE}delete: {block} is added to invalidSet of {node}:50010"));
        say(3603, host(replica), deletion(&block, fate == 1));
    }
}

fn deletion(block: &str, fails: bool) -> String {
    if fails {
        return format!("WARN {DATASET}: Unexpected error trying to delete block {block}. BlockInfo not found in volumeMap.");
    }
    format!("INFO {DATASET}: Deleting block {block} file /mnt/hadoop/dfs/data/current/subdir51/{block}")
}

fn address(random: &mut ChaCha8Rng) -> String {
    format!("10.{}.{}.{}", random.random_range(250..252), random.random_range(0..256), random.random_range(1..256))
}

fn stamp(second: u32) -> String {
    format!("0811{:02} {:02}{:02}{:02}", 9 + second / 86_400, second / 3600 % 24, second / 60 % 60, second % 60)
}

const XCEIVER: &str = "dfs.DataNode$DataXceiver";
const RESPONDER: &str = "dfs.DataNode$PacketResponder";
const DATASET: &str = "dfs.FSDataset";
const STATE: &str = "INFO dfs.FSNamesystem: BLOCK* NameSystem.";

/// HDFS_v1 has 19.4 lines and 4.1 new blocks a second.
const LINES_A_STORY: usize = 20;
const BLOCKS_A_SECOND: u32 = 4;
