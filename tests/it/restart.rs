//! Stops and crashes: the alerts, and their ids, are those of an undisturbed run, and each is told at least once.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::vigil::{Place, append, pause, story_lines};

#[test]
fn kill_9_at_random_moments_changes_no_alert() {
    let place = Place::new("");
    let lines = story_lines(600);
    let mut random = ChaCha8Rng::seed_from_u64(9);
    for part in lines.chunks(lines.len() / 12 + 1) {
        append(&place.logs().join("dn1.log"), part);
        let vigil = place.start();
        pause(random.random_range(20..400));
        vigil.kill();
    }
    let expected = place.undisturbed();
    let vigil = place.start();
    place.wait_for("all alerts", |place| place.alert_ids() == expected);
    assert!(vigil.stop().success());
    assert_eq!(place.alert_ids(), expected);
}

#[test]
fn a_stop_keeps_everything_and_the_next_start_repeats_nothing() {
    let place = Place::new("");
    let lines = story_lines(200);
    let log = place.logs().join("dn1.log");
    let (first, second) = lines.split_at(1300);
    append(&log, first);
    let vigil = place.start();
    place.wait_for("some alerts", |place| place.alerts().len() > 10);
    assert!(vigil.stop().success());
    append(&log, second);
    let vigil = place.start();
    let expected = place.undisturbed();
    place.wait_for("all alerts", |place| place.alert_ids() == expected);
    assert!(vigil.stop().success());
    assert_eq!(place.alerts().len(), expected.len(), "after a stop, no alert is told twice");
}

#[test]
fn a_log_that_is_renamed_while_the_daemon_is_down_is_read_to_its_end() {
    let place = Place::new("");
    let lines = story_lines(200);
    let log = place.logs().join("dn1.log");
    let (first, rest) = lines.split_at(900);
    let (second, third) = rest.split_at(500);
    append(&log, first);
    let vigil = place.start();
    place.wait_for("some alerts", |place| !place.alerts().is_empty());
    assert!(vigil.stop().success());
    append(&log, second);
    std::fs::rename(&log, place.logs().join("dn1.log.1")).unwrap();
    append(&log, third);
    let expected = place.undisturbed();
    let vigil = place.start();
    place.wait_for("all alerts", |place| place.alert_ids() == expected);
    assert!(vigil.stop().success());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let place = Place::new("");
    append(&place.logs().join("dn1.log"), &story_lines(20));
    let vigil = place.start();
    place.wait_for("the start", |place| place.said().contains("Following the logs"));
    vigil.signal("TERM");
    vigil.signal("TERM");
    let code = vigil.stop().code();
    assert!(matches!(code, Some(0 | 143)), "it ended by itself or by the second signal, not by {code:?}");
}
