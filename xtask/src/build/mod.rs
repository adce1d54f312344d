//! From sources to what a machine can load.
#![forbid(unsafe_code)]

pub mod archive;
pub mod cargo;
pub mod command;
pub mod image;
pub mod loadable;
pub mod package;
pub mod symbols;
pub mod system;
pub mod target;
