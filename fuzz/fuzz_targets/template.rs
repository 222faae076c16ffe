//! Templates of arbitrary messages under an arbitrary vocabulary, held against `hdfs_vigil_fuzz::template::check`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hdfs_vigil_fuzz::template::check(data));
