//! Tells people: reads the lines of an alert again, writes it down, and hands it to the webhook. On a thread of its own, since files,
//! terminals and disks may be slow.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};
use jiff::tz::TimeZone;
use tracing::{info, warn};

use crate::config::{Config, Redaction};
use crate::daemon::control;
use crate::daemon::outage::Outage;
use crate::daemon::outbox::{Done, Errand};
use crate::ingest::Rereader;
use crate::limits::TELLER_ERRANDS_MAX;
use crate::pipeline::verdict::AlertId;
use crate::sink::archive::Archive;
use crate::sink::document::Document;
use crate::sink::file::AlertFile;
use crate::sink::log;
use crate::sink::metrics::Metrics;
use crate::sink::terminal::TerminalSink;
use crate::sink::webhook::{Parcel, Refused, Webhook};

use self::begun::{Begun, Shown};

mod begun;

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
        let file = alerts.file.clone().map(|path| AlertFile::new(path, alerts.file_bytes_max, alerts.files_kept_max).into());
        let archive = Archive::new(state, alerts.archive_bytes_max).writer().into();
        let terminal = TerminalSink::stdout(alerts.terminal);
        let (zone, redaction) = (config.ingest.timezone.clone(), alerts.redact.clone());
        let begun = Begun::default();
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
    archive: Place,
    log: bool,
    file: Option<Place>,
    terminal: Option<TerminalSink<io::Stdout>>,
    webhook: Option<Webhook>,
    metrics: Arc<Metrics>,
    /// How far alerts got that are to be tried again, so that no place gets one twice.
    begun: Begun,
    done: Sender<Done>,
}

/// A file that alerts are appended to, and how it stands with it.
struct Place {
    file: AlertFile,
    outage: Outage,
}

impl From<AlertFile> for Place {
    fn from(file: AlertFile) -> Self {
        Self { file, outage: Outage::default() }
    }
}

impl Worker {
    fn run(mut self, errands: &Receiver<(Errand, Rereader)>) {
        for (errand, lines) in errands {
            let document = Document::redacted(&errand.alert, &lines, &self.zone, &self.redaction);
            let document = match &errand.muted {
                Some(muted) => document.muted(control::document(muted, &self.zone)),
                None => document,
            };
            // First what never waits: a disk that hangs must not keep the alert from its receiver.
            if errand.send {
                self.send(errand.alert.id, &document);
            }
            if errand.show {
                self.show(errand.alert.id, &document);
            }
        }
    }

    /// Writes the alert down, in the archive first. A place that fails is tried again later, and keeps none of the others from having it.
    fn show(&mut self, id: AlertId, document: &Document) {
        let mut shown = self.begun.get(id);
        shown.archive = shown.archive || self.archive.write(document, &self.metrics);
        shown.file = shown.file || self.file.as_mut().is_none_or(|file| file.write(document, &self.metrics));
        if !shown.people {
            self.tell_people(document);
            shown.people = true;
        }
        if shown == Shown::EVERYWHERE {
            self.begun.remove(id);
            self.tell(Done::Shown(id));
        } else {
            self.begun.set(id, shown);
            self.tell(Done::NotShown(id));
        }
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

impl Place {
    /// Appends to the file; false when that has failed. People are warned when it begins to fail, hourly while it does, and told when it
    /// works again.
    fn write(&mut self, document: &Document, metrics: &Metrics) -> bool {
        let appended = self.file.append(std::slice::from_ref(document));
        let now = Instant::now();
        match appended {
            Ok(()) => {
                if let Some(lasted) = self.outage.handle_success(now) {
                    let (path, seconds) = (self.file.path().display(), lasted.as_secs());
                    info!(%path, seconds, "Alerts can be appended to the file again; those that wait follow.");
                }
                true
            }
            Err(error) => {
                metrics.file_failures.inc();
                if self.outage.handle_failure(now) {
                    warn!(alert = %document.id, %error, "Alerts are not in the file yet; it is tried again, at least once a minute.");
                }
                false
            }
        }
    }
}
