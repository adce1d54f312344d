//! A thread's message page. It is given once, and taken away when the thread ends: until then whoever may touch the
//! thread's registers may touch it.

use core::{
    ptr::{NonNull, null_mut},
    sync::atomic::{
        AtomicPtr,
        Ordering::{AcqRel, Acquire, Release},
    },
};

use orbital_abi::Error;

use super::{Claim, Current, Tcb};
use crate::{
    object::Paid,
    vm::{AddressSpace, MessagePage},
};

/// The place for one. It is filled under the lock of the thread's ties, and emptied when nothing can be tied to the
/// thread any more.
pub(super) struct PageCell(AtomicPtr<MessagePage>);

impl PageCell {
    pub(super) const fn new() -> Self {
        Self(AtomicPtr::new(null_mut()))
    }

    /// # Safety
    /// The thread does not end as long as the reference is used.
    unsafe fn get(&self) -> Option<&MessagePage> {
        // SAFETY: it was given away by `into_raw`, and is taken back when the thread ends.
        NonNull::new(self.0.load(Acquire)).map(|page| unsafe { page.as_ref() })
    }

    fn take(&self) -> Option<Paid<MessagePage>> {
        // SAFETY: as above; it is taken once.
        NonNull::new(self.0.swap(null_mut(), AcqRel)).map(|page| unsafe { Paid::from_raw(page) })
    }
}

impl Drop for PageCell {
    fn drop(&mut self) {
        let page = self.take();
        debug_assert!(page.is_none(), "a thread that had a page has never ended");
    }
}

impl Tcb {
    /// Whether it has a message page.
    #[inline]
    pub fn has_message_page(&self) -> bool {
        !self.page.0.load(Acquire).is_null()
    }

    /// Gives it a message page at `address`, or where the kernel chooses if that is 0; gives the address. One that
    /// has a page keeps it as it is.
    ///
    /// # Errors
    /// Those of [`AddressSpace::add_message_page`]; [`Error::Ended`].
    pub fn give_message_page(&self, address: u64) -> Result<u64, Error> {
        self.with_ties(|_| {
            // SAFETY: one that ends cuts its ties first, and those are locked.
            if let Some(page) = unsafe { self.page.get() } {
                return Ok(page.address());
            }
            let page = AddressSpace::add_message_page(&self.process.space, address)?;
            let address = page.address();
            self.page.0.store(page.into_raw().as_ptr(), Release);
            Ok(address)
        })?
    }

    /// Takes the page away from a thread that has just ended, and has no ties any more: it is unmapped later.
    pub(super) fn drop_message_page(&self) {
        if let Some(page) = self.page.take() {
            self.process.space.leave_message_page(page);
            self.process.reap_at(self.priority());
        }
    }
}

impl Current {
    /// Its message page, if it has one.
    #[inline]
    pub fn message_page(&self) -> Option<&MessagePage> {
        // SAFETY: what ends the thread comes to pass on this CPU, when this proof is used no more.
        unsafe { self.page.get() }
    }
}

impl Claim {
    /// The thread's message page, if it has one.
    pub fn message_page(&self) -> Option<&MessagePage> {
        // SAFETY: before it ends its wait is cancelled, for which this claim is waited for.
        unsafe { self.thread().page.get() }
    }
}
