//! What each CPU's dispatcher knows of its CPU: who runs, who waits, until when, and when the timer
//! comes.

use core::{
    cell::{Cell, RefCell},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{run_queue::RunQueue, tasks::Turns};
use crate::{
    arch::{clock, timer},
    object::Ref,
    percpu::{MAX_CPUS, PerCpu},
    thread::{Current, Tcb},
};

/// No time at all.
pub(super) const NEVER: u64 = u64::MAX;

/// All CPUs.
pub(super) static CPU: PerCpu<Cpu> = PerCpu::new([const { Cpu::new() }; _]);
static SWITCHES: PerCpu<Counter> = PerCpu::new([const { Counter::new() }; MAX_CPUS]);
static TIMER_INTERRUPTS: PerCpu<Counter> = PerCpu::new([const { Counter::new() }; MAX_CPUS]);

/// Counts what one CPU does, and others may look at.
struct Counter(AtomicU64);

impl Counter {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// For its CPU.
    fn count(&self) {
        self.0.store(self.0.load(Relaxed) + 1, Relaxed);
    }

    fn sum(all: &PerCpu<Self>) -> u64 {
        (0..MAX_CPUS).map(|cpu| all.of(cpu).0.load(Relaxed)).sum()
    }
}

/// What a CPU's dispatcher knows. Only its own CPU touches it.
pub(super) struct Cpu {
    /// The thread that runs.
    pub current: RefCell<Option<Ref<Tcb>>>,
    /// Those that wait for their turn.
    pub ready: RefCell<RunQueue>,
    /// Whether the current thread has used up its slice, or gave it away.
    pub slice_over: Cell<bool>,
    /// When the current thread's slice ends, in nanoseconds since boot.
    pub slice_end: Cell<u64>,
    /// When the current thread's budget is used up, if it goes on; [`NEVER`] without one.
    pub budget_end: Cell<u64>,
    /// Up to when it was charged.
    pub charged_until: Cell<u64>,
    /// When the timer comes; [`NEVER`] while it is not armed.
    timer: Cell<u64>,
    /// When the kernel's own tasks have theirs.
    pub tasks: Turns,
}

impl Cpu {
    const fn new() -> Self {
        Self {
            current: RefCell::new(None),
            ready: RefCell::new(RunQueue::new()),
            slice_over: Cell::new(false),
            slice_end: Cell::new(0),
            budget_end: Cell::new(NEVER),
            charged_until: Cell::new(0),
            timer: Cell::new(NEVER),
            tasks: Turns::new(),
        }
    }
}

/// The thread that entered the kernel.
///
/// # Panics
/// When none did: only entry code's callees ask.
pub fn current() -> Current {
    let thread = CPU.here().current.borrow();
    let thread = thread.as_ref().expect("entered from user mode without a thread");
    // SAFETY: the entry code stored this thread's registers, and each entry asks once.
    unsafe { Current::new(thread) }
}

/// The thread that runs, and the number of the system call that it is in, for a panic's report.
pub fn describe_current() -> Option<(Ref<Tcb>, Option<u64>)> {
    let thread = CPU.here().current.try_borrow().ok()?.clone()?;
    // SAFETY: this CPU runs the thread, and whoever below us on the stack has a proof for it does not
    // go on: the machine ends.
    let current = unsafe { Current::new(&thread) };
    let number = current.with_registers(|registers| registers.syscall_number());
    Some((thread, number))
}

/// Switches from one thread to another, and timer interrupts, since boot.
pub fn counters() -> (u64, u64) {
    (Counter::sum(&SWITCHES), Counter::sum(&TIMER_INTERRUPTS))
}

/// A switch from one thread to another.
pub(super) fn count_switch() {
    SWITCHES.here().count();
}

/// The timer has come.
pub fn timer_came() {
    TIMER_INTERRUPTS.here().count();
    let cpu = CPU.here();
    cpu.timer.set(NEVER);
    if clock::nanoseconds() >= cpu.slice_end.get() {
        cpu.slice_over.set(true);
    }
}

/// The thread that runs here, for the dispatcher.
pub(super) fn running() -> Option<Current> {
    let thread = CPU.here().current.borrow();
    // SAFETY: this CPU runs the thread, and the proof that entered with it is gone.
    thread.as_ref().map(|thread| unsafe { Current::new(thread) })
}

/// Lets the timer come at `time`; a timer that comes earlier and for nothing is no harm.
pub(super) fn set_timer(time: u64) {
    let armed = &CPU.here().timer;
    if armed.replace(time) != time {
        if time == NEVER { timer::disarm() } else { timer::arm(time) }
    }
}
