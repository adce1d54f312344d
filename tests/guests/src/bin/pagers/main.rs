//! Fault handlers: what they are told, what their answers do, and how a thread fares whose handler goes.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

mod arrays;
mod ends;
mod registers;
mod stops;
mod telling;

use guests::{
    bare::{Bare, Code, DATA, PAGE, Program, faulted},
    code,
    cpus::until,
    suite,
};
use orbital_user::{
    Endpoint, ExitReason, Fault, FaultKind::PageRead, MemoryObject, Rights, Thread,
    abi::fault::FaultMessage,
};

use arrays::*;
use ends::*;
use registers::*;
use stops::*;
use telling::*;

suite! {
    cases: [
        every_fault_is_told_as_it_is,
        a_message_that_looks_like_a_fault_is_none,
        resuming_without_help_faults_again,
        the_kernel_asks_no_pager_for_what_it_reads,
        registers_are_read_and_changed,
        every_register_is_shown_and_changed,
        registers_are_changed_to_what_a_program_can_have_alone,
        only_a_thread_that_waits_for_its_handler_shows_its_registers,
        without_a_handler_any_more_a_fault_ends_its_thread,
    ],
    parallel: [
        a_pager_serves_a_sparse_array,
        a_pager_in_a_process_of_its_own_serves_several_threads,
        a_fault_ends_its_thread_and_nobody_else,
        a_handler_that_goes_ends_the_thread_with_its_fault,
        a_pager_s_process_that_ends_takes_along_whom_it_has_served_half,
        a_process_handles_its_own_faults_and_its_handler_s,
        a_thread_that_waits_for_its_handler_can_be_killed,
        a_thread_that_waits_for_itself_can_be_killed,
        a_suspended_thread_is_answered_and_stands_still,
        a_handler_that_is_taken_away_answers_what_it_was_told,
    ],
    roles: [pages, takes_and_waits, takes_and_faults, takes_and_exits],
}

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
    // Adds one to each word from a first one on, of which its argument has the number in the upper half and
    // their count in the lower.
    increments: [
        "mov rcx, rdi", "shr rcx, 32", "imul rbx, rcx, 0x3000", "mov rax, 0x100000000000", "add rbx, rax", "2:",
    ] [
        "mov rax, [rbx]", "cmp rax, rcx", "jne 3f", "inc rax", "mov [rbx], rax", "cmp [rbx], rax", "jne 3f",
        "inc rcx", "add rbx, 0x3000", "dec edi", "jnz 2b", "xor edi, edi", "mov eax, 17", "syscall", "3: ud2",
    ];
    fills: [
        "mov eax, 1", "mov ebx, 2", "mov ecx, 3", "mov edx, 4", "mov esi, 5", "mov edi, 6", "mov ebp, 7",
        "mov esp, 8", "mov r8d, 9", "mov r9d, 10", "mov r10d, 11", "mov r11d, 12", "mov r12d, 13",
        "mov r13d, 14", "mov r14d, 15", "mov r15d, 16",
    ] ["ud2", "ud2"];
    spins: [] ["2: jmp 2b"];
    sleeps: ["mov rdi, -1", "mov eax, 27", "syscall"] ["ud2"];
    // Logs 5 bytes, with the system that its argument names, and ends with what that gave.
    logs: ["mov esi, 0x500000", "mov edx, 5", "mov eax, 96", "syscall"] [
        "mov rdi, rax", "mov eax, 33", "syscall",
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

    /// Lets it run until it waits for an answer, here where nobody has asked for its fault.
    fn start_until_it_waits(&self) {
        self.bare.thread.start().unwrap();
        until(|| is_blocked(&self.bare.thread));
    }

    /// Maps what its thread reads.
    fn help(&self) {
        self.bare.data(&MemoryObject::create(PAGE).unwrap(), Rights::READ | Rights::WRITE);
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

fn is_blocked(thread: &Thread) -> bool {
    thread.inspect().unwrap().state == 4
}
