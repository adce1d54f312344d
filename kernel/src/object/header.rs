//! The header with which every kernel object starts.

use core::{
    ptr::NonNull,
    sync::atomic::{AtomicUsize, Ordering},
};

use orbital_abi::ObjectKind;
use spin::{Mutex, MutexGuard};

use super::{Cut, reference, registry};

/// What is known of an object without knowing its type.
#[repr(C)]
pub struct Header {
    /// `None` for objects that no capability names.
    kind: Option<ObjectKind>,
    /// Guards how the capabilities to the object are derived from each other; whether a [`Cut`] goes on.
    derivation: Mutex<bool>,
    /// Counted references, those of capabilities included. At 0 the memory is freed.
    references: AtomicUsize,
    /// Table entries that name the object. At 0 it is of no more use to anyone: `orphaned`.
    capabilities: AtomicUsize,
    /// What its type does.
    methods: &'static Methods,
}

/// What depends on the type of an object, and on where it lies: in a table, so that a header has one pointer.
struct Methods {
    /// Frees the object's memory.
    free: unsafe fn(NonNull<Header>),
    /// Called when the last capability is gone.
    orphaned: fn(&Header),
    /// See [`Object::cut`].
    cut: fn(&Header) -> Option<&Cut>,
}

/// Calls [`Object::orphaned`].
fn orphaned<T: Object>(header: &Header) {
    // SAFETY: this header was made for a `T`, which starts with it.
    unsafe { NonNull::from(header).cast::<T>().as_ref() }.orphaned();
}

/// Calls [`Object::cut`].
fn cut<T: Object>(header: &Header) -> Option<&Cut> {
    // SAFETY: as in `orphaned`.
    unsafe { NonNull::from(header).cast::<T>().as_ref() }.cut()
}

const fn methods<T: Object>(free: unsafe fn(NonNull<Header>)) -> Methods {
    Methods { free, orphaned: orphaned::<T>, cut: cut::<T> }
}

/// A kernel object.
///
/// # Safety
/// The type is `repr(C)` and its first field is its [`Header`].
pub unsafe trait Object: Send + Sync + Sized + 'static {
    /// Its kind; `None` for objects that no capability names.
    const KIND: Option<ObjectKind>;

    /// What happens when the last capability to it is gone: blocked threads are woken and the
    /// like. The memory stays as long as someone holds a reference.
    fn orphaned(&self) {}

    /// Where it is noted how far a cut of its capabilities has come; `None` where they have no badges.
    fn cut(&self) -> Option<&Cut> {
        None
    }
}

impl Header {
    /// The header of a new `T`, with one reference, which its maker holds.
    pub fn new<T: Object>() -> Self {
        if let Some(kind) = T::KIND {
            registry::created(kind);
        }
        Self {
            kind: T::KIND,
            derivation: Mutex::new(false),
            references: AtomicUsize::new(1),
            capabilities: AtomicUsize::new(0),
            methods: const { &methods::<T>(reference::free::<T>) },
        }
    }

    /// The object's kind.
    pub fn kind(&self) -> Option<ObjectKind> {
        self.kind
    }

    /// Locks how the capabilities to the object are derived from each other. They stand in many tables, so
    /// the lock is the object's. It is taken with a table's held, and only heap and frames under it. Gives whether a
    /// [cut](Header::cut) goes on.
    pub fn lock_derivation(&self) -> MutexGuard<'_, bool> {
        self.derivation.lock()
    }

    /// How far a cut has come of what is derived from each other; `None` where no capability has a badge.
    pub fn cut(&self) -> Option<&Cut> {
        (self.methods.cut)(self)
    }

    pub(super) fn retain(&self) {
        let before = self.references.fetch_add(1, Ordering::Relaxed);
        // 2^63 references can't be: each takes memory.
        debug_assert!(before > 0, "an object without references was found");
    }

    /// Counts one more reference, unless the last one is gone.
    pub(super) fn try_retain(&self) -> bool {
        let more = |count: usize| (count > 0).then_some(count + 1);
        self.references.try_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Gives one reference back; true when it was the last.
    pub(super) fn release(&self) -> bool {
        if self.references.fetch_sub(1, Ordering::Release) != 1 {
            return false;
        }
        // What the other holders did happens before the object is freed.
        core::sync::atomic::fence(Ordering::Acquire);
        true
    }

    /// The object, a `T`, lies in a quota's memory and not on the heap.
    pub(super) fn set_paid<T: Object>(&mut self) {
        self.methods = const { &methods::<T>(reference::free_paid::<T>) };
    }

    pub(super) fn free_function(&self) -> unsafe fn(NonNull<Header>) {
        self.methods.free
    }

    /// Counts one more table entry.
    pub fn capability_added(&self) {
        self.capabilities.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts `count` table entries less, and their references, which are not the last ones. The last entry tells the
    /// object.
    pub fn capabilities_killed(&self, count: usize) {
        let references = self.references.fetch_sub(count, Ordering::Release);
        debug_assert!(references > count, "none is left that names it");
        if count > 0 && self.capabilities.fetch_sub(count, Ordering::AcqRel) == count {
            (self.methods.orphaned)(self);
        }
    }

    /// Whether one table entry names it: the caller's, whose table is locked.
    pub fn is_last_capability(&self) -> bool {
        self.capabilities.load(Ordering::Relaxed) == 1
    }

    /// Whether table entries name it.
    pub fn has_capabilities(&self) -> bool {
        self.capabilities.load(Ordering::Relaxed) > 0
    }

    /// Counts one less; the last tells the object.
    pub fn capability_removed(&self) {
        if self.capabilities.fetch_sub(1, Ordering::AcqRel) == 1 {
            (self.methods.orphaned)(self);
        }
    }
}

impl Drop for Header {
    fn drop(&mut self) {
        if let Some(kind) = self.kind {
            registry::destroyed(kind);
        }
    }
}

impl core::fmt::Debug for Header {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}
