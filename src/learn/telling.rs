//! What was learnt, for people: the commonest stories of a block event by event, and how much log time it was learnt from.

use std::collections::BTreeMap;

use serde::Serialize;

use super::evaluate::windows;
use super::windows::counts;
use super::{Corpus, Learned, Story};
use crate::limits::TRAINING_STORIES_MIN;
use crate::pipeline::event::Token;
use crate::pipeline::profile::{CountPattern, FIRST_EVENT, Profile, VocabularyEntry};

/// One story that many blocks have, without what may come at any time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CommonStory {
    /// Share of the whole stories, 0..=1.
    pub share: f64,
    /// Blocks that have it.
    pub blocks: u64,
    /// What happens in it, in the order in which it begins to happen on average.
    pub events: Vec<CommonEvent>,
}

/// One kind of event of a story.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CommonEvent {
    /// Template text, with `<*>` for what varies.
    pub text: String,
    /// How often it happens.
    pub count: u64,
}

/// What there was to learn from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Supply {
    /// Blocks of which something was read.
    pub blocks: u64,
    /// Those that are older than the inputs.
    pub joined_midway: u64,
    /// Those that had not come to rest at the end.
    pub cut_short: u64,
    /// Log time from the first event to the last, milliseconds; `None` where the inputs do not tell times.
    pub log_millis: Option<i64>,
}

/// The `stories_max` commonest stories.
#[must_use]
pub fn common_stories(learned: &Learned, corpus: &Corpus, stories_max: usize) -> Vec<CommonStory> {
    let profile = &learned.contract.profile;
    let patterns = &learned.stories[..learned.stories.len().min(stories_max)];
    let places = Places::new(profile, corpus, patterns);
    let whole = learned.stories.iter().map(|pattern| pattern.sessions).sum::<u64>().max(1);
    let story = |(index, pattern): (usize, &CountPattern)| CommonStory {
        share: pattern.sessions as f64 / whole as f64,
        blocks: pattern.sessions,
        events: places.in_order(index, pattern).into_iter().map(|(token, count)| event(profile, token, count)).collect(),
    };
    patterns.iter().enumerate().map(story).collect()
}

/// Templates of events that may come at any time in any number.
#[must_use]
pub fn loose_events(profile: &Profile) -> Vec<String> {
    let tokens = (FIRST_EVENT..).map(Token).take(profile.vocabulary.len());
    tokens.filter(|&token| profile.calibration.is_loose(token)).map(|token| entry(profile, token).text.clone()).collect()
}

impl Supply {
    /// Of a corpus.
    #[must_use]
    pub fn new(corpus: &Corpus) -> Self {
        let count = |is: fn(&Story) -> bool| corpus.stories.iter().filter(|story| is(story)).count() as u64;
        let times = || corpus.stories.iter().filter_map(|story| story.times.as_ref()).flatten();
        Self {
            blocks: corpus.stories.len() as u64,
            joined_midway: count(|story| story.joined_midway),
            cut_short: count(|story| story.cut_short),
            log_millis: times().max().zip(times().min()).map(|(newest, oldest)| newest.millis_since(*oldest)),
        }
    }

    /// Blocks that begin in a day of log time; `None` where that is not known.
    #[must_use]
    pub fn blocks_per_day(&self) -> Option<f64> {
        let millis = self.log_millis.filter(|millis| *millis > 0)?;
        Some((self.blocks - self.joined_midway) as f64 * DAY_MILLIS / millis as f64)
    }

    /// Days of log time, at this rate, until `stories` whole stories have become enough to learn from; `None` where that is not known.
    #[must_use]
    pub fn days_missing(&self, stories: u64) -> Option<f64> {
        let per_day = self.blocks_per_day().filter(|rate| *rate > 0.0)?;
        Some(TRAINING_STORIES_MIN.saturating_sub(stories) as f64 / per_day)
    }
}

/// Where in the stories of each pattern an event stands for the first time: the sum of its places, and of how many stories.
struct Places(Vec<BTreeMap<Token, (u64, u64)>>);

impl Places {
    fn new(profile: &Profile, corpus: &Corpus, patterns: &[CountPattern]) -> Self {
        let indices: BTreeMap<&[(Token, u16)], usize> =
            patterns.iter().enumerate().map(|(index, pattern)| (pattern.counts.as_slice(), index)).collect();
        let mut places = vec![BTreeMap::new(); patterns.len()];
        let windows = windows(profile, corpus);
        for window in windows.iter().zip(&corpus.stories).filter(|(_, story)| !story.joined_midway).map(|(window, _)| window) {
            let kind: Vec<_> =
                counts(&window.tokens).into_iter().filter(|&(token, _)| !profile.calibration.is_loose(token)).collect();
            let Some(&index) = indices.get(kind.as_slice()) else { continue };
            let mut first: BTreeMap<Token, u64> = BTreeMap::new();
            for (place, &token) in (0..).zip(&window.tokens[1..]) {
                first.entry(token).or_insert(place);
            }
            for (token, place) in first {
                let (sum, stories) = places[index].entry(token).or_insert((0, 0));
                *sum += place;
                *stories += 1;
            }
        }
        Self(places)
    }

    fn in_order(&self, index: usize, pattern: &CountPattern) -> Vec<(Token, u16)> {
        let mean = |token: Token| self.0[index].get(&token).map_or(f64::INFINITY, |&(sum, n)| sum as f64 / n as f64);
        let mut counts = pattern.counts.clone();
        counts.sort_by(|a, b| mean(a.0).total_cmp(&mean(b.0)));
        counts
    }
}

fn event(profile: &Profile, token: Token, count: u16) -> CommonEvent {
    CommonEvent { text: entry(profile, token).text.clone(), count: count.into() }
}

fn entry(profile: &Profile, token: Token) -> &VocabularyEntry {
    &profile.vocabulary[usize::from(token.0 - FIRST_EVENT)]
}

const DAY_MILLIS: f64 = 86_400_000.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::{Options, learn};
    use crate::pipeline::event::LogTime;
    use crate::pipeline::profile::{DrainSettings, Scope};

    #[test]
    fn events_come_in_the_order_in_which_they_begin() {
        let stories = [vec![story(&[1, 0, 1, 2]); 60], vec![story(&[1, 0, 2, 1]); 60], vec![story(&[1, 0]); 80]].concat();
        check(stories, &[(0.6, &[("b", 2), ("a", 1), ("c", 1)]), (0.4, &[("b", 1), ("a", 1)])], &[]);
    }

    #[test]
    fn how_often_a_block_is_read_makes_no_other_story() {
        let read = |times: usize| story(&[vec![0], vec![1; times]].concat());
        check([vec![read(1); 110], vec![read(3); 50], vec![read(9); 40]].concat(), &[(1.0, &[("a", 1)])], &["b"]);
    }

    #[test]
    fn the_supply_tells_rates_where_times_are_known() {
        let timed = |millis: &[i64]| Story {
            events: vec![0; millis.len()],
            times: Some(millis.iter().copied().map(LogTime).collect()),
            ..Story::default()
        };
        let joined = Story { joined_midway: true, ..timed(&[0, 1]) };
        let cut = Story { cut_short: true, ..timed(&[3_600_000]) };
        let supply = Supply::new(&corpus(vec![joined, timed(&[5]), timed(&[7, 9]), cut]));
        assert_eq!(supply, Supply { blocks: 4, joined_midway: 1, cut_short: 1, log_millis: Some(3_600_000) });
        assert_eq!(supply.blocks_per_day(), Some(72.0));
        assert_eq!(supply.days_missing(64), Some(0.5));
        let untimed = Supply::new(&corpus(vec![story(&[0])]));
        assert_eq!((untimed.log_millis, untimed.blocks_per_day(), untimed.days_missing(1)), (None, None, None));
    }

    /// Texts and how often, for each story with its share; and what may come at any time.
    fn check(stories: Vec<Story>, expected: &[(f64, &[(&str, u64)])], loose: &[&str]) {
        let corpus = corpus(stories);
        let options = Options { epochs: 1, screen: false, ..Options::default() };
        let learned = learn(&corpus, &options, &mut |_| ()).expect("learns");
        let told = common_stories(&learned, &corpus, 10);
        let of = |event: &CommonEvent| (event.text.clone(), event.count);
        let told: Vec<(f64, Vec<_>)> = told.iter().map(|story| (story.share, story.events.iter().map(of).collect())).collect();
        let owned = |events: &[(&str, u64)]| events.iter().map(|&(text, count)| (text.to_owned(), count)).collect();
        assert_eq!(told, expected.iter().map(|&(share, events)| (share, owned(events))).collect::<Vec<_>>());
        assert_eq!(loose_events(&learned.contract.profile), loose);
    }

    fn story(events: &[u32]) -> Story {
        Story { events: events.to_vec(), ..Story::default() }
    }

    fn corpus(stories: Vec<Story>) -> Corpus {
        let texts = ["a", "b", "c"].map(str::to_owned).to_vec();
        Corpus {
            texts,
            stories,
            inputs: Vec::new(),
            drain: DrainSettings::hdfs(),
            scope: Scope::Cluster,
            calm: std::collections::BTreeSet::new(),
        }
    }
}
