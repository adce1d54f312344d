//! Touches of pages that are not mapped.
#![forbid(unsafe_code)]

use super::*;
use crate::memory;

#[test]
fn a_page_gets_its_frame_when_it_is_touched() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let space = &process.space;
    let object = MemoryObject::new(100 * PAGE_SIZE, &kernel.init.quota).unwrap();
    map(space, &mapping(&object, AT, Access::ReadWrite)).unwrap();
    let free = memory::free_frames();
    for (count, page) in (1..).zip([7, 99, 0]) {
        assert_eq!(space.translate(AT + page * PAGE_SIZE), None);
        assert!(touch(space, AT + page * PAGE_SIZE + 123, Wanted::Read));
        let found = space.translate(AT + page * PAGE_SIZE).unwrap();
        assert_eq!((Some(found.frame), found.access), (frame(&object, page), Access::ReadWrite));
        // The entries of a larger object take one more.
        assert_eq!(memory::free_frames(), free - count - 1, "page {page} alone");
    }
}

#[test]
fn an_access_that_the_mapping_does_not_allow_is_refused_and_takes_nothing() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let space = &process.space;
    let object = MemoryObject::new(3 * PAGE_SIZE, &kernel.init.quota).unwrap();
    let free = memory::free_frames();
    let all = [Access::Read, Access::ReadWrite, Access::ReadExecute];
    for (at, access) in (AT..).step_by(1 << 20).zip(all) {
        map(space, &mapping(&object, at, access)).unwrap();
    }
    let tables = free - memory::free_frames();
    for (at, access) in (AT..).step_by(1 << 20).zip(all) {
        for (wanted, other) in
            [(Wanted::Write, Access::ReadWrite), (Wanted::Execute, Access::ReadExecute)]
        {
            if access != other {
                assert!(!touch(space, at, wanted), "{wanted:?} of {access:?}");
            }
        }
    }
    for address in [AT - 1, AT + 3 * PAGE_SIZE, 0, USER_END, 1 << 47, u64::MAX] {
        assert!(!touch(space, address, Wanted::Read), "{address:#x}");
    }
    assert_eq!(memory::free_frames(), free - tables);
}

#[test]
fn neighbours_that_are_there_are_mapped_too() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let space = &process.space;
    let object = object(40, &kernel.init.quota);
    // The first few at once, the others when one of them is touched.
    map(space, &mapping(&object, AT, Access::Read)).unwrap();
    let is_mapped = |page| space.translate(AT + page * PAGE_SIZE).is_some();
    assert!((0..16).all(is_mapped) && !(16..40).any(is_mapped));
    assert!(touch(space, AT + 20 * PAGE_SIZE, Wanted::Read));
    assert!((16..32).all(is_mapped) && !(32..40).any(is_mapped));
}
