//! Fault handlers: what they are told, what their answers do, and how a thread fares whose handler goes.
#![cfg_attr(target_os = "none", no_std, no_main)]

use core::mem::ManuallyDrop;

use guests::{
    bare::{Bare, Code, DATA, PAGE, Program, STACK_TOP, faulted},
    code,
    cpus::{be_equal, leave_nothing, scaled, until},
    suite,
    threads::label,
};
use orbital_user::{
    CapSlot, Endpoint, Error, ExitReason, Fault, FaultKind, IpcError, MemoryObject, Rights,
    abi::{
        arguments::MemoryMap,
        fault::{END, FAULT, FaultMessage, RESUME, RegisterBank},
    },
    endpoint::reply,
    memory::map,
    thread,
};

suite! {
    cases: [
        every_fault_is_told_as_it_is,
        a_message_that_looks_like_a_fault_is_none,
        resuming_without_help_faults_again,
        registers_are_read_and_changed,
        registers_are_changed_to_what_a_program_can_have_alone,
        only_a_thread_that_waits_for_its_handler_shows_its_registers,
        without_a_handler_any_more_a_fault_ends_its_thread,
    ],
    parallel: [
        a_pager_serves_a_sparse_array,
        a_handler_that_goes_ends_the_thread_with_its_fault,
        a_thread_that_waits_for_its_handler_can_be_killed,
    ],
    roles: [],
}

use FaultKind::{Breakpoint, Divide, InvalidOpcode, PageExecute, PageRead, PageWrite, Protection};

/// Where the sparse array stands, and from one of its words to the next.
const ARRAY: u64 = 0x1000_0000_0000;
const STRIDE: u64 = 3 * PAGE;
const BADGE: u64 = 77;

code! {
    reads: ["mov ebx, 0x500000"] ["mov rax, [rbx]", "mov rdi, rax", "mov eax, 33", "syscall"];
    writes: ["mov ebx, 0x500000"] ["mov [rbx], rdi", "xor edi, edi", "mov eax, 33", "syscall"];
    jumps: ["mov ebx, 0x500000", "jmp rbx"] ["ud2"];
    divides: ["xor ecx, ecx", "xor edx, edx"] ["div ecx"];
    undefined: [] ["ud2", "mov rdi, rax", "mov eax, 33", "syscall"];
    halts: [] ["hlt"];
    breaks: [] ["int3"];
    // Checks that word N of the array, of so many as its argument says, is N.
    walks: ["mov rbx, 0x100000000000", "xor ecx, ecx", "2:"] [
        "mov rax, [rbx]", "cmp rax, rcx", "jne 3f", "inc rcx", "add rbx, 0x3000",
        "cmp rcx, rdi", "jne 2b", "xor edi, edi", "mov eax, 33", "syscall", "3: ud2",
    ];
}

/// A process whose thread's faults come to an endpoint.
struct Handled {
    program: Program,
    bare: Bare,
    endpoint: Endpoint,
    /// By which they come there.
    _told: Endpoint,
}

impl Handled {
    fn new(code: Code, argument: u64) -> Self {
        Self::at(Endpoint::create().unwrap(), code, argument, 64 * 1024)
    }

    fn at(endpoint: Endpoint, code: Code, argument: u64, kernel_bytes: u64) -> Self {
        let program = Program::new(code);
        let bare = program.prepare_with(argument, 200, kernel_bytes);
        let told = endpoint.copy(Rights::SEND, BADGE).unwrap();
        bare.thread.set_fault_handler(told.slot()).unwrap();
        Self { program, bare, endpoint, _told: told }
    }

    /// How its thread ends that reads what is not there.
    fn unread(&self) -> ExitReason {
        faulted(PageRead, DATA, self.program.marked())
    }
}

/// The next fault that the endpoint is told.
fn next_fault(endpoint: &Endpoint) -> Fault {
    let received = endpoint.receive().unwrap();
    assert!(received.is_fault && received.is_call);
    assert_eq!(received.badge, BADGE);
    FaultMessage::decode(&received.message).unwrap().fault
}

fn every_fault_is_told_as_it_is() {
    let all: [(Code, FaultKind, u64); 7] = [
        (reads, PageRead, DATA),
        (writes, PageWrite, DATA),
        (jumps, PageExecute, DATA),
        (divides, Divide, 0),
        (undefined, InvalidOpcode, 0),
        (halts, Protection, 0),
        (breaks, Breakpoint, 0),
    ];
    for (code, kind, address) in all {
        for answer in [END, 5, u32::MAX] {
            let Handled { program, bare, endpoint, _told } = Handled::new(code, 0);
            bare.thread.start().unwrap();
            let fault = next_fault(&endpoint);
            let instruction_pointer = match kind {
                PageExecute => DATA,
                Breakpoint => program.marked() + 1,
                _ => program.marked(),
            };
            assert_eq!(fault, Fault { kind, address, instruction_pointer });
            reply(&label(answer)).unwrap();
            let expected = faulted(kind, address, instruction_pointer);
            assert_eq!(bare.process.wait(), Ok(expected));
        }
    }
}

fn a_message_that_looks_like_a_fault_is_none() {
    let endpoint = Endpoint::create().unwrap();
    let (slot, receiver) = (endpoint.slot(), Endpoint::from_slot(endpoint.slot()));
    let fault = Fault { kind: PageRead, address: 1, instruction_pointer: 2 };
    let sender = thread::spawn(move || {
        let endpoint = ManuallyDrop::new(Endpoint::from_slot(slot));
        let message = FaultMessage { fault, thread: 3 }.encode();
        assert_eq!(message.label(), FAULT);
        endpoint.call(&message)
    });
    let received = receiver.receive().unwrap();
    assert!(received.is_call && !received.is_fault);
    reply(&label(RESUME)).unwrap();
    assert!(sender.unwrap().join().unwrap().is_ok());
    core::mem::forget(receiver);
}

fn resuming_without_help_faults_again() {
    let Handled { program, bare, endpoint, _told } = Handled::new(writes, 9);
    bare.thread.start().unwrap();
    let expected = Fault { kind: PageWrite, address: DATA, instruction_pointer: program.marked() };
    for _ in 0..5 {
        assert_eq!(next_fault(&endpoint), expected);
        reply(&label(RESUME)).unwrap();
    }
    assert_eq!(next_fault(&endpoint), expected);
    // Read-only is not enough.
    let memory = MemoryObject::create(PAGE).unwrap();
    bare.data(&memory, Rights::READ);
    reply(&label(RESUME)).unwrap();
    assert_eq!(next_fault(&endpoint), expected);
    let arguments = orbital_user::abi::arguments::MemoryProtect {
        process: bare.process.slot(),
        address: DATA,
        bytes: PAGE,
        rights: Rights::READ | Rights::WRITE,
    };
    // SAFETY: the memory is another process's.
    let refused = unsafe { orbital_user::memory::protect(&arguments) };
    assert_eq!(refused, Ok(()), "its capability could write");
    reply(&label(RESUME)).unwrap();
    assert_eq!(bare.process.wait(), Ok(ExitReason::Exited(0)));
    assert_eq!(memory.map_read(PAGE).unwrap()[0], 9);
}

fn registers_are_read_and_changed() {
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

fn registers_are_changed_to_what_a_program_can_have_alone() {
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

fn only_a_thread_that_waits_for_its_handler_shows_its_registers() {
    let Handled { bare, endpoint, _told, .. } = Handled::new(undefined, 0);
    let read = || bare.thread.read_registers(RegisterBank::First).map(drop);
    assert_eq!(read(), Err(Error::NotStopped), "it was not started");
    bare.thread.start().unwrap();
    next_fault(&endpoint);
    assert_eq!(read(), Ok(()));
    reply(&label(END)).unwrap();
    bare.process.wait().unwrap();
    assert_eq!(read(), Err(Error::Ended));
    assert_eq!(bare.thread.set_fault_handler(endpoint.slot()), Err(Error::Ended));
}

fn without_a_handler_any_more_a_fault_ends_its_thread() {
    let Handled { program, bare, .. } = Handled::new(reads, 0);
    bare.thread.set_fault_handler(CapSlot::NULL).unwrap();
    assert_eq!(bare.run(), faulted(PageRead, DATA, program.marked()));
    let no_sender = Endpoint::create().unwrap().copy(Rights::RECEIVE, 0).unwrap();
    let Handled { bare, .. } = Handled::new(reads, 0);
    assert_eq!(bare.thread.set_fault_handler(no_sender.slot()), Err(Error::MissingRights));
}

/// Each word is on a page of its own, which the pager maps when it is missing.
fn a_pager_serves_a_sparse_array() {
    let words = scaled(10_000);
    let Handled { bare, endpoint, _told, .. } =
        Handled::at(Endpoint::create().unwrap(), walks, words, 4 << 20);
    let memory = MemoryObject::create(words * PAGE).unwrap();
    let mut own = memory.map_write(words * PAGE).unwrap();
    bare.thread.start().unwrap();
    for word in 0..words {
        let fault = next_fault(&endpoint);
        assert_eq!((fault.kind, fault.address), (PageRead, ARRAY + word * STRIDE));
        let offset = word * PAGE;
        own[offset as usize..][..8].copy_from_slice(&word.to_le_bytes());
        let mapping = MemoryMap {
            process: bare.process.slot(),
            memory: memory.slot(),
            address: fault.address,
            offset,
            bytes: PAGE,
            rights: Rights::READ,
        };
        // SAFETY: the memory is mapped into another process.
        unsafe { map(&mapping) }.unwrap();
        reply(&label(RESUME)).unwrap();
    }
    assert_eq!(bare.process.wait(), Ok(ExitReason::Exited(0)));
}

fn is_blocked(bare: &Bare) -> bool {
    bare.thread.inspect().unwrap().state == 4
}

/// The endpoint goes before the fault, or while it waits there to be taken; the handler's thread ends, or takes
/// another fault, without having answered.
fn a_handler_that_goes_ends_the_thread_with_its_fault() {
    be_equal();
    leave_nothing(2, || {
        let Handled { program, bare, endpoint, _told } = Handled::new(reads, 0);
        let unread = faulted(PageRead, DATA, program.marked());
        drop((endpoint, _told));
        assert_eq!(bare.run(), unread, "there is no endpoint");

        let Handled { bare, endpoint, _told, .. } = Handled::new(reads, 0);
        bare.thread.start().unwrap();
        until(|| is_blocked(&bare));
        drop((endpoint, _told));
        assert_eq!(bare.process.wait(), Ok(unread), "it has not been taken");

        let handled = Handled::new(reads, 0);
        let slot = handled.endpoint.slot();
        handled.bare.thread.start().unwrap();
        let handler = thread::spawn(move || {
            let endpoint = ManuallyDrop::new(Endpoint::from_slot(slot));
            next_fault(&endpoint);
        });
        handler.unwrap().join().unwrap();
        assert_eq!(handled.bare.process.wait(), Ok(handled.unread()), "its handler has ended");

        let first = Handled::new(reads, 0);
        let second =
            Handled::at(first.endpoint.copy(Rights::all(), 0).unwrap(), reads, 0, 64 * 1024);
        first.bare.thread.start().unwrap();
        next_fault(&first.endpoint);
        second.bare.thread.start().unwrap();
        next_fault(&second.endpoint);
        assert_eq!(first.bare.process.wait(), Ok(first.unread()), "another was taken");
        reply(&label(END)).unwrap();
        assert_eq!(second.bare.process.wait(), Ok(second.unread()));
    });
}

fn a_thread_that_waits_for_its_handler_can_be_killed() {
    be_equal();
    leave_nothing(2, || {
        for is_taken in [false, true] {
            let handled = Handled::new(reads, 0);
            handled.bare.thread.start().unwrap();
            match is_taken {
                true => drop(next_fault(&handled.endpoint)),
                false => until(|| is_blocked(&handled.bare)),
            }
            handled.bare.thread.kill().unwrap();
            assert_eq!(handled.bare.process.wait(), Ok(ExitReason::Killed));
            assert_eq!(handled.endpoint.try_receive().map(drop), Err(IpcError::WouldBlock));
            if is_taken {
                assert_eq!(reply(&label(RESUME)), Err(IpcError::PeerGone));
            }
        }
    });
}
