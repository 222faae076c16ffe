//! Draws how well a model tells normal sessions from anomalous ones: its scores, and precision against recall.

use super::evaluate::{Judged, Judgement, precision_recall};
use crate::report::plot::{Axis, Colour, Plot, Scale, svg};
use crate::sink::document::grouped;

/// How the scores of both kinds of sessions are distributed, with the threshold.
#[must_use]
pub fn scores(judgement: &Judgement) -> String {
    let score = |judged: &Judged| f64::from(judged.score).max(SCORE_MIN);
    let all = || judgement.normal.iter().chain(&judgement.anomalous).map(score);
    let (from, to) = (all().fold(1.0, f64::min), all().fold(2.0, f64::max));
    let threshold = f64::from(judgement.report.threshold).max(SCORE_MIN);
    let x = Axis {
        title: "score of a session, nats (the worst event; logarithmic)".to_owned(),
        from: from.min(threshold) * 0.9,
        to: to.max(threshold) * 1.1,
        scale: Scale::Logarithmic,
    };
    let y =
        Axis { title: "sessions, % of their kind (logarithmic)".to_owned(), from: 0.01, to: 100.0, scale: Scale::Logarithmic };
    let (normal, anomalous) = (judgement.normal.iter().map(score), judgement.anomalous.iter().map(score));
    let (normal, anomalous) = (steps(&x, normal), steps(&x, anomalous));
    let plot = Plot::new(&format!("{}: scores", judgement.report.model), x, y)
        .area(Colour::Blue, &format!("{} normal sessions", grouped(judgement.normal.len() as u64)), normal)
        .area(Colour::Red, &format!("{} anomalous sessions", grouped(judgement.anomalous.len() as u64)), anomalous)
        .vertical(Colour::Ink, &format!("threshold {threshold:.2} nats; above it unseen counts alarm"), threshold);
    svg(&[plot])
}

/// Precision against recall at every threshold, of three ways of deciding, with the point that the daemon begins at: all of it, and
/// the corner where good ones lie.
#[must_use]
pub fn curves(judgement: &Judgement) -> String {
    let far = judgement.distance_max;
    let gated = |judged: &Judged| if judged.distance > far { judged.score } else { f32::NEG_INFINITY };
    let both = precision_recall(judgement, gated);
    let score = precision_recall(judgement, |judged| judged.score);
    let distance = precision_recall(judgement, |judged| judged.distance);
    let chosen = (judgement.report.both.recall, judgement.report.both.precision);
    let model = &judgement.report.model;
    let plot = |title: &str, from: f64| {
        // A little past 1, so that what lies there is seen.
        let to = 1.0 + 0.03 * (1.0 - from);
        let axis = |title: &str| Axis { title: title.to_owned(), from, to, scale: Scale::Linear };
        Plot::new(title, axis("recall (share of the anomalous sessions found)"), axis("precision (share of right alarms)"))
            .line(Colour::Blue, "the score alone", score.clone())
            .line(Colour::Green, "the distance of the counts alone", distance.clone())
            .line(Colour::Red, "both, as the daemon decides", both.clone())
            .mark(Colour::Ink, &format!("the threshold: precision {:.4}, recall {:.4}", chosen.1, chosen.0), chosen)
    };
    svg(&[plot(&format!("{model}: precision and recall"), 0.0), plot("the upper right corner", CORNER)])
}

/// Share of the sessions, in percent, whose values lie in each of [`BINS`] equal parts of the axis, as the corners of steps.
fn steps(axis: &Axis, values: impl Iterator<Item = f64>) -> Vec<(f64, f64)> {
    let ratio = axis.to / axis.from;
    let mut bins = vec![0_u64; BINS];
    for value in values {
        let place = (value / axis.from).ln() / ratio.ln() * BINS as f64;
        bins[(place as usize).min(BINS - 1)] += 1;
    }
    let whole = bins.iter().sum::<u64>().max(1) as f64;
    let edge = |index: usize| axis.from * ratio.powf(index as f64 / BINS as f64);
    let corners = |(index, count): (usize, u64)| {
        let share = 100.0 * count as f64 / whole;
        [(edge(index), share), (edge(index + 1), share)]
    };
    bins.into_iter().enumerate().flat_map(corners).collect()
}

const BINS: usize = 60;
/// Scores below are drawn there, nats: a difference between them means nothing.
const SCORE_MIN: f64 = 0.001;
/// Where the enlarged part of the curves begins.
const CORNER: f64 = 0.9;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::evaluate::{Population, Rates, Report};

    #[test]
    fn steps_hold_every_session_once() {
        let axis = Axis { title: String::new(), from: 1.0, to: 1024.0, scale: Scale::Logarithmic };
        let steps = steps(&axis, [1.0, 1.0, 500.0, 1024.0].into_iter());
        assert_eq!(steps.len(), 2 * BINS);
        assert_eq!((steps[0], steps[1].1, steps[2].1), ((1.0, 50.0), 50.0, 0.0));
        assert!((steps.iter().map(|(_, share)| share).sum::<f64>() - 200.0).abs() < 1e-9);
    }

    #[test]
    fn pictures_say_what_they_show() {
        let (scores, curves) = (scores(&judgement()), curves(&judgement()));
        for text in ["3 normal sessions", "2 anomalous sessions", "threshold 2.00 nats", "nats"] {
            assert!(scores.contains(text), "{text} is missing in {scores}");
        }
        for text in ["recall", "precision 1.0000, recall 0.5000", "the score alone", "as the daemon decides"] {
            assert!(curves.contains(text), "{text} is missing in {curves}");
        }
    }

    fn judgement() -> Judgement {
        let judged = |scores: &[f32]| scores.iter().map(|&score| Judged { score, distance: score }).collect::<Vec<_>>();
        let (normal, anomalous) = (judged(&[0.0, 1.0, 1.5]), judged(&[1.5, 9.0]));
        let population = Population { normal: 3, anomalous: 2 };
        let rates = Rates::new(&normal, &anomalous, population, |judged| judged.score > 2.0);
        let report = Report { model: "m".to_owned(), threshold: 2.0, both: rates, counts_alone: rates, score_alone: rates };
        Judgement { report, distance_max: 0.5, population, normal, anomalous }
    }
}
