//! The pipeline alone under seeded programs of chunks, crashes and slow scorers, held against a naive reference.
//!
//! A failing seed prints itself; `HDFS_VIGIL_SEED=n cargo test --test sim` replays it. Seeds that failed once stay in `seeds.txt`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cluster;
mod run;
mod trouble;

use std::collections::BTreeSet;

use cluster::{Cluster, Line};
use run::{Program, Told, run};

#[test]
fn alerts_do_not_depend_on_cuts_crashes_or_the_speed_of_the_scorer() {
    let (seeds, mut alerts, mut troubles, mut near) = (seeds(), 0, 0, 0);
    for seed in &seeds {
        let cluster = Cluster::new(*seed);
        let expected = told_once(run(&merged(&cluster.streams), &Program::plain()));
        alerts += expected.len();
        let found = told_once(run(&cluster.streams, &Program::random(*seed)));
        let again = format!("HDFS_VIGIL_SEED={seed} cargo test --test sim");
        assert_eq!(of_blocks(&found), of_blocks(&expected), "{again}");
        assert_eq!(trouble::of_hosts(&found), trouble::naive(&cluster.streams), "{again}");
        let undisturbed = told_once(run(&cluster.streams, &Program::plain()));
        assert_eq!(found, undisturbed, "{again}");
        troubles += trouble::of_hosts(&found).len();
        near += found.iter().filter(|told| !told.nearby.is_empty()).count();
    }
    assert!(alerts >= seeds.len(), "the programs have something to tell: {alerts} alerts");
    let many = |count| count >= seeds.len();
    assert!(many(troubles) && many(near), "of hosts as well: {troubles} alerts, and {near} blocks with trouble near");
}

#[test]
fn the_same_program_twice_tells_the_same_in_the_same_order() {
    for seed in seeds().into_iter().take(20) {
        let streams = Cluster::new(seed).streams;
        let program = Program::random(seed);
        assert_eq!(run(&streams, &program), run(&streams, &program), "HDFS_VIGIL_SEED={seed} cargo test --test sim");
    }
}

#[test]
fn every_byte_is_accounted_for() {
    for seed in seeds().into_iter().take(50) {
        let streams = Cluster::new(seed).streams;
        let stats = run::stats(&streams, &Program::undisturbed(seed));
        let lines: usize = streams.iter().map(Vec::len).sum();
        let bytes: usize = streams.iter().flatten().map(|line| line.text.len() + 1).sum();
        assert_eq!((stats.lines, stats.bytes), (lines as u64, bytes as u64), "seed {seed}");
        assert_eq!(stats.records + stats.joined_lines + stats.unparsed_lines, stats.lines, "seed {seed}");
    }
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

/// The naive reference: all lines in one log, sorted.
fn merged(streams: &[Vec<Line>]) -> Vec<Vec<Line>> {
    vec![in_order(streams).into_iter().map(|(.., line)| line.clone()).collect()]
}

/// Running maximum of the stream's time, stream, number in the stream, line: in the order of log time.
fn in_order(streams: &[Vec<Line>]) -> Vec<(i64, usize, usize, &Line)> {
    let mut lines: Vec<(i64, usize, usize, &Line)> = Vec::new();
    for (stream, own) in streams.iter().enumerate() {
        let mut newest = i64::MIN;
        for (index, line) in own.iter().enumerate() {
            newest = newest.max(line.second);
            lines.push((newest, stream, index, line));
        }
    }
    lines.sort_by_key(|(second, stream, index, _)| (*second, *stream, *index));
    lines
}

fn seeds() -> Vec<u64> {
    if let Ok(seed) = std::env::var("HDFS_VIGIL_SEED") {
        return vec![seed.parse().expect("HDFS_VIGIL_SEED is a number")];
    }
    let count = std::env::var("HDFS_VIGIL_SEEDS").map_or(200, |count| count.parse().expect("HDFS_VIGIL_SEEDS is a number"));
    let kept = include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#')).map(|line| line.parse().unwrap());
    kept.chain(0..count).collect()
}
