//! Copy-on-write clones.
#![forbid(unsafe_code)]

use super::{super::reclaim, *};
use crate::{
    arch::{direct_map, host::boot::MODULE},
    memory,
    vm::clone_pages,
};

fn cloned(source: &Ref<MemoryObject>, quota: &Ref<Quota>) -> Ref<MemoryObject> {
    let copy = MemoryObject::new(source.pages() * PAGE_SIZE, quota).unwrap();
    block_on(clone_pages(source, &copy)).unwrap();
    copy
}

fn write(space: &AddressSpace, address: u64, value: u8) {
    assert!(touch(space, address, Wanted::Write), "{address:#x}");
    let found = space.translate(address).unwrap();
    assert_eq!(found.access, Access::ReadWrite);
    direct_map::write(found.frame, (address % PAGE_SIZE) as usize, &[value]);
}

fn read(space: &AddressSpace, address: u64) -> u8 {
    assert!(touch(space, address, Wanted::Read), "{address:#x}");
    let mut byte = [0];
    let found = space.translate(address).unwrap();
    direct_map::read(found.frame, (address % PAGE_SIZE) as usize, &mut byte);
    byte[0]
}

#[test]
fn both_have_what_was_there_and_then_each_its_own() {
    let kernel = Kernel::boot();
    let process =
        Process::new(&kernel.init, crate::process::Name::default(), 3500, 1 << 18).unwrap();
    // A few pages, many, and whole blocks of 2 MiB.
    for pages in [3, 70, 1100] {
        let space = &process.space;
        let source = MemoryObject::new(pages * PAGE_SIZE, &process.quota).unwrap();
        map(space, &mapping(&source, AT, Access::ReadWrite)).unwrap();
        let at = |page| AT + page * PAGE_SIZE;
        let touched = (0..pages).filter(|page| page % 7 != 2);
        touched.clone().for_each(|page| write(space, at(page), page as u8 | 1));
        let free = memory::free_frames();
        let copy = cloned(&source, &process.quota);
        map(space, &mapping(&copy, AT * 4, Access::ReadWrite)).unwrap();
        let there = |page| AT * 4 + page * PAGE_SIZE;
        for page in 0..pages {
            let expected = if page % 7 == 2 { 0 } else { page as u8 | 1 };
            assert_eq!((read(space, at(page)), read(space, there(page))), (expected, expected));
        }
        let both = |page| frame(&source, page) == frame(&copy, page);
        assert!(touched.clone().all(both), "nothing was copied");
        assert!(free - memory::free_frames() < pages / 4 + 10, "nothing was copied");
        for page in touched.clone() {
            match page % 3 {
                0 => write(space, at(page), 200),
                1 => write(space, there(page), 201),
                _ => {}
            }
        }
        for page in touched {
            let old = page as u8 | 1;
            let expected = match page % 3 {
                0 => (200, old),
                1 => (old, 201),
                _ => (old, old),
            };
            assert_eq!((read(space, at(page)), read(space, there(page))), expected, "page {page}");
        }
        unmap(space, AT, pages).unwrap();
        unmap(space, AT * 4, pages).unwrap();
        drop((source, copy));
        block_on(reclaim::finish());
        assert_eq!(frames_left(&process), 3500 - 1);
    }
}

#[test]
fn the_last_owner_writes_without_a_copy() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let space = &process.space;
    let source = object(5, &kernel.init.quota);
    map(space, &mapping(&source, AT, Access::ReadWrite)).unwrap();
    let frames: Vec<_> = (0..5).map(|page| frame(&source, page)).collect();
    drop(cloned(&source, &kernel.init.quota));
    for page in 0..5 {
        write(space, AT + page * PAGE_SIZE, 1);
        assert_eq!(frame(&source, page), frames[page as usize]);
    }
}

#[test]
fn everyone_who_shows_a_page_sees_its_copy() {
    let kernel = Kernel::boot();
    let (one, other) = (kernel.process("one"), kernel.process("other"));
    let source = object(3, &kernel.init.quota);
    for (space, at) in [(&one.space, AT), (&one.space, AT * 2), (&other.space, AT)] {
        map(space, &mapping(&source, at, Access::ReadWrite)).unwrap();
    }
    let copy = cloned(&source, &kernel.init.quota);
    let all = [(&one.space, AT), (&one.space, AT * 2), (&other.space, AT)];
    for (space, at) in all {
        assert_eq!(read(space, at + PAGE_SIZE), 0);
    }
    write(&one.space, AT + PAGE_SIZE, 9);
    for (space, at) in all {
        assert_eq!(read(space, at + PAGE_SIZE), 9);
    }
    assert_ne!(frame(&source, 1), frame(&copy, 1));
    assert_eq!(frame(&source, 2), frame(&copy, 2));
}

#[test]
fn clones_of_clones_share_until_the_last() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let quota = &kernel.init.quota;
    let free = memory::free_frames();
    let source = object(4, quota);
    let with_one = memory::free_frames();
    let mut all = vec![source];
    for _ in 0..5 {
        all.push(cloned(all.last().unwrap(), quota));
    }
    assert!(memory::free_frames() + 2 >= with_one, "slabs alone");
    for (number, object) in all.iter().enumerate() {
        let at = AT * (number as u64 + 1);
        map(&process.space, &mapping(object, at, Access::ReadWrite)).unwrap();
        write(&process.space, at + number as u64 % 4 * PAGE_SIZE, number as u8 + 1);
        unmap(&process.space, at, 4).unwrap();
    }
    while let Some(object) = all.pop() {
        drop(object);
        assert!(all.is_empty() || memory::free_frames() < free);
    }
    assert_eq!(memory::free_frames(), free);
}

#[test]
fn a_clone_is_paid_in_full() {
    let kernel = Kernel::boot();
    let quota = Quota::carve(&kernel.init.quota, 10, 100_000).unwrap();
    let source = object(6, &quota);
    let refused = MemoryObject::new(6 * PAGE_SIZE, &quota).err();
    assert_eq!(refused, Some(Error::QuotaExceeded));
    drop(source);
}

#[test]
fn a_module_is_copied() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let (start, end) = (MODULE.start, MODULE.start + 9 * PAGE_SIZE);
    let quota = &kernel.init.quota;
    let module = MemoryObject::fixed(start, end, Cache::WriteBack, quota).unwrap();
    let first = Frame::containing(MODULE.start);
    direct_map::write(first, 77, b"module");
    let copy = cloned(&module, &kernel.init.quota);
    map(&process.space, &mapping(&copy, AT, Access::ReadWrite)).unwrap();
    assert_eq!(read(&process.space, AT + 77), b'm');
    write(&process.space, AT + 77, b'x');
    let mut byte = [0];
    direct_map::read(first, 77, &mut byte);
    assert_eq!(byte, *b"m");
}
