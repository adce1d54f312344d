//! What moving keeps of a tree.
#![forbid(unsafe_code)]

use orbital_abi::{CapSlot, Error, Rights};

use super::{
    super::{Held, transfer},
    close_all,
    trees::{MANY, Tables},
};
use crate::tests::kernel::Kernel;

#[test]
fn what_is_moved_keeps_its_place() {
    let _kernel = Kernel::boot();
    for count in [0, 1, 15, 16, 17, MANY] {
        let tables = Tables::new(3);
        let root = tables.root(0);
        let middle = tables.copy(0, root, 0).unwrap();
        let children: Vec<_> = (0..count).map(|_| tables.copy(0, middle, 1).unwrap()).collect();
        let moved = tables.relocate(0, middle, 2).unwrap();
        assert_eq!(tables.close(0, middle), Err(Error::StaleCapability));
        assert_eq!(tables.begin(0, middle).err(), Some(Error::StaleCapability));
        let moved = tables.relocate(2, moved, 2).unwrap();
        tables.tidy(2);
        let sibling = tables.copy(0, root, 0).unwrap();
        tables.revoke(0, sibling);
        assert!(children.iter().all(|child| tables.is_there(1, *child)), "{count}");
        tables.revoke(2, moved);
        assert!(!children.iter().any(|child| tables.is_there(1, *child)), "{count}");
        assert!(tables.is_there(2, moved));
        tables.tidy(0);
        tables.revoke(0, root);
        assert!(!tables.is_there(2, moved));
    }
}

#[test]
fn moving_needs_grant_but_for_another_slot_of_one_s_own() {
    let _kernel = Kernel::boot();
    let tables = Tables::new(2);
    let root = tables.root(0);
    let all = Rights::all() - Rights::GRANT;
    let [from, _] = &tables.tables[..] else { unreachable!() };
    let bare = transfer::copy(from, root, (all, 0), from, &tables.quota).unwrap();
    assert_eq!(tables.relocate(0, bare, 1).err(), Some(Error::MissingRights));
    assert!(tables.is_there(0, bare), "it has stayed");
    let moved = tables.relocate(0, bare, 0).unwrap();
    let rights = from.lock().lookup(moved).map(Held::rights);
    assert_eq!(rights, Ok(all));
    assert_ne!(moved, bare);
    assert_eq!(tables.relocate(0, CapSlot::NULL, 1).err(), Some(Error::EmptySlot));
    close_all(&tables.tables[1]);
    assert_eq!(tables.relocate(0, root, 1).err(), Some(Error::Ended));
    assert!(tables.is_there(0, root), "it has stayed too");
}

/// A move never makes a tree deeper: what the reaper has left to do stands beside what was moved.
#[test]
fn one_at_the_bottom_of_a_deep_tree_is_moved_with_many_children() {
    let _kernel = Kernel::boot();
    let tables = Tables::new(2);
    let mut chain = vec![tables.root(0)];
    for _ in 0..62 {
        chain.push(tables.copy(0, chain[chain.len() - 1], 0).unwrap());
    }
    // All of the chain's end has many children, so that each leaves in steps.
    let (above, mut last) = (chain[61], chain[62]);
    let mut children = Vec::new();
    for _ in 0..MANY {
        children.push(tables.copy(0, last, 0).unwrap());
        tables.copy(0, above, 0).unwrap();
    }
    let deepest = tables.copy(0, children[0], 1).unwrap();
    assert_eq!(tables.copy(1, deepest, 0).err(), Some(Error::TooDeep));
    let above = tables.relocate(0, above, 1).unwrap();
    for to in [1, 0, 0, 1] {
        last =
            tables.relocate(1 - to, last, to).or_else(|_| tables.relocate(to, last, to)).unwrap();
        assert_eq!(tables.copy(1, deepest, 0).err(), Some(Error::TooDeep));
        let beside = tables.copy(0, children[1], 0).unwrap();
        assert_eq!(tables.copy(0, beside, 0).err(), Some(Error::TooDeep));
        tables.close(0, beside).unwrap();
    }
    tables.revoke(1, last);
    assert!(!children.iter().any(|child| tables.is_there(0, *child)));
    assert!(!tables.is_there(1, deepest));
    tables.revoke(1, above);
    assert!(!tables.is_there(1, last));
}

#[test]
fn a_slot_that_was_moved_from_is_used_again() {
    let _kernel = Kernel::boot();
    let tables = Tables::new(1);
    let mut root = tables.root(0);
    for _ in 0..1000 {
        root = tables.relocate(0, root, 0).unwrap();
        assert!(root.index() < 2, "{root:?}");
    }
}

#[test]
fn one_that_was_moved_with_many_children_stays_whole_when_its_parent_goes() {
    let _kernel = Kernel::boot();
    for has_root in [false, true] {
        let tables = Tables::new(2);
        let root = tables.root(0);
        let above = if has_root { tables.copy(0, root, 0).unwrap() } else { root };
        let middle = tables.copy(0, above, 0).unwrap();
        let children: Vec<_> = (0..MANY).map(|_| tables.copy(0, middle, 1).unwrap()).collect();
        let moved = tables.relocate(0, middle, 1).unwrap();
        let sibling = tables.copy(0, above, 1).unwrap();
        tables.close(0, above).unwrap();
        tables.revoke(1, sibling);
        assert!(children.iter().all(|child| tables.is_there(1, *child)));
        tables.revoke(1, moved);
        assert!(!children.iter().any(|child| tables.is_there(1, *child)));
        assert!(tables.is_there(1, moved) && tables.is_there(1, sibling));
    }
}
