//! Tells what was learnt: stories in words, what may come at any time, how many alarms to expect, where the time went.

use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;

use super::Args;
use crate::learn::evaluate::first_threshold;
use crate::learn::telling::{CommonEvent, CommonStory, Supply, common_stories, loose_events};
use crate::learn::{Corpus, Learned};
use crate::sink::document::{grouped, readable};

/// Everything that is told at the end.
#[derive(Debug, Serialize)]
pub struct Summary {
    model: String,
    output: PathBuf,
    /// Whole stories learnt from.
    whole_stories: u64,
    /// Stories that look like failures and were set aside.
    suspects: u64,
    epochs: usize,
    epochs_asked: u32,
    loss: Option<f32>,
    templates: usize,
    supply: Supply,
    stories: Vec<CommonStory>,
    /// Templates of events that may come at any time in any number.
    loose: Vec<String>,
    threshold: f32,
    count_patterns: usize,
    false_alarms_per_100k: f64,
    /// `None` where the inputs do not tell times.
    false_alarms_per_day: Option<f64>,
    /// Whether what each host says of a block is a story of its own, so that blocks count once for each host that tells of them.
    each_host: bool,
    windows_left_out: u64,
    patterns_left_out: u64,
    seconds: Seconds,
}

/// Where the time went.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Seconds {
    /// Reading the inputs.
    pub reading: f64,
    /// All epochs.
    pub training: f64,
    /// Scoring what was learnt.
    pub calibrating: f64,
    /// Writing the files.
    pub writing: f64,
}

impl Summary {
    /// Of what was learnt from `corpus`.
    pub fn new(learned: &Learned, corpus: &Corpus, args: &Args, seconds: Seconds) -> Self {
        let (profile, training) = (&learned.contract.profile, &learned.contract.training);
        let supply = Supply::new(corpus);
        let false_alarms = false_alarms_expected(learned);
        Self {
            model: profile.name.clone(),
            output: args.output.clone(),
            whole_stories: training.sessions,
            suspects: learned.suspects,
            epochs: training.loss.len(),
            epochs_asked: args.epochs,
            loss: training.loss.last().copied(),
            templates: profile.vocabulary.len(),
            stories: common_stories(learned, corpus, STORIES_SHOWN),
            loose: loose_events(profile),
            threshold: first_threshold(&profile.calibration),
            count_patterns: profile.calibration.patterns.len(),
            false_alarms_per_100k: 100_000.0 * false_alarms,
            false_alarms_per_day: supply.blocks_per_day().map(|blocks| blocks * false_alarms),
            each_host: args.each_host,
            windows_left_out: learned.windows_left_out,
            patterns_left_out: learned.patterns_left_out,
            supply,
            seconds,
        }
    }

    /// As JSON.
    ///
    /// # Errors
    /// When `out` takes no more.
    pub fn json(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        Ok(writeln!(out)?)
    }

    /// For people.
    ///
    /// # Errors
    /// When `out` takes no more.
    pub fn tell(&self, out: &mut dyn Write) -> io::Result<()> {
        self.tell_training(out)?;
        self.tell_stories(out)?;
        for text in &self.loose {
            writeln!(out, "may come at any time: {}", readable(text))?;
        }
        let (threshold, patterns) = (self.threshold, grouped(self.count_patterns as u64));
        writeln!(out, "a block alarms above {threshold:.2} nats when its story is of none of {patterns} normal kinds")?;
        self.tell_alarms(out)?;
        if self.windows_left_out + self.patterns_left_out > 0 {
            let (windows, patterns) = (grouped(self.windows_left_out), grouped(self.patterns_left_out));
            writeln!(out, "left out, as too various: {windows} windows, {patterns} count patterns")?;
        }
        let Seconds { reading, training, calibrating, writing } = self.seconds;
        writeln!(
            out,
            "time: reading {reading:.1} s, training {training:.1} s, calibrating {calibrating:.1} s, writing {writing:.1} s"
        )?;
        writeln!(out, "written to {}", self.output.display())
    }

    fn tell_training(&self, out: &mut dyn Write) -> io::Result<()> {
        let (stories, loss) = (grouped(self.whole_stories), self.loss.unwrap_or_default());
        let (epochs, asked, templates) = (self.epochs, self.epochs_asked, self.templates);
        if epochs < asked as usize {
            writeln!(out, "stopped after {epochs} of {asked} epochs; what was learnt by then is kept")?;
        }
        writeln!(
            out,
            "learnt {} from {stories} whole stories of blocks in {epochs} epochs: {templates} templates, loss {loss:.4} nats per token",
            self.model
        )?;
        let Supply { joined_midway, cut_short, log_millis, .. } = self.supply;
        if let Some(millis) = log_millis {
            let (time, joined, cut) = (days(millis as f64 / 86_400_000.0), grouped(joined_midway), grouped(cut_short));
            writeln!(
                out,
                "the logs tell of {time}; {joined} blocks are older than that and {cut} had not come to rest at its end"
            )?;
        }
        if self.suspects > 0 {
            let suspects = grouped(self.suspects);
            writeln!(out, "set aside: {suspects} stories that look like failures; --trust-all takes them for normal")?;
        }
        Ok(())
    }

    /// Each in full, or by what it has otherwise than an earlier one where that is shorter.
    fn tell_stories(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "commonest stories of a block:")?;
        for (index, story) in self.stories.iter().enumerate() {
            let (number, share) = (index + 1, 100.0 * story.share);
            let earlier =
                self.stories[..index].iter().enumerate().map(|(index, earlier)| (index + 1, differences(earlier, story)));
            match earlier.min_by_key(|(_, differences)| differences.len()) {
                Some((like, differences)) if differences.len() < story.events.len() => {
                    writeln!(out, "  {number}. {share:.1} % of the blocks, like {like}., but")?;
                    differences.iter().try_for_each(|event| tell_event(out, event))?;
                }
                _ => {
                    writeln!(out, "  {number}. {share:.1} % of the blocks:")?;
                    story.events.iter().try_for_each(|event| tell_event(out, event))?;
                }
            }
        }
        Ok(())
    }

    fn tell_alarms(&self, out: &mut dyn Write) -> io::Result<()> {
        let of_blocks = self.false_alarms_per_100k;
        match self.false_alarms_per_day.zip(self.supply.blocks_per_day()) {
            Some((alarms, blocks)) => {
                let (blocks, hosts) =
                    (grouped(blocks.round() as u64), if self.each_host { " of all hosts together" } else { "" });
                writeln!(
                    out,
                    "false alarms expected, as of stories held back: {of_blocks:.0} of 100,000 blocks, {alarms:.1} a day at the {blocks} a day of these logs{hosts}"
                )
            }
            None => writeln!(out, "false alarms expected, as of stories held back: {of_blocks:.0} of 100,000 blocks"),
        }
    }
}

/// Share of normal blocks that would alarm, 0..=1.
fn false_alarms_expected(learned: &Learned) -> f64 {
    learned.false_alarms_expected
}

/// Days, in the unit that people would say.
pub fn days(days: f64) -> String {
    match days * 24.0 {
        hours if hours < 2.0 => format!("{:.0} minutes", (hours * 60.0).ceil()),
        hours if hours < 48.0 => format!("{hours:.1} hours"),
        _ => format!("{days:.1} days"),
    }
}

/// Events of `story` that `earlier` has otherwise; those that it lacks with a count of 0.
fn differences(earlier: &CommonStory, story: &CommonStory) -> Vec<CommonEvent> {
    let changed = story.events.iter().filter(|event| !earlier.events.contains(event)).cloned();
    let is_lacking = |event: &&CommonEvent| !story.events.iter().any(|other| other.text == event.text);
    let lacking = earlier.events.iter().filter(is_lacking);
    let none = |event: &CommonEvent| CommonEvent { count: 0, ..event.clone() };
    changed.chain(lacking.map(none)).collect()
}

fn tell_event(out: &mut dyn Write, event: &CommonEvent) -> io::Result<()> {
    let count = match event.count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        count => format!("{count} times"),
    };
    writeln!(out, "     {count:>15}  {}", readable(&event.text))
}

/// Commonest stories told.
const STORIES_SHOWN: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_told_in_the_unit_that_fits() {
        for (input, expected) in
            [(0.001, "2 minutes"), (1.0 / 24.0, "60 minutes"), (0.5, "12.0 hours"), (1.9, "45.6 hours"), (2.0, "2.0 days")]
        {
            assert_eq!(days(input), expected);
        }
    }

    #[test]
    fn a_story_is_told_by_what_it_has_otherwise() {
        check(&[("a", 1), ("b", 3)], &[("a", 1), ("b", 3), ("c", 2)], &["2 times  c"]);
        check(&[("a", 1), ("b", 3)], &[("a", 1), ("b", 2)], &["2 times  b"]);
        check(&[("a", 1), ("b <*>", 3)], &[("a", 1)], &["never  b …"]);
        check(&[("a", 1)], &[("a", 1)], &[]);
    }

    fn check(earlier: &[(&str, u64)], story: &[(&str, u64)], expected: &[&str]) {
        let mut told = Vec::new();
        for event in differences(&common(earlier), &common(story)) {
            tell_event(&mut told, &event).unwrap();
        }
        let told = String::from_utf8(told).unwrap();
        assert_eq!(told.lines().map(str::trim).collect::<Vec<_>>(), expected);
    }

    fn common(events: &[(&str, u64)]) -> CommonStory {
        let event = |&(text, count): &(&str, u64)| CommonEvent { text: text.to_owned(), count };
        CommonStory { share: 1.0, blocks: 1, events: events.iter().map(event).collect() }
    }
}
