//! What only the table's inside shows: generations that run out, and slots against a model.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use orbital_abi::{CapSlot, Error, Rights};
use proptest::prelude::*;

use super::{CHUNK_SLOTS, Capability, Chunk, MAX_SLOTS, Table, stale_uses};
use crate::{
    object::{Charge, Quota, Ref},
    system::SystemObject,
    tests::kernel::Kernel,
};

/// A capability that tells itself apart by its badge.
fn numbered(badge: u64) -> Capability {
    let object = SystemObject::new().unwrap().erase();
    Capability { object, rights: Rights::all(), badge }
}

fn rich() -> Ref<Quota> {
    Quota::root(0, u64::MAX).unwrap()
}

#[test]
fn a_slot_whose_generations_have_run_out_is_used_no_more() {
    let _kernel = Kernel::boot();
    let (mut table, quota) = (Table::new(), rich());
    let first = table.insert(numbered(1), &quota).unwrap();
    drop(table.remove(first).unwrap());
    table.slot_mut(first.index()).unwrap().generation = u32::MAX;
    let last = table.insert(numbered(2), &quota).unwrap();
    assert_eq!(last, CapSlot::new(first.index(), u32::MAX));
    assert_eq!(table.lookup(last).map(|found| found.badge), Ok(2));
    drop(table.remove(last).unwrap());
    for old in [first, last, CapSlot::new(first.index(), 77)] {
        assert_eq!(table.lookup(old).err(), Some(Error::StaleCapability), "{old:?}");
    }
    assert_eq!(table.lookup(CapSlot::new(first.index(), 0)).err(), Some(Error::EmptySlot));
    for badge in 0..2 * CHUNK_SLOTS as u64 {
        let slot = table.insert(numbered(badge), &quota).unwrap();
        assert_ne!(slot.index(), first.index());
    }
    assert_eq!(core::iter::from_fn(|| table.close_one()).count(), 2 * CHUNK_SLOTS);
}

#[test]
fn a_full_table_says_so_and_goes_on_when_one_is_closed() {
    let _kernel = Kernel::boot();
    let (mut table, quota) = (Table::new(), rich());
    let capability = numbered(0);
    let slots: Vec<_> =
        (0..MAX_SLOTS).map(|_| table.insert(capability.clone(), &quota).unwrap()).collect();
    assert_eq!(table.insert(capability.clone(), &quota).err(), Some(Error::TableFull));
    assert!(table.lookup(slots[MAX_SLOTS - 1]).is_ok());
    let outside = CapSlot::new(MAX_SLOTS as u32, 1);
    assert_eq!(table.lookup(outside).err(), Some(Error::EmptySlot));
    drop(table.remove(slots[12_345]).unwrap());
    let again = table.insert(capability.clone(), &quota).unwrap();
    assert_eq!(again.index(), slots[12_345].index());
    assert_eq!(table.insert(capability, &quota).err(), Some(Error::TableFull));
}

#[test]
fn chunks_are_paid_when_they_are_made_and_given_back_with_the_table() {
    let _kernel = Kernel::boot();
    let chunk = size_of::<Chunk>() as u64;
    let quota = Quota::root(0, 2 * chunk + 10).unwrap();
    let mut table = Table::new();
    for badge in 0..CHUNK_SLOTS as u64 {
        table.insert(numbered(badge), &quota).unwrap();
    }
    assert!(Charge::new(&quota, 0, chunk + 10).is_ok(), "one chunk");
    let hog = Charge::new(&quota, 0, chunk).unwrap();
    assert_eq!(table.insert(numbered(0), &quota).err(), Some(Error::QuotaExceeded));
    drop(hog);
    assert!(table.insert(numbered(0), &quota).is_ok());
    assert!(Charge::new(&quota, 0, 11).is_err(), "two");
    while let Some(entry) = table.close_one() {
        drop(entry);
    }
    assert!(Charge::new(&quota, 0, 2 * chunk + 10).is_ok(), "nothing but the table is left");
}

#[test]
fn stale_uses_are_counted_and_others_are_not() {
    let _kernel = Kernel::boot();
    let (mut table, quota) = (Table::new(), rich());
    let slot = table.insert(numbered(1), &quota).unwrap();
    let before = stale_uses();
    let _ = table.lookup(slot);
    let _ = table.lookup(CapSlot::new(5, 1));
    let _ = table.lookup(CapSlot::new(500, 1));
    assert_eq!(stale_uses(), before);
    drop(table.remove(slot).unwrap());
    assert!(table.lookup(slot).is_err() && table.remove(slot).is_err());
    assert_eq!(stale_uses(), before + 2);
}

#[derive(Clone, Debug)]
enum Step {
    Insert,
    /// Closes the handle with this index of all that there ever were, counted round.
    Remove(usize),
    /// Looks up a handle of its own making.
    Forge(u32, u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Insert),
        2 => any::<usize>().prop_map(Step::Remove),
        1 => (0..300_u32, 0..5_u32).prop_map(|(index, generation)| Step::Forge(index, generation)),
    ];
    prop::collection::vec(step, 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_handle_names_what_was_put_there_until_it_is_closed(steps in steps()) {
        let _kernel = Kernel::boot();
        let (mut table, quota) = (Table::new(), rich());
        let mut made: Vec<CapSlot> = Vec::new();
        let mut held: HashMap<CapSlot, u64> = HashMap::new();
        for step in steps {
            match step {
                Step::Insert => {
                    let badge = made.len() as u64;
                    let slot = table.insert(numbered(badge), &quota).unwrap();
                    prop_assert!(!made.contains(&slot), "a handle was given twice");
                    made.push(slot);
                    held.insert(slot, badge);
                }
                Step::Remove(index) if !made.is_empty() => {
                    let slot = made[index % made.len()];
                    let expected = held.remove(&slot).ok_or(Error::StaleCapability);
                    let found = table.remove(slot).map(|entry| entry.capability().badge);
                    prop_assert_eq!(found, expected);
                }
                Step::Remove(_) => {}
                Step::Forge(index, generation) => {
                    let slot = CapSlot::new(index, generation);
                    let found = table.lookup(slot).map(|found| found.badge);
                    let expected = match held.get(&slot) {
                        Some(badge) => Ok(*badge),
                        None if made.contains(&slot) => Err(Error::StaleCapability),
                        None => Err(Error::EmptySlot),
                    };
                    prop_assert_eq!(found, expected, "{:?}", slot);
                }
            }
        }
        for (slot, badge) in &held {
            prop_assert_eq!(table.lookup(*slot).map(|found| found.badge), Ok(*badge));
        }
        prop_assert_eq!(core::iter::from_fn(|| table.close_one()).count(), held.len());
    }
}
