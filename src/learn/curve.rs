//! Draws the loss of a training run as a small SVG.

use std::fmt::Write as _;

/// Width and height of the picture, and room left of and below the curve for its scale, in pixels.
const WIDTH: f32 = 640.0;
const HEIGHT: f32 = 320.0;
const MARGIN: f32 = 48.0;
/// Lines of the scale.
const TICKS: usize = 4;

/// A picture of `loss`, nats per token, one value an epoch. The scale begins at 0.
#[must_use]
pub fn svg(title: &str, loss: &[f32]) -> String {
    let top = loss.iter().copied().filter(|loss| loss.is_finite()).fold(f32::MIN_POSITIVE, f32::max);
    let x = |epoch: usize| MARGIN + (WIDTH - 2.0 * MARGIN) * epoch as f32 / loss.len().saturating_sub(1).max(1) as f32;
    let y = |value: f32| HEIGHT - MARGIN - (HEIGHT - 2.0 * MARGIN) * value / top;
    let mut svg = head(title, loss.len());
    for tick in 0..=TICKS {
        let value = top * tick as f32 / TICKS as f32;
        let (left, right, height) = (MARGIN, WIDTH - MARGIN, y(value));
        line(&mut svg, format_args!(r##"<path d="M{left} {height:.1}H{right}" stroke="#ddd"/>"##));
        let (left, below) = (MARGIN - 6.0, height + 4.0);
        line(&mut svg, format_args!(r#"<text x="{left}" y="{below:.1}" text-anchor="end">{value:.2}</text>"#));
    }
    let points = loss.iter().enumerate().map(|(epoch, &loss)| format!("{:.1},{:.1}", x(epoch), y(loss))).collect::<Vec<_>>();
    line(&mut svg, format_args!(r##"<polyline points="{}" fill="none" stroke="#0b6" stroke-width="2"/>"##, points.join(" ")));
    svg.push_str("</svg>\n");
    svg
}

fn head(title: &str, epochs: usize) -> String {
    let (middle, foot, right) = (WIDTH / 2.0, HEIGHT - 14.0, WIDTH - MARGIN);
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#fff"/>
<text x="{middle}" y="24" text-anchor="middle" font-size="14">{title}: loss, nats per token</text>
<text x="{MARGIN}" y="{foot}">epoch 1</text>
<text x="{right}" y="{foot}" text-anchor="end">epoch {epochs}</text>
"##
    )
}

fn line(svg: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(svg, "{text}").expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_is_a_point() {
        for loss in [vec![], vec![1.5], vec![2.0, 1.0, 0.5], vec![0.0, f32::NAN]] {
            let svg = svg("a <b> & c", &loss);
            let points = svg.split("points=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a curve");
            assert_eq!(points.split_whitespace().count(), loss.len(), "{svg}");
            assert!(svg.contains("a &lt;b> &amp; c"), "{svg}");
        }
    }
}
