//! Tests of the frame allocator on the host.
