//! Model files: what they say of themselves, how they are written, and how they are run.

pub mod contract;
pub mod onnx;
pub mod validate;
