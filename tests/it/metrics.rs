//! What Prometheus and an orchestrator see, over real HTTP.

use std::env;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hdfs_vigil::config::Mode;
use hdfs_vigil::pipeline::stats::Stats;
use hdfs_vigil::pipeline::verdict::DetectorMode;
use hdfs_vigil::sink::http::{Latch, Readiness, Server};
use hdfs_vigil::sink::metrics::Metrics;
use reqwest::StatusCode;
use tokio::sync::oneshot;

#[tokio::test]
async fn metrics_are_served_and_promtool_finds_no_fault() {
    let metrics = Arc::new(Metrics::new());
    fill(&metrics);
    let site = Site::start(metrics, Arc::default()).await;
    let reply = reqwest::get(site.url("/metrics")).await.unwrap();
    assert_eq!(reply.headers()["content-type"], "text/plain; version=0.0.4");
    let text = reply.text().await.unwrap();
    assert!(text.contains("hdfs_vigil_bytes_total 5\n") && text.contains("process_resident_memory_bytes "), "{text}");
    promtool(&text);
    site.stop().await;
}

#[tokio::test]
async fn ready_turns_true_with_the_last_latch_and_false_while_the_state_cannot_be_written() {
    let readiness = Arc::new(Readiness::default());
    let site = Site::start(Arc::default(), Arc::clone(&readiness)).await;
    site.check("/ready", StatusCode::SERVICE_UNAVAILABLE, "waiting for restored, model, first_scan\n").await;
    readiness.drop_latch(Latch::Model);
    site.check("/ready", StatusCode::SERVICE_UNAVAILABLE, "waiting for restored, first_scan\n").await;
    readiness.drop_latch(Latch::Restored);
    readiness.drop_latch(Latch::FirstScan);
    site.check("/ready", StatusCode::OK, "ready\nmode warmup\n").await;
    readiness.set_mode(DetectorMode::Frozen);
    readiness.drop_latch(Latch::Model);
    site.check("/ready", StatusCode::OK, "ready\nmode frozen\n").await;
    readiness.set_unwritten(true);
    let remark = "alerts wait for a file that cannot be written\n";
    site.check("/ready", StatusCode::OK, &format!("ready\nmode frozen\n{remark}")).await;
    readiness.set_unkept(Some("No space left on device (os error 28)".to_owned()));
    let unkept = "watching, but the state cannot be written: No space left on device (os error 28)\nmode frozen\n";
    site.check("/ready", StatusCode::SERVICE_UNAVAILABLE, &format!("{unkept}{remark}")).await;
    readiness.set_unwritten(false);
    readiness.set_unkept(None);
    site.check("/ready", StatusCode::OK, "ready\nmode frozen\n").await;
    site.stop().await;
}

#[tokio::test]
async fn live_answers_from_the_start_and_other_paths_do_not() {
    let site = Site::start(Arc::default(), Arc::default()).await;
    site.check("/live", StatusCode::OK, "live\n").await;
    site.check("/etc/passwd", StatusCode::NOT_FOUND, "not found; there are /metrics, /live and /ready\n").await;
    let posted = reqwest::Client::new().post(site.url("/metrics")).send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
    site.stop().await;
}

#[tokio::test]
async fn an_address_that_is_taken_is_named_with_its_key() {
    let site = Site::start(Arc::default(), Arc::default()).await;
    let error = Server::bind(site.address, Arc::default(), Arc::default()).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("listen on {} (http.listen): ", site.address)), "{error}");
    site.stop().await;
}

fn fill(metrics: &Metrics) {
    metrics.observe(&Stats { bytes: 5, threshold: 2.5, log_time_millis: 1_226_262_918_143, ..Stats::default() });
    metrics.model.set("hdfs-v1", "0123456789abcdef");
    metrics.set_mode(Mode::Notify);
    metrics.score_nats.observe(0.7);
    metrics.inference_seconds.observe(0.004);
    metrics.batch_windows.observe(64.0);
    metrics.count_attempt(hdfs_vigil::sink::webhook::Attempt::Timeout);
    metrics.count_checkpoint(1000, Duration::from_millis(3), SystemTime::now());
}

fn promtool(text: &str) {
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        assert!(env::var("CI").as_deref() != Ok("true"), "promtool is missing; install the package prometheus");
        println!("skipped: promtool is missing; the package prometheus has it");
        return;
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

/// A server on a free port of loopback.
struct Site {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Site {
    async fn start(metrics: Arc<Metrics>, readiness: Arc<Readiness>) -> Self {
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), metrics, readiness).await.unwrap();
        let address = server.address().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.run(async { stopped.await.unwrap_or_default() }));
        Self { address, stop, task }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn check(&self, path: &str, status: StatusCode, body: &str) {
        let reply = reqwest::get(self.url(path)).await.unwrap();
        assert_eq!((reply.status(), reply.text().await.unwrap().as_str()), (status, body), "{path}");
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(30), self.task).await.unwrap().unwrap().unwrap();
    }
}
