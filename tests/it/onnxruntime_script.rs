//! `scripts/onnxruntime` takes nothing but ONNX Runtime 1.28, and says what it did or what to do. Tried without a network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[test]
fn a_library_of_ours_is_linked() {
    let place = Place::new();
    let library = place.file("mine.so", "\x7fELF OrtGetApiBase VERS_1.28.1 \n");
    check(place.run(&library), true, "linked: ");
    assert_eq!(fs::read_link(place.installed()).unwrap(), library.canonicalize().unwrap());
}

#[test]
fn other_libraries_are_refused() {
    let place = Place::new();
    check(
        place.run(Path::new("/no/such.so")),
        false,
        "/no/such.so does not exist; name a file, or unset ORT_DYLIB_PATH",
    );
    check(
        place.run(&place.file("other.so", "\x7fELF malloc")),
        false,
        "is no ONNX Runtime: it does not export OrtGetApiBase",
    );
    let later = place.file("later.so", "OrtGetApiBase VERS_1.29.0\n");
    check(
        place.run(&later),
        false,
        "is not ONNX Runtime 1.28 (VERS_1.29.0); run scripts/onnxruntime without it",
    );
    assert!(!place.installed().exists(), "nothing was installed");
}

#[test]
fn a_library_fetched_before_is_checked_and_kept() {
    let fetched = root().join("vendor/onnxruntime/libonnxruntime.so");
    if !fetched.is_file() || fetched.is_symlink() {
        return println!("skipped: scripts/onnxruntime has not fetched a library here");
    }
    let output = Command::new(root().join("scripts/onnxruntime"))
        .env_remove("ORT_DYLIB_PATH")
        .output()
        .unwrap();
    check(output, true, "already there: ");
}

fn check(output: Output, succeeds: bool, expected: &str) {
    let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.success(), succeeds, "{printed}");
    assert!(printed.contains(expected), "{printed}");
}

/// A project that has nothing but the script.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("scripts")).unwrap();
        fs::copy(
            root().join("scripts/onnxruntime"),
            directory.path().join("scripts/onnxruntime"),
        )
        .unwrap();
        Self(directory)
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn run(&self, library: &Path) -> Output {
        Command::new(self.0.path().join("scripts/onnxruntime"))
            .arg(library)
            .output()
            .unwrap()
    }

    fn installed(&self) -> PathBuf {
        self.0.path().join("vendor/onnxruntime/libonnxruntime.so")
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
