//! Checks an ELF program and plans how to load it: the kernel loads init by it, init every program.
//! Both read files that anybody may have made, so no field is believed before it is checked.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod error;
mod plan;
#[cfg(test)]
mod tests;

pub use error::ElfError;
pub use plan::{MAX_SEGMENTS, Plan, Segment, SegmentAccess};
