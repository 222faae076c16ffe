//! Gathers what one host says within some seconds to one alert.

use serde::{Deserialize, Serialize};

use crate::limits::{ALERT_POSITIONS_MAX, COMPLAINT_POSITIONS_MAX, TROUBLE_COMPLAINTS_MAX, TROUBLE_HOSTS_NAMED_MAX};
use crate::pipeline::event::layout::Level;
use crate::pipeline::event::origin::Role;
use crate::pipeline::event::{LogTime, Position, TemplateId};
use crate::pipeline::verdict::trigger::{alert_id, hash, signature_of_set};
use crate::pipeline::verdict::{Alert, AlertType, Complaint, Finding, HostFinding, IncidentId, Reason};

use super::host::Tally;
use super::{Heard, Kind};

/// What gathers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Group {
    /// Log time of the first record.
    pub opened: LogTime,
    /// Log time at which it becomes an alert.
    pub due: LogTime,
    said: Vec<Said>,
    left_out: u32,
}

/// One kind of message that is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Said {
    kind: Kind,
    reason: Reason,
    template: TemplateId,
    exception: String,
    level: Level,
    role: Role,
    count: u32,
    first: LogTime,
    last: LogTime,
    usual: u32,
    /// Numbers and places of its first records, at most [`COMPLAINT_POSITIONS_MAX`].
    positions: Vec<(u64, Position)>,
}

impl Group {
    /// Nothing yet.
    pub fn new(opened: LogTime, due: LogTime) -> Self {
        Self { opened, due, said: Vec::new(), left_out: 0 }
    }

    /// What is told.
    pub fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.said.iter().map(|said| &said.kind)
    }

    /// Adds a kind that was not told before. `tally` has counted the record.
    pub fn add(&mut self, heard: &Heard<'_>, reason: Reason, tally: &Tally) {
        if self.said.len() == TROUBLE_COMPLAINTS_MAX {
            self.left_out += 1;
            return;
        }
        let is_burst = reason == Reason::Burst;
        self.opened = self.opened.min(if is_burst { tally.minute_first } else { heard.now });
        self.said.push(Said {
            kind: heard.kind.clone(),
            reason,
            template: heard.template,
            exception: heard.exception.clone(),
            level: heard.record.trouble.level,
            role: heard.record.trouble.role,
            count: if is_burst { tally.in_minute(heard.now) } else { 1 },
            first: if is_burst { tally.minute_first } else { heard.now },
            last: heard.now,
            usual: tally.usual(heard.now),
            positions: vec![(heard.number, heard.record.position)],
        });
    }

    /// Counts a record of a kind that is told already.
    pub fn count(&mut self, heard: &Heard<'_>) {
        let Some(said) = self.said.iter_mut().find(|said| said.kind == heard.kind) else { return };
        said.count = said.count.saturating_add(1);
        said.last = heard.now;
        if said.positions.len() < COMPLAINT_POSITIONS_MAX {
            said.positions.push((heard.number, heard.record.position));
        }
    }

    /// The alert. `episode` is the beginning of the host's episode and the number of the alert in it.
    pub fn alert(
        mut self,
        host: &str,
        episode: (LogTime, u32),
        mut also_on: Vec<String>,
        by_silence: bool,
        text: impl Fn(TemplateId) -> Option<String>,
    ) -> Alert {
        let (first, number) = episode;
        let incident = IncidentId(hash(&[b"host", host.as_bytes(), &first.0.to_be_bytes()]));
        self.said.sort_by_key(|said| (said.reason, std::cmp::Reverse(said.level), said.first));
        let complaints: Vec<Complaint> = self.said.iter().map(|said| said.complaint(&text)).collect();
        also_on.truncate(TROUBLE_HOSTS_NAMED_MAX);
        Alert {
            id: alert_id(incident, AlertType::Trouble, number),
            incident,
            alert_type: AlertType::Trouble,
            reason: complaints.first().map_or(Reason::New, |complaint| complaint.reason),
            time: self.opened,
            signature: signature(&complaints),
            positions: self.positions(),
            by_silence,
            mode: None,
            finding: Finding::Host(Box::new(HostFinding {
                host: host.to_owned(),
                roles: self.roles(),
                complaints,
                complaints_left_out: self.left_out,
                also_on,
            })),
        }
    }

    /// Records of the most telling kinds, in log order.
    fn positions(&self) -> Vec<Position> {
        let mut positions: Vec<(u64, Position)> =
            self.said.iter().flat_map(|said| said.positions.iter().copied()).take(ALERT_POSITIONS_MAX).collect();
        positions.sort_unstable();
        positions.into_iter().map(|(_, position)| position).collect()
    }

    fn roles(&self) -> Vec<Role> {
        let mut roles: Vec<Role> = self.said.iter().map(|said| said.role).collect();
        roles.sort_unstable();
        roles.dedup();
        roles
    }
}

impl Said {
    fn complaint(&self, text: &impl Fn(TemplateId) -> Option<String>) -> Complaint {
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        let (statement, subject) = match &self.kind {
            Kind::Statement(statement, subject) => (Some(*statement), given(subject)),
            Kind::Message(..) => (None, None),
        };
        Complaint {
            reason: self.reason,
            template: text(self.template).unwrap_or_default(),
            exception: given(&self.exception),
            statement,
            subject,
            level: self.level,
            count: self.count,
            first: self.first,
            last: self.last,
            usual_per_minute: self.usual,
        }
    }
}

/// Equal for hosts that go wrong in the same way: made of texts, not of numbers, and not of whom they speak.
fn signature(complaints: &[Complaint]) -> String {
    let part = |complaint: &Complaint| match complaint.statement {
        Some(statement) => format!("{statement:?}"),
        None => format!("{} {}", complaint.template, complaint.exception.as_deref().unwrap_or_default()),
    };
    signature_of_set(complaints.iter().map(part).collect())
}
