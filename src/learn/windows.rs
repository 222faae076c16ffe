//! Makes windows of stories: as whole ones, as they stand when a block rests midway, and as tails for logs that are joined late.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::corpus::{Corpus, Story};
use super::habits::{Habits, Kind};
use crate::limits::{TRAINING_WINDOWS_MAX, VOCABULARY_MAX};
use crate::pipeline::event::Token;
use crate::pipeline::profile::{CountPattern, FIRST_EVENT, START, VocabularyEntry};
use crate::pipeline::session::Begin;
use crate::pipeline::session::encode::Encoder;

/// Everything that is trained and calibrated on. Equal windows are one, with a weight: five times fewer in HDFS_v1.
#[derive(Debug)]
pub struct Windows {
    /// Token `FIRST_EVENT + i` is entry `i`.
    pub vocabulary: Vec<VocabularyEntry>,
    /// What the network is trained on, with its weight; a whole story weighs 1.
    pub trained: BTreeMap<Vec<Token>, f64>,
    /// Whole stories, with how often they occurred.
    pub whole: BTreeMap<Vec<Token>, u64>,
    /// Kinds of whole stories that are told from their beginning, as counts of tokens, with how many are of each.
    pub endings: BTreeMap<Vec<(Token, u16)>, u64>,
    /// Kinds of stories that are not over and may rest, with how often they occurred; 0 for those that were concluded from others.
    pub resting: BTreeMap<Vec<(Token, u16)>, u64>,
    /// Tokens that say nothing of how far a story has come; no kind counts them.
    pub loose: BTreeSet<Token>,
    /// Whole stories told from their beginning whose kind would not be known had they been held back, with how often they occurred.
    pub strangers: BTreeMap<Vec<Token>, u64>,
    /// Distinct windows that were left out because there are more than [`TRAINING_WINDOWS_MAX`].
    pub left_out: u64,
    /// Stories that were set aside.
    pub suspects: u64,
}

/// Weight of all the resting windows of a story together, and of its resumed tails: a block that rests is not yet the end,
/// but it must not be a surprise. At a fifth, resting costs 1.8 nats where going on is the rule.
const RESTING_WEIGHT: f64 = 0.2;
/// Weight of one story in this many, which is cut at random and joined there. All of them would double the time of an epoch.
const JOINED_WEIGHT: f64 = 0.8;
const JOINED_EVERY: usize = 4;
/// An event begins stories when it is the first of more than this share of them.
const BEGINS_SHARE: f64 = 0.001;
/// An event repeats without end when at least so many stories have it, and the 99th percentile of its count is so many times the median.
/// In HDFS_v1 these are the reads: their counts spread by 7 and 8, the next one's by 3.
const ENDLESS_STORIES_MIN: usize = 20;
const ENDLESS_SPREAD_MIN: u64 = 4;
/// One story in so many is held back at a time.
const HELD_BACK_EVERY: usize = 5;

impl Windows {
    /// The windows of a corpus without its `suspects`, which are indices of stories; a block rests when nothing but endless events has come for `quiet_millis`.
    ///
    /// `None` when the vocabulary exceeds [`VOCABULARY_MAX`].
    pub fn new(corpus: &Corpus, suspects: &BTreeSet<usize>, quiet_millis: i64, random: &mut ChaCha8Rng) -> Option<Self> {
        let trusted = corpus.stories.iter().enumerate().filter(|(index, _)| !suspects.contains(index));
        let stories: Vec<&Story> = trusted.map(|(_, story)| story).collect();
        let reader = Reader::new(corpus, &stories, quiet_millis)?;
        let mut windows = Self {
            vocabulary: reader.vocabulary.clone(),
            trained: BTreeMap::new(),
            whole: BTreeMap::new(),
            endings: reader.kinds(reader.habits.endings()),
            resting: BTreeMap::new(),
            loose: reader.loose(),
            strangers: reader.strangers(corpus, &stories),
            left_out: 0,
            suspects: suspects.len() as u64,
        };
        let rests = reader.all_rests(&stories);
        for (index, (story, rests)) in stories.iter().zip(&rests).enumerate() {
            windows.add(&reader, index, story, rests, random);
        }
        for kind in reader.habits.concluded(&reader.rested(&stories, &rests)) {
            windows.resting.entry(reader.kind_of(&kind)).or_default();
        }
        windows.keep_commonest();
        Some(windows)
    }

    /// Whole stories that are told from their beginning.
    pub fn begun(&self) -> u64 {
        let begun = self.whole.iter().filter(|(window, _)| window[0] == START);
        begun.map(|(_, times)| times).sum()
    }

    /// Kinds of stories that may end as they stand, most frequent first.
    pub fn patterns(&self) -> Vec<CountPattern> {
        patterns(self.endings.iter().chain(&self.resting))
    }

    /// The same of whole stories alone.
    pub fn whole_patterns(&self) -> Vec<CountPattern> {
        patterns(self.endings.iter())
    }

    /// Whole stories told from their beginning that are of none of the `max` most frequent kinds, with how often they occurred.
    pub fn of_kinds_left_out(&self, max: usize) -> impl Iterator<Item = (&Vec<Token>, &u64)> {
        let left_out: BTreeSet<Vec<(Token, u16)>> = self.patterns().into_iter().skip(max).map(|pattern| pattern.counts).collect();
        let kind = |window: &[Token]| {
            let counts = counts(window).into_iter().filter(|(token, _)| !self.loose.contains(token));
            counts.collect::<Vec<_>>()
        };
        let begun = self.whole.iter().filter(|(window, _)| window[0] == START);
        begun.filter(move |(window, _)| !left_out.is_empty() && left_out.contains(&kind(window)))
    }

    fn add(&mut self, reader: &Reader, index: usize, story: &Story, rests: &[usize], random: &mut ChaCha8Rng) {
        let begin = if story.joined_midway { Begin::Mid } else { Begin::Start };
        let share = RESTING_WEIGHT / rests.len().max(1) as f64;
        self.note_rests(reader, story, rests);
        for &rest in rests {
            let (head, tail) = story.events.split_at(rest);
            self.train(reader.window(begin, head), share);
            if !story.cut_short {
                self.train(reader.window(Begin::Resumed, tail), share);
            }
        }
        if story.events.is_empty() || (story.cut_short && !reader.ends(story)) {
            return;
        }
        let window = reader.window(begin, &story.events);
        *self.whole.entry(window.clone()).or_default() += 1;
        self.train(window, 1.0);
        if index.is_multiple_of(JOINED_EVERY) && story.events.len() > 1 {
            let cut = random.random_range(1..story.events.len());
            self.train(reader.window(Begin::Mid, &story.events[cut..]), JOINED_WEIGHT);
        }
    }

    /// Takes note of the kinds that a story is at rest as, each once and the kind that it ends as not again.
    fn note_rests(&mut self, reader: &Reader, story: &Story, rests: &[usize]) {
        let mut kinds = reader.at_rest(story, rests);
        if is_whole(story) {
            kinds.remove(&reader.habits.kind(&story.events));
        }
        for kind in kinds {
            *self.resting.entry(reader.kind_of(&kind)).or_default() += 1;
        }
    }

    fn train(&mut self, window: Vec<Token>, weight: f64) {
        *self.trained.entry(window).or_default() += weight;
    }

    fn keep_commonest(&mut self) {
        let Some(excess) = self.trained.len().checked_sub(TRAINING_WINDOWS_MAX).filter(|&excess| excess > 0) else {
            return;
        };
        let mut windows: Vec<_> = std::mem::take(&mut self.trained).into_iter().collect();
        windows.sort_by(|a, b| b.1.total_cmp(&a.1));
        windows.truncate(TRAINING_WINDOWS_MAX);
        self.trained = windows.into_iter().collect();
        self.left_out = excess as u64;
    }
}

fn patterns<'a>(kinds: impl Iterator<Item = (&'a Vec<(Token, u16)>, &'a u64)>) -> Vec<CountPattern> {
    let mut sessions: BTreeMap<&Vec<(Token, u16)>, u64> = BTreeMap::new();
    for (kind, times) in kinds {
        *sessions.entry(kind).or_default() += times;
    }
    let pattern = |(counts, sessions): (&Vec<(Token, u16)>, u64)| CountPattern { counts: counts.clone(), sessions };
    let mut patterns: Vec<_> = sessions.into_iter().map(pattern).collect();
    patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.sessions));
    patterns
}

/// How often each event stands in a window, sorted by token.
pub fn counts(window: &[Token]) -> Vec<(Token, u16)> {
    let mut counts = BTreeMap::new();
    for &token in &window[1..] {
        *counts.entry(token).or_default() += 1;
    }
    counts.into_iter().collect()
}

/// Knows the events of a corpus, as a model will.
struct Reader {
    vocabulary: Vec<VocabularyEntry>,
    encoder: Encoder,
    /// Token of each text; `None` = never seen.
    tokens: Vec<Option<Token>>,
    habits: Habits,
    quiet_millis: i64,
}

impl Reader {
    fn new(corpus: &Corpus, stories: &[&Story], quiet_millis: i64) -> Option<Self> {
        let seen: BTreeSet<u32> = stories.iter().flat_map(|story| &story.events).copied().collect();
        if usize::from(FIRST_EVENT) + seen.len() > VOCABULARY_MAX {
            return None;
        }
        let habits = Habits::of(stories);
        let vocabulary: Vec<_> = seen.iter().map(|&event| entry(&corpus.texts, stories, &habits, event)).collect();
        let mut tokens = vec![None; corpus.texts.len()];
        for (token, &event) in (FIRST_EVENT..).zip(&seen) {
            tokens[event as usize] = Some(Token(token));
        }
        let encoder = Encoder::from_buckets(vocabulary.iter().map(|entry| entry.endless_buckets_max));
        Some(Self { vocabulary, encoder, tokens, habits, quiet_millis })
    }

    fn token(&self, event: u32) -> Token {
        self.tokens[event as usize].expect("the vocabulary was made of these stories")
    }

    fn window(&self, begin: Begin, events: &[u32]) -> Vec<Token> {
        self.encoder.encode(begin, events.iter().map(|&event| self.token(event))).0.tokens
    }

    fn loose(&self) -> BTreeSet<Token> {
        let events = (0..).zip(&self.tokens).filter(|(event, _)| self.habits.is_loose(*event));
        events.filter_map(|(_, token)| *token).collect()
    }

    fn kind_of(&self, kind: &Kind) -> Vec<(Token, u16)> {
        let mut counts: Vec<_> = kind.iter().map(|&(event, count)| (self.token(event), count)).collect();
        counts.sort_unstable();
        counts
    }

    fn kinds(&self, kinds: &BTreeMap<Kind, u64>) -> BTreeMap<Vec<(Token, u16)>, u64> {
        kinds.iter().map(|(kind, &times)| (self.kind_of(kind), times)).collect()
    }

    /// Whether a story whose end the logs do not show ends where whole ones end.
    fn ends(&self, story: &Story) -> bool {
        self.habits.endings().contains_key(&self.habits.kind(&story.events))
    }

    /// Whole stories of kinds that would not be known if they, and others with them, had not been learnt from: each fifth of the stories
    /// is held back once.
    fn strangers(&self, corpus: &Corpus, stories: &[&Story]) -> BTreeMap<Vec<Token>, u64> {
        let mut strangers = BTreeMap::new();
        for turn in 0..HELD_BACK_EVERY {
            let is_held_back = |index: usize| index % HELD_BACK_EVERY == turn;
            let of = |held_back: bool| move |&(index, _): &(usize, &&Story)| is_held_back(index) == held_back;
            let others: Vec<&Story> = stories.iter().enumerate().filter(of(false)).map(|(_, story)| *story).collect();
            let Some(others) = Self::new(corpus, &others, self.quiet_millis).map(|reader| (reader.known(&others), reader)) else {
                continue;
            };
            for (_, story) in stories.iter().enumerate().filter(of(true)).filter(|(_, story)| is_whole(story)) {
                if !others.0.contains(&others.1.habits.kind(&story.events)) {
                    *strangers.entry(self.window(Begin::Start, &story.events)).or_default() += 1;
                }
            }
        }
        strangers
    }

    /// All kinds of stories that are known from these, over or at rest.
    fn known(&self, stories: &[&Story]) -> BTreeSet<Kind> {
        let rests = self.all_rests(stories);
        let mut known = self.habits.concluded(&self.rested(stories, &rests));
        known.extend(stories.iter().zip(&rests).flat_map(|(story, rests)| self.at_rest(story, rests)));
        known.extend(self.habits.endings().keys().cloned());
        known
    }

    /// Kinds that a story is of when it rests, or stops amid its closing; only one that is told from its beginning shows how much there is
    /// at that point.
    fn at_rest(&self, story: &Story, rests: &[usize]) -> BTreeSet<Kind> {
        if story.joined_midway {
            return BTreeSet::new();
        }
        let heads = rests.iter().copied().chain(self.habits.closing_cuts(story));
        heads.map(|head| self.habits.kind(&story.events[..head])).collect()
    }

    /// Kinds of stories that are at rest and not over, where they are told from their beginning.
    fn rested(&self, stories: &[&Story], rests: &[Vec<usize>]) -> BTreeSet<Kind> {
        let begun = stories.iter().zip(rests).filter(|(story, _)| !story.joined_midway);
        begun.flat_map(|(story, rests)| rests.iter().map(|&rest| self.habits.kind(&story.events[..rest]))).collect()
    }

    /// Where each of these stories rests.
    fn all_rests(&self, stories: &[&Story]) -> Vec<Vec<usize>> {
        stories.iter().map(|story| self.rests(story)).collect()
    }

    /// Lengths of those heads of a story after which the block may rest for a while, the whole story not among them: where whole stories
    /// end, and where it did rest, as far as times are known.
    fn rests(&self, story: &Story) -> Vec<usize> {
        let mut rests = if story.joined_midway { Vec::new() } else { self.habits.stops(&story.events) };
        if let Some(times) = &story.times {
            let is_endless = |event: &u32| self.encoder.is_endless(self.token(*event));
            let endless: Vec<bool> = story.events.iter().map(is_endless).collect();
            rests.extend(gaps(times.iter().map(|time| time.0).zip(endless), self.quiet_millis));
            rests.sort_unstable();
            rests.dedup();
        }
        rests
    }
}

/// Whether a story is told from its beginning to its end.
pub fn is_whole(story: &Story) -> bool {
    !story.joined_midway && !story.cut_short
}

/// Lengths of heads that are judged: whatever stands before the first moment at which nothing but endless events has come for
/// `quiet_millis`. Events are (milliseconds, whether endless).
fn gaps(events: impl Iterator<Item = (i64, bool)>, quiet_millis: i64) -> Vec<usize> {
    let mut gaps = Vec::new();
    let mut quiet_at = None;
    for (length, (time, endless)) in events.enumerate() {
        if quiet_at.is_some_and(|quiet_at| time >= quiet_at) {
            gaps.push(length);
            quiet_at = None;
        }
        if !endless {
            quiet_at = Some(time.saturating_add(quiet_millis));
        }
    }
    gaps
}

fn entry(texts: &[String], stories: &[&Story], habits: &Habits, event: u32) -> VocabularyEntry {
    let whole = || stories.iter().filter(|story| !story.joined_midway);
    let first = whole().filter(|story| story.events.first() == Some(&event)).count();
    VocabularyEntry {
        text: texts[event as usize].clone(),
        begins: first as f64 > BEGINS_SHARE * whole().count() as f64,
        endless_buckets_max: habits.endless.get(&event).copied(),
    }
}

/// Buckets of an event that repeats without end: as many as the 99th percentile of its count fills. `None` when it does not.
pub fn endless_buckets(stories: &[&Story], event: u32) -> Option<u8> {
    let count = |story: &Story| story.events.iter().filter(|&&other| other == event).count() as u64;
    let mut counts: Vec<u64> = stories.iter().map(|story| count(story)).filter(|&count| count > 0).collect();
    counts.sort_unstable();
    if counts.len() < ENDLESS_STORIES_MIN {
        return None;
    }
    let quantile = |share: f64| counts[((counts.len() - 1) as f64 * share) as usize];
    let endless = quantile(0.99) >= ENDLESS_SPREAD_MIN * quantile(0.5);
    endless.then(|| quantile(0.99).ilog2() as u8 + 1)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::pipeline::event::LogTime;
    use crate::pipeline::profile::{DrainSettings, MID, RESUMED, Scope};

    #[test]
    fn gaps_are_where_nothing_but_endless_events_came_for_long_enough() {
        check_gaps(&[(0, false), (99, false), (198, false)], &[]);
        check_gaps(&[(0, false), (100, false), (199, false)], &[1]);
        check_gaps(&[(0, false), (50, true), (99, true), (100, true), (300, false)], &[3]);
        check_gaps(&[(0, true), (500, true), (600, false)], &[]);
    }

    #[test]
    fn an_event_is_endless_when_its_counts_spread() {
        check_endless(&[(1, 15), (8, 5)], Some(4));
        check_endless(&[(1, 15), (4, 5)], Some(3));
        check_endless(&[(1, 15), (3, 5)], None);
        check_endless(&[(1, 14), (8, 5)], None);
        check_endless(&[], None);
    }

    #[test]
    fn blocks_rest_after_events_that_come_in_addition() {
        let written_verified_deleted = [0, 2, 2, 1];
        check_rest(20, &written_verified_deleted, &[1, 2, 3]);
        check_rest(19, &written_verified_deleted, &[1]);
        check_rest(20, &[2, 0, 1], &[2]);
    }

    #[test]
    fn a_story_whose_end_is_not_seen_is_whole_where_others_end() {
        let cut = |events: &[u32]| Story { cut_short: true, ..plain(events) };
        let windows = windows(vec![plain(&[0, 0]), cut(&[0, 0]), cut(&[0])]);
        assert_eq!(windows.whole, BTreeMap::from([(tokens(START, &[6, 6]), 2)]));
    }

    #[test]
    fn kinds_in_which_a_phase_is_repeated_are_patterns_too() {
        let windows = windows(vec![plain(&[0, 1]), plain(&[0, 1, 1]), plain(&[0, 1, 1, 1])]);
        let sessions: Vec<_> = windows.patterns().iter().map(|pattern| (pattern.counts[1].1, pattern.sessions)).collect();
        assert_eq!(sessions[3..], [(4, 0), (5, 0)], "{sessions:?}");
    }

    #[test]
    fn a_kind_is_strange_when_no_story_that_is_not_held_back_is_of_it() {
        let usual = || (0..10).map(|_| plain(&[0, 0]));
        let strangers = |odd: usize| windows(usual().chain((0..odd).map(|_| plain(&[0, 1]))).collect()).strangers;
        assert_eq!(strangers(0), BTreeMap::new());
        assert_eq!(strangers(1), BTreeMap::from([(tokens(START, &[6, 7]), 1)]));
        assert_eq!(strangers(2), BTreeMap::new(), "each is known from the other");
    }

    #[test]
    fn equal_stories_are_one_window_with_a_weight() {
        let windows = windows(vec![plain(&[0, 1]), plain(&[0, 1]), plain(&[0])]);
        assert_eq!(windows.whole, BTreeMap::from([(tokens(START, &[6, 7]), 2), (tokens(START, &[6]), 1)]));
        assert_eq!(windows.resting, BTreeMap::from([(vec![(Token(6), 1)], 2)]), "some story ends after 0");
        assert_eq!(windows.trained[&tokens(START, &[6, 7])], 2.0);
        assert_eq!(windows.trained[&tokens(RESUMED, &[7])], 2.0 * RESTING_WEIGHT);
    }

    #[test]
    fn what_was_cut_short_teaches_no_end_and_what_was_joined_no_beginning() {
        let times = |millis: &[i64]| Some(millis.iter().map(|&millis| LogTime(millis)).collect());
        let cut = Story { times: times(&[0, 500, 501]), cut_short: true, ..plain(&[0, 1, 1]) };
        let joined = Story { joined_midway: true, ..plain(&[1, 1]) };
        let windows = windows(vec![plain(&[0]), cut, joined]);
        assert!(windows.trained.contains_key(&tokens(START, &[6])), "it rested after 0");
        assert!(windows.trained.contains_key(&tokens(MID, &[7, 7])));
        assert!(!windows.trained.contains_key(&tokens(START, &[6, 7, 7])));
        assert!(windows.patterns().iter().all(|pattern| pattern.counts == [(Token(6), 1)]), "a tail is no pattern");
    }

    /// Most stories are written (0) and deleted (1), some only written; so many are verified (2) in between.
    fn check_rest(verified: usize, events: &[u32], expected: &[usize]) {
        let kinds = [vec![plain(&[0, 1]); 50], vec![plain(&[0]); 10], vec![plain(&[0, 2, 1]); verified]];
        let corpus = corpus(kinds.concat());
        let reader = Reader::new(&corpus, &corpus.stories.iter().collect::<Vec<_>>(), 100).expect("a small vocabulary");
        assert_eq!(reader.rests(&plain(events)), expected, "{verified} verified, {events:?}");
    }

    fn check_gaps(events: &[(i64, bool)], expected: &[usize]) {
        assert_eq!(gaps(events.iter().copied(), 100), expected, "{events:?}");
    }

    /// Stories that have the event so often, so many of them.
    fn check_endless(counts: &[(usize, usize)], expected: Option<u8>) {
        let of = |&(count, times): &(usize, usize)| vec![plain(&vec![0; count]); times];
        let stories: Vec<Story> = counts.iter().flat_map(of).collect();
        assert_eq!(endless_buckets(&stories.iter().collect::<Vec<_>>(), 0), expected, "{counts:?}");
    }

    fn windows(stories: Vec<Story>) -> Windows {
        let random = &mut ChaCha8Rng::seed_from_u64(1);
        Windows::new(&corpus(stories), &BTreeSet::new(), 100, random).expect("a small vocabulary")
    }

    fn corpus(stories: Vec<Story>) -> Corpus {
        let drain = DrainSettings { depth: 4, similarity: 0.5, children_max: 100, ..DrainSettings::reference() };
        Corpus {
            texts: ["written", "deleted", "verified"].map(str::to_owned).to_vec(),
            stories,
            inputs: Vec::new(),
            drain,
            scope: Scope::Cluster,
            calm: BTreeSet::new(),
        }
    }

    fn plain(events: &[u32]) -> Story {
        Story { events: events.to_vec(), ..Story::default() }
    }

    fn tokens(begin: Token, events: &[u16]) -> Vec<Token> {
        std::iter::once(begin).chain(events.iter().copied().map(Token)).collect()
    }
}
