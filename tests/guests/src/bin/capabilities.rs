//! Capabilities: copies, rights, badges, and handles that name nothing any more.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use guests::{
    children,
    objects::{Objects, copied},
    raw::{self, Left},
    suite,
    threads::{self, MIDDLE, granted, label, settle},
};
use orbital_user::{
    CapSlot, Endpoint, Error, IpcError, Process, Rights,
    abi::{ObjectKind, Registers, Syscall, statistics::Statistic},
    capability::{Inspection, close, copy_to, inspect},
    endpoint::reply,
    start::bootstrap,
    system,
};

suite! {
    cases: [
        copies_shrink_and_never_grow,
        without_grant_there_is_no_copy,
        a_reply_is_never_copied,
        a_badge_is_set_once,
        only_endpoints_and_notifications_have_badges,
        makers_have_all_rights_and_others_what_was_left,
        a_closed_handle_stays_stale,
        a_slot_s_next_handle_is_another,
        stale_uses_are_counted,
        no_bit_can_be_changed,
        no_number_is_a_handle_by_chance,
        a_copy_lives_without_its_source,
        what_was_handed_over_stays,
        closing_during_use_is_safe,
    ],
    roles: [idle, keeper],
}

const ENDPOINT_RIGHTS: [Rights; 3] = [Rights::SEND, Rights::RECEIVE, Rights::GRANT];

fn idle() {
    let _ = Endpoint::create().unwrap().receive();
}

/// All sets of an endpoint's rights.
fn endpoint_rights() -> impl Iterator<Item = Rights> {
    (0..8).map(|set| {
        (0..3).filter(|place| set >> place & 1 == 1).map(|place| ENDPOINT_RIGHTS[place]).collect()
    })
}

#[track_caller]
fn is(slot: CapSlot, kind: ObjectKind, rights: Rights, badge: u64) {
    let Inspection { kind: found, rights: has, badge: carries, is_over, .. } =
        inspect(slot).unwrap();
    assert_eq!((found, has, carries, is_over), (Some(kind), rights, badge, false));
}

/// Every set of rights copied with every set asked for, alone and with all others that exist: the copy
/// has what is in both.
fn copies_shrink_and_never_grow() {
    let endpoint = Endpoint::create().unwrap();
    let others = Rights::all() - Rights::SEND - Rights::RECEIVE - Rights::GRANT;
    for has in endpoint_rights() {
        let source = endpoint.copy(has, 0).unwrap();
        is(source.slot(), ObjectKind::Endpoint, has, 0);
        for wants in endpoint_rights().flat_map(|wants| [wants, wants | others]) {
            match source.copy(wants, 0) {
                Ok(copy) => {
                    assert!(has.contains(Rights::GRANT));
                    is(copy.slot(), ObjectKind::Endpoint, has & wants, 0);
                }
                Err(error) => {
                    assert_eq!(error, Error::MissingRights);
                    assert!(!has.contains(Rights::GRANT));
                }
            }
        }
        is(source.slot(), ObjectKind::Endpoint, has, 0);
    }
}

/// Without `GRANT` no capability is copied, of whatever kind, with whatever rights.
fn without_grant_there_is_no_copy() {
    let objects = Objects::new("idle");
    let process = Process::create("target", 16, 16 * 1024).unwrap();
    for kind in copied() {
        let all = Rights::all() - Rights::GRANT;
        let source = copy_to(objects.slot(kind), CapSlot::NULL, all, 0).unwrap();
        for target in [CapSlot::NULL, process.slot()] {
            for rights in [Rights::empty(), Rights::GRANT, Rights::all()] {
                let registers =
                    raw::control([source.bits(), target.bits(), rights.bits().into(), 0]);
                raw::refuse(Syscall::CapabilityCopy, registers, Error::MissingRights);
            }
        }
    }
}

/// There is one place from where a call is answered: nobody gets a copy, with whatever rights and badge.
fn a_reply_is_never_copied() {
    let objects = Objects::new("idle");
    let source = objects.slot(ObjectKind::Reply);
    let process = Process::create("target", 16, 16 * 1024).unwrap();
    for target in [CapSlot::NULL, process.slot()] {
        for rights in [Rights::empty(), Rights::GRANT, Rights::all()] {
            for badge in [0, 7] {
                let copied = copy_to(source, target, rights, badge);
                assert_eq!(copied, Err(Error::MissingRights));
            }
        }
    }
    is(source, ObjectKind::Reply, Rights::empty(), 0);
}

/// A badge is set once: later copies keep it, and another is refused, the same one too.
fn a_badge_is_set_once() {
    let endpoint = Endpoint::create().unwrap();
    for badge in [1, 7, 1 << 63, u64::MAX] {
        let badged = endpoint.copy(Rights::SEND | Rights::GRANT, badge).unwrap();
        is(badged.slot(), ObjectKind::Endpoint, Rights::SEND | Rights::GRANT, badge);
        for other in [badge, badge ^ 1 | 2, !badge | 4] {
            assert_eq!(badged.copy(Rights::SEND, other).err(), Some(Error::AlreadyBadged));
        }
        let copy = badged.copy(Rights::SEND, 0).unwrap();
        is(copy.slot(), ObjectKind::Endpoint, Rights::SEND, badge);
    }
    let unbadged = endpoint.copy(Rights::GRANT, 0).unwrap();
    is(unbadged.slot(), ObjectKind::Endpoint, Rights::GRANT, 0);
    assert!(unbadged.copy(Rights::GRANT, 9).is_ok(), "not set yet");
}

/// Objects of other kinds have no badge, and copies without one go well.
fn only_endpoints_and_notifications_have_badges() {
    let objects = Objects::new("idle");
    for kind in copied() {
        let slot = objects.slot(kind);
        let has_badges = matches!(kind, ObjectKind::Endpoint | ObjectKind::Notification);
        let expected = (!has_badges).then_some(Error::AlreadyBadged);
        assert_eq!(copy_to(slot, CapSlot::NULL, Rights::all(), 5).err(), expected, "{kind:?}");
        let copy = copy_to(slot, CapSlot::NULL, Rights::all(), 0).unwrap();
        assert_eq!(inspect(copy), inspect(slot));
    }
}

/// Inspect tells kind, rights, badge and number of every kind, in exactly four registers.
fn makers_have_all_rights_and_others_what_was_left() {
    let objects = Objects::new("idle");
    let own = Rights::MANAGE | Rights::WAIT | Rights::GRANT;
    let memory = Rights::READ | Rights::WRITE | Rights::EXECUTE | Rights::GRANT;
    let endpoint = Rights::SEND | Rights::RECEIVE | Rights::GRANT;
    let system = Rights::LOG
        | Rights::SHUTDOWN
        | Rights::STATISTICS
        | Rights::DEVICES
        | Rights::LOG_READ
        | Rights::GRANT;
    let archive = Rights::READ | Rights::GRANT;
    let block = bootstrap();
    let badged = threads::endpoint(objects.slot(ObjectKind::Endpoint)).copy(endpoint, 77).unwrap();
    for (slot, kind, rights, badge) in [
        (objects.slot(ObjectKind::Process), ObjectKind::Process, own, 0),
        (objects.slot(ObjectKind::Thread), ObjectKind::Thread, own, 0),
        (objects.slot(ObjectKind::Endpoint), ObjectKind::Endpoint, endpoint, 0),
        (badged.slot(), ObjectKind::Endpoint, endpoint, 77),
        (objects.slot(ObjectKind::MemoryObject), ObjectKind::MemoryObject, memory, 0),
        (block.system, ObjectKind::System, system, 0),
        (objects.slot(ObjectKind::Notification), ObjectKind::Notification, endpoint, 0),
        (objects.slot(ObjectKind::Timer), ObjectKind::Timer, Rights::MANAGE | Rights::GRANT, 0),
        (objects.slot(ObjectKind::Reply), ObjectKind::Reply, Rights::empty(), 0),
        (block.archive, ObjectKind::MemoryObject, archive, 0),
        (block.process, ObjectKind::Process, own, 0),
        (block.thread, ObjectKind::Thread, own, 0),
    ] {
        let left = raw::call(Syscall::CapabilityInspect, raw::control([slot.bits()]));
        let identity = inspect(slot).unwrap().identity;
        assert_ne!(identity, 0, "{kind:?}");
        let control = [kind as u64, rights.bits().into(), badge, identity];
        assert_eq!(left, Left::well(Registers::control(control)), "{kind:?}");
    }
}

/// A capability that was closed is stale for every use, also a second close.
fn a_closed_handle_stays_stale() {
    let objects = Objects::new("idle");
    for kind in copied() {
        let slot = copy_to(objects.slot(kind), CapSlot::NULL, Rights::all(), 0).unwrap();
        assert_eq!(close(slot), Ok(()));
        for _ in 0..2 {
            assert_eq!(close(slot), Err(Error::StaleCapability));
            assert_eq!(inspect(slot), Err(Error::StaleCapability));
            let copy = copy_to(slot, CapSlot::NULL, Rights::all(), 0);
            assert_eq!(copy, Err(Error::StaleCapability));
        }
    }
    let slot = Endpoint::create().unwrap().slot();
    let endpoint = threads::endpoint(slot);
    assert_eq!(endpoint.send(&label(1)), Err(IpcError::StaleCapability));
    assert_eq!(endpoint.call(&label(1)), Err(IpcError::StaleCapability));
    assert_eq!(endpoint.receive(), Err(IpcError::StaleCapability));
}

/// A slot is used again under a new generation: no handle of its past ever works, the newest does.
fn a_slot_s_next_handle_is_another() {
    let mut past: Vec<CapSlot> = Vec::with_capacity(200);
    for _ in 0..200 {
        let endpoint = Endpoint::create().unwrap();
        let slot = endpoint.slot();
        if let Some(last) = past.last() {
            assert_eq!(slot, CapSlot::new(last.index(), last.generation() + 1));
        }
        for old in &past {
            assert_eq!(inspect(*old), Err(Error::StaleCapability));
        }
        is(slot, ObjectKind::Endpoint, Rights::SEND | Rights::RECEIVE | Rights::GRANT, 0);
        past.push(slot);
    }
}

/// Each use of a stale handle counts once; empty slots do not count.
fn stale_uses_are_counted() {
    let stale = Endpoint::create().unwrap().slot();
    let count = || system::statistic(Statistic::StaleCapabilities).unwrap();
    let before = count();
    for _ in 0..10 {
        assert_eq!(inspect(stale), Err(Error::StaleCapability));
        assert_eq!(close(stale), Err(Error::StaleCapability));
    }
    let empty = CapSlot::new(stale.index(), stale.generation() + 5);
    for slot in [CapSlot::NULL, empty, CapSlot::from_bits(u64::MAX)] {
        assert_eq!(inspect(slot), Err(Error::EmptySlot));
    }
    assert_eq!(count() - before, 20);
}

/// Every single bit of a valid handle changed: the slot is empty or stale.
fn no_bit_can_be_changed() {
    // A generation that no other slot has got to.
    let mut endpoint = Endpoint::create().unwrap();
    for _ in 0..20 {
        drop(endpoint);
        endpoint = Endpoint::create().unwrap();
    }
    // Neighbours that are in use.
    let _others: Vec<_> = (0..100).map(|_| Endpoint::create().unwrap()).collect();
    let slot = endpoint.slot();
    for bit in 0..64 {
        let forged = CapSlot::from_bits(slot.bits() ^ 1 << bit);
        let is_past =
            forged.index() == slot.index() && (1..slot.generation()).contains(&forged.generation());
        let error = if is_past { Error::StaleCapability } else { Error::EmptySlot };
        assert_eq!(inspect(forged), Err(error), "bit {bit}");
        assert_eq!(close(forged), Err(error), "bit {bit}");
    }
    assert!(inspect(slot).is_ok());
}

/// The null handle, indices at and behind the table's end, generations that never were.
fn no_number_is_a_handle_by_chance() {
    let slot = Endpoint::create().unwrap().slot();
    let indices = [slot.index(), 63, 64, 65, 0xffff, 0x1_0000, 0x7fff_ffff, u32::MAX];
    for index in indices {
        for generation in [0, 100, 0x8000_0000, u32::MAX] {
            let forged = CapSlot::new(index, generation);
            assert_eq!(inspect(forged), Err(Error::EmptySlot), "{forged:?}");
        }
    }
    for bits in [0, u64::MAX, 1 << 63, u64::from(u32::MAX)] {
        assert_eq!(inspect(CapSlot::from_bits(bits)), Err(Error::EmptySlot), "{bits:#x}");
    }
}

/// A copy works after its source was closed, and the copy of the copy after that.
fn a_copy_lives_without_its_source() {
    let mut endpoint = Endpoint::create().unwrap();
    let all = Rights::SEND | Rights::RECEIVE | Rights::GRANT;
    for _ in 0..100 {
        let copy = endpoint.copy(all, 0).unwrap();
        endpoint = copy;
    }
    let slot = endpoint.slot();
    let sender = threads::at(MIDDLE, move || threads::endpoint(slot).send(&label(1)));
    assert_eq!(endpoint.receive().unwrap().message, label(1));
    assert_eq!(sender.join().unwrap(), Ok(()));
}

/// Calls through what it was given, when its parent says so.
fn keeper() {
    let (server, gate) = (granted(0), granted(1));
    gate.receive().unwrap();
    assert_eq!(server.call(&label(1)), Ok(label(2)));
}

/// What a process was given stays when the giver closes its own.
fn what_was_handed_over_stays() {
    let [server, gate] = [(); 2].map(|()| Endpoint::create().unwrap());
    let handed = server.copy(Rights::SEND | Rights::GRANT, 3).unwrap();
    let child = children::start("keeper", |spawn| {
        spawn.grant(handed.slot(), Rights::SEND, 0).grant(gate.slot(), Rights::RECEIVE, 0)
    });
    drop(handed);
    gate.send(&label(0)).unwrap();
    let received = server.receive().unwrap();
    assert_eq!((received.message, received.badge), (label(1), 3));
    reply(&label(2)).unwrap();
    children::succeed(&child);
}

/// A capability is closed while another thread waits through it: the wait goes on where it began, and as long as it does
/// nothing else is found in that slot.
fn closing_during_use_is_safe() {
    let kept = Endpoint::create().unwrap();
    let used = kept.copy(Rights::SEND | Rights::RECEIVE, 0).unwrap();
    let slot = used.slot();
    let waiter = threads::at(MIDDLE, move || threads::endpoint(slot).receive());
    settle();
    drop(used);
    let other = Endpoint::create().unwrap();
    assert_ne!(other.slot().index(), slot.index());
    assert_eq!(other.try_send(&label(1)), Err(IpcError::WouldBlock));
    assert_eq!(kept.try_send(&label(2)), Ok(()));
    assert_eq!(waiter.join().unwrap().unwrap().message, label(2));
    settle();
    let others = [(); 8].map(|()| Endpoint::create().unwrap());
    let is_used = others.iter().any(|other| other.slot().index() == slot.index());
    assert!(is_used, "then it is used again");
}
