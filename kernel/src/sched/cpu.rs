//! What each CPU's dispatcher knows of its CPU: who runs, who waits, until when, and when the timer
//! comes.

use core::{
    cell::{Cell, RefCell},
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{run_queue::RunQueue, tasks::Turns};
use crate::{
    arch::{clock, timer},
    object::Ref,
    percpu::{MAX_CPUS, PerCpu},
    thread::{Current, Tcb, payer::Payer},
};

/// No time at all.
pub(super) const NEVER: u64 = u64::MAX;

/// All CPUs.
pub(super) static CPU: PerCpu<Cpu> = PerCpu::new([const { Cpu::new() }; _]);
/// The thread that each CPU runs. Apart, as it is looked at often.
pub(super) static CURRENT: PerCpu<Running> = PerCpu::new([const { Running::none() }; _]);
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
    /// Those that wait for their turn.
    pub ready: RefCell<RunQueue>,
    /// Whether the current thread has used up its slice, or gave it away.
    pub slice_over: Cell<bool>,
    /// When the current thread's slice ends, in nanoseconds since boot.
    pub slice_end: Cell<u64>,
    /// Who goes on with the rest of that slice where the current thread waits.
    pub heir: Cell<Option<Ref<Tcb>>>,
    /// Who pays for what the current thread runs.
    pub payer: Cell<Option<Payer>>,
    /// When the payer's budget is used up, if it goes on; [`NEVER`] without one.
    pub budget_end: Cell<u64>,
    /// Up to when that was charged.
    pub charged_until: Cell<u64>,
    /// When the timer comes; [`NEVER`] while it is not armed.
    timer: Cell<u64>,
    /// When the kernel's own tasks have theirs.
    pub tasks: Turns,
}

impl Cpu {
    /// When the timer comes.
    pub fn timer(&self) -> u64 {
        self.timer.get()
    }

    const fn new() -> Self {
        Self {
            ready: RefCell::new(RunQueue::new()),
            slice_over: Cell::new(false),
            slice_end: Cell::new(0),
            heir: Cell::new(None),
            payer: Cell::new(None),
            budget_end: Cell::new(NEVER),
            charged_until: Cell::new(0),
            timer: Cell::new(NEVER),
            tasks: Turns::new(),
        }
    }
}

/// The thread that a CPU runs, with a reference to it. No `RefCell`, for the same reason.
pub(super) struct Running(Cell<Option<NonNull<Tcb>>>);

impl Running {
    const fn none() -> Self {
        Self(Cell::new(None))
    }

    /// The proof for it.
    ///
    /// # Safety
    /// No other one for it is alive when this is used.
    #[inline]
    unsafe fn proof(&self) -> Option<Current> {
        // SAFETY: there is a reference to it in here; the rest is the caller's.
        self.0.get().map(|thread| unsafe { Current::new(thread.as_ref()) })
    }

    /// Its priority.
    #[inline]
    pub fn priority(&self) -> Option<u8> {
        // SAFETY: there is a reference to it in here.
        self.0.get().map(|thread| unsafe { thread.as_ref() }.priority())
    }

    /// Runs `f` on it, if there is one.
    pub fn with(&self, f: impl FnOnce(&Tcb)) {
        if let Some(thread) = self.0.get() {
            // SAFETY: there is a reference to it in here, and `f` does not take it.
            f(unsafe { thread.as_ref() });
        }
    }

    /// Whether there is none.
    #[inline]
    pub fn is_none(&self) -> bool {
        self.0.get().is_none()
    }

    /// Whether it is `thread`.
    pub fn is(&self, thread: &Tcb) -> bool {
        self.0.get() == Some(NonNull::from(thread))
    }

    /// Takes the reference: the CPU runs nobody any more.
    #[inline]
    pub fn take(&self) -> Option<Ref<Tcb>> {
        // SAFETY: `set` gave it away, and it is taken once.
        self.0.take().map(|thread| unsafe { Ref::from_raw(thread) })
    }

    /// Takes the reference to `current`, which the CPU runs; [`Running::enter`] has to follow.
    #[inline(always)]
    pub fn leave(&self, current: &Current) -> Ref<Tcb> {
        debug_assert!(self.is(current), "the CPU runs another thread");
        // SAFETY: `set` or `enter` gave it away, and `enter` forgets it.
        unsafe { Ref::from_raw(current.pointer()) }
    }

    /// The CPU, whose thread has left it by [`Running::leave`], runs `thread` from now on.
    #[inline(always)]
    pub fn enter(&self, thread: Ref<Tcb>) {
        self.0.set(Some(thread.into_raw()));
    }

    /// The CPU, which runs nobody, runs `thread` from now on.
    #[inline]
    pub fn set(&self, thread: Ref<Tcb>) {
        let previous = self.0.replace(Some(thread.into_raw()));
        debug_assert!(previous.is_none(), "a CPU runs two threads");
    }
}

/// The thread that entered the kernel.
///
/// # Panics
/// When none did: only entry code's callees ask.
pub fn current() -> Current {
    // SAFETY: the entry code stored this thread's registers, and each entry asks once.
    let current = unsafe { CURRENT.here_locked().proof() };
    current.expect("entered from user mode without a thread")
}

/// The thread that runs, and the number of the system call that it is in, for a panic's report.
pub fn describe_current() -> Option<(Ref<Tcb>, Option<u64>)> {
    // SAFETY: this CPU runs the thread, and whoever below us on the stack has a proof for it does not
    // go on: the machine ends.
    let current = unsafe { CURRENT.here_locked().proof() }?;
    let number = current.with_registers(|registers| registers.syscall_number());
    Some((current.to_ref(), number))
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
    // SAFETY: this CPU runs the thread, and the proof that entered with it is gone.
    unsafe { CURRENT.here_locked().proof() }
}

/// Lets the timer come at `time`; a timer that comes earlier and for nothing is no harm.
pub(super) fn set_timer(time: u64) {
    let armed = &CPU.here().timer;
    if armed.replace(time) != time {
        if time == NEVER { timer::disarm() } else { timer::arm(time) }
    }
}
