//! Takes open sessions over to another model, or ends those that it cannot go on with.

use std::collections::{BTreeMap, VecDeque};

use crate::limits::SESSION_EVENTS_MAX;
use crate::pipeline::event::{BlockId, TemplateId, Token};
use crate::pipeline::profile::{Profile, UNKNOWN};
use crate::pipeline::session::assemble::{Assembler, Session, begins};
use crate::pipeline::session::encode::Encoder;
use crate::pipeline::session::{Begin, Case, Cause, CloseReason, SessionEvent};
use crate::pipeline::verdict::domain::Domain;

/// What the next model calls a template.
pub type Name<'a> = &'a mut dyn FnMut(TemplateId) -> Token;

impl Assembler {
    /// Ends sessions that the model of `profile` cannot go on with: they have an event that this model knows and that one does not, or
    /// one that it counts otherwise. They are judged for what they have, unless nothing was said of them since they were judged last;
    /// blocks that speak again resume. The most overdue go first, and at most `cases_max` are judged by one call. How many have ended.
    pub fn end_foreign(
        &mut self,
        profile: &Profile,
        name: Name<'_>,
        cases_max: usize,
        domain: &Domain,
        cases: &mut VecDeque<Case>,
    ) -> u64 {
        let (encoder, now, mut ended, mut judged) = (Encoder::new(profile), self.kept.now.unwrap_or_default(), 0, 0);
        for (block, is_judged) in self.foreign(&encoder, name) {
            if !is_judged {
                if judged == cases_max {
                    break;
                }
                self.submit(block, now, Cause::Swap, false, domain, cases);
                judged += 1;
            }
            self.release(block, CloseReason::Swap);
            ended += 1;
        }
        ended
    }

    /// Goes on under the model of `profile`. Sessions that it cannot go on with are released without being judged; how many.
    pub fn swap(&mut self, profile: &Profile, name: Name<'_>) -> u64 {
        let encoder = Encoder::new(profile);
        let foreign = self.foreign(&encoder, name);
        foreign.iter().for_each(|(block, _)| self.release(*block, CloseReason::Swap));
        let begins = begins(profile);
        for session in self.kept.sessions.values_mut() {
            let renamed = session.renamed(&self.encoder, &encoder, name).expect("the others were released");
            session.take_over(renamed, &begins);
        }
        self.bytes = self.kept.sessions.values().map(Session::bytes).sum();
        self.changes.forget();
        (self.encoder, self.begins) = (encoder, begins);
        foreign.len() as u64
    }

    /// The sessions that cannot go on, those to be judged soonest first, and whether they have been judged since their last event.
    fn foreign(&self, to: &Encoder, name: Name<'_>) -> Vec<(BlockId, bool)> {
        let sessions = self.kept.sessions.iter();
        let foreign = sessions.filter(|(_, session)| session.renamed(&self.encoder, to, name).is_none());
        let mut foreign: Vec<_> = foreign.map(|(block, session)| (session.judge_at, *block)).collect();
        foreign.sort_unstable();
        foreign.into_iter().map(|(judge_at, block)| (block, judge_at.is_none())).collect()
    }
}

/// What of a session a model names.
#[derive(Debug, PartialEq, Eq)]
struct Renamed {
    events: Vec<SessionEvent>,
    endless: Vec<(Token, u32)>,
}

/// An endless event of a session under its former name.
struct Thinned {
    /// Its name now.
    token: Token,
    /// Its appearances up to the last that was kept.
    told: u64,
}

impl Session {
    /// The session as it would be if it had been gathered for encoder `to`, or `None` when what it holds does not tell that.
    ///
    /// Of an endless event appearances 1, 2, 4, 8, … were kept, so the `i`th that was kept stands for all since the one before it.
    fn renamed(&self, from: &Encoder, to: &Encoder, name: Name<'_>) -> Option<Renamed> {
        let mut renaming = Renaming { to, events: Vec::with_capacity(self.events.len()), counts: BTreeMap::new() };
        let mut thinned: BTreeMap<Token, Thinned> = BTreeMap::new();
        for event in &self.events {
            let token = name(event.template);
            if event.token != UNKNOWN && token == UNKNOWN {
                return None;
            }
            let mut appearances = 1;
            if from.is_endless(event.token) {
                let seen = thinned.entry(event.token).or_insert(Thinned { token, told: 0 });
                appearances = seen.told.max(1);
                seen.told += appearances;
                // By which of two names those are called that were not kept, nobody knows.
                (seen.token == token).then_some(())?;
            }
            renaming.add(SessionEvent { token, ..*event }, appearances)?;
        }
        for (token, count) in &self.endless {
            match thinned.get(token) {
                Some(seen) => renaming.count(seen.token, u64::from(*count).saturating_sub(seen.told))?,
                // It came first when no more events were kept, so how often it came no longer matters.
                None if self.events.len() >= SESSION_EVENTS_MAX => {}
                None => return None,
            }
        }
        Some(renaming.finish())
    }

    fn take_over(&mut self, renamed: Renamed, begins: &[bool]) {
        (self.events, self.endless) = (renamed.events, renamed.endless);
        let first = self.events.first().map_or(UNKNOWN, |event| event.token);
        if self.begin == Begin::Start && !begins.get(usize::from(first.0)).copied().unwrap_or(false) {
            self.begin = Begin::Mid;
        }
    }
}

/// Gathers the events of a session again.
struct Renaming<'a> {
    to: &'a Encoder,
    events: Vec<SessionEvent>,
    /// Appearances of what is endless.
    counts: BTreeMap<Token, u64>,
}

impl Renaming<'_> {
    /// Adds an event that stands for this many, itself the last of them.
    fn add(&mut self, event: SessionEvent, appearances: u64) -> Option<()> {
        let before = self.counts.get(&event.token).copied().unwrap_or(0);
        self.count(event.token, appearances - 1)?;
        if self.to.is_endless(event.token) {
            *self.counts.entry(event.token).or_insert(0) += 1;
        }
        if self.to.keeps_one_of(event.token, before, before + appearances) {
            self.events.push(event);
        }
        Some(())
    }

    /// Counts appearances of which no event was kept; `None` when each of them would have to be there.
    fn count(&mut self, token: Token, appearances: u64) -> Option<()> {
        if appearances > 0 {
            self.to.is_endless(token).then_some(())?;
            *self.counts.entry(token).or_insert(0) += appearances;
        }
        Some(())
    }

    fn finish(self) -> Renamed {
        let counts = self.counts.into_iter();
        let endless = counts.map(|(token, count)| (token, u32::try_from(count).unwrap_or(u32::MAX))).collect();
        Renamed { events: self.events, endless }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::event::{Event, LogTime, PoolId, Position, SourceId};
    use crate::pipeline::profile::MID;
    use crate::pipeline::profile::tests::profile;
    use crate::pipeline::session::assemble::Settings;

    /// Of the vocabulary before: a beginning, an ordinary event, an endless one; and what it does not know.
    const OPENED: u16 = 6;
    const WRITTEN: u16 = 7;
    const READ: u16 = 8;
    const ODD: u16 = 1;

    #[test]
    fn a_session_goes_on_as_if_the_next_model_had_gathered_it() {
        let story: Vec<u16> = [OPENED, WRITTEN].into_iter().chain([READ; 37]).chain([WRITTEN, ODD]).collect();
        for buckets in [1, 2, 3, 5] {
            let next = vocabulary(&[("read", false, Some(buckets)), ("opened", true, None), ("written", false, None)]);
            check(&story, &next, &[(OPENED, 7), (WRITTEN, 8), (READ, 6)]);
        }
    }

    #[test]
    fn a_session_that_is_full_goes_on_with_what_came_too_late_to_be_kept() {
        for written in [SESSION_EVENTS_MAX - 2, SESSION_EVENTS_MAX - 1, SESSION_EVENTS_MAX] {
            let story: Vec<u16> = [OPENED].into_iter().chain(vec![WRITTEN; written]).chain([READ; 5]).collect();
            let same = vocabulary(&[("opened", true, None), ("written", false, None), ("read", false, Some(5))]);
            check_ends(&story, &same, &[(OPENED, 6), (WRITTEN, 7), (READ, 8)], false);
            let other = vocabulary(&[("read", false, Some(5)), ("opened", true, None), ("written", false, None)]);
            check(&story, &other, &[(OPENED, 7), (WRITTEN, 8), (READ, 6)]);
        }
    }

    #[test]
    fn what_was_not_thinned_can_become_endless_and_back() {
        let next = vocabulary(&[("opened", true, None), ("written", false, Some(3)), ("read", false, None)]);
        for written in [0, 1, 2, 3, 4, 9, 40] {
            let story: Vec<u16> = [OPENED].into_iter().chain(vec![WRITTEN; written]).chain([READ, READ]).collect();
            check(&story, &next, &[(OPENED, 6), (WRITTEN, 7), (READ, 8)]);
        }
    }

    #[test]
    fn two_that_become_one_are_counted_together() {
        let next = vocabulary(&[("opened", true, None), ("accessed", false, Some(4))]);
        check(&[OPENED, READ, WRITTEN, WRITTEN, READ, WRITTEN], &next, &[(OPENED, 6), (WRITTEN, 7), (READ, 7)]);
    }

    #[test]
    fn what_the_next_model_does_not_know_or_counts_otherwise_ends_the_session() {
        let all = [(OPENED, 6), (WRITTEN, 7), (READ, 8)];
        let plain = vocabulary(&[("opened", true, None), ("written", false, None), ("read", false, None)]);
        check_ends(&[OPENED, WRITTEN], &plain, &[(OPENED, 6), (WRITTEN, 1)], true);
        check_ends(&[OPENED, READ, READ], &plain, &all, false);
        check_ends(&[OPENED, READ, READ, READ], &plain, &all, true);
        check_ends(&[OPENED, ODD], &plain, &[(OPENED, 6), (ODD, 1)], false);
        check_ends(&[OPENED, ODD], &plain, &[(OPENED, 6), (ODD, 7)], false);
    }

    #[test]
    fn sessions_end_most_overdue_first_and_no_more_are_judged_at_once_than_allowed() {
        let mut assembler = assembler();
        let mut cases = VecDeque::new();
        for number in 0..5 {
            assembler.handle_event(event(number, number, WRITTEN), false, &mut domain(), &mut cases);
        }
        assembler.advance(LogTime(101), false, &domain(), &mut cases);
        assert_eq!(cases.drain(..).map(|case| case.block.number).collect::<Vec<_>>(), [0, 1]);
        let next = vocabulary(&[("opened", true, None)]);
        for (cases_max, ended, judged) in [(0, 2, vec![]), (2, 2, vec![2, 3]), (9, 1, vec![4]), (9, 0, vec![])] {
            assert_eq!(assembler.end_foreign(&next, &mut |_| UNKNOWN, cases_max, &domain(), &mut cases), ended);
            assert!(cases.iter().all(|case| case.cause == Cause::Swap && case.time == LogTime(101) && !case.can_lack()));
            assert_eq!(cases.drain(..).map(|case| case.block.number).collect::<Vec<_>>(), judged);
        }
        assert_eq!((assembler.len(), assembler.bytes()), (0, 0));
        assembler.swap(&next, &mut |_| UNKNOWN);
        assembler.handle_event(event(200, 3, OPENED), false, &mut domain(), &mut cases);
        assembler.advance(LogTime(999), false, &domain(), &mut cases);
        assert_eq!(cases[0].begin, Begin::Resumed);
    }

    #[test]
    fn what_no_longer_begins_stories_was_joined_midway() {
        let mut assembler = assembler();
        let mut cases = VecDeque::new();
        assembler.handle_event(event(0, 1, OPENED), false, &mut domain(), &mut cases);
        assembler.swap(&vocabulary(&[("opened", false, None)]), &mut |_| Token(6));
        assembler.advance(LogTime(100), false, &domain(), &mut cases);
        assert_eq!((cases[0].begin, cases[0].events[0].token), (Begin::Mid, Token(6)));
    }

    /// Swaps after each event of the story, and compares what is judged in the end with a session that saw all of it under `next`.
    fn check(story: &[u16], next: &Profile, names: &[(u16, u16)]) {
        let expected = judged(story, next, names, None);
        for cut in 0..=story.len() {
            assert_eq!(judged(story, next, names, Some(cut)), expected, "swapped after {cut} events");
        }
    }

    fn judged(story: &[u16], next: &Profile, names: &[(u16, u16)], cut: Option<usize>) -> (Begin, Vec<(i64, u16)>) {
        let (mut assembler, mut cases) = (assembler(), VecDeque::new());
        for (time, token) in (0..).zip(story) {
            if cut.unwrap_or(0) == time as usize {
                assert_eq!(assembler.swap(next, &mut |template| named(names, template.0 as u16)), 0);
            }
            let mut event = event(time, 1, *token);
            if cut.is_none_or(|cut| time as usize >= cut) {
                event.token = named(names, *token);
            }
            assembler.handle_event(event, false, &mut domain(), &mut cases);
        }
        if cut == Some(story.len()) {
            assembler.swap(next, &mut |template| named(names, template.0 as u16));
        }
        cases.clear();
        assembler.advance(LogTime(99_999), false, &domain(), &mut cases);
        let case = &cases[0];
        (case.begin, case.events.iter().map(|event| (event.position.offset as i64, event.token.0)).collect())
    }

    fn check_ends(story: &[u16], next: &Profile, names: &[(u16, u16)], ends: bool) {
        let (mut assembler, mut cases) = (assembler(), VecDeque::new());
        story
            .iter()
            .zip(0..)
            .for_each(|(token, time)| assembler.handle_event(event(time, 1, *token), false, &mut domain(), &mut cases));
        let mut name = |template: TemplateId| named(names, template.0 as u16);
        assert_eq!(assembler.end_foreign(next, &mut name, 9, &domain(), &mut cases), u64::from(ends), "{story:?}");
        assert_eq!(assembler.swap(next, &mut name), 0);
        let window = cases.back().filter(|_| ends).map(Case::window);
        assert!(window.is_none_or(|window| window.tokens[0] == MID), "a story broken off lacks nothing");
    }

    fn named(names: &[(u16, u16)], token: u16) -> Token {
        names.iter().find(|(before, _)| *before == token).map_or(UNKNOWN, |(_, after)| Token(*after))
    }

    fn event(time: i64, number: i64, token: u16) -> Event {
        let position = Position { source: SourceId(0), offset: time as u64, length: 0 };
        let block = BlockId { pool: PoolId(0), number };
        Event { block, template: TemplateId(u32::from(token)), token: Token(token), time: LogTime(time), position, grave: false }
    }

    /// One that leaves nothing out.
    fn domain() -> Domain {
        Domain::new(crate::pipeline::verdict::domain::tests::off(), &vocabulary(&[]))
    }

    fn assembler() -> Assembler {
        let settings = Settings { quiet_millis: 100, idle_millis: 1000, bytes_max: usize::MAX };
        let before = vocabulary(&[("opened", true, None), ("written", false, None), ("read", false, Some(5))]);
        Assembler::new(settings, &before)
    }

    fn vocabulary(entries: &[(&str, bool, Option<u8>)]) -> Profile {
        let texts: Vec<&str> = entries.iter().map(|(text, ..)| *text).collect();
        let mut profile = profile(&texts);
        for (entry, (_, begins, buckets)) in profile.vocabulary.iter_mut().zip(entries) {
            (entry.begins, entry.endless_buckets_max) = (*begins, *buckets);
        }
        profile
    }
}
