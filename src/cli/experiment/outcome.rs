//! What an experiment came to, in numbers.

use std::io::Write;

use serde::Serialize;

use super::Run;
use crate::pipeline::event::LogTime;
use crate::report::Recorder;
use crate::report::recorder::{Tally, WAYS};
use crate::sink::document::grouped;

/// The numbers of a run. All but [`Measured`] are the same for the same logs and seed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Outcome {
    /// Where the logs are from.
    pub from: String,
    /// Lines of the log that was judged.
    pub lines: u64,
    /// Lines of it before the change.
    pub shift_line: u64,
    /// Episodes of blocks.
    pub sessions: u64,
    /// Labelled blocks that were judged.
    pub blocks: u64,
    /// Loss after the first epoch and the last one, nats a token.
    pub loss: [f32; 2],
    /// Median score before and after the change: of the first run, and of the second.
    pub median_nats: [[f64; 2]; 2],
    /// Blocks that begin before the change.
    pub before: Phase,
    /// The first [`ADAPTING_SESSIONS`] from it on.
    pub adapting: Phase,
    /// Those after them.
    pub adapted: Phase,
    /// All of them.
    pub all: Phase,
    /// What said first that something has changed.
    pub told: Option<Told>,
    /// How often it was said before it had.
    pub told_too_early: u64,
    /// Sentences left out of the stories.
    pub new_templates: u64,
    /// Changes of regime told.
    pub regime_changes: u64,
    /// Times that the model was out of its domain.
    pub mismatches: u64,
    /// What is asked of ours.
    pub goals: Goals,
    /// What depends on the machine.
    pub measured: Measured,
}

/// What was said of the blocks that begin in one stretch of log time.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Phase {
    /// Normal blocks.
    pub normal: u64,
    /// Anomalous blocks.
    pub anomalous: u64,
    /// The static threshold.
    #[serde(rename = "static")]
    pub fixed: Figures,
    /// The plain moving average.
    pub ewma: Figures,
    /// Ours.
    pub ours: Figures,
}

/// How well one of the three did.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Figures {
    /// Normal blocks flagged.
    pub false_alarms: u64,
    /// Share of the normal blocks, 0..=1.
    pub false_alarm_rate: f64,
    /// Anomalous blocks flagged.
    pub found: u64,
    /// Share of the anomalous blocks, 0..=1.
    pub recall: f64,
    /// Harmonic mean of precision and recall, 0..=1.
    pub f1: f64,
    /// Blocks flagged in a day of log time.
    pub alarms_per_day: f64,
}

/// What said that something has changed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Told {
    /// Type of the alert.
    pub alert: &'static str,
    /// Blocks that had begun since the change, by log time.
    pub after_sessions: u64,
    /// Log time since the change, seconds.
    pub after_seconds: f64,
}

/// What is asked of ours.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Goals {
    /// False alarms under [`FALSE_ALARM_RATE_MAX`] once it has adapted.
    pub false_alarms: bool,
    /// Recall over [`RECALL_MIN`] then.
    pub recall: bool,
    /// Told within [`TOLD_SESSIONS_MAX`].
    pub told: bool,
    /// All of them.
    pub met: bool,
}

/// What depends on the machine and on how busy it is.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Measured {
    /// The most memory held in the second run, labels included, bytes.
    pub rss_peak_bytes: u64,
    /// Wall time of the second run.
    pub seconds: f64,
    /// Lines a second in it.
    pub lines_per_second: f64,
}

impl Outcome {
    pub fn new(run: &Run) -> Self {
        let Run { recorder, report, logs, .. } = run;
        let stretches = Stretches::new(recorder);
        let [before, adapting, adapted, all] = stretches.all().map(|(from, to)| Phase::new(recorder, from, to));
        let told = stretches.told(recorder);
        let loss = &run.learned.contract.training.loss;
        let false_alarms = adapted.normal > 0 && adapted.ours.false_alarm_rate < FALSE_ALARM_RATE_MAX;
        let recall = adapted.anomalous > 0 && adapted.ours.recall > RECALL_MIN;
        let in_time = told.as_ref().is_some_and(|told| told.after_sessions <= TOLD_SESSIONS_MAX);
        let second = recorder.sides_again().cloned().unwrap_or_default();
        Self {
            from: logs.from.clone(),
            lines: report.lines,
            shift_line: logs.shift_line,
            sessions: report.sessions,
            blocks: stretches.begins.len() as u64,
            loss: [loss.first(), loss.last()].map(|loss| loss.copied().unwrap_or_default()),
            median_nats: [recorder.sides(), second].map(|sides| sides.map(|side| side.quantile(0.5))),
            before,
            adapting,
            adapted,
            all,
            told,
            told_too_early: recorder.told().1,
            new_templates: report.new_templates,
            regime_changes: report.regime_changes,
            mismatches: report.mismatches,
            goals: Goals { false_alarms, recall, told: in_time, met: false_alarms && recall && in_time },
            measured: Measured {
                rss_peak_bytes: recorder.series().columns().map(|(_, column)| column.rss_bytes).max().unwrap_or_default(),
                seconds: report.seconds,
                lines_per_second: report.lines_per_second,
            },
        }
    }

    /// The phases with their names.
    pub fn phases(&self) -> [(&'static str, &Phase); 3] {
        [("before", &self.before), ("first 2,000 after", &self.adapting), ("adapted", &self.adapted)]
    }

    /// What said that something has changed, as a sentence.
    pub fn told_text(&self) -> String {
        match &self.told {
            Some(Told { alert, after_sessions, after_seconds }) => format!(
                "{alert} said that something had changed after {} sessions, {:.0} minutes of log time",
                grouped(*after_sessions),
                after_seconds / 60.0
            ),
            None => "nothing said that something had changed".to_owned(),
        }
    }

    /// Tells it to people.
    pub fn print(&self, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(out, "{} lines of {} blocks, from {}", grouped(self.lines), grouped(self.blocks), self.from)?;
        let [[before, after], [ours_before, ours_after]] = self.median_nats;
        writeln!(
            out,
            "training loss {:.4} to {:.4}; median score {before:.3} before and {after:.3} after, as hdfs-vigil comes {ours_before:.3} and {ours_after:.3}\n",
            self.loss[0], self.loss[1]
        )?;
        writeln!(
            out,
            "{:<18} {:<17} {:>15} {:>9} {:>8} {:>8} {:>12}",
            "", "", "false alarms", "", "recall", "F1", "alarms a day"
        )?;
        for (name, phase) in self.phases() {
            for (way, figures) in WAYS.iter().zip(phase.ways()) {
                let Figures { false_alarms, false_alarm_rate, recall, f1, alarms_per_day, .. } = figures;
                writeln!(
                    out,
                    "{name:<18} {way:<17} {:>15} {:>7.3} % {recall:>8.4} {f1:>8.4} {:>12}",
                    grouped(false_alarms),
                    100.0 * false_alarm_rate,
                    grouped(alarms_per_day as u64)
                )?;
            }
        }
        let Measured { rss_peak_bytes, seconds, lines_per_second } = self.measured;
        writeln!(out, "\n{}; told too early {} times", self.told_text(), self.told_too_early)?;
        writeln!(
            out,
            "peak memory {:.0} MB, {seconds:.1} s, {} lines a second",
            rss_peak_bytes as f64 / 1e6,
            grouped(lines_per_second as u64)
        )?;
        writeln!(out, "{}", self.goals.text())
    }
}

impl Goals {
    /// Which hold and which do not.
    pub fn text(&self) -> String {
        let word = |held: bool| if held { "yes" } else { "NO" };
        format!(
            "asked of hdfs-vigil once it has adapted: false alarms < 0.5 %: {}; recall > 0.95: {}; told within 2,000 sessions: {}",
            word(self.false_alarms),
            word(self.recall),
            word(self.told)
        )
    }
}

impl Phase {
    fn new(recorder: &Recorder, from: LogTime, to: LogTime) -> Self {
        let tally = recorder.accuracy_between(from, to);
        let days = (to.0 - from.0).max(1) as f64 / 86_400_000.0;
        let [fixed, ewma, ours] = [0, 1, 2].map(|way| Figures::new(&tally, way, days));
        Self { normal: tally.normal, anomalous: tally.anomalous, fixed, ewma, ours }
    }

    /// Figures in the order of [`WAYS`].
    pub fn ways(&self) -> [Figures; 3] {
        [self.fixed, self.ewma, self.ours]
    }
}

impl Figures {
    fn new(tally: &Tally, way: usize, days: f64) -> Self {
        let (false_alarms, found) = (tally.false_alarms[way], tally.found[way]);
        let missed = tally.anomalous - found;
        Self {
            false_alarms,
            false_alarm_rate: tally.false_alarm_rates()[way],
            found,
            recall: tally.recalls()[way],
            f1: 2.0 * found as f64 / (2 * found + false_alarms + missed).max(1) as f64,
            alarms_per_day: (false_alarms + found) as f64 / days,
        }
    }
}

/// Log time in which blocks begin.
struct Stretches {
    begins: Vec<LogTime>,
    shift: LogTime,
    adapted: LogTime,
    end: LogTime,
}

impl Stretches {
    fn new(recorder: &Recorder) -> Self {
        let begins = recorder.begins();
        let end = begins.last().map_or(LogTime(0), |last| LogTime(last.0 + 1));
        let shift = recorder.moment().map_or(end, |moment| moment.time);
        let first_after = begins.partition_point(|begin| *begin < shift);
        let adapted = begins.get(first_after + ADAPTING_SESSIONS).copied().unwrap_or(end).max(shift);
        Self { begins, shift, adapted, end }
    }

    /// Before, adapting, adapted, and all.
    fn all(&self) -> [(LogTime, LogTime); 4] {
        let begin = self.begins.first().copied().unwrap_or(self.shift);
        [(begin, self.shift), (self.shift, self.adapted), (self.adapted, self.end), (begin, self.end)]
    }

    fn told(&self, recorder: &Recorder) -> Option<Told> {
        let (time, alert) = recorder.told().0?;
        let until = |time: LogTime| self.begins.partition_point(|begin| *begin < time);
        Some(Told {
            alert: alert.name(),
            after_sessions: (until(LogTime(time.0 + 1)) - until(self.shift)) as u64,
            after_seconds: (time.0 - self.shift.0) as f64 / 1000.0,
        })
    }
}

/// Sessions from the change on that may pass until ours has adapted.
const ADAPTING_SESSIONS: usize = 2_000;
const TOLD_SESSIONS_MAX: u64 = 2_000;
const FALSE_ALARM_RATE_MAX: f64 = 0.005;
const RECALL_MIN: f64 = 0.95;
