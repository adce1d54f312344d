//! The end of an endpoint or a notification: everybody who waits there is told, however many they are, in steps.
//!
//! ```text
//!            the last capability goes, or the
//!            last that receives at an endpoint        none is left
//!   in use ─────────────────────────────────► ending ─────────────► over
//!                                             │    ▲
//!                                             └────┘ a few are told
//! ```
//! It begins once, whichever comes first. Nobody comes to a place that is ending, and whoever leaves it for another reason
//! does so as ever. The first step is made by whoever let the capability go, and for most places it is the only one. What is
//! left then stands in a list, the first first, on which a task of the kernel's works, as urgently as the most urgent of
//! those who let go.
//!
//! Lock order: the list, then a place's own.
#![forbid(unsafe_code)]

use core::{
    future::{Future, poll_fn},
    task::Poll,
};

use orbital_abi::Error;
use orbital_executor::executor::TaskRef;
use spin::{Mutex, Once};

use super::waiting::Place;
use crate::{cause, object::Ref, thread::Claim};

/// How many threads one step tells.
pub(super) const STEP: usize = 8;

/// A place that ends with its capabilities.
pub(super) trait Ends: Place {
    /// What those who wait are told.
    const TOLD: Error;

    /// Lets nobody come any more; whether somebody could until now.
    fn close(&self) -> bool;

    /// Claims the first of those who wait.
    fn claim_one(&self) -> Option<Claim>;

    /// Whether nobody comes any more.
    fn is_ending(&self) -> bool;

    /// Runs `f` on the one behind it in the list.
    fn with_next<R>(&self, f: impl FnOnce(&mut Option<Ref<Self>>) -> R) -> R;
}

/// All places of a kind that are ending.
pub(super) struct Endings<P: Ends> {
    list: Mutex<List<P>>,
    task: Once<TaskRef>,
}

struct List<P: Ends> {
    first: Option<Ref<P>>,
    last: Option<Ref<P>>,
    /// Of those who let go of what stands there.
    priority: u8,
}

impl<P: Ends> Endings<P> {
    /// None.
    pub(super) const fn new() -> Self {
        let list = List { first: None, last: None, priority: 0 };
        Self { list: Mutex::new(list), task: Once::new() }
    }

    /// The last capability to `place` is gone, or the last that matters. Without a lock. A place that is ending already,
    /// and perhaps stands in the list, is left to who began that.
    pub(super) fn begin(&self, place: &P) {
        if !place.close() || tell_some(place) {
            return;
        }
        let priority = cause::priority();
        self.list.lock().push_back(Ref::from_object(place), priority);
        if let Some(task) = self.task.get() {
            task.raise_priority(priority);
            task.wake();
        }
    }

    /// The kernel task [`Endings::run`], once it is there.
    pub(super) fn set_task(&self, task: TaskRef) {
        self.task.call_once(|| task);
    }

    /// The kernel's task: never ends.
    pub(super) fn run(&'static self) -> impl Future<Output = ()> + 'static {
        poll_fn(|context| {
            if self.step() || self.rest() {
                context.waker().wake_by_ref();
            }
            Poll::Pending
        })
    }

    /// Tells some of those who wait at the first place. False when there is none.
    fn step(&self) -> bool {
        let Some(place) = self.list.lock().pop_front() else { return false };
        if !tell_some(&*place) {
            self.list.lock().push_front(place);
        }
        true
    }

    /// The task is not urgent any more; true when it is, because another place has come.
    fn rest(&self) -> bool {
        let Some(task) = self.task.get() else { return false };
        task.set_priority(0);
        let priority = self.list.lock().wanted();
        priority.inspect(|priority| task.raise_priority(*priority)).is_some()
    }
}

impl<P: Ends> List<P> {
    fn push_back(&mut self, place: Ref<P>, priority: u8) {
        match &self.last {
            Some(last) => last.with_next(|next| *next = Some(place.clone())),
            None => self.first = Some(place.clone()),
        }
        self.last = Some(place);
        self.priority = self.priority.max(priority);
    }

    fn push_front(&mut self, place: Ref<P>) {
        match self.first.take() {
            Some(first) => place.with_next(|next| *next = Some(first)),
            None => self.last = Some(place.clone()),
        }
        self.first = Some(place);
    }

    fn pop_front(&mut self) -> Option<Ref<P>> {
        let first = self.first.take()?;
        self.first = first.with_next(Option::take);
        if self.first.is_none() {
            self.last = None;
        }
        Some(first)
    }

    /// How urgent what stands there is; `None` without anything.
    fn wanted(&mut self) -> Option<u8> {
        if self.first.is_none() {
            self.priority = 0;
        }
        self.first.is_some().then_some(self.priority)
    }
}

/// Tells a few of those who wait there; whether these were all.
fn tell_some(place: &impl Ends) -> bool {
    (0..STEP).any(|_| tell_one(place))
}

/// Whether there was nobody to tell.
fn tell_one<P: Ends>(place: &P) -> bool {
    let Some(claim) = place.claim_one() else { return true };
    claim.complete(Err(P::TOLD));
    false
}
