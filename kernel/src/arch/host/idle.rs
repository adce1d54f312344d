//! Interrupts: they come from queues that tests and other CPUs fill, one for each CPU, and from the
//! timer.
//!
//! Where the machine's CPUs are played in turns ([`set_stepped`]), the kernel is left by a [`Stop`] when
//! it waits, and when it has let interrupts in some times without going to user mode: another CPU is
//! played before this one goes on. The dispatcher keeps nothing on its stack there.
#![forbid(unsafe_code)]

use core::cell::{Cell, RefCell};
use std::collections::VecDeque;

use super::{
    Stop, clock,
    cpu::{self, Each},
    entry, race, timer,
};
use crate::{arch::Trap, percpu::MAX_CPUS};

/// What another CPU or a device does while all CPUs wait.
type Event = Box<dyn FnOnce()>;

std::thread_local! {
    static WAITING: Each<RefCell<VecDeque<Trap>>> =
        const { Each::new([const { RefCell::new(VecDeque::new()) }; MAX_CPUS]) };
    static EVENTS: RefCell<VecDeque<Event>> = const { RefCell::new(VecDeque::new()) };
    static STEPPED: Cell<bool> = const { Cell::new(false) };
    static WINDOWS: Each<Cell<u32>> = const { Each::new([const { Cell::new(0) }; MAX_CPUS]) };
    static KICKS: Each<Cell<u64>> = const { Each::new([const { Cell::new(0) }; MAX_CPUS]) };
}

/// How often the kernel lets interrupts in before it is left.
const MOST_WINDOWS: u32 = 4;

/// Whether the machine's CPUs are played in turns.
pub fn set_stepped(is_stepped: bool) {
    STEPPED.set(is_stepped);
}

/// A device asks for an interrupt, which comes when the kernel lets it in.
pub fn request_interrupt(trap: Trap) {
    request_interrupt_of(cpu::index(), trap);
}

/// Asks for an interrupt of CPU `cpu`. One that waits there already stands for this one too.
pub fn request_interrupt_of(cpu: usize, trap: Trap) {
    if trap == Trap::Kick {
        KICKS.with(|kicks| kicks.of(cpu).set(kicks.of(cpu).get() + 1));
    }
    WAITING.with(|waiting| {
        let mut waiting = waiting.of(cpu).borrow_mut();
        if !waiting.contains(&trap) {
            waiting.push_back(trap);
        }
    });
}

/// How often CPU `cpu` was kicked since boot.
pub fn kicks(cpu: usize) -> u64 {
    KICKS.with(|kicks| kicks.of(cpu).get())
}

/// Takes an interrupt that is due for this CPU.
pub fn take_interrupt() -> Option<Trap> {
    if timer::take_expired() {
        return Some(Trap::Timer);
    }
    WAITING.with(|waiting| waiting.here().borrow_mut().pop_front())
}

/// Whether an interrupt is due for CPU `cpu`.
pub fn is_due(cpu: usize) -> bool {
    timer::is_due(cpu) || WAITING.with(|waiting| !waiting.of(cpu).borrow().is_empty())
}

/// Arranges for `event` when all CPUs wait for an interrupt the next time; several come one after
/// the other.
pub fn when_idle(event: impl FnOnce() + 'static) {
    EVENTS.with_borrow_mut(|events| events.push_back(Box::new(event)));
}

/// All CPUs wait: lets the next event happen, or else the time pass until the first timer. False
/// when there is neither, and never will be.
pub fn pass_time() -> bool {
    let event = EVENTS.with_borrow_mut(VecDeque::pop_front);
    match (event, timer::first_left()) {
        (Some(event), _) => event(),
        (None, Some(left)) => clock::advance(left),
        (None, None) => return false,
    }
    true
}

/// Waits for an interrupt. With none in sight, no event and no timer, it would wait for ever:
/// [`Stop::Idle`].
pub fn wait_for_interrupt() {
    if STEPPED.get() {
        Stop::Idle.raise();
    }
    if deliver() {
        return;
    }
    if !pass_time() {
        Stop::Idle.raise();
    }
    deliver();
}

/// Takes the interrupts that are waiting.
pub fn interrupt_window() {
    race::point();
    deliver();
    let windows = WINDOWS.with(|windows| windows.here().replace(windows.here().get() + 1));
    if STEPPED.get() && windows == MOST_WINDOWS {
        Stop::Window.raise();
    }
}

/// The kernel is entered anew.
pub(super) fn open_no_window() {
    WINDOWS.with(|windows| windows.here().set(0));
}

/// Delivers the interrupts that are due, to the kernel; whether there were any. Those that come meanwhile wait for
/// the next time: CPUs that are played at every point could keep this one here for ever.
pub fn deliver() -> bool {
    let requested = WAITING.with(|waiting| waiting.here().borrow().len());
    let due = requested + usize::from(timer::is_due(cpu::index()));
    for _ in 0..due {
        let Some(trap) = take_interrupt() else { break };
        entry::interrupt(trap);
    }
    due > 0
}

/// Forgets all requests and events.
pub(super) fn reset() {
    WAITING.with(|waiting| waiting.all().for_each(|waiting| drop(waiting.take())));
    KICKS.with(|kicks| kicks.all().for_each(|kicks| kicks.set(0)));
    STEPPED.set(false);
    drop(EVENTS.take());
}

/// Stops this CPU for ever.
pub fn stop() -> ! {
    Stop::Halted.raise()
}
