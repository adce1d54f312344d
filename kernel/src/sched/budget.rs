//! Threads with a budget ([`thread::budget`](crate::thread::budget)): what they run is charged when they
//! leave the CPU, and at the latest when the timer comes at the end of the budget. Who has used it up is
//! parked, in no queue, until a timer announces a request for it: then its next period has begun.
//!
//! A thread without a budget costs one comparison.

use core::pin::Pin;

use orbital_executor::{timer::Armed, waker};

use super::{
    clock as timers,
    cpu::{CPU, NEVER},
    wake,
};
use crate::{
    arch::clock,
    thread::{Current, Tcb, budget::Budget},
};

/// The current thread of this CPU begins to be charged, or to be charged again.
pub(super) fn begin(thread: &Current) {
    let end = thread.with_budget(|budget| {
        let now = clock::nanoseconds();
        CPU.here().charged_until.set(now);
        let account = budget.account();
        // It may have waited for its turn into its next period.
        account.has_run(now, now);
        now + account.left()
    });
    CPU.here().budget_end.set(end.unwrap_or(NEVER));
    wake::set_charged(end.is_some());
}

/// The current thread is charged for what it has run, and runs no more until [`begin`].
pub(super) fn stop(thread: &Current) {
    let cpu = CPU.here();
    if cpu.budget_end.replace(NEVER) != NEVER {
        wake::set_charged(false);
        charge(thread, cpu.charged_until.get());
    }
}

/// Charges what the kernel has done for a thread since a time.
pub(super) fn charge(thread: &Current, since: u64) {
    thread.with_budget(|budget| budget.account().has_run(since, clock::nanoseconds()));
}

/// Whether the current thread has run as long as it may.
pub(super) fn is_over() -> bool {
    let end = CPU.here().budget_end.get();
    end != NEVER && clock::nanoseconds() >= end
}

/// Whether a thread that wants to run has to wait for its next period. Then a timer is set that announces
/// a request for it.
pub(super) fn must_wait(thread: &Current) -> bool {
    let must_wait = thread.with_budget(|budget| wait_for_period(thread, budget));
    must_wait.unwrap_or(false)
}

fn wait_for_period(thread: &Tcb, mut budget: Pin<&mut Budget>) -> bool {
    loop {
        let account = budget.as_mut().account();
        account.wants_to_run(clock::nanoseconds());
        if account.left() > 0 {
            return false;
        }
        let end = account.end();
        // SAFETY: the pointer is for the whole TCB, which outlives the borrowed waker.
        let waker = unsafe { waker::waker_ref(thread.request_pointer()) };
        // It may be due just now.
        if timers::arm(budget.as_mut().timer(), end, &waker) == Armed::Waiting {
            return true;
        }
    }
}
