/* The first instructions of a program in C, and the system call itself. */
#include "orbital.h"

__asm__(
    /* rdi: the bootstrap block. The zero ends backtraces; the stack is aligned as calls want it. */
    ".globl _start\n"
    "_start:\n"
    "    xorl %ebp, %ebp\n"
    "    andq $-16, %rsp\n"
    "    call orbital_main\n"
    "    movq %rax, %rdi\n"
    "    call orbital_exit\n"
    "    ud2\n"

    /* rdi: the number, rsi: the registers. A call keeps rsp and no other register; what C wants kept goes to the stack. */
    ".globl orbital_call\n"
    "orbital_call:\n"
    "    pushq %rbx\n"
    "    pushq %rbp\n"
    "    pushq %r12\n"
    "    pushq %r13\n"
    "    pushq %r14\n"
    "    pushq %r15\n"
    "    pushq %rsi\n"
    "    movq %rdi, %rax\n"
    "    movq %rsi, %rcx\n"
    "    movq (%rcx), %rdi\n"
    "    movq 8(%rcx), %rsi\n"
    "    movq 16(%rcx), %rdx\n"
    "    movq 24(%rcx), %r8\n"
    "    movq 32(%rcx), %r9\n"
    "    movq 40(%rcx), %r10\n"
    "    movq 48(%rcx), %r12\n"
    "    movq 56(%rcx), %r13\n"
    "    movq 64(%rcx), %r14\n"
    "    movq 72(%rcx), %r15\n"
    "    movq 80(%rcx), %rbx\n"
    "    movq 88(%rcx), %rbp\n"
    "    syscall\n"
    "    popq %rcx\n"
    "    movq %rdi, (%rcx)\n"
    "    movq %rsi, 8(%rcx)\n"
    "    movq %rdx, 16(%rcx)\n"
    "    movq %r8, 24(%rcx)\n"
    "    movq %r9, 32(%rcx)\n"
    "    movq %r10, 40(%rcx)\n"
    "    movq %r12, 48(%rcx)\n"
    "    movq %r13, 56(%rcx)\n"
    "    movq %r14, 64(%rcx)\n"
    "    movq %r15, 72(%rcx)\n"
    "    movq %rbx, 80(%rcx)\n"
    "    movq %rbp, 88(%rcx)\n"
    "    popq %r15\n"
    "    popq %r14\n"
    "    popq %r13\n"
    "    popq %r12\n"
    "    popq %rbp\n"
    "    popq %rbx\n"
    "    ret\n"
    ".section .note.GNU-stack, \"\", @progbits\n"
    ".text\n");

uint64_t orbital_log(orbital_slot system, const char *text, size_t bytes)
{
    struct orbital_registers registers = { .control = { system, (uintptr_t)text, bytes } };
    return orbital_call(ORBITAL_SYS_SYSTEM_LOG, &registers);
}

_Noreturn void orbital_exit(uint64_t code)
{
    for (;;) {
        struct orbital_registers registers = { .control = { code } };
        orbital_call(ORBITAL_SYS_PROCESS_EXIT, &registers);
    }
}
