//! Says whether a contract can be true: what the pipeline takes from it must be finite, ordered and of its own vocabulary.

use thiserror::Error;

use crate::limits::{VOCABULARY_MAX, WINDOW_STEPS_MAX};
use crate::model::contract::{CONTRACT_VERSION, Contract, Golden, Training, vocabulary_sha256};
use crate::pipeline::event::Token;
use crate::pipeline::event::template::mask::Masks;
use crate::pipeline::profile::{
    Calibration, CountPattern, DrainSettings, END, FIRST_EVENT, MID, Profile, RESUMED, START, UNKNOWN,
};

/// What is wrong with a contract, by the path of the field.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ContractError {
    /// Written for another program.
    #[error("version is {0}, must be {CONTRACT_VERSION}; train the model again with this program")]
    Version(u32),
    /// A field has a value that it must not have.
    #[error("{field} is {value}, must be {bound}")]
    Field {
        /// Path of the field.
        field: String,
        /// What it is.
        value: String,
        /// What it must be.
        bound: String,
    },
}

/// Checks all of it.
///
/// # Errors
/// The first field that is wrong.
pub fn contract(contract: &Contract) -> Result<(), ContractError> {
    if contract.version != CONTRACT_VERSION {
        return Err(ContractError::Version(contract.version));
    }
    profile(&contract.profile)?;
    vocabulary(contract)?;
    training(&contract.training)?;
    let tokens = tokens(&contract.profile);
    contract.golden.iter().enumerate().try_for_each(|(index, vector)| golden(index, vector, tokens))
}

/// Tokens of a profile's vocabulary, reserved ones included.
#[must_use]
pub fn tokens(profile: &Profile) -> usize {
    usize::from(FIRST_EVENT) + profile.vocabulary.len()
}

/// Whether a window with these tokens may be shown to a model with so many of them: a beginning token, then events.
#[must_use]
pub fn is_window(window: &[Token], tokens: usize) -> bool {
    let is_event = |token: &Token| *token == UNKNOWN || (token.0 >= FIRST_EVENT && usize::from(token.0) < tokens);
    match window {
        [begin, events @ ..] => {
            [START, MID, RESUMED].contains(begin) && window.len() <= WINDOW_STEPS_MAX && events.iter().all(is_event)
        }
        [] => false,
    }
}

fn profile(profile: &Profile) -> Result<(), ContractError> {
    let tokens = tokens(profile);
    require(!profile.name.is_empty(), "profile.name", "empty", "a word")?;
    require(!profile.vocabulary.is_empty(), "profile.vocabulary", "empty", "at least one template")?;
    require(tokens <= VOCABULARY_MAX, "profile.vocabulary", format!("{tokens} tokens"), format!("at most {VOCABULARY_MAX}"))?;
    for (index, entry) in profile.vocabulary.iter().enumerate() {
        require(!entry.text.is_empty(), &format!("profile.vocabulary[{index}].text"), "empty", "the text of a template")?;
    }
    drain(&profile.drain)?;
    calibration(&profile.calibration, tokens)
}

fn vocabulary(contract: &Contract) -> Result<(), ContractError> {
    let actual = vocabulary_sha256(&contract.profile);
    let said = contract.vocabulary_sha256.as_ref().unwrap_or(&actual);
    let bound = format!("{actual}, the SHA-256 of the texts in profile.vocabulary; take the file as `hdfs-vigil learn` wrote it");
    require(*said == actual, "vocabulary_sha256", said, bound)
}

fn drain(drain: &DrainSettings) -> Result<(), ContractError> {
    require(drain.depth >= 3, "profile.drain.depth", drain.depth, ">= 3")?;
    require((0.0..=1.0).contains(&drain.similarity), "profile.drain.similarity", drain.similarity, "0..=1")?;
    require(drain.children_max >= 1, "profile.drain.children_max", drain.children_max, ">= 1")?;
    let unknown = Masks::from_names(drain.masks.iter().map(String::as_str)).err();
    let bound = format!("one of {}; train the model again with this program, or upgrade", Masks::NAMES.join(", "));
    require(unknown.is_none(), "profile.drain.masks", unknown.unwrap_or_default(), bound)
}

fn calibration(calibration: &Calibration, tokens: usize) -> Result<(), ContractError> {
    let quantiles = &calibration.quantiles;
    require(
        quantiles.len() == QUANTILES,
        "profile.calibration.quantiles",
        format!("{} long", quantiles.len()),
        format!("{QUANTILES} long"),
    )?;
    require(quantiles.iter().copied().all(is_measure), "profile.calibration.quantiles", "not all finite", "finite and >= 0")?;
    require(quantiles.is_sorted(), "profile.calibration.quantiles", "unsorted", "sorted, smallest first")?;
    require(calibration.log_mean.is_finite(), "profile.calibration.log_mean", calibration.log_mean, "finite")?;
    for (field, value) in [("log_sd", calibration.log_sd), ("k", calibration.k), ("epsilon", calibration.epsilon)] {
        require(value.is_finite() && value >= 0.0, &format!("profile.calibration.{field}"), value, "finite and >= 0")?;
    }
    require(is_measure(calibration.floor), "profile.calibration.floor", calibration.floor, "finite and >= 0")?;
    require(
        is_measure(calibration.distance_max),
        "profile.calibration.distance_max",
        calibration.distance_max,
        "finite and >= 0",
    )?;
    let above_floor = calibration.ceiling.is_finite() && calibration.ceiling >= calibration.floor;
    require(
        above_floor,
        "profile.calibration.ceiling",
        calibration.ceiling,
        format!("finite and >= the floor {}", calibration.floor),
    )?;
    distance(calibration, tokens)
}

fn distance(calibration: &Calibration, tokens: usize) -> Result<(), ContractError> {
    let weights = &calibration.weights;
    require(
        weights.len() == tokens,
        "profile.calibration.weights",
        format!("{} long", weights.len()),
        format!("{tokens} long, one a token"),
    )?;
    require(weights.iter().copied().all(is_measure), "profile.calibration.weights", "not all finite", "finite and >= 0")?;
    calibration.patterns.iter().enumerate().try_for_each(|(index, entry)| pattern(index, entry, tokens))
}

fn pattern(index: usize, pattern: &CountPattern, tokens: usize) -> Result<(), ContractError> {
    let field = format!("profile.calibration.patterns[{index}]");
    let counts = &pattern.counts;
    require(counts.is_sorted_by(|a, b| a.0 < b.0), &field, "unsorted", "sorted by token, each once")?;
    for &(token, count) in counts {
        require(
            is_window(&[START, token], tokens),
            &field,
            format!("a count of token {}", token.0),
            "of events in the vocabulary",
        )?;
        require(count > 0, &field, format!("0 for token {}", token.0), "without what does not occur")?;
    }
    Ok(())
}

fn training(training: &Training) -> Result<(), ContractError> {
    for (field, width) in [("embedding", training.embedding), ("hidden", training.hidden), ("latent", training.latent)] {
        require((1..=WIDTH_MAX).contains(&width), &format!("training.{field}"), width, format!("1..={WIDTH_MAX}"))?;
    }
    require(training.loss.iter().all(|loss| loss.is_finite()), "training.loss", "not all finite", "finite")
}

fn golden(index: usize, golden: &Golden, tokens: usize) -> Result<(), ContractError> {
    let field = format!("golden[{index}]");
    let events = format!("a beginning token and events below {tokens}, at most {WINDOW_STEPS_MAX} in all");
    require(is_window(&golden.tokens, tokens), &format!("{field}.tokens"), format!("{:?}", golden.tokens), events)?;
    require(is_measure(golden.score), &format!("{field}.score"), golden.score, "finite and >= 0")?;
    require(is_measure(golden.distance), &format!("{field}.distance"), golden.distance, "finite and >= 0")
}

fn is_measure(value: f32) -> bool {
    value.is_finite() && value >= 0.0
}

fn require(holds: bool, field: &str, value: impl ToString, bound: impl ToString) -> Result<(), ContractError> {
    if holds {
        return Ok(());
    }
    Err(ContractError::Field { field: field.to_owned(), value: value.to_string(), bound: bound.to_string() })
}

/// 0.00, 0.01, …, 1.00
const QUANTILES: usize = 101;
/// Units of a layer: 16 times what the accuracy figures needed (H = 64); 4096 would fill a model file with weights alone.
const WIDTH_MAX: u32 = 1024;
const _: () = assert!(END.0 < FIRST_EVENT, "END is no event");
