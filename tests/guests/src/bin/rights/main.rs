//! Each set of rights on each call that takes a capability, on objects that are in use: it is allowed exactly when the
//! rights are there, and one that is refused changes nothing and tells nobody.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

mod table;
mod world;

use guests::{code, places, raw, suite};
use orbital_user::{
    CapSlot, Error, Reply, Rights,
    abi::{Registers, Syscall},
    capability::{close, copy_to},
    println,
};

use table::{Operation, Outcome, Thing, table};
use world::World;

suite! {
    on "pinned timeout=120": [
        what_is_refused_changes_nothing,
        what_is_allowed_has_its_effect,
        a_call_is_kept_without_a_capability,
    ],
    roles: [],
}

code! {
    // Sleeps for ever, or faults where its argument is not 0.
    sleeps: ["test rdi, rdi", "jnz 2f", "mov rdi, -1", "mov eax, 27", "syscall", "2:"] ["ud2"];
}

/// All sets of rights that a capability to it can have: a Reply is never copied, so it has what it has.
fn sets(world: &World, thing: Thing) -> impl Iterator<Item = Rights> + use<> {
    let (all, is_whole) = (world.rights(thing), thing == Thing::Kept);
    let within = move |bits: &u32| bits & !all.bits() == 0 && (!is_whole || *bits == all.bits());
    (0..=all.bits()).filter(within).map(Rights::from_bits_truncate)
}

/// The call's registers, with these rights on the capability `index` of those that it takes and all on the others;
/// and that capability.
fn registers(
    world: &World,
    operation: &Operation,
    index: usize,
    has: Rights,
) -> (Registers, CapSlot) {
    let mut registers = raw::control(operation.control);
    registers.words[..2].copy_from_slice(&operation.words);
    for taken in operation.takes {
        registers.control[taken.word] = world.slot(taken.thing).bits();
    }
    let taken = &operation.takes[index];
    let slot = match taken.thing {
        Thing::Kept => world.slot(Thing::Kept),
        thing => copy_to(world.slot(thing), CapSlot::NULL, has, 0).unwrap(),
    };
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
            for has in sets(&world, taken.thing).filter(lacks) {
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
            let sets = sets(&World::new(sleeps), taken.thing);
            for has in sets.filter(|has| has.contains(taken.needed)) {
                let world = World::new(sleeps);
                let (registers, slot) = registers(&world, &operation, index, has);
                let before = world.look();
                let code = world.make(operation.syscall, registers);
                let expected = match operation.outcome {
                    Outcome::Refused(error) => error.code(),
                    _ => 0,
                };
                assert_eq!(code, expected, "{operation:?} with {has:?}");
                let is_seen = world.look() != before;
                let can_be_seen = match operation.outcome {
                    Outcome::Well => true,
                    // The capability that is tried is a copy, and all others are their maker's.
                    Outcome::Remembered => index == 1,
                    _ => false,
                };
                assert_eq!(is_seen, can_be_seen, "{operation:?}, {has:?}");
                // The next world takes the same line. Some calls have closed it, or moved it elsewhere.
                let _ = close(slot);
                allowed += 1;
            }
        }
    }
    println!("{allowed} allowed");
}

/// The call that a thread owes is its own: to keep it takes no capability. It goes well once, and that can be seen.
fn a_call_is_kept_without_a_capability() {
    places::pave(1 << 30);
    let world = World::new(sleeps);
    let before = world.look();
    let kept = Reply::keep().unwrap();
    assert_ne!(world.look(), before);
    let before = world.look();
    raw::refuse(Syscall::ReplyKeep, raw::NOISE, Error::NoReplyOwed);
    assert_eq!(world.look(), before);
    world.goes_on_with(|answer| kept.answer(answer));
}
