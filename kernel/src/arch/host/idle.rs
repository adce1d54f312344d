//! Interrupts of this CPU: they come from a queue that tests fill, and from the timer.
#![forbid(unsafe_code)]

use core::cell::RefCell;
use std::collections::VecDeque;

use super::{Stop, clock, entry, timer};
use crate::arch::Trap;

/// What another CPU or a device does while this one waits.
type Event = Box<dyn FnOnce()>;

std::thread_local! {
    static WAITING: RefCell<VecDeque<Trap>> = const { RefCell::new(VecDeque::new()) };
    static EVENTS: RefCell<VecDeque<Event>> = const { RefCell::new(VecDeque::new()) };
}

/// A device asks for an interrupt, which comes when the kernel lets it in.
pub fn request_interrupt(trap: Trap) {
    WAITING.with_borrow_mut(|waiting| waiting.push_back(trap));
}

/// Arranges for `event` when this CPU waits for an interrupt the next time; several come one after
/// the other.
pub fn when_idle(event: impl FnOnce() + 'static) {
    EVENTS.with_borrow_mut(|events| events.push_back(Box::new(event)));
}

/// Waits for an interrupt. With none in sight, no event and no timer, it would wait for ever:
/// [`Stop::Idle`].
pub fn wait_for_interrupt() {
    if deliver() {
        return;
    }
    let event = EVENTS.with_borrow_mut(VecDeque::pop_front);
    match (event, timer::left()) {
        (Some(event), _) => event(),
        (None, Some(left)) => {
            clock::advance(left);
            deliver();
        }
        (None, None) => Stop::Idle.raise(),
    }
}

/// Takes the interrupts that are waiting.
pub fn interrupt_window() {
    deliver();
}

/// Delivers all interrupts that are due; whether there were any.
fn deliver() -> bool {
    let mut found = false;
    if timer::take_expired() {
        entry::interrupt(Trap::Timer);
        found = true;
    }
    while let Some(trap) = WAITING.with_borrow_mut(VecDeque::pop_front) {
        entry::interrupt(trap);
        found = true;
    }
    found
}

/// Forgets all requests and events.
pub(super) fn reset() {
    WAITING.take();
    drop(EVENTS.take());
}

/// Stops this CPU for ever.
pub fn stop() -> ! {
    Stop::Halted.raise()
}
