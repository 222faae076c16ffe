//! A disk that fills up, can only be read, or loses the state directory: the daemon goes on finding and telling, says what is wrong in
//! every place, once, and mends what it can as soon as it can.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::disk::Disk;
use crate::site::{LISTEN, get, metric};
use crate::slow_sink::many_alerts;
use crate::telling::{self, Receiver};
use crate::vigil::{Place, Vigil, append, pause, story_lines};

#[test]
fn a_full_disk_of_the_state_is_told_once_and_ends_no_vigil() {
    check_outage("disk_full", "No space left on device", Disk::fill, Disk::empty);
}

#[test]
fn a_state_that_can_only_be_read_is_told_once_and_ends_no_vigil() {
    check_outage("read_only", "Read-only file system", |disk| disk.set_read_only(true), |disk| disk.set_read_only(false));
}

#[test]
fn a_crash_while_the_disk_is_full_changes_no_id() {
    let (receiver, place) = place();
    let Some(disk) = Disk::mount(&place.path("state"), 4) else { return };
    let (vigil, second) = half_way(&place, &receiver);
    disk.fill();
    append(&place.logs().join("dn1.log"), &second);
    place.wait_for("the alert on the state", |place| of_state(place).len() == 1);
    let expected = with_state(&place);
    place.wait_for("every alert at the receiver", |_| receiver.ids() == expected);
    vigil.kill();
    let vigil = place.start();
    let told = |place: &Place| of_state(place).len();
    place.wait_for("the alert on the state again", |place| told(place) == 2);
    assert_eq!(of_state(&place)[0]["id"], of_state(&place)[1]["id"], "a crash gives it no other id");
    disk.empty();
    place.wait_for("what resolves it", |place| told(place) == 3 && receiver.ids() == with_state(place));
    assert!(vigil.stop().success());
}

#[test]
fn a_full_disk_of_the_alert_file_silences_nobody_and_is_caught_up_with() {
    let (receiver, place) = place();
    let Some(disk) = Disk::mount(&place.path("out"), 4) else { return };
    let file = place.path("out/alerts.jsonl").display().to_string();
    let more =
        fs::read_to_string(place.path("more.toml")).unwrap().replace("[alerts]\n", &format!("[alerts]\nfile = {file:?}\n"));
    place.configure(&more);
    disk.fill();
    append(&place.logs().join("dn1.log"), &telling::today(&story_lines(60)));
    let expected = place.undisturbed();
    let vigil = place.start();
    place.wait_for("every alert at the receiver", |_| receiver.ids() == expected);
    place.wait_for("the count of those that wait", |place| metric(place, "alerts_unwritten") == Some(expected.len() as f64));
    let (status, body) = get(&place, "/ready").unwrap();
    assert_eq!((status, body.ends_with("alerts wait for a file that cannot be written\n")), (200, true), "{body}");
    rests(&vigil);
    assert_eq!(said(&place, "Alerts are not in the file yet"), 1, "one warning, however many alerts wait: {}", place.said());
    disk.empty();
    let written = |place: &Place| ids(&fs::read_to_string(place.path("out/alerts.jsonl")).unwrap_or_default());
    place.wait_for("every alert in the file", |place| written(place) == expected);
    let text = fs::read_to_string(place.path("out/alerts.jsonl")).unwrap();
    assert_eq!(text.lines().count(), expected.len(), "each once, and no line that was cut off");
    place.wait_for("readiness without a remark", |place| get(place, "/ready").is_some_and(|(_, body)| !body.contains("wait")));
    assert_eq!(said(&place, "Alerts can be appended to the file again"), 1);
    assert!(vigil.stop().success());
}

#[test]
fn a_full_disk_of_the_alert_file_stops_no_reading_however_many_alerts_wait() {
    let (receiver, place) = place();
    // What can be written is synced alert by alert, which would take a minute on a real disk.
    let (Some(_state), Some(out)) = (Disk::mount(&place.path("state"), 400), Disk::mount(&place.path("out"), 400)) else {
        return;
    };
    let file = place.path("out/alerts.jsonl").display().to_string();
    let keys = format!("[alerts]\nfile = {file:?}\nfile_bytes_max = \"1GB\"\nlog = false\n");
    let more = fs::read_to_string(place.path("more.toml")).unwrap().replace("[alerts]\n", &keys);
    place.configure(&format!("{more}[state]\ncheckpoint_interval = \"2s\"\n"));
    out.fill();
    append(&place.logs().join("dn1.log"), &many_alerts());
    let expected = place.undisturbed();
    assert!(expected.len() > 5000, "more than may wait untried: {}", expected.len());
    let vigil = place.start();
    place.wait_as_long_as_it_moves(
        "every alert to wait",
        |place| metric(place, "alerts_unwritten").unwrap_or(0.0),
        |waiting| waiting == expected.len() as f64,
    );
    assert_eq!((metric(&place, "lag_bytes"), metric(&place, "alerts_dropped_total")), (Some(0.0), Some(0.0)));
    assert!(!receiver.ids().is_empty());
    out.empty();
    place.wait_as_long_as_it_moves(
        "every alert in the file",
        |place| metric(place, "alerts_unwritten").unwrap_or(f64::MAX),
        |waiting| waiting == 0.0,
    );
    let written = || fs::read_to_string(place.path("out/alerts.jsonl")).unwrap();
    place.wait_for("the last of them", |_| ids(&written()) == expected);
    assert_eq!(written().lines().count(), expected.len(), "each once");
    assert!(vigil.stop().success());
}

#[test]
fn a_state_directory_that_is_taken_away_is_made_anew() {
    let (receiver, place) = place();
    let (vigil, second) = half_way(&place, &receiver);
    place.wait_for("alerts in the file, and so in the archive", |place| place.alerts().len() > 2);
    let kept: BTreeSet<String> = place.alert_ids();
    fs::remove_dir_all(place.path("state")).unwrap();
    let made = ["lock", "control.sock", "model-current.onnx"].map(|name| place.path("state").join(name));
    place.wait_for("another one", |place| made.iter().all(|path| path.exists()) && !place.journal().is_empty());
    assert_eq!(said(&place, "The state directory or a part of it was taken away"), 1);
    let config = place.path("vigil.toml").display().to_string();
    let (code, _, complaint) = place.run(&["run", "--config", &config]);
    assert!(complaint.contains("is in use by another hdfs-vigil"), "the lock is held again: {code:?} {complaint}");
    append(&place.logs().join("dn1.log"), &second);
    let expected = place.undisturbed();
    place.wait_for("every alert at the receiver and in the file", |place| {
        receiver.ids() == expected && place.alert_ids() == expected
    });
    let (code, listed, complaint) = place.run(&["alerts", "list", "--json", "--config", &config]);
    assert_eq!(code, Some(0), "operators are answered again: {complaint}");
    let listed = listed_ids(&listed);
    assert!(!listed.is_empty() && listed.is_subset(&expected) && listed.is_disjoint(&kept), "what comes after is kept");
    vigil.kill();
    let vigil = place.start();
    place.wait_for("the next start", |place| get(place, "/ready").is_some_and(|(status, _)| status == 200));
    assert!(vigil.stop().success());
    assert_eq!((receiver.ids(), place.alert_ids()), (expected.clone(), expected));
}

/// A daemon that has told of some blocks, and the lines that its log is to have yet.
fn half_way(place: &Place, receiver: &Receiver) -> (Vigil, Vec<String>) {
    let mut lines = telling::today(&story_lines(60));
    let rest = lines.split_off(400);
    append(&place.logs().join("dn1.log"), &lines);
    let vigil = place.start();
    place.wait_for("some alerts", |_| receiver.ids().len() > 2);
    (vigil, rest)
}

/// The state cannot be written from `begin` to `end`; then comes a crash.
fn check_outage(reason: &str, error: &str, begin: impl Fn(&Disk), end: impl Fn(&Disk)) {
    let (receiver, place) = place();
    let Some(disk) = Disk::mount(&place.path("state"), 4) else { return };
    let (vigil, second) = half_way(&place, &receiver);
    begin(&disk);
    append(&place.logs().join("dn1.log"), &second);
    place.wait_for("the alert on the state", |place| !of_state(place).is_empty());
    let alert = of_state(&place).pop().unwrap();
    assert_eq!((&alert["type"], &alert["reason"]), (&"state.unwritable".into(), &reason.into()));
    assert!(alert["error"].as_str().unwrap().contains(error), "{alert}");
    let fired = with_state(&place);
    place.wait_for("it and all others at the receiver and in the file", |place| {
        receiver.ids() == fired && place.alert_ids() == fired
    });
    let (status, body) = get(&place, "/ready").unwrap();
    assert!(status == 503 && body.starts_with("watching, but the state cannot be written: ") && body.contains(error), "{body}");
    assert_eq!(get(&place, "/live").unwrap().0, 200);
    place.wait_for("the metric", |place| metric(place, "state_unwritable_seconds").is_some_and(|seconds| seconds > 1.0));
    rests(&vigil);
    assert_eq!(said(&place, "The checkpoint was not written"), 1, "one warning: {}", place.said());
    end(&disk);
    place.wait_for("what resolves it, everywhere", |place| {
        of_state(place).len() == 2 && receiver.ids() == with_state(place) && place.alert_ids() == receiver.ids()
    });
    assert_eq!(of_state(&place)[1]["incident"], alert["incident"]);
    place.wait_for("readiness", |place| get(place, "/ready").is_some_and(|(status, _)| status == 200));
    place.wait_for("the metric", |place| metric(place, "state_unwritable_seconds") == Some(0.0));
    let told = place.alert_ids();
    vigil.kill();
    let vigil = place.start();
    place.wait_for("the next start", |place| get(place, "/ready").is_some_and(|(status, _)| status == 200));
    assert!(vigil.stop().success());
    assert_eq!((place.alert_ids(), receiver.ids()), (told.clone(), told), "a crash afterwards tells nothing else");
    assert_eq!(of_state(&place).iter().filter(|told| told["id"] == alert["id"]).count(), 1, "it is over");
}

/// A daemon that sends, and answers over HTTP.
fn place() -> (Receiver, Place) {
    let receiver = Receiver::start(0);
    let place = telling::place(&receiver, "notify", "2d");
    let more = fs::read_to_string(place.path("more.toml")).unwrap();
    place.configure(&format!("{more}{LISTEN}"));
    (receiver, place)
}

/// Takes next to no time on a core while it waits for the disk.
fn rests(vigil: &Vigil) {
    let before = vigil.cpu_ticks();
    pause(3000);
    let ticks = vigil.cpu_ticks() - before;
    assert!(ticks < 60, "{ticks} hundredths of a second on a core in three seconds");
}

/// The ids of an undisturbed run with those of the alerts on the state so far.
fn with_state(place: &Place) -> BTreeSet<String> {
    let of_state = of_state(place).into_iter().map(|alert| alert["id"].as_str().unwrap().to_owned());
    place.undisturbed().into_iter().chain(of_state).collect()
}

/// The alerts on the state so far, as the file has them.
fn of_state(place: &Place) -> Vec<Value> {
    place.alerts().into_iter().filter(|alert| alert["type"].as_str().is_some_and(|name| name.starts_with("state."))).collect()
}

fn ids(lines: &str) -> BTreeSet<String> {
    let documents = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    documents.map(|document| document["id"].as_str().unwrap().to_owned()).collect()
}

fn listed_ids(json: &str) -> BTreeSet<String> {
    let listed: Value = serde_json::from_str(json).unwrap();
    listed["alerts"].as_array().unwrap().iter().map(|alert| alert["id"].as_str().unwrap().to_owned()).collect()
}

fn said(place: &Place, what: &str) -> usize {
    place.said().lines().filter(|line| line.contains(what)).count()
}
