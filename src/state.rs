//! What survives a restart: one checkpoint is one instant of the whole daemon.

pub mod directory;
pub mod journal;
pub mod model_copies;
