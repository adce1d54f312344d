//! Capabilities: what they name, where they come from, and what a graph shows of them.
#![forbid(unsafe_code)]

use alloc::{format, string::ToString};

use guests::{
    children,
    raw::{self, NOISE},
    threads::settle,
};
use orbital_user::{
    CapSlot, Endpoint, Error, Notification, Process, Rights,
    abi::{ObjectKind, Registers, Syscall, census::Place},
    capability::{copy_to, inspect, move_to},
    graph::Graph,
    start::bootstrap,
    system,
};

use super::{capabilities_of, capability, number, own};

pub(super) fn a_capability_is_told_with_what_it_names() {
    let before = capabilities_of(own());
    let endpoint = Endpoint::create().unwrap();
    let told = capability(own(), endpoint.slot());
    let rights = Rights::SEND | Rights::RECEIVE | Rights::GRANT;
    assert_eq!((told.kind, told.rights, told.badge), (ObjectKind::Endpoint, rights, 0));
    assert_eq!(told.parent, None);
    let badged = copy_to(endpoint.slot(), CapSlot::NULL, Rights::SEND, u64::MAX).unwrap();
    let minted = capability(own(), badged);
    assert_eq!((minted.rights, minted.badge), (Rights::SEND, u64::MAX));
    assert_eq!(capabilities_of(own()).len(), before.len() + 2);
    // A slot that is used again is another handle.
    orbital_user::capability::close(badged).unwrap();
    let again = copy_to(endpoint.slot(), CapSlot::NULL, Rights::SEND, 1).unwrap();
    assert_eq!((again.index(), capability(own(), again).badge), (badged.index(), 1));
    assert!(capabilities_of(own()).iter().all(|it| it.slot != badged));
    orbital_user::capability::close(again).unwrap();
    drop(endpoint);
    assert_eq!(capabilities_of(own()), before);
}

pub(super) fn an_object_is_the_same_for_all_who_reach_it() {
    let (one, other) = (Endpoint::create().unwrap(), Endpoint::create().unwrap());
    let word = Notification::create().unwrap();
    let target = Process::create("target", 8, 16 * 1024).unwrap();
    let theirs = copy_to(one.slot(), target.slot(), Rights::SEND, 9).unwrap();
    let told = capability(number(target.slot()), theirs);
    assert_eq!((told.rights, told.badge), (Rights::SEND, 9));
    let identity = |slot| capability(own(), slot).identity;
    assert_eq!(told.identity, identity(one.slot()));
    assert_ne!(identity(one.slot()), identity(other.slot()));
    assert_ne!(identity(one.slot()), identity(word.slot()));
    // Who has it is told the same; processes and threads have their numbers.
    for slot in [one.slot(), other.slot(), word.slot(), target.slot(), bootstrap().thread] {
        assert_eq!(inspect(slot).unwrap().identity, identity(slot));
    }
    let told = system::processes().map(Result::unwrap).find(|it| it.id == identity(target.slot()));
    assert_eq!(told.unwrap().name(), "target");
    // It says nothing of an address: neither the kernel's half, nor a distance between two that stand side by side.
    let numbers = [one.slot(), other.slot()].map(identity);
    assert!((numbers[0] ^ numbers[1]).count_ones() > 8, "{numbers:x?}");
}

pub(super) fn what_it_was_derived_from_is_told() {
    let endpoint = Endpoint::create().unwrap();
    let target = Process::create("target", 8, 16 * 1024).unwrap();
    let (own, theirs) = (own(), number(target.slot()));
    let child = copy_to(endpoint.slot(), CapSlot::NULL, Rights::all(), 0).unwrap();
    let of = |process, slot| capability(process, slot).parent;
    let at = |slot: CapSlot| Some(Place { process: own, index: slot.index() });
    assert_eq!(of(own, child), at(endpoint.slot()));
    let grandchild = copy_to(child, target.slot(), Rights::all(), 0).unwrap();
    assert_eq!(of(theirs, grandchild), at(child));
    // One that is moved stays a parent; one that is closed leaves its children to its own.
    let moved = move_to(child, CapSlot::NULL).unwrap();
    assert_eq!(of(theirs, grandchild), at(moved));
    orbital_user::capability::close(moved).unwrap();
    assert_eq!(of(theirs, grandchild), at(endpoint.slot()));
    drop(endpoint);
    assert_eq!(of(theirs, grandchild), None);
}

pub(super) fn the_graph_has_an_edge_for_each() {
    let endpoint = Endpoint::create().unwrap();
    let child = children::start("waits", |s| s.grant(endpoint.slot(), Rights::RECEIVE, 5));
    settle();
    let (own, other) = (own(), number(child.process.slot()));
    let object = format!("endpoint {:016x}", inspect(endpoint.slot()).unwrap().identity);
    let graph = Graph::take().unwrap();
    let text = graph.to_string();
    for line in [
        format!("  \"process {other}\" [shape=box, label=\"waits\\nprocess {other}\"];\n"),
        format!("  \"process {own}\" -> \"{object}\" [label=\"send receive grant\"];\n"),
        format!("  \"process {other}\" -> \"{object}\" [label=\"receive\\nbadge 0x5\"];\n"),
        format!("  \"process {own}\" -> \"process {other}\" ["),
    ] {
        assert_eq!(text.matches(&line).count(), 1, "{line}\n{text}");
    }
    let node = format!("  \"{object}\" [label=");
    assert_eq!(text.matches(&node).count(), 1, "{text}");
    assert_eq!(text.matches(" -> ").count(), graph.capabilities.len());
    child.process.kill().unwrap();
    child.wait().unwrap();
    assert!(!Graph::take().unwrap().to_string().contains(&format!("\"process {other}\" ->")));
}

const CALLS: [Syscall; 3] =
    [Syscall::SystemProcesses, Syscall::SystemThreads, Syscall::SystemCapabilities];

pub(super) fn it_needs_its_right() {
    let system = bootstrap().system;
    let endpoint = Endpoint::create().unwrap();
    let less = copy_to(system, CapSlot::NULL, Rights::all() - Rights::STATISTICS, 0).unwrap();
    for call in CALLS {
        for (slot, error) in [
            (CapSlot::NULL, Error::EmptySlot),
            (endpoint.slot(), Error::WrongKind),
            (less, Error::MissingRights),
        ] {
            raw::refuse(call, raw::control([slot.bits(), own(), 0]), error);
        }
    }
}

pub(super) fn odd_numbers_find_nothing() {
    let system = bootstrap().system.bits();
    for call in CALLS {
        for odd in [
            [u64::MAX, u64::MAX],
            [u64::MAX, 0],
            [1 << 40, 7],
            [u64::MAX - 1, 1],
            [1 << 63, u64::MAX],
        ] {
            let mut registers = NOISE;
            registers.control = [system, odd[0], odd[1], 5];
            assert_eq!(
                raw::call(call, registers),
                raw::Left::well(Registers::default()),
                "{call:?}"
            );
        }
    }
    // Of a process that is there: behind its table, and beyond all tables.
    let last = capabilities_of(own()).last().unwrap().slot.index();
    for index in [last.into(), u32::MAX.into(), 1 << 32, u64::MAX, (1 << 32) + 1] {
        let registers = raw::control([system, own(), index]);
        let found = raw::call(Syscall::SystemCapabilities, registers);
        assert_eq!(found == raw::Left::well(Registers::default()), index != last.into(), "{index}");
    }
    // A process that has ended.
    let gone = Process::create("gone", 8, 8192).unwrap();
    let number = number(gone.slot());
    gone.kill().unwrap();
    gone.wait().unwrap();
    assert!(capabilities_of(number).is_empty() && capabilities_of(0).is_empty());
}
