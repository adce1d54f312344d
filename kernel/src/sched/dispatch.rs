//! The dispatcher: after every entry it decides whose registers the CPU loads next.
//!
//! Each turn: woken threads go to the run queue at their own priority; a task of the kernel's own is
//! polled if it is more urgent than all threads, or as urgent and it is the tasks' turn; else the
//! current thread goes on, unless it has ended or blocked, a more urgent one is ready, or its slice is
//! over and an equal one is ready. A picked thread that is in the middle of an operation has it polled
//! first, in its own time and at its own priority. Between two polls the dispatcher lets interrupts
//! in; without anything to do it waits for one.

use core::{cmp::Ordering, task::Poll};

use orbital_abi::{ExitReason, trace::EventKind};

pub use super::cpu::{counters, current, describe_current};
use super::{
    Completion, balance, budget, clock as deadlines,
    cpu::{CPU, CURRENT, NEVER, count_switch, running, set_timer},
    cpu_time, heir, irq_off,
    place::{SLICE_NS, after_pending_step, block, end, heed, put_off},
    requests, sleepers, wake,
};
use crate::{
    arch::{self, SavedRegisters, clock, idle, quick::Bare, timer},
    cause,
    object::Ref,
    thread::{Current, Outcome, Tcb, state::ThreadState},
    trace,
    vm::{AddressSpace, shootdown},
};

/// Makes this CPU's dispatcher ready. Its kernel tasks can be spawned from here on.
pub fn init() {
    wake::init();
    // No thread has run here, so it has none but those; on a machine that is simulated anew it may have.
    AddressSpace::leave();
    timer::disarm();
    cpu_time::init();
    log::info!("cpu{} online", arch::cpu_index());
}

/// Takes the current thread's completion, and gives the registers to leave the kernel with.
#[inline]
pub fn complete(current: Current, completion: Completion) -> *mut SavedRegisters {
    let turn = match completion {
        Completion::Resumed => Turn::GoOn,
        Completion::Failed(error) => {
            current.answer(Err(error));
            Turn::GoOn
        }
        Completion::Written => Turn::Look,
        Completion::Yield => Turn::Yield,
        Completion::Blocked => Turn::Block,
        Completion::End(reason) => Turn::End(reason),
    };
    match turn {
        // As if it had stayed in user mode. What has come from others meanwhile, if it is urgent, is an interrupt that
        // comes as soon as it is back.
        Turn::GoOn if wake::goes_on() => current.register_pointer(),
        turn => take_turn(current, turn),
    }
}

/// What the dispatcher has to do with the thread that entered.
enum Turn {
    /// It goes on, if nothing was left for the dispatcher.
    GoOn,
    /// It goes on, and the dispatcher looks around first.
    Look,
    Yield,
    Block,
    End(ExitReason),
}

#[inline(never)]
fn take_turn(current: Current, turn: Turn) -> *mut SavedRegisters {
    match turn {
        Turn::GoOn if wake::nothing_is_left() => {
            irq_off::end();
            return current.register_pointer();
        }
        Turn::GoOn | Turn::Look => {}
        Turn::Yield => {
            current.answer_done();
            CPU.here().slice_over.set(true);
        }
        Turn::Block => {
            if block(&current) {
                // That was the first step of something longer.
                let_interrupts_in();
            } else if let Some(registers) = next_covered() {
                irq_off::end();
                return registers;
            }
        }
        Turn::End(reason) => end(&current, reason),
    }
    let registers = next();
    irq_off::end();
    registers
}

/// The dispatcher's turn after a quick call that has left something for it.
pub fn turn() -> *mut SavedRegisters {
    irq_off::begin();
    let registers = next();
    irq_off::end();
    registers
}

/// The current thread goes on with an answer that says nothing, where nothing was left for the dispatcher.
#[inline(always)]
pub fn go_on_with_nothing(current: &Current) -> Option<Bare<SavedRegisters>> {
    wake::goes_on().then(|| Bare::with_control(current.register_pointer(), [0; 3]))
}

/// Who runs next on this CPU. Does not return before there is someone.
pub fn next() -> *mut SavedRegisters {
    wake::look_out();
    loop {
        shootdown::serve();
        deadlines::fire_due();
        take_woken();
        requests::serve();
        heir::inherit();
        if tasks_go_first() {
            poll_task();
            continue;
        }
        let registers = match keep_current() {
            Some(registers) => registers,
            None => {
                // Whoever asked something of a thread may be back, and is more urgent than what is ready.
                if wake::threads_wait() {
                    continue;
                }
                let picked = CPU.here().ready.borrow_mut().pop();
                let Some(thread) = picked else {
                    sleep();
                    continue;
                };
                let Some(registers) = switch_to(thread) else {
                    let_interrupts_in();
                    continue;
                };
                registers
            }
        };
        if may_leave() {
            if trace::is_detailed() {
                trace_resume();
            }
            return registers;
        }
    }
}

/// The current thread has blocked, and nothing is left for the whole turn: the first of those that are as urgent as
/// what this CPU has published, which covers everybody here, goes on.
fn next_covered() -> Option<*mut SavedRegisters> {
    let priority =
        wake::published_priority(arch::cpu_index()).filter(|_| wake::nothing_is_left())?;
    heir::inherit();
    let cpu = CPU.here();
    let thread = cpu.ready.borrow_mut().pop_first(priority)?;
    let Some(registers) = switch_to(thread) else {
        let_interrupts_in();
        return None;
    };
    if !wake::nothing_is_left() {
        return Some(next());
    }
    let equal_waits = cpu.ready.borrow().first(priority).is_some();
    let slice_end = if equal_waits { cpu.slice_end.get() } else { NEVER };
    let run_end = slice_end.min(cpu.budget_end.get()).min(deadlines::next_deadline());
    // One that comes too early finds nothing to do, and is set again.
    if run_end < cpu.timer() {
        set_timer(run_end);
    }
    Some(registers)
}

/// Takes the interrupts that are waiting: between two polls, with nothing borrowed.
fn let_interrupts_in() {
    irq_off::end();
    idle::interrupt_window();
    irq_off::begin();
}

/// Whether it is the turn of the most urgent of the kernel's own tasks.
fn tasks_go_first() -> bool {
    let Some(task) = wake::executor().top() else { return false };
    let cpu = CPU.here();
    let thread = cpu.ready.borrow().top().max(CURRENT.here_locked().priority());
    match thread.map(|thread| task.cmp(&thread)) {
        Some(Ordering::Less) => false,
        Some(Ordering::Equal) => cpu.tasks.have_come(clock::nanoseconds()),
        Some(Ordering::Greater) | None => true,
    }
}

fn poll_task() {
    let cpu = CPU.here();
    if CURRENT.here_locked().is_none() {
        // Nobody waits for this CPU to forget a translation while there is no thread to run.
        AddressSpace::leave();
    }
    let executor = wake::executor();
    let priority = executor.top().unwrap_or_default();
    trace::detail(EventKind::TaskPoll, priority.into());
    cause::set(priority);
    // The current thread does not pay for that.
    let current = running();
    budget::stop();
    cpu_time::charge_current();
    executor.poll_first(priority);
    cpu_time::begin();
    current.as_ref().inspect(|current| budget::begin(current));
    cpu.tasks.polled(clock::nanoseconds());
    let_interrupts_in();
}

/// The last look before user mode: what came until now is served first, what comes later sends an
/// interrupt.
fn may_leave() -> bool {
    let cpu = CPU.here();
    balance::share(&mut cpu.ready.borrow_mut());
    let priority = CURRENT.here_locked().priority().unwrap_or_default();
    if !wake::may_run(priority) {
        return false;
    }
    // With an equal thread waiting the slice ends; tasks get their turn before.
    let equal_waits = cpu.ready.borrow().top() == Some(priority);
    let slice_end = if equal_waits { cpu.slice_end.get() } else { NEVER };
    let task_waits = wake::executor().top() == Some(priority);
    let turn_end = if task_waits { cpu.tasks.next() } else { NEVER };
    // What it leaves to be done later is done as urgently as it runs.
    cause::set(priority);
    let run_end = slice_end.min(turn_end).min(cpu.budget_end.get());
    set_timer(run_end.min(deadlines::next_deadline()));
    true
}

/// Sleeps until there may be something to do.
fn sleep() {
    AddressSpace::leave();
    if wake::has_work() {
        return;
    }
    deadlines::nobody_waits();
    set_timer(deadlines::next_deadline());
    balance::fall_asleep();
    // Interrupts are off: what comes between this check and the sleep ends the sleep.
    if wake::may_sleep() {
        trace::detail(EventKind::Idle, 0);
        irq_off::end();
        cpu_time::fall_asleep();
        idle::wait_for_interrupt();
        irq_off::begin();
    }
    end_sleep();
}

/// This CPU has slept.
pub fn end_sleep() {
    cpu_time::wake_up();
    wake::look_out();
    sleepers::remove();
}

fn take_woken() {
    for thread in wake::take_woken() {
        match thread.state() {
            // Ended while it was on its way.
            ThreadState::Ended => continue,
            // Given away by another CPU.
            ThreadState::Preempted => thread.set_state(ThreadState::Preempted),
            _ => thread.set_state(ThreadState::Woken),
        }
        requests::arrived(thread);
    }
}

/// The current thread's registers, if it goes on.
fn keep_current() -> Option<*mut SavedRegisters> {
    heed();
    let current = running()?;
    let cpu = CPU.here();
    if budget::is_over() && !current.is_limited() {
        // Whoever has paid for it lends it nothing any more, and is told.
        budget::renew(&current);
    }
    if budget::is_over() {
        // With its next period it begins a new slice, after its equals.
        cpu.slice_over.set(true);
        put_off(&current);
        return None;
    }
    let top = cpu.ready.borrow().top();
    let priority = current.priority();
    let slice_over = cpu.slice_over.get();
    if top.is_some_and(|top| top > priority || top == priority && slice_over) {
        put_off(&current);
        return None;
    }
    // Nobody wants it. Whoever comes and is as urgent has it at once, as the slice has ended.
    cpu.slice_over.set(false);
    Some(current.register_pointer())
}

#[cold]
fn trace_resume() {
    if let Some(current) = running() {
        current.trace(EventKind::Resume, 0);
    }
}

/// Makes `thread` the current one, and gives its registers; `None` when its operation has to wait
/// on, or it has been killed.
fn switch_to(thread: Ref<Tcb>) -> Option<*mut SavedRegisters> {
    // SAFETY: it came out of this CPU's run queue, so nobody else runs it.
    let next = unsafe { Current::new(&thread) };
    if next.state() == ThreadState::Woken {
        next.task().start_poll();
    }
    if next.is_killed() {
        end(&next, ExitReason::Killed);
        return None;
    }
    cause::set(next.priority());
    budget::begin(&next);
    // Before the poll: an operation may touch the thread's memory.
    next.process.space.enter();
    let cpu = CPU.here();
    cpu.slice_end.set(clock::nanoseconds() + next.slice_left());
    if next.has_operation() {
        let polled = next.poll_operation();
        next.trace(EventKind::Poll, polled.is_ready().into());
        match polled {
            Poll::Ready(Outcome::Written) => {}
            Poll::Ready(Outcome::Answer(answer)) => next.answer(answer),
            Poll::Ready(Outcome::End(reason)) => {
                cpu_time::charge(&next);
                end(&next, reason);
                return None;
            }
            Poll::Pending => {
                budget::stop();
                cpu_time::charge(&next);
                next.set_slice_left(SLICE_NS);
                after_pending_step(&next);
                return None;
            }
        }
    }
    next.enter_cpu();
    next.set_state(ThreadState::Running);
    next.trace(EventKind::Switch, 0);
    cpu.slice_over.set(false);
    count_switch();
    arch::set_current(next.register_pointer());
    let registers = next.register_pointer();
    CURRENT.here_locked().set(thread);
    Some(registers)
}

/// Starts dispatching on this CPU: the end of the boot order.
pub fn start() -> ! {
    irq_off::begin();
    let registers = next();
    // SAFETY: `next` made the thread current and loaded its address space; the boot code's frames
    // are not needed again.
    unsafe { arch::enter_user(registers) }
}
