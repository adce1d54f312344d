//! The demo's toucher: reads the kernel's memory, or tries to. It should not get to its end.
#![cfg_attr(target_os = "none", no_std, no_main)]

use orbital_user::{entry, start::bootstrap};

entry!(main);

fn main() {
    let address: usize = bootstrap().command_line().parse().expect("an address");
    let kernel = core::ptr::with_exposed_provenance::<u8>(address);
    // SAFETY: it is not sound to go on after this, and the machine sees to it that nobody does.
    unsafe { kernel.read_volatile() };
}
