//! The register that says which page tables a CPU walks, and by which tag it remembers what they say: the
//! process-context identifier (Intel SDM volume 3, 4.10.1).

use super::features;
use crate::{arch::Tag, memory::frame::Frame};

/// The root of page tables, which have the kernel's upper half.
#[derive(Clone, Debug)]
pub struct Root(u64);

/// How many tags a CPU has beside that of the kernel's own tables; 0 where it has none at all. More would be
/// of little use: the translations of as many spaces do not fit into a CPU.
const TAGS: usize = 7;
/// Loading keeps what the CPU remembers by the tag.
const KEEP: u64 = 1 << 63;

/// How many tags a CPU has for address spaces.
#[inline]
pub fn tags() -> usize {
    if features::features().pcid { TAGS } else { 0 }
}

impl Root {
    pub(super) fn new(frame: Frame) -> Self {
        Self(frame.address())
    }

    /// Loads the tables on this CPU. Without a tag, as where there are none, it forgets all user translations.
    #[inline(always)]
    pub fn load(&self, tag: Option<Tag>) {
        let tag = match tag {
            None => 0,
            // Nothing of user space was ever remembered by it.
            Some(Tag::Kernel) => KEEP,
            Some(Tag::Kept(number)) => KEEP | (number as u64 + 1),
            Some(Tag::New(number)) => number as u64 + 1,
        };
        // SAFETY: each root has the kernel's upper half, so the code that runs stays where it is; the tag is
        // below 4096, and the highest bit is known where there are tags.
        unsafe {
            core::arch::asm!("mov cr3, {}", in(reg) self.0 | tag, options(nostack, preserves_flags));
        }
    }
}
