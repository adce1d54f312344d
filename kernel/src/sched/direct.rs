//! Direct switches: a thread that begins to wait gives its CPU to the one that it has just called or answered.
//! That goes on at once, past the wake queue, the run queue and the dispatcher, with the rest of the slice.
//!
//! It is what the dispatcher would do, where nothing else is left for it: the other thread is this CPU's and
//! neither killed nor suspended, no budget is to be charged, and nobody who is more urgent waits. The last is
//! known without a look at any queue: when this CPU left the kernel last, it had looked at them all, and
//! published how urgent its thread was (`wake`); so none was more urgent than that, and whoever came since and
//! is has either raised that word or left a note for the dispatcher.

use super::{
    cpu::{CPU, NEVER, count_switch},
    dispatch,
    place::{SLICE_NS, after_pending_poll},
    space, wake,
};
use crate::{
    arch::{self, SavedRegisters},
    cause,
    object::Ref,
    thread::{Current, Tcb, state::ThreadState},
};

/// Whether the current thread may give its CPU to another one without the dispatcher.
#[inline]
pub fn is_possible() -> bool {
    wake::nothing_is_left() && CPU.here().budget_end.get() == NEVER
}

/// The proof for `thread`, if it is blocked, this CPU's (which is `cpu`), and may run in the current one's place.
/// Nothing is changed. May be asked under a lock.
#[inline(always)]
pub fn candidate(thread: &Tcb, cpu: usize) -> Option<Current> {
    let is_here = thread.home() == cpu && thread.state() == ThreadState::Blocked;
    if !is_here || thread.has_wishes() || !thread.may_run_on(cpu) {
        return None;
    }
    if !wake::is_as_urgent_as_published(thread.priority(), cpu) {
        return None;
    }
    // SAFETY: this CPU has it, and it neither runs nor is it being polled: so there is no other proof.
    let next = unsafe { Current::new(thread) };
    let is_free = next.with_budget(|_| ()).is_none();
    is_free.then_some(next)
}

/// The CPU's own reference to the current thread, which is about to leave it. [`switch`] has to follow.
#[inline]
pub fn leave() -> Option<Ref<Tcb>> {
    CPU.here_locked().current.take()
}

/// `from`, which has begun to wait, gives the CPU to `to`, for which `next` is the proof and whose poll was
/// started. Gives the registers to leave the kernel with.
#[inline(always)]
pub fn switch(from: &Current, to: Ref<Tcb>, next: &Current) -> *mut SavedRegisters {
    from.give_cpu_to(next);
    from.set_slice_left(SLICE_NS);
    space::enter(&next.process.space);
    next.set_state(ThreadState::Running);
    cause::set(next.priority());
    count_switch();
    let registers = next.register_pointer();
    arch::set_current(registers);
    CPU.here().current.set(to);
    // Last: whoever has claimed its wait since may have woken it.
    if after_pending_poll(from) {
        return dispatch::next();
    }
    registers
}
