//! The command line: one file a sub-command.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::Mistakes;
use crate::daemon::control::socket::SocketError;
use crate::model::scorer::LoadError;
use crate::model::scorer::library::LibraryError;
use crate::state::directory::StateError;

pub mod alerts;
pub mod check_config;
pub mod demo;
mod destination;
pub mod doctor;
pub mod evaluate;
pub mod experiment;
pub mod learn;
pub mod model;
pub mod replay;
pub mod run;
pub mod templates;

/// Keeps vigil over HDFS: follows the logs of NameNodes and DataNodes and says which blocks go wrong, and why.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Alerts(alerts::Args),
    Demo(demo::Args),
    Replay(replay::Args),
    Learn(learn::Args),
    Evaluate(evaluate::Args),
    Experiment(experiment::ExperimentArgs),
    Model(model::ModelArgs),
    Templates(templates::Args),
    CheckConfig(check_config::CheckConfig),
    Doctor(doctor::Args),
    /// Print a completion script for a shell
    ///
    /// For example: hdfs-vigil completions bash > /etc/bash_completion.d/hdfs-vigil
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Runs the command and says how it went, as an exit code.
#[must_use]
pub fn main(cli: Cli) -> ExitCode {
    match dispatch(cli.command) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "hdfs-vigil: {error:#}");
            ExitCode::from(code(&error))
        }
    }
}

fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    let out = &mut io::stdout();
    match command {
        Command::Run(args) => run::run(&args),
        Command::Alerts(args) => alerts::run(&args, out).map(success),
        Command::Demo(args) => demo::run(&args),
        Command::Replay(args) => replay::run(&args, out).map(success),
        Command::Learn(args) => learn::run(&args, &stop_on_interrupt()?, out).map(success),
        Command::Evaluate(args) => evaluate::run(&args, &stop_on_interrupt()?, out).map(success),
        Command::Experiment(args) => experiment::run(&args, &stop_on_interrupt()?, out),
        Command::Model(args) => model::run(&args, out).map(|outcome| match outcome {
            model::Outcome::Kept => ExitCode::SUCCESS,
            model::Outcome::Broken => ExitCode::FAILURE,
        }),
        Command::Doctor(args) => doctor::run(&args, out),
        Command::Templates(args) => templates::run(&args, out).map(success),
        Command::CheckConfig(args) => Ok(check_config::run(&args, environment(), out, &mut io::stderr())?.into()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "hdfs-vigil", &mut script);
            Ok(out.write_all(&script).map(success)?)
        }
    }
}

/// Variables whose name and value are text; no other one is the configuration's.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn success((): ()) -> ExitCode {
    ExitCode::SUCCESS
}

/// Set by the first Ctrl-C; the second one ends the process.
fn stop_on_interrupt() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register_conditional_shutdown(signal_hook::consts::SIGINT, 130, Arc::clone(&stop))?;
    signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&stop))?;
    Ok(stop)
}

/// A path that differs by what its name ends with.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref::<io::Error>().map(io::Error::kind);
    error.chain().filter_map(kind).any(|kind| kind == io::ErrorKind::BrokenPipe)
}

/// The numbers are those of sysexits.h where it has one.
fn code(error: &anyhow::Error) -> u8 {
    if error.is::<Mistakes>() {
        78
    } else if error.is::<LibraryError>() {
        69
    } else if error.is::<LoadError>() {
        65
    } else if error.is::<StateError>() || error.is::<SocketError>() {
        73
    } else {
        1
    }
}

const EXIT_CODES: &str = "\
Exit codes:
  0   done; for run: asked to stop, and everything is in the checkpoint
  1   failed, or what was checked does not hold
  2   wrong usage
  65  the model file cannot be used
  69  ONNX Runtime cannot be used
  73  the state directory, or the control socket, cannot be used
  78  the configuration is wrong";
