//! Cases a second: how fast scores are held against the threshold, and how fast flagged cases are explained.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use hdfs_vigil::pipeline::session::{Case, Score};
use hdfs_vigil::pipeline::verdict::Verdict;
use hdfs_vigil::pipeline::verdict::explain::explain;
use hdfs_vigil::pipeline::verdict::threshold::Threshold;

use crate::{given, lines};

/// Threshold and explanation.
pub fn verdicts(criterion: &mut Criterion) {
    let profile = given::profile();
    let mut threshold = Threshold::new(given::settings().threshold, &profile.calibration);
    let scored: Vec<(Score, Case)> = lines::cases().into_iter().map(|case| (given::score(&case.window()), case)).collect();
    let mut group = criterion.benchmark_group("cases");
    group.throughput(Throughput::Elements(scored.len() as u64));
    group.bench_function("threshold", |bencher| {
        bencher.iter(|| scored.iter().for_each(|(score, _)| judge(&mut threshold, score)));
    });
    let judged = scored.iter().map(|(score, case)| (case, score, threshold.judge(score)));
    let flagged: Vec<(&Case, &Score, Verdict)> = judged.filter(|(.., verdict)| verdict.anomalous).collect();
    group.throughput(Throughput::Elements(flagged.len() as u64));
    group.bench_function("explain", |bencher| {
        bencher.iter(|| {
            for (case, score, verdict) in &flagged {
                black_box(explain(case, score, verdict, &profile, |_| Some("an unknown event of <*>".to_owned())));
            }
        });
    });
    group.finish();
}

fn judge(threshold: &mut Threshold, score: &Score) {
    let verdict = threshold.judge(score);
    threshold.learn(black_box(&verdict));
}
