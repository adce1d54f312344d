//! Revokes that go on while others come, close, and revoke too.
#![forbid(unsafe_code)]

use orbital_abi::Error;

use super::trees::{MANY, Tables};
use crate::tests::kernel::Kernel;

#[test]
fn nothing_comes_beneath_what_is_being_revoked() {
    let _kernel = Kernel::boot();
    let tables = Tables::new(2);
    let root = tables.root(0);
    let middle = tables.copy(0, root, 0).unwrap();
    let child = tables.copy(0, middle, 1).unwrap();
    let sibling = tables.copy(0, root, 1).unwrap();
    let mut revoking = tables.begin(0, middle).unwrap();
    for (table, slot) in [(0, middle), (1, child)] {
        assert_eq!(tables.copy(table, slot, 0).err(), Some(Error::Revoked));
        assert_eq!(tables.relocate(table, slot, 0).err(), Some(Error::Revoked));
        assert!(tables.is_there(table, slot));
    }
    assert!(tables.copy(1, sibling, 0).is_ok() && tables.copy(0, root, 0).is_ok());
    while revoking.step().goes_on() {}
    assert_eq!(tables.copy(0, middle, 0).err(), Some(Error::Revoked), "it has not ended");
    revoking.end();
    assert!(tables.copy(0, middle, 0).is_ok());
}

#[test]
fn one_that_is_closed_while_it_is_revoked_leaves_when_that_is_over() {
    let _kernel = Kernel::boot();
    let tables = Tables::new(2);
    let root = tables.root(0);
    let middle = tables.copy(0, root, 0).unwrap();
    let child = tables.copy(0, middle, 1).unwrap();
    let (mut first, mut second) =
        (tables.begin(0, middle).unwrap(), tables.begin(0, middle).unwrap());
    tables.close(0, middle).unwrap();
    assert!(!tables.is_there(0, middle) && tables.is_there(1, child));
    while first.step().goes_on() {}
    assert!(!tables.is_there(1, child));
    first.end();
    assert_eq!(tables.tables[0].lock().unfinished(), 1, "another needs it");
    assert!(!second.step().goes_on());
    second.end();
    assert_eq!(tables.tables[0].lock().unfinished(), 0);
}

#[test]
fn an_inner_revoke_ends_when_an_outer_one_was_faster() {
    let _kernel = Kernel::boot();
    let tables = Tables::new(2);
    let root = tables.root(0);
    let middle = tables.copy(0, root, 1).unwrap();
    let child = tables.copy(1, middle, 0).unwrap();
    let (mut inner, mut outer) = (tables.begin(1, middle).unwrap(), tables.begin(0, root).unwrap());
    while outer.step().goes_on() {}
    outer.end();
    assert!(!tables.is_there(1, middle) && !tables.is_there(0, child));
    assert_eq!(tables.tables[1].lock().unfinished(), 1, "its slot waits for the inner one");
    assert!(!inner.step().goes_on());
    inner.end();
    assert_eq!(tables.root(1).index(), middle.index(), "it is free");
}

/// It has some of its children only, and the others hang where it was.
#[test]
fn an_inner_revoke_of_one_that_arrives_is_not_over_before_its_children_are() {
    let _kernel = Kernel::boot();
    for outer_steps in 0..6 {
        let tables = Tables::new(3);
        let root = tables.root(0);
        let middle = tables.copy(0, root, 1).unwrap();
        let children: Vec<_> = (0..40).map(|_| tables.copy(1, middle, 2).unwrap()).collect();
        let moved = tables.relocate(1, middle, 1).unwrap();
        assert_eq!(tables.tables[1].lock().unfinished(), 1, "some are still to come");
        let (mut inner, mut outer) =
            (tables.begin(1, moved).unwrap(), tables.begin(0, root).unwrap());
        for _ in 0..outer_steps {
            outer.step();
        }
        while inner.step().goes_on() {}
        inner.end();
        let left = children.iter().filter(|child| tables.is_there(2, **child)).count();
        assert_eq!(left, 0, "after {outer_steps} steps of the outer one");
        while outer.step().goes_on() {}
        outer.end();
        assert!(!tables.is_there(1, moved));
    }
}

#[test]
fn a_revoke_that_was_abandoned_is_finished_by_whoever_tidies_up() {
    let _kernel = Kernel::boot();
    let tables = Tables::new(2);
    let root = tables.root(0);
    let children: Vec<_> = (0..MANY).map(|_| tables.copy(0, root, 1).unwrap()).collect();
    let there = || children.iter().filter(|child| tables.is_there(1, **child)).count();
    let (first, second) = (tables.begin(0, root).unwrap(), tables.begin(0, root).unwrap());
    assert!(first.step().goes_on());
    drop(first);
    drop(second);
    assert_eq!(there(), MANY - 32);
    assert_eq!(tables.copy(0, root, 0).err(), Some(Error::Revoked));
    tables.tidy(0);
    assert_eq!(there(), 0);
    assert!(tables.copy(0, root, 0).is_ok(), "both marks are gone");
    // Its entry may have been closed meanwhile.
    drop(tables.begin(0, root).unwrap());
    tables.close(0, root).unwrap();
    tables.tidy(0);
    assert_eq!(tables.tables[0].lock().unfinished(), 0);
}
