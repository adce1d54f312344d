//! A long floating-point computation that forgets nothing: one bit that is wrong once changes the result.

use core::{arch::asm, sync::atomic::AtomicU64};

/// Sixteen-byte lanes in the registers XMM0 to XMM12.
const LANES: usize = 13;

/// Logistic maps, x -> r x (1 - x), in SSE registers and on the x87 stack (May, "Simple mathematical
/// models with very complicated dynamics", 1976): chaotic for this r.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct Chaos {
    lanes: [[u64; 2]; LANES],
    rate: [u64; 2],
    one: [u64; 2],
    x87: u64,
    x87_rate: u64,
    /// The x87 result in all its bits.
    extended: [u8; 16],
}

impl Chaos {
    /// One that is unlike any other `seed`'s.
    pub fn new(seed: u64) -> Self {
        let start = |n: u64| (0.1 + 0.011 * n as f64 + 0.000_37 * seed as f64).to_bits();
        Self {
            lanes: core::array::from_fn(|lane| {
                [start(2 * lane as u64), start(2 * lane as u64 + 1)]
            }),
            rate: [3.9999f64.to_bits(), 3.9998f64.to_bits()],
            one: [1f64.to_bits(); 2],
            x87: start(30),
            x87_rate: 3.9997f64.to_bits(),
            extended: [0; 16],
        }
    }

    /// So many turns, all the time in registers; each is counted in `turned`, which has no other writer.
    pub fn turn(&mut self, turns: u64, turned: &AtomicU64) {
        // SAFETY: reads and writes this structure and the counter alone; compiled code has no floating point, so all of
        // its registers are free. The x87 stack is empty before and after.
        unsafe {
            asm!(
                "fninit",
                "fld qword ptr [{chaos} + 248]",
                "fld qword ptr [{chaos} + 240]",
                ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12",
                "movapd xmm\\n, [{chaos} + 16 * \\n]",
                ".endr",
                "movapd xmm13, [{chaos} + 208]",
                "movapd xmm15, [{chaos} + 224]",
                "2:",
                ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12",
                "movapd xmm14, xmm15",
                "subpd xmm14, xmm\\n",
                "mulpd xmm\\n, xmm14",
                "mulpd xmm\\n, xmm13",
                ".endr",
                "fld1",
                "fsub st(0), st(1)",
                "fmulp st(1), st(0)",
                "fmul st(0), st(1)",
                "inc qword ptr [{turned}]",
                "dec {turns}",
                "jnz 2b",
                ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12",
                "movapd [{chaos} + 16 * \\n], xmm\\n",
                ".endr",
                "fstp tbyte ptr [{chaos} + 256]",
                "fstp st(0)",
                chaos = in(reg) core::ptr::from_mut(self),
                turned = in(reg) turned.as_ptr(),
                turns = inout(reg) turns.max(1) => _,
            );
        }
    }

    /// All that there is, in 64 bits: FNV-1a over its words.
    pub fn checksum(&self) -> u64 {
        let extended = self.extended.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
        let words = self.lanes.as_flattened().iter().copied().chain(extended);
        words.fold(0xcbf2_9ce4_8422_2325, |sum, word| (sum ^ word).wrapping_mul(0x100_0000_01b3))
    }
}
