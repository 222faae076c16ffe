//! How long logs wait: for a file to be found after a restart, and for its end.

use std::collections::BTreeMap;

use crate::ingest::Wait;
use crate::limits::WAITING_SCANS_MAX;
use crate::pipeline::event::StreamId;

/// What logs wait for or waited for last, of one file, and for how many scans.
#[derive(Debug, Default)]
pub struct Waits(BTreeMap<StreamId, (Wait, u8)>);

impl Waits {
    /// Counts a scan for which a log waits. False when it has waited for [`WAITING_SCANS_MAX`] of them before.
    pub fn count(&mut self, stream: StreamId, wait: Wait) -> bool {
        let waited = self.0.entry(stream).or_insert((wait, 0));
        if waited.0 != wait {
            *waited = (wait, 0);
        }
        waited.1 = waited.1.saturating_add(1);
        waited.1 <= WAITING_SCANS_MAX
    }

    /// The file of a log has ended, or the log is no more.
    pub fn end(&mut self, stream: StreamId) {
        self.0.remove(&stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_file_is_waited_for_anew_after_the_file_itself_was() {
        for scans in [0, 1, WAITING_SCANS_MAX, 2 * WAITING_SCANS_MAX] {
            let mut waits = Waits::default();
            for (wait, scans) in [(Wait::Found, scans), (Wait::Ended, 2 * WAITING_SCANS_MAX)] {
                let waited = (0..scans).filter(|_| waits.count(StreamId(1), wait)).count();
                assert_eq!(waited, usize::from(scans.min(WAITING_SCANS_MAX)), "{wait:?} {scans}");
            }
            waits.end(StreamId(1));
            assert!(waits.count(StreamId(1), Wait::Ended));
        }
    }
}
