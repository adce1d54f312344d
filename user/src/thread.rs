//! Threads of this process.

use alloc::{boxed::Box, sync::Arc};

use orbital_abi::{
    CapSlot, Deadline, Error, ExitReason, Registers, Syscall, arguments::ThreadCreate,
    fault::RegisterBank,
};

use crate::{
    capability::Capability,
    local,
    memory::{MappingMut, MemoryObject},
    start::bootstrap,
    sync::Mutex,
    syscall::{call, harmless},
};

pub use crate::turn::yield_now;

/// The priority of threads and processes for which none is named.
pub const DEFAULT_PRIORITY: u8 = 128;
/// Bytes of a thread's stack.
const STACK_BYTES: u64 = 64 * 1024;

/// A thread, of this process or another's. Closed on drop; a thread that nobody has a capability to
/// is ended.
#[derive(Debug)]
pub struct Thread(Capability);

impl Thread {
    /// Makes a thread that does not run yet.
    ///
    /// # Safety
    /// In one's own process: what it does when it runs is sound.
    ///
    /// # Errors
    /// [`Error::InvalidAddress`] for an entry or a stack outside of user space;
    /// [`Error::PriorityTooHigh`]; [`Error::Ended`]; [`Error::QuotaExceeded`];
    /// [`Error::TableFull`]; those of the process's slot.
    pub unsafe fn create(arguments: &ThreadCreate) -> Result<Self, Error> {
        // SAFETY: the caller's.
        let results = unsafe { call(Syscall::ThreadCreate, &arguments.encode()) }?;
        Ok(Self::from_slot(CapSlot::from_bits(results.control[0])))
    }

    /// Takes over the thread capability in `slot`.
    pub const fn from_slot(slot: CapSlot) -> Self {
        Self(Capability::from_slot(slot))
    }

    /// Its slot.
    pub const fn slot(&self) -> CapSlot {
        self.0.slot()
    }

    /// Lets it run for the first time.
    ///
    /// # Errors
    /// [`Error::AlreadyStarted`]; [`Error::Ended`]; those of the slot.
    pub fn start(&self) -> Result<(), Error> {
        let registers = Registers::control([self.slot().bits(), 0, 0, 0]);
        harmless(Syscall::ThreadStart, &registers).map(|_| ())
    }

    fn control(&self, syscall: Syscall, value: u64) -> Result<Registers, Error> {
        harmless(syscall, &Registers::control([self.slot().bits(), value, 0, 0]))
    }

    /// Stops it until it is resumed; returns when it has stopped.
    ///
    /// # Errors
    /// [`Error::Ended`]; those of the slot, as for the calls below.
    pub fn suspend(&self) -> Result<(), Error> {
        self.control(Syscall::ThreadSuspend, 0).map(|_| ())
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub fn resume(&self) -> Result<(), Error> {
        self.control(Syscall::ThreadResume, 0).map(|_| ())
    }

    /// Ends it.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub fn kill(&self) -> Result<(), Error> {
        self.control(Syscall::ThreadKill, 0).map(|_| ())
    }

    /// Gives it another priority.
    ///
    /// # Errors
    /// [`Error::PriorityTooHigh`] above its ceiling or the caller's; [`Error::Ended`].
    pub fn set_priority(&self, priority: u8) -> Result<(), Error> {
        self.control(Syscall::ThreadSetPriority, priority.into()).map(|_| ())
    }

    /// Lets it run on these CPUs only, a bit each.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when none of them is up; [`Error::Ended`].
    pub fn set_affinity(&self, cpus: u64) -> Result<(), Error> {
        self.control(Syscall::ThreadSetAffinity, cpus).map(|_| ())
    }

    /// Lets it use at most `budget` of each `period`, both in nanoseconds. What it has used so far does
    /// not count.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a budget below 50 microseconds or above the period, or a period of
    /// more than an hour; [`Error::QuotaExceeded`]; [`Error::Ended`].
    pub fn set_budget(&self, budget: u64, period: u64) -> Result<(), Error> {
        let registers = Registers::control([self.slot().bits(), budget, period, 0]);
        harmless(Syscall::ThreadSetBudget, &registers).map(|_| ())
    }

    /// Lets it use as much as it likes.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub fn clear_budget(&self) -> Result<(), Error> {
        self.control(Syscall::ThreadSetBudget, 0).map(|_| ())
    }

    /// What it is doing, and where.
    ///
    /// # Errors
    /// Those of the slot.
    pub fn inspect(&self) -> Result<Inspection, Error> {
        let [state, priority, cpu, affinity] = self.control(Syscall::ThreadInspect, 0)?.control;
        Ok(Inspection { state, priority: priority as u8, cpu: cpu as usize, affinity })
    }

    /// Lets its faults be handled at an endpoint, as calls with the badge of that capability
    /// ([`orbital_abi::fault`]); with [`CapSlot::NULL`] they end it.
    ///
    /// # Errors
    /// [`Error::MissingRights`] without `MANAGE`, or without `SEND` on the endpoint; [`Error::Ended`];
    /// [`Error::QuotaExceeded`]; [`Error::Revoked`]; those of both slots.
    pub fn set_fault_handler(&self, endpoint: CapSlot) -> Result<(), Error> {
        self.control(Syscall::ThreadSetFaultHandler, endpoint.bits()).map(|_| ())
    }

    /// Gives it a message page at `address`, or where the kernel chooses if that is 0; gives the address. One that has
    /// a page keeps that one.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an address that is no page's; [`Error::InvalidAddress`] outside of user space;
    /// [`Error::AddressInUse`]; [`Error::QuotaExceeded`]; [`Error::Ended`]; those of the slot.
    pub fn give_message_page(&self, address: u64) -> Result<u64, Error> {
        Ok(self.control(Syscall::ThreadMessagePage, address)?.control[0])
    }

    /// A part of its registers, while it waits for its fault handler's answer.
    ///
    /// # Errors
    /// [`Error::NotStopped`] while it does not; [`Error::Ended`]; those of the slot.
    pub fn read_registers(&self, bank: RegisterBank) -> Result<[u64; RegisterBank::VALUES], Error> {
        let Registers { control, words } =
            self.control(Syscall::ThreadReadRegisters, bank as u64)?;
        let mut values = [0; RegisterBank::VALUES];
        values[..2].copy_from_slice(&control[2..]);
        values[2..].copy_from_slice(&words);
        Ok(values)
    }

    /// Changes a part of its registers, while it waits for its fault handler's answer. Of the flags only those
    /// that a program can change itself.
    ///
    /// # Safety
    /// The thread's code is ready for what it finds.
    ///
    /// # Errors
    /// As [`Thread::read_registers`]; [`Error::InvalidAddress`] when it would go on outside user space.
    pub unsafe fn write_registers(
        &self,
        bank: RegisterBank,
        values: [u64; RegisterBank::VALUES],
    ) -> Result<(), Error> {
        let [first, second, words @ ..] = values;
        let control = [self.slot().bits(), bank as u64, first, second];
        // SAFETY: the caller's.
        unsafe { call(Syscall::ThreadWriteRegisters, &Registers { control, words }) }.map(|_| ())
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// Those of the slot.
    pub fn wait(&self) -> Result<ExitReason, Error> {
        wait(Syscall::ThreadWait, self.slot(), Deadline::Never)
    }

    /// Waits until it has ended, until `deadline` (nanoseconds since boot).
    ///
    /// # Errors
    /// [`Error::TimedOut`]; those of the slot.
    pub fn wait_until(&self, deadline: u64) -> Result<ExitReason, Error> {
        wait(Syscall::ThreadWait, self.slot(), Deadline::from_bits(deadline))
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// [`Error::WouldBlock`] when it has not; those of the slot.
    pub fn try_wait(&self) -> Result<ExitReason, Error> {
        wait(Syscall::ThreadWait, self.slot(), Deadline::Now)
    }
}

/// What a thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Its state's number: 0 inactive, 1 woken, 2 preempted, 3 running, 4 blocked, 5 ended.
    pub state: u64,
    /// Its priority.
    pub priority: u8,
    /// The CPU that has it.
    pub cpu: usize,
    /// The CPUs that it may run on, a bit each.
    pub affinity: u64,
}

/// Waits for the end of what `slot` names.
pub(crate) fn wait(
    syscall: Syscall,
    slot: CapSlot,
    deadline: Deadline,
) -> Result<ExitReason, Error> {
    let results = harmless(syscall, &Registers::control([slot.bits(), deadline.bits(), 0, 0]))?;
    // The kernel has no other reasons than the ABI's.
    ExitReason::decode(results.control).ok_or(Error::UnknownSyscall)
}

/// A thread of this process that will give a `T`.
pub struct JoinHandle<T> {
    thread: Thread,
    result: Arc<Mutex<Option<T>>>,
    /// Its stack, which must stay until it has ended.
    stack: MappingMut,
}

impl<T> JoinHandle<T> {
    /// The thread itself.
    pub fn thread(&self) -> &Thread {
        &self.thread
    }

    /// Waits until it has ended; gives what it gave.
    ///
    /// # Errors
    /// How it ended, when it gave nothing.
    pub fn join(self) -> Result<T, ExitReason> {
        let reason = self.thread.wait().unwrap_or(ExitReason::Killed);
        // It has ended: nobody uses the stack any more.
        drop(self.stack);
        self.result.lock().take().ok_or(reason)
    }

    /// Lets it run on for itself.
    pub fn detach(self) {
        // Closing the capability would end it, and it needs its stack.
        core::mem::forget((self.thread, self.stack));
    }
}

/// Runs `f` as a thread with [`DEFAULT_PRIORITY`]. If the handle is dropped, the thread is ended at
/// its next entry into the kernel, and its stack is gone: join or detach it.
///
/// # Errors
/// As [`spawn_with_priority`].
pub fn spawn<T: Send + 'static>(
    f: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Error> {
    spawn_with_priority(DEFAULT_PRIORITY, f)
}

/// Runs `f` as a thread with this priority.
///
/// # Errors
/// [`Error::PriorityTooHigh`] above the caller's own; [`Error::QuotaExceeded`];
/// [`Error::TableFull`]; [`Error::EmptySlot`] when the process was not given to itself.
pub fn spawn_with_priority<T: Send + 'static>(
    priority: u8,
    f: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Error> {
    let stack = MemoryObject::create(STACK_BYTES)?.map_write(STACK_BYTES)?;
    let result = Arc::new(Mutex::new(None));
    let work: Work = Box::new({
        let result = Arc::clone(&result);
        move || {
            let value = f();
            *result.lock() = Some(value);
        }
    });
    let work = Box::into_raw(Box::new(work));
    let arguments = ThreadCreate {
        process: bootstrap().process,
        entry: run as *const () as u64,
        // As if `run` had been called: its return address would stand here.
        stack: stack.end() - 8,
        argument: work as u64,
        priority,
    };
    // SAFETY: `run` gets what it wants, on a stack of its own.
    let started =
        unsafe { Thread::create(&arguments) }.and_then(|thread| thread.start().map(|()| thread));
    match started {
        Ok(thread) => Ok(JoinHandle { thread, result, stack }),
        Err(error) => {
            // SAFETY: no thread started with it.
            drop(unsafe { Box::from_raw(work) });
            Err(error)
        }
    }
}

type Work = Box<dyn FnOnce() + Send>;

/// A thread's first function.
extern "C" fn run(work: *mut Work) -> ! {
    // SAFETY: `spawn_with_priority` made it for this thread alone.
    let work = unsafe { Box::from_raw(work) };
    work();
    // SAFETY: nothing of what the thread did runs any more.
    unsafe { local::drop_all() };
    exit(0)
}

/// Ends the calling thread.
pub fn exit(code: u64) -> ! {
    loop {
        // It does not return.
        let _ = harmless(Syscall::ThreadExit, &Registers::control([code, 0, 0, 0]));
    }
}
