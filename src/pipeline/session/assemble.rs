//! Gathers events into the sessions of their blocks and says when a session is to be judged.
//!
//! HDFS has no end marker, and a block lives for years. So a session is an episode: it is judged when the block has been quiet,
//! judged again when it has spoken since, and released after `session_idle` or when the byte budget needs its place.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use hashbrown::{HashMap, HashSet};
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};

use crate::limits::{RELEASED_BLOCKS_MAX, SESSION_EVENTS_MAX};
use crate::pipeline::event::{BlockId, Event, LogTime, Token};
use crate::pipeline::profile::{FIRST_EVENT, Profile, UNKNOWN};
use crate::pipeline::session::encode::Encoder;
use crate::pipeline::session::{Begin, Case, Cause, CloseReason, SessionEvent};
use crate::pipeline::verdict::domain::{Domain, Seen};

pub mod changes;
mod swap;

/// When sessions are judged and released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Log time without an event, endless ones aside, after which a session is judged, milliseconds.
    pub quiet_millis: i64,
    /// Log time without an event after which it is released, milliseconds.
    pub idle_millis: i64,
    /// Bytes of all sessions.
    pub bytes_max: usize,
}

/// All open sessions.
#[derive(Debug)]
pub struct Assembler {
    settings: Settings,
    encoder: Encoder,
    /// Entry `t`: whether stories begin with token `t`.
    begins: Vec<bool>,
    kept: Kept,
    quiet_queue: BinaryHeap<Reverse<(LogTime, BlockId)>>,
    idle_queue: BinaryHeap<Reverse<(LogTime, BlockId)>>,
    bytes: usize,
    changes: changes::Log,
}

/// What a checkpoint keeps of an [`Assembler`], in parts: the [`Head`] whole, the rest as [`changes::Changes`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    sessions: HashMap<BlockId, Session, FxBuildHasher>,
    released: Released,
    now: Option<LogTime>,
    /// What was counted.
    pub counts: Counts,
}

/// What a checkpoint keeps of an [`Assembler`] beside its sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    now: Option<LogTime>,
    counts: Counts,
}

/// What assembling counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields of the same name in Stats say what they are")]
pub struct Counts {
    pub sessions_started: u64,
    pub sessions_joined: u64,
    pub sessions_resumed: u64,
    pub sessions_idle: u64,
    pub sessions_evicted: u64,
    pub refused_events: u64,
}

/// The episode of one block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    /// Its number, by [`Domain::begin_episode`].
    episode: u64,
    begin: Begin,
    first: LogTime,
    last: LogTime,
    /// When it is to be judged; `None` while nothing has been said since the last judgement.
    judge_at: Option<LogTime>,
    /// Whether it has been judged at quiet before.
    judged: bool,
    /// Whether the queue of idle sessions has an entry for it.
    idle_queued: bool,
    events: Vec<SessionEvent>,
    /// 0 while all events were left out: how it begins is not known yet.
    events_seen: u32,
    /// Events left out, as the model does not know them and they are part of normal stories.
    left_out: u32,
    /// How often each endless event was seen.
    endless: Vec<(Token, u32)>,
    /// Whether it is noted as changed.
    #[serde(skip)]
    is_noted: bool,
}

impl Kept {
    /// What stands beside the sessions.
    pub fn set_head(&mut self, head: Head) {
        (self.now, self.counts) = (head.now, head.counts);
    }

    /// Blocks released, in place of what was known of them.
    pub fn set_released(&mut self, released: Released) {
        self.released = released;
    }
}

impl Assembler {
    /// No session yet, for this model.
    #[must_use]
    pub fn new(settings: Settings, profile: &Profile) -> Self {
        Self::restore(settings, profile, Kept::default())
    }

    /// The sessions of a checkpoint, for the model that they were gathered for.
    #[must_use]
    pub fn restore(settings: Settings, profile: &Profile, kept: Kept) -> Self {
        let due = kept.sessions.iter().filter_map(|(block, session)| Some(Reverse((session.judge_at?, *block))));
        let quiet_queue = due.collect();
        let idle = kept.sessions.iter().filter(|(_, session)| session.idle_queued);
        let idle_queue = idle.map(|(block, session)| Reverse((session.last.plus_millis(settings.idle_millis), *block))).collect();
        let bytes = kept.sessions.values().map(Session::bytes).sum();
        Self {
            settings,
            encoder: Encoder::new(profile),
            begins: begins(profile),
            kept,
            quiet_queue,
            idle_queue,
            bytes,
            changes: changes::Log::new(),
        }
    }

    /// What a checkpoint keeps beside the sessions.
    #[must_use]
    pub fn head(&self) -> Head {
        Head { now: self.kept.now, counts: self.kept.counts }
    }

    /// Blocks released: what a checkpoint keeps of them with everything.
    #[must_use]
    pub fn released(&self) -> &Released {
        &self.kept.released
    }

    /// What was counted.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.kept.counts
    }

    /// Releases every session without judging it and remembers the blocks: another model cannot go on with them.
    pub fn release_all(&mut self) {
        let mut blocks: Vec<BlockId> = self.kept.sessions.keys().copied().collect();
        blocks.sort_unstable();
        for block in blocks {
            self.release(block, CloseReason::Evicted);
        }
        self.quiet_queue.clear();
        self.idle_queue.clear();
    }

    /// Open sessions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.sessions.len()
    }

    /// Whether no session is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.sessions.is_empty()
    }

    /// Bytes held by sessions.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The log time reached.
    #[must_use]
    pub fn now(&self) -> Option<LogTime> {
        self.kept.now
    }

    /// When the next session is to be judged or released, in log time.
    #[must_use]
    pub fn next_deadline(&self) -> Option<LogTime> {
        let quiet = self.quiet_queue.peek().map(|Reverse((time, _))| *time);
        let idle = self.idle_queue.peek().map(|Reverse((time, _))| *time);
        quiet.into_iter().chain(idle).min()
    }

    /// Adds an event to the session of its block, unless `domain` leaves it out. `joined` says that the log was joined so lately that
    /// earlier events of the block may have been missed.
    pub fn handle_event(&mut self, event: Event, joined: bool, domain: &mut Domain, cases: &mut VecDeque<Case>) {
        self.advance(event.time, false, domain, cases);
        if domain.is_muted(&event) {
            return;
        }
        let now = self.kept.now.map_or(event.time, |now| now.max(event.time));
        if !self.kept.sessions.contains_key(&event.block) {
            let session = Session::new(domain.begin_episode(), event.time, now);
            self.bytes += session.bytes();
            self.kept.sessions.insert(event.block, session);
        }
        if self.append(&event, joined, now, domain, cases.len()) {
            self.submit(event.block, now, Cause::UnknownEvent, false, domain, cases);
        }
        self.evict_over_budget();
    }

    /// Moves log time on: judges what has been quiet and releases what has been idle. Time never goes back.
    pub fn advance(&mut self, to: LogTime, by_silence: bool, domain: &Domain, cases: &mut VecDeque<Case>) {
        if self.kept.now.is_some_and(|now| to < now) {
            return;
        }
        self.kept.now = Some(to);
        while let Some(Reverse((time, block))) = self.quiet_queue.peek().copied().filter(|Reverse((time, _))| *time <= to) {
            self.quiet_queue.pop();
            self.handle_quiet(time, block, by_silence, domain, cases);
        }
        while let Some(Reverse((time, block))) = self.idle_queue.peek().copied().filter(|Reverse((time, _))| *time <= to) {
            self.idle_queue.pop();
            self.release_quiet(time, block, CloseReason::Idle);
        }
    }

    /// Judges every session that has not been judged since its last event, in order of time.
    pub fn flush(&mut self, domain: &Domain, cases: &mut VecDeque<Case>) {
        let newest = self.kept.sessions.values().filter_map(|session| session.judge_at).max();
        if let Some(newest) = newest {
            self.advance(newest, true, domain, cases);
        }
    }

    /// How the session of the event begins, which is heard first of it.
    fn begin(&mut self, event: &Event, joined: bool) {
        let begin = self.begin_of(event, joined);
        let counts = &mut self.kept.counts;
        match begin {
            Begin::Start => counts.sessions_started += 1,
            Begin::Mid => counts.sessions_joined += 1,
            Begin::Resumed => counts.sessions_resumed += 1,
        }
        let session = self.kept.sessions.get_mut(&event.block).expect("the session was made if there was none");
        (session.begin, session.first) = (begin, event.time);
    }

    fn begin_of(&mut self, event: &Event, joined: bool) -> Begin {
        if self.kept.released.contains(event.block) {
            return Begin::Resumed;
        }
        let begins_stories = self.begins.get(usize::from(event.token.0)).copied().unwrap_or(false);
        if joined || !begins_stories { Begin::Mid } else { Begin::Start }
    }

    /// Adds the event; true when it is to be judged at once. `ahead` cases wait for their verdict.
    fn append(&mut self, event: &Event, joined: bool, now: LogTime, domain: &mut Domain, ahead: usize) -> bool {
        let session = self.kept.sessions.get_mut(&event.block).expect("the session was made if there was none");
        let before = session.bytes();
        let endless = self.encoder.is_endless(event.token);
        let counts = !endless || self.encoder.keeps(event.token, session.count_endless(event.token));
        let fits = session.events.len() < SESSION_EVENTS_MAX;
        let news = event.token == UNKNOWN && session.events.iter().all(|known| known.template != event.template);
        let in_traffic = counts && session.events.len() + (session.left_out as usize) < SESSION_EVENTS_MAX;
        let seen = Seen { episode: session.episode, is_news: news, counts: in_traffic };
        if domain.handle_event(event, seen, ahead) {
            self.leave_out(event.block, now);
            return false;
        }
        if session.events_seen == 0 {
            self.begin(event, joined);
        }
        let session = self.kept.sessions.get_mut(&event.block).expect("it was there just now");
        session.events_seen = session.events_seen.saturating_add(1);
        session.last = now;
        if counts && fits {
            let Event { position, template, token, grave, .. } = *event;
            session.push(SessionEvent { position, template, token, grave });
        }
        self.kept.counts.refused_events += u64::from(counts && !fits);
        if counts && (!endless || session.judge_at.is_none()) {
            let due = now.plus_millis(self.settings.quiet_millis);
            if session.judge_at.replace(due).is_none() {
                self.quiet_queue.push(Reverse((due, event.block)));
            }
        }
        self.changes.note(event.block, &mut session.is_noted);
        self.bytes = self.bytes + session.bytes() - before;
        news && fits
    }

    /// Counts an event that is left out. It postpones nothing, but a session that has nothing else must end as well, and one that was
    /// judged may have lacked what this stands for; no story lacks more than a session keeps.
    fn leave_out(&mut self, block: BlockId, now: LogTime) {
        let session = self.kept.sessions.get_mut(&block).expect("its event was handled just now");
        session.left_out = session.left_out.saturating_add(1);
        self.changes.note(block, &mut session.is_noted);
        let may_be_lacked = session.judged && session.left_out as usize <= SESSION_EVENTS_MAX;
        if session.judge_at.is_none() && (!session.idle_queued || may_be_lacked) {
            let due = now.plus_millis(self.settings.quiet_millis);
            session.judge_at = Some(due);
            self.quiet_queue.push(Reverse((due, block)));
        }
    }

    /// The queue has one entry a session, made when it was first due: one that has spoken since is put back.
    fn handle_quiet(&mut self, time: LogTime, block: BlockId, by_silence: bool, domain: &Domain, cases: &mut VecDeque<Case>) {
        let Some(session) = self.kept.sessions.get_mut(&block) else {
            return;
        };
        match session.judge_at {
            Some(due) if due > time => self.quiet_queue.push(Reverse((due, block))),
            Some(due) => {
                session.judge_at = None;
                self.changes.note(block, &mut session.is_noted);
                if !std::mem::replace(&mut session.idle_queued, true) {
                    let idle_at = session.last.plus_millis(self.settings.idle_millis);
                    self.idle_queue.push(Reverse((idle_at, block)));
                }
                self.submit(block, due, Cause::Quiet, by_silence, domain, cases);
            }
            None => {}
        }
    }

    /// Releases a session whose turn in the idle queue has come, unless it has spoken since it was queued.
    fn release_quiet(&mut self, time: LogTime, block: BlockId, reason: CloseReason) {
        let Some(session) = self.kept.sessions.get_mut(&block) else {
            return;
        };
        let idle_at = session.last.plus_millis(self.settings.idle_millis);
        if session.judge_at.is_some() {
            session.idle_queued = false;
            self.changes.note(block, &mut session.is_noted);
        } else if idle_at > time {
            self.idle_queue.push(Reverse((idle_at, block)));
        } else {
            self.release(block, reason);
        }
    }

    /// Gives the session to be judged, unless all that was said of its block is left out by now.
    fn submit(
        &mut self,
        block: BlockId,
        time: LogTime,
        cause: Cause,
        by_silence: bool,
        domain: &Domain,
        cases: &mut VecDeque<Case>,
    ) {
        let session = self.kept.sessions.get_mut(&block).expect("only open sessions are judged");
        let kept = session.events.iter().filter(|event| !domain.leaves_out(event)).copied();
        let events: Vec<SessionEvent> = kept.collect();
        if events.is_empty() {
            return;
        }
        let sets_threshold = cause == Cause::Quiet && !session.judged;
        if cause == Cause::Quiet {
            session.judged = true;
            self.bytes -= session.bytes();
            session.events.shrink_to(session.room());
            self.bytes += session.bytes();
        }
        let since_left_out = (session.events.len() - events.len()) as u32;
        cases.push_back(Case {
            block,
            begin: session.begin,
            first: session.first,
            last: session.last,
            time,
            cause,
            sets_threshold,
            by_silence,
            events,
            events_seen: session.events_seen,
            left_out: session.left_out.saturating_add(since_left_out),
            nearby: Vec::new(),
        });
    }

    /// The one that has been quiet for longest goes first; when none is quiet, the one that is due first.
    fn evict_over_budget(&mut self) {
        while self.bytes > self.settings.bytes_max {
            if let Some(Reverse((time, block))) = self.idle_queue.pop() {
                self.release_quiet(time, block, CloseReason::Evicted);
            } else if let Some(Reverse((time, block))) = self.quiet_queue.pop() {
                match self.kept.sessions.get(&block).and_then(|session| session.judge_at) {
                    // It has spoken since it was queued.
                    Some(due) if due > time => self.quiet_queue.push(Reverse((due, block))),
                    Some(_) => self.release(block, CloseReason::Evicted),
                    None => {}
                }
            } else {
                return;
            }
        }
    }

    fn release(&mut self, block: BlockId, reason: CloseReason) {
        let Some(session) = self.kept.sessions.remove(&block) else {
            return;
        };
        self.bytes -= session.bytes();
        let is_remembered = session.events_seen > 0;
        if is_remembered {
            self.kept.released.insert(block);
        }
        self.changes.note_end(block, session.is_noted, is_remembered);
        match reason {
            CloseReason::Idle => self.kept.counts.sessions_idle += 1,
            CloseReason::Evicted => self.kept.counts.sessions_evicted += 1,
            // Whoever swaps is told how many.
            CloseReason::Swap => {}
        }
    }
}

/// Of each token, whether stories begin with it.
fn begins(profile: &Profile) -> Vec<bool> {
    let reserved = std::iter::repeat_n(false, usize::from(FIRST_EVENT));
    reserved.chain(profile.vocabulary.iter().map(|entry| entry.begins)).collect()
}

impl Session {
    fn new(episode: u64, first: LogTime, last: LogTime) -> Self {
        Self {
            episode,
            begin: Begin::Mid,
            first,
            last,
            judge_at: None,
            judged: false,
            idle_queued: false,
            events: Vec::new(),
            events_seen: 0,
            left_out: 0,
            endless: Vec::new(),
            is_noted: false,
        }
    }

    /// Counts one more of an endless event and says the how manieth it was.
    fn count_endless(&mut self, token: Token) -> u64 {
        if let Some((_, count)) = self.endless.iter_mut().find(|(known, _)| *known == token) {
            *count = count.saturating_add(1);
            return u64::from(*count);
        }
        self.endless.push((token, 1));
        1
    }

    /// Adds an event, with no more room than [`Session::room`] tells of.
    fn push(&mut self, event: SessionEvent) {
        let events = self.events.len();
        self.events.reserve_exact(self.room_for(events + 1) - events);
        self.events.push(event);
    }

    /// Bytes of the session with its share of the map and of the queues. They follow from what it holds and not from what was allocated, so
    /// that a restart changes nothing about which session gives way.
    fn bytes(&self) -> usize {
        let fixed = (size_of::<Self>() + size_of::<BlockId>()) * 8 / 7 + 2 * size_of::<(LogTime, BlockId)>();
        let endless = if self.endless.is_empty() { 0 } else { self.endless.len().next_power_of_two().max(4) };
        fixed + self.room() * size_of::<SessionEvent>() + endless * size_of::<(Token, u32)>()
    }

    /// Events for which there is room at most.
    fn room(&self) -> usize {
        self.room_for(self.events.len())
    }

    /// Twice as much whenever it is full, as vectors have, and a little more once it was judged.
    fn room_for(&self, events: usize) -> usize {
        match self.judged {
            _ if events == 0 => 0,
            false => events.next_power_of_two().max(4),
            true => events.next_multiple_of(4),
        }
    }
}

/// Blocks released lately, in two generations: the older one is forgotten as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    young: HashSet<BlockId, FxBuildHasher>,
    old: HashSet<BlockId, FxBuildHasher>,
}

impl Released {
    fn insert(&mut self, block: BlockId) {
        if self.young.len() >= RELEASED_BLOCKS_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(block);
    }

    fn contains(&self, block: BlockId) -> bool {
        self.young.contains(&block) || self.old.contains(&block)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::pipeline::event::{PoolId, Position, SourceId, TemplateId};
    use crate::pipeline::profile::tests::profile;

    const WRITE: u16 = 6;
    const READ: u16 = 7;

    #[test]
    fn a_session_is_judged_once_it_is_quiet_and_again_when_it_has_spoken() {
        check(&[(0, 1, WRITE), (5, 1, WRITE), (200, 1, WRITE), (400, 2, WRITE)], "1@105:quiet:2 1@300:quiet:3");
    }

    #[test]
    fn an_unknown_event_is_judged_at_once_the_first_time() {
        check(&[(0, 1, WRITE), (1, 1, 1), (2, 1, 1), (300, 2, WRITE)], "1@1:unknown:2 1@102:quiet:3");
    }

    #[test]
    fn endless_events_do_not_postpone_quiet() {
        let reads: Vec<_> = (1..30).map(|n| (n * 10, 1, READ)).collect();
        check(&[&[(0, 1, WRITE)][..], &reads].concat(), "1@100:quiet:5 1@260:quiet:6");
    }

    #[test]
    fn how_an_episode_begins() {
        let mut assembler = assembler(usize::MAX);
        let mut cases = VecDeque::new();
        assembler.handle_event(event(0, 1, WRITE), true, &mut domain(), &mut cases);
        assembler.handle_event(event(0, 2, WRITE), false, &mut domain(), &mut cases);
        assembler.handle_event(event(0, 3, READ), false, &mut domain(), &mut cases);
        assembler.handle_event(event(5000, 1, WRITE), false, &mut domain(), &mut cases);
        assembler.advance(LogTime(9000), false, &domain(), &mut cases);
        let begins: Vec<_> = cases.iter().map(|case| (case.block.number, case.begin)).collect();
        assert_eq!(begins, [(1, Begin::Mid), (2, Begin::Start), (3, Begin::Mid), (1, Begin::Resumed)]);
        assert_eq!(assembler.kept.counts.sessions_idle, 4);
        assert!(assembler.is_empty());
        assert_eq!(assembler.bytes(), 0);
    }

    #[test]
    fn the_threshold_learns_from_the_first_judgement_at_quiet_only() {
        let cases = judge(&[(0, 1, 1), (200, 1, WRITE), (400, 2, WRITE)]);
        let sets: Vec<_> = cases.iter().map(|case| case.sets_threshold).collect();
        assert_eq!(sets, [false, true, false]);
    }

    #[test]
    fn the_byte_budget_takes_what_has_been_quiet_for_longest() {
        let budget = 40 * 600;
        let mut assembler = assembler(budget);
        let mut cases = VecDeque::new();
        for n in 0..500 {
            assembler.handle_event(event(n * 3, n, WRITE), false, &mut domain(), &mut cases);
            assert!(assembler.bytes() <= budget);
        }
        assert!(assembler.kept.counts.sessions_evicted > 100);
        assert!(assembler.kept.sessions.contains_key(&block(499)));
        assert!(!assembler.kept.sessions.contains_key(&block(0)));
        let held: usize = assembler.kept.sessions.values().map(Session::bytes).sum();
        assert_eq!(assembler.bytes(), held);
    }

    #[test]
    fn events_of_one_session_are_bounded() {
        for (given, kept, refused) in [(254, 254, 0), (255, 255, 0), (256, 255, 1)] {
            let mut assembler = assembler(usize::MAX);
            let mut cases = VecDeque::new();
            for _ in 0..given {
                assembler.handle_event(event(0, 1, WRITE), false, &mut domain(), &mut cases);
            }
            assert_eq!(assembler.kept.sessions[&block(1)].events.len(), kept);
            assert_eq!(assembler.kept.counts.refused_events, refused);
        }
    }

    #[test]
    fn a_restored_assembler_goes_on_as_if_nothing_had_happened() {
        let events: Vec<_> = (0..200).map(|n| (n * 17, n % 13, if n % 5 == 0 { READ } else { WRITE })).collect();
        let expected = judge(&events);
        for cut in [1, 50, 120, 199] {
            let (mut assembler, mut cases) = (assembler(usize::MAX), VecDeque::new());
            events[..cut]
                .iter()
                .for_each(|(t, b, k)| assembler.handle_event(event(*t, *b, *k), false, &mut domain(), &mut cases));
            assembler.begin_changes();
            let changes = assembler.take_changes(usize::MAX);
            let bytes = postcard::to_stdvec(&(assembler.head(), assembler.released(), changes));
            let (head, released, changes) = postcard::from_bytes(&bytes.expect("they can be written")).expect("and read again");
            let mut kept = Kept::default();
            kept.apply(changes);
            kept.set_head(head);
            kept.set_released(released);
            let mut assembler = Assembler::restore(settings(usize::MAX), &vocabulary(), kept);
            events[cut..]
                .iter()
                .for_each(|(t, b, k)| assembler.handle_event(event(*t, *b, *k), false, &mut domain(), &mut cases));
            assert_eq!(cases, expected, "cut at {cut}");
        }
    }

    #[test]
    fn a_session_without_what_is_left_out_is_as_if_it_had_not_been_said() {
        let (mut assembler, mut domain, mut cases) = (assembler(usize::MAX), neutral(), VecDeque::new());
        for (time, number, token) in [(0, 1, 1), (1, 1, WRITE), (5, 1, 1), (90, 1, 1), (200, 2, 1)] {
            assembler.handle_event(event(time, number, token), false, &mut domain, &mut cases);
        }
        assembler.advance(LogTime(900), false, &domain, &mut cases);
        assert_eq!(
            cases.iter().map(describe).collect::<Vec<_>>(),
            ["1@101:quiet:1"],
            "it postpones nothing, and alone is nothing"
        );
        assert_eq!((cases[0].begin, cases[0].first, cases[0].left_out), (Begin::Start, LogTime(1), 3));
        assembler.advance(LogTime(5000), false, &domain, &mut cases);
        assert!(assembler.is_empty() && assembler.bytes() == 0, "they are released all the same");
        assert_eq!((assembler.kept.counts.sessions_started, assembler.kept.counts.sessions_joined), (1, 0));
        assembler.handle_event(event(6000, 2, WRITE), false, &mut domain, &mut cases);
        assert_eq!(assembler.kept.sessions[&block(2)].begin, Begin::Start, "nothing was said of it before");
    }

    #[test]
    fn what_is_left_out_after_a_judgement_may_be_what_the_story_lacked_and_leads_to_another() {
        let (mut assembler, mut domain, mut cases) = (assembler(usize::MAX), neutral(), VecDeque::new());
        for (time, number, token) in [(0, 1, WRITE), (300, 1, 1), (350, 1, 1), (1000, 2, 1)] {
            assembler.handle_event(event(time, number, token), false, &mut domain, &mut cases);
        }
        let told: Vec<_> = cases.iter().map(|case| (describe(case), case.left_out, case.sets_threshold)).collect();
        assert_eq!(told, [("1@100:quiet:1".to_owned(), 0, true), ("1@400:quiet:1".to_owned(), 2, false)]);
    }

    #[test]
    fn what_is_left_out_leads_to_no_judgement_beyond_what_a_story_can_lack() {
        for (given, judged) in [(254, 2), (255, 2), (256, 1)] {
            let (mut assembler, mut domain, mut cases) = (assembler(usize::MAX), neutral(), VecDeque::new());
            assembler.handle_event(event(0, 1, WRITE), false, &mut domain, &mut cases);
            (1..given).for_each(|_| assembler.handle_event(event(1, 1, 1), false, &mut domain, &mut cases));
            assembler.handle_event(event(300, 1, 1), false, &mut domain, &mut cases);
            assembler.advance(LogTime(900), false, &domain, &mut cases);
            assert_eq!(cases.len(), judged, "{given} left out");
        }
    }

    #[test]
    fn what_became_neutral_since_is_left_out_of_what_a_session_holds() {
        let (mut assembler, mut domain, mut cases) = (assembler(usize::MAX), neutral(), VecDeque::new());
        assembler.handle_event(event(0, 1, WRITE), false, &mut self::domain(), &mut cases);
        assembler.handle_event(event(1, 1, 1), false, &mut self::domain(), &mut cases);
        assembler.handle_event(Event { grave: true, ..event(2, 1, 1) }, false, &mut domain, &mut cases);
        assembler.advance(LogTime(500), false, &domain, &mut cases);
        let told: Vec<_> = cases.iter().map(|case| (describe(case), case.left_out)).collect();
        assert_eq!(told, [("1@1:unknown:2".to_owned(), 0), ("1@102:quiet:2".to_owned(), 1)], "what warns stays");
    }

    fn check(events: &[(i64, i64, u16)], expected: &str) {
        let told = judge(events).iter().map(describe).collect::<Vec<_>>().join(" ");
        assert_eq!(told, expected);
    }

    fn judge(events: &[(i64, i64, u16)]) -> VecDeque<Case> {
        let (mut assembler, mut cases) = (assembler(usize::MAX), VecDeque::new());
        for (time, number, token) in events {
            assembler.handle_event(event(*time, *number, *token), false, &mut domain(), &mut cases);
        }
        cases
    }

    fn describe(case: &Case) -> String {
        let cause = match case.cause {
            Cause::UnknownEvent => "unknown",
            Cause::Quiet => "quiet",
            Cause::Swap => "swap",
        };
        format!("{}@{}:{cause}:{}", case.block.number, case.time.0, case.events.len())
    }

    pub(super) fn event(time: i64, number: i64, token: u16) -> Event {
        let position = Position { source: SourceId(0), offset: 0, length: 0 };
        Event {
            block: block(number),
            template: TemplateId(u32::from(token)),
            token: Token(token),
            time: LogTime(time),
            position,
            grave: false,
        }
    }

    fn block(number: i64) -> BlockId {
        BlockId { pool: PoolId(0), number }
    }

    pub(super) fn assembler(bytes_max: usize) -> Assembler {
        Assembler::new(settings(bytes_max), &vocabulary())
    }

    fn settings(bytes_max: usize) -> Settings {
        Settings { quiet_millis: 100, idle_millis: 1000, bytes_max }
    }

    /// One that leaves nothing out.
    pub(super) fn domain() -> Domain {
        Domain::new(crate::pipeline::verdict::domain::tests::off(), &vocabulary())
    }

    /// One to which what the model does not know here is part of normal stories.
    fn neutral() -> Domain {
        let mut domain = Domain::new(crate::pipeline::verdict::domain::tests::usual(), &vocabulary());
        domain.handle_template(TemplateId(1), &[], "moved");
        for number in 0..100 {
            let episode = domain.begin_episode();
            for token in [WRITE, WRITE, WRITE, 1] {
                let event = event(0, 1000 + number, token);
                domain.handle_event(&event, Seen { episode, is_news: token == 1, counts: true }, 0);
            }
        }
        domain
    }

    /// Token 6 begins stories, token 7 repeats without end.
    fn vocabulary() -> Profile {
        let mut profile = profile(&["write", "read"]);
        profile.vocabulary[0].begins = true;
        profile.vocabulary[1].endless_buckets_max = Some(5);
        profile
    }
}
