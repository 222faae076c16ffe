//! Cuts of arbitrary bytes into records, held against `hdfs_vigil_fuzz::frame::check`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hdfs_vigil_fuzz::frame::check(data));
