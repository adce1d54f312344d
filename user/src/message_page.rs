//! The calling thread's message page: where the words of a message stand that registers have no room for, those of
//! a message that it sends and those of one that it has received.
//!
//! ```no_run
//! # use orbital_user::{Endpoint, IpcError, message_page::MessagePage};
//! # fn ask(endpoint: &Endpoint) -> Result<u64, IpcError> {
//! let page = MessagePage::of_thread().map_err(|_| IpcError::NoRoom)?;
//! let answer = endpoint.call(&page.message(7, &[1; 100])?)?;
//! Ok(page.words(&answer).sum())
//! # }
//! ```

use core::{cell::Cell, ptr::NonNull};

use orbital_abi::{
    Error, IpcError, Message, Registers, Syscall, Tag, layout::PAGE_SIZE, message::REGISTER_WORDS,
};

use crate::syscall::harmless;

/// How many words a page has room for, those that no message uses among them.
pub const ENTRIES: usize = PAGE_SIZE as usize / size_of::<u64>();

/// The page of the thread that has this. Messages come and go while it is shared, so it is made of cells.
#[derive(Clone, Copy, Debug)]
pub struct MessagePage(NonNull<[Cell<u64>; ENTRIES]>);

impl MessagePage {
    /// The calling thread's page, which it gets when it asks first.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub fn of_thread() -> Result<Self, Error> {
        let results = harmless(Syscall::ThreadMessagePage, &Registers::default())?;
        let pointer = core::ptr::with_exposed_provenance_mut(results.control[0] as usize);
        // The kernel maps nothing at address 0.
        NonNull::new(pointer).map(Self).ok_or(Error::InvalidAddress)
    }

    /// Its entries. Number `i` is word `i` of a message, from the ninth on.
    pub fn entries(&self) -> &[Cell<u64>; ENTRIES] {
        // SAFETY: it stays mapped as long as its thread lives, which this does not leave. Other threads have no
        // business there, and the kernel writes only during the thread's own system calls.
        unsafe { self.0.as_ref() }
    }

    /// A message with `label` and `words`, of which those that registers have no room for stand in the page from
    /// now on: it is to be sent before the page is used for another one.
    ///
    /// # Errors
    /// [`IpcError::InvalidMessage`] for more than 496 words.
    pub fn message(&self, label: u32, words: &[u64]) -> Result<Message, IpcError> {
        let tag = Tag::new(label, words.len())?;
        let mut message = Message { tag, words: [0; REGISTER_WORDS] };
        let (first, rest) = words.split_at(tag.register_words());
        message.words[..first.len()].copy_from_slice(first);
        for (entry, word) in self.entries()[REGISTER_WORDS..].iter().zip(rest) {
            entry.set(*word);
        }
        Ok(message)
    }

    /// All words of the message that the thread has received last.
    pub fn words<'a>(&'a self, message: &'a Message) -> impl Iterator<Item = u64> + 'a {
        let rest = self.entries()[..message.tag.words()].iter().skip(REGISTER_WORDS);
        message.words().iter().copied().chain(rest.map(Cell::get))
    }
}
