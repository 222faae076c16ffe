//! Model files: what they promise, how they are written, and how they are run.

pub mod contract;
pub mod onnx;
pub mod scorer;
pub mod thread;
pub mod validate;
