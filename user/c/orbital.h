/*
 * Orbital's system calls for programs in C. What each call takes and gives stands in docs/syscall-abi.md; the numbers are
 * those of the crate `abi`, which its tests compare with these.
 *
 * A program is this header, orbital.c, and a function `orbital_main`, linked statically without a C library:
 *
 *     cc -static -nostdlib -ffreestanding -fno-pie -no-pie -fno-stack-protector -O2 -o program program.c orbital.c
 */
#ifndef ORBITAL_H
#define ORBITAL_H

#include <stddef.h>
#include <stdint.h>

/* A handle: index and generation of a slot. Any value is safe to pass. */
typedef uint64_t orbital_slot;

#define ORBITAL_NULL ((orbital_slot)0)
/* A deadline in nanoseconds since boot; or these. */
#define ORBITAL_NOW   ((uint64_t)0)
#define ORBITAL_NEVER UINT64_MAX

#define ORBITAL_PAGE_SIZE 4096

/* The registers of a call, in and out: control words, and message words. */
struct orbital_registers {
    uint64_t control[4];
    uint64_t words[8];
};

/* System calls. */
#define ORBITAL_SYS_NULL                     0
#define ORBITAL_SYS_SEND                     1
#define ORBITAL_SYS_RECEIVE                  2
#define ORBITAL_SYS_CALL                     3
#define ORBITAL_SYS_REPLY                    4
#define ORBITAL_SYS_REPLY_RECEIVE            5
#define ORBITAL_SYS_THREAD_YIELD             16
#define ORBITAL_SYS_THREAD_EXIT              17
#define ORBITAL_SYS_THREAD_CREATE            18
#define ORBITAL_SYS_THREAD_START             19
#define ORBITAL_SYS_THREAD_WAIT              20
#define ORBITAL_SYS_THREAD_SUSPEND           21
#define ORBITAL_SYS_THREAD_RESUME            22
#define ORBITAL_SYS_THREAD_KILL              23
#define ORBITAL_SYS_THREAD_SET_PRIORITY      24
#define ORBITAL_SYS_THREAD_SET_AFFINITY      25
#define ORBITAL_SYS_THREAD_INSPECT           26
#define ORBITAL_SYS_THREAD_SLEEP             27
#define ORBITAL_SYS_THREAD_SET_BUDGET        28
#define ORBITAL_SYS_THREAD_SET_FAULT_HANDLER 29
#define ORBITAL_SYS_THREAD_READ_REGISTERS    30
#define ORBITAL_SYS_THREAD_WRITE_REGISTERS   31
#define ORBITAL_SYS_PROCESS_CREATE           32
#define ORBITAL_SYS_PROCESS_EXIT             33
#define ORBITAL_SYS_PROCESS_KILL             34
#define ORBITAL_SYS_PROCESS_WAIT             35
#define ORBITAL_SYS_PROCESS_USAGE            36
#define ORBITAL_SYS_CAPABILITY_COPY          48
#define ORBITAL_SYS_CAPABILITY_CLOSE         49
#define ORBITAL_SYS_CAPABILITY_INSPECT       50
#define ORBITAL_SYS_CAPABILITY_MOVE          51
#define ORBITAL_SYS_CAPABILITY_REVOKE        52
#define ORBITAL_SYS_THREAD_MESSAGE_PAGE      53
#define ORBITAL_SYS_REPLY_KEEP               54
#define ORBITAL_SYS_ENDPOINT_BIND            55
#define ORBITAL_SYS_NOTIFICATION_BIND        56
#define ORBITAL_SYS_SYSTEM_WAITS             57
#define ORBITAL_SYS_ENDPOINT_CREATE          64
#define ORBITAL_SYS_NOTIFICATION_CREATE      72
#define ORBITAL_SYS_NOTIFICATION_SIGNAL      73
#define ORBITAL_SYS_NOTIFICATION_WAIT        74
#define ORBITAL_SYS_MEMORY_CREATE            80
#define ORBITAL_SYS_MEMORY_MAP               81
#define ORBITAL_SYS_MEMORY_UNMAP             82
#define ORBITAL_SYS_MEMORY_PROTECT           83
#define ORBITAL_SYS_MEMORY_CLONE             84
#define ORBITAL_SYS_MEMORY_QUERY             85
#define ORBITAL_SYS_MEMORY_DEVICE            86
#define ORBITAL_SYS_IO_PORT_CREATE           88
#define ORBITAL_SYS_IO_PORT_NARROW           89
#define ORBITAL_SYS_IO_PORT_READ             90
#define ORBITAL_SYS_IO_PORT_WRITE            91
#define ORBITAL_SYS_SYSTEM_LOG               96
#define ORBITAL_SYS_SYSTEM_SHUTDOWN          97
#define ORBITAL_SYS_SYSTEM_STATISTICS        98
#define ORBITAL_SYS_SYSTEM_INTERRUPTS_OFF    99
#define ORBITAL_SYS_SYSTEM_TRACE             100
#define ORBITAL_SYS_SYSTEM_LOG_READ          101
#define ORBITAL_SYS_SYSTEM_LOG_BIND          102
#define ORBITAL_SYS_SYSTEM_FRAMEBUFFER       103
#define ORBITAL_SYS_SYSTEM_PROCESSES         104
#define ORBITAL_SYS_SYSTEM_THREADS           105
#define ORBITAL_SYS_SYSTEM_CAPABILITIES      106
#define ORBITAL_SYS_CLOCK_READ               112
#define ORBITAL_SYS_TIMER_CREATE             120
#define ORBITAL_SYS_TIMER_SET                121
#define ORBITAL_SYS_INTERRUPT_CREATE         124
#define ORBITAL_SYS_INTERRUPT_BIND           125
#define ORBITAL_SYS_INTERRUPT_ACKNOWLEDGE    126

/* Errors: what a call gives that is not 0. */
#define ORBITAL_OK 0
#define ORBITAL_ERROR_UNKNOWN_SYSCALL   1
#define ORBITAL_ERROR_EMPTY_SLOT        2
#define ORBITAL_ERROR_STALE_CAPABILITY  3
#define ORBITAL_ERROR_WRONG_KIND        4
#define ORBITAL_ERROR_MISSING_RIGHTS    5
#define ORBITAL_ERROR_TABLE_FULL        6
#define ORBITAL_ERROR_QUOTA_EXCEEDED    7
#define ORBITAL_ERROR_INVALID_ARGUMENT  8
#define ORBITAL_ERROR_INVALID_ADDRESS   9
#define ORBITAL_ERROR_ADDRESS_IN_USE    10
#define ORBITAL_ERROR_WRITE_AND_EXECUTE 11
#define ORBITAL_ERROR_ENDED             12
#define ORBITAL_ERROR_ALREADY_STARTED   13
#define ORBITAL_ERROR_PRIORITY_TOO_HIGH 14
#define ORBITAL_ERROR_ALREADY_BADGED    15
#define ORBITAL_ERROR_WOULD_BLOCK       16
#define ORBITAL_ERROR_PEER_GONE         17
#define ORBITAL_ERROR_ENDPOINT_GONE     18
#define ORBITAL_ERROR_NO_REPLY_OWED     19
#define ORBITAL_ERROR_INVALID_MESSAGE   20
#define ORBITAL_ERROR_TIMED_OUT         21
#define ORBITAL_ERROR_UNANSWERED        22
#define ORBITAL_ERROR_NOTIFICATION_GONE 23
#define ORBITAL_ERROR_NOT_STOPPED       24
#define ORBITAL_ERROR_REVOKED           25
#define ORBITAL_ERROR_TOO_DEEP          26
#define ORBITAL_ERROR_NO_ROOM           27
#define ORBITAL_ERROR_WOULD_DEADLOCK    28
#define ORBITAL_ERROR_ALREADY_BOUND     29
#define ORBITAL_ERROR_BOUND_TO_ANOTHER  30

/* Kinds of objects. */
#define ORBITAL_KIND_PROCESS       1
#define ORBITAL_KIND_THREAD        2
#define ORBITAL_KIND_ENDPOINT      3
#define ORBITAL_KIND_MEMORY_OBJECT 4
#define ORBITAL_KIND_SYSTEM        5
#define ORBITAL_KIND_NOTIFICATION  6
#define ORBITAL_KIND_TIMER         7
#define ORBITAL_KIND_REPLY         8
#define ORBITAL_KIND_IO_PORT       9
#define ORBITAL_KIND_INTERRUPT     10

/* Rights, a bit each. */
#define ORBITAL_RIGHT_READ       (UINT64_C(1) << 0)
#define ORBITAL_RIGHT_WRITE      (UINT64_C(1) << 1)
#define ORBITAL_RIGHT_EXECUTE    (UINT64_C(1) << 2)
#define ORBITAL_RIGHT_SEND       (UINT64_C(1) << 3)
#define ORBITAL_RIGHT_RECEIVE    (UINT64_C(1) << 4)
#define ORBITAL_RIGHT_GRANT      (UINT64_C(1) << 5)
#define ORBITAL_RIGHT_MANAGE     (UINT64_C(1) << 6)
#define ORBITAL_RIGHT_WAIT       (UINT64_C(1) << 7)
#define ORBITAL_RIGHT_LOG        (UINT64_C(1) << 8)
#define ORBITAL_RIGHT_SHUTDOWN   (UINT64_C(1) << 9)
#define ORBITAL_RIGHT_STATISTICS (UINT64_C(1) << 10)
#define ORBITAL_RIGHT_DEVICES    (UINT64_C(1) << 11)
#define ORBITAL_RIGHT_LOG_READ   (UINT64_C(1) << 12)

/* In control word 2 of what was received. */
#define ORBITAL_IS_CALL   1
#define ORBITAL_IS_FAULT  2
#define ORBITAL_IS_SIGNAL 4

/* A tag: a label, and how many words follow. */
#define ORBITAL_TAG(label, words) ((uint64_t)(words) << 32 | (uint32_t)(label))
#define ORBITAL_TAG_LABEL(tag)    ((uint32_t)(tag))
#define ORBITAL_TAG_WORDS(tag)    ((size_t)((tag) >> 32 & 0x1ff))

#define ORBITAL_BOOTSTRAP_MAGIC UINT64_C(0x314c41544942524f) /* "ORBITAL1" */
#define ORBITAL_GRANTED 16
#define ORBITAL_NAME_BYTES 16

/* What a program finds when it starts: one page, for reading. */
struct orbital_bootstrap {
    uint64_t magic;
    orbital_slot process;
    orbital_slot thread;
    orbital_slot system;
    orbital_slot archive;
    uint64_t archive_bytes;
    orbital_slot granted[ORBITAL_GRANTED];
    char names[ORBITAL_GRANTED][ORBITAL_NAME_BYTES];
    uint64_t command_line_bytes;
    uint64_t stack_bottom;
    char command_line[ORBITAL_PAGE_SIZE - 56 * 8];
};

_Static_assert(sizeof(struct orbital_bootstrap) == ORBITAL_PAGE_SIZE, "the bootstrap block is one page");

/* Makes a system call; gives 0 or an error. What a thread keeps over a call of a C function it keeps over this one. */
uint64_t orbital_call(uint64_t number, struct orbital_registers *registers);

/* The program's own function, for its first thread. What it gives is the exit code. */
uint64_t orbital_main(const struct orbital_bootstrap *bootstrap);

/* Writes a line into the log: at most 256 bytes. */
uint64_t orbital_log(orbital_slot system, const char *text, size_t bytes);

/* Ends the process. */
_Noreturn void orbital_exit(uint64_t code);

#endif
