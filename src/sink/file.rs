//! Appends alerts to a file as JSON lines, and renames the file when it has grown.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::sink::document::Document;

/// The file. What [`AlertFile::append`] has returned `Ok` for is on the disk.
#[derive(Debug)]
pub struct AlertFile {
    path: PathBuf,
    bytes_max: u64,
    kept_max: u32,
    /// The key of the configuration that says where it is.
    key: &'static str,
    open: Option<File>,
}

impl AlertFile {
    /// The file at `path`, which grows to `bytes_max` and leaves `kept_max` older ones as `path.1` (the youngest), `path.2`, ….
    /// Nothing is opened yet.
    #[must_use]
    pub fn new(path: PathBuf, bytes_max: u64, kept_max: u32) -> Self {
        Self { path, bytes_max, kept_max, key: "alerts.file", open: None }
    }

    /// The same, named by another key of the configuration in what is said of failures.
    #[must_use]
    pub fn of(self, key: &'static str) -> Self {
        Self { key, ..self }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one line for each of `documents` and waits until the disk has them. A file that others have renamed or deleted is
    /// begun anew; a line that was cut off by a crash is ended first.
    ///
    /// # Errors
    /// With the path. Some of the lines may have been written; appending all of them again is right, as their ids tell.
    pub fn append(&mut self, documents: &[Document]) -> io::Result<()> {
        if documents.is_empty() {
            return Ok(());
        }
        let lines: String = documents.iter().map(|document| document.to_json() + "\n").collect();
        self.write(lines.as_bytes()).map_err(|error| {
            self.open = None;
            io::Error::new(error.kind(), format!("append to {} ({}): {error}", self.path.display(), self.key))
        })
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut file = self.file()?;
        let mut size = file.metadata()?.len();
        if size > 0 && size + lines.len() as u64 > self.bytes_max {
            drop(file);
            self.rotate()?;
            file = open(&self.path)?;
            size = 0;
        }
        if let Err(error) = file.write_all(lines) {
            // A full disk may have taken a part of it; what is left of the line would stand before the next try.
            let _ = file.set_len(file.metadata().map_or(size, |metadata| metadata.len().min(size)));
            return Err(error);
        }
        file.sync_data()?;
        self.open = Some(file);
        Ok(())
    }

    /// The open file if the path still leads to it, else the one that the path leads to now.
    fn file(&mut self) -> io::Result<File> {
        match self.open.take() {
            Some(file) if is_at(&file, &self.path) => Ok(file),
            _ => open(&self.path),
        }
    }

    fn rotate(&self) -> io::Result<()> {
        if self.kept_max == 0 {
            return fs::remove_file(&self.path);
        }
        for number in (1..self.kept_max).rev() {
            rename_if_there(&numbered(&self.path, number), &numbered(&self.path, number + 1))?;
        }
        rename_if_there(&self.path, &numbered(&self.path, 1))
    }
}

/// Opens `path` for appending, for its owner and group only since log lines name users and files, and ends a line that a crash cut off.
fn open(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().create(true).read(true).append(true).mode(0o640).open(path)?;
    if file.metadata()?.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

fn is_at(file: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    file.metadata().map(identity).ok().is_some_and(|open| fs::metadata(path).map(identity).ok() == Some(open))
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::document::tests::example;

    #[test]
    fn alerts_are_appended_one_a_line() {
        let (_directory, path) = place();
        AlertFile::new(path.clone(), u64::MAX, 1).append(&[example(), example()]).unwrap();
        AlertFile::new(path.clone(), u64::MAX, 1).append(&[example()]).unwrap();
        assert_eq!(read(&path), vec![example(); 3]);
    }

    #[test]
    fn a_grown_file_is_renamed_at_its_bound_and_the_oldest_go() {
        let line = example().to_json().len() as u64 + 1;
        for (bytes_max, per_file) in [(2 * line - 1, 1), (2 * line, 2), (2 * line + 1, 2)] {
            let (_directory, path) = place();
            let mut file = AlertFile::new(path.clone(), bytes_max, 2);
            for _ in 0..4 * per_file {
                file.append(&[example()]).unwrap();
            }
            let lengths = [path.clone(), numbered(&path, 1), numbered(&path, 2)].map(|path| read(&path).len());
            assert_eq!(lengths, [per_file; 3], "{bytes_max}");
            assert!(!numbered(&path, 3).exists());
        }
    }

    #[test]
    fn nothing_is_kept_when_nothing_is_to_be_kept() {
        let (directory, path) = place();
        let mut file = AlertFile::new(path.clone(), 1, 0);
        file.append(&[example()]).unwrap();
        file.append(&[example()]).unwrap();
        assert_eq!((read(&path).len(), fs::read_dir(directory.path()).unwrap().count()), (1, 1));
    }

    #[test]
    fn a_file_that_was_renamed_or_deleted_is_begun_anew() {
        let (_directory, path) = place();
        let mut file = AlertFile::new(path.clone(), u64::MAX, 1);
        file.append(&[example()]).unwrap();
        fs::rename(&path, path.with_extension("old")).unwrap();
        file.append(&[example()]).unwrap();
        assert_eq!((read(&path).len(), read(&path.with_extension("old")).len()), (1, 1));
        fs::remove_file(&path).unwrap();
        file.append(&[example()]).unwrap();
        assert_eq!(read(&path).len(), 1);
    }

    #[test]
    fn a_line_cut_off_by_a_crash_spoils_no_other() {
        let (_directory, path) = place();
        fs::write(&path, "{\"id\":\"ale").unwrap();
        AlertFile::new(path.clone(), u64::MAX, 1).append(&[example()]).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{{\"id\":\"ale\n{}\n", example().to_json()));
    }

    #[test]
    fn a_full_disk_is_an_error_with_its_kind() {
        let error = AlertFile::new("/dev/full".into(), u64::MAX, 1).append(&[example()]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named_and_tried_again() {
        let (directory, _) = place();
        let path = directory.path().join("not/there/alerts.jsonl");
        let mut file = AlertFile::new(path.clone(), u64::MAX, 1);
        let error = file.append(&[example()]).unwrap_err();
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        file.append(&[example()]).unwrap();
        assert_eq!(read(&path).len(), 1);
    }

    fn place() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("alerts.jsonl");
        (directory, path)
    }

    fn read(path: &Path) -> Vec<Document> {
        let text = fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
