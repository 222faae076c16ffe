//! A daemon that stands still for longer than logs may be silent: what was written meanwhile is read before silence judges.

use crate::site::{LISTEN, metric};
use crate::vigil::{Place, append, pause, stories};

#[test]
fn a_pause_of_the_process_is_no_silence_of_the_logs() {
    let place = Place::new("");
    place.configure(&format!("[pipeline]\nsilence = \"5s\"\nsession_quiet = \"5s\"\n{LISTEN}"));
    let lines = stories(3, |_| false, |_| false);
    let stories: Vec<&[String]> = lines[..lines.len() - 1].chunks(STORY_LINES).collect();
    let log = place.logs().join("dn1.log");
    let vigil = place.start();
    let mut written = 0;
    for story in &stories[..2] {
        let (first, rest) = story.split_at(STORY_LINES / 2);
        append(&log, first);
        written += first.len();
        place.wait_for("the first half", |place| metric(place, "lines_total") == Some(written as f64));
        vigil.signal("STOP");
        pause(6000);
        vigil.signal("CONT");
        // It has time to judge, if it took the pause for silence.
        pause(1000);
        append(&log, rest);
        written += rest.len();
        place.wait_for("the other half", |place| metric(place, "lines_total") == Some(written as f64));
        assert_eq!(place.alerts(), Vec::<serde_json::Value>::new(), "half a story was judged");
    }
    append(&log, &stories[2][..STORY_LINES / 2]);
    place.wait_for("an alert on the story that ends midway, by real silence", |place| !place.alerts().is_empty());
    assert_eq!(place.alerts()[0]["by_silence"], true);
    assert!(vigil.stop().success());
}

/// A whole story.
const STORY_LINES: usize = 13;
