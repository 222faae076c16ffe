//! An alert as people want to read it in a terminal at three in the morning.

use std::collections::BTreeSet;
use std::env;
use std::fmt::{self, Display, Write as _};
use std::io::{self, IsTerminal, Write};

use crate::config::Terminal;
use crate::pipeline::verdict::{AlertType, DeviationKind, Reason};
use crate::sink::document::{
    About, BlockDocument, Document, DomainDocument, HostDocument, LineDocument, NewTemplateDocument, RegimeDocument,
    TemplateDocument, grouped, readable,
};

/// Writes alerts as text, if they are wanted where it is written to.
#[derive(Debug)]
pub struct TerminalSink<W> {
    to: W,
    colours: bool,
}

impl TerminalSink<io::Stdout> {
    /// Standard output as `wanted`; `None` if nothing is to be written there. Colours only on a terminal, and not with NO_COLOR.
    #[must_use]
    pub fn stdout(wanted: Terminal) -> Option<Self> {
        let to = io::stdout();
        let is_wanted = match wanted {
            Terminal::Auto => to.is_terminal(),
            Terminal::Always => true,
            Terminal::Never => false,
        };
        is_wanted.then(|| Self::new(to, wants_colours()))
    }
}

impl<W: Write> TerminalSink<W> {
    /// Writes to `to`, with `colours` or without.
    pub fn new(to: W, colours: bool) -> Self {
        Self { to, colours }
    }

    /// Writes `document` at once.
    ///
    /// # Errors
    /// As the place says, such as a closed pipe. No reason to end.
    pub fn write(&mut self, document: &Document) -> io::Result<()> {
        writeln!(self.to, "{}", render(document, self.colours))?;
        self.to.flush()
    }
}

/// `document` as text of several lines, the last one ended.
#[must_use]
pub fn render(document: &Document, colours: bool) -> String {
    let mut text = String::new();
    let paint = Paint { colours };
    write_all(&mut text, document, paint).expect("a string takes all writes");
    text
}

/// The first lines of [`render`], which say which block or host and why in one sentence, the last one ended.
#[must_use]
pub fn render_head(document: &Document, colours: bool) -> String {
    let mut text = String::new();
    write_head(&mut text, document, Paint { colours }).expect("a string takes all writes");
    text
}

/// Whether standard output takes colours: only a terminal does, and not with NO_COLOR.
#[must_use]
pub fn wants_colours() -> bool {
    io::stdout().is_terminal() && allows_colours(env::var_os("NO_COLOR").as_deref())
}

fn write_all(text: &mut String, document: &Document, paint: Paint) -> fmt::Result {
    write_head(text, document, paint)?;
    match (document.alert_type, &document.about) {
        (AlertType::Resolved | AlertType::MismatchResolved | AlertType::RegimeResolved | AlertType::UnwritableResolved, _) => {
            Ok(())
        }
        (_, About::Block(block)) => {
            write_figures(text, document, block)?;
            write_difference(text, block, paint)?;
            write_nearest(text, document.reason, block)?;
            write_nearby(text, block, paint)?;
            let shown = document.lines.len();
            writeln!(text, "\n  The logs ({shown} of {} events):", grouped(u64::from(block.events)))?;
            write_lines(text, document, paint)?;
            write_advice(text, block)
        }
        (_, About::Host(host)) => {
            write_named(text, &[("roles", roles(document)), ("also on", host.also_on.join(", "))])?;
            write_templates(text, host, paint)?;
            let records: u64 = host.templates.iter().map(|template| u64::from(template.count)).sum();
            writeln!(text, "\n  The logs ({} of {} records):", document.lines.len(), grouped(records))?;
            write_lines(text, document, paint)?;
            write_host_advice(text, host)
        }
        (_, About::Template(template)) => {
            let NewTemplateDocument { events, episodes, first, last, advice, .. } = &**template;
            let (events, episodes) = (grouped(*events), grouped(*episodes));
            writeln!(text, "  {events} times in {episodes} stories of blocks, from {first} to {last}")?;
            writeln!(text, "\n  The logs ({} of {events} events):", document.lines.len())?;
            write_lines(text, document, paint)?;
            write_steps(text, advice)
        }
        (_, About::Domain(domain)) => {
            write_strangers(text, domain, paint)?;
            if !document.lines.is_empty() {
                writeln!(text, "\n  The logs (an event of each):")?;
            }
            write_lines(text, document, paint)?;
            write_steps(text, &domain.advice)
        }
        (_, About::Regime(regime)) => {
            write_levels(text, regime)?;
            write_named(text, &[("signature", document.signature.clone())])?;
            write_steps(text, &regime.advice)
        }
        (_, About::State(state)) => {
            write_named(text, &[("directory", state.directory.clone()), ("error", state.error.clone())])?;
            write_steps(text, &state.advice)
        }
    }
}

fn write_head(text: &mut String, document: &Document, paint: Paint) -> fmt::Result {
    let title = match document.alert_type {
        AlertType::Firing => paint.alarm("ANOMALY"),
        AlertType::Resolved => paint.relief("RESOLVED"),
        AlertType::Trouble => paint.alarm("TROUBLE"),
        AlertType::Template => paint.alarm("NEW TEMPLATE"),
        AlertType::Mismatch => paint.alarm("OUT OF DOMAIN"),
        AlertType::MismatchResolved => paint.relief("IN DOMAIN AGAIN"),
        AlertType::Regime => paint.alarm("ANOTHER REGIME"),
        AlertType::RegimeResolved => paint.relief("REGIME RESOLVED"),
        AlertType::Unwritable => paint.alarm("STATE NOT WRITTEN"),
        AlertType::UnwritableResolved => paint.relief("STATE WRITTEN AGAIN"),
    };
    writeln!(text, "{title} {} at {}", paint.strong(indented(document.subject())), document.time)?;
    writeln!(text, "  {}", document.summary())?;
    if let Some(muted) = &document.muted {
        writeln!(text, "  Not sent: {}.", muted.telling())?;
    }
    if document.by_silence {
        writeln!(text, "  All logs were silent; this was judged by the clock of this host.")?;
    }
    Ok(())
}

fn write_figures(text: &mut String, document: &Document, block: &BlockDocument) -> fmt::Result {
    let (score, threshold, model) = (block.score, block.threshold, &block.model);
    writeln!(
        text,
        "  score      {score:.2} nats against a threshold of {threshold:.2} (distance {:.2}, model {model})",
        block.distance
    )?;
    let named = [
        ("file", block.hdfs_path.clone().unwrap_or_default()),
        ("pool", block.pool.clone().unwrap_or_default()),
        ("hosts", block.hosts.join(", ")),
        ("roles", roles(document)),
        ("datanodes", block.datanodes.join(", ")),
        ("replicas", replicas(block)),
        ("signature", document.signature.clone()),
    ];
    write_named(text, &named)
}

/// How many replicas the NameNode knows of; empty when nobody asked it.
fn replicas(block: &BlockDocument) -> String {
    match block.replicas_confirmed {
        None => String::new(),
        Some(0) => "none confirmed by the NameNode".to_owned(),
        Some(count) => format!("{count} confirmed by the NameNode: {}", block.replicas_on.join(", ")),
    }
}

fn write_named(text: &mut String, named: &[(&str, String)]) -> fmt::Result {
    for (name, value) in named.iter().filter(|(_, value)| !value.is_empty()) {
        writeln!(text, "  {name:<10} {value}")?;
    }
    Ok(())
}

fn roles(document: &Document) -> String {
    document.roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ")
}

fn write_nearby(text: &mut String, block: &BlockDocument, paint: Paint) -> fmt::Result {
    if !block.nearby.is_empty() {
        writeln!(text, "\n  At the same time on the same hosts:")?;
    }
    for nearby in &block.nearby {
        writeln!(text, "  {} {} {}", paint.alarm("!"), nearby.level, indented(&readable(&nearby.text)))?;
        let times = if nearby.count == 1 { String::new() } else { format!(", {} times", grouped(u64::from(nearby.count))) };
        writeln!(text, "    {} at {}{times}", nearby.host, nearby.time)?;
    }
    Ok(())
}

fn write_templates(text: &mut String, host: &HostDocument, paint: Paint) -> fmt::Result {
    writeln!(text, "\n  What it says:")?;
    for template in &host.templates {
        let exception = template.exception.as_deref().map(|exception| format!(" ({exception})")).unwrap_or_default();
        let said = format!("{} {}{exception}", template.level, readable(&template.text));
        writeln!(text, "  {} {}", paint.alarm("!"), indented(&said))?;
        writeln!(text, "    {}", circumstances(template))?;
    }
    if host.templates_left_out > 0 {
        writeln!(text, "  … {} more …", grouped(u64::from(host.templates_left_out)))?;
    }
    Ok(())
}

/// Why it is told, how often it was said, and since when.
fn circumstances(template: &TemplateDocument) -> String {
    let reason = match (template.reason, &template.meaning) {
        (_, Some(meaning)) => meaning,
        (Reason::Burst, None) => "far more often than ever",
        (Reason::New, None) => "never said before",
        (_, None) => "a fatal error",
    };
    let subject = template.subject.as_deref().map(|subject| format!(" ({subject})")).unwrap_or_default();
    if template.count == 1 {
        return format!("{reason}{subject}; once at {}", template.first);
    }
    format!("{reason}{subject}; {} times from {} to {}", grouped(u64::from(template.count)), template.first, template.last)
}

fn write_host_advice(text: &mut String, host: &HostDocument) -> fmt::Result {
    let advice: BTreeSet<&String> = host.templates.iter().filter_map(|template| template.advice.as_ref()).collect();
    if !advice.is_empty() {
        writeln!(text, "\n  What to do:")?;
    }
    advice.into_iter().try_for_each(|command| writeln!(text, "    {command}"))
}

fn write_strangers(text: &mut String, domain: &DomainDocument, paint: Paint) -> fmt::Result {
    if !domain.unknown_templates.is_empty() {
        writeln!(text, "\n  What the model does not know, the commonest first:")?;
    }
    for stranger in &domain.unknown_templates {
        writeln!(text, "  {} {}", paint.alarm("+"), indented(&readable(&stranger.text)))?;
        let (events, episodes) = (grouped(stranger.events), grouped(stranger.episodes));
        writeln!(text, "    {events} times in {episodes} stories of blocks")?;
    }
    Ok(())
}

fn write_levels(text: &mut String, regime: &RegimeDocument) -> fmt::Result {
    writeln!(text, "  {:<10} {:>12}  {:>12}", "", "typical", "threshold")?;
    [("before", &regime.before), ("after", &regime.after)].into_iter().try_for_each(|(name, level)| {
        writeln!(text, "  {name:<10} {:>7.2} nats  {:>7.2} nats", level.typical_nats, level.threshold_nats)
    })
}

fn write_steps(text: &mut String, steps: &[String]) -> fmt::Result {
    writeln!(text, "\n  What to do:")?;
    steps.iter().try_for_each(|step| writeln!(text, "    {step}"))
}

fn write_difference(text: &mut String, block: &BlockDocument, paint: Paint) -> fmt::Result {
    let explanation = &block.explanation;
    if !explanation.difference.is_empty() {
        writeln!(text, "\n  What is not as it should be:")?;
    }
    for (index, sentence) in explanation.difference.iter().enumerate() {
        let deviation = explanation.deviations.get(index);
        let sign = deviation.map_or(STOPS, |deviation| sign(deviation.kind));
        let nats = deviation.filter(|deviation| deviation.nats > 0.0).map(|deviation| format!(" ({:.2} nats)", deviation.nats));
        writeln!(text, "  {} {}{}", paint.alarm(sign), indented(sentence), nats.unwrap_or_default())?;
    }
    Ok(())
}

fn sign(kind: DeviationKind) -> &'static str {
    match kind {
        DeviationKind::Missing => "-",
        DeviationKind::Unknown | DeviationKind::Excess => "+",
        DeviationKind::Unexpected => "?",
    }
}

/// Side by side what a normal block does and what this one did.
fn write_nearest(text: &mut String, reason: Reason, block: &BlockDocument) -> fmt::Result {
    let Some(story) = &block.explanation.nearest else { return Ok(()) };
    let seen = if reason == Reason::UnknownEvent { "so far" } else { "saw" };
    let joined = if block.explanation.from_start { "" } else { "; this one was joined midway" };
    writeln!(text, "\n  The nearest normal story ({}{joined}):", commonness(story.share))?;
    writeln!(text, "    expected {seen:>6}")?;
    let names = block.explanation.names();
    for event in &story.events {
        writeln!(text, "    {:>8} {:>6}  {}", event.expected, event.seen, indented(&names.of(&event.template)))?;
    }
    if story.events_left_out > 0 {
        writeln!(text, "    … {} more …", story.events_left_out)?;
    }
    Ok(())
}

/// How many of the stories that were learnt have been like one with this share of them.
fn commonness(share: f32) -> String {
    let percent = 100.0 * share;
    match percent {
        0.0 => "like none that was learnt, concluded from others".to_owned(),
        0.0..1.0 => "less than 1 % of those learnt".to_owned(),
        99.5.. => "nearly all of those learnt".to_owned(),
        _ => format!("{percent:.0} % of those learnt"),
    }
}

fn write_lines(text: &mut String, document: &Document, paint: Paint) -> fmt::Result {
    let shown = document.lines.len();
    // Where `Document::new` has taken lines out of the middle.
    let gap = shown.div_ceil(2);
    for (index, line) in document.lines.iter().enumerate() {
        if index == gap {
            write_gap(text, document.lines_left_out)?;
        }
        write_line(text, line, paint)?;
    }
    if gap == shown { write_gap(text, document.lines_left_out) } else { Ok(()) }
}

fn write_gap(text: &mut String, left_out: u32) -> fmt::Result {
    if left_out > 0 { writeln!(text, "  … {left_out} more …") } else { Ok(()) }
}

fn write_line(text: &mut String, line: &LineDocument, paint: Paint) -> fmt::Result {
    let mark = line.shows.map_or_else(|| " ".to_owned(), |kind| paint.alarm(sign(kind)));
    let nats = line.nats.map(|nats| format!("  ({nats:.2} nats)")).unwrap_or_default();
    writeln!(text, "{mark} {}", paint.faint(format_args!("{}:{}{nats}", line.path, line.offset)))?;
    match (&line.text, &line.reason) {
        (Some(record), _) => writeln!(text, "    {}", indented(record)),
        (None, reason) => writeln!(text, "    (gone: {})", reason.as_deref().unwrap_or("no reason known")),
    }
}

fn write_advice(text: &mut String, block: &BlockDocument) -> fmt::Result {
    writeln!(text, "\n  What to do:")?;
    block.look_further.iter().try_for_each(|command| writeln!(text, "    {command}"))
}

/// Further lines of a record stand below its first one.
fn indented(text: &str) -> String {
    text.replace('\n', "\n    ")
}

/// <https://no-color.org>: set and not empty means no.
fn allows_colours(no_color: Option<&std::ffi::OsStr>) -> bool {
    no_color.is_none_or(|value| value.is_empty())
}

/// Before the sentence that says that the story stops.
const STOPS: &str = ".";

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
struct Paint {
    colours: bool,
}

impl Paint {
    fn alarm(self, text: impl Display) -> String {
        self.paint("1;31", text)
    }

    fn relief(self, text: impl Display) -> String {
        self.paint("1;32", text)
    }

    fn strong(self, text: impl Display) -> String {
        self.paint("1", text)
    }

    fn faint(self, text: impl Display) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: impl Display) -> String {
        if self.colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::document::regime_tests::regime_example;
    use crate::sink::document::state_tests::state_example;
    use crate::sink::document::tests::{example, mismatch_example, template_example, trouble_example};
    use crate::sink::document::{MutedDocument, Muter};

    #[test]
    fn an_alert_says_what_where_why_and_what_to_do() {
        insta::assert_snapshot!(render(&example(), false));
    }

    #[test]
    fn trouble_of_a_host_says_what_where_why_and_what_to_do() {
        insta::assert_snapshot!(render(&trouble_example(), false));
    }

    #[test]
    fn what_the_model_does_not_know_says_what_where_why_and_what_to_do() {
        let both = [template_example(), mismatch_example()].map(|document| render(&document, false));
        insta::assert_snapshot!(both.join("\n"));
    }

    #[test]
    fn a_change_of_regime_says_from_where_to_where() {
        insta::assert_snapshot!(render(&regime_example(), false));
    }

    #[test]
    fn a_state_that_cannot_be_written_says_where_and_why() {
        let text = render(&state_example(), false);
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines[0], "STATE NOT WRITTEN edge7 at 2008-11-09T20:35:18.143+01:00");
        assert_eq!(lines[2..4], ["  directory  /var/lib/hdfs-vigil", "  error      No space left on device (os error 28)"]);
        assert!(lines[4].contains("What to do") && lines[5].contains("df -h /var/lib/hdfs-vigil"), "{text}");
    }

    #[test]
    fn a_resolved_alert_is_short() {
        let mut document = Document { alert_type: AlertType::Resolved, reason: Reason::Recovered, by_silence: true, ..example() };
        let About::Block(block) = &mut document.about else { panic!("it is of a block") };
        block.explanation.summary = "blk_1 is well again: what was missing came after all.".to_owned();
        insta::assert_snapshot!(render(&document, false));
    }

    #[test]
    fn what_is_muted_says_so_below_its_summary() {
        let muted = MutedDocument::new(Muter::Operator, Some("known"), Some(0), &jiff::tz::TimeZone::UTC);
        let text = render(&example().muted(muted), false);
        assert_eq!(text.lines().nth(2), Some("  Not sent: muted by an operator until 1970-01-01T00:00:00+00:00: known."));
    }

    #[test]
    fn a_normal_story_is_told_as_learnt_only_if_it_was() {
        for (share, expected) in [
            (0.0, "like none that was learnt, concluded from others"),
            (0.001, "less than 1 % of those learnt"),
            (0.01, "1 % of those learnt"),
            (0.994, "99 % of those learnt"),
            (1.0, "nearly all of those learnt"),
        ] {
            let mut document = example();
            let About::Block(block) = &mut document.about else { panic!("it is of a block") };
            block.explanation.nearest.as_mut().unwrap().share = share;
            let text = render(&document, false);
            assert!(text.contains(&format!("The nearest normal story ({expected}):")), "{share}: {text}");
        }
    }

    #[test]
    fn the_gap_stands_where_lines_were_left_out() {
        let mut document = Document { lines_left_out: 7, ..example() };
        for (shown, before) in [(0, 0), (1, 1), (2, 1), (3, 2)] {
            document.lines.truncate(0);
            document.lines.extend(example().lines.into_iter().take(shown));
            let text = render(&document, false);
            let (head, _) = text.split_once("… 7 more …").unwrap();
            assert_eq!(head.matches(".log").count(), before, "{shown}: {text}");
        }
    }

    #[test]
    fn colours_are_used_only_where_wanted() {
        assert!(!render(&example(), false).contains('\u{1b}'));
        assert!(render(&example(), true).starts_with("\u{1b}[1;31mANOMALY\u{1b}[0m "));
        for (no_color, expected) in [(None, true), (Some(""), true), (Some("1"), false)] {
            assert_eq!(allows_colours(no_color.map(std::ffi::OsStr::new)), expected, "{no_color:?}");
        }
    }
}
