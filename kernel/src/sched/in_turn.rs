//! The way through the run queue that needs no dispatcher: a thread of this CPU whose wait is over stands there with its
//! answer written, and whoever begins to wait gives the CPU to the first one there that has no more to do than to go on.
//!
//! As for [direct switches](super::direct), that is done where nothing is left for the dispatcher, and nobody who waits
//! here is more urgent than this CPU has published; and so the first of those who are that urgent comes next.

use super::{
    cpu::{CPU, CURRENT, set_timer},
    direct::{give_cpu, was_interrupted},
    place::{SLICE_NS, after_wait},
    wake, woken,
};
use crate::{
    arch::{self, SavedRegisters, clock, quick::Bare},
    object::Ref,
    thread::{Current, Segments, Tcb},
};

/// The proof for `thread`, if it is blocked and plain, and this CPU's, which is `cpu`. Nothing is changed. May be asked
/// under a lock.
#[inline(always)]
pub fn blocked_here(thread: &Tcb, cpu: usize) -> Option<Current> {
    // SAFETY: this CPU has it, and it neither runs nor is it being polled: so there is no other proof.
    thread.is_blocked_plain(cpu).then(|| unsafe { Current::new(thread) })
}

/// A thread for which [`blocked_here`] gave a proof waits for its turn: its wait is over, the answer of which is written,
/// and the poll of its operation was started. The current thread goes on, after the dispatcher's turn where `quick`
/// says so then.
#[inline(always)]
pub fn go_on_before(thread: Ref<Tcb>, quick: Bare<SavedRegisters>) -> Bare<SavedRegisters> {
    thread.set_answered();
    woken::make_ready(thread, arch::cpu_index());
    if wake::nothing_is_left() { quick } else { quick.after_a_turn() }
}

/// Who goes on when the current thread begins to wait; out of the run queue already.
pub struct Successor {
    thread: Ref<Tcb>,
    proof: Current,
    stands: Stands,
    /// Another one that is as urgent waits.
    has_equal: bool,
}

/// From where a thread goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// It was interrupted in user mode.
    Anywhere,
    /// It has yielded.
    AtYield,
    /// It has waited, and its operation is to be ended.
    AtWait,
}

/// Who goes on if the current thread of `cpu`, this one, waits, unless that is for the dispatcher to decide. May be
/// asked under a lock; [`give_way`] has to follow.
#[inline(always)]
pub fn take_successor(cpu: usize) -> Option<Successor> {
    let priority = wake::published_priority(cpu)?;
    let mut ready = CPU.here_locked().ready.borrow_mut();
    let (thread, (proof, stands), has_equal) = ready.take_first(priority, |first| {
        // SAFETY: it is in this CPU's run queue, and nobody else below on the stack uses a proof for it.
        let proof = unsafe { Current::new(first) };
        Stands::of(&proof).map(|stands| (proof, stands))
    })?;
    Some(Successor { thread, proof, stands, has_equal })
}

impl Stands {
    /// Where a thread that waits for its turn goes on, if it has no more to do than that.
    #[inline(always)]
    fn of(thread: &Current) -> Option<Self> {
        if thread.is_answered() {
            Some(Self::AtWait)
        } else if thread.has_yielded() {
            Some(Self::AtYield)
        } else {
            was_interrupted(thread).then_some(Self::Anywhere)
        }
    }
}

/// `from`, which has begun to wait `now`, in ticks of the clock, gives the CPU to its successor, whose wait `end` ends if it
/// comes from one: that gives the answer's control words. `segments` is what `from` has in those registers.
#[inline(always)]
pub fn give_way(
    from: &Current,
    successor: Successor,
    now: u64,
    segments: Segments,
    end: impl FnOnce(&Current) -> [u64; 3],
) -> Bare<SavedRegisters> {
    let Successor { thread, proof: next, stands, has_equal } = successor;
    from.set_slice_left(SLICE_NS);
    CURRENT.here_locked().enter(thread);
    let control = if stands == Stands::AtWait { end(&next) } else { [0; 3] };
    let cpu = CPU.here_locked();
    let slice_end = clock::nanoseconds_at(now) + next.slice_left();
    cpu.slice_end.set(slice_end);
    // One that comes too early finds nothing to do, and is set again.
    if has_equal && slice_end < cpu.timer() {
        set_timer(slice_end);
    }
    let registers = give_cpu(from, &next, segments);
    let quick = match stands {
        Stands::Anywhere => Bare::saved(registers),
        Stands::AtYield | Stands::AtWait => Bare::with_control(registers, control),
    };
    // Last: whoever has claimed its wait since may have woken it.
    if after_wait(from, arch::cpu_index()) { quick.after_a_turn() } else { quick }
}
