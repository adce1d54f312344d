//! Timers: each signals a notification at a time, once or again and again.
//!
//! ```text
//!               set                      due, without a period
//!   disarmed ─────────► armed, queued ─────────────────────────► disarmed, signalled
//!      ▲                 │  ▲      │
//!      └─────────────────┘  └──────┘
//!    set to never, closed   due: signalled, and armed for the first
//!                           deadline + k * period that has not passed
//! ```
//! **No drift.** A periodic timer's next time comes from its deadline, never from when it fired. Of times
//! that have passed when it fires, all but one are left out: they are one signal.
//!
//! **Firing.** The timer's node stands in the object, on the queue of the CPU that set it last or on which
//! it fired last ([`sched::timers`](crate::sched::timers)). That CPU's dispatcher comes to its queue at the
//! end of the call that set it, whatever becomes of the calling thread, and arms the interrupt. The
//! node's waker is a counted reference to the object with functions of its own: it fires without memory
//! and belongs to no task.
//!
//! **Races.** All of a timer stands under its lock, and each change is one turn of it: replace the
//! setting, move the node, signal if the time has come.
//!
//! - *Set against set:* one comes after the other, and each gives the time of the setting that it has
//!   replaced. The node is on one queue at most: arming takes it off another one first.
//! - *Set against fire:* a waker is on its way from when the queue let the node go. If a set comes first, the
//!   waker finds that the next time has not come, and does nothing; if it has come, the waker stands
//!   for it, and the new node's waker finds nothing. So a setting never fires late or twice, and the
//!   signal stands in the notification before the lock is free: after a set no signal of the setting before
//!   it comes.
//! - *Close against fire or set:* the last capability's end closes the timer and takes the node out.
//!   What comes after that finds it closed; a call that had looked the timer up is told that its
//!   capability was closed. The wakers that are on their way keep the memory.
//!
//! The timer has a reference to its notification, and no capability: when the notification's last one
//! goes, or the one is revoked by which the timer was made, the timer disarms itself the next time that it is due.

use core::{
    mem::ManuallyDrop,
    pin::Pin,
    ptr::NonNull,
    task::{RawWaker, RawWakerVTable, Waker},
};

use orbital_abi::{Error, ObjectKind};
use orbital_executor::timer::{Armed, NEVER, TimerNode, TimerQueue};
use spin::Mutex;

use super::notification::{Notification, Posted};
use crate::{
    arch::clock,
    capability::Kept,
    object::{Header, Object, Paid, Quota, Ref},
    sched::timers,
};

/// What signals a notification at a time.
#[repr(C)]
pub struct Timer {
    header: Header,
    notification: Ref<Notification>,
    /// By what a revoke finds that; `None` where nobody can revoke the capability to it.
    kept: Option<Paid<Kept>>,
    bits: u64,
    state: Mutex<State>,
}

struct State {
    /// When it fires next, in nanoseconds since boot; [`NEVER`] while it is disarmed.
    next: u64,
    /// In nanoseconds; 0 where it fires once.
    period: u64,
    /// On a queue while `next` is not [`NEVER`], unless the queue has let it go and its waker is on its way.
    node: TimerNode<'static>,
    /// The last capability is gone.
    closed: bool,
}

// SAFETY: `repr(C)`, and the header comes first.
unsafe impl Object for Timer {
    const KIND: Option<ObjectKind> = Some(ObjectKind::Timer);

    /// Nobody can set it any more, or wants its signals.
    fn orphaned(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.next = NEVER;
        let waker = state.node().cancel();
        drop(state);
        drop(waker);
    }
}

/// When and where something happens.
struct Moment {
    now: u64,
    queue: &'static TimerQueue,
}

impl Moment {
    /// Here and now, and not before the time that the queue was told: what is armed for later is not due
    /// at once. Asked for before a lock is taken, as the machine is asked.
    fn here() -> Self {
        let queue = timers::queue();
        Self { now: clock::nanoseconds().max(queue.now()), queue }
    }
}

impl State {
    fn node(&mut self) -> Pin<&mut TimerNode<'static>> {
        // SAFETY: the node lies in a timer, which never moves, and nobody moves it out of there.
        unsafe { Pin::new_unchecked(&mut self.node) }
    }
}

impl Timer {
    /// A timer that is not armed, and will signal `bits`; paid by `quota`.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub fn new(
        (notification, kept): (Ref<Notification>, Option<Paid<Kept>>),
        bits: u64,
        quota: &Ref<Quota>,
    ) -> Result<Ref<Self>, Error> {
        let state = State { next: NEVER, period: 0, node: TimerNode::new(), closed: false };
        let state = Mutex::new(state);
        Ref::new_in(quota, Self { header: Header::new::<Self>(), notification, kept, bits, state })
    }

    /// Lets it fire at `deadline`, at once where that has passed and never where it is [`NEVER`], and
    /// then every `period` nanoseconds where that is not 0, in place of what was set before. Gives when
    /// it would have fired next, [`NEVER`] where it was not armed.
    ///
    /// # Errors
    /// [`Error::StaleCapability`] when its last capability has just been closed; [`Error::Revoked`] when that to the
    /// notification was revoked.
    pub fn set(&self, deadline: u64, period: u64) -> Result<u64, Error> {
        let moment = Moment::here();
        let mut state = self.state.lock();
        if state.closed {
            return Err(Error::StaleCapability);
        }
        if self.is_revoked() {
            return Err(Error::Revoked);
        }
        let before = core::mem::replace(&mut state.next, deadline);
        state.period = period;
        let posted = self.settle(&mut state, &moment);
        drop(state);
        posted.deliver();
        Ok(before)
    }

    /// Whether the capability is gone through which it signals.
    fn is_revoked(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.is_revoked())
    }

    /// Its node's time has come.
    fn fire(&self) {
        let moment = Moment::here();
        let mut state = self.state.lock();
        // Otherwise it was set anew meanwhile, or closed.
        if state.next > moment.now {
            return;
        }
        let posted = self.settle(&mut state, &moment);
        drop(state);
        posted.deliver();
    }

    /// Signals if the time has come, and queues the node for the next time if there is one.
    fn settle(&self, state: &mut State, moment: &Moment) -> Posted {
        let is_due = state.next <= moment.now;
        if is_due {
            state.next = following(state.next, state.period, moment.now);
        }
        self.arm(state, moment.queue);
        if !is_due {
            return Posted::NOBODY;
        }
        // Last: who was chosen is told at once.
        let posted = match self.is_revoked() {
            true => Err(Error::Revoked),
            false => self.notification.post(self.bits),
        };
        posted.unwrap_or_else(|_| {
            state.next = NEVER;
            self.arm(state, moment.queue);
            Posted::NOBODY
        })
    }

    fn arm(&self, state: &mut State, queue: &'static TimerQueue) {
        let next = state.next;
        // The wakers that are dropped in there are not the last references: the caller has one.
        let armed = state.node().arm(queue, next, &self.waker());
        debug_assert_ne!(armed, Armed::Due, "a time after now is after the queue's");
    }

    /// A waker that counts no reference. Clones of it do.
    fn waker(&self) -> ManuallyDrop<Waker> {
        // SAFETY: the functions do what `RawWaker` asks, for pointers to timers.
        ManuallyDrop::new(unsafe { Waker::from_raw(raw(NonNull::from(self))) })
    }
}

/// The first `next + k * period` after `now`; `next` has passed.
fn following(next: u64, period: u64, now: u64) -> u64 {
    let Some(missed) = (now - next).checked_div(period) else { return NEVER };
    // No time is as late as the last of them: an overflow is never.
    let step = (missed + 1).checked_mul(period);
    step.and_then(|step| next.checked_add(step)).unwrap_or(NEVER)
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, release);

fn raw(timer: NonNull<Timer>) -> RawWaker {
    RawWaker::new(timer.as_ptr().cast_const().cast(), &VTABLE)
}

fn pointer(data: *const ()) -> NonNull<Timer> {
    // SAFETY: only `raw` makes wakers with these functions, from pointers that are not null.
    unsafe { NonNull::new_unchecked(data.cast_mut().cast()) }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the waker that is cloned has a reference, or is borrowed from someone who has one.
    let timer = Ref::from_object(unsafe { pointer(data).as_ref() });
    raw(timer.into_raw())
}

unsafe fn wake(data: *const ()) {
    // SAFETY: takes back what `clone` gave away; it is kept until the timer has fired.
    unsafe { Ref::from_raw(pointer(data)) }.fire();
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: the waker has a reference.
    unsafe { pointer(data).as_ref() }.fire();
}

unsafe fn release(data: *const ()) {
    // SAFETY: takes back what `clone` gave away.
    drop(unsafe { Ref::from_raw(pointer(data)) });
}

#[cfg(test)]
mod tests {
    use super::{NEVER, following};

    #[test]
    fn the_next_time_is_the_first_that_has_not_passed() {
        for (next, period, now, expected) in [
            (100, 10, 100, 110),
            (100, 10, 109, 110),
            (100, 10, 110, 120),
            (100, 10, 1_000_004, 1_000_010),
            (0, 7, u64::MAX - 1, NEVER),
            (100, 0, 100, NEVER),
            (100, u64::MAX, 100, NEVER),
            (100, u64::MAX - 101, 100, u64::MAX - 1),
            (u64::MAX - 1, 1, u64::MAX - 1, NEVER),
        ] {
            assert_eq!(following(next, period, now), expected, "{next} {period} {now}");
        }
    }
}
