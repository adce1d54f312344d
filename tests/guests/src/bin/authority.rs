//! What a capability allows, and that nothing is allowed without one: every use of every kind, with
//! every handle and every set of rights that should not do.
#![forbid(unsafe_code)]
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::{format, string::String, vec::Vec};

use guests::{
    children,
    objects::{Objects, Outcome, Use, copied, uses},
    option, raw, suite,
    threads::granted,
};
use orbital_user::{
    CapSlot, Endpoint, Error, ExitReason, MemoryObject, Process, Rights,
    abi::{ObjectKind, Syscall, layout::PAGE_SIZE, statistics::Statistic},
    capability::{close, copy_to, inspect},
    start::bootstrap,
    system,
};

suite! {
    cases: [
        the_wrong_kind_is_refused,
        handles_of_nothing_are_refused,
        each_use_needs_its_rights,
        rights_that_do_not_exist_are_refused,
        a_mapping_needs_the_rights_that_it_has,
        a_table_is_filled_by_those_who_manage_its_process,
        an_ended_process_takes_nothing,
        slots_of_another_process_mean_nothing,
        a_process_has_what_it_was_given,
        without_the_system_there_is_no_system,
        the_right_to_log_is_no_other,
    ],
    roles: [idle, stranger, inventory, powerless, logger],
}

fn idle() {
    let _ = Endpoint::create().unwrap().receive();
}

/// A copy with these rights.
fn copy(slot: CapSlot, rights: Rights) -> CapSlot {
    copy_to(slot, CapSlot::NULL, rights, 0).unwrap()
}

/// Every call refuses every object of another kind, whatever rights there are.
fn the_wrong_kind_is_refused() {
    let objects = Objects::new("idle");
    for used in uses() {
        let Some(right) = used.kind else { continue };
        for wrong in ObjectKind::ALL.into_iter().filter(|kind| *kind != right) {
            let slot = objects.slot(wrong);
            if wrong == ObjectKind::Reply {
                raw::refuse(used.syscall, objects.registers(used, slot), Error::WrongKind);
                continue;
            }
            let powerless = copy(slot, Rights::empty());
            for slot in [slot, powerless] {
                raw::refuse(used.syscall, objects.registers(used, slot), Error::WrongKind);
            }
            close(powerless).unwrap();
        }
    }
}

/// Every call refuses the handle of an empty slot, one outside of the table, and one of the past.
fn handles_of_nothing_are_refused() {
    let objects = Objects::new("idle");
    let past: CapSlot = Endpoint::create().unwrap().slot();
    let reused = Endpoint::create().unwrap();
    assert_eq!(reused.slot().index(), past.index());
    let empty = [
        CapSlot::new(past.index(), reused.slot().generation() + 1),
        CapSlot::new(past.index(), 0),
        CapSlot::new(60, 1),
        CapSlot::new(0x1_0000, 1),
        CapSlot::new(u32::MAX, 1),
        CapSlot::from_bits(u64::MAX),
        CapSlot::from_bits(1 << 63),
    ];
    for used in uses() {
        for slot in empty {
            raw::refuse(used.syscall, objects.registers(used, slot), Error::EmptySlot);
        }
        raw::refuse(used.syscall, objects.registers(used, past), Error::StaleCapability);
        // There the null handle means one's own process, the call that is owed, or nobody.
        let own = matches!(
            (used.syscall, used.word),
            (Syscall::CapabilityCopy | Syscall::CapabilityMove, 1)
                | (Syscall::Reply, 0)
                | (Syscall::EndpointBind | Syscall::NotificationBind, 1)
                | (Syscall::InterruptBind | Syscall::SystemLogBind, 1)
                | (Syscall::ReplyReceive, 3)
                | (
                    Syscall::MemoryMap
                        | Syscall::MemoryUnmap
                        | Syscall::MemoryProtect
                        | Syscall::MemoryQuery
                        | Syscall::ProcessUsage,
                    0
                )
        );
        if !own {
            raw::refuse(used.syscall, objects.registers(used, CapSlot::NULL), Error::EmptySlot);
        }
    }
}

/// What its maker may do with an object.
fn rights_of(kind: ObjectKind) -> Rights {
    match kind {
        ObjectKind::Process | ObjectKind::Thread => Rights::MANAGE | Rights::WAIT | Rights::GRANT,
        ObjectKind::Endpoint | ObjectKind::Notification => {
            Rights::SEND | Rights::RECEIVE | Rights::GRANT
        }
        ObjectKind::Reply => Rights::empty(),
        ObjectKind::Timer | ObjectKind::Interrupt => Rights::MANAGE | Rights::GRANT,
        ObjectKind::IoPort => Rights::READ | Rights::WRITE | Rights::GRANT,
        ObjectKind::MemoryObject => Rights::READ | Rights::WRITE | Rights::EXECUTE | Rights::GRANT,
        ObjectKind::System => {
            Rights::LOG
                | Rights::SHUTDOWN
                | Rights::STATISTICS
                | Rights::DEVICES
                | Rights::LOG_READ
                | Rights::GRANT
        }
    }
}

/// All sets of rights out of `all`.
fn subsets(all: Rights) -> impl Iterator<Item = Rights> {
    let within = move |bits: &u32| bits & !all.bits() == 0;
    (0..=all.bits()).filter(within).map(Rights::from_bits_truncate)
}

/// Every use with every set of rights: what lacks a right is refused, and any other set will do.
fn each_use_needs_its_rights() {
    let objects = Objects::new("idle");
    for used in uses() {
        for kind in copied().filter(|kind| used.kind.is_none_or(|k| k == *kind)) {
            for rights in subsets(rights_of(kind)) {
                check_rights(&objects, used, kind, rights);
            }
        }
    }
}

fn check_rights(objects: &Objects, used: Use, kind: ObjectKind, rights: Rights) {
    let slot = copy(objects.slot(kind), rights);
    let registers = objects.registers(used, slot);
    match used.outcome {
        _ if !rights.contains(used.needed) => {
            raw::refuse(used.syscall, registers, Error::MissingRights);
        }
        Outcome::Refused(error) => raw::refuse(used.syscall, registers, error),
        Outcome::Well => assert_eq!(raw::call(used.syscall, registers).code, 0, "{used:?}"),
        Outcome::Untried => {}
    }
    // One use has closed it.
    let expected =
        if used.syscall == Syscall::CapabilityClose { Err(Error::StaleCapability) } else { Ok(()) };
    assert_eq!(close(slot), expected);
}

/// A copy with a bit that is no right is refused.
fn rights_that_do_not_exist_are_refused() {
    let endpoint = Endpoint::create().unwrap();
    let used = Rights::all().bits().count_ones();
    for bit in used..64 {
        let rights = u64::from(Rights::SEND.bits()) | 1 << bit;
        let registers = raw::control([endpoint.slot().bits(), 0, rights, 0]);
        raw::refuse(Syscall::CapabilityCopy, registers, Error::InvalidArgument);
    }
}

/// Memory is mapped with no more rights than its capability has; both sets swept.
fn a_mapping_needs_the_rights_that_it_has() {
    let access = Rights::READ | Rights::WRITE | Rights::EXECUTE;
    let process = Process::create("target", 16, 16 * 1024).unwrap();
    let memory = MemoryObject::create(PAGE_SIZE).unwrap();
    for has in subsets(access) {
        let slot = copy(memory.slot(), has);
        for wants in subsets(Rights::all() - Rights::GRANT) {
            // Nothing at all is a mapping too.
            let is_odd = !wants.is_empty() && !wants.contains(Rights::READ);
            let error = if is_odd || !access.contains(wants) {
                Error::InvalidArgument
            } else if wants == access {
                Error::WriteAndExecute
            } else if !has.contains(wants) {
                Error::MissingRights
            } else {
                // A mapping that would be: the address is not.
                Error::InvalidAddress
            };
            let address = 0x8000_0000_0000;
            let mut registers = raw::control([process.slot().bits(), slot.bits(), address, 0]);
            registers.words[0] = PAGE_SIZE;
            registers.words[1] = wants.bits().into();
            raw::refuse(Syscall::MemoryMap, registers, error);
        }
        close(slot).unwrap();
    }
}

/// A copy into another process needs `MANAGE` on that, and `GRANT` on the source; then it is there.
fn a_table_is_filled_by_those_who_manage_its_process() {
    let process = Process::create("target", 16, 16 * 1024).unwrap();
    let endpoint = Endpoint::create().unwrap();
    for source_rights in subsets(rights_of(ObjectKind::Endpoint)) {
        for process_rights in subsets(rights_of(ObjectKind::Process)) {
            let source = copy(endpoint.slot(), source_rights);
            let target = copy(process.slot(), process_rights);
            let may =
                source_rights.contains(Rights::GRANT) && process_rights.contains(Rights::MANAGE);
            let expected = if may { None } else { Some(Error::MissingRights) };
            assert_eq!(copy_to(source, target, Rights::SEND, 0).err(), expected);
            close(source).unwrap();
            close(target).unwrap();
        }
    }
}

/// A process that has ended takes no capabilities, threads or mappings.
fn an_ended_process_takes_nothing() {
    let objects = Objects::new("idle");
    let process = objects.slot(ObjectKind::Process);
    for kind in copied() {
        let source = objects.slot(kind);
        assert_eq!(copy_to(source, process, Rights::all(), 0), Err(Error::Ended), "{kind:?}");
    }
    let used = |syscall| uses().into_iter().find(|used| used.syscall == syscall).unwrap();
    for syscall in [Syscall::ThreadCreate, Syscall::ProcessKill, Syscall::MemoryMap] {
        raw::refuse(syscall, objects.registers(used(syscall), process), Error::Ended);
    }
}

/// The handles on the command line.
fn handles() -> Vec<CapSlot> {
    let text = option("handles").unwrap();
    text.split(',').map(|bits| CapSlot::from_bits(bits.parse().unwrap())).collect()
}

/// Tries to use handles of its parent's.
fn stranger() {
    for slot in handles() {
        for used in [Syscall::Send, Syscall::Receive, Syscall::Call] {
            raw::refuse(used, raw::control([slot.bits(), 0, 0]), Error::EmptySlot);
        }
        for used in [Syscall::CapabilityClose, Syscall::CapabilityInspect] {
            raw::refuse(used, raw::control([slot.bits()]), Error::EmptySlot);
        }
        let copy = raw::control([slot.bits(), 0, 0, 0]);
        raw::refuse(Syscall::CapabilityCopy, copy, Error::EmptySlot);
    }
}

/// A child knows its parent's handles and can do nothing with them; the parent's capabilities stay.
fn slots_of_another_process_mean_nothing() {
    // More than a small table has slots, and one whose generation no other slot has.
    let many: Vec<_> = (0..150).map(|_| Endpoint::create().unwrap()).collect();
    let mut worn = Endpoint::create().unwrap();
    for _ in 0..10 {
        drop(worn);
        worn = Endpoint::create().unwrap();
    }
    let slots: Vec<CapSlot> =
        many[100..].iter().chain([&worn]).map(|endpoint| endpoint.slot()).collect();
    let text: Vec<String> = slots.iter().map(|slot| format!("{}", slot.bits())).collect();
    let arguments = format!("handles={}", text.join(","));
    let child = children::start_with_arguments("stranger", &arguments, |spawn| spawn);
    children::succeed(&child);
    for slot in slots {
        assert_eq!(inspect(slot).unwrap().kind, Some(ObjectKind::Endpoint));
    }
}

/// Counts what it has, and compares that with what it was told.
fn inventory() {
    let block = bootstrap();
    let mut told: Vec<_> = block.granted.iter().filter(|slot| !slot.is_null()).collect();
    told.extend([&block.process, &block.thread, &block.system]);
    let all = (0..1000).flat_map(|index| (0..8).map(move |generation| (index, generation)));
    let found: Vec<_> = all
        .map(|(index, generation)| CapSlot::new(index, generation))
        .filter(|slot| inspect(*slot).is_ok())
        .collect();
    assert_eq!(found.len(), told.len(), "{found:?}, {told:?}");
    assert!(told.iter().all(|slot| found.contains(slot)), "{found:?}, {told:?}");
}

/// A child finds in its table what its creator put there, and nothing else.
fn a_process_has_what_it_was_given() {
    let endpoint = Endpoint::create().unwrap();
    for given in 0..=8 {
        let child = children::start("inventory", |spawn| {
            (0..given).fold(spawn, |spawn, _| spawn.grant(endpoint.slot(), Rights::SEND, 0))
        });
        children::succeed(&child);
    }
}

/// Tries all that is the system's with all handles that there can be.
fn powerless() {
    assert!(bootstrap().system.is_null());
    assert_eq!(system::shutdown(0), Error::EmptySlot);
    assert_eq!(system::statistic(Statistic::FreeFrames), Err(Error::EmptySlot));
    for index in 0..200 {
        for generation in 0..4 {
            let registers = raw::control([CapSlot::new(index, generation).bits(), 0, 0]);
            for syscall in [Syscall::SystemShutdown, Syscall::SystemStatistics, Syscall::SystemLog]
            {
                let left = raw::call(syscall, registers);
                let refused = [Error::EmptySlot, Error::StaleCapability, Error::WrongKind];
                assert!(refused.map(Error::code).contains(&left.code), "{left:?}");
            }
        }
    }
}

/// A process that was not given the system can't power off, log or read counters.
fn without_the_system_there_is_no_system() {
    let child = children::start("powerless", |spawn| spawn.system(Rights::empty()));
    assert_eq!(child.wait(), Ok(ExitReason::Exited(0)));
}

fn logger() {
    let slot = bootstrap().system;
    assert_eq!(inspect(slot).unwrap().rights, Rights::LOG);
    assert_eq!(system::shutdown(0), Error::MissingRights);
    assert_eq!(system::statistic(Statistic::FreeFrames), Err(Error::MissingRights));
    assert_eq!(copy_to(slot, CapSlot::NULL, Rights::all(), 0), Err(Error::MissingRights));
    drop(granted(0));
}

/// A process that may log can't power off, read counters, or hand its right on.
fn the_right_to_log_is_no_other() {
    let endpoint = Endpoint::create().unwrap();
    let child = children::start("logger", |spawn| {
        spawn.system(Rights::LOG).grant(endpoint.slot(), Rights::SEND, 0)
    });
    children::succeed(&child);
}
