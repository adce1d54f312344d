//! Endpoints: where senders and receivers meet.
//!
//! An endpoint has waiting senders or waiting receivers, never both. Who comes and finds a partner
//! claims it, moves the message from register to register and from page to page, and wakes it; who finds none queues
//! itself and waits in its slot. The lock covers the queues alone: it is taken with no other held but those of the
//! table by whose capability someone comes and of the notification that is bound to it, and none is taken under it.

mod bound;

use orbital_abi::{
    CapSlot, Deadline, Error, Fault, IpcError, Message, ObjectKind, Rights, Tag,
    fault::FaultMessage,
};
use orbital_executor::yield_now;
use spin::Mutex;

use super::{
    deadlock::left,
    reply::Expects,
    sweep::{Sweep, Sweeps, Swept},
    transfer,
    waiting::{Place, Waiting, claim_first, wait},
};
use crate::{
    capability::Held,
    lock::lock,
    object::{Header, Object, Quota, Ref},
    sched::Completion,
    thread::{BlockReason, Claim, Current, Phase, Sending, Tcb, WaitingQueue},
};

/// A communication point.
#[repr(C)]
pub struct Endpoint {
    header: Header,
    queues: Mutex<Queues>,
}

struct Queues {
    senders: WaitingQueue,
    receivers: WaitingQueue,
    /// The only one that may receive.
    bound: Option<Ref<Tcb>>,
    sweeps: Sweeps,
    /// The last capability is gone.
    closed: bool,
}

// SAFETY: `repr(C)`, and the header comes first.
unsafe impl Object for Endpoint {
    const KIND: Option<ObjectKind> = Some(ObjectKind::Endpoint);

    /// Nobody can come any more: everyone who waits is told.
    fn orphaned(&self) {
        self.unbind();
        while let Some(claim) = self.close_one() {
            claim.complete(Err(Error::EndpointGone));
        }
    }
}

impl Place for Endpoint {
    fn forget(&self, thread: &Tcb) {
        let mut queues = self.queues.lock();
        let Queues { senders, receivers, .. } = &mut *queues;
        // One of the two is empty, always.
        let queue = if senders.is_empty() { receivers } else { senders };
        // SAFETY: a thread that waits here is in the queue that is not empty or, claimed, in none.
        let removed = unsafe { queue.remove(thread) };
        drop(queues);
        drop(removed);
        left(thread);
    }

    /// Perhaps signals, which are given back as the thread is unbound.
    fn unseen(&self, thread: &Tcb) {
        thread.set_unseen();
    }
}

impl Swept for Endpoint {
    fn with_queues<R>(&self, f: impl FnOnce(&mut Sweeps, &mut [&mut WaitingQueue]) -> R) -> R {
        let Queues { senders, receivers, sweeps, .. } = &mut *self.queues.lock();
        f(sweeps, &mut [senders, receivers])
    }
}

/// What an endpoint had for someone who came.
pub(super) enum Found {
    Partner(Claim),
    /// Nobody; the comer is queued there now.
    Queued(Ref<Endpoint>),
    /// Nobody, and a call at this endpoint, which is bound, has to be [looked at](Endpoint::call_bound) first.
    Bound(Ref<Endpoint>),
}

/// Which of the two queues.
#[derive(Clone, Copy)]
pub(super) enum Side {
    /// With what they send, and its tag.
    Senders(Sending, Tag),
    Receivers,
}

impl Endpoint {
    /// An endpoint, paid by `quota`.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub fn new(quota: &Ref<Quota>) -> Result<Ref<Self>, Error> {
        let endpoint = Self {
            header: Header::new::<Self>(),
            queues: Mutex::new(Queues {
                senders: WaitingQueue::new(),
                receivers: WaitingQueue::new(),
                bound: None,
                sweeps: Sweeps::default(),
                closed: false,
            }),
        };
        Ref::new_in(quota, endpoint)
    }

    /// Tells all who wait by a capability that is gone, in steps. When nobody comes by such a one any more.
    pub async fn sweep(&self) {
        let sweep = Sweep::wanted(self);
        while sweep.step(self) {
            yield_now().await;
        }
    }

    fn close_one(&self) -> Option<Claim> {
        let mut queues = self.queues.lock();
        queues.closed = true;
        let Queues { senders, receivers, .. } = &mut *queues;
        claim_first(senders).or_else(|| claim_first(receivers))
    }

    /// Takes a partner off the other queue, or puts the comer into its own. It comes by a capability, whose table is
    /// locked, unless its fault sends it.
    pub(super) fn meet(
        &self,
        current: &Current,
        by: Option<Held<'_>>,
        own: Side,
        deadline: Deadline,
    ) -> Result<Found, IpcError> {
        let (sending, tag) = match own {
            Side::Senders(sending, tag) => (sending, tag),
            Side::Receivers => (Sending::Message, Tag::default()),
        };
        let mut queues = self.queues.lock();
        if queues.closed {
            return Err(IpcError::EndpointGone);
        }
        let Queues { senders, receivers, bound, .. } = &mut *queues;
        if matches!(own, Side::Receivers) && bound.as_ref().is_some_and(|it| !it.is(current)) {
            return Err(IpcError::BoundToAnother);
        }
        let (mine, others) = match own {
            Side::Senders(..) => (senders, receivers),
            Side::Receivers => (receivers, senders),
        };
        // Whoever stands in the queue waits: who cancels that leaves it first.
        if tag.is_long() && others.first().is_some_and(|first| !first.has_message_page()) {
            return Err(IpcError::NoRoom);
        }
        if let Some(partner) = claim_first(others) {
            return Ok(Found::Partner(partner));
        }
        if deadline == Deadline::Now {
            return Err(IpcError::WouldBlock);
        }
        if bound.is_some() && sending == Sending::Call && !current.is_queued_at_bound() {
            return Ok(Found::Bound(Ref::from_object(self)));
        }
        current.begin_wait(Phase::Queued, sending);
        mine.insert(current.to_ref());
        if let Some(capability) = by {
            capability.note_wait();
        }
        Ok(Found::Queued(Ref::from_object(self)))
    }

    /// Runs `meet` on the endpoint that `slot` of the current process names; gives the capability's badge, too. Whoever
    /// is queued is so before anybody can take the capability away: the table is locked.
    pub(super) fn meet_at<T>(
        current: &Current,
        slot: CapSlot,
        needed: Rights,
        meet: impl FnOnce(&Self, Held<'_>) -> Result<T, IpcError>,
    ) -> Result<(T, u64), Error> {
        let met = current.process.with_capability(slot, |capability| {
            let endpoint = capability.get(needed)?;
            Ok((meet(endpoint, capability)?, capability.badge()))
        });
        met?
    }

    /// Sends `message` from the current thread by the capability in `slot`; the words stand
    /// in its registers too, where a receiver that comes later finds them.
    pub fn send(
        current: &Current,
        slot: CapSlot,
        message: &Message,
        expects: Expects,
        deadline: Deadline,
    ) -> Completion {
        let sending = match expects {
            Expects::Nothing => Sending::Message,
            Expects::Reply => Sending::Call,
        };
        let own = Side::Senders(sending, message.tag);
        let meet = || {
            Self::meet_at(current, slot, Rights::SEND, |endpoint, capability| {
                current.set_badge(capability.badge());
                endpoint.meet(current, Some(capability), own, deadline)
            })
        };
        let found = match meet() {
            Ok((Found::Bound(endpoint), _)) => endpoint.call_bound(current, meet),
            found => found,
        };
        let (claim, badge) = match found {
            Err(error) => return Completion::Done(Err(error)),
            Ok((Found::Partner(claim), badge)) => (claim, badge),
            Ok((Found::Queued(endpoint) | Found::Bound(endpoint), _)) => {
                let reason = match expects {
                    Expects::Nothing => BlockReason::Sending,
                    Expects::Reply => BlockReason::WaitingReply { from: None },
                };
                return wait(current, reason, Some(&endpoint), deadline);
            }
        };
        hand(current, claim, badge, message, sending);
        match expects {
            Expects::Nothing => Completion::Done(Ok(Default::default())),
            Expects::Reply => {
                let reason = BlockReason::WaitingReply { from: None };
                wait::<Self>(current, reason, None, deadline)
            }
        }
    }

    /// Sends word of the current thread's fault, to be answered like a call. `None` when nobody can receive
    /// any more.
    pub(super) fn send_fault(
        endpoint: &Ref<Self>,
        current: &Current,
        badge: u64,
        fault: &Fault,
    ) -> Option<Waiting<Self>> {
        current.set_fault(badge, fault);
        let own = Side::Senders(Sending::Fault, Tag::default());
        match endpoint.meet(current, None, own, Deadline::Never).ok()? {
            Found::Queued(endpoint) | Found::Bound(endpoint) => {
                Some(Waiting::begun(current, Some(endpoint)))
            }
            Found::Partner(claim) => {
                let message = FaultMessage { fault: *fault, thread: current.id.0 }.encode();
                hand(current, claim, badge, &message, Sending::Fault);
                Some(Waiting::begun(current, None))
            }
        }
    }

    /// Takes the first receiver, if there is one and `choose` takes it, whose wait is over then: with what
    /// that gave. `choose` is called under the lock.
    #[inline]
    pub(super) fn take_receiver<T>(
        &self,
        choose: impl FnOnce(&Tcb) -> Option<T>,
    ) -> Option<(Ref<Tcb>, T)> {
        let mut queues = lock(&self.queues);
        let chosen = choose(queues.receivers.first()?)?;
        let thread = queues.receivers.pop_front()?;
        thread.end_claimed();
        Some((thread, chosen))
    }

    /// Lets the current thread wait for a message, if none waits for it, and `prepare` gives a reference to it.
    /// That is called under the lock, and is all that can fail.
    #[inline]
    pub(super) fn queue_receiver(
        &self,
        current: &Current,
        prepare: impl FnOnce() -> Option<Ref<Tcb>>,
    ) -> Option<()> {
        let mut queues = lock(&self.queues);
        if queues.closed || !queues.senders.is_empty() {
            return None;
        }
        if queues.bound.as_ref().is_some_and(|bound| !bound.is(current)) {
            return None;
        }
        let thread = prepare()?;
        current.begin_wait(Phase::Queued, Sending::Message);
        queues.receivers.insert(thread);
        Some(())
    }
}

/// Gives the current thread's message to a receiver that has waited for it.
fn hand(current: &Current, receiver: Claim, badge: u64, message: &Message, sending: Sending) {
    let displaced = match sending {
        Sending::Message => None,
        Sending::Call | Sending::Fault => {
            receiver.owe(current.to_ref(), current.begin_wait(Phase::Taken, sending))
        }
    };
    if message.tag.is_long() {
        transfer::copy_long(message.tag, current.message_page(), receiver.message_page());
    }
    receiver.complete(Ok(transfer::delivered(badge, message, sending)));
    drop(displaced);
}
