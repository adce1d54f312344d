//! The leaf wait of a message operation or for signals, as a future in the thread's slot: it is ready
//! once a partner has written the answer into the thread's registers, or its deadline has come and nobody
//! will. Dropping it, when the thread is killed, cancels the wait.
//!
//! One without a deadline takes no more than two words, and can be ended by whoever has claimed it, without
//! being polled: see `fast_path`.

use core::{
    pin::Pin,
    ptr::NonNull,
    task::{Context, Poll},
};

use orbital_abi::{Deadline, Error};
use orbital_executor::timer::Sleep;

use super::deadlock::left;
use crate::{
    object::{Object, Ref},
    sched::{Completion, block, clock::sleep_until},
    thread::{BlockReason, Claim, Current, Outcome, Phase, Tcb, WaitingQueue},
};

/// Where threads queue.
pub(super) trait Place: Object {
    /// Takes a thread, which waits nowhere else, out of the queue that it is in, if it is in one: its wait
    /// is over.
    fn forget(&self, thread: &Tcb);

    /// A thread that waits nowhere else, and perhaps is still in a queue here, has another priority: it stands there by
    /// that from now on, behind its equals.
    fn stand_anew(&self, thread: &Tcb);

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

/// A wait that has begun, without a deadline.
pub(super) struct Waiting<P: Place> {
    /// In whose slot this lies, and so no longer than the thread itself.
    thread: NonNull<Tcb>,
    /// Where it is queued, unless it waits for a reply alone.
    place: Option<Ref<P>>,
}

/// It has a place's reference, and not the place itself.
impl<P: Place> Unpin for Waiting<P> {}

/// The same, with one. Pinned with its timer.
pub(super) struct WaitingUntil<P: Place> {
    waiting: Waiting<P>,
    sleep: Sleep<'static>,
}

/// The current thread has begun to wait: in a queue of `place`, or for the reply to a call that was taken at
/// once. A call that is taken from a queue goes on waiting for its reply. A wait for a reply to a call that must
/// not wait for a receiver has no end.
pub(super) fn wait<P: Place>(
    current: &Current,
    reason: BlockReason,
    place: Option<&Ref<P>>,
    deadline: Deadline,
) -> Completion {
    let waiting = Waiting::begun(current, place.cloned());
    match deadline {
        Deadline::At(time) => {
            block(current, reason, WaitingUntil { waiting, sleep: sleep_until(time) })
        }
        Deadline::Now | Deadline::Never => block(current, reason, waiting),
    }
}

impl<P: Place> Waiting<P> {
    /// What is to be put into the current thread's slot.
    pub(super) fn begun(current: &Current, place: Option<Ref<P>>) -> Self {
        Self { thread: NonNull::from(&**current), place }
    }

    pub(super) fn thread(&self) -> &Tcb {
        // SAFETY: this lies in the thread's slot.
        unsafe { self.thread.as_ref() }
    }

    /// Whether a partner has ended it.
    fn is_over(&mut self) -> bool {
        let is_ready = self.thread().take_ready();
        if is_ready {
            // Whoever has claimed the wait took the thread out of the queue. The note of what it waits for goes before the
            // place that it names.
            left(self.thread());
            drop(self.place.take());
            release(self.thread());
        }
        is_ready
    }

    /// Ends the wait; in which phase it was. Out of the queue first: so whoever finds the thread there
    /// finds it waiting.
    fn cancel(&self) -> Phase {
        if let Some(place) = &self.place {
            place.forget(self.thread());
        }
        release(self.thread());
        self.thread().cancel_wait()
    }

    /// Ends one that is over and was in no queue whose capability is [kept](release) for it, or by which a call came. For
    /// the thread's CPU.
    #[inline(always)]
    pub(super) fn end_over(self) {
        self.thread().end_claimed();
        self.ended();
    }

    /// Forgets a wait that whoever has claimed it has ended.
    pub(super) fn ended(mut self) {
        let place = self.place.take();
        core::mem::forget(self);
        drop(place);
    }
}

/// The thread does not wait in a queue any more: the capability by which it came may have been kept in its tree for it.
pub(super) fn release(thread: &Tcb) {
    if thread.process.table.lingers() {
        thread.process.reap_at(thread.priority());
    }
}

/// Where an operation's thread waits.
pub(super) trait Waits {
    /// Its thread has another priority.
    fn stand_anew(&self);
}

impl<P: Place> Waits for Waiting<P> {
    fn stand_anew(&self) {
        if let Some(place) = &self.place {
            place.stand_anew(self.thread());
        }
    }
}

impl<P: Place> Waits for WaitingUntil<P> {
    fn stand_anew(&self) {
        self.waiting.stand_anew();
    }
}

impl<P: Place> Future for Waiting<P> {
    type Output = Outcome;

    /// Registers no waker: the thread itself is what a completer wakes.
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Outcome> {
        match self.is_over() {
            true => Poll::Ready(Outcome::Written),
            false => Poll::Pending,
        }
    }
}

impl<P: Place> Future for WaitingUntil<P> {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        // SAFETY: the timer is pinned with this, and nothing moves it.
        let this = unsafe { self.get_unchecked_mut() };
        if this.waiting.is_over() {
            return Poll::Ready(Outcome::Written);
        }
        // SAFETY: as above.
        if unsafe { Pin::new_unchecked(&mut this.sleep) }.poll(context).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(match this.waiting.cancel() {
            Phase::Taken => Outcome::Answer(Err(Error::Unanswered)),
            // A partner was quicker.
            Phase::Ready | Phase::Idle => Outcome::Written,
            Phase::Queued | Phase::Claimed => Outcome::Answer(Err(Error::TimedOut)),
        })
    }
}

impl<P: Place> Drop for Waiting<P> {
    fn drop(&mut self) {
        // Most are over: the answer has been seen.
        if self.place.is_none() && self.thread().waits_for_nothing() {
            return;
        }
        if self.cancel() == Phase::Ready
            && let Some(place) = &self.place
        {
            place.unseen(self.thread());
        }
    }
}
