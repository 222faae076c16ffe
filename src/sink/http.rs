//! Answers `/metrics`, `/live` and `/ready` on a listener of its own.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::pipeline::verdict::DetectorMode;
use crate::sink::metrics::Metrics;

/// What the daemon waits for before it is ready. Once all have dropped it stays ready, with one exception: while it cannot write down how
/// far it has come it is not, since whoever replaces hosts or daemons one by one should wait for it. It is alive meanwhile (`/live`), so
/// that nobody ends it for that: it goes on finding and telling, and an end is what would cost. A full queue, a slow model or a file of
/// alerts that cannot be written is no reason not to be ready.
#[derive(Debug, Default)]
pub struct Readiness {
    dropped: AtomicU8,
    mode: Mutex<DetectorMode>,
    /// What keeps the state from being written.
    unkept: Mutex<Option<String>>,
    /// Whether a file of alerts cannot be written.
    unwritten: AtomicBool,
}

/// One thing that the daemon waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latch {
    /// The checkpoint was restored, or there is none.
    Restored,
    /// The model was loaded and has passed its own test.
    Model,
    /// All paths were looked through once.
    FirstScan,
}

impl Latch {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Restored, Self::Model, Self::FirstScan];

    /// The name in the answer of `/ready`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Restored => "restored",
            Self::Model => "model",
            Self::FirstScan => "first_scan",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl Readiness {
    /// Says that `latch` is no longer waited for. Again and again does no harm.
    pub fn drop_latch(&self, latch: Latch) {
        self.dropped.fetch_or(latch.bit(), Ordering::Release);
    }

    /// Says how the detector stands to the traffic. No reason not to be ready: who asks is told.
    pub fn set_mode(&self, mode: DetectorMode) {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode;
    }

    /// How the detector stands to the traffic.
    #[must_use]
    pub fn mode(&self) -> DetectorMode {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what keeps the state from being written; `None` when it can be.
    pub fn set_unkept(&self, error: Option<String>) {
        *self.unkept.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }

    /// Says whether alerts wait for a file that cannot be written. No reason not to be ready.
    pub fn set_unwritten(&self, unwritten: bool) {
        self.unwritten.store(unwritten, Ordering::Release);
    }

    /// What is still waited for; empty = ready.
    #[must_use]
    pub fn missing(&self) -> Vec<Latch> {
        let dropped = self.dropped.load(Ordering::Acquire);
        Latch::ALL.into_iter().filter(|latch| dropped & latch.bit() == 0).collect()
    }
}

/// The listener, bound and not yet answering.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    router: Router,
}

impl Server {
    /// Binds `address`. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// What is wrong with the address, such as another program that has it.
    pub async fn bind(address: SocketAddr, metrics: Arc<Metrics>, readiness: Arc<Readiness>) -> io::Result<Self> {
        let failed = |error: io::Error| {
            io::Error::new(
                error.kind(),
                format!("listen on {address} (http.listen): {error}; choose another address, or \"\" for none"),
            )
        };
        Ok(Self { listener: TcpListener::bind(address).await.map_err(failed)?, router: router(metrics, readiness) })
    }

    /// The address, with the port that was found for port 0.
    ///
    /// # Errors
    /// As the system says; not known to happen.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `shutdown` ends, then finishes the answers under way.
    ///
    /// # Errors
    /// As the listener says; failed connections are no errors.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        axum::serve(self.listener, self.router).with_graceful_shutdown(shutdown).await
    }
}

fn router(metrics: Arc<Metrics>, readiness: Arc<Readiness>) -> Router {
    Router::new()
        .route("/metrics", get(metrics_text).with_state(metrics))
        .route("/ready", get(ready).with_state(readiness))
        .route("/live", get(|| async { "live\n" }))
        .fallback(|| async { (StatusCode::NOT_FOUND, "not found; there are /metrics, /live and /ready\n") })
}

async fn metrics_text(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], metrics.text())
}

async fn ready(State(readiness): State<Arc<Readiness>>) -> (StatusCode, String) {
    let missing: Vec<_> = readiness.missing().into_iter().map(Latch::name).collect();
    if !missing.is_empty() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for {}\n", missing.join(", ")));
    }
    let mode = readiness.mode().name();
    let unwritten = if readiness.unwritten.load(Ordering::Acquire) { UNWRITTEN } else { "" };
    let unkept = readiness.unkept.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match unkept {
        None => (StatusCode::OK, format!("ready\nmode {mode}\n{unwritten}")),
        Some(error) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("watching, but the state cannot be written: {error}\nmode {mode}\n{unwritten}"),
        ),
    }
}

const UNWRITTEN: &str = "alerts wait for a file that cannot be written\n";
