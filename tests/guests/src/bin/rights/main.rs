//! Each set of rights on each call that takes a capability, on objects that are in use: it is allowed exactly when the
//! rights are there, and one that is refused changes nothing and tells nobody.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

mod table;
mod world;

use guests::{code, places, raw, suite};
use orbital_user::{
    CapSlot, Error, Rights,
    abi::Registers,
    capability::{close, copy_to},
    println,
};

use table::{Operation, Outcome, table};
use world::World;

suite! {
    on "pinned timeout=120": [what_is_refused_changes_nothing, what_is_allowed_has_its_effect],
    roles: [],
}

code! {
    // Sleeps for ever, or faults where its argument is not 0.
    sleeps: ["test rdi, rdi", "jnz 2f", "mov rdi, -1", "mov eax, 27", "syscall", "2:"] ["ud2"];
}

/// All sets of rights out of `all`.
fn subsets(all: Rights) -> impl Iterator<Item = Rights> {
    let within = move |bits: &u32| bits & !all.bits() == 0;
    (0..=all.bits()).filter(within).map(Rights::from_bits_truncate)
}

/// The call's registers, with these rights on one of the capabilities that it takes and all on the others; and that
/// capability.
fn registers(
    world: &World,
    operation: &Operation,
    index: usize,
    has: Rights,
) -> (Registers, CapSlot) {
    let mut registers = raw::control(operation.control);
    registers.words[..2].copy_from_slice(&operation.words);
    let slots = operation.takes.iter().map(|taken| world.slot(taken.thing));
    for (taken, slot) in operation.takes.iter().zip(slots) {
        registers.control[taken.word] = slot.bits();
    }
    let taken = &operation.takes[index];
    let slot = copy_to(world.slot(taken.thing), CapSlot::NULL, has, 0).unwrap();
    registers.control[taken.word] = slot.bits();
    (registers, slot)
}

/// Every capability that a call takes, with every set of rights that lacks one.
fn what_is_refused_changes_nothing() {
    places::pave(1 << 30);
    let world = World::new(sleeps);
    let mut refused = 0;
    for operation in table() {
        for (index, taken) in operation.takes.iter().enumerate() {
            let lacks = |has: &Rights| !has.contains(taken.needed);
            for has in subsets(world.rights(taken.thing)).filter(lacks) {
                let (registers, slot) = registers(&world, &operation, index, has);
                let before = world.look();
                raw::refuse(operation.syscall, registers, Error::MissingRights);
                assert_eq!(world.look(), before, "{operation:?} with {has:?}");
                close(slot).unwrap();
                refused += 1;
            }
        }
    }
    println!("{refused} refused");
    world.goes_on();
}

/// And with every set that has all that are needed, each time in a new world.
fn what_is_allowed_has_its_effect() {
    places::pave(1 << 30);
    let mut allowed = 0;
    for operation in table().into_iter().filter(|operation| operation.outcome != Outcome::Untried) {
        for (index, taken) in operation.takes.iter().enumerate() {
            let rights = World::new(sleeps).rights(taken.thing);
            for has in subsets(rights).filter(|has| has.contains(taken.needed)) {
                let world = World::new(sleeps);
                let (registers, _) = registers(&world, &operation, index, has);
                let before = world.look();
                let code = world.make(operation.syscall, registers);
                let expected = match operation.outcome {
                    Outcome::Refused(error) => error.code(),
                    _ => 0,
                };
                assert_eq!(code, expected, "{operation:?} with {has:?}");
                let is_seen = world.look() != before;
                assert_eq!(is_seen, operation.outcome == Outcome::Well, "{operation:?}, {has:?}");
                allowed += 1;
            }
        }
    }
    println!("{allowed} allowed");
}
