//! Traffic that changes for good: the experiment that anyone can run holds what is promised, and shows how a static threshold fails.

use std::fs;

use serde_json::Value;

use crate::vigil::Place;

#[test]
fn ours_outlives_a_shift_that_floods_a_static_threshold() {
    let place = Place::new("");
    let figures = experiment(&place, &["--check", "--report", "shift.html"]);
    assert_eq!(figures["goals"]["met"].as_bool(), Some(true), "{figures}");
    let rate = |phase: &str, way: &str| figures[phase][way]["false_alarm_rate"].as_f64().unwrap();
    let recall = |phase: &str, way: &str| figures[phase][way]["recall"].as_f64().unwrap();
    assert!(rate("adapted", "static") > 0.4, "the static threshold floods: {figures}");
    assert!(rate("adapted", "static") > 1.5 * rate("before", "static"), "it is the shift that floods it: {figures}");
    assert!(recall("adapted", "ewma") < 0.5, "the plain moving average learns to be silent: {figures}");
    assert!(rate("adapted", "ours") < 0.005 && recall("adapted", "ours") > 0.95, "{figures}");
    assert!(rate("before", "ours") < 0.005 && recall("before", "ours") > 0.9, "{figures}");
    assert_eq!(figures["told"]["alert"], "template.new", "{figures}");
    let page = fs::read_to_string(place.path("shift.html")).unwrap();
    for id in ["training", "distribution", "distribution-again", "scores", "alarms", "memory"] {
        assert!(page.contains(&format!("id=\"{id}")), "picture {id} is missing");
    }
    let again = experiment(&place, &[]);
    assert_eq!(unmeasured(figures), unmeasured(again), "the same seed gives the same figures");
}

#[test]
fn given_logs_are_judged_like_rendered_ones() {
    let place = Place::new("");
    let rendered = experiment(&place, &["--keep", "kept"]);
    let logs = ["--train-log", "kept/quiet.log", "--log", "kept/shift.log", "--labels", "kept/labels.csv"];
    fs::write(place.path("utc.toml"), "[ingest]\ntimezone = \"UTC\"\n").unwrap();
    // The same line as that of the rendered log, which is not quite as long as was asked for.
    let share = rendered["shift_line"].as_f64().unwrap() / rendered["lines"].as_f64().unwrap() + 1e-9;
    let given = experiment(&place, &[&logs[..], &["--shift-at", &share.to_string(), "--config", "utc.toml"]].concat());
    for key in ["lines", "shift_line", "before", "adapted", "told", "loss"] {
        assert_eq!(given[key], rendered[key], "{key}");
    }
}

#[test]
fn what_cannot_be_done_is_said_at_once() {
    let place = Place::new("");
    for (arguments, expected_code, expected) in [
        (&["--lines", "1000"][..], 2, "1000 is not in 200000.."),
        (&["--shift-at", "1.5"], 2, "is not in 0..=1"),
        (&["--log", "shift.log"], 2, "--train-log"),
        (&["--train-log", "a.log", "--log", "b.log", "--labels", "c.csv"], 1, "b.log"),
        (&["--keep", "."], 1, "is not empty"),
    ] {
        let (code, _, error) = place.run(&[&["experiment", "domain-shift"], arguments].concat());
        assert_eq!(code, Some(expected_code), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

fn experiment(place: &Place, more: &[&str]) -> Value {
    let (code, out, error) = place.run(&[&["experiment", "domain-shift", "--lines", LINES, "--json"], more].concat());
    assert_eq!(code, Some(0), "{out}{error}");
    serde_json::from_str(&out).unwrap()
}

fn unmeasured(mut figures: Value) -> Value {
    figures.as_object_mut().unwrap().remove("measured").expect("what was measured");
    figures
}

const LINES: &str = "300000";
