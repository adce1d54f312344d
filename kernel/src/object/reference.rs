//! Counted references to kernel objects. Making one can fail; nothing here panics for want of
//! memory.

use alloc::boxed::Box;
use core::{marker::PhantomData, mem::ManuallyDrop, ops::Deref, ptr::NonNull};

use orbital_abi::Error;

use super::{
    Quota,
    header::{Header, Object},
    paid,
};
use crate::memory::heap;

/// A counted reference to a `T`.
pub struct Ref<T: Object>(NonNull<T>, PhantomData<T>);

// SAFETY: objects are `Send + Sync`, and the count is atomic.
unsafe impl<T: Object> Send for Ref<T> {}
// SAFETY: as above.
unsafe impl<T: Object> Sync for Ref<T> {}

/// A reference can be moved, whatever it leads to.
impl<T: Object> Unpin for Ref<T> {}

/// A counted reference to an object of any kind: nothing but the pointer.
#[repr(transparent)]
pub struct AnyRef(NonNull<Header>);

// SAFETY: as for `Ref`.
unsafe impl Send for AnyRef {}
// SAFETY: as for `Ref`.
unsafe impl Sync for AnyRef {}

/// Names an object of any kind and does not keep it: whoever has this knows by other means how long the object is
/// there.
#[derive(Clone, Copy)]
pub struct Uncounted(NonNull<Header>);

// SAFETY: it does nothing by itself.
unsafe impl Send for Uncounted {}
// SAFETY: as above.
unsafe impl Sync for Uncounted {}

impl Uncounted {
    /// Names `object`.
    #[inline]
    pub fn of<T: Object>(object: &T) -> Self {
        Self(NonNull::from(object).cast())
    }

    /// A counted reference to it.
    ///
    /// # Safety
    /// The object is there.
    pub unsafe fn counted(self) -> AnyRef {
        // SAFETY: the caller's.
        unsafe { self.0.as_ref() }.retain();
        AnyRef(self.0)
    }
}

/// Ends a `T` that lies on the heap.
///
/// # Safety
/// `header` is the header of a `T` that came from a `Ref::new`, and the last reference to it is gone.
pub(super) unsafe fn free<T: Object>(header: NonNull<Header>) {
    // SAFETY: `Ref::new` made the object by a `Box`.
    drop(unsafe { Box::from_raw(header.cast::<T>().as_ptr()) });
}

/// Ends a `T` that lies in a quota's memory.
///
/// # Safety
/// `header` is the header of a `T` that came from a `Ref::new_in`, and the last reference to it is gone.
pub(super) unsafe fn free_paid<T: Object>(header: NonNull<Header>) {
    // SAFETY: the caller's.
    unsafe { paid::remove(header.cast::<T>()) };
}

impl<T: Object> Ref<T> {
    /// Puts `object` into the memory of `quota`, which pays for it.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`], and `object` is dropped.
    pub fn new_in(quota: &Ref<Quota>, object: T) -> Result<Self, Error> {
        let object = paid::place(quota, || object)?;
        // SAFETY: an object starts with its header, and nobody else knows of this one yet.
        unsafe { object.cast::<Header>().as_mut() }.set_paid::<T>();
        Ok(Self(object, PhantomData))
    }

    /// Puts an object of the kernel's own, for which nobody pays, on the heap.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] without memory.
    pub fn new(object: T) -> Result<Self, Error> {
        let object = heap::try_box(object).map_err(|_| Error::QuotaExceeded)?;
        Ok(Self(NonNull::from(Box::leak(object)), PhantomData))
    }

    fn header(&self) -> &Header {
        // SAFETY: the object lives as long as this reference, and starts with its header.
        unsafe { self.0.cast::<Header>().as_ref() }
    }

    /// One more reference to an object that is known to have one.
    pub fn from_object(object: &T) -> Self {
        let reference = ManuallyDrop::new(Self(NonNull::from(object), PhantomData));
        (*reference).clone()
    }

    /// One more reference to an object that may be going: `None` when its last one is gone.
    ///
    /// # Safety
    /// The object's memory is there until this returns.
    pub unsafe fn try_from_object(object: NonNull<T>) -> Option<Self> {
        // SAFETY: the caller's; an object starts with its header.
        let is_there = unsafe { object.cast::<Header>().as_ref() }.try_retain();
        is_there.then_some(Self(object, PhantomData))
    }

    /// The same reference, without its type.
    pub fn erase(self) -> AnyRef {
        AnyRef(ManuallyDrop::new(self).0.cast())
    }

    /// Whether both name the same object.
    pub fn is(&self, other: &T) -> bool {
        core::ptr::eq(self.0.as_ptr(), other)
    }

    /// Gives the counted reference away as a pointer; [`Ref::from_raw`] takes it back.
    pub fn into_raw(self) -> NonNull<T> {
        ManuallyDrop::new(self).0
    }

    /// Takes back what [`Ref::into_raw`] gave.
    ///
    /// # Safety
    /// The pointer came from `into_raw` and is taken back once.
    pub unsafe fn from_raw(pointer: NonNull<T>) -> Self {
        Self(pointer, PhantomData)
    }
}

impl<T: Object> Clone for Ref<T> {
    fn clone(&self) -> Self {
        self.header().retain();
        Self(self.0, PhantomData)
    }
}

impl<T: Object> Deref for Ref<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the object lives as long as a reference to it, and is never borrowed mutably.
        unsafe { self.0.as_ref() }
    }
}

impl<T: Object> Drop for Ref<T> {
    fn drop(&mut self) {
        release(self.0.cast());
    }
}

fn release(header: NonNull<Header>) {
    // SAFETY: the caller holds a reference, which it gives up here.
    let (last, free) = unsafe { (header.as_ref().release(), header.as_ref().free_function()) };
    if last {
        // SAFETY: that was the last one; the function was made for the object's type.
        unsafe { free(header) };
    }
}

impl AnyRef {
    /// One more reference to the object with that header.
    ///
    /// # Safety
    /// The object is there.
    pub unsafe fn from_header(header: NonNull<Header>) -> Self {
        // SAFETY: the caller's.
        unsafe { header.as_ref() }.retain();
        Self(header)
    }

    /// The object's header.
    pub fn header(&self) -> &Header {
        // SAFETY: the object lives as long as this reference.
        unsafe { self.0.as_ref() }
    }

    /// Gives the counted reference away as a pointer; [`AnyRef::from_raw`] takes it back.
    #[inline]
    pub fn into_raw(self) -> NonNull<Header> {
        ManuallyDrop::new(self).0
    }

    /// Takes back what [`AnyRef::into_raw`] gave.
    ///
    /// # Safety
    /// The pointer came from `into_raw`. Of all that are made of it, one is dropped.
    #[inline]
    pub unsafe fn from_raw(pointer: NonNull<Header>) -> Self {
        Self(pointer)
    }

    /// The reference as one to a `T`.
    ///
    /// # Errors
    /// [`Error::WrongKind`] when the object is of another kind.
    pub fn downcast<T: Object>(self) -> Result<Ref<T>, Error> {
        if T::KIND.is_none() || self.header().kind() != T::KIND {
            return Err(Error::WrongKind);
        }
        // Each kind belongs to one type.
        Ok(Ref(ManuallyDrop::new(self).0.cast(), PhantomData))
    }

    /// The object as a `T`.
    ///
    /// # Errors
    /// [`Error::WrongKind`] when it is of another kind.
    #[inline]
    pub fn get<T: Object>(&self) -> Result<&T, Error> {
        if T::KIND.is_none() || self.header().kind() != T::KIND {
            return Err(Error::WrongKind);
        }
        // SAFETY: each kind belongs to one type, and the object lives as long as this reference.
        Ok(unsafe { self.0.cast().as_ref() })
    }

    /// The reference as one to a `T`, whatever its kind.
    ///
    /// # Safety
    /// It was made from one.
    pub unsafe fn cast<T: Object>(self) -> Ref<T> {
        Ref(ManuallyDrop::new(self).0.cast(), PhantomData)
    }

    /// Whether this names `object`.
    pub fn is<T: Object>(&self, object: &T) -> bool {
        core::ptr::eq(self.0.as_ptr().cast_const().cast(), object)
    }
}

impl Clone for AnyRef {
    fn clone(&self) -> Self {
        self.header().retain();
        Self(self.0)
    }
}

impl Drop for AnyRef {
    fn drop(&mut self) {
        release(self.0);
    }
}
