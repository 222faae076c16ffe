//! What the hosts of the simulated cluster write: log lines in the layout of Hadoop in 2008.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::cli::demo::story::{Act, DATANODES, Datanode};
use crate::pipeline::event::LogTime;

/// A host and thereby a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// The NameNode.
    Namenode,
    /// A DataNode.
    Datanode(Datanode),
}

impl Host {
    /// All hosts, the NameNode first; [`Host::index`] is the place in this order.
    pub fn all() -> impl Iterator<Item = Self> + Clone {
        std::iter::once(Self::Namenode).chain((0..DATANODES).map(|n| Self::Datanode(Datanode(n))))
    }

    /// Its place among [`Host::all`].
    pub fn index(self) -> usize {
        match self {
            Self::Namenode => 0,
            Self::Datanode(Datanode(n)) => n + 1,
        }
    }

    /// Name of its log, as Hadoop's scripts form it.
    pub fn log_name(self) -> String {
        match self {
            Self::Namenode => "hadoop-hdfs-namenode-nn1.log".to_string(),
            Self::Datanode(Datanode(n)) => format!("hadoop-hdfs-datanode-dn{}.log", n + 1),
        }
    }
}

/// One line and the log that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Whose log.
    pub host: Host,
    /// The line without its end; several where a stack trace follows.
    pub text: String,
}

/// What lines say of a block beside what happens to it.
#[derive(Clone, Debug)]
pub struct Block {
    /// The number of `blk_N`; negative ones occur.
    pub number: i64,
    /// Bytes of a replica.
    pub size: u64,
    /// The file in HDFS that it belongs to.
    pub path: String,
}

impl Block {
    /// A block with a number, a size and a path as MapReduce jobs made them in 2008.
    pub fn draw(rng: &mut ChaCha8Rng) -> Self {
        let task = rng.random_range(0..2_000);
        let job = rng.random_range(1..40);
        let path = format!(
            "/user/root/rand{}/_temporary/_task_200811101024_{job:04}_m_{task:06}_0/part-{task:05}",
            rng.random_range(1..9)
        );
        let size = if rng.random_bool(0.8) { 67_108_864 } else { rng.random_range(1_000..67_108_864) };
        Self { number: rng.random(), size, path }
    }
}

/// The line in which an act stands.
pub fn act_line(act: Act, block: &Block, time: LogTime, rng: &mut ChaCha8Rng) -> Line {
    let host = speaker(act);
    Line { host, text: format!("{} {} {}", stamp(time), thread(host, rng), act_text(act, block, rng)) }
}

/// A line that names no block, such as every log is full of.
pub fn noise_line(host: Host, time: LogTime, rng: &mut ChaCha8Rng) -> Line {
    let text = match host {
        Host::Namenode => namenode_noise(rng),
        Host::Datanode(node) => datanode_noise(node, rng),
    };
    Line { host, text: format!("{} {} {text}", stamp(time), thread(host, rng)) }
}

/// What a DataNode says of a block whatever happens to it, in a sentence that older logs do not have.
pub fn chatter_line(at: Datanode, block: &Block, time: LogTime, rng: &mut ChaCha8Rng) -> Line {
    let host = Host::Datanode(at);
    let (node, number, pass) = (ip(at), block.number, rng.random_range(0..40));
    let text = format!("INFO dfs.DataNode$DataXceiver: {node}:50010 re-queued blk_{number} for background balance pass {pass}");
    Line { host, text: format!("{} {} {text}", stamp(time), thread(host, rng)) }
}

/// A host that says what happens.
fn speaker(act: Act) -> Host {
    match act {
        Act::Allocate | Act::Stored { .. } | Act::Invalidated { .. } | Act::ReplicationAsked { .. } => Host::Namenode,
        Act::Receiving { to: at, .. }
        | Act::ReceivedCopy { to: at, .. }
        | Act::TransferStarted { from: at, .. }
        | Act::Transmitted { from: at, .. }
        | Act::ResponderEnds { at, .. }
        | Act::Received { at, .. }
        | Act::Served { at, .. }
        | Act::ServeFailed { at, .. }
        | Act::Verified { at }
        | Act::Deleted { at }
        | Act::DeletionFailed { at }
        | Act::MirrorFailed { at, .. }
        | Act::ReceiptFailed { at }
        | Act::WriteFailed { at }
        | Act::ResponderFailed { at, .. }
        | Act::OffsetMoved { at } => Host::Datanode(at),
    }
}

/// Level, logger and message, worded as in HDFS_v1.
fn act_text(act: Act, block: &Block, rng: &mut ChaCha8Rng) -> String {
    let Block { number, size, path } = block;
    let blk = format!("blk_{number}");
    let port = rng.random_range(32_768..61_000);
    match act {
        Act::Allocate => format!("INFO dfs.FSNamesystem: BLOCK* NameSystem.allocateBlock: {path}. {blk}"),
        Act::Receiving { from, to } => {
            let (from, to) = (ip(from), ip(to));
            format!("INFO dfs.DataNode$DataXceiver: Receiving block {blk} src: /{from}:{port} dest: /{to}:50010")
        }
        Act::ResponderEnds { place, .. } => {
            format!("INFO dfs.DataNode$PacketResponder: PacketResponder {place} for block {blk} terminating")
        }
        Act::Received { from, .. } => {
            format!("INFO dfs.DataNode$PacketResponder: Received block {blk} of size {size} from /{}", ip(from))
        }
        Act::Stored { on } => {
            let on = ip(on);
            format!(
                "INFO dfs.FSNamesystem: BLOCK* NameSystem.addStoredBlock: blockMap updated: {on}:50010 is added to {blk} size {size}"
            )
        }
        Act::Served { at, to } => format!("INFO dfs.DataNode$DataXceiver: {}:50010 Served block {blk} to /{}", ip(at), ip(to)),
        Act::ServeFailed { at, to } => {
            format!("WARN dfs.DataNode$DataXceiver: {}:50010:Got exception while serving {blk} to /{}:", ip(at), ip(to))
        }
        Act::Verified { .. } => format!("INFO dfs.DataBlockScanner: Verification succeeded for {blk}"),
        Act::Invalidated { on } => {
            format!("INFO dfs.FSNamesystem: BLOCK* NameSystem.delete: {blk} is added to invalidSet of {}:50010", ip(on))
        }
        Act::Deleted { .. } => {
            let directory = rng.random_range(0..64);
            format!("INFO dfs.FSDataset: Deleting block {blk} file /mnt/hadoop/dfs/data/current/subdir{directory}/{blk}")
        }
        Act::ReplicationAsked { from, to } => {
            let (from, to) = (ip(from), ip(to));
            format!("INFO dfs.FSNamesystem: BLOCK* ask {from}:50010 to replicate {blk} to datanode(s) {to}:50010")
        }
        Act::TransferStarted { from, to } => {
            format!("INFO dfs.DataNode: {}:50010 Starting thread to transfer block {blk} to {}:50010", ip(from), ip(to))
        }
        Act::ReceivedCopy { from, to } => {
            let (from, to) = (ip(from), ip(to));
            format!("INFO dfs.DataNode$DataXceiver: Received block {blk} src: /{from}:{port} dest: /{to}:50010 of size {size}")
        }
        Act::Transmitted { from, to } => {
            format!("INFO dfs.DataNode$DataTransfer: {}:50010:Transmitted block {blk} to /{}:50010", ip(from), ip(to))
        }
        Act::DeletionFailed { .. } => {
            format!("WARN dfs.FSDataset: Unexpected error trying to delete block {blk}. BlockInfo not found in volumeMap.")
        }
        Act::MirrorFailed { at, mirror } => {
            format!(
                "WARN dfs.DataNode$DataXceiver: {}:50010:Exception writing block {blk} to mirror {}:50010",
                ip(at),
                ip(mirror)
            )
        }
        Act::ReceiptFailed { .. } => {
            format!("INFO dfs.DataNode$BlockReceiver: Exception in receiveBlock for block {blk} java.io.IOException: {RESET}")
        }
        Act::WriteFailed { .. } => {
            format!("INFO dfs.DataNode$DataXceiver: writeBlock {blk} received exception java.io.IOException: {RESET}")
        }
        Act::ResponderFailed { place, .. } => {
            format!("INFO dfs.DataNode$PacketResponder: PacketResponder {blk} {place} Exception java.io.EOFException")
        }
        Act::OffsetMoved { .. } => {
            let (offset, meta) = (size / 3, size / 3 / 128 + 7);
            format!(
                "INFO dfs.DataNode$BlockReceiver: Changing block file offset of block {blk} from 0 to {offset} meta file offset to {meta}"
            )
        }
    }
}

fn namenode_noise(rng: &mut ChaCha8Rng) -> String {
    let (many, few) = (rng.random_range(1_000..1_000_000), rng.random_range(1..1_000));
    match rng.random_range(0..3) {
        0 => format!(
            "INFO dfs.FSNamesystem: Number of transactions: {many} Total time for transactions(ms): {few} Number of syncs: {few} SyncTimes(ms): {few}"
        ),
        1 => format!("INFO dfs.FSNamesystem: Roll Edit Log from {NAMENODE_IP}"),
        _ => format!("INFO http.HttpServer: GET /jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState {few} ms"),
    }
}

fn datanode_noise(node: Datanode, rng: &mut ChaCha8Rng) -> String {
    let (many, few) = (rng.random_range(1_000..1_000_000), rng.random_range(1..1_000));
    match rng.random_range(0..20) {
        0 => format!(
            "WARN dfs.DataNode: Slow heartbeat to {NAMENODE_IP}:8020, {few} ms\njava.net.SocketTimeoutException: timed out waiting for rpc response\n\tat org.apache.hadoop.ipc.Client.call(Client.java:559)\n\tat org.apache.hadoop.dfs.DataNode.offerService(DataNode.java:605)"
        ),
        1..10 => format!("INFO dfs.DataNode: BlockReport of {many} blocks got processed in {few} msecs"),
        _ => format!("INFO dfs.DataNode: {}:50010 sent heartbeat {many} in {few} ms", ip(node)),
    }
}

/// `yyMMdd HHmmss`, as log4j wrote it in 2008.
fn stamp(time: LogTime) -> String {
    let instant = Timestamp::from_millisecond(time.0).expect("the simulated clock starts today and runs for days");
    instant.to_zoned(TimeZone::UTC).strftime("%y%m%d %H%M%S").to_string()
}

fn thread(host: Host, rng: &mut ChaCha8Rng) -> u32 {
    match host {
        Host::Namenode => rng.random_range(20..40),
        Host::Datanode(_) => rng.random_range(100..30_000),
    }
}

fn ip(Datanode(n): Datanode) -> String {
    format!("10.250.11.{}", 101 + n)
}

const NAMENODE_IP: &str = "10.250.11.100";
const RESET: &str = "Connection reset by peer";

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const A: Datanode = Datanode(0);
    const B: Datanode = Datanode(1);

    #[test]
    fn lines_are_worded_as_in_2008() {
        check(Act::Allocate, "INFO dfs.FSNamesystem: BLOCK* NameSystem.allocateBlock: /a/b. blk_-7");
        check(
            Act::ResponderEnds { at: A, place: 1 },
            "INFO dfs.DataNode$PacketResponder: PacketResponder 1 for block blk_-7 terminating",
        );
        check(
            Act::Received { at: A, from: B },
            "INFO dfs.DataNode$PacketResponder: Received block blk_-7 of size 91178 from /10.250.11.102",
        );
        check(
            Act::Stored { on: B },
            "INFO dfs.FSNamesystem: BLOCK* NameSystem.addStoredBlock: blockMap updated: 10.250.11.102:50010 is added to blk_-7 size 91178",
        );
        check(
            Act::Served { at: A, to: B },
            "INFO dfs.DataNode$DataXceiver: 10.250.11.101:50010 Served block blk_-7 to /10.250.11.102",
        );
        check(Act::Verified { at: A }, "INFO dfs.DataBlockScanner: Verification succeeded for blk_-7");
        check(
            Act::DeletionFailed { at: A },
            "WARN dfs.FSDataset: Unexpected error trying to delete block blk_-7. BlockInfo not found in volumeMap.",
        );
        check(
            Act::MirrorFailed { at: A, mirror: B },
            "WARN dfs.DataNode$DataXceiver: 10.250.11.101:50010:Exception writing block blk_-7 to mirror 10.250.11.102:50010",
        );
    }

    #[test]
    fn stamps_have_the_layout_of_2008() {
        assert_eq!(stamp(LogTime(1_226_262_918_999)), "081109 203518");
    }

    #[test]
    fn noise_names_no_block() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for host in Host::all().cycle().take(700) {
            let line = noise_line(host, LogTime(0), &mut rng);
            assert_eq!(line.host, host);
            assert!(!line.text.contains("blk_"), "{}", line.text);
        }
    }

    #[test]
    fn hosts_know_their_place() {
        assert!(Host::all().enumerate().all(|(i, host)| host.index() == i));
    }

    fn check(act: Act, expected: &str) {
        let block = Block { number: -7, size: 91_178, path: "/a/b".to_string() };
        assert_eq!(act_text(act, &block, &mut ChaCha8Rng::seed_from_u64(1)), expected);
    }
}
