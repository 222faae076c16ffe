//! Alerts that are not yet where they are to go. They stand in every checkpoint, so that a crash loses none.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::daemon::mutes::Muted;
use crate::limits::OUTBOX_ALERTS_MAX;
use crate::pipeline::verdict::{Alert, AlertId};

/// Alerts on their way, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    waiting: VecDeque<Waiting>,
    head: Head,
}

/// What a checkpoint keeps beside the alerts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The number of the next alert.
    next: u64,
    dropped: u64,
    /// Outages of the daemon's own state that were told of; they tell one from another.
    outages: u64,
}

/// One alert on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Waiting {
    /// In the order of the alerts; no other has it.
    number: u64,
    alert: Alert,
    /// Still to be written down: file, terminal, log.
    to_show: bool,
    /// Still to be sent.
    to_send: bool,
    /// Why it is not to be sent, if that is because it is muted.
    muted: Option<Muted>,
    /// With the teller for it; not after a restart.
    #[serde(skip)]
    showing: bool,
    /// With the teller or the webhook for it; not after a restart.
    #[serde(skip)]
    sending: bool,
}

/// What is to be done with an alert.
#[derive(Clone, Debug)]
pub struct Errand {
    /// The alert.
    pub alert: Alert,
    /// What.
    pub task: Task,
    /// To be said of it: that it is muted.
    pub muted: Option<Muted>,
}

/// What can be done with an alert, each without the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Write it down: file, terminal, log.
    Show,
    /// Send it.
    Send,
}

impl Task {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Show, Self::Send];
}

/// What the teller and the webhook did. Writing down and sending fail apart: a full disk silences no webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It is written down.
    Shown(AlertId),
    /// It could not be written down; to be tried again.
    NotShown(AlertId),
    /// It was sent, or given up.
    Sent(AlertId),
    /// It was not taken to be sent; to be tried again.
    NotSent(AlertId),
}

impl Done {
    /// The alert concerned.
    #[must_use]
    pub fn id(self) -> AlertId {
        let (Self::Shown(id) | Self::NotShown(id) | Self::Sent(id) | Self::NotSent(id)) = self;
        id
    }
}

impl Outbox {
    /// The outbox of a checkpoint.
    #[must_use]
    pub fn restore(head: Head, waiting: impl IntoIterator<Item = Waiting>) -> Self {
        let mut waiting: Vec<Waiting> = waiting.into_iter().collect();
        waiting.sort_by_key(|waiting| waiting.number);
        Self { waiting: waiting.into(), head }
    }

    /// What a checkpoint keeps beside the alerts.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }

    /// The alerts, each with its number: what a checkpoint keeps of them.
    pub fn waiting(&self) -> impl Iterator<Item = (u64, &Waiting)> {
        self.waiting.iter().map(|waiting| (waiting.number, waiting))
    }

    /// Adds an alert, with why it is muted if it is. At [`OUTBOX_ALERTS_MAX`] the oldest one is dropped and counted; true when that happened.
    pub fn push(&mut self, alert: Alert, to_send: bool, muted: Option<Muted>) -> bool {
        self.add_beyond(alert, to_send, muted);
        self.trim()
    }

    /// Adds an alert that may be taken back, at the bound too. Call [`Outbox::trim`] once it is there to stay.
    pub fn add_beyond(&mut self, alert: Alert, to_send: bool, muted: Option<Muted>) {
        let number = self.head.next;
        self.head.next += 1;
        self.waiting.push_back(Waiting { number, alert, to_show: true, to_send, muted, showing: false, sending: false });
    }

    /// Takes the alert back that was added last; nobody has been told of it.
    pub fn take_back(&mut self) {
        let waiting = self.waiting.pop_back();
        debug_assert!(waiting.is_none_or(|waiting| !waiting.showing && !waiting.sending), "it was on its way already");
    }

    /// Drops what is over the bound, the oldest first, and counts it; true when something was.
    pub fn trim(&mut self) -> bool {
        let over = self.waiting.len().saturating_sub(OUTBOX_ALERTS_MAX);
        self.waiting.drain(..over);
        self.head.dropped += over as u64;
        over > 0
    }

    /// Lets nothing of `signature` be sent that waits for it and that `mute` says is muted by now: how many those were.
    pub fn hold_back(&mut self, signature: &str, mut mute: impl FnMut(&Alert) -> Option<Muted>) -> u64 {
        let mut held_back = 0;
        for waiting in &mut self.waiting {
            let waits = waiting.to_send && !waiting.sending && waiting.alert.signature == signature;
            if waits && let Some(muted) = mute(&waiting.alert) {
                (waiting.to_send, waiting.muted) = (false, Some(muted));
                held_back += 1;
            }
        }
        self.waiting.retain(|waiting| waiting.to_show || waiting.to_send);
        held_back
    }

    /// The next alert with which this is to be done and that nobody has in hand for it.
    pub fn take_next(&mut self, task: Task) -> Option<Errand> {
        let waiting = self.waiting.iter_mut().find(|waiting| waiting.is_idle(task))?;
        match task {
            Task::Show => waiting.showing = true,
            Task::Send => waiting.sending = true,
        }
        Some(Errand { alert: waiting.alert.clone(), task, muted: waiting.muted.clone() })
    }

    /// Notes what was done. True when the alert is done with.
    pub fn handle_done(&mut self, done: Done) -> bool {
        let Some(index) = self.waiting.iter().position(|waiting| waiting.alert.id == done.id()) else { return false };
        let waiting = &mut self.waiting[index];
        match done {
            Done::Shown(_) => waiting.to_show = false,
            Done::Sent(_) => waiting.to_send = false,
            Done::NotShown(_) | Done::NotSent(_) => {}
        }
        let finished = !waiting.to_show && !waiting.to_send;
        if finished {
            self.waiting.remove(index);
        }
        finished
    }

    /// Lets what was not done be tried again; false when the alert is not here any more.
    pub fn retry(&mut self, failed: Done) -> bool {
        let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.alert.id == failed.id()) else { return false };
        match failed {
            Done::NotShown(_) => waiting.showing = false,
            Done::NotSent(_) => waiting.sending = false,
            Done::Shown(_) | Done::Sent(_) => {}
        }
        true
    }

    /// Another outage of the daemon's own state was told of.
    pub fn count_outage(&mut self) {
        self.head.outages += 1;
    }

    /// Outages told of so far.
    #[must_use]
    pub fn outages(&self) -> u64 {
        self.head.outages
    }

    /// Alerts that are not written down yet.
    #[must_use]
    pub fn unshown(&self) -> usize {
        self.waiting.iter().filter(|waiting| waiting.to_show).count()
    }

    /// Alerts on their way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing is on its way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Alerts dropped at the bound.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.head.dropped
    }
}

impl Waiting {
    fn is_idle(&self, task: Task) -> bool {
        match task {
            Task::Show => self.to_show && !self.showing,
            Task::Send => self.to_send && !self.sending,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::pipeline::event::{BlockId, LogTime, PoolId};
    use crate::pipeline::verdict::{AlertType, BlockFinding, Explanation, Finding, IncidentId, Reason, Verdict};
    use crate::sink::document::Muter;

    #[test]
    fn an_alert_leaves_when_it_is_shown_and_sent() {
        let mut outbox = Outbox::default();
        outbox.push(alert(1), true, None);
        assert_eq!(Task::ALL.map(|task| taken(&mut outbox, task)), [Some(1); 2]);
        assert_eq!(Task::ALL.map(|task| taken(&mut outbox, task)), [None; 2]);
        assert!(!outbox.handle_done(Done::Shown(AlertId(1))));
        assert_eq!(outbox.unshown(), 0);
        assert!(outbox.handle_done(Done::Sent(AlertId(1))));
        assert!(outbox.is_empty());
    }

    #[test]
    fn what_is_provided_for_can_be_taken_back_at_the_bound_too() {
        let mut outbox = Outbox::default();
        (0..OUTBOX_ALERTS_MAX as u128).for_each(|id| {
            outbox.push(alert(id), true, None);
        });
        outbox.add_beyond(alert(77_777), true, None);
        outbox.take_back();
        assert_eq!((outbox.trim(), outbox.len(), outbox.dropped()), (false, OUTBOX_ALERTS_MAX, 0));
        outbox.add_beyond(alert(77_777), true, None);
        assert_eq!((outbox.trim(), outbox.len(), outbox.dropped()), (true, OUTBOX_ALERTS_MAX, 1));
        assert_eq!(taken(&mut outbox, Task::Show), Some(1), "the oldest gave way");
    }

    #[test]
    fn after_a_restart_what_is_left_to_do_is_done() {
        let mut outbox = Outbox::default();
        outbox.push(alert(1), true, None);
        assert_eq!(Task::ALL.map(|task| taken(&mut outbox, task)), [Some(1); 2]);
        outbox.handle_done(Done::Shown(AlertId(1)));
        let bytes = postcard::to_stdvec(&outbox.waiting).expect("it can be written");
        let waiting: Vec<Waiting> = postcard::from_bytes(&bytes).expect("and read");
        let mut outbox = Outbox::restore(outbox.head, waiting);
        assert_eq!(Task::ALL.map(|task| taken(&mut outbox, task)), [None, Some(1)]);
    }

    #[test]
    fn what_failed_is_tried_again_when_it_is_time_and_nothing_else() {
        let mut outbox = Outbox::default();
        outbox.push(alert(1), true, None);
        assert_eq!(Task::ALL.map(|task| taken(&mut outbox, task)), [Some(1); 2]);
        outbox.handle_done(Done::NotShown(AlertId(1)));
        assert_eq!(Task::ALL.map(|task| taken(&mut outbox, task)), [None; 2]);
        assert!(outbox.retry(Done::NotShown(AlertId(1))));
        assert_eq!(Task::ALL.map(|task| taken(&mut outbox, task)), [Some(1), None]);
        assert!(outbox.retry(Done::NotSent(AlertId(1))));
        assert_eq!(Task::ALL.map(|task| taken(&mut outbox, task)), [None, Some(1)]);
        assert!(!outbox.retry(Done::NotShown(AlertId(2))), "there is none");
    }

    #[test]
    fn what_waits_to_be_sent_can_be_held_back() {
        let mut outbox = Outbox::default();
        for (id, signature) in [(1, "a"), (2, "a"), (3, "b")] {
            outbox.push(Alert { signature: signature.to_owned(), ..alert(id) }, true, None);
        }
        taken(&mut outbox, Task::Send);
        let muted = Muted { by: Muter::Config, why: None, until: None };
        assert_eq!(outbox.hold_back("a", |_| Some(muted.clone())), 1, "the first is on its way");
        assert_eq!(taken(&mut outbox, Task::Show), Some(1));
        let second = outbox.take_next(Task::Show).expect("it is still to be shown");
        assert_eq!((second.alert.id, second.muted), (AlertId(2), Some(muted)));
        let third = outbox.take_next(Task::Send).expect("it is of another signature");
        assert_eq!((third.alert.id, third.muted), (AlertId(3), None));
        assert_eq!(outbox.hold_back("b", |_| None), 0);
    }

    #[test]
    fn at_the_bound_the_oldest_is_dropped_and_counted() {
        let mut outbox = Outbox::default();
        for (number, dropped) in (0..=OUTBOX_ALERTS_MAX as u128).map(|number| (number, number == OUTBOX_ALERTS_MAX as u128)) {
            assert_eq!(outbox.push(alert(number), true, None), dropped);
        }
        assert_eq!((outbox.len(), outbox.dropped()), (OUTBOX_ALERTS_MAX, 1));
        assert_eq!(taken(&mut outbox, Task::Show), Some(1));
    }

    fn taken(outbox: &mut Outbox, task: Task) -> Option<u128> {
        outbox.take_next(task).map(|errand| errand.alert.id.0)
    }

    pub(crate) fn alert(id: u128) -> Alert {
        Alert {
            id: AlertId(id),
            incident: IncidentId(1),
            alert_type: AlertType::Firing,
            reason: Reason::UnlikelyStory,
            time: LogTime(0),
            signature: String::new(),
            positions: Vec::new(),
            by_silence: false,
            mode: None,
            finding: Finding::Block(Box::new(BlockFinding {
                block: BlockId { pool: PoolId(0), number: 1 },
                pool: None,
                verdict: Verdict { anomalous: true, score: 9.0, threshold: 3.0, distance: 1.0 },
                model: "m".to_owned(),
                explanation: Explanation::default(),
                events: 1,
                nearby: Vec::new(),
            })),
        }
    }
}
