//! Finds what recurs in the stories of a corpus: events that may come at any time, how stories end, how they close, what they repeat.
//!
//! Two stories are of one kind when they have the same events equally often, events aside that say nothing of how far a story has
//! come. On HDFS_v1 that leaves 7 kinds of normal stories where all counts leave 64, and no anomalous story has one of the 7.

use std::collections::{BTreeMap, BTreeSet};

use super::corpus::Story;
use super::windows::{endless_buckets, is_whole};
use crate::limits::SESSION_EVENTS_MAX;
use crate::pipeline::session::encode::fills_bucket;

/// How often each event stands in a story, sorted by event, loose events left out.
pub type Kind = Vec<(u32, u16)>;

/// An event that at least this share of the stories has is part of every complete one.
const CORE_SHARE: f64 = 0.98;
/// An event comes in addition when at least so many stories have it, and this share of all …
const ADDITIONAL_STORIES_MIN: u64 = 20;
const ADDITIONAL_SHARE_MIN: f64 = 0.01;
/// … and this share of those that have it would be stories without it too. In HDFS_v1 that is the verification of a replica (788
/// stories of 790), which may come at any time, three times or never.
const ADDITIONAL_ALIKE_SHARE: f64 = 0.95;
/// After a closing event nothing but closing events comes, in all but this share of the stories that have it.
const REOPENED_SHARE_MAX: f64 = 0.02;
/// Kinds among which repeated phases are looked for, the commonest; the work grows with their cube.
const PHASE_KINDS_MAX: usize = 128;
/// A phase that is seen so often repeated may come twice as often, but never more often than this.
const PHASE_REPEATS_MAX: usize = 16;
/// Sums of equally many phases of one family that are kept.
const PHASE_SUMS_MAX: usize = 64;
/// A phase may come on top of any kind of story when it came on top of so many.
const ADDITION_BASES_MIN: usize = 2;
/// So many such phases may come together.
const ADDITIONS_TOGETHER: usize = 2;
/// Blocks rest before their closing when at least this share of those that close would be whole without it.
const CLOSED_WHOLE_SHARE: f64 = 0.9;

/// What recurs in the stories of a corpus.
#[derive(Clone, Debug, Default)]
pub struct Habits {
    /// Events that repeat without end, with their buckets.
    pub endless: BTreeMap<u32, u8>,
    /// Events that say nothing of how far a story has come: endless ones, and those that come in addition.
    loose: BTreeSet<u32>,
    /// Kinds of whole stories, with how many are of each.
    endings: BTreeMap<Kind, u64>,
    /// Events that nearly all stories have.
    core: BTreeSet<u32>,
    /// Events after which nothing but their like comes, such as the deletion of replicas one by one.
    closing: BTreeSet<u32>,
    /// Whether what comes before the closing is a whole story, nearly always; so where it is not known as one, it is one too.
    closes_whole_stories: bool,
}

impl Habits {
    /// The habits of these stories.
    pub fn of(stories: &[&Story]) -> Self {
        let whole: Vec<&Story> = stories.iter().copied().filter(|story| is_whole(story)).collect();
        let events: BTreeSet<u32> = stories.iter().flat_map(|story| &story.events).copied().collect();
        let endless = events.iter().filter_map(|&event| Some((event, endless_buckets(stories, event)?))).collect();
        let mut habits = Self { endless, ..Self::default() };
        habits.loose = habits.endless.keys().copied().collect();
        habits.endings = habits.kinds(&whole);
        habits.loose.extend(habits.additional(&events, whole.len()));
        habits.endings = habits.kinds(&whole);
        let begun: Vec<&Story> = stories.iter().copied().filter(|story| !story.joined_midway).collect();
        habits.core = core(&begun);
        habits.closing = habits.closing(&whole, events.into_iter().filter(|event| !habits.core.contains(event)).collect());
        habits.closes_whole_stories = habits.closes_whole_stories(&whole);
        habits
    }

    /// Whether an event says nothing of how far a story has come.
    pub fn is_loose(&self, event: u32) -> bool {
        self.loose.contains(&event)
    }

    /// The kind of a story with these events, as far as a session keeps them.
    pub fn kind(&self, events: &[u32]) -> Kind {
        let mut counts: BTreeMap<u32, u16> = BTreeMap::new();
        for event in self.kept(events).filter(|event| !self.loose.contains(event)) {
            *counts.entry(event).or_default() += 1;
        }
        counts.into_iter().collect()
    }

    /// The events of these that a session keeps: of endless ones few, and of all no more than [`SESSION_EVENTS_MAX`].
    fn kept(&self, events: &[u32]) -> impl Iterator<Item = u32> {
        let mut seen: BTreeMap<u32, u64> = BTreeMap::new();
        let is_kept = move |event: &u32| match self.endless.get(event) {
            Some(&buckets) => {
                let occurrence = seen.entry(*event).or_default();
                *occurrence += 1;
                fills_bucket(*occurrence, buckets)
            }
            None => true,
        };
        events.iter().copied().filter(is_kept).take(SESSION_EVENTS_MAX)
    }

    /// Kinds of whole stories, with how many are of each.
    pub fn endings(&self) -> &BTreeMap<Kind, u64> {
        &self.endings
    }

    /// Lengths of heads of a story that are of a kind that whole stories are of, the story itself not among them. Blocks may rest there.
    pub fn stops(&self, events: &[u32]) -> Vec<usize> {
        let mut counts: BTreeMap<u32, u16> = BTreeMap::new();
        let mut stops = Vec::new();
        let opened = self.opened(events).filter(|&opened| self.closes_whole_stories && self.is_complete(&events[..opened]));
        for (length, event) in (1..events.len()).zip(events) {
            if !self.loose.contains(event) {
                let count = counts.entry(*event).or_default();
                *count = count.saturating_add(1);
            }
            if opened == Some(length)
                || self.endings.contains_key(&counts.iter().map(|(&event, &count)| (event, count)).collect::<Kind>())
            {
                stops.push(length);
            }
        }
        stops
    }

    /// Lengths of heads that end amid what closes a story, once it might have ended: amid the deletion of its replicas, say, which
    /// takes each host its own time. All of the story is one when the logs end amid its closing.
    pub fn closing_cuts(&self, story: &Story) -> Vec<usize> {
        let events = &story.events;
        let last = events.len().saturating_sub(usize::from(!story.cut_short));
        let Some(earliest) = self.opened(events) else {
            return Vec::new();
        };
        let opened = self.stops(events).into_iter().find(|&stop| stop >= earliest);
        let Some(opened) = opened else {
            return Vec::new();
        };
        (opened + 1..=last).filter(|&length| !self.loose.contains(&events[length - 1])).collect()
    }

    /// Length of the head of a story before its closing; `None` when it does not close.
    fn opened(&self, events: &[u32]) -> Option<usize> {
        let is_closing = |event: &u32| self.closing.contains(event) || self.loose.contains(event);
        let opened = events.len() - events.iter().rev().take_while(|event| is_closing(event)).count();
        events[opened..].iter().any(|event| self.closing.contains(event)).then_some(opened)
    }

    /// Whether nothing is missing that nearly all stories have.
    fn is_complete(&self, events: &[u32]) -> bool {
        self.core.iter().all(|event| events.contains(event))
    }

    /// Kinds that no story is of and that follow from those that were seen: what repeats may repeat once more, what came on top of some
    /// kinds may come on top of others and of what stories that are not over are at rest as (`rested`), and what closes may be to come.
    pub fn concluded(&self, rested: &BTreeSet<Kind>) -> BTreeSet<Kind> {
        let mut found = concluded(&self.endings, rested);
        if self.closes_whole_stories {
            let unclosed =
                |kind: &Kind| kind.iter().copied().filter(|(event, _)| !self.closing.contains(event)).collect::<Kind>();
            let open: Vec<Kind> = found.iter().map(unclosed).filter(|kind| !self.endings.contains_key(kind)).collect();
            found.extend(open);
        }
        found
    }

    fn closes_whole_stories(&self, whole: &[&Story]) -> bool {
        let heads = whole.iter().filter_map(|story| Some(&story.events[..self.opened(&story.events)?]));
        let (mut all, mut known) = (0_u64, 0_u64);
        for head in heads {
            all += 1;
            known += u64::from(self.endings.contains_key(&self.kind(head)));
        }
        all > 0 && known as f64 >= CLOSED_WHOLE_SHARE * all as f64
    }

    fn kinds(&self, whole: &[&Story]) -> BTreeMap<Kind, u64> {
        let mut kinds = BTreeMap::new();
        for story in whole {
            *kinds.entry(self.kind(&story.events)).or_default() += 1;
        }
        kinds
    }

    /// Events that come in addition: nearly every story that has one ends as others do that have none of it, and most have none.
    fn additional(&self, events: &BTreeSet<u32>, whole: usize) -> Vec<u32> {
        let least = (ADDITIONAL_SHARE_MIN * whole as f64).max(ADDITIONAL_STORIES_MIN as f64);
        let is_additional = |&event: &u32| {
            let having = || self.endings.iter().filter(|(kind, _)| kind.iter().any(|&(other, _)| other == event));
            let without = |kind: &Kind| kind.iter().copied().filter(|&(other, _)| other != event).collect::<Kind>();
            let stories: u64 = having().map(|(_, &stories)| stories).sum();
            let is_usual = |kind: &Kind, stories: u64| self.endings.get(&without(kind)).is_some_and(|&others| others >= stories);
            let alike: u64 = having().filter(|&(kind, &stories)| is_usual(kind, stories)).map(|(_, &stories)| stories).sum();
            stories as f64 >= least && 2 * stories <= whole as u64 && alike as f64 >= ADDITIONAL_ALIKE_SHARE * stories as f64
        };
        events.iter().copied().filter(is_additional).collect()
    }

    /// The largest set of the events `closing` after which, in nearly every story that has one, nothing but events of the set comes.
    fn closing(&self, whole: &[&Story], mut closing: BTreeSet<u32>) -> BTreeSet<u32> {
        closing.retain(|event| !self.loose.contains(event));
        loop {
            let mut seen: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
            for story in whole {
                let last_other = story.events.iter().rposition(|event| !closing.contains(event) && !self.loose.contains(event));
                for event in story.events.iter().copied().collect::<BTreeSet<_>>().intersection(&closing) {
                    let first = story.events.iter().position(|other| other == event);
                    let (stories, reopened) = seen.entry(*event).or_default();
                    *stories += 1;
                    *reopened += u64::from(first < last_other);
                }
            }
            let before = closing.len();
            closing.retain(|event| {
                seen.get(event).is_some_and(|&(all, reopened)| reopened as f64 <= REOPENED_SHARE_MAX * all as f64)
            });
            if closing.len() == before {
                return closing;
            }
        }
    }
}

/// Events that nearly all of these stories have. Stories that go on after the logs have ended count: what comes late in a long life is no
/// part of what every story must have.
pub fn core(begun: &[&Story]) -> BTreeSet<u32> {
    let enough = CORE_SHARE * begun.len() as f64;
    having(begun).into_iter().filter(|&(_, stories)| stories as f64 >= enough).map(|(event, _)| event).collect()
}

/// How many of these stories have each event.
pub fn having(stories: &[&Story]) -> BTreeMap<u32, u64> {
    let mut having = BTreeMap::new();
    for story in stories {
        for event in story.events.iter().collect::<BTreeSet<_>>() {
            *having.entry(*event).or_default() += 1;
        }
    }
    having
}

/// What follows of repetitions and additions.
fn concluded(kinds: &BTreeMap<Kind, u64>, rested: &BTreeSet<Kind>) -> BTreeSet<Kind> {
    let commonest = commonest(kinds.iter().map(|(kind, times)| (kind, *times)));
    let mut found: BTreeSet<Kind> = commonest.iter().flat_map(|base| repeated(base, &commonest)).collect();
    let additions = additions(&commonest);
    for _ in 0..ADDITIONS_TOGETHER {
        let bases = commonest.iter().copied().chain(rested).chain(&found);
        let added = bases.flat_map(|base| additions.iter().filter_map(|addition| added(base, addition))).collect::<Vec<_>>();
        found.extend(added);
    }
    found.retain(|kind| !kinds.contains_key(kind));
    found
}

/// `base` with phases repeated: a block that is appended to once, twice and three times may well be appended to a fourth time. A phase is
/// what one kind has more than another; it may run in several ways, and then it may run now in the one and now in the other. That it
/// repeats is known when a third kind has it several times.
fn repeated(base: &Kind, kinds: &[&Kind]) -> BTreeSet<Kind> {
    let phases: BTreeSet<Kind> = kinds.iter().filter_map(|kind| more(base, kind)).collect();
    let is_sum = |phase: &Kind| phases.iter().any(|part| more(part, phase).is_some_and(|rest| phases.contains(&rest)));
    let single = phases.iter().filter(|phase| !is_sum(phase));
    families(single).iter().flat_map(|family| sums(family, &phases)).map(|sum| plus(base, &sum)).collect()
}

/// Phases by what they are ways of: two ways of one have more than half of their events in common. What a block is copied and what it is
/// deleted by have one of eight in HDFS_v1, appends in pipelines of two shapes three of five in Hadoop 3.
fn families<'a>(phases: impl Iterator<Item = &'a Kind>) -> Vec<Vec<&'a Kind>> {
    let mut families: Vec<Vec<&Kind>> = Vec::new();
    for phase in phases {
        let (alike, apart): (Vec<_>, Vec<_>) =
            families.into_iter().partition(|family| family.iter().any(|other| are_alike(phase, other)));
        families = apart;
        families.push(std::iter::once(phase).chain(alike.into_iter().flatten()).collect());
    }
    families
}

fn are_alike(phase: &Kind, other: &Kind) -> bool {
    let events = |kind: &Kind| kind.iter().map(|&(event, _)| event).collect::<BTreeSet<_>>();
    let (phase, other) = (events(phase), events(other));
    2 * phase.intersection(&other).count() > phase.union(&other).count()
}

/// Sums of the phases of a family, of up to twice as many as occurred together in one of `phases`; none when each occurred alone.
fn sums(family: &[&Kind], phases: &BTreeSet<Kind>) -> BTreeSet<Kind> {
    let one_more = |sums: &BTreeSet<Kind>| {
        let sums: BTreeSet<Kind> = sums.iter().flat_map(|sum| family.iter().map(|phase| plus(sum, phase))).collect();
        Some(sums.into_iter().take(PHASE_SUMS_MAX).collect())
    };
    let single: BTreeSet<Kind> = family.iter().copied().cloned().collect();
    let by_number: Vec<BTreeSet<Kind>> = std::iter::successors(Some(single), one_more).take(PHASE_REPEATS_MAX).collect();
    match by_number.iter().rposition(|sums| !sums.is_disjoint(phases)) {
        None | Some(0) => BTreeSet::new(),
        Some(last) => by_number.into_iter().take(2 * (last + 1)).skip(1).flatten().collect(),
    }
}

/// Phases all of whose events are new to the kinds of stories that they came on top of, of which there are several.
fn additions(kinds: &[&Kind]) -> BTreeSet<Kind> {
    let mut bases: BTreeMap<Kind, usize> = BTreeMap::new();
    for (base, kind) in kinds.iter().flat_map(|base| kinds.iter().map(move |kind| (base, kind))) {
        if let Some(phase) = more(base, kind).filter(|phase| added(base, phase).is_some()) {
            *bases.entry(phase).or_default() += 1;
        }
    }
    bases.into_iter().filter(|&(_, bases)| bases >= ADDITION_BASES_MIN).map(|(phase, _)| phase).collect()
}

/// `base` with `phase` on top; `None` when it has some of its events already.
fn added(base: &Kind, phase: &Kind) -> Option<Kind> {
    let is_new = |event: u32| base.iter().all(|&(other, _)| other != event);
    phase.iter().all(|&(event, _)| is_new(event)).then(|| plus(base, phase))
}

/// Phases that some kinds have more than others, by the kind that has them not.
pub struct Phases<'a>(Vec<(&'a Kind, Vec<Kind>)>);

impl<'a> Phases<'a> {
    /// The phases of the commonest of these kinds.
    pub fn of(kinds: &BTreeMap<&'a Kind, u64>) -> Self {
        let commonest = commonest(kinds.iter().map(|(kind, times)| (*kind, *times)));
        let phases = |base: &Kind| commonest.iter().filter_map(|other| more(base, other)).collect();
        Self(commonest.iter().map(|&base| (base, phases(base))).collect())
    }

    /// Whether `kind` is one of the kinds with a phase repeated that another of them has once.
    pub fn repeat_in(&self, kind: &Kind) -> bool {
        let repeats = |surplus: Kind, phases: &[Kind]| phases.iter().any(|phase| is_multiple(&surplus, phase));
        self.0.iter().any(|(base, phases)| more(base, kind).is_some_and(|surplus| repeats(surplus, phases)))
    }
}

/// Whether `surplus` is twice `phase`, or three times, and so on.
fn is_multiple(surplus: &Kind, phase: &Kind) -> bool {
    let Some(times) = surplus.first().zip(phase.first()).map(|(surplus, phase)| surplus.1 / phase.1) else {
        return false;
    };
    let is_multiple =
        |(surplus, phase): (&(u32, u16), &(u32, u16))| surplus.0 == phase.0 && surplus.1 == phase.1.saturating_mul(times);
    (2..=PHASE_REPEATS_MAX as u16).contains(&times) && surplus.len() == phase.len() && surplus.iter().zip(phase).all(is_multiple)
}

/// The commonest kinds, at most [`PHASE_KINDS_MAX`].
fn commonest<'a>(kinds: impl Iterator<Item = (&'a Kind, u64)>) -> Vec<&'a Kind> {
    let mut commonest: Vec<(&Kind, u64)> = kinds.collect();
    commonest.sort_by_key(|&(kind, times)| (std::cmp::Reverse(times), kind));
    commonest.into_iter().map(|(kind, _)| kind).take(PHASE_KINDS_MAX).collect()
}

/// What `larger` has more than `smaller`; `None` when it has less of something, or nothing more.
fn more(smaller: &Kind, larger: &Kind) -> Option<Kind> {
    let of = |kind: &Kind, event: u32| kind.iter().find(|&&(other, _)| other == event).map_or(0, |&(_, count)| count);
    if smaller == larger || smaller.iter().any(|&(event, count)| of(larger, event) < count) {
        return None;
    }
    let surplus = larger.iter().map(|&(event, count)| (event, count - of(smaller, event)));
    Some(surplus.filter(|&(_, count)| count > 0).collect())
}

fn plus(base: &Kind, phase: &Kind) -> Kind {
    let mut sum: BTreeMap<u32, u16> = base.iter().copied().collect();
    for &(event, count) in phase {
        let total = sum.entry(event).or_default();
        *total = total.saturating_add(count);
    }
    sum.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_come_at_any_time_is_no_part_of_a_kind() {
        let habits = habits(&[(50, &[0, 1]), (30, &[0, 2, 1]), (20, &[0, 3])]);
        assert_eq!(habits.kind(&[0, 2, 2, 1]), [(0, 1), (1, 1)]);
        assert_eq!(habits.kind(&[0, 3]), [(0, 1), (3, 1)], "no story ends with 0 alone");
    }

    #[test]
    fn an_event_that_few_stories_have_is_part_of_their_kind() {
        for (stories, additional) in [(19, false), (20, true)] {
            let habits = habits(&[(100, &[0, 1]), (stories, &[0, 2, 1])]);
            assert_eq!(habits.is_loose(2), additional, "{stories} stories");
        }
    }

    #[test]
    fn what_most_stories_have_is_no_addition_because_one_lacks_it() {
        for kinds in [&[(100, &[0, 1][..]), (1, &[0])][..], &[(30, &[0, 1]), (30, &[0, 2]), (30, &[0, 3]), (1, &[0])]] {
            let habits = habits(kinds);
            assert!((0..4).all(|event| !habits.is_loose(event)), "{kinds:?}");
        }
    }

    #[test]
    fn a_kind_is_of_what_a_session_keeps() {
        let habits = habits(&[(50, &[0, 1]), (20, &[0; 40]), (1, &[0, 5])]);
        let long = vec![1; SESSION_EVENTS_MAX + 1];
        assert_eq!(habits.kind(&long), [(1, SESSION_EVENTS_MAX as u16)]);
        let hot = [vec![0; 2 * SESSION_EVENTS_MAX], vec![1]].concat();
        assert_eq!((habits.is_loose(0), habits.kind(&hot)), (true, kind(&[(1, 1)])), "endless events take few places");
    }

    #[test]
    fn a_write_that_is_broken_off_is_no_place_to_rest() {
        let habits = habits(&[(30, &[0, 1, 1]), (30, &[0, 1, 1, 2, 3])]);
        assert_eq!(habits.stops(&[0, 1, 2, 3]), [2], "what closes shows that it was over");
        assert_eq!(habits.stops(&[0, 2, 3]), [] as [usize; 0], "but not without what nearly all stories have");
        assert_eq!(habits.stops(&[0, 1, 0]), [] as [usize; 0]);
    }

    #[test]
    fn blocks_rest_where_whole_stories_end() {
        let habits = habits(&[(10, &[0]), (50, &[0, 1])]);
        assert_eq!(habits.stops(&[0, 1]), [1]);
        assert_eq!(habits.stops(&[0]), [] as [usize; 0]);
    }

    #[test]
    fn a_story_may_be_cut_amid_its_closing_and_not_amid_its_opening() {
        let habits = habits(&[(30, &[0, 0, 1, 1]), (50, &[0, 0, 1, 1, 2, 2, 3, 3])]);
        check_cuts(&habits, &[0, 0, 1, 1, 2, 2, 3, 3], &[5, 6, 7]);
        check_cuts(&habits, &[0, 0, 1, 1], &[]);
        check_cuts(&habits, &[0, 0, 1, 1, 2, 0], &[]);
    }

    #[test]
    fn what_closes_whole_stories_nearly_always_does_so_in_others() {
        let odd: &[u32] = &[0, 0, 0, 1, 2, 3];
        for (whole, expected) in [(30, &[5][..]), (5, &[])] {
            let habits = habits(&[(30, &[0, 1]), (whole, &[0, 1, 2, 3]), (1, odd)]);
            check_cuts(&habits, odd, expected);
            assert_eq!(habits.stops(odd).contains(&4), !expected.is_empty(), "{whole} whole ones");
        }
    }

    #[test]
    fn logs_may_end_amid_a_closing() {
        let habits = habits(&[(30, &[0, 1]), (30, &[0, 1, 2, 3, 3])]);
        let story = |cut_short| Story { events: vec![0, 1, 2, 3], cut_short, ..Story::default() };
        assert_eq!(habits.closing_cuts(&story(true)), [3, 4]);
        assert_eq!(habits.closing_cuts(&story(false)), [3]);
        assert_eq!(habits.closing_cuts(&Story::default()), [] as [usize; 0]);
    }

    #[test]
    fn what_is_often_followed_by_something_else_closes_nothing() {
        let habits = habits(&[(30, &[0]), (50, &[0, 2, 2]), (2, &[0, 2, 0])]);
        check_cuts(&habits, &[0, 2, 2], &[]);
    }

    #[test]
    fn a_phase_seen_twice_may_come_four_times() {
        let (base, once, twice) = (kind(&[(0, 3)]), kind(&[(0, 4), (1, 2)]), kind(&[(0, 5), (1, 4)]));
        let expected = [kind(&[(0, 6), (1, 6)]), kind(&[(0, 7), (1, 8)])];
        check_concluded(&[&base, &once, &twice], &expected);
        check_concluded(&[&base, &once], &[]);
        check_concluded(&[&base, &kind(&[(0, 2), (1, 2)]), &twice], &[]);
    }

    #[test]
    fn a_phase_that_runs_in_two_ways_repeats_in_both() {
        let (base, well, badly) = (kind(&[(0, 3)]), kind(&[(0, 6), (1, 1)]), kind(&[(0, 5), (1, 1)]));
        let well_twice = kind(&[(0, 9), (1, 2)]);
        let twice = [(0, 7), (0, 8)].map(|counted| kind(&[counted, (1, 2)]));
        let thrice = (9..=12).map(|count| kind(&[(0, count), (1, 3)]));
        let four_times = (11..=15).map(|count| kind(&[(0, count), (1, 4)]));
        let expected: Vec<Kind> = twice.into_iter().chain(thrice).chain(four_times).collect();
        check_concluded(&[&base, &well, &badly, &well_twice], &expected);
        check_concluded(&[&base, &well, &badly], &[]);
    }

    #[test]
    fn what_came_on_top_of_two_kinds_may_come_on_top_of_a_third() {
        let (base, more, third) = (kind(&[(0, 3)]), kind(&[(0, 4), (1, 1)]), kind(&[(0, 2), (2, 1)]));
        let closed = |kind: &Kind| plus(kind, &vec![(5, 3)]);
        check_concluded(&[&base, &more, &third, &closed(&base), &closed(&more)], &[closed(&third)]);
        check_concluded(&[&base, &more, &third, &closed(&base)], &[]);
        let kinds = [&base, &more, &closed(&base), &closed(&more)].map(|kind| (kind.clone(), 5)).into();
        assert_eq!(concluded(&kinds, &[third.clone()].into()), [closed(&third)].into(), "on top of what is at rest as well");
    }

    #[test]
    fn a_rare_kind_that_repeats_a_phase_of_trusted_ones_is_told() {
        let (base, once) = (kind(&[(0, 3)]), kind(&[(0, 4), (1, 2)]));
        let trusted = BTreeMap::from([(&base, 9), (&once, 9)]);
        for (rare, expected) in [(&[(0, 6), (1, 6)][..], true), (&[(0, 6), (1, 5)], false), (&[(0, 4), (1, 2), (2, 1)], false)] {
            assert_eq!(Phases::of(&trusted).repeat_in(&kind(rare)), expected, "{rare:?}");
        }
    }

    fn check_cuts(habits: &Habits, events: &[u32], expected: &[usize]) {
        let story = Story { events: events.to_vec(), ..Story::default() };
        assert_eq!(habits.closing_cuts(&story), expected, "{events:?}");
    }

    fn check_concluded(kinds: &[&Kind], expected: &[Kind]) {
        let kinds = kinds.iter().map(|&kind| (kind.clone(), 5)).collect();
        assert_eq!(concluded(&kinds, &BTreeSet::new()), expected.iter().cloned().collect());
    }

    fn kind(counts: &[(u32, u16)]) -> Kind {
        counts.to_vec()
    }

    /// The habits of so many stories of each.
    fn habits(kinds: &[(usize, &[u32])]) -> Habits {
        let story = |events: &[u32]| Story { events: events.to_vec(), ..Story::default() };
        let stories: Vec<Story> = kinds.iter().flat_map(|&(times, events)| vec![story(events); times]).collect();
        Habits::of(&stories.iter().collect::<Vec<_>>())
    }
}
