//! The header with which every kernel object starts.

use core::{
    ptr::NonNull,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use orbital_abi::ObjectKind;
use spin::{Mutex, MutexGuard};

use super::{Cut, Tally, reference, registry};

/// What is known of an object without knowing its type.
#[repr(C)]
pub struct Header {
    /// `None` for objects that no capability names.
    kind: Option<ObjectKind>,
    /// Guards how the capabilities to the object are derived from each other; whether a [`Cut`] goes on.
    derivation: Mutex<bool>,
    /// Counted references, those of capabilities included. At 0 the memory is freed.
    references: AtomicUsize,
    /// Table entries that name the object, as [`Tally`] counts them. Without any it is of no more use to anyone:
    /// `orphaned`; without one by which something could be received, nobody will: `deserted`.
    capabilities: AtomicU64,
    /// What its type does.
    methods: &'static Methods,
}

/// What depends on the type of an object, and on where it lies: in a table, so that a header has one pointer.
struct Methods {
    /// Frees the object's memory.
    free: unsafe fn(NonNull<Header>),
    /// Called when the last capability is gone.
    orphaned: fn(&Header),
    /// Called when the last one with `RECEIVE` is gone, and others are there.
    deserted: fn(&Header),
    /// See [`Object::cut`].
    cut: fn(&Header) -> Option<&Cut>,
}

/// Calls [`Object::orphaned`].
fn orphaned<T: Object>(header: &Header) {
    // SAFETY: this header was made for a `T`, which starts with it.
    unsafe { NonNull::from(header).cast::<T>().as_ref() }.orphaned();
}

/// Calls [`Object::deserted`].
fn deserted<T: Object>(header: &Header) {
    // SAFETY: as in `orphaned`.
    unsafe { NonNull::from(header).cast::<T>().as_ref() }.deserted();
}

/// Calls [`Object::cut`].
fn cut<T: Object>(header: &Header) -> Option<&Cut> {
    // SAFETY: as in `orphaned`.
    unsafe { NonNull::from(header).cast::<T>().as_ref() }.cut()
}

const fn methods<T: Object>(free: unsafe fn(NonNull<Header>)) -> Methods {
    Methods { free, orphaned: orphaned::<T>, deserted: deserted::<T>, cut: cut::<T> }
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

    /// What happens when the last capability with `RECEIVE` is gone, while there are others. Perhaps while
    /// [`Object::orphaned`] is called by who lets the last of those go.
    fn deserted(&self) {}

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
            capabilities: AtomicU64::new(0),
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

    /// Counts one more table entry, by which something can be received or not.
    #[inline]
    pub fn capability_added(&self, receives: bool) {
        self.capabilities.fetch_add(Tally::one(receives).bits(), Ordering::Relaxed);
    }

    /// Counts one less. The last one, and the last one by which something could be received, tell the object.
    #[inline]
    pub fn capability_removed(&self, receives: bool) {
        // Two ways, as most objects have nothing to be received.
        if receives {
            self.capabilities_removed(Tally::one(true));
        } else if self.capabilities.fetch_sub(Tally::one(false).bits(), Ordering::AcqRel) == 1 {
            self.entries_ended(true);
        }
    }

    /// The same of some, and of their references, which are not the last ones.
    pub fn capabilities_killed(&self, killed: Tally) {
        let count = killed.count();
        let references = self.references.fetch_sub(count, Ordering::Release);
        debug_assert!(references > count, "none is left that names it");
        if count > 0 {
            self.capabilities_removed(killed);
        }
    }

    #[inline(always)]
    fn capabilities_removed(&self, removed: Tally) {
        let bits = self.capabilities.fetch_sub(removed.bits(), Ordering::AcqRel);
        let before = Tally::from_bits(bits);
        if before.ends_with(removed) {
            self.entries_ended(before == removed);
        }
    }

    #[cold]
    fn entries_ended(&self, were_all: bool) {
        let tell = if were_all { self.methods.orphaned } else { self.methods.deserted };
        tell(self);
    }

    fn entries(&self) -> Tally {
        Tally::from_bits(self.capabilities.load(Ordering::Relaxed))
    }

    /// Whether one table entry names it: the caller's, whose table is locked.
    pub fn is_last_capability(&self) -> bool {
        self.entries().count() == 1
    }

    /// Whether table entries name it.
    pub fn has_capabilities(&self) -> bool {
        self.entries().count() > 0
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
