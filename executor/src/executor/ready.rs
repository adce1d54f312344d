//! Tasks that were taken off the wake queue and not polled yet: the most urgent first, and of equals
//! the one that was woken first.

use core::ptr::NonNull;

use super::stored::core_of;
use crate::{
    heap::{Entry, Heap},
    sync::{AtomicUsize, Ordering, UnsafeCell, const_unless_loom},
    task::TaskHeader,
};

/// A task's place in here.
pub(super) type Place = Entry<NonNull<TaskHeader>>;

/// The tasks. All but [`Ready::top`] is the owner's.
pub(super) struct Ready {
    heap: UnsafeCell<Heap<NonNull<TaskHeader>>>,
    /// The priority of the first, plus one; 0 without any. Written by the owner, read by all.
    top: AtomicUsize,
}

// SAFETY: the heap is touched by the owner alone, by the callers' word; the tasks in it may be polled
// by that thread.
unsafe impl Sync for Ready {}
// SAFETY: as above; an executor is moved only before it has tasks.
unsafe impl Send for Ready {}

/// The heap has the least key on top.
fn key(priority: u8) -> u64 {
    u64::from(u8::MAX - priority)
}

impl Ready {
    const_unless_loom! {
        /// None.
        pub fn new() -> Self {
            Self { heap: UnsafeCell::new(Heap::new()), top: AtomicUsize::new(0) }
        }
    }

    /// The priority of the most urgent one.
    pub fn top(&self) -> Option<u8> {
        let top = self.top.load(Ordering::Relaxed);
        // At most 256.
        top.checked_sub(1).map(|priority| priority as u8)
    }

    fn with<R>(&self, f: impl FnOnce(&mut Heap<NonNull<TaskHeader>>) -> R) -> R {
        self.heap.with_mut(|heap| {
            // SAFETY: the owner alone comes here, and `f` does not come here again.
            let heap = unsafe { &mut *heap };
            let result = f(heap);
            let top = heap.first_key().map_or(0, |key| usize::from(u8::MAX) + 1 - key as usize);
            self.top.store(top, Ordering::Relaxed);
            result
        })
    }

    /// Puts a task behind those of its priority.
    ///
    /// # Safety
    /// For the owner. The task is alive, stands on no queue, and stays alive until it is taken out.
    pub unsafe fn push(&self, task: NonNull<TaskHeader>) {
        // SAFETY: the task is alive.
        let core = unsafe { core_of(task) };
        self.with(|heap| {
            // SAFETY: a task that is off the wake queue and not polled is the owner's, and so is its
            // place, which is used in here alone.
            core.place.with_mut(|place| unsafe {
                heap.add(NonNull::new_unchecked(place), key(core.priority()), task);
            });
        });
    }

    /// Its priority has changed: puts it behind those of the new one, if it is in here.
    ///
    /// # Safety
    /// For the owner. The task is alive.
    pub unsafe fn move_to_priority(&self, task: NonNull<TaskHeader>) {
        // SAFETY: the task is alive.
        let core = unsafe { core_of(task) };
        self.with(|heap| {
            // SAFETY: places are touched by the owner alone; one that is linked is in this heap.
            core.place.with_mut(|place| unsafe {
                let place = NonNull::new_unchecked(place);
                if place.as_ref().is_linked() && place.as_ref().key() != key(core.priority()) {
                    heap.remove(place);
                    heap.add(place, key(core.priority()), task);
                }
            });
        });
    }

    /// Takes the first one, if its priority is `least` or more.
    ///
    /// # Safety
    /// For the owner.
    pub unsafe fn pop(&self, least: u8) -> Option<NonNull<TaskHeader>> {
        self.with(|heap| heap.remove_first(key(least)))
    }
}
