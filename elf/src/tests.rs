//! Tests on the host.
