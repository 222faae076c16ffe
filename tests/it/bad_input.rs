//! What users get wrong, and what is wrong with what they have: each is answered by what to do, and none is a panic.

use std::fs;

use crate::vigil::{Place, append, model, story_lines};

#[test]
fn no_model() {
    check(&["replay", "logs", "--model", "none.onnx"], 65, &["none.onnx"]);
}

#[test]
fn a_model_that_is_none() {
    check(&["replay", "logs", "--model", "logs/dn1.log"], 65, &["dn1.log"]);
}

#[test]
fn a_log_that_is_not_there() {
    check(&["replay", "nowhere.log", "--model", MODEL], 1, &["nowhere.log", "name a log, or a directory of logs"]);
}

#[test]
fn a_directory_without_logs() {
    let place = place();
    fs::create_dir_all(place.path("others/x.log")).unwrap();
    let (code, _, complaint) = run(&place, &["replay", "others", "--model", MODEL]);
    assert_eq!(code, Some(1));
    assert!(complaint.contains("no log is in others; of a directory its *.log files are taken"), "{complaint}");
}

#[test]
fn a_configuration_that_is_not_there() {
    check(&["run", "--config", "none.toml"], 78, &["none.toml", "name a file that can be read"]);
}

#[test]
fn an_empty_log_is_no_error() {
    let place = place();
    fs::write(place.path("empty.log"), "").unwrap();
    let (code, said, complaint) = run(&place, &["replay", "empty.log", "--model", MODEL]);
    assert_eq!((code, complaint.as_str()), (Some(0), ""));
    assert!(said.contains("0 lines"), "{said}");
}

#[test]
fn a_binary_file_is_counted_and_passed_over() {
    let place = place();
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::write(place.path("binary.log"), bytes).unwrap();
    let (code, said, complaint) = run(&place, &["replay", "binary.log", "--model", MODEL]);
    assert_eq!((code, complaint.as_str()), (Some(0), ""));
    assert!(said.contains("0 events of 0 sessions"), "{said}");
}

#[test]
fn a_directory_is_taken_as_its_logs() {
    let place = place();
    let (code, said, _) = run(&place, &["replay", "logs", "--model", MODEL]);
    assert_eq!(code, Some(0));
    assert!(said.contains("sessions"), "{said}");
}

#[test]
fn learning_from_what_says_nothing_of_blocks() {
    let place = place();
    fs::write(place.path("other.log"), "081109 203518 143 INFO a.B: nothing of interest\n".repeat(100)).unwrap();
    let (code, _, complaint) = run(&place, &["learn", "other.log", "-o", "new.onnx"]);
    assert_eq!(code, Some(1));
    assert!(complaint.contains("no line of these logs names a block"), "{complaint}");
}

#[test]
fn learning_from_too_little() {
    let place = place();
    let (code, _, complaint) = run(&place, &["learn", "logs", "-o", "new.onnx"]);
    assert_eq!(code, Some(1));
    assert!(complaint.contains("at least 100 are needed"), "{complaint}");
}

#[test]
fn labels_that_are_none() {
    let place = place();
    fs::write(place.path("labels.csv"), "BlockId,Label\nblk_1,Strange\n").unwrap();
    let (code, _, complaint) = run(&place, &["replay", "logs", "--model", MODEL, "--labels", "labels.csv"]);
    assert_eq!(code, Some(1));
    assert!(complaint.contains("labels.csv:2: label is \"Strange\", must be Normal or Anomaly"), "{complaint}");
}

#[test]
fn a_configuration_with_three_mistakes_names_them_all() {
    let place = place();
    let config = "[ingest]\nscan_intervall = \"1s\"\n[pipeline]\nsession_quiet = \"0s\"\n[http]\nlisten = \"here\"\n";
    fs::write(place.path("wrong.toml"), config).unwrap();
    for command in ["run", "check-config"] {
        let (code, _, complaint) = run(&place, &[command, "--config", "wrong.toml"]);
        assert_eq!(code, Some(78), "{complaint}");
        for key in ["ingest.scan_intervall", "pipeline.session_quiet", "http.listen"] {
            assert!(complaint.contains(key), "{command} names {key}: {complaint}");
        }
    }
}

fn check(arguments: &[&str], code: i32, expected: &[&str]) {
    let (found, _, complaint) = run(&place(), arguments);
    assert_eq!(found, Some(code), "{complaint}");
    for part in expected {
        assert!(complaint.contains(part), "{part:?} is in {complaint}");
    }
    assert!(!complaint.contains("panicked"), "{complaint}");
}

fn run(place: &Place, arguments: &[&str]) -> (Option<i32>, String, String) {
    let model = model().display().to_string();
    let arguments: Vec<&str> =
        arguments.iter().map(|argument| if *argument == MODEL { model.as_str() } else { argument }).collect();
    place.run(&arguments)
}

fn place() -> Place {
    let place = Place::new("");
    append(&place.logs().join("dn1.log"), &story_lines(30));
    place
}

/// Stands for the path of the shipped model.
const MODEL: &str = "MODEL";
