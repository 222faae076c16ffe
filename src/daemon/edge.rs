//! The network side of the daemon: metrics, readiness, the webhook and the control socket, on an async runtime of their own.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use crossbeam_channel::Sender;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tracing::{error, info};

use crate::config::{self, Config};
use crate::daemon::control::{Desk, Request};
use crate::daemon::door::Door;
use crate::daemon::outbox::Done;
use crate::limits::DONE_MAX;
use crate::sink::archive::Archive;
use crate::sink::http::{Readiness, Server};
use crate::sink::metrics::Metrics;
use crate::sink::webhook::{Receipt, Webhook};

/// The runtime and what runs on it.
pub struct Edge {
    runtime: Runtime,
    webhook: Option<Webhook>,
    stopping: watch::Sender<bool>,
}

impl Edge {
    /// Starts listening and sending. Receipts of the webhook go to `done`.
    ///
    /// # Errors
    /// When the address cannot be had, or the runtime or the client cannot be made.
    pub fn start(
        config: &Config,
        metrics: &Arc<Metrics>,
        readiness: &Arc<Readiness>,
        done: &Sender<Done>,
    ) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("edge").enable_all().build()?;
        let (stopping, _) = watch::channel(false);
        let mut edge = Self { runtime, webhook: None, stopping };
        if let Some(address) = config.http.listen {
            let server = edge.runtime.block_on(Server::bind(address, Arc::clone(metrics), Arc::clone(readiness)))?;
            info!(address = %server.address()?, "Answering /metrics, /live and /ready.");
            let stopped = edge.stopped();
            edge.runtime.spawn(async move {
                if let Err(error) = server.run(stopped).await {
                    error!(%error, "The metrics' listener has ended.");
                }
            });
        }
        if let Some(webhook) = &config.webhook
            && config.alerts.mode == config::Mode::Notify
        {
            edge.start_webhook(webhook, metrics, done)?;
        }
        Ok(edge)
    }

    /// Answers operators on the control socket, if there is to be one; what changes something goes to `requests`. To be called before
    /// the daemon has threads that make files, and once the directory `state` is its own.
    ///
    /// # Errors
    /// When a socket that the configuration names cannot be made.
    pub fn answer_operators(&self, config: &Config, state: &Path, requests: Sender<Request>) -> anyhow::Result<Door> {
        let Some(path) = config.control.socket.path(state) else { return Ok(Door::closed()) };
        let is_ours = config.control.socket == config::Socket::InState;
        let archive = Archive::new(state, config.alerts.archive_bytes_max);
        let desk = Desk::new(archive, config.ingest.timezone.clone(), requests);
        Ok(Door::open(path, is_ours, desk, self.runtime.handle().clone(), self.stopping.clone())?)
    }

    /// Where alerts are sent, if anywhere.
    #[must_use]
    pub fn webhook(&self) -> Option<Webhook> {
        self.webhook.clone()
    }

    /// Ends everything; what was not delivered stays with the outbox.
    pub fn stop(self) {
        let _ = self.stopping.send(true);
        self.runtime.shutdown_timeout(SHUTDOWN_WAIT);
    }

    fn start_webhook(&mut self, config: &config::Webhook, metrics: &Arc<Metrics>, done: &Sender<Done>) -> anyhow::Result<()> {
        let (receipts, taken) = mpsc::channel(DONE_MAX);
        let webhook = Webhook::new(config.clone(), Arc::clone(metrics), receipts);
        let (webhook, worker) = webhook.context("prepare the webhook; are the certificates of authorities installed?")?;
        info!(host = config.host(), "Sending alerts to the webhook.");
        self.runtime.spawn(worker.run(self.stopped()));
        let done = done.clone();
        self.runtime.spawn_blocking(move || pass_on(taken, &done));
        self.webhook = Some(webhook);
        Ok(())
    }

    fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        stopped(&self.stopping)
    }
}

/// Ends when `stopping` says so.
pub(super) fn stopped(stopping: &watch::Sender<bool>) -> impl Future<Output = ()> + Send + 'static {
    let mut stopping = stopping.subscribe();
    async move {
        // An error means that the edge is gone, which is a stop as well.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }
}

fn pass_on(mut receipts: mpsc::Receiver<Receipt>, done: &Sender<Done>) {
    while let Some(receipt) = receipts.blocking_recv() {
        if !receipt.delivered {
            error!(alert = %receipt.id, "The webhook gave the alert up; it is in the alert file, if there is one.");
        }
        if done.send(Done::Sent(receipt.id)).is_err() {
            return;
        }
    }
}

/// Time that answers under way get to finish.
const SHUTDOWN_WAIT: std::time::Duration = std::time::Duration::from_secs(1);
