//! What the daemon says of its alerts, for people.

use std::io::{self, Write};

use crate::daemon::control::wire::{AlertList, MuteList, Shown, SignatureList};
use crate::sink::archive::AlertLine;
use crate::sink::terminal;

/// One line an alert, and the sentence below it.
pub(super) fn alerts(list: &AlertList, out: &mut dyn Write) -> io::Result<()> {
    if list.alerts.is_empty() {
        writeln!(out, "no such alert is kept")?;
    }
    if list.left_out > 0 {
        writeln!(out, "… {} older ones (--last N) …", list.left_out)?;
    }
    for alert in &list.alerts {
        let AlertLine { signature, time, subject, summary, .. } = alert;
        let (id, kind) = (short(&alert.id), alert.alert_type.name());
        writeln!(out, "{id}  {time}  {:<12}  {kind:<21}  {signature}  {}", state(alert), one_line(subject))?;
        writeln!(out, "    {}", one_line(summary))?;
    }
    bad_lines(list.bad_lines, out)
}

/// Signatures with how often each came.
pub(super) fn signatures(list: &SignatureList, out: &mut dyn Write) -> io::Result<()> {
    if list.signatures.is_empty() {
        writeln!(out, "no such alert is kept")?;
    }
    if list.left_out > 0 {
        writeln!(out, "… {} others (--last N) …", list.left_out)?;
    }
    for group in &list.signatures {
        let (example, kind) = (&group.example, group.example.alert_type.name());
        let [firing, muted] = [(group.firing, "firing"), (group.muted, "muted")]
            .map(|(count, word)| if count > 0 { format!(", {count} {word}") } else { String::new() });
        writeln!(out, "{}  {} × {kind}{firing}{muted}; the last at {}", group.signature, group.alerts, example.time)?;
        writeln!(out, "    {}  {}", short(&example.id), one_line(&example.summary))?;
    }
    bad_lines(list.bad_lines, out)
}

/// Alerts as they were told.
pub(super) fn shown(shown: &Shown, out: &mut dyn Write) -> io::Result<()> {
    for (index, alert) in shown.alerts.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        write!(out, "{}", terminal::render(&alert.alert, terminal::wants_colours()))?;
        let (id, incident, signature) = (&alert.alert.id, &alert.alert.incident, &alert.alert.signature);
        writeln!(out, "\n  {id} of {incident}, signature {signature}: {}", alert.state.name())?;
    }
    Ok(())
}

/// Mutes with what each has held back.
pub(super) fn mutes(list: &MuteList, out: &mut dyn Write) -> io::Result<()> {
    if list.mutes.is_empty() {
        writeln!(out, "nothing is muted")?;
    }
    list.mutes.iter().try_for_each(|mute| {
        writeln!(out, "{}  {} held back, {}", mute.signature, mute.held_back, one_line(&mute.muted.telling()))
    })
}

fn bad_lines(count: u64, out: &mut dyn Write) -> io::Result<()> {
    if count > 0 { writeln!(out, "{count} kept lines cannot be read (torn by a crash, or of another version)") } else { Ok(()) }
}

fn state(alert: &AlertLine) -> String {
    let muted = if alert.muted.is_some() { ", muted" } else { "" };
    format!("{}{muted}", alert.state.name())
}

/// As much of an id as tells it from others.
fn short(id: &str) -> &str {
    id.get(..SHORT_ID).unwrap_or(id)
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\t'], " ")
}

/// `alert_` and 12 digits.
const SHORT_ID: usize = 18;
