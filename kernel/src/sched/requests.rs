//! What is asked of a thread ([`control`](crate::thread::control)), done by the CPU that has it: so a
//! thread is never touched by two CPUs, and what is asked of one that waits for its turn does not wait
//! with it.

use orbital_abi::ExitReason;
use orbital_executor::task::AfterPoll;

use super::{budget, place, wake};
use crate::{
    arch,
    object::Ref,
    thread::{Current, Tcb, state::ThreadState},
};

/// Serves all that is asked of this CPU's threads.
pub fn serve() {
    for thread in wake::take_requested() {
        let is_asked = thread.request().start_poll();
        debug_assert!(is_asked, "a request without a transition");
        let is_ours = thread.home() == arch::cpu_index();
        if is_ours {
            serve_one(&thread);
        }
        // What came meanwhile is served later.
        if thread.request().finish_poll() == AfterPoll::Requeue {
            wake::orbital_thread_requested(thread);
        } else if !is_ours && !thread.is_ended() {
            // It was given away before this came.
            thread.announce_request();
        }
    }
}

fn serve_one(thread: &Ref<Tcb>) {
    let ticket = thread.last_announced();
    match thread.state() {
        ThreadState::Ended => return,
        // It is this CPU's current one.
        ThreadState::Running => {
            change(thread);
            place::heed();
        }
        ThreadState::Inactive | ThreadState::Blocked if thread.is_killed() => return end(thread),
        ThreadState::Inactive => change(thread),
        ThreadState::Blocked => {
            change(thread);
            place::set_blocked(thread);
        }
        // It keeps its place in the run queue, or its way there.
        ThreadState::Woken | ThreadState::Preempted if is_as_asked(thread) => {}
        ThreadState::Woken | ThreadState::Preempted => {
            // One that is neither in the run queue nor parked is on its way here: what is asked of it
            // is done when it arrives.
            if place::take_from_ready(thread).is_none() && !thread.is_parked() {
                return;
            }
            if thread.is_killed() {
                return end(thread);
            }
            thread.set_parked(false);
            // Which may be no plain yield any more.
            thread.set_state(thread.state());
            change(thread);
            place::make_ready(thread.clone(), place::End::Back);
        }
    }
    thread.set_fulfilled(ticket);
}

/// Whether nothing is to be changed for a thread that is or will be ready.
fn is_as_asked(thread: &Tcb) -> bool {
    !(thread.is_killed() || thread.is_suspended() || thread.is_parked())
        && thread.may_run_on(arch::cpu_index())
        && thread.due_priority() == thread.priority()
        && !thread.budget_changes()
}

/// Takes in a thread that has just come to this CPU, to be made ready: does what was asked of it.
pub fn arrived(thread: Ref<Tcb>) {
    // Before the look at what is asked. A kill that comes behind that look must not count as done: who
    // asked for it would go on before the thread has ended.
    let ticket = thread.last_announced();
    debug_assert_eq!(thread.home(), arch::cpu_index(), "it came to another CPU");
    if thread.is_killed() {
        return end(&thread);
    }
    change(&thread);
    let is_asked = thread.is_unfulfilled(ticket).then(|| thread.clone());
    place::make_ready(thread, place::End::Back);
    // Only now it may have gone to the CPU where it is wanted.
    if let Some(thread) = is_asked {
        thread.set_fulfilled(ticket);
    }
}

unsafe extern "Rust" {
    /// A thread of this CPU, which is blocked, has another priority. In `ipc`.
    safe fn orbital_thread_reprioritized(thread: &Current);
}

/// Gives a thread of this CPU the priority and the budget that it shall have. It is in no run queue.
fn change(thread: &Ref<Tcb>) {
    let priority = thread.due_priority();
    let is_other = priority != thread.priority();
    if !is_other && !thread.budget_changes() && !thread.may_be_paid_for() {
        return;
    }
    // SAFETY: this CPU has the thread, and nobody else below on the stack uses a proof for it.
    let thread = unsafe { Current::new(thread) };
    thread.set_priority(priority);
    let state = thread.state();
    if state == ThreadState::Running {
        budget::stop();
        thread.take_budget();
        return budget::begin(&thread);
    }
    thread.take_budget();
    if state == ThreadState::Blocked {
        budget::waits(&thread);
        if is_other {
            orbital_thread_reprioritized(&thread);
        } else {
            // It may have come to lend something or nothing, or another one to pay for it.
            thread.lend_otherwise();
        }
    }
}

fn end(thread: &Ref<Tcb>) {
    // SAFETY: this CPU has the thread, and it neither runs nor is it being polled.
    let thread = unsafe { Current::new(thread) };
    place::end(&thread, ExitReason::Killed);
}
