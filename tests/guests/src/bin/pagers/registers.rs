//! A faulting thread's registers: its handler reads and changes them.

use guests::{
    bare::{Code, STACK_TOP},
    raw,
    threads::{label, settle},
};
use orbital_user::{
    Error, ExitReason,
    abi::{
        Syscall,
        fault::{END, RESUME, RegisterBank},
    },
    endpoint::reply,
};

use crate::{Handled, fills, next_fault, sleeps, spins, undefined};

/// Flags that some exceptions set by themselves: that the instruction is to be resumed.
const RESUME_FLAG: u64 = 1 << 16;

pub fn registers_are_read_and_changed() {
    let Handled { program, bare, endpoint, _told } = Handled::new(undefined, 0x1234);
    bare.thread.start().unwrap();
    next_fault(&endpoint);
    let [rip, rsp, flags, rax, rbx, rcx, rdx, rsi, rdi, rbp] =
        bare.thread.read_registers(RegisterBank::First).unwrap();
    assert_eq!((rip, rsp, rdi), (program.marked(), STACK_TOP, 0x1234));
    assert_eq!([rax, rbx, rcx, rdx, rsi, rbp], [0; 6]);
    assert_eq!(bare.thread.read_registers(RegisterBank::Second), Ok([0; 10]));
    // Behind the instruction, with another exit code.
    // Some CPUs note in the flags that the instruction is to be resumed; a program can't set that.
    let flags = flags & !(1 << 16);
    let changed = [rip + 2, rsp, flags, 42, 2, 3, 4, 5, 6, 7];
    let second = [8, 9, 10, 11, 12, 13, 14, 15, 0, 0];
    // SAFETY: the thread is another process's.
    unsafe {
        bare.thread.write_registers(RegisterBank::First, changed).unwrap();
        bare.thread.write_registers(RegisterBank::Second, second).unwrap();
    }
    assert_eq!(bare.thread.read_registers(RegisterBank::First), Ok(changed));
    assert_eq!(bare.thread.read_registers(RegisterBank::Second), Ok(second));
    reply(&label(RESUME)).unwrap();
    assert_eq!(bare.process.wait(), Ok(ExitReason::Exited(42)));
}

pub fn registers_are_changed_to_what_a_program_can_have_alone() {
    let Handled { bare, endpoint, _told, .. } = Handled::new(undefined, 0);
    bare.thread.start().unwrap();
    next_fault(&endpoint);
    let before = bare.thread.read_registers(RegisterBank::First).unwrap();
    for rip in [0, 1 << 47, 0x7fff_ffff_f000, 0xffff_8000_0000_0000, u64::MAX] {
        let mut values = before;
        values[0] = rip;
        values[3] = 1;
        // SAFETY: the thread is another process's.
        let refused = unsafe { bare.thread.write_registers(RegisterBank::First, values) };
        assert_eq!(refused, Err(Error::InvalidAddress), "{rip:#x}");
        assert_eq!(bare.thread.read_registers(RegisterBank::First), Ok(before));
    }
    let mut values = before;
    values[2] = u64::MAX;
    // SAFETY: as above.
    unsafe { bare.thread.write_registers(RegisterBank::First, values) }.unwrap();
    let flags = bare.thread.read_registers(RegisterBank::First).unwrap()[2];
    assert_eq!(flags & (3 << 12 | 1 << 14 | 1 << 17), 0, "no privilege, no nesting: {flags:#x}");
    assert_eq!(flags & (1 << 9 | 2), 1 << 9 | 2, "interrupts stay on: {flags:#x}");
    reply(&label(END)).unwrap();
    bare.process.wait().unwrap();
}

/// All sixteen, in the order that the ABI says; and what is written is what the thread has when it goes on.
pub fn every_register_is_shown_and_changed() {
    let Handled { program, bare, endpoint, _told } = Handled::new(fills, 0);
    bare.thread.start().unwrap();
    next_fault(&endpoint);
    let [rip, rsp, flags, general @ ..] = bare.thread.read_registers(RegisterBank::First).unwrap();
    assert_eq!((rip, rsp, general), (program.marked(), 8, [1, 2, 3, 4, 5, 6, 7]));
    let second = bare.thread.read_registers(RegisterBank::Second);
    assert_eq!(second, Ok([9, 10, 11, 12, 13, 14, 15, 16, 0, 0]));
    // All flags that a program can set, but not that it is stepped.
    let flags = flags & !RESUME_FLAG | 0x24_0cd5;
    let value = |number: u64| 0xfedc_ba98_0000_0000 | number;
    let [a, b, c, d, e, f, g] = [1, 2, 3, 4, 5, 6, 7].map(value);
    let first = [rip + 2, value(8), flags, a, b, c, d, e, f, g];
    let [a, b, c, d, e, f, g, h] = [9, 10, 11, 12, 13, 14, 15, 16].map(value);
    // The last two are nobody's.
    let [written, second] = [[1, 2], [0, 0]].map(|[y, z]| [a, b, c, d, e, f, g, h, y, z]);
    // SAFETY: the thread is another process's.
    unsafe {
        bare.thread.write_registers(RegisterBank::First, first).unwrap();
        bare.thread.write_registers(RegisterBank::Second, written).unwrap();
    }
    reply(&label(RESUME)).unwrap();
    assert_eq!(next_fault(&endpoint).instruction_pointer, rip + 2);
    let mut found = bare.thread.read_registers(RegisterBank::First).unwrap();
    found[2] &= !RESUME_FLAG;
    assert_eq!(found, first);
    assert_eq!(bare.thread.read_registers(RegisterBank::Second), Ok(second));
    reply(&label(END)).unwrap();
    bare.process.wait().unwrap();
}

/// Not one that was not started, runs, waits for something else, or has its fault told to nobody yet; not after
/// the answer, though it may not have gone on; and not one that has ended.
pub fn only_a_thread_that_waits_for_its_handler_shows_its_registers() {
    let read =
        |handled: &Handled| handled.bare.thread.read_registers(RegisterBank::First).map(drop);
    for (code, waits) in [(spins as Code, false), (sleeps, true)] {
        let handled = Handled::new(code, 0);
        handled.bare.thread.start().unwrap();
        if waits {
            settle();
        }
        assert_eq!(read(&handled), Err(Error::NotStopped));
    }
    let handled = Handled::new(undefined, 0);
    let Handled { bare, endpoint, .. } = &handled;
    assert_eq!(read(&handled), Err(Error::NotStopped), "it was not started");
    bare.thread.start().unwrap();
    settle();
    assert_eq!(read(&handled), Err(Error::NotStopped), "nobody has been told");
    next_fault(endpoint);
    assert_eq!(read(&handled), Ok(()));
    for bank in [2, u64::MAX] {
        let registers = raw::control([bare.thread.slot().bits(), bank]);
        raw::refuse(Syscall::ThreadReadRegisters, registers, Error::InvalidArgument);
        raw::refuse(Syscall::ThreadWriteRegisters, registers, Error::InvalidArgument);
    }
    bare.thread.suspend().unwrap();
    assert_eq!(read(&handled), Ok(()), "it waits all the same");
    reply(&label(END)).unwrap();
    settle();
    assert_eq!(read(&handled), Err(Error::NotStopped), "it was answered");
    bare.thread.resume().unwrap();
    bare.process.wait().unwrap();
    assert_eq!(read(&handled), Err(Error::Ended));
    assert_eq!(bare.thread.set_fault_handler(endpoint.slot()), Err(Error::Ended));
}
