//! A call is cut off in each of its states, from each side: whoever is left has a definite answer, nobody hangs and
//! nothing is left. Client and server stand on each ordered pair of CPUs; on a machine with one CPU they share it.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

mod cell;
mod matrix;
mod random;

use guests::suite;

use matrix::*;
use random::*;

suite! {
    parallel: [
        each_cut_in_each_state_has_its_outcome,
        nothing_is_left_of_calls_that_were_cut_off,
        random_cuts_have_outcomes_that_agree,
    ],
    roles: [],
}
