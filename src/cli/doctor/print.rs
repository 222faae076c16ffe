//! Prints what was found, for people.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::log::LogReport;
use super::{Check, CheckState, Report};

/// Prints the checks, a table of the files, how logs are rotated, and what to do next.
pub fn print(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "With the rights of {}:\n", report.user)?;
    report.checks.iter().try_for_each(|check| print_check(check, out))?;
    if !report.files.is_empty() {
        writeln!(out)?;
        print_files(&report.files, out)?;
        print_rotations(report, out)?;
        print_blockless(&report.files, out)?;
    }
    let verdict = if report.works { "The daemon would work." } else { "The daemon would NOT work." };
    writeln!(out, "\n{verdict} Next:")?;
    report.next_steps.iter().try_for_each(|step| writeln!(out, "  {step}"))
}

fn print_check(check: &Check, out: &mut dyn Write) -> io::Result<()> {
    let state = match check.state {
        CheckState::Good => "good",
        CheckState::Doubtful => "doubtful",
        CheckState::Bad => "BAD",
    };
    writeln!(out, "  {state:<8}  {:<12}  {}", check.name, check.found)?;
    check.remedy.iter().try_for_each(|remedy| writeln!(out, "  {:<22}  -> {remedy}", ""))
}

fn print_files(files: &[LogReport], out: &mut dyn Write) -> io::Result<()> {
    let head = ["role", "host", "layout", "lines", "records", "joined", "unparsed", "blocks", "known", "lines/s", "file"];
    let rows: Vec<[String; 11]> = std::iter::once(head.map(str::to_owned)).chain(files.iter().map(row)).collect();
    let widths: Vec<usize> = (0..head.len()).map(|at| rows.iter().map(|row| row[at].len()).max().unwrap_or(0)).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| match at {
            0..3 => format!("{cell:<width$}"),
            10 => cell.clone(),
            _ => format!("{cell:>width$}"),
        });
        writeln!(out, "  {}", cells.collect::<Vec<_>>().join("  "))?;
    }
    files
        .iter()
        .filter_map(|file| Some((file, file.trouble.as_ref()?)))
        .try_for_each(|(file, trouble)| writeln!(out, "  {}: {trouble}", file.path.display()))
}

fn row(file: &LogReport) -> [String; 11] {
    let none = || "-".to_owned();
    [
        file.role.name().to_owned(),
        file.host.clone().unwrap_or_else(none),
        file.layout.map_or_else(none, |layout| layout.name().to_owned()),
        format!("{}{}", file.lines, if file.sampled { "+" } else { "" }),
        file.parsed.to_string(),
        file.joined.to_string(),
        file.unparsed.to_string(),
        file.blocks.to_string(),
        file.known_events.map_or_else(none, |share| format!("{:.2} %", 100.0 * share)),
        file.lines_per_second.map_or_else(none, |rate| if rate < 1.0 { format!("{rate:.4}") } else { format!("{rate:.1}") }),
        file.path.display().to_string(),
    ]
}

fn print_rotations(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut kinds: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for rotation in &report.rotations {
        let (logs, files) = kinds.entry(rotation.kind).or_default();
        *logs += 1;
        *files += rotation.rotated_files;
    }
    writeln!(out)?;
    kinds.iter().try_for_each(|(kind, (logs, files))| writeln!(out, "  rotation {kind}: {logs} logs, {files} rotated files"))
}

/// The loggers that fill the logs without a word of any block.
fn print_blockless(files: &[LogReport], out: &mut dyn Write) -> io::Result<()> {
    let mut sums = BTreeMap::new();
    for row in files.iter().flat_map(|file| &file.blockless) {
        *sums.entry((row.logger.as_str(), row.level.name())).or_insert(0) += row.records;
    }
    let mut rows: Vec<_> = sums.into_iter().collect();
    rows.sort_by_key(|(_, records)| std::cmp::Reverse(*records));
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n  Records that name no block, most by:")?;
    rows.iter()
        .take(LOGGERS_SHOWN)
        .try_for_each(|((logger, level), records)| writeln!(out, "  {records:>9}  {level:<5} {logger}"))
}

const LOGGERS_SHOWN: usize = 5;
