//! Programs that mean harm: bad pointers, handles that are none, everything used up.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::vec::Vec;

use guests::{
    bare::{PAGE, Program},
    children, code,
    counters::leaves_nothing,
    mapped::{PLACE, do_map, do_unmap, mapping},
    places,
    raw::refuse,
    suite,
};
use orbital_user::{
    CapSlot, Endpoint, Error, ExitReason, MemoryObject, Process, Rights,
    abi::{
        Registers, Syscall,
        arguments::SystemLog,
        layout::{STACK_SIZE, STACK_TOP, USER_END},
        statistics::Statistic,
    },
    capability::copy_to,
    start::bootstrap,
    syscall::{harmless, raw},
    system, thread,
};

suite! {
    cases: [
        log_pointers_are_checked,
        log_texts_are_checked,
        log_rights_are_checked,
        unknown_calls_are_refused,
        power_and_counters_need_their_rights,
        everything_is_used_up_by_one_program,
        a_program_that_only_faults_is_no_harm,
        a_storm_of_yields_and_calls_is_no_harm,
    ],
    roles: [powerless, uses_up_everything],
}

fn log(text: u64, bytes: u64) -> Registers {
    SystemLog { system: bootstrap().system, text, bytes }.encode()
}

/// Pointers of the kernel's, to nothing, over an end: an error and nothing else.
fn log_pointers_are_checked() {
    let memory = MemoryObject::create(PAGE).unwrap();
    do_map(mapping(&memory, PAGE)).unwrap();
    let behind = PLACE + PAGE;
    let refused =
        |address, bytes| refuse(Syscall::SystemLog, log(address, bytes), Error::InvalidAddress);
    for bytes in [1, 8, 256] {
        for address in [
            0,
            1,
            PAGE - 1,
            // Page 1 is not mapped.
            PAGE,
            PLACE - 1,
            behind,
            behind - bytes + 1,
            STACK_TOP - STACK_SIZE - 1,
            USER_END - 1,
            USER_END,
            0x7fff_ffff_ffff,
            0x8000_0000_0000,
            0xffff_7fff_ffff_ffff,
            0xffff_8000_0000_0000,
            0xffff_8000_0010_0000,
            0xffff_ff00_0000_1000,
            0xffff_ffff_8010_0000,
            u64::MAX - bytes,
            u64::MAX,
        ] {
            refused(address, bytes);
        }
    }
    // The last 256 bytes of a page, its first, and text of the program's own.
    for address in [behind - 256, PLACE] {
        assert!(harmless(Syscall::SystemLog, &log(address, 256)).is_ok(), "{address:#x}");
    }
    do_unmap(PLACE, PAGE).unwrap();
    refused(PLACE, 1);
}

/// Too long, or no UTF-8: refused. Control characters are written as something else.
fn log_texts_are_checked() {
    let text = [b'.'; 512];
    let address = text.as_ptr() as u64;
    for bytes in [257, 512, 1 << 32, 1 << 32 | 1, u64::MAX] {
        refuse(Syscall::SystemLog, log(address, bytes), Error::InvalidArgument);
        // Length goes before pointer: nothing is read.
        refuse(Syscall::SystemLog, log(u64::MAX, bytes), Error::InvalidArgument);
    }
    assert!(harmless(Syscall::SystemLog, &log(address, 256)).is_ok());
    let broken: [&[u8]; 6] =
        [b"\xff", b"a\x80", b"\xc3", b"\xe2\x82", b"\xed\xa0\x80", b"\xf5\x80\x80\x80"];
    for text in broken {
        let registers = log(text.as_ptr() as u64, text.len() as u64);
        refuse(Syscall::SystemLog, registers, Error::InvalidArgument);
    }
    for text in ["\0", "\n", "\r\n", "\x1b[2J", "\u{7f}", "\u{9b}2J", "\u{85}", "a\nb", "äöü€🦀"]
    {
        let registers = log(text.as_ptr() as u64, text.len() as u64);
        assert!(harmless(Syscall::SystemLog, &registers).is_ok(), "{text:?}");
    }
}

/// The right to log, on the system and nothing else.
fn log_rights_are_checked() {
    let text = "!";
    let with = |system| SystemLog { system, text: text.as_ptr() as u64, bytes: 1 }.encode();
    let rights = Rights::all().difference(Rights::LOG);
    let weak = copy_to(bootstrap().system, CapSlot::NULL, rights, 0).unwrap();
    refuse(Syscall::SystemLog, with(weak), Error::MissingRights);
    orbital_user::capability::close(weak).unwrap();
    refuse(Syscall::SystemLog, with(weak), Error::StaleCapability);
    refuse(Syscall::SystemLog, with(CapSlot::NULL), Error::EmptySlot);
    refuse(Syscall::SystemLog, with(bootstrap().process), Error::WrongKind);
}

/// Every number up to 4096 that is no system call, and large ones.
fn unknown_calls_are_refused() {
    let unknown = (0..4096).filter(|number| Syscall::from_number(*number).is_none());
    let large = (12..64).flat_map(|bit| [1 << bit, (1 << bit) - 1, 1 << bit | 33]);
    for number in unknown.chain(large).chain([u64::MAX]) {
        if Syscall::from_number(number).is_some() {
            continue;
        }
        let mut registers = guests::raw::NOISE;
        // SAFETY: there is no such call.
        let code = unsafe { raw(number, &mut registers) };
        assert_eq!((code, registers), (Error::UnknownSyscall.code(), Registers::default()));
    }
}

fn powerless() {
    assert_eq!(system::shutdown(0), Error::MissingRights);
    for statistic in Statistic::ALL {
        assert_eq!(system::statistic(statistic), Err(Error::MissingRights));
    }
    let own = CapSlot::NULL;
    let all = copy_to(bootstrap().system, own, Rights::all(), 0);
    assert_eq!(all.err(), Some(Error::MissingRights), "it can't be copied without GRANT");
}

/// A child that may only log can neither power off nor read counters; numbers without a counter are
/// refused.
fn power_and_counters_need_their_rights() {
    children::succeed(&children::start("powerless", |s| s));
    let end = Statistic::ALL.iter().map(|one| *one as u64 + 1).max().unwrap();
    for number in [end, 1000, u64::MAX] {
        let registers = Registers::control([bootstrap().system.bits(), number, 0, 0]);
        refuse(Syscall::SystemStatistics, registers, Error::InvalidArgument);
    }
    let rights = Rights::all().difference(Rights::SHUTDOWN | Rights::STATISTICS);
    let weak = copy_to(bootstrap().system, CapSlot::NULL, rights, 0).unwrap();
    let registers = Registers::control([weak.bits(), 0, 0, 0]);
    refuse(Syscall::SystemShutdown, registers, Error::MissingRights);
    refuse(Syscall::SystemStatistics, registers, Error::MissingRights);
}

/// Makes objects of every kind, in turns, until each is refused.
fn uses_up_everything() {
    let mut processes = Vec::with_capacity(512);
    let mut endpoints = Vec::with_capacity(8192);
    let mut memory = Vec::with_capacity(8192);
    let mut copies = Vec::with_capacity(8192);
    loop {
        let before = processes.len() + endpoints.len() + memory.len() + copies.len();
        processes.extend(Process::create("more", 2, 2048));
        endpoints.extend(Endpoint::create());
        memory.extend(MemoryObject::create(PAGE));
        if let Some(endpoint) = endpoints.last() {
            copies.extend(endpoint.copy(Rights::SEND, 1));
        }
        if processes.len() + endpoints.len() + memory.len() + copies.len() == before {
            break;
        }
    }
    assert_eq!(Process::create("more", 2, 2048).err(), Some(Error::QuotaExceeded));
    assert_eq!(Endpoint::create().err(), Some(Error::QuotaExceeded));
    // And leaves all of it to whoever comes after.
    core::mem::forget((processes, endpoints, memory, copies));
}

/// A program that takes all that its quota gives takes nothing from others, and all comes back.
fn everything_is_used_up_by_one_program() {
    places::pave(64 << 20);
    leaves_nothing(3, || {
        let child = children::start("uses_up_everything", |s| s.quota(1024, 256 * 1024));
        children::succeed(&child);
    });
}

code! {
    faults: [] ["ud2"];
    storm: [
        "push rdi",
        "2: mov eax, 16", "syscall",
        "mov eax, 999", "syscall",
        "mov edi, -1", "mov eax, 49", "syscall",
        "dec qword ptr [rsp]", "jnz 2b",
        "xor edi, edi", "mov eax, 33", "syscall",
    ] ["ud2"];
}

/// A thousand faults, one after the other, and many at once.
fn a_program_that_only_faults_is_no_harm() {
    let program = Program::new(faults);
    leaves_nothing(3, || {
        let bare = program.prepare_with(0, 16, 128 * 1024);
        let threads: Vec<_> = (0..60).map(|_| program.thread(&bare.process, 0, 0, 128)).collect();
        for thread in &threads {
            thread.start().unwrap();
        }
        for thread in &threads {
            assert!(matches!(thread.wait(), Ok(ExitReason::Faulted(_))));
        }
        assert_eq!(bare.process.try_wait(), Err(Error::WouldBlock));
    });
}

/// Ten processes that do nothing but enter the kernel do not keep another from its work.
fn a_storm_of_yields_and_calls_is_no_harm() {
    let program = Program::new(storm);
    let storms = [0; 10].map(|_| program.start(2000));
    let work = thread::spawn(|| {
        let endpoint = Endpoint::create().unwrap();
        for _ in 0..20 {
            thread::yield_now();
            assert!(endpoint.try_receive().is_err());
        }
    });
    work.unwrap().join().unwrap();
    let running =
        storms.iter().filter(|bare| bare.process.try_wait() == Err(Error::WouldBlock)).count();
    assert_eq!(running, 10, "it had its turns while all of them were at it");
    for bare in storms {
        assert_eq!(bare.process.wait(), Ok(ExitReason::Exited(0)));
    }
}
