//! Every real log that is shared beside the project: how many records it has, which lines join them, and why the others are in none.

use hdfs_vigil::pipeline::event::SourceId;
use hdfs_vigil::pipeline::event::frame::{Counts, Framer, LogLine};
use hdfs_vigil::pipeline::event::layout::Layout;
use hdfs_vigil::pipeline::event::origin::{Origin, Role};
use proptest::prelude::*;
use regex::bytes::Regex;

use crate::real_data;

#[test]
fn every_file_has_the_records_that_an_independent_reader_finds() {
    for &(name, layout, records, joined, headless) in FILES {
        let Some(bytes) = real_data::bytes(name) else { return };
        let (found, counts) = frame(&bytes, 65_536);
        let expected = (layout, records, joined, headless, 0);
        assert_eq!((found.layout, found.records, counts.joined, counts.headless, counts.belated), expected, "{name}");
    }
}

/// The expression is not that of the scanners: it takes anything that has the look of a date, a clock and a level.
#[test]
fn no_line_that_joins_a_record_looks_like_a_header() {
    let header = Regex::new(r"^\d{2,4}[-/]?\d\d[-/]?\d\d[ T]\d\d:?\d\d:?\d\d.*\b(INFO|WARN|ERROR|DEBUG|FATAL|TRACE)\b").unwrap();
    for &(name, ..) in FILES {
        let Some(bytes) = real_data::bytes(name) else { return };
        let (found, _) = frame(&bytes, 65_536);
        let odd = found.joined.iter().find(|line| header.is_match(line)).map(|line| String::from_utf8_lossy(line));
        assert_eq!(odd, None, "{name}: a header joined the record before it");
    }
}

#[test]
fn of_the_logs_of_hdfs_no_line_in_a_thousand_is_in_no_record() {
    let of_hdfs = FILES.iter().filter(|(name, ..)| !name.starts_with("loghub_2k") && !name.contains("excerpts"));
    for (name, _, records, joined, headless) in of_hdfs {
        assert!(headless * 1000 <= records + joined, "{name}: {headless} lines are in no record");
    }
}

#[test]
fn names_tell_roles_and_hosts() {
    for (name, role, host) in [
        ("datanode-jiankong2.log", Role::DataNode, Some("jiankong2")),
        ("secondarynamenode-oracle1.log", Role::SecondaryNameNode, Some("oracle1")),
        ("hadoop-hdfs-namenode-singlenode.log", Role::NameNode, Some("singlenode")),
        ("SecurityAuth-hdfs.audit", Role::Security, None),
        ("namenode.log", Role::NameNode, None),
        ("hadoop-hdfs-datanode-dn1.log.1.gz", Role::DataNode, Some("dn1")),
    ] {
        assert!(FILES.iter().any(|(path, ..)| path.ends_with(&format!("/{name}"))), "{name} is one of the files");
        assert_eq!(Origin::of_file_name(name), Origin { role, host: host.map(str::to_owned) });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_of_the_bytes_gives_the_same_records(file in 0..FILES.len(), start in 0..100_000_usize, size in 1..5000_usize) {
        let Some(bytes) = real_data::bytes(FILES[file].0) else { return Ok(()) };
        let bytes = &bytes[start.min(bytes.len() / 2)..][..bytes.len().min(200_000) / 2];
        let (whole, counts) = frame(bytes, bytes.len().max(1));
        let (cut, cut_counts) = frame(bytes, size);
        prop_assert_eq!(whole, cut);
        prop_assert_eq!(counts, cut_counts);
    }
}

#[derive(Debug, Default, PartialEq)]
struct Found {
    records: u64,
    layout: Option<Layout>,
    /// Lines that joined a record.
    joined: Vec<Vec<u8>>,
    /// All bytes of all records, in order.
    bytes: Vec<u8>,
}

fn frame(bytes: &[u8], chunk: usize) -> (Found, Counts) {
    let (mut framer, mut counts, mut found) = (Framer::default(), Counts::default(), Found::default());
    let mut keep = |line: LogLine<'_>| {
        found.records += 1;
        found.layout = Some(line.header.layout);
        found.joined.extend(line.bytes.split(|byte| *byte == b'\n').skip(1).map(<[u8]>::to_vec));
        found.bytes.extend_from_slice(line.bytes);
    };
    for (index, part) in bytes.chunks(chunk).enumerate() {
        framer.handle_bytes(SourceId(0), (index * chunk) as u64, part, &mut counts, &mut keep);
    }
    framer.end_of_source(SourceId(0), &mut counts, &mut keep);
    framer.flush(&mut counts, &mut keep);
    (found, counts)
}

/// Name, layout, records, lines that join one, lines before the first one: of other systems, or a heading. Counted with regular
/// expressions in another language.
const FILES: &[(&str, Option<Layout>, u64, u64, u64)] = &[
    ("hadoop/hadoop-2.6.5-three-hosts/datanode-hadoop01.log", Some(Layout::File), 69, 32, 0),
    ("hadoop/hadoop-2.6.5-three-hosts/datanode-jiankong2.log", Some(Layout::File), 48, 208, 0),
    ("hadoop/hadoop-2.6.5-three-hosts/datanode-oracle1.log", Some(Layout::File), 193, 82, 0),
    ("hadoop/hadoop-2.6.5-three-hosts/namenode-hadoop01.log", Some(Layout::File), 135, 12, 0),
    ("hadoop/hadoop-2.6.5-three-hosts/namenode-oracle1.log", Some(Layout::File), 371, 33, 0),
    ("hadoop/hadoop-2.6.5-three-hosts/secondarynamenode-hadoop01.log", Some(Layout::File), 82, 12, 0),
    ("hadoop/hadoop-2.6.5-three-hosts/secondarynamenode-oracle1.log", Some(Layout::File), 258, 33, 0),
    ("hadoop/hadoop-2.7.2/SecurityAuth-hdfs.audit", Some(Layout::File), 9946, 0, 0),
    ("hadoop/hadoop-2.7.2/hadoop-hdfs-datanode-singlenode.log", Some(Layout::File), 3499, 6547, 0),
    ("hadoop/hadoop-2.7.2/hadoop-hdfs-namenode-singlenode.log", Some(Layout::File), 16_647, 1539, 0),
    ("hadoop/hadoop-2.7.2/hadoop-hdfs-portmap-singlenode.log", Some(Layout::File), 4, 29, 0),
    ("hadoop/hadoop-2.7.2/hadoop-hdfs-secondarynamenode-singlenode.log", Some(Layout::File), 4093, 3371, 0),
    ("hadoop/hadoop-2.7.5/datanode.log", Some(Layout::File), 1049, 33, 0),
    ("hadoop/hadoop-2.7.5/namenode.log", Some(Layout::File), 377, 80, 0),
    ("hadoop/hadoop-2.7.5/secondarynamenode.log", Some(Layout::File), 381, 606, 0),
    ("hadoop/hadoop-3-excerpts/excerpts.log", Some(Layout::File), 122, 155, 1),
    ("hadoop3/clean/hadoop-hdfs-datanode-dn1.log.1.gz", Some(Layout::File), 26_156, 24_904, 0),
    ("hadoop3/clean/hadoop-hdfs-datanode-dn1.log.gz", Some(Layout::File), 5304, 5613, 0),
    ("hadoop3/clean/hadoop-hdfs-datanode-dn2.log.1.gz", Some(Layout::File), 26_173, 25_034, 0),
    ("hadoop3/clean/hadoop-hdfs-datanode-dn2.log.gz", Some(Layout::File), 5466, 5603, 0),
    ("hadoop3/clean/hadoop-hdfs-datanode-dn3.log.1.gz", Some(Layout::File), 26_116, 25_074, 0),
    ("hadoop3/clean/hadoop-hdfs-datanode-dn3.log.gz", Some(Layout::File), 5360, 5478, 0),
    ("hadoop3/clean/hadoop-hdfs-datanode-dn4.log.1.gz", Some(Layout::File), 26_128, 25_029, 0),
    ("hadoop3/clean/hadoop-hdfs-datanode-dn4.log.gz", Some(Layout::File), 5324, 5486, 0),
    ("hadoop3/clean/hadoop-hdfs-namenode-nn1.log.1.gz", Some(Layout::File), 53_904, 12, 0),
    ("hadoop3/clean/hadoop-hdfs-namenode-nn1.log.gz", Some(Layout::File), 8068, 3, 0),
    ("hadoop3/faults/hadoop-hdfs-datanode-dn1.log.1.gz", Some(Layout::File), 25_345, 26_868, 0),
    ("hadoop3/faults/hadoop-hdfs-datanode-dn1.log.gz", Some(Layout::File), 11_498, 11_198, 0),
    ("hadoop3/faults/hadoop-hdfs-datanode-dn2.log.1.gz", Some(Layout::File), 25_792, 25_016, 0),
    ("hadoop3/faults/hadoop-hdfs-datanode-dn2.log.gz", Some(Layout::File), 11_645, 14_351, 0),
    ("hadoop3/faults/hadoop-hdfs-datanode-dn3.log.1.gz", Some(Layout::File), 25_599, 25_814, 0),
    ("hadoop3/faults/hadoop-hdfs-datanode-dn3.log.gz", Some(Layout::File), 11_757, 13_989, 0),
    ("hadoop3/faults/hadoop-hdfs-datanode-dn4.log.1.gz", Some(Layout::File), 25_358, 26_863, 0),
    ("hadoop3/faults/hadoop-hdfs-datanode-dn4.log.gz", Some(Layout::File), 15_910, 18_596, 0),
    ("hadoop3/faults/hadoop-hdfs-namenode-nn1.log.1.gz", Some(Layout::File), 53_789, 12, 0),
    ("hadoop3/faults/hadoop-hdfs-namenode-nn1.log.gz", Some(Layout::File), 20_553, 3, 0),
    ("hdfs_v1/HDFS_20000.log", Some(Layout::Of2008), 20_000, 0, 0),
    ("loghub_2k/Apache/Apache_2k.log", None, 0, 0, 2000),
    ("loghub_2k/BGL/BGL_2k.log", None, 0, 0, 2000),
    ("loghub_2k/HDFS/HDFS_2k.log", Some(Layout::Of2008), 2000, 0, 0),
    ("loghub_2k/Hadoop/Hadoop_2k.log", Some(Layout::File), 2000, 0, 0),
    ("loghub_2k/Linux/Linux_2k.log", None, 0, 0, 2000),
    ("loghub_2k/OpenSSH/OpenSSH_2k.log", None, 0, 0, 2000),
    ("loghub_2k/Spark/Spark_2k.log", Some(Layout::Console), 2000, 0, 0),
    ("loghub_2k/Zookeeper/Zookeeper_2k.log", None, 0, 0, 2000),
];
