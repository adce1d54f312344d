//! Instructions that a program may not use: each ends its thread with the fault that it was, at the
//! instruction.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use guests::{
    bare::{CODE, Code, Program, STACK, STACK_TOP, each_is, faulted},
    code, named, suite,
};
use orbital_user::{ExitReason, FaultKind};

suite! {
    cases: [
        privileged_instructions_are_refused,
        control_registers_are_refused,
        ports_are_refused,
        descriptor_tables_stay_hidden,
        gates_of_the_kernel_are_closed,
        returns_into_the_kernel_are_refused,
        selectors_of_the_kernel_are_refused,
    ],
    roles: [],
}

use FaultKind::{InvalidOpcode, PageRead, Protection};

code! {
    halt: [] ["hlt"];
    clear_interrupts: [] ["cli"];
    set_interrupts: [] ["sti"];
    swap_gs: [] ["swapgs"];
    system_return: ["lea rcx, [rip]"] ["sysretq"];
    system_exit: [] ["sysexitq"];
    clear_task_switched: [] ["clts"];
    invalidate: [] ["invd"];
    write_back: [] ["wbinvd"];
    flush_page: [] ["invlpg [rsp]"];
    flush_context: ["xor eax, eax"] ["invpcid rax, [rsp - 16]"];
    read_msr: ["mov ecx, 0xc0000080"] ["rdmsr"];
    write_msr: ["mov ecx, 0xc0000102"] ["wrmsr"];
    write_efer: ["mov ecx, 0xc0000080"] ["wrmsr"];
    read_counter: [] ["rdpmc"];
    set_extended_control: ["xor ecx, ecx", "mov eax, 3"] ["xsetbv"];
    load_task: ["mov ax, 0x28"] ["ltr ax"];
    load_local_table: ["xor eax, eax"] ["lldt ax"];
    load_machine_word: [] ["lmsw ax"];
    load_global_table: [] ["lgdt [rsp - 16]"];
    load_interrupt_table: [] ["lidt [rsp - 16]"];
    allow_user_access: [] ["stac"];
    forbid_user_access: [] ["clac"];
    resume_management: [] ["rsm"];
    monitor: [] ["monitor"];
    wait_for_write: [] ["mwait"];
    enter_virtual: [] ["vmrun"];
    call_hypervisor: [] ["vmcall"];
    system_enter: [] ["sysenter"];
    // What the kernel has not turned on: protection keys, shadow stacks, user interrupts, safer mode.
    read_keys: ["xor ecx, ecx"] [".byte 0x0f, 0x01, 0xee"];
    write_keys: ["xor eax, eax", "xor ecx, ecx", "xor edx, edx"] [".byte 0x0f, 0x01, 0xef"];
    set_shadow_busy: [] [".byte 0xf3, 0x0f, 0x01, 0xe8"];
    write_shadow: [] [".byte 0x48, 0x0f, 0x38, 0xf6, 0x04, 0x24"];
    forbid_user_interrupts: [] [".byte 0xf3, 0x0f, 0x01, 0xee"];
    enter_safer: ["xor eax, eax"] [".byte 0x0f, 0x37"];
    save_supervisor_state: ["lea rdi, [rsp - 1024]", "and rdi, -64"] [".byte 0x0f, 0xc7, 0x2f"];
}

/// `hlt`, `cli`, `sti`, `swapgs`, `wrmsr` and all the others that only a kernel needs.
fn privileged_instructions_are_refused() {
    let protected = named![
        halt,
        clear_interrupts,
        set_interrupts,
        swap_gs,
        system_return,
        clear_task_switched,
        invalidate,
        write_back,
        flush_page,
        read_msr,
        write_msr,
        write_efer,
        read_counter,
        set_extended_control,
        load_task,
        load_local_table,
        load_machine_word,
        load_global_table,
        load_interrupt_table,
    ];
    each_is(protected, &[Protection], 0);
    let unknown = named![allow_user_access, forbid_user_access, resume_management];
    each_is(unknown, &[InvalidOpcode], 0);
    // Which of both depends on the CPU's maker.
    let either = named![
        system_enter,
        system_exit,
        flush_context,
        monitor,
        wait_for_write,
        enter_virtual,
        call_hypervisor,
        read_keys,
        write_keys,
        set_shadow_busy,
        write_shadow,
        forbid_user_interrupts,
        enter_safer,
        save_supervisor_state,
    ];
    each_is(either, &[Protection, InvalidOpcode], 0);
}

code! {
    read_cr0: [] ["mov rax, cr0"];
    read_cr2: [] ["mov rax, cr2"];
    read_cr3: [] ["mov rax, cr3"];
    read_cr4: [] ["mov rax, cr4"];
    read_cr8: [] ["mov rax, cr8"];
    write_cr0: ["mov eax, 1"] ["mov cr0, rax"];
    write_cr3: ["mov eax, 0x1000"] ["mov cr3, rax"];
    write_cr4: [] ["mov cr4, rax"];
    write_cr8: [] ["mov cr8, rax"];
    read_dr0: [] ["mov rax, dr0"];
    read_dr7: [] ["mov rax, dr7"];
    write_dr0: [] ["mov dr0, rax"];
    write_dr7: [] ["mov dr7, rax"];
}

/// Control and debug registers can be neither read nor written.
fn control_registers_are_refused() {
    let codes = named![
        read_cr0, read_cr2, read_cr3, read_cr4, read_cr8, write_cr0, write_cr3, write_cr4,
        write_cr8, read_dr0, read_dr7, write_dr0, write_dr7,
    ];
    each_is(codes, &[Protection], 0);
}

code! {
    read_port: [] ["in al, 0x60"];
    read_port_dx: ["mov dx, 0xcfc"] ["in eax, dx"];
    // The port that ends the machine, were it allowed.
    write_port: ["mov al, 0x10"] ["out 0xf4, al"];
    write_port_dx: ["mov dx, 0xf4", "mov al, 0x10"] ["out dx, al"];
    read_string: ["mov dx, 0x60", "lea rdi, [rsp - 8]"] ["insb"];
    write_string: ["mov dx, 0xf4", "lea rsi, [rsp - 8]"] ["outsb"];
    write_strings: ["mov dx, 0xf4", "lea rsi, [rsp - 8]", "mov ecx, 1"] ["rep outsb"];
}

/// No port can be read or written; the machine's off switch neither.
fn ports_are_refused() {
    let codes = named![
        read_port,
        read_port_dx,
        write_port,
        write_port_dx,
        read_string,
        write_string,
        write_strings
    ];
    each_is(codes, &[Protection], 0);
}

code! {
    store_global_table: [] ["sgdt [rsp - 16]"];
    store_interrupt_table: [] ["sidt [rsp - 16]"];
    store_local_table: [] ["sldt ax"];
    store_task: [] ["str ax"];
    store_machine_word: [] ["smsw eax"];
}

/// Where the kernel has its tables no program learns (UMIP).
fn descriptor_tables_stay_hidden() {
    let codes = named![
        store_global_table,
        store_interrupt_table,
        store_local_table,
        store_task,
        store_machine_word,
    ];
    each_is(codes, &[Protection], 0);
}

code! {
    int_0: [] ["int 0"];
    int_1: [] ["int 1"];
    int_2: [] ["int 2"];
    int_6: [] ["int 6"];
    int_8: [] ["int 8"];
    int_13: [] ["int 13"];
    int_14: [] ["int 14"];
    int_18: [] ["int 18"];
    int_timer: [] ["int 0x20"];
    int_0x80: [] ["int 0x80"];
    int_255: [] ["int 255"];
    int_9: [] ["int 9"];
    int_15: [] ["int 15"];
    int_overflow: [] ["int 4"];
}

/// No vector can be raised by hand but the breakpoint and the overflow trap.
fn gates_of_the_kernel_are_closed() {
    let codes = named![
        int_0, int_1, int_2, int_6, int_8, int_9, int_13, int_14, int_15, int_18, int_timer,
        int_0x80, int_255,
    ];
    each_is(codes, &[Protection], 0);
    each_is(named![int_overflow], &[FaultKind::Other], 2);
}

code! {
    // ss, rsp, flags, cs, rip.
    interrupt_return: [
        "lea rax, [rip]", "push 0x10", "push rsp", "push 0x202", "push 0x08", "push rax"
    ] ["iretq"];
    interrupt_return_to_ring_1: [
        "lea rax, [rip]", "push 0x11", "push rsp", "push 0x202", "push 0x09", "push rax"
    ] ["iretq"];
    interrupt_return_with_kernel_stack: [
        "lea rax, [rip]", "push 0x10", "push rsp", "push 0x202", "push 0x23", "push rax"
    ] ["iretq"];
    interrupt_return_to_nothing: [
        "lea rax, [rip]", "push 0x1b", "push rsp", "push 0x202", "push 0", "push rax"
    ] ["iretq"];
    interrupt_return_nested: [
        "push 0x4002", "popfq",
        "lea rax, [rip]", "push 0x1b", "push rsp", "push 0x202", "push 0x23", "push rax"
    ] ["iretq"];
    far_return: ["lea rax, [rip]", "push 0x08", "push rax"] ["retfq"];
    far_return_to_task: ["lea rax, [rip]", "push 0x28", "push rax"] ["retfq"];
    // A return to itself, with IOPL 3 and interrupts off wished for: both stay as they are.
    interrupt_return_to_user: [
        "mov rbx, rsp", "lea rax, [rip + 2f]",
        "push 0x1b", "push rbx", "push 0x3002", "push 0x23", "push rax", "iretq",
        "2: pushfq", "pop rdi", "mov eax, 33", "syscall",
    ] ["ud2"];
    pop_flags: ["push 0x3002", "popfq", "pushfq", "pop rdi", "mov eax, 33", "syscall"] ["ud2"];
}

/// QEMU's CPU before version 9.1 reads what `iretq` and `retfq` pop as if the kernel did, which SMAP
/// refuses; so there they end with another fault.
fn is_read_as_kernel(reason: ExitReason, program: &Program) -> bool {
    let ExitReason::Faulted(fault) = reason else { return false };
    fault.kind == PageRead
        && (STACK..STACK_TOP).contains(&fault.address)
        && (CODE..=program.marked()).contains(&fault.instruction_pointer)
}

/// `iretq` and far returns lead to user code alone, and change neither the I/O level nor the
/// interrupt flag.
fn returns_into_the_kernel_are_refused() {
    let codes: &[Code] = &[
        interrupt_return,
        interrupt_return_to_ring_1,
        interrupt_return_with_kernel_stack,
        interrupt_return_to_nothing,
        interrupt_return_nested,
        far_return,
        far_return_to_task,
    ];
    for (index, code) in codes.iter().enumerate() {
        let program = Program::new(*code);
        let reason = program.run(0);
        let expected = faulted(Protection, 0, program.marked());
        assert!(reason == expected || is_read_as_kernel(reason, &program), "{index}: {reason}");
    }
    let program = Program::new(interrupt_return_to_user);
    let reason = program.run(0);
    assert!(reason == ExitReason::Exited(0x202) || is_read_as_kernel(reason, &program));
    assert_eq!(Program::new(pop_flags).run(0), ExitReason::Exited(0x202));
}

code! {
    load_ds: ["mov eax, 0x10"] ["mov ds, eax"];
    load_es: ["mov eax, 0x10"] ["mov es, eax"];
    load_fs: ["mov eax, 0x10"] ["mov fs, eax"];
    load_gs: ["mov eax, 0x10"] ["mov gs, eax"];
    load_ss: ["mov eax, 0x10"] ["mov ss, eax"];
    load_null_ss: ["xor eax, eax"] ["mov ss, eax"];
    load_code_as_ss: ["mov eax, 0x23"] ["mov ss, eax"];
    load_local: ["mov eax, 0x1f"] ["mov ds, eax"];
    load_behind_the_table: ["mov eax, 0xfffb"] ["mov es, eax"];
    load_task_as_data: ["mov eax, 0x2b"] ["mov gs, eax"];
}

/// Segment registers take no selector of the kernel's, and none that does not exist.
fn selectors_of_the_kernel_are_refused() {
    let codes = named![
        load_ds,
        load_es,
        load_fs,
        load_gs,
        load_ss,
        load_null_ss,
        load_code_as_ss,
        load_local,
        load_behind_the_table,
        load_task_as_data,
    ];
    each_is(codes, &[Protection], 0);
}
