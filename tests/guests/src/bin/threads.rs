//! Threads: their beginning, their end, and what it leaves.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::vec::Vec;

use guests::{
    bare::{Bare, CODE, PAGE, Program, STACK_TOP, faulted},
    children, code,
    counters::leaves_nothing,
    suite,
};
use orbital_user::{
    CapSlot, Endpoint, Error, ExitReason, FaultKind, IpcError, Message, Process, Rights, Thread,
    abi::{arguments::ThreadCreate, layout::USER_END},
    capability::{Capability, copy_to},
    start::{self, bootstrap},
    thread::{self, DEFAULT_PRIORITY},
};

suite! {
    cases: [
        exit_codes_of_threads_are_delivered,
        a_thread_is_started_once,
        a_thread_that_ended_stays_ended,
        waits_for_a_thread_end_with_it,
        a_thread_not_started_yet_can_be_waited_for,
        the_last_thread_s_end_is_the_process_s,
        the_end_of_other_threads_is_not,
        a_process_without_threads_waits_for_its_first,
        arguments_are_checked,
        rights_are_checked,
        a_thread_without_capabilities_is_ended,
        a_failed_creation_leaves_the_process_alone,
        hundreds_of_threads_until_the_quota_is_used_up,
        threads_leave_nothing_behind,
        a_blocked_thread_is_ended,
    ],
    roles: [fills_its_table, many_threads],
}

code! {
    // ThreadExit with the argument.
    exits_thread: ["mov eax, 17", "syscall"] ["ud2"];
    // ProcessExit with the argument.
    exits: ["mov eax, 33", "syscall"] ["ud2"];
    yields: ["2: mov eax, 16", "syscall", "jmp 2b"] ["ud2"];
    // Receives from its argument, for ever; exits with the error.
    receives: ["mov rdx, -1", "mov eax, 2", "syscall", "mov rdi, rax", "mov eax, 33", "syscall"]
        ["ud2"];
}

const EDGES: [u64; 4] = [0, 1, 1 << 63, u64::MAX];

/// A thread's own exit code arrives with whoever waits for the thread, and, as it is the last, for
/// the process.
fn exit_codes_of_threads_are_delivered() {
    for code in EDGES {
        let Bare { process, thread } = Program::new(exits_thread).start(code);
        assert_eq!(thread.wait(), Ok(ExitReason::Exited(code)));
        assert_eq!(process.wait(), Ok(ExitReason::Exited(code)));
        assert_eq!(thread.try_wait(), Ok(ExitReason::Exited(code)));
    }
}

/// The second start of a thread is refused, whether it runs, has blocked or has ended.
fn a_thread_is_started_once() {
    let bare = Program::new(yields).prepare(0);
    assert_eq!(bare.thread.start(), Ok(()));
    assert_eq!(bare.thread.start(), Err(Error::AlreadyStarted));
    thread::spawn(thread::yield_now).unwrap().join().unwrap();
    assert_eq!(bare.thread.start(), Err(Error::AlreadyStarted));
    bare.process.kill().unwrap();
    assert_eq!(bare.thread.wait(), Ok(ExitReason::Killed));
    assert_eq!(bare.thread.start(), Err(Error::Ended));
    // One's own.
    let own = core::mem::ManuallyDrop::new(Thread::from_slot(bootstrap().thread));
    assert_eq!(own.start(), Err(Error::AlreadyStarted));
}

/// What has ended can't be started, and tells its reason again and again.
fn a_thread_that_ended_stays_ended() {
    let Bare { process, thread } = Program::new(exits_thread).start(5);
    process.wait().unwrap();
    for _ in 0..3 {
        assert_eq!(thread.start(), Err(Error::Ended));
        assert_eq!(thread.wait(), Ok(ExitReason::Exited(5)));
        assert_eq!(thread.try_wait(), Ok(ExitReason::Exited(5)));
    }
    let program = Program::new(exits_thread);
    let arguments = ThreadCreate {
        process: process.slot(),
        entry: program.marked(),
        stack: 0,
        argument: 0,
        priority: 1,
    };
    // SAFETY: the thread would run in another process.
    assert_eq!(unsafe { Thread::create(&arguments) }.err(), Some(Error::Ended));
}

/// Several wait for one thread, and all are told; who comes late is told at once.
fn waits_for_a_thread_end_with_it() {
    let endpoint = Endpoint::create().unwrap();
    let program = Program::new(receives);
    let bare = program.prepare(0);
    let slot = bare.give(endpoint.slot(), Rights::RECEIVE);
    let waited = program.thread(&bare.process, STACK_TOP, slot.bits(), 100);
    waited.start().unwrap();
    let waiters = [0; 5].map(|_| {
        let own =
            Capability::from_slot(copy_to(waited.slot(), CapSlot::NULL, Rights::WAIT, 0).unwrap());
        thread::spawn(move || Thread::from_slot(own.into_slot()).wait()).unwrap()
    });
    // All of them wait by now, for this is less urgent.
    thread::spawn_with_priority(50, || ()).unwrap().join().unwrap();
    assert_eq!(waited.try_wait(), Err(Error::WouldBlock));
    endpoint.send(&Message::default()).unwrap();
    let done = ExitReason::Exited(0);
    assert_eq!(bare.process.wait(), Ok(done));
    for waiter in waiters {
        assert_eq!(waiter.join(), Ok(Ok(done)));
    }
    assert_eq!(waited.wait(), Ok(done));
}

/// A wait that begins before the start ends with the thread.
fn a_thread_not_started_yet_can_be_waited_for() {
    let Bare { process, thread } = Program::new(exits_thread).prepare(9);
    assert_eq!(thread.try_wait(), Err(Error::WouldBlock));
    let copy = copy_to(thread.slot(), CapSlot::NULL, Rights::WAIT, 0).unwrap();
    let waiter = thread::spawn(move || Thread::from_slot(copy).wait()).unwrap();
    thread::spawn_with_priority(50, || ()).unwrap().join().unwrap();
    thread.start().unwrap();
    assert_eq!(waiter.join(), Ok(Ok(ExitReason::Exited(9))));
    assert_eq!(process.wait(), Ok(ExitReason::Exited(9)));
}

/// Of two threads the last to end gives the process its reason: a fault, a code.
fn the_last_thread_s_end_is_the_process_s() {
    let program = Program::new(exits_thread);
    let bare = program.prepare(1);
    let second = program.thread(&bare.process, STACK_TOP, 2, 100);
    bare.thread.start().unwrap();
    assert_eq!(bare.thread.wait(), Ok(ExitReason::Exited(1)));
    assert_eq!(bare.process.try_wait(), Err(Error::WouldBlock));
    second.start().unwrap();
    assert_eq!(second.wait(), Ok(ExitReason::Exited(2)));
    assert_eq!(bare.process.wait(), Ok(ExitReason::Exited(2)));

    let bare = program.prepare(1);
    let (process, stack, argument, priority) = (bare.process.slot(), STACK_TOP, 0, 100);
    let entry = CODE + PAGE;
    let arguments = ThreadCreate { process, entry, stack, argument, priority };
    // SAFETY: the thread runs in another process.
    let faulty = unsafe { Thread::create(&arguments) }.unwrap();
    bare.thread.start().unwrap();
    bare.thread.wait().unwrap();
    faulty.start().unwrap();
    let fault = faulted(FaultKind::PageExecute, CODE + PAGE, CODE + PAGE);
    assert_eq!(bare.process.wait(), Ok(fault));
    assert_eq!(faulty.wait(), Ok(fault));
}

/// Threads that end before the last do not end the process, whatever they end with.
fn the_end_of_other_threads_is_not() {
    let program = Program::new(exits_thread);
    let bare = program.prepare(77);
    for code in 0..20 {
        let other = program.thread(&bare.process, STACK_TOP, code, 100);
        other.start().unwrap();
        assert_eq!(other.wait(), Ok(ExitReason::Exited(code)));
        assert_eq!(bare.process.try_wait(), Err(Error::WouldBlock));
    }
    assert_eq!(bare.run(), ExitReason::Exited(77));
}

/// A process that was never given a thread is alive; its first one runs as any.
fn a_process_without_threads_waits_for_its_first() {
    let process = Process::create("empty", 8, 8192).unwrap();
    assert_eq!(process.try_wait(), Err(Error::WouldBlock));
    let program = Program::new(exits);
    let thread = program.thread(&process, 0, 3, 100);
    thread.start().unwrap();
    // There is no code.
    let fault = faulted(FaultKind::PageExecute, CODE, CODE);
    assert_eq!(process.wait(), Ok(fault));
}

/// Entries, stacks and priorities that can't be are refused, each with its error; the limits go.
fn arguments_are_checked() {
    let process = Process::create("checked", 8, 32 * 1024).unwrap();
    let good = ThreadCreate {
        process: process.slot(),
        entry: CODE,
        stack: STACK_TOP,
        argument: 0,
        priority: 1,
    };
    // SAFETY: the threads belong to another process and are never started.
    let create = |arguments: &ThreadCreate| unsafe { Thread::create(arguments) };
    let kept = create(&good).unwrap();
    for entry in [0, 1, PAGE - 1, USER_END, 1 << 47, 0xffff_8000_0000_0000, u64::MAX] {
        let refused = create(&ThreadCreate { entry, ..good }).err();
        assert_eq!(refused, Some(Error::InvalidAddress), "entry {entry:#x}");
    }
    for stack in [USER_END + 1, 1 << 47, 0xffff_8000_0000_0000, u64::MAX] {
        let refused = create(&ThreadCreate { stack, ..good }).err();
        assert_eq!(refused, Some(Error::InvalidAddress), "stack {stack:#x}");
    }
    for entry in [PAGE, USER_END - 1] {
        assert!(create(&ThreadCreate { entry, ..good }).is_ok(), "entry {entry:#x}");
    }
    for stack in [0, 1, 7, USER_END] {
        assert!(create(&ThreadCreate { stack, ..good }).is_ok(), "stack {stack:#x}");
    }
    let wrong = [
        (CapSlot::NULL, Error::EmptySlot),
        (CapSlot::new(u32::MAX, 1), Error::EmptySlot),
        (kept.slot(), Error::WrongKind),
        (bootstrap().system, Error::WrongKind),
    ];
    for (process, error) in wrong {
        assert_eq!(create(&ThreadCreate { process, ..good }).err(), Some(error), "{process:?}");
    }
    assert_eq!(process.try_wait(), Err(Error::WouldBlock));
}

/// `MANAGE` to create and to start, `WAIT` to wait.
fn rights_are_checked() {
    let bare = Program::new(exits).prepare(0);
    let narrowed =
        |slot, rights| Capability::from_slot(copy_to(slot, CapSlot::NULL, rights, 0).unwrap());
    let wait_only = narrowed(bare.thread.slot(), Rights::WAIT | Rights::GRANT);
    let manage_only = narrowed(bare.thread.slot(), Rights::MANAGE);
    let weak = narrowed(bare.process.slot(), Rights::WAIT | Rights::GRANT);
    let wait_only = Thread::from_slot(wait_only.into_slot());
    let manage_only = Thread::from_slot(manage_only.into_slot());
    assert_eq!(wait_only.start(), Err(Error::MissingRights));
    assert_eq!(manage_only.try_wait(), Err(Error::MissingRights));
    assert_eq!(manage_only.wait(), Err(Error::MissingRights));
    let process = weak.slot();
    let arguments = ThreadCreate { process, entry: CODE, stack: 0, argument: 0, priority: 0 };
    // SAFETY: no thread is made.
    assert_eq!(unsafe { Thread::create(&arguments) }.err(), Some(Error::MissingRights));
    assert_eq!(wait_only.try_wait(), Err(Error::WouldBlock));
    assert_eq!(manage_only.start(), Ok(()));
    assert_eq!(wait_only.wait(), Ok(ExitReason::Exited(0)));
}

/// A thread that nobody has a capability to is ended: not started, running, blocked.
fn a_thread_without_capabilities_is_ended() {
    let program = Program::new(yields);
    for started in [false, true] {
        let Bare { process, thread } = program.prepare(0);
        let witness = program.thread(&process, STACK_TOP, 0, 1);
        if started {
            thread.start().unwrap();
            thread::spawn(thread::yield_now).unwrap().join().unwrap();
        }
        drop(thread);
        assert_eq!(process.try_wait(), Err(Error::WouldBlock), "the other thread is left");
        drop(witness);
        assert_eq!(process.wait(), Ok(ExitReason::Killed));
    }
    let endpoint = Endpoint::create().unwrap();
    let bare = Program::new(receives).prepare(0);
    let slot = bare.give(endpoint.slot(), Rights::RECEIVE);
    let blocked = Program::new(receives).thread(&bare.process, STACK_TOP, slot.bits(), 100);
    blocked.start().unwrap();
    thread::spawn_with_priority(50, || ()).unwrap().join().unwrap();
    assert_eq!(endpoint.try_receive(), Err(IpcError::WouldBlock));
    drop(blocked);
    thread::spawn_with_priority(50, || ()).unwrap().join().unwrap();
    // It no longer waits there.
    assert_eq!(endpoint.try_send(&Message::default()), Err(IpcError::WouldBlock));
}

fn fills_its_table() {
    let victim = Process::create("victim", 8, 16 * 1024).unwrap();
    let endpoint = Endpoint::create().unwrap();
    let mut slots = Vec::new();
    let error = loop {
        match copy_to(endpoint.slot(), CapSlot::NULL, Rights::SEND, 0) {
            Ok(slot) => slots.push(slot),
            Err(error) => break error,
        }
    };
    assert_eq!(error, Error::QuotaExceeded);
    let process = victim.slot();
    let priority = DEFAULT_PRIORITY;
    let arguments = ThreadCreate { process, entry: CODE, stack: 0, argument: 0, priority };
    // SAFETY: the thread would run in another process.
    let create = || unsafe { Thread::create(&arguments) };
    for _ in 0..10 {
        assert_eq!(create().err(), Some(Error::QuotaExceeded));
        // What was left of it would have its turn now.
        thread::yield_now();
        assert_eq!(victim.try_wait(), Err(Error::WouldBlock), "it ended with the failed thread");
    }
    drop(Capability::from_slot(slots.pop().unwrap()));
    assert!(create().is_ok());
}

/// A thread that could not be made, because there was no slot for its capability, leaves the process
/// that it was for as it was.
fn a_failed_creation_leaves_the_process_alone() {
    children::succeed(&children::start("fills_its_table", |s| s.quota(512, 128 * 1024)));
}

/// Makes and starts threads until the quota is used up; gives how many.
fn until_full() -> usize {
    let arguments = ThreadCreate {
        process: bootstrap().process,
        // Behind the two words that stand before the code.
        entry: exits_thread as *const () as u64 + 16,
        stack: 0,
        argument: 3,
        priority: 100,
    };
    let mut threads = Vec::new();
    let error = loop {
        // SAFETY: such a thread does nothing but end.
        match unsafe { Thread::create(&arguments) } {
            Ok(thread) => threads.push(thread),
            Err(error) => break error,
        }
    };
    assert_eq!(error, Error::QuotaExceeded);
    for thread in &threads {
        thread.start().unwrap();
    }
    for thread in &threads {
        assert_eq!(thread.wait(), Ok(ExitReason::Exited(3)));
    }
    threads.len()
}

fn many_threads() {
    // The first round makes the table larger, which stays.
    until_full();
    let count = until_full();
    assert!(count >= 200, "{count} threads");
    for _ in 0..3 {
        assert_eq!(until_full(), count, "the threads of the round before are not all given back");
    }
    start::exit(0);
}

/// Hundreds of threads, as many as the quota allows, end and can all be made again.
fn hundreds_of_threads_until_the_quota_is_used_up() {
    children::succeed(&children::start("many_threads", |s| s.quota(512, 512 * 1024)));
}

/// Threads of other processes, one after the other and many in one, leave nothing of theirs.
fn threads_leave_nothing_behind() {
    let program = Program::new(exits_thread);
    leaves_nothing(20, || {
        let bare = program.prepare(0);
        let others = [0; 8].map(|_| program.thread(&bare.process, STACK_TOP, 0, 100));
        // Half of them are never started.
        for other in &others[..4] {
            other.start().unwrap();
        }
        bare.thread.start().unwrap();
        assert_eq!(bare.thread.wait(), Ok(ExitReason::Exited(0)));
        drop(others);
        assert_eq!(bare.process.wait(), Ok(ExitReason::Killed));
    });
}

/// A thread that waits for a message that never comes ends with its process, at once.
fn a_blocked_thread_is_ended() {
    let endpoint = Endpoint::create().unwrap();
    let program = Program::new(receives);
    leaves_nothing(5, || {
        let bare = program.prepare(0);
        let slot = bare.give(endpoint.slot(), Rights::RECEIVE);
        let blocked = [0; 4].map(|_| program.thread(&bare.process, 0, slot.bits(), 100));
        for thread in &blocked {
            thread.start().unwrap();
        }
        thread::spawn_with_priority(50, || ()).unwrap().join().unwrap();
        bare.process.kill().unwrap();
        assert_eq!(bare.process.wait(), Ok(ExitReason::Killed));
        for thread in &blocked {
            assert_eq!(thread.wait(), Ok(ExitReason::Killed));
        }
    });
}
