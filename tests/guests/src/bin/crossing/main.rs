//! Messages from CPU to CPU: none is lost and none comes twice, whoever ends and whatever comes first.
//!
//! Sender and receiver stand on each ordered pair of CPUs; on a machine with one CPU they share it.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

mod all;
mod deadlines;
mod kills;
mod record;
mod streams;

use guests::suite;

use all::*;
use deadlines::*;
use kills::*;
use streams::*;

suite! {
    parallel: [
        calls_are_answered_on_each_pair,
        sends_arrive_in_their_order_on_each_pair,
        every_message_length_crosses_each_pair,
        all_pairs_call_at_once,
        many_senders_and_receivers_share_an_endpoint,
        a_caller_is_killed_at_any_time,
        a_server_is_killed_at_any_time,
        a_sender_is_killed_at_any_time,
        a_receiver_is_killed_at_any_time,
        deadlines_of_calls_race_with_replies,
        deadlines_of_sends_race_with_receivers,
        deadlines_of_receivers_race_with_senders,
        nothing_is_left,
    ],
    roles: [],
}
