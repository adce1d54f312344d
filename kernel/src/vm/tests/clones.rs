//! Copy-on-write clones.
