//! Machines: how each is started, and what becomes of a running one.

pub mod bochs;
mod cmos;
pub mod ending;
mod process;
pub mod qemu;
pub mod running;
pub mod tail;
mod terminal;

pub use ending::Ending;
pub use running::{Running, boot};
pub use tail::Tail;
