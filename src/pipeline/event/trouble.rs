//! Which records without a block tell of trouble: what warns, and statements that HDFS makes calmly though they mean that something is
//! wrong with a host.

use memchr::memmem;
use serde::{Deserialize, Serialize};

use crate::pipeline::event::layout::Level;
use crate::pipeline::event::origin::Role;
use crate::pipeline::event::parse::Record;
use crate::pipeline::event::{LogTime, Position};

/// Why a record without a block matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// How serious it calls itself.
    pub level: Level,
    /// What it is known to mean; `None` for what only warns.
    pub statement: Option<Statement>,
    /// What its writer does in the cluster, as far as its log had told by then.
    pub role: Role,
}

/// A record without a block that matters, in its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TroubleRecord<'a> {
    /// Running maximum of its stream's log time.
    pub time: LogTime,
    /// Where it runs: the host that the name of the log tells.
    pub host: &'a str,
    /// Why it matters.
    pub trouble: Trouble,
    /// Log time since the first record of its stream, milliseconds.
    pub age_millis: i64,
    /// Where it stands.
    pub position: Position,
    /// What it says, with the lines that belong to it.
    pub content: &'a [u8],
}

/// What a sentence of HDFS is known to mean for a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Statement {
    /// A process begins. Trouble when it had not ended before.
    Started,
    /// A process was asked to end, or ends in order. No trouble.
    Stopped,
    /// A process ends because of an error.
    Exited,
    /// The NameNode has not heard from a DataNode for too long.
    LostNode,
    /// The NameNode takes no more writes. Expected while it starts.
    SafeMode,
    /// The NameNode has no room left for its edits.
    LowOnDisk,
    /// A NameNode takes over. Expected while it starts.
    BecameActive,
    /// A NameNode hands over. Expected while it starts.
    BecameStandby,
    /// The failover controller gets no sound answer from its NameNode.
    NotHealthy,
    /// A JVM stood still.
    Paused,
    /// A DataNode has lost a volume.
    VolumeFailed,
    /// A volume takes no more blocks.
    VolumeFull,
    /// A process has no more memory.
    OutOfMemory,
    /// The NameNode could not write its edits.
    JournalFailed,
    /// A NameNode could not start.
    StartFailed,
}

impl Statement {
    /// What it means, as a sentence about a host without its end.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Started => "a process has started again without having ended: it had crashed, was killed, or still runs",
            Self::Stopped => "a process was stopped",
            Self::Exited => "a process has ended with an error",
            Self::LostNode => "the NameNode has lost a DataNode",
            Self::SafeMode => "the NameNode is in safe mode and takes no writes",
            Self::LowOnDisk => "the NameNode is low on disk space",
            Self::BecameActive => "a NameNode has become active",
            Self::BecameStandby => "a NameNode has become standby",
            Self::NotHealthy => "a NameNode does not answer its failover controller, or not soundly",
            Self::Paused => "a process stood still",
            Self::VolumeFailed => "a DataNode has lost a volume",
            Self::VolumeFull => "a volume is full",
            Self::OutOfMemory => "a process is out of memory",
            Self::JournalFailed => "the NameNode cannot write its edits",
            Self::StartFailed => "a NameNode could not start",
        }
    }

    /// A command that shows how things are, where one helps.
    #[must_use]
    pub fn advice(self) -> Option<&'static str> {
        match self {
            Self::LostNode => Some("hdfs dfsadmin -report -dead"),
            Self::SafeMode | Self::LowOnDisk => Some("hdfs dfsadmin -safemode get"),
            Self::BecameActive | Self::BecameStandby | Self::NotHealthy => Some("hdfs haadmin -getAllServiceState"),
            Self::VolumeFailed | Self::VolumeFull => Some("hdfs dfsadmin -report"),
            Self::Started
            | Self::Stopped
            | Self::Exited
            | Self::Paused
            | Self::OutOfMemory
            | Self::JournalFailed
            | Self::StartFailed => None,
        }
    }

    /// Whether it is trouble by itself, whenever it is made.
    #[must_use]
    pub fn is_trouble(self) -> bool {
        !matches!(self, Self::Started | Self::Stopped)
    }

    /// Whether a process that starts says it as well.
    #[must_use]
    pub fn is_of_starting(self) -> bool {
        matches!(self, Self::SafeMode | Self::BecameActive | Self::BecameStandby)
    }

    /// Whether the process that says it is about to be gone.
    #[must_use]
    pub fn is_of_ending(self) -> bool {
        matches!(self, Self::Stopped | Self::Exited | Self::StartFailed)
    }

    /// Whom it speaks of, when that is not its writer: the address of a lost DataNode. Different ones are different troubles.
    #[must_use]
    pub fn subject(self, content: &[u8]) -> Option<&[u8]> {
        if self != Self::LostNode {
            return None;
        }
        let before = b"lost heartbeat from ";
        let start = memmem::find(content, before)? + before.len();
        let length = content[start..].iter().position(|byte| matches!(byte, b' ' | b',' | b'\n' | b'\r'));
        Some(&content[start..length.map_or(content.len(), |length| start + length)])
    }
}

/// The level and the meaning of a record without a block that matters; `None` for nearly all.
#[must_use]
pub fn matters(record: &Record<'_>) -> Option<(Level, Option<Statement>)> {
    let warns = record.level >= Level::Warn;
    let calm = CALM.iter().find(|row| row.begins(record));
    let loud = || LOUD.iter().find(|row| row.stands_in(record));
    let statement = calm.or_else(|| if warns { loud() } else { None }).map(|row| row.statement);
    (warns || statement.is_some()).then_some((record.level, statement))
}

/// One sentence: who says it, from which level on, and a part of it.
struct Row {
    statement: Statement,
    /// Least level.
    level: Level,
    /// The end of the logger's name; "" for any.
    logger: &'static str,
    text: &'static str,
}

impl Row {
    fn is_by(&self, record: &Record<'_>) -> bool {
        record.level >= self.level && record.logger.ends_with(self.logger.as_bytes())
    }

    fn begins(&self, record: &Record<'_>) -> bool {
        self.is_by(record) && record.content.starts_with(self.text.as_bytes())
    }

    fn stands_in(&self, record: &Record<'_>) -> bool {
        let head = &record.content[..record.content.len().min(HEAD_BYTES)];
        self.is_by(record) && memmem::find(head, self.text.as_bytes()).is_some()
    }
}

const fn row(statement: Statement, level: Level, logger: &'static str, text: &'static str) -> Row {
    Row { statement, level, logger, text }
}

/// Bytes of a record in which what warns is looked for: its message, and the head of a stack trace.
const HEAD_BYTES: usize = 2048;

/// How records begin that mean trouble, whatever their level; the first that fits counts. Every record without a block is held against
/// them. The sentences are those of Apache Hadoop 2.6 to 3.4 as its logs have them; those of heartbeats are of 2008 and of today.
const CALM: &[Row] = &[
    row(Statement::Started, Level::Info, "Node", "STARTUP_MSG:"),
    row(Statement::Stopped, Level::Info, "Node", "SHUTDOWN_MSG:"),
    row(Statement::Stopped, Level::Error, "Node", "RECEIVED SIGNAL "),
    row(Statement::Exited, Level::Info, "ExitUtil", "Exiting with status 1"),
    row(Statement::Exited, Level::Info, "ExitUtil", "Exiting with status -1"),
    row(Statement::LostNode, Level::Info, "FSNamesystem", "BLOCK* NameSystem.heartbeatCheck: lost heartbeat from "),
    row(Statement::LostNode, Level::Info, "StateChange", "BLOCK* removeDeadDatanode: lost heartbeat from "),
    row(Statement::SafeMode, Level::Info, "StateChange", "STATE* Safe mode ON"),
    row(Statement::SafeMode, Level::Info, "StateChange", "STATE* Safe mode is ON"),
    row(Statement::BecameActive, Level::Info, "FSNamesystem", "Starting services required for active state"),
    row(Statement::BecameStandby, Level::Info, "FSNamesystem", "Starting services required for standby state"),
    row(Statement::NotHealthy, Level::Info, "HealthMonitor", "Entering state SERVICE_NOT_RESPONDING"),
    row(Statement::NotHealthy, Level::Info, "HealthMonitor", "Entering state SERVICE_UNHEALTHY"),
    row(Statement::Paused, Level::Warn, "JvmPauseMonitor", "Detected pause in JVM"),
    row(Statement::VolumeFailed, Level::Info, "DatanodeDescriptor", "Number of failed storages changes from 0 "),
];

/// What stands in records that warn, anywhere.
const LOUD: &[Row] = &[
    row(Statement::LowOnDisk, Level::Warn, "FSNamesystem", "NameNode low on available disk space"),
    row(Statement::VolumeFailed, Level::Warn, "", "DataNode failed volumes:"),
    row(Statement::VolumeFailed, Level::Warn, "", "Removing failed volume "),
    row(Statement::VolumeFailed, Level::Warn, "NameNode", "isk error on "),
    row(Statement::VolumeFull, Level::Warn, "VolumeChoosingPolicy", " is less than the block size "),
    row(Statement::VolumeFull, Level::Warn, "", "DiskOutOfSpaceException"),
    row(Statement::VolumeFull, Level::Warn, "", "No space left on device"),
    row(Statement::OutOfMemory, Level::Warn, "", "java.lang.OutOfMemoryError"),
    row(Statement::JournalFailed, Level::Error, "", "failed for required journal"),
    row(Statement::StartFailed, Level::Error, "NameNode", "Failed to start namenode"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::event::parse::parse;

    #[test]
    fn what_warns_matters_and_the_rest_does_not() {
        check("DEBUG org.apache.hadoop.hdfs.StateChange: *DIR* NameNode.mkdirs: /a", None);
        check("INFO org.apache.hadoop.hdfs.StateChange: DIR* completeFile: /a is closed by DFSClient_1", None);
        check("INFO org.apache.hadoop.hdfs.StateChange: STATE* Leaving safe mode after 0 secs", None);
        check("INFO org.apache.hadoop.util.ExitUtil: Exiting with status 0", None);
        check("WARN org.apache.hadoop.hdfs.DataNode: IOException in offerService", Some((Level::Warn, None)));
        check("FATAL org.apache.hadoop.hdfs.DataNode: Exception in secureMain", Some((Level::Fatal, None)));
    }

    #[test]
    fn sentences_that_mean_trouble() {
        for (line, level, statement) in [
            (
                "INFO org.apache.hadoop.hdfs.StateChange: BLOCK* removeDeadDatanode: lost heartbeat from 127.0.0.1:29030, x",
                Level::Info,
                Statement::LostNode,
            ),
            (
                "INFO dfs.FSNamesystem: BLOCK* NameSystem.heartbeatCheck: lost heartbeat from 10.0.0.1:50010",
                Level::Info,
                Statement::LostNode,
            ),
            ("INFO org.apache.hadoop.hdfs.StateChange: STATE* Safe mode is ON. ", Level::Info, Statement::SafeMode),
            ("INFO a.b.NameNode: STARTUP_MSG: \n/****\nSTARTUP_MSG: Starting NameNode", Level::Info, Statement::Started),
            ("ERROR a.b.DataNode: RECEIVED SIGNAL 15: SIGTERM", Level::Error, Statement::Stopped),
            ("INFO a.b.FSNamesystem: Starting services required for active state", Level::Info, Statement::BecameActive),
            (
                "WARN org.apache.hadoop.util.JvmPauseMonitor: Detected pause in JVM or host machine (eg GC): pause of 11563ms",
                Level::Warn,
                Statement::Paused,
            ),
            (
                "ERROR a.b.DataNode: x:DataXceiver error\njava.io.IOException: No space left on device",
                Level::Error,
                Statement::VolumeFull,
            ),
            ("WARN a.b.NameNode: Fatal disk error on dn1: x", Level::Warn, Statement::VolumeFailed),
        ] {
            check(line, Some((level, Some(statement))));
        }
    }

    #[test]
    fn whom_a_statement_speaks_of() {
        for (content, expected) in [
            ("removeDeadDatanode: lost heartbeat from 127.0.0.1:29030, removeBlocksFromBlockMap true", Some("127.0.0.1:29030")),
            ("heartbeatCheck: lost heartbeat from 10.0.0.1:50010", Some("10.0.0.1:50010")),
            ("removeDeadDatanode", None),
        ] {
            assert_eq!(Statement::LostNode.subject(content.as_bytes()), expected.map(str::as_bytes), "{content}");
        }
        assert_eq!(Statement::Paused.subject(b"lost heartbeat from x"), None);
    }

    fn check(line: &str, expected: Option<(Level, Option<Statement>)>) {
        let record = format!("2026-11-23 03:41:49,348 {line}");
        let record = parse(record.as_bytes()).expect("it has a header");
        assert_eq!(matters(&record), expected, "{line}");
    }
}
