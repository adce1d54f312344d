//! The processors that firmware lists: ACPI's MADT, read by the `acpi` crate (ACPI specification 6.5,
//! 5.2.12).

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

/// The processors that can be used; none without tables.
pub fn processors(root: Option<AcpiRoot>) -> Processors {
    let mut found = Processors::default();
    let Some(root) = root else { return found };
    // SAFETY: the loader found the root, and firmware's tables stay where they are: the frame
    // allocator is given usable memory alone.
    let tables = unsafe { AcpiTables::from_rsdt(DirectMap, root.revision, root.address as usize) };
    let Ok(tables) = tables else { return found };
    let Some(madt) = tables.find_table::<Madt>() else { return found };
    for entry in madt.get().entries().take(MOST_ENTRIES) {
        let (id, flags) = match entry {
            MadtEntry::LocalApic(entry) => (entry.apic_id.into(), entry.flags),
            MadtEntry::LocalX2Apic(entry) => (entry.x2apic_id, entry.flags),
            _ => continue,
        };
        let is_new = flags & ENABLED != 0 && !found.apic_ids.contains(&id);
        if is_new && found.apic_ids.try_push(id).is_err() {
            found.left_out += 1;
        }
    }
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
