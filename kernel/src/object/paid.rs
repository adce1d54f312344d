//! What a quota pays for and has room for: things in its [slabs](crate::memory::slab). Their memory says
//! whose it is, so nothing here holds a reference to the quota.

use core::{
    alloc::Layout,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    pin::Pin,
    ptr::{NonNull, drop_in_place},
};

use intrusive_collections::UnsafeRef;
use orbital_abi::Error;

use super::{Quota, Ref, quota};
use crate::memory::class::Class;

/// Puts what `make` makes into the memory of `quota`, right in its place; [`remove`] frees it.
///
/// # Errors
/// [`Error::QuotaExceeded`], and nothing is made.
#[inline(always)]
pub(super) fn place<T>(quota: &Ref<Quota>, make: impl FnOnce() -> T) -> Result<NonNull<T>, Error> {
    let room = quota::allocate(quota, const { Class::of_type::<T>() })?.cast::<T>();
    // SAFETY: fresh room of a class that was chosen for the type.
    unsafe { room.write(make()) };
    Ok(room)
}

/// Ends what [`place`] made.
///
/// # Safety
/// It came from there, is removed once, and nobody uses it any more.
pub(super) unsafe fn remove<T>(thing: NonNull<T>) {
    // SAFETY: the caller's.
    unsafe {
        drop_in_place(thing.as_ptr());
        quota::free(thing.cast(), const { Class::of_type::<T>() });
    }
}

/// A box in a quota's memory.
pub struct Paid<T>(NonNull<T>);

// SAFETY: it owns its content.
unsafe impl<T: Send> Send for Paid<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Paid<T> {}

impl<T> Paid<T> {
    /// Puts `value` into the memory of `quota`.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`], and `value` is dropped.
    pub fn new(value: T, quota: &Ref<Quota>) -> Result<Self, Error> {
        Self::new_with(quota, || value)
    }

    /// Puts what `make` makes into the memory of `quota`.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`], and nothing is made.
    #[inline(always)]
    pub fn new_with(quota: &Ref<Quota>, make: impl FnOnce() -> T) -> Result<Self, Error> {
        place(quota, make).map(Self)
    }

    /// The same, never to be moved again.
    pub fn into_pin(self) -> Pin<Self> {
        // SAFETY: the content stays where it is until it is dropped there, and nobody gets it out.
        unsafe { Pin::new_unchecked(self) }
    }

    /// Gives it away as a pointer; [`Paid::from_raw`] takes it back.
    pub fn into_raw(self) -> NonNull<T> {
        ManuallyDrop::new(self).0
    }

    /// Takes back what [`Paid::into_raw`] gave.
    ///
    /// # Safety
    /// The pointer came from `into_raw` and is taken back once.
    pub unsafe fn from_raw(pointer: NonNull<T>) -> Self {
        Self(pointer)
    }

    /// Gives it away to an intrusive list, where it stays as it is; [`Paid::from_list`] takes it back.
    pub fn into_list(self) -> UnsafeRef<T> {
        // SAFETY: nobody else refers to it, and it is not moved.
        unsafe { UnsafeRef::from_raw(self.into_raw().as_ptr()) }
    }

    /// Takes back what [`Paid::into_list`] gave.
    ///
    /// # Safety
    /// The reference came from `into_list` and is taken back once, and its content is in no list any more.
    pub unsafe fn from_list(reference: UnsafeRef<T>) -> Self {
        // SAFETY: a reference is never null.
        Self(unsafe { NonNull::new_unchecked(UnsafeRef::into_raw(reference)) })
    }
}

impl<T> Deref for Paid<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: it owns its content.
        unsafe { self.0.as_ref() }
    }
}

impl<T> DerefMut for Paid<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: it owns its content.
        unsafe { self.0.as_mut() }
    }
}

impl<T> Drop for Paid<T> {
    fn drop(&mut self) {
        // SAFETY: it owns its content, which came from `place`.
        unsafe { remove(self.0) };
    }
}

/// Raw memory of a quota's, for what only the machine knows the size of.
#[derive(Debug)]
pub struct PaidRoom {
    memory: NonNull<u8>,
    class: Class,
}

// SAFETY: it owns the memory.
unsafe impl Send for PaidRoom {}
// SAFETY: as above.
unsafe impl Sync for PaidRoom {}

impl PaidRoom {
    /// Memory of that layout. Its content is whatever was there.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`], also where no slab has room for so much.
    pub fn new(layout: Layout, quota: &Ref<Quota>) -> Result<Self, Error> {
        let class = Class::of(layout).ok_or(Error::QuotaExceeded)?;
        quota::allocate(quota, class).map(|memory| Self { memory, class })
    }

    /// Where it is.
    pub fn pointer(&self) -> NonNull<u8> {
        self.memory
    }
}

impl Drop for PaidRoom {
    fn drop(&mut self) {
        // SAFETY: it came from `allocate`, and its owner uses it no more.
        unsafe { quota::free(self.memory, self.class) };
    }
}
