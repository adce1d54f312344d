//! The machine's physical memory: who takes a frame or gives it back comes here.
#![forbid(unsafe_code)]

use core::ops::Range;

use spin::{Mutex, MutexGuard, Once};

use super::{
    books::Books,
    buddy::FrameAllocator,
    cache::{self, Caches, Frames},
    frame::Frame,
};
use crate::{
    arch::{self, direct_map},
    percpu::MAX_CPUS,
};

/// All frames, with the books that their owners use without a lock.
pub(super) struct Pool<'a> {
    pub(super) books: Books<'a>,
    /// What the loader's map had, in frames.
    reported: u64,
    caches: Caches,
    /// Innermost of the kernel's locks: nothing is locked while it is held.
    buddy: Mutex<FrameAllocator<'a>>,
}

static POOL: Once<Pool<'static>> = Once::new();

/// The machine's, once there is one.
#[inline]
pub(super) fn pool() -> Option<&'static Pool<'static>> {
    POOL.get()
}

impl<'a> Pool<'a> {
    pub(super) fn new(
        books: Books<'a>,
        reported: u64,
        regions: impl Iterator<Item = Range<u64>>,
    ) -> Self {
        let buddy = Mutex::new(FrameAllocator::new(books, regions));
        Self { books, reported, caches: Caches::new(), buddy }
    }

    /// Takes a frame on CPU `cpu`.
    #[inline]
    pub(super) fn allocate(&self, cpu: usize) -> Option<Frame> {
        let mut cache = self.caches.lock(cpu);
        let Some(frame) = cache.pop_used() else {
            return self.refill(cache);
        };
        self.books.uncache(frame);
        Some(frame)
    }

    /// Takes a frame where `cache` has none but zeroed ones.
    #[cold]
    #[inline(never)]
    fn refill(&self, mut cache: MutexGuard<'_, Frames>) -> Option<Frame> {
        if let Some(frame) = cache.pop_zeroed() {
            self.books.uncache(frame);
            return Some(frame);
        }
        let found = cache::refill(&mut cache, &mut self.buddy.lock(), self.books);
        drop(cache);
        found.or_else(|| self.take_from_any())
    }

    /// Takes a frame, be it out of another CPU's cache. `None` means that there is none: what a quota
    /// has promised is found.
    fn take_from_any(&self) -> Option<Frame> {
        let mut caches = self.caches.lock_all();
        self.buddy.lock().allocate(0).or_else(|| {
            let frame = caches
                .iter_mut()
                .find_map(|cache| cache.pop_used().or_else(|| cache.pop_zeroed()))?;
            self.books.uncache(frame);
            Some(frame)
        })
    }

    /// Gives back a frame on CPU `cpu`.
    #[inline]
    pub(super) fn free(&self, cpu: usize, frame: Frame) {
        self.books.cache(frame);
        let mut cache = self.caches.lock(cpu);
        if cache.try_push(frame).is_err() {
            self.spill(cache, frame);
        }
    }

    /// Gives back a frame where `cache` is full.
    #[cold]
    #[inline(never)]
    fn spill(&self, mut cache: MutexGuard<'_, Frames>, frame: Frame) {
        cache::spill(&mut cache, &mut self.buddy.lock(), self.books);
        // A batch has made room.
        let _ = cache.try_push(frame);
    }

    /// Takes a frame of zeroes on CPU `cpu`, if that has one.
    pub(super) fn allocate_zeroed(&self, cpu: usize) -> Option<Frame> {
        let frame = self.caches.lock(cpu).pop_zeroed()?;
        self.books.uncache(frame);
        Some(frame)
    }

    /// Gives back a frame of zeroes on CPU `cpu`.
    pub(super) fn free_zeroed(&self, cpu: usize, frame: Frame) {
        self.books.cache(frame);
        let mut cache = self.caches.lock(cpu);
        if cache.try_push_zeroed(frame).is_err() && cache.try_push(frame).is_err() {
            self.spill(cache, frame);
        }
    }

    /// Takes a block. Frames in caches are put together with their buddies where that may help.
    pub(super) fn allocate_block(&self, order: usize) -> Option<Frame> {
        let try_it = || self.buddy.lock().allocate(order);
        try_it().or_else(|| {
            (0..MAX_CPUS).find_map(|cpu| {
                let mut cache = self.caches.lock(cpu);
                if cache.len() == 0 {
                    return None;
                }
                cache::empty(&mut cache, &mut self.buddy.lock(), self.books);
                try_it()
            })
        })
    }

    /// Gives back a block.
    pub(super) fn free_block(&self, frame: Frame, order: usize) {
        self.buddy.lock().free(frame, order);
    }

    /// What there is.
    pub(super) fn counts(&self) -> FrameCounts {
        let caches = self.caches.lock_all();
        let cached = caches.iter().map(|cache| cache.len() as u64).sum();
        let buddy = self.buddy.lock();
        FrameCounts {
            free: buddy.free_frames() + cached,
            cached,
            total: buddy.total_frames(),
            reported: self.reported,
            largest_order: buddy.largest_order(),
        }
    }
}

/// How many frames there are, all at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameCounts {
    /// Free ones, those in CPUs' caches too.
    pub free: u64,
    /// Those in CPUs' caches.
    pub cached: u64,
    /// Those that the allocator was given, free or not.
    pub total: u64,
    /// Those that the loader's map calls usable, with what the kernel took before the allocator.
    pub reported: u64,
    /// Order of the largest free block, but for what is in caches.
    pub largest_order: Option<usize>,
}

/// Starts the frame allocator over `regions` (ranges of physical addresses, whole frames, no
/// overlaps), with fresh `books`, on a machine of whose frames a loader has `reported` so many. Once,
/// at boot.
pub fn start(books: Books<'static>, reported: u64, regions: impl Iterator<Item = Range<u64>>) {
    POOL.call_once(|| Pool::new(books, reported, regions));
}

/// Gives the frame allocator a range more of physical addresses, whole frames, that nobody uses any
/// longer.
pub fn add(region: Range<u64>) {
    if let Some(pool) = pool() {
        pool.buddy.lock().add(region);
    }
}

/// Takes a frame. Its content is whatever was there: who shows it to a program zeroes it first.
pub fn allocate_frame() -> Option<Frame> {
    pool()?.allocate(arch::cpu_index_locked())
}

/// Gives back what [`allocate_frame`] gave, or a part of a block that was split.
///
/// # Panics
/// In debug builds, when it is free already, within a block, in a list, or has other owners.
pub fn free_frame(frame: Frame) {
    if let Some(pool) = pool() {
        pool.free(arch::cpu_index_locked(), frame);
    }
}

/// Takes a frame of zeroes: one that came back as such, or one that is zeroed now.
pub fn allocate_zeroed_frame() -> Option<Frame> {
    let Some(frame) = pool()?.allocate_zeroed(arch::cpu_index_locked()) else {
        return allocate_frame().inspect(|frame| direct_map::zero(*frame));
    };
    debug_assert!(direct_map::is_zero(frame), "{frame:?} was written after it had come back");
    Some(frame)
}

/// Gives back a frame that has nothing but zeroes.
///
/// # Panics
/// As [`free_frame`].
pub fn free_zeroed_frame(frame: Frame) {
    if let Some(pool) = pool() {
        pool.free_zeroed(arch::cpu_index_locked(), frame);
    }
}

/// Takes a block of 2^`order` frames, aligned to its size. Content as for [`allocate_frame`].
pub fn allocate_block(order: usize) -> Option<Frame> {
    match order {
        0 => allocate_frame(),
        _ => pool()?.allocate_block(order),
    }
}

/// Gives back what [`allocate_block`] gave with the same `order`.
///
/// # Panics
/// In debug builds, when it is free already, was allocated with another order or split, or has
/// other owners.
pub fn free_block(frame: Frame, order: usize) {
    match order {
        0 => free_frame(frame),
        _ => pool().into_iter().for_each(|pool| pool.free_block(frame, order)),
    }
}

/// Makes a block of the caller's, of 2^`order` frames, as many blocks of 2^`into`, each of which is freed by
/// itself; those of one frame can be shared too. Writes as many records.
///
/// # Panics
/// In debug builds, when it is no such block, or a smaller one.
pub fn split_block(frame: Frame, order: usize, into: usize) {
    if let Some(pool) = pool() {
        pool.books.split(frame, order, into);
    }
}

/// Counts one more owner of `frame`, which has one when it is allocated. The caller is an owner.
///
/// # Panics
/// In debug builds, when it is free or within a block.
pub fn share(frame: Frame) {
    if let Some(pool) = pool() {
        pool.books.share(frame);
    }
}

/// The caller is no owner any longer. True when it was the last: then the frame is its own, with one
/// owner as if fresh, to free it or to keep it.
///
/// # Panics
/// In debug builds, when it is free or within a block.
pub fn unshare(frame: Frame) -> bool {
    pool().is_some_and(|pool| pool.books.unshare(frame))
}

/// How many owners `frame` has: 0 when it is not allocated by itself. An owner who reads 1 is alone
/// from then on, until it shares the frame.
pub fn owners(frame: Frame) -> u32 {
    pool().map_or(0, |pool| pool.books.owners(frame))
}

/// How many frames there are.
pub fn frame_counts() -> FrameCounts {
    pool().map_or_else(FrameCounts::default, Pool::counts)
}

/// How many frames are free.
pub fn free_frames() -> u64 {
    frame_counts().free
}

/// How many frames the allocator was given.
pub fn total_frames() -> u64 {
    frame_counts().total
}
