//! How many objects of each kind exist.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use orbital_abi::ObjectKind;

static LIVE: [AtomicU64; ObjectKind::ALL.len()] = [const { AtomicU64::new(0) }; _];

fn counter(kind: ObjectKind) -> &'static AtomicU64 {
    // Kinds are numbered from 1 in the order of `ALL`.
    &LIVE[kind as usize - 1]
}

pub(super) fn created(kind: ObjectKind) {
    counter(kind).fetch_add(1, Relaxed);
}

pub(super) fn destroyed(kind: ObjectKind) {
    counter(kind).fetch_sub(1, Relaxed);
}

/// How many objects of `kind` exist.
pub fn live(kind: ObjectKind) -> u64 {
    counter(kind).load(Relaxed)
}
