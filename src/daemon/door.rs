//! Keeps the control socket where operators look for it: makes it, and makes it anew when somebody has taken it away.

use std::path::PathBuf;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::daemon::control::Desk;
use crate::daemon::control::socket::{Identity, Socket, SocketError};
use crate::daemon::edge::stopped;
use crate::daemon::outage::Outage;

/// Where operators are answered, if anywhere.
pub struct Door(Option<Open>);

struct Open {
    path: PathBuf,
    /// Whether the socket is in the state directory, which no other daemon uses.
    is_ours: bool,
    desk: Desk,
    runtime: Handle,
    stopping: watch::Sender<bool>,
    /// What answers, and the file of its socket.
    answering: Option<(JoinHandle<()>, Identity)>,
    outage: Outage,
}

impl Door {
    /// Nobody is answered.
    #[must_use]
    pub fn closed() -> Self {
        Self(None)
    }

    /// Answers at `desk` on the socket at `path` until `stopping` says so. Where the configuration does not name the path
    /// (`is_ours`), a socket that cannot be made is warned of and tried again: a daemon without one still keeps vigil.
    ///
    /// # Errors
    /// When a socket that the configuration names cannot be made.
    pub fn open(
        path: PathBuf,
        is_ours: bool,
        desk: Desk,
        runtime: Handle,
        stopping: watch::Sender<bool>,
    ) -> Result<Self, SocketError> {
        let mut open = Open { path, is_ours, desk, runtime, stopping, answering: None, outage: Outage::default() };
        match open.answer() {
            Ok(()) => {}
            Err(error) if is_ours => open.miss(&error),
            Err(error) => return Err(error),
        }
        Ok(Self(Some(open)))
    }

    /// Makes the socket anew when it is not there any more, or could not be made before. Costs a look at one file.
    pub fn look(&mut self) {
        let Some(open) = &mut self.0 else { return };
        let is_there = open.answering.as_ref().is_some_and(|(_, made)| Identity::of(&open.path) == Some(*made));
        let is_early = open.outage.retry_at().is_some_and(|at| Instant::now() < at);
        if is_there || is_early {
            return;
        }
        if open.answering.is_some() {
            warn!(socket = %open.path.display(), "The control socket is gone; making it anew.");
        }
        if let Err(error) = open.answer() {
            open.miss(&error);
        }
    }
}

impl Open {
    fn answer(&mut self) -> Result<(), SocketError> {
        if let Some((task, _)) = self.answering.take() {
            // What is left of it must not remove the socket that takes its place.
            task.abort();
            let _ = self.runtime.block_on(task);
        }
        let socket = Socket::bind(&self.path, self.is_ours)?;
        info!(socket = %socket.path().display(), "Operators may use `hdfs-vigil alerts`.");
        let identity = socket.identity();
        let (desk, stopped) = (self.desk.clone(), stopped(&self.stopping));
        let task = self.runtime.spawn(async move {
            if let Err(error) = desk.run(socket, stopped).await {
                error!(%error, "The control socket has ended.");
            }
        });
        self.answering = Some((task, identity));
        self.outage.handle_success(Instant::now());
        Ok(())
    }

    fn miss(&mut self, error: &SocketError) {
        if self.outage.handle_failure(Instant::now()) {
            warn!(%error, "There is no control socket, so `hdfs-vigil alerts` cannot reach this daemon; it is tried again.");
        }
    }
}
