//! `hdfs-vigil templates` is a Drain for any log: held against Drain3 line by line, and against what people say which lines are alike.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

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

fn templates(log: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_hdfs-vigil")).arg("templates").args(arguments).arg(log).output().unwrap();
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
    data(&format!("loghub_2k/{system}/{system}_2k.log"))
}

/// The event of each line, by the ground truth: the field before the last, which is quoted when it has a comma.
fn truth(system: &str) -> Option<Vec<String>> {
    let text = fs::read_to_string(data(&format!("loghub_2k/{system}/{system}_2k.log_structured.csv"))?).unwrap();
    let event = |row: &str| {
        let end = if row.ends_with('"') { row.trim_end_matches('"').rfind(",\"")? } else { row.rfind(',')? };
        Some(row[row[..end].rfind(',')? + 1..end].to_owned())
    };
    Some(text.lines().skip(1).map(|row| event(row).expect("an event and its template end the row")).collect())
}

fn data(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let path = std::env::var_os("HDFS_VIGIL_DATA").map_or_else(beside, PathBuf::from).join(name);
    if path.exists() {
        return Some(path);
    }
    skip(&format!("{} is missing; set HDFS_VIGIL_DATA", path.display()));
    None
}

fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
    println!("skipped: {why}");
}
