//! How threads and tasks of one CPU are reached from another: lock-free queues, and an interrupt
//! where the other CPU would not look at them soon enough.
//!
//! While a CPU is in the kernel it is awake: it will look. Before it leaves or sleeps it publishes how
//! urgent what it does is, and looks once more; who puts something on a queue reads the urgency after
//! that ([`orbital_executor::urgency`] has the proof). The urgency of a thread is its priority plus one.

use core::{
    cell::Cell,
    cmp,
    sync::atomic::{AtomicU8, Ordering::Relaxed},
};

use orbital_abi::trace::EventKind;
use orbital_executor::{
    executor::{Executor, Owner},
    urgency::{AWAKE, IDLE, Urgency},
    wake_queue::WakeQueue,
};

use super::sleepers;
use crate::{
    arch,
    object::Ref,
    percpu::{MAX_CPUS, PerCpu},
    thread::Tcb,
};

/// The urgency of work that no thread may delay.
const ALWAYS: usize = usize::MAX;

static WOKEN: PerCpu<WakeQueue> = PerCpu::new([const { WakeQueue::new() }; MAX_CPUS]);
static REQUESTED: PerCpu<WakeQueue> = PerCpu::new([const { WakeQueue::new() }; MAX_CPUS]);
static EXECUTOR: PerCpu<Executor> =
    PerCpu::new([const { Executor::with(Some(task_queued), None) }; MAX_CPUS]);
static URGENCY: PerCpu<Urgency> = PerCpu::new([const { Urgency::new() }; MAX_CPUS]);
/// Why the dispatcher has to have a turn, or quick calls are not possible: bits, below.
static IN_THE_WAY: PerCpu<Cell<u8>> = PerCpu::new([const { Cell::new(LEFT) }; MAX_CPUS]);
/// This CPU itself has left something for its dispatcher since that looked at its queues last. What others leave
/// comes with an interrupt, if it is urgent.
const LEFT: u8 = 1 << 0;
/// The thread that runs here has a budget.
const CHARGED: u8 = 1 << 1;

/// Messages don't take the fast path.
const NO_FAST_PATH: u8 = 1 << 2;

/// Somebody measures for how long interrupts are off.
const MEASURED: u8 = 1 << 3;

/// What is in the way on all CPUs and all the time.
static ALWAYS_THERE: AtomicU8 = AtomicU8::new(0);

/// Lets each entry go the general way, or no longer: to test that the short cuts lead to the same. Holds for a CPU
/// from its dispatcher's next turn on.
pub fn set_short_cuts(allowed: bool) {
    // As if each entry left something for the dispatcher.
    let bits = LEFT | NO_FAST_PATH;
    if allowed {
        ALWAYS_THERE.fetch_and(!bits, Relaxed);
    } else {
        ALWAYS_THERE.fetch_or(bits, Relaxed);
    }
}

/// Lets messages and yields go through futures and the run queue, with all other short cuts: to measure what direct
/// switches save.
pub fn switch_fast_path_off() {
    ALWAYS_THERE.fetch_or(NO_FAST_PATH, Relaxed);
}

/// From here on no way out of the kernel is so short that it need not say how long interrupts were off. Holds for
/// another CPU from its dispatcher's next turn on.
pub fn measure() {
    ALWAYS_THERE.fetch_or(MEASURED, Relaxed);
    let bits = IN_THE_WAY.here();
    bits.set(bits.get() | MEASURED);
}

/// Makes this CPU the owner of its executor.
pub fn init() {
    let owner = EXECUTOR.here().claim(arch::cpu_index());
    debug_assert!(owner.is_some(), "a CPU starts once");
}

/// This CPU's dispatcher has to have a turn before the thread goes on that runs here.
pub fn leave_for_dispatcher() {
    let bits = IN_THE_WAY.here();
    bits.set(bits.get() | LEFT);
}

/// Whether the thread that runs here may go on without that.
pub fn nothing_is_left() -> bool {
    IN_THE_WAY.here().get() & LEFT == 0
}

/// The same, and nobody measures how long that took.
#[inline(always)]
pub fn goes_on() -> bool {
    IN_THE_WAY.here().get() & (LEFT | MEASURED) == 0
}

/// Whether quick calls are possible: nothing is left, the thread has no budget, and there is a fast path. They are so
/// short that nobody measures them.
#[inline(always)]
pub fn nothing_is_in_the_way() -> bool {
    IN_THE_WAY.here().get() & (LEFT | CHARGED | NO_FAST_PATH) == 0
}

/// Whether the thread that runs here is charged for its time.
pub fn set_charged(is_charged: bool) {
    let bits = IN_THE_WAY.here_locked();
    bits.set(bits.get() & !CHARGED | if is_charged { CHARGED } else { 0 });
}

/// This CPU looks at its queues before it leaves the kernel.
pub fn look_out() {
    URGENCY.here().look_out();
}

/// Whether a thread of this priority is at least as urgent as what `cpu`, this one, has published: so nothing that
/// is more urgent waits here.
pub fn is_as_urgent_as_published(priority: u8, cpu: usize) -> bool {
    URGENCY.of(cpu).level() <= usize::from(priority) + 1
}

/// The priority that `cpu`, this one, has published, unless somebody has made it look at its queues since.
#[inline]
pub fn published_priority(cpu: usize) -> Option<u8> {
    let level = URGENCY.of(cpu).level();
    (level != AWAKE).then(|| level.checked_sub(1)).flatten().and_then(|it| u8::try_from(it).ok())
}

/// How urgent a thread of this priority is beside what `cpu`, this one, has published.
#[inline]
pub fn compare_to_published(priority: u8, cpu: usize) -> cmp::Ordering {
    (usize::from(priority) + 1).cmp(&URGENCY.of(cpu).level())
}

/// Whether `cpu`, this one, has left its dispatcher to run a thread, with all short cuts allowed, and nobody has
/// made it look at its queues since: then it works on something that the thread has called or done.
pub fn is_in_call(cpu: usize) -> bool {
    let level = URGENCY.of(cpu).level();
    level != AWAKE && level != IDLE && ALWAYS_THERE.load(Relaxed) & LEFT == 0
}

/// This CPU is about to run a thread of this priority. False when there is something to look at first.
pub fn may_run(priority: u8) -> bool {
    let bits = IN_THE_WAY.here();
    bits.set(bits.get() & CHARGED | ALWAYS_THERE.load(Relaxed));
    let nothing_to_do = || !threads_wait() && executor().top().is_none_or(|top| top <= priority);
    URGENCY.here().settle(usize::from(priority) + 1, nothing_to_do)
}

/// This CPU is about to sleep. False when there is something to do.
pub fn may_sleep() -> bool {
    URGENCY.here().settle(IDLE, || !has_work())
}

/// Tells `cpu` to look at its queues, unless it does something that is more urgent, or will look.
fn tell(cpu: usize, urgency: usize) {
    if cpu == arch::cpu_index() {
        leave_for_dispatcher();
    } else if URGENCY.of(cpu).must_kick(urgency) {
        arch::kick(cpu);
    }
}

/// Leaves a woken thread to the dispatcher of the CPU that has it.
pub fn hand_to_dispatcher(thread: Ref<Tcb>) {
    let (cpu, priority) = (thread.home(), thread.due_priority());
    thread.trace(EventKind::Wake, 0);
    // SAFETY: the task's state word lets one push happen until it is taken; the queue keeps the
    // reference that is forgotten here.
    unsafe { WOKEN.of(cpu).push(thread.task_pointer()) };
    core::mem::forget(thread);
    // An equal one that runs has to share its time. A sleeping CPU may take what this one can't run.
    let urgency = if sleepers::exist() { ALWAYS } else { usize::from(priority) + 2 };
    tell(cpu, urgency);
}

/// Called when something is asked of a thread: see [`Tcb::kill`].
#[unsafe(no_mangle)]
pub fn orbital_thread_requested(thread: Ref<Tcb>) {
    let cpu = thread.home();
    // SAFETY: as above, for the request's state word.
    unsafe { REQUESTED.of(cpu).push(thread.request_pointer()) };
    core::mem::forget(thread);
    tell(cpu, ALWAYS);
}

/// Called when a task of the kernel's own was queued on the executor of `cpu`, or has become more or
/// less urgent there.
fn task_queued(cpu: usize, urgency: usize) {
    // An equal thread that runs has to share its time.
    tell(cpu, urgency + 1);
}

/// Gives the thread to `cpu`, which takes it like one that was woken. Its task is queued or being
/// polled, so no wake pushes it meanwhile.
pub fn hand_over(thread: Ref<Tcb>, cpu: usize) {
    thread.set_home(cpu);
    // SAFETY: as above.
    unsafe { WOKEN.of(cpu).push(thread.task_pointer()) };
    core::mem::forget(thread);
    tell(cpu, ALWAYS);
}

/// Threads that were woken or handed over to this CPU.
pub fn take_woken() -> impl Iterator<Item = Ref<Tcb>> {
    // SAFETY: takes back the references that were left there.
    WOKEN.here().take_all().map(|task| unsafe { Tcb::from_woken(task) })
}

/// Threads of which something is asked.
pub fn take_requested() -> impl Iterator<Item = Ref<Tcb>> {
    // SAFETY: as above.
    REQUESTED.here().take_all().map(|request| unsafe { Tcb::from_requested(request) })
}

/// Whether threads have come to this CPU, or requests for them.
pub fn threads_wait() -> bool {
    !WOKEN.here().is_empty() || !REQUESTED.here().is_empty()
}

/// Makes `cpu` look at threads that have come to it and were not urgent enough, if there are any.
pub fn tell_of_woken(cpu: usize) {
    if !WOKEN.of(cpu).is_empty() {
        tell(cpu, ALWAYS);
    }
}

/// Whether this CPU has anything to do beside its ready threads.
pub fn has_work() -> bool {
    threads_wait() || EXECUTOR.here().has_work()
}

/// This CPU's executor of the kernel's own tasks, to be polled.
pub fn executor() -> Owner {
    // SAFETY: each CPU asks for its own executor alone, and never in an interrupt handler.
    unsafe { EXECUTOR.here().assume_owner() }
}
