//! Threads with a budget ([`thread::budget`](crate::thread::budget)): what runs at their cost, which they or
//! [others](crate::thread::payer) may do, is charged when it leaves the CPU, and at the latest when the timer comes at the
//! end of the budget. Who has used it up is parked, in no queue, until a timer announces a request for it: then its
//! next period has begun. Who waits, and has others work, lends them nothing until then.
//!
//! Without any budgets a thread costs two comparisons.

use core::pin::Pin;

use orbital_executor::{timer::Armed, waker};

use super::{
    clock as timers,
    cpu::{CPU, NEVER},
    wake,
};
use crate::{
    arch::clock,
    thread::{Current, Tcb, budget::Budget, payer::Payer},
};

/// The current thread of this CPU begins to be charged for, or to be charged for again.
#[inline]
pub(super) fn begin(thread: &Current) {
    if thread.may_be_paid_for() {
        begin_charging(thread);
    }
}

#[inline(never)]
fn begin_charging(thread: &Current) {
    let Some(payer) = thread.payer() else { return };
    let now = clock::nanoseconds();
    let left = payer.account.with(|account| {
        // It may have waited for its turn into its next period.
        account.has_run(now, now);
        account.left()
    });
    if left == 0 && !payer.thread.is(thread) {
        // It lends nothing from here on, as soon as its CPU has seen that.
        return payer.thread.announce_request();
    }
    let cpu = CPU.here();
    cpu.charged_until.set(now);
    cpu.budget_end.set(now + left);
    cpu.payer.set(Some(payer));
    wake::set_charged(true);
}

/// What the current thread has run is charged, and it runs no more until [`begin`].
#[inline]
pub(super) fn stop() {
    if is_charging() {
        stop_charging();
    }
}

#[inline(never)]
fn stop_charging() {
    let cpu = CPU.here();
    cpu.budget_end.set(NEVER);
    wake::set_charged(false);
    if let Some(Payer { account, .. }) = cpu.payer.take() {
        let (since, now) = (cpu.charged_until.get(), clock::nanoseconds());
        account.with(|account| account.has_run(since, now));
    }
}

/// Perhaps another one pays for the current thread from here on.
pub(super) fn renew(thread: &Current) {
    stop();
    begin(thread);
}

/// Whether the current thread is charged for.
#[inline]
pub(super) fn is_charging() -> bool {
    CPU.here().budget_end.get() != NEVER
}

/// Whether the current thread has run as long as was to be paid for.
pub(super) fn is_over() -> bool {
    is_charging() && clock::nanoseconds() >= CPU.here().budget_end.get()
}

/// Whether a thread that wants to run has to wait for its next period. Then a timer is set that announces
/// a request for it.
pub(super) fn must_wait(thread: &Current) -> bool {
    thread.with_budget(|budget| look(thread, budget, true)).unwrap_or(false)
}

/// A thread of this CPU, which has a budget perhaps, waits: if that is used up, it lends nothing until its next
/// period, when a timer announces a request for it.
pub(super) fn waits(thread: &Current) {
    thread.with_budget(|budget| look(thread, budget, false));
}

/// Whether it has to wait for its next period, which is noted.
fn look(thread: &Tcb, mut budget: Pin<&mut Budget>, wants_to_run: bool) -> bool {
    let is_broke = loop {
        let now = clock::nanoseconds();
        let end = budget.account().with(|account| {
            if wants_to_run {
                account.wants_to_run(now);
            }
            account.is_used_up(now).then(|| account.end())
        });
        let Some(end) = end else { break false };
        // SAFETY: the pointer is for the whole TCB, which outlives the borrowed waker.
        let waker = unsafe { waker::waker_ref(thread.request_pointer()) };
        // It may be due just now.
        if timers::arm(budget.as_mut().timer(), end, &waker) == Armed::Waiting {
            break true;
        }
    };
    thread.set_broke(is_broke);
    is_broke
}
