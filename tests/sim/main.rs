//! The pipeline alone, and the follower and the engine over a simulated disk, under seeded programs of whatever may happen to them, held
//! against naive references.
//!
//! A failing seed prints itself; `HDFS_VIGIL_SEED=n cargo test --test sim` replays it. Seeds that failed once stay in `seeds.txt`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod checkpoints;
mod cluster;
mod disk;
mod hadoop;
mod run;
mod tailing;
mod threshold;
mod trouble;
mod vigil;

use std::collections::{BTreeMap, BTreeSet};

use cluster::Cluster;
use run::{Program, Told, run};

#[test]
fn alerts_do_not_depend_on_cuts_crashes_or_the_speed_of_the_scorer() {
    let (seeds, mut alerts, mut troubles, mut near) = (seeds(), 0, 0, 0);
    let mut of_the_model: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in &seeds {
        let cluster = Cluster::new(*seed);
        let expected = told_once(run(&cluster.merged(), &Program::plain()));
        alerts += expected.len();
        let found = told_once(run(&cluster, &Program::random(*seed)));
        let again = format!("HDFS_VIGIL_SEED={seed} cargo test --test sim");
        assert_eq!(of_blocks(&found), of_blocks(&expected), "{again}");
        assert_eq!(trouble::of_hosts(&found), trouble::naive(&cluster.streams), "{again}");
        let undisturbed = told_once(run(&cluster, &Program::plain()));
        assert_eq!(found, undisturbed, "{again}");
        troubles += trouble::of_hosts(&found).len();
        found.iter().for_each(|told| *of_the_model.entry(told.alert_type).or_default() += 1);
        near += found.iter().filter(|told| !told.nearby.is_empty()).count();
    }
    assert!(alerts >= seeds.len(), "the programs have something to tell: {alerts} alerts");
    let told = |alert_type| of_the_model.get(alert_type).copied().unwrap_or_default();
    let some = ["template.new", "model.domain_mismatch", "model.domain_resolved", "regime.changed"].map(told);
    assert!(seeds.len() < 100 || some.iter().all(|count| *count > 0), "{of_the_model:?}");
    let many = |count| count >= seeds.len();
    assert!(many(troubles) && many(near), "of hosts as well: {troubles} alerts, and {near} blocks with trouble near");
}

#[test]
fn a_swap_at_one_point_of_the_input_gives_the_same_alerts_however_that_was_read() {
    let (seeds, mut alerts, mut changed) = (seeds(), 0, 0);
    for seed in &seeds {
        let cluster = Cluster::new(*seed);
        let second = cluster.middle();
        let expected = told_once(run(&cluster, &Program::plain().with_swap_at(second)));
        let found = told_once(run(&cluster, &Program::random(*seed).with_swap_at(second)));
        assert_eq!(found, expected, "HDFS_VIGIL_SEED={seed} cargo test --test sim");
        alerts += found.len();
        changed += usize::from(found != told_once(run(&cluster, &Program::plain())));
    }
    assert!(alerts >= seeds.len() && changed * 2 > seeds.len(), "{alerts} alerts, {changed} programs that a swap changes");
}

#[test]
fn the_same_program_twice_tells_the_same_in_the_same_order() {
    for seed in seeds().into_iter().take(20) {
        let cluster = Cluster::new(seed);
        let program = Program::random(seed);
        assert_eq!(run(&cluster, &program), run(&cluster, &program), "HDFS_VIGIL_SEED={seed} cargo test --test sim");
    }
}

#[test]
fn every_byte_is_accounted_for() {
    for seed in seeds().into_iter().take(50) {
        let cluster = Cluster::new(seed);
        let stats = run::stats(&cluster, &Program::undisturbed(seed));
        let streams = cluster.streams;
        let lines: usize = streams.iter().map(Vec::len).sum();
        let bytes: usize = streams.iter().flatten().map(|line| line.text.len() + 1).sum();
        assert_eq!((stats.lines, stats.bytes), (lines as u64, bytes as u64), "seed {seed}");
        assert_eq!(stats.records + stats.joined_lines + stats.unparsed_lines(), stats.lines, "seed {seed}");
    }
}

#[test]
fn name_services_side_by_side_tell_what_they_would_if_every_line_named_its_pool() {
    let (seeds, mut alerts, mut collisions) = (seeds(), 0, 0);
    for seed in &seeds {
        let expected = told_once(run(&Cluster::of_several_pools(*seed, true).configured().merged(), &Program::plain()));
        let blocks: BTreeSet<_> = expected.iter().map(|told| &told.of).collect();
        let incidents: BTreeSet<_> = expected.iter().map(|told| &told.incident).collect();
        collisions += incidents.len().saturating_sub(blocks.len());
        alerts += expected.len();
        let found = told_once(run(&Cluster::of_several_pools(*seed, false).configured(), &Program::random(*seed)));
        assert_eq!(found, expected, "HDFS_VIGIL_SEED={seed} cargo test --test sim");
    }
    assert!(alerts >= seeds.len(), "the programs have something to tell: {alerts} alerts");
    assert!(seeds.len() < 100 || collisions > 0, "blocks of two pools with the same number go wrong in some");
}

#[test]
fn what_is_learnt_of_pools_does_not_depend_on_cuts_crashes_or_the_speed_of_the_scorer() {
    let (seeds, mut alerts, mut left_out) = (seeds(), 0, 0);
    for seed in &seeds {
        let cluster = Cluster::of_several_pools(*seed, false);
        let expected = told_once(run(&cluster, &Program::plain()));
        alerts += expected.len();
        left_out += run::stats(&cluster, &Program::plain()).ambiguous_pools;
        let found = told_once(run(&cluster, &Program::random(*seed)));
        assert_eq!(found, expected, "HDFS_VIGIL_SEED={seed} cargo test --test sim");
    }
    assert!(alerts >= seeds.len() && left_out > 0, "{alerts} alerts, {left_out} events left out");
}

/// What was told, each alert once: a crash may tell it again, with the same id.
fn told_once(told: Vec<Told>) -> BTreeSet<Told> {
    told.into_iter().collect()
}

/// The alerts on blocks, without what depends on there being several logs.
fn of_blocks(told: &BTreeSet<Told>) -> BTreeSet<Told> {
    let blocks = told.iter().filter(|told| told.alert_type != "host.trouble");
    blocks.map(|told| Told { nearby: String::new(), ..told.clone() }).collect()
}

/// Runs `program` with every seed, and prints those that fail with the command that replays them.
fn each_seed(test: &str, program: impl Fn(u64) -> Result<(), String> + std::panic::RefUnwindSafe) {
    let mut failed = 0;
    for seed in seeds() {
        let result = std::panic::catch_unwind(|| program(seed)).unwrap_or_else(|_| Err("it panics".to_owned()));
        if let Err(error) = result {
            println!("seed {seed}: {error}; HDFS_VIGIL_SEED={seed} cargo test --test sim {test}");
            failed += 1;
        }
    }
    assert_eq!(failed, 0, "seeds fail; put them into tests/sim/seeds.txt");
}

fn seeds() -> Vec<u64> {
    if let Ok(seed) = std::env::var("HDFS_VIGIL_SEED") {
        return vec![seed.parse().expect("HDFS_VIGIL_SEED is a number")];
    }
    let count = std::env::var("HDFS_VIGIL_SEEDS").map_or(200, |count| count.parse().expect("HDFS_VIGIL_SEEDS is a number"));
    let kept = include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#')).map(|line| line.parse().unwrap());
    kept.chain(0..count).collect()
}
