//! Writes a model as one self-describing `.onnx` file.
//!
//! | value | type | meaning |
//! |---|---|---|
//! | `event_ids` | int64 `[batch, steps]` | tokens of each window, the beginning token first; PAD after its length |
//! | `lengths` | int64 `[batch]` | steps of each window, >= 1 |
//! | `token_error` | float32 `[batch, steps]` | how unexpected what follows each step is, in nats; 0 at padding |
//! | `score` | float32 `[batch]` | the greatest of those |
//! | `distance` | float32 `[batch]` | distance to the nearest normal count pattern; 0 = one of them |
//!
//! Everything that makes a score is in the graph; what it is to be used with is in its metadata, see [`crate::model::contract`].

use prost::Message;
use thiserror::Error;

use self::graph::Graph;
use self::proto::{DataType, GraphProto, IR_VERSION, ModelProto, OPSET_VERSION, OperatorSetIdProto, StringStringEntryProto};
use crate::limits::PATTERN_CELLS_MAX;
use crate::model::contract::{Contract, METADATA_KEY};
use crate::model::validate::{self, ContractError};

mod autoencoder;
mod distance;
mod graph;
mod proto;

/// Error in nats of a target that is UNKNOWN, and the greatest error of any target.
///
/// UNKNOWN is never trained, so whatever the network says of it means nothing. e^-20 is one in 485 million, rarer than
/// any event that the largest training corpus could show once; a trained event beyond that is as unexpected as an unknown one.
/// With a bound the score says the same on every machine, however far out a softmax is.
pub const UNKNOWN_NATS: f32 = 20.0;

/// What training makes. Row-major; V, E, H and L are tokens, embedding, hidden and latent of the contract.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// `[V, E]`
    pub embedding: Vec<f32>,
    /// Reads embeddings, width E.
    pub encoder: Lstm,
    /// H to L, before the tanh.
    pub latent: Linear,
    /// Reads the embedding of the current token and the latent vector, in this order, width E + L. Begins with zeros.
    pub decoder: Lstm,
    /// H to V: logits of the next token.
    pub output: Linear,
}

/// One LSTM layer of H units that reads vectors of some width W. Gates in the order i, f, g, o.
#[derive(Clone, Debug, PartialEq)]
pub struct Lstm {
    /// `[4H, W]`
    pub w_ih: Vec<f32>,
    /// `[4H, H]`
    pub w_hh: Vec<f32>,
    /// `[4H]`: the sum of the two biases that some frameworks keep.
    pub bias: Vec<f32>,
}

/// `y = x weight^T + bias`
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// `[outputs, inputs]`
    pub weight: Vec<f32>,
    /// `[outputs]`
    pub bias: Vec<f32>,
}

/// Why no file can be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The contract contradicts itself.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// A tensor does not have the shape that the contract says.
    #[error("{tensor} has {actual} weights, must have {expected} for the dimensions in the contract")]
    Shape {
        /// Name of the field in [`Weights`].
        tensor: &'static str,
        /// Elements it has.
        actual: usize,
        /// Elements it must have.
        expected: usize,
    },
    /// A weight is NaN or infinite.
    #[error("{tensor} has a weight that is {value}, must be finite; training diverged, try a smaller learning rate")]
    NotFinite {
        /// Name of the field in [`Weights`].
        tensor: &'static str,
        /// The first such weight.
        value: f32,
    },
    /// The distance has nothing to measure from.
    #[error("calibration.patterns is empty, must hold at least one normal count pattern")]
    NoPatterns,
    /// The patterns are too many and too various.
    #[error("calibration.patterns needs {cells} cells in the graph, at most {PATTERN_CELLS_MAX}; keep fewer of the rare ones")]
    PatternCells {
        /// Segments times patterns.
        cells: usize,
    },
}

/// The bytes of the file: a function of its arguments and of this program's version alone.
///
/// # Errors
/// When contract and weights do not belong together, or hold what no model can be run with.
pub fn write(contract: &Contract, weights: &Weights) -> Result<Vec<u8>, WriteError> {
    validate::contract(contract)?;
    check_patterns(contract)?;
    let dimensions = Dimensions::of(contract);
    check_weights(&dimensions, weights)?;
    Ok(model(contract, graph(contract, &dimensions, weights)).encode_to_vec())
}

/// Sizes of the network.
struct Dimensions {
    tokens: usize,
    embedding: usize,
    hidden: usize,
    latent: usize,
}

impl Dimensions {
    fn of(contract: &Contract) -> Self {
        Self {
            tokens: validate::tokens(&contract.profile),
            embedding: contract.training.embedding as usize,
            hidden: contract.training.hidden as usize,
            latent: contract.training.latent as usize,
        }
    }
}

fn check_patterns(contract: &Contract) -> Result<(), WriteError> {
    let patterns = &contract.profile.calibration.patterns;
    let cells = distance::cells(patterns);
    if patterns.is_empty() {
        Err(WriteError::NoPatterns)
    } else if cells > PATTERN_CELLS_MAX {
        Err(WriteError::PatternCells { cells })
    } else {
        Ok(())
    }
}

fn check_weights(dimensions: &Dimensions, weights: &Weights) -> Result<(), WriteError> {
    let Dimensions {
        tokens,
        embedding,
        hidden,
        latent,
    } = *dimensions;
    check_tensor("embedding", &weights.embedding, tokens * embedding)?;
    check_tensor("encoder.w_ih", &weights.encoder.w_ih, 4 * hidden * embedding)?;
    check_tensor("encoder.w_hh", &weights.encoder.w_hh, 4 * hidden * hidden)?;
    check_tensor("encoder.bias", &weights.encoder.bias, 4 * hidden)?;
    check_tensor("latent.weight", &weights.latent.weight, latent * hidden)?;
    check_tensor("latent.bias", &weights.latent.bias, latent)?;
    check_tensor("decoder.w_ih", &weights.decoder.w_ih, 4 * hidden * (embedding + latent))?;
    check_tensor("decoder.w_hh", &weights.decoder.w_hh, 4 * hidden * hidden)?;
    check_tensor("decoder.bias", &weights.decoder.bias, 4 * hidden)?;
    check_tensor("output.weight", &weights.output.weight, tokens * hidden)?;
    check_tensor("output.bias", &weights.output.bias, tokens)
}

fn check_tensor(tensor: &'static str, values: &[f32], expected: usize) -> Result<(), WriteError> {
    if values.len() != expected {
        return Err(WriteError::Shape {
            tensor,
            actual: values.len(),
            expected,
        });
    }
    match values.iter().find(|value| !value.is_finite()) {
        Some(&value) => Err(WriteError::NotFinite { tensor, value }),
        None => Ok(()),
    }
}

fn graph(contract: &Contract, dimensions: &Dimensions, weights: &Weights) -> GraphProto {
    let mut graph = Graph::new("hdfs_vigil");
    graph.input("event_ids", DataType::Int64, &["batch", "steps"]);
    graph.input("lengths", DataType::Int64, &["batch"]);
    graph.output("score", DataType::Float, &["batch"]);
    graph.output("token_error", DataType::Float, &["batch", "steps"]);
    graph.output("distance", DataType::Float, &["batch"]);
    autoencoder::add(&mut graph, dimensions, weights);
    distance::add(&mut graph, &contract.profile.calibration);
    graph.into_proto()
}

fn model(contract: &Contract, graph: GraphProto) -> ModelProto {
    let json = serde_json::to_string(contract).expect("a contract has string keys only");
    ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: Some(env!("CARGO_PKG_NAME").to_owned()),
        producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto {
            domain: Some(String::new()),
            version: Some(OPSET_VERSION),
        }],
        metadata_props: vec![StringStringEntryProto {
            key: Some(METADATA_KEY.to_owned()),
            value: Some(json),
        }],
    }
}
