//! Who called whom: the host's own tools know it better.
#![forbid(unsafe_code)]

/// Calls `visit` for no caller.
pub fn callers(_visit: impl FnMut(u64)) {}
