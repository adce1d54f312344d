//! Memory objects and mappings: what is refused, what is made, what comes back.
#![cfg_attr(target_os = "none", no_std, no_main)]

use guests::{
    bare::{PAGE, map_into},
    counters::leaves_nothing,
    mapped::{PLACE, READ_WRITE, do_map, do_unmap, mapping, read, write},
    suite,
};
use orbital_user::{
    CapSlot, Error, MemoryObject, Process, Rights,
    abi::{
        Registers, Syscall,
        arguments::{MemoryMap, MemoryUnmap},
        layout::{USER_END, USER_START},
    },
    capability::copy_to,
    memory::unmap,
    start::bootstrap,
    syscall::harmless,
};

suite! {
    cases: [
        sizes_are_checked,
        map_arguments_are_checked,
        unmap_arguments_are_checked,
        rights_are_checked,
        the_edges_of_user_space_can_be_mapped,
        mappings_do_not_overlap,
        a_part_of_a_mapping_is_unmapped,
        one_unmapping_takes_several_mappings,
        an_object_can_be_mapped_many_times,
        offsets_lead_into_the_object,
        a_failed_mapping_changes_nothing,
    ],
    roles: [],
}

/// A mapping that is allowed; changed at one place at a time below.
fn good(memory: &MemoryObject) -> MemoryMap {
    mapping(memory, PAGE)
}

/// No bytes, parts of pages and more than 4 GiB are no size; more than the quota is too much.
fn sizes_are_checked() {
    let create = |bytes| {
        let results = harmless(Syscall::MemoryCreate, &Registers::control([bytes, 0, 0, 0]))?;
        drop(MemoryObject::from_slot(CapSlot::from_bits(results.control[0])));
        Ok(())
    };
    for bytes in
        [0, 1, PAGE - 1, PAGE + 1, (4 << 30) + PAGE, 1 << 63, u64::MAX, u64::MAX - PAGE + 1]
    {
        assert_eq!(create(bytes), Err(Error::InvalidArgument), "{bytes:#x}");
    }
    assert_eq!(create(4 << 30), Err(Error::QuotaExceeded));
    for pages in [1, 2, 7, 8, 9, 512, 513] {
        assert_eq!(create(pages * PAGE), Ok(()), "{pages} pages");
    }
}

/// One wrong argument at a time, each with its error, and nothing is mapped.
fn map_arguments_are_checked() {
    use Error::{InvalidAddress, InvalidArgument, WriteAndExecute};
    let memory = MemoryObject::create(4 * PAGE).unwrap();
    let good = good(&memory);
    let refused = |arguments, error| assert_eq!(do_map(arguments), Err(error), "{arguments:x?}");
    for address in [PLACE + 1, PLACE + 8, PLACE + PAGE - 1] {
        refused(MemoryMap { address, ..good }, InvalidArgument);
    }
    for address in [0, USER_END, 1 << 47, 0xffff_8000_0000_0000, 0u64.wrapping_sub(PAGE)] {
        refused(MemoryMap { address, ..good }, InvalidAddress);
    }
    refused(MemoryMap { address: USER_END - PAGE, bytes: 2 * PAGE, ..good }, InvalidAddress);
    for offset in [1, PAGE - 1, 4 * PAGE, 5 * PAGE, 1 << 63, u64::MAX - PAGE + 1, u64::MAX] {
        refused(MemoryMap { offset, ..good }, InvalidArgument);
    }
    refused(MemoryMap { offset: 3 * PAGE, bytes: 2 * PAGE, ..good }, InvalidArgument);
    for bytes in [0, 1, PAGE - 1, PAGE + 1, 5 * PAGE, 1 << 63, u64::MAX - PAGE + 1, u64::MAX] {
        refused(MemoryMap { bytes, ..good }, InvalidArgument);
    }
    for rights in [Rights::WRITE, Rights::EXECUTE, Rights::WRITE | Rights::EXECUTE] {
        refused(MemoryMap { rights, ..good }, InvalidArgument);
    }
    for more in [Rights::GRANT, Rights::SEND, Rights::MANAGE] {
        refused(MemoryMap { rights: READ_WRITE | more, ..good }, InvalidArgument);
    }
    let all = READ_WRITE | Rights::EXECUTE;
    refused(MemoryMap { rights: all, ..good }, WriteAndExecute);
    let mut registers = good.encode();
    for bits in [1 << 11, 1 << 32 | 1, u64::MAX] {
        registers.words[1] = bits;
        // SAFETY: such rights do not exist, so nothing is mapped.
        let refused = unsafe { orbital_user::syscall::call(Syscall::MemoryMap, &registers) };
        assert_eq!(refused.err(), Some(InvalidArgument), "{bits:#x}");
    }
    for (memory, error) in [
        (CapSlot::NULL, Error::EmptySlot),
        (CapSlot::new(u32::MAX, 1), Error::EmptySlot),
        (bootstrap().process, Error::WrongKind),
    ] {
        refused(MemoryMap { memory, ..good }, error);
    }
    refused(MemoryMap { process: memory.slot(), ..good }, Error::WrongKind);
    refused(MemoryMap { process: CapSlot::new(9999, 1), ..good }, Error::EmptySlot);
    assert_eq!(do_map(good), Ok(()));
    assert_eq!(do_unmap(PLACE, PAGE), Ok(()));
}

/// Ranges that are no whole pages or leave user space are refused; an empty range is no error.
fn unmap_arguments_are_checked() {
    for (address, bytes) in
        [(PLACE + 1, PAGE), (PLACE, 0), (PLACE, 1), (PLACE, PAGE - 1), (PLACE, u64::MAX), (0, 0)]
    {
        assert_eq!(
            do_unmap(address, bytes),
            Err(Error::InvalidArgument),
            "{address:#x} {bytes:#x}"
        );
    }
    let whole = 0u64.wrapping_sub(PAGE);
    for (address, bytes) in [
        (0, PAGE),
        (USER_END, PAGE),
        (USER_END - PAGE, 2 * PAGE),
        (1 << 47, PAGE),
        (0xffff_8000_0000_0000, PAGE),
        (whole, PAGE),
        (PLACE, whole),
        (PAGE, whole),
    ] {
        assert_eq!(do_unmap(address, bytes), Err(Error::InvalidAddress), "{address:#x} {bytes:#x}");
    }
    assert_eq!(do_unmap(PLACE, PAGE), Ok(()));
    assert_eq!(do_unmap(PLACE, 1 << 40), Ok(()));
    let process = CapSlot::new(9999, 1);
    // SAFETY: there is no such process.
    let refused = unsafe { unmap(&MemoryUnmap { process, address: PLACE, bytes: PAGE }) };
    assert_eq!(refused, Err(Error::EmptySlot));
}

/// A mapping needs on the object what it allows, and `MANAGE` on another process.
fn rights_are_checked() {
    let memory = MemoryObject::create(PAGE).unwrap();
    let execute = Rights::READ | Rights::EXECUTE;
    let sets = [Rights::READ, READ_WRITE, execute, Rights::WRITE, Rights::EXECUTE, Rights::GRANT];
    for has in sets {
        let narrow =
            MemoryObject::from_slot(copy_to(memory.slot(), CapSlot::NULL, has, 0).unwrap());
        for rights in [Rights::READ, READ_WRITE, execute] {
            let result = do_map(MemoryMap { rights, ..good(&narrow) });
            if has.contains(rights) {
                assert_eq!(result, Ok(()), "{rights:?} with {has:?}");
                do_unmap(PLACE, PAGE).unwrap();
            } else {
                assert_eq!(result, Err(Error::MissingRights), "{rights:?} with {has:?}");
            }
        }
    }
    let process = Process::create("other", 8, 8192).unwrap();
    let weak = copy_to(process.slot(), CapSlot::NULL, Rights::WAIT | Rights::GRANT, 0).unwrap();
    let weak = Process::from_slot(weak);
    assert_eq!(map_into(&weak, &memory, PLACE, PAGE, READ_WRITE), Err(Error::MissingRights));
    assert_eq!(map_into(&process, &memory, PLACE, PAGE, READ_WRITE), Ok(()));
    let range =
        |process: &Process| MemoryUnmap { process: process.slot(), address: PLACE, bytes: PAGE };
    // SAFETY: the other process has no threads.
    assert_eq!(unsafe { unmap(&range(&weak)) }, Err(Error::MissingRights));
    // SAFETY: as above.
    assert_eq!(unsafe { unmap(&range(&process)) }, Ok(()));
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(map_into(&process, &memory, PLACE, PAGE, READ_WRITE), Err(Error::Ended));
}

/// The first and the last page that the layout allows.
fn the_edges_of_user_space_can_be_mapped() {
    let memory = MemoryObject::create(PAGE).unwrap();
    for address in [USER_START, USER_END - PAGE] {
        do_map(MemoryMap { address, ..good(&memory) }).unwrap();
        write(address + PAGE - 8, address);
        assert_eq!(read(address + PAGE - 8), address);
        do_unmap(address, PAGE).unwrap();
    }
}

/// A mapping that would touch another is refused, whichever way; right beside it is allowed.
fn mappings_do_not_overlap() {
    let memory = MemoryObject::create(8 * PAGE).unwrap();
    let at = |page: u64, pages: u64| {
        do_map(MemoryMap { address: PLACE + page * PAGE, bytes: pages * PAGE, ..good(&memory) })
    };
    at(10, 4).unwrap();
    for (page, pages) in
        [(10, 4), (10, 1), (13, 1), (9, 2), (13, 2), (9, 6), (11, 2), (8, 8), (6, 5)]
    {
        assert_eq!(at(page, pages), Err(Error::AddressInUse), "{pages} pages at {page}");
    }
    at(8, 2).unwrap();
    at(14, 2).unwrap();
    // What the program itself stands on.
    let own = map_arguments_are_checked as *const () as u64 / PAGE * PAGE;
    let refused = do_map(MemoryMap { address: own, ..good(&memory) });
    assert_eq!(refused, Err(Error::AddressInUse));
    do_unmap(PLACE + 8 * PAGE, 8 * PAGE).unwrap();
    at(8, 8).unwrap();
    do_unmap(PLACE + 8 * PAGE, 8 * PAGE).unwrap();
}

/// A part of a mapping goes alone: the rest stays as it is, and its place can be used anew.
fn a_part_of_a_mapping_is_unmapped() {
    let (memory, other) =
        (MemoryObject::create(4 * PAGE).unwrap(), MemoryObject::create(PAGE).unwrap());
    for (from, to) in [(0, 1), (0, 3), (1, 4), (1, 3), (3, 4), (3, 9), (-1, 3)] {
        do_map(MemoryMap { bytes: 4 * PAGE, ..good(&memory) }).unwrap();
        for page in 0..4 {
            write(PLACE + page * PAGE, page + 1);
        }
        let at = |page: i64| PLACE.wrapping_add_signed(page * PAGE as i64);
        do_unmap(at(from), (to - from) as u64 * PAGE).unwrap();
        for page in 0..4 {
            if (from..to).contains(&page) {
                do_map(MemoryMap { address: at(page), ..good(&other) }).unwrap();
                assert_eq!(read(at(page)), 0, "{from} to {to}: page {page}");
            } else {
                assert_eq!(read(at(page)), page as u64 + 1, "{from} to {to}: page {page}");
            }
        }
        do_unmap(PLACE, 4 * PAGE).unwrap();
    }
}

/// A range with several mappings and gaps is emptied at once; neighbours stay.
fn one_unmapping_takes_several_mappings() {
    let memory = MemoryObject::create(PAGE).unwrap();
    let map_page = |page| do_map(MemoryMap { address: PLACE + page * PAGE, ..good(&memory) });
    for page in [0, 1, 2, 5, 9, 100, 511, 512, 1000, 2000] {
        map_page(page).unwrap();
    }
    do_unmap(PLACE + PAGE, 1999 * PAGE).unwrap();
    for page in 1..2000 {
        map_page(page).unwrap();
    }
    assert_eq!(map_page(0), Err(Error::AddressInUse));
    assert_eq!(map_page(2000), Err(Error::AddressInUse));
    do_unmap(PLACE, 2001 * PAGE).unwrap();
}

/// The same page at a hundred places is one page.
fn an_object_can_be_mapped_many_times() {
    let memory = MemoryObject::create(PAGE).unwrap();
    let place = |n: u64| PLACE + n * 0x20_3000;
    for n in 0..100 {
        do_map(MemoryMap { address: place(n), ..good(&memory) }).unwrap();
    }
    for n in 0..100 {
        write(place(n), n + 1);
        assert!((0..100).all(|other| read(place(other)) == n + 1));
    }
    do_unmap(PLACE, place(100) - PLACE).unwrap();
}

/// Each page of an object stands where the offset says.
fn offsets_lead_into_the_object() {
    let memory = MemoryObject::create(70 * PAGE).unwrap();
    do_map(MemoryMap { bytes: 70 * PAGE, ..good(&memory) }).unwrap();
    for page in 0..70 {
        write(PLACE + page * PAGE, page);
    }
    let other = PLACE + (1 << 30);
    for page in 0..70 {
        let offset = page * PAGE;
        let bytes = (70 - page) * PAGE;
        do_map(MemoryMap { address: other, offset, bytes, ..good(&memory) }).unwrap();
        assert_eq!((read(other), read(other + bytes - PAGE)), (page, 69));
        do_unmap(other, bytes).unwrap();
    }
    do_unmap(PLACE, 70 * PAGE).unwrap();
}

/// After each of many refusals all counters are what they were.
fn a_failed_mapping_changes_nothing() {
    let memory = MemoryObject::create(PAGE).unwrap();
    let good = good(&memory);
    do_map(good).unwrap();
    leaves_nothing(20, || {
        assert_eq!(do_map(good), Err(Error::AddressInUse));
        assert!(do_map(MemoryMap { bytes: 2 * PAGE, ..good }).is_err());
        assert!(do_map(MemoryMap { address: USER_END, ..good }).is_err());
        assert!(do_unmap(PLACE + 1, PAGE).is_err());
    });
    do_unmap(PLACE, PAGE).unwrap();
}
