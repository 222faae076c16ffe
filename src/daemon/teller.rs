//! Tells people: reads the lines of an alert again, and writes it down or hands it to the webhook. Each on a thread of its own, since files,
//! terminals and disks may be slow, or hang, and that must not keep an alert from its receiver.

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
use crate::daemon::outbox::{Done, Errand, Task};
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

/// Handle to the teller's threads. Dropping it lets them finish what they have.
pub struct Teller {
    to_show: Sender<(Errand, Rereader)>,
    to_send: Sender<(Errand, Rereader)>,
}

impl Teller {
    /// Starts the threads, which keep alerts in the directory `state`. What they did goes to `done`.
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
        let alerts = &config.alerts;
        let file = alerts.file.clone().map(|path| AlertFile::new(path, alerts.file_bytes_max, alerts.files_kept_max).into());
        let archive = Archive::new(state, alerts.archive_bytes_max).writer().into();
        let terminal = TerminalSink::stdout(alerts.terminal);
        let words = Words { zone: config.ingest.timezone.clone(), redaction: alerts.redact.clone() };
        let courier = Courier { webhook, done: done.clone() };
        let mut scribe = Scribe { archive, log: alerts.log, file, terminal, metrics, begun: Begun::default(), done };
        let to_send = begin("courier", words.clone(), move |id, document| courier.send(id, document))?;
        let to_show = begin("teller", words, move |id, document| scribe.show(id, document))?;
        Ok(Self { to_show, to_send })
    }

    /// Whether another errand of this kind would be taken at once.
    #[must_use]
    pub fn has_room(&self, task: Task) -> bool {
        !self.errands(task).is_full()
    }

    /// Hands over an errand; `lines` reads the records of its alert again. Ask [`Teller::has_room`] before.
    ///
    /// # Errors
    /// When the thread has ended, which only a panic can do.
    pub fn send(&self, errand: Errand, lines: Rereader) -> Result<(), TellerEnded> {
        self.errands(errand.task).send((errand, lines)).map_err(|_| TellerEnded)
    }

    fn errands(&self, task: Task) -> &Sender<(Errand, Rereader)> {
        match task {
            Task::Show => &self.to_show,
            Task::Send => &self.to_send,
        }
    }
}

/// A thread of the teller has ended.
#[derive(Debug, thiserror::Error)]
#[error("the teller of alerts has ended unexpectedly; see the messages before this one, and report it")]
pub struct TellerEnded;

/// Starts a thread that does `work` with every alert that is handed over.
fn begin(
    name: &str,
    words: Words,
    mut work: impl FnMut(AlertId, &Document) + Send + 'static,
) -> io::Result<Sender<(Errand, Rereader)>> {
    let (errands, taken): (_, Receiver<(Errand, Rereader)>) = bounded(TELLER_ERRANDS_MAX);
    // Not joined: at a stop the loop waits for what it can wait for, and a hung disk or terminal must not keep the process.
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        for (errand, lines) in taken {
            work(errand.alert.id, &words.document(&errand, &lines));
        }
    })?;
    Ok(errands)
}

/// How an alert becomes a text.
#[derive(Clone)]
struct Words {
    zone: TimeZone,
    redaction: Redaction,
}

/// Hands alerts to the webhook.
struct Courier {
    webhook: Option<Webhook>,
    done: Sender<Done>,
}

/// Writes alerts down.
struct Scribe {
    /// All alerts are kept there, for operators to ask for.
    archive: Place,
    log: bool,
    file: Option<Place>,
    terminal: Option<TerminalSink<io::Stdout>>,
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

impl Words {
    fn document(&self, errand: &Errand, lines: &Rereader) -> Document {
        let document = Document::redacted(&errand.alert, lines, &self.zone, &self.redaction);
        match &errand.muted {
            Some(muted) => document.muted(control::document(muted, &self.zone)),
            None => document,
        }
    }
}

impl Scribe {
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
            tell(&self.done, Done::Shown(id));
        } else {
            self.begun.set(id, shown);
            tell(&self.done, Done::NotShown(id));
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
}

impl Courier {
    fn send(&self, id: AlertId, document: &Document) {
        let offered = self.webhook.as_ref().map(|webhook| webhook.offer(Parcel::new(id, document)));
        match offered {
            // A receiver that is gone for good leaves the alert in the outbox: it is offered again after a restart.
            Some(Ok(()) | Err(Refused::Disabled)) => {}
            Some(Err(Refused::Full)) => tell(&self.done, Done::NotSent(id)),
            None => tell(&self.done, Done::Sent(id)),
        }
    }
}

/// The loop drains this channel at every turn. Once it has ended, nobody needs to know any more.
fn tell(to: &Sender<Done>, done: Done) {
    let _ = to.send(done);
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
