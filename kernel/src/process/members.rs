//! Lists of what belongs to a process, threads and children: intrusive, so that none of a list's
//! steps takes memory or grows with its length. The list keeps what is in it alive.
//!
//! A member is touched only under the lock of the process that it belongs to.

use core::{cell::UnsafeCell, ptr::NonNull};

use crate::object::{AnyRef, Object, Ref};

/// An object's place in the list of the process that it belongs to.
pub struct Member(UnsafeCell<Place>);

#[derive(Default)]
struct Place {
    before: Option<NonNull<Member>>,
    after: Option<NonNull<Member>>,
    /// Keeps the object alive while it is in the list.
    object: Option<AnyRef>,
}

// SAFETY: only the methods of `Members` touch it, under the list's lock.
unsafe impl Sync for Member {}
// SAFETY: as above; what it points to are objects, which can be sent.
unsafe impl Send for Member {}

impl Member {
    /// A place in no list.
    pub const fn new() -> Self {
        Self(UnsafeCell::new(Place { before: None, after: None, object: None }))
    }
}

impl Default for Member {
    fn default() -> Self {
        Self::new()
    }
}

/// An object that belongs to one process from its making to its end.
///
/// # Safety
/// `member` gives a part of the object, always the same.
pub unsafe trait Belongs: Object {
    /// Its place in that process's list.
    fn member(&self) -> &Member;
}

/// A list.
pub(super) struct Members {
    first: Option<NonNull<Member>>,
    last: Option<NonNull<Member>>,
    count: usize,
    /// Where a walk goes on, and the number of what it has visited last.
    walk: (Option<NonNull<Member>>, u64),
}

// SAFETY: it owns a reference to each object in it, and those can be sent.
unsafe impl Send for Members {}

fn place(member: NonNull<Member>) -> *mut Place {
    // SAFETY: the object that the member is a part of is alive: it is in a list, or the caller has it.
    unsafe { member.as_ref() }.0.get()
}

impl Members {
    pub(super) const fn new() -> Self {
        Self { first: None, last: None, count: 0, walk: (None, 0) }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Puts an object at the end.
    ///
    /// # Safety
    /// It was in no list before, and will be in no other.
    pub(super) unsafe fn add<T: Belongs>(&mut self, object: Ref<T>) {
        let member = NonNull::from(object.member());
        // SAFETY: the object is alive and in no list; its place is this list's from now on.
        unsafe { self.push(member, object.erase()) };
    }

    /// Takes an object out; `None` when it is not in.
    ///
    /// # Safety
    /// It is in this list or in none.
    pub(super) unsafe fn remove(&mut self, object: &impl Belongs) -> Option<AnyRef> {
        // SAFETY: the caller's.
        unsafe { self.take(NonNull::from(object.member())) }
    }

    /// The next object of a walk through the list, which takes turns with all else that happens to it: those who leave
    /// are not visited. It goes on behind the object with the number `after`; where that was not the last one of the
    /// walk, it begins anew, and says so.
    pub(super) fn next_of_walk(
        &mut self,
        after: u64,
        number_of: impl FnOnce(&AnyRef) -> u64,
    ) -> Option<(AnyRef, bool)> {
        let (next, visited) = self.walk;
        let is_anew = after == 0 || visited != after;
        let member = if is_anew { self.first? } else { next? };
        // SAFETY: it is in this list: what leaves it is no member of the walk any more.
        let (object, next) = unsafe { ((*place(member)).object.clone()?, (*place(member)).after) };
        self.walk = (next, number_of(&object));
        Some((object, is_anew))
    }

    /// The first one, which becomes the last.
    pub(super) fn rotate(&mut self) -> Option<AnyRef> {
        let first = self.first?;
        // SAFETY: it is in this list.
        unsafe {
            let object = self.take(first)?;
            self.push(first, object.clone());
            Some(object)
        }
    }

    /// # Safety
    /// As for [`Members::add`].
    unsafe fn push(&mut self, member: NonNull<Member>, object: AnyRef) {
        let before = self.last;
        // SAFETY: the caller's; what is in the list is alive.
        unsafe {
            debug_assert!((*place(member)).object.is_none(), "an object belongs to one process");
            *place(member) = Place { before, after: None, object: Some(object) };
        }
        self.join(before, Some(member));
        self.join(Some(member), None);
        self.count += 1;
    }

    /// # Safety
    /// As for [`Members::remove`].
    unsafe fn take(&mut self, member: NonNull<Member>) -> Option<AnyRef> {
        // SAFETY: the place is this list's or nobody's, by the caller's word.
        let Place { before, after, object } = unsafe { core::mem::take(&mut *place(member)) };
        let object = object?;
        if self.walk.0 == Some(member) {
            self.walk.0 = after;
        }
        self.join(before, after);
        self.count -= 1;
        Some(object)
    }

    /// Makes `left` and `right` neighbours; `None` is the list's end.
    fn join(&mut self, left: Option<NonNull<Member>>, right: Option<NonNull<Member>>) {
        // SAFETY: both are in this list.
        unsafe {
            match left {
                Some(left) => (*place(left)).after = right,
                None => self.first = right,
            }
            match right {
                Some(right) => (*place(right)).before = left,
                None => self.last = left,
            }
        }
    }
}
