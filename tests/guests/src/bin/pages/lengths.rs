//! Every length, on one CPU.
#![forbid(unsafe_code)]

use guests::{
    children,
    threads::{self, MIDDLE, settle},
};
use orbital_user::{CapSlot, Endpoint, Rights, capability::copy_to};

use super::sweep::{Answers, BADGE, all, one_too_many, receive, send};

/// A capability to send with, which stays open.
pub fn badged(endpoint: &Endpoint) -> CapSlot {
    copy_to(endpoint.slot(), CapSlot::NULL, Rights::SEND, BADGE).unwrap()
}

fn with_a_sender(priority: u8, answers: Answers, before: fn()) {
    let endpoint = Endpoint::create().unwrap();
    one_too_many(endpoint.slot());
    let slot = badged(&endpoint);
    let sender = threads::at(priority, move || send(slot, all(), || ()));
    receive(endpoint.slot(), all(), answers, before);
    sender.join().unwrap();
}

/// The sender is less urgent than this thread, so it comes when this one waits.
pub fn every_length_arrives_where_the_receiver_waits() {
    with_a_sender(MIDDLE, Answers::Apart, || ());
}

/// Sender first: the same.
pub fn every_length_arrives_where_the_sender_waits() {
    with_a_sender(MIDDLE, Answers::Apart, settle);
}

/// Answer and next message in one step: the same.
pub fn every_length_arrives_by_reply_receive() {
    with_a_sender(MIDDLE, Answers::Together, || ());
}

/// Less urgent, as urgent, and more urgent than the receiver: whoever comes first then.
pub fn every_length_arrives_from_senders_of_five_priorities() {
    for priority in MIDDLE - 2..=MIDDLE + 2 {
        for answers in [Answers::Apart, Answers::Together] {
            let endpoint = Endpoint::create().unwrap();
            let (slot, own) = (badged(&endpoint), endpoint.slot());
            let receiver = threads::at(MIDDLE, move || receive(own, all(), answers, || ()));
            let sender = threads::at(priority, move || send(slot, all(), || ()));
            sender.join().unwrap();
            receiver.join().unwrap();
        }
    }
}

/// The same between processes: either side the child, either side first.
pub fn every_length_arrives_between_processes() {
    for before in [settle as fn(), || ()] {
        let endpoint = Endpoint::create().unwrap();
        let sender = children::start("sender", |s| s.grant(endpoint.slot(), Rights::SEND, BADGE));
        receive(endpoint.slot(), all(), Answers::Apart, before);
        children::succeed(&sender);

        let own = endpoint.copy(Rights::SEND, BADGE).unwrap();
        let receiver =
            children::start("receiver", |s| s.grant(endpoint.slot(), Rights::RECEIVE, 0));
        send(own.slot(), all(), before);
        children::succeed(&receiver);
    }
}
