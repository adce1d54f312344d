//! Messages that bring capabilities: all or none, derived, in both directions, from every CPU to every other one.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

mod counts;
mod races;

use counts::*;
use guests::suite;
use races::*;

suite! {
    on "pinned general": [
        every_count_goes_each_way,
        every_count_goes_between_processes,
        mistakes_keep_all_from_going,
        too_many_are_refused,
        rights_and_badges_go_as_they_are,
        what_came_goes_with_a_revoke,
    ],
    on "cpus=1,2,4 general": [
        counts_go_on_each_pair_of_cpus,
        capabilities_are_closed_while_they_are_sent,
        partners_are_killed_in_the_middle,
    ],
    roles: [echo],
}
