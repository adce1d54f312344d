//! Notifications: a word of signals, and the threads that wait for them.
//!
//! A signal adds bits to the word and never waits. Who waits takes all bits at once, and the word is
//! empty. So signals of the same bit coalesce, and none is lost. They come from threads, from timers
//! ([`timer`](super::timer)), and later from interrupts: [`Notification::signal`] needs no current thread
//! and no memory, and takes a few instructions under the lock.
//!
//! ```text
//!              signal                    signal
//!   waiters ◄────────── empty, nobody ──────────► bits
//!      │   wait     ▲ ▲     │     ▲                │
//!      └────────────┘ └─────┘     └────────────────┘
//!    signal: the first        wait or poll: takes
//!    of them takes all             all of them
//! ```
//! There are bits or threads that wait, never both. A signal that finds a thread takes it off the queue
//! and claims its wait ([`thread::wait`](crate::thread::wait)) under the lock, then writes the bits to its
//! registers and wakes it outside of the lock. Whoever cancels a wait takes the thread off the queue
//! under the lock before it touches the word of the wait. So for a thread that was chosen:
//!
//! - A deadline that comes afterwards finds the wait claimed or ready. It waits until it is ready, some
//!   instructions, and the thread takes the bits.
//! - A kill finds the same, and the thread will not see the bits. They are noted in its TCB, and its CPU
//!   signals them again (`unseen`): they go to the next thread that waits, or back to the word.
//! - A suspended thread keeps the bits until it is resumed, as it does a message.
//!
//! When the last capability goes, everybody who waits is told. A signal that was on its way finds the
//! notification closed.
//!
//! **Binding** a notification to a thread, so that a receive ends by a signal too, comes later: then
//! `post` looks for the bound thread first, and claims its wait at an endpoint.

use orbital_abi::{Deadline, Error, ObjectKind, Registers};
use orbital_executor::yield_now;
use spin::Mutex;

use super::{
    sweep::{Sweep, Sweeps, Swept},
    waiting::{Place, claim_first, wait},
};
use crate::{
    object::{Header, Object, Quota, Ref},
    sched::Completion,
    thread::{BlockReason, Claim, Current, Phase, Sending, Tcb, WaitingQueue},
};

/// A word of signals.
#[repr(C)]
pub struct Notification {
    header: Header,
    state: Mutex<State>,
}

struct State {
    /// What was signalled and not taken.
    bits: u64,
    /// Who waits, first come, first served.
    waiters: WaitingQueue,
    sweeps: Sweeps,
    /// The last capability is gone.
    closed: bool,
}

// SAFETY: `repr(C)`, and the header comes first.
unsafe impl Object for Notification {
    const KIND: Option<ObjectKind> = Some(ObjectKind::Notification);

    /// Nobody can signal or wait any more: everyone who waits is told.
    fn orphaned(&self) {
        while let Some(claim) = self.close_one() {
            claim.complete(Err(Error::NotificationGone));
        }
    }
}

impl Place for Notification {
    fn forget(&self, thread: &Tcb) {
        // SAFETY: a thread that waits here is in this queue or, claimed, in none.
        let removed = unsafe { self.state.lock().waiters.remove(thread) };
        drop(removed);
    }

    /// What it was given goes to someone else. Where it was told of the notification's end instead, there
    /// is nobody, and what is noted does not matter.
    fn unseen(&self, thread: &Tcb) {
        let _ = self.signal(thread.take_back_signals());
    }
}

impl Swept for Notification {
    fn with_queues<R>(&self, f: impl FnOnce(&mut Sweeps, &mut [&mut WaitingQueue]) -> R) -> R {
        let State { waiters, sweeps, .. } = &mut *self.state.lock();
        f(sweeps, &mut [waiters])
    }
}

/// A signal whose receiver has been chosen, and is still to be told.
#[must_use = "a chosen thread never wakes unless it is told"]
pub(super) struct Posted(Option<(Claim, u64)>);

impl Posted {
    /// Nobody is to be told.
    pub(super) const NOBODY: Self = Self(None);

    /// Writes the bits to the chosen thread's registers, and wakes it. Without a lock.
    pub(super) fn deliver(self) {
        if let Some((claim, bits)) = self.0 {
            claim.give_signals(bits);
        }
    }
}

impl Notification {
    /// A notification without signals, paid by `quota`.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub fn new(quota: &Ref<Quota>) -> Result<Ref<Self>, Error> {
        let state = State {
            bits: 0,
            waiters: WaitingQueue::new(),
            sweeps: Sweeps::default(),
            closed: false,
        };
        Ref::new_in(quota, Self { header: Header::new::<Self>(), state: Mutex::new(state) })
    }

    /// Tells all who wait by a capability that is gone, in steps. When nobody comes by such a one any more.
    pub async fn sweep(&self) {
        let sweep = Sweep::wanted(self);
        while sweep.step(self) {
            yield_now().await;
        }
    }

    fn close_one(&self) -> Option<Claim> {
        let mut state = self.state.lock();
        state.closed = true;
        claim_first(&mut state.waiters)
    }

    /// Adds `bits` to the word; the first thread that waits takes them. From any CPU, with no lock held,
    /// with or without a current thread, and in no more than a few steps.
    ///
    /// # Errors
    /// [`Error::NotificationGone`] when the last capability has gone.
    pub fn signal(&self, bits: u64) -> Result<(), Error> {
        self.post(bits)?.deliver();
        Ok(())
    }

    /// The first half of [`Notification::signal`], which may be done under a lock that no waker's way
    /// crosses: afterwards the signal has happened. The other half has to follow soon, as a CPU may spin
    /// for it.
    ///
    /// # Errors
    /// As [`Notification::signal`].
    pub(super) fn post(&self, bits: u64) -> Result<Posted, Error> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Error::NotificationGone);
        }
        state.bits |= bits;
        if state.bits == 0 {
            return Ok(Posted::NOBODY);
        }
        let claim = claim_first(&mut state.waiters);
        Ok(Posted(claim.map(|claim| (claim, core::mem::take(&mut state.bits)))))
    }

    /// Takes all signals for the current thread, or queues it until there are some.
    pub fn wait(notification: &Ref<Self>, current: &Current, deadline: Deadline) -> Completion {
        let mut state = notification.state.lock();
        if state.closed {
            return Completion::Done(Err(Error::NotificationGone));
        }
        if state.bits != 0 {
            let bits = core::mem::take(&mut state.bits);
            return Completion::Done(Ok(Registers::control([bits, 0, 0, 0])));
        }
        if deadline == Deadline::Now {
            return Completion::Done(Err(Error::WouldBlock));
        }
        current.begin_wait(Phase::Queued, Sending::Message);
        state.waiters.insert(current.to_ref());
        drop(state);
        wait(current, BlockReason::WaitingSignal, Some(notification), deadline)
    }
}
