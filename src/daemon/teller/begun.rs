//! How far alerts got that could not be written everywhere, so that no place gets one twice when they are tried again.

use std::collections::BTreeMap;

use crate::limits::OUTBOX_ALERTS_MAX;
use crate::pipeline::verdict::AlertId;

/// Where an alert has been written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// In the archive.
    pub archive: bool,
    /// In the file of the configuration, if there is one.
    pub file: bool,
    /// On the terminal and in the log.
    pub people: bool,
}

/// As many alerts as wait in the outbox: at [`OUTBOX_ALERTS_MAX`] the oldest is forgotten, which the outbox has dropped as well.
#[derive(Debug, Default)]
pub struct Begun {
    /// With the number under which each is in `by_age`.
    shown: BTreeMap<AlertId, (u64, Shown)>,
    by_age: BTreeMap<u64, AlertId>,
    next: u64,
}

impl Shown {
    /// It is done with.
    pub const EVERYWHERE: Self = Self { archive: true, file: true, people: true };
}

impl Begun {
    /// How far the alert got; nowhere when nothing is known of it.
    pub fn get(&self, id: AlertId) -> Shown {
        self.shown.get(&id).map_or_else(Shown::default, |(_, shown)| *shown)
    }

    /// The alert got so far.
    pub fn set(&mut self, id: AlertId, shown: Shown) {
        if let Some((_, known)) = self.shown.get_mut(&id) {
            *known = shown;
            return;
        }
        if self.shown.len() >= OUTBOX_ALERTS_MAX
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.shown.remove(&oldest);
        }
        self.shown.insert(id, (self.next, shown));
        self.by_age.insert(self.next, id);
        self.next += 1;
    }

    /// The alert is done with.
    pub fn remove(&mut self, id: AlertId) {
        if let Some((number, _)) = self.shown.remove(&id) {
            self.by_age.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEOPLE: Shown = Shown { archive: false, file: false, people: true };

    #[test]
    fn it_is_known_how_far_an_alert_got_until_it_is_done_with() {
        let mut begun = Begun::default();
        begun.set(AlertId(1), PEOPLE);
        begun.set(AlertId(1), Shown { file: true, ..PEOPLE });
        assert_eq!(begun.get(AlertId(1)), Shown { file: true, ..PEOPLE });
        begun.remove(AlertId(1));
        assert_eq!((begun.get(AlertId(1)), begun.by_age.len()), (Shown::default(), 0));
    }

    #[test]
    fn at_the_bound_the_oldest_is_forgotten() {
        let mut begun = Begun::default();
        for (id, first, size) in [
            (OUTBOX_ALERTS_MAX - 1, PEOPLE, OUTBOX_ALERTS_MAX - 1),
            (OUTBOX_ALERTS_MAX, PEOPLE, OUTBOX_ALERTS_MAX),
            (OUTBOX_ALERTS_MAX + 1, Shown::default(), OUTBOX_ALERTS_MAX),
        ] {
            (begun.next as usize + 1..=id).for_each(|id| begun.set(AlertId(id as u128), PEOPLE));
            assert_eq!((begun.get(AlertId(1)), begun.shown.len(), begun.by_age.len()), (first, size, size), "{id}");
        }
    }
}
