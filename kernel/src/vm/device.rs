//! Memory objects of devices' registers.
//!
//! Whoever may make them can make any device do anything, so that right is given to drivers' supervisors alone.
//! Even so the kernel's own are out of reach: all memory, and the interrupt controllers.
#![forbid(unsafe_code)]

use core::ops::Range;

use arrayvec::ArrayVec;
use orbital_abi::{Error, layout::PAGE_SIZE};
use spin::Once;

use super::MemoryObject;
use crate::{
    arch::{self, Cache},
    boot::BootInfo,
    object::{Quota, Ref},
};

/// Ranges of memory that are told apart; more are joined.
const MOST: usize = 128;

/// All that the loader says is memory.
static MEMORY: Once<ArrayVec<Range<u64>, MOST>> = Once::new();

/// Notes what is memory.
pub fn init(boot_info: &BootInfo) {
    MEMORY.call_once(|| {
        let mut ranges: ArrayVec<Range<u64>, MOST> = ArrayVec::new();
        for range in boot_info.usable(&[]) {
            if let Err(more) = ranges.try_push(range)
                && let Some(last) = ranges.last_mut()
            {
                last.end = more.element().end;
            }
        }
        ranges
    });
}

/// A memory object over `[start, start + bytes)`, paid by `quota`.
///
/// # Errors
/// [`Error::InvalidArgument`] for what is not whole pages, empty, or above 4 GiB in size;
/// [`Error::InvalidAddress`] for what is no physical address, or is the kernel's own or memory;
/// [`Error::QuotaExceeded`] without memory for the object.
pub fn object(
    start: u64,
    bytes: u64,
    cache: Cache,
    quota: &Ref<Quota>,
) -> Result<Ref<MemoryObject>, Error> {
    if !start.is_multiple_of(PAGE_SIZE) || !bytes.is_multiple_of(PAGE_SIZE) || bytes == 0 {
        return Err(Error::InvalidArgument);
    }
    if bytes / PAGE_SIZE > super::memory_object::MAX_PAGES {
        return Err(Error::InvalidArgument);
    }
    let end = start.checked_add(bytes).ok_or(Error::InvalidAddress)?;
    let touches = |range: &Range<u64>| start < range.end && range.start < end;
    let is_memory = MEMORY.get().is_none_or(|memory| memory.iter().any(touches));
    if is_memory || arch::is_own_device(&(start..end)) || end > arch::physical_end() {
        return Err(Error::InvalidAddress);
    }
    MemoryObject::fixed(start, end, cache, quota)
}
