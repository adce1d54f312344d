//! Virtual memory: memory objects, and the address spaces that map them.

pub mod address_space;
pub mod memory_object;
pub mod shootdown;
mod unmap;

#[cfg(test)]
mod tests;

pub use address_space::AddressSpace;
pub use memory_object::MemoryObject;
pub use unmap::unmap;
