//! Page tables of an address space. The tables are maps of the host's, but they take frames where
//! the real ones would: one for each table of four levels, at the same moments.
//!
//! What the real machine would let pass and pay for later is refused here at once: pages in tables
//! that were taken apart, tables taken from under a page or while they are loaded, and frames that are
//! used anew while a CPU may still reach them through an old translation: here a CPU remembers every
//! translation of the tables that it has loaded, until it forgets them all or unmaps the page itself.
#![forbid(unsafe_code)]

use core::cell::RefCell;
use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use orbital_abi::{Error, layout};

use super::{
    cpu::{Each, index},
    direct_map, race,
};
use crate::{
    arch::{Access, Translation},
    memory::frame::Frame,
    percpu::MAX_CPUS,
};

/// The level of the root.
const TOP: u8 = 4;

std::thread_local! {
    /// What a CPU has loaded; `None` is the kernel's own.
    static LOADED: Each<RefCell<Option<Arc<Mutex<Tables>>>>> =
        const { Each::new([const { RefCell::new(None) }; MAX_CPUS]) };
    /// Frames that a CPU still reaches though their pages are gone.
    static STALE: Each<RefCell<BTreeSet<u64>>> =
        const { Each::new([const { RefCell::new(BTreeSet::new()) }; MAX_CPUS]) };
}

/// The tables of one address space. They are freed by [`PageTables::take_table`], step by step,
/// not on drop.
#[derive(Debug)]
pub struct PageTables(Arc<Mutex<Tables>>);

#[derive(Debug)]
struct Tables {
    /// `None` once it was taken.
    root: Option<Frame>,
    /// By level, then by the addresses that the table covers.
    below: BTreeMap<(u8, u64), Frame>,
    /// By address.
    pages: BTreeMap<u64, Translation>,
}

/// Which table of `level` an address needs.
fn place(level: u8, address: u64) -> (u8, u64) {
    (level, address >> (12 + 9 * u32::from(level)))
}

fn lock(tables: &Mutex<Tables>) -> MutexGuard<'_, Tables> {
    tables.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PageTables {
    /// Tables that map nothing but the kernel. `root` is a frame that the tables own from now on.
    pub fn new(root: Frame) -> Self {
        direct_map::zero(root);
        let (below, pages) = (BTreeMap::new(), BTreeMap::new());
        Self(Arc::new(Mutex::new(Tables { root: Some(root), below, pages })))
    }

    /// Maps the page at `address` to `frame`. Tables that are missing are made of frames that
    /// `allocate` gives, which says [`Error::QuotaExceeded`] when there are none.
    ///
    /// # Errors
    /// [`Error::AddressInUse`] when the page is mapped, and those of `allocate`; tables made until
    /// then stay, empty.
    ///
    /// # Panics
    /// For an address that is not user space's, and in tables that were taken apart.
    pub fn map(
        &mut self,
        address: u64,
        frame: Frame,
        access: Access,
        mut allocate: impl FnMut() -> Result<Frame, Error>,
    ) -> Result<(), Error> {
        assert!((layout::USER_START..layout::USER_END).contains(&address), "{address:#x}");
        assert!(address.is_multiple_of(layout::PAGE_SIZE), "{address:#x}");
        let mut tables = lock(&self.0);
        assert!(tables.root.is_some(), "a page is mapped in tables that were taken apart");
        for level in (1..TOP).rev() {
            let place = place(level, address);
            if let Entry::Vacant(missing) = tables.below.entry(place) {
                let new = allocate()?;
                direct_map::zero(new);
                missing.insert(new);
            }
        }
        if tables.pages.contains_key(&address) {
            return Err(Error::AddressInUse);
        }
        tables.pages.insert(address, Translation { frame, access });
        Ok(())
    }

    /// Removes the page at `address` and gives its frame. This CPU forgets it, others don't.
    pub fn unmap(&mut self, address: u64) -> Option<Frame> {
        let page = lock(&self.0).pages.remove(&address)?;
        for cpu in (0..MAX_CPUS).filter(|cpu| *cpu != index() && self.is_loaded_on(*cpu)) {
            STALE.with(|stale| stale.of(cpu).borrow_mut().insert(page.frame.number()));
        }
        Some(page.frame)
    }

    /// What `address` leads to, if it is mapped.
    pub fn translate(&self, address: u64) -> Option<Translation> {
        translate(&self.0, address)
    }

    /// Takes one table out, lowest levels first and the root last, and gives its frame; `None`
    /// when none is left.
    ///
    /// # Panics
    /// While pages are mapped, or a CPU that this host thread plays has the tables loaded.
    pub fn take_table(&mut self) -> Option<Frame> {
        let loaded = (0..MAX_CPUS).find(|cpu| self.is_loaded_on(*cpu));
        assert_eq!(loaded, None, "tables are taken apart while a CPU has them loaded");
        let mut tables = lock(&self.0);
        assert!(tables.pages.is_empty(), "tables are taken from under {:x?}", tables.pages);
        tables.below.pop_first().map(|(_, frame)| frame).or_else(|| tables.root.take())
    }

    /// Loads the tables on this CPU.
    ///
    /// # Panics
    /// When they were taken apart.
    pub fn load(&self) {
        assert!(lock(&self.0).root.is_some(), "tables are loaded that were taken apart");
        LOADED.with(|loaded| loaded.here().replace(Some(self.0.clone())));
        forget();
    }

    /// Whether this CPU has them loaded.
    pub fn is_loaded(&self) -> bool {
        self.is_loaded_on(index())
    }

    fn is_loaded_on(&self, cpu: usize) -> bool {
        let is_own = |it: &Arc<_>| Arc::ptr_eq(it, &self.0);
        LOADED.with(|loaded| loaded.of(cpu).borrow().as_ref().is_some_and(is_own))
    }

    /// This CPU forgets all translations of user addresses.
    pub fn flush_user() {
        race::point();
        forget();
    }

    /// Loads the tables that map nothing but the kernel.
    pub fn load_kernel() {
        LOADED.with(|loaded| loaded.here().take());
        forget();
    }
}

fn forget() {
    STALE.with(|stale| stale.here().borrow_mut().clear());
}

/// The CPUs that may still reach `frame` through a page that is gone.
pub fn stale_on(frame: Frame) -> Vec<usize> {
    let is_stale = |cpu: &usize| STALE.with(|it| it.of(*cpu).borrow().contains(&frame.number()));
    (0..MAX_CPUS).filter(is_stale).collect()
}

fn translate(tables: &Mutex<Tables>, address: u64) -> Option<Translation> {
    lock(tables).pages.get(&(address & !(layout::PAGE_SIZE - 1))).copied()
}

/// What `address` leads to in the tables that this CPU has loaded.
pub(super) fn translate_loaded(address: u64) -> Option<Translation> {
    LOADED.with(|loaded| translate(loaded.here().borrow().as_ref()?, address))
}

/// All CPUs as after boot.
pub(super) fn reset() {
    LOADED.with(|loaded| loaded.all().for_each(|loaded| drop(loaded.take())));
    STALE.with(|stale| stale.all().for_each(|stale| stale.borrow_mut().clear()));
}
