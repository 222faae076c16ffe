//! `hdfs-vigil model` tells people what a model file is, and whether it keeps its word.

use std::path::Path;

use clap::Parser;
use hdfs_vigil::cli::model::{ModelArgs, Outcome, run};

use crate::synthetic_model::{SyntheticModel, library_missing};

#[test]
fn inspect_shows_what_the_file_says() {
    let model = SyntheticModel::tiny();
    check(
        &model,
        &["inspect"],
        Outcome::Kept,
        &[
            "name    synthetic",
            "scope   logs of all hosts joined",
            "drain   depth 4, similarity 0.5, at most 100 children, masks: block",
            "vocabulary, 4 templates",
            "  begins                       Event 0 of <*>",
            "  score      median 2.000, 90 % 2.800, 99 % 2.980, highest 3.000 nats (an unknown event: 20)",
            "  threshold  3.489 nats at first (3 standard deviations of the logarithm), within 1..=19",
            "  distance   at most 0.5 from one of 5 normal count patterns",
            "  network    embedding 3, hidden 2, latent 2",
            "  loss       2.5000 nats a token after epoch 1, 1.2500 after epoch 2",
            "2 golden windows, reproduced",
        ],
    );
}

#[test]
fn inspect_gives_all_of_it_as_json() {
    let model = SyntheticModel::tiny();
    let Some((_, printed)) = ran(&model, &["inspect", "--json"]) else {
        return;
    };
    let json: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let contract: hdfs_vigil::model::contract::Contract = serde_json::from_value(json["contract"].clone()).unwrap();
    assert_eq!(contract, model.contract);
    assert_eq!(json["bytes"], model.bytes().len());
}

#[test]
fn check_says_line_by_line_what_holds() {
    check(
        &SyntheticModel::tiny(),
        &["check"],
        Outcome::Kept,
        &[
            "ok      graph: ONNX Runtime runs it",
            "ok      contract: version, vocabulary, Drain, calibration, training",
            "ok      inputs and outputs: names and types",
            "ok      vocabulary: the graph takes its last token",
            "ok      golden windows: 2 scores reproduced",
            "ok      finite on a window of one step",
            "ok      finite on the longest window",
            "ok      finite on unknown events only",
            "ok      a padded batch scores as its windows do alone",
            "model.onnx keeps its contract",
        ],
    );
    check(
        &SyntheticModel::large(),
        &["check"],
        Outcome::Broken,
        &[
            "broken  golden windows: none",
            "ok      a padded batch scores as its windows do alone",
            "model.onnx breaks its contract, see above",
        ],
    );
}

#[test]
fn check_says_what_is_broken() {
    let mut model = SyntheticModel::tiny();
    model.contract.golden[0].score += 1.0;
    check(
        &model,
        &["check"],
        Outcome::Broken,
        &["ok      vocabulary", "model.onnx: model golden[0]: score is"],
    );
    let mut model = SyntheticModel::tiny();
    model.contract.profile.calibration.weights[1] = f32::MAX;
    check(
        &model,
        &["check"],
        Outcome::Broken,
        &["broken  finite on unknown events only: model gave a number that is negative"],
    );
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_and_no_verdict() {
    if library_missing() {
        return;
    }
    let error = run(&parsed(&["check"], Path::new("/no/such/model.onnx")), &mut vec![]).unwrap_err();
    assert!(error.to_string().contains("read model /no/such/model.onnx"), "{error}");
}

fn check(model: &SyntheticModel, command: &[&str], expected: Outcome, lines: &[&str]) {
    let Some((outcome, printed)) = ran(model, command) else {
        return;
    };
    assert_eq!(outcome, expected, "{printed}");
    for line in lines {
        assert!(printed.contains(line), "no {line:?} in\n{printed}");
    }
}

fn ran(model: &SyntheticModel, command: &[&str]) -> Option<(Outcome, String)> {
    if library_missing() {
        return None;
    }
    let (_directory, path) = model.file();
    let mut out = vec![];
    let outcome = run(&parsed(command, &path), &mut out).unwrap();
    Some((outcome, String::from_utf8(out).unwrap()))
}

fn parsed(command: &[&str], path: &Path) -> ModelArgs {
    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: ModelArgs,
    }
    Command::parse_from(["model"].iter().chain(command).map(AsRef::as_ref).chain([path.as_os_str()])).args
}
