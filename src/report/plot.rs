//! Draws plots as SVG: axes with scales, lines, filled areas, heat maps, marks and a legend; legible on light and on dark ground.
//!
//! By hand and not by a library: a few hundred bytes of markup do, and the viewer's own fonts and its choice of dark or light stay.

use std::fmt::Write as _;

/// One plot, with everything that was drawn into it.
#[derive(Clone, Debug)]
pub struct Plot {
    title: String,
    x: Axis,
    y: Axis,
    layers: Vec<Layer>,
}

/// One axis.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it shows, with its unit.
    pub title: String,
    /// The value where it begins; above 0 on a logarithmic scale.
    pub from: f64,
    /// The value where it ends, above `from`.
    pub to: f64,
    /// How values lie along it.
    pub scale: Scale,
}

/// How values lie along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences are equally far apart.
    Linear,
    /// Equal ratios are equally far apart. What is not above 0 lies before the axis begins.
    Logarithmic,
    /// Seconds since the epoch, as a clock shows them that is so many seconds ahead of UTC.
    Time(i32),
}

/// One cell of a heat map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// Where it begins and ends along x.
    pub x: (f64, f64),
    /// Where it begins and ends along y.
    pub y: (f64, f64),
    /// How much is in it, > 0.
    pub weight: f64,
}

/// Colours, told apart by people who do not see all of them (Okabe & Ito 2008).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// For what is normal, or the first of several.
    Blue,
    /// For what is anomalous.
    Red,
    /// For a third.
    Green,
    /// That of the text.
    Ink,
}

#[derive(Clone, Debug)]
struct Layer {
    kind: Kind,
    colour: Colour,
    label: String,
}

#[derive(Clone, Debug)]
enum Kind {
    Line(Vec<(f64, f64)>),
    Area(Vec<(f64, f64)>),
    Mark(f64, f64),
    Vertical(f64),
    Heat(Vec<Cell>),
}

/// Where the parts of one plot lie, in pixels.
#[derive(Clone, Copy)]
struct Frame {
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    /// Whether the title, the title of the y axis on its side and the legend are drawn.
    is_picture: bool,
}

impl Plot {
    /// An empty plot.
    #[must_use]
    pub fn new(title: &str, x: Axis, y: Axis) -> Self {
        Self { title: title.to_owned(), x, y, layers: Vec::new() }
    }

    /// Joins points by a line. Points that are no numbers are left out.
    #[must_use]
    pub fn line(self, colour: Colour, label: &str, points: Vec<(f64, f64)>) -> Self {
        self.with(Kind::Line(points), colour, label)
    }

    /// Fills what lies between the points and the x axis.
    #[must_use]
    pub fn area(self, colour: Colour, label: &str, points: Vec<(f64, f64)>) -> Self {
        self.with(Kind::Area(points), colour, label)
    }

    /// Marks one point.
    #[must_use]
    pub fn mark(self, colour: Colour, label: &str, (x, y): (f64, f64)) -> Self {
        self.with(Kind::Mark(x, y), colour, label)
    }

    /// Draws a dashed line at one x.
    #[must_use]
    pub fn vertical(self, colour: Colour, label: &str, x: f64) -> Self {
        self.with(Kind::Vertical(x), colour, label)
    }

    /// Fills cells, the denser the more is in them, on a logarithmic scale.
    #[must_use]
    pub fn heat(self, colour: Colour, label: &str, cells: Vec<Cell>) -> Self {
        self.with(Kind::Heat(cells), colour, label)
    }

    /// What it is called.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    fn with(mut self, kind: Kind, colour: Colour, label: &str) -> Self {
        self.layers.push(Layer { kind, colour, label: label.to_owned() });
        self
    }
}

/// A picture with these plots side by side. The legend, below, is that of the first.
#[must_use]
pub fn svg(plots: &[Plot]) -> String {
    let legend = plots.first().map_or(&[][..], |plot| &plot.layers);
    let (width, height) = (PICTURE.width * plots.len() as f64, PICTURE.height + LEGEND_LINE * legend.len() as f64);
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">
<style>{STYLE}</style>
<rect class="ground" width="100%" height="100%"/>
"#
    );
    for (index, plot) in plots.iter().enumerate() {
        line(&mut svg, format_args!(r#"<g transform="translate({},0)">"#, PICTURE.width * index as f64));
        draw(&mut svg, plot, &PICTURE, &index.to_string());
        svg.push_str("</g>\n");
    }
    for (index, layer) in legend.iter().enumerate() {
        draw_legend(&mut svg, layer, PICTURE.left, PICTURE.height + LEGEND_LINE * index as f64);
        let y = PICTURE.height + LEGEND_LINE * index as f64;
        line(&mut svg, format_args!(r#"<text x="{}" y="{y}">{}</text>"#, PICTURE.left + 36.0, escaped(&layer.label)));
    }
    svg.push_str("</svg>\n");
    svg
}

/// One plot as a part of an HTML page that has [`STYLE`], small enough for a telephone, without title and legend: `id` is its own in the
/// page, and `says` tells those who do not see it what it shows.
#[must_use]
pub fn inline(plot: &Plot, id: &str, says: &str) -> String {
    let (title, says, Frame { width, height, .. }) = (escaped(&plot.title), escaped(says), FIGURE);
    let mut svg = format!(
        r#"<svg class="plot" viewBox="0 0 {width} {height}" role="img" aria-labelledby="{id}-t {id}-d"><title id="{id}-t">{title}</title><desc id="{id}-d">{says}</desc>
"#
    );
    draw(&mut svg, plot, &FIGURE, id);
    svg.push_str("</svg>\n");
    svg
}

/// The legend of a plot as a list of HTML.
#[must_use]
pub fn legend(plot: &Plot) -> String {
    let mut list = String::from("<ul class=\"legend\">\n");
    for layer in &plot.layers {
        list.push_str(r#"<li><svg class="key" viewBox="0 0 28 14" aria-hidden="true">"#);
        draw_legend(&mut list, layer, 0.0, 11.0);
        line(&mut list, format_args!("</svg>{}</li>", escaped(&layer.label)));
    }
    list.push_str("</ul>\n");
    list
}

fn draw(svg: &mut String, plot: &Plot, frame: &Frame, id: &str) {
    let Frame { left, right, top, bottom, .. } = *frame;
    if frame.is_picture {
        let (middle, title) = (frame.width / 2.0, escaped(&plot.title));
        line(svg, format_args!(r#"<text x="{middle}" y="22" text-anchor="middle" font-size="14">{title}</text>"#));
    }
    draw_x(svg, &plot.x, frame);
    draw_y(svg, &plot.y, frame);
    let (width, height) = (right - left, bottom - top);
    line(
        svg,
        format_args!(
            r#"<clipPath id="inside{id}"><rect x="{left}" y="{top}" width="{width}" height="{height}"/></clipPath><g clip-path="url(#inside{id})">"#
        ),
    );
    for layer in &plot.layers {
        draw_layer(svg, plot, layer, frame);
    }
    svg.push_str("</g>\n");
}

fn draw_x(svg: &mut String, axis: &Axis, frame: &Frame) {
    let Frame { left, right, top, bottom, .. } = *frame;
    for (value, label) in axis.ticks() {
        let x = left + (right - left) * axis.place(value);
        line(svg, format_args!(r#"<path class="grid" d="M{x:.1} {top}V{bottom}"/>"#));
        line(svg, format_args!(r#"<text x="{x:.1}" y="{}" text-anchor="middle">{label}</text>"#, bottom + 18.0));
    }
    let (middle, below, title) = (left.midpoint(right), bottom + 38.0, escaped(&axis.title));
    line(svg, format_args!(r#"<text x="{middle}" y="{below}" text-anchor="middle">{title}</text>"#));
}

fn draw_y(svg: &mut String, axis: &Axis, frame: &Frame) {
    let Frame { left, right, top, bottom, .. } = *frame;
    for (value, label) in axis.ticks() {
        let y = bottom - (bottom - top) * axis.place(value);
        line(svg, format_args!(r#"<path class="grid" d="M{left} {y:.1}H{right}"/>"#));
        line(svg, format_args!(r#"<text x="{}" y="{:.1}" text-anchor="end">{label}</text>"#, left - 6.0, y + 4.0));
    }
    let (middle, title) = (top.midpoint(bottom), escaped(&axis.title));
    if frame.is_picture {
        line(svg, format_args!(r#"<text transform="translate(16,{middle}) rotate(-90)" text-anchor="middle">{title}</text>"#));
    } else {
        line(svg, format_args!(r#"<text x="2" y="14">{title}</text>"#));
    }
}

fn draw_layer(svg: &mut String, plot: &Plot, layer: &Layer, frame: &Frame) {
    let (stroke, fill) = (layer.colour.stroke(), layer.colour.fill());
    match &layer.kind {
        Kind::Line(points) => {
            line(svg, format_args!(r#"<polyline class="{stroke}" points="{}"/>"#, plot.places(points, frame)));
        }
        Kind::Area(points) => {
            let ends = [points.first(), points.last()].map(|point| point.map(|&(x, _)| plot.at(x, plot.y.from, frame)));
            let [first, last] = ends.map(Option::unwrap_or_default);
            let places = plot.places(points, frame);
            line(svg, format_args!(r#"<polygon class="{fill}" points="{first} {places} {last}"/>"#));
            line(svg, format_args!(r#"<polyline class="{stroke}" points="{places}"/>"#));
        }
        Kind::Mark(x, y) => {
            let (x, y) = plot.xy(*x, *y, frame);
            line(svg, format_args!(r#"<circle class="{stroke} mark" cx="{x:.1}" cy="{y:.1}" r="6"/>"#));
        }
        Kind::Vertical(x) => {
            let (x, _) = plot.xy(*x, plot.y.from, frame);
            let Frame { top, bottom, .. } = frame;
            line(svg, format_args!(r#"<path class="{stroke} dashed" d="M{x:.1} {top}V{bottom}"/>"#));
        }
        Kind::Heat(cells) => draw_heat(svg, plot, cells, fill, frame),
    }
}

/// One path for each level of density: a few bytes a cell.
fn draw_heat(svg: &mut String, plot: &Plot, cells: &[Cell], fill: &str, frame: &Frame) {
    let most = cells.iter().map(|cell| cell.weight).fold(1.0, f64::max);
    let mut levels = [const { String::new() }; HEAT_LEVELS];
    for cell in cells {
        let level = (cell.weight.ln_1p() / most.ln_1p() * HEAT_LEVELS as f64) as usize;
        let ((left, bottom), (right, top)) = (plot.xy(cell.x.0, cell.y.0, frame), plot.xy(cell.x.1, cell.y.1, frame));
        let (width, height) = (right - left, bottom - top);
        line(&mut levels[level.min(HEAT_LEVELS - 1)], format_args!("M{left:.1} {top:.1}h{width:.2}v{height:.1}h-{width:.2}z"));
    }
    for (level, path) in levels.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
        line(svg, format_args!(r#"<path class="{fill} heat{level}" d="{}"/>"#, path.trim_end()));
    }
}

/// The sign of a layer, 28 wide from `left`, around the middle of a line of text that stands on `y`.
fn draw_legend(svg: &mut String, layer: &Layer, left: f64, y: f64) {
    let (stroke, fill, middle) = (layer.colour.stroke(), layer.colour.fill(), y - 4.0);
    let (right, centre) = (left + 28.0, left + 14.0);
    match layer.kind {
        Kind::Line(_) => line(svg, format_args!(r#"<path class="{stroke}" d="M{left} {middle}H{right}"/>"#)),
        Kind::Area(_) => {
            line(svg, format_args!(r#"<path class="{fill}" d="M{left} {}H{right}V{}H{left}Z"/>"#, middle - 5.0, middle + 5.0));
            line(svg, format_args!(r#"<path class="{stroke}" d="M{left} {}H{right}"/>"#, middle - 5.0));
        }
        Kind::Mark(..) => line(svg, format_args!(r#"<circle class="{stroke} mark" cx="{centre}" cy="{middle}" r="6"/>"#)),
        Kind::Vertical(_) => {
            line(svg, format_args!(r#"<path class="{stroke} dashed" d="M{left} {middle}H{right}"/>"#));
        }
        Kind::Heat(_) => {
            let width = 28.0 / HEAT_LEVELS as f64;
            for level in 0..HEAT_LEVELS {
                let (x, y) = (left + width * level as f64, middle - 5.0);
                line(svg, format_args!(r#"<path class="{fill} heat{level}" d="M{x:.1} {y}h{width:.2}v10h-{width:.2}z"/>"#));
            }
        }
    }
}

impl Plot {
    fn xy(&self, x: f64, y: f64, frame: &Frame) -> (f64, f64) {
        let Frame { left, right, top, bottom, .. } = frame;
        (left + (right - left) * self.x.place(x), bottom - (bottom - top) * self.y.place(y))
    }

    fn at(&self, x: f64, y: f64, frame: &Frame) -> String {
        let (x, y) = self.xy(x, y, frame);
        format!("{x:.1},{y:.1}")
    }

    /// Points that fall on the same tenth of a pixel are one.
    fn places(&self, points: &[(f64, f64)], frame: &Frame) -> String {
        let numbers = points.iter().filter(|(x, y)| !x.is_nan() && !y.is_nan());
        let mut places: Vec<String> = numbers.map(|&(x, y)| self.at(x, y, frame)).collect();
        places.dedup();
        places.join(" ")
    }
}

impl Axis {
    /// Where `value` lies along the axis: 0 at its beginning, 1 at its end; no farther out than half its length.
    fn place(&self, value: f64) -> f64 {
        let scaled = |value: f64| match self.scale {
            Scale::Linear | Scale::Time(_) => value,
            Scale::Logarithmic => value.max(f64::MIN_POSITIVE).ln(),
        };
        ((scaled(value) - scaled(self.from)) / (scaled(self.to) - scaled(self.from))).clamp(-0.5, 1.5)
    }

    /// Round values along the axis, with their labels.
    fn ticks(&self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Linear => self.linear_ticks(),
            Scale::Logarithmic => self.logarithmic_ticks(),
            Scale::Time(ahead) => self.time_ticks(i64::from(ahead)),
        }
    }

    fn linear_ticks(&self) -> Vec<(f64, String)> {
        let rough = (self.to - self.from) / TICKS;
        let decade = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * decade).into_iter().find(|step| *step >= rough).unwrap_or(decade);
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let first = (self.from / step - ROUNDING).ceil() as i64;
        let last = (self.to / step + ROUNDING).floor() as i64;
        (first..=last).map(|count| count as f64 * step).map(|value| (value, number(value, decimals))).collect()
    }

    /// Round times of day, or dates, of a clock that is `ahead` of UTC by so many seconds.
    fn time_ticks(&self, ahead: i64) -> Vec<(f64, String)> {
        let span = (self.to - self.from).max(1.0);
        let step = TIME_STEPS.into_iter().find(|step| *step as f64 * TIME_TICKS >= span);
        let step = step.unwrap_or_else(|| (span / TIME_TICKS / DAY_SECONDS as f64).ceil() as i64 * DAY_SECONDS);
        let (first, last) =
            ((self.from.ceil() as i64 + ahead - 1).div_euclid(step) + 1, (self.to.floor() as i64 + ahead).div_euclid(step));
        let ticks = (first..=last).map(|count| count * step);
        ticks.map(|civil| ((civil - ahead) as f64, time_label(civil, step))).collect()
    }

    /// Powers of ten, and 2 and 5 times them where the axis is short.
    fn logarithmic_ticks(&self) -> Vec<(f64, String)> {
        let (first, last) = (self.from.log10().floor() as i32, self.to.log10().ceil() as i32);
        let factors: &[f64] = if last - first <= 3 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let of_decade = |power: i32| {
            let decimals = (-power).max(0) as usize;
            factors.iter().map(move |factor| factor * 10_f64.powi(power)).map(move |value| (value, number(value, decimals)))
        };
        let ticks = (first..=last).flat_map(of_decade);
        ticks.filter(|(value, _)| (-ROUNDING..=1.0 + ROUNDING).contains(&self.place(*value))).collect()
    }
}

impl Colour {
    fn stroke(self) -> &'static str {
        match self {
            Self::Blue => "line blue",
            Self::Red => "line red",
            Self::Green => "line green",
            Self::Ink => "line ink",
        }
    }

    fn fill(self) -> &'static str {
        match self {
            Self::Blue => "fill blue",
            Self::Red => "fill red",
            Self::Green => "fill green",
            Self::Ink => "fill ink",
        }
    }
}

/// A number at an axis: thousands as k and millions as M, so that it is short.
fn number(value: f64, decimals: usize) -> String {
    match value.abs() {
        1e6.. => format!("{}M", value / 1e6),
        1e4.. => format!("{}k", value / 1e3),
        _ => format!("{value:.decimals$}"),
    }
}

/// `civil` seconds as a date at midnight, and as a time of day otherwise.
fn time_label(civil: i64, step: i64) -> String {
    let Ok(time) = jiff::Timestamp::from_second(civil) else { return String::new() };
    let format = match civil.rem_euclid(DAY_SECONDS) {
        0 => "%b %-d",
        _ if step < 60 => "%H:%M:%S",
        _ => "%H:%M",
    };
    time.strftime(format).to_string()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn line(svg: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(svg, "{text}").expect("a string takes everything");
}

/// A picture of its own.
const PICTURE: Frame =
    Frame { width: 520.0, height: 390.0, left: 72.0, right: 500.0, top: 40.0, bottom: 314.0, is_picture: true };
/// A part of a page. Letters of 13 in a width of 440 are of 10 pixels on a telephone 360 wide.
const FIGURE: Frame =
    Frame { width: 440.0, height: 290.0, left: 44.0, right: 424.0, top: 26.0, bottom: 246.0, is_picture: false };
const LEGEND_LINE: f64 = 20.0;
/// About so many steps of a linear scale.
const TICKS: f64 = 5.0;
/// Share of a step by which a tick may miss the end of its axis.
const ROUNDING: f64 = 1e-6;
/// About so many labels of times fit beside each other.
const TIME_TICKS: f64 = 5.0;
const DAY_SECONDS: i64 = 86_400;
/// Steps of an axis of time up to four weeks, seconds.
const TIME_STEPS: [i64; 19] = [
    1, 5, 15, 30, 60, 300, 600, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 432_000, 604_800, 1_209_600, 2_419_200,
];
/// Steps of density that a heat map shows.
const HEAT_LEVELS: usize = 6;
/// Colours and strokes of all that is drawn, on light and on dark ground.
pub const STYLE: &str = "
text { fill: #222 } .ground { fill: #fff } .grid { stroke: #ddd }
.line { fill: none; stroke-width: 2 } .fill { fill-opacity: .18 } .mark { stroke-width: 3 } .dashed { stroke-dasharray: 6 4 }
.heat0 { fill-opacity: .22 } .heat1 { fill-opacity: .36 } .heat2 { fill-opacity: .5 } .heat3 { fill-opacity: .65 }
.heat4 { fill-opacity: .8 } .heat5 { fill-opacity: 1 }
.line.blue { stroke: #0072b2 } .line.red { stroke: #d55e00 } .line.green { stroke: #009e73 } .line.ink { stroke: #222 }
.fill.blue { fill: #0072b2 } .fill.red { fill: #d55e00 } .fill.green { fill: #009e73 } .fill.ink { fill: #222 }
@media (prefers-color-scheme: dark) {
text { fill: #ddd } .ground { fill: #16181d } .grid { stroke: #3a3d44 } .fill:not([class*=heat]) { fill-opacity: .3 }
.line.blue { stroke: #56b4e9 } .line.red { stroke: #ff9e4a } .line.green { stroke: #3fd6a8 } .line.ink { stroke: #ddd }
.fill.blue { fill: #56b4e9 } .fill.red { fill: #ff9e4a } .fill.green { fill: #3fd6a8 } .fill.ink { fill: #ddd } }
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        check(Scale::Linear, (0.0, 1.0), &["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        check(Scale::Linear, (0.9, 1.0), &["0.90", "0.92", "0.94", "0.96", "0.98", "1.00"]);
        check(Scale::Linear, (1.0, 40.0), &["10", "20", "30", "40"]);
        check(Scale::Logarithmic, (0.01, 100.0), &["0.01", "0.1", "1", "10", "100"]);
        check(Scale::Logarithmic, (0.3, 20.0), &["0.5", "1", "2", "5", "10", "20"]);
        check(Scale::Logarithmic, (1e3, 1e6), &["1000", "2000", "5000", "10k", "20k", "50k", "100k", "200k", "500k", "1M"]);
        check(Scale::Time(0), (86_400.0, 86_460.0), &["Jan 2", "00:00:15", "00:00:30", "00:00:45", "00:01:00"]);
        check(Scale::Time(3600), (0.0, 20.0 * 3600.0), &["06:00", "12:00", "18:00"]);
        check(Scale::Time(0), (-86_400.0, 86_400.0), &["Dec 31", "12:00", "Jan 1", "12:00", "Jan 2"]);
    }

    #[test]
    fn every_layer_is_drawn_and_told_and_none_leaves_the_picture() {
        let axis = |title: &str, scale| Axis { title: title.to_owned(), from: 1.0, to: 10.0, scale };
        let plot = Plot::new("a <b> & c", axis("x", Scale::Logarithmic), axis("y", Scale::Linear))
            .line(Colour::Blue, "a line", vec![(1.0, 1.0), (f64::NAN, 2.0), (1e30, 10.0)])
            .area(Colour::Red, "an area", vec![(0.0, -1e30), (2.0, 5.0)])
            .mark(Colour::Ink, "a mark", (10.0, 10.0))
            .vertical(Colour::Green, "a threshold", 5.0);
        let svg = svg(&[plot.clone(), plot]);
        for label in ["a &lt;b> &amp; c", "a line", "an area", "a mark", "a threshold"] {
            assert!(svg.contains(label), "{label} is missing in {svg}");
        }
        assert_eq!(svg.matches("<polyline").count(), 4, "two of each plot");
        assert!(svg.contains("points=\"72.0,314.0 714.0,40.0\""), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    fn check(scale: Scale, (from, to): (f64, f64), expected: &[&str]) {
        let ticks = Axis { title: String::new(), from, to, scale }.ticks();
        assert_eq!(ticks.iter().map(|(_, label)| label.as_str()).collect::<Vec<_>>(), expected);
    }
}
