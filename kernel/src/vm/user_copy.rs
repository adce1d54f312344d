//! Reading what a program names, page faults and all: a page that the program could touch is made so. No
//! fault handler is asked: a program touches what it hands over, or hands over what it can touch.
#![forbid(unsafe_code)]

use orbital_abi::{Error, layout::PAGE_SIZE};

use super::{
    AddressSpace, MemoryObject,
    address_space::{Resolution, Wanted},
};
use crate::{arch, object::Ref};

/// How often a copy is tried, while others change what is mapped.
const ATTEMPTS: usize = 3;

/// Why nothing was copied.
pub enum Uncopied {
    /// Nothing that the program may read.
    Refused(Error),
    /// Something is withdrawn for a moment: wait until the object settles, and try again.
    Unsettled(Ref<MemoryObject>),
}

/// Copies from `address` of `space`, which is loaded on this CPU.
///
/// # Errors
/// An [`Uncopied`]; then `buffer` may hold a part of it.
pub fn copy_from(space: &AddressSpace, buffer: &mut [u8], address: u64) -> Result<(), Uncopied> {
    let refused = Uncopied::Refused(Error::InvalidAddress);
    for _ in 0..ATTEMPTS {
        if arch::copy_from_user(buffer, address).is_ok() {
            return Ok(());
        }
        let Some(end) = address.checked_add(buffer.len() as u64) else { return Err(refused) };
        let cpu = arch::cpu_index();
        for page in (address / PAGE_SIZE * PAGE_SIZE..end).step_by(PAGE_SIZE as usize) {
            match space.touch(page, Wanted::Read, cpu) {
                Resolution::Mapped => {}
                Resolution::Unsettled(object) => return Err(Uncopied::Unsettled(object)),
                Resolution::Refused | Resolution::Shared(..) | Resolution::NoMemory => {
                    return Err(refused);
                }
            }
        }
    }
    Err(refused)
}
