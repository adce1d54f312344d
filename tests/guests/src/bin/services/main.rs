//! Servers of names and of programs, asked by clients that may and by those that may not; and programs that play services
//! and their clients where the real init starts them by a manifest (`xtask/tests/cli/services.rs`).
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

mod authority;
mod names;
mod played;
mod programs;
mod sessions;

use authority::tries_everything;
use guests::suite;
use names::*;
use played::*;
use programs::*;
use sessions::*;

suite! {
    cases: [
        names_are_found_by_who_may,
        names_belong_to_their_client,
        who_waits_for_a_name_gets_it_when_it_comes,
        what_is_no_name_and_no_endpoint_is_refused,
        names_of_endpoints_that_can_not_be_reached_make_room,
        a_look_up_without_room_forgets_no_name,
        a_name_is_another_s_once_nobody_can_receive_there,
        the_service_keeps_of_an_endpoint_what_others_get,
        clients_register_and_look_up_or_are_told_why_not,
        programs_end_as_they_do,
        programs_are_ended_and_waited_for_by_who_may,
        what_can_not_be_started_leaves_nothing,
        a_program_has_its_output_and_little_else,
        a_program_has_what_was_given_by_its_names_with_its_rights,
        what_is_given_by_wrong_names_is_refused_and_not_kept,
        callers_that_are_gone_are_forgotten,
    ],
    parallel: [a_hundred_programs_are_waited_for],
    roles: [
        exits, drives, faults, spins, rests, hoards, prints, shows, counts, dies_now_and_then, calls_often, starts_only, serves_names,
        tries_everything, sees_restarts, sees_a_storm, asks_for_the_end, sees_programs, sees_the_log,
        sees_init_s_answers, sees_nothing, sees_its_cpu, sees_no_leak,
    ],
}
