//! A library that is missing, wrong or too old gives a message with a remedy, never a panic.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hdfs_vigil::model::scorer::library;

#[test]
fn a_missing_library_is_named() {
    check(
        Path::new("/no/such/libonnxruntime.so"),
        "ORT_DYLIB_PATH names /no/such/libonnxruntime.so, which does not exist",
    );
}

#[test]
fn a_file_that_is_no_library_is_refused() {
    check(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml").as_path(),
        "Cargo.toml: ",
    );
}

#[test]
fn a_library_that_is_no_onnxruntime_is_refused() {
    check_compiled("int something_else(void) { return 1; }", "does not export `OrtGetApiBase`");
}

#[test]
fn an_old_onnxruntime_is_refused() {
    check_compiled(&pretended("1.16.3"), "expected version >= '1.17.x', but got '1.16.3'");
}

#[test]
fn an_onnxruntime_without_the_interface_is_refused() {
    check_compiled(&pretended("1.28.0"), "does not offer version 17 of the interface");
}

/// Not a test: a process loads at most one library, so the others start this one with the library that they want tried.
#[test]
fn loads_in_a_process_of_its_own() {
    match library::load(None) {
        Ok(library) => println!("loaded {}: {}", library.path.display(), library.build),
        Err(error) => println!("refused: {error}"),
    }
}

fn check(library: &Path, expected: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "model_library::loads_in_a_process_of_its_own", "--nocapture"])
        .env("ORT_DYLIB_PATH", library)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && printed.contains("refused: ") && printed.contains(expected),
        "{output:?}"
    );
    assert!(printed.contains("scripts/onnxruntime"), "names the remedy: {printed}");
}

fn check_compiled(source: &str, expected: &str) {
    let directory = tempfile::tempdir().unwrap();
    match compiled(directory.path(), source) {
        Some(library) => check(&library, expected),
        None => println!("skipped: no C compiler `cc`"),
    }
}

fn compiled(directory: &Path, source: &str) -> Option<PathBuf> {
    let (source_path, library) = (directory.join("library.c"), directory.join("libonnxruntime.so"));
    fs::write(&source_path, source).unwrap();
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source_path)
        .status()
        .ok()?;
    assert!(status.success());
    Some(library)
}

/// A library that says that it is this version and offers no interface at all.
fn pretended(version: &str) -> String {
    format!(
        r#"
        static const void *get_api(unsigned version) {{ return 0; }}
        static const char *get_version(void) {{ return "{version}"; }}
        struct api_base {{ const void *(*get_api)(unsigned); const char *(*get_version)(void); }};
        static const struct api_base base = {{ get_api, get_version }};
        const struct api_base *OrtGetApiBase(void) {{ return &base; }}
        "#
    )
}
