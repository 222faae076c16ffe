//! `evaluate`: the figures of a model and of simple detectors on real sessions, by one command.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::real_data;
use crate::vigil::{Place, model};

#[test]
fn the_shipped_model_is_good_enough_and_stands_beside_simple_detectors() {
    let Some([train, normal, anomalous]) = hdfs_v1() else { return };
    let place = Place::new("");
    let model = model().display().to_string();
    let arguments = [
        "evaluate",
        "--model",
        &model,
        "--train",
        &train,
        "--normal",
        &normal,
        "--anomalous",
        &anomalous,
        "--draw",
        "figures",
        "--json",
    ];
    let figures = json(&place, &arguments);
    assert!(figures["f1_mean"].as_f64() >= Some(0.985), "{figures}");
    assert!(figures["false_alarms_per_100k"].as_f64() <= Some(120.0), "{figures}");
    assert_eq!((figures["f1_mean"].as_f64(), figures["f1_sd"].as_f64()), (figures["f1_min"].as_f64(), Some(0.0)));
    // Reckoned apart from this program, with numpy, from the same files.
    for (baseline, f1, false_alarms) in [
        ("new_event", 0.5287, 0.0),
        ("new_length", 0.5907, 22.2),
        ("counts_unseen", 0.9665, 211.1),
        ("count_distance", 0.9908, 55.6),
    ] {
        let figures = &figures["baselines"][baseline];
        assert!((figures["f1_mean"].as_f64().unwrap() - f1).abs() < 1e-4, "{baseline}: {figures}");
        assert!((figures["false_alarms_per_100k"].as_f64().unwrap() - false_alarms).abs() < 0.1, "{baseline}: {figures}");
    }
    for picture in ["scores.svg", "precision-recall.svg"] {
        assert!(fs::read_to_string(place.path("figures").join(picture)).unwrap().ends_with("</svg>\n"), "{picture}");
    }
}

#[test]
fn seeds_are_trained_judged_and_summed_up() {
    let place = place();
    let arguments = ["evaluate", "--train", "normal.csv", "--normal", "normal.csv", "--anomalous", "anomalous.csv"];
    let seeds = ["--seeds", "2", "--epochs", "2"];
    let figures = json(&place, &[&arguments[..], &seeds, &["--json"]].concat());
    assert_eq!((figures["seeds"].as_u64(), figures["models"].as_array().map(Vec::len)), (Some(2), Some(2)), "{figures}");
    for key in ["f1_mean", "f1_sd", "f1_min", "precision_mean", "recall_mean", "false_alarms_per_100k"] {
        for figures in [&figures, &figures["baselines"]["new_event"], &figures["counts_alone"]] {
            assert!(figures[key].is_number(), "{key} is missing in {figures}");
        }
    }
    // Half of the anomalous sessions fail, all are of unseen counts.
    assert_eq!(figures["baselines"]["new_event"]["recall_mean"].as_f64(), Some(0.5), "{figures}");
    assert_eq!(figures["baselines"]["counts_unseen"]["recall_mean"].as_f64(), Some(1.0), "{figures}");
    let (code, out, error) = place.run(&[&arguments[..], &seeds, &["--draw", "here"]].concat());
    assert_eq!(code, Some(0), "{error}");
    let rows = ["seed 2: threshold", "score and counts, the daemon", "counts_unseen", "drawn: here/precision-recall.svg"];
    for row in rows {
        assert!(out.contains(row), "{row} is missing in {out}");
    }
}

#[test]
fn what_is_missing_is_said_at_once() {
    let place = place();
    let sessions = ["--normal", "normal.csv", "--anomalous", "anomalous.csv"];
    for (more, expected_code, expected) in [
        (&[][..], 2, "--model"),
        (&["--train", "nowhere.csv"], 1, "nowhere.csv"),
        (&["--train", "normal.csv", "--draw", "normal.csv"], 1, "create normal.csv"),
    ] {
        let (code, _, error) = place.run(&[&["evaluate"], &sessions[..], more].concat());
        assert_eq!(code, Some(expected_code), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

/// Paths of the training sessions and of both kinds to judge.
fn hdfs_v1() -> Option<[String; 3]> {
    let path = |name: &str| Some(real_data::path(&format!("hdfs_v1/{name}"))?.display().to_string());
    Some([path("train_normal_1pct.csv")?, path("more_normal.csv")?, path("test_anomalous.csv")?])
}

/// A place with 300 normal sessions of two kinds, and 20 anomalous ones: half stop early, half fail.
fn place() -> Place {
    let place = Place::new("");
    write(&place.path("normal.csv"), &[(200, "E1 E2 E2"), (100, "E1 E2 E2 E3")]);
    write(&place.path("anomalous.csv"), &[(10, "E1 E2"), (10, "E1 E2 E4")]);
    fs::write(place.path("templates.csv"), "allocated <*>\nreceived <*>\ndeleted <*>\nfailed <*>\n").unwrap();
    place
}

fn write(path: &Path, sessions: &[(usize, &str)]) {
    let lines: String = sessions.iter().map(|&(times, events)| format!("blk_1,Normal,{events}\n").repeat(times)).collect();
    fs::write(path, format!("BlockId,Label,EventSequence\n{lines}")).unwrap();
}

fn json(place: &Place, arguments: &[&str]) -> Value {
    let (code, out, error) = place.run(arguments);
    assert_eq!(code, Some(0), "{error}");
    serde_json::from_str(&out).unwrap()
}
