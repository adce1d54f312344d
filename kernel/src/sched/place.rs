//! Where a thread of this CPU goes when it does not run: to the run queue, to another CPU, aside, to
//! wait, or to its end.

use orbital_abi::ExitReason;
use orbital_executor::task::AfterPoll;

use super::{
    balance, budget,
    cpu::{CPU, CURRENT, running},
    cpu_time, wake,
};
use crate::{
    arch::{self, clock},
    cause,
    object::Ref,
    thread::{Current, Tcb, state::ThreadState},
};

/// How long a thread runs while an equal one waits, in nanoseconds.
pub const SLICE_NS: u64 = 1_000_000;

/// The current thread's operation has to wait, or has more to do at once, which is told.
pub(super) fn block(current: &Current) -> bool {
    budget::stop();
    cpu_time::charge(current);
    current.leave_cpu();
    current.set_slice_left(SLICE_NS);
    // Kept until its state is settled.
    let thread = CURRENT.here_locked().take();
    let goes_on = after_pending_step(current);
    drop(thread);
    goes_on
}

/// A thread of `cpu`, this one, whose time here nobody counts, has begun to wait: it is blocked, unless it was woken
/// meanwhile, which is told.
#[inline(always)]
pub(super) fn after_wait(thread: &Current, cpu: usize) -> bool {
    // It ran, so it may run here; what else is asked of it, it is looked at for when that is served.
    thread.set_blocked_plain(cpu);
    !thread.task().finish_unwoken_poll() && has_more_to_do(thread, woken_meanwhile)
}

/// A poll found nothing: the thread is blocked, unless it was woken meanwhile, which is told. Its slice is the one
/// that this CPU counts: what has more to do at once goes on in that, before its equals.
pub(super) fn after_pending_step(thread: &Current) -> bool {
    set_blocked(thread);
    budget::waits(thread);
    has_more_to_do(thread, goes_on)
}

/// A thread that this CPU has is blocked, and either plainly so or not.
pub(super) fn set_blocked(thread: &Tcb) {
    let cpu = arch::cpu_index_locked();
    if thread.has_wishes() || thread.may_be_paid_for() || !thread.may_run_on(cpu) {
        thread.set_state(ThreadState::Blocked);
    } else {
        thread.set_blocked_plain(cpu);
    }
}

fn has_more_to_do(thread: &Current, otherwise: fn(&Current)) -> bool {
    if let AfterPoll::Idle = thread.task().finish_poll() {
        return false;
    }
    thread.set_state(ThreadState::Woken);
    thread.set_priority(thread.due_priority());
    otherwise(thread);
    true
}

#[cold]
fn woken_meanwhile(thread: &Current) {
    make_ready(thread.to_ref(), End::Back);
}

/// How long what has more to do at once goes on before its equals have their turn, in nanoseconds: a tenth of a
/// slice, as it may well be that it waits for one of them.
const WORK_NS: u64 = SLICE_NS / 10;

#[cold]
fn goes_on(thread: &Current) {
    let left = CPU.here().slice_end.get().saturating_sub(clock::nanoseconds()).min(WORK_NS);
    if left == 0 {
        return make_ready(thread.to_ref(), End::Back);
    }
    thread.set_slice_left(left);
    make_ready(thread.to_ref(), End::Front);
}

/// The current thread has taken or answered a call, so it may be scheduled otherwise.
#[inline]
pub fn settle(current: &Current) {
    let (before, now) = (current.priority(), current.due_priority());
    if now != before {
        current.set_priority(now);
        // Others may be more urgent now.
        wake::leave_for_dispatcher();
    }
    if now != before || budget::is_charging() {
        budget::renew(current);
    }
}

/// Ends a thread that this CPU has.
pub(super) fn end(thread: &Current, reason: ExitReason) {
    let current = &CURRENT.here_locked();
    // Kept until the end of this.
    let running = current.is(thread).then(|| current.take()).flatten();
    if running.is_some() {
        budget::stop();
        cpu_time::charge(thread);
        thread.leave_cpu();
    }
    // What its end leaves to be done is done at its priority, wherever and whoever ended it.
    cause::set(thread.priority());
    thread.finish(reason);
    thread.task().complete();
}

/// An end of a run queue's level.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// After the others.
    Back,
    /// Before the others: it had not used up its slice.
    Front,
}

/// Lets a thread that this CPU has wait for its turn: here, on another CPU where it may not run here,
/// or aside while it is suspended.
pub(super) fn make_ready(thread: Ref<Tcb>, end: End) {
    if thread.is_suspended() {
        // Its process keeps it.
        thread.set_parked(true);
    } else if !thread.may_run_on(arch::cpu_index()) {
        let cpu = balance::cpu_for(&thread);
        wake::hand_over(thread, cpu);
    } else if must_wait(&thread) {
        thread.set_parked(true);
    } else {
        let mut ready = CPU.here().ready.borrow_mut();
        match end {
            End::Back => ready.push_back(thread),
            End::Front => ready.push_front(thread),
        }
    }
}

/// A thread that this CPU has, and that is ready, has so many nanoseconds of a slice.
pub(super) fn set_slice_left(thread: &Ref<Tcb>, nanoseconds: u64) {
    // SAFETY: this CPU has the thread, and nobody else below on the stack uses a proof for it.
    unsafe { Current::new(thread) }.set_slice_left(nanoseconds);
}

/// Whether a thread of this CPU, which does not run, has to wait for its next period.
fn must_wait(thread: &Ref<Tcb>) -> bool {
    // SAFETY: this CPU has the thread, and whoever made it ready uses no proof any more.
    budget::must_wait(&unsafe { Current::new(thread) })
}

/// Takes a thread of this CPU out of its run queue; `None` when it is not there.
pub(super) fn take_from_ready(thread: &Tcb) -> Option<Ref<Tcb>> {
    debug_assert_eq!(thread.home(), arch::cpu_index());
    // SAFETY: only the CPU that has a thread puts it into a run queue, and that is this one.
    unsafe { CPU.here().ready.borrow_mut().remove(thread) }
}

/// Ends the current thread or takes it off the CPU, where someone has asked for that.
pub(super) fn heed() {
    let Some(current) = running() else { return };
    if current.is_killed() {
        end(&current, ExitReason::Killed);
    } else if current.is_suspended() || !current.may_run_on(arch::cpu_index()) {
        put_off(&current);
    }
}

/// The current thread gives way.
pub(super) fn put_off(current: &Current) {
    let cpu = CPU.here();
    let slice_over = cpu.slice_over.take();
    budget::stop();
    cpu_time::charge(current);
    current.leave_cpu();
    let left = cpu.slice_end.get().saturating_sub(clock::nanoseconds());
    current.set_slice_left(if slice_over { SLICE_NS } else { left });
    current.set_state(ThreadState::Preempted);
    if let Some(thread) = CURRENT.here_locked().take() {
        make_ready(thread, if slice_over { End::Back } else { End::Front });
    }
}
