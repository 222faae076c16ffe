//! Tells that the scores of nearly all blocks have moved, until somebody knows of it or they have moved back.
//!
//! Either the cluster lives another life now, or hardly any block is well: scores cannot tell, people can.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::limits::REGIMES_MAX;
use crate::pipeline::event::LogTime;
use crate::pipeline::verdict::threshold::Change;
use crate::pipeline::verdict::trigger::{alert_id, hash, signature_of};
use crate::pipeline::verdict::{Alert, AlertType, Finding, IncidentId, Reason, RegimeFinding, ScoreLevel};

/// Changes of regime that have not gone back, and what was told of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Regimes {
    /// Oldest first, at most [`REGIMES_MAX`].
    changes: VecDeque<Told>,
    /// Changes ever; numbers them.
    number: u64,
}

/// A change that was told.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Told {
    incident: IncidentId,
    finding: RegimeFinding,
    firing: bool,
}

impl Regimes {
    /// Changes that fire now.
    #[must_use]
    pub fn firing(&self) -> u64 {
        self.changes.iter().filter(|told| told.firing).count() as u64
    }

    /// Changes ever.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.number
    }

    /// The threshold has changed with the scores of the last `episodes` episodes.
    pub fn handle_change(&mut self, change: Change, model: &str, episodes: u64, time: LogTime, alerts: &mut VecDeque<Alert>) {
        match change {
            Change::Moved { before, after } => {
                let finding = RegimeFinding { model: model.to_owned(), before, after, episodes, changed: time };
                alerts.push_back(self.fire(finding));
                while self.changes.len() > REGIMES_MAX {
                    let oldest = self.changes.pop_front();
                    alerts.extend(oldest.and_then(|told| told.resolve(Reason::Expired, after, time)));
                }
            }
            Change::Returned { after, undone } => {
                let kept = self.changes.len().saturating_sub(undone);
                alerts.extend(self.changes.drain(kept..).filter_map(|told| told.resolve(Reason::Recovered, after, time)));
            }
        }
    }

    /// Somebody knows of the change: what resolves it, if it fires. It is still remembered, so that going back is seen.
    pub fn acknowledge(&mut self, incident: IncidentId, level: ScoreLevel, time: LogTime) -> Option<Alert> {
        let told = self.changes.iter_mut().find(|told| told.incident == incident)?;
        let resolved = told.resolve(Reason::Acknowledged, level, time);
        told.firing = false;
        resolved
    }

    /// Another model, whose scores are others.
    pub fn change_model(&mut self, level: ScoreLevel, time: LogTime, alerts: &mut VecDeque<Alert>) {
        alerts.extend(self.changes.drain(..).filter_map(|told| told.resolve(Reason::ModelChanged, level, time)));
    }

    fn fire(&mut self, finding: RegimeFinding) -> Alert {
        self.number += 1;
        let incident = IncidentId(hash(&[b"regime", &finding.changed.0.to_be_bytes(), &self.number.to_be_bytes()]));
        let told = Told { incident, finding, firing: true };
        let alert = told.alert(AlertType::Regime, Reason::ScoreLevel, told.finding.after, told.finding.changed);
        self.changes.push_back(told);
        alert
    }
}

impl Told {
    /// The alert that ends it, if it has not been ended.
    fn resolve(&self, reason: Reason, level: ScoreLevel, time: LogTime) -> Option<Alert> {
        self.firing.then(|| self.alert(AlertType::RegimeResolved, reason, level, time))
    }

    fn alert(&self, alert_type: AlertType, reason: Reason, after: ScoreLevel, time: LogTime) -> Alert {
        Alert {
            id: alert_id(self.incident, alert_type, 1),
            incident: self.incident,
            alert_type,
            reason,
            time,
            signature: signature_of(&[b"regime", self.finding.model.as_bytes()]),
            positions: Vec::new(),
            by_silence: false,
            mode: None,
            finding: Finding::Regime(Box::new(RegimeFinding { after, ..self.finding.clone() })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOW: ScoreLevel = ScoreLevel { typical: 0.2, log_sd: 0.3, threshold: 1.0 };
    const HIGH: ScoreLevel = ScoreLevel { typical: 2.0, log_sd: 0.3, threshold: 4.0 };

    #[test]
    fn a_change_fires_once_until_it_is_acknowledged() {
        let (mut regimes, mut alerts) = (Regimes::default(), VecDeque::new());
        moved(&mut regimes, 5, &mut alerts);
        let fired = alerts.pop_front().expect("it is told");
        assert_eq!((fired.alert_type, fired.reason, regimes.firing()), (AlertType::Regime, Reason::ScoreLevel, 1));
        let resolved = regimes.acknowledge(fired.incident, HIGH, LogTime(9)).expect("it was firing");
        assert_eq!((resolved.incident, resolved.reason, regimes.firing()), (fired.incident, Reason::Acknowledged, 0));
        assert_ne!(resolved.id, fired.id);
        assert!(regimes.acknowledge(fired.incident, HIGH, LogTime(10)).is_none());
        assert!(regimes.acknowledge(IncidentId(1), HIGH, LogTime(10)).is_none());
    }

    #[test]
    fn going_back_resolves_what_still_fires() {
        for (acknowledged, told) in [(false, vec![Reason::Recovered]), (true, vec![])] {
            let (mut regimes, mut alerts) = (Regimes::default(), VecDeque::new());
            moved(&mut regimes, 5, &mut alerts);
            let fired = alerts.pop_front().expect("it is told");
            if acknowledged {
                regimes.acknowledge(fired.incident, HIGH, LogTime(6));
            }
            let back = Change::Returned { after: LOW, undone: 1 };
            regimes.handle_change(back, "m", 1024, LogTime(9), &mut alerts);
            assert_eq!(alerts.iter().map(|alert| alert.reason).collect::<Vec<_>>(), told);
            assert_eq!((regimes.firing(), regimes.changes()), (0, 1));
        }
    }

    #[test]
    fn another_model_ends_all_of_them() {
        let (mut regimes, mut alerts) = (Regimes::default(), VecDeque::new());
        moved(&mut regimes, 5, &mut alerts);
        moved(&mut regimes, 6, &mut alerts);
        alerts.clear();
        regimes.change_model(LOW, LogTime(7), &mut alerts);
        assert_eq!(alerts.iter().map(|alert| alert.reason).collect::<Vec<_>>(), [Reason::ModelChanged; 2]);
        assert_eq!(regimes.firing(), 0);
    }

    #[test]
    fn at_the_bound_the_oldest_expires() {
        let (mut regimes, mut alerts) = (Regimes::default(), VecDeque::new());
        for (number, expired) in (1..).zip([0].repeat(REGIMES_MAX).into_iter().chain([1, 1])) {
            alerts.clear();
            moved(&mut regimes, number, &mut alerts);
            assert_eq!(alerts.iter().filter(|alert| alert.reason == Reason::Expired).count(), expired, "{number}");
            assert_eq!(regimes.firing(), (number as u64).min(REGIMES_MAX as u64));
        }
    }

    fn moved(regimes: &mut Regimes, second: i64, alerts: &mut VecDeque<Alert>) {
        let change = Change::Moved { before: LOW, after: HIGH };
        regimes.handle_change(change, "m", 1024, LogTime(second), alerts);
    }
}
