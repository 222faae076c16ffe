//! The nouns of the first half of the pipeline: where a line stands, when it was written, and what it says of which block.

use std::fmt;

use serde::{Deserialize, Serialize};

pub mod block;
pub mod blockless;
pub mod frame;
pub mod layout;
pub mod merge;
pub mod origin;
pub mod parse;
pub mod pool;
pub mod template;
pub mod trouble;
pub mod zone;

/// What a log writes: milliseconds since 1970-01-01 00:00:00 of the log's own wall clock. HDFS writes no time zone;
/// [`zone::Zone`] tells which instant was meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CivilTime(pub i64);

/// When a log says that it was written: milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogTime(pub i64);

impl LogTime {
    /// This time moved by `millis`, saturating.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to `self`; negative when `earlier` is the later one.
    #[must_use]
    pub fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// What this host's clock says, in milliseconds since the Unix epoch. It moves nothing but silence and pending records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WallTime(pub i64);

impl WallTime {
    /// This time moved by `millis`, saturating.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to `self`; negative when the clock was set back in between.
    #[must_use]
    pub fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// One log as its writer sees it: `hadoop-hdfs-datanode-dn1.log` and everything it was rotated to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamId(pub u32);

/// One file of a stream, by identity and not by name: it keeps its number when it is renamed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceId(pub u32);

/// Where the bytes of a record stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The file.
    pub source: SourceId,
    /// Offset of the record's first byte in that file.
    pub offset: u64,
    /// Bytes of the record, with the lines that belong to it and without the last newline.
    pub length: u32,
}

/// Bytes of a log file as they were read.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// The log.
    pub stream: StreamId,
    /// The file of that log.
    pub source: SourceId,
    /// Offset of the first byte of `bytes` in the file.
    pub offset: u64,
    /// The bytes; any content, any length.
    pub bytes: &'a [u8],
}

/// A pool of block ids; ids are unique in their pool only. 0 means that no line has named one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PoolId(pub u32);

/// A block: the pool and the number of `blk_N_GS`. The generation stamp is no part of it, since appends change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BlockId {
    /// The pool, or the default when unknown.
    pub pool: PoolId,
    /// The number; negative ones occur.
    pub number: i64,
}

impl fmt::Display for BlockId {
    /// Writes `blk_N`, as the logs do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "blk_{}", self.number)
    }
}

/// The kind of an event, as Drain found it: an index that never changes its meaning within one state directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TemplateId(pub u32);

/// The kind of an event as a model knows it. See [`crate::pipeline::profile`] for the reserved values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Token(pub u16);

/// One occurrence: a line said something of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Which block.
    pub block: BlockId,
    /// What was said.
    pub template: TemplateId,
    /// The same in the model's vocabulary.
    pub token: Token,
    /// When the log says it was.
    pub time: LogTime,
    /// Where the record stands.
    pub position: Position,
    /// Whether its record is of level WARN or above, carries an exception or speaks of failure. Only told of what the model does not know.
    pub grave: bool,
}
