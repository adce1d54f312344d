//! The queues of Timer objects, one for each CPU, apart from the deadlines of waits.
//!
//! A wait's deadline comes once, and its thread has to run before it can wait anew: that bounds what
//! deadlines can do to others. A periodic timer is armed again by the kernel itself, at no cost to any
//! thread's time, so that enough of them would keep a CPU in the kernel for ever, whatever the priority of
//! the threads there. Therefore firing them has a share of the time: once that is used up, the others wait for
//! the next window, unless no thread wants the CPU. Deadlines of waits do not stand behind them.
#![forbid(unsafe_code)]

use core::cell::Cell;

use orbital_executor::timer::{NEVER, TimerQueue};

use super::wake;
use crate::{
    arch::clock,
    percpu::{MAX_CPUS, PerCpu},
};

/// How long a window is, in nanoseconds.
const WINDOW_NS: u64 = 1_000_000;
/// How much of it timers have, in nanoseconds.
const SHARE_NS: u64 = 250_000;
/// What a batch counts for beside the time that it took: an interrupt, and a turn of the dispatcher.
const TURN_NS: u64 = 10_000;

static QUEUES: PerCpu<TimerQueue> = PerCpu::new([const { TimerQueue::new() }; MAX_CPUS]);
static SHARES: PerCpu<Share> = PerCpu::new([const { Share::new() }; MAX_CPUS]);

/// What this window's timers have taken.
struct Share {
    window_end: Cell<u64>,
    used: Cell<u64>,
}

impl Share {
    const fn new() -> Self {
        Self { window_end: Cell::new(0), used: Cell::new(0) }
    }
}

/// This CPU's queue, to put a timer there. It looks at it on each of its dispatcher's turns.
pub fn queue() -> &'static TimerQueue {
    wake::leave_for_dispatcher();
    QUEUES.here()
}

/// When this CPU's next timer may fire, in nanoseconds since boot; `u64::MAX` without one.
pub(super) fn next_deadline() -> u64 {
    let first = QUEUES.here().next_deadline();
    let share = SHARES.here();
    if first == NEVER || share.used.get() < SHARE_NS {
        return first;
    }
    first.max(share.window_end.get())
}

/// Fires some of those whose time has come; the rest on the next turn, or in the next window.
pub(super) fn fire_due() {
    let next = next_deadline();
    if next == NEVER {
        return;
    }
    let now = clock::nanoseconds();
    if now < next {
        return;
    }
    let share = SHARES.here();
    if now >= share.window_end.get() {
        share.window_end.set(now + WINDOW_NS);
        share.used.set(0);
    }
    QUEUES.here().fire_batch(now);
    let took = clock::nanoseconds().saturating_sub(now);
    share.used.set(share.used.get() + took + TURN_NS);
}

/// No thread wants this CPU: timers may have it.
pub(super) fn nobody_waits() {
    SHARES.here().used.set(0);
}
