//! The start and the end of a program.

use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use orbital_abi::{
    Registers, Syscall,
    bootstrap::{Bootstrap, GRANTED},
};

use crate::{capability::Capability, syscall::harmless};

/// Makes the crate's `main` the program's: without arguments, and with whatever [`Termination`] takes
/// as its result. The program needs `#![cfg_attr(target_os = "none", no_std, no_main)]`; on the host,
/// where it only has to compile, its `main` is an ordinary one.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[cfg(target_os = "none")]
        const _: () = {
            #[unsafe(no_mangle)]
            fn orbital_main() -> u64 {
                $crate::start::Termination::code($main())
            }
        };
    };
}

/// What a main function may give.
pub trait Termination {
    /// The exit code: 0 for success.
    fn code(self) -> u64;
}

impl Termination for () {
    fn code(self) -> u64 {
        0
    }
}

impl<E: core::fmt::Display> Termination for Result<(), E> {
    fn code(self) -> u64 {
        match self {
            Ok(()) => 0,
            Err(error) => {
                crate::println!("error: {error}");
                1
            }
        }
    }
}

static BOOTSTRAP: AtomicPtr<Bootstrap> = AtomicPtr::new(core::ptr::null_mut());
/// What stands in place of a block where there is none.
static EMPTY: Bootstrap = Bootstrap::new();

#[cfg(target_os = "none")]
core::arch::global_asm!(
    // rdi: the bootstrap block. The zero ends backtraces; the stack is aligned as calls want it.
    ".global _start",
    "_start:",
    "xor ebp, ebp",
    "and rsp, -16",
    "call {start}",
    "ud2",
    start = sym start,
);

#[cfg(target_os = "none")]
extern "C" fn start(bootstrap: *mut Bootstrap) -> ! {
    unsafe extern "Rust" {
        safe fn orbital_main() -> u64;
    }

    BOOTSTRAP.store(bootstrap, Ordering::Release);
    exit(orbital_main())
}

/// What the program was given.
pub fn bootstrap() -> &'static Bootstrap {
    let block = BOOTSTRAP.load(Ordering::Acquire);
    // SAFETY: whoever made the process maps the block for good, for reading; `EMPTY` stands in
    // before that is known.
    unsafe { block.as_ref() }.unwrap_or(&EMPTY)
}

/// Takes number `index` of the capabilities that the creator handed over. Each can be taken once.
pub fn take_granted(index: usize) -> Option<Capability> {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    let slot = *bootstrap().granted.get(index)?;
    const { assert!(GRANTED <= 64) };
    let bit = 1 << index;
    let is_new = TAKEN.fetch_or(bit, Ordering::Relaxed) & bit == 0;
    (is_new && !slot.is_null()).then(|| Capability::from_slot(slot))
}

/// Takes the capability that the creator handed over by this name. Each can be taken once.
pub fn take_named(name: &str) -> Option<Capability> {
    take_granted(bootstrap().place_of(name)?)
}

/// What is to be done before the program ends: a function, once there is one. So who has nothing to do then has no code
/// for it.
static AT_END: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Has `f` called by [`exit`].
pub(crate) fn at_end(f: fn()) {
    AT_END.store(f as *mut (), Ordering::Release);
}

/// Ends the program with all its threads; 0 means success. A line that was begun is written before.
pub fn exit(code: u64) -> ! {
    let last = AT_END.load(Ordering::Acquire);
    if !last.is_null() {
        // SAFETY: nothing but a `fn()` is stored there.
        let last: fn() = unsafe { core::mem::transmute(last) };
        last();
    }
    end(code)
}

/// Ends it at once.
pub(crate) fn end(code: u64) -> ! {
    loop {
        // It does not return.
        let _ = harmless(Syscall::ProcessExit, &Registers::control([code, 0, 0, 0]));
    }
}
