//! What a user thread has in the CPU while it runs, as far as the kernel looks at it.
#![forbid(unsafe_code)]

use orbital_abi::{Error, Registers, Syscall, Tag, fault::RegisterBank, layout};

/// The registers of a user thread.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct SavedRegisters {
    instruction_pointer: u64,
    stack_pointer: u64,
    argument: u64,
    /// The system call's arguments, then its answer.
    registers: Registers,
    /// 0 or an error's code, once the call is answered.
    code: u64,
    /// Whether there was a system call, and its number.
    by_syscall: bool,
    number: u64,
    /// Whether the program has to make the call with that number, instead of an answer.
    again: bool,
}

/// Stands for "not answered": no error has this code.
const UNANSWERED: u64 = u64::MAX;

impl SavedRegisters {
    /// The registers of a thread that starts at `entry` with `stack` as its stack pointer and
    /// `argument`; all others are zero.
    ///
    /// # Errors
    /// [`Error::InvalidAddress`] when `entry` or `stack` lies outside user space. `stack` may be
    /// one past its end.
    pub fn new(entry: u64, stack: u64, argument: u64) -> Result<Self, Error> {
        if !(layout::USER_START..layout::USER_END).contains(&entry) || stack > layout::USER_END {
            return Err(Error::InvalidAddress);
        }
        Ok(Self {
            instruction_pointer: entry,
            stack_pointer: stack,
            argument,
            registers: Registers::default(),
            code: UNANSWERED,
            by_syscall: false,
            number: 0,
            again: false,
        })
    }

    /// What a system call was given, less its number.
    pub fn syscall_registers(&self) -> Registers {
        self.registers
    }

    /// Stores the answer of a system call: `code` is 0 or an error's.
    pub fn set_answer(&mut self, code: u64, registers: &Registers) {
        self.code = code;
        self.registers = *registers;
    }

    /// The control words of a system call.
    pub fn request(&self) -> [u64; 4] {
        self.registers.control
    }

    /// The fourth control word of a system call.
    pub fn fourth(&self) -> u64 {
        self.registers.control[3]
    }

    /// Stores the answer of a system call that succeeded and says no more than that.
    pub fn set_done(&mut self) {
        self.set_answer(0, &Registers::default());
    }

    /// Stores what a quick call gives back beside message words: its first three control words. The fourth is zero.
    pub fn set_control(&mut self, [first, second, third]: [u64; 3]) {
        self.registers.control = [first, second, third, 0];
    }

    /// Stores the first one.
    pub fn set_first(&mut self, first: u64) {
        self.registers.control[0] = first;
    }

    /// The first one.
    pub fn first(&self) -> u64 {
        self.registers.control[0]
    }

    /// Stores a fourth one, after these.
    pub fn set_fourth(&mut self, fourth: u64) {
        self.registers.control[3] = fourth;
    }

    /// Copies the message words that a quick call has stored.
    pub fn set_first_words(&mut self, from: &Self) {
        self.registers.words[..2].copy_from_slice(&from.registers.words[..2]);
    }

    /// Completes what these began: with the `count` valid message words, of which the CPU's registers have `others`.
    pub fn set_other_words(&mut self, count: usize, others: &[u64; 6]) {
        self.code = 0;
        self.registers.words[2..].copy_from_slice(others);
        self.registers.words[count..].fill(0);
    }

    /// What the entry code reads of a quick call: its control words, and the message words that stay in the CPU.
    pub(super) fn quick_call(&self) -> ([u64; 4], [u64; 6]) {
        let Registers { control, words: [_, _, others @ ..] } = self.registers;
        (control, others)
    }

    /// Lets the thread make the system call that it is in again.
    pub fn call_again(&mut self) {
        self.again = true;
    }

    /// Lets the thread, which is in a system call that receives, receive with `tag` in its place, with the same other
    /// arguments.
    pub fn receive_again(&mut self, tag: Tag) {
        self.call_again();
        self.number = Syscall::Receive as u64;
        self.registers.control[1] = tag.bits();
    }

    /// The call that the program has to make first, once.
    pub fn take_again(&mut self) -> Option<u64> {
        core::mem::take(&mut self.again).then_some(self.number)
    }

    /// The number of the system call that it is in or comes from.
    pub fn syscall_number(&self) -> Option<u64> {
        self.by_syscall.then_some(self.number)
    }

    /// A part of them: those that this machine has.
    pub fn bank(&self, bank: RegisterBank) -> [u64; RegisterBank::VALUES] {
        let mut values = [0; RegisterBank::VALUES];
        if bank == RegisterBank::First {
            [values[0], values[1]] = [self.instruction_pointer, self.stack_pointer];
        }
        values
    }

    /// Changes a part of them, after an exception.
    ///
    /// # Errors
    /// [`Error::InvalidAddress`] when it would go on outside user space.
    pub fn set_bank(
        &mut self,
        bank: RegisterBank,
        values: [u64; RegisterBank::VALUES],
    ) -> Result<(), Error> {
        if bank == RegisterBank::First {
            if !(layout::USER_START..layout::USER_END).contains(&values[0]) {
                return Err(Error::InvalidAddress);
            }
            // Programs are futures: where they go on can't be changed.
            self.stack_pointer = values[1];
        }
        Ok(())
    }

    /// Where the thread goes on: on this machine, where it started.
    pub fn instruction_pointer(&self) -> u64 {
        self.instruction_pointer
    }

    /// Its stack pointer.
    pub fn stack_pointer(&self) -> u64 {
        self.stack_pointer
    }

    /// What it was started with.
    pub fn argument(&self) -> u64 {
        self.argument
    }

    /// The program loads its registers for system call `number`.
    pub fn set_call(&mut self, number: u64, registers: &Registers) {
        self.by_syscall = true;
        self.number = number;
        self.code = UNANSWERED;
        self.registers = *registers;
    }

    /// What the program finds after its system call.
    ///
    /// # Panics
    /// When the kernel let the thread go on without an answer, or with a code that means nothing,
    /// or left anything beside an error's code.
    pub fn answer(&self) -> Result<Registers, Error> {
        if self.code == 0 {
            return Ok(self.registers);
        }
        let error = Error::from_code(self.code);
        let error = error.unwrap_or_else(|| panic!("the kernel answered {:#x}", self.code));
        assert_eq!(self.registers, Registers::default(), "something beside {error:?}");
        Err(error)
    }
}
