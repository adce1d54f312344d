//! The first instructions of every CPU but the first: from real mode, on a page below 1 MiB, straight
//! to 64-bit mode on the boot code's page tables, and up into Rust.
//!
//! The code is copied to the page; what depends on the page or on the CPU stands in its last words.

use core::arch::global_asm;

use super::{direct_map, kernel_space, layout::KERNEL_BASE};
use crate::memory::frame::Frame;

// Where the words stand that depend on the page or the CPU, in bytes from the page's start.
const TABLES: usize = 8;
const SEGMENTS: usize = 16;
const FAR: usize = 24;
const STACK: usize = 32;
const CPU: usize = 40;
const ROOT: usize = 48;

global_asm!(
    ".section .rodata.trampoline, \"a\"",
    ".code16",
    ".global trampoline_start, trampoline_end",
    ".balign 16",
    "trampoline_start:",
    "jmp 2f",
    ".org trampoline_start + {tables}",
    ".long boot_root - {base}",
    ".org trampoline_start + {segments}",
    ".short 15",
    ".long boot_gdt - {base}",
    // The page's address is added to the offset.
    ".org trampoline_start + {far}",
    ".long trampoline_long - trampoline_start",
    ".short 8",
    ".org trampoline_start + {stack}",
    "trampoline_stack: .quad 0",
    ".org trampoline_start + {cpu}",
    "trampoline_cpu: .quad 0",
    ".org trampoline_start + {root}",
    "trampoline_root: .quad 0",
    // CS:IP is page:0, and so is DS from here on.
    "2: cli",
    "cld",
    "mov ax, cs",
    "mov ds, ax",
    "lgdtd [{segments}]",
    // CR4.PAE, the boot tables, EFER.LME and NXE, then paging and protection at once, caches on (Intel
    // SDM volume 3, 10.8.5 and 11.5.1): as the boot code has them on the first CPU.
    "mov eax, 1 << 5",
    "mov cr4, eax",
    "mov eax, [{tables}]",
    "mov cr3, eax",
    "mov ecx, 0xc0000080",
    "xor edx, edx",
    "mov eax, (1 << 8) | (1 << 11)",
    "wrmsr",
    "mov eax, {cr0}",
    "mov cr0, eax",
    // jmp far [far], 32-bit operand, spelt out: assemblers do not agree on its name.
    ".byte 0x66, 0xff, 0x2e",
    ".short {far}",
    ".code64",
    "trampoline_long:",
    "xor eax, eax",
    "mov ds, ax",
    "mov es, ax",
    "mov fs, ax",
    "mov gs, ax",
    "mov ss, ax",
    "mov rsi, [rip + trampoline_root]",
    "mov rdx, [rip + trampoline_stack]",
    "mov rdi, [rip + trampoline_cpu]",
    "mov rax, offset trampoline_high",
    "jmp rax",
    "trampoline_end:",
    ".text",
    // The stack is in no tables but the kernel's, and those do not have the page.
    "trampoline_high:",
    "mov cr3, rsi",
    "mov rsp, rdx",
    "xor ebp, ebp",
    "call {start}",
    "ud2",
    tables = const TABLES,
    segments = const SEGMENTS,
    far = const FAR,
    stack = const STACK,
    cpu = const CPU,
    root = const ROOT,
    start = sym super::smp::start,
    cr0 = const super::boot::CR0,
    base = const KERNEL_BASE,
);

unsafe extern "C" {
    safe static trampoline_start: u8;
    safe static trampoline_end: u8;
}

/// The copy that CPUs start on.
pub struct Trampoline {
    page: Frame,
}

impl Trampoline {
    /// Copies the code to `page`, which lies below 1 MiB and belongs to the caller from now on.
    pub fn new(page: Frame) -> Self {
        let start = &raw const trampoline_start;
        let length = &raw const trampoline_end as usize - start as usize;
        // SAFETY: the code's bytes, which are constants.
        let code = unsafe { core::slice::from_raw_parts(start, length) };
        direct_map::write(page, 0, code);
        let this = Self { page };
        let long = code[FAR..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        let root = kernel_space::root().address();
        direct_map::write(page, ROOT, &root.to_le_bytes());
        direct_map::write(page, FAR, &(long + page.address() as u32).to_le_bytes());
        this
    }

    /// Which stack and number the CPU that starts next shall have.
    pub fn prepare(&self, cpu: usize, stack_top: u64) {
        direct_map::write(self.page, STACK, &stack_top.to_le_bytes());
        direct_map::write(self.page, CPU, &(cpu as u64).to_le_bytes());
    }

    /// What a start-up interrupt carries: the page's number.
    pub fn vector(&self) -> u8 {
        self.page.number() as u8
    }
}
