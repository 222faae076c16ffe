//! A file to be written at the end of long work: whether it can be is known at the beginning, and it appears whole or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::cli::beside;

/// The file, while what it is to hold is being made. What stood there before stays until then.
pub struct Destination {
    path: PathBuf,
    beside: PathBuf,
    file: File,
    written: bool,
}

impl Destination {
    /// Makes sure that `path` can be written, and is none of the `inputs`.
    ///
    /// # Errors
    /// When it is a directory or an input, or a file beside it cannot be created.
    pub fn new(path: &Path, inputs: &[PathBuf]) -> anyhow::Result<Self> {
        if path.is_dir() {
            bail!("write {}: is a directory, name a file in it", path.display());
        }
        let is_input =
            |input: &PathBuf| path.canonicalize().is_ok_and(|path| input.canonicalize().is_ok_and(|input| input == path));
        if inputs.iter().any(is_input) {
            bail!("write {}: is one of the inputs and would be overwritten, name another file", path.display());
        }
        let beside = beside(path, ".new");
        let file = File::create(&beside).with_context(|| format!("write {}", path.display()))?;
        Ok(Self { path: path.to_owned(), beside, file, written: false })
    }

    /// Writes it. Whoever looks at the path sees what was there before, or all of this.
    ///
    /// # Errors
    /// When the disk is full, or the directory is gone.
    pub fn write(mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let written = self.file.write_all(bytes).and_then(|()| self.file.sync_all());
        written.and_then(|()| fs::rename(&self.beside, &self.path)).with_context(|| format!("write {}", self.path.display()))?;
        self.written = true;
        Ok(())
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        if !self.written {
            let _ = fs::remove_file(&self.beside);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stood_there_stays_until_it_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        fs::write(&path, "old").unwrap();
        drop(Destination::new(&path, &[]).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let destination = Destination::new(&path, &[]).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        destination.write(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_cannot_be_written_is_said_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("namenode.log");
        fs::write(&input, "").unwrap();
        check(folder.path(), &input, "is a directory, name a file in it");
        check(&input, &input, "is one of the inputs");
        check(&folder.path().join("nowhere/model.onnx"), &input, "No such file or directory");
    }

    fn check(path: &Path, input: &Path, expected: &str) {
        let error = Destination::new(path, &[input.to_owned()]).err().expect("it cannot be written");
        assert!(format!("{error:#}").contains(expected), "{error:#}");
    }
}
