//! A model file that is damaged, foreign or dishonest is refused when it is loaded, with a word on what is wrong.

use std::fs::File;
use std::path::Path;

use hdfs_vigil::limits::MODEL_BYTES_MAX;
use hdfs_vigil::model::contract::METADATA_KEY;
use hdfs_vigil::model::scorer::Scorer;

use crate::synthetic_model::{SyntheticModel, library_missing, with_contract};

#[test]
fn a_good_file_is_taken_and_says_what_it_is() {
    if library_missing() {
        return;
    }
    let model = SyntheticModel::tiny();
    let (_directory, path) = model.file();
    let scorer = Scorer::load(&path).unwrap();
    assert_eq!(scorer.contract(), &model.contract);
    assert_eq!(scorer.bytes(), std::fs::metadata(&path).unwrap().len());
    assert_eq!(scorer.sha256().len(), 64);
}

#[test]
fn files_that_are_no_models_are_refused() {
    check(b"", "no ONNX file that this ONNX Runtime can run");
    check(b"2008-11-09 20:35:18 INFO dfs.DataNode: Receiving block", "no ONNX file that this ONNX Runtime can run");
    let good = SyntheticModel::large().bytes();
    check(&good[..good.len() / 2], "no ONNX file that this ONNX Runtime can run");
    check(&replaced(&good, METADATA_KEY, "something_"), "no metadata property hdfs_vigil; `hdfs-vigil learn` writes it");
}

#[test]
fn files_beyond_the_bound_are_refused_unread() {
    check_size(MODEL_BYTES_MAX - 1, "no ONNX file");
    check_size(MODEL_BYTES_MAX, "no ONNX file");
    check_size(MODEL_BYTES_MAX + 1, "model has 268435457 bytes or more, at most 268435456");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Scorer::load(Path::new("/no/such/model.onnx")).err().unwrap().to_string();
    assert_eq!(error, "read model /no/such/model.onnx: No such file or directory (os error 2)");
}

#[test]
fn a_contract_that_cannot_be_true_is_refused() {
    check_contract(
        |json| json.replace(r#""version":1"#, r#""version":9"#),
        "contract: version is 9, must be 1; train the model again",
    );
    check_contract(|json| json.replace(r#""depth":4"#, r#""depth":2"#), "contract: profile.drain.depth is 2, must be >= 3");
    check_contract(
        |json| json.replace(r#""masks":["#, r#""masks":["planet","#),
        "contract: profile.drain.masks is planet, must be one of block, ",
    );
    check_contract(|json| json.replace(r#""log_sd":0.25"#, r#""log_sd":null"#), "contract: invalid type: null");
    check_contract(|json| json.replace("Event 1 of <*>", ""), "contract: profile.vocabulary[1].text is empty");
    check_contract(|_| "{".to_owned(), "contract: EOF while parsing");
    check_contract(
        |json| json.replace(r#""training":"#, r#""vocabulary_sha256":"00","training":"#),
        "contract: vocabulary_sha256 is 00, must be ae7494",
    );
}

#[test]
fn a_graph_that_does_not_belong_to_its_contract_is_refused() {
    let good = SyntheticModel::tiny().bytes();
    check(&replaced(&good, "event_ids", "event_idz"), "model input event_ids is missing");
    check(&replaced(&good, "token_error", "token_fault"), "model output token_error is missing");
    check_contract(with_one_more_template, "model fails at token 10, the last of its vocabulary");
}

#[test]
fn golden_windows_that_score_otherwise_are_refused() {
    let golden = |change: fn(&mut SyntheticModel)| {
        let mut model = SyntheticModel::tiny();
        change(&mut model);
        model.bytes()
    };
    check(&golden(|model| model.contract.golden[1].score += 2e-4), "model golden[1]: score is ");
    check(
        &golden(|model| model.contract.golden[0].distance += 1.0),
        "model golden[0]: distance is 0, must be within 0.0001 of 1",
    );
    check(&golden(|model| model.weights.output.bias[6] += 0.01), "model golden[0]: score is ");
}

fn check(bytes: &[u8], expected: &str) {
    if library_missing() {
        return;
    }
    let error = Scorer::from_bytes(bytes).err().expect("the file is refused").to_string();
    assert!(error.contains(expected), "{error}");
}

fn check_size(bytes: u64, expected: &str) {
    if library_missing() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("large.onnx");
    // Sparse: it takes no room on the disk.
    File::create(&path).unwrap().set_len(bytes).unwrap();
    let error = Scorer::load(&path).err().expect("the file is refused").to_string();
    assert!(error.contains(expected), "{error}");
}

fn check_contract(change: impl FnOnce(&str) -> String, expected: &str) {
    let model = SyntheticModel::tiny();
    let json = serde_json::to_string(&model.contract).unwrap();
    let changed = change(&json);
    assert_ne!(json, changed);
    check(&with_contract(model.bytes(), &json, &changed), expected);
}

fn with_one_more_template(json: &str) -> String {
    let mut contract: hdfs_vigil::model::contract::Contract = serde_json::from_str(json).unwrap();
    let profile = &mut contract.profile;
    profile.vocabulary.push(profile.vocabulary[0].clone());
    profile.calibration.weights.push(1.0);
    serde_json::to_string(&contract).unwrap()
}

fn replaced(bytes: &[u8], old: &str, new: &str) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let mut bytes = bytes.to_vec();
    while let Some(at) = bytes.windows(old.len()).position(|part| part == old.as_bytes()) {
        bytes[at..at + old.len()].copy_from_slice(new.as_bytes());
    }
    bytes
}
