//! What the commands do, in groups. Each gets its words, without its own name.
#![forbid(unsafe_code)]

pub mod census;
pub mod measure;
pub mod programs;
pub mod system;
