//! Who pays, how long it lives, and that what it promises is there.

use core::alloc::Layout;
use std::rc::Rc;

use orbital_abi::Error;

use super::{Header, Object};
use crate::{
    arch::host::machine,
    memory::{self, class::SLAB_BYTES, frame::Frame, usage},
    object::{Charge, Paid, PaidRoom, Quota, Ref},
};

const SLAB: u64 = SLAB_BYTES as u64;

/// An object of which three fill a slab.
#[repr(C)]
struct Third {
    header: Header,
    _room: [u64; 160],
}

// SAFETY: `repr(C)`, and the header comes first.
unsafe impl Object for Third {
    const KIND: Option<orbital_abi::ObjectKind> = None;
}

fn third(quota: &Ref<Quota>) -> Result<Ref<Third>, Error> {
    Ref::new_in(quota, Third { header: Header::new::<Third>(), _room: [0; 160] })
}

fn used(quota: &Ref<Quota>) -> u64 {
    quota.usage().kernel_bytes_used
}

#[test]
fn what_is_not_used_is_returned_once_and_the_rest_later() {
    let _machine = machine();
    let root = Quota::root(10, 10 * SLAB).unwrap();
    let child = Quota::carve(&root, 6, 6 * SLAB).unwrap();
    let charge = Charge::new(&child, 2, SLAB).unwrap();
    let before = root.usage();
    child.return_unused();
    child.return_unused();
    let now = root.usage();
    assert_eq!(before.frames_used - now.frames_used, 4);
    assert_eq!(before.kernel_bytes_used - now.kernel_bytes_used, 5 * SLAB);
    assert_eq!(child.charge_frames(1), Err(Error::Ended), "nothing more is to be paid");
    assert_eq!((child.usage().frames_used, child.usage().frames_limit), (2, 2));
    drop(charge);
    assert_eq!(root.usage(), now, "that goes with the child");
    assert_eq!(child.usage().frames_used, 0);
    drop(child);
    let usage = root.usage();
    assert_eq!((usage.frames_used, usage.kernel_bytes_used), (0, 0));
}

#[test]
fn carving_is_backed_and_comes_back() {
    let _machine = machine();
    let root = Quota::root(10, 10 * SLAB).unwrap();
    let child = Quota::carve(&root, 6, 6 * SLAB).unwrap();
    assert_eq!(used(&root), 7 * SLAB, "its own memory too");
    assert_eq!(Quota::carve(&root, 5, 0).err(), Some(Error::QuotaExceeded));
    assert_eq!(Quota::carve(&root, 0, 3 * SLAB + 1).err(), Some(Error::QuotaExceeded));
    assert_eq!((root.usage().frames_used, used(&root)), (6, 7 * SLAB), "nothing is kept");
    let charge = Charge::new(&child, 6, 6 * SLAB).unwrap();
    assert_eq!(child.charge_frames(1), Err(Error::QuotaExceeded));
    drop(child);
    assert_eq!(Quota::carve(&root, 5, 0).err(), Some(Error::QuotaExceeded), "still charged");
    drop(charge);
    assert_eq!((root.usage().frames_used, used(&root)), (0, 0));
}

#[test]
fn a_child_that_can_t_be_made_costs_nothing() {
    let _machine = machine();
    let root = Quota::root(10, 2 * SLAB).unwrap();
    // There is no room for the quota itself.
    assert_eq!(Quota::carve(&root, 1, 2 * SLAB).err(), Some(Error::QuotaExceeded));
    assert_eq!(Quota::carve(&root, 1, SLAB + 1).err(), Some(Error::QuotaExceeded));
    assert_eq!((root.usage().frames_used, used(&root)), (0, 0));
    assert!(Quota::carve(&root, 1, SLAB).is_ok());
}

#[test]
fn a_charge_takes_both_or_neither() {
    let root = Quota::root(10, 10).unwrap();
    assert!(Charge::new(&root, 10, 11).is_err());
    assert!(Charge::new(&root, 10, 10).is_ok());
    assert!(root.charge_frames(u64::MAX).is_err(), "no overflow");
}

#[test]
fn objects_are_charged_by_the_slab() {
    let _machine = machine();
    let (free, bytes) = (memory::free_frames(), usage::bytes());
    let quota = Quota::root(0, 2 * SLAB).unwrap();
    let mut objects: Vec<_> = (0..6)
        .map(|made| {
            let object = third(&quota).unwrap();
            assert_eq!(used(&quota), (made / 3 + 1) * SLAB);
            object
        })
        .collect();
    assert_eq!(usage::bytes() - bytes, 6 * 1344);
    assert_eq!(third(&quota).err(), Some(Error::QuotaExceeded));
    assert_eq!(memory::free_frames(), free - 2);
    // A place that is free again is used again.
    let gone = core::ptr::from_ref(&*objects[2]);
    drop(objects.remove(2));
    let again = third(&quota).unwrap();
    assert!(core::ptr::eq(gone, &*again));
    objects.push(again);
    assert_eq!(third(&quota).err(), Some(Error::QuotaExceeded));
    drop(objects);
    assert_eq!((used(&quota), memory::free_frames(), usage::bytes()), (0, free, bytes));
}

#[test]
fn a_quota_without_frames_behind_it_refuses_and_charges_nothing() {
    let _machine = machine();
    let quota = Quota::root(0, 100 * SLAB).unwrap();
    let hog: Vec<_> = core::iter::from_fn(memory::allocate_frame).collect();
    assert_eq!(third(&quota).err(), Some(Error::QuotaExceeded));
    assert_eq!(used(&quota), 0);
    hog.into_iter().for_each(memory::free_frame);
    assert!(third(&quota).is_ok());
}

#[test]
fn holes_in_the_slabs_of_one_cost_nobody_else() {
    let _machine = machine();
    let root = Quota::root(0, 40 * SLAB).unwrap();
    let attacker = Quota::carve(&root, 0, 16 * SLAB).unwrap();
    let victim = Quota::carve(&root, 0, 16 * SLAB).unwrap();
    let mut held: Vec<_> = core::iter::from_fn(|| third(&attacker).ok()).collect();
    assert_eq!(held.len(), 48);
    // All but one in each slab go: it pays for all of them nevertheless, and its neighbour has all it
    // was promised.
    held = held.into_iter().step_by(3).collect();
    assert_eq!(used(&attacker), 16 * SLAB);
    let room = Layout::new::<[u8; 4000]>();
    assert_eq!(PaidRoom::new(room, &attacker).err(), Some(Error::QuotaExceeded));
    let whole: Vec<_> = core::iter::from_fn(|| PaidRoom::new(room, &victim).ok()).collect();
    assert_eq!(whole.len(), 16);
    // In its own holes it has room.
    held.extend(core::iter::from_fn(|| third(&attacker).ok()));
    assert_eq!(held.len(), 48);
}

#[test]
fn what_is_dropped_in_a_box_is_dropped_once() {
    let _machine = machine();
    let quota = Quota::root(0, SLAB).unwrap();
    let witness = Rc::new(7);
    let paid = Paid::new(witness.clone(), &quota).unwrap();
    assert_eq!((**paid, Rc::strong_count(&witness)), (7, 2));
    let raw = paid.into_raw();
    assert_eq!(Rc::strong_count(&witness), 2);
    // SAFETY: it came from `into_raw`.
    drop(unsafe { Paid::from_raw(raw) });
    assert_eq!((Rc::strong_count(&witness), used(&quota)), (1, 0));
    let poor = Quota::root(0, SLAB - 1).unwrap();
    assert!(Paid::new(witness.clone(), &poor).is_err());
    assert_eq!(Rc::strong_count(&witness), 1, "what could not be paid is dropped");
}

#[test]
fn what_fits_into_no_slab_is_refused() {
    let _machine = machine();
    let quota = Quota::root(0, 100 * SLAB).unwrap();
    for layout in [Layout::new::<[u8; 4033]>(), Layout::from_size_align(8, 128).unwrap()] {
        assert_eq!(PaidRoom::new(layout, &quota).err(), Some(Error::QuotaExceeded));
    }
    let aligned = Layout::from_size_align(832, 64).unwrap();
    let rooms: Vec<_> = (0..20).map(|_| PaidRoom::new(aligned, &quota).unwrap()).collect();
    assert!(rooms.iter().all(|room| room.pointer().addr().get().is_multiple_of(64)));
}

#[test]
fn a_quota_outlives_its_owner_while_it_pays_for_something() {
    let _machine = machine();
    let free = memory::free_frames();
    let root = Quota::root(100, 100 * SLAB).unwrap();
    let child = Quota::carve(&root, 50, 50 * SLAB).unwrap();
    let grandchild = Quota::carve(&child, 20, 20 * SLAB).unwrap();
    let charge = Charge::new(&grandchild, 20, 2 * SLAB).unwrap();
    let object = third(&grandchild).unwrap();
    drop((child, grandchild));
    assert_eq!((root.usage().frames_used, used(&root)), (50, 51 * SLAB));
    drop(charge);
    assert_eq!((root.usage().frames_used, used(&root)), (50, 51 * SLAB), "the object is left");
    drop(object);
    assert_eq!((root.usage().frames_used, used(&root)), (0, 0));
    assert_eq!(memory::free_frames(), free);
}

#[test]
fn a_long_line_of_quotas_goes_without_a_deep_stack() {
    let _machine = machine();
    let free = memory::free_frames();
    const LINE: u64 = 4000;
    let root = Quota::root(0, (2 * LINE + 2) * SLAB).unwrap();
    let mut last = root.clone();
    for left in (1..=LINE).rev() {
        last = Quota::carve(&last, 0, 2 * left * SLAB).unwrap();
    }
    let object = third(&last).unwrap();
    drop(last);
    assert!(used(&root) > 2 * LINE * SLAB);
    // The whole line hangs on it. A kernel's stack has 32 KiB.
    let ended = std::thread::scope(|scope| {
        let small = std::thread::Builder::new().stack_size(32 << 10);
        small.spawn_scoped(scope, || drop(object)).unwrap().join()
    });
    assert!(ended.is_ok());
    assert_eq!((used(&root), memory::free_frames()), (0, free));
}

#[test]
fn threads_share_large_slabs_where_there_are_blocks() {
    let _machine = machine();
    let free = memory::free_frames();
    let tcb = Layout::new::<[u64; 110]>();
    let quota = Quota::root(0, 100 * SLAB).unwrap();
    let make = || PaidRoom::new(tcb, &quota).unwrap();
    // Two small ones first, then large ones.
    let mut rooms: Vec<_> = (0..8).map(|_| make()).collect();
    assert_eq!(used(&quota), 2 * SLAB);
    rooms.extend((0..34).map(|_| make()));
    assert_eq!((used(&quota), memory::free_frames()), (10 * SLAB, free - 10));
    // From any place of a block the way leads back, in any order.
    for place in (0..40).rev().step_by(3) {
        drop(rooms.swap_remove(place % rooms.len()));
    }
    while rooms.len() < 42 {
        rooms.push(make());
    }
    assert_eq!(used(&quota), 10 * SLAB);
    // Without blocks single frames do.
    let hog: Vec<_> = core::iter::from_fn(|| memory::allocate_block(2)).collect();
    let mut frames: Vec<_> = core::iter::from_fn(memory::allocate_frame).collect();
    for block in &hog[..2] {
        memory::split_block(*block, 2, 0);
        memory::free_frame(*block);
        frames.extend((1..4).map(|part| Frame::new(block.number() + part)));
    }
    rooms.extend((0..8).map(|_| make()));
    assert_eq!(used(&quota), 12 * SLAB);
    assert_eq!(PaidRoom::new(tcb, &quota).err(), Some(Error::QuotaExceeded));
    frames.into_iter().for_each(memory::free_frame);
    hog.into_iter().skip(2).for_each(|block| memory::free_block(block, 2));
    drop(rooms);
    assert_eq!((used(&quota), memory::free_frames()), (0, free));
}

#[test]
fn the_end_of_a_small_quota_has_single_frames() {
    let _machine = machine();
    let quota = Quota::root(0, 5 * SLAB).unwrap();
    let tcb = Layout::new::<[u64; 110]>();
    // A large slab can't be paid any more.
    let rooms: Vec<_> = core::iter::from_fn(|| PaidRoom::new(tcb, &quota).ok()).collect();
    assert_eq!((rooms.len(), used(&quota)), (20, 5 * SLAB));
}
