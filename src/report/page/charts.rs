//! The pictures of a page, each with a sentence that says what to see, and the numbers behind it.

use std::fmt::{self, Write as _};

use crate::pipeline::event::LogTime;
use crate::report::plot::{self, Axis, Cell, Colour, Plot, Scale};
use crate::report::recorder::{Tally, WAYS};
use crate::report::series::{Column, Histogram, SCORE_BINS, edge};
use crate::sink::document::grouped;

use super::text::civil;
use super::{MEASURED, MEASURED_END, Page, Table, escaped};

/// A picture with what belongs to it.
struct Chart {
    id: &'static str,
    plot: Plot,
    /// What to see in it.
    says: String,
    numbers: Table,
}

/// Writes all that there is something to draw of.
pub(super) fn write(out: &mut String, page: &Page<'_>) -> fmt::Result {
    if page.record.series().columns().next().is_none() {
        return Ok(());
    }
    writeln!(out, "<section>\n<h2>Pictures</h2>\n<div class=\"charts\">")?;
    for chart in [distribution(page), distribution_again(page), scores(page), alarms(page)].into_iter().flatten() {
        chart.write(out)?;
    }
    writeln!(out, "{MEASURED}")?;
    memory(page).map_or(Ok(()), |chart| chart.write(out))?;
    writeln!(out, "{MEASURED_END}")?;
    training(page).map_or(Ok(()), |chart| chart.write(out))?;
    writeln!(out, "</div>\n</section>")
}

impl Chart {
    fn write(&self, out: &mut String) -> fmt::Result {
        let Self { id, plot, says, numbers } = self;
        let (title, caption) = (escaped(plot.title()), escaped(says));
        writeln!(out, "<figure>\n<h3>{title}</h3>\n<figcaption>{caption}</figcaption>")?;
        out.push_str(&plot::inline(plot, id, says));
        out.push_str(&plot::legend(plot));
        writeln!(out, "<details><summary>Numbers</summary>")?;
        numbers.write(out)?;
        writeln!(out, "</details>\n</figure>")
    }
}

/// How the loss fell in the training of the model.
fn training(page: &Page<'_>) -> Option<Chart> {
    let points: Vec<_> = page.losses.iter().enumerate().map(|(epoch, loss)| (epoch as f64 + 1.0, f64::from(*loss))).collect();
    let ((_, first), (_, last)) = (points.first().copied()?, points.last().copied()?);
    let most = points.iter().map(|(_, loss)| *loss).fold(0.0, f64::max);
    let x = Axis { title: "epoch".to_owned(), from: 1.0, to: (points.len() as f64).max(2.0), scale: Scale::Linear };
    let y = Axis { title: "mean loss, nats a token".to_owned(), from: 0.0, to: (most * 1.05).max(1e-6), scale: Scale::Linear };
    let rows = points.iter().map(|(epoch, loss)| vec![format!("{epoch}"), format!("{loss:.4}")]).collect();
    Some(Chart {
        id: "training",
        plot: Plot::new("How the model was trained", x, y).line(Colour::Blue, "training loss", points),
        says: format!("The loss fell from {first:.3} to {last:.3} nats a token: the model has learnt what comes after what."),
        numbers: Table { caption: "Loss after each epoch".to_owned(), head: names(&["epoch", "nats a token"]), rows },
    })
}

/// How scores are distributed before and after the moment that divides the log.
fn distribution(page: &Page<'_>) -> Option<Chart> {
    let title =
        if page.record.sides_again().is_some() { "How scores are distributed, first run" } else { "How scores are distributed" };
    distribution_of(page, "distribution", title, &page.record.sides())
}

/// The same in the second run.
fn distribution_again(page: &Page<'_>) -> Option<Chart> {
    distribution_of(page, "distribution-again", "How scores are distributed, hdfs-vigil as it comes", page.record.sides_again()?)
}

fn distribution_of(page: &Page<'_>, id: &'static str, title: &str, [before, after]: &[Histogram; 2]) -> Option<Chart> {
    let both = || (0..SCORE_BINS).filter(|bin| before.bins[*bin] + after.bins[*bin] > 0);
    let [fixed, _, ours] = page.record.thresholds();
    let (low, high) = (both().min()?, both().max()?);
    let x = Axis {
        title: "score of a block's story, nats".to_owned(),
        from: edge(low).min(ours.max(edge(0))).min(fixed.max(edge(0))) / 1.3,
        to: edge(high + 1).max(ours).max(fixed) * 1.3,
        scale: Scale::Logarithmic,
    };
    let y = Axis { title: "stories, %".to_owned(), from: 0.01, to: 100.0, scale: Scale::Logarithmic };
    let label = |name: &str, side: &Histogram| format!("{name}: {} stories", grouped(side.total()));
    let mut plot = Plot::new(title, x, y);
    plot = match page.record.moment() {
        Some(_) => plot.area(Colour::Blue, &label("before", before), steps(before)).area(
            Colour::Red,
            &label("after", after),
            steps(after),
        ),
        None => plot.area(Colour::Blue, &label("all", before), steps(before)),
    };
    let divides = page.record.moment().map(|moment| format!("{} at {}", moment.label, civil(moment.time, &page.zone)));
    let says = divides.map_or_else(
        || {
            format!(
                "Half of the scores lie below {:.2} nats, 99 of 100 below {:.2}.",
                before.quantile(0.5),
                before.quantile(0.99)
            )
        },
        |divides| {
            format!(
                "Before and after: {divides}. The median was {} nats and became {}.",
                nats(before.quantile(0.5)),
                nats(after.quantile(0.5))
            )
        },
    );
    Some(Chart {
        id,
        plot: plot.vertical(Colour::Ink, &format!("static threshold {fixed:.2}"), fixed).vertical(
            Colour::Green,
            &format!("hdfs-vigil at the end {ours:.2}"),
            ours,
        ),
        says,
        numbers: distribution_table(before, after),
    })
}

fn distribution_table(before: &Histogram, after: &Histogram) -> Table {
    let row = |share: f64| {
        let of = |side: &Histogram| if side.total() == 0 { "–".to_owned() } else { format!("{:.3}", side.quantile(share)) };
        vec![format!("{} %", share * 100.0), of(before), of(after)]
    };
    Table {
        caption: "Share of the stories that score lower, to the width of a step of the picture".to_owned(),
        head: names(&["share", "before, nats", "after, nats"]),
        rows: [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999].map(row).to_vec(),
    }
}

/// Scores as a heat map over log time, with the three thresholds.
fn scores(page: &Page<'_>) -> Option<Chart> {
    let series = page.record.series();
    let (width, columns) = (series.width_millis(), || series.columns());
    let x = time_axis(page)?;
    let occupied = || columns().flat_map(|(_, column)| (0..SCORE_BINS).filter(|bin| column.scores.bins[*bin] > 0));
    let (low, high) = (occupied().min()?, occupied().max()?);
    let thresholds = || columns().filter_map(|(time, column)| Some((seconds(time), column.thresholds?)));
    let limits = || thresholds().flat_map(|(_, values)| values).filter(|value| *value > edge(0));
    let y = Axis {
        title: "score, nats".to_owned(),
        from: limits().fold(edge(low), f64::min) / 1.2,
        to: limits().fold(edge(high + 1), f64::max) * 1.2,
        scale: Scale::Logarithmic,
    };
    let cells = columns().flat_map(|(time, column)| cells(time, width, column)).collect();
    let line = |way: usize| thresholds().map(|(time, values)| (time, values[way].max(edge(0) / 10.0))).collect::<Vec<_>>();
    let plot = Plot::new("Scores over time, and the thresholds", x, y)
        .heat(Colour::Blue, "stories (darker: more)", cells)
        .line(Colour::Ink, WAYS[0], line(0))
        .line(Colour::Red, WAYS[1], line(1))
        .line(Colour::Green, WAYS[2], line(2));
    let [fixed, average, ours] = page.record.thresholds();
    let rows = bars(page).into_iter().map(|bar| {
        let values = bar
            .thresholds
            .unwrap_or([f64::NAN; 3])
            .map(|value| if value.is_nan() { "–".to_owned() } else { format!("{value:.3}") });
        [vec![civil(bar.from, &page.zone), grouped(bar.stories)], values.to_vec()].concat()
    });
    Some(Chart {
        id: "scores",
        plot: with_marks(plot, page),
        says: format!(
            "Each story of a block is one score{}. At the end the static threshold stands at {fixed:.2}, a plain moving average at {average:.2}, that of hdfs-vigil at {ours:.2}; what lies above it alarms only when no normal story has its counts.",
            if page.record.sides_again().is_some() {
                ", of the first run; the threshold of hdfs-vigil is that of the second"
            } else {
                ""
            }
        ),
        numbers: Table {
            caption: "Thresholds at the end of each stretch, nats".to_owned(),
            head: [names(&["from", "stories"]), names(&WAYS)].concat(),
            rows: rows.collect(),
        },
    })
}

/// A score; none of no stories.
fn nats(score: f64) -> String {
    if score.is_nan() { "–".to_owned() } else { format!("{score:.2}") }
}

fn cells(time: LogTime, width_millis: i64, column: &Column) -> Vec<Cell> {
    let x = (seconds(time), seconds(LogTime(time.0 + width_millis)));
    let counted = column.scores.bins.iter().enumerate().filter(|(_, count)| **count > 0);
    counted.map(|(bin, count)| Cell { x, y: (edge(bin), edge(bin + 1)), weight: *count as f64 }).collect()
}

/// Alarms a day under each of the three; false ones where labels are known.
fn alarms(page: &Page<'_>) -> Option<Chart> {
    let bars = bars(page);
    let labels = page.record.has_labels();
    let rate = |bar: &Bar, way: usize| bar.per_day(if labels { bar.tally.false_alarms[way] } else { bar.alarms[way] });
    let most = bars.iter().flat_map(|bar| (0..3).map(|way| rate(bar, way))).fold(10.0, f64::max);
    let least = bars.iter().flat_map(|bar| (0..3).map(|way| rate(bar, way))).filter(|rate| *rate > 0.0).fold(most, f64::min);
    // A rate of zero lies at the foot of the picture.
    let foot = 10_f64.powf((least / 2.0).log10().floor());
    let what = if labels { "false alarms a day" } else { "alarms a day" };
    let y = Axis { title: format!("{what} (the foot: none)"), from: foot, to: most * 1.5, scale: Scale::Logarithmic };
    let line = |way: usize| {
        let ends = |bar: &Bar| [(seconds(bar.from), rate(bar, way).max(foot)), (seconds(bar.to), rate(bar, way).max(foot))];
        bars.iter().flat_map(ends).collect::<Vec<_>>()
    };
    let title = if labels { "False alarms a day" } else { "Alarms a day" };
    let plot = Plot::new(title, time_axis(page)?, y)
        .line(Colour::Ink, WAYS[0], line(0))
        .line(Colour::Red, WAYS[1], line(1))
        .line(Colour::Green, WAYS[2], line(2));
    let totals = [0, 1, 2].map(|way| {
        grouped(bars.iter().map(|bar| if labels { bar.tally.false_alarms[way] } else { bar.alarms[way] }).sum::<u64>())
    });
    let [fixed, average, ours] = totals;
    let kind = if labels { "false alarms" } else { "alarms" };
    Some(Chart {
        id: "alarms",
        plot: with_marks(plot, page),
        says: format!(
            "{} a static threshold gives {fixed} {kind} in all, a plain moving average {average}, hdfs-vigil {ours}. The fewer the better, as long as none is missed; of what was missed the table tells.",
            if page.record.sides_again().is_some() { "On the scores of the first run" } else { "On the same scores" }
        ),
        numbers: alarms_table(page, &bars, labels),
    })
}

fn alarms_table(page: &Page<'_>, bars: &[Bar], labels: bool) -> Table {
    let named = |what: &str| WAYS.map(|way| format!("{what}, {way}")).to_vec();
    let row = |bar: &Bar| {
        let Tally { normal, anomalous, false_alarms, found } = bar.tally;
        let mut row = vec![civil(bar.from, &page.zone)];
        row.extend([vec![bar.stories], bar.alarms.to_vec()].concat().into_iter().map(grouped));
        if labels {
            let missed = found.map(|found| anomalous - found);
            row.extend([vec![normal], false_alarms.to_vec(), vec![anomalous], missed.to_vec()].concat().into_iter().map(grouped));
        }
        row
    };
    let mut head = [names(&["from", "stories"]), named("alarms")].concat();
    if labels {
        let labelled = [names(&["normal blocks"]), named("false"), names(&["anomalous blocks"]), named("missed")];
        head.extend(labelled.concat());
    }
    Table { caption: "Alarms in each stretch of log time".to_owned(), head, rows: bars.iter().map(row).collect() }
}

/// How much memory the process held.
fn memory(page: &Page<'_>) -> Option<Chart> {
    let measured = page.record.series().columns().filter(|(_, column)| column.rss_bytes > 0);
    let points: Vec<_> = measured.map(|(time, column)| (seconds(time), column.rss_bytes as f64 / 1e6)).collect();
    let most = points.iter().map(|(_, bytes)| *bytes).fold(0.0, f64::max);
    let last = points.last()?.1;
    let y = Axis { title: "resident memory, MB".to_owned(), from: 0.0, to: most * 1.1, scale: Scale::Linear };
    let rows = bars(page).into_iter().map(|bar| vec![civil(bar.from, &page.zone), format!("{:.0}", bar.rss_bytes as f64 / 1e6)]);
    Some(Chart {
        id: "memory",
        plot: Plot::new("Memory over time (measured)", time_axis(page)?, y).area(
            Colour::Blue,
            "resident memory of the process",
            points,
        ),
        says: format!("At most {most:.0} MB, and {last:.0} MB at the end, model and ONNX Runtime included."),
        numbers: Table {
            caption: "The most in each stretch of log time".to_owned(),
            head: names(&["from", "MB"]),
            rows: rows.collect(),
        },
    })
}

/// What is known of one stretch of log time that people have a name for.
#[derive(Clone, Debug, Default)]
struct Bar {
    from: LogTime,
    to: LogTime,
    stories: u64,
    alarms: [u64; 3],
    tally: Tally,
    thresholds: Option<[f64; 3]>,
    rss_bytes: u64,
}

impl Bar {
    fn per_day(&self, count: u64) -> f64 {
        count as f64 * 86_400_000.0 / (self.to.0 - self.from.0).max(1) as f64
    }
}

/// All stretches from the beginning of the log to its end, those without anything included. The first and the last are as long as the
/// log goes.
fn bars(page: &Page<'_>) -> Vec<Bar> {
    let series = page.record.series();
    let (period, width) = (series.period_millis(), series.width_millis());
    let Some((begin, end)) = ends(page) else { return Vec::new() };
    let first = begin.0.div_euclid(period);
    let count = (end.0 - 1).div_euclid(period) - first + 1;
    let mut bars: Vec<Bar> = (0..count)
        .map(|index| (first + index) * period)
        .map(|from| Bar { from: LogTime(from.max(begin.0)), to: LogTime((from + period).min(end.0)), ..Bar::default() })
        .collect();
    let last = bars.len() - 1;
    let index = |time: LogTime| usize::try_from(time.0.div_euclid(period) - first).ok().map(|index| index.min(last));
    for (time, column) in series.columns() {
        debug_assert_eq!(period % width, 0, "a column lies in one stretch");
        let Some(bar) = index(time).and_then(|index| bars.get_mut(index)) else { continue };
        bar.stories += column.scores.total();
        bar.alarms.iter_mut().zip(column.alarms).for_each(|(all, alarms)| *all += alarms);
        bar.thresholds = column.thresholds.or(bar.thresholds);
        bar.rss_bytes = bar.rss_bytes.max(column.rss_bytes);
    }
    for (time, tally) in page.record.accuracy_by(period) {
        if let Some(bar) = index(time).and_then(|index| bars.get_mut(index)) {
            bar.tally = tally;
        }
    }
    bars
}

/// Log time from the first column to the end of the last one in which a story was last heard of. What is told later, when a log that has
/// ended is judged by a clock that runs on alone, counts as told at the end.
fn ends(page: &Page<'_>) -> Option<(LogTime, LogTime)> {
    let series = page.record.series();
    let begin = series.columns().next()?.0;
    let end = series.columns().filter(|(_, column)| column.thresholds.is_some()).last().map_or(begin, |(time, _)| time);
    Some((begin, LogTime(end.0 + series.width_millis())))
}

fn time_axis(page: &Page<'_>) -> Option<Axis> {
    let (begin, end) = ends(page)?;
    let instant = jiff::Timestamp::from_millisecond(begin.0).ok()?;
    let ahead = page.zone.to_offset(instant);
    let title = if ahead.seconds() == 0 { "log time, UTC".to_owned() } else { format!("log time, UTC{ahead}") };
    Some(Axis { title, from: seconds(begin), to: seconds(end), scale: Scale::Time(ahead.seconds()) })
}

/// The first of each kind of mark has its place in the legend, others would only be in the way.
fn with_marks(mut plot: Plot, page: &Page<'_>) -> Plot {
    let (marks, _) = page.record.marks();
    let moment = page.record.moment();
    if let Some(moment) = moment {
        plot = plot.vertical(Colour::Red, &format!("{}, {}", moment.label, civil(moment.time, &page.zone)), seconds(moment.time));
    }
    let mut told: Vec<&str> = Vec::new();
    for mark in marks.iter().filter(|mark| Some(*mark) != moment) {
        if !told.contains(&mark.label.as_str()) {
            told.push(&mark.label);
            plot = plot.vertical(Colour::Ink, &format!("{}, {}", mark.label, civil(mark.time, &page.zone)), seconds(mark.time));
        }
    }
    plot
}

/// Shares in percent as corners of steps.
fn steps(side: &Histogram) -> Vec<(f64, f64)> {
    let whole = side.total().max(1) as f64;
    let corners = |bin: usize| {
        let share = 100.0 * side.bins[bin] as f64 / whole;
        [(edge(bin), share), (edge(bin + 1), share)]
    };
    (0..SCORE_BINS).flat_map(corners).collect()
}

fn seconds(time: LogTime) -> f64 {
    time.0 as f64 / 1000.0
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
