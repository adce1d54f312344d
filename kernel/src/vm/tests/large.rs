//! Large pages: where a whole 2 MiB of an object was touched, and lies where a large page can map it.
#![forbid(unsafe_code)]

use super::{super::reclaim, *};
use crate::memory;

const LARGE: u64 = 2 << 20;
const PAGES: u64 = LARGE / PAGE_SIZE;

fn size_at(space: &AddressSpace, address: u64) -> Option<PageSize> {
    space.translate(address).map(|found| found.size)
}

/// A process with enough frames.
fn rich(kernel: &Kernel) -> Ref<Process> {
    Process::new(&kernel.init, crate::process::Name::default(), 2000, 1 << 18).unwrap()
}

#[test]
fn small_pages_become_a_large_one_when_all_are_there() {
    let kernel = Kernel::boot();
    let process = rich(&kernel);
    let space = &process.space;
    let object = MemoryObject::new(2 * LARGE, &process.quota).unwrap();
    map(space, &mapping(&object, AT, Access::ReadWrite)).unwrap();
    for page in 0..PAGES {
        assert_ne!(size_at(space, AT), Some(PageSize::Large), "page {page} was not touched");
        assert!(touch(space, AT + page * PAGE_SIZE, Wanted::Write));
    }
    let first = frame(&object, 0).unwrap().number();
    for page in 0..PAGES {
        let found = space.translate(AT + page * PAGE_SIZE).unwrap();
        assert_eq!((found.size, found.access), (PageSize::Large, Access::ReadWrite));
        assert_eq!(found.frame.number(), first + page);
    }
    assert_eq!(size_at(space, AT + LARGE), None, "the other half");
    // Another mapping that is aligned has it at once, one that is not has small ones.
    map(space, &mapping(&object, AT * 2, Access::Read)).unwrap();
    assert!(touch(space, AT * 2 + 5 * PAGE_SIZE, Wanted::Read));
    map(space, &mapping(&object, AT * 3 + PAGE_SIZE, Access::Read)).unwrap();
    assert!(touch(space, AT * 3 + 99 * PAGE_SIZE, Wanted::Read));
    assert_eq!(size_at(space, AT * 3 + 99 * PAGE_SIZE), Some(PageSize::Small));
    map(space, &part(&object, AT * 4, 1, PAGES, Access::Read)).unwrap();
    assert!(touch(space, AT * 4, Wanted::Read));
    assert_eq!(size_at(space, AT * 4), Some(PageSize::Small));
}

#[test]
fn a_part_of_a_large_page_can_be_unmapped_or_protected() {
    let kernel = Kernel::boot();
    let process = rich(&kernel);
    let space = &process.space;
    let object = object(PAGES, &process.quota);
    for round in 0..3 {
        map(space, &mapping(&object, AT, Access::ReadWrite)).unwrap();
        assert!(touch(space, AT + LARGE / 2, Wanted::Write));
        if round < 2 {
            assert_eq!(size_at(space, AT), Some(PageSize::Large));
        }
        let middle = AT + 100 * PAGE_SIZE;
        match round {
            0 => unmap(space, middle, 1).unwrap(),
            _ => protect(space, middle, 1, Some(Access::Read)).unwrap(),
        }
        assert!(!touch(space, middle, Wanted::Write));
        for page in [0, 99, 101, 511] {
            let at = AT + page * PAGE_SIZE;
            assert!(touch(space, at, Wanted::Write), "page {page}");
            let found = space.translate(at).unwrap();
            assert_eq!((Some(found.frame), found.size), (frame(&object, page), PageSize::Small));
        }
        unmap(space, AT, PAGES).unwrap();
    }
    drop(object);
    block_on(reclaim::finish());
    assert_eq!(frames_left(&process), 2000 - 1, "but for the root");
}

#[test]
fn without_a_block_small_pages_do() {
    let kernel = Kernel::boot();
    let process = rich(&kernel);
    let space = &process.space;
    // Every other frame is somebody's.
    let mut all: Vec<_> = core::iter::from_fn(memory::allocate_frame).collect();
    all.sort();
    let (odd, even): (Vec<_>, Vec<_>) = all.into_iter().partition(|f| f.number() % 2 == 1);
    odd.into_iter().for_each(memory::free_frame);
    let object = MemoryObject::new(LARGE, &process.quota).unwrap();
    map(space, &mapping(&object, AT, Access::ReadWrite)).unwrap();
    for page in 0..PAGES {
        assert!(touch(space, AT + page * PAGE_SIZE, Wanted::Write));
    }
    assert_eq!(size_at(space, AT), Some(PageSize::Small));
    even.into_iter().for_each(memory::free_frame);
}
