//! Segment registers of user threads: programs may load the user selectors that the descriptor table
//! has, and set the bases of FS and GS where the CPU has the instructions for it.
//!
//! Invariant: while no thread's segments are in the CPU, all four selectors are null. So a thread that
//! never touches them (nearly all) costs four reads when it leaves and none when it comes.

use core::arch::asm;

use super::features;

/// One thread's segment registers, while it does not run.
#[derive(Debug, Default)]
pub struct UserSegments {
    /// DS, ES, FS, GS.
    selectors: [u16; 4],
    fs_base: u64,
    gs_base: u64,
}

impl UserSegments {
    /// Those of a new thread: null, with base 0.
    pub const fn new() -> Self {
        Self { selectors: [0; 4], fs_base: 0, gs_base: 0 }
    }

    /// Whether they are, and both bases 0.
    #[inline]
    pub fn are_null(&self) -> bool {
        self.packed() | self.fs_base | self.gs_base == 0
    }

    /// Keeps the registers of the thread that leaves this CPU, and empties the selectors.
    #[inline]
    pub fn save(&mut self) {
        if features::features().fsgsbase {
            // SAFETY: CR4.FSGSBASE is set. The user's GS base is the inactive one while the kernel
            // runs, so it is swapped in for a moment; interrupts are off, and vectors with stacks of
            // their own do not rely on GS.
            unsafe {
                asm!("rdfsbase {}", out(reg) self.fs_base, options(nomem, nostack, preserves_flags));
                asm!("swapgs", "rdgsbase {}", "swapgs", out(reg) self.gs_base,
                    options(nomem, nostack, preserves_flags));
            }
        }
        let [ds, es, fs, gs]: [u32; 4];
        // SAFETY: reading selectors changes nothing.
        unsafe {
            asm!("mov {:e}, ds", "mov {:e}, es", "mov {:e}, fs", "mov {:e}, gs",
                out(reg) ds, out(reg) es, out(reg) fs, out(reg) gs,
                options(nomem, nostack, preserves_flags));
        }
        self.selectors = [ds as u16, es as u16, fs as u16, gs as u16];
        if self.selectors != [0; 4] {
            load_selectors([0; 4]);
        }
    }

    /// Keeps the registers of the thread that leaves this CPU, and loads those of the one that comes. Here is only
    /// what nearly all threads need: no selectors, and both have the same bases.
    #[inline(always)]
    pub fn switch(&mut self, next: &Self) {
        if !features::features().fsgsbase {
            return self.switch_all(next);
        }
        let (fs_base, gs_base): (u64, u64);
        // What `next` has in its selectors, and this thread when it came, in one word.
        let mut selectors = self.packed() | next.packed();
        // SAFETY: as in `save`; reading selectors changes nothing.
        unsafe {
            asm!("rdfsbase {}", out(reg) fs_base, options(nomem, nostack, preserves_flags));
            asm!("swapgs", "rdgsbase {}", "swapgs", out(reg) gs_base,
                options(nomem, nostack, preserves_flags));
            asm!("mov {1:e}, ds", "or {0:r}, {1:r}", "mov {1:e}, es", "or {0:r}, {1:r}", "mov {1:e}, fs",
                "or {0:r}, {1:r}", "mov {1:e}, gs", "or {0:r}, {1:r}", inout(reg) selectors, out(reg) _,
                options(nomem, nostack));
        }
        (self.fs_base, self.gs_base) = (fs_base, gs_base);
        if selectors | fs_base ^ next.fs_base | gs_base ^ next.gs_base != 0 {
            self.switch_all(next);
        }
    }

    #[cold]
    fn switch_all(&mut self, next: &Self) {
        self.save();
        next.restore();
    }

    /// All selectors in one word.
    fn packed(&self) -> u64 {
        let [ds, es, fs, gs] = self.selectors.map(u64::from);
        ds | es << 16 | fs << 32 | gs << 48
    }

    /// Loads the registers for the thread that comes.
    #[inline]
    pub fn restore(&self) {
        if self.selectors != [0; 4] {
            load_selectors(self.selectors);
        }
        // After the selectors, whose loads change bases.
        if features::features().fsgsbase {
            // SAFETY: as in `save`; both bases were a user's, and so canonical.
            unsafe {
                asm!("wrfsbase {}", in(reg) self.fs_base, options(nomem, nostack, preserves_flags));
                asm!("swapgs", "wrgsbase {}", "swapgs", in(reg) self.gs_base,
                    options(nomem, nostack, preserves_flags));
            }
        }
    }
}

/// Loads all four selectors; the base of the user's GS follows its selector, the kernel's does not.
#[cold]
fn load_selectors([ds, es, fs, gs]: [u16; 4]) {
    // SAFETY: null selectors, or selectors that were read from these registers: they name user
    // descriptors of the one table that all CPUs have alike. The kernel uses none of them.
    unsafe {
        asm!("mov ds, {:x}", "mov es, {:x}", "mov fs, {:x}", "swapgs", "mov gs, {:x}", "swapgs",
            in(reg) ds, in(reg) es, in(reg) fs, in(reg) gs, options(nostack, preserves_flags));
    }
}
