//! Scores windows with a model file. This file and its folder are all that knows of ONNX Runtime.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use thiserror::Error;

use self::batches::batches;
use self::library::LibraryError;
use self::network::Network;
use self::remembered::Remembered;
use crate::limits::MODEL_BYTES_MAX;
use crate::model::contract::{Contract, Golden, METADATA_KEY};
use crate::model::validate::{self, ContractError};
use crate::pipeline::event::Token;
use crate::pipeline::profile::{FIRST_EVENT, START, UNKNOWN};
use crate::pipeline::session::{Score, Window};

mod batches;
pub mod library;
mod network;
mod remembered;
mod trial;

pub use trial::Trial;

/// A model that is ready to score. One a thread.
pub struct Scorer {
    network: Network,
    contract: Contract,
    remembered: Remembered,
    remembered_total: u64,
    bytes: u64,
    sha256: String,
}

/// What a model file must pass before it is used, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It can be read, and ONNX Runtime takes it.
    Graph,
    /// It has a contract, and that can be true.
    Contract,
    /// Inputs and outputs have the names and types of the contract.
    Signature,
    /// The graph knows every token of the vocabulary.
    Vocabulary,
    /// The scores of its golden windows are reproduced.
    Golden,
}

/// Why a model file is not used.
#[derive(Debug, Error)]
pub enum LoadError {
    /// There is nothing to run it with.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The file cannot be read.
    #[error("read model {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is larger than any model should be.
    #[error("model has {bytes} bytes or more, at most {MODEL_BYTES_MAX}; is it the right file?")]
    TooLarge {
        /// Bytes that were seen.
        bytes: u64,
    },
    /// ONNX Runtime does not take it.
    #[error("model is no ONNX file that this ONNX Runtime can run: {reason}")]
    Graph {
        /// What ONNX Runtime says.
        reason: String,
    },
    /// It is a model, but none of ours.
    #[error(
        "model has no metadata property {METADATA_KEY}; `hdfs-vigil learn` writes it, and so must whoever brings his own model"
    )]
    NoContract,
    /// The contract is no JSON, or lacks a field.
    #[error("model contract: {0}")]
    ContractJson(#[from] serde_json::Error),
    /// The contract contradicts itself.
    #[error("model contract: {0}")]
    Contract(#[from] ContractError),
    /// Inputs or outputs are other ones.
    #[error("model {fault}")]
    Signature {
        /// The first of them.
        fault: String,
    },
    /// The graph cannot take all tokens of the vocabulary.
    #[error("model fails at token {token}, the last of its vocabulary: {source}; graph and contract do not belong together")]
    Vocabulary {
        /// The token.
        token: u16,
        /// What came of it.
        source: ScoreError,
    },
    /// A golden window scores otherwise here than where the model was trained.
    #[error(
        "model golden[{index}]: {what} is {actual}, must be within {GOLDEN_TOLERANCE} of {expected}; the file is damaged, or this ONNX Runtime computes differently"
    )]
    Golden {
        /// Which one.
        index: usize,
        /// `score` or `distance`.
        what: &'static str,
        /// Made here.
        actual: f32,
        /// Made by training.
        expected: f32,
    },
    /// It breaks on a window that some cluster will send some day.
    #[error("model fails where it must be {trial}: {fault}; `hdfs-vigil model check` tells all that is wrong with it")]
    Trial {
        /// What was tried.
        trial: &'static str,
        /// What came of it.
        fault: String,
    },
    /// Nobody can tell whether it computes here as it did in training.
    #[error("model has no golden windows, must have at least one; `hdfs-vigil learn` writes them")]
    NoGolden,
    /// A golden window does not score at all.
    #[error("model golden[{index}]: {source}")]
    GoldenRefused {
        /// Which one.
        index: usize,
        /// Why not.
        source: ScoreError,
    },
}

/// Why a window has no score.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ScoreError {
    /// It must not be shown to this model.
    #[error(
        "window has {steps} steps and tokens up to {token_max}, must begin with START, MID or RESUMED and hold events of the model's {tokens} tokens"
    )]
    Window {
        /// Its length.
        steps: usize,
        /// Its greatest token.
        token_max: u16,
        /// Tokens of the model.
        tokens: usize,
    },
    /// The model made NaN, an infinity or a negative number of it.
    #[error("model gave a number that is negative or not finite")]
    NotFinite,
    /// ONNX Runtime failed on its batch.
    #[error("run model: {0}")]
    Run(String),
}

impl Scorer {
    /// Reads a model file, checks it and reproduces its golden scores. Loads ONNX Runtime when
    /// [`library::load`] has not done so yet.
    ///
    /// # Errors
    /// When there is no ONNX Runtime, or the file does not keep its contract.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        Self::load_by_stages(path, &mut |_| ())
    }

    /// Checks the bytes of a model file in full, as `hdfs-vigil model check` does: what may take over in a running daemon.
    ///
    /// # Errors
    /// As [`Scorer::load`], and when it has no golden windows or breaks on an odd one.
    pub fn checked(bytes: &[u8]) -> Result<Self, LoadError> {
        let mut scorer = Self::from_bytes(bytes)?;
        if scorer.contract.golden.is_empty() {
            return Err(LoadError::NoGolden);
        }
        let faults = scorer.try_out().into_iter().find_map(|Trial { name, fault }| Some((name, fault?)));
        faults.map_or(Ok(scorer), |(trial, fault)| Err(LoadError::Trial { trial, fault }))
    }

    /// The same, and tells of every stage that is passed.
    ///
    /// # Errors
    /// As [`Scorer::load`].
    pub fn load_by_stages(path: &Path, passed: &mut dyn FnMut(Stage)) -> Result<Self, LoadError> {
        Self::from_bytes_by_stages(&read(path)?, passed)
    }

    /// The same for the bytes of a model file.
    ///
    /// # Errors
    /// As [`Scorer::load`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LoadError> {
        Self::from_bytes_by_stages(bytes, &mut |_| ())
    }

    fn from_bytes_by_stages(bytes: &[u8], passed: &mut dyn FnMut(Stage)) -> Result<Self, LoadError> {
        let library = library::load(None)?;
        let network = Network::open(library, bytes).map_err(|error| LoadError::Graph { reason: error.to_string() })?;
        passed(Stage::Graph);
        let contract = contract(&network)?;
        passed(Stage::Contract);
        network.signature_fault().map_or(Ok(()), |fault| Err(LoadError::Signature { fault }))?;
        passed(Stage::Signature);
        let mut scorer = Self {
            network,
            contract,
            remembered: Remembered::default(),
            remembered_total: 0,
            bytes: bytes.len() as u64,
            sha256: sha256(bytes),
        };
        scorer.try_vocabulary()?;
        passed(Stage::Vocabulary);
        scorer.try_golden()?;
        passed(Stage::Golden);
        Ok(scorer)
    }

    /// What the file says of itself.
    #[must_use]
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// SHA-256 of the file, in lower-case hexadecimal digits: the identity of the model.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Bytes of the file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Windows answered from memory since the model was loaded, or because the same call asked for them twice.
    #[must_use]
    pub fn remembered_total(&self) -> u64 {
        self.remembered_total
    }

    /// Windows in memory now, at most [`crate::limits::REMEMBERED_WINDOWS_MAX`].
    #[must_use]
    pub fn remembered_windows(&self) -> usize {
        self.remembered.len()
    }

    /// Scores windows; one answer a window, in their order. A window that has no score takes none from its neighbours. What a
    /// window scores depends on nothing but the window and the model.
    pub fn score(&mut self, windows: &[Window]) -> Vec<Result<Score, ScoreError>> {
        let known: Vec<_> = windows.iter().map(|window| self.known(&window.tokens)).collect();
        let asked = windows.iter().zip(&known).filter(|(_, known)| known.is_none()).map(|(window, _)| window.tokens.as_slice());
        let fresh = self.infer(asked);
        let answer = |(window, known): (&Window, Option<_>)| known.unwrap_or_else(|| fresh[window.tokens.as_slice()].clone());
        let scores: Vec<_> = windows.iter().zip(known).map(answer).collect();
        let inferred = fresh.len() as u64;
        self.remember(fresh);
        self.remembered_total += scores.iter().filter(|score| !is_refused_window(score)).count() as u64 - inferred;
        scores
    }

    /// The answer that needs no inference.
    fn known(&mut self, window: &[Token]) -> Option<Result<Score, ScoreError>> {
        let tokens = self.tokens();
        if !validate::is_window(window, tokens) {
            let token_max = window.iter().map(|token| token.0).max().unwrap_or(0);
            return Some(Err(ScoreError::Window { steps: window.len(), token_max, tokens }));
        }
        self.remembered.get(window).cloned().map(Ok)
    }

    fn infer<'w>(&mut self, windows: impl Iterator<Item = &'w [Token]>) -> HashMap<&'w [Token], Result<Score, ScoreError>> {
        let mut distinct: Vec<&[Token]> = windows.collect();
        distinct.sort_unstable();
        distinct.dedup();
        let batches = batches(distinct, self.tokens());
        batches.into_iter().flat_map(|batch| self.infer_batch(batch)).collect()
    }

    fn infer_batch<'w>(&mut self, batch: Vec<&'w [Token]>) -> Vec<(&'w [Token], Result<Score, ScoreError>)> {
        let steps = batch.iter().map(|window| window.len()).max().unwrap_or(0);
        let scores = self.infer_padded(&batch, steps);
        batch.into_iter().zip(scores).collect()
    }

    fn infer_padded(&mut self, batch: &[&[Token]], steps: usize) -> Vec<Result<Score, ScoreError>> {
        match self.network.run(batch, steps) {
            Ok(scores) => scores.into_iter().map(checked).collect(),
            Err(reason) => vec![Err(ScoreError::Run(reason)); batch.len()],
        }
    }

    fn remember(&mut self, fresh: HashMap<&[Token], Result<Score, ScoreError>>) {
        for (window, score) in fresh {
            if let Ok(score) = score {
                self.remembered.insert(window, score);
            }
        }
    }

    /// A graph with fewer tokens than the contract fails here and not on the first block that has such an event.
    fn try_vocabulary(&mut self) -> Result<(), LoadError> {
        let token = FIRST_EVENT + self.contract.profile.vocabulary.len() as u16 - 1;
        let window = [START, UNKNOWN, Token(token)];
        let score = self.infer_padded(&[&window], window.len()).remove(0);
        score.map(drop).map_err(|source| LoadError::Vocabulary { token, source })
    }

    fn try_golden(&mut self) -> Result<(), LoadError> {
        let golden = self.contract.golden.clone();
        let windows: Vec<Window> = golden.iter().map(|golden| Window { tokens: golden.tokens.clone() }).collect();
        let scores = self.score(&windows);
        golden.iter().zip(scores).enumerate().try_for_each(|(index, (golden, score))| {
            let score = score.map_err(|source| LoadError::GoldenRefused { index, source })?;
            reproduced(index, golden, &score)
        })
    }

    fn tokens(&self) -> usize {
        validate::tokens(&self.contract.profile)
    }
}

/// How far a golden score may be from the one of training, which was summed up in another order by another program.
pub const GOLDEN_TOLERANCE: f32 = 1e-4;

/// The bytes of a model file.
///
/// # Errors
/// When it cannot be read or is larger than [`MODEL_BYTES_MAX`].
pub fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let failed = |source| LoadError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    if size > MODEL_BYTES_MAX {
        return Err(LoadError::TooLarge { bytes: size });
    }
    let mut bytes = Vec::with_capacity(size as usize);
    // The file may grow while it is read, or be a device that says it is empty.
    file.take(MODEL_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MODEL_BYTES_MAX { Err(LoadError::TooLarge { bytes: bytes.len() as u64 }) } else { Ok(bytes) }
}

fn contract(network: &Network) -> Result<Contract, LoadError> {
    let json = network.contract_json().ok_or(LoadError::NoContract)?;
    let contract: Contract = serde_json::from_str(&json)?;
    validate::contract(&contract)?;
    Ok(contract)
}

fn checked(score: Score) -> Result<Score, ScoreError> {
    let is_measure = |value: f32| value.is_finite() && value >= 0.0;
    let fine = is_measure(score.score) && is_measure(score.distance) && score.token_error.iter().copied().all(is_measure);
    if fine { Ok(score) } else { Err(ScoreError::NotFinite) }
}

fn reproduced(index: usize, golden: &Golden, score: &Score) -> Result<(), LoadError> {
    let pairs = [("score", score.score, golden.score), ("distance", score.distance, golden.distance)];
    match pairs.into_iter().find(|(_, actual, expected)| (actual - expected).abs() > GOLDEN_TOLERANCE) {
        Some((what, actual, expected)) => Err(LoadError::Golden { index, what, actual, expected }),
        None => Ok(()),
    }
}

fn is_refused_window(score: &Result<Score, ScoreError>) -> bool {
    matches!(score, Err(ScoreError::Window { .. }))
}

/// SHA-256 of the bytes of a model file, as [`Scorer::sha256`] gives it.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
