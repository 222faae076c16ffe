//! Trains the autoencoder: AdamW with cosine decay over batches of equally long windows.

use std::collections::BTreeMap;
use std::f64::consts::PI;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{Device, Result, Tensor};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::network::{Batch, LATENT, Network};
use crate::pipeline::event::Token;

/// How to train.
#[derive(Clone, Copy, Debug)]
pub struct Schedule<'a> {
    /// Passes over all windows.
    pub epochs: u32,
    /// Set to end after the current epoch.
    pub stop: &'a AtomicBool,
}

/// Windows of one step.
const BATCH_WINDOWS: usize = 64;
/// Learning rate of the first step; it falls to 0 along half a cosine (Loshchilov & Hutter 2017, eq. 5).
const LEARNING_RATE: f64 = 3e-3;
/// Standard deviation of the noise on the latent vectors, whose range is -1..1: nearby stories share their latent.
const NOISE: f32 = 0.1;

/// Trains `network` on windows with weights. Returns the mean loss of each epoch in nats per token, and tells `progress` of it.
///
/// # Errors
/// None that a caller could cause.
pub fn train(
    network: &Network,
    windows: &BTreeMap<Vec<Token>, f64>,
    schedule: Schedule<'_>,
    random: &mut ChaCha8Rng,
    progress: &mut dyn FnMut(u32, f32),
) -> Result<Vec<f32>> {
    let windows: Vec<(&[Token], f64)> = windows.iter().map(|(window, &weight)| (window.as_slice(), weight)).collect();
    let tokens: f64 = windows.iter().map(|(window, weight)| window.len() as f64 * weight).sum();
    let mut optimizer = AdamW::new(network.variables(), ParamsAdamW::default())?;
    let mut losses = Vec::new();
    for epoch in 0..schedule.epochs {
        let batches = batches(&windows, random);
        let tokens_per_batch = tokens / batches.len() as f64;
        let mut loss = 0.0;
        for (step, batch) in batches.iter().enumerate() {
            let done = (f64::from(epoch) + step as f64 / batches.len() as f64) / f64::from(schedule.epochs);
            optimizer.set_learning_rate(LEARNING_RATE * 0.5 * (1.0 + (PI * done).cos()));
            loss += train_batch(network, &mut optimizer, &windows, batch, tokens_per_batch, random)?;
        }
        let loss = (loss / batches.len() as f64) as f32;
        losses.push(loss);
        progress(epoch + 1, loss);
        if schedule.stop.load(Ordering::Relaxed) {
            break;
        }
    }
    Ok(losses)
}

/// One step. The loss of a batch is divided by the mean weight of all batches and not by its own, so that a window weighs the same
/// whatever its batch mates are.
fn train_batch(
    network: &Network,
    optimizer: &mut AdamW,
    windows: &[(&[Token], f64)],
    batch: &[usize],
    tokens_per_batch: f64,
    random: &mut ChaCha8Rng,
) -> Result<f64> {
    let tokens: Vec<&[Token]> = batch.iter().map(|&index| windows[index].0).collect();
    let weights: Vec<f32> = batch.iter().map(|&index| (windows[index].1 / tokens_per_batch) as f32).collect();
    let weights = Tensor::from_vec(weights, (1, batch.len()), &Device::Cpu)?;
    let errors = network.token_errors(&Batch::new(&tokens)?, Some(&noise(batch.len(), random)?))?;
    let loss = errors.broadcast_mul(&weights)?.sum_all()?;
    optimizer.backward_step(&loss)?;
    Ok(f64::from(loss.to_scalar::<f32>()?))
}

fn noise(windows: usize, random: &mut ChaCha8Rng) -> Result<Tensor> {
    let normal = |_| NOISE * <StandardNormal as Distribution<f32>>::sample(&StandardNormal, random);
    Tensor::from_vec((0..windows * LATENT).map(normal).collect(), (windows, LATENT), &Device::Cpu)
}

/// Indices of windows, in batches of equal length, all in random order.
fn batches(windows: &[(&[Token], f64)], random: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
    let mut by_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, (window, _)) in windows.iter().enumerate() {
        by_length.entry(window.len()).or_default().push(index);
    }
    let mut batches = Vec::new();
    for indices in by_length.values_mut() {
        indices.shuffle(random);
        batches.extend(indices.chunks(BATCH_WINDOWS).map(<[usize]>::to_vec));
    }
    batches.shuffle(random);
    batches
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn batches_hold_every_window_once_and_one_length_each() {
        let windows: Vec<Vec<Token>> = (0..300).map(|index| vec![Token(2); 1 + index % 3]).collect();
        let windows: Vec<(&[Token], f64)> = windows.iter().map(|window| (window.as_slice(), 1.0)).collect();
        let batches = batches(&windows, &mut ChaCha8Rng::seed_from_u64(1));
        let mut all: Vec<usize> = batches.concat();
        all.sort_unstable();
        assert_eq!(all, (0..300).collect::<Vec<_>>());
        for batch in &batches {
            assert!(batch.len() <= BATCH_WINDOWS);
            assert!(batch.iter().all(|&index| windows[index].0.len() == windows[batch[0]].0.len()), "{batch:?}");
        }
    }

    #[test]
    fn the_loss_falls_and_a_window_seen_often_costs_less_than_a_rare_one() {
        let story = |events: &[u16]| events.iter().copied().map(Token).collect::<Vec<_>>();
        let (often, rare) = (story(&[2, 6, 7]), story(&[2, 7, 6, 6]));
        let windows = BTreeMap::from([(often.clone(), 50.0), (rare.clone(), 1.0)]);
        let random = &mut ChaCha8Rng::seed_from_u64(1);
        let network = Network::new(8, random).expect("draws weights");
        let schedule = Schedule { epochs: 60, stop: &AtomicBool::new(false) };
        let losses = train(&network, &windows, schedule, random, &mut |_, _| ()).expect("trains");
        assert!(losses.len() == 60 && losses[59] < 0.3 * losses[0], "{losses:?}");
        let score = |window: &Vec<Token>| network.scores(&[window.as_slice()]).expect("scores")[0];
        assert!(score(&often) < score(&rare), "{} and {}", score(&often), score(&rare));
    }
}
