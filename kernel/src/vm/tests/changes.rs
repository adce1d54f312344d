//! Unmapping and protecting parts of mappings, and changes that meet.
#![forbid(unsafe_code)]

use super::*;

#[test]
fn a_part_of_a_mapping_is_unmapped() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let space = &process.space;
    let object = object(9, &kernel.init.quota);
    map(space, &mapping(&object, AT, Access::ReadWrite)).unwrap();
    touch_all(space, AT, 9);
    unmap(space, AT + 3 * PAGE_SIZE, 2).unwrap();
    for page in 0..9 {
        let found = space.translate(AT + page * PAGE_SIZE).map(|found| found.frame);
        let expected = frame(&object, page).filter(|_| !(3..5).contains(&page));
        assert_eq!(found, expected, "page {page}");
    }
    assert!(!touch(space, AT + 3 * PAGE_SIZE, Wanted::Read), "it is gone");
    // Its place is free, and the rest still knows its pages.
    map(space, &part(&object, AT + 3 * PAGE_SIZE, 0, 2, Access::Read)).unwrap();
    let upper = space.query(AT + 5 * PAGE_SIZE).unwrap();
    assert_eq!((upper.start, upper.offset), (AT + 5 * PAGE_SIZE, 5 * PAGE_SIZE));
    // All at once, with what is around.
    unmap(space, AT - PAGE_SIZE, 20).unwrap();
    assert!(space.query(0).is_err());
    unmap(space, AT, 4).unwrap();
}

#[test]
fn a_mapping_that_can_not_be_divided_stays_as_it_is() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let space = &process.space;
    let object = object(9, &kernel.init.quota);
    map(space, &mapping(&object, AT, Access::ReadWrite)).unwrap();
    let hog = (0..CHILD_BYTES).rev().find_map(|bytes| Charge::new(&process.quota, 0, bytes).ok());
    let mut guard = mapping(&object, 2 * AT, Access::Read);
    (guard.content.object, guard.content.access) = (None, None);
    while map(space, &guard).is_ok() {
        guard.address += guard.bytes;
    }
    // Two places in a slab would be needed.
    for places in 0..2 {
        unmap(space, guard.address - places * guard.bytes, 9).unwrap();
        assert_eq!(unmap(space, AT + PAGE_SIZE, 1), Err(Error::QuotaExceeded));
        let refused = protect(space, AT + PAGE_SIZE, 1, Some(Access::Read));
        assert_eq!(refused, Err(Error::QuotaExceeded));
        touch_all(space, AT, 9);
        assert_eq!(space.query(AT).unwrap().bytes, 9 * PAGE_SIZE);
    }
    drop(hog);
    unmap(space, AT + PAGE_SIZE, 1).unwrap();
}

#[test]
fn protecting_takes_rights_away_and_gives_them_back() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let space = &process.space;
    let object = object(6, &kernel.init.quota);
    map(space, &mapping(&object, AT, Access::ReadWrite)).unwrap();
    touch_all(space, AT, 6);
    let middle = AT + 2 * PAGE_SIZE;
    for (access, may_write, may_execute) in [
        (Some(Access::Read), false, false),
        (Some(Access::ReadExecute), false, true),
        (Some(Access::ReadWrite), true, false),
        (None, false, false),
        (Some(Access::ReadWrite), true, false),
    ] {
        protect(space, middle, 2, access).unwrap();
        for page in 0..6 {
            let at = AT + page * PAGE_SIZE;
            let is_middle = (2..4).contains(&page);
            let found = space.translate(at).map(|found| found.access);
            let is_at_most = match found {
                None => true,
                Some(found) if is_middle => found == Access::Read || Some(found) == access,
                Some(found) => found == Access::ReadWrite,
            };
            assert!(is_at_most, "page {page}: {found:?} for {access:?}");
            assert_eq!(touch(space, at, Wanted::Read), access.is_some() || !is_middle);
            assert_eq!(touch(space, at, Wanted::Write), may_write || !is_middle, "page {page}");
            assert_eq!(touch(space, at, Wanted::Execute), may_execute && is_middle);
            assert!(frame(&object, page).is_some(), "the page itself stays");
        }
    }
}

#[test]
fn protecting_needs_rights_and_a_range_without_holes() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let space = &process.space;
    let object = object(6, &kernel.init.quota);
    let mut narrow = mapping(&object, AT, Access::Read);
    narrow.content.allowed = Rights::READ;
    map(space, &narrow).unwrap();
    for access in [Access::ReadWrite, Access::ReadExecute] {
        assert_eq!(protect(space, AT, 6, Some(access)), Err(Error::MissingRights));
    }
    for (from, pages) in [(5, 2), (6, 1), (0, 100)] {
        let refused = protect(space, AT + from * PAGE_SIZE, pages, None);
        assert_eq!(refused, Err(Error::InvalidAddress), "{from} {pages}");
    }
    touch_all(space, AT, 6);
    assert_eq!(space.query(AT).unwrap().bytes, 6 * PAGE_SIZE, "nothing was changed");
}

#[test]
fn a_guard_takes_addresses_and_nothing_else() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let space = &process.space;
    let left = frames_left(&process);
    let object = object(1, &kernel.init.quota);
    let mut guard = mapping(&object, AT, Access::Read);
    guard.content.object = None;
    guard.content.access = None;
    guard.content.allowed = Rights::empty();
    guard.bytes = 1 << 40;
    map(space, &guard).unwrap();
    assert_eq!(frames_left(&process), left, "no tables");
    for address in [AT, AT + (1 << 39)] {
        assert!(!touch(space, address, Wanted::Read));
        assert_eq!(map(space, &mapping(&object, address, Access::Read)), Err(Error::AddressInUse));
    }
    assert_eq!(protect(space, AT, 1, Some(Access::Read)), Err(Error::MissingRights));
    unmap(space, AT + PAGE_SIZE, 1).unwrap();
    map(space, &mapping(&object, AT + PAGE_SIZE, Access::Read)).unwrap();
}

#[test]
fn whoever_comes_while_a_change_goes_on_helps_it() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let space = &process.space;
    let object = object(400, &kernel.init.quota);
    map(space, &mapping(&object, AT, Access::Read)).unwrap();
    touch_all(space, AT, 400);
    let begun = AddressSpace::begin_unmap(space, AT, 400 * PAGE_SIZE, CPU);
    let Ok(Begun::Number(number)) = begun else { panic!("nothing else goes on") };
    assert!(matches!(space.advance(number, CPU), Progress::More), "one step is not enough");
    // The thread that began it does not go on: it was killed, or has another turn some time.
    let refused = map(space, &mapping(&object, AT, Access::Read));
    assert_eq!(refused, Err(Error::AddressInUse), "not before all of it is gone");
    assert!(!touch(space, AT + 399 * PAGE_SIZE, Wanted::Read) || space.is_changing());
    unmap(space, AT * 2, 1).unwrap();
    assert!(!space.is_changing());
    assert!(matches!(space.advance(number, CPU), Progress::Over));
    map(space, &mapping(&object, AT, Access::Read)).unwrap();
}

#[test]
fn a_look_at_a_range_begins_anew_when_it_was_changed_meanwhile() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let space = &process.space;
    let object = object(1, &kernel.init.quota);
    for page in 0..40 {
        map(space, &mapping(&object, AT + page * PAGE_SIZE, Access::Read)).unwrap();
    }
    let mut check = Check::default();
    let mut begin = || {
        let access = (None, Rights::empty());
        AddressSpace::begin_protect(space, AT, 40 * PAGE_SIZE, access, &mut check)
    };
    assert!(matches!(begin(), Ok(Begun::Checking)));
    // It was looked at already.
    unmap(space, AT, 1).unwrap();
    let end = loop {
        match begin() {
            Ok(Begun::Checking) => {}
            other => break other,
        }
    };
    assert_eq!(end.err(), Some(Error::InvalidAddress));
}
