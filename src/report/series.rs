//! What is known of a stretch of log time, in columns that grow wider as the log grows longer.

use std::collections::BTreeMap;

use crate::limits::{REPORT_BARS_MAX, REPORT_COLUMNS_MAX};
use crate::pipeline::event::LogTime;

/// Parts of the scale of scores, logarithmic from [`SCORE_FROM`] to [`SCORE_TO`].
pub const SCORE_BINS: usize = 80;
/// Scores below are counted as this one, nats: a difference between them means nothing.
pub const SCORE_FROM: f64 = 0.001;
/// Scores above are counted as this one, nats; a model of 1,000 equally likely events says 6.9.
pub const SCORE_TO: f64 = 100.0;

/// How often scores fell into each part of their scale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// Scores in each part, shape `[SCORE_BINS]`.
    pub bins: [u64; SCORE_BINS],
}

impl Default for Histogram {
    fn default() -> Self {
        Self { bins: [0; SCORE_BINS] }
    }
}

impl Histogram {
    /// Counts a score, nats.
    pub fn add(&mut self, score: f32) {
        self.bins[bin(f64::from(score))] += 1;
    }

    /// All scores.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.bins.iter().sum()
    }

    /// The middle of the part of the scale under which `share` of the scores lie, nats; no number when there is none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        let wanted = (share * self.total() as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        let reached = self.bins.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        reached.map_or(f64::NAN, |bin| (edge(bin) * edge(bin + 1)).sqrt())
    }

    /// Counts those of another one too.
    pub fn merge(&mut self, other: &Self) {
        self.bins.iter_mut().zip(other.bins).for_each(|(mine, theirs)| *mine += theirs);
    }
}

/// The part of the scale that a score lies in.
fn bin(score: f64) -> usize {
    let place = (score.max(SCORE_FROM) / SCORE_FROM).ln() / (SCORE_TO / SCORE_FROM).ln();
    ((place * SCORE_BINS as f64) as usize).min(SCORE_BINS - 1)
}

/// Where a part of the scale begins, nats; `SCORE_BINS` says where the last one ends.
#[must_use]
pub fn edge(bin: usize) -> f64 {
    SCORE_FROM * (SCORE_TO / SCORE_FROM).powf(bin as f64 / SCORE_BINS as f64)
}

/// What is known of one stretch of log time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    /// Scores of the episodes judged in it, one each.
    pub scores: Histogram,
    /// Alarms under the fixed threshold, the plain moving average, and ours.
    pub alarms: [u64; 3],
    /// Where these three thresholds stood at its end, nats; `None` while nothing was judged.
    pub thresholds: Option<[f64; 3]>,
    /// The most memory that was measured in it, bytes; 0 when none was.
    pub rss_bytes: u64,
}

impl Column {
    /// Adds what comes after it.
    fn append(&mut self, later: &Self) {
        self.scores.merge(&later.scores);
        self.alarms.iter_mut().zip(later.alarms).for_each(|(mine, theirs)| *mine += theirs);
        self.thresholds = later.thresholds.or(self.thresholds);
        self.rss_bytes = self.rss_bytes.max(later.rss_bytes);
    }
}

/// Columns of equal width. As the log grows longer they are merged into wider ones, so that they span at most
/// [`REPORT_COLUMNS_MAX`] widths.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    width_millis: i64,
    columns: BTreeMap<i64, Column>,
}

impl Default for Series {
    fn default() -> Self {
        Self { width_millis: wider(0), columns: BTreeMap::new() }
    }
}

impl Series {
    /// The column of a log time.
    pub fn at(&mut self, time: LogTime) -> &mut Column {
        let (first, last) = self.ends().map_or((time.0, time.0), |(first, last)| (first.min(time.0), last.max(time.0)));
        while spans(first, last, self.width_millis) > REPORT_COLUMNS_MAX as i64 {
            self.widen();
        }
        self.columns.entry(time.0.div_euclid(self.width_millis)).or_default()
    }

    /// Length of a column, milliseconds.
    #[must_use]
    pub fn width_millis(&self) -> i64 {
        self.width_millis
    }

    /// Columns in which something is known, with the log time at which each begins, in order.
    pub fn columns(&self) -> impl Iterator<Item = (LogTime, &Column)> {
        self.columns.iter().map(|(index, column)| (LogTime(index * self.width_millis), column))
    }

    /// Length of a stretch that is some columns long and of which at most [`REPORT_BARS_MAX`] span the log, milliseconds: a minute, an
    /// hour, a day, ….
    #[must_use]
    pub fn period_millis(&self) -> i64 {
        let Some((first, last)) = self.ends() else { return self.width_millis };
        let mut period = self.width_millis;
        while spans(first, last, period) > REPORT_BARS_MAX as i64 {
            period = wider(period);
        }
        period
    }

    /// Forgets the alarms under ours, and memory: another run tells of them.
    pub(super) fn forget_ours(&mut self) {
        for column in self.columns.values_mut() {
            column.alarms[2] = 0;
            column.rss_bytes = 0;
        }
    }

    fn widen(&mut self) {
        let (narrow, wide) = (self.width_millis, wider(self.width_millis));
        self.width_millis = wide;
        for (index, column) in std::mem::take(&mut self.columns) {
            self.columns.entry((index * narrow).div_euclid(wide)).or_default().append(&column);
        }
    }

    fn ends(&self) -> Option<(i64, i64)> {
        let begin = |index: &i64| index * self.width_millis;
        Some((begin(self.columns.first_key_value()?.0), begin(self.columns.last_key_value()?.0)))
    }
}

/// How many stretches of `width` it takes from the one with `first` to the one with `last`.
fn spans(first: i64, last: i64, width: i64) -> i64 {
    last.div_euclid(width) - first.div_euclid(width) + 1
}

/// The next longer stretch: each is a whole number of the one before, so that columns can be merged.
fn wider(width_millis: i64) -> i64 {
    let named = LADDER_SECONDS.map(|seconds| seconds * 1000).into_iter().find(|width| *width > width_millis);
    named.unwrap_or_else(|| width_millis.saturating_mul(2))
}

/// Seconds, minutes, hours, days and weeks, as people count them.
const LADDER_SECONDS: [i64; 13] = [1, 5, 15, 60, 300, 900, 3600, 10_800, 21_600, 43_200, 86_400, 604_800, 2_419_200];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_of_the_ladder_is_a_whole_number_of_the_one_before() {
        let mut width = wider(0);
        for _ in 0..20 {
            assert_eq!(wider(width) % width, 0, "{width}");
            width = wider(width);
        }
    }

    #[test]
    fn scores_lie_between_the_edges_of_their_bin() {
        for score in [0.0, 0.001, 0.02, 1.0, 8.01, 99.9] {
            let bin = bin(score);
            let score = score.max(SCORE_FROM);
            assert!(edge(bin) <= score * 1.000_001 && score < edge(bin + 1) * 1.000_001, "{score} is not in {bin}");
        }
        assert_eq!((bin(1e30), bin(-1.0)), (SCORE_BINS - 1, 0));
    }

    #[test]
    fn columns_are_bounded_however_long_the_log_and_lose_nothing() {
        for step in [1, 1000, 977_000, 86_400_000 * 40] {
            let mut series = Series::default();
            for number in 0..5000_i64 {
                let column = series.at(LogTime(number * step - 7));
                column.scores.add(1.0);
                column.alarms[2] += 1;
                column.thresholds = Some([0.0, 0.0, number as f64]);
                column.rss_bytes = number as u64;
            }
            let columns: Vec<_> = series.columns().collect();
            assert!(columns.len() <= REPORT_COLUMNS_MAX, "{step}: {}", columns.len());
            assert_eq!(columns.iter().map(|(_, column)| column.scores.total()).sum::<u64>(), 5000, "{step}");
            assert_eq!(columns.iter().map(|(_, column)| column.alarms[2]).sum::<u64>(), 5000, "{step}");
            let last = columns.last().unwrap().1;
            assert_eq!((last.thresholds, last.rss_bytes), (Some([0.0, 0.0, 4999.0]), 4999), "{step}");
            let period = series.period_millis();
            let (first, last) = (columns[0].0.0, columns.last().unwrap().0.0);
            assert!(spans(first, last, period) <= REPORT_BARS_MAX as i64 && period % series.width_millis() == 0, "{step}");
        }
    }

    #[test]
    fn the_width_grows_only_past_the_bound() {
        let mut series = Series::default();
        series.at(LogTime(0));
        series.at(LogTime((REPORT_COLUMNS_MAX as i64 - 1) * 1000));
        assert_eq!(series.width_millis(), 1000);
        series.at(LogTime(REPORT_COLUMNS_MAX as i64 * 1000));
        assert_eq!(series.width_millis(), 5000);
    }

    #[test]
    fn a_late_time_before_all_others_has_its_place() {
        let mut series = Series::default();
        series.at(LogTime(1_000_000)).alarms[0] += 1;
        series.at(LogTime(-5_000_000)).alarms[0] += 1;
        assert_eq!(series.columns().map(|(_, column)| column.alarms[0]).sum::<u64>(), 2);
    }
}
