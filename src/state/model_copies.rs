//! Keeps the bytes of the running model, and of the one before it, in the state directory: so that a daemon whose model file is broken
//! or gone still starts, and a checkpoint finds the model that it was written under.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::state::directory::{StateError, io_error, replace};

/// The two copies.
#[derive(Clone, Debug)]
pub struct ModelCopies {
    directory: PathBuf,
}

impl ModelCopies {
    /// Those in this state directory.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Where the copy of the model that runs is.
    #[must_use]
    pub fn current(&self) -> PathBuf {
        self.directory.join(CURRENT_NAME)
    }

    /// Where the copy of the model before it is.
    #[must_use]
    pub fn previous(&self) -> PathBuf {
        self.directory.join(PREVIOUS_NAME)
    }

    /// Makes these bytes the copy of the model that runs or is to take over, and that copy the previous one. Nothing when they are that
    /// already. A previous copy that `is_needed` stays, and the newer one gives way, unless that is needed itself.
    ///
    /// # Errors
    /// When the system refuses; both copies stay as they were, or the newer of them is the previous one.
    pub fn keep(&self, bytes: &[u8], is_needed: impl Fn(&[u8]) -> bool) -> Result<(), StateError> {
        if fs::read(self.current()).is_ok_and(|current| current == bytes) {
            return Ok(());
        }
        let temporary = self.directory.join(TEMPORARY_NAME);
        write(&temporary, bytes).map_err(|source| io_error("write", &temporary, source))?;
        let is_needed = |path: &Path| fs::read(path).is_ok_and(|bytes| is_needed(&bytes));
        let gives_way = is_needed(&self.current()) || !is_needed(&self.previous());
        let previous = gives_way.then(|| self.previous());
        replace(&temporary, &self.current(), previous.as_deref()).map_err(|source| io_error("replace", &self.current(), source))
    }

    /// The bytes of both copies, that of the running model first, as far as they can be read.
    #[must_use]
    pub fn read(&self) -> Vec<Vec<u8>> {
        [self.current(), self.previous()].into_iter().filter_map(|path| fs::read(path).ok()).collect()
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

const CURRENT_NAME: &str = "model-current.onnx";
const PREVIOUS_NAME: &str = "model-previous.onnx";
const TEMPORARY_NAME: &str = "model.new";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_two_that_differ_are_kept() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let copies = ModelCopies::new(directory.path());
        assert!(copies.read().is_empty());
        let (a, b, c) = (b"a".to_vec(), b"b".to_vec(), b"c".to_vec());
        for (bytes, expected) in
            [(&a, vec![&a]), (&a, vec![&a]), (&b, vec![&b, &a]), (&b, vec![&b, &a]), (&c, vec![&c, &b]), (&b, vec![&b, &c])]
        {
            copies.keep(bytes, |_| false).expect("the directory can be written");
            assert_eq!(copies.read().iter().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn the_one_that_is_needed_never_gives_way() {
        for (before, next, expected) in [
            (["x", "needed"], "next", ["next", "needed"]),
            (["needed", "x"], "next", ["next", "needed"]),
            (["needed", "needed"], "next", ["next", "needed"]),
            (["next", "needed"], "next", ["next", "needed"]),
            (["x", "y"], "next", ["next", "x"]),
        ] {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let copies = ModelCopies::new(directory.path());
            fs::write(copies.current(), before[0]).expect("the directory can be written");
            fs::write(copies.previous(), before[1]).expect("the directory can be written");
            copies.keep(next.as_bytes(), |bytes| bytes == b"needed").expect("the directory can be written");
            assert_eq!(copies.read(), expected.map(|bytes| bytes.as_bytes().to_vec()), "{before:?}");
        }
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_named() {
        let error = ModelCopies::new(Path::new("/no/such/directory")).keep(b"a", |_| true).expect_err("there is none");
        assert!(error.to_string().contains("failed to write /no/such/directory/model.new"), "{error}");
    }
}
