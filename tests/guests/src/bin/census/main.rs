//! What runs, and who can reach what: processes, threads and capabilities are told as they are, each that stands exactly
//! once, and to nobody without the right.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

mod capabilities;
mod crowd;
mod running;
mod times;

use alloc::vec::Vec;

use guests::{suite, threads::granted};
use orbital_user::{
    CapSlot,
    abi::census::{Capability, Process, Thread},
    capability::inspect,
    start::bootstrap,
    system,
};

use capabilities::*;
use crowd::*;
use running::*;
use times::*;

suite! {
    cases: [
        a_process_is_told_with_what_it_has,
        a_process_that_ends_is_told_no_more,
        a_thread_is_told_with_what_it_does,
        a_lent_priority_is_told_beside_its_own,
        a_capability_is_told_with_what_it_names,
        an_object_is_the_same_for_all_who_reach_it,
        what_it_was_derived_from_is_told,
        the_graph_has_an_edge_for_each,
        it_needs_its_right,
        odd_numbers_find_nothing,
    ],
    parallel: [
        what_stands_is_told_once_among_all_that_comes_and_goes,
        who_has_a_cpu_for_itself_is_charged,
    ],
    on "icount pinned": [who_runs_is_charged_and_who_sleeps_is_not],
    on "icount pinned timeout=180": [an_empty_stretch_is_passed_in_short_steps],
    roles: [waits],
}

/// Waits for a message that does not come.
fn waits() {
    let _ = granted(0).receive();
}

fn processes() -> Vec<Process> {
    system::processes().map(Result::unwrap).collect()
}

fn threads() -> Vec<Thread> {
    system::threads().map(Result::unwrap).collect()
}

fn capabilities_of(process: u64) -> Vec<Capability> {
    system::capabilities(process).map(Result::unwrap).collect()
}

/// The number of the process or thread that `slot` names.
fn number(slot: CapSlot) -> u64 {
    inspect(slot).unwrap().identity
}

/// This process's number.
fn own() -> u64 {
    number(bootstrap().process)
}

#[track_caller]
fn process(number: u64) -> Process {
    let all = processes();
    *all.iter().find(|process| process.id == number).unwrap_or_else(|| panic!("{number}: {all:?}"))
}

#[track_caller]
fn thread(number: u64) -> Thread {
    let all = threads();
    *all.iter().find(|thread| thread.id == number).unwrap_or_else(|| panic!("{number}: {all:?}"))
}

#[track_caller]
fn capability(process: u64, slot: CapSlot) -> Capability {
    let all = capabilities_of(process);
    *all.iter().find(|it| it.slot == slot).unwrap_or_else(|| panic!("{slot:?}: {all:?}"))
}
