//! Capabilities: per-process tables that say which objects a process may use, and how; and the trees of who was
//! derived from whom.

pub mod derivation;
mod entry;
pub mod kept;
pub mod links;
pub mod passing;
pub mod revoke;
pub mod slot;
pub mod slots;
pub mod table;
pub mod transfer;

#[cfg(test)]
mod tests;

pub use entry::{Capability, EntryGuard};
pub use kept::{Holder, Kept};
pub use slot::Held;
pub use table::Table;
