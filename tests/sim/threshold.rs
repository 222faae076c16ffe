//! The threshold under what happens to clusters: anomalies, bursts, outages, drift and changes for good, from seeded generators.
//!
//! Each scenario is run twice, once through checkpoints at moments of the seed's choice: the verdicts must be the same.

use hdfs_vigil::pipeline::profile::Calibration;
use hdfs_vigil::pipeline::session::Score;
use hdfs_vigil::pipeline::verdict::DetectorMode;
use hdfs_vigil::pipeline::verdict::threshold::{Change, Settings, Threshold};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

/// Sessions of one run.
const SESSIONS: usize = 60_000;
const SEEDS: u64 = 3;
/// Where things begin to happen.
const EVENT: usize = 20_000;
/// Moments of ln score in training.
const MEAN: f64 = 0.5;
const SD: f64 = 0.3;
/// Standard deviations by which anomalies, and levels, stand above.
const FAR: f64 = 8.0;
const EPSILON: f64 = 0.1;

#[test]
fn steady_anomalies_are_found_and_nothing_else() {
    for run in runs(|_, _| Story { anomalous: 0.03, ..CALM }) {
        run.check(Expected { recall: 0.996, false_alarms: 0.002, changes: 0, within: 0 }, 0..SESSIONS);
    }
}

#[test]
fn in_a_burst_every_failure_is_found() {
    let burst = EVENT..EVENT + 2000;
    for run in runs(|at, _| Story { anomalous: if burst.contains(&at) { 0.6 } else { 0.03 }, ..CALM }) {
        // Of 800 normal sessions, of which one in a thousand alarms.
        run.check(Expected { recall: 0.999, false_alarms: 0.005, changes: 0, within: 0 }, burst.clone());
        run.check(Expected { recall: 0.996, false_alarms: 0.002, changes: 0, within: 0 }, burst.end..SESSIONS);
    }
}

#[test]
fn a_level_that_moves_for_good_is_another_regime_once() {
    for run in runs(|at, _| Story { anomalous: 0.03, level: if at < EVENT { 0.0 } else { FAR }, ..CALM }) {
        run.check(Expected { recall: 0.99, false_alarms: 0.002, changes: 1, within: 1424 }, EVENT + 1424..SESSIONS);
    }
}

#[test]
fn a_cold_start_far_off_is_another_regime_once() {
    for run in runs(|_, _| Story { anomalous: 0.03, level: FAR, ..CALM }) {
        assert_eq!(run.changed_at.first().map(|at| *at <= 1520), Some(true), "{:?}", run.changed_at);
        let after = Run { changed_at: Vec::new(), ..run };
        after.check(Expected { recall: 0.99, false_alarms: 0.002, changes: 0, within: 0 }, 1520..SESSIONS);
    }
}

#[test]
fn a_level_that_goes_back_takes_up_the_threshold_of_before() {
    let (away, back) = (EVENT..40_000, 40_000);
    for run in runs(|at, _| Story { anomalous: 0.03, level: if away.contains(&at) { FAR } else { 0.0 }, ..CALM }) {
        assert_eq!((run.changed_at.len(), run.returned_at.len()), (1, 1), "{:?} {:?}", run.changed_at, run.returned_at);
        assert!(run.returned_at[0] <= back + 1424, "{:?}", run.returned_at);
        let after = Run { changed_at: Vec::new(), ..run };
        after.check(Expected { recall: 0.996, false_alarms: 0.002, changes: 0, within: 0 }, back + 1424..SESSIONS);
    }
}

#[test]
fn an_outage_is_told_block_by_block_and_never_becomes_normal() {
    let outage = EVENT..EVENT + 400;
    for run in runs(|at, _| Story { anomalous: if outage.contains(&at) { 1.0 } else { 0.03 }, ..CALM }) {
        run.check(Expected { recall: 0.999, false_alarms: 0.002, changes: 0, within: 0 }, outage.clone());
        run.check(Expected { recall: 0.996, false_alarms: 0.002, changes: 0, within: 0 }, outage.end..SESSIONS);
    }
}

#[test]
fn a_slow_drift_is_followed() {
    let drift = |at: usize| 4.0 * at as f64 / SESSIONS as f64;
    for run in runs(|at, _| Story { anomalous: 0.03, level: drift(at), ..CALM }) {
        run.check(Expected { recall: 0.99, false_alarms: 0.004, changes: 0, within: 0 }, 0..SESSIONS);
    }
}

/// Someone has to look at it and to mute its signature: the threshold must neither hide it nor what else goes wrong.
#[test]
fn a_part_of_the_traffic_that_moves_for_good_is_told_as_long_as_it_is_there() {
    let moved = |at: usize, rng: &mut ChaCha8Rng| at >= EVENT && rng.random_bool(0.3);
    for run in runs(|at, rng| Story { anomalous: if moved(at, rng) { 1.0 } else { 0.03 }, ..CALM }) {
        run.check(Expected { recall: 0.996, false_alarms: 0.002, changes: 0, within: 0 }, EVENT..SESSIONS);
    }
}

#[test]
fn one_huge_score_changes_no_other_verdict() {
    let plain = runs(|_, _| Story { anomalous: 0.03, ..CALM });
    for huge in [f32::MAX, 1e30, 50.0] {
        let with = runs(|at, _| Story { anomalous: 0.03, huge: (at == EVENT).then_some(huge), ..CALM });
        for (plain, with) in plain.iter().zip(&with) {
            let differ: Vec<usize> = (0..SESSIONS).filter(|at| plain.flagged[*at] != with.flagged[*at]).collect();
            assert!(differ.iter().all(|at| *at == EVENT), "{huge}: {differ:?}");
            assert_eq!(with.changed_at, Vec::<usize>::new());
        }
    }
}

/// The threshold counts episodes, not time: what was silence is nothing to it, however long.
#[test]
fn while_most_scores_stand_above_it_nothing_moves_the_threshold() {
    let mut threshold = Threshold::new(Settings::default(), &calibration());
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut feed = |threshold: &mut Threshold, level: f64, times: usize| {
        for _ in 0..times {
            let verdict = threshold.judge(&score(MEAN + level * SD + Normal::new(0.0, SD).unwrap().sample(&mut rng)));
            assert!(threshold.learn(&verdict).is_none());
        }
    };
    assert_eq!(threshold.mode(), DetectorMode::Warmup);
    feed(&mut threshold, 0.0, 2000);
    assert_eq!(threshold.mode(), DetectorMode::Active);
    feed(&mut threshold, FAR, 65);
    let frozen = threshold.value();
    assert_eq!(threshold.mode(), DetectorMode::Frozen);
    feed(&mut threshold, FAR, 500);
    feed(&mut threshold, 0.0, 63);
    assert_eq!((threshold.mode(), threshold.value()), (DetectorMode::Frozen, frozen));
    feed(&mut threshold, 0.0, 128);
    assert_eq!(threshold.mode(), DetectorMode::Active);
}

#[test]
fn what_the_operator_wants_to_stand_still_does() {
    for (settings, moves) in [
        (Settings { adapt: false, ..Settings::default() }, false),
        (Settings { regime_share: 1.0, ..Settings::default() }, false),
        (Settings::default(), true),
    ] {
        let mut threshold = Threshold::new(settings, &calibration());
        let at_first = threshold.value();
        for _ in 0..5000 {
            let verdict = threshold.judge(&score(MEAN + FAR * SD));
            threshold.learn(&verdict);
        }
        assert_eq!(threshold.value() > at_first, moves, "{settings:?}");
        assert_eq!(threshold.mode() == DetectorMode::Frozen, !moves, "{settings:?}");
    }
}

/// What a session is like.
#[derive(Clone, Copy)]
struct Story {
    /// Probability of being anomalous.
    anomalous: f64,
    /// Standard deviations above the training's mean at which its scores lie.
    level: f64,
    /// Its score, whatever it would be.
    huge: Option<f32>,
}

const CALM: Story = Story { anomalous: 0.0, level: 0.0, huge: None };

/// What came of a run.
struct Run {
    anomalous: Vec<bool>,
    flagged: Vec<bool>,
    changed_at: Vec<usize>,
    returned_at: Vec<usize>,
}

/// Least recall, most false alarms, how many changes of regime, and within how many sessions of the event.
struct Expected {
    recall: f64,
    false_alarms: f64,
    changes: usize,
    within: usize,
}

impl Run {
    fn check(&self, expected: Expected, phase: std::ops::Range<usize>) {
        let share = |of: bool| {
            let of: Vec<usize> = phase.clone().filter(|at| self.anomalous[*at] == of).collect();
            of.iter().filter(|at| self.flagged[**at]).count() as f64 / of.len().max(1) as f64
        };
        let (recall, false_alarms) = (share(true), share(false));
        assert!(recall >= expected.recall, "recall {recall} in {phase:?}");
        assert!(false_alarms <= expected.false_alarms, "false alarms {false_alarms} in {phase:?}");
        assert_eq!(self.changed_at.len(), expected.changes, "{:?}", self.changed_at);
        assert!(self.changed_at.iter().all(|at| at - EVENT <= expected.within), "{:?}", self.changed_at);
    }
}

/// The scenario with each seed, without and with restarts, which must make no difference.
fn runs(story: impl Fn(usize, &mut ChaCha8Rng) -> Story) -> Vec<Run> {
    let both = (1..=SEEDS).map(|seed| (run(seed, false, &story), run(seed, true, &story)));
    both.map(|(plain, restarted)| {
        assert!(plain.flagged == restarted.flagged, "a restart changes a verdict");
        assert_eq!((&plain.changed_at, &plain.returned_at), (&restarted.changed_at, &restarted.returned_at));
        plain
    })
    .collect()
}

fn run(seed: u64, restarts: bool, story: impl Fn(usize, &mut ChaCha8Rng) -> Story) -> Run {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut crashes = ChaCha8Rng::seed_from_u64(seed ^ 0xc0ff_ee00);
    let calibration = calibration();
    let mut threshold = Threshold::new(Settings::default(), &calibration);
    let mut run = Run { anomalous: Vec::new(), flagged: Vec::new(), changed_at: Vec::new(), returned_at: Vec::new() };
    let noise = Normal::new(0.0, SD).unwrap();
    for at in 0..SESSIONS {
        let story = story(at, &mut rng);
        let anomalous = rng.random_bool(story.anomalous);
        let x = MEAN + (story.level + if anomalous { FAR } else { 0.0 }) * SD + noise.sample(&mut rng);
        let score = story.huge.map_or_else(|| score(x), |huge| Score { score: huge, ..score(x) });
        let verdict = threshold.judge(&score);
        match threshold.learn(&verdict) {
            Some(Change::Moved { before, after }) => {
                assert!(after.threshold > before.threshold);
                run.changed_at.push(at);
            }
            Some(Change::Returned { undone, .. }) => {
                assert_eq!(undone, 1);
                run.returned_at.push(at);
            }
            None => {}
        }
        run.anomalous.push(anomalous || story.huge.is_some());
        run.flagged.push(verdict.anomalous);
        if restarts && crashes.random_bool(0.002) {
            let kept = postcard::to_stdvec(threshold.kept()).unwrap();
            threshold = Threshold::restore(Settings::default(), &calibration, postcard::from_bytes(&kept).unwrap());
        }
    }
    run
}

/// Of normal counts only the score decides.
fn score(x: f64) -> Score {
    let score = (x.exp() - EPSILON).max(0.0) as f32;
    Score { score, distance: 1.0, token_error: vec![score] }
}

/// Of scores whose logarithm is normally distributed, with k for one false alarm in a thousand.
fn calibration() -> Calibration {
    let normal = Normal::new(MEAN, SD).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut scores: Vec<f32> = (0..10_001).map(|_| score(normal.sample(&mut rng)).score).collect();
    scores.sort_by(f32::total_cmp);
    Calibration {
        sessions: scores.len() as u64,
        quantiles: (0..=100).map(|percent| scores[percent * 100]).collect(),
        log_mean: MEAN,
        log_sd: SD,
        k: 3.09,
        floor: scores[9000],
        ceiling: 1e6,
        epsilon: EPSILON,
        patterns: Vec::new(),
        weights: Vec::new(),
        distance_max: 0.5,
    }
}
