//! Signals as the answer of a wait. They are noted beside the thread's registers: if it ends before it sees them, they go
//! to someone else.
#![forbid(unsafe_code)]

use core::{ptr, sync::atomic::Ordering};

use orbital_abi::Registers;

use super::{Claim, Phase, word};
use crate::thread::{Current, Tcb};

impl Tcb {
    /// Takes back the signals that it was given last: once. For whoever has ended the wait that they answered.
    pub fn take_back_signals(&self) -> u64 {
        self.wait.note.swap(ptr::null_mut(), Ordering::Relaxed).addr() as u64
    }
}

impl Claim {
    /// Gives the thread the signals that it waits for, and wakes it. `mark` tells them from a message.
    pub fn give_signals(self, bits: u64, mark: u64) {
        self.thread.wait.note_number(bits);
        self.complete(Ok(Registers::control([bits, 0, mark, 0])));
    }
}

impl Current {
    /// Gives them to a blocked thread of this CPU that waits for them alone, in a queue whose lock is held. It is not
    /// woken.
    #[inline(always)]
    pub fn give_signals(&self, bits: u64) {
        let (sequence, phase) = self.wait.load();
        debug_assert_eq!(phase, Phase::Queued, "it waits for no signals");
        self.wait.note_number(bits);
        self.with_registers(|registers| {
            registers.set_done();
            registers.set_control([bits, 0, 0]);
        });
        self.wait.word.store(word(sequence, Phase::Ready), Ordering::Release);
    }
}
