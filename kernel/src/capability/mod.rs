//! Capabilities: per-process tables that say which objects a process may use, and how.

mod entry;
pub mod slots;
pub mod table;

#[cfg(test)]
mod tests;

pub use entry::{Capability, EntryGuard};
pub use table::Table;
