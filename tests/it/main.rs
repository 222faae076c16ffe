//! The parts that touch the outside, held against the real thing: one file per hazard, named after it.

#![allow(clippy::unwrap_used, reason = "a test that fails so says where")]

mod bad_input;
mod config_mistakes;
mod copytruncate;
mod cuts;
mod daylight_saving;
mod deletion;
mod descriptors;
mod doctor;
mod evaluating;
mod explanations;
mod gzip;
mod host_trouble;
mod inode_reuse;
mod learn_command;
mod learning;
mod metrics;
mod model_command;
mod model_file;
mod model_library;
mod model_loading;
mod model_scores;
mod onnxruntime_script;
mod permission;
mod random_rotation;
mod real_blocks;
mod real_data;
mod real_lines;
mod real_logs;
mod restart;
mod rotation;
mod scorer_thread;
mod short_files;
mod start_at;
mod symlink;
mod synthetic_model;
mod tail;
mod telling;
mod templates;
mod trace_over_rotation;
mod truncation;
mod two_patterns;
mod under_load;
mod vigil;
mod webhook_down;
