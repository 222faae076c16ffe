//! The crate from outside: real files, the real library, one file per hazard.

#![allow(clippy::unwrap_used, reason = "a test that fails so says where")]

mod learning;
mod model_command;
mod model_file;
mod model_library;
mod model_loading;
mod model_scores;
mod onnxruntime_script;
mod scorer_thread;
mod synthetic_model;
