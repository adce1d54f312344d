//! The register that says which page tables a CPU walks.

use x86_64::{PhysAddr, registers::control::Cr3, structures::paging::PhysFrame};

use crate::memory::frame::Frame;

/// The root of page tables, which have the kernel's upper half.
#[derive(Clone, Debug)]
pub struct Root(Frame);

impl Root {
    pub(super) fn new(frame: Frame) -> Self {
        Self(frame)
    }

    /// Loads the tables on this CPU.
    pub fn load(&self) {
        let frame = PhysFrame::containing_address(PhysAddr::new(self.0.address()));
        // SAFETY: each root has the kernel's upper half, so the code that runs stays where it is.
        unsafe { Cr3::write_raw(frame, 0) };
    }
}
