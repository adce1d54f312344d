//! Registers full of a pattern, and whether they still hold it: what a thread must find as it left
//! it, whatever ran in between.

use core::arch::asm;

/// One thread's pattern in all general registers but `rsp`.
#[repr(C)]
pub struct General {
    /// What each register holds: rax rbx rcx rdx rsi rdi rbp r8 to r15.
    expected: [u64; 15],
    /// How many rounds are left.
    rounds: u64,
    /// The stack pointer of the caller.
    stack: u64,
}

impl General {
    /// A pattern that is unlike any other `seed`'s.
    pub fn new(seed: u64) -> Self {
        let expected = core::array::from_fn(|n| {
            ((seed << 8) + n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
        Self { expected, rounds: 0, stack: 0 }
    }

    /// Holds the pattern for so many rounds; whether it was there all the time.
    pub fn hold(&mut self, rounds: u64) -> bool {
        self.rounds = rounds;
        let broken: u64;
        // SAFETY: every register is saved before and restored after; `rsp` leads to this structure,
        // which is only read through it, and back to the stack at the end.
        unsafe {
            asm!(
                "push rbx",
                "push rbp",
                "mov [rax + 128], rsp",
                "mov rsp, rax",
                "mov rax, [rsp]",
                "mov rbx, [rsp + 8]",
                "mov rcx, [rsp + 16]",
                "mov rdx, [rsp + 24]",
                "mov rsi, [rsp + 32]",
                "mov rdi, [rsp + 40]",
                "mov rbp, [rsp + 48]",
                "mov r8, [rsp + 56]",
                "mov r9, [rsp + 64]",
                "mov r10, [rsp + 72]",
                "mov r11, [rsp + 80]",
                "mov r12, [rsp + 88]",
                "mov r13, [rsp + 96]",
                "mov r14, [rsp + 104]",
                "mov r15, [rsp + 112]",
                "2:",
                "cmp rax, [rsp]",
                "jne 3f",
                "cmp rbx, [rsp + 8]",
                "jne 3f",
                "cmp rcx, [rsp + 16]",
                "jne 3f",
                "cmp rdx, [rsp + 24]",
                "jne 3f",
                "cmp rsi, [rsp + 32]",
                "jne 3f",
                "cmp rdi, [rsp + 40]",
                "jne 3f",
                "cmp rbp, [rsp + 48]",
                "jne 3f",
                "cmp r8, [rsp + 56]",
                "jne 3f",
                "cmp r9, [rsp + 64]",
                "jne 3f",
                "cmp r10, [rsp + 72]",
                "jne 3f",
                "cmp r11, [rsp + 80]",
                "jne 3f",
                "cmp r12, [rsp + 88]",
                "jne 3f",
                "cmp r13, [rsp + 96]",
                "jne 3f",
                "cmp r14, [rsp + 104]",
                "jne 3f",
                "cmp r15, [rsp + 112]",
                "jne 3f",
                "dec qword ptr [rsp + 120]",
                "jnz 2b",
                "3:",
                "mov rax, [rsp + 120]",
                "mov rsp, [rsp + 128]",
                "pop rbp",
                "pop rbx",
                inout("rax") core::ptr::from_mut(self) => broken,
                out("rcx") _, out("rdx") _, out("rsi") _, out("rdi") _, out("r8") _,
                out("r9") _, out("r10") _, out("r11") _, out("r12") _, out("r13") _,
                out("r14") _, out("r15") _,
            );
        }
        broken == 0
    }
}

/// Holds `flags` for so many turns of an instruction that changes none; gives what they are then.
pub fn hold_flags(flags: u64, turns: u64) -> u64 {
    let found: u64;
    // SAFETY: flags are set to what they may be and cleared again before compiled code goes on.
    unsafe {
        asm!(
            "push {flags}",
            "popfq",
            "2: loop 2b",
            "pushfq",
            "pop {found}",
            "push 2",
            "popfq",
            flags = in(reg) flags,
            found = lateout(reg) found,
            inout("rcx") turns => _,
        );
    }
    found
}

/// Whether programs can set the bases of FS and GS: the kernel lets them where the CPU can.
pub fn has_bases() -> bool {
    core::arch::x86_64::__cpuid_count(7, 0).ebx & 1 != 0
}

/// Sets the bases of FS and GS. Only where [`has_bases`].
pub fn set_bases([fs, gs]: [u64; 2]) {
    assert!(has_bases());
    // SAFETY: the CPU has the instructions, and compiled code uses neither base.
    unsafe { asm!("wrfsbase {}", "wrgsbase {}", in(reg) fs, in(reg) gs) };
}

/// The bases of FS and GS. Only where [`has_bases`].
pub fn bases() -> [u64; 2] {
    assert!(has_bases());
    let (fs, gs);
    // SAFETY: the CPU has the instructions.
    unsafe { asm!("rdfsbase {}", "rdgsbase {}", out(reg) fs, out(reg) gs) };
    [fs, gs]
}

/// Holds `bases` of FS and GS for so many turns; gives what they are then. Only where [`has_bases`].
pub fn hold_bases(bases: [u64; 2], turns: u64) -> [u64; 2] {
    assert!(has_bases());
    let [mut fs, mut gs] = bases;
    // SAFETY: the CPU has the instructions, and compiled code uses neither base.
    unsafe {
        asm!(
            "wrfsbase {fs}",
            "wrgsbase {gs}",
            "2: loop 2b",
            "rdfsbase {fs}",
            "rdgsbase {gs}",
            fs = inout(reg) fs,
            gs = inout(reg) gs,
            inout("rcx") turns => _,
        );
    }
    [fs, gs]
}

/// What FXSAVE writes: control words, x87 registers, MXCSR, XMM0 to XMM15 (Intel SDM volume 1,
/// 10.5.1).
#[derive(Clone, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Vectors(pub [u8; 512]);

impl Vectors {
    /// All zero, which no CPU holds.
    pub const ZERO: Self = Self([0; 512]);

    /// A pattern that is unlike any other `seed`'s in x87 control word, MXCSR and all registers.
    pub fn pattern(seed: u8) -> Self {
        let mut image = Self::ZERO;
        // The control word: a rounding mode; MXCSR: likewise and flush-to-zero. All errors masked.
        let mode = seed & 3;
        image.0[..2].copy_from_slice(&(0x037f | u16::from(mode) << 10).to_le_bytes());
        // All x87 registers are in use.
        image.0[4] = 0xff;
        let mxcsr = 0x1f80 | u32::from(mode) << 13 | u32::from(seed & 1) << 15;
        image.0[24..28].copy_from_slice(&mxcsr.to_le_bytes());
        for register in 0..8 {
            // A normal number: exponent and the leading bit of the mantissa are set.
            let at = 32 + 16 * register;
            image.0[at..at + 7].fill(seed ^ register as u8);
            image.0[at + 7] = 0x80 | seed >> 1;
            image.0[at + 8..at + 10].copy_from_slice(&[register as u8, 0x40]);
        }
        for byte in 0..256 {
            image.0[160 + byte] = seed.wrapping_mul(31).wrapping_add(byte as u8);
        }
        image
    }

    /// Puts it into the CPU.
    pub fn load(&self) {
        // SAFETY: the image is aligned, and its MXCSR has no reserved bits; compiled code has no
        // floating point.
        unsafe { asm!("fxrstor64 [{}]", in(reg) self, options(readonly, nostack)) };
    }

    /// What the CPU holds.
    pub fn now() -> Self {
        let mut image = Self::ZERO;
        // SAFETY: the image is aligned and as large as the instruction writes.
        unsafe { asm!("fxsave64 [{}]", in(reg) &raw mut image, options(nostack)) };
        // Bytes that belong to nobody, and pointers to the last x87 instruction and its operand.
        image.0[416..].fill(0);
        image.0[6..24].fill(0);
        image
    }

    /// With these x87 control and status words and this MXCSR.
    pub fn with_control(mut self, control: u16, status: u16, mxcsr: u32) -> Self {
        self.0[..2].copy_from_slice(&control.to_le_bytes());
        self.0[2..4].copy_from_slice(&status.to_le_bytes());
        self.0[24..28].copy_from_slice(&mxcsr.to_le_bytes());
        self
    }

    /// Its XMM registers.
    pub fn xmm(&self) -> &[u8] {
        &self.0[160..416]
    }
}

/// Whether programs can use AVX: the CPU has it and the kernel has turned it on.
pub fn has_avx() -> bool {
    const OSXSAVE: u32 = 1 << 27;
    const AVX: u32 = 1 << 28;
    let features = core::arch::x86_64::__cpuid(1).ecx;
    if features & (OSXSAVE | AVX) != OSXSAVE | AVX {
        return false;
    }
    let low: u32;
    // SAFETY: with OSXSAVE the instruction may be used by all.
    unsafe { asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") _, options(nomem, nostack)) };
    low & 0b110 == 0b110
}

/// The registers YMM0 to YMM15.
#[derive(Clone, PartialEq, Eq, Debug)]
#[repr(C, align(32))]
pub struct Wide(pub [[u8; 32]; 16]);

macro_rules! ymm {
    ($to_or_from:literal) => {
        concat!(
            $to_or_from,
            " 0;",
            $to_or_from,
            " 1;",
            $to_or_from,
            " 2;",
            $to_or_from,
            " 3;",
            $to_or_from,
            " 4;",
            $to_or_from,
            " 5;",
            $to_or_from,
            " 6;",
            $to_or_from,
            " 7;",
            $to_or_from,
            " 8;",
            $to_or_from,
            " 9;",
            $to_or_from,
            " 10;",
            $to_or_from,
            " 11;",
            $to_or_from,
            " 12;",
            $to_or_from,
            " 13;",
            $to_or_from,
            " 14;",
            $to_or_from,
            " 15;",
        )
    };
}

impl Wide {
    /// A pattern that is unlike any other `seed`'s.
    pub fn pattern(seed: u8) -> Self {
        Self(core::array::from_fn(|register| {
            core::array::from_fn(|byte| seed ^ (register as u8) << 4 ^ (byte as u8).wrapping_mul(7))
        }))
    }

    /// Puts it into the CPU. Only where [`has_avx`].
    pub fn load(&self) {
        assert!(has_avx());
        // SAFETY: the CPU has the registers, and compiled code does not use them.
        unsafe {
            asm!(
                ".macro orbital_load n",
                "vmovdqu ymm\\n, [rcx + 32 * \\n]",
                ".endm",
                ymm!("orbital_load"),
                ".purgem orbital_load",
                in("rcx") self,
                options(readonly, nostack),
            );
        }
    }

    /// What the CPU holds. Only where [`has_avx`].
    pub fn now() -> Self {
        assert!(has_avx());
        let mut image = Self([[0; 32]; 16]);
        // SAFETY: as above.
        unsafe {
            asm!(
                ".macro orbital_store n",
                "vmovdqu [rcx + 32 * \\n], ymm\\n",
                ".endm",
                ymm!("orbital_store"),
                ".purgem orbital_store",
                in("rcx") &raw mut image,
                options(nostack),
            );
        }
        image
    }
}

/// Fills everything, for someone to find.
pub fn fill() {
    if has_avx() {
        Wide::pattern(0xa5).load();
    }
    Vectors::pattern(0x5a).load();
}

/// XMM registers are zero, x87 is empty, and both control words as after reset.
#[track_caller]
pub fn assert_fresh() {
    let found = Vectors::now();
    assert!(found.xmm().iter().all(|byte| *byte == 0), "a vector of another's: {:x?}", found.xmm());
    assert_eq!(found.0[..6], [0x7f, 0x03, 0, 0, 0, 0], "x87 control, status and tag words");
    assert_eq!(found.0[24..28], 0x1f80_u32.to_le_bytes(), "MXCSR");
    assert!(found.0[32..160].iter().all(|byte| *byte == 0), "an x87 register of another's");
    if has_avx() {
        assert_eq!(Wide::now().0, [[0; 32]; 16]);
    }
}

/// Reports an x87 error that is pending: the thread ends there, if there is one that is not masked.
pub fn report_pending() {
    // SAFETY: touches nothing.
    unsafe { asm!("fwait", options(nomem, nostack)) };
}
