//! The leaf wait of a message operation or for signals, as a future in the thread's slot: it is ready
//! once a partner has written the answer into the thread's registers, or its deadline has come and nobody
//! will. Dropping it, when the thread is killed, cancels the wait.

use core::{
    pin::Pin,
    task::{Context, Poll},
};

use orbital_abi::{Deadline, Error};
use orbital_executor::timer::Sleep;

use crate::{
    object::{Object, Ref},
    sched::clock::sleep_until,
    thread::{Claim, Current, Outcome, Phase, Tcb, WaitingQueue},
};

/// Where threads queue.
pub(super) trait Place: Object {
    /// Takes a thread, which waits nowhere else, out of the queue that it is in, if it is in one: its wait
    /// is over.
    fn forget(&self, thread: &Tcb);

    /// The wait of a thread was completed, and the thread ends without having seen that.
    fn unseen(&self, _thread: &Tcb) {}
}

/// Claims the first of a queue whose wait was not cancelled just now. Under the queue's lock.
pub(super) fn claim_first(queue: &mut WaitingQueue) -> Option<Claim> {
    while let Some(thread) = queue.pop_front() {
        if let Some(claim) = Claim::queued(thread) {
            return Some(claim);
        }
    }
    None
}

/// A wait that has begun.
pub(super) struct Waiting<P: Place> {
    thread: Ref<Tcb>,
    /// Where it is queued, unless it waits for a reply alone.
    place: Option<Ref<P>>,
    /// Until when. Pinned with the future.
    sleep: Sleep<'static>,
}

impl<P: Place> Waiting<P> {
    fn new(current: &Current, place: Option<Ref<P>>, deadline: Deadline) -> Self {
        // A wait that must not wait has not begun; that for the reply to a call that must not has no
        // end.
        let until = match deadline {
            Deadline::At(time) => time,
            Deadline::Now | Deadline::Never => u64::MAX,
        };
        Self { thread: current.to_ref(), place, sleep: sleep_until(until) }
    }

    /// The current thread is in a queue of `place`; a call that is taken from there goes on waiting for
    /// its reply.
    pub(super) fn in_queue(place: &Ref<P>, current: &Current, deadline: Deadline) -> Self {
        Self::new(current, Some(place.clone()), deadline)
    }

    /// The current thread's call was taken at once.
    pub(super) fn for_reply(current: &Current, deadline: Deadline) -> Self {
        Self::new(current, None, deadline)
    }

    /// Ends the wait; in which phase it was. Out of the queue first: so whoever finds the thread there
    /// finds it waiting.
    fn cancel(&self) -> Phase {
        if let Some(place) = &self.place {
            place.forget(&self.thread);
        }
        self.thread.cancel_wait()
    }

    fn sleep(self: Pin<&mut Self>) -> Pin<&mut Sleep<'static>> {
        // SAFETY: the timer is pinned with the future; nothing moves it.
        unsafe { self.map_unchecked_mut(|this| &mut this.sleep) }
    }
}

impl<P: Place> Future for Waiting<P> {
    type Output = Outcome;

    /// Registers no waker but the deadline's: the thread itself is what a completer wakes.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        if self.thread.take_ready() {
            return Poll::Ready(Outcome::Written);
        }
        if self.sleep.deadline() == u64::MAX || self.as_mut().sleep().poll(context).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(match self.cancel() {
            Phase::Taken => Outcome::Answer(Err(Error::Unanswered)),
            // A partner was quicker.
            Phase::Ready | Phase::Idle => Outcome::Written,
            Phase::Queued | Phase::Claimed => Outcome::Answer(Err(Error::TimedOut)),
        })
    }
}

impl<P: Place> Drop for Waiting<P> {
    fn drop(&mut self) {
        if self.cancel() == Phase::Ready
            && let Some(place) = &self.place
        {
            place.unseen(&self.thread);
        }
    }
}
