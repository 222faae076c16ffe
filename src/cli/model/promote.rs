//! `hdfs-vigil model promote` and `rollback`: put another model where the configuration says, checked in full, and put it back.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::{Outcome, broken};
use crate::cli::beside;
use crate::config::{Config, Model};
use crate::model::scorer::{self, Scorer};
use crate::sink::metrics::model::head;
use crate::state::model_copies::ModelCopies;

/// Where the model is configured.
#[derive(Clone, Debug, Args)]
pub struct Configured {
    /// Configuration of the daemon, over the defaults; again for further ones, of which later ones win
    #[arg(long, value_name = "FILE")]
    pub config: Vec<PathBuf>,
}

/// A model that has passed every check.
struct Sound {
    bytes: Vec<u8>,
    name: String,
    sha256: String,
}

/// Puts a model where `model.path` says, and what was there beside it as `.previous`.
///
/// # Errors
/// When there is no ONNX Runtime, the configuration is wrong, the place is a package's, or a file cannot be read or written.
pub fn promote(file: &Path, configured: &Configured, out: &mut dyn Write) -> Result<Outcome> {
    let config = Config::load(&configured.config)?;
    let path = own_path(&config)?;
    let Some(next) = sound(file, out)? else { return Ok(Outcome::Broken) };
    let before = present(path)?;
    if before.as_ref() == Some(&next.bytes) {
        writeln!(out, "ok      {} holds this model already", path.display())?;
        return Ok(Outcome::Kept);
    }
    let place = Place::of(path);
    if let Some(before) = &before {
        place.write(&previous(path), before).with_context(|| format!("keep the model before as {}", previous(path).display()))?;
    }
    place.write(path, &next.bytes).with_context(|| no_room(path))?;
    tell(&config.model, &next, before.is_some(), out)
}

/// Exchanges the model at `model.path` and the one that the last promotion or rollback took away from there.
///
/// # Errors
/// As [`promote`], and when there is nothing to put back.
pub fn rollback(configured: &Configured, out: &mut dyn Write) -> Result<Outcome> {
    let config = Config::load(&configured.config)?;
    let path = own_path(&config)?;
    if !previous(path).exists() {
        let copy = ModelCopies::new(&config.state.directory).previous();
        let (previous, copy) = (previous(path), copy.display().to_string());
        bail!(
            "roll back {}: there is no {}, which `model promote` writes; the daemon keeps a copy of the model that ran before the present one: `hdfs-vigil model promote {copy}`",
            path.display(),
            previous.display()
        );
    }
    let Some(next) = sound(&previous(path), out)? else { return Ok(Outcome::Broken) };
    let before = present(path)?;
    let aside = beside(path, ".aside");
    // One that was cut short there has only its last step to go, and what it took away is aside.
    let is_cut_short = before.as_ref() == Some(&next.bytes) && aside.exists();
    if !is_cut_short {
        replace(path, before.as_deref(), &aside, &next.bytes)?;
    }
    if before.is_some() {
        fs::rename(&aside, previous(path)).with_context(|| format!("keep the model before as {}", previous(path).display()))?;
    }
    tell(&config.model, &next, before.is_some(), out)
}

/// What was there is written down aside before it is replaced, so that a crash loses neither of the two.
fn replace(path: &Path, before: Option<&[u8]>, aside: &Path, next: &[u8]) -> Result<()> {
    let place = Place::of(path);
    before.map_or(Ok(()), |before| place.write(aside, before)).with_context(|| no_room(path))?;
    place.write(path, next).with_context(|| no_room(path))
}

/// The bytes of the model that is there, if one is.
fn present(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read the model that is there now, {} (model.path)", path.display())),
    }
}

/// The configured path, unless the next upgrade of a package would silently put back what is there now.
fn own_path(config: &Config) -> Result<&Path> {
    let path = &config.model.path;
    let is_packaged = path.starts_with("/usr") && !path.starts_with("/usr/local");
    ensure!(
        !is_packaged,
        "model.path is {}, a place of packages, which an upgrade writes anew; set model.path to a place of your own, such as {OWN_PLACE}, promote, and restart the daemon once",
        path.display()
    );
    Ok(path)
}

fn sound(file: &Path, out: &mut dyn Write) -> Result<Option<Sound>> {
    let checked = scorer::read(file).and_then(|bytes| Ok((Scorer::checked(&bytes)?, bytes)));
    let (scorer, bytes) = match checked {
        Ok(checked) => checked,
        Err(error) => return broken(file, error, out).map(|_| None),
    };
    let (name, sha256) = (scorer.contract().profile.name.clone(), scorer.sha256().to_owned());
    writeln!(out, "ok      {} passes every check: {name}, sha256 {sha256}", file.display())?;
    Ok(Some(Sound { bytes, name, sha256 }))
}

fn tell(model: &Model, next: &Sound, has_previous: bool, out: &mut dyn Write) -> Result<Outcome> {
    let Sound { name, sha256, .. } = next;
    writeln!(out, "ok      {} holds it now", model.path.display())?;
    if has_previous {
        writeln!(out, "        what was there before is {}", previous(&model.path).display())?;
        writeln!(out, "        `hdfs-vigil model rollback` exchanges the two")?;
    }
    let when = if model.watch { "by itself within seconds" } else { "at SIGHUP: systemctl reload hdfs-vigil" };
    writeln!(out, "        a running daemon takes it {when}")?;
    writeln!(out, "        then its log says \"The model was swapped.\", and its metrics")?;
    let head = head(sha256);
    writeln!(out, "        hdfs_vigil_model_info{{model={name:?},sha256={head:?}}} 1")?;
    Ok(Outcome::Kept)
}

fn previous(path: &Path) -> PathBuf {
    beside(path, ".previous")
}

fn no_room(path: &Path) -> String {
    format!("write {} (model.path); run this as a user who may, or set model.path to a place such as {OWN_PLACE}", path.display())
}

/// Who may read files beside a model: who may read the model that is there.
struct Place {
    like: Option<Metadata>,
}

impl Place {
    fn of(path: &Path) -> Self {
        Self { like: fs::metadata(path).ok() }
    }

    /// Replaces a file as a whole: whoever looks sees the old bytes or the new ones, also after a crash.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let temporary = beside(path, ".new");
        let mut file = create_new(&temporary)?;
        file.write_all(bytes)?;
        let mode = self.like.as_ref().map_or(READABLE, |like| like.permissions().mode() & READ_OR_WRITE);
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        if let Some(like) = &self.like {
            // Only root may give files away; for others the owner is right already, or their group must be.
            let _ = std::os::unix::fs::fchown(&file, Some(like.uid()), Some(like.gid()));
        }
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()
    }
}

/// A file that was not there, so no link that somebody has laid leads elsewhere: root may run this where others may write.
fn create_new(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path)
}

const OWN_PLACE: &str = "/etc/hdfs-vigil/model.onnx";
/// A model is no secret.
const READABLE: u32 = 0o644;
/// All that may be taken over of a mode: a model is never run.
const READ_OR_WRITE: u32 = 0o666;
/// Until it is complete, and its owner and mode are known.
const PRIVATE: u32 = 0o600;
