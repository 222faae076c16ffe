//! What is told of each template: how often it came, when first and last, an example; and of each line, which template it has.

use std::collections::HashMap;
use std::io::{self, Write};

use anyhow::bail;
use jiff::Timestamp;
use jiff::tz::Offset;
use serde::Serialize;

use crate::cli::templates::header::Time;
use crate::limits::TEMPLATE_ROWS_MAX;
use crate::pipeline::event::template::drain::Learned;
use crate::pipeline::event::{CivilTime, TemplateId};

/// The groups of messages, and with `--csv` the group of each message.
pub struct Groups {
    groups: Vec<Group>,
    by_id: HashMap<TemplateId, usize>,
    /// Line and group of each message; `None` when nobody asks.
    rows: Option<Vec<(u32, u32)>>,
}

/// The messages of one template.
struct Group {
    text: String,
    count: u64,
    first: Moment,
    last: Moment,
    example: String,
    /// The group that took this one in.
    into: Option<usize>,
}

/// Where a message stands, and when it was written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moment {
    /// Its line, counted over all logs, from 1.
    pub line: u64,
    time: Option<CivilTime>,
    /// The time as the log has it, where it is not HDFS's.
    text: Vec<u8>,
}

impl Moment {
    /// Moves to another message; the memory is used again.
    pub fn set(&mut self, line: u64, time: Time<'_>) {
        self.line = line;
        self.text.clear();
        self.time = None;
        match time {
            Time::Untold => {}
            Time::Log(time) => self.time = Some(time),
            Time::Text(text) => self.text.extend_from_slice(text),
        }
    }

    /// The time for people; empty when the header does not tell.
    fn show(&self) -> String {
        match self.time {
            Some(time) => civil(time),
            None => String::from_utf8_lossy(&self.text).into_owned(),
        }
    }
}

impl Groups {
    /// None yet. `with_rows`: whether the group of each message is kept.
    pub fn new(with_rows: bool) -> Self {
        Self { groups: Vec::new(), by_id: HashMap::new(), rows: with_rows.then(Vec::new) }
    }

    /// Adds a message to the group of its template. `text` gives the text of a template.
    ///
    /// # Errors
    /// When there are more messages than rows can be kept for.
    pub fn add(
        &mut self,
        learned: &Learned,
        at: &Moment,
        content: &[u8],
        text: impl Fn(TemplateId) -> String,
    ) -> anyhow::Result<()> {
        let index = self.index(learned, at, content);
        let group = &mut self.groups[index];
        group.count += 1;
        group.last.clone_from(at);
        if learned.new || !learned.replaced.is_empty() {
            group.text = text(learned.id);
        }
        let Some(rows) = &mut self.rows else { return Ok(()) };
        if rows.len() >= TEMPLATE_ROWS_MAX || at.line > u64::from(u32::MAX) {
            bail!("more than {TEMPLATE_ROWS_MAX} messages; give --csv fewer logs at once");
        }
        rows.push((at.line as u32, index as u32));
        Ok(())
    }

    /// The group of a template, which may have taken the place of others.
    fn index(&mut self, learned: &Learned, at: &Moment, content: &[u8]) -> usize {
        let mut before = learned.replaced.iter().filter_map(|id| self.by_id.remove(id)).collect::<Vec<_>>().into_iter();
        let index = before.next().or_else(|| self.by_id.get(&learned.id).copied()).unwrap_or_else(|| {
            self.groups.push(Group::new(at, content));
            self.groups.len() - 1
        });
        self.by_id.insert(learned.id, index);
        before.for_each(|other| self.take_in(index, other));
        index
    }

    fn take_in(&mut self, index: usize, other: usize) {
        self.groups[other].into = Some(index);
        let Group { count, first, example, .. } = &self.groups[other];
        let (count, first, example) = (*count, first.clone(), example.clone());
        let group = &mut self.groups[index];
        group.count += count;
        if first.line < group.first.line {
            (group.first, group.example) = (first, example);
        }
    }

    /// Writes all templates as text, the commonest first.
    pub fn write_text(&self, lines: u64, passed_over: u64, out: &mut dyn Write) -> io::Result<()> {
        let mut told = self.told();
        told.sort_by(|a, b| b.count.cmp(&a.count));
        let messages: u64 = told.iter().map(|told| told.count).sum();
        writeln!(out, "{} templates of {messages} messages in {lines} lines", told.len())?;
        if passed_over > 0 {
            writeln!(out, "{passed_over} lines without a header were passed over; --header-format says what lines look like")?;
        }
        for Told { id, template, count, first, last, first_line, last_line, example } in told {
            writeln!(out, "\n{id:<5} {count:>9} x  {template}")?;
            let from_to = if first.is_empty() { String::new() } else { format!("{first} to {last}, ") };
            writeln!(out, "      {from_to}lines {first_line} to {last_line}")?;
            writeln!(out, "      {example}")?;
        }
        Ok(())
    }

    /// Writes all templates as one JSON object, in the order of their first message.
    pub fn write_json(&self, lines: u64, passed_over: u64, out: &mut dyn Write) -> io::Result<()> {
        let json = serde_json::json!({ "lines": lines, "passed_over": passed_over, "templates": self.told() });
        serde_json::to_writer_pretty(&mut *out, &json)?;
        writeln!(out)
    }

    /// Writes a row a message.
    pub fn write_csv(&self, out: &mut dyn Write) -> io::Result<()> {
        let (order, texts) = (self.order(), self.groups.iter().map(|group| quoted(&group.text)).collect::<Vec<_>>());
        let mut numbers = vec![0; self.groups.len()];
        for (number, index) in (1..).zip(order) {
            numbers[index] = number;
        }
        writeln!(out, "LineId,EventId,EventTemplate")?;
        for (line, index) in self.rows.iter().flatten() {
            let index = self.whole(*index as usize);
            writeln!(out, "{line},E{},{}", numbers[index], texts[index])?;
        }
        Ok(())
    }

    fn told(&self) -> Vec<Told<'_>> {
        (1..).zip(self.order()).map(|(number, index)| Told::new(number, &self.groups[index])).collect()
    }

    /// The groups that no other one took in, in the order of their first message.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.groups.len()).filter(|index| self.groups[*index].into.is_none()).collect();
        order.sort_by_key(|index| self.groups[*index].first.line);
        order
    }

    fn whole(&self, index: usize) -> usize {
        std::iter::successors(Some(index), |index| self.groups[*index].into).last().unwrap_or(index)
    }
}

impl Group {
    fn new(at: &Moment, content: &[u8]) -> Self {
        let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let example = String::from_utf8_lossy(&line[..line.len().min(EXAMPLE_BYTES_MAX)]).into_owned();
        Self { text: String::new(), count: 0, first: at.clone(), last: at.clone(), example, into: None }
    }
}

/// A template as it is listed.
#[derive(Serialize)]
struct Told<'a> {
    id: String,
    template: &'a str,
    count: u64,
    /// As the header tells; empty when it does not.
    first: String,
    last: String,
    first_line: u64,
    last_line: u64,
    example: &'a str,
}

impl<'a> Told<'a> {
    fn new(number: u64, group: &'a Group) -> Self {
        Self {
            id: format!("E{number}"),
            template: &group.text,
            count: group.count,
            first: group.first.show(),
            last: group.last.show(),
            first_line: group.first.line,
            last_line: group.last.line,
            example: &group.example,
        }
    }
}

/// Log time as ISO 8601 without a zone, since the log has none.
fn civil(time: CivilTime) -> String {
    let timestamp = Timestamp::from_millisecond(time.0).unwrap_or_default();
    Offset::UTC.to_datetime(timestamp).strftime("%Y-%m-%d %H:%M:%S%.f").to_string()
}

/// A field of a CSV file (RFC 4180).
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// Bytes of an example.
const EXAMPLE_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_csv_file() {
        for (text, expected) in [("a b", "a b"), ("a, b", "\"a, b\""), ("say \"a\"", "\"say \"\"a\"\"\"")] {
            assert_eq!(quoted(text), expected);
        }
    }

    #[test]
    fn a_group_that_takes_in_others_has_their_messages() {
        let mut groups = Groups::new(true);
        let messages: [(u32, &[u32], bool); 6] =
            [(1, &[], true), (2, &[], true), (2, &[], false), (3, &[2], false), (4, &[3, 1], false), (4, &[], false)];
        for (line, (id, replaced, new)) in (1..).zip(messages) {
            let replaced = replaced.iter().map(|id| TemplateId(*id)).collect();
            let moment = Moment { line, ..Moment::default() };
            let learned = Learned { id: TemplateId(id), replaced, new };
            let text = |id: TemplateId| format!("text {}", id.0);
            groups.add(&learned, &moment, format!("message {line}").as_bytes(), text).expect("there is room");
        }
        let mut csv = Vec::new();
        groups.write_csv(&mut csv).expect("it can be written");
        let rows: String = (1..=6).map(|line| format!("{line},E1,text 4\n")).collect();
        assert_eq!(String::from_utf8(csv).expect("it is text"), format!("LineId,EventId,EventTemplate\n{rows}"));
        let told = groups.told();
        assert_eq!((told.len(), told[0].count, told[0].first_line, told[0].last_line), (1, 6, 1, 6));
        assert_eq!((told[0].example, told[0].template), ("message 1", "text 4"));
    }
}
