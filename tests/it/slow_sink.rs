//! A place for alerts that takes nothing more: the reading stops, the logs are the buffer, nothing is dropped, no core is taken, and the
//! webhook goes on.

use std::cell::Cell;
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::thread;
use std::{fs, io};

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};

use crate::disk::Disk;
use crate::site::{LISTEN, metric};
use crate::telling::{self, Receiver};
use crate::vigil::{append, pause, stories};

#[test]
fn a_terminal_that_nobody_reads_stops_the_reading_and_nothing_else() {
    let receiver = Receiver::start(0);
    let place = telling::place(&receiver, "notify", "4d");
    // Thousands of alerts are synced one by one, which would take a minute on a real disk.
    let Some(_disk) = Disk::mount(&place.path("disk"), 400) else { return };
    let state = place.path("disk/state").display().to_string();
    symlink(place.path("disk/alerts.jsonl"), place.path("alerts.jsonl")).unwrap();
    let more = fs::read_to_string(place.path("more.toml")).unwrap();
    let more = more.replace("[alerts]\n", "[alerts]\nterminal = \"always\"\nlog = false\n");
    place.configure(&format!("{more}[state]\ndirectory = {state:?}\n{LISTEN}"));
    append(&place.logs().join("dn1.log"), &many_alerts());
    let mut vigil = place.start_into(Stdio::piped());
    let mut unread = vigil.take_stdout();
    place.wait_for("alerts that wait", |place| metric(place, "alerts_waiting").is_some_and(|waiting| waiting >= 5000.0));
    let read = Cell::new(None);
    place.wait_for("the reading to stop", |place| {
        pause(1500);
        let now = metric(place, "bytes_total");
        read.replace(now) == now
    });
    let (before, lag) = (vigil.cpu_ticks(), metric(&place, "lag_bytes").unwrap());
    assert!(lag > 100_000.0, "unread bytes: {lag}");
    pause(3000);
    assert_eq!(metric(&place, "lag_bytes"), Some(lag), "nothing is read");
    assert!(metric(&place, "unread_age_seconds").unwrap() > 3.0);
    let ticks = vigil.cpu_ticks() - before;
    assert!(ticks < 60, "{ticks} hundredths of a second on a core in three seconds");
    place.wait_for("alerts at the receiver meanwhile", |_| receiver.ids().len() > 1000);
    assert!(place.alerts().len() < 500, "they are not in the file yet");
    let reader = thread::spawn(move || io::copy(&mut unread, &mut io::sink()));
    place.wait_as_long_as_it_moves("every alert", |place| metric(place, "lag_bytes").unwrap_or(1.0), |lag| lag == 0.0);
    let expected = place.undisturbed();
    place.wait_for("every alert in the file", |place| place.alert_ids() == expected);
    assert_eq!(metric(&place, "alerts_dropped_total"), Some(0.0));
    assert!(vigil.stop().success());
    reader.join().unwrap().unwrap();
}

/// Lines that give more alerts than may wait untried: of the two days before today, three blocks of five left unfinished.
pub fn many_alerts() -> Vec<String> {
    of_late(stories(16_000, |block| block % 5 < 3, |_| false))
}

/// The same lines as if of the two days before today: none is of the future, whatever the hour.
fn of_late(lines: Vec<String>) -> Vec<String> {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let [first, second] = [today - 2.days(), today - 1.day()].map(|date| date.strftime("%y%m%d").to_string());
    let date = |line: &str| if line.starts_with("081109") { first.clone() } else { second.clone() };
    lines.iter().map(|line| format!("{}{}", date(line), &line[6..])).collect()
}
