//! An endpoint as a place where threads wait: how they leave it, and how it ends.

use orbital_abi::Error;

use super::{
    super::{
        deadlock::left,
        ending::Ends,
        sweep::{self, Sweeps, Swept},
        waiting::{Place, claim_first},
    },
    Endpoint,
    queues::Queues,
};
use crate::{
    object::Ref,
    thread::{Claim, Tcb, WaitingQueue},
};

impl Place for Endpoint {
    fn forget(&self, thread: &Tcb) {
        let mut queues = self.queues.lock();
        let Queues { senders, receivers, .. } = &mut *queues;
        // One of the two is empty, always.
        let queue = if senders.is_empty() { receivers } else { senders };
        // SAFETY: a thread that waits here is in the queue that is not empty or, claimed, in none.
        let removed = unsafe { queue.remove(thread) };
        let relent = queues.lend();
        drop(queues);
        relent.announce();
        drop(removed);
        left(thread);
    }

    fn stand_anew(&self, thread: &Tcb) {
        sweep::stand_anew(self, thread);
    }

    /// Perhaps signals, which are given back as the thread is unbound.
    fn unseen(&self, thread: &Tcb) {
        thread.set_unseen();
    }
}

impl Ends for Endpoint {
    const TOLD: Error = Error::EndpointGone;

    fn close(&self) -> bool {
        !core::mem::replace(&mut self.queues.lock().closed, true)
    }

    fn claim_one(&self) -> Option<Claim> {
        let mut queues = self.queues.lock();
        let Queues { senders, receivers, .. } = &mut *queues;
        claim_first(senders).or_else(|| claim_first(receivers))
    }

    fn is_ending(&self) -> bool {
        self.is_over()
    }

    fn with_next<R>(&self, f: impl FnOnce(&mut Option<Ref<Self>>) -> R) -> R {
        f(&mut self.queues.lock().next_ending)
    }
}

impl Swept for Endpoint {
    fn with_queues<R>(&self, f: impl FnOnce(&mut Sweeps, &mut [&mut WaitingQueue]) -> R) -> R {
        let mut queues = self.queues.lock();
        let Queues { senders, receivers, sweeps, .. } = &mut *queues;
        let done = f(sweeps, &mut [senders, receivers]);
        let relent = queues.lend();
        drop(queues);
        relent.announce();
        done
    }
}
