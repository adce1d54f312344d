//! What one thread asks of another, in each state of that.
#![forbid(unsafe_code)]

use guests::{
    counters::leaves_nothing,
    places,
    scene::{Stage, plays},
};

use super::exits;

/// One CPU for all.
fn stage() -> Stage {
    Stage::new(exits, 0, 0)
}

pub(super) fn a_suspended_thread_waits_to_be_resumed() {
    plays::a_suspended_thread_waits_to_be_resumed(&stage());
}

pub(super) fn one_that_is_resumed_early_goes_on_as_if_nothing_was() {
    plays::one_that_is_resumed_early_goes_on_as_if_nothing_was(&stage());
}

pub(super) fn a_killed_thread_ends_there_and_then() {
    plays::a_killed_thread_ends_there_and_then(&stage());
}

pub(super) fn a_suspended_thread_is_killed() {
    plays::a_suspended_thread_is_killed(&stage());
}

pub(super) fn who_waits_for_a_thread_s_end_is_told() {
    plays::who_waits_for_its_end_is_told(&stage());
}

/// However such a thread goes on or ends, all it had is given back.
pub(super) fn nothing_is_left_of_suspended_and_killed_threads() {
    places::pave(128 << 20);
    let stage = stage();
    leaves_nothing(3, || plays::every_way(&stage));
}
