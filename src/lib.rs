//! Keeps vigil over HDFS: follows its logs, gathers the events of every block, and says which blocks go wrong, and why.

pub mod cli;
pub mod limits;
pub mod model;
pub mod pipeline;
