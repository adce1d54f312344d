//! Tests of the boot information on the host.
