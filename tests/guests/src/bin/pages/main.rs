//! Long messages: what registers have no room for goes from page to page, and all else stays as it was.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

mod hostile;
mod lengths;
mod pairs;
mod rooms;
mod sweep;

use guests::{suite, threads::granted};
use hostile::*;
use lengths::*;
use pairs::*;
use rooms::*;

suite! {
    on "pinned general": [
        every_length_arrives_where_the_receiver_waits,
        every_length_arrives_where_the_sender_waits,
        every_length_arrives_by_reply_receive,
        every_length_arrives_from_senders_of_five_priorities,
        every_length_arrives_between_processes,
        a_receiver_without_a_page_goes_on_waiting,
        senders_are_refused_where_the_receiver_has_no_page,
        an_answer_without_room_is_still_owed,
    ],
    on "cpus=1,2,4 general": [
        lengths_arrive_on_each_pair_of_cpus,
        lengths_arrive_between_processes_on_each_pair_of_cpus,
        pages_are_written_while_they_are_copied,
        threads_are_killed_while_their_pages_are_copied,
    ],
    on "pinned": [
        a_page_is_the_threads_own,
        a_page_goes_with_its_thread,
        what_is_mapped_over_a_page_is_not_touched,
        a_page_is_never_executable,
        a_quota_ends_the_pages,
    ],
    roles: [sender, receiver, edge_sender, hoarder],
}

fn sender() {
    sweep::send(granted(0).slot(), sweep::all(), || ());
}

fn receiver() {
    sweep::receive(granted(0).slot(), sweep::all(), sweep::Answers::Apart, || ());
}
