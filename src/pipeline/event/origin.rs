//! Whose log it is: the role and the host of the process that writes it, read off the file's name and the loggers.

use memchr::memmem;
use serde::{Deserialize, Serialize};

/// What a log's writer does in the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Keeps the names of files and where their blocks are.
    NameNode,
    /// Keeps blocks.
    DataNode,
    /// Keeps the NameNodes' edits.
    JournalNode,
    /// Merges the NameNode's edits into its image.
    SecondaryNameNode,
    /// Decides which NameNode is active.
    FailoverController,
    /// Moves blocks between DataNodes.
    Balancer,
    /// Serves HDFS by NFS.
    Nfs,
    /// Who did what to which file: a NameNode's audit log. It names no blocks and is not read.
    Audit,
    /// Who logged in. It names no blocks and is not read.
    Security,
    /// What the garbage collector did. It names no blocks and is not read.
    Gc,
    /// Not known, or none that HDFS has.
    #[default]
    Other,
}

impl Role {
    /// The name in JSON, metrics, labels and pages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NameNode => "name_node",
            Self::DataNode => "data_node",
            Self::JournalNode => "journal_node",
            Self::SecondaryNameNode => "secondary_name_node",
            Self::FailoverController => "failover_controller",
            Self::Balancer => "balancer",
            Self::Nfs => "nfs",
            Self::Audit => "audit",
            Self::Security => "security",
            Self::Gc => "gc",
            Self::Other => "other",
        }
    }

    /// Whether logs of this role can say something of a block or of a host's trouble. The others are passed over.
    #[must_use]
    pub fn is_followed(self) -> bool {
        !matches!(self, Self::Audit | Self::Security | Self::Gc)
    }

    /// The role that a logger belongs to, such as `org.apache.hadoop.hdfs.server.datanode.DataNode`; `None` for those that several
    /// have in common. A SecondaryNameNode shares most of its loggers with the NameNode; only its own name tells.
    #[must_use]
    pub fn of_logger(logger: &[u8]) -> Option<Self> {
        LOGGERS.iter().find(|(part, _)| memmem::find(logger, part.as_bytes()).is_some()).map(|(_, role)| *role)
    }

    fn of_word(word: &str) -> Option<Self> {
        ROLES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, role)| *role)
    }
}

/// The process that writes a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// What it does; [`Role::Other`] when the file's name does not say.
    pub role: Role,
    /// Where it runs, as the file's name says; `None` when it does not.
    pub host: Option<String>,
}

impl Origin {
    /// Reads the name of a log file, without its folders: `hadoop-USER-ROLE-HOST.log` as Hadoop's scripts name it,
    /// `hadoop-cmf-SERVICE-ROLE-HOST.log.out` as Cloudera's do, or `ROLE-HOST.log` and `ROLE.log` as people do, rotated or not.
    ///
    /// ```
    /// use hdfs_vigil::pipeline::event::origin::{Origin, Role};
    ///
    /// let origin = Origin::of_file_name("hadoop-hdfs-datanode-dn1.example.com.log.3.gz");
    /// assert_eq!((origin.role, origin.host.as_deref()), (Role::DataNode, Some("dn1.example.com")));
    /// ```
    #[must_use]
    pub fn of_file_name(name: &str) -> Self {
        let stem = stem(name);
        if is_gc_log(name, stem) {
            return Self { role: Role::Gc, host: None };
        }
        Self::of_stem(stem).unwrap_or_else(|| Self { role: role_beside(name), host: None })
    }

    /// As [`Origin::of_file_name`] for the path of a log; where its name tells no host, the name without its endings stands for one.
    #[must_use]
    pub fn of_log(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or_default();
        let origin = Self::of_file_name(name);
        Self { host: origin.host.or_else(|| Some(stem(name).to_owned())), ..origin }
    }

    /// The first word that is a role; in `hadoop-USER-…` the user's name is none, unless nothing else is.
    fn of_stem(stem: &str) -> Option<Self> {
        let words: Vec<&str> = stem.split('-').collect();
        let first = if words[0].eq_ignore_ascii_case("hadoop") { 2 } else { 0 };
        let found = |from: usize| (from..words.len()).find_map(|at| Some((at, Role::of_word(words[at])?)));
        let (at, role) = found(first).or_else(|| found(0))?;
        let host = words[at + 1..].join("-");
        Some(Self { role, host: (!host.is_empty()).then_some(host) })
    }
}

/// Whether a logger writes what audit and security logs hold; some set-ups leave it in the NameNode's own log.
#[must_use]
pub fn is_audit_logger(logger: &[u8]) -> bool {
    logger.ends_with(b".audit") || logger.starts_with(b"SecurityLogger")
}

/// The name without `.log` or `.out` and what rotation adds to it.
fn stem(name: &str) -> &str {
    [".log", ".out"].iter().find_map(|ending| name.split_once(ending)).map_or(name, |(stem, _)| stem)
}

fn is_gc_log(name: &str, stem: &str) -> bool {
    stem == "gc" || stem.starts_with("gc-") || stem.ends_with("-gc") || name.ends_with(".gc")
}

/// Logs beside those of the daemons.
fn role_beside(name: &str) -> Role {
    if name.starts_with("SecurityAuth") {
        Role::Security
    } else if name.contains("audit") {
        Role::Audit
    } else {
        Role::Other
    }
}

const ROLES: &[(&str, Role)] = &[
    ("namenode", Role::NameNode),
    ("datanode", Role::DataNode),
    ("journalnode", Role::JournalNode),
    ("secondarynamenode", Role::SecondaryNameNode),
    ("zkfc", Role::FailoverController),
    ("failovercontroller", Role::FailoverController),
    ("balancer", Role::Balancer),
    ("nfs3", Role::Nfs),
];

/// Parts of loggers that tell a role, the more telling ones first.
const LOGGERS: &[(&str, Role)] = &[
    ("SecondaryNameNode", Role::SecondaryNameNode),
    (".qjournal.server.", Role::JournalNode),
    (".datanode.", Role::DataNode),
    ("dfs.DataNode", Role::DataNode),
    ("DFSZKFailoverController", Role::FailoverController),
    ("dfs.DataBlockScanner", Role::DataNode),
    ("dfs.FSDataset", Role::DataNode),
    (".balancer.", Role::Balancer),
    ("FSNamesystem", Role::NameNode),
    ("StateChange", Role::NameNode),
    ("BlockManager", Role::NameNode),
    (".namenode.", Role::NameNode),
    (".blockmanagement.", Role::NameNode),
    ("dfs.NameNode", Role::NameNode),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_log_files() {
        check("hadoop-hdfs-datanode-dn1.log", Role::DataNode, Some("dn1"));
        check("hadoop-hdfs-namenode-nn1.example.com.log.12.gz", Role::NameNode, Some("nn1.example.com"));
        check("hadoop-root-secondarynamenode-ip-10-0-0-7.log.2021-07-15", Role::SecondaryNameNode, Some("ip-10-0-0-7"));
        check("hadoop-cmf-hdfs-NAMENODE-a.b.c.log.out", Role::NameNode, Some("a.b.c"));
        check("hadoop-cmf-HDFS-1-JOURNALNODE-a.log.out.4", Role::JournalNode, Some("a"));
        check("hadoop-hdfs-zkfc-nn1.out", Role::FailoverController, Some("nn1"));
        check("datanode-oracle1.log", Role::DataNode, Some("oracle1"));
        check("namenode.log", Role::NameNode, None);
        check("application.log", Role::Other, None);
    }

    #[test]
    fn a_log_whose_name_tells_no_host_stands_for_one() {
        for (path, role, host) in [
            ("/var/log/hadoop-hdfs/hadoop-hdfs-datanode-dn1.log.2", Role::DataNode, "dn1"),
            ("/logs/datanode.log", Role::DataNode, "datanode"),
            ("HDFS.log", Role::Other, "HDFS"),
            ("", Role::Other, ""),
        ] {
            assert_eq!(Origin::of_log(path), Origin { role, host: Some(host.to_owned()) }, "{path}");
        }
    }

    #[test]
    fn users_and_hosts_called_like_roles() {
        check("hadoop-namenode-datanode-dn1.log", Role::DataNode, Some("dn1"));
        check("hadoop-hdfs-datanode-datanode-3.log", Role::DataNode, Some("datanode-3"));
        check("hadoop-namenode-nn1.log", Role::NameNode, Some("nn1"));
        check("hadoop-hdfs-datanode-audit.log", Role::DataNode, Some("audit"));
    }

    #[test]
    fn logs_that_are_passed_over() {
        check("hdfs-audit.log.2021-07-15", Role::Audit, None);
        check("SecurityAuth-hdfs.audit", Role::Security, None);
        for name in ["gc.log", "gc.log-202107151200", "gc-datanode.log", "hadoop-hdfs-datanode-dn1-gc.log.0", "x.gc"] {
            check(name, Role::Gc, None);
        }
        for role in [Role::Audit, Role::Security, Role::Gc] {
            assert!(!role.is_followed());
        }
        assert!(Role::Other.is_followed());
    }

    #[test]
    fn loggers_that_tell_a_role() {
        for (logger, role) in [
            ("dfs.FSNamesystem", Some(Role::NameNode)),
            ("BlockStateChange", Some(Role::NameNode)),
            ("org.apache.hadoop.hdfs.StateChange", Some(Role::NameNode)),
            ("org.apache.hadoop.hdfs.server.namenode.FSEditLog", Some(Role::NameNode)),
            ("org.apache.hadoop.hdfs.server.namenode.SecondaryNameNode", Some(Role::SecondaryNameNode)),
            ("dfs.DataNode$DataXceiver", Some(Role::DataNode)),
            ("org.apache.hadoop.hdfs.server.datanode.DataNode", Some(Role::DataNode)),
            ("org.apache.hadoop.hdfs.qjournal.server.Journal", Some(Role::JournalNode)),
            ("org.apache.hadoop.util.JvmPauseMonitor", None),
        ] {
            assert_eq!(Role::of_logger(logger.as_bytes()), role, "{logger}");
        }
    }

    #[test]
    fn loggers_of_audits() {
        for (logger, expected) in [
            ("org.apache.hadoop.hdfs.server.namenode.FSNamesystem.audit", true),
            ("SecurityLogger.org.apache.hadoop.ipc.Server", true),
            ("org.apache.hadoop.hdfs.server.namenode.FSNamesystem", false),
        ] {
            assert_eq!(is_audit_logger(logger.as_bytes()), expected, "{logger}");
        }
    }

    fn check(name: &str, role: Role, host: Option<&str>) {
        assert_eq!(Origin::of_file_name(name), Origin { role, host: host.map(str::to_owned) }, "{name}");
    }
}
