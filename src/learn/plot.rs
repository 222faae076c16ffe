//! Draws plots as SVG: axes with scales, lines, filled areas, marks and a legend; legible on light and on dark ground.
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

    fn with(mut self, kind: Kind, colour: Colour, label: &str) -> Self {
        self.layers.push(Layer { kind, colour, label: label.to_owned() });
        self
    }
}

/// A picture with these plots side by side. The legend, below, is that of the first.
#[must_use]
pub fn svg(plots: &[Plot]) -> String {
    let legend = plots.first().map_or(&[][..], |plot| &plot.layers);
    let (width, height) = (WIDTH * plots.len() as f64, HEIGHT + LEGEND_LINE * legend.len() as f64);
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">
<style>{STYLE}</style>
<rect class="ground" width="100%" height="100%"/>
"#
    );
    for (index, plot) in plots.iter().enumerate() {
        line(&mut svg, format_args!(r#"<g transform="translate({},0)">"#, WIDTH * index as f64));
        draw(&mut svg, plot, index);
        svg.push_str("</g>\n");
    }
    for (index, layer) in legend.iter().enumerate() {
        draw_legend(&mut svg, layer, HEIGHT + LEGEND_LINE * index as f64);
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw(svg: &mut String, plot: &Plot, index: usize) {
    let (middle, title) = (WIDTH / 2.0, escaped(&plot.title));
    line(svg, format_args!(r#"<text x="{middle}" y="22" text-anchor="middle" font-size="14">{title}</text>"#));
    draw_x(svg, &plot.x);
    draw_y(svg, &plot.y);
    let (width, height) = (RIGHT - LEFT, BOTTOM - TOP);
    line(
        svg,
        format_args!(
            r#"<clipPath id="inside{index}"><rect x="{LEFT}" y="{TOP}" width="{width}" height="{height}"/></clipPath><g clip-path="url(#inside{index})">"#
        ),
    );
    for layer in &plot.layers {
        draw_layer(svg, plot, layer);
    }
    svg.push_str("</g>\n");
}

fn draw_x(svg: &mut String, axis: &Axis) {
    for (value, label) in axis.ticks() {
        let x = LEFT + (RIGHT - LEFT) * axis.place(value);
        line(svg, format_args!(r#"<path class="grid" d="M{x:.1} {TOP}V{BOTTOM}"/>"#));
        line(svg, format_args!(r#"<text x="{x:.1}" y="{}" text-anchor="middle">{label}</text>"#, BOTTOM + 18.0));
    }
    let (middle, below, title) = (LEFT.midpoint(RIGHT), BOTTOM + 38.0, escaped(&axis.title));
    line(svg, format_args!(r#"<text x="{middle}" y="{below}" text-anchor="middle">{title}</text>"#));
}

fn draw_y(svg: &mut String, axis: &Axis) {
    for (value, label) in axis.ticks() {
        let y = BOTTOM - (BOTTOM - TOP) * axis.place(value);
        line(svg, format_args!(r#"<path class="grid" d="M{LEFT} {y:.1}H{RIGHT}"/>"#));
        line(svg, format_args!(r#"<text x="{}" y="{:.1}" text-anchor="end">{label}</text>"#, LEFT - 6.0, y + 4.0));
    }
    let (middle, title) = (TOP.midpoint(BOTTOM), escaped(&axis.title));
    line(svg, format_args!(r#"<text transform="translate(16,{middle}) rotate(-90)" text-anchor="middle">{title}</text>"#));
}

fn draw_layer(svg: &mut String, plot: &Plot, layer: &Layer) {
    let (stroke, fill) = (layer.colour.stroke(), layer.colour.fill());
    match &layer.kind {
        Kind::Line(points) => line(svg, format_args!(r#"<polyline class="{stroke}" points="{}"/>"#, plot.places(points))),
        Kind::Area(points) => {
            let ends = [points.first(), points.last()].map(|point| point.map(|&(x, _)| plot.at(x, plot.y.from)));
            let [first, last] = ends.map(Option::unwrap_or_default);
            line(svg, format_args!(r#"<polygon class="{fill}" points="{first} {} {last}"/>"#, plot.places(points)));
            line(svg, format_args!(r#"<polyline class="{stroke}" points="{}"/>"#, plot.places(points)));
        }
        Kind::Mark(x, y) => {
            let (x, y) = plot.xy(*x, *y);
            line(svg, format_args!(r#"<circle class="{stroke} mark" cx="{x:.1}" cy="{y:.1}" r="6"/>"#));
        }
        Kind::Vertical(x) => {
            let (x, _) = plot.xy(*x, plot.y.from);
            line(svg, format_args!(r#"<path class="{stroke}" stroke-dasharray="6 4" d="M{x:.1} {TOP}V{BOTTOM}"/>"#));
        }
    }
}

fn draw_legend(svg: &mut String, layer: &Layer, y: f64) {
    let (stroke, fill, middle) = (layer.colour.stroke(), layer.colour.fill(), y - 4.0);
    let (left, right, centre) = (LEFT, LEFT + 28.0, LEFT + 14.0);
    match layer.kind {
        Kind::Line(_) => line(svg, format_args!(r#"<path class="{stroke}" d="M{left} {middle}H{right}"/>"#)),
        Kind::Area(_) => {
            line(svg, format_args!(r#"<path class="{fill}" d="M{left} {}H{right}V{}H{left}Z"/>"#, middle - 5.0, middle + 5.0));
            line(svg, format_args!(r#"<path class="{stroke}" d="M{left} {}H{right}"/>"#, middle - 5.0));
        }
        Kind::Mark(..) => line(svg, format_args!(r#"<circle class="{stroke} mark" cx="{centre}" cy="{middle}" r="6"/>"#)),
        Kind::Vertical(_) => {
            line(svg, format_args!(r#"<path class="{stroke}" stroke-dasharray="6 4" d="M{left} {middle}H{right}"/>"#));
        }
    }
    line(svg, format_args!(r#"<text x="{}" y="{y}">{}</text>"#, right + 8.0, escaped(&layer.label)));
}

impl Plot {
    fn xy(&self, x: f64, y: f64) -> (f64, f64) {
        (LEFT + (RIGHT - LEFT) * self.x.place(x), BOTTOM - (BOTTOM - TOP) * self.y.place(y))
    }

    fn at(&self, x: f64, y: f64) -> String {
        let (x, y) = self.xy(x, y);
        format!("{x:.1},{y:.1}")
    }

    /// Points that fall on the same tenth of a pixel are one.
    fn places(&self, points: &[(f64, f64)]) -> String {
        let numbers = points.iter().filter(|(x, y)| !x.is_nan() && !y.is_nan());
        let mut places: Vec<String> = numbers.map(|&(x, y)| self.at(x, y)).collect();
        places.dedup();
        places.join(" ")
    }
}

impl Axis {
    /// Where `value` lies along the axis: 0 at its beginning, 1 at its end; no farther out than half its length.
    fn place(&self, value: f64) -> f64 {
        let scaled = |value: f64| match self.scale {
            Scale::Linear => value,
            Scale::Logarithmic => value.max(f64::MIN_POSITIVE).ln(),
        };
        ((scaled(value) - scaled(self.from)) / (scaled(self.to) - scaled(self.from))).clamp(-0.5, 1.5)
    }

    /// Round values along the axis, with their labels.
    fn ticks(&self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Linear => self.linear_ticks(),
            Scale::Logarithmic => self.logarithmic_ticks(),
        }
    }

    fn linear_ticks(&self) -> Vec<(f64, String)> {
        let rough = (self.to - self.from) / TICKS;
        let decade = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * decade).into_iter().find(|step| *step >= rough).unwrap_or(decade);
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let first = (self.from / step - ROUNDING).ceil() as i64;
        let last = (self.to / step + ROUNDING).floor() as i64;
        (first..=last).map(|count| count as f64 * step).map(|value| (value, format!("{value:.decimals$}"))).collect()
    }

    /// Powers of ten, and 2 and 5 times them where the axis is short.
    fn logarithmic_ticks(&self) -> Vec<(f64, String)> {
        let (first, last) = (self.from.log10().floor() as i32, self.to.log10().ceil() as i32);
        let factors: &[f64] = if last - first <= 3 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let of_decade = |power: i32| {
            let decimals = (-power).max(0) as usize;
            factors.iter().map(move |factor| factor * 10_f64.powi(power)).map(move |value| (value, format!("{value:.decimals$}")))
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

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn line(svg: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(svg, "{text}").expect("a string takes everything");
}

/// Width and height of one plot, and where its axes lie in it, in pixels.
const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 390.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = WIDTH - 20.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = HEIGHT - 76.0;
const LEGEND_LINE: f64 = 20.0;
/// About so many steps of a linear scale.
const TICKS: f64 = 5.0;
/// Share of a step by which a tick may miss the end of its axis.
const ROUNDING: f64 = 1e-6;
const STYLE: &str = "
text { fill: #222 } .ground { fill: #fff } .grid { stroke: #ddd }
.line { fill: none; stroke-width: 2 } .fill { fill-opacity: .18 } .mark { stroke-width: 3 }
.line.blue { stroke: #0072b2 } .line.red { stroke: #d55e00 } .line.green { stroke: #009e73 } .line.ink { stroke: #222 }
.fill.blue { fill: #0072b2 } .fill.red { fill: #d55e00 } .fill.green { fill: #009e73 } .fill.ink { fill: #222 }
@media (prefers-color-scheme: dark) {
text { fill: #ddd } .ground { fill: #16181d } .grid { stroke: #3a3d44 } .fill { fill-opacity: .3 }
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
