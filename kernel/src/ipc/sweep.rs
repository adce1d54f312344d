//! A sweep through those who wait at an endpoint or a notification: whoever has come by a capability that is gone is
//! told so; so is whoever waits for a fault handler that was set by one. It follows a revoke, when nobody can come that way any more, so that nothing is passed to one who
//! did before.
//!
//! ```text
//!           1             2              3
//!   none ─────► looked at ───► checked ─────► told, or left where it is
//!                  ▲                             │
//!                  └─────────────────────────────┘ a few threads each time
//! ```
//! 1. Under the lock of the place, threads and the handles by which they have come; 2. without it, each handle
//! in its process's table, whose lock comes first; 3. under it again, who waits as before, for a capability that
//! is in its tree no more. All others are noted in their slots as seen: one that was closed or moved can leave if
//! nobody was, so its own process's reaper sweeps too.
//!
//! A place has one sweep at a time. Who wants one while another goes on helps that, and then has its own: the threads
//! that the first had visited before are looked at again. So nobody waits for more than two, whoever begins
//! how many. New waiters are not visited: they come by capabilities that are there. One whose priority changes meanwhile
//! is looked at as it changes its place.

use arrayvec::ArrayVec;
use orbital_abi::{CapSlot, Error};

use super::ending::Ends;
use crate::{
    object::Ref,
    thread::{Claim, Tcb, WaitingQueue},
};

/// How many threads one step looks at.
const STEP: usize = 8;

/// How far the sweeps of a place have come.
#[derive(Default)]
pub(super) struct Sweeps {
    /// How many have begun, and how many are over.
    begun: u64,
    over: u64,
    /// How many steps are between their first and their last look.
    busy: u32,
}

/// Where sweeps go through.
pub(super) trait Swept: Ends {
    /// Runs `f` on its sweeps and the queues of those who wait, under its lock.
    fn with_queues<R>(&self, f: impl FnOnce(&mut Sweeps, &mut [&mut WaitingQueue]) -> R) -> R;
}

/// Someone who waits, the number of that wait, and the handle by which it has come; `None` where its fault has sent it.
type Waiter = (Ref<Tcb>, u64, Option<CapSlot>);

/// A sweep of one's own.
pub(super) struct Sweep(u64);

impl Sweep {
    /// One that begins when no other goes on.
    pub(super) fn wanted(place: &impl Swept) -> Self {
        place.with_queues(|sweeps, _| Self(sweeps.begun + 1))
    }

    /// Does a step of it, or of the one that goes on; whether there may be more.
    pub(super) fn step<P: Swept>(&self, place: &P) -> bool {
        let mut found = ArrayVec::<Waiter, STEP>::new();
        let is_over = place.with_queues(|sweeps, queues| {
            if sweeps.over >= self.0 {
                return true;
            }
            if sweeps.begun == sweeps.over {
                sweeps.begun += 1;
                queues.iter_mut().for_each(|queue| queue.begin_walk());
            }
            let mut looked_at = 0;
            for queue in queues {
                while looked_at < STEP
                    && let Some(thread) = queue.next_of_walk()
                {
                    looked_at += 1;
                    found.push(waiter(thread));
                }
            }
            if looked_at == 0 && sweeps.busy == 0 {
                sweeps.over = sweeps.begun;
            }
            sweeps.busy += u32::from(!found.is_empty());
            false
        });
        if !is_over && !found.is_empty() {
            check(place, found);
        }
        !is_over
    }
}

/// Checks those that were looked at.
fn check<P: Swept>(place: &P, found: ArrayVec<Waiter, STEP>) {
    let is_gone = |(thread, _, slot): &Waiter| match slot {
        Some(slot) => !thread.process.table.lock().stands(*slot),
        None => thread.has_lost_handler(),
    };
    let gone: ArrayVec<Waiter, STEP> = found.into_iter().filter(is_gone).collect();
    for (thread, number, _) in &gone {
        let claim = place.with_queues(|_, queues| take(queues, thread, *number));
        // Whichever comes first.
        let told = if place.is_ending() { P::TOLD } else { Error::Revoked };
        // One after the other: who looks at a claimed thread waits until it was told.
        claim.into_iter().for_each(|claim| claim.complete(Err(told)));
    }
    place.with_queues(|sweeps, _| sweeps.busy -= 1);
}

/// Puts a thread that waits at `place` where its priority belongs now. A sweep that goes on may have passed there, and
/// not where the thread was: so it is looked at here.
pub(super) fn stand_anew<P: Swept>(place: &P, thread: &Tcb) {
    let found = place.with_queues(|sweeps, queues| {
        // Of two queues one is empty.
        let queue = queues.iter_mut().find(|queue| !queue.is_empty())?;
        // SAFETY: a thread that waits here is in the queue that is not empty or, claimed, in none.
        unsafe { queue.stand_anew(thread) };
        let is_swept = sweeps.begun != sweeps.over && thread.is_queued(thread.wait_number());
        let found = is_swept.then(|| waiter(thread))?;
        sweeps.busy += 1;
        Some(found)
    });
    if let Some(found) = found {
        check(place, ArrayVec::from_iter([found]));
    }
}

/// How a thread has come to the queue that it stands in.
fn waiter(thread: &Tcb) -> Waiter {
    // SAFETY: the caller has the queue's lock.
    let came = unsafe { thread.came_by() };
    let (number, slot) =
        came.map_or((thread.wait_number(), None), |(number, slot)| (number, Some(slot)));
    (Ref::from_object(thread), number, slot)
}

/// Takes a thread out of the queue that it still waits in.
fn take(queues: &mut [&mut WaitingQueue], thread: &Ref<Tcb>, number: u64) -> Option<Claim> {
    if !thread.is_queued(number) {
        return None;
    }
    // SAFETY: it is still in the wait that began in one of these queues, or was just taken out of it; and of
    // two queues one is empty.
    let queue = queues.iter_mut().find(|queue| !queue.is_empty())?;
    // SAFETY: as above.
    unsafe { queue.remove(thread) }.and_then(Claim::queued)
}
