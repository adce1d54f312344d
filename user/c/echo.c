/*
 * An example: a program whose second thread is a server. The first one calls it, says in the log what came back, and
 * powers off with success where that was right. It runs as init: `cargo run -- --init echo`.
 */
#include "orbital.h"

enum { ECHO = 7, STACK_BYTES = 4 * ORBITAL_PAGE_SIZE, STACK = 0x10000000, PRIORITY = 128 };

static orbital_slot the_system;

static void say(const char *text)
{
    size_t bytes = 0;
    while (text[bytes] != 0)
        bytes++;
    orbital_log(the_system, text, bytes);
}

/* Answers each call with its words inverted. The endpoint is the thread's argument. */
static _Noreturn void serve(orbital_slot endpoint)
{
    struct orbital_registers registers = { .control = { endpoint, 0, ORBITAL_NEVER } };
    uint64_t error = orbital_call(ORBITAL_SYS_RECEIVE, &registers);
    while (error == ORBITAL_OK) {
        uint64_t tag = registers.control[1];
        registers.control[0] = endpoint;
        registers.control[1] = ORBITAL_TAG(ORBITAL_TAG_LABEL(tag), ORBITAL_TAG_WORDS(tag));
        registers.control[2] = ORBITAL_NEVER;
        registers.control[3] = ORBITAL_NULL;
        for (size_t word = 0; word < 8; word++)
            registers.words[word] = ~registers.words[word];
        error = orbital_call(ORBITAL_SYS_REPLY_RECEIVE, &registers);
    }
    say("the server can't go on");
    orbital_exit(error);
}

/* Starts the server, with a stack of its own. */
static uint64_t start_server(const struct orbital_bootstrap *bootstrap, orbital_slot endpoint)
{
    struct orbital_registers memory = { .control = { STACK_BYTES } };
    uint64_t error = orbital_call(ORBITAL_SYS_MEMORY_CREATE, &memory);
    if (error != ORBITAL_OK)
        return error;
    struct orbital_registers map = {
        .control = { ORBITAL_NULL, memory.control[0], STACK, 0 },
        .words = { STACK_BYTES, ORBITAL_RIGHT_READ | ORBITAL_RIGHT_WRITE },
    };
    error = orbital_call(ORBITAL_SYS_MEMORY_MAP, &map);
    if (error != ORBITAL_OK)
        return error;
    /* As if it had been called: 8 bytes off a multiple of 16. */
    struct orbital_registers thread = {
        .control = { bootstrap->process, (uintptr_t)serve, STACK + STACK_BYTES - 8, endpoint },
        .words = { PRIORITY },
    };
    error = orbital_call(ORBITAL_SYS_THREAD_CREATE, &thread);
    if (error != ORBITAL_OK)
        return error;
    struct orbital_registers start = { .control = { thread.control[0] } };
    return orbital_call(ORBITAL_SYS_THREAD_START, &start);
}

/* Calls with three words, and looks whether they come back inverted. */
static uint64_t ask(orbital_slot endpoint)
{
    const uint64_t words[3] = { 1, 0, 0xfedcba9876543210 };
    struct orbital_registers registers = {
        .control = { endpoint, ORBITAL_TAG(ECHO, 3), ORBITAL_NEVER },
        .words = { words[0], words[1], words[2] },
    };
    uint64_t error = orbital_call(ORBITAL_SYS_CALL, &registers);
    if (error != ORBITAL_OK)
        return error;
    if (registers.control[1] != ORBITAL_TAG(ECHO, 3))
        return ORBITAL_ERROR_INVALID_MESSAGE;
    for (size_t word = 0; word < 3; word++)
        if (registers.words[word] != ~words[word])
            return ORBITAL_ERROR_INVALID_MESSAGE;
    return ORBITAL_OK;
}

uint64_t orbital_main(const struct orbital_bootstrap *bootstrap)
{
    the_system = bootstrap->system;
    struct orbital_registers endpoint = { 0 };
    uint64_t error = orbital_call(ORBITAL_SYS_ENDPOINT_CREATE, &endpoint);
    if (error == ORBITAL_OK)
        error = start_server(bootstrap, endpoint.control[0]);
    if (error == ORBITAL_OK)
        error = ask(endpoint.control[0]);
    say(error == ORBITAL_OK ? "an answer in C" : "something went wrong");
    struct orbital_registers off = { .control = { the_system, error } };
    return orbital_call(ORBITAL_SYS_SYSTEM_SHUTDOWN, &off);
}
