//! The ways out: what people and other programs are told, and where.

pub mod archive;
pub mod document;
pub mod file;
pub mod http;
pub mod log;
pub mod metrics;
pub mod terminal;
pub mod webhook;
