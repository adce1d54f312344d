//! Tests of the table on the host.

use orbital_abi::{CapSlot, Error, ObjectKind, Rights};

use super::{Capability, Table};
use crate::{
    arch::host::machine,
    object::{Header, Object, Quota, Ref},
};

#[repr(C)]
struct Thing {
    header: Header,
}

// SAFETY: `repr(C)`, and the header comes first.
unsafe impl Object for Thing {
    const KIND: Option<ObjectKind> = Some(ObjectKind::Endpoint);
}

#[repr(C)]
struct Other {
    header: Header,
}

// SAFETY: as above.
unsafe impl Object for Other {
    const KIND: Option<ObjectKind> = Some(ObjectKind::System);
}

fn thing(rights: Rights) -> Capability {
    Capability::new(Ref::new(Thing { header: Header::new::<Thing>() }).unwrap(), rights)
}

fn quota() -> Ref<Quota> {
    Quota::root(0, 1 << 30).unwrap()
}

#[test]
fn four_errors_are_told_apart() {
    let _machine = machine();
    let (mut table, quota) = (Table::new(), quota());
    assert_eq!(table.lookup(CapSlot::new(0, 1)).err(), Some(Error::EmptySlot), "no table yet");
    let slot = table.insert(thing(Rights::SEND), &quota).unwrap();
    assert_eq!(table.lookup(CapSlot::new(slot.index(), 2)).err(), Some(Error::EmptySlot));
    assert_eq!(table.lookup(CapSlot::NULL).err(), Some(Error::EmptySlot));
    let found = table.lookup(slot).unwrap().clone();
    assert_eq!(found.clone().object::<Other>(Rights::SEND).err(), Some(Error::WrongKind));
    assert_eq!(found.clone().object::<Thing>(Rights::RECEIVE).err(), Some(Error::MissingRights));
    assert!(found.object::<Thing>(Rights::SEND).is_ok());
    drop(table.remove(slot).unwrap());
    assert_eq!(table.lookup(slot).err(), Some(Error::StaleCapability));
    let again = table.insert(thing(Rights::SEND), &quota).unwrap();
    assert_eq!(again.index(), slot.index(), "the slot is used again");
    assert_eq!(table.lookup(slot).err(), Some(Error::StaleCapability), "for another object");
}

#[test]
fn no_number_is_a_handle_by_chance() {
    let _machine = machine();
    let (mut table, quota) = (Table::new(), quota());
    let slot = table.insert(thing(Rights::SEND), &quota).unwrap();
    for bit in 0..64 {
        let forged = CapSlot::from_bits(slot.bits() ^ 1 << bit);
        assert!(table.lookup(forged).is_err(), "{forged:?}");
    }
    assert!(table.lookup(CapSlot::from_bits(u64::MAX)).is_err());
}

#[test]
fn rights_only_shrink_and_a_badge_is_set_once() {
    let _machine = machine();
    let capability = thing(Rights::SEND | Rights::GRANT);
    let copy = capability.derive(Rights::all(), 7).unwrap();
    assert_eq!((copy.rights, copy.badge), (Rights::SEND | Rights::GRANT, 7));
    assert_eq!(copy.derive(Rights::all(), 8).err(), Some(Error::AlreadyBadged));
    let copy = copy.derive(Rights::SEND, 0).unwrap();
    assert_eq!((copy.rights, copy.badge), (Rights::SEND, 7));
    assert_eq!(copy.derive(Rights::SEND, 0).err(), Some(Error::MissingRights), "no GRANT");
    let other = Ref::new(Other { header: Header::new::<Other>() }).unwrap();
    let other = Capability::new(other, Rights::all());
    assert_eq!(other.derive(Rights::all(), 1).err(), Some(Error::AlreadyBadged), "no endpoint");
}

#[test]
fn the_table_grows_within_the_quota() {
    let _machine = machine();
    let mut table = Table::new();
    let small = Quota::root(0, 10_000).unwrap();
    let mut slots = Vec::new();
    let error = loop {
        match table.insert(thing(Rights::SEND), &small) {
            Ok(slot) => slots.push(slot),
            Err(error) => break error,
        }
    };
    assert_eq!(error, Error::QuotaExceeded);
    assert!(!slots.is_empty() && slots.iter().all(|slot| table.lookup(*slot).is_ok()));
    drop(table.remove(slots[3]).unwrap());
    assert!(table.insert(thing(Rights::SEND), &small).is_ok(), "it goes on");
}

#[test]
fn closing_all_frees_all_and_refuses_more() {
    let _machine = machine();
    let (mut table, quota) = (Table::new(), quota());
    for _ in 0..200 {
        table.insert(thing(Rights::SEND), &quota).unwrap();
    }
    assert_eq!(core::iter::from_fn(|| table.close_one()).count(), 200);
    assert_eq!(table.insert(thing(Rights::SEND), &quota).err(), Some(Error::Ended));
    drop(table);
    assert!(quota.charge_frames(0).is_ok());
}
