//! Address spaces: which pages of which memory objects a process sees, and how.
//!
//! A mapping is entered in the list of regions before its first page and leaves it after its last,
//! so a long operation can let others run in between: whoever comes meanwhile finds the range in
//! use. The lock is held for one step at a time.
//!
//! Who maps or unmaps has a [`Claim`] on the regions. A region goes in three stages: its pages are
//! removed, step by step; all CPUs forget them ([`shootdown`](super::shootdown)); it leaves the list,
//! and with it the reference that keeps the frames. A claim whose owner is killed is abandoned, and
//! the reaper goes on with it.
#![forbid(unsafe_code)]

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst, fence};

use orbital_abi::{
    Error,
    layout::{PAGE_SIZE, USER_END, USER_START},
};
use spin::Mutex;

use super::MemoryObject;
use crate::{
    arch::{self, Access, PageTables, Translation},
    memory,
    object::{Charge, Quota, Ref},
};

/// Pages that one step maps or unmaps.
const STEP_PAGES: u64 = 32;

/// What a process sees.
pub struct AddressSpace {
    state: Mutex<State>,
    /// The CPUs that have it loaded, a bit each.
    loaded: AtomicU64,
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
    /// How many claims there were.
    claims: u64,
}

struct Region {
    start: u64,
    end: u64,
    /// Keeps the frames alive that the pages lead to.
    _object: Ref<MemoryObject>,
    /// The claim by which pages are being added or removed: nobody else can unmap it then.
    claim: Option<u64>,
    /// Its claim's owner is gone.
    abandoned: bool,
    _charge: Charge,
}

/// The right to finish what was begun with regions of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    number: u64,
    start: u64,
    end: u64,
}

impl Claim {
    /// Where unmapping starts.
    pub fn start(&self) -> u64 {
        self.start
    }
}

impl State {
    fn new_claim(&mut self, start: u64, end: u64) -> Claim {
        self.claims += 1;
        Claim { number: self.claims, start, end }
    }

    /// The place of the claim's first region that ends behind `address`.
    fn claimed(&self, claim: &Claim, address: u64) -> Option<usize> {
        let first = self.regions.partition_point(|region| region.end <= address);
        let in_range = self.regions[first..].iter().take_while(|region| region.start < claim.end);
        let mine = |region: &Region| region.claim == Some(claim.number);
        in_range.clone().position(mine).map(|place| first + place)
    }
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
        let state =
            State { tables, regions: Vec::new(), table_frames: 1, closed: false, claims: 0 };
        let loaded = AtomicU64::new(0);
        Ok(Self { state: Mutex::new(state), loaded, quota: quota.clone() })
    }

    /// Loads it on this CPU.
    pub fn enter(&self) {
        // First, so that no translation gets in here unseen: see `shootdown`.
        self.loaded.fetch_or(1 << arch::cpu_index(), SeqCst);
        self.state.lock().tables.load();
    }

    /// This CPU has loaded another.
    pub fn left(&self) {
        self.loaded.fetch_and(!(1 << arch::cpu_index()), SeqCst);
    }

    /// The CPUs that have it loaded, a bit each.
    pub fn loaded(&self) -> u64 {
        // What was changed in the tables comes before this look.
        fence(SeqCst);
        self.loaded.load(SeqCst)
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
    pub fn begin_map(&self, mapping: &Mapping) -> Result<Claim, Error> {
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
        let claim = state.new_claim(start, end);
        let region = Region {
            start,
            end,
            _object: mapping.object.clone(),
            claim: Some(claim.number),
            abandoned: false,
            _charge: charge,
        };
        state.regions.insert(place, region);
        Ok(claim)
    }

    /// Maps some more pages of a mapping that was begun, `done` of which are there. Gives how many
    /// are there now; all of them end the operation.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] without frames for tables; [`Error::Ended`] when the process ended
    /// meanwhile. The caller then unmaps what is there by its claim.
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
                region.claim = None;
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
    pub fn begin_unmap(&self, address: u64, bytes: u64) -> Result<Claim, Error> {
        let (start, end) = range(address, bytes)?;
        let mut state = self.state.lock();
        let first = state.regions.partition_point(|region| region.end <= start);
        let count = state.regions[first..].iter().take_while(|region| region.start < end).count();
        let regions = &state.regions[first..first + count];
        if regions.iter().any(|r| r.claim.is_some() || r.start < start || r.end > end) {
            return Err(Error::AddressInUse);
        }
        let claim = state.new_claim(start, end);
        for region in &mut state.regions[first..first + count] {
            region.claim = Some(claim.number);
        }
        Ok(claim)
    }

    /// Removes some pages of the claim's regions from `address` on; pages that are not there are passed
    /// over. Gives the address to go on from; `None` when all are removed, and all CPUs have to forget
    /// them before [`AddressSpace::retire_step`].
    pub fn unmap_step(&self, claim: &Claim, address: u64) -> Option<u64> {
        let mut state = self.state.lock();
        let place = state.claimed(claim, address)?;
        let region = &state.regions[place];
        let from = region.start.max(address);
        let to = region.end.min(from + STEP_PAGES * PAGE_SIZE);
        for page in (from..to).step_by(PAGE_SIZE as usize) {
            state.tables.unmap(page);
        }
        Some(to)
    }

    /// Takes one of the claim's regions off the list; false when there is none. Its pages are removed,
    /// and no CPU remembers them.
    pub fn retire_step(&self, claim: &Claim) -> bool {
        let region = {
            let mut state = self.state.lock();
            let place = state.claimed(claim, claim.start);
            place.map(|place| state.regions.remove(place))
        };
        // Perhaps the object's last reference goes with it: outside the lock.
        region.is_some()
    }

    /// The claim's owner is gone: leaves its regions to the reaper. Whether there are any.
    pub fn abandon(&self, claim: &Claim) -> bool {
        let mut state = self.state.lock();
        let mut at = claim.start;
        let mut any = false;
        while let Some(place) = state.claimed(claim, at) {
            state.regions[place].abandoned = true;
            at = state.regions[place].end;
            any = true;
        }
        any
    }

    /// A claim on a region whose owner is gone.
    pub fn take_abandoned(&self) -> Option<Claim> {
        let mut state = self.state.lock();
        let place = state.regions.iter().position(|region| region.abandoned)?;
        let (start, end) = (state.regions[place].start, state.regions[place].end);
        let claim = state.new_claim(start, end);
        let region = &mut state.regions[place];
        region.abandoned = false;
        region.claim = Some(claim.number);
        Some(claim)
    }

    /// One step of the end: unmaps, then frees tables. Whether all is gone. No thread of the process
    /// runs any more, and no CPU has it loaded.
    pub fn close_step(&self) -> bool {
        let mut state = self.state.lock();
        state.closed = true;
        debug_assert_eq!(self.loaded.load(SeqCst), 0, "a CPU still has it");
        if let Some(last) = state.regions.last_mut() {
            // From the end of the last region, which needs no claim any more.
            let from = last.start.max(last.end.saturating_sub(2 * STEP_PAGES * PAGE_SIZE));
            let to = core::mem::replace(&mut last.end, from);
            let is_gone = last.start == from;
            for page in (from..to).step_by(PAGE_SIZE as usize) {
                state.tables.unmap(page);
            }
            let region = if is_gone { state.regions.pop() } else { None };
            drop(state);
            drop(region);
            return false;
        }
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
