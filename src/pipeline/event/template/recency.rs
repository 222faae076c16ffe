//! The order in which templates were used last, as a list through their slots: using one, and finding the oldest, take no search.

/// Which slot was used when, and which were used since a look was taken.
#[derive(Clone, Debug, Default)]
pub struct Recency {
    links: Vec<Link>,
    newest: Option<u32>,
    oldest: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Link {
    newer: Option<u32>,
    older: Option<u32>,
    /// Used since [`Recency::take_used`]. Such slots are the newest ones.
    used: bool,
}

impl Recency {
    /// Adds a slot as the newest.
    pub fn add(&mut self, slot: u32) {
        let length = self.links.len().max(slot as usize + 1);
        self.links.resize(length, Link::default());
        self.link_newest(slot);
    }

    /// Makes a slot the newest.
    pub fn touch(&mut self, slot: u32) {
        if self.newest == Some(slot) {
            self.links[slot as usize].used = true;
            return;
        }
        self.remove(slot);
        self.link_newest(slot);
    }

    /// Takes a slot out.
    pub fn remove(&mut self, slot: u32) {
        let Link { newer, older, .. } = self.links[slot as usize];
        match newer {
            Some(newer) => self.links[newer as usize].older = older,
            None => self.newest = older,
        }
        match older {
            Some(older) => self.links[older as usize].newer = newer,
            None => self.oldest = newer,
        }
    }

    /// The slot that was not used for longest.
    #[must_use]
    pub fn oldest(&self) -> Option<u32> {
        self.oldest
    }

    /// All slots, the newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = u32> {
        std::iter::successors(self.newest, |slot| self.links[*slot as usize].older)
    }

    /// The slots used since this was called last, the oldest first.
    pub fn take_used(&mut self) -> Vec<u32> {
        let mut used: Vec<u32> = self.newest_first().take_while(|slot| self.links[*slot as usize].used).collect();
        used.reverse();
        for slot in &used {
            self.links[*slot as usize].used = false;
        }
        used
    }

    fn link_newest(&mut self, slot: u32) {
        self.links[slot as usize] = Link { newer: None, older: self.newest, used: true };
        match self.newest {
            Some(newest) => self.links[newest as usize].newer = Some(slot),
            None => self.oldest = Some(slot),
        }
        self.newest = Some(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_last_uses() {
        let mut recency = Recency::default();
        (0..4).for_each(|slot| recency.add(slot));
        check(&mut recency, &[0, 1, 2, 3], &[0, 1, 2, 3]);
        [1, 1, 0, 3, 3].into_iter().for_each(|slot| recency.touch(slot));
        check(&mut recency, &[2, 1, 0, 3], &[1, 0, 3]);
        recency.remove(2);
        recency.remove(0);
        recency.touch(3);
        check(&mut recency, &[1, 3], &[3]);
        recency.remove(3);
        recency.add(0);
        check(&mut recency, &[1, 0], &[0]);
        recency.remove(1);
        recency.remove(0);
        check(&mut recency, &[], &[]);
        recency.add(2);
        check(&mut recency, &[2], &[2]);
    }

    fn check(recency: &mut Recency, order: &[u32], used: &[u32]) {
        let mut found: Vec<u32> = recency.newest_first().collect();
        found.reverse();
        assert_eq!(found, order);
        assert_eq!(recency.oldest(), order.first().copied());
        assert_eq!(recency.take_used(), used);
        assert!(recency.take_used().is_empty());
    }
}
