//! Direct switches: a thread that begins to wait gives its CPU to the one that it has just called or answered.
//! That goes on at once, past the wake queue, the run queue and the dispatcher, with the rest of the slice.
//!
//! It is what the dispatcher would do, where nothing else is left for it: the other thread is this CPU's and
//! neither killed nor suspended, no budget is to be charged, and nobody who is more urgent waits. The last is
//! known without a look at any queue: when this CPU left the kernel last, it had looked at them all, and
//! published how urgent its thread was (`wake`); so none was more urgent than that, and whoever came since and
//! is has either raised that word or left a note for the dispatcher.

use super::{
    cpu::{CPU, CURRENT, count_switch, set_timer},
    place::{SLICE_NS, after_wait},
    wake,
};
use crate::{
    arch::{
        self, SavedRegisters, clock,
        quick::{Bare, Quick},
    },
    object::Ref,
    thread::{Current, Segments, Tcb, state::ThreadState},
};

/// Whether the current thread may give its CPU to another one without the dispatcher.
#[inline(always)]
pub fn is_possible() -> bool {
    wake::nothing_is_in_the_way()
}

/// The proof for `thread`, if it is blocked, this CPU's (which is `cpu`), and may run in the current one's place with
/// that `priority`, by which it is scheduled then. Nothing is changed. May be asked under a lock.
#[inline(always)]
pub fn candidate(thread: &Tcb, priority: u8, cpu: usize) -> Option<Current> {
    let may_run = thread.is_blocked_plain(cpu) && wake::is_as_urgent_as_published(priority, cpu);
    // SAFETY: this CPU has it, and it neither runs nor is it being polled: so there is no other proof.
    may_run.then(|| unsafe { Current::new(thread) })
}

/// The CPU's own reference to the current thread, which is about to leave it. [`switch`] has to follow.
#[inline(always)]
pub fn leave(current: &Current) -> Ref<Tcb> {
    CURRENT.here_locked().leave(current)
}

/// `from`, which has begun to wait, gives the CPU to `to`, for which `next` is the proof and whose poll was
/// started. `leave` says how that leaves the kernel. `segments` is what `from` has in those
/// registers.
#[inline(always)]
pub fn switch(
    from: &Current,
    to: Ref<Tcb>,
    next: &Current,
    segments: Segments,
    leave: impl FnOnce(*mut SavedRegisters) -> Quick<SavedRegisters>,
) -> Quick<SavedRegisters> {
    from.set_slice_left(SLICE_NS);
    CURRENT.here_locked().enter(to);
    let quick = leave(give_cpu(from, next, segments));
    // Last: whoever has claimed its wait since may have woken it.
    if after_wait(from, arch::cpu_index()) {
        return quick.after_a_turn();
    }
    quick
}

/// What the CPU has of `from` is kept, and what `next` needs is loaded.
#[inline(always)]
pub(super) fn give_cpu(from: &Current, next: &Current, segments: Segments) -> *mut SavedRegisters {
    next.process.space.enter();
    next.set_state(ThreadState::Running);
    count_switch();
    let registers = next.register_pointer();
    arch::set_current(registers);
    match segments {
        Segments::Null => from.give_null_to(next),
        Segments::Any => from.give_cpu_to(next),
    }
    registers
}

/// The current thread lets the next one of its priority run, if that was interrupted in user mode or has yielded
/// itself; or goes on, where there is none. `None` when it is for the dispatcher to decide; nothing is changed then.
#[inline]
pub fn yield_to_equal(current: &Current, segments: Segments) -> Option<Bare<SavedRegisters>> {
    if !is_possible() {
        return None;
    }
    let cpu = CPU.here();
    let mut ready = cpu.ready.borrow_mut();
    let Some(first) = ready.first(current.priority()) else {
        // Nobody who is more urgent waits, so it goes on.
        return Some(Bare::with_control(current.register_pointer(), [0; 3]));
    };
    // SAFETY: it is in this CPU's run queue, and nobody else below on the stack uses a proof for it.
    let next = unsafe { Current::new(first) };
    let has_yielded = next.has_yielded();
    if !has_yielded && !was_interrupted(&next) {
        return None;
    }
    let to = ready.exchange_first(current.priority(), CURRENT.here_locked().leave(current));
    CURRENT.here_locked().enter(to);
    drop(ready);
    current.answer_done();
    current.set_slice_left(SLICE_NS);
    current.set_yielded();
    let slice_end = clock::nanoseconds() + next.slice_left();
    cpu.slice_end.set(slice_end);
    // One that comes too early finds nothing to do, and is set again.
    if slice_end < cpu.timer() {
        set_timer(slice_end);
    }
    let registers = give_cpu(current, &next, segments);
    // The answer of its own yield says nothing.
    Some(if has_yielded { Bare::with_control(registers, [0; 3]) } else { Bare::saved(registers) })
}

/// Whether a thread that waits for its turn was interrupted in user mode, and may go on there.
pub(super) fn was_interrupted(thread: &Current) -> bool {
    thread.state() == ThreadState::Preempted
        && !thread.has_wishes()
        && !thread.may_be_paid_for()
        && !thread.has_operation()
}
