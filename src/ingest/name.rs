//! Takes the name of a log file apart: which live file it was rotated from, how old that makes it, and whether it is compressed.

use std::cmp::Reverse;

use super::codec::Codec;

/// A file name taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogName<'a> {
    /// Name of the file that was being written when this one was it.
    pub live: &'a str,
    /// Age among the files of the same live name.
    pub rank: Rank,
    /// How it is packed.
    pub packing: Packing,
}

/// Age of a file among those of its stream; the oldest sorts first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// `x.log.2026-11-23`, `x.log.2026-11-23-05`, `x.log-20261123`, `x.log.2026-11-23.1`: the numbers of the suffix. Of one date,
    /// the higher number is the newer one, as Log4j 2 counts.
    Dated(Vec<u64>),
    /// `x.log.1`: the higher the older.
    Numbered(Reverse<u64>),
    /// `x.log`.
    Live,
}

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// In a way that is read here.
    By(Codec),
    /// By something that is not read here.
    Unknown,
}

impl Packing {
    /// How to decode it, if it is compressed and that is known.
    #[must_use]
    pub fn codec(self) -> Option<Codec> {
        match self {
            Self::By(codec) => Some(codec),
            Self::Plain | Self::Unknown => None,
        }
    }
}

/// Takes `name` apart. What does not look rotated is the live file of a stream of its own.
///
/// ```
/// use hdfs_vigil::ingest::codec::Codec;
/// use hdfs_vigil::ingest::name::{parse, Packing, Rank};
/// let name = parse("hadoop-hdfs-datanode-dn1.log.2.gz");
/// assert_eq!(name.live, "hadoop-hdfs-datanode-dn1.log");
/// assert_eq!(name.rank, Rank::Numbered(std::cmp::Reverse(2)));
/// assert_eq!(name.packing, Packing::By(Codec::Gzip));
/// ```
#[must_use]
pub fn parse(name: &str) -> LogName<'_> {
    let (name, packing) = unpack(name);
    let live = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-' || c == '.');
    let suffix = &name[live.len()..];
    match rank(suffix) {
        Some(rank) if LIVE_EXTENSIONS.iter().any(|extension| live.ends_with(extension)) => LogName { live, rank, packing },
        _ => LogName { live: name, rank: Rank::Live, packing },
    }
}

fn unpack(name: &str) -> (&str, Packing) {
    let known = Codec::ALL.map(|codec| (codec.suffix(), Packing::By(codec)));
    let unknown = UNKNOWN_PACKINGS.map(|suffix| (suffix, Packing::Unknown));
    known
        .into_iter()
        .chain(unknown)
        .find_map(|(suffix, packing)| Some((name.strip_suffix(suffix)?, packing)))
        .unwrap_or((name, Packing::Plain))
}

/// The rank that a suffix such as `.1` or `-20261123` stands for; `None` if it is none.
fn rank(suffix: &str) -> Option<Rank> {
    let mut parts = suffix.split(['.', '-']);
    parts.next().filter(|before| before.is_empty())?;
    let numbers: Vec<u64> = parts.map(|part| part.parse().ok()).collect::<Option<_>>()?;
    match numbers[..] {
        [] => None,
        [number] if suffix.starts_with('.') && number < COMPACT_DATE_MIN => Some(Rank::Numbered(Reverse(number))),
        _ => Some(Rank::Dated(numbers)),
    }
}

/// Only behind these a number is a rotation: `dn-1` and `node.10.0.0.1` are names of their own.
const LIVE_EXTENSIONS: [&str; 2] = [".log", ".out"];

/// Suffixes of what is packed in a way that is not read here.
const UNKNOWN_PACKINGS: [&str; 5] = [".bz2", ".xz", ".lz4", ".zip", ".Z"];

/// From here on a single number is a date, `19700101`, and no count of rotations.
const COMPACT_DATE_MIN: u64 = 19_700_101;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names_lead_to_their_live_file() {
        check("x.log", "x.log", Rank::Live, Packing::Plain);
        check("x.log.20", "x.log", Rank::Numbered(Reverse(20)), Packing::Plain);
        check("x.log.gz", "x.log", Rank::Live, Packing::By(Codec::Gzip));
        check("x.log.1.gz", "x.log", Rank::Numbered(Reverse(1)), Packing::By(Codec::Gzip));
        check("x.log.2026-11-23", "x.log", Rank::Dated(vec![2026, 11, 23]), Packing::Plain);
        check("x.log.2026-11-23-05", "x.log", Rank::Dated(vec![2026, 11, 23, 5]), Packing::Plain);
        check("x.log-20261123.gz", "x.log", Rank::Dated(vec![20_261_123]), Packing::By(Codec::Gzip));
        check("x.log.12.zst", "x.log", Rank::Numbered(Reverse(12)), Packing::By(Codec::Zstd));
        check("x.out.3", "x.out", Rank::Numbered(Reverse(3)), Packing::Plain);
        check("x.log.1.xz", "x.log", Rank::Numbered(Reverse(1)), Packing::Unknown);
    }

    #[test]
    fn numbers_elsewhere_are_no_rotation() {
        for name in ["dn-1", "datanode-10.0.0.5.log", "x.log.", "x.log..1", "1", "x.log.1a", "x.log.99999999999999999999999"] {
            check(name, name, Rank::Live, Packing::Plain);
        }
    }

    #[test]
    fn the_oldest_sorts_first() {
        let oldest_first =
            ["x.log.2026-11-22", "x.log.2026-11-23", "x.log.2026-11-23.1", "x.log.10", "x.log.2", "x.log.1", "x.log"];
        assert!(oldest_first.windows(2).all(|pair| parse(pair[0]).rank < parse(pair[1]).rank));
    }

    fn check(name: &str, live: &str, rank: Rank, packing: Packing) {
        assert_eq!(parse(name), LogName { live, rank, packing }, "{name}");
    }
}
