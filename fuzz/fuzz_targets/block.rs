//! Block ids and pools in arbitrary text, held against `hdfs_vigil_fuzz::block::check`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hdfs_vigil_fuzz::block::check(data));
