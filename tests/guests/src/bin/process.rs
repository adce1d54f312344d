//! Processes: what they are made of, and who pays.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use guests::{bare::Program, children, code, counters::leaves_nothing, places, suite};
use orbital_user::{
    CapSlot, Endpoint, Error, ExitReason, Process, Rights,
    abi::{Registers, Syscall, arguments::ProcessCreate},
    capability::copy_to,
    spawn::{Child, Spawn, SpawnError},
    start::bootstrap,
    syscall::harmless,
};

suite! {
    cases: [
        hundreds_of_processes_leave_nothing_behind,
        programs_leave_nothing_behind,
        quotas_are_carved_and_come_back,
        more_than_everything_can_t_be_given,
        names_are_checked,
        rights_are_checked,
        damaged_programs_are_refused,
        too_small_quotas_are_refused,
    ],
    roles: [carves, succeeds],
}

fn kill(child: &Child) {
    assert_eq!(child.process.kill(), Ok(()));
    assert_eq!(child.wait(), Ok(ExitReason::Killed));
}

code! {
    exits: ["mov eax, 33", "syscall"] ["ud2"];
}

/// Two hundred processes, one after the other: every frame, every byte and every object comes back.
fn hundreds_of_processes_leave_nothing_behind() {
    let program = Program::new(exits);
    leaves_nothing(200, || assert_eq!(program.run(5), ExitReason::Exited(5)));
}

fn succeeds() {}

/// The same for whole programs.
fn programs_leave_nothing_behind() {
    places::pave(256 << 20);
    leaves_nothing(30, || children::succeed(&children::start("succeeds", |s| s)));
}

fn carves() {
    // What it has, less what it uses already, by halving.
    let most = |give: &dyn Fn(u64) -> bool| {
        let (mut can, mut can_not) = (0, 1 << 40);
        while can_not - can > 1 {
            let middle = can + (can_not - can) / 2;
            if give(middle) {
                can = middle;
            } else {
                can_not = middle;
            }
        }
        can
    };
    // What a process had comes back when its end has been waited for.
    let made_and_ended = |process: Result<Process, Error>| {
        let Ok(process) = process else { return false };
        process.kill().and_then(|()| process.wait()).expect("its end");
        true
    };
    let frames = || most(&|frames| made_and_ended(Process::create("frames", frames, 4096)));
    let bytes = || most(&|bytes| made_and_ended(Process::create("bytes", 1, bytes)));
    let before = (frames(), bytes());
    assert!(before.0 > 10 && before.1 > 10_000, "{before:?}");
    for _ in 0..20 {
        let half = Process::create("half", before.0 / 2, before.1 / 2).unwrap();
        assert_eq!(
            Process::create("more", before.0 / 2 + 2, 4096).err(),
            Some(Error::QuotaExceeded)
        );
        assert_eq!(Process::create("more", 1, before.1 / 2 + 2).err(), Some(Error::QuotaExceeded));
        half.kill().unwrap();
        half.wait().unwrap();
    }
    assert_eq!((frames(), bytes()), before, "quota was lost");
}

/// A child's quota is its parent's loss until the child has ended and is let go; then all of it is
/// back. More than there is can't be given, in frames or bytes.
fn quotas_are_carved_and_come_back() {
    children::succeed(&children::start("carves", |s| s.quota(512, 256 * 1024)));
}

/// Nobody can give more than everything.
fn more_than_everything_can_t_be_given() {
    for (frames, bytes) in [(u64::MAX, 0), (0, u64::MAX), (1 << 40, 4096), (16, 1 << 40)] {
        let refused = Process::create("greedy", frames, bytes).err();
        assert_eq!(refused, Some(Error::QuotaExceeded), "{frames} {bytes}");
    }
    let file = children::own_file();
    let refused = Spawn::new("greedy").quota(1 << 40, 65536).start(file).err();
    assert_eq!(refused, Some(SpawnError::Kernel(Error::QuotaExceeded)));
}

/// Names are UTF-8 without control characters, and at most 16 bytes.
fn names_are_checked() {
    let create = |name: [u8; 16]| {
        let arguments = ProcessCreate { name, frames: 8, kernel_bytes: 8192 };
        let results = harmless(Syscall::ProcessCreate, &arguments.encode())?;
        drop(Process::from_slot(CapSlot::from_bits(results.control[0])));
        Ok(())
    };
    for name in ["", "0123456789abcdef", "äöüß€🦀\0", "a b"] {
        let mut bytes = [0; 16];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        assert_eq!(create(bytes), Ok(()), "{name:?}");
    }
    for byte in (0x01..0x20).chain(0x7f..=0xff) {
        for place in [0, 7, 15] {
            let mut name = [b'a'; 16];
            name[place] = byte;
            assert_eq!(create(name), Err(Error::InvalidArgument), "{byte:#x} at {place}");
        }
    }
    // A zero within, and a C1 control character.
    assert_eq!(create(*b"a\0bcdefghijklmno"), Err(Error::InvalidArgument));
    assert_eq!(create(*b"a\xc2\x9bcdefghijklmno"), Err(Error::InvalidArgument));
    assert_eq!(Process::create("seventeen letters", 8, 8192).err(), Some(Error::InvalidArgument));
}

/// `MANAGE` to kill, `WAIT` to wait; and the capability must be a process's.
fn rights_are_checked() {
    let process = Process::create("guarded", 8, 8192).unwrap();
    let narrowed =
        |rights| Process::from_slot(copy_to(process.slot(), CapSlot::NULL, rights, 0).unwrap());
    assert_eq!(narrowed(Rights::WAIT | Rights::GRANT).kill(), Err(Error::MissingRights));
    assert_eq!(narrowed(Rights::MANAGE).try_wait(), Err(Error::MissingRights));
    assert_eq!(narrowed(Rights::MANAGE).wait(), Err(Error::MissingRights));
    let other = |slot| core::mem::ManuallyDrop::new(Process::from_slot(slot));
    let endpoint = Endpoint::create().unwrap();
    for wrong in [bootstrap().thread, bootstrap().system, endpoint.slot()] {
        assert_eq!(other(wrong).kill(), Err(Error::WrongKind));
        assert_eq!(other(wrong).try_wait(), Err(Error::WrongKind));
    }
    let stale = narrowed(Rights::all()).slot();
    assert_eq!(other(stale).kill(), Err(Error::StaleCapability));
    assert_eq!(other(CapSlot::NULL).kill(), Err(Error::EmptySlot));
    let slot = process.slot().bits();
    for deadline in [1, 1 << 10] {
        let registers = Registers::control([slot, deadline, 0, 0]);
        let refused = harmless(Syscall::ProcessWait, &registers).err();
        assert_eq!(refused, Some(Error::TimedOut), "{deadline}");
    }
    assert_eq!(narrowed(Rights::MANAGE).kill(), Ok(()));
    assert_eq!(narrowed(Rights::WAIT).wait(), Ok(ExitReason::Killed));
}

/// A program's file with each of its header's bytes damaged in turn, or cut off, starts or is
/// refused; neither leaves anything.
fn damaged_programs_are_refused() {
    let file = children::own_file();
    let refused = |bytes: &[u8]| match Spawn::new("damaged").prepare(bytes) {
        Ok(child) => {
            kill(&child);
            false
        }
        Err(SpawnError::Elf(_)) => true,
        Err(other) => panic!("{other}"),
    };
    assert!(!refused(file));
    for length in [0, 1, 4, 16, 63, 64, 100, 5000] {
        assert!(refused(&file[..length]), "cut off after {length} bytes");
    }
    let mut damaged = file.to_vec();
    for place in 0..24 {
        // Version numbers and what the ABI says are not looked at by all.
        damaged[place] ^= 0xff;
        let was = refused(&damaged);
        damaged[place] ^= 0xff;
        assert!(was || (4..16).contains(&place) || place >= 20, "byte {place}");
    }
    // The entry point, the table of segments and its length.
    for place in [24 + 5, 32 + 7, 54] {
        damaged[place] ^= 0xff;
        assert!(refused(&damaged), "byte {place}");
        damaged[place] ^= 0xff;
    }
}

/// Starting a program with any quota that is too small fails with `QuotaExceeded`, at whatever step;
/// nothing of it is left.
fn too_small_quotas_are_refused() {
    let file = children::own_file();
    let outcome = |frames, bytes| match Spawn::new("small").quota(frames, bytes).prepare(file) {
        Ok(child) => {
            kill(&child);
            None
        }
        Err(error) => Some(error),
    };
    let refused = Some(SpawnError::Kernel(Error::QuotaExceeded));
    for frames in 0..7 {
        assert_eq!(outcome(frames, 65536), refused, "{frames} frames");
    }
    for bytes in (0..2048).step_by(128) {
        assert_eq!(outcome(64, bytes), refused, "{bytes} bytes");
    }
    assert_eq!(outcome(64, 65536), None);
}
