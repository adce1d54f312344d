//! The kernel's first instructions: from the 32-bit state in which a loader leaves the machine to
//! 64-bit Rust in the upper half. Called by GRUB (Multiboot2) and by QEMU itself (PVH).
//!
//! Both loaders enter in 32-bit protected mode without paging, interrupts off, with a pointer to
//! what they know in `ebx`. One path serves both; `edi` remembers which loader it was.
//!
//! 1. check that the CPU has long mode and NX, else one line on the serial port and stop;
//! 2. read the time-stamp counter, and clear `.bss`, where the boot stack and the boot page tables
//!    stand;
//! 3. map the first 4 GiB three times with 2 MiB pages: at 0 (for the next few instructions), as
//!    the start of the direct map, and (its first GiB) at the top 2 GiB;
//! 4. turn on long mode, jump up, call [`start`](super::start).
//!
//! Sources: Multiboot2 specification 2.0 sections 3.1 and 3.3; Xen's PVH boot ABI
//! (docs/misc/pvh.pandoc); Intel SDM volume 3, 10.8.5 "Initializing IA-32e Mode".

use core::arch::global_asm;

/// In `edi` where Multiboot2 booted us (specification, 3.3).
pub const MULTIBOOT2_MAGIC: u32 = 0x36d7_6289;
/// In `edi` where PVH booted us: our own mark, the ABI gives none in a register.
pub const PVH_MAGIC: u32 = 0x7076_6821;

/// CR0 from the boot code on: paging, write protection, floating-point errors by exception, and the bits
/// that every such CPU has (Intel SDM volume 3, 2.5).
pub const CR0: u32 = 1 << 31 | 1 << 16 | 1 << 5 | 1 << 4 | 1 << 1 | 1;

/// Size of the first CPU's kernel stack in bytes.
pub const STACK_BYTES: usize = 64 * 1024;

global_asm!(
    // The header: magic, architecture i386, length, checksum, then tags.
    ".section .multiboot2, \"a\"",
    ".balign 8",
    "2: .long 0xe85250d6, 0, 3f - 2b, 0x100000000 - (0xe85250d6 + (3f - 2b))",
    // Entry address (tag 3): the physical one.
    ".balign 8",
    ".short 3, 0",
    ".long 12, boot_multiboot2 - {base}",
    // Modules on page boundaries (tag 6).
    ".balign 8",
    ".short 6, 0",
    ".long 8",
    // A framebuffer (tag 5): wanted, not needed (flag 1); width, height, depth.
    ".balign 8",
    ".short 5, 1",
    ".long 20, 1024, 768, 32",
    // End.
    ".balign 8",
    ".short 0, 0",
    ".long 8",
    "3:",
    // The PVH note: owner "Xen", type 18 (XEN_ELFNOTE_PHYS32_ENTRY), the physical entry.
    ".section .note.pvh, \"a\", @note",
    ".balign 4",
    ".long 4, 4, 18",
    ".asciz \"Xen\"",
    ".long boot_pvh - {base}",
    base = const super::layout::KERNEL_BASE,
);

global_asm!(
    ".section .text.boot, \"ax\"",
    ".code32",
    ".global boot_multiboot2",
    "boot_multiboot2:",
    "cmp eax, {multiboot2}",
    "mov edi, eax",
    "je boot_common",
    "mov esi, offset boot_unknown_loader - {base}",
    "jmp boot_stop",
    ".global boot_pvh",
    "boot_pvh:",
    "mov edi, {pvh}",
    "boot_common:",
    "cli",
    "cld",
    "mov esp, offset boot_stack_end - {base}",
    // A CPU without CPUID can't flip bit 21 of the flags.
    "pushfd",
    "pop eax",
    "mov ecx, eax",
    "xor eax, 1 << 21",
    "push eax",
    "popfd",
    "pushfd",
    "pop eax",
    "cmp eax, ecx",
    "mov esi, offset boot_no_long_mode - {base}",
    "je boot_stop",
    // Long mode is bit 29 and NX bit 20 of extended leaf 1.
    "push ebx",
    "mov eax, 0x80000000",
    "cpuid",
    "cmp eax, 0x80000001",
    "jb boot_stop",
    "mov eax, 0x80000001",
    "cpuid",
    "test edx, 1 << 29",
    "jz boot_stop",
    "mov esi, offset boot_no_nx - {base}",
    "test edx, 1 << 20",
    "jz boot_stop",
    "pop ebx",
    // The time begins. Every CPU with long mode has the counter.
    "rdtsc",
    "mov ebp, eax",
    "mov esi, edx",
    // Clear .bss, keeping edi. Nothing stands on the stack.
    "mov edx, edi",
    "mov edi, offset kernel_bss_start - {base}",
    "mov ecx, offset kernel_bss_end - {base}",
    "sub ecx, edi",
    "shr ecx, 2",
    "xor eax, eax",
    "rep stosd",
    "mov edi, edx",
    "mov [offset boot_ticks - {base}], ebp",
    "mov [offset boot_ticks - {base} + 4], esi",
    "jmp boot_page_tables",
    multiboot2 = const MULTIBOOT2_MAGIC,
    pvh = const PVH_MAGIC,
    base = const super::layout::KERNEL_BASE,
);

global_asm!(
    // Writes the text at esi to the first serial port and stops.
    "boot_stop:",
    "mov dx, 0x3f8 + 5",
    "4: in al, dx",
    "test al, 0x20",
    "jz 4b",
    "lodsb",
    "test al, al",
    "jz 5f",
    "mov dx, 0x3f8",
    "out dx, al",
    "jmp boot_stop",
    // The debug-exit device, where there is one, tells the machine's owner: a panic.
    "5: mov al, {verdict}",
    "out {exit_port}, al",
    "6: cli",
    "hlt",
    "jmp 6b",
    "boot_unknown_loader: .asciz \"Orbital: started by a loader that is neither Multiboot2 nor PVH\\n\"",
    "boot_no_long_mode: .asciz \"Orbital: this CPU has no 64-bit mode\\n\"",
    "boot_no_nx: .asciz \"Orbital: this CPU has no NX bit\\n\"",
    verdict = const super::power::VERDICT_PANIC,
    exit_port = const super::power::DEBUG_EXIT_PORT,
);

global_asm!(
    "boot_page_tables:",
    // 2048 entries of 2 MiB: present, writable, large.
    "mov ecx, offset boot_directories - {base}",
    "mov eax, 0x83",
    "7: mov [ecx], eax",
    "add ecx, 8",
    "add eax, 0x200000",
    "jnc 7b",
    // Four directories make the low 4 GiB; the first also the top 2 GiB.
    "mov ecx, offset boot_directories - {base} + 3",
    "mov edx, offset boot_low - {base}",
    "mov [edx], ecx",
    "mov dword ptr [offset boot_high - {base} + 510 * 8], ecx",
    "add ecx, 4096",
    "mov [edx + 8], ecx",
    "add ecx, 4096",
    "mov [edx + 16], ecx",
    "add ecx, 4096",
    "mov [edx + 24], ecx",
    "lea ecx, [edx + 3]",
    "mov edx, offset boot_root - {base}",
    "mov [edx], ecx",
    "mov [edx + {direct_entry} * 8], ecx",
    "mov ecx, offset boot_high - {base} + 3",
    "mov [edx + 511 * 8], ecx",
    "mov cr3, edx",
    // Long mode: CR4.PAE, EFER.LME and NXE, then CR0.PG, WP, NE, ET, MP and PE, and nothing that
    // firmware or loader had set: no five-level tables, no counters for user mode, no caches off.
    "mov eax, 1 << 5",
    "mov cr4, eax",
    "mov ecx, 0xc0000080",
    "xor edx, edx",
    "mov eax, (1 << 8) | (1 << 11)",
    "wrmsr",
    "mov eax, {cr0}",
    "mov cr0, eax",
    "lgdt [offset boot_gdt_pointer - {base}]",
    "push 8",
    "mov eax, offset boot_long - {base}",
    "push eax",
    "retf",
    base = const super::layout::KERNEL_BASE,
    direct_entry = const 256,
    cr0 = const CR0,
);

global_asm!(
    ".code64",
    "boot_long:",
    "mov rax, offset boot_high_half",
    "jmp rax",
    "boot_high_half:",
    "xor eax, eax",
    "mov ds, ax",
    "mov es, ax",
    "mov fs, ax",
    "mov gs, ax",
    "mov ss, ax",
    "mov rsp, offset boot_stack_end",
    "xor ebp, ebp",
    // start(magic, information): both 32 bits wide.
    "mov edi, edi",
    "mov esi, ebx",
    "call {start}",
    "ud2",
    // Code segment, 64 bits, ring 0. `boot_gdt_pointer` is physical: paging may be off.
    ".global boot_gdt",
    ".balign 8",
    "boot_gdt: .quad 0, 0x00af9a000000ffff",
    "boot_gdt_pointer: .short 15",
    ".long boot_gdt - {base}",
    ".section .bss.boot_stack, \"aw\", @nobits",
    ".balign 4096",
    "boot_stack: .skip {stack}",
    ".global boot_stack_end",
    "boot_stack_end:",
    ".section .bss.boot_tables, \"aw\", @nobits",
    ".balign 4096",
    ".global boot_root",
    "boot_root: .skip 4096",
    "boot_low: .skip 4096",
    "boot_high: .skip 4096",
    "boot_directories: .skip 4 * 4096",
    // The time-stamp counter at the kernel's entry.
    ".section .data",
    ".balign 8",
    ".global boot_ticks",
    "boot_ticks: .quad 0",
    ".text",
    start = sym super::start::start,
    base = const super::layout::KERNEL_BASE,
    stack = const STACK_BYTES,
);
