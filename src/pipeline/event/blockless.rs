//! Counts the records that name no block, by who wrote them and how serious they are.

use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};

use crate::limits::BLOCKLESS_LOGGERS_MAX;
use crate::pipeline::event::layout::Level;

/// Records that name no block, by logger and level.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blockless {
    loggers: HashMap<Box<[u8]>, Levels, FxBuildHasher>,
    /// Those of loggers beyond [`BLOCKLESS_LOGGERS_MAX`].
    others: Levels,
}

/// Records that name no block, of one logger and level.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Row {
    /// Who wrote them; `(others)` for those beyond [`BLOCKLESS_LOGGERS_MAX`].
    pub logger: String,
    /// How serious they call themselves.
    pub level: Level,
    /// How many, > 0.
    pub records: u64,
}

/// Counts in the order of [`Level::ALL`].
type Levels = [u64; Level::ALL.len()];

impl Blockless {
    /// Counts one record.
    pub fn count(&mut self, logger: &[u8], level: Level) {
        self.levels(logger)[level as usize] += 1;
    }

    /// Records of all loggers and levels.
    #[must_use]
    pub fn total(&self) -> u64 {
        Level::ALL.iter().map(|level| self.of_level(*level)).sum()
    }

    /// Records of one level.
    #[must_use]
    pub fn of_level(&self, level: Level) -> u64 {
        self.loggers.values().chain([&self.others]).map(|levels| levels[level as usize]).sum()
    }

    /// All counts, most records first.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let named = self.loggers.iter().map(|(logger, levels)| (String::from_utf8_lossy(logger).into_owned(), levels));
        let all = named.chain([("(others)".to_owned(), &self.others)]);
        let rows = all.flat_map(|(logger, levels)| {
            Level::ALL.map(|level| Row { logger: logger.clone(), level, records: levels[level as usize] })
        });
        let mut rows: Vec<Row> = rows.filter(|row| row.records > 0).collect();
        rows.sort_by(|a, b| b.records.cmp(&a.records).then_with(|| a.cmp(b)));
        rows
    }

    fn levels(&mut self, logger: &[u8]) -> &mut Levels {
        if !self.loggers.contains_key(logger) {
            if self.loggers.len() == BLOCKLESS_LOGGERS_MAX {
                return &mut self.others;
            }
            self.loggers.insert(logger.into(), Levels::default());
        }
        self.loggers.get_mut(logger).expect("it is there, or was put there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_counted_by_logger_and_level() {
        let mut blockless = Blockless::default();
        for (logger, level) in [("b", Level::Warn), ("a", Level::Info), ("b", Level::Warn), ("b", Level::Info)] {
            blockless.count(logger.as_bytes(), level);
        }
        let row = |logger: &str, level, records| Row { logger: logger.to_owned(), level, records };
        assert_eq!(blockless.rows(), [row("b", Level::Warn, 2), row("a", Level::Info, 1), row("b", Level::Info, 1)]);
        assert_eq!((blockless.total(), blockless.of_level(Level::Info)), (4, 2));
    }

    #[test]
    fn loggers_are_bounded_and_the_rest_is_counted_together() {
        for (loggers, others) in [(BLOCKLESS_LOGGERS_MAX - 1, 0), (BLOCKLESS_LOGGERS_MAX, 0), (BLOCKLESS_LOGGERS_MAX + 1, 1)] {
            let mut blockless = Blockless::default();
            (0..loggers).for_each(|logger| blockless.count(format!("logger{logger}").as_bytes(), Level::Info));
            assert_eq!(blockless.others.iter().sum::<u64>(), others, "{loggers} loggers");
            assert_eq!(blockless.total(), loggers as u64);
        }
    }
}
