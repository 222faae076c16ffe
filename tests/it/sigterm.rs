//! SIGTERM amid the reading and scoring of a backlog: what is on its way is finished or kept, and no alert is told twice or not at all.

use std::collections::{BTreeMap, BTreeSet};

use crate::vigil::{Place, append, pause, stories};

#[test]
fn a_stop_amid_a_backlog_repeats_and_loses_nothing() {
    let place = Place::new("");
    append(&place.logs().join("dn1.log"), &stories(20_000, |block| block % 301 == 3, |block| block % 503 == 5));
    let expected = place.undisturbed();
    let vigil = place.start();
    place.wait_for("the first alert", |place| !place.alerts().is_empty());
    assert!(vigil.stop().success());
    assert!(place.alert_ids().len() < expected.len(), "it was stopped amid the backlog: {}", place.said());
    for millis in [0, 60, 90, 120, 150, 180] {
        let vigil = place.start();
        place.wait_for("the start", |place| starts(place) > stops(place));
        pause(millis);
        assert!(vigil.stop().success(), "{}", place.said());
        assert_eq!(starts(&place), stops(&place));
    }
    let vigil = place.start();
    place.wait_for("the start", |place| starts(place) > stops(place));
    place.wait_for("all alerts", |place| place.alert_ids() == expected);
    assert!(vigil.stop().success());
    let mut told: BTreeMap<String, u32> = BTreeMap::new();
    for alert in place.alerts() {
        *told.entry(alert["id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!(told.keys().cloned().collect::<BTreeSet<_>>(), expected);
    assert!(told.values().all(|times| *times == 1), "after a stop, no alert is told twice: {told:?}");
}

fn starts(place: &Place) -> usize {
    place.said().matches("Following the logs.").count()
}

fn stops(place: &Place) -> usize {
    place.said().matches("Stopped; everything is in the checkpoint.").count()
}
