//! Threads of a case, and the order in which they come to wait.
#![forbid(unsafe_code)]

use core::mem::ManuallyDrop;

use orbital_user::{
    CapSlot, Endpoint, Error, IpcError, Message, clock,
    start::take_granted,
    thread::{JoinHandle, spawn_with_priority},
};

/// The priority of a case's threads where it does not matter; the case itself has 255.
pub const MIDDLE: u8 = 128;

/// Runs `f` as a thread with this priority.
#[track_caller]
pub fn at<T: Send + 'static>(
    priority: u8,
    f: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    spawn_with_priority(priority, f).expect("a thread")
}

/// Waits until every other thread of this CPU waits or has ended, and what has ended is cleaned up: a
/// thread of the lowest priority runs only then.
pub fn settle() {
    at(0, || ()).join().expect("the end of a thread that does nothing");
}

/// Naps between two looks at what less urgent threads do. Each is longer than the one before: on a host that is busy the
/// first ones may be over before anybody else has had a turn.
pub struct Naps(u64);

impl Naps {
    /// The first one takes 100 microseconds.
    #[expect(clippy::new_without_default, reason = "it says what it does")]
    pub const fn new() -> Self {
        Self(100_000)
    }

    /// Takes the next one.
    pub fn nap(&mut self) {
        clock::sleep(self.0);
        self.0 = self.0.saturating_mul(2);
    }
}

/// Ends a thread that waits.
pub fn end<T>(thread: JoinHandle<T>) {
    drop(thread);
    // It ends when it would run.
    settle();
}

/// Whether a thread has not ended.
pub fn is_alive<T>(thread: &JoinHandle<T>) -> bool {
    thread.thread().try_wait() == Err(Error::WouldBlock)
}

/// The endpoint in `slot`, which stays open: for the threads that share it.
pub fn endpoint(slot: CapSlot) -> ManuallyDrop<Endpoint> {
    ManuallyDrop::new(Endpoint::from_slot(slot))
}

/// The endpoint that a child was given at this place.
pub fn granted(place: usize) -> Endpoint {
    Endpoint::from_slot(take_granted(place).expect("an endpoint").into_slot())
}

/// A message of a label alone.
pub fn label(label: u32) -> Message {
    Message::new(label, &[]).expect("no words")
}

/// A thread that calls `slot` with a label, and waits by now.
pub fn caller(slot: CapSlot, with: u32) -> JoinHandle<Result<Message, IpcError>> {
    let thread = at(MIDDLE, move || endpoint(slot).call(&label(with)));
    settle();
    thread
}
