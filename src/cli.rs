//! The command line: one file a sub-command.

pub mod evaluate;
pub mod learn;
pub mod model;
