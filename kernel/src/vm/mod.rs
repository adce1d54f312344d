//! Virtual memory: memory objects, and the address spaces that map them.

pub mod address_space;
mod changing;
mod chunk;
mod cleaner;
mod clone;
mod copy;
pub mod device;
mod disown;
pub mod loaded;
mod mapped;
pub mod memory_object;
mod node;
pub mod pages;
pub mod reclaim;
pub mod region;
pub mod shootdown;
mod tags;
pub mod user_copy;
mod withdraw;

#[cfg(test)]
mod tests;

pub use address_space::{AddressSpace, MessagePage};
pub use changing::{change, finish_change, help};
pub use clone::clone_pages;
pub use copy::copy_page;
pub use disown::disown;
pub use memory_object::MemoryObject;
pub use withdraw::withdraw;
