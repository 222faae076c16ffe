//! The parts that touch the outside, held against the real thing: one file per hazard, named after it.

mod copytruncate;
mod deletion;
mod descriptors;
mod gzip;
mod inode_reuse;
mod permission;
mod random_rotation;
mod rotation;
mod short_files;
mod start_at;
mod symlink;
mod tail;
mod truncation;
mod two_patterns;
//! The crate from outside: real files, the real library, one file per hazard.

#![allow(clippy::unwrap_used, reason = "a test that fails so says where")]

mod model_command;
mod model_file;
mod model_library;
mod model_loading;
mod model_scores;
mod onnxruntime_script;
mod scorer_thread;
mod synthetic_model;
//! The crate from outside: real files, real HTTP, one file per hazard.

#![allow(clippy::unwrap_used, reason = "a test that fails so says where")]

mod config_mistakes;
mod metrics;
mod webhook_down;
