//! Calls, answers and faults that switch directly from one thread to its partner: each side keeps what is its own,
//! and nobody has to wait for the two. All of it also where messages go the general way.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

mod own;
mod turns;

use guests::suite;

use own::*;
use turns::*;

suite! {
    on "pinned general": [
        both_sides_of_a_call_keep_their_own_in_one_process,
        both_sides_of_a_call_keep_their_own_between_processes,
        both_sides_of_a_fault_keep_their_own,
        an_equal_thread_takes_turns_with_a_caller_and_its_server,
        an_equal_thread_takes_turns_with_one_that_faults_and_its_handler,
        a_more_urgent_thread_comes_between_a_caller_and_its_server,
        a_more_urgent_thread_comes_between_one_that_faults_and_its_handler,
    ],
    roles: [server],
}
