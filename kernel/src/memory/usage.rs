//! Counts what the kernel allocates for its objects and for itself. Touched with locks held, so it asks
//! nothing of the machine.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

static BYTES: AtomicU64 = AtomicU64::new(0);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// So many bytes were taken, at once.
pub(super) fn taken(bytes: usize) {
    BYTES.fetch_add(bytes as u64, Relaxed);
    ALLOCATIONS.fetch_add(1, Relaxed);
}

/// So many bytes were given back.
pub(super) fn given_back(bytes: usize) {
    BYTES.fetch_sub(bytes as u64, Relaxed);
}

/// Bytes in use: of objects in slabs, each rounded up to its class, and of the heap.
pub fn bytes() -> u64 {
    BYTES.load(Relaxed)
}

/// How often memory was taken, since boot. Frames do not count.
pub fn allocations() -> u64 {
    ALLOCATIONS.load(Relaxed)
}
