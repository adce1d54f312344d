//! The way back of an object's pages: in steps, however many there are.
//!
//! What is given up stands in a queue, and is given back in that order. The kernel's own task works on it, as
//! urgently as the most urgent of those who gave something up; and whoever needs memory, or has to wait until
//! what was given up before is back, helps ([`step`]), so nobody waits for someone less urgent, nor for what is
//! given up later.
//!
//! What is given up is paid until its last page is back: quotas stay backed. A step is done under the queue's
//! lock, which comes before those of memory and of quotas; so what is counted as back is back.

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use intrusive_collections::{LinkedList, LinkedListAtomicLink, UnsafeRef, intrusive_adapter};
use orbital_executor::{executor::TaskRef, yield_now};
use spin::{Mutex, Once};

use super::pages::{Pages, Progress};
use crate::{
    cause,
    object::{Charge, Paid},
};

/// Frames that one step gives back, or frames full of entries with the block that they lead to.
const STEP: usize = 10;

/// Pages, and what was paid for them.
pub struct Owned {
    /// The pages.
    pub pages: Pages,
    progress: Progress,
    link: LinkedListAtomicLink,
    _charge: Charge,
}

intrusive_adapter!(Adapter = UnsafeRef<Owned>: Owned { link => LinkedListAtomicLink });

impl Owned {
    /// The pages with what was paid for them.
    pub fn new(pages: Pages, charge: Charge) -> Self {
        let link = LinkedListAtomicLink::new();
        Self { pages, progress: Progress::default(), link, _charge: charge }
    }

    fn give_back(&mut self, budget: usize) -> bool {
        self.pages.give_back(&mut self.progress, budget)
    }
}

static QUEUE: Mutex<LinkedList<Adapter>> = Mutex::new(LinkedList::new(Adapter::NEW));
/// How much was ever given up, and how much of that is back. Both change under the lock.
static GIVEN: AtomicU64 = AtomicU64::new(0);
static BACK: AtomicU64 = AtomicU64::new(0);
static TASK: Once<TaskRef> = Once::new();

/// The kernel task [`run`], once it is there.
pub fn set_task(task: TaskRef) {
    TASK.call_once(|| task);
}

/// Gives up pages, which nobody maps any more. A few go at once.
pub fn give(mut owned: Paid<Owned>) {
    if owned.pages.is_little() {
        owned.give_back(usize::MAX);
        return;
    }
    {
        let mut queue = QUEUE.lock();
        queue.push_back(owned.into_list());
        GIVEN.fetch_add(1, SeqCst);
    }
    if let Some(task) = TASK.get() {
        task.raise_priority(cause::priority());
        task.wake();
    }
}

/// Gives a few frames back. False when there is nothing on the way.
pub fn step() -> bool {
    let mut queue = QUEUE.lock();
    let Some(first) = queue.pop_front() else { return false };
    // SAFETY: all in the queue came there by `into_list`, and this one has left it.
    let mut owned = unsafe { Paid::from_list(first) };
    if owned.give_back(STEP) {
        drop(owned);
        BACK.fetch_add(1, SeqCst);
    } else {
        queue.push_front(owned.into_list());
    }
    true
}

/// Whether everything that was given up is back.
pub fn is_done() -> bool {
    BACK.load(SeqCst) == GIVEN.load(SeqCst)
}

/// Helps until everything that has been given up by now is back.
pub async fn finish() {
    let given = GIVEN.load(SeqCst);
    while BACK.load(SeqCst) < given {
        step();
        yield_now().await;
    }
}

/// The kernel's task: never ends.
pub async fn run() {
    loop {
        while step() {
            yield_now().await;
        }
        if let Some(task) = TASK.get() {
            task.set_priority(0);
        }
        let mut is_woken = false;
        core::future::poll_fn(|_| match core::mem::replace(&mut is_woken, true) {
            true => core::task::Poll::Ready(()),
            false => core::task::Poll::Pending,
        })
        .await;
    }
}
