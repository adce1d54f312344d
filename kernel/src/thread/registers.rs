//! Who may touch a thread's registers: the CPU that runs it, by [`Current`], or whoever has
//! claimed its wait, by [`Claim`](super::Claim). Both are proofs that nobody else does.

use core::{cell::UnsafeCell, marker::PhantomData, ops::Deref, ptr::NonNull};

use orbital_abi::{Error, Registers};

use super::Tcb;
use crate::{arch::SavedRegisters, object::Ref};

/// A thread's registers, while they are not in a CPU.
pub(super) struct RegisterCell(UnsafeCell<SavedRegisters>);

// SAFETY: every access goes through a proof of exclusive access: see the module's text.
unsafe impl Sync for RegisterCell {}

impl RegisterCell {
    pub(super) const fn new(registers: SavedRegisters) -> Self {
        Self(UnsafeCell::new(registers))
    }

    /// Runs `f` on the registers.
    ///
    /// # Safety
    /// The caller has exclusive access, by one of the two proofs.
    pub(super) unsafe fn with<R>(&self, f: impl FnOnce(&mut SavedRegisters) -> R) -> R {
        // SAFETY: the caller's.
        f(unsafe { &mut *self.0.get() })
    }

    /// Where the entry code finds them.
    pub(super) fn pointer(&self) -> *mut SavedRegisters {
        self.0.get()
    }
}

/// The thread that this CPU runs, while it is in the kernel. Not counted: the CPU keeps the thread.
pub struct Current {
    thread: NonNull<Tcb>,
    /// The proof is this CPU's.
    _not_send: PhantomData<*mut ()>,
}

impl Current {
    /// The proof for `thread`.
    ///
    /// # Safety
    /// `thread` is the one that this CPU runs, or is about to run, and no other proof for it is
    /// alive when this one is used. Someone has a reference to it until then: for a thread that has not ended its
    /// process does, and what ends it comes to pass on this CPU.
    pub unsafe fn new(thread: &Tcb) -> Self {
        Self { thread: NonNull::from(thread), _not_send: PhantomData }
    }

    /// Runs `f` on its registers.
    pub fn with_registers<R>(&self, f: impl FnOnce(&mut SavedRegisters) -> R) -> R {
        // SAFETY: this is the proof; `f` gets no second one, since nothing below makes any.
        unsafe { self.registers.with(f) }
    }

    /// Writes the answer of its system call.
    #[inline]
    pub fn answer(&self, answer: Result<Registers, Error>) {
        self.with_registers(|registers| write_answer(registers, answer));
    }

    /// One more counted reference to it.
    pub fn to_ref(&self) -> Ref<Tcb> {
        Ref::from_object(self)
    }
}

impl Deref for Current {
    type Target = Tcb;

    fn deref(&self) -> &Tcb {
        // SAFETY: it is alive as long as the proof is used.
        unsafe { self.thread.as_ref() }
    }
}

/// Writes an answer: an error leaves nothing but its code.
#[inline]
pub(super) fn write_answer(registers: &mut SavedRegisters, answer: Result<Registers, Error>) {
    match answer {
        Ok(values) => registers.set_answer(0, &values),
        Err(error) => registers.set_answer(error.code(), &Registers::default()),
    }
}
