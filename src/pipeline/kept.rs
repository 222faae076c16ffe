//! What a checkpoint keeps of a pipeline: sections that are written when they have changed, and the sessions as changes.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::pipeline::event::template::changes::Changes;
use crate::pipeline::event::{SourceId, StreamId};
use crate::pipeline::session::Case;
use crate::pipeline::session::assemble::{self, Assembler, Released};
use crate::pipeline::verdict::regime::Regimes;
use crate::pipeline::verdict::trigger::{self, Trigger};
use crate::pipeline::verdict::{IncidentId, domain, threshold, trouble};
use crate::pipeline::{Counts, Pipeline, front};

/// Which section: of each there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "those of the same name in SectionRef say what they are")]
pub enum SectionKey {
    Stream(StreamId),
    Incident(IncidentId),
    Front,
    Assembler,
    Cases,
    Threshold,
    Regimes,
    Watch,
    WatchTemplates,
    WatchSources,
    Domain,
    Counts,
}

/// One section, to be written.
#[derive(Serialize)]
pub enum SectionRef<'a> {
    /// A log as far as it was read.
    Stream(StreamId, &'a front::Stream),
    /// An incident.
    Incident(IncidentId, &'a trigger::Incident),
    /// The rest of the first half, but for the templates.
    Front(front::KeptRef<'a>),
    /// What stands beside the sessions.
    Assembler(assemble::Head),
    /// What waits for its score.
    Cases(&'a VecDeque<Case>),
    /// The threshold.
    Threshold(&'a threshold::Kept),
    /// Changes of regime.
    Regimes(&'a Regimes),
    /// What is known of hosts.
    Watch(&'a trouble::Kept),
    /// The templates of their trouble.
    WatchTemplates(Changes),
    /// Whose log a file is.
    WatchSources(&'a BTreeMap<SourceId, String>),
    /// What the model does not know.
    Domain(&'a domain::Kept),
    /// What no stage counts for itself.
    Counts(&'a Counts),
}

/// One section, as it was read.
#[derive(Deserialize)]
#[allow(missing_docs, reason = "those of the same name in SectionRef say what they are")]
pub enum Section {
    Stream(StreamId, front::Stream),
    Incident(IncidentId, trigger::Incident),
    Front(Box<front::Kept>),
    Assembler(assemble::Head),
    Cases(VecDeque<Case>),
    Threshold(threshold::Kept),
    Regimes(Regimes),
    Watch(Box<trouble::Kept>),
    WatchTemplates(Changes),
    WatchSources(BTreeMap<SourceId, String>),
    Domain(Box<domain::Kept>),
    Counts(Counts),
}

/// What a checkpoint keeps of a [`Pipeline`], put together again.
pub struct Kept {
    pub(super) front: front::Kept,
    pub(super) streams: Vec<front::Stream>,
    pub(super) assembler: assemble::Kept,
    pub(super) cases: VecDeque<Case>,
    pub(super) threshold: threshold::Kept,
    pub(super) regimes: Regimes,
    pub(super) trigger: Trigger,
    pub(super) watch: trouble::Kept,
    pub(super) watch_templates: Changes,
    pub(super) watch_sources: BTreeMap<SourceId, String>,
    pub(super) domain: domain::Kept,
    pub(super) counts: Counts,
}

impl SectionRef<'_> {
    /// Which it is.
    #[must_use]
    pub fn key(&self) -> SectionKey {
        match self {
            Self::Stream(id, _) => SectionKey::Stream(*id),
            Self::Incident(id, _) => SectionKey::Incident(*id),
            Self::Front(_) => SectionKey::Front,
            Self::Assembler(_) => SectionKey::Assembler,
            Self::Cases(_) => SectionKey::Cases,
            Self::Threshold(_) => SectionKey::Threshold,
            Self::Regimes(_) => SectionKey::Regimes,
            Self::Watch(_) => SectionKey::Watch,
            Self::WatchTemplates(_) => SectionKey::WatchTemplates,
            Self::WatchSources(_) => SectionKey::WatchSources,
            Self::Domain(_) => SectionKey::Domain,
            Self::Counts(_) => SectionKey::Counts,
        }
    }
}

impl Pipeline {
    /// Every section as of this instant: everything up to the last chunk handled, but for the sessions and the templates.
    pub fn sections(&self) -> impl Iterator<Item = SectionRef<'_>> {
        debug_assert!(self.alerts.is_empty(), "alerts are taken before a checkpoint is made");
        let streams = self.front.streams().map(|(id, stream)| SectionRef::Stream(id, stream));
        let incidents = self.trigger.incidents().map(|(id, incident)| SectionRef::Incident(id, incident));
        let others = [
            SectionRef::Front(self.front.kept()),
            SectionRef::Assembler(self.assembler.head()),
            SectionRef::Cases(&self.cases),
            SectionRef::Threshold(self.threshold.kept()),
            SectionRef::Regimes(&self.regimes),
            SectionRef::Watch(self.watch.kept()),
            SectionRef::WatchTemplates(self.watch.templates()),
            SectionRef::WatchSources(self.watch.sources()),
            SectionRef::Domain(self.domain.kept()),
            SectionRef::Counts(&self.counts),
        ];
        streams.chain(incidents).chain(others)
    }

    /// Blocks released: what a checkpoint keeps of them with everything; later changes of sessions tell of more.
    #[must_use]
    pub fn released(&self) -> &Released {
        self.assembler.released()
    }

    /// What of the templates has changed since this was called last; everything when there was no such call.
    pub fn take_template_changes(&mut self) -> Changes {
        self.front.take_template_changes()
    }

    /// All templates, as what has changed.
    pub fn take_templates(&mut self) -> Changes {
        self.front.take_templates()
    }

    /// The sessions, which tell what has changed of them.
    pub fn sessions(&mut self) -> &mut Assembler {
        &mut self.assembler
    }
}

impl Kept {
    /// Puts together what was read: the sections in any order, and the sessions with the blocks released. `None` when a section is
    /// missing, or there are two of one.
    #[must_use]
    pub fn new(sections: impl IntoIterator<Item = Section>, sessions: assemble::Kept) -> Option<Self> {
        let mut parts = Parts::default();
        sections.into_iter().try_for_each(|section| parts.put(section))?;
        let mut assembler = sessions;
        assembler.set_head(parts.assembler?);
        let streams = parts.streams;
        if streams.keys().zip(0..).any(|(stream, number)| stream.0 != number) {
            return None;
        }
        Some(Self {
            front: *parts.front?,
            streams: streams.into_values().collect(),
            assembler,
            cases: parts.cases?,
            threshold: parts.threshold?,
            regimes: parts.regimes?,
            trigger: Trigger::restore(parts.incidents),
            watch: *parts.watch?,
            watch_templates: parts.watch_templates?,
            watch_sources: parts.watch_sources?,
            domain: *parts.domain?,
            counts: parts.counts?,
        })
    }
}

/// What was found so far.
#[derive(Default)]
struct Parts {
    streams: BTreeMap<StreamId, front::Stream>,
    incidents: Vec<(IncidentId, trigger::Incident)>,
    front: Option<Box<front::Kept>>,
    assembler: Option<assemble::Head>,
    cases: Option<VecDeque<Case>>,
    threshold: Option<threshold::Kept>,
    regimes: Option<Regimes>,
    watch: Option<Box<trouble::Kept>>,
    watch_templates: Option<Changes>,
    watch_sources: Option<BTreeMap<SourceId, String>>,
    domain: Option<Box<domain::Kept>>,
    counts: Option<Counts>,
}

impl Parts {
    fn put(&mut self, section: Section) -> Option<()> {
        match section {
            Section::Stream(id, stream) => self.streams.insert(id, stream).is_none().then_some(()),
            Section::Incident(id, incident) => {
                self.incidents.push((id, incident));
                Some(())
            }
            Section::Front(value) => put(&mut self.front, value),
            Section::Assembler(value) => put(&mut self.assembler, value),
            Section::Cases(value) => put(&mut self.cases, value),
            Section::Threshold(value) => put(&mut self.threshold, value),
            Section::Regimes(value) => put(&mut self.regimes, value),
            Section::Watch(value) => put(&mut self.watch, value),
            Section::WatchTemplates(value) => put(&mut self.watch_templates, value),
            Section::WatchSources(value) => put(&mut self.watch_sources, value),
            Section::Domain(value) => put(&mut self.domain, value),
            Section::Counts(value) => put(&mut self.counts, value),
        }
    }
}

fn put<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}
