//! Cuts windows into batches that waste little on padding and fit into the memory set aside for one inference.

use crate::limits::{BATCH_WINDOWS_MAX, INFERENCE_LOGITS_MAX};
use crate::pipeline::event::Token;

/// Batches of windows, shortest first, none empty. `tokens` is the size of the vocabulary.
pub fn batches(mut windows: Vec<&[Token]>, tokens: usize) -> Vec<Vec<&[Token]>> {
    windows.sort_by_key(|window| window.len());
    let mut batches: Vec<Vec<&[Token]>> = vec![];
    for window in windows {
        match batches.last_mut() {
            Some(batch) if fits(batch, window.len(), tokens) => batch.push(window),
            _ => batches.push(vec![window]),
        }
    }
    batches
}

/// Whether a window that is at least as long as all in the batch may join it.
fn fits(batch: &[&[Token]], steps: usize, tokens: usize) -> bool {
    let shortest = batch.first().map_or(steps, |window| window.len());
    let little_waste = steps <= shortest + shortest / 4 + 4;
    let windows = batch.len() + 1;
    windows <= BATCH_WINDOWS_MAX && windows * steps * tokens <= INFERENCE_LOGITS_MAX && little_waste
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{VOCABULARY_MAX, WINDOW_STEPS_MAX};

    #[test]
    fn cuts_where_a_batch_is_full() {
        check(&[5; BATCH_WINDOWS_MAX - 1], 40, &[BATCH_WINDOWS_MAX - 1]);
        check(&[5; BATCH_WINDOWS_MAX], 40, &[BATCH_WINDOWS_MAX]);
        check(&[5; BATCH_WINDOWS_MAX + 1], 40, &[BATCH_WINDOWS_MAX, 1]);
    }

    #[test]
    fn cuts_where_padding_would_be_wasted() {
        check(&[], 40, &[]);
        check(&[1, 5, 6], 40, &[2, 1]);
        check(&[25, 20, 29], 40, &[3]);
        check(&[30, 20, 29], 40, &[2, 1]);
    }

    #[test]
    fn cuts_where_memory_would_run_out() {
        let windows_max = INFERENCE_LOGITS_MAX / (WINDOW_STEPS_MAX * VOCABULARY_MAX);
        check(&vec![WINDOW_STEPS_MAX; windows_max], VOCABULARY_MAX, &[windows_max]);
        check(&vec![WINDOW_STEPS_MAX; windows_max + 1], VOCABULARY_MAX, &[windows_max, 1]);
    }

    fn check(lengths: &[usize], tokens: usize, expected: &[usize]) {
        let windows: Vec<Vec<Token>> = lengths.iter().map(|&length| vec![Token(6); length]).collect();
        let sizes: Vec<usize> = batches(windows.iter().map(Vec::as_slice).collect(), tokens)
            .iter()
            .map(Vec::len)
            .collect();
        assert_eq!(sizes, expected);
    }
}
