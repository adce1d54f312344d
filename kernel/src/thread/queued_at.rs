//! The bound endpoint at which a thread's call is queued: what it waits for, until its call is taken. Noted under one
//! lock for all threads, in `ipc`, so that waits can be followed from thread to thread.

use core::{
    ptr::{self, NonNull},
    sync::atomic::{AtomicPtr, Ordering},
};

use super::Tcb;
use crate::object::{AnyRef, Header, Object};

/// The note. The thread holds the endpoint as long as it is there.
pub(super) struct QueuedAt(AtomicPtr<Header>);

impl QueuedAt {
    pub(super) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }
}

impl Tcb {
    /// Notes that its call is about to queue at `endpoint`, or takes the note back.
    ///
    /// # Safety
    /// The lock of all notes is held; the thread holds the endpoint until the note is taken back.
    pub unsafe fn set_queued_at<T: Object>(&self, endpoint: Option<&T>) {
        let endpoint = endpoint.map_or(ptr::null_mut(), |it| ptr::from_ref(it).cast_mut().cast());
        self.queued_at.0.store(endpoint, Ordering::Relaxed);
    }

    /// Whether such a note is there. For who would take it back.
    pub fn is_queued_at_bound(&self) -> bool {
        !self.queued_at.0.load(Ordering::Relaxed).is_null()
    }

    /// The endpoint.
    ///
    /// # Safety
    /// The lock of all notes is held.
    pub unsafe fn queued_at(&self) -> Option<AnyRef> {
        let noted = NonNull::new(self.queued_at.0.load(Ordering::Relaxed))?;
        // SAFETY: whoever has noted it keeps it until that is taken back, under the same lock.
        Some(unsafe { AnyRef::from_header(noted) })
    }
}
