//! Reading user memory from the kernel.
#![forbid(unsafe_code)]

use orbital_abi::{Error, layout};

use super::{direct_map, paging};

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
    let mut at = address;
    let mut rest = buffer;
    while !rest.is_empty() {
        let offset = (at % layout::PAGE_SIZE) as usize;
        let length = rest.len().min(layout::PAGE_SIZE as usize - offset);
        let page = paging::translate_loaded(at).ok_or(Error::InvalidAddress)?;
        let (part, behind) = rest.split_at_mut(length);
        direct_map::read(page.frame, offset, part);
        rest = behind;
        at += length as u64;
    }
    Ok(())
}
