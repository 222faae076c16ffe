//! The alert on the daemon's own state: raised when no checkpoint can be written, resolved by the first that can.
//!
//! A state that cannot be written cannot hold that it could not. So ids follow from what the newest checkpoint holds, which a crash leaves
//! as it is, and what resolves an alert is put into the very checkpoint that proves it.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::limits::UNWRITABLE_SECONDS_MIN;
use crate::pipeline::event::{LogTime, WallTime};
use crate::pipeline::verdict::trigger::{alert_id, hash, signature_of};
use crate::pipeline::verdict::{Alert, AlertType, Finding, IncidentId, Reason, StateFinding};

/// What was told of the daemon's own state.
#[derive(Debug)]
pub struct Health {
    host: String,
    directory: String,
    /// When the outage began that goes on, if one does.
    since: Option<WallTime>,
    told: Option<Told>,
}

/// An alert that fires.
#[derive(Clone, Debug)]
struct Told {
    incident: IncidentId,
    finding: StateFinding,
}

/// What the newest checkpoint holds, as far as it tells one outage from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Basis {
    /// Outages told of before.
    pub outages: u64,
    /// Bytes read of the logs.
    pub bytes: u64,
}

impl Health {
    /// Nothing is wrong so far with the state in `directory`, on this `host`.
    #[must_use]
    pub fn new(host: String, directory: &Path) -> Self {
        Self { host, directory: directory.display().to_string(), since: None, told: None }
    }

    /// The checkpoint could not be written, as it could not for so long: the alert, when it is time for it.
    pub fn handle_failure(&mut self, lasted: Duration, error: &io::Error, basis: Basis, now: WallTime) -> Option<Alert> {
        let since = *self.since.get_or_insert(now);
        if lasted < Duration::from_secs(UNWRITABLE_SECONDS_MIN) || self.told.is_some() {
            return None;
        }
        let (host, directory) = (self.host.clone(), self.directory.clone());
        let place = [b"state".as_slice(), host.as_bytes(), directory.as_bytes()].concat();
        let incident = IncidentId(hash(&[&place, &basis.outages.to_be_bytes(), &basis.bytes.to_be_bytes()]));
        let finding = StateFinding { host, directory, error: error.to_string(), since: LogTime(since.0) };
        let told = self.told.insert(Told { incident, finding });
        Some(told.alert(AlertType::Unwritable, reason(error), now))
    }

    /// What the next checkpoint has to hold if it can be written: that it could be. `None` when nothing fires.
    #[must_use]
    pub fn resolving(&self, now: WallTime) -> Option<Alert> {
        self.told.as_ref().map(|told| told.alert(AlertType::UnwritableResolved, Reason::Recovered, now))
    }

    /// The checkpoint was written.
    pub fn handle_success(&mut self) {
        (self.since, self.told) = (None, None);
    }

    /// Whether an alert fires.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.told.is_some()
    }
}

impl Told {
    fn alert(&self, alert_type: AlertType, reason: Reason, now: WallTime) -> Alert {
        Alert {
            id: alert_id(self.incident, alert_type, 1),
            incident: self.incident,
            alert_type,
            reason,
            time: LogTime(now.0),
            signature: signature_of(&[b"state"]),
            positions: Vec::new(),
            by_silence: false,
            mode: None,
            finding: Finding::State(Box::new(self.finding.clone())),
        }
    }
}

fn reason(error: &io::Error) -> Reason {
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        Reason::DiskFull
    } else if error.kind() == io::ErrorKind::ReadOnlyFilesystem {
        Reason::ReadOnly
    } else {
        Reason::WriteFailed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_once_and_resolved_once() {
        let mut health = health();
        assert!(fail(&mut health, 0).is_none(), "the first failure may be over at once");
        assert!(fail(&mut health, 1999).is_none());
        let fired = fail(&mut health, 2000).expect("this one is not");
        assert_eq!((fired.alert_type, fired.reason), (AlertType::Unwritable, Reason::DiskFull));
        assert!(fail(&mut health, 3000).is_none());
        let resolved = health.resolving(WallTime(9000)).expect("it fires");
        assert_eq!((resolved.incident, resolved.alert_type), (fired.incident, AlertType::UnwritableResolved));
        assert_ne!(resolved.id, fired.id);
        assert!(health.is_told(), "until the checkpoint is there");
        health.handle_success();
        assert!(health.resolving(WallTime(9001)).is_none());
        let Finding::State(finding) = resolved.finding else { panic!("it is of the state") };
        assert_eq!(finding.since, LogTime(0), "the first failure counts");
    }

    #[test]
    fn a_crash_gives_the_same_ids_and_another_outage_others() {
        let of = |host: &str, outages, bytes| {
            let mut health = Health::new(host.to_owned(), Path::new("/state"));
            let basis = Basis { outages, bytes };
            health.handle_failure(Duration::from_secs(2), &full(), basis, WallTime(5)).expect("it is told").id
        };
        let first = of("a", 0, 100);
        assert_eq!(of("a", 0, 100), first);
        for other in [of("a", 1, 100), of("a", 0, 101), of("b", 0, 100)] {
            assert_ne!(other, first);
        }
    }

    #[test]
    fn causes_are_told_apart() {
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        for (kind, expected) in [
            (StorageFull, Reason::DiskFull),
            (QuotaExceeded, Reason::DiskFull),
            (ReadOnlyFilesystem, Reason::ReadOnly),
            (PermissionDenied, Reason::WriteFailed),
        ] {
            assert_eq!(reason(&kind.into()), expected);
        }
    }

    fn fail(health: &mut Health, millis: u64) -> Option<Alert> {
        let basis = Basis { outages: 0, bytes: 7 };
        health.handle_failure(Duration::from_millis(millis), &full(), basis, WallTime(millis as i64))
    }

    fn full() -> io::Error {
        io::ErrorKind::StorageFull.into()
    }

    fn health() -> Health {
        Health::new("a".to_owned(), Path::new("/state"))
    }
}
