//! Configurations: any bytes are a configuration, or mistakes that each name something; and what was taken is taken again.

use std::fs;

use hdfs_vigil::config::{Config, Layers, effective};

/// The input is the text of a configuration file.
pub fn check(data: &[u8]) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("vigil.toml");
    fs::write(&path, data).expect("it can be written");
    let layers = match Layers::read(std::slice::from_ref(&path), []) {
        Ok(layers) => layers,
        Err(mistakes) => return check_said(&mistakes.to_string()),
    };
    match Config::check(&layers) {
        // An address of a webhook may hold a credential, and is not told.
        Ok(config) if config.webhook.is_some() => {}
        Ok(_) => {
            fs::write(&path, effective(&layers)).expect("it can be written");
            let again = Layers::read(std::slice::from_ref(&path), []).expect("what it says is in effect is a configuration");
            assert!(Config::check(&again).is_ok(), "what is in effect can be taken as a configuration");
        }
        Err(mistakes) => check_said(&mistakes.to_string()),
    }
}

fn check_said(said: &str) {
    assert!(said.lines().any(|line| line.trim().len() > 10), "it says what is wrong: {said:?}");
}
