//! Real logs that are shared beside the project and not copied into it.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use flate2::read::GzDecoder;

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
