//! Memory objects and address spaces, driven directly; what programs can do with them is tested
//! with the system calls. The fixture checks after each test that all frames are back.
#![forbid(unsafe_code)]

mod model;
mod objects;

use orbital_abi::{
    Error,
    layout::{PAGE_SIZE, USER_END, USER_START},
};

use super::{
    AddressSpace, MemoryObject,
    address_space::{Claim, Mapping},
    memory_object::Builder,
};
use crate::{
    arch::{Access, Translation},
    object::{Charge, Quota, Ref},
    process::Process,
    tests::kernel::{CHILD_BYTES, CHILD_FRAMES, Kernel},
};

const AT: u64 = 0x4000_0000;

/// An object that `quota` pays.
fn object(pages: u64, quota: &Ref<Quota>) -> Ref<MemoryObject> {
    let mut builder = Builder::new(pages * PAGE_SIZE, quota).unwrap();
    while !builder.step(7).unwrap() {}
    builder.finish().unwrap()
}

/// All of `object` at `address`.
fn mapping(object: &Ref<MemoryObject>, address: u64, access: Access) -> Mapping {
    let pages = object.pages();
    Mapping { object: object.clone(), address, first_page: 0, pages, access }
}

/// Maps step by step, as the system call does. A failure takes everything back.
fn map(space: &AddressSpace, mapping: &Mapping) -> Result<(), Error> {
    let claim = space.begin_map(mapping)?;
    let mut done = 0;
    while done < mapping.pages {
        match space.map_step(mapping, done) {
            Ok(now) => done = now,
            Err(error) => {
                finish_unmap(space, &claim);
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Unmaps all of a claim. No other CPU has the space loaded.
fn finish_unmap(space: &AddressSpace, claim: &Claim) {
    remove_pages(space, claim);
    while space.retire_step(claim) {}
}

fn remove_pages(space: &AddressSpace, claim: &Claim) {
    let mut at = Some(claim.start());
    while let Some(from) = at {
        at = space.unmap_step(claim, from);
    }
}

fn unmap(space: &AddressSpace, address: u64, pages: u64) -> Result<(), Error> {
    let claim = space.begin_unmap(address, pages * PAGE_SIZE)?;
    finish_unmap(space, &claim);
    Ok(())
}

/// What `process` has left of its quota in frames, by trying.
fn frames_left(process: &Process) -> u64 {
    (0..).take_while(|n| Charge::new(&process.quota, n + 1, 0).is_ok()).count() as u64
}

#[test]
fn a_mapping_leads_to_the_objects_frames_with_its_access() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let space = &process.space;
    // More than one step, and over the border of two tables.
    let object = object(70, &kernel.init.quota);
    for (index, access) in
        [Access::Read, Access::ReadWrite, Access::ReadExecute].into_iter().enumerate()
    {
        let at = AT - 30 * PAGE_SIZE + index as u64 * (1 << 30);
        map(space, &mapping(&object, at, access)).unwrap();
        for page in 0..70 {
            let frame = object.frame(page).unwrap();
            let expected = Some(Translation { frame, access });
            assert_eq!(space.translate(at + page * PAGE_SIZE), expected);
            assert_eq!(space.translate(at + page * PAGE_SIZE + 4095), expected);
        }
        assert_eq!(space.translate(at - 1), None);
        assert_eq!(space.translate(at + 70 * PAGE_SIZE), None);
        unmap(space, at, 70).unwrap();
        assert!((0..70).all(|page| space.translate(at + page * PAGE_SIZE).is_none()));
    }
}

#[test]
fn a_part_of_an_object_can_be_mapped() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let object = object(10, &kernel.init.quota);
    let part = Mapping { first_page: 4, pages: 3, ..mapping(&object, AT, Access::Read) };
    map(&process.space, &part).unwrap();
    for page in 0..3 {
        let found = process.space.translate(AT + page * PAGE_SIZE).unwrap();
        assert_eq!(Some(found.frame), object.frame(4 + page));
    }
    for (first_page, pages) in [(10, 1), (0, 11), (9, 2), (u64::MAX, 1), (1, u64::MAX)] {
        let outside = Mapping { first_page, pages, address: AT * 2, ..part.clone() };
        let refused = process.space.begin_map(&outside);
        assert_eq!(refused, Err(Error::InvalidArgument), "{first_page} {pages}");
    }
}

#[test]
fn only_user_space_can_be_mapped() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let object = object(2, &kernel.init.quota);
    let at = |address| process.space.begin_map(&mapping(&object, address, Access::Read));
    for address in [
        0,
        USER_END - PAGE_SIZE,
        USER_END,
        1 << 47,
        0xffff_8000_0000_0000,
        0xffff_ffff_8000_0000,
        u64::MAX - 4095,
    ] {
        assert_eq!(at(address), Err(Error::InvalidAddress), "{address:#x}");
        let refused = process.space.begin_unmap(address, 2 * PAGE_SIZE);
        assert_eq!(refused, Err(Error::InvalidAddress), "{address:#x}");
    }
    for address in [AT + 1, AT + 2048, u64::MAX] {
        assert_eq!(at(address), Err(Error::InvalidArgument), "{address:#x}");
    }
    for (address, bytes) in [(AT, 0), (AT, 1), (AT, 4097), (AT + 8, PAGE_SIZE)] {
        assert_eq!(process.space.begin_unmap(address, bytes), Err(Error::InvalidArgument));
    }
    // The first and the last pages that there are.
    for address in [USER_START, USER_END - 2 * PAGE_SIZE] {
        map(&process.space, &mapping(&object, address, Access::Read)).unwrap();
        assert!(process.space.translate(address).is_some());
    }
}

#[test]
fn mappings_never_overlap() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let (three, seven) = (object(3, &kernel.init.quota), object(7, &kernel.init.quota));
    map(&process.space, &mapping(&three, AT, Access::Read)).unwrap();
    for offset in -6..3_i64 {
        let at = AT.wrapping_add_signed(offset * PAGE_SIZE as i64);
        let refused = map(&process.space, &mapping(&seven, at, Access::Read));
        assert_eq!(refused, Err(Error::AddressInUse), "{offset}");
    }
    for page in 0..3 {
        let found = process.space.translate(AT + page * PAGE_SIZE).unwrap();
        assert_eq!(Some(found.frame), three.frame(page), "as before");
    }
    // Side by side is no overlap.
    map(&process.space, &mapping(&seven, AT - 7 * PAGE_SIZE, Access::Read)).unwrap();
    map(&process.space, &mapping(&seven, AT + 3 * PAGE_SIZE, Access::Read)).unwrap();
}

#[test]
fn only_whole_mappings_are_unmapped() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let space = &process.space;
    let object = object(4, &kernel.init.quota);
    let second = AT + 8 * PAGE_SIZE;
    for at in [AT, second] {
        map(space, &mapping(&object, at, Access::Read)).unwrap();
    }
    for (from, pages) in [(0, 3), (1, 3), (1, 2), (0, 9), (3, 9), (2, 20), (11, 1)] {
        let refused = unmap(space, AT + from * PAGE_SIZE, pages);
        assert_eq!(refused, Err(Error::AddressInUse), "{from} {pages}");
    }
    for page in 0..4 {
        assert!(space.translate(AT + page * PAGE_SIZE).is_some(), "nothing was changed");
        assert!(space.translate(second + page * PAGE_SIZE).is_some(), "nothing was changed");
    }
    unmap(space, AT - PAGE_SIZE, 1).unwrap();
    unmap(space, AT + 4 * PAGE_SIZE, 4).unwrap();
    // Both at once, with what is around and between them.
    unmap(space, AT - PAGE_SIZE, 20).unwrap();
    assert!(space.translate(AT).is_none() && space.translate(second).is_none());
    unmap(space, AT, 4).unwrap();
}

#[test]
fn a_range_that_is_being_mapped_or_unmapped_is_in_use() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let space = &process.space;
    let long = mapping(&object(100, &kernel.init.quota), AT, Access::Read);
    space.begin_map(&long).unwrap();
    let done = space.map_step(&long, 0).unwrap();
    assert!(done < 100, "one step is not enough");
    assert_eq!(space.begin_unmap(AT, 100 * PAGE_SIZE), Err(Error::AddressInUse));
    assert_eq!(space.begin_map(&long), Err(Error::AddressInUse));
    let mut done = done;
    while done < 100 {
        done = space.map_step(&long, done).unwrap();
    }
    let claim = space.begin_unmap(AT, 100 * PAGE_SIZE).unwrap();
    let is_in_use = || {
        assert_eq!(space.begin_unmap(AT, 100 * PAGE_SIZE), Err(Error::AddressInUse));
        let refused = space.begin_map(&long);
        assert_eq!(refused, Err(Error::AddressInUse), "not before all of it is gone");
    };
    let at = space.unmap_step(&claim, claim.start()).unwrap();
    assert!(at < AT + 100 * PAGE_SIZE, "one step is not enough");
    is_in_use();
    remove_pages(space, &claim);
    is_in_use();
    assert!(space.retire_step(&claim), "only now is it gone");
    assert!(!space.retire_step(&claim));
    map(space, &long).unwrap();
}

#[test]
fn a_mapping_that_fails_half_way_is_taken_back() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let space = &process.space;
    let object = object(40, &kernel.init.quota);
    // The last 20 pages need a table of their own, for which there is no frame.
    let at = AT - 20 * PAGE_SIZE;
    let left = frames_left(&process);
    // The first table of this range takes three: one for each level below the root.
    let hog = Charge::new(&process.quota, left - 3, 0).unwrap();
    let attempt = mapping(&object, at, Access::ReadWrite);
    assert_eq!(map(space, &attempt), Err(Error::QuotaExceeded));
    assert!((0..40).all(|page| space.translate(at + page * PAGE_SIZE).is_none()));
    drop(hog);
    map(space, &attempt).unwrap();
    assert!((0..40).all(|page| space.translate(at + page * PAGE_SIZE).is_some()));
}

#[test]
fn the_books_of_a_failed_mapping_are_not_charged() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let object = object(1, &kernel.init.quota);
    map(&process.space, &mapping(&object, AT, Access::Read)).unwrap();
    let bytes_left = |process: &Process| {
        (0..CHILD_BYTES).rev().find(|bytes| Charge::new(&process.quota, 0, *bytes).is_ok())
    };
    let before = bytes_left(&process);
    for _ in 0..3 {
        let refused = map(&process.space, &mapping(&object, AT, Access::Read));
        assert_eq!(refused, Err(Error::AddressInUse));
    }
    assert_eq!(bytes_left(&process), before);
    unmap(&process.space, AT, 1).unwrap();
    assert!(bytes_left(&process) > before);
}

#[test]
fn a_mapping_keeps_its_object_alive() {
    let kernel = Kernel::boot();
    let (one, other) = (kernel.process("one"), kernel.process("other"));
    let free = crate::memory::free_frames();
    let shared = object(3, &kernel.init.quota);
    map(&one.space, &mapping(&shared, AT, Access::ReadWrite)).unwrap();
    map(&other.space, &mapping(&shared, AT * 2, Access::Read)).unwrap();
    let frame = shared.frame(1).unwrap();
    drop(shared);
    unmap(&one.space, AT, 3).unwrap();
    let seen = other.space.translate(AT * 2 + PAGE_SIZE).unwrap();
    assert_eq!((seen.frame, seen.access), (frame, Access::Read), "the other's own access");
    unmap(&other.space, AT * 2, 3).unwrap();
    // What is not back yet are tables: three of each space.
    assert_eq!(crate::memory::free_frames(), free - 6);
}

#[test]
fn nothing_is_mapped_into_a_space_that_was_closed() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let long = mapping(&object(100, &kernel.init.quota), AT, Access::Read);
    let claim = process.space.begin_map(&long).unwrap();
    let done = process.space.map_step(&long, 0).unwrap();
    while !process.space.close_step() {}
    assert_eq!(process.space.begin_map(&long), Err(Error::Ended));
    // Someone else was in the middle of a mapping: a parent into its child, for one.
    assert_eq!(process.space.map_step(&long, done), Err(Error::Ended));
    finish_unmap(&process.space, &claim);
    assert!(process.space.close_step(), "it stays closed");
    assert_eq!(frames_left(&process), CHILD_FRAMES);
}

#[test]
fn closing_takes_bounded_steps_and_gives_everything_back() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let object = object(150, &kernel.init.quota);
    for count in 0..5 {
        map(&process.space, &mapping(&object, AT + (count << 31), Access::Read)).unwrap();
    }
    let mut steps = 0;
    while !process.space.close_step() {
        steps += 1;
    }
    assert!(steps > 10, "750 pages are not unmapped in {steps} steps");
    assert_eq!(frames_left(&process), CHILD_FRAMES);
}

#[test]
fn a_space_without_a_frame_for_its_root_is_refused() {
    let kernel = Kernel::boot();
    let free = crate::memory::free_frames();
    let nothing = Quota::carve(&kernel.init.quota, 0, 1000).unwrap();
    assert_eq!(AddressSpace::new(&nothing).err(), Some(Error::QuotaExceeded));
    // A quota that is not backed: the frames of the machine run out.
    let mut hog = Vec::new();
    hog.extend(core::iter::from_fn(crate::memory::allocate_frame));
    let rich = Quota::root(10, 1000).unwrap();
    assert_eq!(AddressSpace::new(&rich).err(), Some(Error::QuotaExceeded));
    assert!(rich.charge_frames(10).is_ok(), "nothing stays charged");
    hog.into_iter().for_each(crate::memory::free_frame);
    assert_eq!(crate::memory::free_frames(), free);
}

#[test]
fn a_space_that_is_dropped_without_being_closed_gives_its_frames_back() {
    let kernel = Kernel::boot();
    let quota = Quota::carve(&kernel.init.quota, 20, 10_000).unwrap();
    let free = crate::memory::free_frames();
    let space = AddressSpace::new(&quota).unwrap();
    let object = object(1, &quota);
    map(&space, &mapping(&object, AT, Access::Read)).unwrap();
    drop((space, object));
    assert_eq!(crate::memory::free_frames(), free);
    assert!(Charge::new(&quota, 20, 10_000).is_ok());
}
