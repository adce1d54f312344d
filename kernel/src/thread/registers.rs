//! Who may touch a thread's registers: the CPU that runs it, by [`Current`], or whoever has
//! claimed its wait, by [`Claim`](super::Claim). Both are proofs that nobody else does.

use core::{cell::UnsafeCell, marker::PhantomData, ops::Deref, ptr::NonNull};

use orbital_abi::{Error, Registers};

use super::Tcb;
use crate::{arch::SavedRegisters, object::Ref};

/// A thread's registers, while they are not in a CPU. At the beginning of the cell.
#[repr(transparent)]
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

    /// The proof for the thread whose registers the entry code has stored at `registers`.
    ///
    /// # Safety
    /// It is this CPU's current thread, and `registers` came from [`Current::register_pointer`]. No other proof for
    /// it is alive when this one is used.
    #[inline]
    pub unsafe fn entered(registers: *mut SavedRegisters) -> Self {
        // SAFETY: the registers lie in their thread, and the pointer is good for all of it.
        let thread = unsafe { registers.byte_sub(Tcb::REGISTERS).cast::<Tcb>() };
        // SAFETY: the CPU has a reference to its current thread.
        Self { thread: unsafe { NonNull::new_unchecked(thread) }, _not_send: PhantomData }
    }

    /// Where the entry code stores and finds its registers: a pointer that is good for the whole thread.
    #[inline]
    pub fn register_pointer(&self) -> *mut SavedRegisters {
        // SAFETY: the registers are inside of the thread. Whoever writes there has the proof.
        unsafe { self.thread.byte_add(Tcb::REGISTERS).cast().as_ptr() }
    }

    /// The proof once more, for a function that is not in line: a reference to this one would keep it in memory. It is not
    /// used while that one is.
    #[inline(always)]
    pub(super) fn again(&self) -> Self {
        Self { thread: self.thread, _not_send: PhantomData }
    }

    /// A pointer that is good for the whole thread.
    #[inline(always)]
    pub fn pointer(&self) -> NonNull<Tcb> {
        self.thread
    }

    /// Runs `f` on its registers.
    #[inline(always)]
    pub fn with_registers<R>(&self, f: impl FnOnce(&mut SavedRegisters) -> R) -> R {
        // SAFETY: this is the proof; `f` gets no second one, since nothing below makes any.
        unsafe { self.registers.with(f) }
    }

    /// Writes the answer of its system call.
    #[inline]
    pub fn answer(&self, answer: Result<Registers, Error>) {
        self.with_registers(|registers| write_answer(registers, answer));
    }

    /// The same, where it succeeded.
    #[inline]
    pub fn answer_values(&self, values: &Registers) {
        self.with_registers(|registers| registers.set_answer(0, values));
    }

    /// The same, where that is no more than that it succeeded.
    #[inline(always)]
    pub fn answer_done(&self) {
        self.with_registers(SavedRegisters::set_done);
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
