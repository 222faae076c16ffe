//! A report as one HTML page: what was read, what came of it, pictures, alerts. It loads nothing and runs nothing.

use std::fmt::{self, Write as _};

use jiff::tz::TimeZone;

use crate::limits::REPORT_BYTES_MAX;

use super::plot;
use super::recorder::Recorder;

mod alerts;
mod charts;
mod text;

pub use text::{Table, escaped};

/// What a page shows.
pub struct Page<'a> {
    /// What it is called.
    pub title: String,
    /// What it came to, a paragraph each.
    pub verdict: Vec<String>,
    /// What was read, and by what: names and values.
    pub facts: Vec<(String, String)>,
    /// The same for what depends on the machine and how busy it is.
    pub measured: Vec<(String, String)>,
    /// Tables of numbers.
    pub tables: Vec<Table>,
    /// What was gathered.
    pub record: &'a Recorder,
    /// Mean loss in nats per token after each epoch of the training; nothing is drawn when it is empty.
    pub losses: Vec<f32>,
    /// The zone that times are told in.
    pub zone: TimeZone,
    /// Where all alerts are, or how to get them.
    pub all_alerts: String,
}

/// The page. At most [`REPORT_BYTES_MAX`] bytes as far as alerts fill it; the same for the same content, but for what stands between
/// [`MEASURED`] and [`MEASURED_END`].
#[must_use]
pub fn html(page: &Page<'_>) -> String {
    let mut out = String::new();
    write_all(&mut out, page).expect("a string takes all writes");
    out
}

fn write_all(out: &mut String, page: &Page<'_>) -> fmt::Result {
    let title = escaped(&page.title);
    writeln!(
        out,
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
<meta name="color-scheme" content="light dark"/>
<title>{title}</title>
<style>{}{STYLE}</style>
</head>
<body>
<main>
<h1>{title}</h1>"#,
        plot::STYLE
    )?;
    for paragraph in &page.verdict {
        writeln!(out, "<p class=\"lead\">{}</p>", escaped(paragraph))?;
    }
    write_facts(out, page)?;
    page.tables.iter().try_for_each(|table| table.write(out))?;
    charts::write(out, page)?;
    alerts::write(out, page, REPORT_BYTES_MAX - END.len())?;
    out.push_str(END);
    Ok(())
}

fn write_facts(out: &mut String, page: &Page<'_>) -> fmt::Result {
    writeln!(out, "<section>\n<h2>What was read</h2>\n<dl>")?;
    let write = |out: &mut String, facts: &[(String, String)]| {
        facts.iter().try_for_each(|(name, value)| writeln!(out, "<dt>{}</dt><dd>{}</dd>", escaped(name), escaped(value)))
    };
    write(out, &page.facts)?;
    writeln!(out, "{MEASURED}")?;
    write(out, &page.measured)?;
    writeln!(out, "{MEASURED_END}\n</dl>\n</section>")
}

/// Before what depends on the machine and on how busy it is.
pub const MEASURED: &str = "<!--measured-->";
/// After it.
pub const MEASURED_END: &str = "<!--/measured-->";
const END: &str = "</main>\n</body>\n</html>\n";
const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1d2026; --soft: #5a606b; --ground: #fff; --card: #f5f6f8; --edge: #d9dce2; --alarm: #b23c00 }
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main { max-width: 1120px; margin: 0 auto; padding: 16px }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 12px 0; overflow-wrap: anywhere } h2 { font-size: 1.25rem; margin: 32px 0 8px }
h3 { font-size: 1rem; margin: 0 0 4px } h4 { font-size: .85rem; margin: 12px 0 4px; color: var(--soft) }
p { margin: 8px 0 } .lead { font-size: 1.1rem; max-width: 46em } .soft, figcaption { color: var(--soft); font-size: .9rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 8px 0 } dt { color: var(--soft) } dd { margin: 0; overflow-wrap: anywhere }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)); gap: 20px }
figure { margin: 0; padding: 12px; background: var(--card); border: 1px solid var(--edge); border-radius: 8px; min-width: 0 }
.plot { display: block; width: 100%; margin-top: 8px; height: auto; font: 13px system-ui, sans-serif } .grid { stroke: var(--edge) } text { fill: var(--soft) }
.legend { list-style: none; margin: 6px 0; padding: 0; display: flex; flex-wrap: wrap; gap: 2px 16px; font-size: .85rem } .key { width: 28px; height: 14px; margin-right: 6px; vertical-align: -2px }
.scroll { overflow-x: auto } table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums } caption { text-align: left; font-weight: 600; padding: 4px 0 }
th, td { padding: 3px 10px 3px 0; text-align: right; border-bottom: 1px solid var(--edge); white-space: nowrap; vertical-align: top } th:first-child, td:first-child { text-align: left }
th { color: var(--soft); font-weight: 600 } summary { cursor: pointer; color: var(--soft); padding: 4px 0 }
.alert { background: var(--card); border: 1px solid var(--edge); border-left: 4px solid var(--alarm); border-radius: 8px; padding: 8px 12px; margin: 12px 0; min-width: 0 }
.alert > summary { color: var(--ink) } .count { font-weight: 700; color: var(--alarm) } .relief { border-left-color: #007a5a }
ul, ol { margin: 4px 0; padding-left: 20px } li { overflow-wrap: anywhere } code, pre { font: .82rem/1.45 ui-monospace, monospace; overflow-wrap: anywhere; white-space: pre-wrap }
pre { margin: 4px 0 } .record { border-top: 1px solid var(--edge); padding: 4px 0 } .record .where { color: var(--soft); font-size: .78rem; overflow-wrap: anywhere } .shows { border-left: 3px solid var(--alarm); padding-left: 8px }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e6eb; --soft: #a2a9b5; --ground: #101216; --card: #181b21; --edge: #343943; --alarm: #ff9e4a } .relief { border-left-color: #3fd6a8 } }
@media (max-width: 480px) { body { font-size: 15px } main { padding: 10px } dl { grid-template-columns: 1fr; gap: 0 } dd { margin-bottom: 6px } figure { padding: 8px } .plot { font-size: 15px } }
@media print { .alert { break-inside: avoid } }
";
