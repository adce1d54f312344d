//! Endpoints: where senders and receivers meet.
//!
//! An endpoint has waiting senders or waiting receivers, never both. Who comes and finds a partner
//! claims it, moves the message from register to register and from page to page, and wakes it; who finds none queues
//! itself and waits in its slot. The lock covers the queues alone: it is taken with no other held but those of the
//! table by whose capability someone comes and of the notification that is bound to it, and of the receiver's table where
//! capabilities go there; under it none is taken but a derivation tree's, for those.

mod at_once;
mod bound;
mod passing;
mod place;
mod queues;

use orbital_abi::{
    CapSlot, Deadline, Error, Fault, Message, ObjectKind, Rights, Tag, fault::FaultMessage,
};
use orbital_executor::yield_now;
use queues::Queues;

use super::{
    ending::Endings,
    flow,
    reply::Expects,
    sweep::Sweep,
    transfer,
    waiting::{Waiting, claim_first, wait},
};
use crate::{
    capability::Held,
    lock::Mutex,
    object::{Cut, Header, Object, Quota, Ref},
    sched::{Completion, leave_slice_to},
    thread::{BlockReason, Claim, Current, Phase, Relent, Sending, Tcb},
};

/// Those that are ending.
pub(super) static ENDINGS: Endings<Endpoint> = Endings::new();

/// A communication point.
#[repr(C)]
pub struct Endpoint {
    header: Header,
    cut: Cut,
    queues: Mutex<Queues>,
}

// SAFETY: `repr(C)`, and the header comes first.
unsafe impl Object for Endpoint {
    const KIND: Option<ObjectKind> = Some(ObjectKind::Endpoint);

    /// Nobody can come any more: everyone who waits is told.
    fn orphaned(&self) {
        self.deserted();
    }

    /// Nobody will ever receive here: who waits for that is told, and so is whoever comes. Who waits to receive as his
    /// capability goes is told, too.
    fn deserted(&self) {
        ENDINGS.begin(self);
        // Who binds it from here on finds it closed.
        self.unbind();
    }

    fn cut(&self) -> Option<&Cut> {
        Some(&self.cut)
    }
}

/// What an endpoint had for someone who came.
pub(super) enum Found {
    Partner(Claim),
    /// Nobody; the comer is queued there now. With that, something else may be lent: to be announced when its table is
    /// unlocked.
    Queued(Ref<Endpoint>, Relent),
    /// Nobody, and a call at this endpoint, which is bound, has to be [looked at](Endpoint::call_bound) first.
    Bound(Ref<Endpoint>),
}

impl Found {
    /// Where the comer waits, once its table is unlocked; or its partner.
    #[inline(always)]
    pub(super) fn queued(self) -> Result<Ref<Endpoint>, Claim> {
        match self {
            Self::Partner(claim) => Err(claim),
            Self::Queued(endpoint, relent) => {
                relent.announce();
                Ok(endpoint)
            }
            Self::Bound(endpoint) => Ok(endpoint),
        }
    }
}

/// Which of the two queues.
#[derive(Clone, Copy)]
pub(super) enum Side {
    /// With what they send, and its tag.
    Senders(Sending, Tag),
    /// With how many capabilities they accept.
    Receivers(usize),
}

impl Side {
    /// A trace is told what a sender sends.
    #[inline(always)]
    fn trace(self, current: &Current) {
        if let Self::Senders(sending, _) = self {
            flow::sends(current, sending);
        }
    }
}

impl Endpoint {
    /// An endpoint, paid by `quota`.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub fn new(quota: &Ref<Quota>) -> Result<Ref<Self>, Error> {
        let endpoint = Self {
            header: Header::new::<Self>(),
            cut: Cut::new(),
            queues: Mutex::new(Queues::new()),
        };
        Ref::new_in(quota, endpoint)
    }

    /// Whether nobody can receive here any more.
    pub fn is_over(&self) -> bool {
        self.queues.lock().closed
    }

    /// Tells all who wait by a capability that is gone, in steps. When nobody comes by such a one any more.
    pub async fn sweep(&self) {
        let sweep = Sweep::wanted(self);
        while sweep.step(self) {
            yield_now().await;
        }
    }

    /// Takes a partner off the other queue, or puts the comer into its own. It comes by a capability, whose table is
    /// locked, unless its fault sends it.
    pub(super) fn meet(
        &self,
        current: &Current,
        by: Option<Held<'_>>,
        own: Side,
        deadline: Deadline,
    ) -> Result<Found, Error> {
        self.meet_if(current, by, own, deadline, |partner| match own {
            Side::Senders(_, tag)
                if transfer::is_more(tag) && !transfer::has_room(partner, tag) =>
            {
                Err(Error::NoRoom)
            }
            _ => Ok(()),
        })
    }

    /// The same, where `admit`, which is called under the lock, says whether it may be this partner.
    #[inline(always)]
    fn meet_if(
        &self,
        current: &Current,
        by: Option<Held<'_>>,
        own: Side,
        deadline: Deadline,
        admit: impl FnOnce(&Tcb) -> Result<(), Error>,
    ) -> Result<Found, Error> {
        let (sending, accepts) = match own {
            Side::Senders(sending, tag) => (sending, tag.accepted()),
            Side::Receivers(accepts) => (Sending::Message, accepts),
        };
        let mut queues = self.queues.lock();
        if queues.closed {
            return Err(Error::EndpointGone);
        }
        let Queues { senders, receivers, bound, .. } = &mut *queues;
        if matches!(own, Side::Receivers(_)) && bound.as_ref().is_some_and(|it| !it.is(current)) {
            return Err(Error::BoundToAnother);
        }
        let (mine, others) = match own {
            Side::Senders(..) => (senders, receivers),
            Side::Receivers(_) => (receivers, senders),
        };
        // Whoever stands in the queue waits: who cancels that leaves it first.
        if let Some(first) = others.first() {
            admit(first)?;
        }
        if let Some(partner) = claim_first(others) {
            queues.lend().settled();
            own.trace(current);
            return Ok(Found::Partner(partner));
        }
        if deadline == Deadline::Now {
            return Err(Error::WouldBlock);
        }
        if bound.is_some() && sending == Sending::Call && !current.is_queued_at_bound() {
            return Ok(Found::Bound(Ref::from_object(self)));
        }
        own.trace(current);
        current.begin_wait(Phase::Queued, sending, accepts);
        mine.insert(current.to_ref());
        let relent = queues.lend();
        drop(queues);
        if let Some(capability) = by {
            capability.note_wait();
        }
        Ok(Found::Queued(Ref::from_object(self), relent))
    }

    /// Runs `meet` on the endpoint that `slot` of the current process names; gives the capability's badge, too. Whoever
    /// is queued is so before anybody can take the capability away: the table is locked.
    pub(super) fn meet_at<T>(
        current: &Current,
        slot: CapSlot,
        needed: Rights,
        meet: impl FnOnce(&Self, Held<'_>) -> Result<T, Error>,
    ) -> Result<(T, u64), Error> {
        let met = current.process.with_capability(slot, |capability| {
            let endpoint = capability.get(needed)?;
            Ok((meet(endpoint, capability)?, capability.badge()))
        });
        met?
    }

    /// Sends `message` from the current thread by the capability in `slot`; it stands in its registers and its page,
    /// too, where a receiver that comes later finds it.
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
        if message.tag.capabilities() > 0 {
            return Self::send_and_pass(current, slot, own, message, deadline);
        }
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
        match found {
            Ok(found) => Self::sent(current, found, message, sending, deadline, |_| CapSlot::NULL),
            Err(error) => Completion::Failed(error),
        }
    }

    /// The current thread's message was handed to the receiver that is found, which `first` tells where its capabilities
    /// are, or waits for one.
    #[inline(always)]
    fn sent(
        current: &Current,
        (found, badge): (Found, u64),
        message: &Message,
        sending: Sending,
        deadline: Deadline,
        first: impl FnOnce(&Claim) -> CapSlot,
    ) -> Completion {
        let is_call = sending == Sending::Call;
        match found.queued() {
            Err(claim) => {
                let first = first(&claim);
                if !is_call {
                    hand(current, claim, badge, message, sending, first);
                    return Completion::done(current);
                }
                let receiver = claim.thread().clone();
                hand(current, claim, badge, message, sending, first);
                let reason = BlockReason::WaitingReply { from: None };
                let waits = wait::<Self>(current, reason, None, deadline);
                // Its deadline may have come by now.
                if let Completion::Blocked = waits {
                    leave_slice_to(receiver);
                }
                waits
            }
            Ok(endpoint) => {
                let reason = match is_call {
                    false => BlockReason::Sending,
                    true => BlockReason::WaitingReply { from: None },
                };
                wait(current, reason, Some(&endpoint), deadline)
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
        match endpoint.meet(current, None, own, Deadline::Never).ok()?.queued() {
            Ok(endpoint) => Some(Waiting::begun(current, Some(endpoint))),
            Err(claim) => {
                let message = FaultMessage { fault: *fault, thread: current.id.0 }.encode();
                leave_slice_to(claim.thread().clone());
                hand(current, claim, badge, &message, Sending::Fault, CapSlot::NULL);
                Some(Waiting::begun(current, None))
            }
        }
    }
}

/// Gives the current thread's message to a receiver that has waited for it, and has the capabilities already: `first` is
/// the slot of the first one.
fn hand(
    current: &Current,
    receiver: Claim,
    badge: u64,
    message: &Message,
    sending: Sending,
    first: CapSlot,
) {
    let displaced = match sending {
        Sending::Message => None,
        Sending::Call | Sending::Fault => {
            let wait = current.begin_wait(Phase::Taken, sending, message.tag.accepted());
            receiver.owe(current.to_ref(), wait)
        }
    };
    if message.tag.is_long()
        && let (Some(from), Some(to)) = (current.message_page(), receiver.message_page())
    {
        transfer::copy_long(message.tag, from, to);
    }
    flow::receives(receiver.thread(), current, sending);
    receiver.complete(Ok(transfer::delivered(badge, message, sending, first)));
    drop(displaced);
}
