//! What the layers say, and every mistake they can make.

use std::fs;

use super::*;

#[test]
fn the_manual_holds_every_key_and_is_valid() {
    let layers = Layers::read(&[], []).unwrap();
    let mut reader = Reader::new(&layers);
    let _ = Config::read(&mut reader);
    assert_eq!(reader.taken().iter().copied().collect::<Vec<_>>(), layers.keys().collect::<Vec<_>>());
    reader.finish(()).unwrap();
}

#[test]
fn the_manual_says_something_of_every_key() {
    let is_key = |line: &str| line.starts_with(char::is_alphabetic) && line.contains(" = ");
    let lines: Vec<_> = DEFAULT_TOML.lines().collect();
    for pair in lines.windows(2).filter(|pair| is_key(pair[1])) {
        assert!(pair[0].starts_with('#'), "no comment stands above {:?}", pair[1]);
    }
}

#[test]
fn defaults_are_those_of_the_manual() {
    let config = Config::check(&Layers::read(&[], []).unwrap()).unwrap();
    assert_eq!(config.ingest.start_at, StartAt::End);
    assert_eq!(config.pipeline.session_quiet, 5 * MINUTE);
    assert_eq!(config.pipeline.session_bytes_max, 64_000_000);
    assert_eq!(config.threshold.k, None);
    assert_eq!(config.webhook, None);
    assert_eq!(config.http.listen, Some("127.0.0.1:9464".parse().unwrap()));
}

#[test]
fn later_layers_win() {
    let config = load(
        &["[log]\nlevel = \"warn\"\nformat = \"json\"\n[ingest]\npaths = [\"/a\", \"/b\"]", "[log]\nlevel = \"debug\""],
        &[("HDFS_VIGIL__THRESHOLD__K", "4"), ("HDFS_VIGIL__INGEST__PATHS", "/c, /d"), ("HDFS_VIGIL__ALERTS__LOG", "false")],
    )
    .unwrap();
    assert_eq!((config.log.level.as_str(), config.log.format), ("debug", LogFormat::Json));
    assert_eq!(config.ingest.paths, ["/c", "/d"]);
    assert_eq!(config.threshold.k, Some(4.0));
    assert!(!config.alerts.log);
}

#[test]
fn values_are_read() {
    let read = |toml: &str| load(&[toml], &[]).unwrap();
    assert_eq!(read("[ingest]\nstart_at = \"-2h\"").ingest.start_at, StartAt::Back(2 * HOUR));
    assert_eq!(read("[ingest]\ntimezone = \"UTC\"").ingest.timezone, TimeZone::UTC);
    assert_eq!(read("[http]\nlisten = \"\"").http.listen, None);
    let pools = read("[ingest]\npools = [\"*nn1*=BP-1-a-2\", \"a=b=BP-3\"]").ingest.pools;
    let found: Vec<_> = pools.iter().map(|of| (of.pattern.as_str(), of.pool.as_str())).collect();
    assert_eq!(found, [("*nn1*", "BP-1-a-2"), ("a=b", "BP-3")]);
    assert_eq!(read("[threshold]\nfloor = 1\nceiling = 2.5").threshold.ceiling, Some(2.5));
    assert_eq!(read("[alerts]\nmode = \"observe\"").alerts.mode, Mode::Observe);
    assert_eq!(read("[alerts]\nredact = [\"/user/[^/ ]+\"]").alerts.redact.apply("of /user/a/b"), "of [redacted]/b");
}

#[test]
fn every_mistake_is_told_with_its_place_value_bound_and_remedy() {
    check("[pipeline]\nmerge_delay = \"61s\"", "pipeline.merge_delay is \"61s\", must be a duration of 0s..=1m, such as \"1m\"");
    check("[trouble]\nburst_factor = 1", "trouble.burst_factor is 1, must be a whole number of 2..=1000");
    check("[trouble]\nquiet = \"5s\"", "trouble.quiet is \"5s\", must be a duration of 1m..=1d, such as \"1d\"");
    check("[domain]\ntemplate_share = 1", "domain.template_share is 1, must be a number of 0.001..=0.5");
    check("[domain]\ntemplate_blocks = 1", "domain.template_blocks is 1, must be a whole number of 2..=1000");
    check("[domain]\nunknown_share_max = 2", "domain.unknown_share_max is 2, must be a number of 0.05..=1");
    check(
        "[domain]\nmute = [\"<*> <*>\"]",
        "domain.mute is [\"<*> <*>\"], must be a list of at most 1000 texts of templates with a word each, such as [\"BLOCK* Recount <*> replicas of <*>\"]",
    );
    check("[pipeline]\nsession_quiet = 5", "pipeline.session_quiet is 5, must be a duration of 1s..=1d, such as \"1d\"");
    check(
        "[pipeline]\nsession_bytes_max = \"1kB\"",
        "pipeline.session_bytes_max is \"1kB\", must be a size of 1MB..=64GB, such as \"64GB\"",
    );
    check(
        "[pipeline]\nsession_quiet = \"2h\"\nsession_idle = \"2h\"",
        "pipeline.session_idle is 2h, must be longer than pipeline.session_quiet (2h)",
    );
    check("[threshold]\nlambda = 0.9", "threshold.lambda is 0.9, must be a number of 0.00001..=0.5");
    check("[threshold]\nk = \"much\"", "threshold.k is \"much\", must be a number of 0.5..=20, or \"model\"");
    check("[threshold]\nfloor = 3\nceiling = 2", "threshold.ceiling is 2, must be above threshold.floor (3)");
    check("[alerts]\nmode = \"shout\"", "alerts.mode is \"shout\", must be \"notify\" or \"observe\"");
    check("[alerts]\nfiles_kept_max = 1.5", "alerts.files_kept_max is 1.5, must be a whole number of 0..=100");
    let must = "a list of at most 64 regular expressions of at most 1024 bytes, such as [\"/user/[^/ ]+\"], none of which matches the empty text";
    for (redact, why) in [
        ("[\"a\", \"(b\"]", "\"(b\" is none: unclosed group"),
        ("[\"a*\"]", "\"a*\" matches the empty text"),
        ("3", "it is no list"),
    ] {
        check(&format!("[alerts]\nredact = {redact}"), &format!("alerts.redact is {redact}, must be {must}; {why}"));
    }
    check(
        "[ingest]\npaths = []",
        "ingest.paths is [], must be a list with at least one directory or glob, such as [\"/var/log/hadoop-hdfs\"]",
    );
    check(
        "[ingest]\ntimezone = \"Mars/Olympus\"",
        "ingest.timezone is \"Mars/Olympus\", must be \"local\", \"UTC\", or a zone this host knows, such as \"Europe/Berlin\"",
    );
    for (pools, shown) in [("[\"BP-1-a-2\"]", "[\"BP-1-a-2\"]"), ("[\"=BP-1\"]", "[\"=BP-1\"]"), ("[\"nn=1\"]", "[\"nn=1\"]")] {
        let must = "a list of at most 64 log file patterns with their block pools, such as [\"*namenode-nn1*=BP-1064460171-10.0.0.1-1626388920000\"]";
        check(&format!("[ingest]\npools = {pools}"), &format!("ingest.pools is {shown}, must be {must}"));
    }
    check(
        "[http]\nlisten = \"9464\"",
        "http.listen is \"9464\", must be an address with a port, such as \"127.0.0.1:9464\" or \"[::1]:9464\", or \"\" for none",
    );
    check(
        "[webhook]\nurl = \"ftp://x\"",
        "webhook.url is \"ftp://x\", must be an address such as \"https://alerts.example.org/hdfs\", or \"\" for none",
    );
    check(
        "[pipeline]\npatience = \"5m\"",
        "pipeline.patience is no key; [pipeline] has incident_open_max, join_grace, merge_bytes_max, merge_delay, session_bytes_max, session_idle, session_quiet, silence",
    );
    check("[ingest]\nsession_quiet = \"5m\"", "ingest.session_quiet is no key; did you mean pipeline.session_quiet?");
    check("[piepline]\nx = 1", "piepline.x is in no known section; see config/default.toml for all of them");
}

#[test]
fn levels_are_told_from_slips_of_the_pen() {
    let is_level = |text: &str| load(&[&format!("[log]\nlevel = {text:?}")], &[]).is_ok();
    for right in ["info", "WARN", "off", "info,hdfs_vigil::ingest=debug", "warn,hdfs_vigil[span]=trace"] {
        assert!(is_level(right), "{right}");
    }
    for wrong in ["", "inof", "info,", "hdfs_vigil", "info,hdfs_vigil=loud"] {
        assert!(!is_level(wrong), "{wrong}");
    }
}

#[test]
fn a_webhook_needs_a_secret_and_neither_is_printed() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    let toml = format!(
        "[webhook]\nurl = \"https://user:pw@hooks.example.org/T0/B0/token\"\nsecret_file = {:?}",
        secret.display().to_string()
    );
    let missing = load(&[&toml], &[]).unwrap_err();
    assert!(missing.0[0].contains("which cannot be read"), "{missing}");
    fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n0123456789abcdef\n").unwrap();
    let webhook = load(&[&toml], &[]).unwrap().webhook.unwrap();
    assert_eq!((webhook.secrets.len(), webhook.host().as_str()), (2, "https://hooks.example.org"));
    let printed = effective(&layers(&[&toml], &[]).unwrap());
    assert!(printed.contains("url = \"https://hooks.example.org/hidden\"") && !printed.contains("token"), "{printed}");
}

#[test]
fn what_is_printed_reads_back_as_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("printed.toml");
    let first = layers(&["[threshold]\nlambda = 0.01\n[ingest]\nexclude = []"], &[]).unwrap();
    fs::write(&file, effective(&first)).unwrap();
    let second = Layers::read(&[file], []).unwrap();
    assert_eq!(Config::check(&second).unwrap(), Config::check(&first).unwrap());
    assert_eq!(effective(&second), effective(&first));
}

#[test]
fn three_mistakes_in_three_places_are_told_at_once() {
    let mistakes =
        load(&["[log]\nformat = \"xml\"", "[alerts]\nlog = 3"], &[("HDFS_VIGIL__STATE__CHECKPOINT_INTERVAL", "never")])
            .unwrap_err();
    let [log, state, alerts] =
        ["log.format", "state.checkpoint_interval", "alerts.log"].map(|key| mistakes.0.iter().find(|m| m.contains(key)).unwrap());
    assert_eq!(mistakes.0.len(), 3);
    assert!(log.contains("0.toml") && alerts.contains("1.toml"), "{mistakes}");
    assert!(state.starts_with("read environment variable HDFS_VIGIL__STATE__CHECKPOINT_INTERVAL: "), "{mistakes}");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let missing = Layers::read(&["/nowhere/vigil.toml".into(), "/nowhere/else.toml".into()], []).unwrap_err();
    assert_eq!(missing.0.len(), 2, "{missing}");
    assert!(missing.0[0].starts_with("read config /nowhere/vigil.toml: "), "{missing}");
    let broken = layers(&["[log\nlevel = 3"], &[]).unwrap_err();
    assert!(broken.0[0].contains("0.toml"), "{broken}");
}

/// `toml` is refused with just one mistake, which ends with `expected`.
fn check(toml: &str, expected: &str) {
    let mistakes = load(&[toml], &[]).unwrap_err();
    let [mistake] = mistakes.0.as_slice() else { panic!("{toml}: {mistakes}") };
    assert!(mistake.starts_with("read config /") && mistake.contains("0.toml: "), "{mistake}");
    assert_eq!(mistake.split_once("0.toml: ").unwrap().1, expected);
}

fn load(files: &[&str], environment: &[(&str, &str)]) -> Result<Config, Mistakes> {
    layers(files, environment).and_then(|layers| Config::check(&layers))
}

/// Layers of files named `0.toml`, `1.toml`, … and of an environment.
fn layers(files: &[&str], environment: &[(&str, &str)]) -> Result<Layers, Mistakes> {
    let directory = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..files.len()).map(|number| directory.path().join(format!("{number}.toml"))).collect();
    for (path, text) in paths.iter().zip(files) {
        fs::write(path, text).unwrap();
    }
    Layers::read(&paths, environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}
