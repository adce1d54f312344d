//! Page tables come with mappings and go with them.
#![forbid(unsafe_code)]

use super::*;

#[test]
fn a_mapping_without_means_for_its_tables_changes_nothing() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let space = &process.space;
    let object = object(40, &kernel.init.quota);
    // Two leaf tables, a directory and pointers.
    let at = AT + (1 << 21) - 20 * PAGE_SIZE;
    let left = frames_left(&process);
    for spare in 0..4 {
        let hog = Charge::new(&process.quota, left - spare, 0).unwrap();
        let attempt = mapping(&object, at, Access::ReadWrite);
        assert_eq!(map(space, &attempt), Err(Error::QuotaExceeded));
        assert!((0..40).all(|page| space.translate(at + page * PAGE_SIZE).is_none()));
        assert!(space.query(0).is_err());
        drop(hog);
    }
    assert_eq!(frames_left(&process), left);
    let hog = Charge::new(&process.quota, left - 4, 0).unwrap();
    map(space, &mapping(&object, at, Access::ReadWrite)).unwrap();
    touch_all(space, at, 40);
    drop(hog);
    assert_eq!(frames_left(&process), left - 4);
}

#[test]
fn tables_go_when_nobody_needs_them() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let space = &process.space;
    let left = frames_left(&process);
    let object = object(1, &kernel.init.quota);
    // In one leaf table, in another of the same directory, under other pointers.
    let places = [AT, AT + PAGE_SIZE, AT + (2 << 20), AT + (1 << 30), AT + (1 << 39)];
    let tables = [3, 0, 1, 2, 3];
    let mut now = left;
    for (at, tables) in places.into_iter().zip(tables) {
        map(space, &mapping(&object, at, Access::Read)).unwrap();
        now -= tables;
        assert_eq!(frames_left(&process), now, "{at:#x}");
    }
    for (at, tables) in
        [(places[0], 0), (places[3], 2), (places[1], 1), (places[4], 3), (places[2], 3)]
    {
        unmap(space, at, 1).unwrap();
        // The last of a directory takes that and the pointers with it.
        now += tables;
        assert_eq!(frames_left(&process), now, "{at:#x}");
    }
    assert_eq!(now, left);
}

#[test]
fn a_large_mapping_pays_for_the_tables_that_it_may_need() {
    let kernel = Kernel::boot();
    let process = kernel.process("p");
    let space = &process.space;
    let left = frames_left(&process);
    let object = MemoryObject::new(8 << 20, &kernel.init.quota).unwrap();
    // Three windows as a whole, two in part, a directory and pointers.
    map(space, &mapping(&object, AT + PAGE_SIZE, Access::ReadWrite)).unwrap();
    assert_eq!(frames_left(&process), left - 7);
    for page in (0..2048).step_by(100) {
        assert!(touch(space, AT + (page + 1) * PAGE_SIZE, Wanted::Write));
    }
    assert_eq!(frames_left(&process), left - 7);
    // A part out of one of the three.
    unmap(space, AT + (3 << 20), 1).unwrap();
    assert_eq!(frames_left(&process), left - 7);
    unmap(space, AT, 1024).unwrap();
    unmap(space, AT + (4 << 20), 2048).unwrap();
    assert_eq!(frames_left(&process), left);
}
