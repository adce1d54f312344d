//! Page tables of an address space. The tables are maps of the host's, but they take frames where
//! the real ones would: one for each table of four levels, at the same moments.
//!
//! What the real machine would let pass and pay for later is refused here at once: pages in tables
//! that were taken apart, tables taken from under a page or while they are loaded.
#![forbid(unsafe_code)]

use core::cell::RefCell;
use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use orbital_abi::{Error, layout};

use super::direct_map;
use crate::{
    arch::{Access, Translation},
    memory::frame::Frame,
};

/// The level of the root.
const TOP: u8 = 4;

std::thread_local! {
    /// What this CPU has loaded; `None` is the kernel's own.
    static LOADED: RefCell<Option<Arc<Mutex<Tables>>>> = const { RefCell::new(None) };
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

    /// Removes the page at `address` and gives its frame.
    pub fn unmap(&mut self, address: u64) -> Option<Frame> {
        lock(&self.0).pages.remove(&address).map(|page| page.frame)
    }

    /// What `address` leads to, if it is mapped.
    pub fn translate(&self, address: u64) -> Option<Translation> {
        translate(&self.0, address)
    }

    /// Takes one table out, lowest levels first and the root last, and gives its frame; `None`
    /// when none is left.
    ///
    /// # Panics
    /// While pages are mapped, or this CPU has the tables loaded.
    pub fn take_table(&mut self) -> Option<Frame> {
        assert!(!self.is_loaded(), "tables are taken apart while they are loaded");
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
        LOADED.replace(Some(self.0.clone()));
    }

    /// Whether this CPU has them loaded.
    pub fn is_loaded(&self) -> bool {
        LOADED.with_borrow(|loaded| loaded.as_ref().is_some_and(|it| Arc::ptr_eq(it, &self.0)))
    }

    /// Loads the tables that map nothing but the kernel.
    pub fn load_kernel() {
        LOADED.take();
    }
}

fn translate(tables: &Mutex<Tables>, address: u64) -> Option<Translation> {
    lock(tables).pages.get(&(address & !(layout::PAGE_SIZE - 1))).copied()
}

/// What `address` leads to in the tables that this CPU has loaded.
pub(super) fn translate_loaded(address: u64) -> Option<Translation> {
    LOADED.with_borrow(|loaded| translate(loaded.as_ref()?, address))
}

/// As after boot.
pub(super) fn reset() {
    PageTables::load_kernel();
}
