//! The alerts of a page: those on blocks by signature with one of each in full, then the others in the order of time.

use std::fmt::{self, Write as _};

use crate::pipeline::verdict::AlertType;
use crate::report::alerts::Group;
use crate::sink::document::{
    About, BlockDocument, Document, DomainDocument, HostDocument, LineDocument, NewTemplateDocument, RegimeDocument, grouped,
    readable,
};

use super::text::civil;
use super::{Page, escaped};

/// Writes them as long as the page has at most `bytes`; says how many it left out, and how to get them.
pub(super) fn write(out: &mut String, page: &Page<'_>, bytes: usize) -> fmt::Result {
    let bytes = bytes - CLOSING_BYTES;
    // What is rare but of all blocks must not be crowded out by what is of one.
    write_others(out, page, out.len() + (bytes.saturating_sub(out.len())) / 3)?;
    write_groups(out, page, bytes)
}

fn write_groups(out: &mut String, page: &Page<'_>, bytes: usize) -> fmt::Result {
    let alerts = page.record.alerts();
    let (groups, (fired, resolved)) = (alerts.groups(), alerts.blocks());
    writeln!(out, "<section>\n<h2>Alerts on blocks</h2>")?;
    if fired == 0 {
        return writeln!(out, "<p>None.</p>\n</section>");
    }
    let (fired, resolved) = (grouped(fired), grouped(resolved));
    writeln!(
        out,
        "<p>{fired} alerts, of which {resolved} were taken back. They go wrong in {} ways; the most frequent come first, each with its first alert in full.</p>",
        grouped(groups.len() as u64)
    )?;
    let mut left_out = alerts.ungrouped();
    for (index, group) in groups.iter().enumerate() {
        let section = written(|text| write_group(text, page, group, index < OPEN_GROUPS));
        if out.len() + section.len() <= bytes {
            out.push_str(&section);
        } else {
            left_out += group.count;
        }
    }
    write_left_out(out, page, left_out)?;
    writeln!(out, "</section>")
}

fn write_others(out: &mut String, page: &Page<'_>, bytes: usize) -> fmt::Result {
    let (others, mut left_out) = page.record.alerts().others();
    writeln!(out, "<section>\n<h2>Alerts on hosts, new templates and the model</h2>")?;
    if others.is_empty() {
        return writeln!(out, "<p>None.</p>\n</section>");
    }
    for document in others {
        let section = written(|text| write_alert(text, document, "", false));
        if out.len() + section.len() <= bytes {
            out.push_str(&section);
        } else {
            left_out += 1;
        }
    }
    write_left_out(out, page, left_out)?;
    writeln!(out, "</section>")
}

fn write_left_out(out: &mut String, page: &Page<'_>, left_out: u64) -> fmt::Result {
    if left_out == 0 {
        return Ok(());
    }
    writeln!(
        out,
        "<p class=\"left-out\">{} more alerts are not shown here; {}.</p>",
        grouped(left_out),
        escaped(&page.all_alerts)
    )
}

fn write_group(out: &mut String, page: &Page<'_>, group: &Group, open: bool) -> fmt::Result {
    let (count, first, last) = (group.count, civil(group.first, &page.zone), civil(group.last, &page.zone));
    let when = if count == 1 { format!("once, at {first}") } else { format!("from {first} to {last}") };
    let head = format!("<span class=\"count\">{}×</span> <span class=\"soft\">{when}</span><br/>", grouped(count));
    write_alert(out, &group.example, &head, open)
}

/// An alert under a heading that says it in a sentence. `head` is markup.
fn write_alert(out: &mut String, document: &Document, head: &str, open: bool) -> fmt::Result {
    let (open, relief) = (if open { " open=\"open\"" } else { "" }, if is_relief(document.alert_type) { " relief" } else { "" });
    let (summary, subject, time) = (escaped(document.summary()), escaped(document.subject()), escaped(&document.time));
    let name = document.alert_type.name();
    writeln!(out, "<details class=\"alert{relief}\"{open}><summary>{head}{summary}</summary>")?;
    writeln!(out, "<p class=\"soft\">{name} · <code>{subject}</code> · {time} · <code>{}</code></p>", escaped(&document.id))?;
    if document.by_silence {
        writeln!(out, "<p>All logs were silent; this was judged by the clock of the host.</p>")?;
    }
    match &document.about {
        About::Block(block) => write_block(out, document, block),
        About::Host(host) => write_host(out, document, host),
        About::Template(template) => write_template(out, document, template),
        About::Domain(domain) => write_domain(out, document, domain),
        About::Regime(regime) => write_regime(out, regime),
        // The daemon tells of it; a replay keeps no state.
        About::State(_) => Ok(()),
    }?;
    writeln!(out, "</details>")
}

fn is_relief(alert_type: AlertType) -> bool {
    match alert_type {
        AlertType::Resolved | AlertType::MismatchResolved | AlertType::RegimeResolved | AlertType::UnwritableResolved => true,
        AlertType::Firing
        | AlertType::Trouble
        | AlertType::Template
        | AlertType::Mismatch
        | AlertType::Regime
        | AlertType::Unwritable => false,
    }
}

fn write_block(out: &mut String, document: &Document, block: &BlockDocument) -> fmt::Result {
    let BlockDocument { score, threshold, distance, .. } = block;
    let replicas = block.replicas_confirmed.map(|count| match count {
        0 => "none confirmed by the NameNode".to_owned(),
        count => format!("{count} confirmed by the NameNode: {}", block.replicas_on.join(", ")),
    });
    let facts = [
        (
            "score",
            format!("{score:.2} nats against a threshold of {threshold:.2}; distance to the nearest normal story {distance:.2}"),
        ),
        ("file", block.hdfs_path.clone().unwrap_or_default()),
        ("hosts", block.hosts.join(", ")),
        ("datanodes", block.datanodes.join(", ")),
        ("replicas", replicas.unwrap_or_default()),
        ("signature", document.signature.clone()),
    ];
    write_named(out, &facts)?;
    write_list(out, "What is not as it should be", block.explanation.difference.iter().map(|sentence| escaped(sentence)))?;
    let nearby = block.nearby.iter().map(|nearby| {
        let (host, text) = (escaped(&nearby.host), escaped(&readable(&nearby.text)));
        format!("{} <code>{text}</code> on {host} at {}, {}×", escaped(&nearby.level), escaped(&nearby.time), nearby.count)
    });
    write_list(out, "At the same time on the same hosts", nearby)?;
    write_nearest(out, block)?;
    write_lines(out, document, &format!("The logs: {} of {} events", document.lines.len(), grouped(u64::from(block.events))))?;
    write_commands(out, "Look further", &block.look_further)
}

/// Side by side what a normal block does and what this one did.
fn write_nearest(out: &mut String, block: &BlockDocument) -> fmt::Result {
    let Some(story) = &block.explanation.nearest else { return Ok(()) };
    writeln!(out, "<details><summary>The nearest normal story</summary><div class=\"scroll\"><table>")?;
    writeln!(out, "<thead><tr><th>event</th><th>expected</th><th>here</th></tr></thead>\n<tbody>")?;
    let names = block.explanation.names();
    for event in &story.events {
        let (name, expected, seen) = (escaped(&names.of(&event.template)), event.expected, event.seen);
        writeln!(out, "<tr><td>{name}</td><td>{expected}</td><td>{seen}</td></tr>")?;
    }
    writeln!(out, "</tbody></table></div></details>")
}

fn write_host(out: &mut String, document: &Document, host: &HostDocument) -> fmt::Result {
    write_named(out, &[("also on", host.also_on.join(", "))])?;
    let said = host.templates.iter().map(|template| {
        let exception = template.exception.as_deref().map(|class| format!(" ({class})")).unwrap_or_default();
        let meaning = template.meaning.clone().unwrap_or_else(|| template.reason.name().replace('_', " "));
        let (first, last) = (escaped(&template.first), escaped(&template.last));
        let said = escaped(&format!("{} {}{exception}", template.level, readable(&template.text)));
        format!("<code>{said}</code> — {}; {}×, {first} to {last}", escaped(&meaning), grouped(u64::from(template.count)))
    });
    write_list(out, "What it says", said)?;
    write_lines(out, document, "The logs")?;
    let mut advice: Vec<String> = host.templates.iter().filter_map(|template| template.advice.clone()).collect();
    advice.sort();
    advice.dedup();
    write_commands(out, "What to do", &advice)
}

fn write_template(out: &mut String, document: &Document, template: &NewTemplateDocument) -> fmt::Result {
    let NewTemplateDocument { events, episodes, first, last, .. } = template;
    let (events, episodes) = (grouped(*events), grouped(*episodes));
    let seen = format!("{events} times in {episodes} stories of blocks, from {first} to {last}");
    write_named(out, &[("template", template.template.clone()), ("seen", seen)])?;
    write_lines(out, document, "The logs")?;
    write_list(out, "What to do", template.advice.iter().map(|step| escaped(step)))
}

fn write_domain(out: &mut String, document: &Document, domain: &DomainDocument) -> fmt::Result {
    let strangers = domain.unknown_templates.iter().map(|stranger| {
        let (events, episodes) = (grouped(stranger.events), grouped(stranger.episodes));
        format!("<code>{}</code> — {events} times in {episodes} stories of blocks", escaped(&readable(&stranger.text)))
    });
    write_list(out, "What the model does not know, the commonest first", strangers)?;
    write_lines(out, document, "The logs: an event of each")?;
    write_list(out, "What to do", domain.advice.iter().map(|step| escaped(step)))
}

fn write_regime(out: &mut String, regime: &RegimeDocument) -> fmt::Result {
    let RegimeDocument { before, after, .. } = regime;
    let from_to = |from: f64, to: f64| format!("from {from:.2} to {to:.2} nats");
    let moved = [
        ("typical score", from_to(before.typical_nats, after.typical_nats)),
        ("threshold", from_to(before.threshold_nats, after.threshold_nats)),
        ("changed", regime.changed.clone()),
    ];
    write_named(out, &moved)?;
    write_list(out, "What to do", regime.advice.iter().map(|step| escaped(step)))
}

fn write_named(out: &mut String, named: &[(&str, String)]) -> fmt::Result {
    out.push_str("<dl>\n");
    for (name, value) in named.iter().filter(|(_, value)| !value.is_empty()) {
        writeln!(out, "<dt>{name}</dt><dd>{}</dd>", escaped(value))?;
    }
    writeln!(out, "</dl>")
}

/// A list of items that are markup, if there are any.
fn write_list(out: &mut String, title: &str, items: impl Iterator<Item = String>) -> fmt::Result {
    let items: Vec<String> = items.collect();
    if items.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h4>{title}</h4>\n<ul>")?;
    items.iter().try_for_each(|item| writeln!(out, "<li>{item}</li>"))?;
    writeln!(out, "</ul>")
}

fn write_commands(out: &mut String, title: &str, commands: &[String]) -> fmt::Result {
    if commands.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h4>{title}</h4>\n<pre>{}</pre>", escaped(&commands.join("\n")))
}

fn write_lines(out: &mut String, document: &Document, title: &str) -> fmt::Result {
    if document.lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "<details><summary>{title}</summary>")?;
    // Where a document leaves lines out of its middle.
    let gap = document.lines.len().div_ceil(2);
    for (index, line) in document.lines.iter().enumerate() {
        write_line(out, line)?;
        if index + 1 == gap && document.lines_left_out > 0 {
            writeln!(out, "<p class=\"soft\">… {} more …</p>", document.lines_left_out)?;
        }
    }
    writeln!(out, "</details>")
}

fn write_line(out: &mut String, line: &LineDocument) -> fmt::Result {
    let shows = if line.shows.is_some() { " shows" } else { "" };
    let nats = line.nats.map(|nats| format!(" · {nats:.2} nats")).unwrap_or_default();
    let gone = || format!("(gone: {})", line.reason.as_deref().unwrap_or("no reason known"));
    let text = line.text.clone().unwrap_or_else(gone);
    let (path, offset) = (escaped(&line.path), line.offset);
    writeln!(
        out,
        "<div class=\"record{shows}\"><div class=\"where\">{path}:{offset}{nats}</div><code>{}</code></div>",
        escaped(&text)
    )
}

fn written(write: impl FnOnce(&mut String) -> fmt::Result) -> String {
    let mut text = String::new();
    write(&mut text).expect("a string takes all writes");
    text
}

/// Groups that are unfolded at first.
const OPEN_GROUPS: usize = 1;
/// Bytes kept free for what says how many alerts are left out, and for the ends of sections.
const CLOSING_BYTES: usize = 4096;
