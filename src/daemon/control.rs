//! Answers operators on the control socket. What only reads is read from the archive, beside the loop; what changes something is asked
//! of the loop, which answers once it is done and in a checkpoint.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use crossbeam_channel::{Sender, TrySendError};
use jiff::tz::TimeZone;
use serde::Serialize;
use tokio::sync::{Semaphore, oneshot};

use crate::config;
use crate::daemon::mutes::{Listed, MuteError, Muted};
use crate::limits::{CONTROL_BODY_BYTES_MAX, CONTROL_REQUESTS_MAX};
use crate::pipeline::verdict::{AlertType, IncidentId};
use crate::sink::archive::{AlertLine, Archive, Kept, State as AlertState};
use crate::sink::document::MutedDocument;

mod bounded;
mod choice;
pub mod socket;
pub mod wire;

use bounded::BoundedListener;
use choice::Choice;
use socket::Socket;
use wire::{AlertList, Changed, Failure, MuteLine, MuteList, MuteRequest, Shown, ShownAlert, SignatureList};

/// Something that only the loop can do, and where its answer goes.
#[derive(Debug)]
pub struct Request {
    /// What.
    pub ask: Ask,
    /// Nobody may listen any more.
    pub answer: oneshot::Sender<Answer>,
}

/// What the loop is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// All mutes.
    Mutes,
    /// Mute a signature.
    Mute {
        /// 16 hexadecimal digits.
        signature: String,
        /// For how long.
        period: Duration,
        /// Why.
        why: String,
    },
    /// End a mute of an operator.
    Unmute {
        /// 16 hexadecimal digits.
        signature: String,
    },
    /// Somebody knows of a change of regime.
    Acknowledge(IncidentId),
}

/// What the loop answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All mutes.
    Mutes(Vec<Listed>),
    /// It is done.
    Done {
        /// What the change took the place of, or took back: a mute and what it has held back.
        replaced: Option<u64>,
        /// Whether it is in a checkpoint; else a crash loses it.
        is_kept: bool,
    },
    /// It cannot be done.
    Refused(MuteError),
    /// The incident does not fire.
    NotFiring,
}

/// What answers need.
#[derive(Clone, Debug)]
pub struct Desk {
    archive: Archive,
    zone: TimeZone,
    requests: Sender<Request>,
    /// The archive is read by one at a time: it costs time of the disk and of a core.
    reading: Arc<Semaphore>,
}

/// Why an answer is none.
#[derive(Debug)]
struct Refusal(StatusCode, String);

impl Desk {
    /// Answers from `archive`, with times of `zone`, and asks the loop by `requests`.
    #[must_use]
    pub fn new(archive: Archive, zone: TimeZone, requests: Sender<Request>) -> Self {
        Self { archive, zone, requests, reading: Arc::new(Semaphore::new(1)) }
    }

    /// Answers on `socket` until `shutdown` ends, then removes it.
    ///
    /// # Errors
    /// As the listener says; failed connections are no errors.
    pub async fn run(self, mut socket: Socket, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let Some(listener) = socket.take_listener() else { return Ok(()) };
        let listener = BoundedListener::new(tokio::net::UnixListener::from_std(listener)?);
        axum::serve(listener, self.router()).with_graceful_shutdown(shutdown).await
    }

    fn router(self) -> Router {
        Router::new()
            .route("/alerts", get(list))
            .route("/alerts/{id}", get(show))
            .route("/alerts/{id}/ack", post(acknowledge))
            .route("/signatures", get(signatures))
            .route("/mutes", get(mutes).post(mute))
            .route("/mutes/{signature}", delete(unmute))
            .fallback(|| async { Refusal(StatusCode::NOT_FOUND, format!("there is no such thing; there are {ROUTES}")) })
            .method_not_allowed_fallback(|| async {
                Refusal(StatusCode::METHOD_NOT_ALLOWED, format!("not by this method; there are {ROUTES}"))
            })
            .layer(DefaultBodyLimit::max(CONTROL_BODY_BYTES_MAX))
            .with_state(self)
    }

    /// Does `work` with the archive on a thread that may wait for the disk.
    async fn read<T: Send + 'static>(&self, work: impl FnOnce(&Archive) -> io::Result<T> + Send + 'static) -> Result<T, Refusal> {
        let archive = self.archive.clone();
        let reading = Arc::clone(&self.reading).acquire_owned();
        let work = async {
            let turn = reading.await;
            // The turn ends with the reading, also when nobody waits for it any more.
            tokio::task::spawn_blocking(move || (work(&archive), turn).0).await.map_err(io::Error::other)?
        };
        let slow =
            |_| Refusal(StatusCode::SERVICE_UNAVAILABLE, format!("the archive was not read within {WAIT:?}; is the disk slow?"));
        let read = tokio::time::timeout(WAIT, work).await.map_err(slow)?;
        read.map_err(|error| Refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
    }

    async fn kept(&self) -> Result<Kept, Refusal> {
        self.read(Archive::list).await
    }

    async fn ask(&self, ask: Ask) -> Result<Answer, Refusal> {
        let (answer, answered) = oneshot::channel();
        let busy = |why: &str| Refusal(StatusCode::SERVICE_UNAVAILABLE, why.to_owned());
        self.requests.try_send(Request { ask, answer }).map_err(|error| match error {
            TrySendError::Full(_) => busy(&format!("{CONTROL_REQUESTS_MAX} requests wait for the daemon already; try again")),
            TrySendError::Disconnected(_) => busy(STOPPING),
        })?;
        match tokio::time::timeout(WAIT, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(busy(STOPPING)),
            Err(_) => {
                let what = "it is starting, or its disk hangs; the request may still be carried out";
                Err(Refusal(StatusCode::GATEWAY_TIMEOUT, format!("the daemon did not answer within {WAIT:?}: {what}")))
            }
        }
    }

    /// The alerts that `id` names.
    async fn named(&self, id: &str) -> Result<Vec<AlertLine>, Refusal> {
        choice::named(self.kept().await?.alerts, id).map_err(|why| Refusal(StatusCode::NOT_FOUND, why))
    }
}

async fn list(State(desk): State<Desk>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    let choice = chosen(query.as_deref())?;
    let Kept { alerts, bad_lines } = desk.kept().await?;
    let (alerts, left_out) = choice.newest(alerts);
    Ok(json(&AlertList { alerts, left_out, bad_lines }))
}

async fn signatures(State(desk): State<Desk>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    let choice = chosen(query.as_deref())?;
    let Kept { alerts, bad_lines } = desk.kept().await?;
    let (signatures, left_out) = choice.by_signature(alerts);
    Ok(json(&SignatureList { signatures, left_out, bad_lines }))
}

fn chosen(query: Option<&str>) -> Result<Choice, Refusal> {
    Choice::parse(query.unwrap_or_default()).map_err(bad_request)
}

async fn show(State(desk): State<Desk>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let named = desk.named(&id).await?;
    let states: BTreeMap<String, AlertState> = named.into_iter().map(|alert| (alert.id, alert.state)).collect();
    let wanted = states.clone();
    let documents = desk.read(move |archive| archive.documents(|id| wanted.contains_key(id))).await?;
    let shown = documents.into_iter().filter_map(|alert| Some(ShownAlert { state: *states.get(&alert.id)?, alert }));
    Ok(json(&Shown { alerts: shown.collect() }))
}

async fn acknowledge(State(desk): State<Desk>, Path(id): Path<String>) -> Result<Response, Refusal> {
    // An incident by its whole name may have left the archive, and fire on.
    if let Some(incident) = choice::incident(&id)
        && let Answer::Done { is_kept, .. } = desk.ask(Ask::Acknowledge(incident)).await?
    {
        return Ok(changed(format!("{id} is acknowledged"), None, is_kept));
    }
    let named = desk.named(&id).await?;
    let alert = named.into_iter().next_back().ok_or_else(|| bad_request(format!("no kept alert is {id}")))?;
    if !matches!(alert.alert_type, AlertType::Regime | AlertType::RegimeResolved) {
        let (kind, signature) = (alert.alert_type.name(), &alert.signature);
        let why = format!("{} is {kind}, and only regime.changed waits for an acknowledgement", alert.id);
        let remedy = format!("to hear no more of its kind: hdfs-vigil alerts mute {signature} --for 7d --why …");
        return Err(Refusal(StatusCode::CONFLICT, format!("{why}; {remedy}")));
    }
    let incident = choice::incident(&alert.incident).ok_or_else(|| bad_request(format!("{} is no incident", alert.incident)))?;
    match desk.ask(Ask::Acknowledge(incident)).await? {
        Answer::Done { is_kept, .. } => Ok(changed(format!("{} is acknowledged", alert.incident), None, is_kept)),
        Answer::NotFiring | Answer::Mutes(_) | Answer::Refused(_) => {
            Err(Refusal(StatusCode::CONFLICT, format!("{} does not fire any more", alert.incident)))
        }
    }
}

async fn mutes(State(desk): State<Desk>) -> Result<Response, Refusal> {
    let mutes = match desk.ask(Ask::Mutes).await? {
        Answer::Mutes(mutes) => mutes,
        Answer::Done { .. } | Answer::Refused(_) | Answer::NotFiring => Vec::new(),
    };
    let line = |Listed { signature, muted, held_back }| MuteLine { signature, muted: document(&muted, &desk.zone), held_back };
    Ok(json(&MuteList { mutes: mutes.into_iter().map(line).collect() }))
}

async fn mute(State(desk): State<Desk>, body: Bytes) -> Result<Response, Refusal> {
    let request: MuteRequest =
        serde_json::from_slice(&body).map_err(|error| bad_request(format!("read the request: {error}")))?;
    let period = wire::check(&request).map_err(bad_request)?;
    let MuteRequest { signature, why, .. } = request;
    let is_known = desk.kept().await?.alerts.iter().any(|alert| alert.signature == signature);
    match desk.ask(Ask::Mute { signature: signature.clone(), period, why }).await? {
        Answer::Done { replaced, is_kept } => {
            let instead = if replaced.is_some() { ", instead of the mute before" } else { "" };
            let done = format!("{signature} is muted for {}{instead}", config::display_duration(period));
            let remark = (!is_known).then(|| "no alert with it is kept; is it the right one?".to_owned());
            Ok(changed(done, remark, is_kept))
        }
        answer @ (Answer::Mutes(_) | Answer::Refused(_) | Answer::NotFiring) => Err(refused(&signature, answer)),
    }
}

async fn unmute(State(desk): State<Desk>, Path(signature): Path<String>) -> Result<Response, Refusal> {
    wire::check_signature(&signature).map_err(bad_request)?;
    match desk.ask(Ask::Unmute { signature: signature.clone() }).await? {
        Answer::Done { replaced, is_kept } => {
            let done = format!("{signature} is not muted any more; {} alerts were held back", replaced.unwrap_or(0));
            Ok(changed(done, None, is_kept))
        }
        answer @ (Answer::Mutes(_) | Answer::Refused(_) | Answer::NotFiring) => Err(refused(&signature, answer)),
    }
}

/// A mute as alerts and lists tell it.
#[must_use]
pub fn document(muted: &Muted, zone: &TimeZone) -> MutedDocument {
    MutedDocument::new(muted.by, muted.why.as_deref(), muted.until.map(|until| until.0), zone)
}

fn refused(signature: &str, answer: Answer) -> Refusal {
    let why = match answer {
        Answer::Refused(why) => why.to_string(),
        Answer::Mutes(_) | Answer::Done { .. } | Answer::NotFiring => {
            "the daemon gave another answer than was asked for".to_owned()
        }
    };
    Refusal(StatusCode::CONFLICT, format!("{signature}: {why}"))
}

fn changed(done: String, remark: Option<String>, is_kept: bool) -> Response {
    let unkept = "it is done, but the checkpoint could not be written: a crash would undo it; see the daemon's log";
    let remark = if is_kept { remark } else { Some(unkept.to_owned()) };
    json(&Changed { done, remark })
}

fn bad_request(why: String) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, why)
}

fn json(answer: &impl Serialize) -> Response {
    let mut text = serde_json::to_string(answer).expect("answers have text keys and finite numbers");
    text.push('\n');
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, json(&Failure { error: self.1 })).into_response()
    }
}

const ROUTES: &str = "GET /alerts, /alerts/ID, /signatures, /mutes; POST /alerts/ID/ack, /mutes; DELETE /mutes/SIGNATURE";
const STOPPING: &str = "the daemon is stopping";
/// An operator waits no longer.
const WAIT: Duration = Duration::from_secs(10);
