//! Says whether a text speaks of failure, whatever its level.
//!
//! HDFS says much of what goes wrong with a block calmly, at level INFO: `writeBlock <*> received exception`, `PacketResponder <*>
//! Interrupted`; in HDFS_v1 these make most of what only anomalous blocks say.

/// Whether a template speaks of failure.
#[must_use]
pub fn speaks_of_failure(text: &[u8]) -> bool {
    FAILURE.iter().any(|part| places(text, part).next().is_some())
}

/// Whether a message does, also where its template has a wildcard. Paths are users' words and say nothing.
#[must_use]
pub fn message_speaks_of_failure(text: &[u8]) -> bool {
    FAILURE.iter().any(|part| places(text, part).any(|at| !is_in_path(text, at, at + part.trim_end().len())))
}

/// Where a part is in a text, in whatever case.
fn places<'a>(text: &'a [u8], part: &'a str) -> impl Iterator<Item = usize> + 'a {
    let windows = text.windows(part.len()).enumerate();
    windows.filter(|(_, window)| window.eq_ignore_ascii_case(part.as_bytes())).map(|(at, _)| at)
}

/// Whether a word that reaches into this part has a slash.
fn is_in_path(text: &[u8], from: usize, to: usize) -> bool {
    let start = text[..from].iter().rposition(|byte| *byte == b' ').map_or(0, |space| space + 1);
    let end = text[to..].iter().position(|byte| *byte == b' ').map_or(text.len(), |length| to + length);
    text[start..end].contains(&b'/')
}

/// Parts of words and phrases. None of them is in what the normal stories of HDFS_v1 and of HDFS 3.4.1 say, but for the hung-up reader
/// (`Got exception while serving`), which models know.
const FAILURE: [&str; 27] = [
    "exception",
    "error",
    "fail",
    "fault",
    "refus",
    "reject",
    "denied",
    "timed out",
    "timeout",
    "time out",
    "interrupt",
    "abort",
    "corrupt",
    "broken",
    "missing",
    "lost ",
    "dead",
    "unexpected",
    "unable",
    "cannot",
    "could not",
    "does not",
    "not found",
    "no such",
    "illegal",
    "unreachable",
    "killed",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_speaks_of_failure_in_its_own_words() {
        for (text, expected) in [
            ("Replica <*> state:CORRUPT", true),
            ("Replica <*> state:FINALIZED", false),
            ("Replica <*> of /user/fail/corrupt.log closed", false),
            ("Replica <*> of /user/a timed out", true),
            ("Lost /user/a", true),
            ("lost", false),
            ("", false),
        ] {
            assert_eq!(message_speaks_of_failure(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn what_speaks_of_failure() {
        for (text, expected) in [
            ("PacketResponder <*> <*> Exception java.io.EOFException", true),
            ("PacketResponder <*> for block <*> Interrupted.", true),
            ("writeBlock <*> received exception <*>", true),
            ("Failed to transfer <*> to <*> got <*>", true),
            ("<*> Connection refused", true),
            (
                "BLOCK* NameSystem.addStoredBlock: addStoredBlock request received for <*> But it does not belong to any file.",
                true,
            ),
            ("PendingReplicationMonitor timed out block <*>", true),
            ("BLOCK* NameSystem.addToInvalidates: <*> is added to invalidSet of <*>", false),
            ("BLOCK* allocate <*> replicas=<*> for <*>", false),
            ("Scheduling <*> replica FinalizedReplica", false),
            ("Receiving block <*> src: <*> dest: <*>", false),
        ] {
            assert_eq!(speaks_of_failure(text.as_bytes()), expected, "{text}");
        }
    }
}
