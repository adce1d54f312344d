//! Notifications: a word of signals, and the threads that wait for them.
//!
//! A signal adds bits to the word and never waits. Who waits takes all bits at once, and the word is
//! empty. So signals of the same bit coalesce, and none is lost. They come from threads, from timers
//! ([`timer`](super::timer)), and from devices (`irq`): [`Notification::signal`] needs no current thread
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
//! A notification may be **bound** to a thread ([`binding`](super::binding)), whose receives end by a signal, too. Such
//! a receive takes the bits that are there. Else it queues at its endpoint and notes here in which wait that is, under
//! this lock: a signal that comes then takes the thread off the endpoint's queue, unless a message was quicker. Who
//! waits for signals goes before. So a signal and a message that come at once are two receives, and both are there.

mod quick;

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use orbital_abi::{CapSlot, Deadline, Error, ObjectKind, Registers, Rights, message::IS_SIGNAL};
use orbital_executor::yield_now;
use spin::Mutex;

use super::{
    Endpoint,
    ending::{Endings, Ends},
    endpoint::Found,
    sweep::{self, Sweep, Sweeps, Swept},
    waiting::{Place, claim_first, wait},
};
use crate::{
    capability::Kept,
    object::{Cut, Header, Object, Paid, Quota, Ref},
    sched::Completion,
    thread::{BlockReason, Claim, Current, Phase, Sending, Tcb, WaitingQueue},
};

pub use quick::{signal_at_once, wait_at_once};

/// Those that are ending.
pub(super) static ENDINGS: Endings<Notification> = Endings::new();

/// A word of signals.
#[repr(C)]
pub struct Notification {
    header: Header,
    cut: Cut,
    /// Devices' lines or the log are bound to it, or were.
    is_source: AtomicBool,
    state: Mutex<State>,
}

unsafe extern "Rust" {
    /// Unbinds devices' lines and the log from a notification that has ended. In `irq`.
    safe fn orbital_notification_gone(notification: &Notification);
}

struct State {
    /// What was signalled and not taken.
    bits: u64,
    /// Who waits, by priority.
    waiters: WaitingQueue,
    sweeps: Sweeps,
    bound: Option<Bound>,
    /// The last capability is gone.
    closed: bool,
    /// Which notification ends after this one, while it ends.
    next_ending: Option<Ref<Notification>>,
}

/// The endpoint of a receive, and the number of that wait.
pub(super) type Receive = (Ref<Endpoint>, u64);

/// Whose receives end by a signal.
struct Bound {
    thread: Ref<Tcb>,
    /// Where it receives, or has received last.
    receives: Option<Receive>,
    /// The last wait that was ended by signals.
    given: Option<u64>,
    /// By what a revoke finds it; `None` where nobody can revoke the capability by which it was bound.
    kept: Option<Paid<Kept>>,
}

// SAFETY: `repr(C)`, and the header comes first.
unsafe impl Object for Notification {
    const KIND: Option<ObjectKind> = Some(ObjectKind::Notification);

    /// Nobody can signal or wait any more: everyone who waits is told.
    fn orphaned(&self) {
        self.unbind();
        ENDINGS.begin(self);
        // Who binds one now finds it closed.
        if self.is_source() {
            orbital_notification_gone(self);
        }
    }

    fn cut(&self) -> Option<&Cut> {
        Some(&self.cut)
    }
}

impl Place for Notification {
    fn forget(&self, thread: &Tcb) {
        // SAFETY: a thread that waits here is in this queue or, claimed, in none.
        let removed = unsafe { self.state.lock().waiters.remove(thread) };
        drop(removed);
    }

    fn stand_anew(&self, thread: &Tcb) {
        sweep::stand_anew(self, thread);
    }

    /// What it was given goes to someone else. Where it was told of the notification's end instead, there
    /// is nobody, and what is noted does not matter.
    fn unseen(&self, thread: &Tcb) {
        let _ = self.signal(thread.take_back_signals());
    }
}

impl Ends for Notification {
    const TOLD: Error = Error::NotificationGone;

    fn close(&self) -> bool {
        !core::mem::replace(&mut self.state.lock().closed, true)
    }

    fn claim_one(&self) -> Option<Claim> {
        claim_first(&mut self.state.lock().waiters)
    }

    fn is_ending(&self) -> bool {
        self.state.lock().closed
    }

    fn with_next<R>(&self, f: impl FnOnce(&mut Option<Ref<Self>>) -> R) -> R {
        f(&mut self.state.lock().next_ending)
    }
}

impl Swept for Notification {
    fn with_queues<R>(&self, f: impl FnOnce(&mut Sweeps, &mut [&mut WaitingQueue]) -> R) -> R {
        let State { waiters, sweeps, .. } = &mut *self.state.lock();
        f(sweeps, &mut [waiters])
    }
}

/// A signal whose receiver has been chosen, and is still to be told: with all bits, and what marks them.
#[must_use = "a chosen thread never wakes unless it is told"]
pub struct Posted(Option<(Claim, u64, u64)>);

impl Posted {
    /// Nobody is to be told.
    pub const NOBODY: Self = Self(None);

    /// Writes the bits to the chosen thread's registers, and wakes it. Without a lock.
    pub fn deliver(self) {
        if let Some((claim, bits, mark)) = self.0 {
            claim.give_signals(bits, mark);
        }
    }
}

impl Bound {
    /// Claims the thread's receive, if that goes on.
    #[cold]
    fn claim(&mut self) -> Option<Claim> {
        let (endpoint, wait) = self.receives.as_ref()?;
        let claim = endpoint.take_waiting(&self.thread, *wait)?;
        self.given = Some(claim.sequence());
        Some(claim)
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
            bound: None,
            sweeps: Sweeps::default(),
            closed: false,
            next_ending: None,
        };
        let (header, cut) = (Header::new::<Self>(), Cut::new());
        let is_source = AtomicBool::new(false);
        Ref::new_in(quota, Self { header, cut, is_source, state: Mutex::new(state) })
    }

    /// Tells all who wait by a capability that is gone, in steps. When nobody comes by such a one any more.
    pub async fn sweep(&self) {
        let sweep = Sweep::wanted(self);
        while sweep.step(self) {
            yield_now().await;
        }
    }

    /// A device's line or the log is about to be bound to it: its end, and revokes, are to be told.
    pub fn set_source(&self) {
        self.is_source.store(true, Relaxed);
    }

    /// Whether devices' lines or the log may be bound to it.
    pub fn is_source(&self) -> bool {
        self.is_source.load(Relaxed)
    }

    /// Whether its last capability is gone.
    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
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
    pub fn post(&self, bits: u64) -> Result<Posted, Error> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Error::NotificationGone);
        }
        state.bits |= bits;
        if state.bits == 0 {
            return Ok(Posted::NOBODY);
        }
        if let Some(claim) = claim_first(&mut state.waiters) {
            return Ok(Posted(Some((claim, core::mem::take(&mut state.bits), 0))));
        }
        let claim = state.bound.as_mut().and_then(Bound::claim);
        Ok(Posted(claim.map(|claim| (claim, core::mem::take(&mut state.bits), IS_SIGNAL))))
    }

    /// For a receive of the current thread: what `meet` finds at its endpoint or, before that, signals that are there for
    /// it. A wait that begins so ends by a signal, too. What was noted of an earlier one is put into `before`, to be
    /// dropped without a lock.
    pub(super) fn meet_or_take(
        &self,
        current: &Current,
        before: &mut Option<Receive>,
        meet: impl FnOnce() -> Result<Found, Error>,
    ) -> Result<Result<Found, u64>, Error> {
        let State { bits, bound, .. } = &mut *self.state.lock();
        let Some(bound) = bound.as_mut().filter(|bound| bound.thread.is(current)) else {
            return meet().map(Ok);
        };
        *before = bound.receives.take();
        if *bits != 0 {
            return Ok(Err(core::mem::take(bits)));
        }
        let found = meet()?;
        if let Found::Queued(endpoint, _) = &found {
            bound.receives = Some((endpoint.clone(), current.wait_number()));
        }
        Ok(Ok(found))
    }

    /// Lets its signals end the receives of `thread`. Under the lock of that thread's ties.
    ///
    /// # Errors
    /// [`Error::NotificationGone`]; [`Error::AlreadyBound`].
    pub(super) fn bind(&self, thread: &Ref<Tcb>, kept: Option<Paid<Kept>>) -> Result<(), Error> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Error::NotificationGone);
        }
        if state.bound.is_some() {
            return Err(Error::AlreadyBound);
        }
        state.bound = Some(Bound { thread: thread.clone(), receives: None, given: None, kept });
        Ok(())
    }

    /// Lets no receive end by its signals any more.
    pub(super) fn unbind(&self) {
        self.unbind_if(|_| true);
    }

    /// The same, if it was bound through a capability that was revoked since.
    pub fn unbind_revoked(&self) {
        self.unbind_if(|bound| bound.kept.as_ref().is_some_and(|kept| kept.is_revoked()));
    }

    fn unbind_if(&self, is_meant: impl FnOnce(&Bound) -> bool) {
        let bound = self.state.lock().bound.take_if(|bound| is_meant(bound));
        let Some(bound) = bound else { return };
        // One that has ended has no ties.
        let tie = bound.thread.with_ties(|ties| ties.notification.take_if(|tie| tie.is(self)));
        drop((tie, bound));
    }

    /// The same, if it is bound to `thread`, which has ended. Signals that it was given and has not seen go to someone
    /// else.
    pub(super) fn unbind_from(&self, thread: &Tcb) {
        let bound = self.state.lock().bound.take_if(|bound| bound.thread.is(thread));
        let Some(bound) = bound else { return };
        if thread.is_unseen() && bound.given == Some(thread.wait_number()) {
            let _ = self.signal(thread.take_back_signals());
        }
    }

    /// Takes all signals for the current thread by the capability in `slot`, or queues it until there are some: before
    /// anybody can take the capability away, for its table is locked.
    pub fn wait(current: &Current, slot: CapSlot, deadline: Deadline) -> Completion {
        let found = current.process.with_capability(slot, |capability| {
            let notification: &Self = capability.get(Rights::RECEIVE)?;
            let bits = notification.take_or_queue(current, deadline)?;
            if bits == 0 {
                capability.note_wait();
            }
            Ok::<_, Error>((bits, Ref::from_object(notification)))
        });
        match found.flatten() {
            Ok((0, notification)) => {
                wait(current, BlockReason::WaitingSignal, Some(&notification), deadline)
            }
            Ok((bits, _)) => Completion::answered(current, &Registers::control([bits, 0, 0, 0])),
            Err(error) => Completion::Failed(error),
        }
    }

    /// All signals; 0 where there are none, and the current thread is queued.
    fn take_or_queue(&self, current: &Current, deadline: Deadline) -> Result<u64, Error> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Error::NotificationGone);
        }
        let bits = core::mem::take(&mut state.bits);
        if bits != 0 {
            return Ok(bits);
        }
        if deadline == Deadline::Now {
            return Err(Error::WouldBlock);
        }
        current.begin_wait(Phase::Queued, Sending::Message, 0);
        state.waiters.insert(current.to_ref());
        Ok(0)
    }
}
