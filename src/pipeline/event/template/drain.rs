//! Drain: groups messages by a tree of fixed depth and the share of equal words (He, Zhu, Zheng & Lyu, ICWS 2017).
//!
//! Follows the reference where the result depends on it (logparser, Drain3): a node a message length, then nodes for the first
//! `depth - 3` words, then a leaf with clusters; words with digits descend by the wildcard; a node with `children_max` children
//! sends new words to the wildcard; similarity counts equal words only.

use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};

use crate::limits::TEMPLATES_MAX;
use crate::pipeline::event::TemplateId;
use crate::pipeline::event::template::mask::{WILDCARD, Words};
use crate::pipeline::profile::DrainSettings;

/// The clusters and the tree that finds them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Drain {
    depth: usize,
    similarity: f32,
    children_max: usize,
    nodes: Vec<Node>,
    clusters: HashMap<TemplateId, Cluster, FxBuildHasher>,
    next: u32,
    /// Counts matches, so that the least recently used cluster can be told.
    clock: u64,
    /// Clusters dropped at the bound.
    evicted: u64,
}

/// One group of messages.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cluster {
    /// Words; the wildcard stands where messages differ.
    words: Vec<Box<[u8]>>,
    /// Pinned clusters never widen and are never dropped: their meaning is a model's.
    pinned: bool,
    used: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Node {
    children: HashMap<Box<[u8]>, usize, FxBuildHasher>,
    /// Children by message length; the root only.
    lengths: HashMap<usize, usize, FxBuildHasher>,
    clusters: Vec<TemplateId>,
}

impl Drain {
    /// An empty Drain.
    #[must_use]
    pub fn new(settings: &DrainSettings) -> Self {
        Self {
            depth: usize::from(settings.depth.max(3)) - 2,
            similarity: settings.similarity,
            children_max: settings.children_max.max(2) as usize,
            nodes: vec![Node::default()],
            clusters: HashMap::default(),
            next: 0,
            clock: 0,
            evicted: 0,
        }
    }

    /// The pinned cluster that `words` fits word by word, if there is one; the one with the fewest wildcards.
    pub fn find_pinned(&mut self, words: &Words) -> Option<TemplateId> {
        let leaf = self.leaf(words)?;
        let fitting = self.nodes[leaf].clusters.iter().filter_map(|id| {
            let cluster = &self.clusters[id];
            (cluster.pinned && cluster.fits(words)).then(|| (cluster.wildcards(), *id))
        });
        let (_, id) = fitting.min()?;
        self.touch(id);
        Some(id)
    }

    /// The cluster for `words`: the most similar one, widened if need be, or a new one. True when it is new.
    pub fn learn(&mut self, words: &Words) -> (TemplateId, bool) {
        if let Some(id) = self.most_similar(words) {
            self.touch(id);
            self.clusters.get_mut(&id).expect("a leaf names living clusters only").widen(words);
            return (id, false);
        }
        (self.add(words.iter().map(Into::into).collect(), words, false), true)
    }

    /// Adds a cluster that never changes. `words` is a message that fits `template` and says where in the tree it belongs.
    pub fn add_pinned(&mut self, template: Vec<Box<[u8]>>, words: &Words) -> TemplateId {
        self.add(template, words, true)
    }

    /// The words of a template, or `None` when it was dropped.
    #[must_use]
    pub fn text(&self, id: TemplateId) -> Option<String> {
        let words: Vec<&[u8]> = self.clusters.get(&id)?.words.iter().map(AsRef::as_ref).collect();
        Some(String::from_utf8_lossy(&words.join(&b' ')).into_owned())
    }

    /// How many clusters there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.clusters.len()
    }

    /// Whether no message was seen yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clusters.is_empty()
    }

    /// Clusters dropped at the bound so far.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    fn most_similar(&self, words: &Words) -> Option<TemplateId> {
        let leaf = self.leaf(words)?;
        let mut best = None;
        for id in &self.nodes[leaf].clusters {
            let cluster = &self.clusters[id];
            if cluster.pinned {
                continue;
            }
            let rank = (cluster.equal_words(words), cluster.wildcards());
            if best.is_none_or(|(best_rank, _)| rank > best_rank) {
                best = Some((rank, *id));
            }
        }
        let ((equal, _), id) = best?;
        let share = if words.is_empty() { 1.0 } else { equal as f32 / words.len() as f32 };
        (share >= self.similarity || self.clusters[&id].is_same(words)).then_some(id)
    }

    fn leaf(&self, words: &Words) -> Option<usize> {
        let mut node = *self.nodes[0].lengths.get(&words.len())?;
        for word in words.iter().take(self.prefix(words)) {
            let children = &self.nodes[node].children;
            node = *children.get(word).or_else(|| children.get(WILDCARD))?;
        }
        Some(node)
    }

    /// Words that lead to a leaf. The reference stops before the last word of a message.
    fn prefix(&self, words: &Words) -> usize {
        (self.depth - 1).min(words.len().saturating_sub(1)).max(usize::from(words.len() == 1 && self.depth > 1))
    }

    fn add(&mut self, template: Vec<Box<[u8]>>, words: &Words, pinned: bool) -> TemplateId {
        if !pinned && self.clusters.len() >= TEMPLATES_MAX {
            self.evict();
        }
        let id = TemplateId(self.next);
        self.next += 1;
        let leaf = self.make_leaf(words);
        self.nodes[leaf].clusters.push(id);
        self.clusters.insert(id, Cluster { words: template, pinned, used: 0 });
        self.touch(id);
        id
    }

    fn make_leaf(&mut self, words: &Words) -> usize {
        let mut node = match self.nodes[0].lengths.get(&words.len()) {
            Some(node) => *node,
            None => {
                let node = self.add_node();
                self.nodes[0].lengths.insert(words.len(), node);
                node
            }
        };
        for word in words.iter().take(self.prefix(words)) {
            node = self.make_child(node, word);
        }
        node
    }

    fn make_child(&mut self, parent: usize, word: &[u8]) -> usize {
        let children = &self.nodes[parent].children;
        if let Some(child) = children.get(word) {
            return *child;
        }
        let full = children.len() + usize::from(!children.contains_key(WILDCARD)) >= self.children_max;
        let key = if full || word.iter().any(u8::is_ascii_digit) { WILDCARD } else { word };
        if let Some(child) = children.get(key) {
            return *child;
        }
        let child = self.add_node();
        self.nodes[parent].children.insert(key.into(), child);
        child
    }

    fn add_node(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    fn touch(&mut self, id: TemplateId) {
        self.clock += 1;
        if let Some(cluster) = self.clusters.get_mut(&id) {
            cluster.used = self.clock;
        }
    }

    /// Drops the least recently used quarter of what is not pinned; in bulk, since finding the oldest walks all of them.
    fn evict(&mut self) {
        let mut ages: Vec<u64> = self.clusters.values().filter(|cluster| !cluster.pinned).map(|cluster| cluster.used).collect();
        ages.sort_unstable();
        let Some(newest_dropped) = ages.get(ages.len() / 4) else {
            return;
        };
        let before = self.clusters.len();
        self.clusters.retain(|_, cluster| cluster.pinned || cluster.used > *newest_dropped);
        self.evicted += (before - self.clusters.len()) as u64;
        for node in &mut self.nodes {
            node.clusters.retain(|id| self.clusters.contains_key(id));
        }
    }
}

impl Cluster {
    fn fits(&self, words: &Words) -> bool {
        self.words.iter().zip(words.iter()).all(|(own, word)| own.as_ref() == WILDCARD || own.as_ref() == word)
    }

    /// Whether the message has these very words, wildcards included: most of them may vary.
    fn is_same(&self, words: &Words) -> bool {
        self.words.iter().zip(words.iter()).all(|(own, word)| own.as_ref() == word)
    }

    fn equal_words(&self, words: &Words) -> usize {
        self.words.iter().zip(words.iter()).filter(|(own, word)| own.as_ref() != WILDCARD && own.as_ref() == *word).count()
    }

    fn wildcards(&self) -> usize {
        self.words.iter().filter(|own| own.as_ref() == WILDCARD).count()
    }

    fn widen(&mut self, words: &Words) {
        for (own, word) in self.words.iter_mut().zip(words.iter()) {
            if own.as_ref() != word && own.as_ref() != WILDCARD {
                *own = WILDCARD.into();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::event::template::mask::Masks;

    #[test]
    fn similar_messages_share_a_template_that_widens() {
        check(&["open alpha for read", "open beta for read"], &["open <*> for read"]);
        check(&["open alpha", "close alpha", "open alpha now"], &["open alpha", "close alpha", "open alpha now"]);
    }

    #[test]
    fn words_with_digits_descend_by_the_wildcard() {
        check(&["node1 went down today", "node2 went down today"], &["<*> went down today"]);
    }

    #[test]
    fn a_full_node_sends_new_words_to_the_wildcard() {
        let mut drain = Drain::new(&DrainSettings { children_max: 3, ..DrainSettings::hdfs() });
        for word in ["a", "b", "c", "d"] {
            learn(&mut drain, &format!("{word} came by train"));
        }
        assert_eq!(drain.len(), 3, "c and d share the wildcard's leaf");
    }

    #[test]
    fn memory_is_bounded_and_pinned_templates_stay() {
        let mut drain = Drain::new(&DrainSettings::hdfs());
        let words = words("keep me");
        let pinned = drain.add_pinned(words.iter().map(Into::into).collect(), &words);
        for n in 0..TEMPLATES_MAX + 200 {
            learn(&mut drain, &format!("{} {}", letters(n), letters(n * 7 + 1)));
            assert!(drain.len() <= TEMPLATES_MAX);
        }
        assert!(drain.evicted() > 0);
        assert_eq!(drain.find_pinned(&words), Some(pinned));
        assert_eq!(drain.text(pinned).as_deref(), Some("keep me"));
    }

    fn check(messages: &[&str], expected: &[&str]) {
        let mut drain = Drain::new(&DrainSettings::hdfs());
        for message in messages {
            learn(&mut drain, message);
        }
        let found: Vec<String> = (0..drain.len() as u32).filter_map(|id| drain.text(TemplateId(id))).collect();
        assert_eq!(found, expected);
    }

    fn learn(drain: &mut Drain, message: &str) -> TemplateId {
        drain.learn(&words(message)).0
    }

    fn words(message: &str) -> Words {
        let mut words = Words::default();
        words.read(message.as_bytes(), Masks::from_names(Masks::NAMES).expect("its own names are known"));
        words
    }

    fn letters(mut n: usize) -> String {
        let mut text = String::new();
        loop {
            text.push(char::from(b'a' + (n % 26) as u8));
            n /= 26;
            if n == 0 {
                return text;
            }
        }
    }
}
