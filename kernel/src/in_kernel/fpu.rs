//! Floating-point and vector registers: what a thread has in them is its own. The kernel has none,
//! so assembly stands for the threads.

use alloc::alloc::alloc;
use core::{arch::asm, ptr::NonNull};

use kernel::arch::FpuState;
use x86_64::registers::{
    control::{Cr0, Cr0Flags, Cr4, Cr4Flags},
    xcontrol::{XCr0, XCr0Flags},
};

use super::kernel_test;

/// Registers after reset, in memory that is never freed.
fn state_after_reset() -> FpuState {
    // SAFETY: the layout has a size.
    let area = NonNull::new(unsafe { alloc(FpuState::layout()) }).unwrap();
    // SAFETY: it has the layout, and nobody else knows it.
    unsafe { FpuState::new(area) }
}

fn has_avx() -> bool {
    Cr4::read().contains(Cr4Flags::OSXSAVE) && XCr0::read().contains(XCr0Flags::AVX)
}

/// Writes what threads leave in the registers.
fn write(value: u64) {
    // SAFETY: TS is clear, and no code of Rust's has anything in these registers.
    unsafe {
        asm!("movq xmm0, {0}", "movq xmm15, {0}", in(reg) value);
        if has_avx() {
            asm!("vinsertf128 ymm15, ymm15, xmm0, 1");
        }
    }
}

/// Reads it: low part of the first register, low and high part of the last.
fn read() -> [u64; 3] {
    let (first, last, mut high): (u64, u64, u64);
    // SAFETY: as above.
    unsafe {
        asm!("movq {0}, xmm0", "movq {1}, xmm15", out(reg) first, out(reg) last);
        high = last;
        if has_avx() {
            asm!("vextractf128 xmm1, ymm15, 1", "movq {0}, xmm1", out(reg) high);
        }
    }
    [first, last, high]
}

kernel_test! {
    /// Two threads' registers are kept apart, and a new thread finds none of anyone's values.
    fn vector_registers_are_a_threads_own() {
        let (mut one, mut two) = (state_after_reset(), state_after_reset());
        one.restore();
        assert_eq!(read(), [0; 3]);
        write(0x1111_2222_3333_4444);
        one.save();
        two.restore();
        assert_eq!(read(), [0; 3], "a new thread sees another's values");
        write(0x5555_6666_7777_8888);
        two.save();
        for _ in 0..3 {
            one.restore();
            assert_eq!(read(), [0x1111_2222_3333_4444; 3]);
            one.save();
            two.restore();
            assert_eq!(read(), [0x5555_6666_7777_8888; 3]);
            two.save();
        }
        state_after_reset().restore();
        assert_eq!(read(), [0; 3]);
    }
}

kernel_test! {
    /// A new thread's floating point is as after reset: all errors masked, full precision.
    fn floating_point_starts_as_after_reset() {
        let state = state_after_reset();
        state.restore();
        let (mut control, mut vector_control) = (0_u16, 0_u32);
        // SAFETY: TS is clear; both instructions store to the variables.
        unsafe {
            asm!("fnstcw [{}]", in(reg) &mut control);
            asm!("stmxcsr [{}]", in(reg) &mut vector_control);
        }
        assert_eq!((control, vector_control), (0x037f, 0x1f80));
    }
}

kernel_test! {
    /// While floating point is forbidden, the registers hold nobody's values: not even speculation finds
    /// any.
    fn forbidden_registers_are_empty() {
        let mut state = state_after_reset();
        state.restore();
        write(0x1234_5678_9abc_def0);
        state.save();
        FpuState::forbid();
        // SAFETY: a look at the registers, past the trap.
        unsafe { asm!("clts", options(nomem, nostack)) };
        assert_eq!(read(), [0; 3], "the last thread's values are still there");
        state.restore();
        assert_eq!(read(), [0x1234_5678_9abc_def0; 3]);
    }
}

kernel_test! {
    /// Errors that a thread has unmasked and that are pending do not hit the kernel when it saves them and
    /// loads them again.
    fn pending_errors_stay_with_their_thread() {
        let mut state = state_after_reset();
        state.restore();
        let mut status = 0_u16;
        // 1 / 0, with no error masked.
        // SAFETY: TS is clear; no waiting instruction follows.
        unsafe {
            asm!("push 0x340", "fldcw [rsp]", "pop {}", "fld1", "fldz", "fdivp", out(reg) _);
        }
        state.save();
        FpuState::forbid();
        state_after_reset().restore();
        FpuState::forbid();
        state.restore();
        // SAFETY: as above: this one does not wait.
        unsafe { asm!("fnstsw [{}]", in(reg) &mut status) };
        const ERROR_SUMMARY: u16 = 1 << 7;
        assert!(status & ERROR_SUMMARY != 0, "{status:#x}: nothing was pending");
        FpuState::forbid();
    }
}

kernel_test! {
    /// Whether floating point traps is each thread's own: TS follows the thread.
    fn floating_point_is_forbidden_and_allowed() {
        let traps = || Cr0::read().contains(Cr0Flags::TASK_SWITCHED);
        let state = state_after_reset();
        assert!(traps(), "after boot");
        for _ in 0..2 {
            state.restore();
            assert!(!traps());
            FpuState::forbid();
            assert!(traps());
        }
        assert!(FpuState::layout().size() >= 512);
    }
}
