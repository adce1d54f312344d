//! Programs whose compiled code has floating-point registers: what is in them is the thread's own, while it is stopped,
//! moved, calls the kernel and waits for others.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

mod computing;
mod maths;
mod registers;
mod serving;

use computing::{threads_compute_the_same_on_all_cpus, values_survive_system_calls};
use guests::suite;
use maths::{functions_are_exact_where_they_must_be, numbers_are_written_and_read};
use registers::nothing_is_left_for_the_next_thread;
use serving::{
    a_panic_says_a_number, another_process_computes, answers, panics,
    values_survive_calls_between_threads,
};

suite! {
    cases: [
        functions_are_exact_where_they_must_be,
        numbers_are_written_and_read,
        a_panic_says_a_number,
    ],
    parallel: [
        threads_compute_the_same_on_all_cpus,
        values_survive_system_calls,
        values_survive_calls_between_threads,
        another_process_computes,
        nothing_is_left_for_the_next_thread,
    ],
    roles: [answers, panics],
}
