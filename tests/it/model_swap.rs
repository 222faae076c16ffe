//! Another model takes over while the daemon runs, while it is down, or in the middle of crashes: no alert is lost and none told twice;
//! a model file that is no good changes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use hdfs_vigil::model::contract::{Contract, vocabulary_sha256};
use hdfs_vigil::model::scorer::Scorer;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::synthetic_model::{SyntheticModel, library_missing, with_contract};
use crate::vigil::{Place, Vigil, append, model, pause, story_lines};

#[test]
fn the_same_model_under_another_name_loses_no_alert_and_tells_none_twice() {
    if library_missing() {
        return;
    }
    let place = place();
    let lines = story_lines(200);
    let (log, (first, rest)) = (place.logs().join("dn1.log"), lines.split_at(900));
    let (second, third) = rest.split_at(700);
    append(&log, first);
    let vigil = started(&place);
    place.wait_for("some alerts", |place| place.alerts().len() > 5);
    promote(&place, &renamed("hdfs-v2"));
    place.wait_for("the swap", |place| swaps(place) == 1);
    append(&log, second);
    place.wait_for("alerts of the new model", |place| place.alerts().iter().any(|alert| alert["model"] == "hdfs-v2"));
    let (code, said, complaint) = place.run(&["model", "rollback", "--config", "vigil.toml", "--config", "more.toml"]);
    assert_eq!(code, Some(0), "{complaint}");
    assert!(said.contains("model.onnx.previous passes every check: hdfs-v1"), "{said}");
    place.wait_for("the swap back", |place| swaps(place) == 2);
    append(&log, third);
    ends_as_if_undisturbed(&place, vigil);
    assert_eq!(fs::read(place.path("model.onnx")).unwrap(), fs::read(model()).unwrap());
    assert_eq!(fs::read(place.path("model.onnx.previous")).unwrap(), renamed("hdfs-v2"));
    assert_eq!(fs::read(place.path("state/model-previous.onnx")).unwrap(), renamed("hdfs-v2"));
    let said = place.said();
    assert!(said.lines().filter(|line| line.contains("was swapped")).all(|line| line.contains("sessions_ended=0")), "{said}");
    assert!(!said.contains("sessions_mapped=0"), "sessions were under way: {said}");
}

#[test]
fn a_file_that_is_no_good_leaves_the_old_model_in_place_and_is_told_of_once() {
    if library_missing() {
        return;
    }
    let place = place();
    let lines = story_lines(200);
    let (log, (first, second)) = (place.logs().join("dn1.log"), lines.split_at(1300));
    append(&log, first);
    let vigil = started(&place);
    let good = fs::read(model()).unwrap();
    let wrong_hash = changed(|json| json.replace(&contract().vocabulary_sha256.unwrap(), "00"));
    for (count, (bytes, reason)) in [
        (&good[..good.len() / 2], "no ONNX file that this ONNX Runtime can run"),
        (&wrong_hash, "vocabulary_sha256 is 00, must be"),
        (&not_a_number(), "the last of its vocabulary: model gave a number that is negative or not finite"),
        (&SyntheticModel::large().bytes(), "model has no golden windows"),
    ]
    .into_iter()
    .enumerate()
    {
        fs::write(place.path("model.onnx"), bytes).unwrap();
        place.wait_for(reason, |place| place.said().contains(reason));
        check_metrics(&place, &format!("hdfs_vigil_model_swaps_total{{result=\"refused\"}} {}", count + 1));
    }
    vigil.signal("HUP");
    check_metrics(&place, "hdfs_vigil_model_swaps_total{result=\"refused\"} 5");
    check_metrics(&place, "hdfs_vigil_model_info{model=\"hdfs-v1\",sha256=");
    fs::write(place.path("model.onnx"), &good).unwrap();
    vigil.signal("HUP");
    place.wait_for("the answer", |place| place.said().contains("holds the model that runs already"));
    append(&log, second);
    ends_as_if_undisturbed(&place, vigil);
    assert_eq!(swaps(&place), 0);
}

#[test]
fn what_the_next_model_does_not_know_ends_under_the_one_that_it_was_read_with() {
    if library_missing() {
        return;
    }
    let place = place();
    let lines = story_lines(200);
    let (log, (first, second)) = (place.logs().join("dn1.log"), lines.split_at(1300));
    append(&log, first);
    let vigil = started(&place);
    place.wait_for("some alerts", |place| place.alerts().len() > 5);
    let lesser = |json: &str| {
        let mut contract: Contract = serde_json::from_str(&json.replace("PacketResponder", "PacketForwarder")).unwrap();
        contract.vocabulary_sha256 = Some(vocabulary_sha256(&contract.profile));
        serde_json::to_string(&contract).unwrap()
    };
    promote(&place, &changed(lesser));
    place.wait_for("the swap", |place| swaps(place) == 1);
    let said = place.said();
    let swapped = said.lines().find(|line| line.contains("was swapped")).unwrap();
    assert!(!swapped.contains("sessions_ended=0"), "{swapped}");
    let before = place.alert_ids();
    assert!(before.is_subset(&place.undisturbed()), "stories broken off lack nothing: only what is wrong anyway is told");
    append(&log, second);
    place.wait_for("what is not known any more", |place| {
        place
            .alerts()
            .iter()
            .any(|alert| alert.to_string().contains("PacketResponder") && !alert.to_string().contains("resolved"))
    });
    assert!(vigil.stop().success());
    assert_eq!(place.alerts().len(), place.alert_ids().len(), "no alert is told twice");
}

#[test]
fn sessions_go_on_under_a_model_that_was_learnt_of_the_same_logs() {
    if library_missing() {
        return;
    }
    let place = place();
    let lines = story_lines(400);
    append(&place.path("normal.log"), &normal(&lines));
    let (code, _, complaint) = place.run(&["learn", "normal.log", "-o", "own.onnx", "--name", "own", "--epochs", "60"]);
    assert_eq!(code, Some(0), "{complaint}");
    let (log, (first, second)) = (place.logs().join("dn1.log"), lines.split_at(2600));
    append(&log, first);
    let vigil = started(&place);
    place.wait_for("some alerts", |place| place.alerts().len() > 5);
    promote(&place, &fs::read(place.path("own.onnx")).unwrap());
    place.wait_for("the swap", |place| swaps(place) == 1);
    assert!(place.said().contains("sessions_ended=0") && !place.said().contains("sessions_mapped=0"), "{}", place.said());
    append(&log, second);
    ends_as_if_undisturbed(&place, vigil);
    assert!(place.alerts().iter().any(|alert| alert["model"] == "own"), "the two models agree on what goes wrong");
}

#[test]
fn a_model_that_comes_while_the_daemon_is_down_takes_over_at_the_start() {
    if library_missing() {
        return;
    }
    let place = place();
    let lines = story_lines(200);
    let (log, (first, second)) = (place.logs().join("dn1.log"), lines.split_at(1300));
    append(&log, first);
    let vigil = started(&place);
    place.wait_for("some alerts", |place| place.alerts().len() > 5);
    assert!(vigil.stop().success());
    append(&log, second);
    promote(&place, &renamed("hdfs-v2"));
    let vigil = started(&place);
    place.wait_for("the swap", |place| swaps(place) == 1);
    ends_as_if_undisturbed(&place, vigil);
    assert!(place.said().contains("sessions_ended=0") && !place.said().contains("sessions_mapped=0"), "{}", place.said());
}

#[test]
fn a_start_with_a_broken_file_goes_on_with_the_model_that_ran() {
    if library_missing() {
        return;
    }
    let place = place();
    let lines = story_lines(200);
    let (log, (first, second)) = (place.logs().join("dn1.log"), lines.split_at(1300));
    append(&log, first);
    assert!(started(&place).stop().success());
    fs::write(place.path("model.onnx"), "not a model").unwrap();
    append(&log, second);
    let vigil = started(&place);
    assert!(place.said().contains("The model file is not used, and the model that runs goes on: model is no ONNX file"));
    ends_as_if_undisturbed(&place, vigil);
}

#[test]
fn swaps_and_kill_9_at_random_moments_change_no_alert() {
    if library_missing() {
        return;
    }
    let place = place();
    let lines = story_lines(400);
    let models = [renamed("hdfs-v2"), fs::read(model()).unwrap()];
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for (part, bytes) in lines.chunks(lines.len() / 12 + 1).zip(models.iter().cycle()) {
        append(&place.logs().join("dn1.log"), part);
        let vigil = place.start();
        pause(random.random_range(0..200));
        put(&place, bytes);
        pause(random.random_range(20..300));
        vigil.kill();
    }
    let expected = place.undisturbed();
    let vigil = place.start();
    place.wait_for("all alerts", |place| place.alert_ids() == expected);
    assert!(vigil.stop().success());
    assert_eq!(place.alert_ids(), expected);
    assert!(swaps(&place) > 0, "{}", place.said());
    assert!(!place.said().contains("there is no copy of that"), "{}", place.said());
}

#[test]
fn what_is_promoted_is_checked_before_anything_is_touched() {
    if library_missing() {
        return;
    }
    let place = place();
    let arguments = |file: &str| ["model", "promote", file, "--config", "vigil.toml", "--config", "more.toml"].map(str::to_owned);
    let run = |file: &str| place.run(&arguments(file).each_ref().map(String::as_str));
    fs::write(place.path("bad.onnx"), "not a model").unwrap();
    let (code, said, _) = run("bad.onnx");
    assert_eq!(code, Some(1));
    assert!(said.contains("broken  bad.onnx: model is no ONNX file"), "{said}");
    assert_eq!(fs::read(place.path("model.onnx")).unwrap(), fs::read(model()).unwrap());
    let (code, said, _) = run("model.onnx");
    assert_eq!(code, Some(0));
    assert!(said.contains("model.onnx holds this model already"), "{said}");
    assert!(!place.path("model.onnx.previous").exists());
    let (code, _, complaint) = place.run(&["model", "rollback", "--config", "vigil.toml", "--config", "more.toml"]);
    assert_eq!(code, Some(1));
    assert!(complaint.contains("there is no") && complaint.contains("state/model-previous.onnx`"), "{complaint}");
    let (code, _, complaint) = place.run(&["model", "promote", "model.onnx"]);
    assert_eq!(code, Some(1));
    assert!(
        complaint.contains("model.path is /usr/share/hdfs-vigil") && complaint.contains("a place of packages"),
        "{complaint}"
    );
}

/// The lines of blocks that nothing happens to, see [`story_lines`].
fn normal(lines: &[String]) -> Vec<String> {
    let goes_wrong = |block: &u64| block % 7 == 3 || block % 11 == 5;
    let wrong: BTreeSet<String> = (0..400).filter(goes_wrong).map(|block| format!("blk_{}", block * 7919 + 1)).collect();
    lines.iter().filter(|line| !line.split(' ').any(|word| wrong.contains(word))).cloned().collect()
}

/// A place whose model may be changed, with metrics.
fn place() -> Place {
    let place = Place::new("");
    fs::copy(model(), place.path("model.onnx")).unwrap();
    let path = place.path("model.onnx").display().to_string();
    place.configure(&format!("[model]\npath = {path:?}\n[http]\nlisten = \"127.0.0.1:0\"\n"));
    place
}

fn started(place: &Place) -> Vigil {
    let starts = |place: &Place| place.said().matches("Following the logs").count();
    let before = starts(place);
    let vigil = place.start();
    place.wait_for("the start", |place| starts(place) > before);
    vigil
}

fn promote(place: &Place, bytes: &[u8]) {
    fs::write(place.path("next.onnx"), bytes).unwrap();
    let (code, said, complaint) =
        place.run(&["model", "promote", "next.onnx", "--config", "vigil.toml", "--config", "more.toml"]);
    assert_eq!(code, Some(0), "{said}{complaint}");
    assert!(said.contains("model.onnx.previous") && said.contains("hdfs_vigil_model_info{model="), "{said}");
}

/// Replaces the model file without asking anybody.
fn put(place: &Place, bytes: &[u8]) {
    fs::write(place.path("put.onnx"), bytes).unwrap();
    fs::rename(place.path("put.onnx"), place.path("model.onnx")).unwrap();
}

fn swaps(place: &Place) -> usize {
    place.said().matches("The model was swapped.").count()
}

fn ends_as_if_undisturbed(place: &Place, vigil: Vigil) {
    let expected: BTreeSet<String> = place.undisturbed();
    place.wait_for("all alerts", |place| place.alert_ids() == expected);
    assert!(vigil.stop().success());
    assert_eq!(place.alerts().len(), expected.len(), "no alert is told twice");
}

fn check_metrics(place: &Place, expected: &str) {
    place.wait_for(expected, |place| {
        let said = place.said();
        let address = said.split("address=").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text.contains(expected)
    });
}

/// The shipped model under another name: another file that says the same.
fn renamed(name: &str) -> Vec<u8> {
    changed(|json| json.replace(r#""name":"hdfs-v1""#, &format!(r#""name":{name:?}"#)))
}

/// The shipped model with another contract.
fn changed(change: impl FnOnce(&str) -> String) -> Vec<u8> {
    let json = serde_json::to_string(&contract()).unwrap();
    let changed = change(&json);
    assert_ne!(json, changed);
    with_contract(fs::read(model()).unwrap(), &json, &changed)
}

fn contract() -> Contract {
    Scorer::load(Path::new(&model())).unwrap().contract().clone()
}

/// A model with a weight that is no number.
fn not_a_number() -> Vec<u8> {
    let model = SyntheticModel::tiny();
    let (mut bytes, weight) = (model.bytes(), model.weights.output.bias[6].to_le_bytes());
    let at = bytes.windows(4).position(|window| window == weight).unwrap();
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    bytes
}
