//! Memory objects by themselves.
#![forbid(unsafe_code)]

use orbital_abi::{Error, layout::PAGE_SIZE};

use super::{Builder, Charge, Kernel, MemoryObject, Quota, object};
use crate::{
    arch::{direct_map, host::boot::MODULE},
    memory::{self, frame::Frame},
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
        let error = Builder::new(bytes, &kernel.init.quota).err();
        assert_eq!(error, Some(Error::InvalidArgument), "{bytes:#x}");
    }
    let error = Builder::new(1 << 32, &kernel.init.quota).err();
    assert_eq!(error, Some(Error::QuotaExceeded), "the largest there could be");
}

#[test]
fn an_object_is_zero_whatever_its_frames_held() {
    let kernel = Kernel::boot();
    let mut builder = Builder::new(20 * PAGE_SIZE, &kernel.init.quota).unwrap();
    // The frames that the object will get, full of someone's secret.
    let frames: Vec<Frame> = (0..20).map(|_| memory::allocate_frame().unwrap()).collect();
    for frame in &frames {
        direct_map::write(*frame, 0, &[0xee; 4096]);
    }
    frames.into_iter().for_each(memory::free_frame);
    while !builder.step(3).unwrap() {}
    let object = builder.finish().unwrap();
    assert_eq!(object.pages(), 20);
    for page in 0..20 {
        assert!(content(object.frame(page).unwrap()).iter().all(|byte| *byte == 0));
    }
    assert_eq!((object.frame(20), object.frame(u64::MAX)), (None, None));
}

#[test]
fn bytes_are_written_over_the_borders_of_pages_and_not_behind_the_last() {
    let kernel = Kernel::boot();
    let mut builder = Builder::new(2 * PAGE_SIZE, &kernel.init.quota).unwrap();
    while !builder.step(1).unwrap() {}
    builder.write(4090, &[1; 10]);
    builder.write(8190, &[2; 10]);
    builder.write(9000, &[3; 10]);
    builder.write(usize::MAX - 4, &[]);
    let object = builder.finish().unwrap();
    let bytes = [content(object.frame(0).unwrap()), content(object.frame(1).unwrap())].concat();
    assert_eq!(bytes[..4090], [0; 4090]);
    assert_eq!(bytes[4090..4100], [1; 10]);
    assert!(bytes[4100..8190].iter().all(|byte| *byte == 0));
    assert_eq!(bytes[8190..], [2; 2]);
}

#[test]
fn an_object_in_the_making_gives_its_frames_back() {
    let kernel = Kernel::boot();
    let quota = Quota::carve(&kernel.init.quota, 10, 10_000).unwrap();
    let free = memory::free_frames();
    let mut builder = Builder::new(10 * PAGE_SIZE, &quota).unwrap();
    assert_eq!(builder.step(4), Ok(false));
    assert_eq!(memory::free_frames(), free - 4);
    assert_eq!(Builder::new(PAGE_SIZE, &quota).err(), Some(Error::QuotaExceeded), "paid at once");
    drop(builder);
    assert_eq!(memory::free_frames(), free);
    assert!(Charge::new(&quota, 10, 10_000).is_ok());
    let whole = object(10, &quota);
    assert_eq!(memory::free_frames(), free - 10);
    drop(whole);
    assert_eq!(memory::free_frames(), free);
    assert!(Charge::new(&quota, 10, 10_000).is_ok());
}

#[test]
fn a_machine_without_frames_fails_a_step_and_loses_nothing() {
    let kernel = Kernel::boot();
    let free = memory::free_frames();
    let mut hog: Vec<Frame> = core::iter::from_fn(memory::allocate_frame).collect();
    hog.drain(..5).for_each(memory::free_frame);
    let mut builder = Builder::new(10 * PAGE_SIZE, &kernel.init.quota).unwrap();
    assert_eq!(builder.step(10), Err(Error::QuotaExceeded));
    drop(builder);
    assert_eq!(memory::free_frames(), 5);
    hog.into_iter().for_each(memory::free_frame);
    assert_eq!(memory::free_frames(), free);
}

#[test]
fn a_module_is_an_object_over_the_loaders_frames() {
    let _kernel = Kernel::boot();
    let free = memory::free_frames();
    let module = MemoryObject::module(MODULE.start, MODULE.start + 3 * PAGE_SIZE + 1).unwrap();
    assert_eq!(module.pages(), 4, "the last page is not whole");
    assert_eq!(module.frame(3), Some(Frame::containing(MODULE.start + 3 * PAGE_SIZE)));
    assert_eq!((module.frame(4), module.frame(u64::MAX)), (None, None));
    drop(module);
    assert_eq!(memory::free_frames(), free, "it was never the allocator's");
}
