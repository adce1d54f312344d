//! A booted kernel for one test: init without threads, programs that are futures, and a loop that
//! plays the CPU. When it goes, everything that the test made is ended, and every frame, object
//! and charge must be back: each test is a test of the clean-up too.
#![forbid(unsafe_code)]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::Once,
};

use orbital_abi::{CapSlot, ExitReason, ObjectKind, Rights};

use super::{cpus::Cpus, programs::Programs};
use crate::{
    arch::{
        SavedRegisters, Trap,
        host::{MACHINE_CPUS, Machine, Stop, entry, machine, play, playing, run},
    },
    capability::Capability,
    cause,
    ipc::{self, Endpoint, Notification},
    memory,
    object::{Charge, Object, Quota, Ref, registry},
    process::{Name, Process},
    sched::{self, dispatch},
    thread::{Tcb, control::ALL_CPUS},
    vm::reclaim,
};

/// Frames that init has.
pub const FRAMES: u64 = 4000;
/// Kernel memory that init has, in bytes.
pub const KERNEL_BYTES: u64 = 4 << 20;
/// Kernel memory of a child, in bytes: enough for a few threads and a table.
pub const CHILD_BYTES: u64 = 64 << 10;
/// Frames of a child.
pub const CHILD_FRAMES: u64 = 200;

/// A run that has not ended after so many turns never will.
const MOST_TURNS: usize = 1_000_000;

/// The fixture.
pub struct Kernel {
    /// Parent of all processes of the test.
    pub init: Ref<Process>,
    /// Asked before each turn: whether the timer's interrupt comes just then.
    pub preempt: Option<Box<dyn FnMut() -> bool>>,
    /// The CPUs, where there are several.
    pub cpus: Option<Rc<Cpus>>,
    quota: Ref<Quota>,
    programs: Rc<Programs>,
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
    /// Boots a machine with so many CPUs, which are played in an order that `seed` decides.
    pub fn boot_with(cpus: usize, seed: u64) -> Self {
        let mut kernel = Self::boot();
        kernel.cpus = Some(Cpus::new(cpus, seed, kernel.programs.clone()));
        kernel
    }

    /// Does `deed` on `cpu`, which is not in a program.
    pub fn on<R>(&self, cpu: usize, deed: impl FnOnce() -> R) -> R {
        let before = playing();
        play(cpu);
        let done = deed();
        play(before);
        done
    }

    /// The CPUs of a machine with several.
    pub fn cpus(&self) -> Rc<Cpus> {
        self.cpus.clone().expect("there is one CPU")
    }

    /// Boots.
    pub fn boot() -> Self {
        static CPUS: Once = Once::new();
        let machine = machine();
        CPUS.call_once(|| {
            for cpu in (0..MACHINE_CPUS).rev() {
                play(cpu);
                sched::init();
            }
            // Each stretch is measured, and so passes more points where others may be faster.
            sched::irq_off::longest(0);
            let task = sched::spawn(0, reclaim::run());
            reclaim::set_task(task.expect("memory for a task"));
            ipc::start_tasks().expect("memory for tasks");
        });
        // They slept when the last test ended.
        for cpu in (0..MACHINE_CPUS).rev() {
            play(cpu);
            dispatch::end_sleep();
        }
        let before = Counts::now();
        let quota = Quota::root(FRAMES, KERNEL_BYTES).unwrap();
        let init = Process::first(Name::from("init").unwrap(), quota.clone()).unwrap();
        Self {
            init,
            preempt: None,
            cpus: None,
            quota,
            programs: Rc::default(),
            before,
            _machine: machine,
        }
    }

    /// A child of init.
    pub fn process(&self, name: &str) -> Ref<Process> {
        // Its reaper is the CPU's that makes it.
        let name = Name::from(name).unwrap();
        self.on(0, || Process::new(&self.init, name, CHILD_FRAMES, CHILD_BYTES).unwrap())
    }

    /// Keeps `program`, whose output is its exit code, for a thread that starts at the address.
    pub fn program(&mut self, program: impl Future<Output = u64> + 'static) -> u64 {
        self.programs.add(program)
    }

    /// A thread that is not started.
    pub fn thread(
        &mut self,
        process: &Ref<Process>,
        priority: u8,
        program: impl Future<Output = u64> + 'static,
    ) -> Ref<Tcb> {
        let registers = SavedRegisters::new(self.program(program), 0x7000_0000, 0).unwrap();
        let Some(cpus) = &self.cpus else {
            return Tcb::new(process, registers, priority, ALL_CPUS).unwrap();
        };
        let thread = self.on(0, || Tcb::new(process, registers, priority, ALL_CPUS).unwrap());
        cpus.threads.borrow_mut().push(thread.clone());
        thread
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
        if let Some(cpus) = &self.cpus {
            return cpus.run();
        }
        let mut left = run(|| {
            dispatch::end_sleep();
            dispatch::next()
        });
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
        self.programs.turn()
    }

    /// Ends everything that the test made; `Err` where something is left.
    fn give_back(&mut self) -> Result<(), String> {
        self.preempt = None;
        if let Some(cpus) = &self.cpus {
            // They are looked after until here.
            cpus.threads.take();
        }
        // Before any of the programs goes on: one may have ended the machine in the middle of a call.
        cause::set(u8::MAX);
        self.init.end(ExitReason::Killed);
        // A program that powers off as its last deed can't keep the others from their end.
        while self.run() != Stop::Idle {}
        if self.init.exit_reason().is_none() {
            return Err("init did not come to its end".into());
        }
        Ok(())
    }
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

/// A notification that `process` pays, with a capability with all rights in its table.
pub fn notification(process: &Ref<Process>) -> (Ref<Notification>, CapSlot) {
    let notification = Notification::new(&process.quota).unwrap();
    let slot = grant(process, &notification, Rights::SEND | Rights::RECEIVE | Rights::GRANT, 0);
    (notification, slot)
}
