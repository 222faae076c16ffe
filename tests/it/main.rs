//! The parts that touch the outside, held against the real thing: one file per hazard, named after it.

// A test that cannot go on may say so by panicking.
#![allow(clippy::unwrap_used)]

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
mod under_load;
