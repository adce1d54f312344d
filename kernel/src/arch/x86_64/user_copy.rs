//! Reading user memory from the kernel. A program's pointer is a claim: the range is checked to
//! lie in user space, and a page that is not there makes the copy fail, not the kernel.

use core::arch::global_asm;

use orbital_abi::{Error, layout};

use super::features;

global_asm!(
    // rdi: to, rsi: from, rdx: bytes. Returns the bytes that were left, 0 on success.
    ".global orbital_copy, orbital_copy_end, orbital_copy_failed",
    "orbital_copy:",
    "mov rcx, rdx",
    "rep movsb",
    "orbital_copy_end:",
    "mov rax, rcx",
    "ret",
    "orbital_copy_failed:",
    "mov rax, rcx",
    "ret",
);

unsafe extern "C" {
    fn orbital_copy(to: *mut u8, from: *const u8, bytes: usize) -> usize;
    safe static orbital_copy_end: u8;
    safe static orbital_copy_failed: u8;
}

/// Where the kernel goes on after a page fault at `instruction`, if that was a copy's.
pub fn fixup(instruction: u64) -> Option<u64> {
    let range = orbital_copy as *const () as u64..&raw const orbital_copy_end as u64;
    range.contains(&instruction).then_some(&raw const orbital_copy_failed as u64)
}

/// Copies from `address` of the address space that is loaded on this CPU.
///
/// # Errors
/// [`Error::InvalidAddress`] when the range leaves user space or is not readable throughout; then
/// `buffer` may hold a part of it.
pub fn copy_from_user(buffer: &mut [u8], address: u64) -> Result<(), Error> {
    let end = address.checked_add(buffer.len() as u64).ok_or(Error::InvalidAddress)?;
    if address < layout::USER_START || end > layout::USER_END {
        return Err(Error::InvalidAddress);
    }
    let smap = features::features().smap;
    if smap {
        // SAFETY: the CPU has SMAP; only `orbital_copy` runs until the `clac` below.
        unsafe { core::arch::asm!("stac", options(nostack)) };
    }
    // SAFETY: the source lies in user space, where nothing of the kernel's stands; a fault on it
    // goes to `fixup`. The destination is the caller's.
    let left = unsafe { orbital_copy(buffer.as_mut_ptr(), address as *const u8, buffer.len()) };
    if smap {
        // SAFETY: as above.
        unsafe { core::arch::asm!("clac", options(nostack)) };
    }
    if left == 0 { Ok(()) } else { Err(Error::InvalidAddress) }
}
