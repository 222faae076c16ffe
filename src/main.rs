//! The `hdfs-vigil` program: parses the command line and hands over to the library.

use std::process::ExitCode;

use clap::Parser;
use hdfs_vigil::cli::Cli;

fn main() -> ExitCode {
    hdfs_vigil::cli::main(Cli::parse())
}
