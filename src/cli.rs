//! The sub-commands of `hdfs-vigil`, one file each.

pub mod demo;
