//! Turns verdicts into alerts: opens an incident, closes it when the verdict is taken back, and gives both ids that depend on
//! the data alone, so that they are the same after a crash.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::limits::{DEVIATIONS_MAX, INCIDENTS_MAX};
use crate::pipeline::event::{BlockId, LogTime, PoolId};
use crate::pipeline::profile::UNKNOWN;
use crate::pipeline::session::{Case, Cause};
use crate::pipeline::verdict::{
    Alert, AlertId, AlertType, BlockFinding, Deviation, DeviationKind, Explanation, Finding, IncidentId, Reason, Verdict,
    evidence,
};

/// Incidents that are firing, or were until lately.
#[derive(Clone, Debug, Default)]
pub struct Trigger {
    incidents: HashMap<IncidentId, Incident, FxBuildHasher>,
    /// Incidents by the time at which they opened.
    by_age: BTreeSet<(LogTime, IncidentId)>,
    firing: u64,
}

/// What is wrong with a block.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Incident {
    opened: LogTime,
    /// Alerts told of it.
    alerts: u32,
    /// What was told, without its records; `None` once it is resolved.
    firing: Option<Box<Fired>>,
}

/// What an alert that resolves another says again.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Fired {
    signature: String,
    by_silence: bool,
    /// Whether an unknown event was a warning or spoke of failure: that its template is part of normal stories takes nothing back.
    grave: bool,
    finding: BlockFinding,
}

impl Trigger {
    /// The incidents of a checkpoint.
    #[must_use]
    pub fn restore(incidents: impl IntoIterator<Item = (IncidentId, Incident)>) -> Self {
        let incidents: HashMap<_, _, _> = incidents.into_iter().collect();
        let by_age = incidents.iter().map(|(id, incident)| (incident.opened, *id)).collect();
        let firing = incidents.values().filter(|incident| incident.firing.is_some()).count() as u64;
        Self { incidents, by_age, firing }
    }

    /// All of them: what a checkpoint keeps.
    pub fn incidents(&self) -> impl Iterator<Item = (IncidentId, &Incident)> {
        self.incidents.iter().map(|(id, incident)| (*id, incident))
    }

    /// Incidents firing now.
    #[must_use]
    pub fn firing(&self) -> u64 {
        self.firing
    }

    /// Whether the episode of `case` is firing.
    #[must_use]
    pub fn is_firing(&self, case: &Case, pool: Option<&str>) -> bool {
        self.incidents.get(&incident_id(case, pool)).is_some_and(|incident| incident.firing.is_some())
    }

    /// The episode is anomalous: the alert that says so, unless it has been said. The incident must not be firing for an alert.
    /// Of the deviations, those beyond [`DEVIATIONS_MAX`] make part of the signature and are not told.
    pub fn fire(
        &mut self,
        case: &Case,
        pool: Option<String>,
        verdict: Verdict,
        model: &str,
        mut explanation: Explanation,
    ) -> Option<Alert> {
        let id = incident_id(case, pool.as_deref());
        let incident = self.incidents.entry(id).or_insert_with(|| Incident { opened: case.time, alerts: 0, firing: None });
        if incident.firing.is_some() {
            return None;
        }
        incident.alerts += 1;
        let signature = signature(&explanation.deviations);
        explanation.deviations.truncate(DEVIATIONS_MAX);
        let (block, events, nearby) = (case.block, case.events_seen, case.nearby.clone());
        let (model, in_short) = (model.to_owned(), explanation.in_short());
        let finding = BlockFinding { block, pool, verdict, model, explanation: in_short, events, nearby: Vec::new() };
        let grave = case.events.iter().any(|event| event.token == UNKNOWN && event.grave);
        let fired = Fired { signature: signature.clone(), by_silence: case.by_silence, grave, finding: finding.clone() };
        incident.firing = Some(Box::new(fired));
        let alert = Alert {
            id: alert_id(id, AlertType::Firing, incident.alerts),
            incident: id,
            alert_type: AlertType::Firing,
            reason: match case.cause {
                Cause::UnknownEvent => Reason::UnknownEvent,
                Cause::Quiet | Cause::Swap => Reason::UnlikelyStory,
            },
            time: case.time,
            signature,
            positions: explanation.events.iter().map(|event| event.position).collect(),
            by_silence: case.by_silence,
            mode: None,
            finding: Finding::Block(Box::new(BlockFinding { explanation, nearby, ..finding })),
        };
        self.by_age.insert((incident.opened, id));
        self.firing += 1;
        Some(alert)
    }

    /// The episode is normal: the alert that takes back what was said of it, if anything was.
    pub fn resolve(&mut self, case: &Case, pool: Option<&str>, verdict: Verdict) -> Option<Alert> {
        let id = incident_id(case, pool);
        let incident = self.incidents.get_mut(&id)?;
        let mut fired = incident.firing.take()?;
        self.firing -= 1;
        let deviations = &fired.finding.explanation.deviations;
        let lacked_only = deviations.iter().all(|deviation| deviation.kind == DeviationKind::Missing);
        let reason = if lacked_only && !deviations.is_empty() { Reason::Recovered } else { Reason::Retracted };
        incident.alerts += 1;
        fired.finding.verdict = verdict;
        fired.by_silence = case.by_silence;
        Some(Alert { positions: evidence::earliest(case), ..resolved(id, *fired, incident.alerts, reason, case.time) })
    }

    /// Takes back, oldest first, what rests only on events of templates that are part of normal stories by now; what such a story lacks is
    /// forgiven as far as they may stand for it. `is_neutral` is asked for texts.
    pub fn retract(&mut self, is_neutral: impl Fn(&str) -> bool, time: LogTime) -> Vec<Alert> {
        let Self { incidents, by_age, firing, .. } = self;
        let rests = |fired: &mut Box<Fired>| !fired.grave && rests_on(&fired.finding.explanation.deviations, &is_neutral);
        let retracted = by_age.iter().filter_map(|(_, id)| {
            let incident = incidents.get_mut(id)?;
            let fired = incident.firing.take_if(rests)?;
            incident.alerts += 1;
            *firing -= 1;
            Some(resolved(*id, *fired, incident.alerts, Reason::Retracted, time))
        });
        retracted.collect()
    }

    /// Closes the oldest incident when it was opened before `before`, or when there are too many. Call again while `true` comes back;
    /// the alert is there when it was still firing.
    pub fn expire(&mut self, before: LogTime, now: LogTime) -> Option<Option<Alert>> {
        let (opened, id) = self.by_age.first().copied()?;
        if opened >= before && self.incidents.len() <= INCIDENTS_MAX {
            return None;
        }
        self.by_age.remove(&(opened, id));
        let incident = self.incidents.remove(&id).expect("an incident is in both maps or in none");
        self.firing -= u64::from(incident.firing.is_some());
        Some(incident.firing.map(|fired| resolved(id, *fired, incident.alerts + 1, Reason::Expired, now)))
    }
}

/// Whether nothing speaks against a block but unknown events of such templates. What is only unexpected decides nothing.
fn rests_on(deviations: &[Deviation], is_neutral: impl Fn(&str) -> bool) -> bool {
    let of = |kind: DeviationKind| deviations.iter().filter(move |deviation| deviation.kind == kind);
    let (unknown, missing): (u32, u32) = (
        of(DeviationKind::Unknown).map(|deviation| deviation.count).sum(),
        of(DeviationKind::Missing).map(|deviation| deviation.count).sum(),
    );
    unknown > 0
        && missing <= unknown
        && of(DeviationKind::Excess).next().is_none()
        && deviations.len() < DEVIATIONS_MAX
        && of(DeviationKind::Unknown).all(|deviation| is_neutral(&deviation.template))
}

fn resolved(incident: IncidentId, fired: Fired, number: u32, reason: Reason, time: LogTime) -> Alert {
    Alert {
        id: alert_id(incident, AlertType::Resolved, number),
        incident,
        alert_type: AlertType::Resolved,
        reason,
        time,
        signature: fired.signature,
        positions: Vec::new(),
        by_silence: fired.by_silence,
        mode: None,
        finding: Finding::Block(Box::new(fired.finding)),
    }
}

/// The first pool of a cluster goes without its name, since it may become known only later.
fn incident_id(case: &Case, pool: Option<&str>) -> IncidentId {
    let BlockId { pool: id, number } = case.block;
    let pool = if id == PoolId(0) { "" } else { pool.unwrap_or_default() };
    IncidentId(hash(&[b"incident", pool.as_bytes(), &number.to_be_bytes(), &case.first.0.to_be_bytes()]))
}

/// Identity of the alert with this number in its incident.
pub(crate) fn alert_id(incident: IncidentId, alert_type: AlertType, number: u32) -> AlertId {
    AlertId(hash(&[b"alert", &incident.0.to_be_bytes(), alert_type.name().as_bytes(), &number.to_be_bytes()]))
}

/// Equal for blocks that go wrong in the same way, also under another model: made of texts, not of numbers. Which events are out of
/// place the model alone says: it names them only where nothing else departs, and beside what is missing or too much it counts once. An
/// event that no normal story has says more than the disorder that it leaves behind.
pub(super) fn signature(deviations: &[Deviation]) -> String {
    let is_some = |kind: DeviationKind| deviations.iter().any(|deviation| deviation.kind == kind);
    let is_other = deviations.iter().any(|deviation| deviation.kind != DeviationKind::Unexpected);
    let part = |deviation: &Deviation| match deviation.kind {
        DeviationKind::Unexpected if is_some(DeviationKind::Unknown) => None,
        DeviationKind::Unexpected if is_other => Some(format!("{:?}", deviation.kind)),
        DeviationKind::Unknown | DeviationKind::Excess | DeviationKind::Missing | DeviationKind::Unexpected => {
            Some(format!("{:?} {}", deviation.kind, deviation.template))
        }
    };
    signature_of_set(deviations.iter().filter_map(part).collect())
}

/// The signature of texts, whatever their order and however often each comes.
pub(super) fn signature_of_set(mut texts: Vec<String>) -> String {
    texts.sort_unstable();
    texts.dedup();
    signature_of(&texts.iter().map(String::as_bytes).collect::<Vec<_>>())
}

/// The first half of the hash of the parts, in hexadecimal digits.
pub(crate) fn signature_of(parts: &[&[u8]]) -> String {
    format!("{:016x}", hash(parts) >> 64)
}

/// The first 128 bits of SHA-256 over the parts, each with its length before it so that borders count.
pub(crate) fn hash(parts: &[&[u8]]) -> u128 {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    u128::from_be_bytes(digest[..16].try_into().expect("SHA-256 has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::event::{Position, SourceId, TemplateId};
    use crate::pipeline::session::SessionEvent;
    use crate::pipeline::verdict::ShownEvent;

    #[test]
    fn an_incident_fires_once_and_is_resolved_once() {
        let mut trigger = Trigger::default();
        let fired = fire(&mut trigger, 1, 5).expect("the first verdict fires");
        assert!(fire(&mut trigger, 1, 6).is_none());
        assert!(trigger.is_firing(&case(1, 7), None));
        let resolved = trigger.resolve(&case(1, 8), None, verdict(false)).expect("a normal verdict takes it back");
        assert_eq!((resolved.incident, resolved.alert_type), (fired.incident, AlertType::Resolved));
        assert_ne!(resolved.id, fired.id);
        assert!(trigger.resolve(&case(1, 9), None, verdict(false)).is_none());
        let again = fire(&mut trigger, 1, 10).expect("it may fire again");
        assert_ne!(again.id, fired.id);
        assert_eq!((again.incident, trigger.firing()), (fired.incident, 1));
    }

    #[test]
    fn ids_depend_on_the_data_alone() {
        let first = fire(&mut Trigger::default(), 1, 5).expect("fires");
        let mut other = Trigger::default();
        fire(&mut other, 2, 1);
        let second = fire(&mut other, 1, 99).expect("fires");
        assert_eq!((first.id, first.incident), (second.id, second.incident));
        assert_eq!(first.id.to_string().len(), "alert_".len() + 32);
    }

    #[test]
    fn what_only_lacked_recovers_and_the_rest_is_retracted() {
        for (kind, reason) in [(DeviationKind::Missing, Reason::Recovered), (DeviationKind::Excess, Reason::Retracted)] {
            let mut trigger = Trigger::default();
            trigger.fire(&case(1, 5), None, verdict(true), "m", explanation(kind));
            let resolved = trigger.resolve(&case(1, 8), None, verdict(false)).expect("it was firing");
            assert_eq!(resolved.reason, reason);
        }
    }

    #[test]
    fn what_rests_only_on_neutral_templates_is_retracted() {
        use DeviationKind::{Excess, Missing, Unexpected, Unknown};
        for (deviations, retracted) in [
            (&[(Unknown, "x", 1)][..], true),
            (&[(Unknown, "x", 1), (Unexpected, "a", 3)], true),
            (&[(Unknown, "x", 3), (Missing, "a", 3)], true),
            (&[(Unknown, "x", 3), (Missing, "a", 4)], false),
            (&[(Unknown, "x", 1), (Excess, "a", 1)], false),
            (&[(Unknown, "x", 1), (Unknown, "y", 1)], false),
            (&[(Unexpected, "a", 1)], false),
        ] {
            let mut trigger = Trigger::default();
            let deviation = |&(kind, template, count): &(DeviationKind, &str, u32)| {
                let template = template.to_owned();
                Deviation { kind, template, count, expected: 0, seen: 0, nats: 1.0, position: None }
            };
            let deviations: Vec<Deviation> = deviations.iter().map(deviation).collect();
            let explanation = Explanation { deviations, ..explanation(Excess) };
            trigger.fire(&case(1, 5), None, verdict(true), "m", explanation.clone());
            let told: Vec<Reason> = trigger.retract(|text| text == "x", LogTime(9)).iter().map(|alert| alert.reason).collect();
            assert_eq!((told.len() == 1, trigger.firing() == 0), (retracted, retracted), "{explanation:?}");
            assert!(told.iter().all(|reason| *reason == Reason::Retracted));
        }
    }

    #[test]
    fn what_warned_in_the_words_of_a_neutral_template_is_not_taken_back() {
        for (grave, retracted) in [(true, 0), (false, 1)] {
            let mut trigger = Trigger::default();
            let position = Position { source: SourceId(0), offset: 0, length: 0 };
            let event = SessionEvent { position, template: TemplateId(9), token: UNKNOWN, grave };
            let explanation = Explanation {
                deviations: vec![deviation(DeviationKind::Unknown, "x", 9.0)],
                ..explanation(DeviationKind::Unknown)
            };
            trigger.fire(&Case { events: vec![event], ..case(1, 5) }, None, verdict(true), "m", explanation);
            assert_eq!(trigger.retract(|_| true, LogTime(9)).len(), retracted, "grave {grave}");
        }
    }

    #[test]
    fn old_incidents_expire_and_their_number_is_bounded() {
        let mut trigger = Trigger::default();
        for number in 0..=INCIDENTS_MAX as i64 {
            fire(&mut trigger, number, number);
        }
        let expired = trigger.expire(LogTime(0), LogTime(20_000)).flatten().expect("one is over the bound");
        assert_eq!((block(&expired).number, expired.reason), (0, Reason::Expired));
        assert!(trigger.expire(LogTime(1), LogTime(20_000)).is_none());
        assert!(trigger.expire(LogTime(2), LogTime(20_000)).is_some());
        assert_eq!(trigger.firing(), INCIDENTS_MAX as u64 - 1);
    }

    #[test]
    fn the_signature_is_the_set_of_deviations_by_text() {
        use DeviationKind::{Excess, Missing, Unexpected, Unknown};
        let of = |kinds: &[(DeviationKind, &str, f32)]| {
            let deviations: Vec<_> = kinds.iter().map(|&(kind, template, nats)| deviation(kind, template, nats)).collect();
            signature(&deviations)
        };
        let known = of(&[(Unknown, "a", 9.0), (Missing, "b", 0.0)]);
        assert_eq!(of(&[(Missing, "b", 0.0), (Unknown, "a", 2.0)]), known, "order, counts and errors say nothing");
        assert_eq!(of(&[(Missing, "b", 0.0), (Missing, "b", 0.0), (Unknown, "a", 1.0)]), known, "it is a set");
        assert_eq!(
            of(&[(Unknown, "a", 9.0), (Unexpected, "c", 8.0), (Missing, "b", 0.0)]),
            known,
            "disorder comes with the rest"
        );
        assert_ne!(of(&[(Excess, "a", 9.0), (Missing, "b", 0.0)]), known, "the kind of deviation counts");
        assert_ne!(of(&[(Unknown, "a", 9.0)]), known, "all deviations count");
        assert_ne!(of(&[(Unexpected, "c", 9.0)]), of(&[(Unexpected, "d", 9.0)]), "disorder alone is told apart");
        let disordered = of(&[(Unexpected, "c", 9.0), (Missing, "b", 0.0)]);
        assert_eq!(of(&[(Unexpected, "d", 9.0), (Unexpected, "c", 8.0), (Missing, "b", 0.0)]), disordered, "it is one thing");
        assert_ne!(of(&[(Missing, "b", 0.0)]), disordered, "and no unfinished story");
    }

    #[test]
    fn deviations_beyond_the_bound_make_the_signature_and_are_not_told() {
        let texts: Vec<String> = (0..=DEVIATIONS_MAX).map(|number| format!("{number:02}")).collect();
        let fire = |texts: &[String]| {
            let deviations = texts.iter().map(|text| deviation(DeviationKind::Missing, text, 0.0)).collect();
            let explanation = Explanation { deviations, ..Explanation::default() };
            Trigger::default().fire(&case(1, 5), None, verdict(true), "m", explanation).expect("fires")
        };
        let told = |alert: &Alert| {
            let Finding::Block(finding) = &alert.finding else { panic!("it is of a block") };
            finding.explanation.deviations.len()
        };
        let (less, most, more) = (fire(&texts[2..]), fire(&texts[1..]), fire(&texts));
        assert_eq!([&less, &most, &more].map(told), [DEVIATIONS_MAX - 1, DEVIATIONS_MAX, DEVIATIONS_MAX]);
        assert!(less.signature != most.signature && most.signature != more.signature);
        let reversed: Vec<String> = texts.iter().rev().cloned().collect();
        assert_eq!(fire(&reversed).signature, more.signature);
    }

    #[test]
    fn what_resolves_says_again_what_departed_and_nothing_of_the_records() {
        let mut trigger = Trigger::default();
        let events = vec![ShownEvent { position: case(1, 5).events[0].position, template: 0, nats: 9.0 }];
        let (templates, evidence) = (vec!["x".to_owned()], vec![events[0].position]);
        let full = Explanation { events, templates, evidence, end_nats: Some(1.0), ..explanation(DeviationKind::Missing) };
        let fired = trigger.fire(&case(1, 5), None, verdict(true), "m", full.clone()).expect("fires");
        let resolved = trigger.resolve(&case(1, 8), None, verdict(false)).expect("it was firing");
        let of = |alert: &Alert| match &alert.finding {
            Finding::Block(finding) => finding.explanation.clone(),
            Finding::Host(_) | Finding::Template(_) | Finding::Domain(_) | Finding::Regime(_) | Finding::State(_) => {
                Explanation::default()
            }
        };
        assert_eq!((of(&fired), of(&resolved)), (full, explanation(DeviationKind::Missing)));
        assert_eq!((fired.quoted().count(), resolved.quoted().count()), (2, 1));
    }

    fn fire(trigger: &mut Trigger, block: i64, time: i64) -> Option<Alert> {
        trigger.fire(&case(block, time), None, verdict(true), "m", explanation(DeviationKind::Excess))
    }

    fn block(alert: &Alert) -> BlockId {
        let Finding::Block(finding) = &alert.finding else { panic!("it is of a block") };
        finding.block
    }

    fn verdict(anomalous: bool) -> Verdict {
        Verdict { anomalous, score: 9.0, threshold: 3.0, distance: 1.0 }
    }

    fn explanation(kind: DeviationKind) -> Explanation {
        Explanation { deviations: vec![deviation(kind, "x", 1.0)], training_sessions: 10, ..Explanation::default() }
    }

    fn deviation(kind: DeviationKind, template: &str, nats: f32) -> Deviation {
        let template = template.to_owned();
        Deviation { kind, template, count: 1 + nats as u32, expected: 1, seen: 2, nats, position: None }
    }

    fn case(number: i64, time: i64) -> Case {
        let (block, first) = (BlockId { pool: PoolId(0), number }, LogTime(number));
        Case { block, first, last: first, time: LogTime(time), ..crate::pipeline::session::tests::case(&[6]) }
    }
}
