//! Every scene for each ordered pair of CPUs, one of which has the case and the other the thread.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use guests::{
    cpus::{self, leave_nothing, pairs},
    places,
    scene::{Stage, plays},
};

use super::exits;

fn on_each_pair(play: fn(&Stage)) {
    for (here, there) in pairs() {
        play(&Stage::new(exits, here, there));
    }
}

pub(super) fn a_suspended_thread_waits_to_be_resumed() {
    on_each_pair(plays::a_suspended_thread_waits_to_be_resumed);
}

pub(super) fn one_that_is_resumed_early_goes_on_as_if_nothing_was() {
    on_each_pair(plays::one_that_is_resumed_early_goes_on_as_if_nothing_was);
}

pub(super) fn a_killed_thread_ends_there_and_then() {
    on_each_pair(plays::a_killed_thread_ends_there_and_then);
}

pub(super) fn a_suspended_thread_is_killed() {
    on_each_pair(plays::a_suspended_thread_is_killed);
}

pub(super) fn who_waits_for_a_thread_s_end_is_told() {
    on_each_pair(plays::who_waits_for_its_end_is_told);
}

/// However a thread goes on or ends, all it had is given back: on each CPU, from the one before it, and
/// in a long run from all others.
pub(super) fn nothing_is_left_of_suspended_and_killed_threads() {
    places::pave(1 << 30);
    let next_to_each_other = |(here, there): &(usize, usize)| (here + 1) % cpus::count() == *there;
    let (near, far): (Vec<_>, Vec<_>) = pairs().partition(next_to_each_other);
    let far = if cpus::is_soak() { far } else { Vec::new() };
    let mut warm_ups = 3;
    leave_nothing(1, || {
        let far = if warm_ups > 0 { &far[..0] } else { &far };
        let near = if warm_ups > 0 { &near[..1] } else { &near };
        for (here, there) in near.iter().chain(far) {
            plays::every_way(&Stage::new(exits, *here, *there));
        }
        warm_ups -= 1;
    });
}
