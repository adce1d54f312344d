//! What only the table's inside shows: generations that run out, and slots against a model.
#![forbid(unsafe_code)]

use core::ptr::NonNull;
use std::collections::HashMap;

use orbital_abi::{CapSlot, Error, Rights};
use proptest::prelude::*;

use super::{Capability, Closed, Held, Slot, Table, stale_uses};
use crate::{
    capability::{
        slots::{LEAF_SLOTS, MAX_SLOTS, Slots},
        tests::close_all,
    },
    memory::class::SLAB_BYTES,
    object::{Quota, Ref},
    system::SystemObject,
    tests::kernel::Kernel,
};

/// A capability that tells itself apart by its badge.
fn numbered(badge: u64) -> Capability {
    let object = SystemObject::new().unwrap().erase();
    Capability { object, rights: Rights::all(), badge }
}

/// The place of a leaf's last slot.
const LAST: u32 = LEAF_SLOTS as u32 - 1;

fn rich() -> Ref<Quota> {
    Quota::root(0, u64::MAX).unwrap()
}

#[test]
fn a_slot_whose_generations_have_run_out_is_used_no_more() {
    let _kernel = Kernel::boot();
    let (table, quota) = (Table::new(None).unwrap(), rich());
    let first = table.lock().insert(numbered(1), &quota).unwrap();
    drop(table.lock().remove(first).unwrap());
    table.lock().slots.get(first.index()).unwrap().set_generation(u32::MAX);
    let last = table.lock().insert(numbered(2), &quota).unwrap();
    assert_eq!(last, CapSlot::new(first.index(), u32::MAX));
    assert_eq!(table.lock().lookup(last).map(Held::badge), Ok(2));
    drop(table.lock().remove(last).unwrap());
    for old in [first, last, CapSlot::new(first.index(), 77)] {
        assert_eq!(table.lock().lookup(old).err(), Some(Error::StaleCapability), "{old:?}");
    }
    assert_eq!(table.lock().lookup(CapSlot::new(first.index(), 0)).err(), Some(Error::EmptySlot));
    for badge in 0..2 * LEAF_SLOTS as u64 {
        let slot = table.lock().insert(numbered(badge), &quota).unwrap();
        assert_ne!(slot.index(), first.index());
    }
    assert_eq!(close_all(&table), 2 * LEAF_SLOTS);
}

#[test]
fn a_full_table_says_so_and_goes_on_when_one_is_closed() {
    let _kernel = Kernel::boot();
    let (table, quota) = (Table::new(None).unwrap(), rich());
    let capability = numbered(0);
    let slots: Vec<_> =
        (0..MAX_SLOTS).map(|_| table.lock().insert(capability.clone(), &quota).unwrap()).collect();
    assert_eq!(table.lock().insert(capability.clone(), &quota).err(), Some(Error::TableFull));
    assert!(table.lock().lookup(slots[MAX_SLOTS - 1]).is_ok());
    let outside = CapSlot::new(MAX_SLOTS as u32, 1);
    assert_eq!(table.lock().lookup(outside).err(), Some(Error::EmptySlot));
    drop(table.lock().remove(slots[12_345]).unwrap());
    let again = table.lock().insert(capability.clone(), &quota).unwrap();
    assert_eq!(again.index(), slots[12_345].index());
    assert_eq!(table.lock().insert(capability, &quota).err(), Some(Error::TableFull));
}

#[test]
fn leaves_are_paid_when_they_are_made_and_given_back_with_the_table() {
    let _kernel = Kernel::boot();
    let slab = SLAB_BYTES as u64;
    let quota = Quota::root(0, 2 * slab).unwrap();
    let used = || quota.usage().kernel_bytes_used;
    let table = Table::new(None).unwrap();
    // Two leaves and the node above them, two to a slab; a third leaf is the last that can be paid.
    for (leaves, slabs) in [(1, 1), (2, 2), (3, 2)] {
        for badge in 0..LEAF_SLOTS as u64 {
            table.lock().insert(numbered(badge), &quota).unwrap();
        }
        assert_eq!(used(), slabs * slab, "{leaves} leaves");
    }
    assert_eq!(table.lock().insert(numbered(0), &quota).err(), Some(Error::QuotaExceeded));
    let last = CapSlot::new(3 * LEAF_SLOTS as u32 - 1, 1);
    drop(table.lock().remove(last).unwrap());
    assert_eq!(table.lock().insert(numbered(0), &quota).unwrap().index(), last.index());
    close_all(&table);
    assert_eq!(used(), 0, "an empty table takes nothing");
}

#[test]
fn an_empty_table_is_given_back_leaf_by_leaf() {
    let _kernel = Kernel::boot();
    let (table, quota) = (Table::new(None).unwrap(), rich());
    let leaves = 2 * 126;
    let slots: Vec<_> = (0..leaves * LEAF_SLOTS)
        .map(|badge| table.lock().insert(numbered(badge as u64), &quota).unwrap())
        .collect();
    for slot in slots {
        drop(table.lock().remove(slot).unwrap());
    }
    let mut steps = 0;
    while let Closed::Part = table.lock().close_one() {
        steps += 1;
    }
    assert_eq!((steps, quota.usage().kernel_bytes_used), (leaves, 0));
}

#[test]
fn the_tree_grows_and_shrinks_by_a_leaf() {
    let _kernel = Kernel::boot();
    let (mut slots, quota, owner) = (Slots::new(), rich(), NonNull::dangling());
    assert!(slots.last().is_none() && slots.get(0).is_none());
    let most = 126 + 126 + 1;
    for round in 0..2 {
        for leaf in 0..most {
            let first = (leaf * LEAF_SLOTS) as u32;
            for index in first..=first + LAST {
                assert!(slots.get(index).is_none());
                assert_eq!(slots.add(owner, &quota), Ok(index));
                assert_eq!(slots.count(), index as usize + 1);
                assert_eq!(slots.last().unwrap().len() as u32, index - first + 1);
            }
            // Marked, to be found again.
            slots.get(first + LAST).unwrap().set_generation(first + 1);
        }
        for leaf in (0..most).rev() {
            let (first, found) = ((leaf * LEAF_SLOTS) as u32, slots.last().unwrap());
            assert_eq!(found[LAST as usize].generation(), first + 1);
            assert!((0..=leaf as u32).all(|leaf| {
                let first = leaf * LEAF_SLOTS as u32;
                slots.get(first + LAST).map(Slot::generation) == Some(first + 1)
            }));
            slots.remove_leaf();
        }
        assert_eq!(quota.usage().kernel_bytes_used, 0, "round {round}");
    }
}

#[test]
fn a_node_that_can_t_be_paid_changes_nothing() {
    let _kernel = Kernel::boot();
    let quota = Quota::root(0, 63 * SLAB_BYTES as u64).unwrap();
    let (mut slots, owner) = (Slots::new(), NonNull::dangling());
    // 126 leaves would need 63 slabs, and the node above them half of one more.
    let made = (0..).take_while(|_| slots.add(owner, &quota).is_ok()).count();
    assert_eq!(made, 125 * LEAF_SLOTS);
    for _ in 0..3 {
        assert_eq!(slots.add(owner, &quota), Err(Error::QuotaExceeded));
        assert_eq!(slots.count(), 125 * LEAF_SLOTS);
    }
    slots.remove_leaf();
    assert!(slots.add(owner, &quota).is_ok());
}

#[test]
fn stale_uses_are_counted_and_others_are_not() {
    let _kernel = Kernel::boot();
    let (table, quota) = (Table::new(None).unwrap(), rich());
    let slot = table.lock().insert(numbered(1), &quota).unwrap();
    let before = stale_uses();
    let _ = table.lock().lookup(slot);
    let _ = table.lock().lookup(CapSlot::new(5, 1));
    let _ = table.lock().lookup(CapSlot::new(500, 1));
    assert_eq!(stale_uses(), before);
    drop(table.lock().remove(slot).unwrap());
    assert!(table.lock().lookup(slot).is_err() && table.lock().remove(slot).is_err());
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
        let (table, quota) = (Table::new(None).unwrap(), rich());
        let mut made: Vec<CapSlot> = Vec::new();
        let mut held: HashMap<CapSlot, u64> = HashMap::new();
        for step in steps {
            match step {
                Step::Insert => {
                    let badge = made.len() as u64;
                    let slot = table.lock().insert(numbered(badge), &quota).unwrap();
                    prop_assert!(!made.contains(&slot), "a handle was given twice");
                    made.push(slot);
                    held.insert(slot, badge);
                }
                Step::Remove(index) if !made.is_empty() => {
                    let slot = made[index % made.len()];
                    let expected = held.remove(&slot).ok_or(Error::StaleCapability);
                    let found = table.lock().lookup(slot).map(Held::badge);
                    prop_assert_eq!(found, expected);
                    let closed = table.lock().remove(slot);
                    prop_assert_eq!(matches!(closed, Ok(Closed::Entry(_))), expected.is_ok());
                }
                Step::Remove(_) => {}
                Step::Forge(index, generation) => {
                    let slot = CapSlot::new(index, generation);
                    let found = table.lock().lookup(slot).map(Held::badge);
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
            prop_assert_eq!(table.lock().lookup(*slot).map(Held::badge), Ok(*badge));
        }
        prop_assert_eq!(close_all(&table), held.len());
    }
}
