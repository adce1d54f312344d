//! Who pays: a limit on frames and on kernel memory, carved out of a parent's.
//!
//! What a quota promises is backed: carving charges the parent at once, and the first quota has
//! what the machine has. Everything that is made for a process is charged before it is made: objects by
//! the [slabs](crate::memory::slab) that they lie in ([`paid`](super::paid)), a whole frame at a time; other things by a [`Charge`],
//! which refunds on drop.
//!
//! ```text
//!   parent ◄──── slab ◄ ─ ─ ─ lies in ─ ─ ─ child ◄──── slab ◄ ─ ─ ─ an object
//! ```
//! A quota lives as long as anything that it paid for: each of its slabs holds a reference. It lies in a
//! slab of its parent's itself, so the parent outlives it. Where the last object of a quota whose process
//! is long gone is freed, one quota after the other may go, up the whole line: that is a loop, in
//! `free_slab`, for a line may be longer than the kernel's stack.

use core::{
    ptr::{NonNull, drop_in_place},
    sync::atomic::{
        AtomicBool, AtomicU64,
        Ordering::{AcqRel, Acquire, Relaxed},
    },
};

use orbital_abi::{Error, ObjectKind};
use spin::Mutex;

use super::{Header, Object, Ref};
use crate::lock::lock;
use crate::memory::{
    self,
    class::{Class, SLAB_BYTES},
    frame::Frame,
    slab::{Emptied, Slab, Slabs},
};

/// A limit and how much of it is used.
#[derive(Debug)]
#[repr(C)]
pub struct Quota {
    header: Header,
    frames: Account,
    kernel_bytes: Account,
    /// Where the objects lie that it pays for.
    slabs: Mutex<Slabs>,
    /// Whether its process has ended, so it is to pay nothing more.
    is_over: AtomicBool,
    /// What this quota was carved out of, and so is refunded with it. In a slab of its lies this quota.
    parent: Option<NonNull<Quota>>,
}

// SAFETY: the parent outlives its child, and is only used through shared references.
unsafe impl Send for Quota {}
// SAFETY: as above; everything else is `Sync` by itself.
unsafe impl Sync for Quota {}

// SAFETY: `repr(C)`, and the header comes first.
unsafe impl Object for Quota {
    const KIND: Option<ObjectKind> = None;
}

#[derive(Debug)]
struct Account {
    limit: u64,
    used: AtomicU64,
    /// How much of it went back to the parent before the rest does. It counts as used.
    returned: AtomicU64,
}

impl Account {
    const fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0), returned: AtomicU64::new(0) }
    }

    /// Whether so much was left.
    #[must_use]
    fn charge(&self, amount: u64) -> bool {
        let within = |used: u64| used.checked_add(amount).filter(|sum| *sum <= self.limit);
        self.used.try_update(Relaxed, Acquire, within).is_ok()
    }

    /// Uses up all that is left; how much that is.
    fn return_unused(&self) -> u64 {
        let left = self.limit - self.used.swap(self.limit, AcqRel);
        self.returned.fetch_add(left, Relaxed);
        left
    }

    /// What is paid for.
    fn in_use(&self) -> u64 {
        self.used.load(Relaxed).saturating_sub(self.returned.load(Relaxed))
    }

    /// What has not gone back to the parent.
    fn rest(&self) -> u64 {
        self.limit - self.returned.load(Relaxed)
    }

    fn refund(&self, amount: u64) {
        let before = self.used.fetch_sub(amount, Relaxed);
        debug_assert!(before >= amount, "more was refunded than charged");
    }
}

/// How much a quota allows, and how much of it is in use, what was carved out of it included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Frames of 4 KiB: pages of memory objects and page tables.
    pub frames_limit: u64,
    /// How many of them are in use.
    pub frames_used: u64,
    /// Bytes of kernel memory: objects, by the slab, and lists.
    pub kernel_bytes_limit: u64,
    /// How many of them are in use.
    pub kernel_bytes_used: u64,
}

impl Quota {
    /// The first quota: all that the machine has.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] without memory for it.
    pub fn root(frames: u64, kernel_bytes: u64) -> Result<Ref<Self>, Error> {
        Ref::new(Self::with(frames, kernel_bytes, None))
    }

    /// A quota of `frames` and `kernel_bytes` out of `parent`, to which they return when the last
    /// reference to it, and so the last thing that it paid for, is gone. It lies in the parent's memory.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] when `parent` has not that much left.
    pub fn carve(parent: &Ref<Self>, frames: u64, kernel_bytes: u64) -> Result<Ref<Self>, Error> {
        parent.charge(frames, kernel_bytes)?;
        // From here on it refunds what was charged when it is dropped.
        Ref::new_in(parent, Self::with(frames, kernel_bytes, Some(NonNull::from(&**parent))))
    }

    fn with(frames: u64, kernel_bytes: u64, parent: Option<NonNull<Quota>>) -> Self {
        Self {
            header: Header::new::<Self>(),
            frames: Account::new(frames),
            kernel_bytes: Account::new(kernel_bytes),
            slabs: Mutex::new(Slabs::new()),
            is_over: AtomicBool::new(false),
            parent,
        }
    }

    /// Gives back to the parent all that is not used: nothing more is to be paid. What is still in use follows
    /// with the last reference. Whoever wants more is told [`Error::Ended`].
    pub fn return_unused(&self) {
        self.is_over.store(true, Relaxed);
        if let Some(parent) = self.parent {
            let (frames, kernel_bytes) =
                (self.frames.return_unused(), self.kernel_bytes.return_unused());
            // SAFETY: as in `drop`.
            unsafe { parent.as_ref() }.refund(frames, kernel_bytes);
        }
    }

    /// Charges both, or neither.
    fn charge(&self, frames: u64, kernel_bytes: u64) -> Result<(), Error> {
        self.charge_frames(frames)?;
        self.charge_kernel_bytes(kernel_bytes).inspect_err(|_| self.frames.refund(frames))
    }

    fn refund(&self, frames: u64, kernel_bytes: u64) {
        self.frames.refund(frames);
        self.kernel_bytes.refund(kernel_bytes);
    }

    /// Charges frames; give them back by [`Quota::refund_frames`].
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`]; [`Error::Ended`] after [`Quota::return_unused`].
    pub fn charge_frames(&self, frames: u64) -> Result<(), Error> {
        if self.frames.charge(frames) { Ok(()) } else { Err(self.refusal()) }
    }

    fn charge_kernel_bytes(&self, bytes: u64) -> Result<(), Error> {
        if self.kernel_bytes.charge(bytes) { Ok(()) } else { Err(self.refusal()) }
    }

    fn refusal(&self) -> Error {
        if self.is_over.load(Relaxed) { Error::Ended } else { Error::QuotaExceeded }
    }

    /// Gives back what [`Quota::charge_frames`] took.
    pub fn refund_frames(&self, frames: u64) {
        self.frames.refund(frames);
    }

    /// How much it allows, and how much of it is in use.
    pub fn usage(&self) -> Usage {
        Usage {
            frames_limit: self.frames.rest(),
            frames_used: self.frames.in_use(),
            kernel_bytes_limit: self.kernel_bytes.rest(),
            kernel_bytes_used: self.kernel_bytes.in_use(),
        }
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        debug_assert!(self.slabs.get_mut().is_empty(), "a slab outlived who pays for it");
        if let Some(parent) = self.parent {
            // SAFETY: this quota lies in one of its parent's slabs, or its maker has a reference.
            unsafe { parent.as_ref() }.refund(self.frames.rest(), self.kernel_bytes.rest());
        }
    }
}

/// Room for an object, paid by `quota`. For [`paid`](super::paid).
///
/// # Errors
/// [`Error::QuotaExceeded`].
#[inline]
pub(super) fn allocate(quota: &Ref<Quota>, class: Class) -> Result<NonNull<u8>, Error> {
    let found = lock(&quota.slabs).allocate(class);
    found.map_or_else(|| allocate_in_new(quota, class), Ok)
}

/// The same in a new slab.
#[cold]
#[inline(never)]
fn allocate_in_new(quota: &Ref<Quota>, class: Class) -> Result<NonNull<u8>, Error> {
    let order = quota.slabs.lock().wanted_order(class);
    let (order, frame) = match take_block(quota, order) {
        Ok(frame) => (order, frame),
        // Another CPU may have added the last slab meanwhile.
        Err(error) if order == 0 => return quota.slabs.lock().allocate(class).ok_or(error),
        Err(_) => (0, take_block(quota, 0)?),
    };
    let reference = quota.clone().into_raw();
    let mut slabs = quota.slabs.lock();
    // SAFETY: the block is fresh, and `free` gives it back.
    unsafe { slabs.add(frame, order, class, reference.cast()) };
    slabs.allocate(class).ok_or(Error::QuotaExceeded)
}

/// A block of 2^`order` frames, charged as kernel memory.
fn take_block(quota: &Quota, order: usize) -> Result<Frame, Error> {
    let bytes = (SLAB_BYTES << order) as u64;
    quota.charge_kernel_bytes(bytes)?;
    memory::allocate_block(order).ok_or_else(|| {
        quota.kernel_bytes.refund(bytes);
        Error::QuotaExceeded
    })
}

/// Gives back room, from any CPU, and with a slab's last object the slab's reference to its quota.
///
/// # Safety
/// `memory` came from [`allocate`] for that class, is given back once, and nobody uses it any more.
#[inline]
pub(super) unsafe fn free(memory: NonNull<u8>, class: Class) {
    // SAFETY: the caller's.
    unsafe { give_back(Slab::of(memory, class), memory) };
}

/// Gives back room in `slab`.
///
/// # Safety
/// As for [`free`].
unsafe fn give_back(slab: Slab, memory: NonNull<u8>) {
    // SAFETY: the caller's. Each slab's owner is a quota, and lives as long as the slab.
    unsafe {
        let quota = slab.owner().cast::<Quota>();
        let emptied = lock(&quota.as_ref().slabs).free(slab, memory);
        if let Some(emptied) = emptied {
            free_slab(quota, emptied);
        }
    }
}

/// Gives back a slab of `quota`'s, and the reference that it held.
///
/// # Safety
/// It has no objects any more, and is given back once.
#[cold]
#[inline(never)]
unsafe fn free_slab(mut quota: NonNull<Quota>, mut emptied: Emptied) {
    loop {
        let Emptied { frame, order } = emptied;
        // In this order: what can be charged is there.
        memory::free_block(frame, order);
        // SAFETY: the slab's reference, which is given up here; and the room of a quota whose last
        // reference is gone, in a slab of its parent's.
        unsafe {
            quota.as_ref().kernel_bytes.refund((SLAB_BYTES << order) as u64);
            let Some(room) = release(quota) else { return };
            let slab = Slab::of(room, const { Class::of_type::<Quota>() });
            quota = slab.owner().cast();
            match lock(&quota.as_ref().slabs).free(slab, room) {
                Some(next) => emptied = next,
                None => return,
            }
        }
    }
}

/// Gives up a slab's reference; the quota's room where that was the last one.
///
/// # Safety
/// The reference is the caller's.
unsafe fn release(quota: NonNull<Quota>) -> Option<NonNull<u8>> {
    // SAFETY: the caller's reference keeps it alive until it is given up.
    unsafe {
        if !quota.as_ref().header.release() {
            return None;
        }
        if quota.as_ref().parent.is_none() {
            // The first quota lies on the heap.
            (quota.as_ref().header.free_function())(quota.cast());
            return None;
        }
        drop_in_place(quota.as_ptr());
        Some(quota.cast())
    }
}

/// Something that a quota has paid for. Refunds on drop.
#[derive(Debug)]
pub struct Charge {
    quota: Ref<Quota>,
    frames: u64,
    kernel_bytes: u64,
}

impl Charge {
    /// Charges both to `quota`, or neither.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub fn new(quota: &Ref<Quota>, frames: u64, kernel_bytes: u64) -> Result<Self, Error> {
        quota.charge(frames, kernel_bytes)?;
        Ok(Self { quota: quota.clone(), frames, kernel_bytes })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.quota.refund(self.frames, self.kernel_bytes);
    }
}

impl core::fmt::Debug for Ref<Quota> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "quota of {} frames", self.frames.limit)
    }
}
