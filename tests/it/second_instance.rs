//! A second daemon on the same state directory: it is refused with the remedy, and the first one does not notice.

use crate::vigil::{Place, append, story_lines};

#[test]
fn a_second_daemon_on_the_same_state_is_refused_and_disturbs_nothing() {
    let place = Place::new("");
    let lines = story_lines(60);
    let (first, second) = lines.split_at(400);
    append(&place.logs().join("dn1.log"), first);
    let vigil = place.start();
    place.wait_for("some alerts", |place| place.alerts().len() > 2);
    let config = place.path("vigil.toml").display().to_string();
    for _ in 0..3 {
        let (code, _, complaint) = place.run(&["run", "--config", &config]);
        assert_eq!(code, Some(73), "{complaint}");
        assert!(complaint.contains("is in use by another hdfs-vigil; stop that one"), "{complaint}");
        assert!(complaint.contains("or give this one a state.directory of its own"), "{complaint}");
    }
    let (code, _, complaint) = place.run(&["alerts", "list", "--config", &config]);
    assert_eq!(code, Some(0), "the socket is still that of the first one: {complaint}");
    append(&place.logs().join("dn1.log"), second);
    let expected = place.undisturbed();
    place.wait_for("all alerts", |place| place.alert_ids() == expected);
    assert!(vigil.stop().success());
    assert_eq!(place.alerts().len(), expected.len(), "each is told once");
    let said = place.said();
    assert!(!said.contains("taken away") && !said.contains("not written"), "{said}");
    assert!(!place.journal().is_empty());
}
