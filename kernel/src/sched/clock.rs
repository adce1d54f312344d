//! Deadlines: the timers of each CPU's waits; those of Timer objects stand apart ([`timers`]). A thread's timer stands in the future that it waits in, on the
//! queue of the CPU where it began to wait; it wakes the thread wherever that is by then.
#![forbid(unsafe_code)]

use core::{pin::Pin, task::Waker};

use orbital_executor::timer::{Armed, NEVER, Sleep, Timeout, TimerNode, TimerQueue};

use super::{timers, wake};
use crate::{
    arch::clock,
    percpu::{MAX_CPUS, PerCpu},
};

static TIMERS: PerCpu<TimerQueue> = PerCpu::new([const { TimerQueue::new() }; MAX_CPUS]);

/// Waits until `deadline`, in nanoseconds since boot; `u64::MAX` is never.
pub fn sleep_until(deadline: u64) -> Sleep<'static> {
    TIMERS.here().sleep_until(deadline)
}

/// Waits for `future`, until `deadline` at the latest.
pub fn timeout_at<F>(deadline: u64, future: F) -> Timeout<'static, F> {
    orbital_executor::timer::timeout_at(TIMERS.here(), deadline, future)
}

/// Queues a timer on this CPU, to wake `waker` at `deadline`, in nanoseconds since boot.
pub fn arm(node: Pin<&mut TimerNode<'static>>, deadline: u64, waker: &Waker) -> Armed {
    wake::leave_for_dispatcher();
    node.arm(TIMERS.here(), deadline, waker)
}

/// When this CPU's next timer is due, in nanoseconds since boot; `u64::MAX` without one.
pub fn next_deadline() -> u64 {
    TIMERS.here().next_deadline().min(timers::next_deadline())
}

/// This CPU is about to sleep.
pub fn nobody_waits() {
    timers::nobody_waits();
}

/// Wakes some of those whose deadline has come; the rest on the next turn.
pub fn fire_due() {
    timers::fire_due();
    let next = TIMERS.here().next_deadline();
    if next != NEVER {
        let now = clock::nanoseconds();
        if now >= next {
            TIMERS.here().fire_batch(now);
        }
    }
}
