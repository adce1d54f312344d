//! Threads that are stopped, let go on, ended and made more or less urgent, in whatever they are doing:
//! on one CPU, where all that follows is known to the step.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

mod partners;
mod processes;
mod refusals;
mod running;
mod states;

use guests::{
    code, suite,
    threads::{MIDDLE, at},
};
use orbital_user::thread::yield_now;

use partners::*;
use processes::*;
use refusals::*;
use running::*;
use states::*;

suite! {
    cases: [
        a_suspended_thread_waits_to_be_resumed,
        one_that_is_resumed_early_goes_on_as_if_nothing_was,
        a_killed_thread_ends_there_and_then,
        a_suspended_thread_is_killed,
        nothing_is_left_of_suspended_and_killed_threads,
        a_suspended_thread_stands_still,
        a_thread_suspends_itself,
        a_thread_kills_itself,
        registers_survive_suspension,
        a_suspended_sender_keeps_its_place,
        a_suspended_receiver_keeps_its_place,
        a_suspended_server_keeps_its_caller,
        a_killed_server_lets_its_caller_go,
        who_waits_for_a_thread_s_end_is_told,
        what_has_ended_can_t_be_controlled,
        rights_and_kinds_are_checked,
        the_last_thread_of_a_process_is_killed,
        a_process_with_suspended_threads_ends,
    ],
    roles: [],
}

code! {
    // ProcessExit with the argument.
    exits: ["mov eax, 33", "syscall"] ["ud2"];
    yields: ["2: mov eax, 16", "syscall", "jmp 2b"] ["ud2"];
}

/// Lets those of middle priority have some turns.
fn let_run() {
    at(MIDDLE, || (0..3).for_each(|_| yield_now())).join().unwrap();
}
