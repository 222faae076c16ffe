//! Gathers what a report shows while a replay runs: scores, thresholds, alarms and memory over log time, in bounded memory.

use std::collections::BTreeMap;

use crate::limits::REPORT_MARKS_MAX;
use crate::pipeline::event::LogTime;
use crate::pipeline::profile::Calibration;
use crate::pipeline::session::Case;
use crate::pipeline::verdict::threshold::{Settings, Threshold};
use crate::pipeline::verdict::{Alert, AlertType, Finding, Reason, Verdict};
use crate::sink::document::Document;

use super::alerts::Alerts;
use super::rivals::Rivals;
use super::series::{Histogram, Series};

/// What the three thresholds are called, in the order of every array of three: the fixed one, the plain moving average, ours.
pub const WAYS: [&str; 3] = ["static threshold", "plain EWMA", "hdfs-vigil"];

/// A moment that divides the log into before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Log time.
    pub time: LogTime,
    /// What happened then, for people.
    pub label: String,
}

/// Gathers what a report shows. Memory is bounded whatever the length of the log, but for labels: about 100 bytes for each.
pub struct Recorder {
    rivals: Rivals,
    /// Where ours stands, nats.
    ours: f64,
    series: Series,
    moment: Option<Moment>,
    /// Scores of episodes that began before and after a given moment.
    sides: [Histogram; 2],
    labels: BTreeMap<String, Labelled>,
    marks: Vec<Moment>,
    marks_left_out: u64,
    alerts: Alerts,
    /// The mark that divides the log where no moment is given.
    divides: Option<Moment>,
    /// What told first, since the moment, of something that began since it.
    told: Option<(LogTime, AlertType)>,
    /// How often it was told before the moment that something has changed.
    told_before: u64,
    /// In a second run: the scores of that run, before and after the moment.
    again: Option<[Histogram; 2]>,
}

/// What is known of a labelled block, and what was said of it.
#[derive(Clone, Copy, Debug)]
struct Labelled {
    anomalous: bool,
    /// When its first episode began, once one was judged.
    first: Option<LogTime>,
    /// Under each of the three.
    flagged: [bool; 3],
}

/// Labelled blocks, and which of them the three told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Normal blocks.
    pub normal: u64,
    /// Anomalous blocks.
    pub anomalous: u64,
    /// Normal blocks flagged.
    pub false_alarms: [u64; 3],
    /// Anomalous blocks flagged.
    pub found: [u64; 3],
}

impl Recorder {
    /// A recorder for a model with this calibration, with the settings that ours runs with.
    #[must_use]
    pub fn new(calibration: &Calibration, settings: &Settings) -> Self {
        Self {
            rivals: Rivals::new(calibration, settings),
            ours: Threshold::new(*settings, calibration).value(),
            series: Series::default(),
            moment: None,
            sides: Default::default(),
            labels: BTreeMap::new(),
            marks: Vec::new(),
            marks_left_out: 0,
            alerts: Alerts::default(),
            divides: None,
            told: None,
            told_before: 0,
            again: None,
        }
    }

    /// Divides the log at `moment`. An episode counts where it begins. Without one, the log is divided where the regime changes as far as
    /// alerts tell, to the width of a column.
    #[must_use]
    pub fn divided_at(mut self, moment: Moment) -> Self {
        self.moment = Some(moment);
        self
    }

    /// Holds what is said of blocks against `labels`: whether the block of a name (`blk_N`) is anomalous.
    #[must_use]
    pub fn with_labels(mut self, labels: &BTreeMap<String, bool>) -> Self {
        let unseen = |anomalous: &bool| Labelled { anomalous: *anomalous, first: None, flagged: [false; 3] };
        self.labels = labels.iter().map(|(block, anomalous)| (block.clone(), unseen(anomalous))).collect();
        self
    }

    /// Goes on to a second run over the same log, after a first one that gave the scores and what the static threshold and the plain
    /// moving average make of them. All that is said of ours is that of the second run alone.
    #[must_use]
    pub fn again(mut self) -> Self {
        self.series.forget_ours();
        self.labels.values_mut().for_each(|block| block.flagged[2] = false);
        let (alerts, marks) = (Alerts::default(), Vec::new());
        Self {
            alerts,
            marks,
            marks_left_out: 0,
            divides: None,
            told: None,
            told_before: 0,
            again: Some(Default::default()),
            ..self
        }
    }

    /// Takes in a judgement. Only the one that sets the threshold counts, so that every episode counts once, where it was last heard of.
    pub fn judged(&mut self, case: &Case, verdict: &Verdict) {
        if !case.sets_threshold {
            return;
        }
        let after = self.moment.as_ref().map(|moment| usize::from(case.first >= moment.time));
        if let Some(sides) = &mut self.again {
            self.ours = f64::from(verdict.threshold);
            sides[after.unwrap_or(0)].add(verdict.score);
            let thresholds = self.thresholds();
            self.series.at(case.last).thresholds.get_or_insert(thresholds)[2] = self.ours;
            return;
        }
        let (fixed, average) = self.rivals.judge(verdict.score);
        self.ours = f64::from(verdict.threshold);
        let thresholds = self.thresholds();
        let column = self.series.at(case.last);
        column.scores.add(verdict.score);
        column.thresholds = Some(thresholds);
        column.alarms[0] += u64::from(fixed);
        column.alarms[1] += u64::from(average);
        if let Some(after) = after {
            self.sides[after].add(verdict.score);
        }
        if let Some(block) = self.labelled(&case.block.to_string()) {
            block.first = block.first.or(Some(case.first));
            block.flagged[0] |= fixed;
            block.flagged[1] |= average;
        }
    }

    /// Takes in an alert, in the order in which they were told. `document` is asked for only when the report quotes it.
    pub fn alert(&mut self, alert: &Alert, document: impl FnOnce() -> Document) {
        if let Finding::Block(finding) = &alert.finding {
            let fires = alert.alert_type == AlertType::Firing;
            self.series.at(alert.time).alarms[2] += u64::from(fires);
            // What expires is not taken back: somebody was told of it, and nothing has come to its defence.
            let expires = alert.reason == Reason::Expired;
            if let Some(block) = self.labelled(&finding.block.to_string()).filter(|_| !expires) {
                block.flagged[2] = fires;
            }
        } else {
            self.mark(alert);
            self.note_change(alert);
        }
        self.alerts.add(alert, document);
    }

    /// Takes in how much memory the process held when the log had come to `time`, bytes.
    pub fn sample(&mut self, time: LogTime, rss_bytes: u64) {
        let column = self.series.at(time);
        column.rss_bytes = column.rss_bytes.max(rss_bytes);
    }

    /// Everything over log time.
    #[must_use]
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// The alerts.
    #[must_use]
    pub fn alerts(&self) -> &Alerts {
        &self.alerts
    }

    /// Where the three thresholds stand, nats.
    #[must_use]
    pub fn thresholds(&self) -> [f64; 3] {
        [self.rivals.static_value(), self.rivals.ewma_value(), self.ours]
    }

    /// Moments worth a mark, at most [`REPORT_MARKS_MAX`], the first ones; and how many more there were.
    #[must_use]
    pub fn marks(&self) -> (&[Moment], u64) {
        (&self.marks, self.marks_left_out)
    }

    /// What divides the log: the moment given, or the first that was told of.
    #[must_use]
    pub fn moment(&self) -> Option<&Moment> {
        self.moment.as_ref().or(self.divides.as_ref())
    }

    /// Scores before and after the moment. All are before when there is none.
    #[must_use]
    pub fn sides(&self) -> [Histogram; 2] {
        if self.moment.is_some() {
            return self.sides.clone();
        }
        let mut sides = <[Histogram; 2]>::default();
        for (time, column) in self.series.columns() {
            let after = self.divides.as_ref().is_some_and(|moment| time >= moment.time);
            sides[usize::from(after)].merge(&column.scores);
        }
        sides
    }

    /// The same for the second run, if there was one.
    #[must_use]
    pub fn sides_again(&self) -> Option<&[Histogram; 2]> {
        self.again.as_ref()
    }

    /// What told first, since the given moment, that something has changed since: a new template, a regime, the domain. And how often the
    /// like was told before it.
    #[must_use]
    pub fn told(&self) -> (Option<(LogTime, AlertType)>, u64) {
        (self.told, self.told_before)
    }

    /// Whether labels are known.
    #[must_use]
    pub fn has_labels(&self) -> bool {
        !self.labels.is_empty()
    }

    /// What was said of labelled blocks before and after the moment. A block counts where its first episode begins, under ours when it
    /// was told of and not taken back by the end of the log, under the others when any episode of it was flagged.
    #[must_use]
    pub fn accuracy(&self) -> [Tally; 2] {
        let mut sides = <[Tally; 2]>::default();
        for (time, block) in self.seen() {
            let after = self.moment().is_some_and(|moment| time >= moment.time);
            sides[usize::from(after)].add(block);
        }
        sides
    }

    /// The same for every stretch of `period_millis` in which a labelled block begins, by the log time at which the stretch begins.
    #[must_use]
    pub fn accuracy_by(&self, period_millis: i64) -> BTreeMap<LogTime, Tally> {
        let mut periods = BTreeMap::<LogTime, Tally>::new();
        for (time, block) in self.seen() {
            let begin = time.0.div_euclid(period_millis) * period_millis;
            periods.entry(LogTime(begin)).or_default().add(block);
        }
        periods
    }

    /// The same for the blocks that begin at `from` or later and before `to`.
    #[must_use]
    pub fn accuracy_between(&self, from: LogTime, to: LogTime) -> Tally {
        let mut tally = Tally::default();
        self.seen().filter(|(time, _)| (from..to).contains(time)).for_each(|(_, block)| tally.add(block));
        tally
    }

    /// When labelled blocks that were judged began, in order.
    #[must_use]
    pub fn begins(&self) -> Vec<LogTime> {
        let mut begins: Vec<LogTime> = self.seen().map(|(time, _)| time).collect();
        begins.sort_unstable();
        begins
    }

    fn seen(&self) -> impl Iterator<Item = (LogTime, &Labelled)> {
        self.labels.values().filter_map(|block| Some((block.first?, block)))
    }

    fn labelled(&mut self, block: &str) -> Option<&mut Labelled> {
        self.labels.get_mut(block)
    }

    /// A sentence that was said before the moment tells nothing of it, however late it is told of.
    fn note_change(&mut self, alert: &Alert) {
        let Some(moment) = &self.moment else { return };
        if !matches!(alert.alert_type, AlertType::Template | AlertType::Regime | AlertType::Mismatch) {
            return;
        }
        let is_older = matches!(&alert.finding, Finding::Template(finding) if finding.first < moment.time);
        if alert.time < moment.time {
            self.told_before += 1;
        } else if !is_older {
            self.told.get_or_insert((alert.time, alert.alert_type));
        }
    }

    fn mark(&mut self, alert: &Alert) {
        let label = match alert.alert_type {
            AlertType::Template => "new template",
            AlertType::Mismatch => "out of domain",
            AlertType::MismatchResolved => "in domain again",
            AlertType::Regime => "regime changed",
            AlertType::RegimeResolved => "regime resolved",
            AlertType::Firing
            | AlertType::Resolved
            | AlertType::Trouble
            | AlertType::Unwritable
            | AlertType::UnwritableResolved => return,
        };
        let mark = Moment { time: alert.time, label: label.to_owned() };
        let begins = matches!(alert.alert_type, AlertType::Template | AlertType::Mismatch | AlertType::Regime);
        if self.divides.is_none() && begins {
            self.divides = Some(mark.clone());
        }
        if self.marks.len() < REPORT_MARKS_MAX {
            self.marks.push(mark);
        } else {
            self.marks_left_out += 1;
        }
    }
}

impl Tally {
    fn add(&mut self, block: &Labelled) {
        let (all, flagged) =
            if block.anomalous { (&mut self.anomalous, &mut self.found) } else { (&mut self.normal, &mut self.false_alarms) };
        *all += 1;
        flagged.iter_mut().zip(block.flagged).for_each(|(count, flagged)| *count += u64::from(flagged));
    }

    /// Share of the normal blocks that the three flag, 0..=1; 0 when there is none.
    #[must_use]
    pub fn false_alarm_rates(&self) -> [f64; 3] {
        self.false_alarms.map(|count| count as f64 / self.normal.max(1) as f64)
    }

    /// Share of the anomalous blocks that the three flag, 0..=1; 0 when there is none.
    #[must_use]
    pub fn recalls(&self) -> [f64; 3] {
        self.found.map(|count| count as f64 / self.anomalous.max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::profile::tests::profile;
    use crate::pipeline::session::tests::case;
    use crate::report::rivals::tests::settings;
    use crate::sink::document::tests::{alert, example};

    #[test]
    fn an_episode_counts_once_however_often_it_is_judged() {
        let mut recorder = recorder();
        let again = Case { sets_threshold: false, ..case(&[6]) };
        recorder.judged(&case(&[6]), &verdict(9.0));
        recorder.judged(&again, &verdict(9.0));
        let totals = totals(&recorder);
        assert_eq!((totals.scores.total(), totals.alarms), (1, [1, 1, 0]));
    }

    #[test]
    fn alarms_are_what_was_told_and_labels_know_what_was_taken_back() {
        let mut recorder = recorder().with_labels(&[("blk_-1608999687919862906".to_owned(), false)].into());
        recorder.judged(&case_of(alert_block()), &verdict(1.0));
        recorder.alert(&alert(), example);
        assert_eq!((totals(&recorder).alarms, recorder.accuracy()[0].false_alarms), ([0, 0, 1], [0, 0, 1]));
        recorder.alert(&Alert { alert_type: AlertType::Resolved, ..alert() }, || unreachable!("it is not quoted"));
        assert_eq!((totals(&recorder).alarms, recorder.accuracy()[0].false_alarms), ([0, 0, 1], [0; 3]));
        assert_eq!((recorder.alerts().blocks(), recorder.accuracy()[0].normal), ((1, 1), 1));
    }

    #[test]
    fn an_episode_lies_on_the_side_where_it_begins() {
        let moment = Moment { time: LogTime(1000), label: "shift".to_owned() };
        let mut recorder = recorder().divided_at(moment);
        for (first, last) in [(999, 5000), (1000, 1000), (-5, -5)] {
            recorder.judged(&Case { first: LogTime(first), last: LogTime(last), ..case(&[6]) }, &verdict(1.0));
        }
        assert_eq!(recorder.sides().map(|side| side.total()), [2, 1]);
    }

    fn recorder() -> Recorder {
        Recorder::new(&profile(&[]).calibration, &settings())
    }

    fn verdict(score: f32) -> Verdict {
        Verdict { anomalous: false, score, threshold: 3.0, distance: 0.0 }
    }

    fn alert_block() -> crate::pipeline::event::BlockId {
        let Finding::Block(finding) = alert().finding else { panic!("it is of a block") };
        finding.block
    }

    fn case_of(block: crate::pipeline::event::BlockId) -> Case {
        Case { block, ..case(&[6]) }
    }

    fn totals(recorder: &Recorder) -> crate::report::series::Column {
        let mut totals = crate::report::series::Column::default();
        for (_, column) in recorder.series().columns() {
            totals.scores.merge(&column.scores);
            totals.alarms.iter_mut().zip(column.alarms).for_each(|(all, alarms)| *all += alarms);
        }
        totals
    }
}
