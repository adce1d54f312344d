//! Frames that each CPU keeps at hand, so that most take and give back frames without the lock that
//! all share. Refilled and emptied a few at a time, under one lock of the allocator.
//!
//! The lock of a cache is its own CPU's nearly always. Another takes it only when the machine is out
//! of frames, or to count them.
#![forbid(unsafe_code)]

use arrayvec::{ArrayVec, CapacityError};
use spin::{Mutex, MutexGuard};

use super::{books::Books, buddy::FrameAllocator, frame::Frame};
use crate::percpu::{MAX_CPUS, PerCpu};

/// How many frames a CPU keeps at most.
pub(super) const CAPACITY: usize = 64;
/// How many go to or come from the allocator at once: few, for each may be divided or put together with others
/// at every order, all with interrupts off.
pub(super) const BATCH: usize = 8;

/// How many zeroed ones it keeps beside: as many page tables as a few small processes have.
pub(super) const ZEROED: usize = 16;

/// One CPU's frames.
pub(super) struct Frames {
    /// With any content, the one that was freed last at the end: it may still be in the CPU's cache.
    used: ArrayVec<Frame, CAPACITY>,
    /// With nothing but zeroes: who wants one like that need not write it.
    zeroed: ArrayVec<Frame, ZEROED>,
}

impl Frames {
    const fn new() -> Self {
        Self { used: ArrayVec::new_const(), zeroed: ArrayVec::new_const() }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.used.len() + self.zeroed.len()
    }

    /// Takes one that was used.
    #[inline]
    pub(super) fn pop_used(&mut self) -> Option<Frame> {
        self.used.pop()
    }

    /// Takes one that is zeroed.
    pub(super) fn pop_zeroed(&mut self) -> Option<Frame> {
        self.zeroed.pop()
    }

    /// Adds one, if there is room.
    #[inline]
    pub(super) fn try_push(&mut self, frame: Frame) -> Result<(), CapacityError<Frame>> {
        self.used.try_push(frame)
    }

    /// Adds one that is zeroed, if there is room.
    pub(super) fn try_push_zeroed(&mut self, frame: Frame) -> Result<(), CapacityError<Frame>> {
        self.zeroed.try_push(frame)
    }
}

/// No two CPUs' caches share a line.
#[repr(align(64))]
struct Cache(Mutex<Frames>);

/// All CPUs' caches.
pub(super) struct Caches(PerCpu<Cache>);

impl Caches {
    pub(super) const fn new() -> Self {
        Self(PerCpu::new([const { Cache(Mutex::new(Frames::new())) }; MAX_CPUS]))
    }

    /// The cache of CPU `cpu`, locked. The lock of the allocator is taken within, not around.
    #[inline]
    pub(super) fn lock(&self, cpu: usize) -> MutexGuard<'_, Frames> {
        self.0.of(cpu).0.lock()
    }

    /// All of them, locked from the first on. A frame that is on its way from one cache to another
    /// has arrived, so none that is free is missed.
    pub(super) fn lock_all(&self) -> ArrayVec<MutexGuard<'_, Frames>, MAX_CPUS> {
        (0..MAX_CPUS).map(|cpu| self.lock(cpu)).collect()
    }
}

/// Takes a frame out of the allocator, and as many more into the empty `cache` as make a batch.
pub(super) fn refill(
    cache: &mut Frames,
    frames: &mut FrameAllocator<'_>,
    books: Books<'_>,
) -> Option<Frame> {
    let first = frames.allocate(0)?;
    for frame in core::iter::from_fn(|| frames.allocate(0)).take(BATCH - 1) {
        books.cache(frame);
        cache.used.push(frame);
    }
    Some(first)
}

/// Gives the allocator a batch, the frames that have been in the cache longest.
pub(super) fn spill(cache: &mut Frames, frames: &mut FrameAllocator<'_>, books: Books<'_>) {
    let batch = cache.used.len().min(BATCH);
    for frame in cache.used.drain(..batch) {
        books.uncache(frame);
        frames.free(frame, 0);
    }
}

/// Gives the allocator all of a cache.
pub(super) fn empty(cache: &mut Frames, frames: &mut FrameAllocator<'_>, books: Books<'_>) {
    for frame in cache.used.drain(..).chain(cache.zeroed.drain(..)) {
        books.uncache(frame);
        frames.free(frame, 0);
    }
}
