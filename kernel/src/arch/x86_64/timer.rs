//! The interrupt that ends a slice.
#![forbid(unsafe_code)]

pub use super::apic::{arm, disarm};
