//! Memory objects of devices' registers.

use guests::counters::leaves_nothing;
use orbital_user::{
    CapSlot, Error, MemoryObject, Rights,
    abi::{
        arguments::{DeviceCache, MemoryMap, MemoryProtect},
        layout::PAGE_SIZE,
    },
    memory::{map, protect},
    start::bootstrap,
};

/// The high-precision timer of QEMU's q35 (IA-PC HPET specification 1.0a, 2.3).
const HPET: u64 = 0xfed0_0000;
/// The memory of a VGA card.
const VGA: u64 = 0xa_0000;

fn hpet() -> MemoryObject {
    MemoryObject::device(HPET, PAGE_SIZE, DeviceCache::Uncached).unwrap()
}

pub(super) fn registers_are_read_and_written() {
    let device = hpet();
    let mapped = device.map_write(PAGE_SIZE).unwrap();
    let register = |offset: u64| (mapped.address() + offset) as *mut u64;
    // SAFETY: the timer's registers are mapped as long as `mapped` lives.
    unsafe {
        assert_eq!(register(0).read_volatile() >> 16 & 0xffff, 0x8086, "its maker");
        register(0x10).write_volatile(0);
        register(0xf0).write_volatile(12345);
        assert_eq!(register(0xf0).read_volatile(), 12345, "it stands still");
        register(0x10).write_volatile(1);
        while register(0xf0).read_volatile() == 12345 {}
        register(0x10).write_volatile(0);
    }
}

pub(super) fn a_frame_buffer_keeps_what_is_written() {
    let device = MemoryObject::device(VGA, 16 * PAGE_SIZE, DeviceCache::WriteCombining).unwrap();
    let (one, other) =
        (device.map_write(16 * PAGE_SIZE).unwrap(), device.map_read(16 * PAGE_SIZE).unwrap());
    assert_ne!(one.address(), other.address());
}

pub(super) fn what_is_no_device_is_refused() {
    let make =
        |physical, bytes| MemoryObject::device(physical, bytes, DeviceCache::Uncached).map(drop);
    for (physical, bytes) in [(HPET + 1, PAGE_SIZE), (HPET, 1), (HPET, 0), (HPET, 1 << 40)] {
        assert_eq!(make(physical, bytes), Err(Error::InvalidArgument), "{physical:#x} {bytes}");
    }
    for (physical, bytes) in [
        // Memory, in part too.
        (0x10_0000, PAGE_SIZE),
        (0x40_0000, 16 * PAGE_SIZE),
        (VGA, 128 * PAGE_SIZE),
        // The interrupt controllers.
        (0xfee0_0000, PAGE_SIZE),
        (0xfec0_0000, PAGE_SIZE),
        (0xfebf_f000, 2 * PAGE_SIZE),
        (0xfed0_0000, 0x20_0000),
        // No address at all.
        (1 << 52, PAGE_SIZE),
        (1 << 63, PAGE_SIZE),
        (0_u64.wrapping_sub(PAGE_SIZE), PAGE_SIZE),
    ] {
        assert_eq!(make(physical, bytes), Err(Error::InvalidAddress), "{physical:#x} {bytes}");
    }
}

pub(super) fn registers_are_never_executed_nor_cloned() {
    let device = hpet();
    let (process, address) = (CapSlot::NULL, 0x3000_0000_0000);
    let rights = Rights::READ | Rights::EXECUTE;
    let (memory, bytes, offset) = (device.slot(), PAGE_SIZE, 0);
    let mapping = MemoryMap { process, memory, address, offset, bytes, rights };
    // SAFETY: nobody uses the address.
    assert_eq!(unsafe { map(&mapping) }, Err(Error::MissingRights));
    // SAFETY: as above.
    unsafe { map(&MemoryMap { rights: Rights::READ, ..mapping }) }.unwrap();
    let arguments = MemoryProtect { process, address, bytes, rights };
    // SAFETY: as above.
    assert_eq!(unsafe { protect(&arguments) }, Err(Error::MissingRights));
    assert_eq!(device.clone_pages().map(drop), Err(Error::InvalidArgument));
    assert!(!bootstrap().system.is_null());
}

pub(super) fn nothing_is_left_of_a_device() {
    leaves_nothing(3, || drop(hpet().map_read(PAGE_SIZE).unwrap()));
}
