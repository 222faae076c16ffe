//! The crate from outside: real files, real HTTP, one file per hazard.

#![allow(clippy::unwrap_used, reason = "a test that fails so says where")]

mod config_mistakes;
mod metrics;
mod real_lines;
mod webhook_down;
