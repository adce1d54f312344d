//! Floating-point and vector registers of user threads. The kernel has none of its own.
//!
//! CR0.TS is set while a thread without an area runs, so its first such instruction traps; from
//! then on the thread has an area, which is filled when the thread leaves the CPU and loaded when
//! it comes back. So no thread ever finds another's values: a CPU with TS clear holds the values
//! of the thread that runs.
//!
//! With TS set it holds nobody's: some CPUs let instructions that will trap compute with what is there,
//! and a cache betrays it (CVE-2018-3665). So whoever sets TS empties the registers first.
//!
//! What a thread sets in its control words stays with it: saving raises no error that is pending, and
//! what was saved can be loaded, since the CPU let no reserved bit in.

use alloc::alloc::{Layout, alloc};
use core::{
    arch::{
        asm,
        x86_64::{_fxrstor64, _fxsave64, _xrstor64, _xsave64},
    },
    ptr::NonNull,
};

use raw_cpuid::CpuId;
use x86_64::registers::{
    control::{Cr0, Cr0Flags},
    xcontrol::{XCr0, XCr0Flags},
};

use super::features;

/// Which parts of the state XSAVE keeps: x87, SSE, and AVX where present.
static PARTS: spin::Once<XCr0Flags> = spin::Once::new();
/// Size of an area in bytes; XSAVE wants it aligned to 64.
static BYTES: spin::Once<usize> = spin::Once::new();
/// The registers after reset.
static PRISTINE: spin::Once<FpuState> = spin::Once::new();
const ALIGN: usize = 64;
/// What FXSAVE writes.
const FXSAVE_BYTES: usize = 512;
/// x87 control word and MXCSR after reset (Intel SDM volume 1, 8.1.5 and 10.2.3): all errors masked.
const CONTROL_WORD: u16 = 0x037f;
const MXCSR: u32 = 0x1f80;

/// One thread's registers, while it does not run.
#[derive(Debug)]
pub struct FpuState(NonNull<u8>);

// SAFETY: the area belongs to this value alone.
unsafe impl Send for FpuState {}
// SAFETY: no operation reads or writes through a shared reference.
unsafe impl Sync for FpuState {}

fn layout() -> Layout {
    let bytes = BYTES.get().copied().unwrap_or(FXSAVE_BYTES);
    // The alignment is a power of two and the size far from overflow.
    Layout::from_size_align(bytes, ALIGN).unwrap_or(Layout::new::<u64>())
}

/// Finds out what there is to save. Once on each CPU, after `features::init` and the heap.
///
/// # Panics
/// Without memory: only at boot.
pub fn init() {
    if features::features().xsave {
        init_xsave();
    }
    PRISTINE.call_once(|| {
        // SAFETY: the layout has a size.
        let area = NonNull::new(unsafe { alloc(layout()) }).expect("memory for an area");
        // SAFETY: it has the layout, and is never freed.
        unsafe { FpuState::new(area) }
    });
}

fn init_xsave() {
    let cpuid = CpuId::new();
    let parts = *PARTS.call_once(|| {
        let mut parts = XCr0Flags::X87 | XCr0Flags::SSE;
        parts.set(XCr0Flags::AVX, cpuid.get_feature_info().is_some_and(|f| f.has_avx()));
        parts
    });
    // SAFETY: CPUID has XSAVE, CR4.OSXSAVE is set, the parts exist and x87 is among them.
    unsafe { XCr0::write(parts) };
    BYTES.call_once(|| {
        let info = cpuid.get_extended_state_info();
        info.map_or(FXSAVE_BYTES + 64, |i| i.xsave_area_size_enabled_features() as usize)
    });
}

impl FpuState {
    /// What an area takes.
    pub fn layout() -> Layout {
        layout()
    }

    /// Makes the next floating-point instruction trap, and leaves nothing in the registers.
    pub fn forbid() {
        if Cr0::read().contains(Cr0Flags::TASK_SWITCHED) {
            return;
        }
        if let Some(pristine) = PRISTINE.get() {
            pristine.restore();
        }
        set_task_switched(true);
    }

    /// The registers' values after reset, kept in `area`.
    ///
    /// # Safety
    /// The area has [`FpuState::layout`], and is this state's alone as long as that is used.
    pub unsafe fn new(area: NonNull<u8>) -> Self {
        // SAFETY: the area is ours. Both fields lie in the legacy region, which every area has (Intel SDM
        // volume 1, 10.5.1); the area is aligned.
        unsafe {
            area.write_bytes(0, layout().size());
            area.cast::<u16>().write(CONTROL_WORD);
            area.byte_add(24).cast::<u32>().write(MXCSR);
            if let Some(parts) = PARTS.get() {
                // XSTATE_BV: load x87 and SSE from the area, the others as after reset.
                let legacy = *parts & (XCr0Flags::X87 | XCr0Flags::SSE);
                area.byte_add(FXSAVE_BYTES).cast::<u64>().write(legacy.bits());
            }
        }
        Self(area)
    }

    /// Keeps the registers of the thread that leaves this CPU.
    pub fn save(&mut self) {
        let area = self.0.as_ptr();
        // SAFETY: the area is as large and aligned as the instruction needs; TS is clear while its
        // thread runs.
        unsafe {
            match PARTS.get() {
                Some(parts) => save_all(area, parts.bits()),
                None => save_legacy(area),
            }
        }
    }

    /// Loads the registers for the thread that comes, and lets it use them.
    pub fn restore(&self) {
        set_task_switched(false);
        let area = self.0.as_ptr();
        // SAFETY: TS is clear, and nobody's values are in the registers. Some CPUs leave the addresses
        // of the last instruction and operand alone where no error is pending (AMD APM volume 5,
        // FXRSTOR): `fninit` clears them, without looking at pending errors.
        unsafe { asm!("fninit", options(nomem, nostack, preserves_flags)) };
        // SAFETY: as above; what the area holds came from `new` or `save`, so it is well-formed.
        unsafe {
            match PARTS.get() {
                Some(parts) => restore_all(area, parts.bits()),
                None => restore_legacy(area),
            }
        }
    }
}

/// Writes CR0 only where it changes: between threads without floating point it never does.
fn set_task_switched(wanted: bool) {
    let now = Cr0::read();
    if now.contains(Cr0Flags::TASK_SWITCHED) != wanted {
        let mut flags = now;
        flags.set(Cr0Flags::TASK_SWITCHED, wanted);
        // SAFETY: the kernel itself has no floating-point instruction.
        unsafe { Cr0::write(flags) };
    }
}

#[target_feature(enable = "xsave")]
unsafe fn save_all(area: *mut u8, parts: u64) {
    // SAFETY: the caller's.
    unsafe { _xsave64(area, parts) }
}

#[target_feature(enable = "xsave")]
unsafe fn restore_all(area: *const u8, parts: u64) {
    // SAFETY: the caller's.
    unsafe { _xrstor64(area, parts) }
}

#[target_feature(enable = "fxsr")]
unsafe fn save_legacy(area: *mut u8) {
    // SAFETY: the caller's.
    unsafe { _fxsave64(area) }
}

#[target_feature(enable = "fxsr")]
unsafe fn restore_legacy(area: *const u8) {
    // SAFETY: the caller's.
    unsafe { _fxrstor64(area) }
}
