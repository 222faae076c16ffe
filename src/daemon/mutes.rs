//! Which alerts people do not want to be sent: mutes of signatures, by operators and by the configuration, and what they hold back.
//!
//! A part of every checkpoint. Mutes of operators end by the wall clock, and hold again when that is set back within an hour; those of the
//! configuration when they are no longer there.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::{MUTES_MAX, WITHHELD_INCIDENTS_MAX};
use crate::pipeline::event::WallTime;
use crate::pipeline::verdict::{Alert, IncidentId};
use crate::sink::archive::Course;
use crate::sink::document::Muter;

/// All mutes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mutes {
    /// By signature.
    by_operator: BTreeMap<String, Mute>,
    /// By signature, with how many alerts each has held back.
    by_config: BTreeMap<String, u64>,
    /// Incidents that fire and were not sent, oldest first, with why if they are muted; at most [`WITHHELD_INCIDENTS_MAX`].
    withheld: VecDeque<(IncidentId, Option<Muted>)>,
    forgotten: u64,
}

/// What an operator has asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mute {
    why: String,
    until: WallTime,
    held_back: u64,
    /// Since when it is over, by a clock that nobody sets. A restart begins to count anew.
    #[serde(skip)]
    over_since: Option<WallTime>,
}

/// What ends, or begins again, without anybody asking for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The mute of this signature is over; so many alerts it has held back.
    Over(String, u64),
    /// The clock was set back: it holds again.
    HoldsAgain(String),
}

/// What becomes of an alert, beside being kept and shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is sent.
    Sent,
    /// It is not, as it is muted, or what it resolves was.
    Muted(Muted),
    /// It is not, as it is too old or nothing is sent, or what it resolves was not sent for that.
    Kept,
}

/// By whom, why and for how long an alert was muted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Muted {
    /// By whom.
    pub by: Muter,
    /// Why; `None` when only a comment in the configuration says so.
    pub why: Option<String>,
    /// When it expires; `None` = not while it is configured.
    pub until: Option<WallTime>,
}

/// A mute as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What is muted.
    pub signature: String,
    /// By whom, why, for how long.
    pub muted: Muted,
    /// Alerts that it has held back, those that resolve others not counted.
    pub held_back: u64,
}

/// Why a signature cannot be muted, or not be unmuted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MuteError {
    /// [`MUTES_MAX`] are muted.
    #[error("{MUTES_MAX} signatures are muted already; unmute some, or mute what they have in common in domain.mute")]
    Full,
    /// Only the configuration can take it back.
    #[error("it is muted by the configuration; take it out of alerts.mute and restart the daemon")]
    Configured,
    /// Nobody has muted it.
    #[error("it is not muted; `hdfs-vigil alerts mutes` lists what is")]
    NotMuted,
}

impl Mutes {
    /// Takes over what the configuration mutes now. Counts of those that it muted before go on.
    pub fn configure(&mut self, signatures: &[String]) {
        let count = |signature: &String| self.by_config.get(signature).copied().unwrap_or(0);
        self.by_config = signatures.iter().map(|signature| (signature.clone(), count(signature))).collect();
    }

    /// Mutes `signature` until `now` + `period`. A mute by an operator from before gives way, and its count goes on: that is returned.
    ///
    /// # Errors
    /// At [`MUTES_MAX`].
    pub fn mute(&mut self, signature: &str, why: &str, period: Duration, now: WallTime) -> Result<Option<u64>, MuteError> {
        if self.by_operator.len() >= MUTES_MAX {
            self.by_operator.retain(|_, mute| mute.until > now);
        }
        let held_back = self.by_operator.get(signature).filter(|mute| mute.until > now).map(|mute| mute.held_back);
        if !self.by_operator.contains_key(signature) && self.by_operator.len() >= MUTES_MAX {
            return Err(MuteError::Full);
        }
        let until = now.plus_millis(i64::try_from(period.as_millis()).unwrap_or(i64::MAX));
        let mute = Mute { why: why.to_owned(), until, held_back: held_back.unwrap_or(0), over_since: None };
        self.by_operator.insert(signature.to_owned(), mute);
        Ok(held_back)
    }

    /// Ends the mute of an operator that is not over by `now`: how many alerts it has held back.
    ///
    /// # Errors
    /// When there is none, or when the configuration mutes the signature too, so that it stays muted.
    pub fn unmute(&mut self, signature: &str, now: WallTime) -> Result<u64, MuteError> {
        let mute = self.by_operator.remove(signature).filter(|mute| mute.until > now);
        if self.by_config.contains_key(signature) {
            return Err(MuteError::Configured);
        }
        mute.map(|mute| mute.held_back).ok_or(MuteError::NotMuted)
    }

    /// Ends what is over by `now`, the clock of this host, which may be wrong and be set back: what is over is only forgotten once it has
    /// been for an hour by `passed`, a clock that nobody sets.
    pub fn expire(&mut self, now: WallTime, passed: WallTime) -> Vec<Turn> {
        let turns = self.by_operator.iter_mut().filter_map(|(signature, mute)| match (mute.until <= now, mute.over_since) {
            (true, None) => {
                mute.over_since = Some(passed);
                Some(Turn::Over(signature.clone(), mute.held_back))
            }
            (false, Some(_)) => {
                mute.over_since = None;
                Some(Turn::HoldsAgain(signature.clone()))
            }
            (true, Some(_)) | (false, None) => None,
        });
        let turns = turns.collect();
        let is_past = |mute: &Mute| mute.over_since.is_some_and(|since| passed.millis_since(since) >= LINGER_MILLIS);
        self.by_operator.retain(|_, mute| !is_past(mute));
        turns
    }

    /// What becomes of `alert`, which may be sent unless it is muted or `can_send` is false. What resolves an alert is sent if and only if
    /// that alert was, however old it is, so that who got the one gets the other.
    pub fn handle_alert(&mut self, alert: &Alert, now: WallTime, can_send: bool) -> Fate {
        let course = Course::of(alert.alert_type);
        if course == Course::Closes {
            let index = self.withheld.iter().position(|(incident, _)| *incident == alert.incident);
            let withheld = index.and_then(|index| self.withheld.remove(index));
            return withheld.map_or(Fate::Sent, |(_, muted)| muted.map_or(Fate::Kept, Fate::Muted));
        }
        let muted = self.hold_back(&alert.signature, now);
        if course == Course::Opens && (muted.is_some() || !can_send) {
            self.withhold(alert.incident, muted.clone());
        }
        match muted {
            Some(muted) => Fate::Muted(muted),
            None if can_send => Fate::Sent,
            None => Fate::Kept,
        }
    }

    /// All mutes that hold at `now`, by signature; those of the configuration behind.
    #[must_use]
    pub fn list(&self, now: WallTime) -> Vec<Listed> {
        let by_operator = self.holding(now).map(|(signature, mute)| Listed {
            signature: signature.clone(),
            muted: mute.muted(),
            held_back: mute.held_back,
        });
        let by_config = self.by_config.iter().map(|(signature, held_back)| Listed {
            signature: signature.clone(),
            muted: BY_CONFIG,
            held_back: *held_back,
        });
        by_operator.chain(by_config).collect()
    }

    /// How many mutes hold at `now`.
    #[must_use]
    pub fn count(&self, now: WallTime) -> usize {
        self.holding(now).count() + self.by_config.len()
    }

    /// Incidents forgotten at [`WITHHELD_INCIDENTS_MAX`].
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn holding(&self, now: WallTime) -> impl Iterator<Item = (&String, &Mute)> {
        self.by_operator.iter().filter(move |(_, mute)| mute.until > now)
    }

    fn hold_back(&mut self, signature: &str, now: WallTime) -> Option<Muted> {
        if let Some(mute) = self.by_operator.get_mut(signature).filter(|mute| mute.until > now) {
            mute.held_back += 1;
            return Some(mute.muted());
        }
        *self.by_config.get_mut(signature)? += 1;
        Some(BY_CONFIG)
    }

    fn withhold(&mut self, incident: IncidentId, muted: Option<Muted>) {
        if self.withheld.len() >= WITHHELD_INCIDENTS_MAX {
            self.withheld.pop_front();
            self.forgotten += 1;
        }
        self.withheld.push_back((incident, muted));
    }
}

impl Mute {
    fn muted(&self) -> Muted {
        Muted { by: Muter::Operator, why: Some(self.why.clone()), until: Some(self.until) }
    }
}

/// A clock that was set forward by mistake is usually set back within an hour.
const LINGER_MILLIS: i64 = 3_600_000;

const BY_CONFIG: Muted = Muted { by: Muter::Config, why: None, until: None };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::outbox::tests::alert;
    use crate::pipeline::verdict::{AlertId, AlertType, Reason};

    #[test]
    fn a_mute_holds_back_its_signature_until_it_is_over() {
        let mut mutes = muted();
        for (signature, now, expected) in [(A, 0, true), (B, 0, false), (A, 59_999, true), (A, 60_000, false), (A, 90_000, false)]
        {
            let muted = holds(&mut mutes, &firing(1, signature), now);
            assert_eq!(muted.is_some(), expected, "{signature} at {now}");
        }
        assert_eq!(mutes.expire(WallTime(59_999), WallTime(0)), []);
        assert_eq!(mutes.expire(WallTime(60_000), WallTime(0)), [Turn::Over(A.to_owned(), 2)]);
        assert_eq!(mutes.expire(WallTime(60_001), WallTime(1)), [], "it is told once");
        assert_eq!((mutes.count(WallTime(60_000)), mutes.list(WallTime(60_000))), (0, vec![]));
    }

    #[test]
    fn a_clock_that_is_set_forward_and_back_ends_no_mute_for_good() {
        let (hours, mut mutes) = (|hours: i64| WallTime(hours * 3_600_000), Mutes::default());
        mutes.mute(A, "known", 48 * 60 * MINUTE, hours(0)).expect("there is room");
        assert_eq!(mutes.expire(hours(9000), hours(1)), [Turn::Over(A.to_owned(), 0)], "a year too late");
        assert!(holds(&mut mutes, &firing(1, A), hours(9000).0).is_none());
        assert_eq!(mutes.expire(hours(1), WallTime(hours(2).0 - 1)), [Turn::HoldsAgain(A.to_owned())]);
        assert!(holds(&mut mutes, &firing(2, A), hours(1).0).is_some(), "it was set right before the hour was over");
        assert_eq!(mutes.expire(hours(48), hours(50)), [Turn::Over(A.to_owned(), 1)]);
        for (passed, kept) in [(hours(51).0 - 1, 1), (hours(51).0, 0)] {
            mutes.expire(hours(49), WallTime(passed));
            assert_eq!(mutes.by_operator.len(), kept);
        }
    }

    #[test]
    fn mutes_that_are_over_make_room_for_others() {
        let mut mutes = Mutes::default();
        (0..MUTES_MAX).for_each(|n| {
            mutes.mute(&format!("{n:016x}"), "known", MINUTE, WallTime(0)).expect("there is room");
        });
        mutes.expire(WallTime(60_000), WallTime(0));
        assert_eq!(mutes.mute(A, "known", MINUTE, WallTime(60_000)), Ok(None));
        assert_eq!(mutes.count(WallTime(60_000)), 1);
    }

    #[test]
    fn what_resolves_an_alert_is_sent_if_and_only_if_that_was() {
        let mut mutes = muted();
        assert!(holds(&mut mutes, &firing(1, A), 0).is_some());
        mutes.unmute(A, WallTime(1)).expect("it is muted");
        assert!(holds(&mut mutes, &firing(2, A), 1).is_none());
        mutes.mute(A, "again", MINUTE, WallTime(2)).expect("there is room");
        let by_why = |muted: Option<Muted>| muted.and_then(|muted| muted.why);
        assert_eq!(by_why(holds(&mut mutes, &resolved(1), 3)).as_deref(), Some("known"));
        assert_eq!(holds(&mut mutes, &resolved(2), 3), None);
        assert_eq!(holds(&mut mutes, &resolved(1), 4), None, "what fired once is resolved once");
    }

    #[test]
    fn what_cannot_be_resolved_is_held_back_and_not_remembered() {
        let mut mutes = muted();
        let trouble = Alert { alert_type: AlertType::Trouble, ..firing(1, A) };
        assert!(holds(&mut mutes, &trouble, 0).is_some());
        assert!(mutes.withheld.is_empty());
    }

    #[test]
    fn a_second_mute_takes_the_place_of_the_first() {
        let mut mutes = muted();
        holds(&mut mutes, &firing(1, A), 0);
        assert_eq!(mutes.mute(A, "other", MINUTE, WallTime(30_000)), Ok(Some(1)));
        let until = Some(WallTime(90_000));
        let expected = Listed {
            signature: A.to_owned(),
            muted: Muted { by: Muter::Operator, why: Some("other".to_owned()), until },
            held_back: 1,
        };
        assert_eq!(mutes.list(WallTime(0)), [expected]);
    }

    #[test]
    fn only_the_configuration_takes_back_what_it_mutes() {
        let mut mutes = Mutes::default();
        mutes.configure(&[A.to_owned()]);
        assert_eq!(holds(&mut mutes, &firing(1, A), 0), Some(BY_CONFIG));
        assert_eq!(
            (mutes.unmute(A, WallTime(0)), mutes.unmute(B, WallTime(0))),
            (Err(MuteError::Configured), Err(MuteError::NotMuted))
        );
        mutes.configure(&[A.to_owned(), B.to_owned()]);
        assert_eq!(mutes.list(WallTime(0)).iter().map(|listed| listed.held_back).collect::<Vec<_>>(), [1, 0]);
        mutes.configure(&[]);
        assert!(holds(&mut mutes, &firing(2, A), 0).is_none());
        assert!(holds(&mut mutes, &resolved(1), 0).is_some(), "what was held back stays so");
    }

    #[test]
    fn mutes_have_a_bound() {
        let mut mutes = Mutes::default();
        for (number, expected) in [(MUTES_MAX - 1, Ok(None)), (MUTES_MAX, Ok(None)), (MUTES_MAX + 1, Err(MuteError::Full))] {
            (mutes.count(WallTime(0)) + 1..number).for_each(|n| {
                mutes.mute(&format!("{n:016x}"), "known", MINUTE, WallTime(0)).expect("there is room");
            });
            assert_eq!(mutes.mute(&format!("{number:016x}"), "known", MINUTE, WallTime(0)), expected, "{number}");
        }
        assert_eq!(
            mutes.mute(&format!("{MUTES_MAX:016x}"), "longer", MINUTE, WallTime(0)),
            Ok(Some(0)),
            "there is room for what is there"
        );
    }

    #[test]
    fn withheld_incidents_have_a_bound() {
        let mut mutes = muted();
        for (incidents, forgotten) in
            [(WITHHELD_INCIDENTS_MAX - 1, 0), (WITHHELD_INCIDENTS_MAX, 0), (WITHHELD_INCIDENTS_MAX + 1, 1)]
        {
            (mutes.withheld.len()..incidents).for_each(|n| {
                holds(&mut mutes, &firing(n as u128, A), 0).expect("it is muted");
            });
            assert_eq!((mutes.forgotten(), mutes.withheld.len()), (forgotten, incidents.min(WITHHELD_INCIDENTS_MAX)));
        }
        assert_eq!(holds(&mut mutes, &resolved(0), 0), None);
        assert!(holds(&mut mutes, &resolved(1), 0).is_some());
    }

    #[test]
    fn they_survive_a_checkpoint() {
        let mut mutes = muted();
        mutes.configure(&[B.to_owned()]);
        holds(&mut mutes, &firing(1, A), 0);
        let bytes = postcard::to_stdvec(&mutes).expect("they can be written");
        assert_eq!(postcard::from_bytes::<Mutes>(&bytes).expect("and read"), mutes);
    }

    #[test]
    fn what_resolves_an_alert_that_was_too_old_is_not_sent_however_new_it_is() {
        let mut mutes = Mutes::default();
        for (incident, can_send, fate) in [(1, false, Fate::Kept), (2, true, Fate::Sent)] {
            assert_eq!(mutes.handle_alert(&firing(incident, B), WallTime(0), can_send), fate);
            assert_eq!(mutes.handle_alert(&resolved(incident), WallTime(0), !can_send), fate);
        }
        assert!(mutes.withheld.is_empty());
    }

    /// Why the alert is muted, if it is.
    fn holds(mutes: &mut Mutes, alert: &Alert, now: i64) -> Option<Muted> {
        match mutes.handle_alert(alert, WallTime(now), true) {
            Fate::Muted(muted) => Some(muted),
            Fate::Sent | Fate::Kept => None,
        }
    }

    /// With signature A muted from 0 for a minute.
    fn muted() -> Mutes {
        let mut mutes = Mutes::default();
        assert_eq!(mutes.mute(A, "known", MINUTE, WallTime(0)), Ok(None));
        mutes
    }

    fn firing(incident: u128, signature: &str) -> Alert {
        Alert { incident: IncidentId(incident), signature: signature.to_owned(), ..alert(2 * incident) }
    }

    fn resolved(incident: u128) -> Alert {
        let id = AlertId(2 * incident + 1);
        Alert { id, alert_type: AlertType::Resolved, reason: Reason::Recovered, ..firing(incident, A) }
    }

    const A: &str = "aaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbb";
    const MINUTE: Duration = Duration::from_secs(60);
}
