//! A receiver that fails in every way a receiver can: each alert arrives in the end, with its id, or is given up for good.

use std::collections::VecDeque;
use std::future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdfs_vigil::config::{Secret, Webhook as Settings};
use hdfs_vigil::pipeline::verdict::AlertId;
use hdfs_vigil::sink::metrics::Metrics;
use hdfs_vigil::sink::webhook::{Parcel, Receipt, Refused, Webhook};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

#[tokio::test]
async fn an_alert_outlives_every_failure_and_keeps_its_id() {
    let receiver =
        Receiver::start([Reply::Status(500), Reply::Hang, Reply::Redirect, Reply::Busy("0"), Reply::Status(204)]).await;
    let mut sender = Sender::start(receiver.address, SOON);
    sender.webhook.offer(parcel(1)).unwrap();
    assert_eq!(sender.receipt().await, Receipt { id: AlertId(1), delivered: true });
    let requests = receiver.requests();
    assert_eq!(requests.len(), 5);
    for request in &requests {
        assert_eq!(request.headers["webhook-id"], AlertId(1).to_string());
        assert_eq!(request.headers["content-type"], "application/json");
        assert_eq!(request.body, parcel(1).body);
        check_signatures(request);
    }
    for outcome in ["failed", "timeout", "rejected", "busy", "delivered"] {
        sender.check_metric(&format!("hdfs_vigil_webhook_attempts_total{{outcome=\"{outcome}\"}} 1"));
    }
    sender.check_metric("hdfs_vigil_webhook_deliveries_total 1");
    sender.check_metric("hdfs_vigil_webhook_queued 0");
    sender.stop().await;
}

#[tokio::test]
async fn alerts_wait_for_a_receiver_that_is_not_there_yet() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut sender = Sender::start(address, SOON);
    sender.webhook.offer(parcel(1)).unwrap();
    sender.webhook.offer(parcel(2)).unwrap();
    sender.wait_for_metric("hdfs_vigil_webhook_attempts_total{outcome=\"unreachable\"} ").await;
    let receiver = Receiver::start_at(address, [Reply::Status(200), Reply::Status(200)]).await;
    let mut delivered = [sender.receipt().await.id, sender.receipt().await.id];
    delivered.sort();
    assert_eq!((delivered, receiver.requests().len()), ([AlertId(1), AlertId(2)], 2));
    sender.stop().await;
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it_for_all_alerts() {
    let receiver = Receiver::start([Reply::Busy("1"), Reply::Status(200), Reply::Status(200)]).await;
    let mut sender = Sender::start(receiver.address, SOON);
    sender.webhook.offer(parcel(1)).unwrap();
    sender.webhook.offer(parcel(2)).unwrap();
    sender.receipt().await;
    sender.receipt().await;
    let requests = receiver.requests();
    assert!(requests[1].at - requests[0].at >= Duration::from_secs(1), "the second attempt came too early");
    sender.stop().await;
}

#[tokio::test]
async fn an_alert_that_is_rejected_holds_up_no_other() {
    let receiver = Receiver::start([Reply::Status(400), Reply::Status(200)]).await;
    let mut sender = Sender::start(receiver.address, Duration::from_secs(3600));
    sender.webhook.offer(parcel(1)).unwrap();
    sender.webhook.offer(parcel(2)).unwrap();
    assert_eq!(sender.receipt().await, Receipt { id: AlertId(2), delivered: true });
    sender.check_metric("hdfs_vigil_webhook_queued 1");
    sender.stop().await;
}

#[tokio::test]
async fn alerts_that_failed_in_an_outage_are_sent_once_it_is_over() {
    let receiver = Receiver::start([Reply::Busy("0"), Reply::Status(200), Reply::Status(200)]).await;
    let mut sender = Sender::start(receiver.address, Duration::from_secs(3600));
    sender.webhook.offer(parcel(1)).unwrap();
    sender.webhook.offer(parcel(2)).unwrap();
    assert_eq!((sender.receipt().await.id, sender.receipt().await.id), (AlertId(2), AlertId(1)));
    sender.stop().await;
}

#[tokio::test]
async fn an_alert_is_given_up_after_its_last_attempt() {
    let receiver = Receiver::start((0..ATTEMPTS_MAX).map(|_| Reply::Status(500))).await;
    let mut sender = Sender::start(receiver.address, SOON);
    sender.webhook.offer(parcel(1)).unwrap();
    assert_eq!(sender.receipt().await, Receipt { id: AlertId(1), delivered: false });
    assert_eq!(receiver.requests().len(), ATTEMPTS_MAX as usize);
    sender.check_metric("hdfs_vigil_webhook_given_up_total 1");
    sender.stop().await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_for_good_gets_nothing_more() {
    let receiver = Receiver::start([Reply::Status(410)]).await;
    let mut sender = Sender::start(receiver.address, SOON);
    sender.webhook.offer(parcel(1)).unwrap();
    assert_eq!(sender.receipts.recv().await, None, "the worker has ended without a receipt");
    assert_eq!(sender.webhook.offer(parcel(2)), Err(Refused::Disabled));
    sender.check_metric("hdfs_vigil_webhook_disabled 1");
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_receiver_that_hangs() {
    let receiver = Receiver::start([Reply::Hang]).await;
    let sender = Sender::start_with(receiver.address, SOON, Duration::from_secs(3600));
    sender.webhook.offer(parcel(1)).unwrap();
    until("the receiver is called", || !receiver.requests().is_empty()).await;
    let mut receipts = sender.stop().await;
    assert_eq!(receipts.recv().await, None, "what was under way is not acknowledged");
}

/// What the receiver does with one request.
#[derive(Clone, Copy)]
enum Reply {
    Status(u16),
    /// 429 with this Retry-After.
    Busy(&'static str),
    Redirect,
    /// No answer at all.
    Hang,
}

#[derive(Clone)]
struct Request {
    headers: HeaderMap,
    body: String,
    at: Instant,
}

#[derive(Clone)]
struct Script {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    requests: Arc<Mutex<Vec<Request>>>,
}

/// A real server that answers as it was told; 500 when it was told no more.
struct Receiver {
    address: SocketAddr,
    script: Script,
}

impl Receiver {
    async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), replies).await
    }

    async fn start_at(address: SocketAddr, replies: impl IntoIterator<Item = Reply>) -> Self {
        let script = Script { replies: Arc::new(Mutex::new(replies.into_iter().collect())), requests: Arc::default() };
        let router = Router::new().route("/hook", post(receive)).with_state(script.clone());
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { address, script }
    }

    fn requests(&self) -> Vec<Request> {
        self.script.requests.lock().unwrap().clone()
    }
}

async fn receive(State(script): State<Script>, headers: HeaderMap, body: String) -> (StatusCode, HeaderMap) {
    script.requests.lock().unwrap().push(Request { headers, body, at: Instant::now() });
    let reply = script.replies.lock().unwrap().pop_front().unwrap_or(Reply::Status(500));
    let with = |name: &'static str, value: &str| HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
    match reply {
        Reply::Status(status) => (StatusCode::from_u16(status).unwrap(), HeaderMap::new()),
        Reply::Busy(wish) => (StatusCode::TOO_MANY_REQUESTS, with("retry-after", wish)),
        Reply::Redirect => (StatusCode::TEMPORARY_REDIRECT, with("location", "/hook")),
        Reply::Hang => future::pending().await,
    }
}

/// A webhook whose worker runs.
struct Sender {
    webhook: Webhook,
    receipts: mpsc::Receiver<Receipt>,
    metrics: Arc<Metrics>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Sender {
    fn start(address: SocketAddr, backoff: Duration) -> Self {
        Self::start_with(address, backoff, Duration::from_millis(500))
    }

    fn start_with(address: SocketAddr, backoff: Duration, timeout: Duration) -> Self {
        let metrics = Arc::new(Metrics::new());
        let (sent, receipts) = mpsc::channel(16);
        let url = format!("http://{address}/hook").parse().unwrap();
        let settings = Settings {
            url,
            secrets: SECRETS.map(|text| Secret::parse(text).unwrap()).to_vec(),
            timeout,
            attempts_max: ATTEMPTS_MAX,
        };
        let (webhook, worker) = Webhook::new(settings, Arc::clone(&metrics), sent).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(worker.with_backoff(vec![backoff]).run(async { stopped.await.unwrap_or_default() }));
        Self { webhook, receipts, metrics, stop, task }
    }

    async fn receipt(&mut self) -> Receipt {
        tokio::time::timeout(DEADLINE, self.receipts.recv()).await.unwrap().unwrap()
    }

    fn check_metric(&self, line: &str) {
        let text = self.metrics.text();
        assert!(text.lines().any(|each| each == line), "no {line:?} in {text}");
    }

    async fn wait_for_metric(&self, prefix: &str) {
        until(prefix, || self.metrics.text().lines().any(|line| line.starts_with(prefix))).await;
    }

    /// Stops the worker, and returns what it has acknowledged that nobody has read.
    async fn stop(self) -> mpsc::Receiver<Receipt> {
        self.stop.send(()).unwrap();
        tokio::time::timeout(DEADLINE, self.task).await.unwrap().unwrap();
        self.receipts
    }
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "still waiting: {what}");
        tokio::task::yield_now().await;
    }
}

/// As a receiver checks them: one signature for each of the secrets, over id, time and body.
fn check_signatures(request: &Request) {
    let header = |name: &str| request.headers[name].to_str().unwrap().to_owned();
    let signed = format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), request.body);
    let signatures = header("webhook-signature");
    assert_eq!(signatures.split(' ').count(), SECRETS.len());
    for (signature, secret) in signatures.split(' ').zip(SECRETS) {
        let mut mac = Hmac::<Sha256>::new_from_slice(Secret::parse(secret).unwrap().bytes()).unwrap();
        mac.update(signed.as_bytes());
        mac.verify_slice(&STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap()).unwrap();
    }
}

fn parcel(id: u128) -> Parcel {
    Parcel { id: AlertId(id), body: format!("{{\"type\":\"anomaly.firing\",\"data\":{id}}}") }
}

const SECRETS: [&str; 2] = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "the old secret, still valid"];
const SOON: Duration = Duration::from_millis(10);
const ATTEMPTS_MAX: u32 = 8;
const DEADLINE: Duration = Duration::from_secs(30);
