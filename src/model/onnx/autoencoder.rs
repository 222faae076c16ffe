//! The network in the graph: how unexpected is each step of a window, once the whole of it has been squeezed through a few numbers.
//!
//! An LSTM reads the window; its last state, narrowed to the latent vector, is all that the decoder, another LSTM, knows of the
//! whole. The decoder sees token `t` and the latent vector and predicts token `t + 1`; after the last one it predicts END.

use super::graph::{Graph, int, ints, to};
use super::proto::{AttributeProto, DataType};
use super::{Dimensions, Lstm, UNKNOWN_NATS, Weights};
use crate::pipeline::profile::{END, UNKNOWN};

/// Adds everything from `event_ids` and `lengths` to `token_error` and `score`. Makes `valid`, bool [batch, steps], on its way.
pub fn add(graph: &mut Graph, dimensions: &Dimensions, weights: &Weights) {
    constants(graph);
    embed(graph, dimensions, weights);
    encode(graph, dimensions, weights);
    decode(graph, dimensions, weights);
    mask(graph);
    targets(graph);
    errors(graph);
}

fn constants(graph: &mut Graph) {
    graph.integers("axis_0", &[1], [0]);
    graph.integers("axis_1", &[1], [1]);
    graph.integers("axis_2", &[1], [2]);
    graph.integers("zero", &[], [0]);
    graph.integers("one", &[], [1]);
    graph.integers("end_of_axis", &[1], [i64::MAX]);
    graph.integers("end_token", &[], [i64::from(END.0)]);
    graph.integers("unknown_token", &[], [i64::from(UNKNOWN.0)]);
    graph.floats("no_nats", &[], [0.0]);
    graph.floats("unknown_nats", &[], [UNKNOWN_NATS]);
}

/// `embedded`, [steps, batch, embedding]: ONNX's LSTM wants time first.
fn embed(graph: &mut Graph, dimensions: &Dimensions, weights: &Weights) {
    graph.floats("embedding", &[dimensions.tokens, dimensions.embedding], weights.embedding.iter().copied());
    graph.node("Gather", &["embedding", "event_ids"], "embedded_by_window");
    graph.node_with("Transpose", &["embedded_by_window"], "embedded", vec![swap_batch_and_steps()]);
    graph.node_with("Cast", &["lengths"], "sequence_lengths", to(DataType::Int32));
}

/// `latent`, [batch, latent].
fn encode(graph: &mut Graph, dimensions: &Dimensions, weights: &Weights) {
    lstm(graph, "encoder", "embedded", &["", "encoder_state"], dimensions.embedding, dimensions.hidden, &weights.encoder);
    graph.node("Squeeze", &["encoder_state", "axis_0"], "encoder_last");
    graph.floats("latent_weight", &[dimensions.latent, dimensions.hidden], weights.latent.weight.iter().copied());
    graph.floats("latent_bias", &[dimensions.latent], weights.latent.bias.iter().copied());
    graph.node_with("Gemm", &["encoder_last", "latent_weight", "latent_bias"], "latent_linear", vec![int("transB", 1)]);
    graph.node("Tanh", &["latent_linear"], "latent");
}

/// `log_probability` of every token at every step, [batch, steps, tokens].
fn decode(graph: &mut Graph, dimensions: &Dimensions, weights: &Weights) {
    latent_at_every_step(graph, dimensions);
    graph.node_with("Concat", &["embedded", "latent_by_step"], "decoder_input", vec![int("axis", 2)]);
    let input = dimensions.embedding + dimensions.latent;
    lstm(graph, "decoder", "decoder_input", &["decoder_states"], input, dimensions.hidden, &weights.decoder);
    graph.node("Squeeze", &["decoder_states", "axis_1"], "decoder_by_step");
    graph.node_with("Transpose", &["decoder_by_step"], "decoder_by_window", vec![swap_batch_and_steps()]);
    let transposed = transpose(&weights.output.weight, dimensions.tokens, dimensions.hidden);
    graph.floats("output_weight", &[dimensions.hidden, dimensions.tokens], transposed);
    graph.floats("output_bias", &[dimensions.tokens], weights.output.bias.iter().copied());
    graph.node("MatMul", &["decoder_by_window", "output_weight"], "output_linear");
    graph.node("Add", &["output_linear", "output_bias"], "logits");
    graph.node_with("LogSoftmax", &["logits"], "log_probability", vec![int("axis", 2)]);
}

fn latent_at_every_step(graph: &mut Graph, dimensions: &Dimensions) {
    graph.integers("latent_width", &[1], [dimensions.latent as i64]);
    graph.node_with("Shape", &["embedded"], "steps_and_batch", vec![int("start", 0), int("end", 2)]);
    graph.node_with("Concat", &["steps_and_batch", "latent_width"], "latent_shape", vec![int("axis", 0)]);
    graph.node("Expand", &["latent", "latent_shape"], "latent_by_step");
}

/// `valid`, [batch, steps]: the step is not padding; `is_last`, of the same shape: the story ends here.
fn mask(graph: &mut Graph) {
    graph.node_with("Shape", &["event_ids"], "steps_dimension", vec![int("start", 1), int("end", 2)]);
    graph.node("Squeeze", &["steps_dimension", "axis_0"], "steps");
    graph.node("Range", &["zero", "steps", "one"], "positions");
    graph.node("Unsqueeze", &["lengths", "axis_1"], "lengths_by_window");
    graph.node("Sub", &["lengths_by_window", "one"], "last_position");
    graph.node("Less", &["positions", "lengths_by_window"], "valid");
    graph.node("Equal", &["positions", "last_position"], "is_last");
}

/// `target`, int64 [batch, steps]: what follows each step. The ids are rolled by one; what that puts into the last column is
/// either overwritten by END or padding.
fn targets(graph: &mut Graph) {
    graph.node("Slice", &["event_ids", "axis_1", "end_of_axis", "axis_1"], "following");
    graph.node("Slice", &["event_ids", "axis_0", "axis_1", "axis_1"], "begin");
    graph.node_with("Concat", &["following", "begin"], "rolled", vec![int("axis", 1)]);
    graph.node("Where", &["is_last", "end_token", "rolled"], "target");
}

/// `token_error` and `score`. Comparisons are false for NaN, so that one stays visible, which `Clip` and `Max` may hide.
fn errors(graph: &mut Graph) {
    graph.node("Unsqueeze", &["target", "axis_2"], "target_index");
    graph.node_with("GatherElements", &["log_probability", "target_index"], "target_log_probability", vec![int("axis", 2)]);
    graph.node("Squeeze", &["target_log_probability", "axis_2"], "negative_nats");
    graph.node("Neg", &["negative_nats"], "nats");
    graph.node("LessOrEqual", &["nats", "no_nats"], "is_below");
    graph.node("Where", &["is_below", "no_nats", "nats"], "nats_floored");
    graph.node("Greater", &["nats_floored", "unknown_nats"], "is_above");
    graph.node("Equal", &["target", "unknown_token"], "is_unknown");
    graph.node("Or", &["is_above", "is_unknown"], "is_most_unexpected");
    graph.node("Where", &["is_most_unexpected", "unknown_nats", "nats_floored"], "nats_capped");
    graph.node("Where", &["valid", "nats_capped", "no_nats"], "token_error");
    graph.node_with("ReduceMax", &["token_error"], "score", vec![ints("axes", &[1]), int("keepdims", 0)]);
}

fn lstm(graph: &mut Graph, name: &str, input: &str, outputs: &[&str], width: usize, hidden: usize, weights: &Lstm) {
    let [w, r, b] = ["w_ih", "w_hh", "bias"].map(|part| format!("{name}_{part}"));
    graph.floats(&w, &[1, GATES * hidden, width], reordered(&weights.w_ih));
    graph.floats(&r, &[1, GATES * hidden, hidden], reordered(&weights.w_hh));
    // ONNX keeps two biases where only their sum matters.
    graph.floats(&b, &[1, 2 * GATES * hidden], reordered(&weights.bias).chain(vec![0.0; GATES * hidden]));
    let attributes = vec![int("hidden_size", hidden as i64)];
    graph.node_with_outputs("LSTM", &[input, &w, &r, &b, "sequence_lengths"], outputs, attributes);
}

/// Gates i, f, g, o put into ONNX's order i, o, f, c (its c is our g).
fn reordered(rows: &[f32]) -> impl Iterator<Item = f32> {
    let gate = rows.len() / GATES;
    [0, 3, 1, 2].into_iter().flat_map(move |index| rows[index * gate..(index + 1) * gate].iter().copied())
}

fn transpose(values: &[f32], rows: usize, columns: usize) -> impl Iterator<Item = f32> {
    (0..columns).flat_map(move |column| (0..rows).map(move |row| values[row * columns + column]))
}

fn swap_batch_and_steps() -> AttributeProto {
    ints("perm", &[1, 0, 2])
}

const GATES: usize = 4;
const _: () = assert!(UNKNOWN.0 != END.0, "END as a target must not count as unknown");
