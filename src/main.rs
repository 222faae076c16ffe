//! The `hdfs-vigil` program: parses the command line and hands over to the library.

use std::sync::Arc;

use clap::Parser;

/// Keeps vigil over HDFS.
#[derive(Parser)]
#[command(version)]
enum Command {
    /// Train a model
    Learn(hdfs_vigil::cli::learn::Args),
    /// Hold models against labelled sessions
    Evaluate(hdfs_vigil::cli::evaluate::Args),
}

fn main() -> anyhow::Result<()> {
    let stop = Arc::default();
    let mut out = std::io::stdout().lock();
    match Command::parse() {
        Command::Learn(args) => hdfs_vigil::cli::learn::run(&args, &stop, &mut out),
        Command::Evaluate(args) => hdfs_vigil::cli::evaluate::run(&args, &stop, &mut out),
    }
}
