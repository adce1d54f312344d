//! System calls by their registers, to see every one that comes back.

use orbital_user::{
    CapSlot, Error,
    abi::{Registers, Syscall},
    start::bootstrap,
    syscall::raw,
};

/// Something else in each register, never zero and never a handle: what a call must not look at, and
/// what must be gone afterwards.
pub const NOISE: Registers = Registers {
    control: [0x5eed_0000, 0x5eed_0001, 0x5eed_0002, 0x5eed_0003],
    words: [
        0x5eed_0100,
        0x5eed_0101,
        0x5eed_0102,
        0x5eed_0103,
        0x5eed_0104,
        0x5eed_0105,
        0x5eed_0106,
        0x5eed_0107,
    ],
};

/// What a call left: its result register, and the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// 0, or an error's code.
    pub code: u64,
    /// Control and message words.
    pub registers: Registers,
}

impl Left {
    /// A call that went well and left this.
    pub const fn well(registers: Registers) -> Self {
        Self { code: 0, registers }
    }
}

/// The registers of a message operation, with an answer to the call that the thread owes.
pub fn operation(endpoint: CapSlot, tag: u64, deadline: u64, words: [u64; 8]) -> Registers {
    Registers { control: [endpoint.bits(), tag, deadline, 0], words }
}

/// The same for one that answers nothing; the control word that it does not use is noise.
pub fn no_answer(endpoint: CapSlot, tag: u64, deadline: u64, words: [u64; 8]) -> Registers {
    Registers { control: [endpoint.bits(), tag, deadline, NOISE.control[3]], words }
}

/// Registers with these control words, and noise in the others.
pub fn control<const N: usize>(words: [u64; N]) -> Registers {
    let mut registers = NOISE;
    registers.control[..N].copy_from_slice(&words);
    registers
}

/// Makes a call that touches neither memory nor code.
///
/// # Panics
/// For those that do.
#[track_caller]
pub fn call(syscall: Syscall, registers: Registers) -> Left {
    let touches = [Syscall::MemoryMap, Syscall::MemoryUnmap, Syscall::ThreadCreate];
    assert!(!touches.contains(&syscall), "{syscall:?}");
    let mut left = Left { code: 0, registers };
    // SAFETY: excluded above.
    left.code = unsafe { raw(syscall as u64, &mut left.registers) };
    left
}

/// Makes a call that touches no memory and starts no thread of this process, but perhaps another's.
///
/// # Panics
/// For those that do.
#[track_caller]
pub fn call_elsewhere(syscall: Syscall, registers: Registers) -> Left {
    let [first, ..] = registers.control;
    let touches =
        [Syscall::MemoryMap, Syscall::MemoryUnmap, Syscall::MemoryProtect, Syscall::ThreadCreate];
    let is_own = first == 0 || first == bootstrap().process.bits();
    assert!(!touches.contains(&syscall) || !is_own, "{syscall:?}");
    let mut left = Left { code: 0, registers };
    // SAFETY: excluded above.
    left.code = unsafe { raw(syscall as u64, &mut left.registers) };
    left
}

/// Makes a call that is to be refused with `error`, and then leaves zero in every register.
#[track_caller]
pub fn refuse(syscall: Syscall, registers: Registers, error: Error) {
    let mut left = Left { code: 0, registers };
    // SAFETY: a call that is refused has changed nothing; one that is not ends the case.
    left.code = unsafe { raw(syscall as u64, &mut left.registers) };
    let expected = Left { code: error.code(), registers: Registers::default() };
    assert_eq!(left, expected, "{syscall:?} {registers:x?}: wanted {error:?}");
}

/// Ends the calling thread by an instruction that does not exist.
pub fn fault() -> ! {
    #[cfg(target_os = "none")]
    // SAFETY: the thread ends here.
    unsafe {
        core::arch::asm!("ud2", options(noreturn))
    }
    #[cfg(not(target_os = "none"))]
    unreachable!()
}
