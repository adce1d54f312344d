//! The dispatcher: after every entry it decides whose registers the CPU loads next.
//!
//! Each turn: woken threads go to the run queue at their own priority; the kernel's own tasks are
//! polled, a few at a time; then the current thread goes on, unless it has ended or blocked, a more
//! urgent one is ready, or its slice is over and an equal one is ready. A picked thread that is in
//! the middle of an operation has it polled first, in its own time and at its own priority.
//! Between two polls the dispatcher lets interrupts in; without anything to do it waits for one.

use core::{
    cell::{Cell, RefCell},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::Poll,
};

use alloc::boxed::Box;

use orbital_abi::{Error, ExitReason};
use orbital_executor::{
    executor::{Executor, Owner},
    task::AfterPoll,
    wake_queue::WakeQueue,
};

use super::{Completion, run_queue::RunQueue};
use crate::{
    arch::{self, PageTables, SavedRegisters, clock, idle, timer},
    memory::heap,
    object::Ref,
    percpu::PerCpu,
    thread::{Current, Outcome, Tcb, state::ThreadState},
};

/// How long a thread runs while an equal one waits, in microseconds.
pub const SLICE_US: u64 = 1000;
/// How many of the kernel's own tasks are polled before a thread gets a chance.
const TASK_BUDGET: usize = 8;

static CPU: PerCpu<Cpu> = PerCpu::new([const { Cpu::new() }; _]);
static WOKEN: PerCpu<WakeQueue> = PerCpu::new([const { WakeQueue::new() }; _]);
static EXECUTOR: PerCpu<Executor> = PerCpu::new([const { Executor::new() }; _]);
static SWITCHES: AtomicU64 = AtomicU64::new(0);
static TIMER_INTERRUPTS: AtomicU64 = AtomicU64::new(0);

struct Cpu {
    current: RefCell<Option<Ref<Tcb>>>,
    ready: RefCell<RunQueue>,
    /// Whether the current thread has used up its slice, or gave it away.
    slice_over: Cell<bool>,
    timer_armed: Cell<bool>,
    /// When the slice ends that the timer was armed for, in microseconds since boot.
    slice_end: Cell<u64>,
}

impl Cpu {
    const fn new() -> Self {
        Self {
            current: RefCell::new(None),
            ready: RefCell::new(RunQueue::new()),
            slice_over: Cell::new(false),
            timer_armed: Cell::new(false),
            slice_end: Cell::new(0),
        }
    }
}

/// Called by a thread's task when it is woken: see [`Tcb::wake`].
#[unsafe(no_mangle)]
fn orbital_thread_woken(thread: Ref<Tcb>) {
    // One CPU runs for now, so it is every thread's home.
    // SAFETY: the wake queue is emptied by `take_woken`, which takes the reference back.
    unsafe { WOKEN.of(0).push(thread.task_pointer()) };
    core::mem::forget(thread);
}

/// This CPU's executor, to be polled.
fn executor() -> Owner {
    // SAFETY: each CPU asks for its own executor alone, and never in an interrupt handler.
    unsafe { EXECUTOR.here().assume_owner() }
}

/// Makes this CPU's dispatcher ready. Its kernel tasks can be spawned from here on.
pub fn init() {
    timer::disarm();
}

/// Runs `future` as a task of the kernel's own on this CPU.
///
/// # Errors
/// [`Error::QuotaExceeded`] without memory.
pub fn spawn(future: impl Future<Output = ()> + 'static) -> Result<(), Error> {
    let task = heap::try_box(orbital_executor::executor::Task::new(future))
        .map_err(|_| Error::QuotaExceeded)?;
    executor().spawn(Box::into_pin(task));
    Ok(())
}

/// The thread that entered the kernel.
///
/// # Panics
/// When none did: only entry code's callees ask.
pub fn current() -> Current {
    let thread = CPU.here().current.borrow().clone();
    let thread = thread.expect("entered from user mode without a thread");
    // SAFETY: the entry code stored this thread's registers, and each entry asks once.
    unsafe { Current::new(thread) }
}

/// The thread that runs, and the number of the system call that it is in, for a panic's report.
pub fn describe_current() -> Option<(Ref<Tcb>, Option<u64>)> {
    let thread = CPU.here().current.try_borrow().ok()?.clone()?;
    // SAFETY: this CPU runs the thread, and whoever below us on the stack has a proof for it does not
    // go on: the machine ends.
    let current = unsafe { Current::new(thread.clone()) };
    let number = current.with_registers(|registers| registers.syscall_number());
    Some((thread, number))
}

/// Switches from one thread to another, and timer interrupts, since boot.
pub fn counters() -> (u64, u64) {
    (SWITCHES.load(Relaxed), TIMER_INTERRUPTS.load(Relaxed))
}

/// The timer says that the slice is over.
pub fn slice_ended() {
    TIMER_INTERRUPTS.fetch_add(1, Relaxed);
    let cpu = CPU.here();
    cpu.timer_armed.set(false);
    cpu.slice_over.set(true);
}

/// Takes the current thread's completion, and gives the registers to leave the kernel with.
pub fn complete(current: Current, completion: Completion) -> *mut SavedRegisters {
    match completion {
        Completion::Done(answer) => current.answer(answer),
        Completion::Written => {}
        Completion::Yield => {
            current.answer(Ok(Default::default()));
            CPU.here().slice_over.set(true);
        }
        Completion::Blocked => block(&current),
        Completion::End(reason) => end(&current, reason),
    }
    drop(current);
    next()
}

fn block(current: &Current) {
    current.leave_cpu();
    CPU.here().current.take();
    after_pending_poll(current);
}

/// A poll found nothing: the thread is blocked, unless it was woken meanwhile.
fn after_pending_poll(thread: &Current) {
    thread.set_state(ThreadState::Blocked);
    if let AfterPoll::Requeue = thread.task().finish_poll() {
        thread.set_state(ThreadState::Woken);
        CPU.here().ready.borrow_mut().push_back(thread.to_ref());
    }
}

fn end(thread: &Current, reason: ExitReason) {
    if CPU.here().current.take().is_some() {
        thread.leave_cpu();
    }
    thread.finish(reason);
    thread.task().complete();
}

/// Who runs next on this CPU. Does not return before there is someone.
pub fn next() -> *mut SavedRegisters {
    loop {
        take_woken();
        if executor().has_work() {
            executor().poll_ready(TASK_BUDGET);
            idle::interrupt_window();
            continue;
        }
        if let Some(registers) = keep_current() {
            return registers;
        }
        let picked = CPU.here().ready.borrow_mut().pop();
        match picked {
            Some(thread) => {
                if let Some(registers) = switch_to(thread) {
                    return registers;
                }
                idle::interrupt_window();
            }
            None => wait_for_work(),
        }
    }
}

fn wait_for_work() {
    set_timer(false, 0);
    // Interrupts are off: what comes between this check and the wait ends the wait.
    if WOKEN.here().is_empty() && !executor().has_work() {
        idle::wait_for_interrupt();
    }
}

fn take_woken() {
    if WOKEN.here().is_empty() {
        return;
    }
    let mut ready = CPU.here().ready.borrow_mut();
    for task in WOKEN.here().take_all() {
        // SAFETY: `orbital_thread_woken` pushed it, and gave its reference away.
        let thread = unsafe { Tcb::from_woken(task) };
        thread.set_state(ThreadState::Woken);
        ready.push_back(thread);
    }
}

/// The current thread's registers, if it goes on.
fn keep_current() -> Option<*mut SavedRegisters> {
    let cpu = CPU.here();
    let thread = cpu.current.borrow().clone()?;
    // SAFETY: this CPU runs the thread, and the proof that entered with it is gone.
    let current = unsafe { Current::new(thread) };
    if current.is_killed() {
        end(&current, ExitReason::Killed);
        return None;
    }
    let top = cpu.ready.borrow().top();
    let slice_over = cpu.slice_over.replace(false);
    if top.is_some_and(|top| top > current.priority || top == current.priority && slice_over) {
        current.leave_cpu();
        current.set_state(ThreadState::Preempted);
        cpu.current.take();
        let mut ready = cpu.ready.borrow_mut();
        match slice_left().filter(|_| !slice_over) {
            Some(left) => {
                current.keep_slice(left);
                ready.push_front(current.to_ref());
            }
            None => ready.push_back(current.to_ref()),
        }
        return None;
    }
    // A slice that was given away to nobody starts anew.
    set_timer(top == Some(current.priority), SLICE_US);
    Some(current.register_pointer())
}

/// Makes `thread` the current one, and gives its registers; `None` when its operation has to wait
/// on, or it has been killed.
fn switch_to(thread: Ref<Tcb>) -> Option<*mut SavedRegisters> {
    // SAFETY: it came out of this CPU's run queue, so nobody else runs it.
    let next = unsafe { Current::new(thread) };
    if next.state() == ThreadState::Woken {
        next.task().start_poll();
    }
    if next.is_killed() {
        end(&next, ExitReason::Killed);
        return None;
    }
    // Before the poll: an operation may touch the thread's memory.
    next.process.space.load();
    if next.has_operation() {
        match next.poll_operation() {
            Poll::Ready(Outcome::Written) => {}
            Poll::Ready(Outcome::Answer(answer)) => next.answer(answer),
            Poll::Pending => {
                after_pending_poll(&next);
                return None;
            }
        }
    }
    next.enter_cpu();
    next.set_state(ThreadState::Running);
    let cpu = CPU.here();
    cpu.slice_over.set(false);
    // A slice starts with the thread, or goes on where a more urgent one had cut in: else a thread
    // that keeps waking such would have the CPU for ever.
    set_timer(false, 0);
    let top = cpu.ready.borrow().top();
    set_timer(top == Some(next.priority), next.take_slice().unwrap_or(SLICE_US));
    SWITCHES.fetch_add(1, Relaxed);
    arch::set_current(next.register_pointer());
    let registers = next.register_pointer();
    cpu.current.replace(Some(next.to_ref()));
    Some(registers)
}

/// Arms the timer when an equal thread waits, and only then, for so many microseconds.
fn set_timer(wanted: bool, microseconds: u64) {
    let cpu = CPU.here();
    if cpu.timer_armed.replace(wanted) == wanted {
        return;
    }
    if wanted {
        cpu.slice_end.set(clock::microseconds() + microseconds);
        timer::arm(microseconds);
    } else {
        timer::disarm();
    }
}

/// Microseconds that are left of the current slice; `None` when it is over. All of it, as long as
/// no equal thread waits for its end.
fn slice_left() -> Option<u64> {
    let cpu = CPU.here();
    if !cpu.timer_armed.get() {
        return Some(SLICE_US);
    }
    let left = cpu.slice_end.get().saturating_sub(clock::microseconds());
    (left != 0).then_some(left)
}

/// Starts dispatching on this CPU: the end of the boot order.
pub fn start() -> ! {
    PageTables::load_kernel();
    let registers = next();
    // SAFETY: `next` made the thread current and loaded its address space; the boot code's frames
    // are not needed again.
    unsafe { arch::enter_user(registers) }
}
