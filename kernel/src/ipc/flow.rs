//! What a trace is told of messages on the general way, each when it is certain and before anybody sees what comes of
//! it. Short cuts are not taken while all is traced.
#![forbid(unsafe_code)]

use orbital_abi::trace::{CALLS, EventKind, FAULTS, SENDS};

use crate::{
    thread::{Sending, Tcb},
    trace::{self, flows},
};

/// `sender` sends, to someone who waits or comes later. Before that can be.
#[inline(always)]
pub(super) fn sends(sender: &Tcb, sending: Sending) {
    if trace::is_detailed() {
        sent(sender, sending);
    }
}

#[cold]
#[inline(never)]
fn sent(sender: &Tcb, sending: Sending) {
    let what = match sending {
        Sending::Message => SENDS,
        Sending::Call => CALLS,
        Sending::Fault => FAULTS,
    };
    let hop = flows::send(sender.id.0);
    trace::note(EventKind::Send, sender.who(), hop.arguments(what));
}

/// `receiver` has that.
#[inline(always)]
pub(super) fn receives(receiver: &Tcb, sender: &Tcb, sending: Sending) {
    if trace::is_detailed() {
        received(receiver, sender, sending);
    }
}

#[cold]
#[inline(never)]
fn received(receiver: &Tcb, sender: &Tcb, sending: Sending) {
    let answers = sending != Sending::Message;
    if let Some(hop) = flows::receive(receiver.id.0, sender.id.0, answers) {
        trace::note(EventKind::Receive, receiver.who(), hop.arguments(0));
    }
}

/// `server` answers `caller`.
#[inline(always)]
pub(super) fn answers(server: &Tcb, caller: &Tcb) {
    if trace::is_detailed() {
        answered(server, caller);
    }
}

#[cold]
#[inline(never)]
fn answered(server: &Tcb, caller: &Tcb) {
    if let Some(hop) = flows::answer(server.id.0, caller.id.0) {
        trace::note(EventKind::Reply, server.who(), hop.arguments(0));
        trace::note(EventKind::Answer, caller.who(), hop.arguments(0));
    }
}
