//! A cluster in which nearly every block begins to score as anomalies did before: one alert through a crash, and what the daemon shows.

use std::collections::BTreeSet;

use crate::vigil::{Place, append, stories};

/// Blocks before and after the change.
const BEFORE: u64 = 400;
const AFTER: u64 = 600;

#[test]
fn nearly_all_blocks_moving_is_one_alert_through_a_crash() {
    let place = place();
    let lines = stories(BEFORE + AFTER, |block| block >= BEFORE, |_| false);
    let (first, rest) = lines.split_at(lines.len() * 2 / 3);
    let log = place.logs().join("dn1.log");
    append(&log, first);
    let vigil = place.start();
    place.wait_for("the detector to be past its warm-up", |place| place.get("/ready").contains("mode active"));
    vigil.kill();
    append(&log, rest);
    let vigil = place.start();
    place.wait_for("the alert", |place| !of_type(place, "regime.changed").is_empty());
    let changed = of_type(&place, "regime.changed").remove(0);
    let nats = |side: &str, what: &str| changed[side][what].as_f64().unwrap();
    assert!(nats("before", "threshold_nats") < nats("after", "typical_nats"), "{changed}");
    assert!(nats("after", "typical_nats") < nats("after", "threshold_nats"), "{changed}");
    assert_eq!(
        (&changed["reason"], &changed["mode"], &changed["episodes"]),
        (&"score_level".into(), &"active".into(), &256.into())
    );
    place.wait_for("the metric", |place| place.get("/metrics").contains("hdfs_vigil_regimes_firing 1\n"));
    assert!(place.get("/metrics").contains("hdfs_vigil_detector_mode_info{mode=\"active\"} 1\n"));
    let told: BTreeSet<String> = of_type(&place, "regime.changed").iter().map(|alert| alert["id"].to_string()).collect();
    assert_eq!(told.len(), 1, "at least once, with one id");
    assert_eq!(place.undisturbed(), place.alert_ids());
    assert!(vigil.stop().success());
}

/// A place whose threshold may go as high as it must; blocks that are far from every normal story are no foreign cluster there.
fn place() -> Place {
    let more = "[threshold]\nk = 1.3\nfloor = 0.1\nceiling = 1000\nregime_episodes = 256\n[domain]\nfar_share_max = 1.0\n";
    let place = Place::new(more);
    place.configure("[http]\nlisten = \"127.0.0.1:0\"\n");
    place
}

fn of_type(place: &Place, name: &str) -> Vec<serde_json::Value> {
    place.alerts().into_iter().filter(|alert| alert["type"] == name).collect()
}
