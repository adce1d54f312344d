//! System calls as programs make them: what each refuses, and what it leaves behind.
#![forbid(unsafe_code)]

mod census;
mod disowned;
mod log;
mod memory;
mod objects;
mod pages;
mod ports;
mod revoked;
mod system;
mod threads;
mod trace;
mod untied;
mod waits;

use orbital_abi::{
    CapSlot,
    Deadline::{Never, Now},
    Error, ExitReason, ObjectKind, Registers, Rights, Syscall,
    arguments::{MemoryMap, ProcessCreate, ThreadCreate},
};

use crate::{
    object::Ref,
    process::Process,
    system::SystemObject,
    tests::{
        kernel::{Kernel, endpoint, grant},
        user,
    },
};

/// Runs `program` in a thread of a process of its own, which must come to its end.
fn run(program: impl Future<Output = ()> + 'static) {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    run_in(&mut kernel, &process, program);
}

fn run_in(
    kernel: &mut Kernel,
    process: &Ref<Process>,
    program: impl Future<Output = ()> + 'static,
) {
    let thread = kernel.spawn(process, 100, program);
    kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), Some(ExitReason::Exited(0)));
}

/// A capability of a process to itself.
fn own(process: &Ref<Process>) -> CapSlot {
    grant(process, process, Rights::MANAGE | Rights::WAIT | Rights::GRANT, 0)
}

fn system(process: &Ref<Process>, rights: Rights) -> CapSlot {
    grant(process, &SystemObject::new().unwrap(), rights, 0)
}
