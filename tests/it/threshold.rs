//! The threshold over the scores that the shipped model gives to real sessions of HDFS_v1, through what happens to clusters.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hdfs_vigil::learn::Corpus;
use hdfs_vigil::learn::evaluate::windows;
use hdfs_vigil::model::scorer::Scorer;
use hdfs_vigil::pipeline::profile::Calibration;
use hdfs_vigil::pipeline::session::Score;
use hdfs_vigil::pipeline::verdict::DetectorMode;
use hdfs_vigil::pipeline::verdict::threshold::{Change, Settings, Threshold};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::real_data;
use crate::vigil::model;

#[test]
fn real_sessions_are_told_apart_in_calm_and_in_storms() {
    let Some(sessions) = Sessions::load() else { return };
    for (name, phase, anomalous) in [("calm", 0..0, 0.03), ("burst", 8000..10_000, 0.6), ("outage", 8000..8400, 1.0)] {
        let story = |at: usize| Story { anomalous: if phase.contains(&at) { anomalous } else { 0.03 }, louder: 1.0 };
        let run = sessions.run(1, Settings::default(), story);
        assert!(run.recall(0) >= 0.995 && run.false_alarms(0) <= 0.0025, "{name}: {} {}", run.recall(0), run.false_alarms(0));
        assert_eq!((run.changes.len(), run.mode), (0, DetectorMode::Active), "{name}");
        if name == "calm" {
            assert!(!run.was_frozen, "calm traffic freezes nothing");
        }
    }
}

/// All scores are multiplied: as where every story comes in an order that the model finds unlikely.
#[test]
fn real_sessions_in_another_regime_are_told_apart_after_one_change() {
    let Some(sessions) = Sessions::load() else { return };
    let settings = Settings { ceiling: Some(100.0), ..Settings::default() };
    let run = sessions.run(2, settings, |at| Story { anomalous: 0.03, louder: if at < MIDWAY { 1.0 } else { 7.0 } });
    assert_eq!(run.changes.len(), 1, "{:?}", run.changes);
    assert!(run.changes[0] - MIDWAY <= 1424, "{:?}", run.changes);
    let after = MIDWAY + 2000;
    assert!(run.recall(after) >= 0.99 && run.false_alarms(after) <= 0.0025, "{} {}", run.recall(after), run.false_alarms(after));
}

/// With the ceiling of the model nothing helps, so nothing changes: what no normal story has the counts of is told as before.
#[test]
fn real_sessions_beyond_the_ceiling_freeze_the_threshold() {
    let Some(sessions) = Sessions::load() else { return };
    let story = |at| Story { anomalous: 0.03, louder: if at < MIDWAY { 1.0 } else { 7.0 } };
    let run = sessions.run(3, Settings::default(), story);
    assert_eq!((run.changes.len(), run.mode), (0, DetectorMode::Frozen));
    assert!(
        run.recall(MIDWAY) >= 0.995 && run.false_alarms(MIDWAY) <= 0.005,
        "{} {}",
        run.recall(MIDWAY),
        run.false_alarms(MIDWAY)
    );
}

const SESSIONS: usize = 20_000;
const MIDWAY: usize = 8000;

/// What a session is like.
struct Story {
    /// Probability of being anomalous.
    anomalous: f64,
    /// What its score is multiplied by.
    louder: f32,
}

/// Real sessions as the model scores them.
struct Sessions {
    normal: Vec<Score>,
    anomalous: Vec<Score>,
    calibration: Calibration,
}

struct Run {
    anomalous: Vec<bool>,
    flagged: Vec<bool>,
    /// Sessions at which the regime changed.
    changes: Vec<usize>,
    was_frozen: bool,
    mode: DetectorMode,
}

impl Sessions {
    fn load() -> Option<Self> {
        let path = |name: &str| real_data::path(&format!("hdfs_v1/{name}"));
        let (normal, anomalous) = (path("more_normal.csv")?, path("test_anomalous.csv")?);
        let mut scorer = Scorer::load(&model()).unwrap();
        let mut scores = |path: PathBuf| {
            let corpus = Corpus::from_session_files(&[path], None).unwrap();
            let windows = windows(&scorer.contract().profile, &corpus);
            let mut known: BTreeMap<_, Score> = BTreeMap::new();
            let scored = windows.iter().map(|window| {
                let score = || scorer.score(std::slice::from_ref(window)).remove(0).unwrap();
                known.entry(window.tokens.clone()).or_insert_with(score).clone()
            });
            scored.collect()
        };
        let (normal, anomalous) = (scores(normal), scores(anomalous));
        Some(Self { normal, anomalous, calibration: scorer.contract().profile.calibration.clone() })
    }

    fn run(&self, seed: u64, settings: Settings, story: impl Fn(usize) -> Story) -> Run {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut threshold = Threshold::new(settings, &self.calibration);
        let mode = threshold.mode();
        let mut run = Run { anomalous: Vec::new(), flagged: Vec::new(), changes: Vec::new(), was_frozen: false, mode };
        for at in 0..SESSIONS {
            let story = story(at);
            let anomalous = rng.random_bool(story.anomalous);
            let from = if anomalous { &self.anomalous } else { &self.normal };
            let score = from.choose(&mut rng).unwrap();
            let verdict = threshold.judge(&Score { score: score.score * story.louder, ..score.clone() });
            if let Some(Change::Moved { .. }) = threshold.learn(&verdict) {
                run.changes.push(at);
            }
            run.mode = threshold.mode();
            run.was_frozen |= run.mode == DetectorMode::Frozen;
            run.anomalous.push(anomalous);
            run.flagged.push(verdict.anomalous);
        }
        run
    }
}

impl Run {
    /// Share of the anomalous sessions from there on that were flagged.
    fn recall(&self, from: usize) -> f64 {
        self.share(from, true)
    }

    /// Share of the normal ones.
    fn false_alarms(&self, from: usize) -> f64 {
        self.share(from, false)
    }

    fn share(&self, from: usize, anomalous: bool) -> f64 {
        let of: Vec<usize> = (from..self.flagged.len()).filter(|at| self.anomalous[*at] == anomalous).collect();
        of.iter().filter(|at| self.flagged[**at]).count() as f64 / of.len() as f64
    }
}
