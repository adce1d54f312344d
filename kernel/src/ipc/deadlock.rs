//! Calls that would wait for each other: a call at an endpoint that is bound to a thread waits for that thread, and a
//! call that was taken for the one that has to answer it. One that would close a cycle of such waits is refused.
//!
//! Whoever calls at a bound endpoint where nobody receives says so first, then queues, and then follows the waits
//! from the endpoint's thread on, all of it under one lock: of two that close the same cycle, the second sees it. The
//! lock is taken for such calls alone: a thread that receives waits for nobody, so whoever finds it receiving closes
//! no cycle.
//!
//! What a thread waits for can change while others are looked at. So a cycle counts when it is found a second time with
//! every wait in it the same: then there was a moment in which all of them were. A true one stays, since nobody in it
//! goes on.

use arrayvec::ArrayVec;
use spin::{Mutex, MutexGuard};

use crate::{
    object::{AnyRef, Object, Ref},
    thread::{Current, Tcb},
};

/// How many waits are followed at the most.
pub const MOST_HOPS: usize = 64;

static WAITS: Mutex<()> = Mutex::new(());

/// The lock under which calls at bound endpoints come and go.
pub(super) struct Waits {
    _locked: MutexGuard<'static, ()>,
}

/// Who waited, and in which of its waits.
type Hop = (u64, u64);

impl Waits {
    /// Locks them. An endpoint's queues may be locked meanwhile.
    pub(super) fn lock() -> Self {
        Self { _locked: WAITS.lock() }
    }

    /// A thread is about to queue at `endpoint`, or does already.
    ///
    /// # Safety
    /// The thread holds it until it has [left](Waits::leave).
    pub(super) unsafe fn enter(&self, thread: &Tcb, endpoint: &impl Object) {
        // SAFETY: the lock is held; the rest is the caller's.
        unsafe { thread.set_queued_at(Some(endpoint)) };
    }

    /// It does not queue, or not any more.
    pub(super) fn leave(&self, thread: &Tcb) {
        // SAFETY: the lock is held.
        unsafe { thread.set_queued_at::<Tcb>(None) };
    }

    /// Whether the current thread's wait for `first` closes a cycle. `bound` tells to whom an endpoint is bound.
    pub(super) fn close(
        &self,
        current: &Current,
        first: &Ref<Tcb>,
        bound: impl Fn(&AnyRef) -> Option<Ref<Tcb>>,
    ) -> bool {
        let found = self.follow(current, first, &bound);
        found.is_some() && found == self.follow(current, first, &bound)
    }

    /// The thread for which another one waits with a call, and the number of that wait.
    pub(super) fn next(
        &self,
        thread: &Tcb,
        bound: impl Fn(&AnyRef) -> Option<Ref<Tcb>>,
    ) -> Option<(u64, Ref<Tcb>)> {
        thread.answerer().or_else(|| {
            // SAFETY: the lock is held.
            let endpoint = unsafe { thread.queued_at() }?;
            // One that was refused or told of an end, and has not gone on yet, waits no more.
            let wait = thread.wait_number();
            thread.is_queued(wait).then(|| Some((wait, bound(&endpoint)?)))?
        })
    }

    /// The waits from `first` to the current thread.
    fn follow(
        &self,
        current: &Current,
        first: &Ref<Tcb>,
        bound: impl Fn(&AnyRef) -> Option<Ref<Tcb>>,
    ) -> Option<ArrayVec<Hop, MOST_HOPS>> {
        let mut hops = ArrayVec::new();
        let mut thread = first.clone();
        while !thread.is(current) {
            let (wait, next) = self.next(&thread, &bound)?;
            hops.try_push((thread.id.0, wait)).ok()?;
            thread = next;
        }
        Some(hops)
    }
}

/// The thread does not queue any more where it called: was taken, or has left.
pub(super) fn left(thread: &Tcb) {
    if thread.is_queued_at_bound() {
        Waits::lock().leave(thread);
    }
}
