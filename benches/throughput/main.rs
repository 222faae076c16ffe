//! Throughput of every stage and of the whole, beside the limit of this machine: counting the newlines of the same bytes.
//!
//! `cargo bench --bench throughput` takes about a minute; `-- lines/` or `-- scorer` runs a part. Every figure of a group is in
//! the same unit (lines, cases, windows a second) and from the same run, so that their ratios hold on any machine.

mod given;
mod lines;
mod log;
mod scorer;
mod verdicts;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

criterion_group! {
    name = throughput;
    config = short_runs();
    targets = lines::stages, lines::whole, verdicts::verdicts, scorer::scorer
}
criterion_main!(throughput);

/// Long enough for a median that holds within some percent; `--measurement-time 10` asks for more.
fn short_runs() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_millis(1200)).sample_size(10)
}
