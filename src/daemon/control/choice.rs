//! Which of the kept alerts are asked for: by how they stand, by signature, by id.

use std::collections::{BTreeMap, BTreeSet};

use super::wire::SignatureLine;
use crate::config::is_signature;
use crate::limits::ALERTS_LISTED_MAX;
use crate::pipeline::verdict::IncidentId;
use crate::sink::archive::{AlertLine, Course, State};

/// Which alerts are to be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    firing: bool,
    muted: bool,
    signature: Option<String>,
    last: usize,
}

impl Choice {
    /// Reads `firing=true&muted=true&signature=S&last=N`, all of them optional.
    pub(super) fn parse(query: &str) -> Result<Self, String> {
        let mut choice = Self { firing: false, muted: false, signature: None, last: LAST_DEFAULT };
        for (key, value) in
            query.split('&').filter(|part| !part.is_empty()).map(|part| part.split_once('=').unwrap_or((part, "")))
        {
            match key {
                "firing" => choice.firing = truth(key, value)?,
                "muted" => choice.muted = truth(key, value)?,
                "signature" if is_signature(value) => choice.signature = Some(value.to_owned()),
                "signature" => return Err(format!("signature is {value:?}, must be 16 hexadecimal digits")),
                "last" => {
                    let last = value.parse().ok().filter(|last| (1..=ALERTS_LISTED_MAX).contains(last));
                    choice.last = last.ok_or_else(|| format!("last is {value:?}, must be 1..={ALERTS_LISTED_MAX}"))?;
                }
                _ => return Err(format!("{key:?} cannot be chosen by; there are firing, muted, signature and last")),
            }
        }
        Ok(choice)
    }

    /// The newest of those chosen, and how many are left out.
    pub(super) fn newest(&self, mut alerts: Vec<AlertLine>) -> (Vec<AlertLine>, usize) {
        alerts.retain(|alert| self.is_chosen(alert));
        let left_out = alerts.len().saturating_sub(self.last);
        alerts.drain(..left_out);
        (alerts, left_out)
    }

    /// The same by signature. What takes alerts back does not count.
    pub(super) fn by_signature(&self, alerts: Vec<AlertLine>) -> (Vec<SignatureLine>, usize) {
        let mut groups: BTreeMap<String, (usize, SignatureLine)> = BTreeMap::new();
        let chosen = alerts.into_iter().filter(|alert| self.is_chosen(alert) && Course::of(alert.alert_type) != Course::Closes);
        for (index, alert) in chosen.enumerate() {
            let (firing, muted) = (u64::from(alert.state == State::Firing), u64::from(alert.muted.is_some()));
            let signature = alert.signature.clone();
            let new = SignatureLine { signature: signature.clone(), alerts: 0, firing: 0, muted: 0, example: alert.clone() };
            let (last, group) = groups.entry(signature).or_insert((index, new));
            (group.alerts, group.firing, group.muted) = (group.alerts + 1, group.firing + firing, group.muted + muted);
            (*last, group.example) = (index, alert);
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        groups.sort_by_key(|(last, _)| *last);
        let left_out = groups.len().saturating_sub(self.last);
        (groups.into_iter().skip(left_out).map(|(_, group)| group).collect(), left_out)
    }

    fn is_chosen(&self, alert: &AlertLine) -> bool {
        (!self.firing || alert.state == State::Firing)
            && (!self.muted || alert.muted.is_some())
            && self.signature.as_ref().is_none_or(|signature| *signature == alert.signature)
    }
}

/// The alerts that `id` names: an alert, or all of an incident; whole, or the first 8 digits at least where no other has them.
pub(super) fn named(alerts: Vec<AlertLine>, id: &str) -> Result<Vec<AlertLine>, String> {
    let (kinds, digits) = match (id.strip_prefix(ALERT), id.strip_prefix(INCIDENT)) {
        (Some(digits), _) => (&[ALERT][..], digits),
        (_, Some(digits)) => (&[INCIDENT][..], digits),
        (None, None) => (&[ALERT, INCIDENT][..], id),
    };
    let is_id =
        (DIGITS_MIN..=DIGITS_MAX).contains(&digits.len()) && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_id {
        return Err(format!(
            "{id:?} is no id: alert_ or inc_ and {DIGITS_MIN} to {DIGITS_MAX} hexadecimal digits, or these alone"
        ));
    }
    let wanted: Vec<String> = kinds.iter().map(|kind| format!("{kind}{digits}")).collect();
    let fits = |known: &str| wanted.iter().any(|wanted| known.starts_with(wanted));
    let ids: BTreeSet<&str> =
        alerts.iter().flat_map(|alert| [&alert.id, &alert.incident]).map(String::as_str).filter(|id| fits(id)).collect();
    match ids.len() {
        0 => Err(format!("no kept alert is {id}; `hdfs-vigil alerts list` lists those that are kept, and older ones are gone")),
        1 => {
            let one = ids.into_iter().next().unwrap_or_default().to_owned();
            Ok(alerts.into_iter().filter(|alert| alert.id == one || alert.incident == one).collect())
        }
        several => {
            let some: Vec<_> = ids.into_iter().take(NAMED_MAX).collect();
            Err(format!("{id} may be any of {several}: {}; give more digits", some.join(", ")))
        }
    }
}

/// The number of `inc_…`.
pub(super) fn incident(id: &str) -> Option<IncidentId> {
    u128::from_str_radix(id.strip_prefix(INCIDENT)?, 16).ok().map(IncidentId)
}

fn truth(key: &str, value: &str) -> Result<bool, String> {
    value.parse().map_err(|_| format!("{key} is {value:?}, must be true or false"))
}

const LAST_DEFAULT: usize = 50;
const ALERT: &str = "alert_";
const INCIDENT: &str = "inc_";
const DIGITS_MIN: usize = 8;
const DIGITS_MAX: usize = 32;
/// Ids named where several fit.
const NAMED_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::verdict::AlertType;

    #[test]
    fn what_is_chosen_is_what_was_asked_for() {
        let check = |query: &str, expected: &[u128], left_out: usize| {
            let (alerts, left) = Choice::parse(query).unwrap().newest(lines());
            let ids: Vec<_> = alerts.iter().map(|line| line.id.clone()).collect();
            let expected: Vec<_> = expected.iter().map(|number| format!("alert_{number:032x}")).collect();
            assert_eq!((ids, left), (expected, left_out), "{query}");
        };
        check("", &[1, 2, 3, 4], 0);
        check("last=2", &[3, 4], 2);
        check("firing=true", &[1], 0);
        check(&format!("signature={B}&firing=false"), &[2, 4], 0);
        check(&format!("last=1&signature={A}"), &[3], 1);
    }

    #[test]
    fn what_cannot_be_asked_for_is_said() {
        for query in ["firing=yes", "last=0", "last=10001", "last=-1", "signature=x", "sort=up", "=&=", "%00"] {
            assert!(Choice::parse(query).is_err(), "{query}");
        }
        for last in [1, ALERTS_LISTED_MAX - 1, ALERTS_LISTED_MAX] {
            assert!(Choice::parse(&format!("last={last}")).is_ok());
        }
    }

    #[test]
    fn signatures_are_counted_without_what_takes_alerts_back() {
        let (groups, left_out) = Choice::parse("").unwrap().by_signature(lines());
        let found: Vec<_> = groups.iter().map(|group| (group.signature.as_str(), group.alerts, group.firing)).collect();
        assert_eq!((found, left_out), (vec![(A, 1, 1), (B, 2, 0)], 0));
        assert_eq!(groups[1].example.id, format!("alert_{:032x}", 4));
    }

    #[test]
    fn an_id_may_be_short_where_it_is_clear() {
        let far = |top: u128| top << 96;
        let lines = vec![
            line(far(0xabcd_ef01), far(0x1234_5678), A, AlertType::Firing, State::Resolved),
            line(far(0xabcd_ef02), far(0x1234_5678), A, AlertType::Resolved, State::Resolved),
            line(far(0xabcd_ef02) + 1, far(0x1234_5679), B, AlertType::Firing, State::Firing),
        ];
        let check = |id: &str, expected: Result<usize, &str>| match (named(lines.clone(), id), expected) {
            (Ok(found), Ok(count)) => assert_eq!(found.len(), count, "{id}"),
            (Err(why), Err(part)) => assert!(why.contains(part), "{id}: {why}"),
            (found, expected) => panic!("{id}: {found:?} instead of {expected:?}"),
        };
        check("abcdef01", Ok(1));
        check("alert_abcdef01", Ok(1));
        check("inc_12345678", Ok(2));
        check("12345678", Ok(2));
        check(&lines[2].id, Ok(1));
        check("abcdef02", Err("any of 2"));
        check("inc_abcdef01", Err("no kept alert"));
        check("abcdef0", Err("is no id"));
        check("ABCDEF01", Err("is no id"));
        check("alert_../../etc", Err("is no id"));
        check(&"a".repeat(33), Err("is no id"));
    }

    fn lines() -> Vec<AlertLine> {
        vec![
            line(1, 1, A, AlertType::Firing, State::Firing),
            line(2, 2, B, AlertType::Firing, State::Resolved),
            line(3, 3, A, AlertType::Resolved, State::Resolved),
            line(4, 4, B, AlertType::Trouble, State::Told),
        ]
    }

    fn line(id: u128, incident: u128, signature: &str, alert_type: AlertType, state: State) -> AlertLine {
        AlertLine {
            id: format!("alert_{id:032x}"),
            incident: format!("inc_{incident:032x}"),
            alert_type,
            state,
            time: "2026-11-23T08:23:49.000+00:00".to_owned(),
            subject: "blk_1".to_owned(),
            signature: signature.to_owned(),
            summary: "Something is wrong.".to_owned(),
            muted: None,
        }
    }

    const A: &str = "aaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbb";
}
