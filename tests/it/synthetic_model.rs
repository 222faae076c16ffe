//! Models of any size whose weights mean nothing, and their scores computed the plain way, for comparison.

use std::path::PathBuf;

use hdfs_vigil::model::contract::{CONTRACT_VERSION, Contract, Golden, METADATA_KEY, Training};
use hdfs_vigil::model::onnx::{self, Linear, Lstm, UNKNOWN_NATS, Weights};
use hdfs_vigil::model::scorer::{Scorer, library};
use hdfs_vigil::pipeline::event::Token;
use hdfs_vigil::pipeline::profile::{
    Calibration, CountPattern, DrainSettings, END, FIRST_EVENT, Profile, START, Scope, UNKNOWN, VocabularyEntry,
};
use hdfs_vigil::pipeline::session::{Score, Window};
use prost::encoding::{WireType, encode_key, encode_varint, string};

/// A contract with the weights that belong to it.
pub struct SyntheticModel {
    pub contract: Contract,
    pub weights: Weights,
}

impl SyntheticModel {
    /// Small enough to follow with a pencil: four templates, two units. Two golden windows, from [`SyntheticModel::by_hand`].
    pub fn tiny() -> Self {
        let mut model = Self::new(4, [3, 2, 2], 1.0);
        model.contract.golden = [[2, 6, 7, 7, 8].as_slice(), &[3, 9, 6]].map(|tokens| model.golden(&window(tokens))).to_vec();
        model
    }

    /// As large as a trained one.
    pub fn large() -> Self {
        Self::new(40, [24, 64, 8], 0.3)
    }

    /// Weights lie in -spread..spread. Larger networks take a smaller one, or rounding grows from step to step.
    fn new(templates: usize, sizes: [usize; 3], spread: f32) -> Self {
        let [embedding, hidden, latent] = sizes;
        let (tokens, mut numbers) = (usize::from(FIRST_EVENT) + templates, Numbers(1));
        let mut take = |count| numbers.take(count, spread);
        let mut lstm = |width| {
            let [w_ih, w_hh, bias] = [width, hidden, 1].map(|columns| take(4 * hidden * columns));
            Lstm { w_ih, w_hh, bias }
        };
        let (encoder, decoder) = (lstm(embedding), lstm(embedding + latent));
        let mut linear = |inputs, outputs| Linear { weight: take(outputs * inputs), bias: take(outputs) };
        let (latent, output) = (linear(hidden, latent), linear(hidden, tokens));
        let weights = Weights { embedding: take(tokens * embedding), encoder, latent, decoder, output };
        Self { contract: contract(templates, sizes), weights }
    }

    /// The bytes of its file.
    pub fn bytes(&self) -> Vec<u8> {
        onnx::write(&self.contract, &self.weights).unwrap()
    }

    /// Its file in a directory of its own, which ends with the first value.
    pub fn file(&self) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.onnx");
        std::fs::write(&path, self.bytes()).unwrap();
        (directory, path)
    }

    pub fn scorer(&self) -> Scorer {
        Scorer::from_bytes(&self.bytes()).unwrap()
    }

    /// The score in 64-bit floats, straight from the definitions.
    pub fn by_hand(&self, window: &Window) -> Score {
        let token_error = self.token_error(&window.tokens);
        let score = token_error.iter().copied().fold(0.0, f32::max);
        Score { score, distance: self.distance(&window.tokens), token_error }
    }

    fn golden(&self, window: &Window) -> Golden {
        let Score { score, distance, token_error: _ } = self.by_hand(window);
        Golden { tokens: window.tokens.clone(), score, distance }
    }

    fn token_error(&self, tokens: &[Token]) -> Vec<f32> {
        let embedded: Vec<Vec<f64>> = tokens.iter().map(|token| self.embedded(*token)).collect();
        let last = states(&self.weights.encoder, &embedded).pop().unwrap();
        let latent: Vec<f64> = linear(&self.weights.latent, &last).into_iter().map(f64::tanh).collect();
        let decoder_input: Vec<_> = embedded.into_iter().map(|step| [step, latent.clone()].concat()).collect();
        let targets = tokens.iter().skip(1).chain([&END]);
        let errors = states(&self.weights.decoder, &decoder_input).into_iter().zip(targets);
        errors.map(|(state, target)| cross_entropy(&linear(&self.weights.output, &state), *target)).collect()
    }

    fn embedded(&self, token: Token) -> Vec<f64> {
        let width = self.contract.training.embedding as usize;
        let row = usize::from(token.0) * width;
        self.weights.embedding[row..row + width].iter().copied().map(f64::from).collect()
    }

    fn distance(&self, tokens: &[Token]) -> f32 {
        let calibration = &self.contract.profile.calibration;
        let deficit = if tokens[0] == START { 1.0 } else { 0.0 };
        let to_pattern = |pattern: &CountPattern| -> f64 {
            let differences = (0..calibration.weights.len()).map(|index| {
                let token = Token(index as u16);
                let counted = tokens[1..].iter().filter(|other| **other == token).count() as f64;
                let normal = pattern.counts.iter().find(|(other, _)| *other == token).map_or(0.0, |(_, count)| f64::from(*count));
                f64::from(calibration.weights[index]) * ((counted - normal).max(0.0) + deficit * (normal - counted).max(0.0))
            });
            differences.sum()
        };
        calibration.patterns.iter().map(to_pattern).fold(f64::INFINITY, f64::min) as f32
    }
}

/// Whether ONNX Runtime is absent, in which case a test has nothing to say; on a build server that is a failure.
pub fn library_missing() -> bool {
    let Err(error) = library::load(None) else { return false };
    assert!(std::env::var_os("CI").is_none(), "{error}");
    println!("skipped: {error}");
    true
}

/// The metadata property is the last field of a file, so it can be cut off and put on anew.
pub fn with_contract(mut bytes: Vec<u8>, json: &str, changed: &str) -> Vec<u8> {
    let property = encoded_property(json);
    assert!(bytes.ends_with(&property));
    bytes.truncate(bytes.len() - property.len());
    bytes.extend(encoded_property(changed));
    bytes
}

fn encoded_property(json: &str) -> Vec<u8> {
    let (mut entry, mut property) = (vec![], vec![]);
    string::encode(1, &METADATA_KEY.to_owned(), &mut entry);
    string::encode(2, &json.to_owned(), &mut entry);
    encode_key(14, WireType::LengthDelimited, &mut property);
    encode_varint(entry.len() as u64, &mut property);
    [property, entry].concat()
}

pub fn window(tokens: &[u16]) -> Window {
    Window { tokens: tokens.iter().copied().map(Token).collect() }
}

/// A window of so many steps that no other call gives; its events differ from step to step.
pub fn random_window(seed: u32, steps: usize, templates: u16) -> Window {
    let mut numbers = Numbers(seed);
    let begin = 2 + seed % 3;
    let mut event = || match numbers.next_below(20) {
        0 => UNKNOWN,
        _ => Token(FIRST_EVENT + numbers.next_below(u32::from(templates)) as u16),
    };
    Window { tokens: std::iter::once(Token(begin as u16)).chain((1..steps).map(|_| event())).collect() }
}

fn contract(templates: usize, [embedding, hidden, latent]: [usize; 3]) -> Contract {
    let training = Training {
        inputs: vec![("stories.csv".to_owned(), "0".repeat(64))],
        sessions: 3,
        seed: 7,
        loss: vec![2.5, 1.25],
        embedding: embedding as u32,
        hidden: hidden as u32,
        latent: latent as u32,
    };
    Contract { version: CONTRACT_VERSION, profile: profile(templates), vocabulary_sha256: None, training, golden: vec![] }
}

fn profile(templates: usize) -> Profile {
    let entry =
        |number| VocabularyEntry { text: format!("Event {number} of <*>"), begins: number == 0, endless_buckets_max: None };
    Profile {
        name: "synthetic".to_owned(),
        scope: Scope::Cluster,
        vocabulary: (0..templates).map(entry).collect(),
        drain: DrainSettings {
            depth: 4,
            similarity: 0.5,
            children_max: 100,
            masks: vec!["block".to_owned()],
            ..DrainSettings::reference()
        },
        calibration: calibration(templates),
    }
}

/// The first five patterns differ in the counts of one event and in its presence.
fn calibration(templates: usize) -> Calibration {
    let patterns: [&[(u16, u16)]; 5] = [&[(6, 1), (7, 2), (8, 1)], &[(6, 1), (8, 1)], &[(6, 1), (7, 5)], &[(7, 3), (9, 7)], &[]];
    let weights = (0..usize::from(FIRST_EVENT) + templates).map(|token| 0.7 + (token * token % 11) as f32 / 3.0);
    Calibration {
        sessions: 3,
        quantiles: (0..=100).map(|percent| 1.0 + percent as f32 / 50.0).collect(),
        log_mean: 0.5,
        log_sd: 0.25,
        k: 3.0,
        floor: 1.0,
        ceiling: 19.0,
        epsilon: 0.001,
        patterns: patterns.iter().map(|counts| pattern(counts)).collect(),
        weights: weights.collect(),
        distance_max: 0.5,
    }
}

fn pattern(counts: &[(u16, u16)]) -> CountPattern {
    CountPattern { counts: counts.iter().map(|&(token, count)| (Token(token), count)).collect(), sessions: 1 }
}

/// Hidden states of an LSTM, one a step.
fn states(lstm: &Lstm, inputs: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let hidden = lstm.bias.len() / 4;
    let (mut h, mut c) = (vec![0.0; hidden], vec![0.0; hidden]);
    let mut states = vec![];
    for input in inputs {
        let from_input = product(&lstm.w_ih, input);
        let from_state = product(&lstm.w_hh, &h);
        let gate = |gate: usize, unit: usize| {
            let row = gate * hidden + unit;
            from_input[row] + from_state[row] + f64::from(lstm.bias[row])
        };
        c = (0..hidden).map(|unit| sigmoid(gate(1, unit)) * c[unit] + sigmoid(gate(0, unit)) * gate(2, unit).tanh()).collect();
        h = (0..hidden).map(|unit| sigmoid(gate(3, unit)) * c[unit].tanh()).collect();
        states.push(h.clone());
    }
    states
}

fn linear(layer: &Linear, input: &[f64]) -> Vec<f64> {
    product(&layer.weight, input).into_iter().zip(&layer.bias).map(|(sum, bias)| sum + f64::from(*bias)).collect()
}

fn product(matrix: &[f32], vector: &[f64]) -> Vec<f64> {
    matrix
        .chunks(vector.len())
        .map(|row| row.iter().zip(vector).map(|(weight, value)| f64::from(*weight) * value).sum())
        .collect()
}

fn cross_entropy(logits: &[f64], target: Token) -> f32 {
    if target == UNKNOWN {
        return UNKNOWN_NATS;
    }
    let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
    ((sum.ln() - logits[usize::from(target.0)]) as f32).clamp(0.0, UNKNOWN_NATS)
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// A small linear congruential generator (Numerical Recipes).
struct Numbers(u32);

impl Numbers {
    /// Values in -spread..spread.
    fn take(&mut self, count: usize, spread: f32) -> Vec<f32> {
        (0..count).map(|_| spread * (self.next_below(1 << 24) as f32 / (1 << 23) as f32 - 1.0)).collect()
    }

    fn next_below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((u64::from(self.0) * u64::from(bound)) >> 32) as u32
    }
}
