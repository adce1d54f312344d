//! Boots Orbital for tests, and tells apart how each ended.
//!
//! | module | what |
//! |---|---|
//! | [`suites`] | the test programs and their cases, read from the ELF files |
//! | [`wants`] | which machines a case wants |
//! | [`environment`] | what is asked of all tests at once |
//! | [`guest`] | one case in one machine, from boot to verdict |
//! | [`verdict`] | what the log and the machine's end mean |
//! | [`slots`] | how many machines may run at once |
#![forbid(unsafe_code)]

pub mod environment;
pub mod guest;
pub mod slots;
pub mod suites;
pub mod verdict;
pub mod wants;

pub use environment::Environment;
pub use guest::{Guest, Report};
pub use suites::Suites;
pub use verdict::Verdict;
