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
mod disown;
mod fault;
mod map;
mod message_page;
mod pages;
mod tables;
mod withdrawal;

use core::{
    ptr,
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
use super::{cleaner::Cleaner, loaded, region::Regions, tags};
use crate::{
    arch::{self, PageTables, Root, Translation},
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
    /// How many CPUs are about to drop regions that they have taken out for a change.
    dropping: AtomicU64,
    state: Mutex<State>,
    /// Who finishes what others leave undone.
    pub cleaner: Cleaner,
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
            cleaner: Cleaner::new(),
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

    /// How [`loaded`] names it.
    #[inline(always)]
    fn name(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// Loads it on this CPU, unless it is loaded.
    #[inline(always)]
    pub fn enter(&self) {
        if self.is_loaded_here() {
            return;
        }
        let name = self.name();
        // First, so that no translation gets in here unseen.
        loaded::begin(name);
        match arch::tags() {
            0 => self.root.load(None),
            _ => self.load_with_tag(),
        }
        loaded::end(name);
    }

    /// Whether this CPU has it loaded.
    #[inline(always)]
    fn is_loaded_here(&self) -> bool {
        loaded::is_here(self.name())
    }

    #[cold]
    #[inline(never)]
    fn load_with_tag(&self) {
        // The CPU is seen to load it before it looks at what it may have missed.
        fence(SeqCst);
        self.root.load(tags::choose(self.number, self.changes.load(SeqCst)));
    }

    /// This CPU loads the kernel's own tables: nobody waits for it to forget a translation.
    pub fn leave() {
        if !loaded::is_here(0) {
            loaded::begin(0);
            PageTables::load_kernel();
            loaded::end(0);
        }
    }

    /// The CPUs that have it loaded, a bit each.
    pub fn loaded(&self) -> u64 {
        loaded::cpus(self.name())
    }

    /// Something was taken away from the tables: the CPUs that have to be asked to forget it, a bit each. Others
    /// see that they have to when they load it the next time.
    pub fn take_note(&self) -> u64 {
        // What was changed in the tables comes before this, and the look after it.
        self.changes.fetch_add(1, SeqCst);
        loaded::cpus_behind_barrier(self.name())
    }

    /// The same: whether another CPU than `cpu`, which is this one, has to be asked.
    #[inline]
    fn take_note_of_others(&self, cpu: usize) -> bool {
        self.changes.fetch_add(1, SeqCst);
        loaded::is_elsewhere_behind_barrier(self.name(), cpu)
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
