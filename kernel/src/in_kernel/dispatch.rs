//! The dispatcher: it never returns, so the last of its tasks ends each test.
#![forbid(unsafe_code)]

use kernel::{
    arch::{Access, SavedRegisters, clock, timer},
    capability::Capability,
    memory::{self, usage},
    object::{Quota, Ref, registry::live},
    process::{Name, Process},
    sched,
    thread::{Tcb, control::ALL_CPUS, state::ThreadState},
    vm::{AddressSpace, MemoryObject, address_space::Mapping},
};
use orbital_abi::{
    Error, ExitReason, ObjectKind, Rights,
    layout::{PAGE_SIZE, USER_START},
};
use orbital_executor::yield_now;

use super::{kernel_test, pass};

/// Dispatches for ever.
fn dispatch() -> ! {
    sched::dispatch::next();
    unreachable!("there is no thread that could run")
}

kernel_test! {
    /// The kernel's own tasks are polled in turn, and interrupts come in between their polls.
    fn the_dispatcher_polls_kernel_tasks() {
        use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
        static TURNS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

        for turns in &TURNS {
            sched::spawn(9, async {
                loop {
                    turns.fetch_add(1, Relaxed);
                    yield_now().await;
                }
            }).unwrap();
        }
        sched::spawn(9, async {
            let (_, before) = sched::dispatch::counters();
            timer::arm(clock::nanoseconds() + 1_000_000);
            // The timer is not this task's alone: the dispatcher may take it back, so ask again.
            for turn in 1_u64.. {
                yield_now().await;
                for turns in &TURNS {
                    assert!(turns.load(Relaxed).abs_diff(turn) <= 1, "{TURNS:?} in turn {turn}");
                }
                if turn >= 100 && sched::dispatch::counters().1 > before {
                    pass();
                }
                assert!(turn < 100_000_000, "no interrupt came in");
            }
        }).unwrap();
        dispatch()
    }
}

/// What must be as before when a process has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Balance {
    frames: u64,
    heap_bytes: u64,
    objects: [u64; ObjectKind::ALL.len()],
}

impl Balance {
    fn now() -> Self {
        Self {
            frames: memory::free_frames(),
            heap_bytes: usage::bytes(),
            objects: ObjectKind::ALL.map(live),
        }
    }
}

fn name(text: &str) -> Name {
    Name::from(text).unwrap()
}

/// A process with memory, capabilities to it, a child with a thread, and two threads of its own.
fn populate(process: &Ref<Process>) -> [Ref<Tcb>; 2] {
    for page in 0..40 {
        let object = MemoryObject::new(2 * PAGE_SIZE, &process.quota).unwrap();
        object.write(PAGE_SIZE - 1, &[1, 2]).unwrap();
        let address = USER_START + page * (1 << 21);
        let mapping = Mapping::whole(&object, address, Access::ReadWrite);
        AddressSpace::map(&process.space, mapping).unwrap();
        assert!(process.space.translate(address + PAGE_SIZE).is_some());
        process.install(Capability::new(object, Rights::READ)).unwrap();
    }
    let thread = |process: &Ref<Process>| {
        let registers = SavedRegisters::new(USER_START, USER_START, 0).unwrap();
        Tcb::new(process, registers, 7, ALL_CPUS).unwrap()
    };
    let child = Process::new(process, name("child"), 16, 1 << 14).unwrap();
    drop(thread(&child));
    process.install(Capability::new(child, Rights::MANAGE)).unwrap();
    [thread(process), thread(process)]
}

kernel_test! {
    /// A process that is ended gives back all it had: threads, children, mappings, capabilities, quota.
    fn an_ended_process_gives_everything_back() {
        sched::spawn(9, async {
            let mut before = None;
            // The heap and its lists may grow the first time.
            for _ in 0..4 {
                let start = clock::microseconds();
                let quota = Quota::root(2048, 1 << 20).unwrap();
                let process = Process::first(name("first"), quota.clone()).unwrap();
                let threads = populate(&process);
                assert!(live(ObjectKind::Thread) >= 3);
                assert!(threads.iter().all(|thread| thread.state() == ThreadState::Inactive));
                let reason = ExitReason::Exited(5);
                assert!(process.end(reason));
                assert!(!process.end(ExitReason::Killed), "it ends once");
                assert_eq!(process.wait().await, reason);
                let all_frames = kernel::object::Charge::new(&quota, 2048, 0);
                assert!(all_frames.is_ok(), "they come back before those who wait are told");
                drop(all_frames);

                assert!(threads.iter().all(|thread| thread.state() == ThreadState::Ended));
                assert!(threads.iter().all(|thread| thread.start() == Err(Error::Ended)));
                let late = Process::new(&process, name("late"), 1, 1);
                assert_eq!(late.err(), Some(Error::Ended));
                drop((threads, process));
                // Whoever woke this task may still hold what it used.
                yield_now().await;
                assert!(kernel::object::Charge::new(&quota, 2048, 1 << 20).is_ok());
                drop(quota);
                let now = Balance::now();
                assert_eq!(*before.get_or_insert(now), now);
                assert!(clock::microseconds() - start < 30_000_000);
            }
            pass();
        }).unwrap();
        dispatch()
    }
}
