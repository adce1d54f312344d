//! Where the framebuffer is that the loader has set up. The kernel itself never draws.
#![forbid(unsafe_code)]

use orbital_abi::framebuffer::Framebuffer;
use spin::Once;

use crate::boot::BootInfo;

static FOUND: Once<Option<Framebuffer>> = Once::new();

/// Keeps what the loader said.
pub fn init(boot_info: &BootInfo) {
    FOUND.call_once(|| boot_info.framebuffer);
}

/// The framebuffer, where there is one.
pub fn get() -> Option<Framebuffer> {
    FOUND.get().copied().flatten()
}
