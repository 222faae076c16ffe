//! Drain: groups messages by a tree of fixed depth and the share of equal words (He, Zhu, Zheng & Lyu, ICWS 2017).
//!
//! With [`DrainSettings::telling_words_max`] 0 it groups as the reference does (logparser, Drain3 0.9.11), message by message: a leaf
//! is found by the length and the first words, similarity counts equal words and no wildcards, of equally similar clusters the one
//! with the most wildcards is taken, then the oldest. Otherwise words that tell are kept apart (`drain/telling.rs`): the reference puts
//! `PacketResponder 1 for block blk_1 Interrupted.` into one group with `… terminating`, and a failure is hidden in its success.
//!
//! An id never changes what it means. A cluster that widens gets a new one; the old one keeps its text and says what took its place.

use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use crate::pipeline::event::TemplateId;
use crate::pipeline::event::template::changes::{Log, Mined, Op};
use crate::pipeline::event::template::recency::Recency;
use crate::pipeline::event::template::retired::Retired;
use crate::pipeline::event::template::words::{WILDCARD, Words};
use crate::pipeline::profile::DrainSettings;

use self::sketch::Sketch;
use self::tree::{Leaf, Route, Tree};

mod sketch;
mod telling;
pub mod tree;

/// How much a [`Drain`] keeps, and how it counts.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The first id that it gives.
    pub first_id: u32,
    /// Clusters; the least recently used is dropped.
    pub templates_max: usize,
    /// Texts of ids that are no cluster's any more; the oldest is dropped.
    pub retired_max: usize,
}

/// The clusters and the tree that finds them.
#[derive(Clone, Debug)]
pub struct Drain {
    similarity: f32,
    /// Words that tell at one position of one family; with more of them the position varies. 0: none tells, as in the reference.
    telling_words_max: usize,
    bounds: Bounds,
    tree: Tree,
    clusters: Vec<Option<Cluster>>,
    free: Vec<u32>,
    slots: HashMap<TemplateId, u32, FxBuildHasher>,
    recency: Recency,
    retired: Retired,
    /// That of the message at hand; kept for its memory.
    sketch: Sketch,
    next: u32,
    born: u64,
    evicted: u64,
}

/// One group of messages.
#[derive(Clone, Debug)]
struct Cluster {
    id: TemplateId,
    /// The template: the wildcard stands where messages differ.
    words: Words,
    sketch: Sketch,
    route: Route,
    leaf: Leaf,
    /// Clusters of one leaf are looked at in the order of their birth.
    born: u64,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learned {
    /// Its template.
    pub id: TemplateId,
    /// The templates that this one has taken the place of, by this message.
    pub replaced: Vec<TemplateId>,
    /// Whether it is the first message of its cluster.
    pub new: bool,
}

impl Drain {
    /// An empty Drain.
    #[must_use]
    pub fn new(settings: &DrainSettings, bounds: Bounds) -> Self {
        Self {
            similarity: settings.similarity,
            telling_words_max: settings.telling_words_max as usize,
            tree: Tree::new(settings.depth.into(), settings.children_max as usize),
            clusters: Vec::new(),
            free: Vec::new(),
            slots: HashMap::default(),
            recency: Recency::default(),
            retired: Retired::new(bounds.retired_max),
            sketch: Sketch::default(),
            next: bounds.first_id,
            born: 0,
            evicted: 0,
            bounds,
        }
    }

    /// The cluster for `words`: the most similar one, widened if need be, or a new one. What changed is written to `log`.
    pub fn learn(&mut self, words: &Words, log: &mut Log) -> Learned {
        self.sketch.set(words);
        match self.choose(words) {
            Choice::Join(slot) => self.join(slot, words, log),
            Choice::Merge(slot) => self.merge(slot, words, log),
            Choice::New => self.add(words, log),
        }
    }

    /// Where the cluster of an id is, for [`Drain::touch`]; `None` when it is no cluster's.
    #[must_use]
    pub fn slot(&self, id: TemplateId) -> Option<u32> {
        self.slots.get(&id).copied()
    }

    /// Notes that the cluster in a slot was used, as [`Drain::learn`] does.
    pub fn touch(&mut self, slot: u32) {
        self.recency.touch(slot);
    }

    /// The text that an id stood for when it was given, or `None` when it was dropped.
    #[must_use]
    pub fn text(&self, id: TemplateId) -> Option<String> {
        Some(String::from_utf8_lossy(self.words(id)?.text()).into_owned())
    }

    /// The words that an id stood for when it was given, or `None` when it was dropped.
    #[must_use]
    pub fn words(&self, id: TemplateId) -> Option<&Words> {
        match self.slots.get(&id) {
            Some(slot) => Some(&self.cluster(*slot).words),
            None => self.retired.words(id),
        }
    }

    /// Goes on with other settings: no cluster is one any more, their ids keep their texts, and ids go on behind them.
    #[must_use]
    pub fn with_settings(self, settings: &DrainSettings) -> Self {
        let mut clusters: Vec<Cluster> = self.clusters.into_iter().flatten().collect();
        clusters.sort_unstable_by_key(|cluster| cluster.born);
        let mut retired = self.retired;
        clusters.into_iter().for_each(|Cluster { id, words, .. }| retired.add(id, words, None));
        Self { retired, next: self.next, born: self.born, evicted: self.evicted, ..Self::new(settings, self.bounds) }
    }

    /// What took the place of a template, or the template itself.
    #[must_use]
    pub fn newest(&self, id: TemplateId) -> TemplateId {
        self.retired.newest(id)
    }

    /// The ids of all clusters, sorted.
    #[must_use]
    pub fn ids(&self) -> Vec<TemplateId> {
        let mut ids: Vec<TemplateId> = self.slots.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// How many clusters there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Clusters dropped at the bound so far.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Texts of former ids dropped at the bound so far.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.retired.forgotten()
    }

    fn cluster(&self, slot: u32) -> &Cluster {
        self.clusters[slot as usize].as_ref().expect("the tree, the ids and the recency name living clusters only")
    }

    fn similarity(&self, equal: usize, words: &Words) -> f32 {
        if words.is_empty() { 1.0 } else { equal as f32 / words.len() as f32 }
    }
}

/// Grouping.
impl Drain {
    fn choose(&self, words: &Words) -> Choice {
        let Some(leaf) = self.tree.find(words) else { return Choice::New };
        let slots = self.tree.slots(leaf);
        if self.telling_words_max > 0 {
            return self.choose_telling(words, slots);
        }
        match self.best(words, slots, |_| true) {
            Some(slot) => Choice::Join(slot),
            None => Choice::New,
        }
    }

    /// The most similar of `slots` that is similar enough, among those that `fits` lets through.
    fn best(&self, words: &Words, slots: &[u32], fits: impl Fn(&Words) -> bool) -> Option<u32> {
        let mut best = None;
        for slot in slots {
            let Cluster { words: own, sketch, .. } = self.cluster(*slot);
            let better = |rank| best.is_none_or(|(best, _)| rank > best) && self.is_similar(rank, words);
            if !better(self.sketch.rank_at_most(sketch)) {
                continue;
            }
            let rank = Rank::new(own, words);
            if better(rank) && fits(own) {
                best = Some((rank, *slot));
            }
        }
        best.map(|(_, slot)| slot)
    }

    fn is_similar(&self, rank: Rank, words: &Words) -> bool {
        let identical = self.telling_words_max > 0 && rank.identical == words.len();
        identical || self.similarity(rank.equal, words) >= self.similarity
    }

    /// As the reference, but of clusters that differ by telling words only those are taken that do not. When all that are similar do,
    /// and one of the positions has too many such words, it varies.
    fn choose_telling(&self, words: &Words, slots: &[u32]) -> Choice {
        if let Some(slot) = self.best(words, slots, |own| telling::conflicts(own, words).next().is_none()) {
            return Choice::Join(slot);
        }
        let Some(slot) = self.best(words, slots, |_| true) else { return Choice::New };
        let similar: Vec<&Words> = slots
            .iter()
            .map(|slot| self.cluster(*slot))
            .filter(|own| self.is_similar(self.sketch.rank_at_most(&own.sketch), words))
            .map(|own| &own.words)
            .filter(|own| self.is_similar(Rank::new(own, words), words))
            .collect();
        let varies = |position: usize| telling::distinct(&similar, words, position) > self.telling_words_max;
        if telling::conflicts(&self.cluster(slot).words, words).all(varies) { Choice::Merge(slot) } else { Choice::New }
    }
}

/// What [`Drain::learn`] does with a message.
enum Choice {
    /// It is of this cluster.
    Join(u32),
    /// It is of this cluster, which takes in those that it covers afterwards.
    Merge(u32),
    /// It is of none.
    New,
}

/// How similar a template is to a message: more equal words first, then more wildcards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    equal: usize,
    wildcards: usize,
    /// Words that are the same, wildcards included. Never decides: it is the sum of the others or less.
    identical: usize,
}

impl Rank {
    fn new(own: &Words, words: &Words) -> Self {
        let mut rank = Self { equal: 0, wildcards: 0, identical: 0 };
        for (own, word) in own.iter().zip(words.iter()) {
            let wildcard = own == WILDCARD;
            rank.wildcards += usize::from(wildcard);
            rank.equal += usize::from(!wildcard && own == word);
            rank.identical += usize::from(own == word);
        }
        rank
    }
}

/// Changing.
impl Drain {
    fn join(&mut self, slot: u32, words: &Words, log: &mut Log) -> Learned {
        let replaced = if self.cluster(slot).words.covers(words) { Vec::new() } else { vec![self.widen(slot, words, log)] };
        self.recency.touch(slot);
        Learned { id: self.cluster(slot).id, replaced, new: false }
    }

    fn merge(&mut self, slot: u32, words: &Words, log: &mut Log) -> Learned {
        let mut replaced = vec![self.widen(slot, words, log)];
        let into = self.cluster(slot);
        let (id, own, leaf) = (into.id, into.words.clone(), into.leaf);
        let others: Vec<TemplateId> = self
            .tree
            .slots(leaf)
            .iter()
            .map(|slot| self.cluster(*slot))
            .filter(|other| other.id != id && own.covers(&other.words))
            .map(|other| other.id)
            .collect();
        for from in others {
            self.apply_own(Op::Merged { from, into: id }, log);
            replaced.push(from);
        }
        self.recency.touch(slot);
        Learned { id, replaced, new: false }
    }

    /// Widens a cluster; the id that it had.
    fn widen(&mut self, slot: u32, words: &Words, log: &mut Log) -> TemplateId {
        let cluster = self.cluster(slot);
        let from = cluster.id;
        let wider = cluster.words.with_wildcards(|index, own| own != words.get(index));
        self.apply_own(Op::Widened { from, id: self.free_id(), words: wider }, log);
        from
    }

    fn add(&mut self, words: &Words, log: &mut Log) -> Learned {
        while self.len() >= self.bounds.templates_max.max(1) {
            let oldest = self.recency.oldest().expect("what is full is not empty");
            self.apply_own(Op::Dropped { id: self.cluster(oldest).id }, log);
        }
        let id = self.free_id();
        let route = self.tree.route(words);
        self.apply_own(Op::Added(Mined { id, route, words: words.clone() }), log);
        Learned { id, replaced: Vec::new(), new: true }
    }

    fn apply_own(&mut self, op: Op, log: &mut Log) {
        self.apply(&op).expect("its own changes can be made");
        log.push(op);
    }

    /// The next id that nothing has: after 2^32 of them they come round.
    fn free_id(&self) -> TemplateId {
        let taken = |id: &TemplateId| self.slots.contains_key(id) || self.retired.words(*id).is_some();
        let from_here = (self.next..=u32::MAX).chain(self.bounds.first_id..self.next);
        from_here.map(TemplateId).find(|id| !taken(id)).expect("there are more ids than what is kept")
    }
}

/// Doing again what a [`Drain`] did before.
impl Drain {
    /// Makes a change that another Drain with the same settings has logged. `None`, and nothing is changed, when it cannot be.
    pub fn apply(&mut self, op: &Op) -> Option<()> {
        match op {
            Op::Added(mined) => self.apply_added(mined),
            Op::Widened { from, id, words } => self.apply_widened(*from, *id, words),
            Op::Merged { from, into } => {
                (from != into && self.slots.contains_key(into)).then_some(())?;
                self.take_out(*from, Some(*into))
            }
            Op::Dropped { id } => {
                self.take_out(*id, None)?;
                self.evicted += 1;
                Some(())
            }
            Op::Pinned(_) | Op::Seen { .. } => None,
        }
    }

    /// Makes a template the most recently used. `None` when it is not there.
    pub fn apply_used(&mut self, id: TemplateId) -> Option<()> {
        self.recency.touch(self.slot(id)?);
        Some(())
    }

    /// The clusters in the order of their birth, the ids in the order of their use, the oldest first, and the former ids.
    #[must_use]
    pub fn whole(&self) -> Whole {
        let mut clusters: Vec<&Cluster> = self.clusters.iter().flatten().collect();
        clusters.sort_by_key(|cluster| cluster.born);
        let mined = |cluster: &&Cluster| Mined { id: cluster.id, route: cluster.route, words: cluster.words.clone() };
        let mut used: Vec<TemplateId> = self.recency.newest_first().map(|slot| self.cluster(slot).id).collect();
        used.reverse();
        Whole {
            clusters: clusters.iter().map(mined).collect(),
            used,
            retired: self.retired.clone(),
            next: self.next,
            evicted: self.evicted,
        }
    }

    /// Replaces everything. `None` when it is no Drain's.
    pub fn fill(&mut self, whole: &Whole) -> Option<()> {
        self.tree.clear();
        self.clusters.clear();
        self.free.clear();
        self.slots.clear();
        self.recency = Recency::default();
        for mined in &whole.clusters {
            self.apply_added(mined)?;
        }
        for id in &whole.used {
            self.apply_used(*id)?;
        }
        self.recency.take_used();
        self.retired = whole.retired.clone().bounded(self.bounds.retired_max);
        (self.next, self.evicted) = (whole.next, whole.evicted);
        Some(())
    }

    /// The templates used since this was called last, the least recently used first.
    pub fn take_used(&mut self) -> Vec<TemplateId> {
        self.recency.take_used().into_iter().map(|slot| self.cluster(slot).id).collect()
    }

    fn apply_added(&mut self, Mined { id, route, words }: &Mined) -> Option<()> {
        if self.slots.contains_key(id) {
            return None;
        }
        let slot = self.free.pop().unwrap_or(self.clusters.len() as u32);
        if slot as usize == self.clusters.len() {
            self.clusters.push(None);
        }
        let leaf = self.tree.insert(words, *route, slot);
        let (words, sketch) = (words.clone(), Sketch::new(words));
        let cluster = Cluster { id: *id, words, sketch, route: *route, leaf, born: self.born };
        self.clusters[slot as usize] = Some(cluster);
        self.born += 1;
        self.slots.insert(*id, slot);
        self.recency.add(slot);
        self.next = id.0.wrapping_add(1).max(self.bounds.first_id);
        Some(())
    }

    fn apply_widened(&mut self, from: TemplateId, id: TemplateId, words: &Words) -> Option<()> {
        if self.slots.contains_key(&id) {
            return None;
        }
        let slot = self.slots.remove(&from)?;
        let cluster = self.clusters[slot as usize].as_mut().expect("the ids name living clusters only");
        let before = std::mem::replace(&mut cluster.words, words.clone());
        (cluster.id, cluster.sketch) = (id, Sketch::new(words));
        self.slots.insert(id, slot);
        self.retired.add(from, before, Some(id));
        self.next = id.0.wrapping_add(1).max(self.bounds.first_id);
        Some(())
    }

    fn take_out(&mut self, id: TemplateId, newer: Option<TemplateId>) -> Option<()> {
        let slot = self.slots.remove(&id)?;
        let cluster = self.clusters[slot as usize].take().expect("the ids name living clusters only");
        self.free.push(slot);
        self.tree.remove(cluster.leaf, slot);
        self.recency.remove(slot);
        self.retired.add(id, cluster.words, newer);
        Some(())
    }
}

/// Everything that a [`Drain`] holds, as a checkpoint keeps it.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Whole {
    clusters: Vec<Mined>,
    used: Vec<TemplateId>,
    retired: Retired,
    next: u32,
    evicted: u64,
}

#[cfg(test)]
mod tests;
