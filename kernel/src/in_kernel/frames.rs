//! The frame allocator, over the machine's own memory.

use alloc::vec::Vec;

use kernel::{
    arch::{direct_map, x86_64::layout},
    memory::{self, frame::Frame},
};

use super::{
    kernel_test, loaded,
    walk::{self, Found, FrameSet},
};

/// Every how many bytes of a frame a word is written.
const STRIDE: usize = 512;

/// All frames that the kernel uses: its image, what was loaded beside it, its tables, and what its
/// window maps.
fn kernels_frames() -> FrameSet {
    let mut set = FrameSet::below(loaded::ram_end());
    set.insert_range(0..1 << 20);
    set.insert_range(loaded::physical(loaded::text().start..loaded::data().end));
    loaded::modules().for_each(|module| set.insert_range(module));
    walk::walk(walk::root(), walk::UPPER, &mut |found| match found {
        Found::Table(frame) => {
            set.insert(frame);
        }
        Found::Page(page) if page.address >= layout::WINDOW => set.insert_range(page.range()),
        Found::Page(_) => {}
    });
    set
}

fn is_ram(frame: Frame) -> bool {
    loaded::usable().iter().any(|range| range.contains(&frame.address()))
}

/// Frames that were just given out: none twice, RAM, and nobody's.
fn check(frames: &[Frame], kernels: &FrameSet) {
    let mut seen = FrameSet::below(loaded::ram_end());
    for frame in frames {
        assert!(is_ram(*frame), "{frame:?} is no RAM");
        assert!(!kernels.contains(*frame), "{frame:?} is the kernel's");
        assert!(seen.insert(*frame), "{frame:?} was given out twice");
    }
}

fn pattern(frame: Frame, offset: usize) -> [u8; 8] {
    (frame.number() << 16 ^ offset as u64 ^ 0xa5a5_0000_0000_5a5a).to_le_bytes()
}

fn mark(frames: &[Frame]) {
    for frame in frames {
        for offset in (0..direct_map::FRAME_BYTES).step_by(STRIDE) {
            direct_map::write(*frame, offset, &pattern(*frame, offset));
        }
    }
}

fn check_marks(frames: &[Frame]) {
    for frame in frames {
        // SAFETY: RAM that this test owns, and nobody writes to it meanwhile.
        let bytes = unsafe { direct_map::bytes(frame.address(), direct_map::FRAME_BYTES) };
        for offset in (0..direct_map::FRAME_BYTES).step_by(STRIDE) {
            let found = &bytes[offset..offset + 8];
            assert_eq!(found, pattern(*frame, offset), "{frame:?} at {offset}");
        }
    }
}

kernel_test! {
    /// Frames are RAM that belongs to nobody, are given out once, keep what is written, and come back.
    fn frame_allocator_works() {
        let mut frames = Vec::with_capacity(256);
        let kernels = kernels_frames();
        let (free, total) = (memory::free_frames(), memory::total_frames());
        assert!(free > 256 && free <= total, "{free} of {total} are free");
        for round in 0..3 {
            frames.extend(core::iter::repeat_with(|| memory::allocate_frame().unwrap()).take(256));
            assert_eq!(memory::free_frames(), free - 256);
            check(&frames, &kernels);
            mark(&frames);
            check_marks(&frames);
            // Another order each time: as they came, backwards, every other first.
            match round {
                0 => {}
                1 => frames.reverse(),
                _ => frames.sort_unstable_by_key(|frame| (frame.number() % 2, frame.number())),
            }
            frames.drain(..).for_each(memory::free_frame);
            assert_eq!(memory::free_frames(), free);
        }
        assert_eq!(memory::total_frames(), total);
    }
}

kernel_test! {
    /// All frames are given out, then none, nothing of the kernel's is among them, and all come back.
    fn frames_run_out_and_come_back() {
        let mut frames = Vec::with_capacity(memory::total_frames() as usize);
        let mut kernels = kernels_frames();
        let free = memory::free_frames();
        for _ in 0..2 {
            while let Some(frame) = memory::allocate_frame() {
                frames.push(frame);
            }
            assert_eq!((memory::free_frames(), memory::allocate_frame()), (0, None));
            assert_eq!(frames.len() as u64, free);
            check(&frames, &kernels);
            // Were the kernel's tables or the allocator's books among them, this would be the end.
            mark(&frames);
            check_marks(&frames);
            frames.drain(..).for_each(memory::free_frame);
            assert_eq!(memory::free_frames(), free);
            kernels = kernels_frames();
        }
    }
}

kernel_test! {
    /// Every frame of RAM is the allocator's, or used by the kernel for something that is known.
    fn no_memory_is_lost_at_boot() {
        let mut known = FrameSet::below(loaded::ram_end());
        known.insert_range(0..1 << 20);
        known.insert_range(loaded::physical(loaded::text().start..loaded::data().end));
        loaded::modules().for_each(|module| known.insert_range(module));
        let ram = loaded::usable().iter().flat_map(|r| r.start / 4096..r.end / 4096);
        let free_at_boot = ram.filter(|number| !known.contains(Frame::new(*number))).count() as u64;
        let missing = free_at_boot - memory::total_frames();
        let mut tables = 0;
        walk::walk(walk::root(), walk::UPPER, &mut |found| {
            tables += u64::from(matches!(found, Found::Table(_)));
        });
        let books = (loaded::ram_end() / 4096 * memory::books::BYTES as u64).div_ceil(4096);
        assert!(missing <= tables + books, "{missing} frames, {tables} tables, {books} of books");
    }
}
