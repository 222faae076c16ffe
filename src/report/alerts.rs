//! Alerts of a report: those on blocks by signature with one of each in full, the others in the order of time; both bounded.

use std::collections::BTreeMap;

use crate::limits::{REPORT_OTHERS_MAX, REPORT_SIGNATURES_MAX};
use crate::pipeline::event::LogTime;
use crate::pipeline::verdict::{Alert, AlertType, Finding};
use crate::sink::document::Document;

/// The alerts of a replay.
#[derive(Default)]
pub struct Alerts {
    groups: BTreeMap<String, Group>,
    firing: u64,
    resolved: u64,
    ungrouped: u64,
    hosts: u64,
    others: Vec<Document>,
    others_left_out: u64,
}

/// Alerts on blocks with one signature.
#[derive(Clone, Debug)]
pub struct Group {
    /// Blocks told of, >= 1.
    pub count: u64,
    /// Log time of the first.
    pub first: LogTime,
    /// Log time of the last.
    pub last: LogTime,
    /// The first of them in full.
    pub example: Document,
}

impl Alerts {
    /// Takes in an alert. `document` is asked for only when it is kept.
    pub fn add(&mut self, alert: &Alert, document: impl FnOnce() -> Document) {
        match (&alert.finding, alert.alert_type) {
            (Finding::Block(_), AlertType::Resolved) => self.resolved += 1,
            (Finding::Block(_), _) => self.group(alert, document),
            (Finding::Host(_) | Finding::Template(_) | Finding::Domain(_) | Finding::Regime(_) | Finding::State(_), _) => {
                self.hosts += u64::from(matches!(alert.finding, Finding::Host(_)));
                if self.others.len() < REPORT_OTHERS_MAX {
                    self.others.push(document());
                } else {
                    self.others_left_out += 1;
                }
            }
        }
    }

    /// At the bound the rarest signature gives way, of equally rare ones that not heard for longest.
    fn group(&mut self, alert: &Alert, document: impl FnOnce() -> Document) {
        self.firing += 1;
        if let Some(group) = self.groups.get_mut(&alert.signature) {
            group.count += 1;
            group.last = group.last.max(alert.time);
            return;
        }
        if self.groups.len() >= REPORT_SIGNATURES_MAX {
            let rarest = self.groups.iter().min_by_key(|(_, group)| (group.count, group.last)).map(|(name, _)| name.clone());
            let gone = rarest.and_then(|name| self.groups.remove(&name));
            self.ungrouped += gone.map_or(0, |group| group.count);
        }
        let group = Group { count: 1, first: alert.time, last: alert.time, example: document() };
        self.groups.insert(alert.signature.clone(), group);
    }

    /// Groups of alerts on blocks, the most frequent first.
    #[must_use]
    pub fn groups(&self) -> Vec<&Group> {
        let mut groups: Vec<&Group> = self.groups.values().collect();
        groups.sort_by_key(|group| (std::cmp::Reverse(group.count), group.first));
        groups
    }

    /// Alerts on blocks whose group gave way.
    #[must_use]
    pub fn ungrouped(&self) -> u64 {
        self.ungrouped
    }

    /// Alerts on hosts, templates, the model's domain and regimes, the first [`REPORT_OTHERS_MAX`]; and how many more there were.
    #[must_use]
    pub fn others(&self) -> (&[Document], u64) {
        (&self.others, self.others_left_out)
    }

    /// Alerts on blocks, and how many of them were taken back.
    #[must_use]
    pub fn blocks(&self) -> (u64, u64) {
        (self.firing, self.resolved)
    }

    /// Alerts on hosts.
    #[must_use]
    pub fn hosts(&self) -> u64 {
        self.hosts
    }
}
