//! Waiters that register, check and go away, while others wake.

use executor_loom::{planted::Bug, wait_queue::WaitQueue};
use loom::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use crate::{
    by_hand::ByHand,
    explore::{Model, RACE, model, with_static},
};

struct Shared {
    queue: WaitQueue,
    things: AtomicUsize,
}

impl Shared {
    fn new(things: usize) -> Self {
        Self { queue: WaitQueue::new(), things: AtomicUsize::new(things) }
    }

    fn wait_for_one(&'static self) -> ByHand {
        ByHand::new(Box::pin(self.queue.wait_until(|| {
            let take = |things: usize| things.checked_sub(1);
            self.things.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
        })))
    }

    /// With the queue's help alone: nothing else orders the two.
    fn hand_out(&self) {
        self.things.fetch_add(1, Ordering::Relaxed);
        self.queue.wake_one();
    }
}

/// One comes to wait, another makes the condition true and wakes.
fn a_wake_is_not_lost_while_a_waiter_registers() {
    let run = |shared: &'static Shared| {
        let waker = thread::spawn(|| {
            shared.things.store(1, Ordering::Relaxed);
            shared.queue.wake_one();
        });
        let open = || shared.things.load(Ordering::Relaxed) == 1;
        let mut waiter = ByHand::new(Box::pin(shared.queue.wait_until(open)));
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
fn who_takes_without_being_woken_leaves_the_wake_to_others() {
    let run = |shared: &'static Shared| {
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
fn a_wake_reaches_someone_though_a_waiter_goes_away() {
    let run = |shared: &'static Shared| {
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
fn all_others_are_woken_though_a_waiter_goes_away() {
    let run = |queue: &'static WaitQueue| {
        let [first, middle, last] = std::array::from_fn(|_| {
            let mut waiter = ByHand::new(Box::pin(queue.wait_until(|| false)));
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
    unsafe { with_static(WaitQueue::new(), run) };
}

pub fn models() -> Vec<Model> {
    const LOST: &str = "a wake is lost";
    [
        model(
            "a wake that races with a waiter's registration is not lost",
            a_wake_is_not_lost_while_a_waiter_registers,
            &[(Bug::WaitChecksFirst, LOST), (Bug::LockAdmitsAll, RACE), (Bug::UnlockRelaxed, RACE)],
        ),
        model(
            "who takes without being woken leaves the wake to others",
            who_takes_without_being_woken_leaves_the_wake_to_others,
            &[(Bug::WaitKeepsWake, LOST)],
        ),
        model(
            "a wake reaches someone though a waiter goes away",
            a_wake_reaches_someone_though_a_waiter_goes_away,
            &[(Bug::WaitKeepsWake, LOST), (Bug::LockAdmitsAll, RACE)],
        ),
        model(
            "all others are woken though a waiter goes away",
            all_others_are_woken_though_a_waiter_goes_away,
            &[(Bug::LockAdmitsAll, RACE)],
        ),
    ]
    .concat()
}
