//! What is remembered of one host: how often it says what, what it said lately, which of its processes run, and what gathers.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::limits::TROUBLE_RECENT_MAX;
use crate::pipeline::event::layout::Level;
use crate::pipeline::event::origin::Role;
use crate::pipeline::event::trouble::{Statement, Trouble};
use crate::pipeline::event::{LogTime, Position, TemplateId};

use super::group::Group;
use super::{Heard, Kind};

/// One host.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Host {
    pub kinds: BTreeMap<Kind, Tally>,
    /// Oldest first, at most [`TROUBLE_RECENT_MAX`].
    recent: VecDeque<Sighting>,
    processes: BTreeMap<Role, Process>,
    /// What gathers to an alert.
    pub group: Option<Group>,
    episode: Option<Episode>,
}

/// How often a host says one thing.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Tally {
    /// Number of its last record.
    pub number: u64,
    /// Log time of its last record.
    pub last: LogTime,
    /// Whether it was told of since it last rested.
    pub told: bool,
    /// Minute of its last record, and the records in it.
    minute: i64,
    count: u32,
    /// Log time of the first record of that minute.
    pub minute_first: LogTime,
    /// The most records of an earlier minute, and which minute it was.
    peak: u32,
    peak_minute: i64,
}

/// What was said within some time, as long as it is recent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sighting {
    /// Number of its last record.
    pub number: u64,
    pub template: TemplateId,
    pub exception: String,
    pub level: Level,
    pub count: u32,
    pub first: LogTime,
    pub last: LogTime,
    pub position: Position,
}

/// A daemon of HDFS on the host.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Process {
    /// Whether it has said that it ends, and has not started since.
    ended: bool,
    started: Option<LogTime>,
    /// What it has said of that which every start says.
    said: Vec<Statement>,
}

/// Trouble of a host without a rest.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Episode {
    first: LogTime,
    last: LogTime,
    /// Alerts given.
    alerts: u32,
}

impl Host {
    /// Follows the processes of the host. False when the record is no trouble: an orderly start or end, or what every start says.
    pub fn note_process(&mut self, trouble: Trouble, age_millis: i64, now: LogTime) -> bool {
        let Some(statement) = trouble.statement else { return true };
        let known = self.processes.contains_key(&trouble.role);
        let process = self.processes.entry(trouble.role).or_default();
        if statement == Statement::Started {
            let crashed = !process.ended && (known || age_millis > 0);
            *process = Process { started: Some(now), ..Process::default() };
            return crashed;
        }
        process.ended |= statement.is_of_ending();
        statement.is_trouble() && !(statement.is_of_starting() && process.expects(statement, now))
    }

    /// Remembers the record for the alerts on blocks. What is repeated within a minute is one sighting.
    pub fn sight(&mut self, heard: &Heard<'_>) {
        let level = heard.record.trouble.level;
        let is_same = |sighting: &&mut Sighting| {
            sighting.template == heard.template
                && sighting.exception == heard.exception
                && heard.now.millis_since(sighting.first) < SIGHTING_MILLIS
        };
        if let Some(sighting) = self.recent.iter_mut().rev().find(is_same) {
            sighting.count = sighting.count.saturating_add(1);
            (sighting.last, sighting.number) = (heard.now, heard.number);
            return;
        }
        if self.recent.len() == TROUBLE_RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(Sighting {
            number: heard.number,
            template: heard.template,
            exception: heard.exception.clone(),
            level,
            count: 1,
            first: heard.now,
            last: heard.now,
            position: heard.record.position,
        });
    }

    /// What was said from then to then.
    pub fn recent(&self, from: LogTime, to: LogTime) -> impl Iterator<Item = &Sighting> {
        self.recent.iter().filter(move |sighting| sighting.last >= from && sighting.first <= to)
    }

    /// Goes on with the episode of the host, or begins one.
    pub fn go_on(&mut self, now: LogTime, quiet_millis: i64, begins: bool) {
        match &mut self.episode {
            Some(episode) if now.millis_since(episode.last) <= quiet_millis || self.group.is_some() => episode.last = now,
            _ if begins => self.episode = Some(Episode { first: now, last: now, alerts: 0 }),
            _ => {}
        }
    }

    /// What gathers, begun if nothing did. Each further alert of an episode gathers for twice as long, so that a storm of messages is
    /// no storm of alerts.
    pub fn group(&mut self, now: LogTime) -> &mut Group {
        let alerts = self.episode.map_or(0, |episode| episode.alerts);
        self.group.get_or_insert_with(|| Group::new(now, now.plus_millis(GATHER_MILLIS << alerts.min(GATHER_DOUBLINGS_MAX))))
    }

    /// Counts an alert: the beginning of the episode that it belongs to, and its number in it.
    pub fn count_alert(&mut self) -> (LogTime, u32) {
        let episode = self.episode.as_mut().expect("what gathers belongs to an episode");
        episode.alerts += 1;
        (episode.first, episode.alerts)
    }
}

impl Default for Tally {
    fn default() -> Self {
        let never = LogTime(i64::MIN);
        Self { number: 0, last: never, told: false, minute: 0, count: 0, minute_first: never, peak: 0, peak_minute: 0 }
    }
}

impl Tally {
    /// Counts one more record.
    pub fn note(&mut self, now: LogTime, number: u64) {
        let minute = minute(now);
        if minute != self.minute {
            if self.count >= usual(self.peak, self.peak_minute, self.minute) {
                (self.peak, self.peak_minute) = (self.count, self.minute);
            }
            (self.minute, self.count, self.minute_first) = (minute, 0, now);
        }
        self.count = self.count.saturating_add(1);
        (self.last, self.number) = (now, number);
    }

    /// Records in the minute of `now`.
    pub fn in_minute(&self, now: LogTime) -> u32 {
        if minute(now) == self.minute { self.count } else { 0 }
    }

    /// The most records in a minute before that of `now`. It halves with each day since, so that a storm is told again in days to come.
    pub fn usual(&self, now: LogTime) -> u32 {
        let minute = minute(now);
        let peak = usual(self.peak, self.peak_minute, minute);
        if minute == self.minute { peak } else { peak.max(usual(self.count, self.minute, minute)) }
    }
}

impl Process {
    /// Whether a start says this: once, and again while it is young.
    fn expects(&mut self, statement: Statement, now: LogTime) -> bool {
        let Some(started) = self.started else { return false };
        let first = !self.said.contains(&statement);
        if first {
            self.said.push(statement);
        }
        first || now.millis_since(started) <= START_MILLIS
    }
}

fn usual(count: u32, counted: i64, minute: i64) -> u32 {
    let days = (minute - counted).max(0) / MINUTES_A_DAY;
    count.checked_shr(u32::try_from(days).unwrap_or(u32::MAX)).unwrap_or(0)
}

fn minute(time: LogTime) -> i64 {
    time.0.div_euclid(60_000)
}

/// Log time in which repetitions are one sighting.
const SIGHTING_MILLIS: i64 = 60_000;

/// Log time for which the first alert of an episode gathers: a dead DataNode shows on the others for some seconds before all have said so.
const GATHER_MILLIS: i64 = 10_000;

/// The longest gathering is 64 times as long: ten minutes.
const GATHER_DOUBLINGS_MAX: u32 = 6;

/// Log time after its start in which a process is expected to say what starts say.
const START_MILLIS: i64 = 600_000;

const MINUTES_A_DAY: i64 = 1440;
