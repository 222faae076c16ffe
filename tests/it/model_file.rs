//! A model file is what others can check and run: ONNX's own checker and Python's ONNX Runtime agree with it.

use std::path::Path;
use std::process::Command;

use hdfs_vigil::model::onnx;
use hdfs_vigil::pipeline::session::Window;
use serde_json::json;

use crate::synthetic_model::{SyntheticModel, library_missing, random_window};

#[test]
fn python_finds_it_valid_and_scores_the_same() {
    check_with_python(&SyntheticModel::tiny(), 4);
    check_with_python(&SyntheticModel::large(), 40);
}

#[test]
fn the_same_model_gives_the_same_bytes() {
    assert_eq!(SyntheticModel::large().bytes(), SyntheticModel::large().bytes());
}

#[test]
fn what_no_model_can_be_is_not_written() {
    check(|_| (), None);
    check(
        |model| model.weights.embedding.truncate(5),
        Some("embedding has 5 weights, must have 30"),
    );
    check(
        |model| model.weights.decoder.w_ih.push(0.0),
        Some("decoder.w_ih has 41 weights, must have 40"),
    );
    check(
        |model| model.weights.output.bias[3] = f32::NAN,
        Some("output.bias has a weight that is NaN, must be finite"),
    );
    check(|model| model.contract.version = 2, Some("version is 2, must be 1"));
    check(
        |model| model.contract.profile.calibration.patterns.clear(),
        Some("patterns is empty, must hold at least one"),
    );
    check(
        |model| model.contract.profile.calibration.weights[7] = -1.0,
        Some("weights is not all finite, must be finite and >= 0"),
    );
    check(
        |model| model.contract.profile.calibration.log_sd = f64::NAN,
        Some("log_sd is NaN, must be finite and >= 0"),
    );
    check(
        |model| model.contract.profile.calibration.ceiling = 0.5,
        Some("ceiling is 0.5, must be finite and >= the floor 1"),
    );
    check(
        |model| model.contract.profile.calibration.quantiles.truncate(100),
        Some("quantiles is 100 long, must be 101 long"),
    );
    check(
        |model| pattern(model).reverse(),
        Some("patterns[0] is unsorted, must be sorted by token"),
    );
    check(
        |model| pattern(model)[0].0.0 = 2,
        Some("patterns[0] is a count of token 2, must be of events"),
    );
    check(
        |model| model.contract.golden[0].tokens[0].0 = 9,
        Some("golden[0].tokens is [Token(9), "),
    );
    check(
        |model| model.contract.training.hidden = 0,
        Some("training.hidden is 0, must be 1..=1024"),
    );
}

#[test]
fn patterns_that_need_too_much_memory_are_not_written() {
    let mut model = SyntheticModel::tiny();
    let patterns = &mut model.contract.profile.calibration.patterns;
    let first = patterns[0].clone();
    patterns.extend((1..=4000).map(|count| {
        let mut pattern = first.clone();
        pattern.counts[0].1 = count;
        pattern
    }));
    let error = onnx::write(&model.contract, &model.weights).unwrap_err().to_string();
    assert!(error.contains("cells in the graph, at most 8388608; keep fewer"), "{error}");
}

fn check(change: impl FnOnce(&mut SyntheticModel), expected: Option<&str>) {
    let mut model = SyntheticModel::tiny();
    change(&mut model);
    let error = onnx::write(&model.contract, &model.weights)
        .err()
        .map(|error| error.to_string());
    match (&error, expected) {
        (Some(error), Some(expected)) => assert!(error.contains(expected), "{error}"),
        (error, expected) => assert_eq!(error.is_some(), expected.is_some(), "{error:?}"),
    }
}

fn pattern(model: &mut SyntheticModel) -> &mut Vec<(hdfs_vigil::pipeline::event::Token, u16)> {
    &mut model.contract.profile.calibration.patterns[0].counts
}

fn check_with_python(model: &SyntheticModel, templates: u16) {
    if library_missing() {
        return;
    }
    let (directory, path) = model.file();
    let windows: Vec<Window> = (1..=50).map(|seed| random_window(seed, seed as usize, templates)).collect();
    let scores = model
        .scorer()
        .score(&windows)
        .into_iter()
        .zip(&windows)
        .map(|(score, window)| {
            let score = score.unwrap();
            json!({ "tokens": window.tokens, "score": score.score, "distance": score.distance, "token_error": score.token_error })
        });
    let scores_path = directory.path().join("scores.json");
    std::fs::write(&scores_path, serde_json::to_vec(&scores.collect::<Vec<_>>()).unwrap()).unwrap();
    run_python(&path, &scores_path, "50 windows agree");
}

fn run_python(model: &Path, scores: &Path, expected: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/check_model.py");
    let run = Command::new("python3").arg(script).arg(model).arg(scores).output();
    let Ok(output) = run else {
        return skip("python3 does not run");
    };
    let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    match output.status.code() {
        Some(0) => assert!(printed.contains(expected), "{printed}"),
        Some(77) => skip(&printed),
        code => panic!("exit code {code:?}: {printed}"),
    }
}

fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    println!("skipped: {why}");
}
