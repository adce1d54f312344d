//! Who called whom, from the frame pointers.

use super::{
    entry,
    layout::{DIRECT_MAP, KERNEL_BASE, WINDOW, WINDOW_BYTES},
};

/// How many callers are followed.
const DEPTH: usize = 32;

/// Calls `visit` with the return address of each caller, innermost first.
pub fn callers(mut visit: impl FnMut(u64)) {
    let mut frame: u64;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack)) };
    for _ in 0..DEPTH {
        // Frames lie on one of the kernel's stacks; entry code sets the outermost to 0.
        let on_stack = (WINDOW..WINDOW + WINDOW_BYTES).contains(&frame) || frame >= KERNEL_BASE;
        if frame < DIRECT_MAP || !on_stack || !frame.is_multiple_of(8) || frame > u64::MAX - 4096 {
            return;
        }
        // SAFETY: a frame pointer on a kernel stack: whoever calls keeps the chain, by the target file.
        let (next, address) = unsafe { (*(frame as *const u64), *((frame + 8) as *const u64)) };
        if address < KERNEL_BASE {
            return;
        }
        visit(address);
        // Called by the entry code: what it left in the frame pointer may be the program's.
        if entry::code().contains(&address) {
            return;
        }
        // Stacks grow down, so callers stand higher.
        if next <= frame {
            return;
        }
        frame = next;
    }
}
