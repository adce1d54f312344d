//! Threads that are stopped, let go on and ended from another CPU, in whatever they are doing. On a
//! machine with one CPU that is their own.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

mod model;
mod pairs;
mod random;
mod together;

extern crate alloc;

use guests::{code, suite};

use pairs::*;
use random::*;
use together::*;

suite! {
    parallel: [
        a_suspended_thread_waits_to_be_resumed,
        one_that_is_resumed_early_goes_on_as_if_nothing_was,
        a_killed_thread_ends_there_and_then,
        a_suspended_thread_is_killed,
        who_waits_for_a_thread_s_end_is_told,
        nothing_is_left_of_suspended_and_killed_threads,
        a_thread_that_suspends_itself_is_resumed_from_elsewhere,
        a_thread_is_stopped_and_let_go_on_from_all_cpus_at_once,
        a_thread_is_killed_from_all_cpus_at_once,
        random_sequences_have_exact_outcomes,
    ],
    roles: [],
}

code! {
    // ProcessExit with the argument.
    exits: ["mov eax, 33", "syscall"] ["ud2"];
}
