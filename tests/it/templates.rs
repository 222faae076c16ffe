//! `hdfs-vigil templates` is a Drain for any log: held against Drain3 line by line, and against what people say which lines are alike.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde::Deserialize;

use crate::real_data;

#[test]
fn clusters_are_those_of_drain3_line_by_line() {
    for (system, setting) in settings().systems {
        let Some(log) = log(&system) else { return };
        let golden = fs::read_to_string(golden().join(format!("{system}.txt"))).unwrap();
        let golden: Vec<&str> = golden.lines().collect();
        let found = clusters(&log, &setting, &[]);
        let differs = found.iter().zip(&golden).position(|(found, golden)| found != golden);
        assert_eq!((found.len(), differs), (golden.len(), None), "{system}: lines, and the first that differs");
    }
}

#[test]
fn drain3_still_gives_the_golden_clusters() {
    let Some(log) = log("HDFS") else { return };
    let data = log.parent().and_then(Path::parent).unwrap();
    let out = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/drain3_clusters.py");
    let Ok(output) = Command::new("python3").arg(script).arg(data).arg(out.path()).output() else {
        return skip("python3 does not run");
    };
    let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    match output.status.code() {
        Some(0) => {}
        Some(77) => return skip(printed.trim()),
        code => panic!("exit code {code:?}: {printed}"),
    }
    for system in settings().systems.keys() {
        let [anew, kept] = [out.path(), &golden()].map(|folder| fs::read(folder.join(format!("{system}.txt"))).unwrap());
        assert!(anew == kept, "{system}.txt is not what Drain3 gives");
    }
}

#[test]
fn accuracy_is_the_published_one() {
    for (system, setting) in settings().systems {
        let (Some(log), Some(truth)) = (log(&system), truth(&system)) else { return };
        let reference = accuracy(&clusters(&log, &setting, &[]), &truth);
        let daemon = accuracy(&clusters(&log, &setting, &["--as-daemon"]), &truth);
        println!("{system:<10} published {:.4}, found {reference:.4}, as the daemon {daemon:.4}", setting.published_accuracy);
        assert!(reference >= setting.published_accuracy - 1e-9, "{system}: {reference}");
    }
}

#[test]
fn words_that_tell_do_not_cost_accuracy_on_what_the_daemon_reads() {
    let settings = settings().systems;
    for system in ["HDFS", "Hadoop"] {
        let (Some(log), Some(truth)) = (log(system), truth(system)) else { return };
        let daemon = accuracy(&clusters(&log, &settings[system], &["--as-daemon"]), &truth);
        assert!(daemon >= settings[system].published_accuracy - 1e-9, "{system}: {daemon}");
    }
}

#[test]
fn logs_of_hdfs_need_no_options() {
    let printed = templates(&log_of(HDFS), &[]);
    for line in [
        "2 templates of 5 messages in 9 lines",
        "1 lines without a header were passed over",
        "E1            3 x  Receiving <*>:<*> src: <*> dest: <*>",
        "      2021-07-15 22:43:01.109 to 2021-07-15 22:43:03.5, lines 2 to 4",
        "      Receiving BP-1-a:blk_1_1 src: /1.2.3.4:5 dest: /1.2.3.4:6",
        "E2            2 x  DataXceiver error on <*>",
        "      2021-07-15 22:43:04 to 2021-07-15 22:43:05, lines 5 to 8",
    ] {
        assert!(printed.contains(line), "no {line:?} in\n{printed}");
    }
    let printed = templates(&log_of(HDFS), &["--as-daemon"]);
    for class in ["java.io.IOException", "java.io.EOFException"] {
        assert!(printed.contains(&format!("1 x  DataXceiver error on <*> {class}\n")), "no {class} in\n{printed}");
    }
}

#[test]
fn other_logs_need_to_be_described() {
    let (header, mask) = ("<Month> <Date> <Time> <Host> <Component>: <Content>", r"(\d+\.){3}\d+");
    let printed = templates(&log_of(OTHER), &["--header-format", header, "--mask", mask, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&json["lines"], &json["passed_over"]), (&3.into(), &0.into()));
    let first = &json["templates"][0];
    for (key, expected) in [
        ("id", "E1".into()),
        ("template", "closed by <*> for good".into()),
        ("count", serde_json::Value::from(2)),
        ("first", "Jun 14 15:16:01".into()),
        ("last", "Jun 14 15:16:02".into()),
        ("first_line", 1.into()),
        ("last_line", 2.into()),
        ("example", "closed by 1.2.3.4 for good".into()),
    ] {
        assert_eq!(first[key], expected, "{key} of {first}");
    }
}

#[test]
fn lines_without_headers_are_all_message() {
    let csv = templates(&log_of("say \"a, b\"\nother\n\nsay \"a, c\"\n"), &["--header-format", "<Content>", "--csv"]);
    let rows = "LineId,EventId,EventTemplate\n1,E1,\"say \"\"a, <*>\"\n2,E2,other\n3,E3,\n4,E1,\"say \"\"a, <*>\"\n";
    assert_eq!(csv, rows);
}

#[test]
fn wrong_options_are_refused_with_what_to_do() {
    let log = log_of(OTHER);
    for (arguments, code, expected) in [
        (&["--mask", "("][..], 1, "read --mask ("),
        (&["--header-format", "<Date>"], 1, "has no <Content>"),
        (&["--depth", "2"], 2, "2 is not in 3..=255"),
        (&["--similarity", "1.5"], 2, "it must be 0 to 1"),
        (&["--json", "--csv"], 2, "cannot be used with"),
    ] {
        let output = command(&log, arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    let missing = command(Path::new("no/such.log"), &[]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no log found"));
}

const HDFS: &str = "\
in the middle of something
2021-07-15 22:43:01,109 INFO a.DataNode: Receiving BP-1-a:blk_1_1 src: /1.2.3.4:5 dest: /1.2.3.4:6
2021-07-15 22:43:02,000 INFO a.DataNode: Receiving BP-1-a:blk_2_1 src: /1.2.3.4:7 dest: /1.2.3.4:6
2021-07-15 22:43:03,500 INFO a.DataNode: Receiving BP-1-a:blk_3_1 src: /1.2.3.4:8 dest: /1.2.3.4:6
2021-07-15 22:43:04,000 ERROR a.DataNode: DataXceiver error on blk_1
java.io.IOException: reset
\tat a.B
2021-07-15 22:43:05,000 ERROR a.DataNode: DataXceiver error on blk_1
java.io.EOFException
";

const OTHER: &str = "\
Jun 14 15:16:01 combo sshd: closed by 1.2.3.4 for good
Jun 14 15:16:02 combo sshd: closed by 1.2.3.5 for good
Jun 14 15:16:03 combo sshd: opened
";

#[derive(Deserialize)]
struct Benchmark {
    systems: BTreeMap<String, Setting>,
}

/// The reference's settings for a system, and what it came to with them.
#[derive(Deserialize)]
struct Setting {
    header_format: String,
    masks: Vec<String>,
    similarity: f64,
    depth: u32,
    published_accuracy: f64,
}

fn settings() -> Benchmark {
    serde_json::from_str(&fs::read_to_string(golden().join("settings.json")).unwrap()).unwrap()
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/drain3")
}

/// The number of each line's cluster.
fn clusters(log: &Path, setting: &Setting, more: &[&str]) -> Vec<String> {
    let (similarity, depth) = (setting.similarity.to_string(), setting.depth.to_string());
    let mut arguments = vec!["--header-format", &setting.header_format, "--similarity", &similarity, "--depth", &depth, "--csv"];
    setting.masks.iter().for_each(|mask| arguments.extend(["--mask", mask]));
    arguments.extend(more);
    let csv = templates(log, &arguments);
    let rows = csv.lines().skip(1).enumerate().map(|(index, row)| {
        let mut fields = row.splitn(3, ',');
        assert_eq!(fields.next(), Some((index + 1).to_string().as_str()), "every line has a row");
        fields.next().unwrap().trim_start_matches('E').to_owned()
    });
    rows.collect()
}

/// A log of this text, kept until the test ends.
fn log_of(text: &str) -> tempfile::TempPath {
    let log = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    fs::write(&log, text).unwrap();
    log
}

fn command(log: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hdfs-vigil")).arg("templates").args(arguments).arg(log).output().unwrap()
}

fn templates(log: &Path, arguments: &[&str]) -> String {
    let output = command(log, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Share of lines whose group has just the lines that it has by the ground truth (Zhu et al., ICSE-SEIP 2019).
fn accuracy(found: &[String], truth: &[String]) -> f64 {
    assert_eq!(found.len(), truth.len());
    let (groups, events) = (lines_by_name(found), lines_by_name(truth));
    let right = groups.values().filter(|lines| events[truth[*lines.iter().next().unwrap()].as_str()] == **lines);
    right.map(HashSet::len).sum::<usize>() as f64 / found.len() as f64
}

fn lines_by_name(names: &[String]) -> HashMap<&str, HashSet<usize>> {
    let mut lines: HashMap<&str, HashSet<usize>> = HashMap::new();
    for (line, name) in names.iter().enumerate() {
        lines.entry(name).or_default().insert(line);
    }
    lines
}

fn log(system: &str) -> Option<PathBuf> {
    real_data::path(&format!("loghub_2k/{system}/{system}_2k.log"))
}

/// The event of each line, by the ground truth: the field before the last, which is quoted when it has a comma.
fn truth(system: &str) -> Option<Vec<String>> {
    let text = fs::read_to_string(real_data::path(&format!("loghub_2k/{system}/{system}_2k.log_structured.csv"))?).unwrap();
    let event = |row: &str| {
        let end = if row.ends_with('"') { row.trim_end_matches('"').rfind(",\"")? } else { row.rfind(',')? };
        Some(row[row[..end].rfind(',')? + 1..end].to_owned())
    };
    Some(text.lines().skip(1).map(|row| event(row).expect("an event and its template end the row")).collect())
}

fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
    println!("skipped: {why}");
}
