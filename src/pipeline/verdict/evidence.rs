//! Chooses the records of an episode that an alert quotes, and those that are only read again, for what they say of the block's replicas.

use std::collections::BTreeMap;

use crate::limits::{ALERT_POSITIONS_MAX, EVIDENCE_POSITIONS_MAX};
use crate::pipeline::event::{Position, TemplateId, Token};
use crate::pipeline::session::{Case, Score, SessionEvent};
use crate::pipeline::verdict::{Deviation, ShownEvent};

/// The records behind an alert on a block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Records {
    /// Those quoted, in log order, at most [`ALERT_POSITIONS_MAX`].
    pub events: Vec<ShownEvent>,
    /// What `events` name by index.
    pub templates: Vec<String>,
    /// Those only read again, in log order, at most [`EVIDENCE_POSITIONS_MAX`].
    pub evidence: Vec<Position>,
}

impl Records {
    /// Quotes what shows the deviations, what names the block's file, and the earliest events. `text` gives the text of an event's
    /// template.
    #[must_use]
    pub fn new(case: &Case, score: &Score, deviations: &[Deviation], text: impl Fn(&SessionEvent) -> String) -> Self {
        let mut texts = BTreeMap::new();
        for event in &case.events {
            texts.entry(kind(event)).or_insert_with(|| text(event));
        }
        let named = case.events.iter().find(|event| names_file(&texts[&kind(event)])).map(|event| event.position);
        let telling = deviations.iter().filter_map(|deviation| deviation.position).chain(named);
        let positions = with_earliest(case, telling.collect());
        let mut records = Self::default();
        for (index, event) in case.events.iter().enumerate() {
            let text = &texts[&kind(event)];
            if positions.contains(&event.position) {
                records.quote(event.position, text, score.event_error(index));
            } else if confirms_replica(text) && records.evidence.len() < EVIDENCE_POSITIONS_MAX {
                records.evidence.push(event.position);
            }
        }
        records
    }

    fn quote(&mut self, position: Position, text: &str, nats: f32) {
        if self.events.last().is_some_and(|event| event.position == position) {
            return;
        }
        let known = self.templates.iter().position(|known| known == text);
        let template = known.unwrap_or_else(|| {
            self.templates.push(text.to_owned());
            self.templates.len() - 1
        });
        let template = u16::try_from(template).expect("a session has fewer events than u16 counts, as limits.rs asserts");
        self.events.push(ShownEvent { position, template, nats });
    }
}

/// The earliest records of an episode, in log order, at most [`ALERT_POSITIONS_MAX`].
#[must_use]
pub fn earliest(case: &Case) -> Vec<Position> {
    with_earliest(case, Vec::new())
}

/// Whether a sentence says which file the block was allocated for, in the words of 2008 or of Hadoop 2 and 3.
#[must_use]
pub fn names_file(template: &str) -> bool {
    template.contains("allocateBlock:") || (template.contains("BLOCK* allocate ") && template.contains(" for "))
}

/// Whether a sentence is the NameNode's word that it knows of one more replica, in the words of 2008 or of Hadoop 2 and 3.
#[must_use]
pub fn confirms_replica(sentence: &str) -> bool {
    sentence.contains("addStoredBlock: ") && sentence.contains("is added to")
}

/// `telling` and the earliest records besides, in log order.
fn with_earliest(case: &Case, telling: Vec<Position>) -> Vec<Position> {
    let mut wanted = telling;
    for event in &case.events {
        if wanted.len() >= ALERT_POSITIONS_MAX {
            break;
        }
        if !wanted.contains(&event.position) {
            wanted.push(event.position);
        }
    }
    let mut ordered: Vec<Position> = case.events.iter().map(|event| event.position).filter(|p| wanted.contains(p)).collect();
    ordered.dedup();
    ordered.truncate(ALERT_POSITIONS_MAX);
    ordered
}

fn kind(event: &SessionEvent) -> (Token, TemplateId) {
    (event.token, event.template)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::event::SourceId;
    use crate::pipeline::session::tests::case;
    use crate::pipeline::verdict::DeviationKind;

    const STORED: &str = "BLOCK* addStoredBlock: <*> is added to <*> (size=<*>)";
    const ALLOCATED: &str = "BLOCK* allocate <*>, replicas=<*> for <*>";

    #[test]
    fn each_quoted_record_has_its_template_and_its_error() {
        let records = records(&["write", STORED, "write"], None);
        let told: Vec<_> = records.events.iter().map(|event| (event.position.offset, event.template, event.nats)).collect();
        assert_eq!(told, [(0, 0, 0.0), (1, 1, 1.0), (2, 0, 2.0)]);
        assert_eq!(records.templates, ["write", STORED]);
        assert!(records.evidence.is_empty());
    }

    #[test]
    fn what_names_the_file_and_what_departs_is_quoted_however_late_it_comes() {
        let mut sentences = vec!["read"; 100];
        (sentences[60], sentences[70], sentences[80]) = ("broken", ALLOCATED, ALLOCATED);
        let quoted: Vec<_> = records(&sentences, Some(60)).events.iter().map(|event| event.position.offset).collect();
        assert_eq!(quoted, (0..ALERT_POSITIONS_MAX as u64 - 2).chain([60, 70]).collect::<Vec<_>>());
    }

    #[test]
    fn confirmed_replicas_that_are_not_quoted_are_evidence_up_to_the_bound() {
        for (more, expected) in [
            (EVIDENCE_POSITIONS_MAX - 1, EVIDENCE_POSITIONS_MAX - 1),
            (EVIDENCE_POSITIONS_MAX, EVIDENCE_POSITIONS_MAX),
            (EVIDENCE_POSITIONS_MAX + 1, EVIDENCE_POSITIONS_MAX),
        ] {
            let records = records(&vec![STORED; ALERT_POSITIONS_MAX + more], None);
            assert_eq!((records.events.len(), records.evidence.len()), (ALERT_POSITIONS_MAX, expected), "{more}");
            assert_eq!(records.evidence[0].offset, ALERT_POSITIONS_MAX as u64);
        }
    }

    #[test]
    fn the_sentences_of_each_era_are_known() {
        for (template, file, replica) in [
            ("<*>BLOCK* NameSystem<*>allocateBlock:<*>", true, false),
            (ALLOCATED, true, false),
            ("<*>BLOCK* NameSystem<*>addStoredBlock: blockMap updated:<*>is added to<*>size<*>", false, true),
            (STORED, false, true),
            ("<*>BLOCK* NameSystem<*>addStoredBlock: Redundant addStoredBlock request received for<*>on<*>size<*>", false, false),
            ("<*>BLOCK* NameSystem<*>delete:<*>is added to invalidSet of<*>", false, false),
            ("<*>Received block<*>of size<*>from<*>", false, false),
        ] {
            assert_eq!((names_file(template), confirms_replica(template)), (file, replica), "{template}");
        }
    }

    /// The records of an episode that says `sentences`; the error of event n is n, and `departs` is the event that departs.
    fn records(sentences: &[&str], departs: Option<u64>) -> Records {
        let position = |offset: u64| Position { source: SourceId(0), offset, length: 0 };
        let number = |sentence: &str| sentences.iter().position(|other| *other == sentence).unwrap() as u32;
        let event = |(offset, sentence): (u64, &&str)| SessionEvent {
            position: position(offset),
            template: TemplateId(number(sentence)),
            token: Token(6),
            grave: false,
        };
        let case = Case { events: (0..).zip(sentences).map(event).collect(), ..case(&[]) };
        let token_error = (0..=sentences.len()).map(|index| index as f32).collect();
        let score = Score { score: 9.0, distance: 1.0, token_error };
        let deviations: Vec<Deviation> = departs.into_iter().map(|offset| deviation(position(offset))).collect();
        Records::new(&case, &score, &deviations, |event| sentences[event.template.0 as usize].to_owned())
    }

    fn deviation(position: Position) -> Deviation {
        let (kind, template) = (DeviationKind::Unknown, "broken".to_owned());
        Deviation { kind, template, count: 1, expected: 0, seen: 1, nats: 9.0, position: Some(position) }
    }
}
