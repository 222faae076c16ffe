//! The autoencoder as it is trained: encoder LSTM, latent vector, decoder LSTM over the shifted tokens, cross-entropy per token.
//!
//! [`crate::model::onnx`] writes the same arithmetic as a graph; a test holds both against each other.

use candle_core::{D, Device, Result, Tensor, Var};
use candle_nn::ops::log_softmax;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::lstm::lstm;
use crate::model::onnx::{Linear, Lstm, UNKNOWN_NATS, Weights};
use crate::pipeline::event::Token;
use crate::pipeline::profile::{END, UNKNOWN};

/// Width of the embedding.
pub const EMBEDDING: usize = 24;
/// Units of each LSTM.
pub const HIDDEN: usize = 64;
/// Width of the latent vector. So narrow that a story cannot be copied through it, only its kind.
pub const LATENT: usize = 8;

/// Trainable weights. Shapes are those of [`Weights`], but the decoder's input weights come in two parts.
pub struct Network {
    embedding: Var,
    encoder: Layer,
    latent: Affine,
    decoder: Layer,
    /// [4H, L]: what the latent vector contributes to the decoder's gates, at every step.
    decoder_latent: Var,
    output: Affine,
}

/// An LSTM layer that reads embeddings.
struct Layer {
    w_ih: Var,
    w_hh: Var,
    bias: Var,
}

/// `y = x weight^T + bias`
struct Affine {
    weight: Var,
    bias: Var,
}

/// Windows of equal length, so that nothing needs a mask.
pub struct Batch {
    steps: usize,
    windows: usize,
    /// [steps * windows], step by step.
    inputs: Tensor,
    /// [steps * windows]: what follows each input.
    targets: Tensor,
}

impl Batch {
    /// A batch of `windows`, each a begin token and events.
    ///
    /// # Errors
    /// When they are not of equal length.
    pub fn new(windows: &[&[Token]]) -> Result<Self> {
        let steps = windows.first().map_or(0, |window| window.len());
        let at = |step: usize| windows.iter().map(move |window| window.get(step).copied().unwrap_or(END).0.into());
        let inputs: Vec<u32> = (0..steps).flat_map(at).collect();
        let targets: Vec<u32> = (1..=steps).flat_map(at).collect();
        Ok(Self {
            steps,
            windows: windows.len(),
            inputs: Tensor::from_vec(inputs, steps * windows.len(), &Device::Cpu)?,
            targets: Tensor::from_vec(targets, steps * windows.len(), &Device::Cpu)?,
        })
    }
}

impl Network {
    /// A network for `tokens` tokens with weights drawn from `random`.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn new(tokens: usize, random: &mut ChaCha8Rng) -> Result<Self> {
        let embedding = (0..tokens * EMBEDDING).map(|_| StandardNormal.sample(random)).collect();
        Ok(Self {
            embedding: variable(embedding, &[tokens, EMBEDDING])?,
            encoder: Layer::new(random)?,
            latent: Affine::new(LATENT, HIDDEN, random)?,
            decoder: Layer::new(random)?,
            decoder_latent: uniform(&[4 * HIDDEN, LATENT], HIDDEN, random)?,
            output: Affine::new(tokens, HIDDEN, random)?,
        })
    }

    /// Everything that training may change.
    pub fn variables(&self) -> Vec<Var> {
        let layers = [&self.encoder, &self.decoder].map(|layer| [&layer.w_ih, &layer.w_hh, &layer.bias]);
        let affines = [&self.latent, &self.output].map(|affine| [&affine.weight, &affine.bias]);
        let parts = layers.as_flattened().iter().chain(affines.as_flattened());
        parts.copied().chain([&self.embedding, &self.decoder_latent]).cloned().collect()
    }

    /// Cross-entropy in nats of what follows each step, shape [steps, windows]. `noise`, [windows, L], is added to the latent vectors.
    ///
    /// # Errors
    /// When the batch holds tokens that the network does not have.
    pub fn token_errors(&self, batch: &Batch, noise: Option<&Tensor>) -> Result<Tensor> {
        let mut latent = self.encode(batch)?;
        if let Some(noise) = noise {
            latent = (latent + noise)?;
        }
        let logits = self.output.apply(&self.decode(batch, &latent)?)?;
        let likelihood = log_softmax(&logits, D::Minus1)?.gather(&batch.targets.unsqueeze(1)?, 1)?;
        likelihood.neg()?.reshape((batch.steps, batch.windows))
    }

    /// Score of each window as the model file defines it: the worst token's error, where an unknown event counts as [`UNKNOWN_NATS`].
    ///
    /// # Errors
    /// When the batch holds tokens that the network does not have.
    pub fn scores(&self, windows: &[&[Token]]) -> Result<Vec<f32>> {
        let errors = self.token_errors(&Batch::new(windows)?, None)?.t()?.to_vec2::<f32>()?;
        let score = |(errors, window): (&Vec<f32>, &&[Token])| {
            let worst = errors.iter().fold(0.0, |worst: f32, &error| worst.max(error));
            if window[1..].contains(&UNKNOWN) { UNKNOWN_NATS } else { worst.min(UNKNOWN_NATS) }
        };
        Ok(errors.iter().zip(windows).map(score).collect())
    }

    /// A copy of the weights, in the shapes of a model file.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn weights(&self) -> Result<Weights> {
        let decoder_w_ih = Tensor::cat(&[self.decoder.w_ih.as_tensor(), self.decoder_latent.as_tensor()], 1)?;
        Ok(Weights {
            embedding: values(&self.embedding)?,
            encoder: self.encoder.weights(&self.encoder.w_ih)?,
            latent: self.latent.weights()?,
            decoder: self.decoder.weights(&decoder_w_ih)?,
            output: self.output.weights()?,
        })
    }

    /// Latent vectors, [windows, L].
    fn encode(&self, batch: &Batch) -> Result<Tensor> {
        let states = lstm(&self.encoder.inputs(&self.embedding, batch)?, &self.encoder.w_hh)?;
        self.latent.apply(&states.get(batch.steps - 1)?)?.tanh()
    }

    /// States of the decoder, [steps * windows, H].
    fn decode(&self, batch: &Batch, latent: &Tensor) -> Result<Tensor> {
        let from_latent = latent.matmul(&self.decoder_latent.t()?)?.unsqueeze(0)?;
        let inputs = self.decoder.inputs(&self.embedding, batch)?.broadcast_add(&from_latent)?;
        lstm(&inputs, &self.decoder.w_hh)?.reshape((batch.steps * batch.windows, HIDDEN))
    }
}

impl Layer {
    fn new(random: &mut ChaCha8Rng) -> Result<Self> {
        Ok(Self {
            w_ih: uniform(&[4 * HIDDEN, EMBEDDING], HIDDEN, random)?,
            w_hh: uniform(&[4 * HIDDEN, HIDDEN], HIDDEN, random)?,
            bias: uniform(&[4 * HIDDEN], HIDDEN, random)?,
        })
    }

    /// What tokens contribute to the gates, [steps, windows, 4H]: computed once a token of the vocabulary, not once a step.
    fn inputs(&self, embedding: &Var, batch: &Batch) -> Result<Tensor> {
        let of_token = embedding.matmul(&self.w_ih.t()?)?.broadcast_add(&self.bias)?;
        of_token.index_select(&batch.inputs, 0)?.reshape((batch.steps, batch.windows, 4 * HIDDEN))
    }

    fn weights(&self, w_ih: &Tensor) -> Result<Lstm> {
        Ok(Lstm { w_ih: values(w_ih)?, w_hh: values(&self.w_hh)?, bias: values(&self.bias)? })
    }
}

impl Affine {
    fn new(outputs: usize, inputs: usize, random: &mut ChaCha8Rng) -> Result<Self> {
        Ok(Self { weight: uniform(&[outputs, inputs], inputs, random)?, bias: uniform(&[outputs], inputs, random)? })
    }

    fn apply(&self, inputs: &Tensor) -> Result<Tensor> {
        inputs.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)
    }

    fn weights(&self) -> Result<Linear> {
        Ok(Linear { weight: values(&self.weight)?, bias: values(&self.bias)? })
    }
}

/// Uniform in +-1/sqrt(`fan_in`), as PyTorch begins its recurrent and linear layers.
fn uniform(shape: &[usize], fan_in: usize, random: &mut ChaCha8Rng) -> Result<Var> {
    let bound = 1.0 / (fan_in as f32).sqrt();
    let values = (0..shape.iter().product()).map(|_| random.random_range(-bound..bound)).collect();
    variable(values, shape)
}

fn variable(values: Vec<f32>, shape: &[usize]) -> Result<Var> {
    Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu)?)
}

fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}
