//! Signals between two threads.

use orbital_user::{Notification, abi::Syscall, thread::spawn_with_priority};

use crate::{
    measure::{MANY, Samples, measure},
    stub,
};

const NEVER: u64 = u64::MAX;

/// One thread signals and waits, the other waits and signals.
pub fn round_trip() -> Samples {
    let (there, back) = (notification(), notification());
    let (there_slot, back_slot) = (there.slot().bits(), back.slot().bits());
    let other =
        spawn_with_priority(
            u8::MAX,
            move || {
                while signal_after_wait(there_slot, back_slot) == 0 {}
            },
        )
        .expect("a thread");
    let samples = measure(MANY, || {
        let signalled = signal(there_slot);
        signalled | wait(back_slot)
    });
    // The other thread waits, and its wait would go on for ever.
    other.thread().kill().expect("a thread that waits");
    let _ = other.join();
    samples
}

fn notification() -> Notification {
    Notification::create().expect("a notification")
}

#[inline(always)]
fn signal_after_wait(wait_for: u64, to_signal: u64) -> u64 {
    let waited = wait(wait_for);
    waited | signal(to_signal)
}

#[inline(always)]
fn signal(notification: u64) -> u64 {
    // SAFETY: the call changes no memory.
    unsafe { stub::call(Syscall::NotificationSignal, [notification, 1, 0]) }.0
}

#[inline(always)]
fn wait(notification: u64) -> u64 {
    // SAFETY: as above.
    unsafe { stub::call(Syscall::NotificationWait, [notification, NEVER, 0]) }.0
}
