//! Decides which pool a block is of where the line that names it names none: two name services number their blocks alike.
//!
//! NameNodes name no pool in most lines, DataNodes do. As long as one pool is known every block is of that one, since on a cluster with
//! one pool both kinds of lines are of the same block. With several, a line without a pool is of the pool of its stream:
//!
//! 1. the one configured for the stream;
//! 2. the one that the stream names itself, if it names no other: a NameNode's `bumpBlockGenerationStamp(BP-…:blk_…)`;
//! 3. the one configured for all lines that name none;
//! 4. the one that the stream's blocks speak for: each block that it names without a pool and that other streams have named lately in
//!    just one pool is a vote for that pool, and three votes decide, if hardly any are for others;
//! 5. none: such events are left out rather than put into a wrong story.
//!
//! What was said before a second pool was named is of the first one; where that matters, pools must be configured. Everything here
//! follows from the records in the order of log time, and is part of a checkpoint.

use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};

use crate::limits::{POOL_BLOCKS_MAX, POOLS_MAX};
use crate::pipeline::event::PoolId;
use crate::pipeline::event::block::NamedBlock;

/// The pool of the lines of some streams that name none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamPool {
    /// Which streams, by their name; `*` stands for any text.
    pub pattern: String,
    /// `BP-…`
    pub pool: String,
}

/// The pools known, and what is known of the streams.
#[derive(Debug, Default)]
pub struct Pools {
    of_streams: Vec<StreamPool>,
    of_all: Option<PoolId>,
    /// By stream; follows from their names.
    configured: Vec<Option<PoolId>>,
    kept: Kept,
}

/// What a checkpoint keeps of [`Pools`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    /// The first one is number 0.
    names: Vec<String>,
    /// By stream.
    streams: Vec<Evidence>,
    blocks: RecentBlocks,
}

impl Pools {
    /// Those of the configuration: `of_all` is the pool of lines that name none, except in the streams that `of_streams` tells apart.
    #[must_use]
    pub fn new(of_all: Option<&str>, of_streams: &[StreamPool]) -> Self {
        Self::restore(of_all, of_streams, Kept::default())
    }

    /// Goes on from a checkpoint, whose numbers stay what they are.
    #[must_use]
    pub fn restore(of_all: Option<&str>, of_streams: &[StreamPool], kept: Kept) -> Self {
        let mut pools = Self { of_streams: of_streams.to_vec(), kept, ..Self::default() };
        pools.of_all = of_all.and_then(|name| pools.id(name.as_bytes()));
        for StreamPool { pool, .. } in of_streams {
            pools.id(pool.as_bytes());
        }
        pools
    }

    /// What a checkpoint keeps.
    #[must_use]
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Announces the name of a stream. The first pattern that fits it counts.
    pub fn open_stream(&mut self, stream: usize, name: &str) {
        let of_stream = self.of_streams.iter().find(|of| matches(&of.pattern, name)).map(|of| of.pool.clone());
        if self.configured.len() <= stream {
            self.configured.resize(stream + 1, None);
        }
        self.configured[stream] = of_stream.and_then(|pool| self.id(pool.as_bytes()));
        if self.kept.streams.len() <= stream {
            self.kept.streams.resize_with(stream + 1, Evidence::default);
        }
    }

    /// The name of a pool; `None` as long as none was named.
    #[must_use]
    pub fn name(&self, pool: PoolId) -> Option<&str> {
        self.kept.names.get(pool.0 as usize).map(String::as_str)
    }

    /// Takes in what the blocks of a record say of pools. Costs nothing with one pool.
    pub fn learn<'a>(&mut self, stream: usize, blocks: impl Iterator<Item = NamedBlock<'a>>) {
        if self.kept.names.len() < 2 {
            return;
        }
        for block in blocks {
            match block.pool {
                Some(name) => {
                    if let Some(pool) = self.id(name) {
                        self.kept.blocks.note(block.number, pool);
                    }
                }
                None => {
                    if let Some(pool) = self.kept.blocks.pool(block.number) {
                        self.kept.streams[stream].vote(pool);
                    }
                }
            }
        }
    }

    /// The pool of a block that a record of `stream` names in the pool `name`, or in none. `None` when it is not known which it is.
    pub fn pool(&mut self, stream: usize, name: Option<&[u8]>) -> Option<PoolId> {
        let Some(name) = name else { return self.of_stream(stream) };
        let pool = self.id(name)?;
        self.kept.streams[stream].note(pool);
        Some(pool)
    }

    /// The pool of lines of a stream that name none.
    fn of_stream(&self, stream: usize) -> Option<PoolId> {
        let evidence = &self.kept.streams[stream];
        let pool = self.configured[stream].or(match evidence.named {
            Named::One(pool) => Some(pool),
            Named::Several { .. } => None,
            Named::None => self.of_all.or_else(|| evidence.elected()),
        });
        if self.kept.names.len() < 2 { Some(PoolId(0)) } else { pool }
    }

    /// The number of a pool, a new one for a new name; `None` when there are too many.
    fn id(&mut self, name: &[u8]) -> Option<PoolId> {
        let names = &mut self.kept.names;
        if let Some(index) = names.iter().position(|known| known.as_bytes() == name) {
            return Some(PoolId(index as u32));
        }
        if names.len() == POOLS_MAX {
            return None;
        }
        names.push(String::from_utf8_lossy(name).into_owned());
        Some(PoolId(names.len() as u32 - 1))
    }
}

/// What a stream says of its pool.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Evidence {
    named: Named,
    /// Votes by pool, each for at most [`VOTES_MAX`]; at most [`POOLS_MAX`] entries.
    votes: Vec<(PoolId, u32)>,
}

/// The pools that a stream names itself.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
enum Named {
    #[default]
    None,
    One(PoolId),
    /// The newest, and how many times in a row: a cluster may have been formatted anew.
    Several {
        newest: PoolId,
        times: u32,
    },
}

impl Evidence {
    fn note(&mut self, pool: PoolId) {
        self.named = match self.named {
            Named::None => Named::One(pool),
            Named::One(one) if one == pool => Named::One(pool),
            Named::Several { newest, times } if newest == pool && times + 1 >= NAMED_IN_A_ROW => Named::One(pool),
            Named::Several { newest, times } if newest == pool => Named::Several { newest, times: times + 1 },
            Named::One(_) | Named::Several { .. } => Named::Several { newest: pool, times: 1 },
        };
    }

    fn vote(&mut self, pool: PoolId) {
        match self.votes.iter_mut().find(|(known, _)| *known == pool) {
            Some((_, votes)) => *votes += 1,
            None => self.votes.push((pool, 1)),
        }
        if self.votes.iter().any(|(_, votes)| *votes > VOTES_MAX) {
            self.votes.iter_mut().for_each(|(_, votes)| *votes /= 2);
            self.votes.retain(|(_, votes)| *votes > 0);
        }
    }

    /// The pool that (nearly) all votes are for.
    fn elected(&self) -> Option<PoolId> {
        let (pool, most) = self.votes.iter().copied().max_by_key(|(pool, votes)| (*votes, u32::MAX - pool.0))?;
        let others = self.votes.iter().map(|(_, votes)| votes).sum::<u32>() - most;
        (most >= VOTES_MIN && others * VOTES_AGAINST <= most).then_some(pool)
    }
}

/// The pools in which blocks were named lately; the older half is forgotten at the bound.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct RecentBlocks {
    young: HashMap<i64, Among, FxBuildHasher>,
    old: HashMap<i64, Among, FxBuildHasher>,
}

/// The pools in which one number was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Among {
    One(PoolId),
    Several,
}

impl RecentBlocks {
    fn note(&mut self, number: i64, pool: PoolId) {
        let among = match self.find(number) {
            None => Among::One(pool),
            Some(Among::One(known)) if known == pool => Among::One(pool),
            Some(Among::One(_) | Among::Several) => Among::Several,
        };
        if self.young.len() >= POOL_BLOCKS_MAX / 2 && !self.young.contains_key(&number) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(number, among);
    }

    /// The only pool in which the number was named.
    fn pool(&self, number: i64) -> Option<PoolId> {
        match self.find(number)? {
            Among::One(pool) => Some(pool),
            Among::Several => None,
        }
    }

    fn find(&self, number: i64) -> Option<Among> {
        self.young.get(&number).or_else(|| self.old.get(&number)).copied()
    }
}

/// Whether `text` is `pattern`, in which `*` stands for any text. What is before and behind the stars is tried at the ends, and what is
/// between them where it first stands.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        let Some(found) = text.find(part) else { return false };
        text = &text[found + part.len()..];
    }
    text.ends_with(end)
}

/// Votes that decide, if there are no others: one block gets as many once it was stored three times.
const VOTES_MIN: u32 = 3;

/// Votes that outweigh one against them: old blocks of one pool have the numbers of young ones of another, and they are deleted too.
const VOTES_AGAINST: u32 = 8;

/// Votes for one pool at which all are halved, so that a stream's pool may change: a cluster was formatted anew.
const VOTES_MAX: u32 = 64;

/// Records in a row that name the same pool after which a stream that named others has changed its pool. A DataNode that serves two
/// name services, one with a twentieth of its lines, gets there by chance once in half a million times.
const NAMED_IN_A_ROW: u32 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_one_pool_every_block_is_of_it() {
        let mut pools = open(None, &[], &["nn", "dn"]);
        assert_eq!(pools.pool(0, None), Some(PoolId(0)));
        assert_eq!(pools.name(PoolId(0)), None);
        assert_eq!(pools.pool(1, Some(b"BP-1")), Some(PoolId(0)));
        assert_eq!(pools.pool(0, None), Some(PoolId(0)));
        assert_eq!(pools.name(PoolId(0)), Some("BP-1"));
    }

    #[test]
    fn a_stream_is_of_the_pool_that_is_configured_for_it() {
        let of_streams = [of("*namenode-nn1*", "BP-1"), of("*namenode-nn2*", "BP-2")];
        let mut pools = open(None, &of_streams, &["/l/hadoop-namenode-nn1.log", "/l/hadoop-namenode-nn2.log", "/l/other.log"]);
        assert_eq!([0, 1, 2].map(|stream| pools.pool(stream, None)), [Some(PoolId(0)), Some(PoolId(1)), None]);
        assert_eq!(pools.pool(0, Some(b"BP-2")), Some(PoolId(1)), "what a line names itself counts");
        assert_eq!(pools.pool(0, None), Some(PoolId(0)));
        let mut pools = open(Some("BP-3"), &of_streams, &["x-namenode-nn2", "other"]);
        assert_eq!([0, 1].map(|stream| pools.pool(stream, None)), [Some(PoolId(2)), Some(PoolId(0))]);
    }

    #[test]
    fn a_stream_is_of_the_only_pool_that_it_names() {
        let mut pools = open(None, &[], &["a", "b", "both"]);
        for (stream, name) in [(0, "BP-1"), (1, "BP-2"), (2, "BP-1"), (2, "BP-2")] {
            pools.pool(stream, Some(name.as_bytes()));
        }
        assert_eq!([0, 1, 2].map(|stream| pools.pool(stream, None)), [Some(PoolId(0)), Some(PoolId(1)), None]);
    }

    #[test]
    fn a_cluster_formatted_anew_has_the_new_pool_in_the_end() {
        for (times, expected) in
            [(NAMED_IN_A_ROW - 1, None), (NAMED_IN_A_ROW, Some(PoolId(1))), (NAMED_IN_A_ROW + 1, Some(PoolId(1)))]
        {
            let mut pools = open(None, &[], &["nn"]);
            pools.pool(0, Some(b"BP-1"));
            for _ in 0..times {
                pools.pool(0, Some(b"BP-2"));
            }
            assert_eq!(pools.pool(0, None), expected, "{times} times");
        }
    }

    #[test]
    fn a_stream_is_of_the_pool_that_its_blocks_speak_for() {
        for (votes, expected) in [(VOTES_MIN - 1, None), (VOTES_MIN, Some(PoolId(1))), (VOTES_MIN + 1, Some(PoolId(1)))] {
            let mut pools = two_pools();
            say(&mut pools, 1, &[(Some("BP-2"), 7)]);
            (0..votes).for_each(|_| say(&mut pools, 0, &[(None, 7)]));
            assert_eq!(pools.pool(0, None), expected, "{votes} votes");
        }
    }

    #[test]
    fn blocks_of_two_pools_and_unknown_ones_do_not_vote() {
        let mut pools = two_pools();
        say(&mut pools, 1, &[(Some("BP-1"), 7), (Some("BP-2"), 7)]);
        (0..100).for_each(|_| say(&mut pools, 0, &[(None, 7), (None, 8)]));
        assert_eq!(pools.pool(0, None), None);
    }

    #[test]
    fn hardly_any_vote_may_be_against() {
        for (against, expected) in [(3, Some(PoolId(1))), (4, Some(PoolId(1))), (5, None)] {
            let mut pools = two_pools();
            say(&mut pools, 1, &[(Some("BP-1"), 1), (Some("BP-2"), 2)]);
            (0..against).for_each(|_| say(&mut pools, 0, &[(None, 1)]));
            (0..4 * VOTES_AGAINST).for_each(|_| say(&mut pools, 0, &[(None, 2)]));
            assert_eq!(pools.pool(0, None), expected, "{against} against");
        }
    }

    #[test]
    fn votes_are_bounded_and_follow_a_change() {
        let mut pools = two_pools();
        say(&mut pools, 1, &[(Some("BP-1"), 1), (Some("BP-2"), 2)]);
        (0..10_000).for_each(|_| say(&mut pools, 0, &[(None, 1)]));
        assert_eq!(pools.pool(0, None), Some(PoolId(0)));
        (0..4 * VOTES_MAX).for_each(|_| say(&mut pools, 0, &[(None, 2)]));
        assert_eq!(pools.pool(0, None), Some(PoolId(1)));
        assert!(pools.kept.streams[0].votes.iter().all(|(_, votes)| *votes <= VOTES_MAX));
    }

    #[test]
    fn pools_are_bounded() {
        let mut pools = open(None, &[], &["dn"]);
        for number in 0..POOLS_MAX + 1 {
            let found = pools.pool(0, Some(format!("BP-{number}").as_bytes()));
            assert_eq!(found, (number < POOLS_MAX).then_some(PoolId(number as u32)));
        }
        assert_eq!(pools.pool(0, Some(b"BP-0")), Some(PoolId(0)));
        assert_eq!(pools.kept.names.len(), POOLS_MAX);
    }

    #[test]
    fn blocks_remembered_are_bounded_and_the_oldest_forgotten() {
        let last = POOL_BLOCKS_MAX as i64;
        for (blocks, known) in [(last - 1, true), (last, true), (last + 1, false)] {
            let mut recent = RecentBlocks::default();
            (0..blocks).for_each(|number| recent.note(number, PoolId(0)));
            assert_eq!((recent.pool(0).is_some(), recent.pool(blocks - 1)), (known, Some(PoolId(0))), "{blocks} blocks");
            assert!(recent.young.len() + recent.old.len() <= POOL_BLOCKS_MAX);
        }
    }

    #[test]
    fn a_checkpoint_keeps_the_numbers_and_what_was_learnt() {
        let mut pools = two_pools();
        say(&mut pools, 1, &[(Some("BP-2"), 7)]);
        (0..VOTES_MIN).for_each(|_| say(&mut pools, 0, &[(None, 7)]));
        let kept = postcard::to_stdvec(pools.kept()).expect("it can be written");
        let kept: Kept = postcard::from_bytes(&kept).expect("and read");
        let mut pools = Pools::restore(None, &[of("new*", "BP-3")], kept);
        ["nn", "dn", "new"].iter().enumerate().for_each(|(stream, name)| pools.open_stream(stream, name));
        assert_eq!([0, 1, 2].map(|stream| pools.pool(stream, None)), [Some(PoolId(1)), None, Some(PoolId(2))]);
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("*", "a", true),
            ("a*", "ab", true),
            ("a*", "ba", false),
            ("*b", "ab", true),
            ("*b", "abc", false),
            ("a*b", "ab", true),
            ("a*a", "a", false),
            ("*nn1*", "/l/x-nn1.log", true),
            ("*nn1*", "/l/x-nn2.log", false),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            ("a*bc*c", "abc", false),
            ("**", "a", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    /// A stream 0 that has named no pool, and a stream 1 that has named two.
    fn two_pools() -> Pools {
        let mut pools = open(None, &[], &["nn", "dn"]);
        say(&mut pools, 1, &[(Some("BP-1"), -1), (Some("BP-2"), -2)]);
        pools
    }

    fn open(of_all: Option<&str>, of_streams: &[StreamPool], streams: &[&str]) -> Pools {
        let mut pools = Pools::new(of_all, of_streams);
        streams.iter().enumerate().for_each(|(stream, name)| pools.open_stream(stream, name));
        pools
    }

    fn say(pools: &mut Pools, stream: usize, blocks: &[(Option<&str>, i64)]) {
        let named = || blocks.iter().map(|(pool, number)| NamedBlock { pool: pool.map(str::as_bytes), number: *number });
        pools.learn(stream, named());
        for block in named() {
            pools.pool(stream, block.pool);
        }
    }

    fn of(pattern: &str, pool: &str) -> StreamPool {
        StreamPool { pattern: pattern.to_owned(), pool: pool.to_owned() }
    }
}
