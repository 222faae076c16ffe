//! What a model file says of itself: how the pipeline is to use it, how it was made, and windows to check it with.
//!
//! All of it travels inside the `.onnx` as one metadata property.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::pipeline::event::Token;
use crate::pipeline::profile::Profile;

/// Version of this contract. A file with another one is refused.
pub const CONTRACT_VERSION: u32 = 1;
/// Key of the metadata property that holds a [`Contract`] as JSON.
pub const METADATA_KEY: &str = "hdfs_vigil";

/// Everything about a model that is not in its graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contract {
    /// [`CONTRACT_VERSION`].
    pub version: u32,
    /// How the pipeline is to use it.
    pub profile: Profile,
    /// [`vocabulary_sha256`] of the profile: refused when it is another one. `None` in files that do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocabulary_sha256: Option<String>,
    /// How it was made. No date: the same data and seed give the same bytes.
    pub training: Training,
    /// Windows with their scores, to be reproduced by whoever loads the file.
    pub golden: Vec<Golden>,
}

/// SHA-256 over the texts of a vocabulary, each with a line feed behind it, in lower-case hexadecimal digits. It shows that a contract
/// was edited, or put together with a graph of other tokens.
#[must_use]
pub fn vocabulary_sha256(profile: &Profile) -> String {
    let mut hasher = Sha256::new();
    for entry in &profile.vocabulary {
        hasher.update(entry.text.as_bytes());
        hasher.update(b"\n");
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How a model was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Names of the inputs (file names only) with the SHA-256 of their bytes, in order.
    pub inputs: Vec<(String, String)>,
    /// Whole sessions seen.
    pub sessions: u64,
    /// Seed of every random draw.
    pub seed: u64,
    /// Mean loss in nats per token after each epoch.
    pub loss: Vec<f32>,
    /// Width of the embedding, the LSTMs and the latent vector.
    pub embedding: u32,
    /// Units of each LSTM.
    pub hidden: u32,
    /// Width of the latent vector.
    pub latent: u32,
}

/// A window and what the training framework made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Golden {
    /// Model tokens.
    pub tokens: Vec<Token>,
    /// The score, nats.
    pub score: f32,
    /// The distance.
    pub distance: f32,
}
