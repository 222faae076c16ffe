//! A score is a function of the window and the model: not of padding, of batch mates, of memory, of what else goes wrong.

use hdfs_vigil::limits::{BATCH_WINDOWS_MAX, WINDOW_STEPS_MAX};
use hdfs_vigil::model::scorer::ScoreError;
use hdfs_vigil::pipeline::session::{Score, Window};

use crate::synthetic_model::{SyntheticModel, library_missing, random_window, window};

#[test]
fn scores_are_those_of_the_definitions() {
    let windows = [
        [2, 6, 7, 7, 8].as_slice(),
        &[2, 6, 8],
        &[3, 8],
        &[2],
        &[2, 9, 1],
        &[4, 7, 7, 7, 7, 1, 1],
        &[2, 7, 7, 7, 7, 7, 7],
    ];
    check_by_hand(&SyntheticModel::tiny(), &windows.map(window));
    let long = (1..=40)
        .map(|seed| random_window(seed, 1 + seed as usize, 40))
        .collect::<Vec<_>>();
    check_by_hand(&SyntheticModel::large(), &long);
}

#[test]
fn distance_is_zero_exactly_for_a_normal_story() {
    if library_missing() {
        return;
    }
    let mut scorer = SyntheticModel::tiny().scorer();
    for story in [
        [2, 6, 7, 7, 8].as_slice(),
        &[2, 7, 8, 6, 7],
        &[2, 6, 8],
        &[3, 8],
        &[4, 7, 7],
        &[3, 9, 9, 9, 7],
        &[2],
        &[3],
    ] {
        assert_eq!(scorer.score(&[window(story)]).remove(0).unwrap().distance, 0.0, "{story:?}");
    }
}

#[test]
fn padding_and_batch_mates_change_no_bit() {
    if library_missing() {
        return;
    }
    let model = SyntheticModel::large();
    let windows: Vec<Window> = (1..=3 * BATCH_WINDOWS_MAX as u32)
        .map(|seed| random_window(seed, length(seed), 40))
        .collect();
    let together = model.scorer().score(&windows);
    let mut alone = model.scorer();
    for (window, together) in windows.iter().zip(together) {
        assert_eq!(
            alone.score(std::slice::from_ref(window)),
            [together],
            "{} steps",
            window.tokens.len()
        );
    }
}

#[test]
fn what_is_remembered_scores_the_same_and_is_counted() {
    if library_missing() {
        return;
    }
    let mut scorer = SyntheticModel::large().scorer();
    let windows = [window(&[2, 6]), window(&[2, 7]), window(&[2, 6])];
    let (before, first) = (scorer.remembered_total(), scorer.score(&windows));
    assert_eq!(
        (scorer.remembered_total() - before, scorer.remembered_windows()),
        (1, 2),
        "the third is the first"
    );
    assert_eq!(first, scorer.score(&windows));
    assert_eq!((scorer.remembered_total() - before, scorer.remembered_windows()), (4, 2));
    assert_eq!(first[0], first[2]);
    assert_ne!(first[0], first[1]);
}

#[test]
fn windows_that_no_model_must_see_are_refused_one_by_one() {
    let refused: [&[u16]; 9] = [&[], &[6], &[0], &[1], &[5], &[2, 10], &[2, 6, 0], &[2, 5], &[2, u16::MAX]];
    refused.into_iter().for_each(|tokens| check_refused(window(tokens)));
    check_refused(random_window(1, WINDOW_STEPS_MAX + 1, 4));
    check_taken(random_window(1, WINDOW_STEPS_MAX, 4));
    check_taken(random_window(1, WINDOW_STEPS_MAX - 1, 4));
    check_taken(window(&[2, 9]));
}

#[test]
fn a_number_that_is_not_finite_costs_its_window_only() {
    if library_missing() {
        return;
    }
    let mut model = SyntheticModel::tiny();
    model.contract.profile.calibration.weights[8] = f32::MAX;
    let mut scorer = model.scorer();
    let scores = scorer.score(&[window(&[2, 6, 8]), window(&[2, 6, 8, 8, 8]), window(&[3, 6])]);
    assert_eq!(scores[1], Err(ScoreError::NotFinite));
    assert!(scores[0].is_ok() && scores[2].is_ok(), "{scores:?}");
}

#[test]
fn nothing_asked_is_nothing_answered() {
    if !library_missing() {
        assert_eq!(SyntheticModel::tiny().scorer().score(&[]), []);
    }
}

fn check_by_hand(model: &SyntheticModel, windows: &[Window]) {
    if library_missing() {
        return;
    }
    for (window, score) in windows.iter().zip(model.scorer().score(windows)) {
        let (score, expected) = (score.unwrap(), model.by_hand(window));
        let differences = all(&score).zip(all(&expected)).map(|(a, b)| (a - b).abs());
        let worst = differences.fold(0.0, f32::max);
        assert!(
            worst < 2e-5 && all(&score).count() == all(&expected).count(),
            "{worst}: {score:?}, must be {expected:?}"
        );
    }
}

fn all(score: &Score) -> impl Iterator<Item = f32> {
    [score.score, score.distance]
        .into_iter()
        .chain(score.token_error.iter().copied())
}

fn check_refused(refused: Window) {
    check(&refused, |score| matches!(score, Err(ScoreError::Window { .. })));
}

fn check_taken(taken: Window) {
    check(&taken, Result::is_ok);
}

fn check(odd: &Window, expected: impl Fn(&Result<Score, ScoreError>) -> bool) {
    if library_missing() {
        return;
    }
    let mut scorer = SyntheticModel::tiny().scorer();
    let scores = scorer.score(&[window(&[2, 6]), odd.clone(), window(&[3, 7, 7])]);
    assert!(expected(&scores[1]), "{odd:?}: {:?}", scores[1]);
    assert!(scores[0].is_ok() && scores[2].is_ok(), "neighbours have their scores");
}

/// Mostly short, as blocks are, with every length up to the bound among them.
fn length(seed: u32) -> usize {
    let steps = seed as usize * 37;
    if seed.is_multiple_of(3) {
        1 + steps % WINDOW_STEPS_MAX
    } else {
        1 + steps % 30
    }
}
