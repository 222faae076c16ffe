//! The daemon: one loop that waits, handles and routes.

pub mod clock;
pub mod engine;
