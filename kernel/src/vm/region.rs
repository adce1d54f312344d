//! Regions: the mappings of an address space, ordered by address.
//!
//! A region is touched only under its address space's lock, but for its part in the list of its object's
//! mappings, which is under the object's.

use core::{cell::Cell, ptr::NonNull};

use intrusive_collections::{
    Bound, KeyAdapter, RBTree, RBTreeLink, UnsafeRef, intrusive_adapter, rbtree::CursorMut,
};
use orbital_abi::{Error, Rights, layout::PAGE_SIZE};
use spin::MutexGuard;

use super::{
    MemoryObject,
    mapped::Mapped,
    memory_object::{Inner, MAX_PAGES},
};
use crate::{
    arch::{Access, Table},
    capability::Kept,
    object::{Paid, Quota, Ref, Uncounted},
};

/// What a leaf table maps, in bytes.
const WINDOW: u64 = Table::Leaf.span();

/// A range of addresses with pages of one object, or with nothing: then every access is a fault.
pub struct Region {
    link: RBTreeLink,
    mapped: Mapped,
    end: Cell<u64>,
    /// By what a revoke finds it; `None` where nobody can revoke what it was mapped through.
    kept: Option<Paid<Kept>>,
    /// `None` for a guard.
    object: Option<Ref<MemoryObject>>,
    /// The object's page at the first address; 0 for a guard. No object has more pages.
    first_page: u32,
    /// What its pages allow now; `None` is nothing.
    access: Cell<Option<Access>>,
    /// What they may ever allow: the rights of the capability by which they were mapped.
    allowed: u8,
    /// Its pages are being removed, or are gone.
    is_leaving: Cell<bool>,
}

const _: () = assert!(MAX_PAGES <= u32::MAX as u64 && size_of::<Region>() == 96);

// SAFETY: the link and the cells are touched only under the address space's lock.
unsafe impl Sync for Region {}

intrusive_adapter!(Adapter = UnsafeRef<Region>: Region { link => RBTreeLink });

impl<'a> KeyAdapter<'a> for Adapter {
    type Key = u64;

    fn get_key(&self, region: &'a Region) -> u64 {
        region.start()
    }
}

/// What a region is made of.
#[derive(Clone)]
pub struct Content {
    /// `None` for a guard.
    pub object: Option<Ref<MemoryObject>>,
    /// The object's page at the first address.
    pub first_page: u64,
    /// What its pages allow; `None` is nothing.
    pub access: Option<Access>,
    /// What they may ever allow.
    pub allowed: Rights,
}

impl Region {
    /// A region in no list, of `space`, paid by `quota`. A revoke finds it by `kept`.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    #[inline(always)]
    pub fn new(
        space: Uncounted,
        start: u64,
        end: u64,
        (content, kept): (Content, Option<Paid<Kept>>),
        quota: &Ref<Quota>,
    ) -> Result<Paid<Self>, Error> {
        let Content { object, first_page, access, allowed } = content;
        Paid::new_with(quota, || Self {
            link: RBTreeLink::new(),
            mapped: Mapped::new(space, start),
            end: Cell::new(end),
            kept,
            object,
            first_page: first_page as u32,
            access: Cell::new(access),
            allowed: allowed.bits() as u8,
            is_leaving: Cell::new(false),
        })
    }

    /// Its first address.
    pub fn start(&self) -> u64 {
        self.mapped.start
    }

    /// One past its last address.
    pub fn end(&self) -> u64 {
        self.end.get()
    }

    /// Its object; `None` for a guard.
    pub fn object(&self) -> Option<&Ref<MemoryObject>> {
        self.object.as_ref()
    }

    /// The object's page at `address`.
    pub fn page_at(&self, address: u64) -> u64 {
        self.first_page() + (address - self.start()) / PAGE_SIZE
    }

    /// The address of the object's page `page`, which is at or behind the region's first.
    pub fn address_of(&self, page: u64) -> u64 {
        self.start() + (page - self.first_page()) * PAGE_SIZE
    }

    /// The first page of the object that it has.
    pub fn first_page(&self) -> u64 {
        self.first_page.into()
    }

    /// What its pages allow.
    pub fn access(&self) -> Option<Access> {
        self.access.get()
    }

    /// Changes what its pages allow, as far as it is concerned.
    pub fn set_access(&self, access: Option<Access>) {
        self.access.set(access);
    }

    /// What its pages may ever allow.
    pub fn allowed(&self) -> Rights {
        Rights::from_bits_retain(self.allowed.into())
    }

    /// Whether its pages are being removed, or are gone.
    pub fn is_leaving(&self) -> bool {
        self.is_leaving.get()
    }

    /// From now on its pages are being removed, if `is_leaving`.
    pub fn leave_if(&self, is_leaving: bool) {
        self.is_leaving.set(is_leaving);
    }

    /// By what a revoke finds it.
    pub fn kept(&self) -> Option<&Kept> {
        self.kept.as_deref()
    }

    /// What an upper part from `at` on is made of.
    pub fn content_from(&self, at: u64) -> Content {
        Content {
            object: self.object.clone(),
            first_page: if self.object.is_some() { self.page_at(at) } else { 0 },
            access: self.access(),
            allowed: self.allowed(),
        }
    }

    /// Whether it has all of the leaf table's window that begins at `window`, so that nobody else needs that
    /// table.
    pub fn has_window(&self, window: u64) -> bool {
        self.object.is_some() && self.start() <= window && window + WINDOW <= self.end()
    }
}

/// All regions of an address space. None overlap.
pub struct Regions {
    tree: RBTree<Adapter>,
    /// The one that was found or placed last, if it is still in the tree: the next touch, and the next change,
    /// are often of the same.
    last: Cell<Option<NonNull<Region>>>,
}

// SAFETY: what it points to is its own.
unsafe impl Send for Regions {}

impl Default for Regions {
    fn default() -> Self {
        Self::new()
    }
}

impl Regions {
    /// No regions.
    pub fn new() -> Self {
        Self { tree: RBTree::new(Adapter::new()), last: Cell::new(None) }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tree.is_empty()
    }

    /// The region that holds `address`.
    #[inline]
    pub fn at(&self, address: u64) -> Option<&Region> {
        let holds = |region: &&Region| region.start() <= address && address < region.end();
        // SAFETY: it is in the tree: `find` forgets it before it can be taken out.
        let last = self.last.get().map(|last| unsafe { last.as_ref() });
        last.filter(holds).or_else(|| self.search(address).filter(holds))
    }

    /// The last region that begins at `address` or before.
    fn search(&self, address: u64) -> Option<&Region> {
        let before = self.tree.upper_bound(Bound::Included(&address)).get()?;
        self.last.set(Some(NonNull::from(before)));
        Some(before)
    }

    /// The first region that ends behind `address`.
    pub fn from(&self, address: u64) -> Option<&Region> {
        self.all_from(address).next()
    }

    /// The regions that end behind `address`, in their order.
    pub fn all_from(&self, address: u64) -> impl Iterator<Item = &Region> {
        let mut cursor = self.tree.upper_bound(Bound::Included(&address));
        if cursor.get().is_none_or(|before| before.end() <= address) {
            cursor.move_next();
        }
        core::iter::from_fn(move || {
            let region = cursor.get();
            cursor.move_next();
            region
        })
        .fuse()
    }

    /// The first region that ends behind `address`, to be taken out or left, and then those behind it.
    pub fn walk_from(&mut self, address: u64) -> Found<'_> {
        self.last.set(None);
        let mut cursor = self.tree.upper_bound_mut(Bound::Included(&address));
        if cursor.get().is_none_or(|before| before.end() <= address) {
            cursor.move_next();
        }
        Found(cursor)
    }

    /// The region that holds `address`, to be taken out.
    pub fn find(&mut self, address: u64) -> Option<Found<'_>> {
        let region = &raw const *self.at(address)?;
        self.last.set(None);
        // SAFETY: it was just found there.
        Some(Found(unsafe { self.tree.cursor_mut_from_ptr(region) }))
    }

    /// Where a region `[start, end)` belongs, if none touches that.
    #[inline(always)]
    pub fn gap(&mut self, start: u64, end: u64) -> Option<Gap<'_>> {
        let before = self.tree.upper_bound_mut(Bound::Included(&start));
        let is_free = before.get().is_none_or(|before| before.end() <= start)
            && before.peek_next().get().is_none_or(|next| end <= next.start());
        is_free.then_some(Gap { before, last: &self.last })
    }

    /// Ends the region that holds `upper`'s first address there; `upper`, made of its content, is the rest.
    pub fn divide(&mut self, upper: Paid<Region>) {
        let Some(lower) = self.at(upper.start()) else { return };
        if let Some(object) = &upper.object {
            // SAFETY: the lower part is in the list, and the upper one is new.
            object.with_inner(|inner| unsafe {
                inner.mappings.add_beside(&upper.mapped, &lower.mapped);
            });
        }
        lower.end.set(upper.start());
        self.tree.insert(upper.into_list());
    }
}

/// A region, found to be taken out.
pub struct Found<'a>(CursorMut<'a, Adapter>);

impl Found<'_> {
    /// Which one.
    pub fn region(&self) -> Option<&Region> {
        self.0.get()
    }

    /// Leaves it where it is, and goes to the next.
    pub fn leave(&mut self) {
        self.0.move_next();
    }

    /// Takes it out, to be dropped after unlocking: perhaps its object's last reference goes with it. Goes to the next.
    #[inline]
    pub fn take(&mut self) -> Option<Paid<Region>> {
        let region = self.0.remove()?;
        // SAFETY: it has just left the tree.
        Some(unsafe { unmapped(region) })
    }

    /// Takes it out, and looks at no other.
    #[inline(always)]
    pub fn remove(mut self) -> Option<Paid<Region>> {
        let region = self.0.remove()?;
        // SAFETY: as in `take`.
        Some(unsafe { unmapped(region) })
    }
}

/// The region, no mapping of its object any more.
///
/// # Safety
/// It has just left its tree.
#[inline(always)]
unsafe fn unmapped(region: UnsafeRef<Region>) -> Paid<Region> {
    if let Some(object) = &region.object {
        // SAFETY: it is in the list: `fill` or `divide` put it there.
        object.with_inner(|inner| unsafe { inner.mappings.remove(&region.mapped) });
    }
    // SAFETY: all in the tree came there by `into_list`, and this one has left it, and that of its object.
    unsafe { Paid::from_list(region) }
}

/// A range of addresses without regions.
pub struct Gap<'a> {
    /// The region in front of it, or none.
    before: CursorMut<'a, Adapter>,
    last: &'a Cell<Option<NonNull<Region>>>,
}

impl<'a> Gap<'a> {
    /// Puts a region there, and its mapping into its object's list. Gives the region, and what its object's lock
    /// covers, still locked: so far nobody withdraws pages that it does not know of.
    #[inline(always)]
    pub fn fill(mut self, region: Paid<Region>) -> (&'a Region, Option<MutexGuard<'a, Inner>>) {
        let region = region.into_list();
        let placed = &raw const *region;
        self.before.insert_after(region);
        // SAFETY: it stays where it is until it is taken out, which is not before `'a` ends.
        let placed = unsafe { &*placed };
        self.last.set(Some(NonNull::from(placed)));
        let Some(object) = placed.object() else { return (placed, None) };
        let mut inner = object.lock();
        // SAFETY: it is new, and `remove` removes it.
        unsafe { inner.mappings.add(&placed.mapped) };
        (placed, Some(inner))
    }
}
