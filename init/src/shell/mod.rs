//! The shell: a person's commands, or those of the command line.
#![forbid(unsafe_code)]

pub mod keys;
pub mod line;
pub mod words;
