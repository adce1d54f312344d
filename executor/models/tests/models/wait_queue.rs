//! Waiters that register, check and go away, while others wake.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use executor_loom::wait_queue::WaitQueue;
use loom::{
    cell::UnsafeCell,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    by_hand::{ByHand, Waiting},
    explore::{Model, RACE, with_static},
};

/// The real queue and its copies.
trait Queue: Send + Sync + 'static {
    fn new() -> Self;
    fn wait_until<'a>(&'a self, condition: impl FnMut() -> bool + Send + 'a) -> Waiting<'a>;
    fn wake_one(&self) -> bool;
    fn wake_all(&self);
}

impl Queue for WaitQueue {
    fn new() -> Self {
        Self::new()
    }

    fn wait_until<'a>(&'a self, condition: impl FnMut() -> bool + Send + 'a) -> Waiting<'a> {
        Box::pin(self.wait_until(condition))
    }

    fn wake_one(&self) -> bool {
        self.wake_one()
    }

    fn wake_all(&self) {
        self.wake_all();
    }
}

/// A copy of the queue, with shared nodes instead of linked ones.
struct Copy<const BUG: u8> {
    list: Mutex<VecDeque<Arc<Node>>>,
    /// For [`LOOKS_UNLOCKED`] alone.
    length: AtomicUsize,
}

/// Touched under the lock. A waker is there while the node is in the list.
struct Node(UnsafeCell<(Option<Waker>, bool)>);

// SAFETY: loom reports accesses that the lock does not order.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

const NO_BUG: u8 = 0;
/// The condition is checked before the waiter registers, and not after.
const CHECKS_FIRST: u8 = 1;
/// A wake looks whether someone waits without taking the lock.
const LOOKS_UNLOCKED: u8 = 2;
/// A waiter that goes away keeps a wake that it has not used.
const KEEPS_WAKE: u8 = 3;
/// A waiter that goes away looks without the lock whether it is in the list.
const LEAVES_UNLOCKED: u8 = 4;
/// A waiter that goes away does not unlink.
const STAYS_LINKED: u8 = 5;
/// Waking all goes through the list and lets go of the lock at each step.
const WALKS_UNLOCKED: u8 = 6;

impl<const BUG: u8> Queue for Copy<BUG> {
    fn new() -> Self {
        Self { list: Mutex::default(), length: AtomicUsize::new(0) }
    }

    fn wait_until<'a>(&'a self, condition: impl FnMut() -> bool + Send + 'a) -> Waiting<'a> {
        let node = Arc::new(Node(UnsafeCell::new((None, false))));
        Box::pin(CopiedWait { queue: self, condition, node })
    }

    fn wake_one(&self) -> bool {
        if BUG == LOOKS_UNLOCKED && self.length.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let mut list = self.list.lock().unwrap();
        let Some(node) = list.pop_front() else { return false };
        self.length.store(list.len(), Ordering::Relaxed);
        let waker = node.with(|(waker, owes_wake)| {
            *owes_wake = true;
            waker.take()
        });
        drop(list);
        waker.unwrap().wake();
        true
    }

    fn wake_all(&self) {
        if BUG == WALKS_UNLOCKED {
            let at = |place| {
                let list = self.list.lock().unwrap();
                list.get(place).map(|node: &Arc<Node>| node.with(|node| node.0.clone()))
            };
            for waker in (0..).map_while(at) {
                waker.unwrap().wake();
            }
        }
        let wakers: Vec<_> = {
            let mut list = self.list.lock().unwrap();
            list.drain(..).map(|node| node.with(|(waker, _)| waker.take())).collect()
        };
        if BUG != WALKS_UNLOCKED {
            wakers.into_iter().flatten().for_each(Waker::wake);
        }
    }
}

impl Node {
    fn with<R>(&self, f: impl FnOnce(&mut (Option<Waker>, bool)) -> R) -> R {
        // SAFETY: as above.
        self.0.with_mut(|node| f(unsafe { &mut *node }))
    }
}

struct CopiedWait<'a, C, const BUG: u8> {
    queue: &'a Copy<BUG>,
    condition: C,
    node: Arc<Node>,
}

impl<C, const BUG: u8> CopiedWait<'_, C, BUG> {
    fn leave(&self) {
        // SAFETY: the bug; loom tells.
        if BUG == LEAVES_UNLOCKED && self.node.0.with(|node| unsafe { (*node).0.is_none() }) {
            return;
        }
        if BUG == STAYS_LINKED {
            return;
        }
        let mut list = self.queue.list.lock().unwrap();
        list.retain(|node| !Arc::ptr_eq(node, &self.node));
        self.queue.length.store(list.len(), Ordering::Relaxed);
        let (waker, owes_wake) = self.node.with(std::mem::take);
        drop(list);
        drop(waker);
        if owes_wake && BUG != KEEPS_WAKE {
            self.queue.wake_one();
        }
    }
}

// The future holds nothing that is pinned.
impl<C, const BUG: u8> Unpin for CopiedWait<'_, C, BUG> {}

impl<C: FnMut() -> bool, const BUG: u8> Future for CopiedWait<'_, C, BUG> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if BUG == CHECKS_FIRST && (this.condition)() {
            this.leave();
            return Poll::Ready(());
        }
        let mut list = this.queue.list.lock().unwrap();
        let old = this.node.with(|node| node.0.replace(context.waker().clone()));
        this.node.with(|node| node.1 = false);
        if old.is_none() {
            list.push_back(this.node.clone());
            this.queue.length.store(list.len(), Ordering::Relaxed);
        }
        drop(list);
        if BUG != CHECKS_FIRST && (this.condition)() {
            this.leave();
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl<C, const BUG: u8> Drop for CopiedWait<'_, C, BUG> {
    fn drop(&mut self) {
        self.leave();
    }
}

struct Shared<Q> {
    queue: Q,
    things: AtomicUsize,
}

impl<Q: Queue> Shared<Q> {
    fn new(things: usize) -> Self {
        Self { queue: Q::new(), things: AtomicUsize::new(things) }
    }

    fn wait_for_one(&'static self) -> ByHand {
        ByHand::new(self.queue.wait_until(|| {
            let take = |things: usize| things.checked_sub(1);
            self.things.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
        }))
    }

    /// With the queue's help alone: nothing else orders the two.
    fn hand_out(&self) {
        self.things.fetch_add(1, Ordering::Relaxed);
        self.queue.wake_one();
    }
}

/// One comes to wait, another makes the condition true and wakes.
fn a_wake_is_not_lost_while_a_waiter_registers<Q: Queue>() {
    let run = |shared: &'static Shared<Q>| {
        let waker = thread::spawn(|| {
            shared.things.store(1, Ordering::Relaxed);
            shared.queue.wake_one();
        });
        let open = || shared.things.load(Ordering::Relaxed) == 1;
        let mut waiter = ByHand::new(shared.queue.wait_until(open));
        waiter.poll();
        waker.join().unwrap();
        if waiter.is_pending() {
            assert_eq!(waiter.wakes(), 1, "a wake is lost");
            waiter.poll();
            assert!(!waiter.is_pending());
        }
        drop(waiter);
        assert!(!shared.queue.wake_one(), "someone is left in the list");
    };
    // SAFETY: the thread is joined, and the waiter is dropped.
    unsafe { with_static(Shared::new(0), run) };
}

/// One thing is there and one comes; two waiters come and take what they find. In the end nobody
/// waits while there is something, unless someone has been woken and will look again. (The second
/// waiter's thread brings the thing: loom can't bound how often a third one turns in a spin lock.)
fn who_takes_without_being_woken_leaves_the_wake_to_others<Q: Queue>() {
    let run = |shared: &'static Shared<Q>| {
        let other = thread::spawn(|| {
            let mut waiter = shared.wait_for_one();
            waiter.poll();
            shared.hand_out();
            waiter
        });
        let mut waiter = shared.wait_for_one();
        waiter.poll();
        let waiters = [waiter, other.join().unwrap()];
        let left = shared.things.load(Ordering::Relaxed);
        let unaware = waiters.iter().any(|one| one.is_pending() && one.wakes() == 0);
        let aware = waiters.iter().any(|one| one.is_pending() && one.wakes() > 0);
        assert!(left == 0 || !unaware || aware, "a wake is lost");
        drop(waiters);
        assert!(!shared.queue.wake_one(), "someone is left in the list");
    };
    // SAFETY: the threads are joined, and the waiters are dropped.
    unsafe { with_static(Shared::new(1), run) };
}

/// Of two who wait, the first goes away while one is woken: it is the second then.
fn a_wake_reaches_someone_though_a_waiter_goes_away<Q: Queue>() {
    let run = |shared: &'static Shared<Q>| {
        let [first, second] = std::array::from_fn(|_| {
            let mut waiter = shared.wait_for_one();
            waiter.poll();
            waiter
        });
        let producer = thread::spawn(|| shared.hand_out());
        drop(first);
        producer.join().unwrap();
        assert_eq!(second.wakes(), 1, "a wake is lost");
        drop(second);
        assert!(!shared.queue.wake_one(), "someone is left in the list");
    };
    // SAFETY: the thread is joined, and the waiters are dropped.
    unsafe { with_static(Shared::new(0), run) };
}

/// Of three who wait, the middle one goes away while all are woken.
fn all_others_are_woken_though_a_waiter_goes_away<Q: Queue>() {
    let run = |queue: &'static Q| {
        let [first, middle, last] = std::array::from_fn(|_| {
            let mut waiter = ByHand::new(queue.wait_until(|| false));
            waiter.poll();
            waiter
        });
        let waker = thread::spawn(|| queue.wake_all());
        drop(middle);
        waker.join().unwrap();
        assert_eq!([first.wakes(), last.wakes()], [1, 1], "a wake is lost");
        drop([first, last]);
        assert!(!queue.wake_one(), "someone is left in the list");
    };
    // SAFETY: the thread is joined, and the waiters are dropped.
    unsafe { with_static(Q::new(), run) };
}

pub fn models() -> Vec<Model> {
    const LOST: &str = "a wake is lost";
    vec![
        Model::holds(
            "a wake that races with a waiter's registration is not lost",
            a_wake_is_not_lost_while_a_waiter_registers::<WaitQueue>,
        ),
        Model::holds(
            "the copy of the wait queue without a bug: registration",
            a_wake_is_not_lost_while_a_waiter_registers::<Copy<NO_BUG>>,
        ),
        Model::planted(
            "a waiter that checks and then registers",
            LOST,
            a_wake_is_not_lost_while_a_waiter_registers::<Copy<CHECKS_FIRST>>,
        ),
        Model::planted(
            "a wake that looks without the lock",
            LOST,
            a_wake_is_not_lost_while_a_waiter_registers::<Copy<LOOKS_UNLOCKED>>,
        ),
        Model::planted(
            "a waiter that does not unlink",
            "left in the list",
            a_wake_is_not_lost_while_a_waiter_registers::<Copy<STAYS_LINKED>>,
        ),
        Model::holds(
            "who takes without being woken leaves the wake to others",
            who_takes_without_being_woken_leaves_the_wake_to_others::<WaitQueue>,
        ),
        Model::holds(
            "the copy of the wait queue without a bug: taking",
            who_takes_without_being_woken_leaves_the_wake_to_others::<Copy<NO_BUG>>,
        ),
        Model::planted(
            "a waiter that succeeds and keeps a wake",
            LOST,
            who_takes_without_being_woken_leaves_the_wake_to_others::<Copy<KEEPS_WAKE>>,
        ),
        Model::holds(
            "a wake reaches someone though a waiter goes away",
            a_wake_reaches_someone_though_a_waiter_goes_away::<WaitQueue>,
        ),
        Model::holds(
            "the copy of the wait queue without a bug: going away",
            a_wake_reaches_someone_though_a_waiter_goes_away::<Copy<NO_BUG>>,
        ),
        Model::planted(
            "a waiter that goes away with a wake",
            LOST,
            a_wake_reaches_someone_though_a_waiter_goes_away::<Copy<KEEPS_WAKE>>,
        ),
        Model::planted(
            "a waiter that goes away without the lock",
            RACE,
            a_wake_reaches_someone_though_a_waiter_goes_away::<Copy<LEAVES_UNLOCKED>>,
        ),
        Model::holds(
            "all others are woken though a waiter goes away",
            all_others_are_woken_though_a_waiter_goes_away::<WaitQueue>,
        ),
        Model::holds(
            "the copy of the wait queue without a bug: waking all",
            all_others_are_woken_though_a_waiter_goes_away::<Copy<NO_BUG>>,
        ),
        Model::planted(
            "waking all without holding the lock from end to end",
            LOST,
            all_others_are_woken_though_a_waiter_goes_away::<Copy<WALKS_UNLOCKED>>,
        ),
    ]
}
