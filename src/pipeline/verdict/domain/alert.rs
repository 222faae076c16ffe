//! What people are told of the model's domain.

use crate::pipeline::event::{LogTime, Position};
use crate::pipeline::verdict::trigger::{alert_id, hash, signature_of};
use crate::pipeline::verdict::{Alert, AlertType, DomainFinding, Finding, IncidentId, Reason, TemplateFinding};

/// A share that was held against its limit.
pub struct Shares<'a> {
    /// Name of the model.
    pub model: &'a str,
    /// The share.
    pub share: f64,
    /// Its limit.
    pub max: f64,
    /// The commonest unknown templates.
    pub templates: Vec<TemplateFinding>,
}

/// A template has become neutral.
pub fn template(found: TemplateFinding, positions: Vec<Position>, time: LogTime) -> Alert {
    let incident = IncidentId(hash(&[b"template", found.template.as_bytes(), &found.first.0.to_be_bytes()]));
    Alert {
        id: alert_id(incident, AlertType::Template, 1),
        incident,
        alert_type: AlertType::Template,
        reason: Reason::Frequent,
        time,
        signature: signature_of(&[b"template", found.template.as_bytes()]),
        positions,
        by_silence: false,
        mode: None,
        finding: Finding::Template(Box::new(found)),
    }
}

/// The model is out of its domain. `which` is since when, and the number of it.
pub fn mismatch(which: (LogTime, u64), reason: Reason, time: LogTime, found: Shares<'_>, positions: Vec<Position>) -> Alert {
    alert(which, AlertType::Mismatch, reason, time, found, (positions, 0))
}

/// It is back, or another model has taken its place. `held_back` episodes were not told.
pub fn resolved(which: (LogTime, u64), reason: Reason, time: LogTime, found: Shares<'_>, held_back: u64) -> Alert {
    alert(which, AlertType::MismatchResolved, reason, time, found, (Vec::new(), held_back))
}

fn alert(
    which: (LogTime, u64),
    alert_type: AlertType,
    reason: Reason,
    time: LogTime,
    found: Shares<'_>,
    (positions, held_back): (Vec<Position>, u64),
) -> Alert {
    let (opened, number) = which;
    let incident = IncidentId(hash(&[b"domain", &opened.0.to_be_bytes(), &number.to_be_bytes()]));
    let Shares { model, share, max, templates } = found;
    Alert {
        id: alert_id(incident, alert_type, 1),
        incident,
        alert_type,
        reason,
        time,
        signature: signature_of(&[b"domain", model.as_bytes()]),
        positions,
        by_silence: false,
        mode: None,
        finding: Finding::Domain(Box::new(DomainFinding {
            model: model.to_owned(),
            share,
            share_max: max,
            templates,
            held_back,
        })),
    }
}
