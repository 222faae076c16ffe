//! Operators talk to the running daemon: who may, what they see, and that mutes hold back the webhook alone, also through crashes.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;

use crate::telling::{self, Receiver};
use crate::vigil::{Place, append, pause, stories, story_lines};

#[test]
fn alerts_are_listed_and_shown_as_they_were_told() {
    let place = Place::new("");
    append(&place.logs().join("dn1.log"), &story_lines(60));
    let expected = place.undisturbed();
    let vigil = place.start();
    place.wait_for("all alerts", |place| place.alert_ids() == expected);
    let mode = fs::metadata(socket(&place)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let listed = json(&place, &["list", "--json"])["alerts"].as_array().unwrap().clone();
    let ids: BTreeSet<String> = listed.iter().map(|alert| alert["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, place.alert_ids());
    assert_eq!(json(&place, &["list", "--json", "--last", "2"])["alerts"].as_array().unwrap()[..], listed[listed.len() - 2..]);
    let told = place.alerts().pop().unwrap();
    let id = told["id"].as_str().unwrap();
    let shown = json(&place, &["show", &id[..20], "--json"]);
    assert_eq!(shown["alerts"][0]["alert"], told);
    let text = ok(&place, &["show", id]);
    assert!(text.starts_with("ANOMALY blk_") && text.contains("What to do:") && text.contains(id), "{text}");
    let signature = told["signature"].as_str().unwrap();
    let text = ok(&place, &["list", "--by-signature"]);
    assert!(text.contains(&format!("{signature}  ")) && text.contains(" × anomaly.firing"), "{text}");
    assert!(vigil.stop().success());
    assert!(!socket(&place).exists(), "it goes with the daemon");
}

#[test]
fn what_is_muted_is_kept_and_shown_and_not_sent_also_after_a_crash() {
    let receiver = Receiver::start(0);
    let place = telling::place(&receiver, "notify", "2d");
    let signatures = signatures_of(&story_lines(60));
    let [first, second] = [&signatures[0], &signatures[1]];
    let vigil = place.start();
    place.wait_for("the socket", |place| socket(place).exists());
    let text = ok(&place, &["mute", first, "--for", "7d", "--why", "the disk of dn1 is ordered"]);
    assert!(text.contains("is muted for 7d") && text.contains("no alert with it is kept"), "{text}");
    ok(&place, &["mute", second, "--for", "1h", "--why", "a mistake"]);
    ok(&place, &["unmute", second]);
    vigil.kill();
    assert!(socket(&place).exists(), "a crash leaves it");
    append(&place.logs().join("dn1.log"), &telling::today(&story_lines(60)));
    let expected = place.undisturbed();
    let vigil = place.start();
    place.wait_for("all alerts in the file, and those not muted at the receiver", |place| {
        let alerts = place.alerts();
        let sent = alerts.iter().filter(|alert| alert["signature"] != first.as_str()).map(|alert| alert["id"].as_str().unwrap());
        place.alert_ids() == expected && receiver.ids() == sent.map(str::to_owned).collect()
    });
    let listed = json(&place, &["list", "--muted", "--json"])["alerts"].as_array().unwrap().clone();
    assert!(!listed.is_empty() && listed.iter().all(|alert| alert["signature"] == first.as_str()));
    let in_file: Vec<Value> = place.alerts().into_iter().filter(|alert| !alert["muted"].is_null()).collect();
    assert_eq!(in_file.len(), listed.len());
    assert_eq!(
        (&in_file[0]["muted"]["by"], &in_file[0]["muted"]["why"]),
        (&"operator".into(), &"the disk of dn1 is ordered".into())
    );
    let mutes = json(&place, &["mutes", "--json"])["mutes"].as_array().unwrap().clone();
    assert_eq!((mutes.len(), mutes[0]["held_back"].as_u64()), (1, Some(listed.len() as u64)));
    assert!(ok(&place, &["mutes"]).contains("held back, muted by an operator until 20"));
    assert!(vigil.stop().success());
}

#[test]
fn the_configuration_mutes_too_and_only_it_unmutes() {
    let signatures = signatures_of(&story_lines(60));
    let place = Place::new("");
    place.configure(&format!("[alerts]\nmute = [{:?}]\n", signatures[0]));
    append(&place.logs().join("dn1.log"), &story_lines(60));
    let vigil = place.start();
    place.wait_for("alerts", |place| place.alerts().len() >= ALERTS);
    let muted: Vec<Value> = place.alerts().into_iter().filter(|alert| !alert["muted"].is_null()).collect();
    assert!(!muted.is_empty() && muted.iter().all(|alert| alert["muted"]["by"] == "config"));
    check_refused(&place, &["unmute", &signatures[0]], "take it out of alerts.mute");
    check_refused(&place, &["unmute", &signatures[1]], "it is not muted");
    let id = muted[0]["id"].as_str().unwrap();
    check_refused(&place, &["ack", id], "only regime.changed waits for an acknowledgement");
    check_refused(&place, &["show", "alert_00000000"], "no kept alert is alert_00000000");
    check_refused(&place, &["show", "../mutes"], "is no id");
    check_refused(&place, &["mute", "db7dd3890dfe58b6", "--for", "30s", "--why", "x"], "1m..=365d");
    check_refused(&place, &["mute", "db7", "--for", "7d", "--why", "x"], "16 hexadecimal digits");
    assert!(vigil.stop().success());
    check_refused(&place, &["list"], "no daemon answers at");
}

/// Every story of this cluster comes in an order that the model finds unlikely, with the counts of a normal one.
#[test]
fn a_change_of_regime_fires_until_it_is_acknowledged() {
    let receiver = Receiver::start(0);
    let place = telling::place(&receiver, "observe", "2d");
    let regimes = "[threshold]\nregime_episodes = 256\nceiling = 1000\n";
    let more = fs::read_to_string(place.path("more.toml")).unwrap();
    place.configure(&format!("{more}{regimes}"));
    append(&place.logs().join("dn1.log"), &backwards(&stories(400, |_| false, |_| false)));
    let vigil = place.start();
    place.wait_for("the change", |place| of_type(place, "regime.changed").is_some());
    let changed = of_type(&place, "regime.changed").unwrap();
    let (id, incident) = (changed["id"].as_str().unwrap(), changed["incident"].as_str().unwrap());
    assert!(ok(&place, &["list", "--firing"]).contains("regime.changed"));
    let text = ok(&place, &["ack", id]);
    assert!(text.contains(&format!("{incident} is acknowledged")), "{text}");
    // It is in the checkpoint before the answer comes.
    vigil.kill();
    let vigil = place.start();
    place.wait_for("what resolves it", |place| of_type(place, "regime.resolved").is_some());
    // The alert may have been written before the crash, and the socket is then still the one that it left.
    let path = socket(&place).display().to_string();
    place.wait_for("an answer", |place| place.run(&["alerts", "mutes", "--socket", &path]).0 == Some(0));
    assert_eq!(of_type(&place, "regime.resolved").unwrap()["reason"], "acknowledged");
    let shown = json(&place, &["show", incident, "--json"]);
    let states: Vec<_> =
        shown["alerts"].as_array().unwrap().iter().map(|alert| alert["state"].as_str().unwrap().to_owned()).collect();
    assert_eq!(states, ["acknowledged", "acknowledged"]);
    check_refused(&place, &["ack", incident], "does not fire any more");
    assert!(vigil.stop().success());
}

#[test]
fn a_daemon_without_a_socket_rests_when_nothing_happens() {
    let place = Place::new("[control]\nsocket = \"\"\n");
    append(&place.logs().join("dn1.log"), &story_lines(60));
    let vigil = place.start();
    place.wait_for("alerts", |place| place.alerts().len() >= ALERTS);
    let before = vigil.cpu_ticks();
    pause(2000);
    let ticks = vigil.cpu_ticks() - before;
    assert!(ticks < 100, "{ticks} hundredths of a second on a core in two seconds");
    assert!(vigil.stop().success());
}

#[test]
fn garbage_on_the_socket_does_no_harm() {
    let place = Place::new("");
    append(&place.logs().join("dn1.log"), &story_lines(60));
    let vigil = place.start();
    place.wait_for("alerts", |place| place.alerts().len() >= ALERTS);
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(1 << 20));
    let body = format!("POST /mutes HTTP/1.0\r\ncontent-length: {}\r\n\r\n{}", 1 << 20, "{".repeat(1 << 20));
    let garbage: [(&[u8], &str); 6] = [
        (b"\x00\xff\xfe\r\n\r\n", "400"),
        (long.as_bytes(), "HTTP/1.1 4"),
        (body.as_bytes(), "413"),
        (b"POST /mutes HTTP/1.0\r\ncontent-length: 2\r\n\r\n{}", "400"),
        (b"GET /alerts?last=999999999999999999999 HTTP/1.0\r\n\r\n", "400"),
        (b"PUT /alerts/%00%2e%2e HTTP/1.0\r\n\r\n", "405"),
    ];
    for (bytes, status) in garbage {
        let mut stream = UnixStream::connect(socket(&place)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut answer = Vec::new();
        // The daemon may have hung up before all of it was written.
        let _ = stream.write_all(bytes);
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.lines().next().unwrap_or_default().contains(status), "{status}: {answer}");
    }
    // Connections that say nothing leave room for one that does.
    let _silent: Vec<UnixStream> = (0..8).map(|_| UnixStream::connect(socket(&place)).unwrap()).collect();
    assert!(json(&place, &["list", "--json"])["alerts"].as_array().unwrap().len() >= ALERTS);
    assert!(vigil.stop().success());
}

#[test]
fn two_daemons_do_not_share_a_socket_and_no_file_is_overwritten() {
    let place = Place::new("");
    let path = place.path("own.sock").display().to_string();
    place.configure(&format!("[control]\nsocket = {path:?}\n"));
    let _vigil = place.start();
    place.wait_for("the socket", |place| place.path("own.sock").exists());
    let text = ok_of(&place, &["alerts", "list", "--socket", &path]);
    assert!(text.contains("no such alert is kept"), "{text}");
    let other = Place::new(&format!("[control]\nsocket = {path:?}\n"));
    check_does_not_start(&other, "is in use: somebody answers there");
    let taken = other.path("precious");
    fs::write(&taken, "precious").unwrap();
    other.configure(&format!("[control]\nsocket = {:?}\n", taken.display().to_string()));
    check_does_not_start(&other, "is no socket");
    assert_eq!(fs::read_to_string(taken).unwrap(), "precious");
}

#[test]
fn a_socket_that_nobody_has_asked_for_and_cannot_be_made_ends_no_vigil() {
    let place = Place::new("");
    let deep = place.path(&"d".repeat(100));
    place.configure(&format!("[state]\ndirectory = {:?}\n", deep.display().to_string()));
    append(&place.logs().join("dn1.log"), &story_lines(60));
    let vigil = place.start();
    place.wait_for("alerts", |place| place.alerts().len() >= ALERTS);
    let said = place.said();
    assert!(said.contains("There is no control socket") && said.contains("must have at most 107; set control.socket"), "{said}");
    assert!(vigil.stop().success());
    let nowhere = place.path("not/there.sock").display().to_string();
    place.configure(&format!("[control]\nsocket = {nowhere:?}\n"));
    check_does_not_start(&place, "failed to make control socket");
}

#[test]
fn a_socket_that_is_taken_away_is_made_anew() {
    let place = Place::new("");
    let vigil = place.start();
    place.wait_for("the socket", |place| socket(place).exists());
    fs::remove_file(socket(&place)).unwrap();
    place.wait_for("another one", |place| socket(place).exists());
    assert!(ok(&place, &["list"]).contains("no such alert is kept"));
    assert_eq!(fs::metadata(socket(&place)).unwrap().permissions().mode() & 0o777, 0o660);
    assert!(vigil.stop().success());
    assert!(!socket(&place).exists(), "the new one goes with the daemon");
}

fn check_does_not_start(place: &Place, complaint: &str) {
    let [config, more] = ["vigil.toml", "more.toml"].map(|name| place.path(name).display().to_string());
    let mut arguments = vec!["run", "--config", &config];
    if place.path("more.toml").exists() {
        arguments.extend(["--config", &more]);
    }
    let (code, _, said) = place.run(&arguments);
    assert_eq!(code, Some(73), "{said}");
    assert!(said.contains(complaint), "{said}");
}

/// The signatures of the alerts that these lines give.
fn signatures_of(lines: &[String]) -> Vec<String> {
    let place = Place::new("");
    append(&place.logs().join("dn1.log"), lines);
    let vigil = place.start();
    place.wait_for("alerts", |place| place.alerts().len() >= ALERTS);
    assert!(vigil.stop().success());
    let signatures: BTreeSet<String> =
        place.alerts().iter().map(|alert| alert["signature"].as_str().unwrap().to_owned()).collect();
    assert!(signatures.len() >= 2, "{signatures:?}");
    signatures.into_iter().collect()
}

/// The same lines with the messages of each story in the opposite order, at the times that there were.
fn backwards(lines: &[String]) -> Vec<String> {
    let stories = lines.chunks(STORY_LINES).map(|story| {
        let messages = story.iter().rev().map(|line| &line[STAMP_BYTES..]);
        story.iter().zip(messages).map(|(line, message)| format!("{}{message}", &line[..STAMP_BYTES])).collect::<Vec<_>>()
    });
    stories.flatten().collect()
}

fn of_type(place: &Place, alert_type: &str) -> Option<Value> {
    place.alerts().into_iter().find(|alert| alert["type"] == alert_type)
}

fn socket(place: &Place) -> std::path::PathBuf {
    place.path("state/control.sock")
}

/// What `hdfs-vigil alerts` prints when it succeeds.
fn ok(place: &Place, arguments: &[&str]) -> String {
    let config = place.path("vigil.toml").display().to_string();
    ok_of(place, &[&["alerts"], arguments, &["--config", &config]].concat())
}

fn ok_of(place: &Place, arguments: &[&str]) -> String {
    let (code, out, complaint) = place.run(arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {complaint}");
    out
}

fn json(place: &Place, arguments: &[&str]) -> Value {
    serde_json::from_str(&ok(place, arguments)).unwrap()
}

fn check_refused(place: &Place, arguments: &[&str], why: &str) {
    let config = place.path("vigil.toml").display().to_string();
    let (code, out, complaint) = place.run(&[&["alerts"], arguments, &["--config", &config]].concat());
    assert_eq!(code, Some(1), "{arguments:?}: {out}");
    assert!(complaint.contains(why), "{arguments:?}: {complaint}");
}

/// As many as 60 stories give at least.
const ALERTS: usize = 10;
/// A whole story.
const STORY_LINES: usize = 13;
/// `081109 000000`.
const STAMP_BYTES: usize = 13;
