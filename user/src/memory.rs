//! Memory objects, and where they are mapped.

use core::{
    ops::{Deref, DerefMut},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use orbital_abi::{
    CapSlot, Error, Registers, Rights, Syscall,
    arguments::{DeviceCache, MemoryDevice, MemoryMap, MemoryProtect, MemoryUnmap},
    layout::PAGE_SIZE,
};

use crate::{
    capability::Capability,
    start::bootstrap,
    syscall::{call, harmless},
};

/// Pages that can be mapped. Closed on drop; mappings of it stay.
#[derive(Debug)]
pub struct MemoryObject(Capability);

/// Where the runtime maps what has no place of its own. Addresses are used once: there are 2^44.
const PLACES: core::ops::Range<u64> = 0x1000_0000_0000..0x2000_0000_0000;
static NEXT_PLACE: AtomicU64 = AtomicU64::new(PLACES.start);

/// Rounds up to whole pages.
pub const fn whole_pages(bytes: u64) -> Option<u64> {
    bytes.checked_next_multiple_of(PAGE_SIZE)
}

/// A place for `bytes`, with an empty page behind it.
fn place(bytes: u64) -> Result<u64, Error> {
    let step = bytes.checked_add(PAGE_SIZE).ok_or(Error::InvalidArgument)?;
    let next = |at: u64| at.checked_add(step).filter(|end| *end <= PLACES.end);
    NEXT_PLACE.try_update(Relaxed, Relaxed, next).map_err(|_| Error::QuotaExceeded)
}

impl MemoryObject {
    /// Zeroed memory of `bytes`, rounded up to pages.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for none or too many; [`Error::QuotaExceeded`];
    /// [`Error::TableFull`].
    pub fn create(bytes: u64) -> Result<Self, Error> {
        let bytes = whole_pages(bytes).ok_or(Error::InvalidArgument)?;
        let results = harmless(Syscall::MemoryCreate, &Registers::control([bytes, 0, 0, 0]))?;
        Ok(Self::from_slot(CapSlot::from_bits(results.control[0])))
    }

    /// The registers of a device, at physical addresses that are no memory. Needs the right `DEVICES` on the
    /// system.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for what is not whole pages; [`Error::InvalidAddress`] for memory, for what is
    /// the kernel's own, and for what is no physical address; [`Error::MissingRights`];
    /// [`Error::QuotaExceeded`]; [`Error::TableFull`].
    pub fn device(physical: u64, bytes: u64, cache: DeviceCache) -> Result<Self, Error> {
        let arguments = MemoryDevice { system: bootstrap().system, physical, bytes, cache };
        let results = harmless(Syscall::MemoryDevice, &arguments.encode())?;
        Ok(Self::from_slot(CapSlot::from_bits(results.control[0])))
    }

    /// New memory with the same content: what is written to either from now on is not in the other. The pages
    /// of both are one as long as nobody writes them; the new ones are paid in full.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a device's; [`Error::MissingRights`] without `READ`;
    /// [`Error::QuotaExceeded`]; [`Error::TableFull`].
    pub fn clone_pages(&self) -> Result<Self, Error> {
        let registers = Registers::control([self.slot().bits(), 0, 0, 0]);
        let results = harmless(Syscall::MemoryClone, &registers)?;
        Ok(Self::from_slot(CapSlot::from_bits(results.control[0])))
    }

    /// Takes over the memory capability in `slot`.
    pub const fn from_slot(slot: CapSlot) -> Self {
        Self(Capability::from_slot(slot))
    }

    /// Its slot.
    pub const fn slot(&self) -> CapSlot {
        self.0.slot()
    }

    /// The capability to it.
    pub fn into_capability(self) -> Capability {
        self.0
    }

    /// Maps its first `bytes` for reading, somewhere.
    ///
    /// # Errors
    /// Those of [`map`].
    pub fn map_read(&self, bytes: u64) -> Result<Mapping, Error> {
        Mapping::new(self.slot(), bytes, Rights::READ)
    }

    /// Maps its first `bytes` for reading and writing, somewhere.
    ///
    /// # Errors
    /// Those of [`map`].
    pub fn map_write(&self, bytes: u64) -> Result<MappingMut, Error> {
        Mapping::new(self.slot(), bytes, Rights::READ | Rights::WRITE).map(MappingMut)
    }
}

/// Maps memory into a process as `arguments` say.
///
/// # Safety
/// In one's own process: nobody relies on the range to be empty.
///
/// # Errors
/// [`Error::InvalidArgument`] for what is not whole pages or not in the object;
/// [`Error::InvalidAddress`] outside of user space; [`Error::AddressInUse`];
/// [`Error::WriteAndExecute`]; [`Error::MissingRights`]; [`Error::QuotaExceeded`]; [`Error::Ended`];
/// those of both slots.
pub unsafe fn map(arguments: &MemoryMap) -> Result<(), Error> {
    // SAFETY: the caller's.
    unsafe { call(Syscall::MemoryMap, &arguments.encode()) }.map(|_| ())
}

/// Lets every access to a range of addresses fault, in this process: nothing else is mapped there.
///
/// # Safety
/// Nobody relies on the range to be empty.
///
/// # Errors
/// Those of [`map`].
pub unsafe fn guard(address: u64, bytes: u64) -> Result<(), Error> {
    let (process, memory, rights) = (CapSlot::NULL, CapSlot::NULL, Rights::empty());
    // SAFETY: the caller's.
    unsafe { map(&MemoryMap { process, memory, address, offset: 0, bytes, rights }) }
}

/// Changes what the mappings in a range allow, at most what they could when they were made.
///
/// # Safety
/// In one's own process: nobody uses the range otherwise any more.
///
/// # Errors
/// [`Error::InvalidArgument`] for what is not whole pages; [`Error::InvalidAddress`] for what is not
/// wholly mapped; [`Error::WriteAndExecute`]; [`Error::MissingRights`] where a mapping was made with
/// less; [`Error::QuotaExceeded`] without means to divide a mapping; those of the process's slot.
pub unsafe fn protect(arguments: &MemoryProtect) -> Result<(), Error> {
    // SAFETY: the caller's.
    unsafe { call(Syscall::MemoryProtect, &arguments.encode()) }.map(|_| ())
}

/// A mapping, as [`query`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// Its first address.
    pub address: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Where in its memory object it begins, in bytes.
    pub offset: u64,
    /// What it allows.
    pub rights: Rights,
    /// What it may ever allow.
    pub allowed: Rights,
}

/// The mapping of a process that holds `address`, or else the next one. [`CapSlot::NULL`] means one's own
/// process.
///
/// # Errors
/// [`Error::InvalidAddress`] when there is none; those of the process's slot.
pub fn query(process: CapSlot, address: u64) -> Result<Mapped, Error> {
    let registers = Registers::control([process.bits(), address, 0, 0]);
    let [address, bytes, offset, rights] = harmless(Syscall::MemoryQuery, &registers)?.control;
    let (rights, allowed) = (rights as u32, (rights >> 32) as u32);
    let (rights, allowed) =
        (Rights::from_bits_truncate(rights), Rights::from_bits_truncate(allowed));
    Ok(Mapped { address, bytes, offset, rights, allowed })
}

/// Unmaps all that is mapped in a range, of mappings that reach over its ends the part inside.
///
/// # Safety
/// In one's own process: nobody uses the range any more.
///
/// # Errors
/// [`Error::InvalidArgument`] for what is not whole pages; [`Error::InvalidAddress`] outside of user
/// space; [`Error::QuotaExceeded`] without means to divide a mapping; those of the process's slot.
pub unsafe fn unmap(arguments: &MemoryUnmap) -> Result<(), Error> {
    // SAFETY: the caller's.
    unsafe { call(Syscall::MemoryUnmap, &arguments.encode()) }.map(|_| ())
}

/// Memory that this process can read; unmapped on drop.
#[derive(Debug)]
pub struct Mapping {
    address: u64,
    bytes: u64,
}

/// Memory that this process can read and write; unmapped on drop. Others may have it mapped too: a
/// program that shares memory sees to it that they do not write at the same time.
#[derive(Debug)]
pub struct MappingMut(Mapping);

impl Mapping {
    fn new(memory: CapSlot, bytes: u64, rights: Rights) -> Result<Self, Error> {
        let bytes = whole_pages(bytes).ok_or(Error::InvalidArgument)?;
        let address = place(bytes)?;
        let process = CapSlot::NULL;
        let arguments = MemoryMap { process, memory, address, offset: 0, bytes, rights };
        // SAFETY: places are used once, so nobody knows this one.
        unsafe { map(&arguments) }?;
        Ok(Self { address, bytes })
    }

    /// Its first address.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Leaves it mapped for good.
    pub fn leak(self) -> &'static [u8] {
        let this = core::mem::ManuallyDrop::new(self);
        // SAFETY: as in `deref`, and it is never unmapped.
        unsafe { core::slice::from_raw_parts(this.address as *const u8, this.bytes as usize) }
    }
}

impl MappingMut {
    /// Its first address.
    pub fn address(&self) -> u64 {
        self.0.address
    }

    /// One past its last address.
    pub fn end(&self) -> u64 {
        self.0.address + self.0.bytes
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the range is mapped for reading as long as this lives.
        unsafe { core::slice::from_raw_parts(self.address as *const u8, self.bytes as usize) }
    }
}

impl Deref for MappingMut {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for MappingMut {
    fn deref_mut(&mut self) -> &mut [u8] {
        let Mapping { address, bytes } = self.0;
        // SAFETY: the range is mapped for writing as long as this lives, and this is its owner.
        unsafe { core::slice::from_raw_parts_mut(address as *mut u8, bytes as usize) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let arguments =
            MemoryUnmap { process: CapSlot::NULL, address: self.address, bytes: self.bytes };
        // SAFETY: the owner is gone, and so is all that it lent.
        let _ = unsafe { unmap(&arguments) };
    }
}
