//! The distance in the graph: how far the counts of a window are from the nearest normal count pattern.
//!
//! `min over p of sum over v of w_v * (max(c_v - p_v, 0) + deficit * max(p_v - c_v, 0))`, where `c` counts the events of the
//! window, `p` is a pattern, and `deficit` is 1 for a window that begins with START and 0 for one that does not, since a tail of
//! a story may lack anything.
//!
//! Written so, it needs a value for each window, pattern and token: 2 GB for 128 windows, 2000 patterns and 2000 tokens. But
//! `max(c - p, 0) = c - min(c, p)` and `max(p - c, 0) = p - min(c, p)`, and `min` of counts comes apart: cut the counts of a token
//! at the distinct values that patterns have of it, and `min(c, p)` is the sum of what `c` covers of those segments that end at or
//! below `p`. The shared weight of every window and pattern is therefore one matrix product, `[batch, segments] x [segments, patterns]`.
//!
//! It is done in 64-bit floats: a sum of at most 256 32-bit weights of like magnitude has room in their mantissa, so the order of summation
//! makes no difference and the distance of a normal story is 0 exactly.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{Graph, int, ints, string, to};
use super::proto::DataType;
use crate::pipeline::event::Token;
use crate::pipeline::profile::{Calibration, CountPattern, FIRST_EVENT, START, UNKNOWN};

/// Adds everything from `event_ids` and `valid` to `distance`.
pub fn add(graph: &mut Graph, calibration: &Calibration) {
    let segments = segments(&calibration.patterns);
    let weights = event_weights(&calibration.weights);
    count(graph, weights.len());
    covered(graph, &segments, &weights);
    pattern_columns(graph, &segments, &calibration.patterns, &weights);
    nearest(graph, &weights);
}

/// Elements of the matrix that says which segments each pattern covers. It grows with the variety of the patterns.
pub fn cells(patterns: &[CountPattern]) -> usize {
    segments(patterns).len().saturating_mul(patterns.len())
}

/// A stretch of the counts of one token in which no pattern ends: above `low`, up to and including `high`.
struct Segment {
    token: Token,
    low: u16,
    high: u16,
}

/// Never empty, since a matrix product needs a dimension to sum over: when no pattern has events, one of no width.
fn segments(patterns: &[CountPattern]) -> Vec<Segment> {
    let mut ends: BTreeMap<Token, BTreeSet<u16>> = BTreeMap::new();
    for &(token, count) in patterns.iter().flat_map(|pattern| &pattern.counts) {
        ends.entry(token).or_default().insert(count);
    }
    if ends.is_empty() {
        ends.insert(UNKNOWN, BTreeSet::from([0]));
    }
    ends.into_iter().flat_map(|(token, ends)| segments_of(token, ends)).collect()
}

fn segments_of(token: Token, ends: BTreeSet<u16>) -> impl Iterator<Item = Segment> {
    ends.into_iter().scan(0, move |low, high| {
        let segment = Segment { token, low: *low, high };
        *low = high;
        Some(segment)
    })
}

/// Weights of what is counted: events, known or not. The other tokens are no events.
fn event_weights(weights: &[f32]) -> Vec<f64> {
    let counts = |token: usize| token >= usize::from(FIRST_EVENT) || token == usize::from(UNKNOWN.0);
    weights
        .iter()
        .enumerate()
        .map(|(token, &weight)| if counts(token) { f64::from(weight) } else { 0.0 })
        .collect()
}

/// `counts`, [batch, tokens]
fn count(graph: &mut Graph, tokens: usize) {
    graph.doubles("no_count", &[], [0.0]);
    graph.integers("tokens", &[1], [tokens as i64]);
    graph.node_with(
        "Shape",
        &["event_ids"],
        "batch_dimension",
        vec![int("start", 0), int("end", 1)],
    );
    graph.node_with("Concat", &["batch_dimension", "tokens"], "counts_shape", vec![int("axis", 0)]);
    graph.node("Expand", &["no_count", "counts_shape"], "no_counts");
    graph.node_with("Cast", &["valid"], "valid_count", to(DataType::Double));
    let attributes = vec![int("axis", 1), string("reduction", "add")];
    graph.node_with(
        "ScatterElements",
        &["no_counts", "event_ids", "valid_count"],
        "counts",
        attributes,
    );
}

/// `covered_weight`, [batch, segments]: the weight that a window has in each segment.
fn covered(graph: &mut Graph, segments: &[Segment], weights: &[f64]) {
    graph.integers(
        "segment_token",
        &[segments.len()],
        segments.iter().map(|segment| i64::from(segment.token.0)),
    );
    graph.doubles(
        "segment_low",
        &[segments.len()],
        segments.iter().map(|segment| f64::from(segment.low)),
    );
    graph.doubles(
        "segment_width",
        &[segments.len()],
        segments.iter().map(|segment| f64::from(segment.high - segment.low)),
    );
    graph.doubles(
        "segment_weight",
        &[segments.len()],
        segments.iter().map(|segment| weights[usize::from(segment.token.0)]),
    );
    graph.node_with("Gather", &["counts", "segment_token"], "segment_count", vec![int("axis", 1)]);
    graph.node("Sub", &["segment_count", "segment_low"], "above_low");
    graph.node("Max", &["above_low", "no_count"], "above_low_only");
    graph.node("Min", &["above_low_only", "segment_width"], "covered_count");
    graph.node("Mul", &["covered_count", "segment_weight"], "covered_weight");
}

/// `pattern_columns`, [segments + 1, patterns]: which segments each pattern covers, and below that the weight of the pattern.
fn pattern_columns(graph: &mut Graph, segments: &[Segment], patterns: &[CountPattern], weights: &[f64]) {
    let covers = |segment: &Segment, pattern: &CountPattern| u8::from(count_of(pattern, segment.token) >= segment.high);
    let matrix = segments
        .iter()
        .flat_map(|segment| patterns.iter().map(move |pattern| covers(segment, pattern)))
        .collect();
    let weight_of = |pattern: &CountPattern| -> f64 {
        pattern
            .counts
            .iter()
            .map(|&(token, count)| f64::from(count) * weights[usize::from(token.0)])
            .sum()
    };
    // Bytes in the file; ONNX Runtime widens them once, when it folds constants.
    graph.bytes("pattern_covers", &[segments.len(), patterns.len()], matrix);
    graph.doubles("pattern_weight", &[1, patterns.len()], patterns.iter().map(weight_of));
    graph.node_with("Cast", &["pattern_covers"], "pattern_covers_factor", to(DataType::Double));
    graph.node_with(
        "Concat",
        &["pattern_covers_factor", "pattern_weight"],
        "pattern_columns",
        vec![int("axis", 0)],
    );
}

/// `distance`, [batch]. With deficit d, the weight c of the window, p of the pattern, s shared by both, a pattern is
/// `c - s + d (p - s) = c + (d p - (1 + d) s)` away. The product gives what is in parentheses, and so the only value that has
/// an element for each window and pattern.
fn nearest(graph: &mut Graph, weights: &[f64]) {
    graph.integers("start_token", &[], [i64::from(START.0)]);
    graph.doubles("minus_one", &[], [-1.0]);
    graph.node("Equal", &["begin", "start_token"], "is_whole");
    graph.node_with("Cast", &["is_whole"], "deficit", to(DataType::Double));
    graph.node("Sub", &["minus_one", "deficit"], "covered_factor");
    graph.node("Mul", &["covered_weight", "covered_factor"], "covered_part");
    graph.node_with("Concat", &["covered_part", "deficit"], "window_rows", vec![int("axis", 1)]);
    graph.node("MatMul", &["window_rows", "pattern_columns"], "nearness_by_pattern");
    graph.node_with(
        "ReduceMin",
        &["nearness_by_pattern"],
        "nearness",
        vec![ints("axes", &[1]), int("keepdims", 0)],
    );
    graph.doubles("token_weight", &[weights.len()], weights.iter().copied());
    graph.node("MatMul", &["counts", "token_weight"], "window_weight");
    graph.node("Add", &["window_weight", "nearness"], "distance_exact");
    graph.node("Max", &["distance_exact", "no_count"], "distance_floored");
    graph.node_with("Cast", &["distance_floored"], "distance", to(DataType::Float));
}

fn count_of(pattern: &CountPattern, token: Token) -> u16 {
    pattern
        .counts
        .binary_search_by_key(&token, |&(token, _)| token)
        .map_or(0, |index| pattern.counts[index].1)
}
