//! Address spaces: which pages of which memory objects a process sees, and how.
//!
//! A mapping is entered in the ordered set of regions, with the tables that it needs; its pages are mapped
//! when they are touched, the first few at once where they are there. What takes pages away again
//! ([`change`]) goes in steps, between which others run.
//!
//! Lock order: an address space's state, then an object's, then memory's. No lock is held while another CPU
//! is waited for.

mod at_once;
mod begin;
mod budget;
pub mod change;
mod fault;
mod map;
mod message_page;
mod pages;
mod tables;
mod withdrawal;

use core::{
    ptr::NonNull,
    sync::atomic::{
        AtomicU64,
        Ordering::{Relaxed, SeqCst},
        fence,
    },
};

use orbital_abi::{
    Error, ObjectKind,
    layout::{PAGE_SIZE, USER_END, USER_START},
};
use spin::Mutex;

use self::change::Change;
pub use self::{
    begin::{Begun, Check},
    fault::{Resolution, Wanted},
    map::{Found, Mapping},
    message_page::MessagePage,
};
use super::{region::Regions, tags};
use crate::{
    arch::{PageTables, Root, Translation},
    memory::{self, FrameList},
    object::{AnyRef, Header, Object, Paid, Quota, Ref},
};

/// What a process sees.
#[repr(C)]
pub struct AddressSpace {
    header: Header,
    root: Root,
    /// Its number, from 1 on, for as long as the machine runs.
    number: u64,
    /// How often something was taken away that CPUs may remember.
    changes: AtomicU64,
    /// The CPUs that have it loaded, a bit each.
    loaded: AtomicU64,
    /// How many CPUs are about to drop regions that they have taken out for a change.
    dropping: AtomicU64,
    state: Mutex<State>,
    /// How many places for message pages the kernel has chosen.
    message_pages: AtomicU64,
    /// Message pages whose threads have ended, to be unmapped.
    left_pages: Mutex<Option<Paid<MessagePage>>>,
    quota: Ref<Quota>,
}

// SAFETY: `repr(C)`, and the header comes first.
unsafe impl Object for AddressSpace {
    const KIND: Option<ObjectKind> = None;
}

struct State {
    tables: PageTables,
    regions: Regions,
    /// Leaf tables in whose place a large page was mapped. CPUs may still walk them until they forget their
    /// translations the next time. Each is paid apart from its window.
    limbo: FrameList,
    /// What goes on.
    change: Option<Change>,
    /// The number of the last change that was begun, and of the last that is over.
    begun: u64,
    finished: u64,
    /// The process has ended: nothing is mapped any more.
    is_closed: bool,
}

/// `[address, address + bytes)`, checked.
fn range(address: u64, bytes: u64) -> Result<(u64, u64), Error> {
    if !(address | bytes).is_multiple_of(PAGE_SIZE) || bytes == 0 {
        return Err(Error::InvalidArgument);
    }
    let end = address.checked_add(bytes).ok_or(Error::InvalidAddress)?;
    if address < USER_START || end > USER_END {
        return Err(Error::InvalidAddress);
    }
    Ok((address, end))
}

impl AddressSpace {
    /// An empty address space, whose tables and books `quota` pays. For itself its process pays.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub fn new(quota: &Ref<Quota>) -> Result<Ref<Self>, Error> {
        quota.charge_frames(1)?;
        let Some(root) = memory::allocate_frame() else {
            quota.refund_frames(1);
            return Err(Error::QuotaExceeded);
        };
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let tables = PageTables::new(root);
        Ref::new(Self {
            header: Header::new::<Self>(),
            root: tables.root(),
            number: NEXT.fetch_add(1, Relaxed),
            changes: AtomicU64::new(0),
            loaded: AtomicU64::new(0),
            dropping: AtomicU64::new(0),
            state: Mutex::new(State {
                tables,
                regions: Regions::new(),
                limbo: FrameList::new(),
                change: None,
                begun: 0,
                finished: 0,
                is_closed: false,
            }),
            message_pages: AtomicU64::new(0),
            left_pages: Mutex::new(None),
            quota: quota.clone(),
        })
    }

    /// The address space behind a reference of a mapping.
    ///
    /// # Safety
    /// It came from an address space.
    pub unsafe fn from_any(any: AnyRef) -> Ref<Self> {
        // SAFETY: the caller's.
        unsafe { any.cast() }
    }

    /// Loads it on `cpu`, which is this one.
    #[inline(always)]
    pub fn enter(&self, cpu: usize) {
        // First, so that no translation gets in here unseen: see `shootdown`.
        self.loaded.fetch_or(1 << cpu, SeqCst);
        self.root.load(tags::choose(self.number, self.changes.load(SeqCst)));
    }

    /// `cpu`, which is this one, has loaded another.
    ///
    /// # Safety
    /// It is there until this has happened: its process's end waits for it. It need not be afterwards, so this takes
    /// no reference.
    #[inline]
    pub unsafe fn left(space: NonNull<Self>, cpu: usize) {
        // SAFETY: the caller's; a reference to the word alone, which is a cell.
        unsafe { &(*space.as_ptr()).loaded }.fetch_and(!(1 << cpu), SeqCst);
    }

    /// The CPUs that have it loaded, a bit each.
    pub fn loaded(&self) -> u64 {
        // What was changed in the tables comes before this look.
        fence(SeqCst);
        self.loaded.load(SeqCst)
    }

    /// Something was taken away from the tables: the CPUs that have to be asked to forget it, a bit each. Others
    /// see that they have to when they load it the next time.
    pub fn take_note(&self) -> u64 {
        // What was changed in the tables comes before this, and the look after it.
        self.changes.fetch_add(1, SeqCst);
        self.loaded.load(SeqCst)
    }

    /// What `address` leads to.
    pub fn translate(&self, address: u64) -> Option<Translation> {
        self.state.lock().tables.translate(address)
    }

    /// Gives the last table back: all mappings are gone, and no CPU has it loaded.
    pub fn close(&self) {
        let root = self.state.lock().tables.take_root();
        if let Some(root) = root {
            memory::free_frame(root);
            self.quota.refund_frames(1);
        }
    }
}

impl Drop for AddressSpace {
    /// One that no process ever ended with: there were means for it, but not for its process.
    fn drop(&mut self) {
        debug_assert!(self.state.get_mut().regions.is_empty(), "a mapping outlives its space");
        self.close();
    }
}
