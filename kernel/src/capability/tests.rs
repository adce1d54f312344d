//! Tests of the table on the host.

mod badges;
mod badges_model;
mod model;
mod moves;
mod overlaps;
mod trees;

use orbital_abi::{CapSlot, Error, ObjectKind, Rights};

use super::{Capability, Table, table::Closed};
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

/// Empties a table as the end of its process does; how many entries it had.
pub(super) fn close_all(table: &Table) -> usize {
    let mut count = 0;
    loop {
        let closed = table.lock().close_one();
        match closed {
            Closed::Entry(_) | Closed::Left(_) => count += 1,
            Closed::Leaving(_) | Closed::Part => {}
            Closed::All => return count,
        }
    }
}

#[test]
fn four_errors_are_told_apart() {
    let _machine = machine();
    let (table, quota) = (Table::new(None).unwrap(), quota());
    assert_eq!(
        table.lock().lookup(CapSlot::new(0, 1)).err(),
        Some(Error::EmptySlot),
        "no table yet"
    );
    let slot = table.lock().insert(thing(Rights::SEND), &quota).unwrap();
    assert_eq!(table.lock().lookup(CapSlot::new(slot.index(), 2)).err(), Some(Error::EmptySlot));
    assert_eq!(table.lock().lookup(CapSlot::NULL).err(), Some(Error::EmptySlot));
    let found = table.lock().lookup(slot).unwrap().to_capability();
    assert_eq!(found.clone().object::<Other>(Rights::SEND).err(), Some(Error::WrongKind));
    assert_eq!(found.clone().object::<Thing>(Rights::RECEIVE).err(), Some(Error::MissingRights));
    assert!(found.object::<Thing>(Rights::SEND).is_ok());
    drop(table.lock().remove(slot).unwrap());
    assert_eq!(table.lock().lookup(slot).err(), Some(Error::StaleCapability));
    let again = table.lock().insert(thing(Rights::SEND), &quota).unwrap();
    assert_eq!(again.index(), slot.index(), "the slot is used again");
    assert_eq!(table.lock().lookup(slot).err(), Some(Error::StaleCapability), "for another object");
}

#[test]
fn no_number_is_a_handle_by_chance() {
    let _machine = machine();
    let (table, quota) = (Table::new(None).unwrap(), quota());
    let slot = table.lock().insert(thing(Rights::SEND), &quota).unwrap();
    for bit in 0..64 {
        let forged = CapSlot::from_bits(slot.bits() ^ 1 << bit);
        assert!(table.lock().lookup(forged).is_err(), "{forged:?}");
    }
    assert!(table.lock().lookup(CapSlot::from_bits(u64::MAX)).is_err());
}

#[test]
fn rights_only_shrink_and_a_badge_is_set_once() {
    let _machine = machine();
    let capability = thing(Rights::SEND | Rights::GRANT);
    let copy = capability.derive(Rights::all(), 7).unwrap();
    assert_eq!((copy.rights, copy.badge), (Rights::SEND | Rights::GRANT, 7));
    assert_eq!(copy.clone().derive(Rights::all(), 8).err(), Some(Error::AlreadyBadged));
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
    let table = Table::new(None).unwrap();
    let small = Quota::root(0, 10_000).unwrap();
    let mut slots = Vec::new();
    let error = loop {
        match table.lock().insert(thing(Rights::SEND), &small) {
            Ok(slot) => slots.push(slot),
            Err(error) => break error,
        }
    };
    assert_eq!(error, Error::QuotaExceeded);
    assert!(!slots.is_empty() && slots.iter().all(|slot| table.lock().lookup(*slot).is_ok()));
    drop(table.lock().remove(slots[3]).unwrap());
    assert!(table.lock().insert(thing(Rights::SEND), &small).is_ok(), "it goes on");
}

#[test]
fn closing_all_frees_all_and_refuses_more() {
    let _machine = machine();
    let (table, quota) = (Table::new(None).unwrap(), quota());
    for _ in 0..200 {
        table.lock().insert(thing(Rights::SEND), &quota).unwrap();
    }
    assert_eq!(close_all(&table), 200);
    assert_eq!(table.lock().insert(thing(Rights::SEND), &quota).err(), Some(Error::Ended));
    drop(table);
    assert!(quota.charge_frames(0).is_ok());
}
