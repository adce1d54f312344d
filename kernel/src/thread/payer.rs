//! Who pays for what a thread runs: the thread itself, where it has a [budget](super::budget); else whoever lends it the
//! priority by which it is scheduled, if that one has a budget, perhaps along a chain of calls.
//!
//! ```text
//!   client:30, 2 of 10 ms ──call──► server:10 ──call──► disk:5
//!        ▲                                                │ runs as 30
//!        └──────────────────── charged ───────────────────┘
//!   used up: the client lends 0 ──► server 10 ──► disk 10, until the client's next period
//! ```
//! So nobody gets more of a CPU by letting others work. Who is as urgent by itself as what is lent to it works for
//! itself, and is paid by nobody. What those lend who wait at a bound endpoint is not charged to them: they are not
//! served yet.
//!
//! The CPU of the thread that runs charges the account, which has a lock of its own, taken with nothing under it. When it
//! finds it used up, it asks the payer's CPU to look, which lets the payer lend nothing, by the way of all that is
//! lent otherwise (`lending`), and sets a timer for its next period, in which it lends again.
//!
//! A chain is followed thread by thread, by whoever runs its last one: what a thread owes is looked at while that thread's
//! own wait is claimed. That is only done while any thread at all has a budget.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::{Current, Holder, Relent, Tcb, budget::SharedAccount};
use crate::object::Ref;

/// The longest chain that is followed. What is behind is not charged.
const MOST_HOPS: usize = 64;

/// How many threads have a budget.
static LIMITED: AtomicUsize = AtomicUsize::new(0);

/// Who pays.
pub struct Payer {
    /// The thread.
    pub thread: Ref<Tcb>,
    /// Its account.
    pub account: Ref<SharedAccount>,
}

/// Where a chain is followed to: a thread that waits for its answer, and which of its waits that is.
type Caller = (Ref<Tcb>, u64);

impl Tcb {
    /// It pays from another account, or from none, from here on. For its CPU.
    pub(super) fn pay_from(&self, account: Option<Ref<SharedAccount>>) {
        match (self.is_limited(), account.is_some()) {
            (false, true) => drop(LIMITED.fetch_add(1, Relaxed)),
            (true, false) => drop(LIMITED.fetch_sub(1, Relaxed)),
            _ => {}
        }
        self.set_account(account);
    }

    /// Whether someone may have to pay for what it runs.
    #[inline]
    pub fn may_be_paid_for(&self) -> bool {
        self.is_limited() || LIMITED.load(Relaxed) > 0 && self.priority() > self.wanted_priority()
    }

    /// Whether it is scheduled by what is lent to it by whom it owes an answer.
    fn runs_for_caller(&self) -> bool {
        let priority = self.priority();
        self.owed.lent() >= priority && priority > self.wanted_priority()
    }

    /// For whom it runs, and who is to be told that this one has come to lend something else. For the thread
    /// itself, or for whoever has claimed its wait.
    fn caller(&self) -> (Option<Caller>, Relent) {
        let before = self.owed.lent();
        let owed = if self.runs_for_caller() { self.owed.take_call() } else { None };
        let Some(owed) = owed else { return (None, Relent::NOBODY) };
        let caller = (owed.caller.clone(), owed.sequence);
        let is_there = owed.put_into(Holder::Thread(self));
        let now = self.owed.lent();
        let relent = if now == before { Relent::NOBODY } else { self.lent_otherwise(before, now) };
        (is_there.then_some(caller), relent)
    }
}

impl Current {
    /// Who pays for what it runs; `None` where nobody has to.
    pub fn payer(&self) -> Option<Payer> {
        if let Some(account) = self.account() {
            return Some(Payer { thread: self.to_ref(), account });
        }
        let (mut caller, relent) = Tcb::caller(self);
        relent.announce();
        for _ in 0..MOST_HOPS {
            let (thread, wait) = caller?;
            if let Some(account) = thread.account() {
                return Some(Payer { thread, account });
            }
            let claim = thread.claim_taken(wait)?;
            let (next, relent) = thread.caller();
            claim.taken();
            relent.announce();
            caller = next;
        }
        None
    }
}
