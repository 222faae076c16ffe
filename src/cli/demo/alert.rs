//! How the demo prints alerts: the first one of each kind of fault in full, the others in two lines.

use std::collections::BTreeSet;

use crate::cli::demo::fault::FaultKind;
use crate::cli::demo::judge::Meaning;
use crate::pipeline::verdict::AlertType;
use crate::sink::document::Document;
use crate::sink::terminal;

/// Remembers what was shown in full.
pub struct Printer {
    all_in_full: bool,
    colours: bool,
    /// Kinds of faults of which an alert was shown in full; `None` is a false alarm.
    shown: BTreeSet<Option<FaultKind>>,
}

impl Printer {
    /// Prints all alerts in full, or only the first one of each kind.
    pub fn new(all_in_full: bool, colours: bool) -> Self {
        Self { all_in_full, colours, shown: BTreeSet::new() }
    }

    /// The alert for people, the last line ended.
    pub fn render(&mut self, alert: &Document, meaning: Meaning) -> String {
        let is_new = alert.alert_type != AlertType::Resolved && self.shown.insert(kind(meaning));
        if is_new || self.all_in_full {
            terminal::render(alert, self.colours)
        } else {
            terminal::render_head(alert, self.colours)
        }
    }
}

/// Reads a line of the daemon's alerts file; `None` for what is no alert.
pub fn parse(line: &str) -> Option<Document> {
    serde_json::from_str(line).ok()
}

fn kind(meaning: Meaning) -> Option<FaultKind> {
    match meaning {
        Meaning::Caught(kind) | Meaning::Known(kind) | Meaning::Lost(kind) => Some(kind),
        Meaning::FalseAlarm | Meaning::Corrected => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::document::tests::example;

    #[test]
    fn the_first_alert_of_each_kind_is_shown_in_full() {
        let (missing, failed) = (Meaning::Caught(FaultKind::ReplicaMissing), Meaning::Caught(FaultKind::MirrorFailed));
        let meanings = [missing, missing, failed, Meaning::FalseAlarm, Meaning::FalseAlarm, failed];
        check(false, &meanings, &[true, false, true, true, false, false]);
        check(true, &meanings, &[true; 6]);
    }

    #[test]
    fn what_takes_an_alert_back_does_not_stand_for_it() {
        let mut printer = Printer::new(false, false);
        let resolved = Document { alert_type: AlertType::Resolved, ..example() };
        printer.render(&resolved, Meaning::Corrected);
        assert_eq!(printer.render(&example(), Meaning::FalseAlarm), terminal::render(&example(), false));
    }

    #[test]
    fn an_alert_is_read_back_as_it_was_written() {
        assert_eq!(parse(&example().to_json()), Some(example()));
        for line in [r#"{"type":"regime.changed","incident":"inc_1"}"#, "", "{", "[1]"] {
            assert!(parse(line).is_none(), "{line}");
        }
    }

    fn check(all_in_full: bool, meanings: &[Meaning], expected: &[bool]) {
        let mut printer = Printer::new(all_in_full, false);
        let in_full = meanings.iter().map(|meaning| printer.render(&example(), *meaning).contains("\n  The logs ("));
        assert_eq!(in_full.collect::<Vec<_>>(), expected, "{meanings:?}");
    }
}
