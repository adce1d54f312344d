//! Processes of a few instructions: a page of code, a stack, and nothing of a runtime. What such a
//! process does, and where it ends, is known to the instruction.

use orbital_user::{
    CapSlot, Error, ExitReason, Fault, FaultKind, MemoryObject, Process, Rights, Thread,
    abi::arguments::{MemoryMap, ThreadCreate},
    capability::copy_to,
    memory::map,
    thread::DEFAULT_PRIORITY,
};

/// Size of a page.
pub const PAGE: u64 = 4096;
/// Where the code stands.
pub const CODE: u64 = 0x40_0000;
/// The lowest address of the stack: one page, with nothing below and above.
pub const STACK: u64 = 0x48_0000;
/// Where it ends.
pub const STACK_TOP: u64 = STACK + PAGE;
/// Free for a case's own data.
pub const DATA: u64 = 0x50_0000;

/// Defines pieces of code: `NAME: [before] [marked]`. The second part begins with the instruction
/// that a case asks the address of. Code may stand anywhere and ends in a fault or a call of its own;
/// at its start `rdi` is the argument, all other registers are zero.
#[macro_export]
macro_rules! code {
    ($($(#[$meta:meta])* $name:ident: [$($before:literal),* $(,)?] [$($marked:literal),* $(,)?];)*) => {$(
        $(#[$meta])*
        #[unsafe(naked)]
        unsafe extern "C" fn $name() {
            core::arch::naked_asm!(
                ".quad 992f - 991f",
                ".quad 993f - 991f",
                "991:",
                $($before,)*
                "992:",
                $($marked,)*
                "993:",
            )
        }
    )*};
}

/// What [`code!`](crate::code) defines; never called, only read.
pub type Code = unsafe extern "C" fn();

/// Code in memory, ready to be mapped into any number of processes.
pub struct Program {
    memory: MemoryObject,
    marked: u64,
    /// Where its processes see it.
    address: u64,
}

/// A process that runs a [`Program`].
pub struct Bare {
    /// The process. It has no capability to itself.
    pub process: Process,
    /// Its thread.
    pub thread: Thread,
}

impl Program {
    /// A program of this code.
    pub fn new(code: Code) -> Self {
        Self::with(code, CODE, 0)
    }

    /// The same, with its code's end at `end`, a multiple of the page size.
    pub fn ending_at(code: Code, end: u64) -> Self {
        let (_, bytes) = parts(code);
        Self::with(code, end - PAGE, PAGE as usize - bytes.len())
    }

    /// A program of these bytes, at most a page.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::of(bytes, 0, CODE, 0)
    }

    fn with(code: Code, address: u64, offset: usize) -> Self {
        let (marked, bytes) = parts(code);
        Self::of(bytes, marked, address, offset)
    }

    fn of(bytes: &[u8], marked: u64, address: u64, offset: usize) -> Self {
        let memory = MemoryObject::create(PAGE).unwrap();
        memory.map_write(PAGE).unwrap()[offset..][..bytes.len()].copy_from_slice(bytes);
        let start = address + offset as u64;
        Self { memory, marked: start + marked, address: start }
    }

    /// The address of the marked instruction.
    pub fn marked(&self) -> u64 {
        self.marked
    }

    /// A process of it that does not run yet, with a quota that lets it do nothing much.
    pub fn prepare(&self, argument: u64) -> Bare {
        self.prepare_with(argument, 16, 16 * 1024)
    }

    /// The same with a quota of so many frames and bytes of kernel memory.
    pub fn prepare_with(&self, argument: u64, frames: u64, kernel_bytes: u64) -> Bare {
        let process = Process::create("bare", frames, kernel_bytes).unwrap();
        let text = Rights::READ | Rights::EXECUTE;
        let page = self.address / PAGE * PAGE;
        map_into(&process, &self.memory, page, PAGE, text).unwrap();
        let stack = MemoryObject::create(PAGE).unwrap();
        map_into(&process, &stack, STACK, PAGE, Rights::READ | Rights::WRITE).unwrap();
        let thread = self.thread(&process, STACK_TOP, argument, DEFAULT_PRIORITY);
        Bare { process, thread }
    }

    /// One more thread of it in `process`, not started.
    pub fn thread(&self, process: &Process, stack: u64, argument: u64, priority: u8) -> Thread {
        let process = process.slot();
        let entry = self.address;
        let arguments = ThreadCreate { process, entry, stack, argument, priority };
        // SAFETY: the thread runs in another process.
        unsafe { Thread::create(&arguments) }.unwrap()
    }

    /// A process of it that runs.
    pub fn start(&self, argument: u64) -> Bare {
        let bare = self.prepare(argument);
        bare.thread.start().unwrap();
        bare
    }

    /// Runs it to its end.
    pub fn run(&self, argument: u64) -> ExitReason {
        self.start(argument).process.wait().unwrap()
    }
}

/// Where the marked instruction is within the code, and the code.
fn parts(code: Code) -> (u64, &'static [u8]) {
    let header = code as *const () as *const u64;
    // SAFETY: `code!` puts two words before the code, which is as long as the second says.
    unsafe {
        let (marked, length) = (header.read_unaligned(), header.add(1).read_unaligned());
        (marked, core::slice::from_raw_parts(header.add(2).cast(), length as usize))
    }
}

/// Maps the first `bytes` of `memory` into another process.
pub fn map_into(
    process: &Process,
    memory: &MemoryObject,
    address: u64,
    bytes: u64,
    rights: Rights,
) -> Result<(), Error> {
    let (process, memory) = (process.slot(), memory.slot());
    // SAFETY: the memory is mapped into another process.
    unsafe { map(&MemoryMap { process, memory, address, offset: 0, bytes, rights }) }
}

impl Bare {
    /// Maps the first page of `memory` at [`DATA`].
    pub fn data(&self, memory: &MemoryObject, rights: Rights) {
        map_into(&self.process, memory, DATA, PAGE, rights).unwrap();
    }

    /// Hands over a capability; gives its slot there.
    pub fn give(&self, source: CapSlot, rights: Rights) -> CapSlot {
        copy_to(source, self.process.slot(), rights, 0).unwrap()
    }

    /// Lets it run to its end.
    pub fn run(&self) -> ExitReason {
        self.thread.start().unwrap();
        self.process.wait().unwrap()
    }
}

/// The end by this fault.
pub fn faulted(kind: FaultKind, address: u64, instruction_pointer: u64) -> ExitReason {
    ExitReason::Faulted(Fault { kind, address, instruction_pointer })
}

/// Each piece ends with one of `kinds`, at the marked instruction or, where that is a trap, `behind`
/// it.
#[track_caller]
pub fn each_is(codes: &[(&str, Code)], kinds: &[FaultKind], behind: u64) {
    for (name, code) in codes {
        let program = Program::new(*code);
        let reason = program.run(0);
        let ExitReason::Faulted(fault) = reason else { panic!("{name}: {reason}") };
        assert!(kinds.contains(&fault.kind), "{name}: {reason}");
        let instruction_pointer = program.marked() + behind;
        assert_eq!(fault, Fault { kind: fault.kind, address: 0, instruction_pointer }, "{name}");
    }
}

/// A list of pieces with their names.
#[macro_export]
macro_rules! named {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), $name as $crate::bare::Code)),*] };
}
