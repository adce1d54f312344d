//! The processors and interrupt controllers that firmware lists: ACPI's MADT, read by the `acpi` crate (ACPI
//! specification 6.5, 5.2.12).

use core::ptr::NonNull;

use acpi::{
    AcpiTables, Handler, PhysicalMapping,
    sdt::madt::{Madt, MadtEntry},
};
use arrayvec::ArrayVec;

use super::direct_map;
use crate::{boot::AcpiRoot, percpu::MAX_CPUS};

/// In an entry's flags: the processor can be used.
const ENABLED: u32 = 1;
/// In an override's flags (ACPI specification 6.5, table 5.26): the line's polarity and trigger; 0 is the bus's own, on
/// ISA high and by an edge.
const POLARITY: u16 = 3;
const ACTIVE_LOW: u16 = 3;
const TRIGGER: u16 = 3 << 2;
const LEVEL: u16 = 3 << 2;
/// As many I/O controllers as the kernel uses.
pub const MOST_CONTROLLERS: usize = 8;
/// More entries than any table has: one that runs in circles ends here.
const MOST_ENTRIES: usize = 4096;

/// APIC numbers of the processors.
#[derive(Debug, Default)]
pub struct Processors {
    /// As many as the kernel can run on.
    pub apic_ids: ArrayVec<u32, MAX_CPUS>,
    /// How many more there are.
    pub left_out: usize,
}

/// A controller that takes devices' interrupts.
#[derive(Clone, Copy, Debug)]
pub struct Controller {
    /// Where its registers are.
    pub physical: u64,
    /// The number of its first input among those of all controllers.
    pub first: u32,
}

/// An interrupt of the ISA bus that does not go where its number says, or not so.
#[derive(Clone, Copy, Debug)]
pub struct Override {
    /// Its number on that bus.
    pub isa: u8,
    /// The number of its input.
    pub input: u32,
    /// The line is active while it is low.
    pub is_low: bool,
    /// By its level, else by an edge.
    pub is_level: bool,
}

/// All controllers, and what of the ISA bus is not as usual.
#[derive(Debug, Default)]
pub struct Wiring {
    /// The controllers.
    pub controllers: ArrayVec<Controller, MOST_CONTROLLERS>,
    /// One for an interrupt at most.
    pub overrides: ArrayVec<Override, 16>,
}

/// Runs `f` on the table's entries, if there is one.
fn for_each_entry(root: Option<AcpiRoot>, f: impl FnMut(MadtEntry<'_>)) {
    let Some(root) = root else { return };
    // SAFETY: the loader found the root, and firmware's tables stay where they are: the frame
    // allocator is given usable memory alone.
    let tables = unsafe { AcpiTables::from_rsdt(DirectMap, root.revision, root.address as usize) };
    let Ok(tables) = tables else { return };
    let Some(madt) = tables.find_table::<Madt>() else { return };
    madt.get().entries().take(MOST_ENTRIES).for_each(f);
}

/// The interrupt controllers; none without tables.
pub fn wiring(root: Option<AcpiRoot>) -> Wiring {
    let mut found = Wiring::default();
    for_each_entry(root, |entry| match entry {
        MadtEntry::IoApic(entry) => {
            let physical = entry.io_apic_address.into();
            let first = entry.global_system_interrupt_base;
            // The inputs of one too many stay as firmware left them: masked.
            let _ = found.controllers.try_push(Controller { physical, first });
        }
        MadtEntry::InterruptSourceOverride(entry) if entry.bus == 0 && entry.irq < 16 => {
            let flags = entry.flags;
            let one = Override {
                isa: entry.irq,
                input: entry.global_system_interrupt,
                is_low: flags & POLARITY == ACTIVE_LOW,
                is_level: flags & TRIGGER == LEVEL,
            };
            if found.overrides.iter().all(|other| other.isa != one.isa) {
                found.overrides.push(one);
            }
        }
        _ => {}
    });
    found
}

/// The processors that can be used; none without tables.
pub fn processors(root: Option<AcpiRoot>) -> Processors {
    let mut found = Processors::default();
    for_each_entry(root, |entry| {
        let (id, flags) = match entry {
            MadtEntry::LocalApic(entry) => (entry.apic_id.into(), entry.flags),
            MadtEntry::LocalX2Apic(entry) => (entry.x2apic_id, entry.flags),
            _ => return,
        };
        let is_new = flags & ENABLED != 0 && !found.apic_ids.contains(&id);
        if is_new && found.apic_ids.try_push(id).is_err() {
            found.left_out += 1;
        }
    });
    found
}

/// Tables lie below 4 GiB or in RAM, and the direct map has both.
#[derive(Clone, Copy)]
struct DirectMap;

impl Handler for DirectMap {
    unsafe fn map_physical_region<T>(
        &self,
        physical: usize,
        size: usize,
    ) -> PhysicalMapping<Self, T> {
        let address = direct_map::address(physical as u64) as *mut T;
        PhysicalMapping {
            physical_start: physical,
            virtual_start: NonNull::new(address).unwrap_or(NonNull::dangling()),
            region_length: size,
            mapped_length: size,
            handler: *self,
        }
    }

    fn unmap_physical_region<T>(_: &PhysicalMapping<Self, T>) {}

    // Only AML programs ask for the rest, and the crate's interpreter is not built in.
    fn read_u8(&self, _: usize) -> u8 {
        0
    }
    fn read_u16(&self, _: usize) -> u16 {
        0
    }
    fn read_u32(&self, _: usize) -> u32 {
        0
    }
    fn read_u64(&self, _: usize) -> u64 {
        0
    }
    fn write_u8(&self, _: usize, _: u8) {}
    fn write_u16(&self, _: usize, _: u16) {}
    fn write_u32(&self, _: usize, _: u32) {}
    fn write_u64(&self, _: usize, _: u64) {}
    fn read_io_u8(&self, _: u16) -> u8 {
        0
    }
    fn read_io_u16(&self, _: u16) -> u16 {
        0
    }
    fn read_io_u32(&self, _: u16) -> u32 {
        0
    }
    fn write_io_u8(&self, _: u16, _: u8) {}
    fn write_io_u16(&self, _: u16, _: u16) {}
    fn write_io_u32(&self, _: u16, _: u32) {}
    fn read_pci_u8(&self, _: acpi::PciAddress, _: u16) -> u8 {
        0
    }
    fn read_pci_u16(&self, _: acpi::PciAddress, _: u16) -> u16 {
        0
    }
    fn read_pci_u32(&self, _: acpi::PciAddress, _: u16) -> u32 {
        0
    }
    fn write_pci_u8(&self, _: acpi::PciAddress, _: u16, _: u8) {}
    fn write_pci_u16(&self, _: acpi::PciAddress, _: u16, _: u16) {}
    fn write_pci_u32(&self, _: acpi::PciAddress, _: u16, _: u32) {}
    fn nanos_since_boot(&self) -> u64 {
        0
    }
    fn stall(&self, _: u64) {}
    fn sleep(&self, _: u64) {}
}
