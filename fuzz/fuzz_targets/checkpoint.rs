//! A state directory of arbitrary bytes, held against `hdfs_vigil_fuzz::checkpoint::check`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hdfs_vigil_fuzz::checkpoint::check(data));
