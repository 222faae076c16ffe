//! The report of a replay: what goes into its page.

use std::path::Path;

use crate::pipeline::event::LogTime;
use crate::pipeline::verdict::DetectorMode;
use crate::report::page::Table;
use crate::report::recorder::{Tally, WAYS};
use crate::report::{Page, Recorder, html};
use crate::sink::document::grouped;

use super::{Accuracy, Args, Replay, Report};

/// The page.
pub(super) fn page(args: &Args, replay: &Replay<'_>, report: &Report, recorder: &Recorder) -> String {
    let all_alerts = args.alerts.as_ref().map_or_else(
        || "hdfs-vigil replay --alerts FILE keeps all of them".to_owned(),
        |path| format!("all of them are in {}", path.display()),
    );
    html(&Page {
        title: "hdfs-vigil: what the logs tell".to_owned(),
        verdict: verdict(report, recorder),
        facts: facts(args, replay, report, recorder),
        measured: measured(report),
        tables: tables(report, recorder),
        record: recorder,
        losses: replay.contract.training.loss.clone(),
        zone: replay.config.ingest.timezone.clone(),
        all_alerts,
    })
}

/// What it came to, for somebody who reads nothing else.
fn verdict(report: &Report, recorder: &Recorder) -> Vec<String> {
    let count = |number: u64, one: &str, many: &str| format!("{} {}", grouped(number), if number == 1 { one } else { many });
    let Report { firing, resolved, trouble, new_templates, regime_changes, mismatches, .. } = *report;
    let blocks = match firing {
        0 => "No block is in alarm".to_owned(),
        firing => format!("{} in alarm", count(firing, "block is", "blocks are")),
    };
    let mut text = format!(
        "{blocks} at the end of the logs, of {}; {} taken back before. Hosts: {}.",
        count(report.sessions, "story", "stories"),
        count(resolved, "alert was", "alerts were"),
        if trouble == 0 { "no trouble".to_owned() } else { count(trouble, "alert", "alerts") }
    );
    if new_templates > 0 {
        text += &format!(
            " The cluster says {} that the model did not know; {} left out of the stories.",
            count(new_templates, "sentence", "sentences"),
            if new_templates == 1 { "it was" } else { "they were" }
        );
    }
    if regime_changes > 0 {
        text += &format!(" The level of all scores changed {}.", count(regime_changes, "time", "times"));
    }
    if mismatches > 0 {
        text += &format!(" The model did not fit the logs {}.", count(mismatches, "time", "times"));
    }
    let how = match report.mode {
        DetectorMode::Warmup => "The threshold had not yet begun to follow the traffic: the logs are short.",
        DetectorMode::Active => "At the end the threshold follows the traffic.",
        DetectorMode::DomainMismatch => "At the end the model does not fit the logs, and no blocks are told of.",
        DetectorMode::Frozen => "At the end the threshold stays where it is.",
    };
    let told = text + " " + how;
    std::iter::once(told).chain(report.accuracy.map(|accuracy| against_labels(&accuracy, recorder))).collect()
}

fn against_labels(accuracy: &Accuracy, recorder: &Recorder) -> String {
    let Accuracy { true_positives, false_positives, false_negatives, precision, recall, f1, .. } = accuracy;
    let [before, after] = recorder.accuracy();
    let sum = |way: usize| grouped(before.false_alarms[way] + after.false_alarms[way]);
    format!(
        "Held against the labels: {} of {} anomalous blocks are in alarm, and {} normal ones are (precision {precision:.4}, recall {recall:.4}, F1 {f1:.4}). A static threshold on the same scores alarms on {} normal blocks, a plain moving average on {}.",
        grouped(*true_positives),
        grouped(true_positives + false_negatives),
        grouped(*false_positives),
        sum(0),
        sum(1)
    )
}

fn facts(args: &Args, replay: &Replay<'_>, report: &Report, recorder: &Recorder) -> Vec<(String, String)> {
    let (profile, training) = (&replay.contract.profile, &replay.contract.training);
    let model = args.model.as_ref().unwrap_or(&replay.config.model.path);
    let names = |paths: &[std::path::PathBuf]| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    let mut facts = vec![
        ("logs", format!("{} ({})", names(&args.paths), count_files(replay))),
        ("lines", format!("{} in {} bytes", grouped(report.lines), grouped(report.bytes))),
        ("log time", covered(recorder, replay)),
        ("events", format!("{}, of which the model does not know {}", grouped(report.events), grouped(report.unknown_events))),
        ("model", format!("{} ({}), trained on {} stories", profile.name, file_name(model), grouped(training.sessions))),
        ("version", format!("hdfs-vigil {}", env!("CARGO_PKG_VERSION"))),
    ];
    if let Some(labels) = &args.labels {
        facts.push(("labels", labels.display().to_string()));
    }
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn count_files(replay: &Replay<'_>) -> String {
    match replay.engine.follower.streams().count() {
        1 => "one log".to_owned(),
        logs => format!("{} logs", grouped(logs as u64)),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// From when to when, as far as blocks were judged or told of.
fn covered(recorder: &Recorder, replay: &Replay<'_>) -> String {
    let series = recorder.series();
    let heard = || series.columns().filter(|(_, column)| column.thresholds.is_some());
    let ends = heard().next().zip(heard().last());
    let Some(((first, _), (last, _))) = ends else { return "nothing was judged".to_owned() };
    let last = LogTime(last.0 + series.width_millis());
    let zone = &replay.config.ingest.timezone;
    let told = |time: LogTime| {
        let instant = jiff::Timestamp::from_millisecond(time.0).unwrap_or_default();
        zone.to_datetime(instant).strftime("%Y-%m-%d %H:%M").to_string()
    };
    format!("{} to {}", told(first), told(last))
}

fn measured(report: &Report) -> Vec<(String, String)> {
    let speed = format!("{:.1} s, {} lines a second", report.seconds, grouped(report.lines_per_second as u64));
    let memory = format!("{:.0} MB", report.rss_peak_bytes as f64 / 1e6);
    [("took", speed), ("peak memory", memory)].map(|(name, value)| (format!("{name} (measured)"), value)).to_vec()
}

/// Alarms of the three ways, before and after the moment that divides the log, against labels where they are known.
fn tables(report: &Report, recorder: &Recorder) -> Vec<Table> {
    if report.accuracy.is_some() {
        return vec![labelled_table(recorder)];
    }
    let totals = recorder
        .series()
        .columns()
        .fold([0; 3], |totals: [u64; 3], (_, column)| [0, 1, 2].map(|way| totals[way] + column.alarms[way]));
    let stories: u64 = recorder.sides().iter().map(|side| side.total()).sum();
    let rows = [0, 1, 2].map(|way| {
        let share = 100.0 * totals[way] as f64 / stories.max(1) as f64;
        vec![WAYS[way].to_owned(), grouped(totals[way]), format!("{share:.2} %")]
    });
    vec![Table {
        caption: format!("Alarms on the same {} stories", grouped(stories)),
        head: ["threshold", "alarms", "of the stories"].map(str::to_owned).to_vec(),
        rows: rows.to_vec(),
    }]
}

fn labelled_table(recorder: &Recorder) -> Table {
    let sides = recorder.accuracy();
    let names = if recorder.moment().is_some() { &["before", "after"][..] } else { &["all"] };
    let row = |(name, tally): (&&str, &Tally), way: usize| {
        let (false_alarms, found) = (tally.false_alarms[way], tally.found[way]);
        let (rate, recall) = (100.0 * tally.false_alarm_rates()[way], 100.0 * tally.recalls()[way]);
        vec![
            format!("{}, {name}", WAYS[way]),
            format!("{} of {}", grouped(false_alarms), grouped(tally.normal)),
            format!("{rate:.2} %"),
            format!("{} of {}", grouped(found), grouped(tally.anomalous)),
            format!("{recall:.2} %"),
        ]
    };
    let divides = recorder.moment().map(|moment| format!(", before and after: {}", moment.label)).unwrap_or_default();
    Table {
        caption: format!("Blocks in alarm held against their labels{divides}"),
        head: ["threshold", "false alarms", "of the normal", "found", "of the anomalous"].map(str::to_owned).to_vec(),
        rows: (0..3).flat_map(|way| names.iter().zip(&sides).map(move |side| row(side, way))).collect(),
    }
}
