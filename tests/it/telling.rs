//! What the daemon tells whom: the webhook gets what is recent, redacted, once the receiver works; observing and old alerts send nothing.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::vigil::{Place, append, story_lines};

#[test]
fn every_recent_alert_reaches_a_receiver_that_fails_at_first() {
    let receiver = Receiver::start(1);
    let place = place(&receiver, "notify", "2d");
    append(&place.logs().join("dn1.log"), &today(&story_lines(60)));
    let vigil = place.start();
    place.wait_for("all alerts at the receiver", |place| {
        let ids = place.alert_ids();
        ids.len() > 5 && receiver.ids() == ids
    });
    assert_eq!(receiver.redacted.lock().unwrap().len(), receiver.ids().len(), "each names a path of a user");
    assert!(vigil.stop().success());
}

#[test]
fn old_alerts_are_kept_and_shown_and_not_sent() {
    check_nothing_is_sent("notify", &story_lines(60));
}

#[test]
fn observing_does_everything_but_send() {
    check_nothing_is_sent("observe", &today(&story_lines(60)));
}

#[test]
fn a_file_that_cannot_be_written_silences_no_webhook() {
    let receiver = Receiver::start(0);
    let place = place(&receiver, "notify", "2d");
    std::fs::create_dir(place.path("alerts.jsonl")).unwrap();
    append(&place.logs().join("dn1.log"), &today(&story_lines(60)));
    let vigil = place.start();
    place.wait_for("alerts at the receiver", |_| receiver.ids().len() > 5);
    std::fs::remove_dir(place.path("alerts.jsonl")).unwrap();
    place.wait_for("the same in the file, once it can be written", |place| place.alert_ids() == receiver.ids());
    assert!(vigil.stop().success());
}

fn check_nothing_is_sent(mode: &str, lines: &[String]) {
    let receiver = Receiver::start(0);
    let place = place(&receiver, mode, "2d");
    append(&place.logs().join("dn1.log"), lines);
    let vigil = place.start();
    place.wait_for("alerts in the file", |place| place.alerts().len() > 5);
    assert!(vigil.stop().success());
    assert_eq!(receiver.ids(), BTreeSet::new());
}

pub fn place(receiver: &Receiver, mode: &str, notify_age_max: &str) -> Place {
    let place = Place::new("");
    std::fs::write(place.path("secret"), "a secret of more than sixteen bytes\n").unwrap();
    let secret = place.path("secret").display().to_string();
    place.configure(&format!(
        "[alerts]\nmode = \"{mode}\"\nnotify_age_max = \"{notify_age_max}\"\nredact = [\"/user/[^ ]+\"]\n[webhook]\nurl = \"http://{}/hook\"\nsecret_file = {secret:?}\n",
        receiver.address
    ));
    place
}

/// The same lines with the date of today.
pub fn today(lines: &[String]) -> Vec<String> {
    let date = Timestamp::now().to_zoned(TimeZone::UTC).strftime("%y%m%d").to_string();
    lines.iter().map(|line| format!("{date}{}", &line[6..])).collect()
}

/// A real HTTP receiver that takes the ids of what is sent.
pub struct Receiver {
    address: SocketAddr,
    ids: Ids,
    /// Those out of which something was taken.
    redacted: Ids,
    _runtime: Runtime,
}

impl Receiver {
    /// Fails the first `failures` requests.
    pub fn start(failures: usize) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let [ids, redacted]: [Ids; 2] = Default::default();
        let state = (Arc::clone(&ids), Arc::clone(&redacted), Arc::new(AtomicUsize::new(failures)));
        let router = Router::new().route("/hook", post(receive)).with_state(state);
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { address, ids, redacted, _runtime: runtime }
    }

    pub fn ids(&self) -> BTreeSet<String> {
        self.ids.lock().unwrap().clone()
    }
}

type Ids = Arc<Mutex<BTreeSet<String>>>;
type Taken = (Ids, Ids, Arc<AtomicUsize>);

async fn receive(State((ids, redacted, failures)): State<Taken>, headers: HeaderMap, body: String) -> StatusCode {
    let fails = failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
    if fails {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    assert!(headers["webhook-signature"].to_str().unwrap().starts_with("v1,"));
    assert!(!body.contains("/user/"), "{body}");
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    if body.contains("[redacted]") {
        redacted.lock().unwrap().insert(id.clone());
    }
    ids.lock().unwrap().insert(id);
    StatusCode::NO_CONTENT
}
