//! Memory objects and address spaces, driven directly; what programs can do with them is tested
//! with the system calls. The fixture checks after each test that all frames are back.
#![forbid(unsafe_code)]

mod changes;
mod clones;
mod faults;
mod large;
mod model;
mod objects;
mod tables;

use core::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use orbital_abi::{
    Error, Rights,
    layout::{PAGE_SIZE, USER_END, USER_START},
};

use super::{
    AddressSpace, MemoryObject,
    address_space::{Begun, Check, Mapping, Resolution, Wanted, change::Progress},
    change,
    memory_object::Touched,
};
use crate::{
    arch::{Access, Cache, PageSize, Translation},
    memory::frame::Frame,
    object::{Charge, Quota, Ref},
    process::Process,
    tests::kernel::{CHILD_BYTES, CHILD_FRAMES, Kernel},
};

const AT: u64 = 0x4000_0000;
/// The CPU that the tests play.
const CPU: usize = 0;

/// Polls `future` until it is ready.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    for _ in 0..100_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
    panic!("it is never ready");
}

/// An object that `quota` pays, all pages of which were touched.
fn object(pages: u64, quota: &Ref<Quota>) -> Ref<MemoryObject> {
    let object = MemoryObject::new(pages * PAGE_SIZE, quota).unwrap();
    for page in 0..pages {
        fill(&object, page);
    }
    object
}

/// Writes to page `page` of `object`; gives its frame.
fn fill(object: &MemoryObject, page: u64) -> Frame {
    match object.with_inner(|inner| inner.touch(page, true)) {
        Touched::Page { frame, may_write: true, .. } => frame,
        other => panic!("page {page} is {other:?}"),
    }
}

/// The frame of page `page` of `object`, if it was touched.
fn frame(object: &MemoryObject, page: u64) -> Option<Frame> {
    object.with_inner(|inner| inner.present(page)).map(|(frame, _)| frame)
}

/// All of `object` at `address`.
fn mapping(object: &Ref<MemoryObject>, address: u64, access: Access) -> Mapping {
    Mapping::whole(object, address, access)
}

/// So many pages of `object` from `first` on, at `address`.
fn part(
    object: &Ref<MemoryObject>,
    address: u64,
    first: u64,
    pages: u64,
    access: Access,
) -> Mapping {
    let mut mapping = mapping(object, address, access);
    mapping.content.first_page = first;
    mapping.bytes = pages.wrapping_mul(PAGE_SIZE);
    mapping
}

fn map(space: &Ref<AddressSpace>, mapping: &Mapping) -> Result<(), Error> {
    AddressSpace::map(space, mapping.clone())
}

fn unmap(space: &Ref<AddressSpace>, address: u64, pages: u64) -> Result<(), Error> {
    block_on(change(space, || AddressSpace::begin_unmap(space, address, pages * PAGE_SIZE, CPU)))
}

/// Lets pages allow `access`, for which they must have been mapped with `needed`.
fn protect(
    space: &Ref<AddressSpace>,
    address: u64,
    pages: u64,
    access: Option<Access>,
) -> Result<(), Error> {
    let needed = match access {
        None => Rights::empty(),
        Some(Access::Read) => Rights::READ,
        Some(Access::ReadWrite) => Rights::READ | Rights::WRITE,
        Some(Access::ReadExecute) => Rights::READ | Rights::EXECUTE,
    };
    let (mut check, bytes) = (Check::default(), pages * PAGE_SIZE);
    let begin = || AddressSpace::begin_protect(space, address, bytes, (access, needed), &mut check);
    block_on(change(space, begin))
}

/// Touches `address` until it is mapped as is wanted; whether it may be.
fn touch(space: &AddressSpace, address: u64, wanted: Wanted) -> bool {
    loop {
        match space.touch(address, wanted, CPU) {
            Resolution::Mapped => return true,
            Resolution::Refused => return false,
            Resolution::Shared(object, page) => block_on(super::copy_page(object, page)),
            Resolution::Unsettled(object) => block_on(object.settle()),
            Resolution::NoMemory => panic!("a page that is paid for has no frame"),
        }
    }
}

/// Touches each of so many pages from `address` on, as its access allows.
fn touch_all(space: &AddressSpace, address: u64, pages: u64) {
    for page in 0..pages {
        assert!(touch(space, address + page * PAGE_SIZE, Wanted::Read), "page {page}");
    }
}

/// All pages and tables of `process` go, as at its end.
fn close(process: &Process) {
    process.space.refuse_mappings();
    let all = || AddressSpace::begin_unmap(&process.space, USER_START, USER_END - USER_START, CPU);
    block_on(change(&process.space, all)).unwrap();
    process.space.close();
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
    // Over the border of two tables.
    let object = object(70, &kernel.init.quota);
    for (index, access) in
        [Access::Read, Access::ReadWrite, Access::ReadExecute].into_iter().enumerate()
    {
        let at = AT - 30 * PAGE_SIZE + index as u64 * (1 << 30);
        map(space, &mapping(&object, at, access)).unwrap();
        touch_all(space, at, 70);
        for page in 0..70 {
            let frame = frame(&object, page).unwrap();
            let (cache, size) = (Cache::WriteBack, PageSize::Small);
            let expected = Some(Translation { frame, access, cache, size });
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
    map(&process.space, &part(&object, AT, 4, 3, Access::Read)).unwrap();
    for page in 0..3 {
        let found = process.space.translate(AT + page * PAGE_SIZE).unwrap();
        assert_eq!(Some(found.frame), frame(&object, 4 + page));
    }
    for (first, pages) in [(10, 1), (0, 11), (9, 2), (u64::MAX, 1), (1, 0)] {
        let refused = map(&process.space, &part(&object, AT * 2, first, pages, Access::Read));
        assert_eq!(refused, Err(Error::InvalidArgument), "{first} {pages}");
    }
}

#[test]
fn only_user_space_can_be_mapped() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let object = object(2, &kernel.init.quota);
    let at = |address| map(&process.space, &mapping(&object, address, Access::Read));
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
        let refused = unmap(&process.space, address, 2);
        assert_eq!(refused, Err(Error::InvalidAddress), "{address:#x}");
    }
    for address in [AT + 1, AT + 2048, u64::MAX] {
        assert_eq!(at(address), Err(Error::InvalidArgument), "{address:#x}");
    }
    for (address, bytes) in [(AT, 0), (AT, 1), (AT, 4097), (AT + 8, PAGE_SIZE)] {
        let refused = AddressSpace::begin_unmap(&process.space, address, bytes, CPU).err();
        assert_eq!(refused, Some(Error::InvalidArgument));
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
        assert_eq!(Some(found.frame), frame(&three, page), "as before");
    }
    // Side by side is no overlap.
    map(&process.space, &mapping(&seven, AT - 7 * PAGE_SIZE, Access::Read)).unwrap();
    map(&process.space, &mapping(&seven, AT + 3 * PAGE_SIZE, Access::Read)).unwrap();
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
    let frame = frame(&shared, 1).unwrap();
    drop(shared);
    unmap(&one.space, AT, 3).unwrap();
    let seen = other.space.translate(AT * 2 + PAGE_SIZE).unwrap();
    assert_eq!((seen.frame, seen.access), (frame, Access::Read), "the other's own access");
    unmap(&other.space, AT * 2, 3).unwrap();
    assert_eq!(crate::memory::free_frames(), free, "tables too");
}

#[test]
fn nothing_is_mapped_into_a_space_that_was_closed() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let object = object(100, &kernel.init.quota);
    map(&process.space, &mapping(&object, AT, Access::Read)).unwrap();
    process.space.refuse_mappings();
    let refused = map(&process.space, &mapping(&object, AT * 2, Access::Read));
    assert_eq!(refused, Err(Error::Ended));
    close(&process);
    assert_eq!(frames_left(&process), CHILD_FRAMES);
}

#[test]
fn closing_takes_bounded_steps_and_gives_everything_back() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let object = object(150, &kernel.init.quota);
    for count in 0..5 {
        let at = AT + (count << 31);
        map(&process.space, &mapping(&object, at, Access::Read)).unwrap();
        touch_all(&process.space, at, 150);
    }
    let all = AddressSpace::begin_unmap(&process.space, USER_START, USER_END - USER_START, CPU);
    assert!(matches!(all, Ok(Begun::Number(1))));
    let mut steps = 0;
    while !matches!(process.space.advance(1, CPU), Progress::Over) {
        steps += 1;
    }
    assert!(steps > 5, "750 pages are not unmapped in {steps} steps");
    close(&process);
    assert_eq!(frames_left(&process), CHILD_FRAMES);
}

#[test]
fn a_space_without_a_frame_for_its_root_is_refused() {
    let kernel = Kernel::boot();
    let nothing = Quota::carve(&kernel.init.quota, 0, 10_000).unwrap();
    let free = crate::memory::free_frames();
    assert_eq!(AddressSpace::new(&nothing).err(), Some(Error::QuotaExceeded));
    // A quota that is not backed: the frames of the machine run out.
    let mut hog = Vec::new();
    hog.extend(core::iter::from_fn(crate::memory::allocate_frame));
    let rich = Quota::root(10, 10_000).unwrap();
    assert_eq!(AddressSpace::new(&rich).err(), Some(Error::QuotaExceeded));
    assert!(rich.charge_frames(10).is_ok(), "nothing stays charged");
    hog.into_iter().for_each(crate::memory::free_frame);
    assert_eq!(crate::memory::free_frames(), free);
}

#[test]
fn a_space_that_is_dropped_without_being_closed_gives_its_root_back() {
    let kernel = Kernel::boot();
    let quota = Quota::carve(&kernel.init.quota, 20, 10_000).unwrap();
    let free = crate::memory::free_frames();
    drop(AddressSpace::new(&quota).unwrap());
    assert_eq!(crate::memory::free_frames(), free);
    assert!(Charge::new(&quota, 20, 10_000).is_ok());
}

#[test]
fn a_query_gives_the_mapping_that_holds_an_address_or_the_next() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let object = object(10, &kernel.init.quota);
    assert_eq!(process.space.query(0), Err(Error::InvalidAddress));
    map(&process.space, &part(&object, AT, 4, 3, Access::Read)).unwrap();
    for address in [0, AT - 1, AT, AT + 3 * PAGE_SIZE - 1] {
        let found = process.space.query(address).unwrap();
        assert_eq!((found.start, found.bytes), (AT, 3 * PAGE_SIZE), "{address:#x}");
        assert_eq!((found.offset, found.access), (4 * PAGE_SIZE, Some(Access::Read)));
    }
    for address in [AT + 3 * PAGE_SIZE, USER_END, u64::MAX] {
        assert_eq!(process.space.query(address), Err(Error::InvalidAddress), "{address:#x}");
    }
}
