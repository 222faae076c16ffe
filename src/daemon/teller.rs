//! Tells people: reads the lines of an alert again, writes it down, and hands it to the webhook. On a thread of its own, since files,
//! terminals and disks may be slow.

use std::io;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use jiff::tz::TimeZone;
use tracing::warn;

use crate::config::{Config, Redaction};
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

/// Handle to the teller's thread. Dropping it lets the thread finish what it has.
pub struct Teller {
    errands: Sender<(Errand, Rereader)>,
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
        let (zone, redaction) = (config.ingest.timezone.clone(), alerts.redact.clone());
        let worker = Worker { zone, redaction, log: alerts.log, file, terminal, webhook, metrics, done };
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
            let document = Document::redacted(&errand.alert, &lines, &self.zone, &self.redaction);
            if errand.show {
                self.show(errand.alert.id, &document);
            }
            if errand.send {
                self.send(errand.alert.id, &document);
            }
        }
    }

    /// Writes the alert down. The file comes first: when it fails, all is tried again, and nothing was shown twice.
    fn show(&mut self, id: AlertId, document: &Document) {
        if let Some(file) = &mut self.file
            && let Err(error) = file.append(std::slice::from_ref(document))
        {
            self.metrics.file_failures.inc();
            warn!(alert = %id, %error, "The alert is not in the file yet; it is tried again.");
            self.tell(Done::NotShown(id));
            return;
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
