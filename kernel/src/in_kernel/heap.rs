//! The kernel heap, over the machine's own memory.

use alloc::{
    alloc::{Layout, alloc, dealloc},
    vec::Vec,
};
use core::ptr;

use kernel::{
    arch::x86_64::layout::{DIRECT_MAP, DIRECT_MAP_END},
    memory::{
        self,
        heap::{OutOfMemory, try_box},
        usage,
    },
    object::Quota,
    sched,
};

use super::{kernel_test, walk};

/// A piece of the heap, filled with its own number.
struct Block {
    start: *mut u8,
    layout: Layout,
    number: u8,
}

impl Block {
    fn new(layout: Layout, number: u8) -> Option<Self> {
        // SAFETY: no layout here is empty.
        let start = unsafe { alloc(layout) };
        if start.is_null() {
            return None;
        }
        // SAFETY: fresh memory of this size.
        unsafe { start.write_bytes(number, layout.size()) };
        Some(Self { start, layout, number })
    }

    fn is_whole(&self) -> bool {
        // SAFETY: the block is this value's own.
        let bytes = unsafe { core::slice::from_raw_parts(self.start, self.layout.size()) };
        bytes.iter().all(|byte| *byte == self.number)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, once.
        unsafe { dealloc(self.start, self.layout) }
    }
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// All of the heap, in blocks that know the one before them.
struct Hoard(*mut (*mut u8, Layout));

impl Hoard {
    /// Takes everything that there is, the largest pieces first.
    fn take() -> Self {
        let mut last: *mut (*mut u8, Layout) = ptr::null_mut();
        for size in [65536, 4096, 512, 64, 32] {
            loop {
                // SAFETY: the layout has a size.
                let block = unsafe { alloc(layout(size, 8)) }.cast::<(*mut u8, Layout)>();
                if block.is_null() {
                    break;
                }
                // SAFETY: the block is new, and large enough for a link.
                unsafe { block.write((last.cast(), layout(size, 8))) };
                last = block;
            }
        }
        Self(last)
    }
}

impl Drop for Hoard {
    fn drop(&mut self) {
        while !self.0.is_null() {
            // SAFETY: written by `take`, and freed once.
            unsafe {
                let (before, layout) = self.0.read();
                dealloc(self.0.cast(), layout);
                self.0 = before.cast();
            }
        }
    }
}

kernel_test! {
    /// Blocks of many sizes and alignments are aligned, apart, keep their bytes, and all come back.
    fn heap_blocks_are_apart() {
        let mut blocks: Vec<Option<Block>> = Vec::with_capacity(4096);
        let used = usage::bytes();
        for round in 0..4 {
            for align in [1, 2, 4, 8, 16, 64, 256, 4096] {
                for size in [1, 3, 7, 8, 9, 15, 16, 24, 31, 100, 511, 512, 1000, 4096, 5000] {
                    let number = (blocks.len() % 251) as u8 + 1;
                    let block = Block::new(layout(size, align), number).unwrap();
                    assert_eq!(block.start as usize % align, 0, "{size} bytes");
                    blocks.push(Some(block));
                }
            }
            // Some go, and leave holes for those of the next round.
            for block in blocks.iter_mut().skip(round).step_by(3) {
                assert!(block.as_ref().is_none_or(Block::is_whole));
                *block = None;
            }
            assert!(blocks.iter().flatten().all(Block::is_whole));
        }
        let mut ranges: Vec<_> = blocks.iter().flatten().map(|block| {
            (block.start as usize, block.start as usize + block.layout.size())
        }).collect();
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "two blocks overlap");
        drop(ranges);
        blocks.clear();
        assert_eq!(usage::bytes(), used);
    }
}

kernel_test! {
    /// The heap grows, by large blocks and small, in the direct map, and gives all frames back.
    fn heap_grows_and_shrinks() {
        let mut blocks = Vec::with_capacity(64);
        let (used, free) = (usage::bytes(), memory::free_frames());
        for _ in 0..3 {
            for number in 1..=40 {
                blocks.push(Block::new(layout(64 * 1024, 8), number).unwrap());
            }
            for number in 41..=60 {
                blocks.push(Block::new(layout(9000, 8), number).unwrap());
            }
            blocks.push(Block::new(layout(2 << 20, 4096), 99).unwrap());
            assert!(blocks.iter().all(Block::is_whole));
            for block in &blocks {
                let start = block.start as u64;
                assert!((DIRECT_MAP..DIRECT_MAP_END).contains(&start));
                let page = walk::page_of(walk::root(), start).unwrap();
                assert!(page.rights.write && !page.rights.execute && !page.rights.user);
            }
            assert!(memory::free_frames() < free - 1024, "it grew by frames");
            blocks.clear();
            assert_eq!((usage::bytes(), memory::free_frames()), (used, free), "all is back");
        }
    }
}

kernel_test! {
    /// A request that can't be fulfilled is answered "no" at once, and changes nothing.
    fn impossible_requests_are_refused() {
        let (used, free) = (usage::bytes(), memory::free_frames());
        let most = isize::MAX as usize;
        for (size, align) in [
            (1 << 30, 8),
            (1 << 40, 4096),
            (most, 1),
            (most - 4095, 4096),
            (1, 1 << 29),
        ] {
            assert!(Block::new(layout(size, align), 0).is_none(), "{size} bytes at {align}");
            assert_eq!((usage::bytes(), memory::free_frames()), (used, free));
        }
        let mut list: Vec<u64> = Vec::new();
        assert!(list.try_reserve_exact(1 << 40).is_err());
        assert_eq!(try_box(7_u64).as_deref(), Ok(&7));
        assert!(try_box(()).is_ok());
    }
}

kernel_test! {
    /// With the memory used up, everything that is made says so, nothing panics, and all comes back.
    fn out_of_memory_is_an_error() {
        struct Dropped<'a> {
            count: &'a core::cell::Cell<u32>,
            _room: [u64; 8],
        }
        impl Drop for Dropped<'_> {
            fn drop(&mut self) {
                self.count.set(self.count.get() + 1);
            }
        }

        let drops = core::cell::Cell::new(0);
        let used = usage::bytes();
        for round in 1..=2 {
            let hoard = Hoard::take();
            let full = usage::bytes();
            assert!(full > used + (8 << 20), "only {full} bytes");
            let refused = try_box(Dropped { count: &drops, _room: [0; 8] });
            assert_eq!(refused.err(), Some(OutOfMemory));
            assert_eq!(drops.get(), round, "what did not fit is dropped");
            assert!(Quota::root(1, 1).is_err());
            assert!(sched::spawn(9, async {}).is_err());
            let mut list: Vec<[u64; 8]> = Vec::new();
            assert!(list.try_reserve(1).is_err());
            assert_eq!(usage::bytes(), full);
            drop(hoard);
            assert_eq!(usage::bytes(), used);
            assert!(try_box([0_u8; 4096]).is_ok());
        }
    }
}

kernel_test! {
    /// A growth that finds too few frames takes none of them, however often it is tried.
    fn failed_growth_loses_no_frames() {
        let mut taken = Vec::with_capacity(memory::free_frames() as usize);
        for spare in [5, 9, 0, 14] {
            taken.extend(core::iter::from_fn(memory::allocate_frame));
            (0..spare).for_each(|_| memory::free_frame(taken.pop().unwrap()));
            assert!(Block::new(layout(3 << 20, 8), 0).is_none());
            assert_eq!(memory::free_frames(), spare, "it kept some");
            taken.drain(..).for_each(memory::free_frame);
        }
        let block = Block::new(layout(3 << 20, 8), 7).unwrap();
        assert!(block.is_whole());
    }
}
