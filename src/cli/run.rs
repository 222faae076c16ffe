//! `hdfs-vigil run`: the daemon.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crossbeam_channel::{Receiver, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::config::Config;
use crate::daemon::{self, Control};
use crate::limits::CONTROLS_MAX;
use crate::sink::log;

/// Follows the logs and tells which blocks go wrong, until it is asked to stop.
///
/// SIGTERM and SIGINT finish what is on its way, write a checkpoint and end with code 0; a second one ends at once. The next run goes
/// on where this one stopped. SIGHUP looks at the model file, and takes what is in it if it is sound and another model.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Configuration over the defaults; again for further ones, of which later ones win
    #[arg(long, value_name = "FILE")]
    pub config: Vec<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When the configuration is wrong or something that the daemon cannot do without is missing.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config)?;
    log::set_up(&config.log)?;
    daemon::run(&config, &signals()?)?;
    Ok(ExitCode::SUCCESS)
}

/// Signals as what they ask of the daemon. A second one ends the process by itself, whatever the loop is doing.
fn signals() -> std::io::Result<Receiver<Control>> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&asked))?;
        flag::register(signal, Arc::clone(&asked))?;
    }
    let (sender, control) = bounded(CONTROLS_MAX);
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            let asked = if signal == SIGHUP { Control::Reload } else { Control::Stop };
            // The loop is gone, and the process about to end.
            let _ = sender.send(asked);
        }
    })?;
    Ok(control)
}
