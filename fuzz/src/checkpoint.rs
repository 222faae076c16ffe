//! Checkpoints: a state directory of any bytes is read or refused, in memory that follows what is there.

use std::fs;

use hdfs_vigil::daemon::ledger::Reader;
use hdfs_vigil::state::journal::Journal;

/// The input is a segment of a journal; what stands behind its first headers is the content of an entry as well, since a checksum would
/// keep changes from ever being decoded.
pub fn check(data: &[u8]) {
    check_directory(data);
    let mut reader = Reader::default();
    if reader.apply(data.get(CONTENT_BEGINS..).unwrap_or(data)).is_ok() {
        // The end of the directory's own checkpoint may be missing: that is an error, and no panic.
        let _ = reader.finish();
    }
}

/// A directory whose only segment this is.
fn check_directory(data: &[u8]) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("state-00000001.journal"), data).expect("it can be written");
    let (mut reader, mut content) = (Reader::default(), Vec::new());
    match Journal::open(directory.path()) {
        Ok((_, Some(mut found))) => {
            while found.entries.read(&mut content).expect("what was found can be read") {
                assert!(content.len() < data.len(), "an entry is within its segment");
                if reader.apply(&content).is_err() {
                    return;
                }
            }
            let _ = reader.finish();
        }
        Ok((_, None)) => panic!("a segment that is there is found or refused"),
        Err(error) => {
            let said = error.to_string();
            assert!(said.contains("state-00000001.journal"), "it names the file: {said}");
            assert!(said.contains("move the state directory away to start afresh"), "it says what to do: {said}");
        }
    }
}

/// Bytes of the header of a segment and of its first entry.
const CONTENT_BEGINS: usize = 40 + 25;
