//! Address spaces: which pages of which memory objects a process sees, and how.
//!
//! A mapping is entered in the list of regions before its first page and leaves it after its last,
//! so a long operation can let others run in between: whoever comes meanwhile finds the range in
//! use. The lock is held for one step at a time.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use orbital_abi::{
    Error,
    layout::{PAGE_SIZE, USER_END, USER_START},
};
use spin::Mutex;

use super::MemoryObject;
use crate::{
    arch::{Access, PageTables, Translation},
    memory,
    object::{Charge, Quota, Ref},
};

/// Pages that one step maps or unmaps.
const STEP_PAGES: u64 = 32;

/// What a process sees.
pub struct AddressSpace {
    state: Mutex<State>,
    quota: Ref<Quota>,
}

struct State {
    tables: PageTables,
    /// Sorted by address, without overlaps.
    regions: Vec<Region>,
    /// Frames of page tables, which `quota` was charged for.
    table_frames: u64,
    /// Whether the process has ended: nothing is mapped any more.
    closed: bool,
}

struct Region {
    start: u64,
    end: u64,
    /// Keeps the frames alive that the pages lead to.
    _object: Ref<MemoryObject>,
    /// Whether pages are being added or removed: it can't be unmapped by anyone else.
    busy: bool,
    _charge: Charge,
}

/// A mapping to be made.
#[derive(Clone)]
pub struct Mapping {
    /// What is mapped.
    pub object: Ref<MemoryObject>,
    /// Where, a multiple of the page size.
    pub address: u64,
    /// The first page of the object.
    pub first_page: u64,
    /// How many pages, not 0.
    pub pages: u64,
    /// What it allows.
    pub access: Access,
}

fn range(address: u64, bytes: u64) -> Result<(u64, u64), Error> {
    let aligned = address.is_multiple_of(PAGE_SIZE) && bytes.is_multiple_of(PAGE_SIZE);
    if !aligned || bytes == 0 {
        return Err(Error::InvalidArgument);
    }
    let end = address.checked_add(bytes).ok_or(Error::InvalidAddress)?;
    if address < USER_START || end > USER_END {
        return Err(Error::InvalidAddress);
    }
    Ok((address, end))
}

impl AddressSpace {
    /// An empty address space, whose tables and books `quota` pays.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub fn new(quota: &Ref<Quota>) -> Result<Self, Error> {
        quota.charge_frames(1)?;
        let Some(root) = memory::allocate_frame() else {
            quota.refund_frames(1);
            return Err(Error::QuotaExceeded);
        };
        let tables = PageTables::new(root);
        let state = State { tables, regions: Vec::new(), table_frames: 1, closed: false };
        Ok(Self { state: Mutex::new(state), quota: quota.clone() })
    }

    /// Loads it on this CPU, if it is not.
    #[inline]
    pub fn load(&self) {
        let state = self.state.lock();
        if !state.tables.is_loaded() {
            state.tables.load();
        }
    }

    /// What `address` leads to.
    pub fn translate(&self, address: u64) -> Option<Translation> {
        self.state.lock().tables.translate(address)
    }

    /// Enters `mapping`'s range in the books; [`AddressSpace::map_step`] then makes its pages.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a range that is not aligned, empty, or not wholly in the
    /// object; [`Error::InvalidAddress`] outside user space; [`Error::AddressInUse`];
    /// [`Error::QuotaExceeded`]; [`Error::Ended`].
    pub fn begin_map(&self, mapping: &Mapping) -> Result<(), Error> {
        let bytes = mapping.pages.checked_mul(PAGE_SIZE).ok_or(Error::InvalidArgument)?;
        let last = mapping.first_page.checked_add(mapping.pages).ok_or(Error::InvalidArgument)?;
        if last > mapping.object.pages() {
            return Err(Error::InvalidArgument);
        }
        let (start, end) = range(mapping.address, bytes)?;
        let charge = Charge::new(&self.quota, 0, size_of::<Region>() as u64)?;
        let mut state = self.state.lock();
        if state.closed {
            return Err(Error::Ended);
        }
        let place = state.regions.partition_point(|region| region.end <= start);
        if state.regions.get(place).is_some_and(|region| region.start < end) {
            return Err(Error::AddressInUse);
        }
        state.regions.try_reserve(1).map_err(|_| Error::QuotaExceeded)?;
        let object = mapping.object.clone();
        state
            .regions
            .insert(place, Region { start, end, _object: object, busy: true, _charge: charge });
        Ok(())
    }

    /// Maps some more pages of a mapping that was begun, `done` of which are there. Gives how many
    /// are there now; all of them end the operation.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] without frames for tables; [`Error::Ended`] when the process ended
    /// meanwhile. The caller then takes back what is there by [`AddressSpace::unmap_step`].
    pub fn map_step(&self, mapping: &Mapping, done: u64) -> Result<u64, Error> {
        let mut state = self.state.lock();
        // The region and perhaps the tables are gone.
        if state.closed {
            return Err(Error::Ended);
        }
        let end = mapping.pages.min(done + STEP_PAGES);
        for page in done..end {
            let address = mapping.address + page * PAGE_SIZE;
            let frame =
                mapping.object.frame(mapping.first_page + page).ok_or(Error::InvalidArgument)?;
            let State { tables, table_frames, .. } = &mut *state;
            tables.map(address, frame, mapping.access, || {
                self.quota.charge_frames(1)?;
                let Some(frame) = memory::allocate_frame() else {
                    self.quota.refund_frames(1);
                    return Err(Error::QuotaExceeded);
                };
                *table_frames += 1;
                Ok(frame)
            })?;
        }
        if end == mapping.pages {
            let place = state.regions.partition_point(|region| region.end <= mapping.address);
            if let Some(region) = state.regions.get_mut(place) {
                region.busy = false;
            }
        }
        Ok(end)
    }

    /// Claims all mappings in `[address, address + bytes)` for unmapping.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] and [`Error::InvalidAddress`] as for a mapping;
    /// [`Error::AddressInUse`] when a mapping reaches over an end of the range, or is being mapped
    /// or unmapped by someone else.
    pub fn begin_unmap(&self, address: u64, bytes: u64) -> Result<(), Error> {
        let (start, end) = range(address, bytes)?;
        let mut state = self.state.lock();
        let first = state.regions.partition_point(|region| region.end <= start);
        let count = state.regions[first..].iter().take_while(|region| region.start < end).count();
        let regions = &mut state.regions[first..first + count];
        if regions.iter().any(|r| r.busy || r.start < start || r.end > end) {
            return Err(Error::AddressInUse);
        }
        for region in regions {
            region.busy = true;
        }
        Ok(())
    }

    /// Unmaps some pages of the regions that were claimed in `[address, end)`; pages that are not
    /// there are passed over. Gives the address to go on from, `end` when all is done.
    pub fn unmap_step(&self, address: u64, end: u64) -> u64 {
        let mut state = self.state.lock();
        let place = state.regions.partition_point(|region| region.end <= address);
        let Some(region) = state.regions.get(place).filter(|region| region.start < end) else {
            return end;
        };
        let (from, region_end) = (region.start.max(address), region.end);
        let to = region_end.min(from + STEP_PAGES * PAGE_SIZE);
        for page in (from..to).step_by(PAGE_SIZE as usize) {
            state.tables.unmap(page);
        }
        if to == region_end {
            let region = state.regions.remove(place);
            drop(state);
            // Perhaps the object's last reference: outside the lock.
            drop(region);
        }
        to
    }

    /// One step of the end: unmaps, then frees tables. Whether all is gone. No thread of the
    /// process may run any more.
    pub fn close_step(&self) -> bool {
        let first = {
            let mut state = self.state.lock();
            state.closed = true;
            if state.tables.is_loaded() {
                PageTables::load_kernel();
            }
            state.regions.first().map(|region| (region.start, region.end))
        };
        if let Some((start, end)) = first {
            // A region that was begun and never finished is unmapped like any other.
            let mut at = start;
            for _ in 0..2 {
                if at < end {
                    at = self.unmap_step(at, end);
                }
            }
            if at < end {
                // What is left of a long region: its head is gone.
                self.state.lock().regions[0].start = at;
            }
            return false;
        }
        let mut state = self.state.lock();
        for _ in 0..STEP_PAGES {
            let Some(frame) = state.tables.take_table() else { return true };
            memory::free_frame(frame);
            state.table_frames -= 1;
            self.quota.refund_frames(1);
        }
        false
    }
}

impl Drop for AddressSpace {
    /// One that no process ever ended with: there were means for it, but not for its process.
    fn drop(&mut self) {
        while !self.close_step() {}
    }
}
