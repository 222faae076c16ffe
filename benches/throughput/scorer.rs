//! Windows a second through the model for HDFS_v1: batches of windows never seen before, and of remembered ones.

use std::path::Path;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use hdfs_vigil::model::scorer::Scorer;
use hdfs_vigil::pipeline::event::Token;
use hdfs_vigil::pipeline::profile::{FIRST_EVENT, START};
use hdfs_vigil::pipeline::session::Window;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Batches of all sizes, where there is an ONNX Runtime.
pub fn scorer(criterion: &mut Criterion) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/hdfs-v1/model.onnx");
    let mut scorer = match Scorer::load(&path) {
        Ok(scorer) => scorer,
        Err(error) => return eprintln!("skipped: scorer: {error}"),
    };
    let tokens = scorer.contract().profile.vocabulary.len() as u16;
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut group = criterion.benchmark_group("windows");
    for steps in [20, 50] {
        for batch in [1, 8, 32, 128] {
            let mut windows = || -> Vec<Window> { (0..batch).map(|_| window(&mut random, steps, tokens)).collect() };
            group.throughput(Throughput::Elements(batch));
            let known = windows();
            group.bench_function(BenchmarkId::new(format!("new, {steps} steps"), batch), |bencher| {
                bencher.iter_batched(&mut windows, |windows| scorer.score(&windows), BatchSize::PerIteration);
            });
            scorer.score(&known);
            group.bench_function(BenchmarkId::new(format!("remembered, {steps} steps"), batch), |bencher| {
                bencher.iter(|| scorer.score(&known));
            });
        }
    }
    group.finish();
}

/// A story of random events: there are so many that none comes up twice.
fn window(random: &mut ChaCha8Rng, steps: usize, tokens: u16) -> Window {
    let mut event = || Token(random.random_range(FIRST_EVENT..FIRST_EVENT + tokens));
    Window { tokens: std::iter::once(START).chain(std::iter::repeat_with(&mut event).take(steps - 1)).collect() }
}
