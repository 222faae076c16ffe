//! Another model takes over while the daemon runs, while it is down, or in the middle of crashes: no alert is lost and none told twice;
//! a model file that is no good changes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hdfs_vigil::model::contract::Contract;
use hdfs_vigil::model::scorer::Scorer;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::synthetic_model::{SyntheticModel, library_missing, with_contract};
use crate::vigil::{Place, Vigil, append, model, pause, story_lines};

#[test]
fn the_same_model_under_another_name_loses_no_alert_and_tells_none_twice() {
    let Some(place) = place() else { return };
    let lines = story_lines(200);
    let (log, (first, rest)) = (log(&place), lines.split_at(900));
    let (second, third) = rest.split_at(700);
    append(&log, first);
    let vigil = started(&place);
    place.wait_for("some alerts", |place| place.alerts().len() > 5);
    promote(&place, &renamed("hdfs-v2"));
    place.wait_for("the swap", |place| swaps(place) == 1);
    append(&log, second);
    place.wait_for("alerts of the new model", |place| place.alerts().iter().any(|alert| alert["model"] == "hdfs-v2"));
    let (code, said, complaint) = run_model(&place, &["rollback"]);
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
    let Some(place) = place() else { return };
    let (vigil, rest) = half_way(&place);
    let good = fs::read(model()).unwrap();
    let wrong_hash = changed(|json| json.replace(r#","training":"#, r#","vocabulary_sha256":"00","training":"#));
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
    append(&log(&place), &rest);
    ends_as_if_undisturbed(&place, vigil);
    assert_eq!(swaps(&place), 0);
}

#[test]
fn what_the_next_model_does_not_know_ends_under_the_one_that_it_was_read_with() {
    let Some(place) = place() else { return };
    let (vigil, rest) = half_way(&place);
    place.wait_for("some alerts", |place| place.alerts().len() > 5);
    promote(&place, &changed(|json| json.replace("PacketResponder", "PacketForwarder")));
    place.wait_for("the swap", |place| swaps(place) == 1);
    let said = place.said();
    let swapped = said.lines().find(|line| line.contains("was swapped")).unwrap();
    assert!(!swapped.contains("sessions_ended=0"), "{swapped}");
    let before = place.alert_ids();
    assert!(before.is_subset(&place.undisturbed()), "stories broken off lack nothing: only what is wrong anyway is told");
    append(&log(&place), &rest);
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
    let Some(place) = place() else { return };
    let lines = story_lines(400);
    append(&place.path("normal.log"), &normal(&lines));
    let (code, _, complaint) = place.run(&["learn", "normal.log", "-o", "own.onnx", "--name", "own", "--epochs", "60"]);
    assert_eq!(code, Some(0), "{complaint}");
    let (log, (first, second)) = (log(&place), lines.split_at(2600));
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
    let Some(place) = place() else { return };
    let (vigil, rest) = half_way(&place);
    place.wait_for("some alerts", |place| place.alerts().len() > 5);
    assert!(vigil.stop().success());
    append(&log(&place), &rest);
    promote(&place, &renamed("hdfs-v2"));
    let vigil = started(&place);
    place.wait_for("the swap", |place| swaps(place) == 1);
    ends_as_if_undisturbed(&place, vigil);
    assert!(place.said().contains("sessions_ended=0") && !place.said().contains("sessions_mapped=0"), "{}", place.said());
}

#[test]
fn a_start_with_a_broken_file_goes_on_with_the_model_that_ran() {
    let Some(place) = place() else { return };
    let (vigil, rest) = half_way(&place);
    assert!(vigil.stop().success());
    fs::write(place.path("model.onnx"), "not a model").unwrap();
    append(&log(&place), &rest);
    let vigil = started(&place);
    assert!(place.said().contains("The model file is not used, and the model that runs goes on: model is no ONNX file"));
    ends_as_if_undisturbed(&place, vigil);
}

#[test]
fn swaps_and_kill_9_at_random_moments_change_no_alert() {
    let Some(place) = place() else { return };
    let lines = story_lines(400);
    let models = [renamed("hdfs-v2"), fs::read(model()).unwrap()];
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for (part, bytes) in lines.chunks(lines.len() / 12 + 1).zip(models.iter().cycle()) {
        append(&log(&place), part);
        let vigil = place.start();
        pause(random.random_range(0..200));
        put(&place, bytes);
        pause(random.random_range(20..300));
        vigil.kill();
    }
    let vigil = place.start();
    ends_as_told_once_or_more(&place, vigil);
    assert!(swaps(&place) > 0, "{}", place.said());
    assert!(!place.said().contains("there is no copy of that"), "{}", place.said());
}

#[test]
fn what_is_promoted_is_checked_before_anything_is_touched() {
    let Some(place) = place() else { return };
    let run = |file: &str| run_model(&place, &["promote", file]);
    fs::write(place.path("bad.onnx"), "not a model").unwrap();
    let (code, said, _) = run("bad.onnx");
    assert_eq!(code, Some(1));
    assert!(said.contains("broken  bad.onnx: model is no ONNX file"), "{said}");
    assert_eq!(fs::read(place.path("model.onnx")).unwrap(), fs::read(model()).unwrap());
    let (code, said, _) = run("model.onnx");
    assert_eq!(code, Some(0));
    assert!(said.contains("model.onnx holds this model already"), "{said}");
    assert!(!place.path("model.onnx.previous").exists());
    let (code, _, complaint) = run_model(&place, &["rollback"]);
    assert_eq!(code, Some(1));
    assert!(complaint.contains("there is no") && complaint.contains("state/model-previous.onnx`"), "{complaint}");
    let (code, _, complaint) = place.run(&["model", "promote", "model.onnx"]);
    assert_eq!(code, Some(1));
    assert!(
        complaint.contains("model.path is /usr/share/hdfs-vigil") && complaint.contains("a place of packages"),
        "{complaint}"
    );
}

#[test]
fn a_file_that_was_refused_is_refused_at_the_next_start_too() {
    let Some(place) = place() else { return };
    let (vigil, rest) = half_way(&place);
    put(&place, &SyntheticModel::large().bytes());
    let refused = |place: &Place| place.said().matches("model has no golden windows").count();
    place.wait_for("the refusal", |place| refused(place) == 1);
    assert!(vigil.stop().success());
    append(&log(&place), &rest);
    let vigil = started(&place);
    assert_eq!(refused(&place), 2, "{}", place.said());
    check_metrics(&place, "hdfs_vigil_model_info{model=\"hdfs-v1\",sha256=");
    ends_as_if_undisturbed(&place, vigil);
    assert_eq!(swaps(&place), 0);
    assert_eq!(fs::read(place.path("state/model-current.onnx")).unwrap(), fs::read(model()).unwrap());
}

#[test]
fn the_model_that_the_checkpoint_is_of_keeps_its_copy_when_another_came_and_went() {
    let Some(place) = place() else { return };
    let running = fs::read(model()).unwrap();
    let came_and_went = |place: &Place| {
        fs::write(place.path("state/model-current.onnx"), renamed("hdfs-gone")).unwrap();
        fs::write(place.path("state/model-previous.onnx"), &running).unwrap();
    };
    append(&log(&place), &story_lines(200));
    let vigil = started(&place);
    came_and_went(&place);
    put(&place, &renamed("hdfs-v2"));
    place.wait_for("the swap", |place| swaps(place) == 1);
    assert_eq!(fs::read(place.path("state/model-previous.onnx")).unwrap(), running, "the one that ran");
    put(&place, &running);
    place.wait_for("the swap back", |place| swaps(place) == 2);
    assert!(vigil.stop().success());
    came_and_went(&place);
    put(&place, &renamed("hdfs-v3"));
    let vigil = started(&place);
    place.wait_for("the swap at the start", |place| swaps(place) == 3);
    assert_eq!(fs::read(place.path("state/model-previous.onnx")).unwrap(), running, "the one that the checkpoint was of");
    assert_eq!(fs::read(place.path("state/model-current.onnx")).unwrap(), renamed("hdfs-v3"));
    ends_as_if_undisturbed(&place, vigil);
}

#[test]
fn a_third_model_waits_until_the_second_is_in_a_checkpoint() {
    let Some(place) = place() else { return };
    let (vigil, rest) = half_way(&place);
    place.wait_for("some alerts", |place| place.alerts().len() > 5);
    let (newest, obstacle) = end_checkpoints(&place);
    put(&place, &renamed("hdfs-v2"));
    place.wait_for("the swap", |place| swaps(place) == 1);
    put(&place, &renamed("hdfs-v3"));
    vigil.signal("HUP");
    pause(500);
    assert_eq!(swaps(&place), 1);
    vigil.kill();
    fs::remove_dir(&obstacle).unwrap();
    fs::rename(place.path("aside"), newest).unwrap();
    append(&log(&place), &rest);
    let vigil = started(&place);
    place.wait_for("the swap to the third", |place| swaps(place) == 2);
    assert!(!place.said().contains("there is no copy of that"), "{}", place.said());
    ends_as_told_once_or_more(&place, vigil);
}

/// Takes the newest segment of the journal aside, and puts a directory where the next one would be made: from now on no checkpoint can be
/// written. Where the segment was, and the directory.
fn end_checkpoints(place: &Place) -> (PathBuf, PathBuf) {
    loop {
        let newest = place.journal().pop().unwrap();
        let name = newest.file_stem().unwrap().to_str().unwrap();
        let number: u64 = name.strip_prefix("state-").unwrap().parse().unwrap();
        let obstacle = place.path(&format!("state/state-{:08}.journal.new", number + 1));
        if fs::create_dir(&obstacle).is_ok() {
            if place.journal().last() == Some(&newest) {
                fs::rename(&newest, place.path("aside")).unwrap();
                return (newest, obstacle);
            }
            fs::remove_dir(&obstacle).unwrap();
        }
    }
}

#[test]
fn a_crash_while_the_old_model_finishes_leaves_it_what_it_had_read() {
    let Some(place) = place() else { return };
    let more = fs::read_to_string(place.path("more.toml")).unwrap();
    place.configure(&format!("{more}[state]\ncheckpoint_interval = \"1h\"\n"));
    let (vigil, rest) = half_way(&place);
    place.wait_for("some alerts", |place| place.alerts().len() > 5);
    put(&place, &renamed("hdfs-v2"));
    place.wait_for("the swap", |place| swaps(place) == 1);
    vigil.signal("HUP");
    place.wait_for("what comes behind its checkpoint", |place| place.said().contains("holds the model that runs already"));
    let told = place.alert_ids();
    vigil.kill();
    // As if the machine had stopped before the swap was done: what was written then is everything, in a segment of its own.
    fs::remove_file(place.journal().last().unwrap()).unwrap();
    append(&log(&place), &rest);
    let expected = place.undisturbed();
    let vigil = started(&place);
    place.wait_for("all alerts", |place| place.alert_ids() == expected);
    assert!(vigil.stop().success());
    assert_eq!(swaps(&place), 2);
    let alerts = place.alerts();
    let mut again = alerts.iter().filter(|alert| told.contains(alert["id"].as_str().unwrap()));
    assert!(again.all(|alert| alert["model"] == "hdfs-v1"), "{}", place.said());
}

#[test]
fn what_is_promoted_is_written_through_no_link() {
    let Some(place) = place() else { return };
    fs::write(place.path("victim"), "untouched").unwrap();
    let victim_mode = fs::metadata(place.path("victim")).unwrap().permissions().mode();
    std::os::unix::fs::symlink(place.path("victim"), place.path("model.onnx.new")).unwrap();
    std::os::unix::fs::symlink(place.path("victim"), place.path("model.onnx.previous.new")).unwrap();
    fs::set_permissions(place.path("model.onnx"), fs::Permissions::from_mode(0o4750)).unwrap();
    promote(&place, &renamed("hdfs-v2"));
    assert_eq!(fs::read(place.path("victim")).unwrap(), b"untouched");
    assert_eq!(fs::metadata(place.path("victim")).unwrap().permissions().mode(), victim_mode);
    for (name, bytes) in [("model.onnx", renamed("hdfs-v2")), ("model.onnx.previous", fs::read(model()).unwrap())] {
        let found = fs::symlink_metadata(place.path(name)).unwrap();
        assert!(found.is_file(), "{name}");
        assert_eq!(found.permissions().mode() & 0o7777, 0o640, "{name}: it is read, never run");
        assert_eq!(fs::read(place.path(name)).unwrap(), bytes);
    }
}

#[test]
fn what_the_daemon_would_refuse_is_not_promoted() {
    let Some(place) = place() else { return };
    fs::write(place.path("mask.onnx"), changed(|json| json.replace(r#""masks":["#, r#""masks":["planet","#))).unwrap();
    let (code, said, _) = run_model(&place, &["promote", "mask.onnx"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("broken  mask.onnx") && said.contains("planet") && !said.contains("passes every check"), "{said}");
    assert_eq!(fs::read(place.path("model.onnx")).unwrap(), fs::read(model()).unwrap());
    let (code, said, _) = place.run(&["model", "check", "mask.onnx"]);
    assert_eq!(code, Some(1), "{said}");
}

#[test]
fn a_model_that_cannot_be_read_is_not_taken_for_none() {
    let Some(place) = place() else { return };
    fs::write(place.path("next.onnx"), renamed("hdfs-v2")).unwrap();
    fs::write(place.path("model.onnx.previous"), renamed("hdfs-v3")).unwrap();
    fs::remove_file(place.path("model.onnx")).unwrap();
    // Root reads everything but a directory.
    fs::create_dir(place.path("model.onnx")).unwrap();
    for command in [&["promote", "next.onnx"][..], &["rollback"]] {
        let (code, _, complaint) = run_model(&place, command);
        assert_eq!(code, Some(1), "{complaint}");
        assert!(complaint.contains("read the model that is there now"), "{complaint}");
        assert_eq!(fs::read(place.path("model.onnx.previous")).unwrap(), renamed("hdfs-v3"));
    }
}

#[test]
fn a_rollback_that_was_cut_short_is_finished_by_the_next() {
    let Some(place) = place() else { return };
    let (before, after) = (fs::read(model()).unwrap(), renamed("hdfs-v2"));
    // What a crash between its last two steps leaves behind.
    for (name, bytes) in [("model.onnx", &before), ("model.onnx.previous", &before), ("model.onnx.aside", &after)] {
        fs::write(place.path(name), bytes).unwrap();
    }
    let roll_back = || run_model(&place, &["rollback"]);
    for (current, previous) in [(&before, &after), (&after, &before)] {
        let (code, said, complaint) = roll_back();
        assert_eq!(code, Some(0), "{said}{complaint}");
        assert!(fs::read(place.path("model.onnx")).unwrap() == *current, "{said}");
        assert!(fs::read(place.path("model.onnx.previous")).unwrap() == *previous, "{said}");
        assert!(!place.path("model.onnx.aside").exists());
    }
}

/// The lines of blocks that nothing happens to, see [`story_lines`].
fn normal(lines: &[String]) -> Vec<String> {
    let goes_wrong = |block: &u64| block % 7 == 3 || block % 11 == 5;
    let wrong: BTreeSet<String> = (0..400).filter(goes_wrong).map(|block| format!("blk_{}", block * 7919 + 1)).collect();
    lines.iter().filter(|line| !line.split(' ').any(|word| wrong.contains(word))).cloned().collect()
}

/// A place whose model may be changed, with metrics; `None`, with a word, where models cannot be run.
fn place() -> Option<Place> {
    if library_missing() {
        return None;
    }
    let place = Place::new("");
    fs::copy(model(), place.path("model.onnx")).unwrap();
    let path = place.path("model.onnx").display().to_string();
    place.configure(&format!("[model]\npath = {path:?}\n[http]\nlisten = \"127.0.0.1:0\"\n"));
    Some(place)
}

/// A daemon that follows a log of which the rest, given beside it, is still to be written.
fn half_way(place: &Place) -> (Vigil, Vec<String>) {
    let mut lines = story_lines(200);
    let rest = lines.split_off(1300);
    append(&log(place), &lines);
    (started(place), rest)
}

fn log(place: &Place) -> PathBuf {
    place.logs().join("dn1.log")
}

/// Runs a command on models with the place's configuration: exit code, what it printed, what it complained of.
fn run_model(place: &Place, command: &[&str]) -> (Option<i32>, String, String) {
    place.run(&[&["model"], command, &["--config", "vigil.toml", "--config", "more.toml"]].concat())
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
    let (code, said, complaint) = run_model(place, &["promote", "next.onnx"]);
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

/// What a crash finds told and not in the checkpoint is told again, under the same id. That none could be written may be told as well.
fn ends_as_told_once_or_more(place: &Place, vigil: Vigil) {
    let expected = place.undisturbed();
    place.wait_for("all alerts", |place| alert_ids_of_logs(place) == expected);
    assert!(vigil.stop().success());
    assert_eq!(alert_ids_of_logs(place), expected);
}

fn alert_ids_of_logs(place: &Place) -> BTreeSet<String> {
    let alerts = place.alerts();
    let of_logs = alerts.iter().filter(|alert| alert["type"] != "state.unwritable");
    of_logs.map(|alert| alert["id"].as_str().unwrap().to_owned()).collect()
}

fn check_metrics(place: &Place, expected: &str) {
    place.wait_for(expected, |place| place.get("/metrics").contains(expected));
}

/// The shipped model under another name: another file that says the same.
fn renamed(name: &str) -> Vec<u8> {
    changed(|json| json.replace(r#""name":"hdfs-v1""#, &format!(r#""name":{name:?}"#)))
}

/// The shipped model with another contract, which need not say what its vocabulary hashes to.
fn changed(change: impl FnOnce(&str) -> String) -> Vec<u8> {
    let contract: Contract = Scorer::load(Path::new(&model())).unwrap().contract().clone();
    let json = serde_json::to_string(&contract).unwrap();
    let unhashed = serde_json::to_string(&Contract { vocabulary_sha256: None, ..contract }).unwrap();
    let changed = change(&unhashed);
    assert_ne!(unhashed, changed);
    with_contract(fs::read(model()).unwrap(), &json, &changed)
}

/// A model with a weight that is no number.
fn not_a_number() -> Vec<u8> {
    let model = SyntheticModel::tiny();
    let (mut bytes, weight) = (model.bytes(), model.weights.output.bias[6].to_le_bytes());
    let at = bytes.windows(4).position(|window| window == weight).unwrap();
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    bytes
}
