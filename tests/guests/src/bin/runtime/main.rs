//! What the runtime offers programs: waiting for each other, values of a thread's own, tasks, typed calls, text.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

mod locals;
mod output;
mod rpc;
mod sync;
mod tasks;

use guests::suite;
use locals::*;
use output::*;
use rpc::*;
use sync::*;
use tasks::*;

suite! {
    cases: [
        a_thread_ends_with_whatever_it_has_in_fs,
        who_waits_for_a_mutex_lets_its_holder_run,
        a_wait_for_a_condition_ends_at_its_deadline,
        a_task_that_takes_too_long_is_dropped,
        a_cancelled_task_does_not_go_on,
        signals_of_timers_and_threads_wake_tasks,
        a_thread_has_sixty_three_signals,
        questions_that_can_not_be_read_are_refused,
        a_caller_that_accepts_nothing_harms_nobody,
        kept_questions_are_answered_later,
    ],
    parallel: [
        a_mutex_keeps_threads_apart,
        a_queue_with_conditions_loses_nothing,
        everyone_is_told,
        no_more_threads_than_permits,
        each_thread_has_its_own_values,
        values_go_with_their_threads,
        many_that_block_are_all_waited_for,
        tasks_call_and_serve_each_other,
        wakes_from_all_cpus_reach_their_tasks,
        values_of_all_sizes_come_through,
        capabilities_come_with_values,
        what_a_program_prints_goes_to_its_output,
        an_output_that_is_revoked_keeps_nobody,
    ],
    // Where a stretch between two lines of the program takes as long as its instructions say.
    on "icount pinned": [tasks_sleep_in_the_order_of_their_deadlines],
    roles: [prints],
}
