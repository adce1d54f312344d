//! The memory map: regions sorted by address, without overlaps. Where a loader's entries overlap,
//! the reserved one wins.
#![forbid(unsafe_code)]

use core::ops::Range;

use arrayvec::ArrayVec;

use super::BootError;

/// How many regions the kernel keeps.
const MAX_REGIONS: usize = 128;
/// Size of a frame in bytes.
pub(super) const FRAME: u64 = 4096;

/// A region of physical memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its addresses.
    pub range: Range<u64>,
    /// Whether it is RAM that nobody else uses.
    pub usable: bool,
}

/// All regions.
#[derive(Debug, Default)]
pub struct MemoryMap {
    regions: ArrayVec<Region, MAX_REGIONS>,
}

impl MemoryMap {
    /// Adds an entry as the loader gave it. One that is empty counts for nothing; one that reaches
    /// over the end of the address space is cut there.
    ///
    /// # Errors
    /// [`BootError::TooManyRegions`].
    pub fn add(&mut self, start: u64, bytes: u64, usable: bool) -> Result<(), BootError> {
        let range = start..start.saturating_add(bytes);
        if range.is_empty() {
            return Ok(());
        }
        let region = Region { range, usable };
        let place = self.regions.partition_point(|other| other.range.start <= start);
        self.regions.try_insert(place, region).map_err(|_| BootError::TooManyRegions)
    }

    /// The loader's entries, sorted by their start.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// Whether all of `[start, end)` is RAM by some entry.
    pub fn contains(&self, start: u64, end: u64) -> bool {
        let mut at = start;
        for region in self.regions.iter().filter(|region| region.usable) {
            if region.range.contains(&at) {
                at = region.range.end;
            }
        }
        at >= end
    }

    /// Usable memory in whole frames, less reserved entries and less `reserved`, in order.
    pub fn usable<'a>(
        &'a self,
        reserved: &'a [Range<u64>],
    ) -> impl Iterator<Item = Range<u64>> + 'a {
        let mut at = 0;
        core::iter::from_fn(move || {
            loop {
                let start = self.next_usable(at)?;
                // The nearest end of what begins here: the region's own, or what is taken.
                let blocked = self.blocked(reserved);
                if let Some(end) =
                    blocked.clone().filter(|b| b.contains(&start)).map(|b| b.end).max()
                {
                    at = end;
                    continue;
                }
                let region_end = self.usable_end(start);
                let end = blocked
                    .filter(|b| b.start > start)
                    .map(|b| b.start)
                    .min()
                    .map_or(region_end, |next| next.min(region_end));
                at = end;
                let frames = start.next_multiple_of(FRAME)..end / FRAME * FRAME;
                if !frames.is_empty() {
                    return Some(frames);
                }
            }
        })
    }

    fn blocked<'a>(
        &'a self,
        reserved: &'a [Range<u64>],
    ) -> impl Iterator<Item = Range<u64>> + Clone + 'a {
        let entries = self.regions.iter().filter(|region| !region.usable);
        entries.map(|region| region.range.clone()).chain(reserved.iter().cloned())
    }

    /// The first usable address from `at` on.
    fn next_usable(&self, at: u64) -> Option<u64> {
        let usable = self.regions.iter().filter(|region| region.usable && region.range.end > at);
        usable.map(|region| region.range.start.max(at)).min().filter(|start| *start < 1 << 52)
    }

    /// Where the usable entries that hold `at`, and those that join them without a gap, end.
    fn usable_end(&self, at: u64) -> u64 {
        let mut end = at;
        for region in self.regions.iter().filter(|region| region.usable) {
            if region.range.start <= end {
                end = end.max(region.range.end);
            }
        }
        // Frames above this would overflow the arithmetic of addresses.
        end.min(1 << 52)
    }
}
