//! Priorities that are lent: whoever has to answer a call is as urgent as its caller, if that is more than its own
//! priority; and so is whoever an endpoint is bound to, for all who wait there to be received. So nobody who is less
//! urgent than the caller keeps it waiting. What is lent is lent on, along a chain of calls; a reply that is kept
//! lends nothing to anybody.
//!
//! ```text
//!   client:30 ──call──► server:10 ──call──► disk:5          what each shall have: 30, 30, 30
//!   client is given 20, or killed:
//!       its CPU: 20 beside its call, request ──► server's CPU: 20, the same ──► disk's CPU
//! ```
//! A thread has three priorities: its own ([`wanted_priority`](Tcb::wanted_priority)); that which it shall have,
//! [`due_priority`](Tcb::due_priority), the highest of its own and what is lent to it; and that by which it is scheduled,
//! [`priority`](Tcb::priority). What is lent stands in one word with the caller, or is kept under the endpoint's lock, so
//! it can't be lent by one who has gone. Its CPU alone makes the third what the second is: as the thread becomes ready,
//! as it takes or answers a call itself, and when it is asked to, as for all that is [asked](super::control) of a thread. So
//! every change is a request to one CPU, which makes the next one, if that thread waits for another: a chain is followed
//! by messages, one a thread, and ends where nothing changes.
//!
//! A change is announced where what is or was lent is more than the thread's own priority. That may be read before
//! another one that it is given just now: whoever gives it announces that, and finds what is lent by then.
//!
//! One with a budget lends its priority as long as it has some of that left, which is [charged](super::payer) for what
//! others run by it.
#![forbid(unsafe_code)]

use core::sync::atomic::{Ordering::SeqCst, fence};

use super::{Current, Tcb};
use crate::object::Ref;

/// To whom something else is lent, if that may matter: to be announced when no wait is claimed, and no lock of
/// an endpoint, of a table or of the waits held.
#[must_use = "who is not told is scheduled as before"]
pub struct Relent(Option<Ref<Tcb>>);

impl Relent {
    /// To nobody.
    pub const NOBODY: Self = Self(None);

    /// Asks its CPU to look what it is due.
    pub fn announce(&self) {
        if let Some(thread) = &self.0 {
            thread.announce_request();
        }
    }

    /// It need not be announced: it is lent to nobody, or to the current thread, which settles in this call what it is due.
    pub fn settled(self) {}
}

impl Tcb {
    /// What it lends to whoever has to answer it.
    #[inline]
    pub(super) fn lends(&self) -> u8 {
        if self.is_broke() { 0 } else { self.priority() }
    }

    /// The priority that it shall have: the highest of its own and those that are lent to it.
    #[inline]
    pub fn due_priority(&self) -> u8 {
        self.wanted_priority().max(self.owed.lent()).max(self.lent_by_queue())
    }

    /// Something else is lent to it: it may have to be scheduled otherwise.
    pub(super) fn lent_otherwise(&self, before: u8, now: u8) -> Relent {
        let may_matter = before.max(now) > self.wanted_priority();
        Relent(may_matter.then(|| Ref::from_object(self)))
    }

    /// What it lends has changed, or who pays for that, if its call was taken. For its CPU, while it is blocked. Whether
    /// it was taken.
    pub fn lend_otherwise(&self) -> bool {
        // Whoever takes its call from here on sees the new priority; if it was taken, that is seen here.
        fence(SeqCst);
        let Some(claim) = self.claim_taken(self.wait_number()) else { return false };
        let lends = self.lends();
        let relent = claim.with_holder(|holder| holder.lend(self, lends)).flatten();
        claim.taken();
        if let Some(relent) = relent {
            relent.announce();
        }
        true
    }

    /// Those who wait at the endpoint that is bound to it lend that, 0 where nobody does. Under the endpoint's lock.
    pub fn set_lent_by_queue(&self, lent: u8) -> Relent {
        let before = self.exchange_lent_by_queue(lent);
        if before == lent { Relent::NOBODY } else { self.lent_otherwise(before, lent) }
    }
}

impl Current {
    /// It has answered the call that it owed, and begins to wait: what was lent by that is over.
    #[inline(always)]
    pub fn settle_blocking(&self) {
        let (own, by_queue) = (self.wanted_priority(), self.lent_by_queue());
        self.set_priority(if by_queue > own { by_queue } else { own });
    }
}
