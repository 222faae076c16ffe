//! The program as its users have it: real files, real models.

mod learning;
