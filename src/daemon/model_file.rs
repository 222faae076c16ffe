//! Looks after the model file of a running daemon: notices another content, and loads and checks it on a thread of its own.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crossbeam_channel::{Receiver, Sender, bounded};

use tracing::warn;

use crate::config::Config;
use crate::model::scorer::{self, Scorer};
use crate::state::model_copies::ModelCopies;

/// The configured model file. One load is under way at most, and none until a model that takes over is in the checkpoint:
/// there are two copies, and three models would need one.
pub struct ModelFile {
    path: PathBuf,
    watch: bool,
    copies: ModelCopies,
    /// SHA-256 of the model that runs, or is about to.
    running: String,
    /// How the file looked at the last look.
    looked: Option<Stamp>,
    /// How it looked when it was loaded last, or when the daemon began.
    tried: Option<Stamp>,
    /// Whether somebody has asked for a load that has not begun.
    asked: bool,
    /// Whether the load under way was asked for; `None` when none is.
    loading: Option<bool>,
    give: Sender<Loaded>,
    loaded: Receiver<Loaded>,
}

/// What a load has come to.
pub struct Loaded(Result<Option<Box<Scorer>>, String>);

/// What the daemon makes of it.
pub enum Answer {
    /// The file holds the model that runs.
    Same {
        /// Whether somebody wanted to know.
        asked: bool,
    },
    /// It cannot be used; why.
    Refused(String),
    /// It is sound, and a copy of it is kept.
    Next(Box<Scorer>),
}

/// What differs when a file was written or replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl ModelFile {
    /// The file as it is now is taken for the one that the daemon begins with.
    #[must_use]
    pub fn new(config: &Config, state: &Path) -> Self {
        let (give, loaded) = bounded(1);
        let path = config.model.path.clone();
        let stamp = Stamp::of(&path);
        Self {
            watch: config.model.watch,
            copies: ModelCopies::new(state),
            running: String::new(),
            looked: stamp,
            tried: stamp,
            asked: false,
            loading: None,
            give,
            loaded,
            path,
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Copies of the models that run and ran.
    #[must_use]
    pub fn copies(&self) -> &ModelCopies {
        &self.copies
    }

    /// Says which model runs, or is about to.
    pub fn set_running(&mut self, sha256: &str) {
        sha256.clone_into(&mut self.running);
    }

    /// Loads the file as soon as no other load is under way and no swap is unsettled, whether it has changed or not.
    pub fn ask(&mut self, is_unsettled: bool) {
        self.asked = true;
        self.look(is_unsettled);
    }

    /// Loads the file if it looks otherwise than when it was loaded last, and as it did at the last look: while it is being written, or
    /// is gone for the moment, it is left alone.
    pub fn look(&mut self, is_unsettled: bool) {
        let stamp = Stamp::of(&self.path);
        let is_steady = std::mem::replace(&mut self.looked, stamp) == stamp;
        if is_unsettled || self.loading.is_some() {
            return;
        }
        let is_news = self.watch && is_steady && stamp.is_some() && stamp != self.tried;
        if self.asked || is_news {
            self.tried = stamp;
            self.load();
        }
    }

    /// Copies the model that runs again, when somebody has taken its copy away and the file still holds it.
    pub fn keep_copy(&self) {
        let Ok(bytes) = scorer::read(&self.path) else { return };
        if scorer::sha256(&bytes) == self.running
            && let Err(error) = self.copies.keep(&bytes, |_| false)
        {
            warn!(%error, "The model could not be copied; without a sound model file there would be none to start with.");
        }
    }

    /// Where loads end: something to wait for, and then to be given to [`ModelFile::handle_loaded`].
    #[must_use]
    pub fn loaded(&self) -> &Receiver<Loaded> {
        &self.loaded
    }

    /// What to make of a load.
    pub fn handle_loaded(&mut self, loaded: Loaded) -> Answer {
        let asked = self.loading.take().unwrap_or(false);
        match loaded.0 {
            Ok(Some(scorer)) => Answer::Next(scorer),
            Ok(None) => Answer::Same { asked },
            Err(reason) => Answer::Refused(reason),
        }
    }

    fn load(&mut self) {
        self.loading = Some(std::mem::take(&mut self.asked));
        let (path, copies, running, give) = (self.path.clone(), self.copies.clone(), self.running.clone(), self.give.clone());
        let work = move || {
            // Nobody listens any more when the daemon ends.
            let _ = give.send(Loaded(load(&path, &copies, &running)));
        };
        if let Err(error) = std::thread::Builder::new().name("model".to_owned()).spawn(work) {
            let reason = format!("failed to start a thread to load it: {error}");
            self.give.try_send(Loaded(Err(reason))).expect("the load that did not begin has nothing else to give");
        }
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        let modified = (found.mtime(), found.mtime_nsec());
        Some(Self { device: found.dev(), inode: found.ino(), bytes: found.len(), modified })
    }
}

/// The model in the file, checked in full, with a copy kept of it; `None` when it runs already.
fn load(path: &Path, copies: &ModelCopies, running: &str) -> Result<Option<Box<Scorer>>, String> {
    let bytes = scorer::read(path).map_err(|error| error.to_string())?;
    if scorer::sha256(&bytes) == running {
        return Ok(None);
    }
    let scorer = Scorer::checked(&bytes).map_err(|error| error.to_string())?;
    copies.keep(&bytes, |copy| scorer::sha256(copy) == running).map_err(|error| error.to_string())?;
    Ok(Some(Box::new(scorer)))
}
