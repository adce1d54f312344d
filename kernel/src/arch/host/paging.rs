//! Page tables of an address space. The tables are maps of the host's, but they take frames where
//! the real ones would: one for each table of four levels, at the same moments.
//!
//! What the real machine would let pass and pay for later is refused here at once: pages without
//! tables, tables taken from under a page or while they are loaded, and frames that are used anew while
//! a CPU may still reach them through an old translation: here a CPU remembers every translation and
//! every table of the tables that it has loaded, until it forgets them.
#![forbid(unsafe_code)]

use core::cell::RefCell;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use orbital_abi::layout::{self, PAGE_SIZE};

use super::{cpu::Each, direct_map};
use crate::{
    arch::{Access, PageSize, Protection, Table, Tag, Translation},
    memory::frame::Frame,
    percpu::MAX_CPUS,
};

/// How many tags a CPU has for address spaces: none, so it forgets all of one when it loads another.
pub fn tags() -> usize {
    0
}

/// What a CPU may still reach though it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stale {
    /// `None` for a table.
    address: Option<u64>,
    first: u64,
    frames: u64,
}

std::thread_local! {
    /// What a CPU has loaded; `None` is the kernel's own.
    static LOADED: Each<RefCell<Option<Root>>> =
        const { Each::new([const { RefCell::new(None) }; MAX_CPUS]) };
    static STALE: Each<RefCell<BTreeSet<Stale>>> =
        const { Each::new([const { RefCell::new(BTreeSet::new()) }; MAX_CPUS]) };
}

/// The tables of one address space. Whoever has them frees them, table by table: they are not freed on
/// drop.
#[derive(Debug)]
pub struct PageTables(Root);

/// What a CPU loads.
#[derive(Clone, Debug)]
pub struct Root(Arc<Mutex<Tables>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Page {
    frame: Frame,
    size: PageSize,
    protection: Protection,
}

#[derive(Debug)]
struct Tables {
    /// `None` once it was taken.
    root: Option<Frame>,
    /// By level, then by the addresses that the table covers.
    below: BTreeMap<(u32, u64), Frame>,
    /// By the same: how many need it.
    needed: BTreeMap<(u32, u64), u64>,
    /// By address.
    pages: BTreeMap<u64, Page>,
}

/// Which table of `level` an address needs.
fn place(level: Table, address: u64) -> (u32, u64) {
    (level as u32, address / level.span())
}

pub(super) fn above(level: Table) -> Option<Table> {
    match level {
        Table::Leaf => Some(Table::Directory),
        Table::Directory => Some(Table::Pointers),
        Table::Pointers => None,
    }
}

impl Tables {
    fn has(&self, address: u64, level: Table) -> bool {
        self.root.is_some() && self.below.contains_key(&place(level, address))
    }

    fn at(&self, address: u64) -> Option<(u64, Page)> {
        let (start, page) = self.pages.range(..=address).next_back()?;
        (address - start < page.size.bytes()).then_some((*start, *page))
    }

    fn translate(&self, address: u64) -> Option<Translation> {
        let (start, Page { frame, size, protection: Protection { access, cache } }) =
            self.at(address)?;
        let frame = Frame::new(frame.number() + (address - start) / PAGE_SIZE);
        Some(Translation { frame, access, cache, size })
    }
}

impl Root {
    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loads the tables on this CPU.
    ///
    /// # Panics
    /// When they were taken apart.
    pub fn load(&self, _tag: Option<Tag>) {
        assert!(self.lock().root.is_some(), "tables are loaded that were taken apart");
        LOADED.with(|loaded| loaded.here().replace(Some(self.clone())));
        forget();
    }

    fn is_loaded_on(&self, cpu: usize) -> bool {
        let is_own = |it: &Self| Arc::ptr_eq(&it.0, &self.0);
        LOADED.with(|loaded| loaded.of(cpu).borrow().as_ref().is_some_and(is_own))
    }

    /// Every CPU that has the tables loaded may still reach so many frames from `first` on.
    fn remember(&self, address: Option<u64>, first: Frame, frames: u64) {
        for cpu in (0..MAX_CPUS).filter(|cpu| self.is_loaded_on(*cpu)) {
            let stale = Stale { address, first: first.number(), frames };
            STALE.with(|it| it.of(cpu).borrow_mut().insert(stale));
        }
    }
}

impl PageTables {
    /// Tables that map nothing but the kernel. `root` is a frame that the tables own from now on.
    pub fn new(root: Frame) -> Self {
        direct_map::zero(root);
        let (below, needed, pages) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self(Root(Arc::new(Mutex::new(Tables { root: Some(root), below, needed, pages }))))
    }

    /// What a CPU loads.
    pub fn root(&self) -> Root {
        self.0.clone()
    }

    /// Whether there is a table of this level over `address`.
    pub fn has(&self, address: u64, level: Table) -> bool {
        self.0.lock().has(address, level)
    }

    /// Makes the table of this level over `address` out of `frame`, which is zeroed.
    ///
    /// # Panics
    /// When it is not, the one above is not there, or this one is, or a large page.
    pub fn add(&mut self, address: u64, level: Table, frame: Frame) {
        assert!(direct_map::is_zero(frame), "a table of {frame:?}, which is not zeroed");
        let mut tables = self.0.lock();
        let has_above = above(level).is_none_or(|above| tables.has(address, above));
        assert!(tables.root.is_some() && has_above, "no table above that for {address:#x}");
        assert_eq!(tables.at(address), None, "a table in the place of a page");
        let before = tables.below.insert(place(level, address), frame);
        assert_eq!(before, None, "a second table for {address:#x}");
    }

    /// How many need the table of this level over `address`; 0 where there is none.
    pub(super) fn needed(&self, address: u64, level: Table) -> u64 {
        self.0.lock().needed.get(&place(level, address)).copied().unwrap_or_default()
    }

    /// Counts `times` more who need the table of this level over `address`.
    ///
    /// # Panics
    /// When it is not there, or has more than 512 then.
    pub fn hold(&mut self, address: u64, level: Table, times: u64) {
        let mut tables = self.0.lock();
        let place = place(level, address);
        assert!(tables.below.contains_key(&place), "no table for {address:#x}");
        let count = tables.needed.entry(place).or_default();
        *count += times;
        assert!(*count <= 512, "a table has no more than 512 entries");
    }

    /// Counts `times` less; whether nobody needs it any more.
    ///
    /// # Panics
    /// When so many did not need it.
    pub(super) fn let_go(&mut self, address: u64, level: Table, times: u64) -> bool {
        let mut tables = self.0.lock();
        let count = tables.needed.get_mut(&place(level, address));
        let count = count.unwrap_or_else(|| panic!("nobody needs a table for {address:#x}"));
        *count = count.checked_sub(times).expect("so many did not need it");
        *count == 0
    }

    /// Takes the table of this level over `address` out and gives its frame, if there is one.
    ///
    /// # Panics
    /// While it has pages or tables.
    pub fn remove(&mut self, address: u64, level: Table) -> Option<Frame> {
        let mut tables = self.0.lock();
        let frame = tables.below.remove(&place(level, address))?;
        let needed = tables.needed.remove(&place(level, address)).unwrap_or_default();
        assert_eq!(needed, 0, "a table is taken that is needed");
        let start = address / level.span() * level.span();
        let pages = tables.pages.range(start..start + level.span()).next();
        assert_eq!(pages, None, "a table is taken from under a page");
        let below = tables.below.keys().find(|(of, number)| {
            let span = PAGE_SIZE << (9 * of);
            *of < level as u32 && (start..start + level.span()).contains(&(number * span))
        });
        assert_eq!(below, None, "a table is taken from under a table");
        drop(tables);
        self.0.remember(None, frame, 1);
        Some(frame)
    }

    /// Maps `address` to `frame`; what the entry was is overwritten.
    ///
    /// # Panics
    /// For an address that is not user space's, without the table that the entry stands in, and when
    /// a page leads elsewhere afterwards without having been removed.
    pub fn map(&mut self, address: u64, frame: Frame, size: PageSize, protection: Protection) {
        assert!((layout::USER_START..layout::USER_END).contains(&address), "{address:#x}");
        assert!(address.is_multiple_of(size.bytes()), "{address:#x}");
        let mut tables = self.0.lock();
        let (table, is_free) = match size {
            PageSize::Small => (Table::Leaf, true),
            PageSize::Large => (Table::Directory, !tables.has(address, Table::Leaf)),
        };
        assert!(tables.has(address, table) && is_free, "no entry for {address:#x}");
        let before = tables.pages.insert(address, Page { frame, size, protection });
        assert!(before.is_none_or(|before| before.frame == frame), "{address:#x} led elsewhere");
    }

    /// Removes the pages in `[start, end)`, which lies under one leaf table or, where a large page is
    /// mapped, is the whole of it. Whether there was any.
    ///
    /// # Panics
    /// For a range that does not, or a part of a large page.
    pub fn unmap(&mut self, start: u64, end: u64) -> bool {
        let gone = self.take(start, end);
        for (address, page) in &gone {
            self.0.remember(Some(*address), page.frame, page.size.bytes() / PAGE_SIZE);
        }
        !gone.is_empty()
    }

    fn take(&mut self, start: u64, end: u64) -> Vec<(u64, Page)> {
        let large = PageSize::Large.bytes();
        assert!(start < end && start / large == (end - 1) / large, "{start:#x} to {end:#x}");
        let mut tables = self.0.lock();
        if let Some((at, page)) = tables.at(start) {
            assert!(at >= start && at + page.size.bytes() <= end, "a part of a large page");
        }
        let gone: Vec<_> = tables.pages.range(start..end).map(|(at, page)| (*at, *page)).collect();
        tables.pages.retain(|address, _| !(start..end).contains(address));
        gone
    }

    /// Takes from the pages in `[start, end)`, a range as for [`PageTables::unmap`], what `access` does
    /// not allow. Whether that took anything from any.
    ///
    /// # Panics
    /// As [`PageTables::unmap`].
    pub fn restrict(&mut self, start: u64, end: u64, access: Access) -> bool {
        let mut any = false;
        for (address, mut page) in self.take(start, end) {
            let before = page.protection.access;
            if before != access {
                page.protection.access = Access::Read;
            }
            any |= page.protection.access != before;
            self.0.lock().pages.insert(address, page);
        }
        any
    }

    /// Maps a large page's frames by small pages, in a leaf table made of `frame`. False, and `frame` is
    /// not used, where no large page is mapped.
    pub fn split(&mut self, address: u64, frame: Frame) -> bool {
        let mut tables = self.0.lock();
        let found = tables.at(address).filter(|(_, page)| page.size == PageSize::Large);
        let Some((start, page)) = found else { return false };
        tables.below.insert(place(Table::Leaf, start), frame);
        for number in 0..PageSize::Large.bytes() / PAGE_SIZE {
            let frame = Frame::new(page.frame.number() + number);
            let small = Page { frame, size: PageSize::Small, ..page };
            tables.pages.insert(start + number * PAGE_SIZE, small);
        }
        true
    }

    /// Maps by one large page what a leaf table maps: frames in a row from `first` on, all with
    /// `protection`. Gives the table's frame, which CPUs may still walk.
    ///
    /// # Panics
    /// When it maps anything else.
    pub fn join(&mut self, address: u64, first: Frame, protection: Protection) -> Option<Frame> {
        if !self.has(address, Table::Leaf) {
            return None;
        }
        for (at, page) in self.take(address, address + PageSize::Large.bytes()) {
            let number = (at - address) / PAGE_SIZE;
            assert_eq!(page.frame, Frame::new(first.number() + number), "{at:#x} leads elsewhere");
        }
        let mut tables = self.0.lock();
        let frame = tables.below.remove(&place(Table::Leaf, address));
        let page = Page { frame: first, size: PageSize::Large, protection };
        tables.pages.insert(address, page);
        drop(tables);
        self.0.remember(None, frame?, 1);
        frame
    }

    /// What `address` leads to, if it is mapped.
    pub fn translate(&self, address: u64) -> Option<Translation> {
        self.0.lock().translate(address)
    }

    /// Takes the root, the last table that is left.
    ///
    /// # Panics
    /// While there are others, or a CPU that this host thread plays has the tables loaded.
    pub fn take_root(&mut self) -> Option<Frame> {
        let loaded = (0..MAX_CPUS).find(|cpu| self.0.is_loaded_on(*cpu));
        assert_eq!(loaded, None, "tables are taken apart while a CPU has them loaded");
        let mut tables = self.0.lock();
        assert!(tables.pages.is_empty(), "tables are taken from under {:x?}", tables.pages);
        assert!(tables.below.is_empty(), "tables are left: {:x?}", tables.below);
        tables.root.take()
    }

    /// This CPU forgets what it knows of the page at `address`, and all tables.
    pub fn flush(address: u64) {
        let is_kept = |stale: &Stale| stale.address.is_some_and(|it| it != address);
        STALE.with(|stale| stale.here().borrow_mut().retain(is_kept));
    }

    /// This CPU forgets all translations of user addresses.
    pub fn flush_user() {
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

/// The CPUs that may still reach `frame` through a page or a table that is gone.
pub fn stale_on(frame: Frame) -> Vec<usize> {
    let number = frame.number();
    let has = |stale: &Stale| (stale.first..stale.first + stale.frames).contains(&number);
    let is_stale = |cpu: &usize| STALE.with(|it| it.of(*cpu).borrow().iter().any(has));
    (0..MAX_CPUS).filter(is_stale).collect()
}

/// What `address` leads to in the tables that this CPU has loaded.
pub(super) fn translate_loaded(address: u64) -> Option<Translation> {
    LOADED.with(|loaded| loaded.here().borrow().as_ref()?.lock().translate(address))
}

/// All CPUs as after boot.
pub(super) fn reset() {
    LOADED.with(|loaded| loaded.all().for_each(|loaded| drop(loaded.take())));
    STALE.with(|stale| stale.all().for_each(|stale| stale.borrow_mut().clear()));
}
