//! The report of an experiment: what goes into its page.

use super::Run;
use super::outcome::{Figures, Outcome};
use crate::report::page::Table;
use crate::report::recorder::WAYS;
use crate::report::{Page, html};
use crate::sink::document::grouped;

/// The page.
pub(super) fn page(run: &Run, outcome: &Outcome) -> String {
    let measured = &outcome.measured;
    html(&Page {
        title: "hdfs-vigil: when the traffic changes".to_owned(),
        verdict: verdict(outcome),
        facts: facts(run, outcome),
        measured: vec![
            (
                "second run (measured)".to_owned(),
                format!("{:.1} s, {} lines a second", measured.seconds, grouped(measured.lines_per_second as u64)),
            ),
            (
                "peak memory (measured)".to_owned(),
                format!("{:.0} MB, labels of all blocks included", measured.rss_peak_bytes as f64 / 1e6),
            ),
        ],
        tables: vec![table(outcome)],
        record: &run.recorder,
        losses: run.learned.contract.training.loss.clone(),
        zone: run.zone.clone(),
        all_alerts: "hdfs-vigil experiment domain-shift --keep DIR keeps logs and model, to replay with --alerts FILE".to_owned(),
    })
}

/// What it came to, for somebody who reads nothing else.
fn verdict(outcome: &Outcome) -> Vec<String> {
    let ours = outcome.adapted.ours;
    let alone = |figures: Figures| {
        format!("{:.2} % false alarms and finds {:.1} %", 100.0 * figures.false_alarm_rate, 100.0 * figures.recall)
    };
    vec![
        format!(
            "A model learnt from a quiet log judges one whose traffic changes midway. After the change, once 2,000 blocks have begun, a static threshold gives {} of the anomalous blocks; a plain moving average gives {}; hdfs-vigil gives {}.",
            alone(outcome.adapted.fixed),
            alone(outcome.adapted.ewma),
            alone(ours)
        ),
        format!("{}. Before the change it was said {} times.", capital(&outcome.told_text()), outcome.told_too_early),
        format!(
            "The scores of the static threshold and the moving average are those of a first run, with [domain] switched off: unknown sentences count in full. Ours is hdfs-vigil as it comes. {}.",
            capital(&outcome.goals.text())
        ),
    ]
}

fn facts(run: &Run, outcome: &Outcome) -> Vec<(String, String)> {
    let training = &run.learned.contract.training;
    let facts = [
        ("logs", outcome.from.clone()),
        ("lines", format!("{}, of which {} before the change", grouped(outcome.lines), grouped(outcome.shift_line))),
        ("blocks", format!("{} with labels, {} sessions in all", grouped(outcome.blocks), grouped(outcome.sessions))),
        ("model", format!("learnt from {} stories of the quiet log", grouped(training.sessions))),
        ("version", format!("hdfs-vigil {}", env!("CARGO_PKG_VERSION"))),
    ];
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn table(outcome: &Outcome) -> Table {
    let phases = outcome.phases();
    let rows = phases.iter().flat_map(|(name, phase)| {
        let (normal, anomalous) = (grouped(phase.normal), grouped(phase.anomalous));
        WAYS.iter().zip(phase.ways()).map(move |(way, figures)| {
            vec![
                format!("{name}, {way}"),
                format!("{} of {normal}", grouped(figures.false_alarms)),
                format!("{:.3} %", 100.0 * figures.false_alarm_rate),
                format!("{} of {anomalous}", grouped(figures.found)),
                format!("{:.4}", figures.recall),
                format!("{:.4}", figures.f1),
                grouped(figures.alarms_per_day as u64),
            ]
        })
    });
    let head = ["blocks that begin", "false alarms", "of the normal", "found", "recall", "F1", "alarms a day"];
    Table {
        caption: "Blocks before the change, the first 2,000 after it, and all later ones".to_owned(),
        head: head.map(str::to_owned).to_vec(),
        rows: rows.collect(),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
