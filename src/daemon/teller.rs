//! Tells people: reads the lines of an alert again, writes it down, and hands it to the webhook. On a thread of its own, since files,
//! terminals and disks may be slow.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use jiff::tz::TimeZone;
use tracing::{error, warn};

use crate::config::Config;
use crate::daemon::outbox::{Done, Errand};
use crate::ingest::Rereader;
use crate::limits::TELLER_ERRANDS_MAX;
use crate::pipeline::verdict::AlertId;
use crate::sink::document::Document;
use crate::sink::file::AlertFile;
use crate::sink::log;
use crate::sink::metrics::Metrics;
use crate::sink::terminal::TerminalSink;
use crate::sink::webhook::{Parcel, Refused, Webhook};

/// Handle to the teller's thread. Dropping it lets the thread finish what it has, and waits for that.
pub struct Teller {
    errands: Option<Sender<(Errand, Rereader)>>,
    thread: Option<JoinHandle<()>>,
}

impl Teller {
    /// Starts the thread. What it did goes to `done`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn spawn(config: &Config, webhook: Option<Webhook>, metrics: Arc<Metrics>, done: Sender<Done>) -> io::Result<Self> {
        let (errands, taken) = bounded(TELLER_ERRANDS_MAX);
        let alerts = &config.alerts;
        let file = alerts.file.clone().map(|path| AlertFile::new(path, alerts.file_bytes_max, alerts.files_kept_max));
        let terminal = TerminalSink::stdout(alerts.terminal);
        let worker = Worker { zone: config.ingest.timezone.clone(), log: alerts.log, file, terminal, webhook, metrics, done };
        let thread = std::thread::Builder::new().name("teller".to_owned()).spawn(move || worker.run(&taken))?;
        Ok(Self { errands: Some(errands), thread: Some(thread) })
    }

    /// Whether another errand would be taken at once.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.errands.as_ref().is_some_and(|errands| !errands.is_full())
    }

    /// Hands over an errand; `lines` reads the records of its alert again. Ask [`Teller::has_room`] before.
    pub fn send(&self, errand: Errand, lines: Rereader) {
        let id = errand.alert.id;
        if let Some(errands) = &self.errands
            && errands.send((errand, lines)).is_err()
        {
            error!(alert = %id, "The teller has ended; the alert stays in the checkpoint.");
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.errands = None;
        // A panic over there was reported by the panic hook; there is nothing left to do about it.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Worker {
    zone: TimeZone,
    log: bool,
    file: Option<AlertFile>,
    terminal: Option<TerminalSink<io::Stdout>>,
    webhook: Option<Webhook>,
    metrics: Arc<Metrics>,
    done: Sender<Done>,
}

impl Worker {
    fn run(mut self, errands: &Receiver<(Errand, Rereader)>) {
        for (errand, lines) in errands {
            let document = Document::new(&errand.alert, &lines, &self.zone);
            if errand.show && !self.show(errand.alert.id, &document) {
                continue;
            }
            if errand.send {
                self.send(errand.alert.id, &document);
            }
        }
    }

    /// Writes the alert down. The file comes first: when it fails, all is tried again, and nothing was shown twice.
    fn show(&mut self, id: AlertId, document: &Document) -> bool {
        if let Some(file) = &mut self.file
            && let Err(error) = file.append(std::slice::from_ref(document))
        {
            self.metrics.file_failures.inc();
            warn!(alert = %id, %error, "The alert is not in the file yet; it is tried again.");
            self.tell(Done::Failed(id));
            return false;
        }
        if let Some(terminal) = &mut self.terminal
            && terminal.write(document).is_err()
        {
            self.terminal = None;
        }
        if self.log {
            log::alert(document);
        }
        self.tell(Done::Shown(id));
        true
    }

    fn send(&self, id: AlertId, document: &Document) {
        let offered = self.webhook.as_ref().map(|webhook| webhook.offer(Parcel::new(id, document)));
        match offered {
            Some(Ok(())) => {}
            Some(Err(Refused::Full)) => self.tell(Done::Failed(id)),
            Some(Err(Refused::Disabled)) | None => self.tell(Done::Sent(id)),
        }
    }

    /// The loop drains this channel at every turn. Once it has ended, nobody needs to know any more.
    fn tell(&self, done: Done) {
        let _ = self.done.send(done);
    }
}
