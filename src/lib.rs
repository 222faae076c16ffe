//! Keeps vigil over HDFS: follows its logs, gathers the events of every block, and says which blocks go wrong, and why.

pub mod cli;
pub mod config;
pub mod daemon;
pub mod ingest;
pub mod learn;
pub mod limits;
pub mod model;
pub mod pipeline;
pub mod report;
pub mod sink;
pub mod state;
