//! The follower, the engine and the pipeline over a simulated disk and clock, under seeded programs of whatever may happen to logs and to
//! the daemon, held against what was written.

use std::collections::BTreeSet;

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::cluster::Cluster;
use crate::hadoop::Weather;
use crate::run::{Program, Told, run};
use crate::vigil::{Fate, Vigil};

/// Nothing goes that nobody has read: every line enters once and in order, and the alerts are those of logs that were read at once.
#[test]
fn rotation_and_crashes_lose_no_line_and_change_no_alert() {
    crate::each_seed("rotation_and_crashes_lose_no_line_and_change_no_alert", |seed| {
        let cluster = cluster(seed);
        let mut vigil = vigil(seed, &cluster, false);
        vigil.run();
        check_lines(&vigil)?;
        let expected: BTreeSet<Told> = run(&cluster, &Program::plain()).into_iter().collect();
        for (found, what) in [(&vigil.shown, "written down"), (&vigil.received, "received")] {
            let found: BTreeSet<Told> = found.iter().cloned().collect();
            let (more, less) = (found.difference(&expected).next(), expected.difference(&found).next());
            if more.is_some() || less.is_some() {
                let late = vigil.late_records();
                vigil.explain();
                return Err(format!("{what} is {more:?}, and {less:?} is not; {late} late records"));
            }
        }
        Ok(())
    });
}

/// Files are deleted and truncated unread, locked and broken: nothing comes twice or out of order, and what is missing is said.
#[test]
fn what_is_lost_is_counted_and_nothing_else_is() {
    crate::each_seed("what_is_lost_is_counted_and_nothing_else_is", |seed| {
        let cluster = cluster(seed);
        let mut vigil = vigil(seed, &cluster, true);
        vigil.run();
        check_lines(&vigil)
    });
}

#[test]
fn the_same_seed_twice_goes_the_same_way() {
    for seed in crate::seeds().into_iter().take(20) {
        let cluster = cluster(seed);
        let runs = [(), ()].map(|()| {
            let mut vigil = vigil(seed, &cluster, seed % 2 == 0);
            vigil.run();
            (vigil.said, vigil.shown, vigil.received)
        });
        assert_eq!(runs[0], runs[1], "seed {seed}");
    }
}

/// What is wrong about the lines that entered; in a replay, with what the follower said.
fn check_lines(vigil: &Vigil<'_>) -> Result<(), String> {
    vigil.check_lines().inspect_err(|_| vigil.explain())
}

/// The logs of a seed, no two lines of which are equal.
fn cluster(seed: u64) -> Cluster {
    let mut cluster = Cluster::new(seed);
    for (log, lines) in cluster.streams.iter_mut().enumerate() {
        for (number, line) in lines.iter_mut().enumerate() {
            line.text = if line.text.starts_with('\t') {
                format!("{} ~{log}.{number}", line.text)
            } else {
                line.text.replacen(" 12 ", &format!(" {} ", (log + 1) * 10_000 + number), 1)
            };
        }
    }
    cluster
}

fn vigil(seed: u64, cluster: &Cluster, loses: bool) -> Vigil<'_> {
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x3a7e);
    let mut sometimes = |share: f64, of: &[f64]| if random.random_bool(share) { *of.choose(&mut random).unwrap() } else { 0.0 };
    let fate = Fate {
        crashes: sometimes(0.7, &[0.01, 0.05, 0.2]),
        away_seconds: sometimes(0.7, &[1.0, 10.0, 100.0]) as i64,
        torn: sometimes(0.5, &[0.2, 0.8]),
        full: sometimes(0.5, &[0.1, 0.5]),
        slow: sometimes(0.5, &[0.3, 0.9]),
        deaf: sometimes(0.5, &[0.2, 0.8]),
    };
    let weather = Weather {
        loses,
        fails: loses && sometimes(0.5, &[1.0]) > 0.0,
        hurries: sometimes(0.5, &[1.0]) > 0.0,
        halves: sometimes(0.5, &[1.0]) > 0.0,
        rotations: sometimes(0.9, &[0.01, 0.05, 0.2]),
        backups: 1 + sometimes(0.7, &[1.0, 4.0, 20.0]) as usize,
    };
    Vigil::new(seed, cluster, weather, fate)
}
