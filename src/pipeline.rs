//! From bytes to alerts, as a pure state machine: no I/O, clock, thread, randomness or logging.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

pub mod event;
pub mod profile;
pub mod session;
pub mod stats;
pub mod verdict;
