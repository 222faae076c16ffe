//! `hdfs-vigil check-config`: says whether the configuration is right, and all that is wrong with it.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::config::{self, Config, Layers, Mistakes};

/// Checks the configuration and names every mistake at once; exit code 78 when there is one.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckConfig {
    /// Configuration file; again for further ones, of which later ones win.
    #[arg(long, value_name = "FILE")]
    pub config: Vec<PathBuf>,
    /// Print the effective configuration as TOML, all layers joined.
    #[arg(long)]
    pub print: bool,
}

/// Exit code for a wrong configuration: `EX_CONFIG` of sysexits.h, which systemd knows by name.
pub const EX_CONFIG: u8 = 78;

/// Checks what `arguments` name together with `environment`; answers go to `out`, mistakes to `err`. Returns the exit code.
///
/// # Errors
/// When nothing can be written.
pub fn run(
    arguments: &CheckConfig,
    environment: impl IntoIterator<Item = (String, String)>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    match check(&arguments.config, environment) {
        Ok(layers) if arguments.print => write!(out, "{}", config::effective(&layers)).map(|()| 0),
        Ok(layers) => report(&layers, out).map(|()| 0),
        Err(mistakes) => writeln!(err, "{mistakes}").map(|()| EX_CONFIG),
    }
}

fn check(files: &[PathBuf], environment: impl IntoIterator<Item = (String, String)>) -> Result<Layers, Mistakes> {
    let layers = Layers::read(files, environment)?;
    Config::check(&layers).map(|_| layers)
}

fn report(layers: &Layers, out: &mut dyn Write) -> io::Result<()> {
    let changed = config::changed(layers);
    writeln!(out, "ok, {} of {} keys differ from the defaults", changed.len(), layers.keys().count())?;
    changed.iter().try_for_each(|line| writeln!(out, "  {line}"))
}
