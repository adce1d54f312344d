//! Message pages: memory of the kernel's that a thread's program sees too, for the words of messages that registers
//! have no room for. The kernel reads and writes them through its own mapping: so a copy can't fault, whatever
//! the program has done with its own, and there is nothing to be looked up.
//!
//! A page is a memory object of its own, without a capability: nobody can clone it, or take its frame away. When its
//! thread has ended, it stands in a list of the address space's until the reaper has unmapped it.
#![forbid(unsafe_code)]

use core::{ops::Range, sync::atomic::Ordering::Relaxed};

use orbital_abi::{
    Error, Rights,
    layout::{MESSAGE_PAGES, PAGE_SIZE},
};

use super::{AddressSpace, Begun, Mapping, range};
use crate::{
    arch::{Access, direct_map},
    lock::lock,
    memory::frame::Frame,
    object::{Paid, Ref},
    vm::{MemoryObject, memory_object::Touched, region::Content},
};

/// How many places the kernel tries where it chooses one, and others are mapped there.
const ATTEMPTS: usize = 8;

/// A message page, which its thread has.
pub struct MessagePage {
    object: Ref<MemoryObject>,
    /// The object's only one.
    frame: Frame,
    /// Where it was mapped.
    address: u64,
    /// The next of the list, once its thread has ended.
    next: Option<Paid<Self>>,
}

impl MessagePage {
    /// Where it was mapped.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Copies the words with these numbers to another page. Programs may read and write both meanwhile.
    #[inline(always)]
    pub fn copy_words(&self, to: &Self, words: Range<usize>) {
        direct_map::copy_words(self.frame, to.frame, words);
    }

    /// The word with this number. Programs may write it meanwhile.
    pub fn word(&self, number: usize) -> u64 {
        direct_map::read_word(self.frame, number)
    }

    /// Changes the word with this number. Programs may read and write it meanwhile.
    pub fn set_word(&self, number: usize, value: u64) {
        direct_map::write_word(self.frame, number, value);
    }

    /// For reading and writing, and never for anything else.
    fn mapping(&self) -> Mapping {
        let content = Content {
            object: Some(self.object.clone()),
            first_page: 0,
            access: Some(Access::ReadWrite),
            allowed: Rights::READ | Rights::WRITE,
        };
        Mapping { address: self.address, bytes: PAGE_SIZE, content }
    }
}

impl AddressSpace {
    /// A page of zeroes, mapped at `address`, or at one that the kernel chooses where that is 0.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`], [`Error::InvalidAddress`], [`Error::AddressInUse`], [`Error::QuotaExceeded`]
    /// and [`Error::Ended`] as for a mapping.
    pub fn add_message_page(space: &Ref<Self>, address: u64) -> Result<Paid<MessagePage>, Error> {
        if address != 0 {
            range(address, PAGE_SIZE)?;
        }
        let object = MemoryObject::new(PAGE_SIZE, &space.quota)?;
        let touched = object.with_inner(|inner| inner.touch(0, true));
        let Touched::Page { frame, .. } = touched else { return Err(Error::QuotaExceeded) };
        // What can fail comes first: a mapping is not taken back.
        let page = MessagePage { object, frame, address, next: None };
        let mut page = Paid::new(page, &space.quota)?;
        for _ in 0..ATTEMPTS {
            if address == 0 {
                page.address = space.next_place();
            }
            match Self::map(space, page.mapping()) {
                Err(Error::AddressInUse) if address == 0 => {}
                result => return result.map(|()| page),
            }
        }
        Err(Error::AddressInUse)
    }

    /// Another address of those that the kernel chooses from.
    fn next_place(&self) -> u64 {
        let number = self.message_pages.fetch_add(1, Relaxed);
        let places = (MESSAGE_PAGES.end - MESSAGE_PAGES.start) / PAGE_SIZE;
        MESSAGE_PAGES.start + number % places * PAGE_SIZE
    }

    /// The thread that had `page` has ended: its process's reaper unmaps it.
    pub fn leave_message_page(&self, mut page: Paid<MessagePage>) {
        let mut left = self.left_pages.lock();
        page.next = left.take();
        *left = Some(page);
    }

    /// A page whose thread has ended.
    pub fn take_left_page(&self) -> Option<Paid<MessagePage>> {
        let mut left = self.left_pages.lock();
        let mut page = left.take()?;
        *left = page.next.take();
        Some(page)
    }

    /// Begins to unmap `page`, if it still is where it was mapped. `cpu` is this one.
    ///
    /// # Errors
    /// Those of [`AddressSpace::begin_unmap`].
    pub fn begin_unmap_page(
        space: &Ref<Self>,
        page: &MessagePage,
        cpu: usize,
    ) -> Result<Begun, Error> {
        let (start, end) = range(page.address, PAGE_SIZE)?;
        let state = lock(&space.state);
        let found = state.regions.at(start).and_then(|region| region.object());
        if !found.is_some_and(|object| object.is(&page.object)) {
            return Ok(Begun::Over);
        }
        Self::begin_unmap_in(space, state, (start, end), cpu)
    }
}
