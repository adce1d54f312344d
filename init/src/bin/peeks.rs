//! To be tried in the shell: reads the I/O port that is its argument by the processor's own instruction, which no program may.
#![cfg_attr(target_os = "none", no_std, no_main)]

use orbital_user::{entry, println, start::bootstrap};

entry!(main);

/// The clock's index register.
const USUAL: u16 = 0x70;

fn main() -> Result<(), &'static str> {
    let port = match bootstrap().command_line().trim() {
        "" => USUAL,
        word => word.parse().map_err(|_| "the argument is no port")?,
    };
    println!("port {port:#x} has {:#x}", read(port));
    Ok(())
}

#[cfg(target_arch = "x86_64")]
fn read(port: u16) -> u8 {
    let value;
    // SAFETY: it faults before it does anything.
    unsafe {
        core::arch::asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack));
    }
    value
}
