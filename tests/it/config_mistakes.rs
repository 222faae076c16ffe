//! A configuration with mistakes: all of them are named, and the exit code says so.

use std::fs;

use hdfs_vigil::cli::check_config::{CheckConfig, EX_CONFIG, run};

#[test]
fn three_mistakes_are_three_lines_and_the_exit_code_of_a_wrong_configuration() {
    let toml = "[pipeline]\nsession_quiet = \"5 parsecs\"\n[alerts]\nmood = \"grim\"\n";
    let (code, out, err) = check(toml, &[("HDFS_VIGIL__HTTP__LISTEN", "everywhere")], false);
    assert_eq!((code, out.as_str(), err.lines().count()), (EX_CONFIG, "", 3), "{err}");
    assert!(err.contains("vigil.toml: pipeline.session_quiet is \"5 parsecs\", must be a duration of 1s..=1d"), "{err}");
    assert!(err.contains("vigil.toml: alerts.mood is no key; [alerts] has "), "{err}");
    assert!(err.contains("environment variable HDFS_VIGIL__HTTP__LISTEN: http.listen is \"everywhere\", must be "), "{err}");
}

#[test]
fn a_right_configuration_is_reported_with_what_differs() {
    let (code, out, err) = check("[log]\nlevel = \"debug\"\n", &[("HDFS_VIGIL__THRESHOLD__K", "4")], false);
    assert_eq!((code, err.as_str()), (0, ""));
    let lines: Vec<_> = out.lines().collect();
    assert!(lines[0].starts_with("ok, 2 of "), "{out}");
    assert!(lines[1].starts_with("  log.level = \"debug\" (config ") && lines[1].ends_with("vigil.toml)"), "{out}");
    assert_eq!(lines[2], "  threshold.k = \"4\" (environment variable HDFS_VIGIL__THRESHOLD__K)");
}

#[test]
fn the_effective_configuration_is_toml_and_checks_out_again() {
    let (code, printed, _) = check("[log]\nlevel = \"debug\"\n", &[], true);
    assert_eq!(code, 0);
    assert!(printed.contains("[log]\nformat = \"text\"\nlevel = \"debug\"\n"), "{printed}");
    let (code, _, err) = check(&printed, &[], false);
    assert_eq!((code, err.as_str()), (0, ""));
}

fn check(toml: &str, environment: &[(&str, &str)], print: bool) -> (u8, String, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("vigil.toml");
    fs::write(&file, toml).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let code = run(&CheckConfig { config: vec![file], print }, environment, &mut out, &mut err).unwrap();
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}
