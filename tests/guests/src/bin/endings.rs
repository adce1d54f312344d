//! Every way to end a process, and that all of it ends.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use guests::{
    children,
    counters::{Counters, leaves_nothing},
    places, suite,
};
use orbital_user::{
    CapSlot, Endpoint, Error, ExitReason, MemoryObject, Message, Process, Rights,
    abi::{Registers, Syscall},
    capability::copy_to,
    spawn::{Child, Spawn},
    start::{self, bootstrap, take_granted},
    syscall::harmless,
    thread,
};

suite! {
    cases: [
        exit_codes_are_delivered,
        a_process_that_runs_is_killed,
        a_process_that_is_ready_is_killed,
        a_process_that_waits_is_killed,
        a_process_that_was_never_started_is_killed,
        a_process_ends_once,
        a_process_kills_itself,
        several_wait_for_one_process,
        the_end_of_a_parent_is_its_family_s,
        a_process_without_capabilities_is_ended,
        a_process_with_many_threads_ends_wholly,
    ],
    roles: [exits_as_told, spins, waits, begets, threads_of_all_kinds, kills_itself],
}

fn number(key: &str) -> u64 {
    guests::option(key).and_then(|text| text.parse().ok()).expect("a number")
}

fn exits_as_told() {
    start::exit(number("code"));
}

/// Tells the parent, if that wants to know, that it has come so far.
fn report() {
    if let Some(parent) = take_granted(0) {
        Endpoint::from_slot(parent.into_slot()).send(&Message::default()).unwrap();
    }
}

fn spins() {
    report();
    loop {
        core::hint::spin_loop();
    }
}

fn waits() {
    report();
    let _ = Endpoint::create().unwrap().receive();
}

/// Starts `role`, which reports, and waits for that.
fn reporting(role: &str, with: impl FnOnce(Spawn<'_>) -> Spawn<'_>) -> Child {
    let endpoint = Endpoint::create().unwrap();
    let child = children::start(role, |s| with(s.grant(endpoint.slot(), Rights::SEND, 0)));
    endpoint.receive().unwrap();
    child
}

/// 0, 1 and the largest number arrive as they were given.
fn exit_codes_are_delivered() {
    for code in [0, 1, 101, u64::MAX - 1, u64::MAX] {
        let arguments = alloc::format!("code={code}");
        let child = children::start_with_arguments("exits_as_told", &arguments, |s| s);
        assert_eq!(child.wait(), Ok(ExitReason::Exited(code)));
        assert_eq!(child.process.try_wait(), Ok(ExitReason::Exited(code)));
    }
}

fn kill(child: &Child) {
    assert_eq!(child.process.kill(), Ok(()));
    assert_eq!(child.wait(), Ok(ExitReason::Killed));
    assert_eq!(child.thread.wait(), Ok(ExitReason::Killed));
    assert_eq!(child.process.kill(), Err(Error::Ended));
}

/// One that spins for ever ends, killed by a more urgent thread and by an equal one.
fn a_process_that_runs_is_killed() {
    kill(&reporting("spins", |s| s));
    let child = reporting("spins", |s| s);
    thread::spawn(move || kill(&child)).unwrap().join().unwrap();
}

/// One that never had its turn ends.
fn a_process_that_is_ready_is_killed() {
    kill(&children::start("spins", |s| s));
}

/// One that waits for a message ends.
fn a_process_that_waits_is_killed() {
    let child = reporting("waits", |s| s);
    thread::spawn_with_priority(1, || ()).unwrap().join().unwrap();
    kill(&child);
}

/// One with a thread that nobody has started, and one without any thread, end.
fn a_process_that_was_never_started_is_killed() {
    kill(&Spawn::new("never").prepare(children::own_file()).unwrap());
    let empty = Process::create("empty", 8, 8192).unwrap();
    assert_eq!(empty.try_wait(), Err(Error::WouldBlock));
    assert_eq!(empty.kill(), Ok(()));
    assert_eq!(empty.wait(), Ok(ExitReason::Killed));
    assert_eq!(empty.kill(), Err(Error::Ended));
}

/// The first end counts: a kill of one that exited is refused and changes nothing.
fn a_process_ends_once() {
    let child = children::start_with_arguments("exits_as_told", "code=6", |s| s);
    assert_eq!(child.wait(), Ok(ExitReason::Exited(6)));
    for _ in 0..2 {
        assert_eq!(child.process.kill(), Err(Error::Ended));
        assert_eq!(child.wait(), Ok(ExitReason::Exited(6)));
    }
}

fn kills_itself() {
    let slot = bootstrap().process.bits();
    let _ = harmless(Syscall::ProcessKill, &Registers::control([slot, 0, 0, 0]));
    start::exit(1);
}

/// A process that kills itself ends there and then.
fn a_process_kills_itself() {
    assert_eq!(children::start("kills_itself", |s| s).wait(), Ok(ExitReason::Killed));
}

/// Five threads wait for one process, and are told alike; later ones at once.
fn several_wait_for_one_process() {
    let child = reporting("waits", |s| s);
    let waiters = [0; 5].map(|_| {
        let slot = child.process.slot();
        let own = copy_to(slot, CapSlot::NULL, Rights::WAIT, 0).unwrap();
        thread::spawn(move || Process::from_slot(own).wait()).unwrap()
    });
    thread::spawn_with_priority(1, || ()).unwrap().join().unwrap();
    assert_eq!(child.process.try_wait(), Err(Error::WouldBlock));
    child.process.kill().unwrap();
    for waiter in waiters {
        assert_eq!(waiter.join(), Ok(Ok(ExitReason::Killed)));
    }
    assert_eq!(child.wait(), Ok(ExitReason::Killed));
}

/// Starts the same program from the file that it was given, which starts the same, down to depth 0;
/// then all of them wait. A child of each has no program at all.
fn begets() {
    let (depth, length) = (number("depth"), number("length"));
    let parent = Endpoint::from_slot(take_granted(0).unwrap().into_slot());
    let file = MemoryObject::from_slot(take_granted(1).unwrap().into_slot());
    let _empty = Process::create("empty", 8, 8192).unwrap();
    let _child = (depth > 0).then(|| beget(&parent, &file, length, depth - 1));
    parent.send(&Message::new(0, &[depth]).unwrap()).unwrap();
    let _ = Endpoint::create().unwrap().receive();
}

fn beget(parent: &Endpoint, file: &MemoryObject, length: u64, depth: u64) -> Child {
    let program = file.map_read(length).unwrap();
    let arguments = alloc::format!("role=begets depth={depth} length={length}");
    let (frames, bytes) = (1000 * (depth + 1), 128 * 1024 * (depth + 1));
    let spawn = Spawn::new("begets").arguments(&arguments).quota(frames, bytes);
    let spawn = spawn.system(Rights::LOG | Rights::GRANT);
    let spawn = spawn.grant(parent.slot(), Rights::SEND | Rights::GRANT, 0);
    let spawn = spawn.grant(file.slot(), Rights::READ | Rights::GRANT, 0);
    spawn.start(&program[..length as usize]).unwrap()
}

/// When a parent is killed, its children and theirs end too, down to the fourth generation; all that
/// they had comes back to whoever gave it.
fn the_end_of_a_parent_is_its_family_s() {
    let endpoint = Endpoint::create().unwrap();
    let program = children::own_file();
    let file = MemoryObject::create(program.len() as u64).unwrap();
    file.map_write(program.len() as u64).unwrap()[..program.len()].copy_from_slice(program);
    for depth in 0..4 {
        let before = Counters::now();
        let child = beget(&endpoint, &file, program.len() as u64, depth);
        let mut missing = (1 << (depth + 1)) - 1;
        while missing != 0 {
            missing &= !(1 << endpoint.receive().unwrap().message.words[0]);
        }
        thread::spawn_with_priority(1, || ()).unwrap().join().unwrap();
        let during = Counters::now();
        assert_eq!(during.objects[0], before.objects[0] + 2 * (depth + 1), "processes");
        kill(&child);
        drop(child);
        let after = Counters::now();
        assert_eq!(after.objects[..3], before.objects[..3], "depth {depth}");
    }
}

/// A process that nobody has a capability to ends: with and without threads.
fn a_process_without_capabilities_is_ended() {
    leaves_nothing(10, || {
        drop(Process::create("dropped", 8, 8192).unwrap());
        // One that was made by `Spawn` has a capability to itself, and lives on; so this one's is
        // closed by its end.
        thread::spawn_with_priority(1, || ()).unwrap().join().unwrap();
    });
}

fn threads_of_all_kinds() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    for kind in 0..30 {
        let thread = thread::spawn(move || {
            let endpoint = core::mem::ManuallyDrop::new(Endpoint::from_slot(slot));
            match kind % 5 {
                0 => loop {
                    core::hint::spin_loop();
                },
                1 => loop {
                    thread::yield_now();
                },
                2 => drop(endpoint.receive()),
                3 => drop(harmless(
                    Syscall::ThreadWait,
                    &Registers::control([bootstrap().thread.bits(), u64::MAX, 0, 0]),
                )),
                _ => drop(harmless(
                    Syscall::ProcessWait,
                    &Registers::control([bootstrap().process.bits(), u64::MAX, 0, 0]),
                )),
            }
        });
        thread.unwrap().detach();
    }
    for _ in 0..3 {
        thread::yield_now();
    }
    report();
    match number("then") {
        0 => start::exit(12),
        _ => thread::exit(13),
    }
}

/// Thirty threads that spin, yield and wait for messages, threads and processes, its own end among
/// them, end with their process.
fn a_process_with_many_threads_ends_wholly() {
    places::pave(64 << 20);
    leaves_nothing(2, || {
        for (then, reason) in [(0, ExitReason::Exited(12)), (1, ExitReason::Killed)] {
            let endpoint = Endpoint::create().unwrap();
            let arguments = alloc::format!("then={then}");
            let child = children::start_with_arguments("threads_of_all_kinds", &arguments, |s| {
                s.grant(endpoint.slot(), Rights::SEND, 0).quota(2048, 512 * 1024)
            });
            endpoint.receive().unwrap();
            if then == 1 {
                assert_eq!(child.thread.wait(), Ok(ExitReason::Exited(13)));
                assert_eq!(child.process.try_wait(), Err(Error::WouldBlock));
                child.process.kill().unwrap();
            }
            assert_eq!(child.wait(), Ok(reason));
        }
    });
}
