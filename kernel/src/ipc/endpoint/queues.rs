//! What an endpoint keeps under its lock.
#![forbid(unsafe_code)]

use super::{super::sweep::Sweeps, Endpoint};
use crate::{
    capability::Kept,
    object::{Paid, Ref},
    thread::{Relent, Tcb, WaitingQueue},
};

/// Those who wait, and who alone may receive.
pub(super) struct Queues {
    pub(super) senders: WaitingQueue,
    pub(super) receivers: WaitingQueue,
    /// The only one that may receive.
    pub(super) bound: Option<Ref<Tcb>>,
    /// By what a revoke finds that; `None` where nobody can revoke the capability by which it was bound.
    pub(super) bound_by: Option<Paid<Kept>>,
    pub(super) sweeps: Sweeps,
    /// The last capability by which one may receive is gone.
    pub(super) closed: bool,
    /// Which endpoint ends after this one, while it ends.
    pub(super) next_ending: Option<Ref<Endpoint>>,
}

impl Queues {
    pub(super) fn new() -> Self {
        Self {
            senders: WaitingQueue::new(),
            receivers: WaitingQueue::new(),
            bound: None,
            bound_by: None,
            sweeps: Sweeps::default(),
            closed: false,
            next_ending: None,
        }
    }

    /// Those who wait to be received lend their priority to whom the endpoint is bound. Whenever they may be others.
    pub(super) fn lend(&self) -> Relent {
        match &self.bound {
            Some(bound) => bound.set_lent_by_queue(self.senders.top().unwrap_or_default()),
            None => Relent::NOBODY,
        }
    }
}
