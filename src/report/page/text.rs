//! Text and tables of a page.

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::pipeline::event::LogTime;

/// A table of numbers: the first column names its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// What it shows.
    pub caption: String,
    /// One for each column.
    pub head: Vec<String>,
    /// Rows, shape `[rows, columns]`.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Writes it as HTML that scrolls by itself where it is wider than the page.
    pub(super) fn write(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "<div class=\"scroll\"><table>\n<caption>{}</caption>\n<thead><tr>", escaped(&self.caption))?;
        self.head.iter().try_for_each(|name| write!(out, "<th scope=\"col\">{}</th>", escaped(name)))?;
        writeln!(out, "</tr></thead>\n<tbody>")?;
        for row in &self.rows {
            out.push_str("<tr>");
            row.iter().try_for_each(|cell| write!(out, "<td>{}</td>", escaped(cell)))?;
            out.push_str("</tr>\n");
        }
        writeln!(out, "</tbody></table></div>")
    }
}

/// `text` as text of HTML, also between quotes: nothing in it is markup.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Nothing that XML cannot hold, and nothing that turns the order of what is read around.
            c if (c.is_control() && c != '\n' && c != '\t') || is_unseen(c) => escaped.push(char::REPLACEMENT_CHARACTER),
            c => escaped.push(c),
        }
    }
    escaped
}

fn is_unseen(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}')
}

/// Date and time to the second, of `zone`.
pub(super) fn civil(time: LogTime, zone: &TimeZone) -> String {
    let Ok(instant) = Timestamp::from_millisecond(time.0) else { return "?".to_owned() };
    zone.to_datetime(instant).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        assert_eq!(escaped("<script>\"&'\u{202e}\u{1b}[31m"), "&lt;script&gt;&quot;&amp;&#39;\u{fffd}\u{fffd}[31m");
    }

    #[test]
    fn times_are_of_the_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(civil(LogTime(1_226_264_178_000), &zone), "2008-11-09 22:56:18");
    }
}
