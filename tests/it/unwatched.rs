//! Where the kernel tells nothing, as beyond the bound of watches or on network file systems, the periodic scan finds everything.

use std::fs;

use hdfs_vigil::ingest::Waker;
use hdfs_vigil::limits::WATCHES_MAX;

use crate::tail::Tail;
use crate::vigil::{Place, append, story_lines};

#[test]
fn logs_in_more_directories_than_can_be_watched_are_all_followed() {
    let mut tail = Tail::new();
    let directories = WATCHES_MAX + 3;
    tail.settings.patterns = vec![tail.path("*/x.log").to_str().unwrap().to_owned()];
    tail.restart();
    let log = |number: usize| format!("{number}/x.log");
    for number in 0..directories {
        fs::create_dir(tail.path(&number.to_string())).unwrap();
        tail.write(&log(number), "1\n");
    }
    let mut waker = Waker::new();
    for round in ["1", "2"] {
        tail.step();
        waker.watch(tail.follower.directories());
        // More, where another program has used up what the kernel allows.
        assert!(waker.unwatched() >= 3, "{}", waker.unwatched());
        (0..directories).for_each(|number| assert_eq!(tail.lines(&log(number)).last(), Some(&round), "{number}"));
        (0..directories).for_each(|number| tail.write(&log(number), "2\n"));
    }
}

#[test]
fn the_daemon_says_how_many_it_does_not_watch_and_tells_of_their_blocks() {
    let place = Place::new("");
    let config = format!("[ingest]\npaths = [{:?}]\n[http]\nlisten = \"127.0.0.1:0\"\n", place.path("logs/*/*.log"));
    place.configure(&config);
    for number in 0..WATCHES_MAX + 3 {
        fs::create_dir(place.logs().join(format!("{number:05}"))).unwrap();
    }
    let last = place.logs().join(format!("{:05}", WATCHES_MAX + 2));
    let vigil = place.start();
    place.wait_for("directories that are not watched", |place| place.metric("unwatched_directories") >= 3.0);
    append(&last.join("dn1.log"), &story_lines(60));
    place.wait_for("alerts", |place| place.alerts().len() > 10);
    assert!(vigil.stop().success());
}
