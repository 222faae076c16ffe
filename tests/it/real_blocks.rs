//! Blocks in real logs: what is taken for one, how DataNodes and NameNodes are joined, and two clusters side by side.
//!
//! The figures were counted once with regular expressions in Python: records by their header, of each the distinct `blk_(-?\d+)`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use hdfs_vigil::limits::CHUNK_BYTES_MAX;
use hdfs_vigil::pipeline::event::block::blocks;
use hdfs_vigil::pipeline::event::pool::StreamPool;
use hdfs_vigil::pipeline::event::zone::Zone;
use hdfs_vigil::pipeline::event::{Chunk, Event, SourceId, StreamId, WallTime};
use hdfs_vigil::pipeline::front::{Front, Output, Settings};
use hdfs_vigil::pipeline::profile::{DrainSettings, Profile};
use hdfs_vigil::pipeline::stats::Stats;

use crate::real_data;

#[test]
fn no_block_of_a_real_log_is_taken_for_something_else() {
    let Some(root) = real_data::path("") else { return };
    let mut mentions = BTreeMap::new();
    for folder in ["hdfs_v1", "hadoop", "hadoop3", "loghub_2k/HDFS", "loghub_2k/Hadoop"] {
        for path in logs(&root.join(folder)) {
            let bytes = read(&path);
            let refused: Vec<String> =
                bytes.split(|byte| *byte == b'\n').filter(|line| look(line) != found(line)).map(text).collect();
            assert_eq!(refused, Vec::<String>::new(), "{}", path.display());
            *mentions.entry(folder).or_insert(0) += look(&bytes);
        }
    }
    println!("ids that look like blocks and are taken for some: {mentions:?}");
    assert_eq!(mentions, BTreeMap::from(MENTIONS));
}

#[test]
fn the_blocks_of_2008_are_those_that_are_labelled() {
    let Some(root) = real_data::path("") else { return };
    let log = Log::new("HDFS.log", &[&read(&root.join("hdfs_v1/HDFS_20000.log"))]);
    let labels = String::from_utf8(read(&root.join("hdfs_v1/HDFS_20000_labels.csv"))).unwrap();
    let labelled: BTreeSet<i64> =
        labels.lines().filter_map(|line| line.split(',').next()?.strip_prefix("blk_")?.parse().ok()).collect();
    let (events, _) = run(&[log], &[]);
    assert_eq!(events.iter().map(|event| event.number).collect::<BTreeSet<_>>(), labelled);
    assert_eq!((labelled.len(), events.len()), (1782, 20_000));
}

#[test]
fn every_block_of_the_data_nodes_is_joined_with_the_name_node() {
    check_joined(|root| Some(vec![hadoop_2(root, "datanode.log")?, hadoop_2(root, "namenode.log")?]), [29, 29, 29], [87, 61]);
    check_joined(hadoop_3, [7966, 7966, 7966], [125_583, 37_070]);
}

#[test]
fn two_clusters_whose_pools_are_configured_do_not_mix() {
    let Some(root) = real_data::path("") else { return };
    let [data_node, name_node] = ["datanode.log", "namenode.log"].map(|name| hadoop_2(&root, name).unwrap());
    let (alone, _) = run(&[data_node.clone(), name_node.clone()], &[]);
    let twins = [data_node.twin(0), name_node.twin(0)];
    let pools = [of("namenode.log", POOL), of("twin-namenode.log", TWIN_POOL)];
    let (events, stats) = run(&[data_node, name_node, twins[0].clone(), twins[1].clone()], &pools);
    for pool in 0..2 {
        let own: Vec<_> = events.iter().filter(|event| event.pool == pool).collect();
        assert!(own.iter().all(|event| event.log.starts_with("twin") == (pool == 1)), "pool {pool} is of one cluster");
        let story = |event: &&Found| (event.number, event.time, event.log.trim_start_matches("twin-").to_owned());
        assert_eq!(own.iter().map(story).collect::<Vec<_>>(), alone.iter().map(|event| story(&event)).collect::<Vec<_>>());
    }
    assert_eq!((events.len(), stats.ambiguous_pools), (2 * alone.len(), 0));
}

#[test]
fn two_clusters_with_numbers_of_their_own_are_told_apart_by_their_blocks() {
    let Some((events, stats, second)) = side_by_side(1_000_000) else { return };
    let mixed: Vec<usize> = (0..events.len()).filter(|at| events[*at].is_mixed()).collect();
    println!("{} events, {} before the second pool was named, {} left out", events.len(), mixed.len(), stats.ambiguous_pools);
    assert!(mixed.iter().all(|at| *at < second), "what mixes stands before the second pool");
    let of_name_nodes =
        |pool| events[second..].iter().filter(|event| event.pool == pool && event.log.ends_with("namenode.log")).count();
    assert!(of_name_nodes(0) > 40 && of_name_nodes(1) > 40, "both name nodes are known by their blocks");
    assert_eq!((mixed.len(), stats.ambiguous_pools), LEARNT);
}

#[test]
fn what_two_clusters_with_the_same_numbers_do_not_tell_apart_is_left_out() {
    let Some((events, stats, second)) = side_by_side(0) else { return };
    assert!(
        (0..events.len()).filter(|at| events[*at].is_mixed()).all(|at| at < second),
        "what mixes stands before the second pool"
    );
    assert!(events[second..].iter().all(|event| event.log.ends_with("datanode.log")));
    assert_eq!(events.len() as u64 + stats.ambiguous_pools, 2 * (87 + 61));
}

/// Numbers of blocks: of DataNodes, of the NameNode, of both; and of the events of either.
fn check_joined(logs: impl Fn(&Path) -> Option<Vec<Log>>, blocks: [usize; 3], events: [usize; 2]) {
    let Some(logs) = real_data::path("").and_then(|root| logs(&root)) else { return };
    let (found, stats) = run(&logs, &[]);
    let of = |name: &'static str| found.iter().filter(move |event| event.log.contains(name));
    let [of_data_nodes, of_name_node] =
        ["datanode", "namenode"].map(|name| of(name).map(|event| event.number).collect::<BTreeSet<_>>());
    let both = of_data_nodes.intersection(&of_name_node).count();
    assert_eq!([of_data_nodes.len(), of_name_node.len(), both], blocks);
    assert_eq!(["datanode", "namenode"].map(|name| of(name).count()), events);
    assert!(found.iter().all(|event| event.pool == 0));
    assert_eq!((stats.ambiguous_pools, stats.refused_blocks), (0, 0));
}

/// Hadoop 2.7.5 beside its twin, whose blocks have numbers greater by `shift`; with nothing configured. The events in their order,
/// and the index of the first one of the second pool.
fn side_by_side(shift: i64) -> Option<(Vec<Found>, Stats, usize)> {
    let root = real_data::path("")?;
    let logs = ["datanode.log", "namenode.log"].map(|name| hadoop_2(&root, name).unwrap());
    let twins = logs.each_ref().map(|log| log.twin(shift));
    let (events, stats) = run(&[logs, twins].concat(), &[]);
    let second = events.iter().position(|event| event.pool == 1).unwrap();
    Some((events, stats, second))
}

/// One log, in the files it was rotated to.
#[derive(Clone)]
struct Log {
    name: String,
    files: Vec<Vec<u8>>,
}

impl Log {
    fn new(name: &str, files: &[&[u8]]) -> Self {
        Self { name: name.to_owned(), files: files.iter().map(|file| file.to_vec()).collect() }
    }

    /// The same log of another cluster: another pool, another host, blocks with other numbers.
    fn twin(&self, shift: i64) -> Self {
        let files = self.files.iter().map(|file| twin(&String::from_utf8_lossy(file), shift).into_bytes());
        Self { name: format!("twin-{}", self.name), files: files.collect() }
    }
}

fn twin(text: &str, shift: i64) -> String {
    let renamed = |text: String, (host, twin): &(&str, &str)| text.replace(host, twin);
    let text = HOSTS.iter().fold(text.replace(POOL, TWIN_POOL), renamed);
    let mut parts = text.split("blk_");
    let mut twin = parts.next().unwrap().to_owned();
    for part in parts {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let number: i64 = part[..digits].parse().unwrap();
        twin += &format!("blk_{}{}", number + shift, &part[digits..]);
    }
    twin
}

/// An event, with the log that it stands in.
#[derive(Clone, Debug, PartialEq)]
struct Found {
    pool: u32,
    number: i64,
    time: i64,
    log: String,
}

impl Found {
    /// Whether it is in the pool of the other cluster.
    fn is_mixed(&self) -> bool {
        self.log.starts_with("twin") != (self.pool == 1)
    }
}

/// The events of all logs, in the order of log time.
fn run(logs: &[Log], pools: &[StreamPool]) -> (Vec<Found>, Stats) {
    let settings = Settings {
        merge_delay_millis: 2000,
        merge_bytes_max: 1 << 30,
        join_grace_millis: 0,
        pool: None,
        pools: pools.to_vec(),
        zone: Zone::utc(),
    };
    let mut front = Front::new(settings, &Profile::without_vocabulary(DrainSettings::hdfs())).unwrap();
    let mut found = Vec::new();
    let mut emit = |output: Output<'_>| {
        if let Output::Event { event, .. } = output {
            found.push(event);
        }
    };
    (0..logs.len()).for_each(|log| front.open_stream(StreamId(log as u32), &logs[log].name, false));
    for (log, Log { files, .. }) in logs.iter().enumerate() {
        let stream = StreamId(log as u32);
        for (file, bytes) in files.iter().enumerate() {
            let source = SourceId((log * FILES_MAX + file) as u32);
            for (index, part) in bytes.chunks(CHUNK_BYTES_MAX).enumerate() {
                let chunk = Chunk { stream, source, offset: (index * CHUNK_BYTES_MAX) as u64, bytes: part };
                front.handle_chunk(chunk, WallTime(0), &mut emit);
            }
        }
        front.close_stream(stream, &mut emit);
    }
    let mut stats = Stats::default();
    front.count_into(&mut stats);
    let log = |event: &Event| logs[event.position.source.0 as usize / FILES_MAX].name.clone();
    let each = found.iter().map(|event| Found {
        pool: event.block.pool.0,
        number: event.block.number,
        time: event.time.0,
        log: log(event),
    });
    (each.collect(), stats)
}

fn hadoop_2(root: &Path, name: &str) -> Option<Log> {
    Some(Log::new(name, &[&read(&root.join("hadoop/hadoop-2.7.5").join(name))]))
}

fn hadoop_3(root: &Path) -> Option<Vec<Log>> {
    let log = |name: &str| {
        let file = |ending: &str| read(&root.join(format!("hadoop3/clean/hadoop-hdfs-{name}.log{ending}")));
        Log::new(name, &[&file(".1.gz"), &file(".gz")])
    };
    Some(["datanode-dn1", "datanode-dn2", "datanode-dn3", "datanode-dn4", "namenode-nn1"].map(log).to_vec())
}

fn of(pattern: &str, pool: &str) -> StreamPool {
    StreamPool { pattern: pattern.to_owned(), pool: pool.to_owned() }
}

/// How many blocks a line names.
fn found(line: &[u8]) -> usize {
    blocks(line).count()
}

/// How often `blk_` with a number stands in `bytes`.
fn look(bytes: &[u8]) -> usize {
    let mut count = 0;
    for at in memchr::memmem::find_iter(bytes, b"blk_") {
        let behind = &bytes[at + 4..];
        let digits = behind.strip_prefix(b"-").unwrap_or(behind);
        count += usize::from(digits.first().is_some_and(u8::is_ascii_digit));
    }
    count
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}

/// Every file of logs below a folder.
fn logs(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let is_log =
        |path: &PathBuf| [".log", ".gz", ".audit", "datanode.tsv"].iter().any(|end| path.to_string_lossy().ends_with(end));
    paths
        .into_iter()
        .flat_map(|path| if path.is_dir() { logs(&path) } else { Some(path).into_iter().filter(is_log).collect() })
        .collect()
}

fn read(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    if path.extension().is_none_or(|extension| extension != "gz") {
        return bytes;
    }
    let mut plain = Vec::new();
    GzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).unwrap();
    plain
}

const POOL: &str = "BP-1000273023-30.28.160.77-1516703871702";
const TWIN_POOL: &str = "BP-1999999999-30.28.160.78-1516703871703";

/// Addresses and names of hosts, and those of the twin.
const HOSTS: [(&str, &str); 3] = [("30.28.160.77", "30.28.160.78"), ("127.0.0.1", "127.0.0.2"), ("michaeldemacbook-pro", "twin")];

/// More than one log has.
const FILES_MAX: usize = 8;

/// By folder.
const MENTIONS: [(&str, usize); 5] =
    [("hadoop", 30_468), ("hadoop3", 509_367), ("hdfs_v1", 20_000), ("loghub_2k/HDFS", 2469), ("loghub_2k/Hadoop", 7)];

/// Events of the twin's NameNode that came before its pool was named, and of both NameNodes before theirs was known.
const LEARNT: (usize, u64) = (1, 6);
