//! What a user thread has in the CPU while it runs: its registers, as the entry code of
//! [`entry`](super::entry) and [`trap`](super::trap) stores them.
//!
//! Invariants, which make leaving the kernel safe whatever a program did: `cs` and `ss` are always
//! the user segments, `flags` has only bits that a user may set and always IF, `rip` is set by the
//! kernel only to checked values and is canonical when an interrupt returns. `rsp` may be anything, as a
//! program can set it: no way out looks at where it leads.
//! No code outside this folder writes these fields.
#![forbid(unsafe_code)]

use orbital_abi::{Error, Registers, Syscall, Tag, fault::RegisterBank, layout};

use super::gdt;

/// Flags of a new thread: interrupts on, and the bit that is always one.
const FLAGS: u64 = 1 << 9 | 1 << 1;

/// Flags that `popf` lets a program change (Intel SDM volume 1, 3.4.3): carry, parity, adjust, zero, sign, trap,
/// direction, overflow, alignment check, identification.
const PROGRAM_FLAGS: u64 = 0x24_0dd5;

/// How a thread entered the kernel, and so how it leaves.
pub const ENTERED_BY_SYSCALL: u64 = 0x100;

/// The offset of a field of [`SavedRegisters`], for assembly.
macro_rules! field {
    ($name:ident) => {
        core::mem::offset_of!(SavedRegisters, $name)
    };
}
pub(super) use field;

/// The registers of a user thread. On an interrupt from user mode the CPU pushes downwards from the
/// end of the structure, so its last fields are the interrupt frame.
#[derive(Clone, Debug)]
#[repr(C, align(16))]
pub struct SavedRegisters {
    pub(super) r15: u64,
    pub(super) r14: u64,
    pub(super) r13: u64,
    pub(super) r12: u64,
    pub(super) r11: u64,
    pub(super) r10: u64,
    pub(super) r9: u64,
    pub(super) r8: u64,
    pub(super) rdi: u64,
    pub(super) rsi: u64,
    pub(super) rbp: u64,
    pub(super) rbx: u64,
    pub(super) rdx: u64,
    pub(super) rcx: u64,
    pub(super) rax: u64,
    /// The vector of the interrupt, or [`ENTERED_BY_SYSCALL`], which stands there while the thread runs.
    pub(super) entered_by: u64,
    /// The error code that some exceptions push, or the number of the system call; else 0.
    pub(super) error_code: u64,
    pub(super) rip: u64,
    pub(super) cs: u64,
    pub(super) flags: u64,
    pub(super) rsp: u64,
    pub(super) ss: u64,
}

// `rsp` is aligned to 16 before the CPU pushes: the end must be too, or the frame would shift.
const _: () = assert!(size_of::<SavedRegisters>() == 22 * 8);

impl SavedRegisters {
    /// The registers of a thread that starts at `entry` with `stack` as its stack pointer and
    /// `argument` in `rdi`; all others are zero.
    ///
    /// # Errors
    /// [`Error::InvalidAddress`] when `entry` or `stack` lies outside user space. `stack` may be
    /// one past its end.
    pub fn new(entry: u64, stack: u64, argument: u64) -> Result<Self, Error> {
        if !(layout::USER_START..layout::USER_END).contains(&entry) || stack > layout::USER_END {
            return Err(Error::InvalidAddress);
        }
        Ok(Self {
            r15: 0,
            r14: 0,
            r13: 0,
            r12: 0,
            r11: 0,
            r10: 0,
            r9: 0,
            r8: 0,
            rdi: argument,
            rsi: 0,
            rbp: 0,
            rbx: 0,
            rdx: 0,
            rcx: 0,
            rax: 0,
            entered_by: 0,
            error_code: 0,
            rip: entry,
            cs: gdt::USER_CODE.into(),
            flags: FLAGS,
            rsp: stack,
            ss: gdt::USER_DATA.into(),
        })
    }

    /// What a system call was given, less its number.
    #[inline]
    pub fn syscall_registers(&self) -> Registers {
        Registers {
            control: [self.rdi, self.rsi, self.rdx, self.r8],
            words: [self.r9, self.r10, self.r12, self.r13, self.r14, self.r15, self.rbx, self.rbp],
        }
    }

    /// Stores the answer of a system call: `code` is 0 or an error's.
    #[inline]
    pub fn set_answer(&mut self, code: u64, registers: &Registers) {
        self.rax = code;
        [self.rdi, self.rsi, self.rdx, self.r8] = registers.control;
        [self.r9, self.r10, self.r12, self.r13, self.r14, self.r15, self.rbx, self.rbp] =
            registers.words;
    }

    /// The control words of a system call.
    #[inline]
    pub fn request(&self) -> [u64; 4] {
        [self.rdi, self.rsi, self.rdx, self.r8]
    }

    /// Stores what a system call was given that has no message words.
    pub(super) fn set_request(&mut self, control: [u64; 4]) {
        [self.rdi, self.rsi, self.rdx, self.r8] = control;
        [self.r9, self.r10, self.r12, self.r13, self.r14, self.r15, self.rbx, self.rbp] = [0; 8];
    }

    /// Stores the message words of a system call, but for the first two.
    pub(super) fn set_last_words(&mut self, words: &[u64; 6]) {
        [self.r12, self.r13, self.r14, self.r15, self.rbx, self.rbp] = *words;
    }

    /// The fourth control word of a system call.
    #[inline(always)]
    pub fn fourth(&self) -> u64 {
        self.r8
    }

    /// Stores the answer of a system call that succeeded and says no more than that.
    #[inline(always)]
    pub fn set_done(&mut self) {
        self.rax = 0;
        [self.rdi, self.rsi, self.rdx, self.r8] = [0; 4];
        [self.r9, self.r10, self.r12, self.r13, self.r14, self.r15, self.rbx, self.rbp] = [0; 8];
    }

    /// Stores what a quick call gives back beside message words: its first three control words. The fourth is zero, if
    /// nothing else is said ([`Quick::with_fourth`](crate::arch::quick::Quick::with_fourth)).
    #[inline(always)]
    pub fn set_control(&mut self, control: [u64; 3]) {
        [self.rdi, self.rsi, self.rdx] = control;
    }

    /// Stores the first one.
    #[inline(always)]
    pub fn set_first(&mut self, first: u64) {
        self.rdi = first;
    }

    /// The first one.
    #[inline(always)]
    pub fn first(&self) -> u64 {
        self.rdi
    }

    /// Stores the fourth one.
    #[inline(always)]
    pub fn set_fourth(&mut self, fourth: u64) {
        self.r8 = fourth;
    }

    /// Copies the message words that a quick call has stored: those whose registers Rust does not keep.
    #[inline(always)]
    pub fn set_first_words(&mut self, from: &Self) {
        (self.r9, self.r10) = (from.r9, from.r10);
    }

    /// Completes what [`SavedRegisters::set_control`] and [`SavedRegisters::set_first_words`] began, where the thread
    /// does not go on at once: with the `count` valid message words, of which the CPU's registers have `others`. The
    /// fourth control word is to be set too.
    pub fn set_other_words(&mut self, count: usize, others: &[u64; 6]) {
        let word = |index: usize, value| if index < count { value } else { 0 };
        self.rax = 0;
        (self.r9, self.r10) = (word(0, self.r9), word(1, self.r10));
        [self.r12, self.r13, self.r14, self.r15, self.rbx, self.rbp] =
            core::array::from_fn(|index| word(index + 2, others[index]));
    }

    /// Lets the thread make the system call that it is in again: it goes on with the instruction that brought it here.
    pub fn call_again(&mut self) {
        // Its length.
        self.rip -= 2;
        self.rax = self.error_code;
    }

    /// Lets the thread, which is in a system call that receives, receive with `tag` in its place, with the same other
    /// arguments.
    pub fn receive_again(&mut self, tag: Tag) {
        self.call_again();
        self.rax = Syscall::Receive as u64;
        self.rsi = tag.bits();
    }

    /// The number of the system call that it is in or comes from; `None` after an interrupt.
    pub fn syscall_number(&self) -> Option<u64> {
        (self.entered_by == ENTERED_BY_SYSCALL).then_some(self.error_code)
    }

    /// Whether they were interrupted in user mode.
    pub(super) fn is_user(&self) -> bool {
        self.cs & 3 != 0
    }

    /// Makes sure that `iretq` can load them after an interrupt in user mode.
    ///
    /// Some CPUs let a program jump to an address that is none, and refuse to fetch from it rather than
    /// to jump (AMD APM volume 3, near branches). An interrupt may come in between, and their `iretq` to
    /// such an address is the kernel's fault, not the program's (there, IRET). So it goes on at the
    /// page that is never mapped, where it faults as surely.
    pub(super) fn make_resumable(&mut self) {
        let canonical = (self.rip << 16).cast_signed() >> 16;
        if canonical.cast_unsigned() != self.rip {
            self.rip = layout::USER_END;
        }
    }

    /// A part of them.
    pub fn bank(&self, bank: RegisterBank) -> [u64; RegisterBank::VALUES] {
        match bank {
            RegisterBank::First => [
                self.rip, self.rsp, self.flags, self.rax, self.rbx, self.rcx, self.rdx, self.rsi,
                self.rdi, self.rbp,
            ],
            RegisterBank::Second => {
                [self.r8, self.r9, self.r10, self.r11, self.r12, self.r13, self.r14, self.r15, 0, 0]
            }
        }
    }

    /// Changes a part of them, after an exception. Of the flags those that a program can change by itself.
    ///
    /// # Errors
    /// [`Error::InvalidAddress`] when it would go on outside user space.
    pub fn set_bank(
        &mut self,
        bank: RegisterBank,
        values: [u64; RegisterBank::VALUES],
    ) -> Result<(), Error> {
        match bank {
            RegisterBank::First => {
                let [rip, rsp, flags, rax, rbx, rcx, rdx, rsi, rdi, rbp] = values;
                if !(layout::USER_START..layout::USER_END).contains(&rip) {
                    return Err(Error::InvalidAddress);
                }
                let flags = flags & PROGRAM_FLAGS | FLAGS;
                (self.rip, self.rsp, self.flags) = (rip, rsp, flags);
                (self.rax, self.rbx, self.rcx, self.rdx) = (rax, rbx, rcx, rdx);
                (self.rsi, self.rdi, self.rbp) = (rsi, rdi, rbp);
            }
            RegisterBank::Second => {
                let [r8, r9, r10, r11, r12, r13, r14, r15, ..] = values;
                (self.r8, self.r9, self.r10, self.r11) = (r8, r9, r10, r11);
                (self.r12, self.r13, self.r14, self.r15) = (r12, r13, r14, r15);
            }
        }
        Ok(())
    }

    /// Where the thread goes on.
    pub fn instruction_pointer(&self) -> u64 {
        self.rip
    }
}
