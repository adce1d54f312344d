//! Memory objects by themselves.
#![forbid(unsafe_code)]

use super::{super::reclaim, *};
use crate::{
    arch::{direct_map, host::boot::MODULE},
    memory,
};

fn content(frame: Frame) -> [u8; 4096] {
    let mut content = [0; 4096];
    direct_map::read(frame, 0, &mut content);
    content
}

#[test]
fn sizes_that_are_no_whole_pages_or_too_large_are_refused() {
    let kernel = Kernel::boot();
    for bytes in [0, 1, PAGE_SIZE - 1, PAGE_SIZE + 1, (1 << 32) + PAGE_SIZE, u64::MAX, 1 << 63] {
        let error = MemoryObject::new(bytes, &kernel.init.quota).err();
        assert_eq!(error, Some(Error::InvalidArgument), "{bytes:#x}");
    }
    let error = MemoryObject::new(1 << 32, &kernel.init.quota).err();
    assert_eq!(error, Some(Error::QuotaExceeded), "the largest there could be");
}

#[test]
fn an_object_is_zero_whatever_its_frames_held() {
    let kernel = Kernel::boot();
    for pages in [20, 600] {
        // The frames that the object will get, full of someone's secret.
        let frames: Vec<Frame> =
            (0..2 * pages).map(|_| memory::allocate_frame().unwrap()).collect();
        for frame in &frames {
            direct_map::write(*frame, 0, &[0xee; 4096]);
        }
        frames.into_iter().for_each(memory::free_frame);
        let object = object(pages, &kernel.init.quota);
        assert_eq!(object.pages(), pages);
        for page in 0..pages {
            assert!(content(frame(&object, page).unwrap()).iter().all(|byte| *byte == 0));
        }
    }
}

#[test]
fn bytes_are_written_over_the_borders_of_pages_and_not_behind_the_last() {
    let kernel = Kernel::boot();
    let object = MemoryObject::new(2 * PAGE_SIZE, &kernel.init.quota).unwrap();
    object.write(4090, &[1; 10]).unwrap();
    object.write(8190, &[2; 10]).unwrap();
    object.write(9000, &[3; 10]).unwrap();
    object.write(u64::MAX - 4, &[]).unwrap();
    let bytes = [0, 1].map(|page| content(frame(&object, page).unwrap())).concat();
    assert_eq!(bytes[..4090], [0; 4090]);
    assert_eq!(bytes[4090..4100], [1; 10]);
    assert!(bytes[4100..8190].iter().all(|byte| *byte == 0));
    assert_eq!(bytes[8190..], [2; 2]);
}

#[test]
fn pages_are_paid_at_once_and_taken_when_they_are_touched() {
    let kernel = Kernel::boot();
    let quota = Quota::carve(&kernel.init.quota, 10, 10_000).unwrap();
    let before = memory::free_frames();
    let object = MemoryObject::new(10 * PAGE_SIZE, &quota).unwrap();
    let free = memory::free_frames();
    assert!(before - free <= 2, "slabs alone: nobody has touched it");
    let refused = MemoryObject::new(PAGE_SIZE, &quota).err();
    assert_eq!(refused, Some(Error::QuotaExceeded), "paid at once");
    fill(&object, 3);
    fill(&object, 3);
    fill(&object, 9);
    assert_eq!(memory::free_frames(), free - 2);
    drop(object);
    assert_eq!(memory::free_frames(), before);
    assert!(Charge::new(&quota, 10, 10_000).is_ok());
}

#[test]
fn a_large_object_is_given_back_in_steps_and_paid_until_then() {
    let kernel = Kernel::boot();
    // Two chunks that have a block each, and one that is not whole.
    let frames = 1224 + 3;
    let quota = Quota::carve(&kernel.init.quota, frames, 10_000).unwrap();
    let free = memory::free_frames();
    let object = MemoryObject::new(1224 * PAGE_SIZE, &quota).unwrap();
    for page in (0..1224).step_by(3) {
        fill(&object, page);
    }
    assert!(memory::free_frames() < free);
    drop(object);
    assert!(!reclaim::is_done());
    assert!(quota.charge_frames(frames).is_err(), "it is paid until it is back");
    let mut steps = 0;
    while !reclaim::is_done() {
        assert!(reclaim::step());
        steps += 1;
    }
    assert!(steps > 3, "{steps} steps");
    assert_eq!(memory::free_frames(), free);
    assert!(Charge::new(&quota, frames, 10_000).is_ok());
}

#[test]
fn a_machine_without_frames_is_told_and_loses_nothing() {
    let kernel = Kernel::boot();
    let free = memory::free_frames();
    for pages in [10, 600] {
        let object = MemoryObject::new(pages * PAGE_SIZE, &kernel.init.quota).unwrap();
        let hog: Vec<Frame> = core::iter::from_fn(memory::allocate_frame).collect();
        let touched = object.with_inner(|inner| inner.touch(0, true));
        assert_eq!(touched, Touched::NoMemory);
        hog.into_iter().for_each(memory::free_frame);
        fill(&object, 0);
    }
    block_on(reclaim::finish());
    assert_eq!(memory::free_frames(), free);
}

#[test]
fn a_module_is_an_object_over_the_loaders_frames() {
    let kernel = Kernel::boot();
    let free = memory::free_frames();
    let (start, end) = (MODULE.start, MODULE.start + 3 * PAGE_SIZE + 1);
    let module = MemoryObject::fixed(start, end, Cache::WriteBack, &kernel.init.quota).unwrap();
    assert_eq!(module.pages(), 4, "the last page is not whole");
    assert_eq!(frame(&module, 3), Some(Frame::containing(MODULE.start + 3 * PAGE_SIZE)));
    drop(module);
    assert_eq!(memory::free_frames(), free, "it was never the allocator's");
}
