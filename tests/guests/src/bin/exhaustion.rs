//! Quotas used up, large objects, and work that is cut off in the middle: all of it comes back.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use guests::{
    bare::PAGE,
    children,
    counters::{Counters, leaves_nothing},
    mapped::{PLACE, do_map, do_unmap, mapping, read, write},
    suite,
};
use orbital_user::{Error, MemoryObject, abi::arguments::MemoryMap};

suite! {
    cases: [
        objects_use_up_the_quota,
        tables_use_up_the_quota,
        mappings_use_up_the_quota,
        a_large_object_comes_and_goes,
        objects_leave_nothing_behind,
        a_mapping_outlives_its_capability,
    ],
    roles: [uses_up_frames, uses_up_tables, uses_up_bytes],
}

/// Makes what `make` gives until the quota is used up, and gives all back; the second and the third
/// time it is as many as the first.
fn until_full<T>(mut make: impl FnMut(u64) -> Result<T, Error>) -> u64 {
    let mut round = || {
        let mut made = Vec::with_capacity(8192);
        let error = loop {
            match make(made.len() as u64) {
                Ok(one) => made.push(one),
                Err(error) => break error,
            }
        };
        assert_eq!(error, Error::QuotaExceeded);
        made.len() as u64
    };
    // The tables of capabilities and pages grow in the first.
    round();
    let count = round();
    assert_eq!(round(), count);
    count
}

fn uses_up_frames() {
    let count = until_full(|_| MemoryObject::create(16 * PAGE));
    assert!((8..=64).contains(&count), "{count} objects");
}

/// Objects until the quota has no frame left; all come back.
fn objects_use_up_the_quota() {
    children::succeed(&children::start("uses_up_frames", |s| s.quota(1024, 256 * 1024)));
}

/// Unmapped on drop.
struct At(u64, u64);

impl Drop for At {
    fn drop(&mut self) {
        do_unmap(self.0, self.1).unwrap();
    }
}

fn uses_up_tables() {
    let memory = MemoryObject::create(PAGE).unwrap();
    // Each in another gigabyte: two tables for one page.
    let count = until_full(|n| {
        let address = PLACE + (n << 30);
        do_map(MemoryMap { address, ..mapping(&memory, PAGE) }).map(|()| At(address, PAGE))
    });
    assert!(count >= 20, "{count} mappings");
}

/// Page tables are paid by the process that they are for.
fn tables_use_up_the_quota() {
    children::succeed(&children::start("uses_up_tables", |s| s.quota(256, 256 * 1024)));
}

fn uses_up_bytes() {
    let memory = MemoryObject::create(PAGE).unwrap();
    let count = until_full(|n| {
        let address = PLACE + n * PAGE;
        do_map(MemoryMap { address, ..mapping(&memory, PAGE) }).map(|()| At(address, PAGE))
    });
    assert!(count >= 200, "{count} mappings");
}

/// So is the list of mappings.
fn mappings_use_up_the_quota() {
    children::succeed(&children::start("uses_up_bytes", |s| s.quota(512, 64 * 1024)));
}

/// 32 MiB come, are zero throughout, and go, several times.
fn a_large_object_comes_and_goes() {
    const BYTES: u64 = 32 << 20;
    leaves_nothing(2, || {
        let before = Counters::now().free_frames;
        let memory = MemoryObject::create(BYTES).unwrap();
        assert!(before - Counters::now().free_frames < BYTES / PAGE, "nobody has touched it");
        do_map(mapping(&memory, BYTES)).unwrap();
        for page in (PLACE..PLACE + BYTES).step_by(PAGE as usize) {
            assert_eq!((read(page), read(page + PAGE - 8)), (0, 0));
            write(page, u64::MAX);
        }
        assert!(before - Counters::now().free_frames >= BYTES / PAGE);
        do_unmap(PLACE, BYTES).unwrap();
    });
}

/// Objects of many sizes, mapped and not, leave nothing.
fn objects_leave_nothing_behind() {
    leaves_nothing(50, || {
        for pages in [1, 3, 8, 31, 32, 33, 64] {
            let bytes = pages * PAGE;
            let memory = MemoryObject::create(bytes).unwrap();
            do_map(mapping(&memory, bytes)).unwrap();
            do_unmap(PLACE, bytes).unwrap();
        }
    });
}

/// The capability can be closed: the mapping keeps its pages until it is gone too.
fn a_mapping_outlives_its_capability() {
    leaves_nothing(5, || {
        let memory = MemoryObject::create(2 * PAGE).unwrap();
        do_map(mapping(&memory, 2 * PAGE)).unwrap();
        drop(memory);
        // Whoever takes frames now does not get these.
        let other = MemoryObject::create(64 * PAGE).unwrap();
        write(PLACE + PAGE, 0x1234_5678);
        drop(other);
        assert_eq!((read(PLACE), read(PLACE + PAGE)), (0, 0x1234_5678));
        do_unmap(PLACE, 2 * PAGE).unwrap();
    });
}
