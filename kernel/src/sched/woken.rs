//! A thread is woken: it goes to the wake queue of the CPU that has it, whose dispatcher takes it from there; or,
//! where that is this CPU and a program's call is at work, into the run queue at once.
//!
//! The second leaves nothing for the dispatcher where the thread is no more urgent than what this CPU has
//! published: then the current one goes on, and the timer comes at the end of its slice. It is done where the
//! dispatcher would do no more than that: nothing is asked of the thread, it may run here, it has no budget, and
//! no CPU sleeps that could take it.

use core::cmp::Ordering;

use super::{
    balance,
    cpu::{CPU, set_timer},
    sleepers, wake,
};
use crate::{
    arch,
    object::Ref,
    thread::{Tcb, state::ThreadState},
};

/// Called when a thread is woken: see [`Tcb::wake`].
#[unsafe(no_mangle)]
fn orbital_thread_woken(thread: Ref<Tcb>) {
    let cpu = arch::cpu_index();
    if !thread.is_blocked_plain(cpu) || !wake::is_in_call(cpu) {
        return wake::hand_to_dispatcher(thread);
    }
    thread.set_state(ThreadState::Woken);
    make_ready(thread, cpu);
}

/// A thread of this CPU, which was blocked and plain, waits for its turn.
#[inline(always)]
pub(super) fn make_ready(thread: Ref<Tcb>, cpu_index: usize) {
    let cpu = CPU.here();
    let priority = thread.due_priority();
    thread.set_priority(priority);
    let waiting = {
        let mut ready = cpu.ready.borrow_mut();
        ready.push_back(thread);
        ready.len()
    };
    balance::publish_waiting(waiting);
    if sleepers::exist() {
        return wake::leave_for_dispatcher();
    }
    match wake::compare_to_published(priority, cpu_index) {
        Ordering::Less => {}
        // The current one may be more urgent than was published: it may give the CPU back to an equal without a word to
        // the dispatcher. That has to share its time now.
        Ordering::Equal => {
            let slice_end = cpu.slice_end.get();
            if slice_end < cpu.timer() {
                set_timer(slice_end);
            }
        }
        Ordering::Greater => wake::leave_for_dispatcher(),
    }
}
