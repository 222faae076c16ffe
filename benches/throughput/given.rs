//! What the stages are given beside lines: the settings that are delivered, and a profile with the vocabulary of the model for HDFS_v1.

use hdfs_vigil::config::{Config, Layers};
use hdfs_vigil::daemon::build;
use hdfs_vigil::pipeline::Settings;
use hdfs_vigil::pipeline::event::Token;
use hdfs_vigil::pipeline::profile::{
    Calibration, CountPattern, DrainSettings, FIRST_EVENT, Profile, Scope, UNKNOWN, VocabularyEntry,
};
use hdfs_vigil::pipeline::session::{Score, Window};

/// The settings of `config/default.toml`, whatever the environment says.
pub fn settings() -> Settings {
    let layers = Layers::read(&[], []).expect("the defaults can be read");
    build::pipeline_settings(&Config::check(&layers).expect("the defaults are sound"))
}

/// A profile with the vocabulary, the number of count patterns and the calibration of the model for HDFS_v1.
pub fn profile() -> Profile {
    let vocabulary = VOCABULARY.map(|(text, begins, endless_buckets_max)| VocabularyEntry {
        text: text.to_owned(),
        begins,
        endless_buckets_max,
    });
    Profile {
        name: "throughput".to_owned(),
        scope: Scope::Cluster,
        vocabulary: vocabulary.to_vec(),
        drain: DrainSettings::hdfs(),
        calibration: Calibration {
            sessions: 5582,
            quantiles: (0..=100).map(|percent| 0.5 + percent as f32 / 30.0).collect(),
            log_mean: 0.381,
            log_sd: 0.591,
            k: 2.0,
            floor: 2.75,
            ceiling: 9.33,
            epsilon: 0.1,
            patterns: (0..PATTERNS).map(pattern).collect(),
            weights: vec![1.0; usize::from(FIRST_EVENT) + VOCABULARY.len()],
            distance_max: 0.0,
        },
    }
}

/// A scorer that needs no time: what the vocabulary does not know scores high, and so do short stories.
pub fn score(window: &Window) -> Score {
    let unknown = window.tokens.contains(&UNKNOWN);
    let score = if unknown || window.tokens.len() < 6 { 20.0 } else { 0.8 };
    Score { score, distance: if score > 1.0 { 3.0 } else { 0.0 }, token_error: vec![0.5; window.tokens.len()] }
}

/// Stories that differ in how often a block is read and copied.
fn pattern(number: u16) -> CountPattern {
    let counts = [(7, 1 + number % 4), (9, 3), (11, 3), (12, 3), (14, 1 + number / 4), (15, 3), (16, 1), (17, 3), (19, 3)];
    CountPattern { counts: counts.map(|(token, count)| (Token(token), count)).to_vec(), sessions: 5000 / u64::from(number + 1) }
}

/// Text, whether stories begin with it, buckets if it repeats without end.
const VOCABULARY: [(&str, bool, Option<u8>); 14] = [
    ("<*>Verification succeeded for<*>", false, None),
    ("<*>Served block<*>to<*>", false, Some(4)),
    ("<*>Got exception while serving<*>to<*>", false, Some(4)),
    ("<*>Receiving block<*>src:<*>dest:<*>", true, None),
    ("<*>Received block<*>src:<*>dest:<*>of size<*>", false, None),
    ("<*>Received block<*>of size<*>from<*>", false, None),
    ("<*>PacketResponder <*> for block <*> terminating<*>", false, None),
    ("<*>:Transmitted block<*>to<*>", false, None),
    ("<*>Starting thread to transfer block<*>to<*>", false, None),
    ("<*>Deleting block<*>file<*>", false, None),
    ("<*>BLOCK* NameSystem<*>allocateBlock:<*>", true, None),
    ("<*>BLOCK* NameSystem<*>delete:<*>is added to invalidSet of<*>", false, None),
    ("<*>BLOCK* ask<*>to replicate<*>to<*>", false, None),
    ("<*>BLOCK* NameSystem<*>addStoredBlock: blockMap updated:<*>is added to<*>size<*>", false, None),
];

const PATTERNS: u16 = 112;
