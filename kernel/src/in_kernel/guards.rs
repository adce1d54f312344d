//! What must fault does: guard pages, and writes to what is read-only. The kernel's own copy of user
//! memory survives page faults, so it is the probe.

use kernel::arch::{
    direct_map,
    x86_64::layout::{DIRECT_MAP_END, WINDOW, WINDOW_BYTES},
};

use super::{
    descriptors::interrupt_stacks,
    kernel_test, loaded,
    walk::{self, Page},
};

unsafe extern "C" {
    /// Copies; gives how many bytes were left when a page fault ended it. In `arch::user_copy`.
    fn orbital_copy(to: *mut u8, from: *const u8, bytes: usize) -> usize;
}

/// Whether a byte at `address` can be read.
pub fn is_readable(address: u64) -> bool {
    let mut byte = 0;
    // SAFETY: a fault ends the copy; a read of mapped memory has no effect.
    unsafe { orbital_copy(&mut byte, address as *const u8, 1) == 0 }
}

/// Whether a byte at `address`, which can be read, can be written. It is written as it was.
fn is_writable(address: u64) -> bool {
    let mut byte = 0;
    // SAFETY: a fault ends the copy; else the byte keeps its value, and nobody runs meanwhile.
    unsafe {
        assert_eq!(orbital_copy(&mut byte, address as *const u8, 1), 0, "{address:#x}");
        orbital_copy(address as *mut u8, &raw const byte, 1) == 0
    }
}

fn page(address: u64) -> Option<Page> {
    walk::page_of(walk::root(), address)
}

/// A stack is mapped from its lowest page to its end, with nothing below.
fn check_stack(bottom: u64, end: u64) {
    for address in (bottom..end).step_by(4096) {
        let page = page(address).unwrap_or_else(|| panic!("{address:#x} of a stack is not mapped"));
        assert!(page.rights.write && !page.rights.execute && !page.rights.user, "{page:x?}");
        assert!(is_writable(address + 8));
    }
    assert_eq!(page(bottom - 1), None, "below the stack at {bottom:#x}");
    assert!(!is_readable(bottom - 1) && !is_readable(bottom - 4096));
}

kernel_test! {
    /// The page below the boot stack is not mapped, and this test runs on that stack.
    fn the_boot_stack_has_a_guard_page() {
        let stack = loaded::boot_stack();
        let local = 0_u8;
        assert!(stack.contains(&(&raw const local as u64)));
        assert!(stack.end - stack.start >= 16 * 1024);
        check_stack(stack.start, stack.end);
    }
}

kernel_test! {
    /// Each exception stack is mapped, as large as it is aligned, and has a guard page below.
    fn exception_stacks_have_guard_pages() {
        for top in interrupt_stacks() {
            let end = top.next_multiple_of(4096);
            // From the top down to the first page that is not there.
            let pages = (1..64).take_while(|n| page(end - n * 4096).is_some()).count() as u64;
            let bytes = pages * 4096;
            assert!((8192..=65536).contains(&bytes) && bytes.is_power_of_two(), "{bytes} bytes");
            assert_eq!(end % bytes, 0, "the stack that ends at {end:#x} is not aligned");
            check_stack(end - bytes, end);
        }
    }
}

kernel_test! {
    /// Code and constants can't be written, neither where they run nor through the direct map.
    fn code_and_constants_cannot_be_written() {
        for part in [loaded::text(), loaded::constants()] {
            for address in part.clone().step_by(4096) {
                assert!(!is_writable(address), "{address:#x}");
                let physical = loaded::physical(address..address).start;
                assert!(!is_writable(direct_map::address(physical)), "{address:#x}, directly");
            }
        }
        // The probe itself works: data can be written both ways.
        let variable = loaded::data().end - 4096;
        assert!(is_writable(variable));
        assert!(is_writable(direct_map::address(loaded::physical(variable..variable).start)));
    }
}

kernel_test! {
    /// Null, the loader's identity mapping and the ends of both halves lead nowhere.
    fn addresses_of_nothing_fault() {
        let nothing = [
            0,
            8,
            4096,
            1 << 20,
            loaded::physical(loaded::text()).start,
            0x0000_7fff_ffff_ffff,
            DIRECT_MAP_END,
            WINDOW,
            WINDOW + WINDOW_BYTES,
            u64::MAX,
        ];
        for address in nothing {
            assert_eq!(page(address), None, "{address:#x}");
            assert!(!is_readable(address), "{address:#x}");
        }
    }
}
