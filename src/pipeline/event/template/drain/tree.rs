//! The parse tree of Drain: a node a message length, then nodes for the first words, then leaves that name what belongs there.
//!
//! Follows the reference (logparser, Drain3): words with digits, and those that come to a full node, descend by the wildcard. What is
//! taken out takes its nodes with it, so that the tree never holds more than what is there.

use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use crate::pipeline::event::template::words::{WILDCARD, Words};

/// The tree. What it holds are slots: numbers that mean something to its owner.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Words that lead to a leaf, at most; the last word of a message never does.
    prefix_words_max: usize,
    /// Children of one node, the wildcard included.
    children_max: usize,
    lengths: HashMap<usize, u32, FxBuildHasher>,
    nodes: Vec<Node>,
    free: Vec<u32>,
}

/// Where a slot is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf(u32);

/// Which steps from the length to the leaf take the wildcard: bit i for word i.
pub type Route = u128;

#[derive(Clone, Debug, Default)]
struct Node {
    /// What leads here: the node above and the word, or with no node the length of the message.
    above: Option<u32>,
    word: Box<[u8]>,
    length: usize,
    children: HashMap<Box<[u8]>, u32, FxBuildHasher>,
    slots: Vec<u32>,
}

impl Tree {
    /// An empty tree. `depth` counts root and leaf, as the reference does; `children_max` counts the wildcard.
    #[must_use]
    pub fn new(depth: usize, children_max: usize) -> Self {
        let prefix_words_max = depth.saturating_sub(3).min(Route::BITS as usize);
        Self {
            prefix_words_max,
            children_max: children_max.max(1),
            lengths: HashMap::default(),
            nodes: Vec::new(),
            free: Vec::new(),
        }
    }

    /// The leaf that a message belongs to, if it is there: by each word itself, else by the wildcard.
    #[must_use]
    pub fn find(&self, words: &Words) -> Option<Leaf> {
        let mut node = *self.lengths.get(&words.len())?;
        for index in 0..self.prefix_words(words) {
            let children = &self.nodes[node as usize].children;
            node = *children.get(words.get(index)).or_else(|| children.get(WILDCARD))?;
        }
        Some(Leaf(node))
    }

    /// Hands out every leaf that a message can belong to: by each word itself and by the wildcard.
    pub fn find_all(&self, words: &Words, found: &mut dyn FnMut(&[u32])) {
        if let Some(node) = self.lengths.get(&words.len()) {
            self.descend(words, 0, *node, found);
        }
    }

    /// The slots of a leaf, in the order in which they came.
    #[must_use]
    pub fn slots(&self, leaf: Leaf) -> &[u32] {
        &self.nodes[leaf.0 as usize].slots
    }

    /// The way by which a new template would be put in.
    #[must_use]
    pub fn route(&self, words: &Words) -> Route {
        let mut route = 0;
        let mut node = self.lengths.get(&words.len()).copied();
        for index in 0..self.prefix_words(words) {
            let word = words.get(index);
            let key = self.key(node, word);
            route |= Route::from(key != word) << index;
            node = node.and_then(|node| self.nodes[node as usize].children.get(key).copied());
        }
        route
    }

    /// Puts `slot` in by the way that [`Tree::route`] gave. `words` may have become wider since.
    pub fn insert(&mut self, words: &Words, route: Route, slot: u32) -> Leaf {
        let mut node = match self.lengths.get(&words.len()) {
            Some(node) => *node,
            None => {
                let node = self.add_node(Node { length: words.len(), ..Node::default() });
                self.lengths.insert(words.len(), node);
                node
            }
        };
        for index in 0..self.prefix_words(words) {
            let key = if route >> index & 1 == 1 { WILDCARD } else { words.get(index) };
            node = self.make_child(node, key);
        }
        self.nodes[node as usize].slots.push(slot);
        Leaf(node)
    }

    /// Takes `slot` out of its leaf, and the nodes that lead nowhere any more.
    pub fn remove(&mut self, leaf: Leaf, slot: u32) {
        self.nodes[leaf.0 as usize].slots.retain(|other| *other != slot);
        let mut node = leaf.0;
        while self.nodes[node as usize].slots.is_empty() && self.nodes[node as usize].children.is_empty() {
            let Node { above, word, length, .. } = std::mem::take(&mut self.nodes[node as usize]);
            self.free.push(node);
            let Some(above) = above else {
                self.lengths.remove(&length);
                return;
            };
            self.nodes[above as usize].children.remove(&word);
            node = above;
        }
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.lengths.clear();
        self.nodes.clear();
        self.free.clear();
    }

    /// Nodes that there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    fn prefix_words(&self, words: &Words) -> usize {
        self.prefix_words_max.min(words.len().saturating_sub(1))
    }

    fn descend(&self, words: &Words, index: usize, node: u32, found: &mut dyn FnMut(&[u32])) {
        let Node { children, slots, .. } = &self.nodes[node as usize];
        if index == self.prefix_words(words) {
            return found(slots);
        }
        let word = words.get(index);
        let other = (word != WILDCARD).then_some(WILDCARD);
        for child in [Some(word), other].into_iter().flatten().filter_map(|key| children.get(key)) {
            self.descend(words, index + 1, *child, found);
        }
    }

    /// By what a new template with `word` leaves `node`, which may not be there yet.
    fn key<'a>(&self, node: Option<u32>, word: &'a [u8]) -> &'a [u8] {
        let children = node.map(|node| &self.nodes[node as usize].children);
        if children.is_some_and(|children| children.contains_key(word)) {
            return word;
        }
        let taken = children.map_or(1, |children| children.len() + usize::from(!children.contains_key(WILDCARD)));
        if taken >= self.children_max || word.iter().any(u8::is_ascii_digit) { WILDCARD } else { word }
    }

    fn make_child(&mut self, above: u32, key: &[u8]) -> u32 {
        if let Some(child) = self.nodes[above as usize].children.get(key) {
            return *child;
        }
        let child = self.add_node(Node { above: Some(above), word: key.into(), ..Node::default() });
        self.nodes[above as usize].children.insert(key.into(), child);
        child
    }

    fn add_node(&mut self, node: Node) -> u32 {
        if let Some(free) = self.free.pop() {
            self.nodes[free as usize] = node;
            return free;
        }
        self.nodes.push(node);
        self.nodes.len() as u32 - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_never_leads_to_a_leaf() {
        check(4, 100, &["a b", "a c", "b c"], &[0, 0, 1]);
        check(4, 100, &["a", "b"], &[0, 0]);
        check(6, 100, &["a b c", "a b d", "a x c"], &[0, 0, 1]);
        check(3, 100, &["a b", "x y", "x"], &[0, 0, 1]);
        check(4, 100, &["", ""], &[0, 0]);
    }

    #[test]
    fn words_with_digits_descend_by_the_wildcard() {
        check(4, 100, &["node1 x", "node2 x", "node x", "<*> x"], &[0, 0, 1, 0]);
    }

    #[test]
    fn a_full_node_sends_new_words_to_the_wildcard() {
        check(4, 3, &["a x", "b x", "c x", "d x", "a y"], &[0, 1, 2, 2, 0]);
        check(4, 2, &["a x", "b x", "c x"], &[0, 1, 1]);
        check(4, 3, &["1 x", "a x", "b x", "c x"], &[0, 1, 2, 0]);
    }

    #[test]
    fn what_is_taken_out_takes_its_nodes_with_it() {
        let mut tree = Tree::new(6, 100);
        let leaves: Vec<Leaf> =
            ["a b c d e", "a b c x e", "a b y d e", "z"].iter().zip(0..).map(|(text, slot)| put(&mut tree, text, slot)).collect();
        assert_eq!(tree.len(), 6);
        for (slot, nodes) in [(0, 6), (1, 5), (3, 4), (2, 0)] {
            tree.remove(leaves[slot], slot as u32);
            assert_eq!(tree.len(), nodes, "without {slot}");
        }
        for n in 0..1000 {
            let leaf = put(&mut tree, &format!("x{n} y z"), n);
            tree.remove(leaf, n);
        }
        assert_eq!((tree.len(), tree.nodes.len()), (0, 6));
    }

    #[test]
    fn all_leaves_of_a_message_are_found() {
        let mut tree = Tree::new(5, 100);
        for (slot, text) in (0..).zip(["a b c", "<*> b c", "a <*> c", "<*> <*> c", "x b c"]) {
            put(&mut tree, text, slot);
        }
        for (message, expected) in [("a b z", &[0, 2, 1, 3][..]), ("q q z", &[3]), ("<*> b z", &[1, 3]), ("a b", &[])] {
            let mut found = Vec::new();
            tree.find_all(&message.as_bytes().into(), &mut |slots| found.extend_from_slice(slots));
            assert_eq!(found, expected, "{message}");
        }
    }

    /// Puts templates in one after the other; which share a leaf, as numbers in the order of appearance.
    fn check(depth: usize, children_max: usize, texts: &[&str], expected: &[usize]) {
        let mut tree = Tree::new(depth, children_max);
        let leaves: Vec<Leaf> = texts.iter().zip(0..).map(|(text, slot)| put(&mut tree, text, slot)).collect();
        let mut distinct = Vec::new();
        for leaf in &leaves {
            if !distinct.contains(leaf) {
                distinct.push(*leaf);
            }
        }
        let found: Vec<usize> =
            leaves.iter().map(|leaf| distinct.iter().position(|other| other == leaf).expect("it is there")).collect();
        assert_eq!(found, expected, "{texts:?}");
    }

    fn put(tree: &mut Tree, text: &str, slot: u32) -> Leaf {
        let words = Words::from(text.as_bytes());
        let leaf = tree.insert(&words, tree.route(&words), slot);
        assert_eq!(tree.find(&words), Some(leaf), "{text}");
        leaf
    }
}
