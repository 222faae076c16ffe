//! Sends alerts to a receiver as Standard Webhooks 1.0 asks, until it takes them.
//!
//! Every alert is sent at least once and always with the same `webhook-id`. An alert that is queued here stays in the daemon's
//! checkpoint until its [`Receipt`] comes back; what is lost here by a crash is offered again after the restart.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, StatusCode, redirect};
use serde::Serialize;
use sha2::Sha256;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::config;
use crate::limits::{RETRY_AFTER_SECONDS_MAX, WEBHOOK_QUEUE_MAX};
use crate::pipeline::verdict::AlertId;
use crate::sink::document::Document;
use crate::sink::metrics::Metrics;

/// Where alerts are handed in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Webhook {
    queue: mpsc::Sender<Parcel>,
    disabled: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
}

/// An alert ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// Which alert; `webhook-id` is its text form.
    pub id: AlertId,
    /// The JSON body: `type`, `timestamp`, `data`.
    pub body: String,
}

/// Why an alert was not taken. It is to be offered again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// [`WEBHOOK_QUEUE_MAX`] alerts wait already.
    #[error("queue alert: {WEBHOOK_QUEUE_MAX} wait already; is the receiver down?")]
    Full,
    /// The receiver has answered 410, or the worker has ended.
    #[error("queue alert: the webhook is disabled; set webhook.url anew and restart")]
    Disabled,
}

/// What became of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Which alert.
    pub id: AlertId,
    /// Whether the receiver took it. If not, all attempts are used up, and a person has to send it again.
    pub delivered: bool,
}

impl Parcel {
    /// Wraps `document` as Standard Webhooks asks.
    #[must_use]
    pub fn new(id: AlertId, document: &Document) -> Self {
        let envelope = Envelope { event: document.alert_type.name(), timestamp: &document.time, data: document };
        Self { id, body: serde_json::to_string(&envelope).expect("a document has text keys and finite numbers") }
    }
}

impl Webhook {
    /// A webhook, and the worker that does the sending once it is run. Receipts go to `receipts`; while that is full, nothing is sent.
    ///
    /// # Errors
    /// When the TLS library finds no certificates of authorities on this host.
    pub fn new(
        config: config::Webhook,
        metrics: Arc<Metrics>,
        receipts: mpsc::Sender<Receipt>,
    ) -> reqwest::Result<(Self, Worker)> {
        let agent = concat!("hdfs-vigil/", env!("CARGO_PKG_VERSION"));
        let client = Client::builder().timeout(config.timeout).redirect(redirect::Policy::none()).user_agent(agent).build()?;
        let (queue, parcels) = mpsc::channel(WEBHOOK_QUEUE_MAX);
        let disabled = Arc::new(AtomicBool::new(false));
        let webhook = Self { queue, disabled: Arc::clone(&disabled), metrics: Arc::clone(&metrics) };
        let worker = Worker {
            client,
            config,
            metrics,
            parcels,
            receipts,
            disabled,
            backoff: BACKOFF.to_vec(),
            waiting: VecDeque::new(),
            resume_at: Instant::now(),
        };
        Ok((webhook, worker))
    }

    /// Queues `parcel`, at once.
    ///
    /// # Errors
    /// When there is no room or no use; counted as `webhook_refused`.
    pub fn offer(&self, parcel: Parcel) -> Result<(), Refused> {
        let refused = if self.disabled.load(Ordering::Acquire) {
            Refused::Disabled
        } else {
            match self.queue.try_send(parcel) {
                Ok(()) => {
                    self.metrics.webhook_queued.inc();
                    return Ok(());
                }
                Err(mpsc::error::TrySendError::Full(_)) => Refused::Full,
                Err(mpsc::error::TrySendError::Closed(_)) => Refused::Disabled,
            }
        };
        self.metrics.webhook_refused.inc();
        Err(refused)
    }
}

/// Sends what was queued, one alert after the other, so that a receiver that comes back is not trampled.
#[derive(Debug)]
pub struct Worker {
    client: Client,
    config: config::Webhook,
    metrics: Arc<Metrics>,
    parcels: mpsc::Receiver<Parcel>,
    receipts: mpsc::Sender<Receipt>,
    disabled: Arc<AtomicBool>,
    backoff: Vec<Duration>,
    /// Alerts that failed before and wait for their next attempt; bounded, since no parcel is taken while there are
    /// [`WEBHOOK_QUEUE_MAX`].
    waiting: VecDeque<Pending>,
    /// Nothing is sent before this: the receiver is down, or has asked for it.
    resume_at: Instant,
}

/// An alert with its history.
#[derive(Debug)]
struct Pending {
    parcel: Parcel,
    /// Attempts made.
    attempts: u32,
    /// When the next one may be made.
    due: Instant,
    /// Set when the last attempt failed because of the receiver and not because of this alert: it is due once another one arrives.
    awaits_receiver: bool,
}

/// How an attempt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// 2xx.
    Delivered,
    /// 410: the receiver wants no more.
    Gone,
    /// 429 or 503: later, perhaps with a wish when.
    Busy(Option<Duration>),
    /// 5xx and 408: the receiver fails.
    Failed(StatusCode),
    /// Everything else, redirects included: the receiver does not want this alert.
    Rejected(StatusCode),
    /// No answer in time.
    Timeout,
    /// No connection, or one that broke.
    Unreachable,
}

impl Attempt {
    /// The value of the label `outcome`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Gone => "gone",
            Self::Busy(_) => "busy",
            Self::Failed(_) => "failed",
            Self::Rejected(_) => "rejected",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
        }
    }

    fn from_reply(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Self {
        match status {
            StatusCode::GONE => Self::Gone,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Self::Busy(retry_after(headers, now)),
            StatusCode::REQUEST_TIMEOUT => Self::Failed(status),
            _ if status.is_success() => Self::Delivered,
            _ if status.is_server_error() => Self::Failed(status),
            _ => Self::Rejected(status),
        }
    }

    /// Whether it says of the receiver that nothing arrives there now, rather than that it stumbles over this alert.
    fn is_outage(self) -> bool {
        match self {
            Self::Busy(_) | Self::Timeout | Self::Unreachable => true,
            Self::Failed(status) => matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT),
            Self::Delivered | Self::Gone | Self::Rejected(_) => false,
        }
    }

    /// How long the whole webhook rests after it, given that this alert waits for `backoff`. Only a rejection concerns the alert alone.
    fn rest(self, backoff: Duration) -> Duration {
        match self {
            Self::Delivered | Self::Rejected(_) | Self::Gone => Duration::ZERO,
            Self::Busy(wish) => wish.unwrap_or(backoff.min(REST_MAX)),
            Self::Failed(_) | Self::Timeout | Self::Unreachable => backoff.min(REST_MAX),
        }
    }
}

impl Worker {
    /// Waits for `backoff[i]` after attempt `i + 1` in place of the schedule of Standard Webhooks, for receivers that are tested.
    #[must_use]
    pub fn with_backoff(mut self, backoff: Vec<Duration>) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sends until `shutdown` ends, the receiver is gone for good, or all [`Webhook`]s are dropped and nothing waits.
    /// An attempt under way at `shutdown` is broken off; its alert will be sent again.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        tokio::select! {
            () = shutdown => {}
            () = self.work() => {}
        }
        self.metrics.webhook_queued.set(0);
    }

    async fn work(&mut self) {
        while let Some(mut pending) = self.next().await {
            let attempt = self.send(&pending.parcel).await;
            pending.attempts += 1;
            self.metrics.count_attempt(attempt);
            if attempt == Attempt::Gone {
                return self.disable();
            } else if attempt == Attempt::Delivered {
                self.end_outage();
                self.settle(&pending, true).await;
            } else if pending.attempts >= self.config.attempts_max {
                self.settle(&pending, false).await;
            } else {
                self.postpone(pending, attempt);
            }
        }
    }

    /// The alert whose turn it is: of those that are due, the one that has waited longest; else a new one.
    async fn next(&mut self) -> Option<Pending> {
        loop {
            tokio::time::sleep_until(self.resume_at).await;
            let now = Instant::now();
            if let Some(index) = self.waiting.iter().position(|pending| pending.due <= now) {
                return self.waiting.remove(index);
            }
            let due = self.waiting.iter().map(|pending| pending.due).min();
            let has_room = self.waiting.len() < WEBHOOK_QUEUE_MAX;
            tokio::select! {
                parcel = self.parcels.recv(), if has_room => match (parcel, due) {
                    (Some(parcel), _) => return Some(Pending { parcel, attempts: 0, due: now, awaits_receiver: false }),
                    (None, None) => return None,
                    (None, Some(due)) => tokio::time::sleep_until(due).await,
                },
                () = tokio::time::sleep_until(due.unwrap_or(now)), if due.is_some() => {}
            }
        }
    }

    async fn send(&self, parcel: &Parcel) -> Attempt {
        let id = parcel.id.to_string();
        let now = SystemTime::now();
        let timestamp = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let request = self
            .client
            .post(self.config.url.clone())
            .header("content-type", "application/json")
            .header("webhook-signature", self.signatures(&id, timestamp, &parcel.body))
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .body(parcel.body.clone());
        match request.send().await {
            Ok(reply) => Attempt::from_reply(reply.status(), reply.headers(), now),
            Err(error) if error.is_timeout() => Attempt::Timeout,
            Err(_) => Attempt::Unreachable,
        }
    }

    fn signatures(&self, id: &str, timestamp: u64, body: &str) -> String {
        let signed = format!("{id}.{timestamp}.{body}");
        let sign = |secret: &config::Secret| format!("v1,{}", signature(secret.bytes(), signed.as_bytes()));
        self.config.secrets.iter().map(sign).collect::<Vec<_>>().join(" ")
    }

    async fn settle(&self, pending: &Pending, delivered: bool) {
        let (id, attempts) = (pending.parcel.id, pending.attempts);
        if delivered {
            self.metrics.webhook_deliveries.inc();
            info!(alert = %id, attempts, "Alert delivered.");
        } else {
            self.metrics.webhook_given_up.inc();
            error!(alert = %id, attempts, host = self.config.host(), "Alert given up; send it again once the receiver works.");
        }
        self.metrics.webhook_queued.dec();
        // A daemon that no longer listens is about to end; its checkpoint still has the alert.
        let _ = self.receipts.send(Receipt { id, delivered }).await;
    }

    fn postpone(&mut self, mut pending: Pending, attempt: Attempt) {
        let index = (pending.attempts as usize).saturating_sub(1).min(self.backoff.len().saturating_sub(1));
        let backoff = self.backoff.get(index).copied().unwrap_or_default().mul_f64(jitter());
        let rest = attempt.rest(backoff);
        warn!(
            alert = %pending.parcel.id, attempts = pending.attempts, outcome = ?attempt, host = self.config.host(),
            again_in_seconds = backoff.max(rest).as_secs_f64(), "Alert not delivered."
        );
        let now = Instant::now();
        self.resume_at = self.resume_at.max(now + rest);
        pending.due = now + backoff.max(rest);
        pending.awaits_receiver = attempt.is_outage();
        self.waiting.push_back(pending);
    }

    /// Makes due what waited for the receiver only: after a night without it, nobody wants to wait for hours more.
    fn end_outage(&mut self) {
        let now = Instant::now();
        for pending in self.waiting.iter_mut().filter(|pending| pending.awaits_receiver) {
            pending.due = now;
        }
    }

    fn disable(&self) {
        self.disabled.store(true, Ordering::Release);
        self.metrics.webhook_disabled.set(1);
        error!(
            host = self.config.host(),
            "The receiver is gone for good (410); alerts are kept. Set webhook.url anew and restart."
        );
    }
}

/// The body of a request.
#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    event: &'a str,
    timestamp: &'a str,
    data: &'a Document,
}

/// HMAC-SHA256 of `signed` in base64, as Standard Webhooks 1.0 has it in "Signature scheme".
fn signature(secret: &[u8], signed: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(signed);
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Seconds or a date, RFC 9110, section 10.2.3; bounded, and nothing for what is neither.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let until = |text: &str| {
        let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        let now = Timestamp::try_from(now).ok()?;
        Some(u64::try_from(at.as_second() - now.as_second()).unwrap_or(0))
    };
    let seconds = text.parse::<u64>().ok().or_else(|| until(text))?;
    Some(Duration::from_secs(seconds.min(RETRY_AFTER_SECONDS_MAX)))
}

/// 0.9..1.1, so that many daemons do not come back at the same moment.
fn jitter() -> f64 {
    rand::random_range(0.9..1.1)
}

/// Waits between attempts, as Standard Webhooks 1.0 recommends: three days in all.
const BACKOFF: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(5 * 3600),
    Duration::from_secs(10 * 3600),
    Duration::from_secs(14 * 3600),
    Duration::from_secs(20 * 3600),
    Duration::from_secs(24 * 3600),
];

/// After a failure of the receiver, other alerts wait no longer than this: the next of them finds out whether it is back.
const REST_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_standard() {
        // Test vector of the reference libraries of Standard Webhooks.
        let secret = config::Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}";
        assert_eq!(signature(secret.bytes(), signed), "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn replies_are_told_apart() {
        check(200, None, Attempt::Delivered);
        check(204, None, Attempt::Delivered);
        check(301, None, Attempt::Rejected(StatusCode::MOVED_PERMANENTLY));
        check(404, None, Attempt::Rejected(StatusCode::NOT_FOUND));
        check(408, None, Attempt::Failed(StatusCode::REQUEST_TIMEOUT));
        check(410, None, Attempt::Gone);
        check(500, Some("5"), Attempt::Failed(StatusCode::INTERNAL_SERVER_ERROR));
        check(429, None, Attempt::Busy(None));
        check(503, Some("120"), Attempt::Busy(Some(Duration::from_secs(120))));
        check(429, Some("86401"), Attempt::Busy(Some(Duration::from_secs(86_400))));
        check(429, Some("Thu, 01 Jan 1970 00:01:30 GMT"), Attempt::Busy(Some(Duration::from_secs(90))));
        check(429, Some("Wed, 31 Dec 1969 23:59:00 GMT"), Attempt::Busy(Some(Duration::ZERO)));
        check(429, Some("soon"), Attempt::Busy(None));
        check(429, Some("-5"), Attempt::Busy(None));
    }

    #[test]
    fn only_a_rejection_concerns_the_alert_alone() {
        let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3600));
        assert_eq!(Attempt::Rejected(StatusCode::BAD_REQUEST).rest(hour), Duration::ZERO);
        assert_eq!(Attempt::Timeout.rest(second), second);
        assert_eq!(Attempt::Unreachable.rest(hour), REST_MAX);
        assert_eq!(Attempt::Busy(Some(hour)).rest(second), hour);
        assert_eq!(Attempt::Busy(None).rest(hour), REST_MAX);
    }

    #[test]
    fn the_body_is_what_the_standard_asks_for() {
        let document = crate::sink::document::tests::example();
        let parcel = Parcel::new(AlertId(42), &document);
        let body: serde_json::Value = serde_json::from_str(&parcel.body).unwrap();
        assert_eq!(body["type"], "anomaly.firing");
        assert_eq!(body["timestamp"], document.time);
        assert_eq!(serde_json::from_value::<Document>(body["data"].clone()).unwrap(), document);
    }

    #[test]
    fn a_full_queue_refuses_and_counts() {
        let metrics = Arc::new(Metrics::new());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _guard = runtime.enter();
        let (webhook, worker) = Webhook::new(settings(), Arc::clone(&metrics), mpsc::channel(1).0).unwrap();
        let parcel = || Parcel { id: AlertId(1), body: String::new() };
        for _ in 0..WEBHOOK_QUEUE_MAX {
            webhook.offer(parcel()).unwrap();
        }
        assert_eq!(webhook.offer(parcel()), Err(Refused::Full));
        assert_eq!(metrics.webhook_refused.get(), 1);
        drop(worker);
        assert_eq!(webhook.offer(parcel()), Err(Refused::Disabled));
    }

    fn check(status: u16, retry_after: Option<&'static str>, expected: Attempt) {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, value.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(Attempt::from_reply(status, &headers, SystemTime::UNIX_EPOCH), expected, "{status} {retry_after:?}");
    }

    fn settings() -> config::Webhook {
        config::Webhook {
            url: "http://127.0.0.1:9".parse().unwrap(),
            secrets: vec![config::Secret::parse("0123456789abcdef").unwrap()],
            timeout: Duration::from_secs(1),
            attempts_max: 1,
        }
    }
}
