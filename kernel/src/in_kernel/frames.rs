//! The frame allocator, over the machine's own memory.

use alloc::vec::Vec;

use kernel::{
    arch::{direct_map, x86_64::layout},
    memory::{self, FrameList, frame::Frame},
};

use super::{
    kernel_test, loaded,
    walk::{self, Found, FrameSet},
};

/// What is left to firmware, with the page that the other CPUs start on.
const FIRMWARES: core::ops::Range<u64> = 0..64 << 10;
/// Every how many bytes of a frame a word is written.
const STRIDE: usize = 512;

/// All frames that the kernel uses: its image, what was loaded beside it, its tables, and what its
/// window maps.
fn kernels_frames() -> FrameSet {
    let mut set = FrameSet::below(loaded::ram_end());
    set.insert_range(FIRMWARES);
    loaded::image().into_iter().for_each(|part| set.insert_range(part));
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
        known.insert_range(FIRMWARES);
        loaded::image().into_iter().for_each(|part| known.insert_range(part));
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

kernel_test! {
    /// A machine with memory behind the hole below 4 GiB has all of it: each frame is given out once,
    /// and what is written to one in a thousand, its number, stays there and nowhere else.
    on "memory=8G" fn memory_above_4_gib_is_used() {
        const STRIDE: u64 = 1000;
        let kernels = kernels_frames();
        // It lies in free frames itself.
        let mut seen = FrameSet::below(loaded::ram_end());
        let counts = memory::frame_counts();
        assert!(counts.total * 100 >= counts.reported * 95, "{counts:?}");
        let mut taken = FrameList::new();
        let mut above = 0;
        while let Some(frame) = memory::allocate_frame() {
            assert!(is_ram(frame) && !kernels.contains(frame) && seen.insert(frame), "{frame:?}");
            above += u64::from(frame.address() >= 1 << 32);
            if frame.number().is_multiple_of(STRIDE) {
                direct_map::write(frame, 0, &frame.number().to_le_bytes());
            }
            taken.push(frame);
        }
        assert_eq!((taken.len() as u64, memory::free_frames()), (counts.free, 0));
        assert!(above * 4096 >= 5 << 30, "{above} frames above 4 GiB");
        while let Some(frame) = taken.pop() {
            if frame.number().is_multiple_of(STRIDE) {
                // SAFETY: RAM that this test owns, and nobody writes to it meanwhile.
                let bytes = unsafe { direct_map::bytes(frame.address(), 8) };
                assert_eq!(bytes, frame.number().to_le_bytes(), "{frame:?}");
            }
            memory::free_frame(frame);
        }
        assert_eq!(memory::free_frames(), counts.free);
    }
}

kernel_test! {
    /// What the boot code needed until the last CPU had started is given out.
    fn the_boot_tables_are_given_back() {
        let tables = loaded::physical(loaded::boot_tables());
        assert_eq!(tables.end - tables.start, 7 * 4096);
        let mut taken = FrameList::new();
        let mut found = 0;
        while let Some(frame) = memory::allocate_frame() {
            found += usize::from(tables.contains(&frame.address()));
            taken.push(frame);
        }
        assert_eq!(found, 7);
    }
}
