//! Real logs that are shared beside the project and not copied into it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::{GzDecoder, MultiGzDecoder};

/// Where a shared file is; `None`, with a word, where the shared data is not. On CI that is a failure.
pub fn path(name: &str) -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let path = std::env::var_os("HDFS_VIGIL_DATA").map_or_else(beside, PathBuf::from).join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing; set HDFS_VIGIL_DATA", path.display());
    println!("skipped: {} is missing", path.display());
    None
}

/// The bytes of a shared file, decompressed.
pub fn bytes(name: &str) -> Option<Vec<u8>> {
    let bytes = fs::read(path(name)?).unwrap();
    if !name.ends_with(".gz") {
        return Some(bytes);
    }
    let mut decoded = Vec::new();
    GzDecoder::new(&bytes[..]).read_to_end(&mut decoded).unwrap();
    Some(decoded)
}

/// Unpacks those packed files of a shared folder that are wanted, by their names without `.gz`, into another; quoting thousands of packed
/// records would take long. `None`, with a word, where the shared data is not.
pub fn unpack(name: &str, into: &Path, is_wanted: impl Fn(&str) -> bool) -> Option<()> {
    for file in fs::read_dir(path(name)?).unwrap().map(|file| file.unwrap().path()) {
        let unpacked = file.file_stem().unwrap().to_string_lossy().into_owned();
        if file.extension().is_some_and(|extension| extension == "gz") && is_wanted(&unpacked) {
            let mut unpacked = File::create(into.join(unpacked)).unwrap();
            io::copy(&mut MultiGzDecoder::new(File::open(file).unwrap()), &mut unpacked).unwrap();
        }
    }
    Some(())
}
