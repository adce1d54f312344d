//! The way back of an object's pages: in steps, however many there are.
//!
//! What is given up stands in a list. The kernel's own task works on it, as urgently as the most urgent of
//! those who gave something up; and whoever needs memory, or has to wait until what it gave up is back,
//! helps ([`step`]), so nobody waits for someone less urgent.
//!
//! What is given up is paid until its last page is back: quotas stay backed.
#![forbid(unsafe_code)]

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use orbital_executor::{executor::TaskRef, yield_now};
use spin::{Mutex, Once};

use super::pages::{Pages, Progress};
use crate::{cause, object::Charge};

/// Frames that one step gives back.
const STEP: usize = 32;

/// Pages, and what was paid for them.
pub struct Owned {
    /// The pages.
    pub pages: Pages,
    progress: Progress,
    _charge: Charge,
    next: Option<Box<Owned>>,
}

impl Owned {
    /// The pages with what was paid for them.
    pub fn new(pages: Pages, charge: Charge) -> Self {
        Self { pages, progress: Progress::default(), _charge: charge, next: None }
    }

    fn give_back(&mut self, budget: usize) -> bool {
        self.pages.give_back(&mut self.progress, budget)
    }
}

static LIST: Mutex<Option<Box<Owned>>> = Mutex::new(None);
/// How much was ever given up, and how much of that is back.
static GIVEN: AtomicU64 = AtomicU64::new(0);
static BACK: AtomicU64 = AtomicU64::new(0);
static TASK: Once<TaskRef> = Once::new();

/// The kernel task [`run`], once it is there.
pub fn set_task(task: TaskRef) {
    TASK.call_once(|| task);
}

/// Gives up pages, which nobody maps any more. A few go at once.
pub fn give(mut owned: Box<Owned>) {
    if owned.pages.is_little() {
        owned.give_back(usize::MAX);
        return;
    }
    GIVEN.fetch_add(1, SeqCst);
    push(owned);
    if let Some(task) = TASK.get() {
        task.raise_priority(cause::priority());
        task.wake();
    }
}

fn push(mut owned: Box<Owned>) {
    let mut list = LIST.lock();
    owned.next = list.take();
    *list = Some(owned);
}

/// Gives a few frames back. False when there is nothing on the way, but for what another CPU has in hand.
pub fn step() -> bool {
    let first = {
        let mut list = LIST.lock();
        let mut first = list.take();
        *list = first.as_mut().and_then(|first| first.next.take());
        first
    };
    let Some(mut owned) = first else { return false };
    if owned.give_back(STEP) {
        drop(owned);
        BACK.fetch_add(1, SeqCst);
    } else {
        push(owned);
    }
    true
}

/// Whether everything that was given up is back.
pub fn is_done() -> bool {
    BACK.load(SeqCst) == GIVEN.load(SeqCst)
}

/// Helps until everything that was given up is back.
pub async fn finish() {
    while !is_done() {
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
