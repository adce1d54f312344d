//! Threads that make one system call and note that it came back: without a stack, for cases with very
//! many of them.

use core::{
    arch::naked_asm,
    mem::offset_of,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
};

use orbital_user::{
    Error, Thread,
    abi::{Syscall, arguments::ThreadCreate},
    start::bootstrap,
};

/// What a tiny thread does and has found. Its stack pointer leads here: that alone outlives a call.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Tiny {
    number: AtomicU64,
    control: [AtomicU64; 3],
    /// How often the call has come back.
    returned: AtomicU64,
    /// What it gave, plus one.
    result: AtomicU64,
}

impl Tiny {
    /// One that has no call yet.
    pub const fn new() -> Self {
        Self {
            number: AtomicU64::new(0),
            control: [const { AtomicU64::new(0) }; 3],
            returned: AtomicU64::new(0),
            result: AtomicU64::new(0),
        }
    }

    /// Names the call.
    pub fn set(&self, syscall: Syscall, control: [u64; 3]) {
        self.number.store(syscall as u64, SeqCst);
        self.control.iter().zip(control).for_each(|(place, word)| place.store(word, SeqCst));
        self.returned.store(0, SeqCst);
        self.result.store(0, SeqCst);
    }

    /// A thread for it that does not run yet.
    ///
    /// # Errors
    /// The kernel's.
    pub fn thread(&'static self, priority: u8) -> Result<Thread, Error> {
        let arguments = ThreadCreate {
            process: bootstrap().process,
            entry: calls_once as *const () as u64,
            stack: core::ptr::from_ref(self) as u64,
            argument: 0,
            priority,
        };
        // SAFETY: the thread writes to atomics that live for ever, and pushes nothing.
        unsafe { Thread::create(&arguments) }
    }

    /// How often the call has come back.
    pub fn returned(&self) -> u64 {
        self.returned.load(SeqCst)
    }

    /// The code that it gave; `None` until its thread has ended.
    pub fn code(&self) -> Option<u64> {
        self.result.load(SeqCst).checked_sub(1)
    }
}

/// Makes the call that `rsp` leads to, notes that it came back, and ends.
#[unsafe(naked)]
extern "C" fn calls_once() {
    naked_asm!(
        "mov rax, [rsp + {number}]",
        "mov rdi, [rsp + {control}]",
        "mov rsi, [rsp + {control} + 8]",
        "mov rdx, [rsp + {control} + 16]",
        "syscall",
        // The very next instruction: others look whether it has been.
        "lock inc qword ptr [rsp + {returned}]",
        "inc rax",
        "mov [rsp + {result}], rax",
        "mov eax, {exit}",
        "xor edi, edi",
        "syscall",
        "ud2",
        number = const offset_of!(Tiny, number),
        control = const offset_of!(Tiny, control),
        result = const offset_of!(Tiny, result),
        returned = const offset_of!(Tiny, returned),
        exit = const Syscall::ThreadExit as u64,
    )
}
