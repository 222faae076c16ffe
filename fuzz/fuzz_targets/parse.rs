//! Headers of arbitrary lines, held against `hdfs_vigil_fuzz::parse::check`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hdfs_vigil_fuzz::parse::check(data));
