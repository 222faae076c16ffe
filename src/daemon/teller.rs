//! Tells people: reads the lines of an alert again, writes it down, and hands it to the webhook. On a thread of its own, since files,
//! terminals and disks may be slow.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use jiff::tz::TimeZone;
use tracing::warn;

use crate::config::{Config, Redaction};
use crate::daemon::control;
use crate::daemon::outbox::{Done, Errand};
use crate::ingest::Rereader;
use crate::limits::{OUTBOX_ALERTS_MAX, TELLER_ERRANDS_MAX};
use crate::pipeline::verdict::AlertId;
use crate::sink::archive::Archive;
use crate::sink::document::Document;
use crate::sink::file::AlertFile;
use crate::sink::log;
use crate::sink::metrics::Metrics;
use crate::sink::terminal::TerminalSink;
use crate::sink::webhook::{Parcel, Refused, Webhook};

/// Handle to the teller's thread. Dropping it lets the thread finish what it has.
pub struct Teller {
    errands: Sender<(Errand, Rereader)>,
}

impl Teller {
    /// Starts the thread, which keeps alerts in the directory `state`. What it did goes to `done`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn spawn(
        config: &Config,
        state: &Path,
        webhook: Option<Webhook>,
        metrics: Arc<Metrics>,
        done: Sender<Done>,
    ) -> io::Result<Self> {
        let (errands, taken) = bounded(TELLER_ERRANDS_MAX);
        let alerts = &config.alerts;
        let file = alerts.file.clone().map(|path| AlertFile::new(path, alerts.file_bytes_max, alerts.files_kept_max));
        let archive = Archive::new(state, alerts.archive_bytes_max).writer();
        let terminal = TerminalSink::stdout(alerts.terminal);
        let (zone, redaction) = (config.ingest.timezone.clone(), alerts.redact.clone());
        let begun = BTreeMap::new();
        let worker = Worker { zone, redaction, archive, log: alerts.log, file, terminal, webhook, metrics, begun, done };
        // Not joined: at a stop the loop waits for what it can wait for, and a hung disk or terminal must not keep the process.
        std::thread::Builder::new().name("teller".to_owned()).spawn(move || worker.run(&taken))?;
        Ok(Self { errands })
    }

    /// Whether another errand would be taken at once.
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.errands.is_full()
    }

    /// Hands over an errand; `lines` reads the records of its alert again. Ask [`Teller::has_room`] before.
    ///
    /// # Errors
    /// When the thread has ended, which only a panic can do.
    pub fn send(&self, errand: Errand, lines: Rereader) -> Result<(), TellerEnded> {
        self.errands.send((errand, lines)).map_err(|_| TellerEnded)
    }
}

/// The teller's thread has ended.
#[derive(Debug, thiserror::Error)]
#[error("the teller of alerts has ended unexpectedly; see the messages before this one, and report it")]
pub struct TellerEnded;

struct Worker {
    zone: TimeZone,
    redaction: Redaction,
    /// All alerts are kept there, for operators to ask for.
    archive: AlertFile,
    log: bool,
    file: Option<AlertFile>,
    terminal: Option<TerminalSink<io::Stdout>>,
    webhook: Option<Webhook>,
    metrics: Arc<Metrics>,
    /// How far alerts got that are to be tried again, so that no place gets one twice. As many as wait in the outbox.
    begun: BTreeMap<AlertId, Shown>,
    done: Sender<Done>,
}

/// Where an alert has been written down.
#[derive(Clone, Copy, Debug, Default)]
struct Shown {
    archive: bool,
    file: bool,
    people: bool,
}

impl Worker {
    fn run(mut self, errands: &Receiver<(Errand, Rereader)>) {
        for (errand, lines) in errands {
            let document = Document::redacted(&errand.alert, &lines, &self.zone, &self.redaction);
            let document = match &errand.muted {
                Some(muted) => document.muted(control::document(muted, &self.zone)),
                None => document,
            };
            if errand.show {
                self.show(errand.alert.id, &document);
            }
            if errand.send {
                self.send(errand.alert.id, &document);
            }
        }
    }

    /// Writes the alert down, in the archive first. A place that fails is tried again later, and keeps none of the others from having it.
    fn show(&mut self, id: AlertId, document: &Document) {
        let mut shown = self.begun.remove(&id).unwrap_or_default();
        shown.archive = shown.archive || self.write(id, document, |worker| Some(&mut worker.archive));
        shown.file = shown.file || self.write(id, document, |worker| worker.file.as_mut());
        if !shown.people {
            self.tell_people(document);
            shown.people = true;
        }
        if shown.archive && shown.file {
            self.tell(Done::Shown(id));
            return;
        }
        if self.begun.len() >= OUTBOX_ALERTS_MAX {
            // The outbox has dropped the oldest alert, and does not ask for it again.
            self.begun.clear();
        }
        self.begun.insert(id, shown);
        self.tell(Done::NotShown(id));
    }

    /// Appends to a file, if there is one; false when that has failed.
    fn write(&mut self, id: AlertId, document: &Document, file: impl Fn(&mut Self) -> Option<&mut AlertFile>) -> bool {
        let Some(Err(error)) = file(self).map(|file| file.append(std::slice::from_ref(document))) else { return true };
        self.metrics.file_failures.inc();
        warn!(alert = %id, %error, "The alert is not in the file yet; it is tried again.");
        false
    }

    fn tell_people(&mut self, document: &Document) {
        if let Some(terminal) = &mut self.terminal
            && terminal.write(document).is_err()
        {
            self.terminal = None;
        }
        if self.log {
            log::alert(document);
        }
    }

    fn send(&self, id: AlertId, document: &Document) {
        let offered = self.webhook.as_ref().map(|webhook| webhook.offer(Parcel::new(id, document)));
        match offered {
            // A receiver that is gone for good leaves the alert in the outbox: it is offered again after a restart.
            Some(Ok(()) | Err(Refused::Disabled)) => {}
            Some(Err(Refused::Full)) => self.tell(Done::NotSent(id)),
            None => self.tell(Done::Sent(id)),
        }
    }

    /// The loop drains this channel at every turn. Once it has ended, nobody needs to know any more.
    fn tell(&self, done: Done) {
        let _ = self.done.send(done);
    }
}
