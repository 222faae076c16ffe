//! Watches over hosts: counts what they say of trouble without naming a block, and tells when it is new, more than usual, or known to
//! be bad.
//!
//! What is told depends on log time and on what the same host has said before, never on a clock or on a model:
//! - a *known fault* is a statement that always means trouble ([`Statement`]), or a record of level FATAL;
//! - *new* is a kind of message of level ERROR that the host has never given, or one of level WARN once the log has been followed for
//!   the learning time, unless other hosts say it at the same time;
//! - a *burst* is far more of a kind within a minute than the host has ever given, once the learning time is over.
//!
//! What is told goes on as an episode of its kind until it has rested for the quiet time; while it goes on, it is not told again. What
//! comes on one host within some seconds is one alert, and each further alert of an episode of the host gathers for twice as long.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::limits::{NEARBY_MAX, SOURCES_MAX, TROUBLE_IDS_MAX, TROUBLE_KINDS_MAX};
use crate::pipeline::event::layout::Level;
use crate::pipeline::event::template::Templates;
use crate::pipeline::event::template::changes::Changes;
use crate::pipeline::event::template::exception;
use crate::pipeline::event::trouble::{Statement, TroubleRecord};
use crate::pipeline::event::{LogTime, SourceId, TemplateId};
use crate::pipeline::front::RestoreError;
use crate::pipeline::profile::{DrainSettings, Profile};
use crate::pipeline::session::Case;
use crate::pipeline::verdict::{Alert, Nearby, Reason};

use self::group::Group;
use self::host::{Host, Sighting, Tally};

mod group;
mod host;

/// What the operator decides. Times in milliseconds of log time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether hosts are watched at all.
    pub enabled: bool,
    /// How long a log is followed before warnings can be new, and anything a burst.
    pub learning_millis: i64,
    /// How long trouble rests before it is told again.
    pub quiet_millis: i64,
    /// Records of one kind in a minute that a burst has at least.
    pub burst_records: u32,
    /// How many times the usual they are.
    pub burst_factor: u32,
}

/// All hosts that have spoken of trouble.
#[derive(Debug)]
pub struct Watch {
    settings: Settings,
    /// Those of records without a block. They have nothing to do with a model.
    templates: Templates,
    /// Whose log a file is.
    sources: BTreeMap<SourceId, String>,
    state: Kept,
}

/// What a checkpoint keeps of a [`Watch`] beside its templates and files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept {
    hosts: BTreeMap<String, Host>,
    /// When alerts that gather are to be given, and on which host.
    due: BTreeSet<(LogTime, String)>,
    /// The id that a template had at first, by those that it has had since: it gets another one whenever it widens.
    first_ids: BTreeMap<TemplateId, TemplateId>,
    /// Tallies of all hosts.
    kinds: usize,
    now: LogTime,
    /// Log time of the last record of trouble.
    latest: LogTime,
    records: u64,
    forgotten: u64,
}

/// What tells one trouble of a host from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Kind {
    /// The first id of a template, and the class of the exception that came with it, which may be none.
    Message(TemplateId, String),
    /// A statement, and whom it speaks of, which may be the host itself.
    Statement(Statement, String),
}

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    /// It is counted.
    Counted,
    /// It would be told, but another host is telling it.
    ToldElsewhere,
    /// It is told.
    Told(Reason),
}

/// A record, understood.
struct Heard<'a> {
    record: &'a TroubleRecord<'a>,
    kind: Kind,
    template: TemplateId,
    exception: String,
    /// Never goes back.
    now: LogTime,
    /// Numbers the records.
    number: u64,
}

impl Watch {
    /// Nothing heard yet.
    ///
    /// # Errors
    /// The name of a mask that the program does not know.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let state = Kept {
            hosts: BTreeMap::new(),
            due: BTreeSet::new(),
            first_ids: BTreeMap::new(),
            kinds: 0,
            now: LogTime(i64::MIN),
            latest: LogTime(i64::MIN),
            records: 0,
            forgotten: 0,
        };
        Ok(Self { settings, templates: Templates::new(&profile())?, sources: BTreeMap::new(), state })
    }

    /// Goes on from a checkpoint, whatever the model.
    ///
    /// # Errors
    /// The name of a mask that the program does not know, or that the templates are none.
    pub fn restore(
        settings: Settings,
        kept: Kept,
        templates: Changes,
        sources: BTreeMap<SourceId, String>,
    ) -> Result<Self, RestoreError> {
        let known = Templates::new(&profile()).map_err(RestoreError::Mask)?;
        let templates = known.restored(&[templates]).ok_or(RestoreError::Templates)?;
        Ok(Self { settings, templates, sources, state: kept })
    }

    /// What a checkpoint keeps beside templates and files.
    #[must_use]
    pub fn kept(&self) -> &Kept {
        &self.state
    }

    /// The templates of trouble: what a checkpoint keeps of them.
    #[must_use]
    pub fn templates(&self) -> Changes {
        self.templates.whole()
    }

    /// Whose log each file is.
    #[must_use]
    pub fn sources(&self) -> &BTreeMap<SourceId, String> {
        &self.sources
    }

    /// Says whose log a file is. At [`SOURCES_MAX`] the oldest file is forgotten: it was rotated away long ago.
    pub fn handle_source(&mut self, source: SourceId, host: &str) {
        let sources = &mut self.sources;
        sources.insert(source, host.to_owned());
        if sources.len() > SOURCES_MAX {
            sources.pop_first();
        }
    }

    /// Takes a record in its turn.
    pub fn handle_record(&mut self, record: &TroubleRecord<'_>, alerts: &mut VecDeque<Alert>) {
        self.state.records += 1;
        if !self.settings.enabled {
            return;
        }
        self.advance(record.time, false, alerts);
        self.state.latest = self.state.now;
        let heard = self.hear(record);
        self.make_room(&heard);
        let counts = self.host(record.host).note_process(record.trouble, record.age_millis, heard.now);
        let judgement = if counts { self.judge(&heard) } else { Judgement::Counted };
        self.note(&heard, judgement);
    }

    /// Moves log time on: gives the alerts that have gathered for long enough. Time never goes back.
    pub fn advance(&mut self, to: LogTime, by_silence: bool, alerts: &mut VecDeque<Alert>) {
        self.state.now = self.state.now.max(to);
        while self.state.due.first().is_some_and(|(due, _)| *due <= to) {
            let (_, host) = self.state.due.pop_first().expect("it was seen just now");
            alerts.extend(self.close(&host, by_silence));
        }
    }

    /// Gives every alert that gathers.
    pub fn flush(&mut self, alerts: &mut VecDeque<Alert>) {
        if let Some((last, _)) = self.state.due.last().cloned() {
            self.advance(last, true, alerts);
        }
    }

    /// When the next alert has gathered for long enough, in log time.
    #[must_use]
    pub fn next_deadline(&self) -> Option<LogTime> {
        self.state.due.first().map(|(due, _)| *due)
    }

    /// Adds to a case what stood near its last event on the hosts of its events. Cheap while there is no trouble.
    pub fn attach(&self, case: &mut Case) {
        let (from, to) = (case.last.plus_millis(-NEARBY_MILLIS), case.last.plus_millis(NEARBY_MILLIS));
        if self.state.latest < from {
            return;
        }
        let hosts: BTreeSet<&String> = case.events.iter().filter_map(|event| self.sources.get(&event.position.source)).collect();
        let of =
            |name| self.state.hosts.get(name).into_iter().flat_map(move |host| host.recent(from, to).map(move |s| (name, s)));
        let mut found: Vec<(&String, &Sighting)> = hosts.into_iter().flat_map(of).collect();
        found.sort_by_key(|(_, sighting)| std::cmp::Reverse(sighting.number));
        found.truncate(NEARBY_MAX);
        case.nearby = found.into_iter().map(|(host, sighting)| self.nearby(host, sighting)).collect();
    }

    /// Records of trouble, told or not.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.state.records
    }

    /// Kinds of trouble counted now, of all hosts together.
    #[must_use]
    pub fn kinds(&self) -> u64 {
        self.state.kinds as u64
    }

    /// Kinds of trouble forgotten at the bound.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.state.forgotten
    }

    fn hear<'a>(&mut self, record: &'a TroubleRecord<'a>) -> Heard<'a> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // The class of an exception is told apart by itself.
        let mut lines = record.content.splitn(2, |byte| *byte == b'\n');
        let (template, _) = self.templates.find(lines.next().unwrap_or_default());
        let exception = lines.next().and_then(exception::class).map(text).unwrap_or_default();
        let kind = match record.trouble.statement {
            Some(statement) => Kind::Statement(statement, statement.subject(record.content).map(text).unwrap_or_default()),
            None => Kind::Message(self.first_id(template), exception.clone()),
        };
        Heard { record, kind, template, exception, now: self.state.now, number: self.state.records }
    }

    /// What a template was called before it widened. At the bound those are forgotten that no template has any more.
    fn first_id(&mut self, template: TemplateId) -> TemplateId {
        let Self { templates, state: Kept { first_ids, .. }, .. } = self;
        if let Some(first) = first_ids.get(&template) {
            return *first;
        }
        let widened = first_ids.iter().find(|(known, _)| templates.newest(**known) == template);
        let first = widened.map_or(template, |(_, first)| *first);
        if first_ids.len() >= TROUBLE_IDS_MAX {
            first_ids.retain(|known, _| templates.text(*known).is_some());
        }
        first_ids.insert(template, first);
        first
    }

    fn host(&mut self, name: &str) -> &mut Host {
        if !self.state.hosts.contains_key(name) {
            self.state.hosts.insert(name.to_owned(), Host::default());
        }
        self.state.hosts.get_mut(name).expect("it is there now")
    }

    fn tally(&self, heard: &Heard<'_>) -> Option<&Tally> {
        self.state.hosts.get(heard.record.host)?.kinds.get(&heard.kind)
    }

    fn judge(&self, heard: &Heard<'_>) -> Judgement {
        let tally = self.tally(heard);
        if tally.is_some_and(|tally| tally.told && self.goes_on(tally, heard.now)) {
            return Judgement::Counted;
        }
        let trouble = heard.record.trouble;
        let learnt = heard.record.age_millis >= self.settings.learning_millis;
        let reason = match (trouble.statement, tally) {
            (Some(_), _) => Reason::KnownFault,
            (None, _) if trouble.level == Level::Fatal => Reason::KnownFault,
            (None, None) if trouble.level >= Level::Error || learnt => Reason::New,
            (None, Some(tally)) if learnt && self.bursts(tally, heard.now) => Reason::Burst,
            (None, _) => return Judgement::Counted,
        };
        if self.is_told_elsewhere(heard, reason) { Judgement::ToldElsewhere } else { Judgement::Told(reason) }
    }

    fn goes_on(&self, tally: &Tally, now: LogTime) -> bool {
        now.millis_since(tally.last) <= self.settings.quiet_millis
    }

    /// Whether one more record of the kind makes a burst.
    fn bursts(&self, tally: &Tally, now: LogTime) -> bool {
        let usual = tally.usual(now).saturating_mul(self.settings.burst_factor);
        tally.in_minute(now) + 1 >= self.settings.burst_records.max(usual)
    }

    /// One dead DataNode shows on all that write to it, and both NameNodes miss it: the first host tells. What a host says of itself
    /// is told of each.
    fn is_told_elsewhere(&self, heard: &Heard<'_>, reason: Reason) -> bool {
        let is_of_itself = match &heard.kind {
            Kind::Statement(_, subject) => subject.is_empty(),
            Kind::Message(..) => reason == Reason::KnownFault,
        };
        let others = self.state.hosts.iter().filter(|(name, _)| *name != heard.record.host);
        let mut same = others.filter_map(|(_, host)| host.kinds.get(&heard.kind));
        !is_of_itself && same.any(|tally| self.goes_on(tally, heard.now) && (tally.told || reason != Reason::Burst))
    }

    /// Counts the record, and gathers it when it is told.
    fn note(&mut self, heard: &Heard<'_>, judgement: Judgement) {
        let Self { settings, state, .. } = self;
        let host = state.hosts.get_mut(heard.record.host).expect("the host of a record is known by now");
        host.sight(heard);
        let known = host.kinds.len();
        let tally = host.kinds.entry(heard.kind.clone()).or_default();
        let going_on = heard.now.millis_since(tally.last) <= settings.quiet_millis;
        let told_before = tally.told && going_on;
        tally.note(heard.now, heard.number);
        tally.told = told_before || judgement != Judgement::Counted;
        let tally = *tally;
        state.kinds += host.kinds.len() - known;
        if tally.told {
            host.go_on(heard.now, settings.quiet_millis, judgement != Judgement::Counted);
        }
        if let Judgement::Told(reason) = judgement {
            let group = host.group(heard.now);
            state.due.insert((group.due, heard.record.host.to_owned()));
            group.add(heard, reason, &tally);
        } else if let Some(group) = &mut host.group {
            group.count(heard);
        }
    }

    /// The alert that has gathered on a host.
    fn close(&mut self, name: &str, by_silence: bool) -> Option<Alert> {
        let host = self.state.hosts.get_mut(name)?;
        let group = host.group.take()?;
        let (first, number) = host.count_alert();
        let also_on = self.also_on(name, &group);
        Some(group.alert(name, (first, number), also_on, by_silence, |template| self.templates.text(template)))
    }

    fn also_on(&self, name: &str, group: &Group) -> Vec<String> {
        let others = self.state.hosts.iter().filter(|(other, _)| *other != name);
        let same = |host: &Host| group.kinds().any(|kind| host.kinds.get(kind).is_some_and(|tally| tally.last >= group.opened));
        others.filter(|(_, host)| same(host)).map(|(other, _)| other.clone()).collect()
    }

    fn nearby(&self, host: &str, sighting: &Sighting) -> Nearby {
        let text = self.templates.text(sighting.template).unwrap_or_default();
        let template = if sighting.exception.is_empty() { text } else { format!("{text} ({})", sighting.exception) };
        let Sighting { level, count, first, last, position, .. } = *sighting;
        Nearby { host: host.to_owned(), template, level, count, first, last, position }
    }

    /// At [`TROUBLE_KINDS_MAX`] forgets the eighth that was not heard for longest, so that forgetting costs little a record.
    fn make_room(&mut self, heard: &Heard<'_>) {
        if self.state.kinds < TROUBLE_KINDS_MAX || self.tally(heard).is_some() {
            return;
        }
        let Kept { hosts, kinds, forgotten, .. } = &mut self.state;
        let mut numbers: Vec<u64> = hosts.values().flat_map(|host| host.kinds.values()).map(|tally| tally.number).collect();
        numbers.sort_unstable();
        let oldest_kept = numbers[TROUBLE_KINDS_MAX / 8];
        hosts.values_mut().for_each(|host| host.kinds.retain(|_, tally| tally.number >= oldest_kept));
        hosts.retain(|_, host| !host.kinds.is_empty() || host.group.is_some());
        let left = hosts.values().map(|host| host.kinds.len()).sum();
        *forgotten += (*kinds - left) as u64;
        *kinds = left;
    }
}

fn profile() -> Profile {
    Profile::without_vocabulary(DrainSettings::hdfs())
}

/// Log time on either side of a block's last event in which trouble on its hosts is told with it, milliseconds.
const NEARBY_MILLIS: i64 = 60_000;

#[cfg(test)]
mod tests;
