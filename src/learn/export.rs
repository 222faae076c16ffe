//! Puts together what a model file holds, with windows to check it by.

use super::calibrate::{Scores, calibrate, distance, score_all, threshold};
use super::network::{EMBEDDING, HIDDEN, LATENT, Network};
use super::windows::Windows;
use super::{Corpus, LearnError, Learned, Options};
use crate::limits::PATTERNS_MAX;
use crate::model::contract::{CONTRACT_VERSION, Contract, Golden, Training, vocabulary_sha256};
use crate::pipeline::event::Token;
use crate::pipeline::profile::{Calibration, MID, Profile, RESUMED, UNKNOWN};

/// Whole stories among the golden windows; three more are made of each.
const GOLDEN_STORIES: usize = 6;

/// Contract and weights of a trained network.
///
/// # Errors
/// None that a caller could cause.
pub fn export(
    corpus: &Corpus,
    options: &Options,
    loss: Vec<f32>,
    network: &Network,
    windows: &Windows,
    scores: &Scores,
) -> Result<Learned, LearnError> {
    let (threshold, false_alarms_expected) = threshold(scores, &strangers(network, windows)?);
    let calibration = calibrate(scores, windows, threshold);
    let golden = golden(network, windows, &calibration)?;
    let training = Training {
        inputs: corpus.inputs.clone(),
        sessions: calibration.sessions,
        seed: options.seed,
        loss,
        embedding: EMBEDDING as u32,
        hidden: HIDDEN as u32,
        latent: LATENT as u32,
    };
    let profile = profile(corpus, options, windows, calibration);
    Ok(Learned {
        false_alarms_expected,
        suspects: windows.suspects,
        stories: windows.whole_patterns(),
        windows_left_out: windows.left_out,
        patterns_left_out: windows.patterns().len().saturating_sub(PATTERNS_MAX) as u64,
        weights: network.weights()?,
        contract: Contract {
            version: CONTRACT_VERSION,
            vocabulary_sha256: Some(vocabulary_sha256(&profile)),
            profile,
            training,
            golden,
        },
    })
}

fn profile(corpus: &Corpus, options: &Options, windows: &Windows, calibration: Calibration) -> Profile {
    Profile {
        name: options.name.clone(),
        scope: corpus.scope,
        vocabulary: windows.vocabulary.clone(),
        drain: corpus.drain.clone(),
        calibration,
    }
}

/// Scores of the whole stories whose kind would not be known had they been held back, or is not kept, with how often they occurred.
fn strangers(network: &Network, windows: &Windows) -> Result<Vec<(f32, u64)>, LearnError> {
    let mut strangers = windows.strangers.clone();
    strangers.extend(windows.of_kinds_left_out(PATTERNS_MAX).map(|(window, times)| (window.clone(), *times)));
    let stories: Vec<&[Token]> = strangers.keys().map(Vec::as_slice).collect();
    Ok(score_all(network, &stories)?.into_iter().zip(strangers.values().copied()).collect())
}

/// Windows from the commonest to the rarest, with what goes wrong in blocks done to them: cut, joined late, an unknown event.
fn golden(network: &Network, windows: &Windows, calibration: &Calibration) -> Result<Vec<Golden>, LearnError> {
    let mut whole: Vec<_> = windows.whole.iter().collect();
    whole.sort_by_key(|&(_, &times)| std::cmp::Reverse(times));
    let every = whole.len().div_ceil(GOLDEN_STORIES);
    let golden: Vec<Vec<Token>> = whole.iter().step_by(every).flat_map(|(window, _)| variants(window)).collect();
    let scores = score_all(network, &golden.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
    let distances: Vec<f32> = golden.iter().map(|tokens| distance(calibration, tokens)).collect();
    let vectors = golden.into_iter().zip(scores).zip(distances);
    Ok(vectors.map(|((tokens, score), distance)| Golden { tokens, score, distance }).collect())
}

fn variants(window: &[Token]) -> [Vec<Token>; 4] {
    let middle = window.len().div_ceil(2);
    let tail = |begin| [&[begin], &window[middle..]].concat();
    let unknown = [&window[..middle], &[UNKNOWN], &window[middle..]].concat();
    let begin = if window.len().is_multiple_of(2) { MID } else { RESUMED };
    [
        window.to_vec(),
        window[..middle].to_vec(),
        tail(begin),
        unknown[..unknown.len().min(crate::limits::WINDOW_STEPS_MAX)].to_vec(),
    ]
}
