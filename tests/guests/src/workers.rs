//! Threads of this process that have nothing of the runtime's: a function and a number, no heap, no
//! locks. So they may be stopped and ended anywhere, and leave nothing in anyone's way.

use core::{mem::ManuallyDrop, ops::Deref};

use orbital_user::{
    CapSlot, MemoryObject, Thread, abi::arguments::ThreadCreate, memory::MappingMut,
    start::bootstrap, thread::exit,
};

/// Bytes of a worker's stack.
pub const STACK_BYTES: u64 = 32 * 1024;

/// What a worker runs. It takes no memory from the heap.
pub type Body = fn(&Own);

/// What a worker knows of itself.
pub struct Own {
    thread: ManuallyDrop<Thread>,
    /// What its maker gave it.
    pub argument: u64,
}

impl Own {
    /// The argument, where it is a slot.
    pub fn slot(&self) -> CapSlot {
        CapSlot::from_bits(self.argument)
    }

    /// A part of the argument: 16 bits each, the lowest first.
    pub fn part(&self, index: u32) -> usize {
        (self.argument >> (16 * index) & 0xffff) as usize
    }
}

impl Deref for Own {
    type Target = Thread;

    fn deref(&self) -> &Thread {
        &self.thread
    }
}

/// An argument of up to four parts.
pub fn parts(parts: &[usize]) -> u64 {
    parts.iter().rev().fold(0, |all, part| all << 16 | *part as u64)
}

/// Such a thread. Ended and waited for on drop.
pub struct Worker {
    /// The thread.
    pub thread: Thread,
    _stack: MappingMut,
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.thread.kill();
        let _ = self.thread.wait();
    }
}

impl Deref for Worker {
    type Target = Thread;

    fn deref(&self) -> &Thread {
        &self.thread
    }
}

/// What stands at the top of a worker's stack.
#[repr(C)]
struct Top {
    body: Body,
    argument: u64,
    slot: u64,
    _aligned: u64,
}

impl Worker {
    /// One that does not run yet; with its maker's affinity, and its CPU for a home.
    #[track_caller]
    pub fn new(priority: u8, body: Body, argument: u64) -> Self {
        let stack = MemoryObject::create(STACK_BYTES).expect("memory for a stack");
        let stack = stack.map_write(STACK_BYTES).expect("a stack");
        let top = stack.end() - size_of::<Top>() as u64;
        let arguments = ThreadCreate {
            process: bootstrap().process,
            entry: run as *const () as u64,
            // As if `run` had been called.
            stack: top - 8,
            argument: top,
            priority,
        };
        // SAFETY: `run` gets what it wants, on a stack of its own that stays until the thread has ended.
        let thread = unsafe { Thread::create(&arguments) }.expect("a thread");
        let content = Top { body, argument, slot: thread.slot().bits(), _aligned: 0 };
        // SAFETY: the top of the stack is mapped, aligned, and nobody's yet.
        unsafe { core::ptr::with_exposed_provenance_mut::<Top>(top as usize).write(content) };
        Self { thread, _stack: stack }
    }

    /// One that runs.
    #[track_caller]
    pub fn start(priority: u8, body: Body, argument: u64) -> Self {
        let worker = Self::new(priority, body, argument);
        worker.thread.start().expect("a start");
        worker
    }

    /// One that runs, on these CPUs only, a bit each.
    #[track_caller]
    pub fn on(cpus: u64, priority: u8, body: Body, argument: u64) -> Self {
        let worker = Self::new(priority, body, argument);
        worker.thread.set_affinity(cpus).expect("a CPU that is there");
        worker.thread.start().expect("a start");
        worker
    }
}

/// A worker's first function.
extern "C" fn run(top: *const Top) -> ! {
    // SAFETY: `Worker::new` made it for this thread alone.
    let Top { body, argument, slot, .. } = unsafe { top.read() };
    let thread = ManuallyDrop::new(Thread::from_slot(CapSlot::from_bits(slot)));
    body(&Own { thread, argument });
    exit(0)
}
