//! Holds the daemon's alerts against the faults that were put in: what was caught, what was missed, what was a false alarm.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::cli::demo::fault::FaultKind;
use crate::limits::{DEMO_FAULTS_MAX, DEMO_INCIDENTS_MAX};
use crate::pipeline::verdict::{AlertType, Reason};
use crate::sink::document::Document;

/// Knows the faults and hears the alerts.
#[derive(Default)]
pub struct Judge {
    faults: Vec<Fault>,
    fault_of_block: HashMap<String, usize>,
    /// Incidents firing on healthy blocks and hosts: block or host by incident.
    false_incidents: BTreeMap<String, String>,
    /// False alarms beyond [`DEMO_INCIDENTS_MAX`]; they stay counted.
    false_uncounted: u64,
}

/// A fault and whether the daemon told of it.
#[derive(Clone, Debug)]
struct Fault {
    block: String,
    kind: FaultKind,
    caught: bool,
}

/// What an alert means to someone who knows the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A fault is told of for the first time.
    Caught(FaultKind),
    /// More on a fault that was told of before.
    Known(FaultKind),
    /// The daemon takes its word on a fault back.
    Lost(FaultKind),
    /// A healthy block, or a host, is said to be bad: no fault is put into hosts.
    FalseAlarm,
    /// A false alarm ends.
    Corrected,
}

/// How many so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Faults put in.
    pub injected: u64,
    /// Those that the daemon told of.
    pub caught: u64,
    /// Incidents firing on healthy blocks.
    pub false_alarms: u64,
}

impl Judge {
    /// Whether one more fault can be remembered.
    pub fn has_room(&self) -> bool {
        self.faults.len() < DEMO_FAULTS_MAX
    }

    /// Remembers a fault put into this block.
    pub fn handle_fault(&mut self, block: String, kind: FaultKind) {
        self.fault_of_block.insert(block.clone(), self.faults.len());
        self.faults.push(Fault { block, kind, caught: false });
    }

    /// Takes an alert into account.
    pub fn handle_alert(&mut self, alert: &Document) -> Meaning {
        let fault = alert.block().and_then(|block| self.fault_of_block.get(&block.block));
        match fault.map(|index| &mut self.faults[*index]) {
            Some(fault) => fault.handle_alert(alert),
            None => self.handle_healthy(alert),
        }
    }

    /// The counts so far.
    pub fn tally(&self) -> Tally {
        Tally {
            injected: self.faults.len() as u64,
            caught: self.faults.iter().filter(|fault| fault.caught).count() as u64,
            false_alarms: self.false_incidents.len() as u64 + self.false_uncounted,
        }
    }

    /// The end of the demo, given how many sessions were old enough to be judged.
    pub fn report(&self, sessions: u64) -> Report<'_> {
        Report { judge: self, tally: self.tally(), sessions }
    }

    fn handle_healthy(&mut self, alert: &Document) -> Meaning {
        match alert.alert_type {
            AlertType::Resolved | AlertType::MismatchResolved | AlertType::RegimeResolved | AlertType::UnwritableResolved => {
                self.false_incidents.remove(&alert.incident);
                Meaning::Corrected
            }
            AlertType::Firing
            | AlertType::Trouble
            | AlertType::Template
            | AlertType::Mismatch
            | AlertType::Regime
            | AlertType::Unwritable => {
                self.remember_false(alert);
                Meaning::FalseAlarm
            }
        }
    }

    fn remember_false(&mut self, alert: &Document) {
        if self.false_incidents.len() < DEMO_INCIDENTS_MAX || self.false_incidents.contains_key(&alert.incident) {
            self.false_incidents.insert(alert.incident.clone(), alert.subject().to_owned());
        } else {
            self.false_uncounted += 1;
        }
    }
}

impl Fault {
    /// Only `retracted` says that there never was anything wrong.
    fn handle_alert(&mut self, alert: &Document) -> Meaning {
        let firing = alert.alert_type == AlertType::Firing;
        let known = self.caught;
        self.caught = firing || (known && alert.reason != Reason::Retracted);
        match (known, self.caught) {
            (false, true) => Meaning::Caught(self.kind),
            (true, false) => Meaning::Lost(self.kind),
            (true, true) | (false, false) => Meaning::Known(self.kind),
        }
    }
}

/// What came of the demo, to be printed.
pub struct Report<'a> {
    judge: &'a Judge,
    tally: Tally,
    sessions: u64,
}

impl Report<'_> {
    /// Whether at least 9 of 10 faults were caught and at most one session in 1,000 raised a false alarm.
    pub fn passed(&self) -> bool {
        self.tally.caught * 10 >= self.tally.injected * 9 && self.tally.false_alarms * 1_000 <= self.sessions
    }

    fn false_alarms_per_1000_sessions(&self) -> f64 {
        self.tally.false_alarms as f64 * 1_000.0 / self.sessions.max(1) as f64
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { injected, caught, false_alarms } = self.tally;
        writeln!(f, "injected      {injected} faults in {} blocks", self.sessions)?;
        writeln!(f, "caught        {caught}")?;
        writeln!(f, "false alarms  {false_alarms} ({:.2} per 1,000 blocks)", self.false_alarms_per_1000_sessions())?;
        for fault in self.judge.faults.iter().filter(|fault| !fault.caught).take(NAMED_MAX) {
            writeln!(f, "missed        {}: {}", fault.block, fault.kind.text())?;
        }
        for block in self.judge.false_incidents.values().take(NAMED_MAX) {
            writeln!(f, "false alarm   {block}")?;
        }
        f.write_str(if self.passed() { PASSED } else { FAILED })
    }
}

/// Blocks named at the end, of the missed ones and of the false alarms.
const NAMED_MAX: usize = 20;
const PASSED: &str = "passed: at least 9 of 10 faults caught, at most one false alarm per 1,000 blocks";
const FAILED: &str = "failed: at least 9 of 10 faults must be caught, with at most one false alarm per 1,000 blocks";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::document::tests::example;
    use crate::sink::document::{About, BlockDocument};

    #[test]
    fn alerts_are_held_against_the_truth() {
        use FaultKind::UnfinishedWrite as Unfinished;
        check("fault 1, fire 1", &[Meaning::Caught(Unfinished)], (1, 1, 0));
        check("fault 1, fire 1, fire 1", &[Meaning::Caught(Unfinished), Meaning::Known(Unfinished)], (1, 1, 0));
        check("fault 1, fire 1, retract 1", &[Meaning::Caught(Unfinished), Meaning::Lost(Unfinished)], (1, 0, 0));
        check("fault 1, fire 1, expire 1", &[Meaning::Caught(Unfinished), Meaning::Known(Unfinished)], (1, 1, 0));
        check("fault 1, retract 1", &[Meaning::Known(Unfinished)], (1, 0, 0));
        check("fault 1, fire 2", &[Meaning::FalseAlarm], (1, 0, 1));
        check("fire 2, fire 2", &[Meaning::FalseAlarm, Meaning::FalseAlarm], (0, 0, 1));
        check("fire 2, retract 2", &[Meaning::FalseAlarm, Meaning::Corrected], (0, 0, 0));
        check("fire 2, fire 3, retract 2", &[Meaning::FalseAlarm, Meaning::FalseAlarm, Meaning::Corrected], (0, 0, 1));
    }

    #[test]
    fn a_demo_passes_with_nine_of_ten_and_one_false_alarm_in_a_thousand() {
        check_passed(10, 9, 0, 1_000, true);
        check_passed(10, 8, 0, 1_000, false);
        check_passed(10, 10, 1, 1_000, true);
        check_passed(10, 10, 1, 999, false);
        check_passed(0, 0, 0, 0, true);
    }

    #[test]
    fn the_report_names_what_was_missed() {
        let mut judge = Judge::default();
        judge.handle_fault("blk_-5".to_string(), FaultKind::DeletionOfNothing);
        let report = judge.report(100).to_string();
        assert!(report.contains("missed        blk_-5: the deletion of a replica that is not there"), "{report}");
        assert!(report.ends_with(FAILED));
    }

    #[test]
    fn false_alarms_are_remembered_up_to_the_bound() {
        let mut judge = Judge::default();
        let mut tell = |verb, n: usize| judge.handle_alert(&alert(verb, &n.to_string()));
        (0..=DEMO_INCIDENTS_MAX).for_each(|n| assert_eq!(tell("fire", n), Meaning::FalseAlarm));
        (0..=DEMO_INCIDENTS_MAX).for_each(|n| assert_eq!(tell("retract", n), Meaning::Corrected));
        assert_eq!(judge.tally().false_alarms, 1, "the one beyond the bound stays counted");
    }

    /// `steps` are verbs, each with the number of a block.
    fn check(steps: &str, meanings: &[Meaning], (injected, caught, false_alarms): (u64, u64, u64)) {
        let mut judge = Judge::default();
        let heard: Vec<Meaning> = steps.split(", ").filter_map(|step| perform(&mut judge, step)).collect();
        assert_eq!(heard, meanings, "{steps}");
        assert_eq!(judge.tally(), Tally { injected, caught, false_alarms }, "{steps}");
    }

    fn perform(judge: &mut Judge, step: &str) -> Option<Meaning> {
        let (verb, block) = step.split_once(' ').expect("a verb and a block");
        if verb == "fault" {
            judge.handle_fault(format!("blk_{block}"), FaultKind::UnfinishedWrite);
            return None;
        }
        Some(judge.handle_alert(&alert(verb, block)))
    }

    fn alert(verb: &str, block: &str) -> Document {
        let (alert_type, reason) = match verb {
            "fire" => (AlertType::Firing, Reason::UnlikelyStory),
            "retract" => (AlertType::Resolved, Reason::Retracted),
            "expire" => (AlertType::Resolved, Reason::Expired),
            other => panic!("no such verb: {other}"),
        };
        let about = About::Block(Box::new(BlockDocument {
            block: format!("blk_{block}"),
            ..example().block().expect("it is of one").clone()
        }));
        Document { incident: format!("inc_{block}"), about, alert_type, reason, ..example() }
    }

    fn check_passed(injected: u64, caught: u64, false_alarms: u64, sessions: u64, expected: bool) {
        let judge = Judge::default();
        let report = Report { judge: &judge, tally: Tally { injected, caught, false_alarms }, sessions };
        assert_eq!(report.passed(), expected, "{injected} {caught} {false_alarms} {sessions}");
    }
}
