//! What must hold of every input, as plain functions that panic when it does not: the fuzz targets call them, and so do the tests.
//!
//! The pipeline is compiled in here from its own sources. It imports nothing of its neighbours (`tests/tidy.rs` holds that), so that
//! a fuzzer builds in seconds and instruments nothing else. Checkpoints and configurations need the whole program: their targets build with
//! `--features whole`, and the tests run them where the program is built anyway (`tests/it/fuzzed.rs`).

#[path = "../../src"]
mod source {
    pub mod limits;
    pub mod pipeline;
}

pub use source::{limits, pipeline};

pub mod block;
pub mod changes;
#[cfg(feature = "whole")]
pub mod checkpoint;
#[cfg(feature = "whole")]
pub mod config;
pub mod frame;
pub mod input;
pub mod parse;
pub mod template;
