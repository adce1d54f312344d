//! A booted kernel for one test: init without threads, programs that are futures, and a loop that
//! plays the CPU. When it goes, everything that the test made is ended, and every frame, object
//! and charge must be back: each test is a test of the clean-up too.
#![forbid(unsafe_code)]

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Once,
    task::{Context, Poll, Waker},
};

use orbital_abi::{CapSlot, ExitReason, ObjectKind, Registers, Rights, Syscall};

use super::user::{self, Request};
use crate::{
    arch::{
        SavedRegisters, Trap,
        host::{Machine, Stop, clock, entry, machine, run},
        timer,
    },
    capability::Capability,
    ipc::Endpoint,
    memory,
    object::{Charge, Object, Quota, Ref, registry},
    process::{Name, Process},
    reap, sched,
    thread::Tcb,
};

/// Frames that init has.
pub const FRAMES: u64 = 4000;
/// Kernel memory that init has, in bytes.
pub const KERNEL_BYTES: u64 = 4 << 20;
/// Kernel memory of a child, in bytes: enough for a few threads and a table.
pub const CHILD_BYTES: u64 = 64 << 10;
/// Frames of a child.
pub const CHILD_FRAMES: u64 = 200;

/// Where programs start; each has an address of its own.
const FIRST_ENTRY: u64 = 0x40_0000;
/// A run that has not ended after so many turns never will.
const MOST_TURNS: usize = 1_000_000;

type Program = Pin<Box<dyn Future<Output = u64>>>;

/// A program and where it is.
struct Running {
    program: Program,
    doing: Doing,
}

enum Doing {
    /// Its own instructions: it can be polled.
    Computing,
    /// A system call; the answer stands in the registers once the thread runs again.
    Calling,
    /// So many microseconds of work.
    Working(u64),
}

/// The fixture.
pub struct Kernel {
    /// Parent of all processes of the test.
    pub init: Ref<Process>,
    /// Asked before each turn: whether the timer's interrupt comes just then.
    pub preempt: Option<Box<dyn FnMut() -> bool>>,
    quota: Ref<Quota>,
    programs: Vec<Option<Program>>,
    running: HashMap<u64, Running>,
    before: Counts,
    _machine: Machine,
}

/// What must be the same after a test as before.
#[derive(Debug, PartialEq, Eq)]
pub struct Counts {
    free_frames: u64,
    objects: [u64; ObjectKind::ALL.len()],
}

impl Counts {
    /// As it is now.
    pub fn now() -> Self {
        Self { free_frames: memory::free_frames(), objects: ObjectKind::ALL.map(registry::live) }
    }
}

impl Kernel {
    /// Boots.
    pub fn boot() -> Self {
        static REAPER: Once = Once::new();
        let machine = machine();
        REAPER.call_once(|| {
            sched::init();
            sched::spawn(reap::reap()).unwrap();
        });
        let before = Counts::now();
        let quota = Quota::root(FRAMES, KERNEL_BYTES).unwrap();
        let init = Process::first(Name::from("init").unwrap(), quota.clone()).unwrap();
        Self {
            init,
            preempt: None,
            quota,
            programs: Vec::new(),
            running: HashMap::new(),
            before,
            _machine: machine,
        }
    }

    /// A child of init.
    pub fn process(&self, name: &str) -> Ref<Process> {
        Process::new(&self.init, Name::from(name).unwrap(), CHILD_FRAMES, CHILD_BYTES).unwrap()
    }

    /// Keeps `program`, whose output is its exit code, for a thread that starts at the address.
    pub fn program(&mut self, program: impl Future<Output = u64> + 'static) -> u64 {
        self.programs.push(Some(Box::pin(program)));
        FIRST_ENTRY + self.programs.len() as u64 - 1
    }

    /// A thread that is not started.
    pub fn thread(
        &mut self,
        process: &Ref<Process>,
        priority: u8,
        program: impl Future<Output = u64> + 'static,
    ) -> Ref<Tcb> {
        let registers = SavedRegisters::new(self.program(program), 0x7000_0000, 0).unwrap();
        Tcb::new(process, registers, priority).unwrap()
    }

    /// A thread that is started, with exit code 0.
    pub fn spawn(
        &mut self,
        process: &Ref<Process>,
        priority: u8,
        program: impl Future<Output = ()> + 'static,
    ) -> Ref<Tcb> {
        let program = async {
            program.await;
            0
        };
        let thread = self.thread(process, priority, program);
        thread.start().unwrap();
        thread
    }

    /// Lets the machine run until it stops by itself.
    pub fn run(&mut self) -> Stop {
        let mut left = run(sched::dispatch::next);
        for _ in 0..MOST_TURNS {
            match left {
                Ok(_) => left = self.turn(),
                Err(stop) => return stop,
            }
        }
        panic!("the run does not end");
    }

    /// Lets the machine run until it has nothing to do.
    pub fn run_until_idle(&mut self) {
        assert_eq!(self.run(), Stop::Idle);
    }

    /// The thread that has the CPU goes on until it enters the kernel.
    fn turn(&mut self) -> Result<*mut SavedRegisters, Stop> {
        if self.preempt.as_mut().is_some_and(|preempt| preempt()) {
            return entry::trap(Trap::Timer);
        }
        let current = sched::current();
        let entry = current.with_registers(|registers| registers.instruction_pointer());
        let programs = &mut self.programs;
        let thread = self.running.entry(current.id.0).or_insert_with(|| {
            let program = programs[(entry - FIRST_ENTRY) as usize].take();
            Running { program: program.expect("a program runs once"), doing: Doing::Computing }
        });
        match thread.doing {
            Doing::Working(left) if left > 0 => {
                let step = timer_left().map_or(left, |until| until.min(left));
                clock::advance(step);
                thread.doing = Doing::Working(left - step);
                drop(current);
                return if timer::take_expired() { entry::trap(Trap::Timer) } else { Ok(here()) };
            }
            Doing::Working(_) | Doing::Computing => user::resume(Ok(Registers::default())),
            Doing::Calling => user::resume(current.with_registers(|registers| registers.answer())),
        }
        let polled = thread.program.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let request = match polled {
            Poll::Ready(code) => {
                Request::Call(Syscall::ThreadExit as u64, Registers::control([code, 0, 0, 0]))
            }
            Poll::Pending => user::request(),
        };
        match request {
            Request::Call(number, registers) => {
                thread.doing = Doing::Calling;
                current.with_registers(|saved| saved.set_call(number, &registers));
                drop(current);
                entry::syscall(number)
            }
            Request::Work(microseconds) => {
                thread.doing = Doing::Working(microseconds);
                drop(current);
                Ok(here())
            }
            Request::Trap(trap) => {
                thread.doing = Doing::Computing;
                drop(current);
                entry::trap(trap)
            }
        }
    }

    /// Ends everything that the test made; `Err` where something is left.
    fn give_back(&mut self) -> Result<(), String> {
        self.preempt = None;
        self.init.end(ExitReason::Killed);
        // A program that powers off as its last deed can't keep the others from their end.
        while self.run() != Stop::Idle {}
        if self.init.exit_reason().is_none() {
            return Err("init did not come to its end".into());
        }
        Ok(())
    }
}

fn timer_left() -> Option<u64> {
    crate::arch::host::timer::left()
}

fn here() -> *mut SavedRegisters {
    crate::arch::host::current_registers()
}

impl Drop for Kernel {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        let given_back = catch_unwind(AssertUnwindSafe(|| self.give_back()));
        if failed {
            return;
        }
        given_back.expect("the clean-up panicked").unwrap();
        self.programs.clear();
        self.running.clear();
        // The last reference to init but the fixture's own would be a leak: so only look through.
        let Counts { free_frames, mut objects } = Counts::now();
        objects[ObjectKind::Process as usize - 1] -= 1;
        assert_eq!(Counts { free_frames, objects }, self.before, "something was not given back");
        let whole = Charge::new(&self.quota, FRAMES, KERNEL_BYTES);
        assert!(whole.is_ok(), "init's quota is not whole again");
    }
}

/// Puts a capability to `object` with `rights` and `badge` into the table of `process`.
pub fn grant<T: Object>(
    process: &Ref<Process>,
    object: &Ref<T>,
    rights: Rights,
    badge: u64,
) -> CapSlot {
    let capability = Capability { object: object.clone().erase(), rights, badge };
    process.install(capability).unwrap()
}

/// An endpoint that `process` pays, with a capability to receive in its table.
pub fn endpoint(process: &Ref<Process>) -> (Ref<Endpoint>, CapSlot) {
    let endpoint = Endpoint::new(&process.quota).unwrap();
    let slot = grant(process, &endpoint, Rights::SEND | Rights::RECEIVE | Rights::GRANT, 0);
    (endpoint, slot)
}
