//! Handles by the hundred thousand: any number is safe to pass as one, and a table grows as far as its process pays.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use guests::{
    counters::{Counters, leaves_nothing},
    cpus::{is_soak, scaled, seed},
    objects::{Objects, uses},
    random::Random,
    raw, suite,
};
use orbital_user::{
    CapSlot, Endpoint, Error, Rights,
    abi::{ObjectKind, Registers, Syscall, layout::PAGE_SIZE},
    capability::{close, copy_to, inspect},
    println,
    process::own_usage,
};

suite! {
    on "pinned timeout=120": [any_number_is_safe_as_a_handle],
    on "pinned memory=1G timeout=240": [a_table_grows_to_a_million_slots],
    roles: [idle],
}

/// The most slots that a table can have (`docs/syscall-abi.md`).
const MOST: usize = 1_025_000;
/// The most bytes of kernel memory that a slot may take, what leads to it included.
const SLOT_BYTES: u64 = 64;

fn idle() {
    let _ = Endpoint::create().unwrap().receive();
}

/// A number that is none of `good`: any, or nearly one of them.
fn forged(random: &mut Random, good: &[u64]) -> u64 {
    loop {
        let near = random.pick(good);
        let number = match random.below(6) {
            0 => random.bits(),
            1 => random.bits() >> random.below(64),
            2 => near ^ 1 << random.below(64),
            3 => near ^ random.bits() << 32,
            4 => near & !0xffff_ffff | random.bits() & 0xffff_ffff,
            _ => near.wrapping_add(random.below(200)).wrapping_sub(100),
        };
        if number != 0 && !good.contains(&number) {
            return number;
        }
    }
}

/// A hundred thousand numbers (in a long run), in every place of every call where a capability is wanted: none of
/// those that are no handles names anything, and what there is stays.
fn any_number_is_safe_as_a_handle() {
    let objects = Objects::new("idle");
    // Some that are open, beside some of the past.
    let open: Vec<_> = (0..300).map(|_| Endpoint::create().unwrap()).collect();
    let open: Vec<_> = open
        .into_iter()
        .enumerate()
        .filter_map(|(number, endpoint)| (number % 3 != 0).then_some(endpoint))
        .collect();
    let mut good: Vec<u64> = open.iter().map(|endpoint| endpoint.slot().bits()).collect();
    good.extend(ObjectKind::ALL.map(|kind| objects.slot(kind).bits()));
    // All that this process has.
    let all =
        (0..2000).flat_map(|index| (1..4).map(move |generation| CapSlot::new(index, generation)));
    let found: Vec<_> = all.filter(|slot| inspect(*slot).is_ok()).collect();
    good.extend(found.iter().map(|slot| slot.bits()));
    let uses = uses();
    let (rounds, mut random) = (scaled(100_000) / uses.len() as u64, Random::new(seed()));
    let before = Counters::now();
    for _ in 0..rounds {
        for used in &uses {
            let number = forged(&mut random, &good);
            let registers = objects.registers(*used, CapSlot::from_bits(number));
            let stale = inspect(CapSlot::from_bits(number)) == Err(Error::StaleCapability);
            let error = if stale { Error::StaleCapability } else { Error::EmptySlot };
            raw::refuse(used.syscall, registers, error);
        }
    }
    assert_eq!(Counters::now(), before);
    assert!(found.iter().all(|slot| inspect(*slot).is_ok()));
}

/// Fills the table up to `count` copies and empties it again, in another order.
fn fill_and_empty(count: usize, random: &mut Random, slots: &mut Vec<CapSlot>) {
    let endpoint = Endpoint::create().unwrap();
    let before = own_usage().unwrap().kernel_bytes_used;
    for number in 0..count {
        // Each can be told from the others.
        let badge = number as u64 + 1;
        let copied = copy_to(endpoint.slot(), CapSlot::NULL, Rights::SEND, badge);
        match copied {
            Ok(slot) => slots.push(slot),
            Err(error) => {
                assert_eq!(error, Error::TableFull, "{number}");
                break;
            }
        }
    }
    let made = slots.len();
    let taken = own_usage().unwrap().kernel_bytes_used - before;
    println!("{made} slots, {} bytes for each", taken / made as u64);
    // Beside a slab or two that are not full.
    assert!(taken < made as u64 * SLOT_BYTES + 4 * PAGE_SIZE, "{taken}");
    for _ in 0..10_000 {
        let number = random.below(made as u64) as usize;
        let found = inspect(slots[number]).unwrap();
        assert_eq!((found.rights, found.badge), (Rights::SEND, number as u64 + 1));
    }
    if count > MOST {
        assert!(made <= MOST, "{made}");
        assert_eq!(Endpoint::create().map(drop), Err(Error::TableFull));
        // One that goes makes room for one.
        close(slots[made / 2]).unwrap();
        slots[made / 2] = copy_to(endpoint.slot(), CapSlot::NULL, Rights::SEND, 0).unwrap();
    }
    // From both ends, so that holes come and go.
    for (number, slot) in slots.iter().enumerate().filter(|(number, _)| number % 2 == 0) {
        assert_eq!(close(*slot), Ok(()), "{number}");
    }
    for (number, slot) in slots.iter().enumerate().rev().filter(|(number, _)| number % 2 == 1) {
        assert_eq!(close(*slot), Ok(()), "{number}");
    }
    let last = Registers::control([slots[made - 1].bits(), 0, 0, 0]);
    raw::refuse(Syscall::CapabilityInspect, last, Error::StaleCapability);
    slots.clear();
}

/// As many as there can be in a long run, and then one more; else a tenth. All that is taken for them is paid, and
/// nothing is left of it.
fn a_table_grows_to_a_million_slots() {
    let count = if is_soak() { MOST + 1 } else { MOST / 10 };
    println!("count {count}");
    let mut random = Random::new(seed());
    let mut slots = Vec::with_capacity(count);
    leaves_nothing(1, || fill_and_empty(count, &mut random, &mut slots));
}
